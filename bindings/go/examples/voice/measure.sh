#!/bin/bash
# measure.sh MODEL FOLDER [SECONDS]: what the voice server carries, on a machine with nothing else to do.
#
# MODEL: a full-size checkpoint. FOLDER: where reports go. SECONDS: of the long talk, by default 600; all of it then
# takes about 40 minutes. It needs the tool `mimi`, or MIMI=path/to/mimi, and what `go build` needs.
set -euo pipefail
model=$(realpath "${1:?usage: measure.sh MODEL FOLDER [SECONDS]}")
mkdir -p "${2:?usage: measure.sh MODEL FOLDER [SECONDS]}"
out=$(realpath "$2")
seconds=${3:-600}
mimi=${MIMI:-mimi}
cd "$(dirname "$0")"
work=$(mktemp -d)
server=
cleanup() {
    if [ -n "$server" ]; then kill -9 "$server" 2> /dev/null || true; fi
    rm -rf "$work"
}
trap cleanup EXIT
go build -o "$work/mimi-load" ./cmd/mimi-load
go build -o "$work/voice" .
load() { "$work/mimi-load" -model "$model" "$@"; }
number() { python3 -c 'import json, sys; print(eval(sys.argv[2], json.load(open(sys.argv[1]))))' "$1" "$2"; }

# serve PORT PRECISION: the server, in a process of its own.
serve() {
    "$work/voice" -addr "localhost:$1" -model "$model" -precision "$2" &
    server=$!
}

# What a server that is killed leaves: nothing, and its port to the next.
restart() {
    local precision=$1 kept=$2 port=18024 clients
    serve $port "$precision"
    load -first -url ws://localhost:$port
    load -url ws://localhost:$port -precision "$precision" -conversations "$kept" -seconds 15 > /dev/null 2>&1 &
    clients=$!
    sleep 5
    kill -9 $server
    wait $server 2> /dev/null || true
    serve $port "$precision"
    load -first -url ws://localhost:$port
    wait $clients || true # they lost their server
    kill $server
    wait $server
    server=
}

{
    date
    uptime
    "$mimi" bench --model "$model" --precision int8,f32 --streams 1,8 --threads 1 --json > "$out/bench.json"
    for precision in int8 f32; do
        echo "==== $precision: latency over load"
        load -curve -bench "$out/bench.json" -precision $precision -seconds 20 -json > "$out/curve-$precision.json"
        kept=$(number "$out/curve-$precision.json" \
            'max([s["conversations"] for i, s in enumerate(steps)
                  if all(t["codes"]["late"] == 0 and t["codes"]["p99"] < 80 for t in steps[:i + 1])] or [0])')
        echo "$kept of $(number "$out/curve-$precision.json" carried) conversations, no codes late"
        number "$out/curve-$precision.json" '"\n".join("%3d: codes p50 %.1f p99 %.1f max %.1f, %d late; audio p99 %.1f max %.1f, %d late" % (
            s["conversations"], s["codes"]["p50"], s["codes"]["p99"], s["codes"]["max"], s["codes"]["late"],
            s["audio"]["p99"], s["audio"]["max"], s["audio"]["late"]) for s in steps)'
        echo "==== $precision: $seconds s at 80 % of that, 5 % faulty clients"
        load -precision $precision -conversations $((kept * 8 / 10)) -seconds "$seconds" -faulty 5 || true
        echo "==== $precision: a full server, as many clients again at its door"
        load -precision $precision -overload -seconds 20 || true
        echo "==== $precision: the server killed, and started again"
        restart $precision $((kept * 8 / 10))
    done
    load -draw "$out/latency.svg" "$out/curve-int8.json" "$out/curve-f32.json"
    uptime
} 2>&1 | tee "$out/report.txt"
