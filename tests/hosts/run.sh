#!/bin/bash
# run.sh [SECONDS]: builds the plug-ins of bindings/plugin and runs them in hosts. What they give must be the bits of
# the streams, delayed by the latency that they report: in every host, at every block size. Live in JACK for SECONDS,
# 5 if not given. Where a host is missing it is NOT CHECKED, and the line says for want of what.
#
# MIMI_LIB_DIR: the folder of libmimi.a; by default target/release.
# MIMI_TARGET: where cargo and Python keep what they need again; by default target.
set -uo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
here=$root/tests/hosts
plugin=$root/bindings/plugin
demo=$root/tool/demo/model.safetensors
seconds=${1:-5}
target=$(realpath -m "${MIMI_TARGET:-$root/target}")
library=$(realpath -m "${MIMI_LIB_DIR:-$target/release}")/libmimi.a
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
uri=https://github.com/libmimi/libmimi/plugin
id=com.github.libmimi.mimi
flags="-std=c11 -D_POSIX_C_SOURCE=200809L -g -O1 -Wall -Wextra -Wpedantic -Werror"
passed=0
failed=0

. "$root/tests/packages/steps.sh"

# has HOST COMMAND...: whether it can be checked.
has() {
    local host=$1 tool
    shift
    for tool in "$@"; do
        if ! command -v "$tool" >/dev/null; then
            echo "NOT CHECKED: $host, for want of $tool"
            return 1
        fi
    done
}

# Speech at each rate, and what it must become: RATE.f32, RATE.wav, RATE-CODEBOOKS.f32, RATE.latency.
reference() {
    gcc $flags "$here/reference.c" -I "$root/include" "$library" -lpthread -ldl -lm -o "$work/reference" || return
    local rate codebooks raw
    for rate in 24000 44100 48000 96000; do
        raw=$work/$rate.f32
        ffmpeg -v error -i "$root/tests/data/golden/speech.wav" -ar $rate -f f32le -c:a pcm_f32le "$raw" &&
            ffmpeg -v error -f f32le -ar $rate -ac 1 -i "$raw" -c:a pcm_f32le "$work/$rate.wav" || return
        for codebooks in 1 5 8; do
            "$work/reference" "$demo" $rate $codebooks "$raw" "$work/$rate-$codebooks.f32" >"$work/$rate.latency" || return
        done
    done
    # three frames without a converter of rates
    test "$(cat "$work/24000.latency")" -eq 5760 && ! cmp -s "$work/24000-1.f32" "$work/24000-8.f32"
}

floats() { ffmpeg -v error -y -i "$1" -f f32le -c:a pcm_f32le "$2"; }

lv2_valid() {
    local folder=/usr/lib/lv2
    sord_validate $(find -L $folder "$work/lv2" -name '*.ttl') && test "$(LV2_PATH=$work/lv2 lv2ls | grep -c "^$uri")" -eq 2
}

shows_only() { test "$(nm -D --defined-only "$1" | sed 's/.* //')" = "$2"; }

# lv2apply RATE CODEBOOKS PLUGIN [CONTROL VALUE]: a sample at a time.
lv2apply_same() {
    local rate=$1 codebooks=$2 name=$3
    shift 3
    LV2_PATH=$work/lv2 lv2apply -i "$work/$rate.wav" -o "$work/out.wav" -c codebooks $codebooks "$@" "$name" &&
        floats "$work/out.wav" "$work/out.f32" && cmp "$work/out.f32" "$work/$rate-$codebooks.f32"
}

lv2() {
    kind=LV2
    if has sord_validate sord_validate lv2ls; then check "Turtle, found by lilv" lv2_valid; fi
    check "shows nothing else" shows_only "$work/lv2/mimi.lv2/mimi.so" lv2_descriptor
    has lv2apply lv2apply || return
    check "lv2apply, a sample at a time" lv2apply_same 24000 8 "$uri"
    check "lv2apply, 44100 Hz, 5 codebooks" lv2apply_same 44100 5 "$uri"
    check "lv2apply, worker, free-wheeling" lv2apply_same 24000 1 "$uri#worker" -c freewheeling 1
}

