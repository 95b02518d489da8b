# The steps of run.sh.

# check NAME COMMAND...: runs a command, and prints its seconds, or what it said if it failed.
check() {
    local name="$kind: $1" start=$SECONDS
    shift
    if "$@" >"$work/log" 2>&1; then
        printf 'ok  %3d s  %s\n' $((SECONDS - start)) "$name"
        passed=$((passed + 1))
    else
        echo "FAILED     $name: $*"
        tail -n 40 "$work/log" | sed 's/^/        /'
        failed=$((failed + 1))
        return 1
    fi
}

# moved TREE: moves an installed tree, and makes pkg-config, CMake and the loader find it there.
moved() {
    prefix=$work/moved-$kind
    mv "$1" "$prefix"
    libdir=$(dirname "$(find "$prefix" -name libmimi.a)")
    export PKG_CONFIG_PATH=$libdir/pkgconfig LD_LIBRARY_PATH=$libdir CMAKE_PREFIX_PATH=$prefix
}

install_with_cmake() {
    kind=cmake
    unset PKG_CONFIG
    check "configure" cmake -S "$root/bindings/cpp" -B "$work/build" -DMIMI_CARGO_DIR="$cargo_dir" &&
        check "build and install" cmake --install "$work/build" --prefix "$work/installed" || return
    moved "$work/installed"
}

install_with_cargo_c() {
    kind=cargo-c
    check "build and install" in_folder "$work" cargo cinstall --manifest-path "$root/Cargo.toml" --release --locked \
        --no-default-features --target-dir "$cargo_dir" --prefix "$work/installed" --libdir lib || return
    moved "$work/installed"
    # cargo-c writes the prefix down; this option puts where mimi.pc lies in its place
    printf '#!/bin/sh\nexec pkg-config --define-prefix "$@"\n' >"$work/pkg-config"
    chmod +x "$work/pkg-config"
    export PKG_CONFIG=$work/pkg-config
}

pc() { "${PKG_CONFIG:-pkg-config}" "$@" mimi; }

# What links libmimi.a although libmimi.so lies beside it.
static_flags() {
    echo "-Wl,-Bstatic $(pc --libs) -Wl,-Bdynamic -Wl,--as-needed $(pc --static --libs-only-l)"
}

needs_no_libmimi() { ! readelf -d "$1" | grep -q 'NEEDED.*libmimi'; }

needs_nothing() { ! readelf -d "$1" | grep -q NEEDED; }

needs_libmimi() { readelf -d "$1" | grep -q 'NEEDED.*libmimi\.so\.0\.1\]'; }

only_mimi_is_visible() {
    ! nm -D --defined-only --format=just-symbols "$libdir/libmimi.so" | grep -v '^mimi_' &&
        readelf -d "$libdir/libmimi.so" | grep -q 'SONAME.*\[libmimi\.so\.0\.1\]' &&
        readelf -d "$libdir/libmimi.so" | grep -q 'NODELETE' &&
        test "$(readlink "$libdir/libmimi.so.0.1")" = libmimi.so.0.1.0
}

nothing_names_the_old_place() {
    ! grep -rIl "$work/installed" "$prefix/share" "$prefix/include"
}

these_files() {
    diff - <(cd "$prefix" && find . ! -type d | sort) <<'FILES'
./include/mimi.h
./include/mimi.hpp
./lib/libmimi.a
./lib/libmimi.so
./lib/libmimi.so.0.1
./lib/libmimi.so.0.1.0
./lib/pkgconfig/mimi.pc
./share/cmake/mimi/mimi-config-version.cmake
./share/cmake/mimi/mimi-config.cmake
FILES
}

# A C program, by pkg-config, with either library.
link_one_program() {
    local flags="-std=c99 -D_POSIX_C_SOURCE=200809L $warnings $root/tests/c/golden.c"
    check "C, shared, built" gcc $flags $(pc --cflags --libs) -lm -o "$work/shared" &&
        check "C, shared, linked" needs_libmimi "$work/shared" &&
        check "C, shared" "$work/shared" "$data" "$demo" 0 quick
    check "C, static, built" gcc $flags $(pc --cflags) $(static_flags) -o "$work/static" &&
        check "C, static, linked" needs_no_libmimi "$work/static" &&
        check "C, static" "$work/static" "$data" "$demo" 0 quick
}

