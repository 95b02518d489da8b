#!/bin/bash
# across.sh TOOL C CPP GO MODEL SPEECH.wav: token files go from the tool to C, C++ and Go and back, at the rates that
# people have. Each reads what the others wrote, to the last sample, at the recording's rate and at others.
set -euo pipefail
tool=$1 c=$2 cpp=$3 go=$4 model=$5 speech=$6
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

fail() { echo "across.sh: $*" >&2 && exit 1; }

# samples FILE.f32 N: whether it has N samples
samples() { [ "$(stat -c %s "$1")" -eq $((4 * $2)) ] || fail "$1: $(($(stat -c %s "$1") / 4)) samples instead of $2"; }

little_endian() { printf "\\x$(printf %02x $(($1 & 255)))\\x$(printf %02x $(($1 >> 8 & 255)))\\x$(printf %02x $(($1 >> 16 & 255)))\\x00"; }

length=$((($(stat -c %s "$speech") - 44) / 2))
for rate in 8000 16000 24000 44100 48000; do
    # the recording, taken for one at this rate
    { head -c 24 "$speech" && little_endian $rate && little_endian $((2 * rate)) && tail -c +33 "$speech"; } >in.wav
    "$tool" encode -q -m "$model" in.wav tool.mtok
    for at in 0 24000 $rate 8000 48000; do
        expected=$(((length * (at ? at : rate) + rate - 1) / rate))
        for language in c cpp go; do
            "${!language}" decode "$model" tool.mtok $at $language.f32
            samples $language.f32 $expected
            cmp c.f32 $language.f32 || fail "$language: other audio at $at Hz of a file at $rate Hz"
        done
    done
    # from hand to hand
    "$c" decode "$model" tool.mtok 0 first.f32
    "$c" encode "$model" first.f32 $rate c.mtok
    "$cpp" encode "$model" first.f32 $rate cpp.mtok
    "$go" encode "$model" first.f32 $rate go.mtok
    cmp c.mtok cpp.mtok && cmp c.mtok go.mtok || fail "another file at $rate Hz"
    "$cpp" decode "$model" c.mtok 0 second.f32
    "$go" encode "$model" second.f32 $rate second.mtok
    "$go" decode "$model" second.mtok 0 third.f32
    samples third.f32 $length
    # And back: the tool, which converts rates itself, gives as many samples at the same rate, and they line up. Its
    # filter differs near half the rate: 22 dB and more here. A sample off leaves less than 3.
    "$tool" decode -q -m "$model" --f32 second.mtok back.wav
    size=$(stat -c %s back.wav)
    tail -c $((4 * length)) back.wav >back.f32
    [ "$size" -gt $((4 * length)) ] && [ "$size" -lt $((4 * length + 128)) ] || fail "back.wav has $size bytes"
    [ "$(od -An -tu4 -j24 -N4 back.wav)" -eq $rate ] || fail "back.wav has another rate"
    if [ $rate -eq 24000 ]; then
        cmp third.f32 back.f32 || fail "other audio from the tool"
    else
        paste <(od -An -v -tf4 -w4 third.f32) <(od -An -v -tf4 -w4 back.f32) |
            awk '{ s += $1 * $1; e += ($1 - $2) * ($1 - $2) }
                END { if (!(s > 100 * e)) { print "signal " s ", error " e; exit 1 } }' ||
            fail "audio at $rate Hz does not line up"
    fi
done
