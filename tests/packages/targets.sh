#!/bin/bash
# targets.sh [arm|x86_32_bits|musl|windows|others]...: libmimi for other platforms, all or some. What this
# machine can imitate is built, installed and moved, and C programs run with it against golden vectors, as on
# this machine itself; for the others it is compiled, as far as that goes without their linkers.
#
# Where a tool is missing, that platform is NOT CHECKED, and the line says for want of what.
#
# MIMI_CARGO_DIR: where cargo builds, to share it between runs; otherwise a temporary folder.
set -uo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
here=$root/tests/packages
data=$root/tests/data/golden
demo=$root/tool/demo/model.safetensors
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
cargo_dir=${MIMI_CARGO_DIR:-$work/cargo}
passed=0
failed=0

. "$here/quick.sh"
. "$here/steps.sh"

# stricter than the library that people get
export CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS=true CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS=true

# has TOOL...: whether this platform can be checked: its Rust, and the commands.
has() {
    local tool
    if ! rustup target list --installed | grep -qx "$kind" && ! rustup target add "$kind" >"$work/log" 2>&1; then
        echo "NOT CHECKED: $kind, for want of Rust's: $(tail -n 1 "$work/log")"
        return 1
    fi
    for tool in "$@"; do
        if ! command -v "$tool" >/dev/null; then
            echo "NOT CHECKED: $kind, for want of $tool"
            return 1
        fi
    done
}

compiled() {
    kind=$1
    has && check "compiled" in_folder "$work" cargo check --locked --release --manifest-path "$root/Cargo.toml" \
        --target-dir "$cargo_dir" --no-default-features --lib --target "$kind"
}

# installed SYSTEM COMPILER: installs with CMake, moves the tree, and builds a program for each way to link.
installed() {
    local cross=(-DCMAKE_SYSTEM_NAME="$1" -DCMAKE_C_COMPILER="$2")
    check "configure" cmake -S "$root/bindings/cpp" -B "$work/$kind" "${cross[@]}" \
        -DMIMI_CARGO_DIR="$cargo_dir" -DMIMI_RUST_TARGET="$kind" &&
        check "build and install" cmake --install "$work/$kind" --prefix "$work/installed" || return
    moved "$work/installed"
    programs=$work/programs-$kind
    check "C programs, built" build_with_cmake "$here/c" "$programs" "${cross[@]}" \
        -DCMAKE_PREFIX_PATH="$prefix" "${@:3}"
}

# golden NAME COMMAND...: all golden vectors of tests/c/golden.c
golden() { check "C, golden vectors, $1" "${@:2}" "$data" "$demo" 0; }

# NEON, under an emulator: the kernels against their twins, and the installed library.
arm() {
    kind=aarch64-unknown-linux-gnu
    has aarch64-linux-gnu-gcc qemu-aarch64 || return
    local emulator="qemu-aarch64 -L /usr/aarch64-linux-gnu"
    # the emulator is slow: a few cases of each property
    local cargo=(env PROPTEST_CASES=12 "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER=$emulator"
        CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
        cargo test --locked --release --manifest-path "$root/Cargo.toml" --target-dir "$cargo_dir"
        --no-default-features --target "$kind")
    check "unit tests of the kernels" in_folder "$work" "${cargo[@]}" --lib -- kernels
    installed Linux aarch64-linux-gnu-gcc || return
    check "C, golden vectors, shared" $emulator "$programs/golden-shared" "$data" "$demo" 0 emulated
    # a few frames say that the static library is the same
    check "C, golden vectors, static" $emulator "$programs/golden-static" "$data" "$demo" 0 quick
}

# A CPU without vector kernels, and pointers of 32 bits. Needs no emulator on x86-64. Here the library is checked no
# stricter than the one that people get: sizes that wrap must not be caught by the compiler's checks alone.
x86_32_bits() {
    kind=i686-unknown-linux-gnu
    has i686-linux-gnu-gcc || return
    local -x CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS=false CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS=false
    installed Linux i686-linux-gnu-gcc || return
    local loader="/usr/i686-linux-gnu/lib/ld-linux.so.2 --library-path /usr/i686-linux-gnu/lib"
    golden shared $loader "$programs/golden-shared"
    golden static $loader "$programs/golden-static"
    check "C, hostile checkpoints" $loader "$programs/hostile-static" "$work"
    local name arguments
    for name in misuse many traps; do
        case $name in
            misuse) arguments="$data $demo 0" ;;
            many) arguments="$data 0" ;;
            traps) arguments="$data $root/tests/fuzz/micro.safetensors" ;;
        esac
        check "tests/c/$name.c, built" i686-linux-gnu-gcc -std=c99 -O1 -msse2 -D_POSIX_C_SOURCE=200809L -Wall -Wextra -Werror \
            "$root/tests/c/$name.c" -I "$prefix/include" "$libdir/libmimi.a" -lpthread -ldl -lm -lgcc_s -o "$work/$name" &&
            check "tests/c/$name.c" $loader "$work/$name" $arguments
    done
}

musl() {
    kind=x86_64-unknown-linux-musl
    has musl-gcc || return
    installed Linux musl-gcc -DCMAKE_EXE_LINKER_FLAGS=-static || return
    check "C, needs nothing" needs_nothing "$programs/golden-static"
    golden static "$programs/golden-static"
}

needs_nothing() { ! readelf -d "$1" | grep NEEDED && ! readelf -l "$1" | grep INTERP; }

windows() {
    kind=x86_64-pc-windows-gnu
    # not in the PATH where Debian's package is installed alone
    local wine=/usr/lib/wine/wine64
    has x86_64-w64-mingw32-gcc "$wine" || return
    export WINEPREFIX=$work/wine WINEDEBUG=-all
    # the C library of Windows knows no %zu; MinGW's own does
    installed Windows x86_64-w64-mingw32-gcc -DCMAKE_C_FLAGS=-D__USE_MINGW_ANSI_STDIO=1 || return
    check "stand-in for a DLL of Windows" x86_64-w64-mingw32-gcc -shared "$here/wine/bcryptprimitives.c" -ladvapi32 \
        -o "$prefix/bin/bcryptprimitives.dll" || return
    export WINEPATH=$prefix/bin
    golden "DLL and import library" "$wine" "$programs/golden-shared.exe"
    golden static "$wine" "$programs/golden-static.exe"
    # Wine keeps names of any script in a locale of UTF-8; the code page that it imitates there is 1252
    check "paths, built" x86_64-w64-mingw32-gcc -std=c99 -O1 -D__USE_MINGW_ANSI_STDIO=1 -DMIMI_DLL -Wall -Wextra \
        -Werror "$here/wine/paths.c" -I "$prefix/include" "$(find "$prefix" -name '*mimi.dll.a')" -o "$work/paths.exe" &&
        mkdir "$work/paths" &&
        check "paths that Windows users have" env LC_ALL=C.UTF-8 "$wine" "$work/paths.exe" "$demo" "$work/paths"
    /usr/lib/wine/wineserver64 -k # or it writes to $work while that is removed
}

# WebAssembly is what js.sh tests.
others() {
    local target
    for target in x86_64-pc-windows-msvc i686-pc-windows-msvc aarch64-pc-windows-msvc x86_64-apple-darwin \
        aarch64-apple-darwin aarch64-apple-ios aarch64-linux-android; do
        compiled $target
    done
}

platforms=("$@")
if [ ${#platforms[@]} -eq 0 ]; then platforms=(arm x86_32_bits musl windows others); fi
for platform in "${platforms[@]}"; do $platform; done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