# ffmpeg_same RATE FILTER
ffmpeg_same() {
    LV2_PATH=$work/lv2 ffmpeg -v error -y -i "$work/$1.wav" -af "$2lv2=p=${uri//:/\\\\:}" -f f32le -c:a pcm_f32le \
        "$work/out.f32" && cmp "$work/out.f32" "$work/$1-8.f32"
}

# (lv2apply 0.24.14 itself crashes where a plug-in refuses.)
ffmpeg_without_model() {
    mkdir -p "$work/empty"
    cp -r "$work/lv2/mimi.lv2" "$work/empty" && rm "$work/empty/mimi.lv2/model.safetensors" || return
    ! LV2_PATH=$work/empty ffmpeg -v error -y -i "$work/24000.wav" -af "lv2=p=${uri//:/\\\\:}" -f null - 2>"$work/said" &&
        grep "Failed to instantiate" "$work/said"
}

ffmpeg_host() {
    kind=FFmpeg
    # not grep -q, which would end the pipe early: that is a failure, too
    ffmpeg -v error -filters | grep ' lv2 ' >"$work/filters" || { echo "NOT CHECKED: FFmpeg's lv2 filter, which this one lacks" && return; }
    check "LV2, its own blocks" ffmpeg_same 24000 ""
    check "LV2, 48000 Hz, blocks of 64" ffmpeg_same 48000 asetnsamples=n=64:p=0,
    check "LV2, without a model" ffmpeg_without_model
}

# clap ID RATE BLOCK MODE CODEBOOKS: the latency, and the bits.
clap_same() {
    "$work/clap_host" "$work/clap/mimi/mimi.clap" "$1" "$2" "$3" "$4" "$work/$2.f32" "$work/out.f32" "0:0:$5" \
        >"$work/told" && cat "$work/told" && grep -q "^$(cat "$work/$2.latency") " "$work/told" &&
        cmp "$work/out.f32" "$work/$2-$5.f32"
}

clap_render() { "$work/clap_host" "$work/clap/mimi/mimi.clap" $id "$@" >"$work/told"; }

# The longest call does a small part of what the longest one does where all the work of a frame is done at once.
clap_shares() {
    local part all
    clap_render 48000 64 live "$work/48000.f32" "$work/out.f32" && part=$(cut -d ' ' -f 4 "$work/told") &&
        "$work/clap_host" "$work/clap/mimi/mimi.clap" $id-worker 48000 64 offline "$work/48000.f32" "$work/out.f32" \
            >"$work/told" && all=$(cut -d ' ' -f 4 "$work/told") || return
    echo "the longest call: $part microseconds, $all where it does all of a frame"
    test $((4 * part)) -lt "$all"
}

# Changes come at the same samples, whatever the blocks.
clap_changes() {
    local changes="0:0:8 0:1:0 0:2:100 10000:1:30 20001:2:50 30003:0:2 50000:2:100 60000:1:0"
    clap_render 24000 64 live "$work/24000.f32" "$work/a.f32" $changes &&
        clap_render 24000 0 offline "$work/24000.f32" "$work/b.f32" $changes && cmp "$work/a.f32" "$work/b.f32"
}

clap_dry() {
    clap_render 24000 480 live "$work/24000.f32" "$work/out.f32" 0:2:0 &&
        head -c $((4 * $(cat "$work/24000.latency"))) /dev/zero >"$work/dry.f32" &&
        cat "$work/24000.f32" >>"$work/dry.f32" &&
        cmp -n "$(wc -c <"$work/24000.f32")" "$work/dry.f32" "$work/out.f32"
}

