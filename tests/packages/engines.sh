#!/bin/bash
# engines.sh [unity|sdl|love|godot3|godot]...: builds the bindings for game engines and runs them where the engine is
# there, without screens and sound cards. Without arguments: all of them.
#
# MIMI_LIBRARIES: the folder of libmimi.a and libmimi.so; otherwise that of `cargo build --release`.
set -uo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
here=$root/tests/packages/engines
demo=$root/tool/demo/model.safetensors
libraries=$(realpath "${MIMI_LIBRARIES:-${CARGO_TARGET_DIR:-$root/target}/release}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
warnings="-Wall -Wextra -Wpedantic -Werror"
system="-lpthread -ldl -lm -lgcc_s"
passed=0
failed=0

# check NAME COMMAND...: runs a command. What it said on stdout is shown, and all of it if it failed.
check() {
    if "${@:2}" >"$work/out" 2>"$work/log"; then
        echo "ok      $1"
        cut -c 1-120 "$work/out"
        passed=$((passed + 1))
    else
        echo "FAILED  $1: ${*:2}"
        cat "$work/out" "$work/log" | cut -c 1-300 | tail -n 40 | sed 's/^/        /'
        failed=$((failed + 1))
        return 1
    fi
}

# has WHAT COMMAND...: says what goes unchecked for want of a command.
has() {
    local tool
    for tool in "${@:2}"; do
        type -P "$tool" >/dev/null || { # a program: functions here have names of engines
            echo "NOT CHECKED: $1, for want of $tool"
            return 1
        }
    done
}

# The recording as floats, the hash of its codes by a stream in C, and the packets and the audio that they make.
prepare() {
    tail -c +45 "$root/tests/data/golden/speech.wav" >"$work/speech.raw" &&
        od -An -v -td2 -w2 "$work/speech.raw" | awk '{ printf "%.9g\n", $1 / 32768 }' |
        perl -ne 'print pack("f<", $_)' >"$work/speech.f32" &&
        gcc $warnings -I "$root/include" "$here/expected.c" "$libraries/libmimi.a" $system -o "$work/expected" &&
        "$work/expected" "$demo" "$work/decoded.f32" <"$work/speech.f32" >"$work/expected.txt" &&
        read -r hash packets <"$work/expected.txt" && test ${#packets} -eq $((42 * 18))
}

# C# under Mono, and MimiVoice.cs on a stand-in for Unity
unity() {
    has "C#" mcs mono || return
    check "C#, built" mcs -unsafe -warnaserror -define:UNITY_5_3_OR_NEWER -out:"$work/unity.exe" \
        "$root"/bindings/unity/Runtime/*.cs "$here"/unity/*.cs &&
        check "C# under Mono" env LD_LIBRARY_PATH="$libraries" mono "$work/unity.exe" "$demo" "$work/speech.f32" "$hash" &&
        check "a library of the next version, built" gcc $warnings -shared -fPIC -o "$work/libmimi.so" -xc - \
            <<<'unsigned mimi_version_number(void); unsigned mimi_version_number(void) { return 200; }' &&
        check "C# refuses it" env LD_LIBRARY_PATH="$work" mono "$work/unity.exe" "$demo"
    has "the package.json and the .asmdef of Unity" python3 && check "Unity's JSON" python3 -c '
import json, sys
for name in sys.argv[1:]: json.load(open(name))' "$root/bindings/unity/package.json" \
        "$root/bindings/unity/Runtime/Mimi.asmdef"
    echo "NOT CHECKED: Unity itself and IL2CPP, which no package has"
}

sdl() {
    has SDL2 sdl2-config || return
    check "SDL2, built" gcc -std=c99 -D_POSIX_C_SOURCE=200809L $warnings -I "$root/include" $(sdl2-config --cflags) \
        "$root/bindings/sdl/voice.c" "$libraries/libmimi.a" $(sdl2-config --libs) $system -o "$work/voice" || return
    export SDL_DISKAUDIOFILEIN=$work/speech.f32 SDL_DISKAUDIOFILE=$work/heard.f32
    check "SDL2, disk driver" sdl_clean
    check "SDL2, disk driver, packets lost" sdl_lossy
    check "SDL2, dummy driver" env SDL_AUDIODRIVER=dummy "$work/voice" "$demo" 20 100 6
}

# What is heard is the decoded audio to the bit. On a machine that has much else to do, a frame can be late: then again.
sdl_clean() {
    local try
    for try in 1 2 3; do
        SDL_AUDIODRIVER=disk "$work/voice" "$demo" 0 0 42 && grep -q "codes hash $hash; 0 lost" "$work/out" || return
        heard exactly && return
    done
    return 1
}

sdl_lossy() {
    SDL_AUDIODRIVER=disk "$work/voice" "$demo" 20 100 42 && grep -q "codes hash $hash; 10 lost" "$work/out" &&
        heard roughly
}

# heard exactly|roughly: the decoded audio is in what the disk driver wrote, or something as loud.
heard() {
    python3 - "$1" "$work/heard.f32" "$work/decoded.f32" <<'PYTHON'
import array, sys
heard, decoded = (open(name, "rb").read() for name in sys.argv[2:])
if sys.argv[1] == "exactly":
    at = heard.find(decoded)
    print(f"    heard to the bit after {at // 4} samples")
    sys.exit(at < 0 or at % 4 != 0)
level = [sum(s * s for s in array.array("f", sound)) ** 0.5 for sound in (heard, decoded)]
print(f"    {level[0] / level[1]:.2f} of the level")
sys.exit(not 0.5 < level[0] / level[1] < 1.2 or heard.find(decoded) >= 0)
PYTHON
}

love() {
    has LÖVE love || return
    mkdir "$work/love"
    cp "$here"/love/*.lua "$root/bindings/love/mimi.lua" "$demo" "$work/speech.raw" "$work/love"
    cp "$root/bindings/love/main.lua" "$work/love/example.lua"
    check "LÖVE" env HASH="$hash" HOME="$work" ALSOFT_DRIVERS=null SDL_VIDEODRIVER=dummy LD_LIBRARY_PATH="$libraries" \
        timeout 60 love "$work/love"
}

# godot_headers CRATE VERSION: the headers of Godot, as this crate carries them. gdextension-api gives pointers types of
# their own, which in Godot's header are void; with these it is Godot's again.
godot_headers() {
    mkdir -p "$work/crates/src" && cd "$work/crates" && touch src/lib.rs &&
        printf '[package]\nname = "headers"\nversion = "0.0.0"\n[dependencies]\n%s = "=%s"\n' "$1" "$2" >Cargo.toml &&
        rm -f Cargo.lock && cargo vendor --quiet --versioned-dirs "vendor-$1" >/dev/null 2>"$work/log" || {
        echo "NOT CHECKED: Godot, for want of the headers in the crate $1: $(tail -n 1 "$work/log")"
        return 1
    }
    if [ "$1" = gdextension-api ]; then
        sed -i -E 's/struct __Gdext[A-Za-z]+/void/' "vendor-$1/$1-$2"/versions/4.[23]/res/gdextension_interface.h
    fi
}

# Both blocks gave the packets of the stream in C, and sound as loud as it should be.
packets_agree() {
    "$@" >"$work/said" || { cat "$work/said"; return 1; }
    ! grep FAILED "$work/said" && awk -v packets="$packets" '$1 != "block" { print; next }
        $6 == packets && $4 > 0.5 && $4 < 1.2 {
            good++
            print "    blocks of " $2 ": the packets of the stream in C, level " $4
        }
        END { exit good != 2 }' "$work/said"
}

godot3() {
    has "Godot 3" godot3-server cargo || return
    mkdir "$work/godot3"
    godot_headers gdnative-sys 0.11.3 &&
        check "Godot 3, built" gcc -std=c99 -fPIC -shared -fvisibility=hidden $warnings -I "$root/include" \
            -isystem "$work/crates/vendor-gdnative-sys/gdnative-sys-0.11.3/godot_headers" \
            "$root/bindings/godot3/mimi_godot3.c" "$libraries/libmimi.a" $system -Wl,--exclude-libs,ALL \
            -o "$work/godot3/libmimi_godot3.so" || return
    cp "$root"/bindings/godot3/mimi.gd* "$here"/godot3/* "$demo" "$work/speech.f32" "$work/godot3"
    check "Godot 3, headless" packets_agree env HOME="$work" LANG=en_US.UTF-8 \
        timeout 60 godot3-server --path "$work/godot3" -s test.gd
}

godot() {
    has "Godot 4's extension" cargo || return
    godot_headers gdextension-api 0.2.2 || return
    local version headers
    for version in 4.2 4.3; do
        headers=$work/crates/vendor-gdextension-api/gdextension-api-0.2.2/versions/$version/res
        check "Godot $version, built" env GDEXTENSION="$headers" "$root/bindings/godot/build.sh" \
            "$libraries/libmimi.a" "$work/libmimi_godot.so" || return
    done
    check "stand-in for Godot 4, built" gcc -std=c11 -g -fsanitize=address,undefined $warnings -isystem "$headers" \
        "$here/godot/godot.c" -ldl -lm -o "$work/godot" &&
        check "stand-in for Godot 4" packets_agree "$work/godot" "$work/libmimi_godot.so" "$demo" "$work/speech.f32"
    echo "NOT CHECKED: Godot 4 itself, which no package has"
}

engines=("$@")
if [ ${#engines[@]} -eq 0 ]; then engines=(unity sdl love godot3 godot); fi
prepare || { echo "FAILED  no libmimi in $libraries"; exit 1; }
for engine in "${engines[@]}"; do $engine; done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
