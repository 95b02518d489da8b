#!/bin/bash
# instructions.sh MODEL [LIBRARY]: instructions and bytes that a frame of a stream takes on small x86 CPUs, counted by
# valgrind on target/release/libmimi.a or another build. The caches are those of a phone: 64 kB, and 1 MB behind it.
# Valgrind has no AVX-512, and no Arm but on Arm.
set -eu
model=$(realpath "$1")
library=$(realpath "${2:-target/release/libmimi.a}")
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cc -O1 -Wall -Wextra -Iinclude tests/c/instructions.c "$library" -lpthread -ldl -lm -lgcc_s -o "$work/instructions"

# Millions of events $2 in dump $1, times $3.
count() {
    awk -v name="$2" -v times="$3" '
        $1 == "events:" { for (i = 2; i <= NF; i++) column[$i] = i }
        $1 == "totals:" { printf "%.1f", $column[name] * times / 1e6 }' "$work/counts.$1"
}

echo '| CPU | weights | encode: million instructions | MB into 64 kB | MB into 1 MB | decode: the same | | |'
echo '|---|---|---|---|---|---|---|---|'
for isa in 1:SSE2 2:AVX2; do
    for precision in 0:f32 1:bf16 3:int16 2:int8; do
        valgrind --quiet --tool=callgrind --instr-atstart=no --cache-sim=yes --I1=65536,4,64 --D1=65536,4,64 \
            --LL=1048576,16,64 --callgrind-out-file="$work/counts" \
            "$work/instructions" "$model" "${isa%:*}" "${precision%:*}" 2> "$work/errors" ||
            { cat "$work/errors" >&2; exit 1; }
        printf '| %s | %s |' "${isa#*:}" "${precision#*:}"
        for side in 1 2; do
            printf ' %s | %s | %s |' "$(count $side Ir 1)" "$(count $side D1mr 64)" "$(count $side DLmr 64)"
        done
        printf '\n'
    done
done