# Where frames are lost there is less to hear, and nothing much louder; where all are, nothing. The host checks that
# samples are finite.
clap_loss() {
    local loss
    for loss in 0 10 50 100; do
        clap_render 24000 1024 live "$work/24000.f32" "$work/loss-$loss.f32" 0:1:$loss || return
        echo "$loss $(cat "$work/told")"
    done | tee "$work/losses"
    awk '$1 == 0 { rms = $3; peak = $4 } $1 == 10 && $3 > 0.5 * rms { some = 1 } $1 == 100 { none = $4 == 0 }
        $3 > rms || $4 > 1.2 * peak { exit failed = 1 } END { exit failed || !some || !none || NR != 4 }' "$work/losses"
}

# clap_refused CLAP RATE MESSAGE
clap_refused() {
    ! "$work/clap_host" "$1" $id "$2" 64 live "$work/24000.f32" "$work/out.f32" 2>"$work/said" >&2 || return
    cat "$work/said"
    grep -q "log.*$3" "$work/said"
}

clap_sanitized() {
    local folder=$work/sanitized
    mkdir -p "$folder"
    cp "$demo" "$folder"
    gcc $flags -fsanitize=address,undefined -fno-sanitize-recover=all "$here/clap_host.c" -I "$clap_include" -ldl \
        -lm -o "$folder/host" &&
        gcc $flags -fsanitize=address,undefined -fno-sanitize-recover=all -shared -fPIC -fvisibility=hidden \
            "$plugin/clap/mimi_clap.c" "$plugin/mimi_core.c" -I "$clap_include" -I "$root/include" "$library" -lpthread \
            -ldl -lm -Wl,--exclude-libs,ALL -Wl,-z,nodelete -o "$folder/mimi.clap" || return
    local name
    for name in $id $id-worker; do
        "$folder/host" "$folder/mimi.clap" $name 24000 0 offline "$work/24000.f32" "$work/out.f32" 0:0:5 0:1:10 0:2:50 \
            30000:2:80 || return
    done
    "$folder/host" "$folder/mimi.clap" $id-worker 24000 64 live "$work/short.f32" "$work/out.f32"
}

clap() {
    kind=CLAP
    check "host, built" gcc $flags "$here/clap_host.c" -I "$clap_include" -ldl -lm -o "$work/clap_host" || return
    check "shows nothing else" shows_only "$work/clap/mimi/mimi.clap" clap_entry
    local rate block
    for rate in 24000 44100 48000; do
        for block in 64 1024; do
            check "$rate Hz, blocks of $block" clap_same $id $rate $block live 8
        done
    done
    check "blocks of one sample" clap_same $id 24000 1 live 1
    check "blocks of all lengths" clap_same $id 24000 0 live 5
    check "offline" clap_same $id 24000 0 offline 1
    check "worker, offline" clap_same $id-worker 24000 0 offline 8
    # a second of audio, slowly: a busy machine shall have time
    head -c 96000 "$work/24000.f32" >"$work/short.f32"
    check "worker, live" clap_worker_live
    check "equal shares" clap_shares && sed 's/^/        /' "$work/log"
    check "changes of parameters" clap_changes
    check "dry" clap_dry
    check "lost frames" clap_loss
    mkdir -p "$work/bare"
    cp "$work/clap/mimi/mimi.clap" "$work/bare"
    check "without a model" clap_refused "$work/bare/mimi.clap" 24000 "$work/bare/model.safetensors: "
    check "a rate that is not possible" clap_refused "$work/clap/mimi/mimi.clap" 11111 "11111"
    check "with sanitizers" clap_sanitized
}

clap_worker_live() {
    "$work/clap_host" "$work/clap/mimi/mimi.clap" $id-worker 24000 64 4 "$work/short.f32" "$work/out.f32" &&
        head -c 96000 "$work/24000-8.f32" | cmp - "$work/out.f32"
}

