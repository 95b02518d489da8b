#!/bin/bash
# jack.sh URI SECONDS LATENCY: runs the LV2 plug-in in jalv, live, under jackd's dummy driver with periods of 64 samples
# at 96 kHz.
#
# Passes if jalv runs to the end, with blocks of 64 samples, and tells JACK the right latency. XRuns are counted and
# printed, not judged: a busy or virtual machine takes processors away from every client. JACK tells who was late, and
# how. `Triggered` clients were not yet given a processor; `Running` ones had begun. jack_metro, which does next to
# nothing, is the control. A period has 0.67 ms. If a frame's work were done in one of them, there would be an XRun for
# each frame, 12.5 a second. clap_shares of run.sh judges that no call does more than its share, by processor time.
set -euo pipefail

uri=$1 seconds=$2 latency=$3
work=$(mktemp -d)
server= metro=
trap 'kill $metro $server 2>/dev/null || true; wait; rm -rf "$work"' EXIT
# one name, because JACK has room for eight
export JACK_DEFAULT_SERVER=libmimi-tests JACK_NO_AUDIO_RESERVATION=1 JACK_NO_START_SERVER=1

jackd -n "$JACK_DEFAULT_SERVER" -d dummy -r 96000 -p 64 >"$work/server" 2>&1 &
server=$!
jack_wait --wait --timeout 10 >"$work/wait" 2>&1
jack_metro -b 120 -n control >"$work/metro" 2>&1 &
metro=$!
# jalv runs until there is nothing more to read
sleep "$seconds" | jalv -n Mimi "$uri" >"$work/jalv" 2>&1 &
host=$!

# jalv tells JACK what the plug-in has told it
right_latency() {
    jack_lsp -l Mimi:out >"$work/ports" 2>&1
    grep -q "playback latency = \[ $latency $latency \]" "$work/ports"
}
reported=no
for _ in $(seq $((10 * seconds - 5))); do
    if right_latency; then reported=yes && break; fi
    sleep 0.1
done
wait $host
kill $metro
wait $metro || true
kill $server
wait $server || true
metro= server=

late() { grep -c "XRun: client = $1 was not finished, state = $2" "$work/server" || true; }

frames=$((seconds * 25 / 2))
running=$(late Mimi Running) triggered=$(late Mimi Triggered)
control=$(late control Running)
echo "$((seconds * 1500)) periods, $frames frames; late: Mimi $running running and $triggered not begun, jack_metro $control"
[ $reported = yes ] && grep -q ': 64 frames' "$work/jalv" || {
    cat "$work/server" "$work/jalv" "$work/ports"
    exit 1
}
