#!/bin/bash
# build.sh LIBMIMI.a [OUTPUT]: the extension for Godot 4, on Linux.
#
# GDEXTENSION: the folder of Godot's gdextension_interface.h; without it, Godot itself (GODOT, or `godot`) writes one.
# CC: the compiler.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
library=${1:?usage: build.sh LIBMIMI.a [OUTPUT]}
output=${2:-libmimi_godot.so}
headers=${GDEXTENSION:-}
if [ -z "$headers" ]; then
    headers=$(mktemp -d)
    trap 'rm -rf "$headers"' EXIT
    (cd "$headers" && "${GODOT:-godot}" --headless --dump-gdextension-interface)
fi
"${CC:-cc}" -std=c11 -O2 -fPIC -shared -fvisibility=hidden -Wall -Wextra -Wpedantic -Werror -I "$here/../../include" \
    -isystem "$headers" "$here/classes.c" "$here/mimi_godot.c" "$library" -lpthread -ldl -lm -lgcc_s \
    -Wl,--exclude-libs,ALL -o "$output"