# As VST3, and the hosts in Python.
vst3_built() {
    mkdir -p "$work/private"
    cmake -DINPUT="$library" -DOUTPUT="$work/private/libmimi.a" -DLD=ld -DOBJCOPY=objcopy -DAR=ar \
        -P "$root/bindings/cpp/cmake/localize.cmake" &&
        MIMI_LIB_DIR=$work/private CLAP_INCLUDE=$clap_include cargo build --release --locked \
            --manifest-path "$plugin/vst3/Cargo.toml" --target-dir "$target/hosts" || return
    local contents=$work/mimi.vst3/Contents
    mkdir -p "$contents/Resources" "$contents/$(uname -m)-linux"
    cp "$target/hosts/release/libmimi_vst3.so" "$contents/$(uname -m)-linux/mimi.so" && cp "$demo" "$contents/Resources"
}

python_hosts() {
    local venv=$target/tools/hosts vst3=$1 plugin
    if ! cmp -s "$here/requirements.txt" "$venv/requirements.txt"; then
        python3 -m venv "$venv" && "$venv/bin/pip" --quiet install -r "$here/requirements.txt" >"$work/log" 2>&1 &&
            cp "$here/requirements.txt" "$venv" || {
            echo "NOT CHECKED: DawDreamer and pedalboard, for want of them: $(tail -n 1 "$work/log")"
            return
        }
    fi
    kind=DawDreamer
    # JUCE looks for LV2 in the home folder alone
    mkdir -p "$work/home"
    ln -sfn "$work/lv2" "$work/home/.lv2"
    for plugin in "$uri" "$uri#worker"; do
        check "LV2, ${plugin##*/}" env HOME="$work/home" "$venv/bin/python" "$here/juce.py" dawdreamer "$work" "$plugin"
    done
    [ -n "$vst3" ] || return
    check "VST3" "$venv/bin/python" "$here/juce.py" dawdreamer "$work" "$vst3"
    kind=pedalboard
    check "VST3" "$venv/bin/python" "$here/juce.py" pedalboard "$work" "$vst3"
}

vst3() {
    kind=VST3
    if check "built" vst3_built; then python_hosts "$work/mimi.vst3"; else python_hosts ""; fi
}

live() {
    kind=JACK
    has "jalv under jackd" jalv jackd jack_metro || return
    local name
    for name in "$uri" "$uri#worker"; do
        check "jalv, ${name##*/}" env LV2_PATH="$work/lv2:/usr/lib/lv2" bash "$here/jack.sh" "$name" "$seconds" \
            "$(cat "$work/96000.latency")" &&
            sed 's/^/        /' "$work/log"
    done
}

# Also saves a session and loads it again.
ardour_session() {
    mkdir -p "$work/ardour"
    HOME=$work/ardour MIMI_SESSION=$work/ardour/session LV2_PATH=$work/lv2:/usr/lib/lv2 timeout 120 ardour7-lua \
        "$here/ardour.lua" || return
    local latency
    latency=$(cat "$work/48000.latency")
    diff - <(grep -E '^(plug-in|track)' "$work/log") <<LINES
plug-in 0 $latency 1.0
plug-in 1 $latency 2.0
track $((2 * latency)) $((2 * latency))
LINES
}

ardour() {
    kind=Ardour
    has "Ardour, a session in it" ardour7-lua && check "latencies, and a session" ardour_session
}

kind=plug-ins
# CLAP's headers come with the crate that makes a VST3 of a CLAP
cargo fetch --quiet --locked --manifest-path "$plugin/vst3/Cargo.toml"
clap_include=$(cargo metadata --locked --format-version 1 --manifest-path "$plugin/vst3/Cargo.toml" |
    sed 's/.*"manifest_path":"\([^"]*clap-wrapper-[^"]*\)Cargo.toml".*/\1/')external/clap/include
if check "reference" reference &&
    check "configure" cmake -S "$plugin" -B "$work" -DCMAKE_BUILD_TYPE=Release -DCMAKE_C_FLAGS="-Werror" \
        -DMIMI_LIBRARY="$library" -DMIMI_MODEL="$demo" -DCLAP_INCLUDE="$clap_include" &&
    check "build" cmake --build "$work"; then
    lv2
    ffmpeg_host
    clap
    vst3
    live
    ardour
fi
echo "$passed passed, $failed failed, $SECONDS s"
[ "$failed" -eq 0 ]