consume() {
    header_warnings
    c_programs
    c_tests
    c_examples
    cmake_programs
    cpp_programs
    go_programs
    check "dlopen, built" gcc $warnings "$here/dlopen.c" $(pc --cflags) -ldl -lm -o "$work/dlopen" &&
        check "dlopen and dlclose 1000 times" "$work/dlopen" "$libdir/libmimi.so" "$data/tiny" &&
        check "dlopen and dlclose under valgrind" valgrind --quiet --error-exitcode=9 --leak-check=full \
            --errors-for-leak-kinds=definite,indirect --show-leak-kinds=definite,indirect \
            "$work/dlopen" "$libdir/libmimi.so" "$data/tiny" 6
    check "a program of 0.1.0, built" gcc -std=c99 $warnings -I "$root/tests/abi/0.1" "$root/tests/abi/0.1/program.c" \
        $(pc --libs) -lm -o "$work/program" &&
        check "a program of 0.1.0" "$work/program" "$data" "$demo"
    check "mimi.pc is relocatable" sh -c "! grep '$work' '$PKG_CONFIG_PATH/mimi.pc'"
    fully_static
    two_runtimes
    token_files
}

c_programs() {
    local standard compiler
    link_one_program
    # a standard changes no more than how the header is read
    for compiler in gcc clang; do
        for standard in c99 c11 c17 c2x; do
            check "C, $compiler -std=$standard" $compiler -std=$standard -D_POSIX_C_SOURCE=200809L $warnings -c \
                "$root/tests/c/golden.c" $(pc --cflags) -o "$work/golden.o"
        done
    done
    # as when a program and its plug-in each bring one
    check "C, the shared library beside the static one" env LD_PRELOAD="$libdir/libmimi.so" "$work/static" "$data" \
        "$demo" 0 quick
}

# The programs that the tests of the source tree run, with the installed library.
c_tests() {
    local name flags arguments linked
    for name in misuse many threads example; do
        case $name in
            misuse) arguments="$data $demo 0" ;;
            example) arguments=$demo ;;
            *) arguments="$data 0" ;;
        esac
        for linked in shared static; do
            flags=$(pc --libs)
            [ $linked = static ] && flags=$(static_flags)
            check "tests/c/$name.c, $linked, built" gcc -std=c99 -D_POSIX_C_SOURCE=200809L $warnings \
                "$root/tests/c/$name.c" $(pc --cflags) $flags -pthread -lm -o "$work/$name" &&
                check "tests/c/$name.c, $linked" "$work/$name" $arguments
        done
    done
}

fully_static() {
    check "C, -static, built" gcc $warnings -static "$root/tests/c/golden.c" $(pc --cflags --static --libs) \
        -o "$work/static" && check "C, -static" "$work/static" "$data" "$demo" 0
}

two_runtimes() {
    check "another Rust library" rustc --edition 2024 -O --crate-type staticlib --crate-name other \
        "$here/two_runtimes/other.rs" -o "$work/libother.a"
    local first last
    for first in "$libdir/libmimi.a" "$work/libother.a"; do
        last=$libdir/libmimi.a
        [ "$first" = "$last" ] && last=$work/libother.a
        check "two Rust libraries, built" gcc $warnings "$here/two_runtimes/main.c" $(pc --cflags) "$first" \
            "$last" -lpthread -ldl -lm -o "$work/two" && check "two Rust libraries" "$work/two" "$demo"
    done
}

# readme LANGUAGE [FILE [NUMBER]]: the README's program in it, or one of several.
readme() {
    awk -v fence="\`\`\`$1" -v number="${3:-1}" '$0 == "```" { inside = 0 } inside && seen == number
        $0 == fence { inside = 1; seen++ }' "${2:-$root/README.md}"
}

says() { test "$("${@:2}")" = "$1" || { "${@:2}"; return 1; }; }

