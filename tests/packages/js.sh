#!/bin/bash
# js.sh [kernels|node|package|browser|relaxed]...: the library as a module of WebAssembly, and the npm package. Without
# arguments: all but relaxed.
#
# - kernels: the unit tests of the kernels, compiled for WebAssembly.
# - node: the package's tests in Node, also against SSE2 to the bit.
# - package: packed and installed as users do, its types, its style.
# - browser: the page and the audio worklets in headless Chromium.
# - relaxed: kernels, and codes and streams in Node, with relaxed SIMD; after it, the module is built anew without.
#
# Where a tool is missing, what needs it is NOT CHECKED, and the line says for want of what.
#
# MIMI_LIBRARIES: the folder of libmimi.a; otherwise that of `cargo build --release`.
set -uo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
package=$root/bindings/js
demo=$root/tool/demo/model.safetensors
target=$(realpath -m "${CARGO_TARGET_DIR:-$root/target}")
libraries=$(realpath -m "${MIMI_LIBRARIES:-$target/release}")
tools=$target/tools/js
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0
failed=0
kind=WebAssembly
export CARGO_TARGET_DIR=$target CARGO_INCREMENTAL=0

# for the unit tests alone, which are run in its folder
. "$root/tests/packages/quick.sh"
. "$root/tests/packages/steps.sh"

not_checked() { echo "NOT CHECKED: $1, for want of $2"; }

# has WHAT COMMAND...: says what goes unchecked for want of a command.
has() {
    local tool
    for tool in "${@:2}"; do
        type -P "$tool" >/dev/null || { not_checked "$1" "$tool"; return 1; }
    done
}

# rust_for WHAT TARGET: says what goes unchecked for want of Rust's standard library.
rust_for() {
    rustup target list --installed | grep -qx "$2" || rustup target add "$2" >"$work/log" 2>&1 ||
        { not_checked "$1" "Rust's $2: $(tail -n 1 "$work/log")"; return 1; }
}

# with_tools WHAT: installs what comes from npm, once.
with_tools() {
    local wanted="typescript@5.9.3 prettier@3.6.2 playwright-core@1.65.1"
    [ "$(cat "$tools/wanted" 2>/dev/null)" = "$wanted" ] && return
    mkdir -p "$tools" && npm install --no-save --no-audit --no-fund --prefix "$tools" $wanted >"$work/log" 2>&1 &&
        echo "$wanted" >"$tools/wanted" || { not_checked "$1" "npm's packages: $(tail -n 1 "$work/log")"; return 1; }
}

# Those left out need threads, or unwinding, which WebAssembly has not. A panic ends the program, so what it says is not
# captured.
test_kernels() {
    rust_for "kernels on WebAssembly" wasm32-wasip1 || return
    local -x RUSTFLAGS="-Dwarnings -Ctarget-feature=+simd128${MIMI_SIMD:+,+$MIMI_SIMD}"
    local -x CARGO_TARGET_WASM32_WASIP1_RUNNER="node ${relaxed:-} $package/test/wasi.mjs"
    local -x CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS=true CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS=true
    check "kernels on WebAssembly${MIMI_SIMD:+, $MIMI_SIMD}" in_folder "$work" cargo test --quiet --locked --release \
        --manifest-path "$root/Cargo.toml" --no-default-features --lib --target wasm32-wasip1 -- kernels --nocapture \
        --skip panic --skip refused --skip outlive
}

native() {
    gcc -std=c99 -O1 -Wall -Wextra -Werror -I "$root/include" "$package/test/native.c" "$libraries/libmimi.a" \
        -lpthread -ldl -lm -lgcc_s -o "$work/native" && mkdir "$work/bits" &&
        node --input-type=module -e "
            import { speech } from '$package/test/data.mjs';
            process.stdout.write(new Uint8Array(speech.buffer));" | "$work/native" "$demo" "$work/bits"
}

