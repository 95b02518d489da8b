#!/bin/bash
# instructions.sh MODEL [LIBRARY [ARM_LIBRARY]]: instructions and bytes that a frame of a stream takes on small CPUs,
# counted by valgrind on target/release/libmimi.a or another build, and by qemu on that of `cargo rustc --release
# --no-default-features --lib --crate-type staticlib --target aarch64-unknown-linux-gnu`. The caches are those of a
# phone: 64 kB, and 1 MB behind it. Valgrind has no AVX-512. For NEON it needs the Debian packages
# gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user.
set -eu
model=$(realpath "$1")
library=$(realpath "${2:-target/release/libmimi.a}")
arm_library=$(realpath -m "${3:-target/aarch64-unknown-linux-gnu/release/libmimi.a}")
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
for needed in "$arm_library" "$(command -v aarch64-linux-gnu-gcc)" "$(command -v qemu-aarch64)"; do
    if [ ! -e "$needed" ]; then
        echo "NOT COUNTED: NEON, for want of its library, compiler or emulator" >&2
        exit
    fi
done
aarch64-linux-gnu-gcc -O1 -Wall -Wextra -Iinclude tests/c/instructions.c "$arm_library" -lpthread -ldl -lm -lgcc_s \
    -o "$work/arm"
cc -O2 -Wall -Wextra -shared -fPIC tests/c/qemu_plugin.c -o "$work/plugin.so"
for precision in 0:f32 1:bf16 3:int16 2:int8; do
    qemu-aarch64 -L /usr/aarch64-linux-gnu -plugin "$work/plugin.so" "$work/arm" "$model" 0 "${precision%:*}" \
        2> "$work/counts" || { cat "$work/counts" >&2; exit 1; }
    awk -v precision="${precision#*:}" 'NR == 1 { printf "| NEON | %s |", precision }
        NR == 2 || NR == 3 { printf " %s | %s | %s |", $1, $2, $3 } END { print "" }' "$work/counts"
done