# Headers must not warn in the programs of people who want to be warned of everything.
header_warnings() {
    local all="-Wconversion -Wsign-conversion -Wshadow -Wundef -Wcast-qual" compiler standard
    printf '#include <mimi.h>\n#include <mimi.h>\nint all_of_it = MIMI_ERR_PANIC;\n' >"$work/twice.c"
    printf '#include <mimi.hpp>\n#include <mimi.hpp>\n' >"$work/twice.cpp"
    # not by pkg-config, whose -I may be a system's folder, where warnings are silent
    check "C header, all warnings of gcc" gcc -std=c99 $warnings $all -Wstrict-prototypes -Wredundant-decls \
        -Wmissing-prototypes -Wc++-compat -I "$prefix/include" -fsyntax-only "$work/twice.c"
    check "C header, all warnings of clang" clang -std=c99 -Weverything -Wno-missing-variable-declarations -Werror \
        -I "$prefix/include" -fsyntax-only "$work/twice.c"
    for standard in c++17 c++20; do
        check "C++ header, warnings of g++ -std=$standard" g++ -std=$standard $warnings $all -Wold-style-cast \
            -Wuseless-cast -Weffc++ -I "$prefix/include" -fsyntax-only "$work/twice.cpp"
        # exceptions have virtual functions, and a header has no other place for them
        check "C++ header, warnings of clang++ -std=$standard" clang++ -std=$standard -Weverything -Wno-c++98-compat \
            -Wno-c++98-compat-pedantic -Wno-padded -Wno-weak-vtables -Werror -I "$prefix/include" -fsyntax-only \
            "$work/twice.cpp"
    done
}

# Samples of speech.wav as 32-bit floats.
floats() {
    tail -c +45 "$data/speech.wav" | od -An -v -td2 -w2 |
        awk '{ printf "%.9g\n", $1 / 32768 }' | perl -ne 'print pack("f<", $_)'
}

# Stream and one call give the same codes; they decode to as many samples as they should.
examples_agree() {
    "$1/load_memory" "$demo" | grep -q '24000 Hz, frames of 1920 samples' || return
    "$1/stream" encode "$demo" <"$work/speech.f32" >"$work/codes" || return
    "$1/size_query" "$demo" <"$work/speech.f32" | tr -s ' \n' '\n' >"$work/queried" || return
    od -An -v -tu4 -w4 "$work/codes" | tr -d ' ' | cmp - "$work/queried" || return
    "$1/stream" decode "$demo" <"$work/codes" >"$work/audio" || return
    test "$(wc -c <"$work/audio")" -eq $(($(wc -c <"$work/codes") / 32 * 1920 * 4)) || return
    token_example "$1/tokens" && prompt_example "$1/prompt" && latents_example "$1/latents"
}

# A sentence of a fork that has heard the first 20 frames is what follows them.
prompt_example() {
    head -c $((20 * 32)) "$work/codes" >"$work/prompt" && tail -c +$((20 * 32 + 1)) "$work/codes" >"$work/sentence" &&
        "$1" "$demo" "$work/prompt" "$work/sentence" >"$work/said" &&
        tail -c +$((20 * 1920 * 4 + 1)) "$work/audio" | cmp - "$work/said"
}

# 28 latents of 8 values, in a callback.
latents_example() {
    head -c $((28 * 8 * 4)) /dev/zero | "$1" "$data/pocket-tiny" >"$work/said" &&
        test "$(wc -c <"$work/said")" -eq $((28 * 1920 * 4))
}

# The example of token files gives the stream's audio, as long as the recording was; at other rates, as much. It says
# so when a file breaks off.
token_example() {
    local rate size file=$work/example.mtok
    size=$(wc -c <"$work/speech.f32")
    for rate in 8000 24000 44100; do
        "$1" rec "$demo" $rate "$file" <"$work/speech.f32" || return
        "$1" play "$demo" "$file" >"$work/played" || return
        test "$(wc -c <"$work/played")" -eq "$size" || return
        [ $rate -ne 24000 ] || head -c "$size" "$work/audio" | cmp - "$work/played" || return
    done
    head -c 101 "$file" >"$work/cut.mtok"
    ! "$1" play "$demo" "$work/cut.mtok" >"$work/played" && test -s "$work/played" || return
    ! "$1" rec "$demo" 12345 "$file" <"$work/speech.f32"
}

