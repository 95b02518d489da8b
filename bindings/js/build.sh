#!/bin/bash
# build.sh [FOLDER]: compiles libmimi to bindings/js/mimi.wasm. With a folder, also puts the page and all that it needs
# there: any web server shows it.
#
# MIMI_SIMD=relaxed-simd: with relaxed SIMD, which README.md tells more about.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
target=$(realpath -m "${CARGO_TARGET_DIR:-$root/target}")
kind=wasm32-unknown-unknown

# SIMD is in all browsers since 2023 and in Node; the table lets a function of JavaScript read a checkpoint
features=+simd128${MIMI_SIMD:+,+$MIMI_SIMD}
RUSTFLAGS="-Dwarnings -Ctarget-feature=$features -Clink-arg=--export-table -Clink-arg=--growable-table" \
    cargo rustc --quiet --locked --manifest-path "$root/Cargo.toml" --target-dir "$target" --target $kind \
    --profile wasm --no-default-features --lib --crate-type cdylib
cp "$target/$kind/wasm/mimi.wasm" "$here/mimi.wasm"
# the licences of the library and of its dependencies
cp "$root"/LICENSE-* "$here"
cp "$root/bindings/cpp/packaging/third-party-library.txt" "$here/third-party.txt"

if [ $# -gt 0 ]; then
    mkdir -p "$1/libmimi"
    cp "$here"/page/* "$root/tool/demo/model.safetensors" "$root/tests/data/golden/speech.wav" "$1"
    cp -r "$here"/{mimi,live,worklet,worker}.js "$here"/{lib,mimi.wasm,LICENSE-*,third-party.txt} "$1/libmimi"
fi
