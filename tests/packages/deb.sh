#!/bin/bash
# deb.sh: makes the Debian packages, installs them into a clean root that has a C compiler and nothing else of ours, and
# uses them there: programs in C, shared and static, against golden vectors, and the tool. As root, on Debian 12.
#
# MIMI_CARGO_DIR: where cargo builds, to share it between runs; otherwise a temporary folder.
# MIMI_DEBIAN_ROOT: a tar file of the clean root; made if it is not there; otherwise temporary.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
clean=${MIMI_DEBIAN_ROOT:-$work/root.tar}

. "$root/tests/packages/quick.sh"

cmake -S "$root/bindings/cpp" -B "$work/build" -DCMAKE_INSTALL_PREFIX=/usr -DMIMI_TOOL=ON \
    -DMIMI_CARGO_DIR="${MIMI_CARGO_DIR:-$work/cargo}"
cmake --build "$work/build"
(cd "$work/build" && cpack -G DEB)
packages=("$work"/build/packages/*.deb)
for package in "${packages[@]}"; do
    dpkg-deb --info "$package" | grep -E '^ (Package|Version|Depends|Installed-Size)'
    dpkg-deb --contents "$package" | awk '$6 !~ "/$" { print "    " $6, $7, $8 }'
done
test ${#packages[@]} -eq 3

if [ ! -e "$clean" ]; then
    mmdebstrap --quiet --variant=essential --include=gcc,libc6-dev,pkg-config bookworm "$clean"
fi
mkdir "$work/root"
tar -C "$work/root" -xf "$clean"
mkdir "$work/root/try"
cp "${packages[@]}" "$root/tests/c/golden.c" "$root/tests/c/fixture.h" "$root/tool/demo/model.safetensors" \
    "$work/root/try"
cp -r "$root/tests/data/golden" "$work/root/try/data"
chroot "$work/root" /bin/sh -e <<'INSIDE'
cd /try
dpkg -i *.deb
flags="-std=c99 -D_POSIX_C_SOURCE=200809L -Wall -Wextra -Werror golden.c"
gcc $flags $(pkg-config --cflags --libs mimi) -lm -o shared
ldd shared | grep libmimi.so.0.1
./shared data model.safetensors 0
gcc $flags $(pkg-config --cflags mimi) -Wl,-Bstatic -lmimi -Wl,-Bdynamic $(pkg-config --static --libs-only-l mimi) -o static
if ldd static | grep libmimi; then exit 1; fi
./static data model.safetensors 0
mimi roundtrip data/speech.wav out.wav
test -s out.wav
dpkg -r libmimi-dev mimi
./shared data model.safetensors 0 quick
INSIDE
echo "Debian packages: installed, used and removed"
