#!/bin/bash
# jack.sh URI SECONDS: runs the LV2 plug-in in jalv, live, under jackd's dummy driver: periods of 64 samples at 48 kHz.
#
# A period has 1.33 ms. If the work of a frame is done in one of them, there is an XRun for each frame, 12.5 a second.
# A machine that is busy, or virtual, is late by itself now and then, for any client: jack_metro, which does next to
# nothing, runs beside it. So the plug-in may be late as often as that, and in a tenth of the frames.
set -euo pipefail

uri=$1 seconds=$2
work=$(mktemp -d)
server= metro=
trap 'kill $metro $server 2>/dev/null || true; wait; rm -rf "$work"' EXIT
export JACK_DEFAULT_SERVER=mimi-$$ JACK_NO_AUDIO_RESERVATION=1 JACK_NO_START_SERVER=1

jackd -n "$JACK_DEFAULT_SERVER" -d dummy -r 48000 -p 64 >"$work/server" 2>&1 &
server=$!
jack_wait --wait --timeout 10 >"$work/wait" 2>&1
jack_metro -b 120 -n control >"$work/metro" 2>&1 &
metro=$!
# jalv runs until there is nothing more to read
sleep "$seconds" | jalv -n Mimi "$uri" >"$work/jalv" 2>&1 &
host=$!
for _ in $(seq 50); do
    jack_lsp -l >"$work/ports"
    if grep -q '^Mimi:out$' "$work/ports"; then break; fi
    sleep 0.1
done
wait $host
kill $metro $server
wait || true
metro= server=

late() { grep -c "XRun: client = $1 was" "$work/server" || true; }

frames=$((seconds * 25 / 2))
mimi=$(late Mimi) control=$(late control)
grep -A 2 '^Mimi:out$' "$work/ports" && grep -q 'Block length: 64 frames' "$work/jalv" &&
    [ "$mimi" -le $((frames / 10 + control)) ] || cat "$work/server" "$work/jalv" "$work/ports"
echo "$((seconds * 750)) periods, $frames frames; late: Mimi $mimi, jack_metro $control"
[ "$mimi" -le $((frames / 10 + control)) ] && grep -q '^Mimi:out$' "$work/ports" && grep -q ': 64 frames' "$work/jalv"