c_examples() {
    local name
    floats >"$work/speech.f32"
    mkdir -p "$work/examples"
    for name in stream size_query load_memory tokens prompt; do
        check "example $name, built with pkg-config" clang -std=c99 $warnings "$root/bindings/c/$name.c" \
            $(pc --cflags --libs) -o "$work/examples/$name"
    done
    check "example latents, built with pkg-config" clang -std=c11 $warnings "$root/bindings/c/latents.c" \
        $(pc --cflags --libs) -lpthread -o "$work/examples/latents"
    check "the examples agree" examples_agree "$work/examples"
    check "examples, built with CMake" build_with_cmake "$root/bindings/c" "$work/examples-$kind" &&
        check "the examples agree" examples_agree "$work/examples-$kind"
}

build_with_cmake() {
    local source=$1 build=$2
    shift 2
    cmake -S "$source" -B "$build" "$@" && cmake --build "$build"
}

cmake_programs() {
    local compiler linked
    for compiler in gcc clang; do
        local build=$work/c-$kind-$compiler
        check "C, CMake, $compiler, built" build_with_cmake "$here/c" "$build" -DCMAKE_C_COMPILER=$compiler || continue
        for linked in mimi shared static; do
            check "C, CMake, $compiler, mimi::$linked" "$build/golden-$linked" "$data" "$demo" 0 quick
        done
        check "C, CMake, $compiler, mimi::shared, linked" needs_libmimi "$build/golden-shared"
        check "C, CMake, $compiler, mimi::static, linked" needs_no_libmimi "$build/golden-static"
    done
    check "CMake refuses 0.2" refuses_version 0.2
    check "CMake refuses 0.1.99" refuses_version 0.1.99
}

refuses_version() {
    mkdir -p "$work/refuse"
    printf 'cmake_minimum_required(VERSION 3.18)\nproject(p C)\nfind_package(mimi %s CONFIG)\n' "$1" \
        >"$work/refuse/CMakeLists.txt"
    printf 'if(mimi_FOUND OR NOT mimi_CONSIDERED_VERSIONS STREQUAL "0.1.0")\nmessage(FATAL_ERROR found)\nendif()\n' \
        >>"$work/refuse/CMakeLists.txt"
    cmake -S "$work/refuse" -B "$work/refuse/build"
}

cpp_programs() {
    local compiler standard flags
    local test="$root/bindings/cpp/tests/test.cpp"
    for flags in "" "-fno-exceptions -fno-rtti"; do
        check "C++ $flags, built" g++ -std=c++17 $flags $warnings "$test" $(pc --cflags --libs) -pthread \
            -o "$work/test" && check "C++ $flags" "$work/test" "$data" "$demo"
    done
    for compiler in g++ clang++; do
        for standard in c++17 c++20 c++2b; do
            for flags in "" "-fno-exceptions -fno-rtti"; do
                check "C++, $compiler -std=$standard $flags" $compiler -std=$standard $flags $warnings \
                    -fsyntax-only "$test" $(pc --cflags)
            done
        done
        check "C++, $compiler, sanitizers, built" $compiler -std=c++17 -g -fsanitize=address,undefined \
            -fno-sanitize-recover=all $warnings "$test" $(pc --cflags) $(static_flags) -pthread -o "$work/test" &&
            check "C++, $compiler, sanitizers" "$work/test" "$data" "$demo"
    done
    check "C++, find_package, built" build_with_cmake "$here/cpp" "$work/cpp-$kind" &&
        check "C++, find_package" "$work/cpp-$kind/consumer" "$data" "$demo"
    readme cpp >"$work/readme.cpp"
    check "the README's C++, built" g++ -std=c++17 $warnings "$work/readme.cpp" $(pc --cflags --libs) -o "$work/readme" &&
        check "the README's C++" says "104 codes, 24960 samples, equal" "$work/readme" "$demo"
    check "C++ examples, built" build_with_cmake "$root/bindings/cpp/examples" "$work/roundtrip-$kind" &&
        check "C++ example" round_trip "$work/roundtrip-$kind/roundtrip" &&
        check "C++ example of latents" latents_example "$work/roundtrip-$kind/latents" &&
        check "C++ example of many conversations" many_conversations "$work/roundtrip-$kind/many"
}