node_tests() { node --expose-gc --test --test-reporter=tap "$package"/test/*.test.mjs; }

test_node() {
    if [ "$(uname -m)" = x86_64 ] && [ -e "$libraries/libmimi.a" ]; then
        check "bits of SSE2" native && export MIMI_NATIVE=$work/bits
    else
        not_checked "WebAssembly against SSE2" "$libraries/libmimi.a"
    fi
    check "package in Node" node_tests && grep -E '^# (pass|skipped)' "$work/log"
}

test_relaxed() {
    # an experiment in Node 20, and no option any more in later ones
    local relaxed=--experimental-wasm-relaxed-simd
    node $relaxed -e 0 2>/dev/null || relaxed=
    local -x MIMI_SIMD=relaxed-simd CARGO_TARGET_DIR=$target/relaxed
    test_kernels
    check "module with relaxed SIMD, built" "$package/build.sh" &&
        check "package in Node, relaxed SIMD" node $relaxed --test --test-reporter=tap "$package/test/golden.test.mjs"
    check "module without, built" env -u MIMI_SIMD CARGO_TARGET_DIR="$target" "$package/build.sh"
}

style() {
    cd "$package" && "$tools/node_modules/.bin/prettier" --check . --ignore-path .gitignore
}

# All that the package has, and nothing else.
these_files() {
    diff - <(tar -tf "$work"/libmimi-*.tgz | sort) <<'FILES'
package/LICENSE-APACHE
package/LICENSE-MIT
package/README.md
package/lib/error.js
package/lib/handle.js
package/lib/instance.js
package/lib/options.js
package/lib/source.js
package/lib/streams.js
package/lib/tokens.js
package/live.d.ts
package/live.js
package/mimi.d.ts
package/mimi.js
package/mimi.wasm
package/package.json
package/third-party.txt
package/worker.d.ts
package/worker.js
package/worklet.js
FILES
}

# As a user who installs it, with its types.
installed() {
    (cd "$package" && npm pack --ignore-scripts --pack-destination "$work") && these_files &&
        mkdir "$work/user" && cd "$work/user" &&
        echo '{ "type": "module" }' >package.json && npm install --no-audit --no-fund --offline "$work"/libmimi-*.tgz &&
        cp "$package"/test/{types,node.d}.ts "$package/test/tsconfig.json" . &&
        "$tools/node_modules/.bin/tsc" -p . --outDir built && node built/types.js "$demo"
}

# The program of the package's README.
readme_program() {
    readme js "$package/README.md" >"$work/user/readme.js" && node "$work/user/readme.js" "$demo" | tee "$work/said" &&
        grep -qx "104 codes, 24960 samples, true" "$work/said"
}

test_package() {
    has "the npm package" npm && with_tools "the npm package" || return
    check "package, installed, with its types" installed && check "the README's program" readme_program
    check "style of JavaScript" style
}

test_browser() {
    has "the page" npm && with_tools "the page" || return
    local CHROMIUM
    CHROMIUM=$(type -P chromium) || { not_checked "the page" chromium; return; }
    export CHROMIUM
    check "page and worklets in Chromium" node "$package/test/browser.mjs" "$work/page" "$tools"
}

node_20() {
    [ "$(node -p 'Number(process.versions.node.split(".")[0]) >= 20')" = true ] ||
        { not_checked "WebAssembly" "Node 20: this is $(node --version)"; return 1; }
}

has "WebAssembly" node cargo rustup && node_20 && rust_for "WebAssembly" wasm32-unknown-unknown ||
    { echo "0 passed, 0 failed"; exit; }
check "module and page, built" "$package/build.sh" "$work/page" || { echo "$passed passed, $failed failed"; exit 1; }
size() { du -sb "$@" | awk '{ sum += $1 } END { print sum }'; }
echo "        mimi.wasm: $(size "$package/mimi.wasm") bytes, $(gzip -9c "$package/mimi.wasm" | wc -c) compressed;" \
    "page without its model: $(du -sb --exclude=model.safetensors "$work/page" | cut -f 1)"
parts=("$@")
if [ ${#parts[@]} -eq 0 ]; then parts=(kernels node package browser); fi
for part in "${parts[@]}"; do "test_$part"; done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
