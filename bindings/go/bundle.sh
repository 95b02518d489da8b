#!/bin/sh
# bundle.sh PREFIX [GOOS_GOARCH]: copies an installed libmimi into bundled/, for the tag mimi_bundled.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
prefix=${1:?usage: bundle.sh PREFIX [GOOS_GOARCH]}
platform=${2:-$(go env GOOS)_$(go env GOARCH)}
cp "$prefix/include/mimi.h" "$here/bundled/mimi.h"
for lib in "$prefix"/lib/libmimi.a "$prefix"/lib/*/libmimi.a "$prefix"/lib64/libmimi.a; do
    if [ -f "$lib" ]; then
        cp "$lib" "$here/bundled/libmimi_$platform.a"
        exit 0
    fi
done
echo "bundle.sh: no libmimi.a in $prefix" >&2
exit 1