round_trip() {
    "$1" "$demo" <"$work/speech.f32" >"$work/audio.again" && cmp "$work/audio" "$work/audio.again"
}

many_conversations() { "$1" "$demo" <"$work/speech.f32"; }

go_programs() {
    command -v go >/dev/null || {
        echo "go is missing: programs in Go go unchecked"
        return
    }
    export GOFLAGS=-mod=mod GOPROXY=off GOTOOLCHAIN=local
    local module=$work/go-$kind
    # a copy, which has nothing of the repository around it
    cp -r "$root/bindings/go" "$module"
    mkdir -p "$module-consumer"
    cp "$here/go/main.go" "$module-consumer"
    (cd "$module-consumer" && go mod init example.org/consumer &&
        go mod edit -require=github.com/libmimi/libmimi/bindings/go@v0.0.0 \
            -replace="github.com/libmimi/libmimi/bindings/go=$module") >/dev/null 2>&1
    check "Go, bundled library" "$module/bundle.sh" "$prefix"
    local tags golden="testdata/tiny.safetensors testdata/speech.wav testdata/tiny.codes.npy"
    for tags in none mimi_static mimi_bundled; do
        check "Go, tags $tags, built" in_folder "$module-consumer" go build -tags $tags -o consumer &&
            check "Go, tags $tags" in_folder "$module" "$module-consumer/consumer" $golden
        if [ $tags = none ]; then
            check "Go, linked" needs_libmimi "$module-consumer/consumer"
        else
            check "Go, tags $tags, linked" needs_no_libmimi "$module-consumer/consumer"
        fi
    done
    mkdir -p "$module-readme"
    readme go "$root/bindings/go/README.md" 1 >"$module-readme/main.go"
    check "the Go README's first program, its module" in_folder "$module-readme" readme_module "$module" &&
        check "the Go README's first program, built" in_folder "$module-readme" go build -o readme &&
        check "the Go README's first program" says "104 codes, true" "$module-readme/readme" "$demo"
    mkdir -p "$module-files"
    readme go "$root/bindings/go/README.md" 2 >"$module-files/main.go"
    check "the Go README's second program, its module" in_folder "$module-files" readme_module "$module" &&
        check "the Go README's second program, built" in_folder "$module-files" go build -o readme &&
        check "the Go README's second program" in_folder "$module-files" says "16000 samples at 16000 Hz" ./readme "$demo"
    check "Go, fully static, built" in_folder "$module-readme" go build -tags mimi_static \
        -ldflags '-extldflags "-static"' -o static && check "Go, fully static" says "104 codes, true" \
        "$module-readme/static" "$demo" && check "Go, fully static, linked" needs_nothing "$module-readme/static"
    check "go vet" in_folder "$module" go vet ./...
    check "gofmt" in_folder "$module" sh -c 'test -z "$(gofmt -l . "$0" "$1")"' "$module-readme" "$module-files"
    check "go test -race" in_folder "$module" go test -count=1 -race ./...
    # the garbage of the tests is collected at once, that of the compiler as ever
    check "go test, cgocheck2, GOGC=1" in_folder "$module" env GOEXPERIMENT=cgocheck2 go test -count=1 \
        -exec "env GOGC=1" ./...
    check "go mod vendor" in_folder "$module-consumer" vendored
    voice_server
}

# The example that is a server, in a copy of its place, where it finds the demo model and the recording. Of a package
# in the same place Go's cache would keep the flags of an earlier prefix.
voice_server() {
    local tree=$work/tree-$kind own="env -u GOFLAGS -u GOPROXY"
    local voice=$tree/bindings/go/examples/voice
    mkdir -p "$tree/bindings"
    cp -r "$root/bindings/go" "$tree/bindings"
    ln -s "$root/tool" "$root/tests" "$tree"
    if ! in_folder "$voice" $own go mod download >/dev/null 2>&1; then
        echo "NOT CHECKED: the voice server, for want of the module github.com/coder/websocket"
        return
    fi
    check "the voice server, go vet" in_folder "$voice" $own go vet ./...
    check "the voice server, gofmt" in_folder "$voice" sh -c 'test -z "$(gofmt -l .)"'
    check "the voice server, go test -race" in_folder "$voice" $own go test -count=1 -race ./...
    if command -v chromium >/dev/null && command -v chromedriver >/dev/null; then
        check "the voice server's page" in_folder "$voice" $own python3 page.py
    else
        echo "NOT CHECKED: the voice server's page, for want of chromium and chromium-driver"
    fi
}

# readme_module MODULE: what the README does to use the clone, without a network.
readme_module() {
    env -u GOFLAGS go mod init example.org/speech &&
        env -u GOFLAGS go mod edit -replace "github.com/libmimi/libmimi/bindings/go=$1" &&
        env -u GOFLAGS go mod tidy
}

# Token files between the tool, C, C++ and Go. MIMI_TOOL: the tool, if it is built already.
token_files() {
    local tool=${MIMI_TOOL:-$cargo_dir/debug/mimi} programs=$work/tokens
    command -v go >/dev/null || {
        echo "go is missing: token files between languages go unchecked"
        return
    }
    mkdir -p "$programs/go"
    cp "$here/tokens/main.go" "$work/go-$kind-consumer/go.mod" "$programs/go"
    [ -n "${MIMI_TOOL:-}" ] || check "the tool" cargo build --manifest-path "$root/Cargo.toml" --locked \
        -p mimi-cli --target-dir "$cargo_dir" || return
    check "token files, C, built" gcc -std=c99 $warnings "$here/tokens/tokens.c" $(pc --cflags --libs) -lm \
        -o "$programs/c.out" &&
        check "token files, C++, built" g++ -std=c++17 $warnings "$here/tokens/tokens.cpp" $(pc --cflags --libs) \
            -o "$programs/cpp.out" &&
        check "token files, Go, built" in_folder "$programs/go" go build -o "$programs/go.out" &&
        check "token files at five rates" "$here/tokens/across.sh" "$tool" "$programs/c.out" "$programs/cpp.out" \
            "$programs/go.out" "$data/tiny" "$data/speech.wav"
}

# With mimi_bundled, a vendored copy has all that it needs.
vendored() {
    go mod vendor && go build -mod=vendor -tags mimi_bundled -o consumer
}

in_folder() { (cd "$1" && shift && "$@"); }

# What does not depend on how libmimi was installed.
sources() {
    kind=sources
    unset PKG_CONFIG
    check "Go's mimi.h is the header" cmp "$root/include/mimi.h" "$root/bindings/go/bundled/mimi.h"
    local fetch
    for fetch in ON OFF; do
        local build=$work/subdirectory-$fetch linked
        check "subdirectory, FetchContent $fetch, built" build_with_cmake "$here/subdirectory" "$build" \
            -DFETCH=$fetch -DMIMI_CARGO_DIR="$cargo_dir" || continue
        for linked in mimi shared static; do
            check "subdirectory, FetchContent $fetch, mimi::$linked" env -u LD_LIBRARY_PATH \
                "$build/consumer-$linked" "$data" "$demo"
        done
    done
    if command -v doxygen >/dev/null; then
        check "doxygen" in_folder "$root/bindings/cpp" doxygen_without_warnings &&
            check "doxygen has all functions" all_in_the_manual
    else
        echo "doxygen is missing: the manual goes unchecked"
    fi
}

doxygen_without_warnings() { (cat Doxyfile && echo "OUTPUT_DIRECTORY=$work/doxygen") | doxygen -; }

all_in_the_manual() {
    local function
    while read -r function; do
        grep -q "$function" "$work"/doxygen/html/group__mimi__*.html || { echo "$function" && return 1; }
    done <"$root/tests/abi/symbols.txt"
}
