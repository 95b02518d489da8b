#!/usr/bin/env python3
"""Times libmimi beside other Mimis, in one process, on one thread each, taking turns; the best of all rounds counts.

The folder holds a checkpoint in both layouts, as checkpoint.py writes it; speed does not depend on what the weights are. Peers
that are not installed are left out (`pip install rustymimi moshi transformers`). Streams are warmed up with the clip, so that
their attention windows are as full as they get. Load times and memory are those of a fresh process for each, the file being in
the page cache.
"""
import argparse
import ctypes
import datetime
import json
import os
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path

for name in ("OMP", "MKL", "RAYON", "OPENBLAS"):
    os.environ[f"{name}_NUM_THREADS"] = "1"
# The peers choose their own kernels.
os.environ.pop("OPENBLAS_CORETYPE", None)
import implementations as mimi

COLUMNS = ("stream encode", "stream decode", "clip encode", "clip decode")
PEERS = {
    "rustymimi f32": (mimi.Rustymimi, "rustymimi"),
    "moshi f32": (mimi.Moshi, "moshi"),
    "transformers f32": (mimi.Transformers, "transformers"),
}
OURS = {f"libmimi {precision}": (precision, "both") for precision in mimi.Libmimi.PRECISIONS}
# loaded, and not more
HALVES = {
    f"{name}, {half}": (precision, half) for name, (precision, _) in OURS.items() for half in ("encoder", "decoder")
}
# the same from packed weights, where the folder has them: `mimi convert --packed=int8 FOLDER/transformers.safetensors
# FOLDER/packed-int8.safetensors`
PACKED = {f"{name}, packed": (precision, "packed") for name, (precision, _) in OURS.items()}
PYTORCH = ("moshi f32", "transformers f32")
# What is compared with the fastest of whom, and how much faster in each column libmimi means to be.
GOALS = [
    ("libmimi f32", ("rustymimi f32",), (5, 5, None, None)),
    ("libmimi f32", ("moshi f32",), (3.5, 6, None, None)),
    ("libmimi f32", PYTORCH, (None, None, 2, 2.3)),
    ("libmimi bf16", ("rustymimi f32",), (9, 9, None, None)),
    ("libmimi int8", ("rustymimi f32",), (9, 9, None, None)),
]
MANY_GOAL, PEAK_GOAL = 2, 1.15
LOAD_GOALS = {"libmimi f32": 1, "libmimi f32, packed": 2}


def make(name, arguments):
    """Imports what a codec needs, and returns what loads it."""
    if name in OURS | HALVES | PACKED:
        return lambda: mimi.Libmimi(arguments.folder, str(arguments.library), *(OURS | HALVES | PACKED)[name])
    codec, _ = PEERS[name]
    codec.imports()
    return lambda: codec(arguments.folder)


def installed(names, arguments):
    """Those of the codecs that can be had."""
    found = []
    for name in names:
        try:
            make(name, arguments)
            found.append(name)
        except ImportError as error:
            print(f"{name}: left out, {error}", file=sys.stderr)
    return found


def timed(function, *values):
    """Milliseconds, and the result."""
    start = time.perf_counter()
    result = function(*values)
    return (time.perf_counter() - start) * 1e3, result


def stream_turn(codec, frames):
    """Milliseconds per frame of streamed encoding and decoding: the median of the frames."""
    times = [[], []]
    for i in range(frames):
        encoding, codes = timed(codec.encode_step, i)
        times[0].append(encoding)
        if codec.decode_step:
            times[1].append(timed(codec.decode_step, codes)[0])
    return [statistics.median(t) if t else None for t in times]


def clip_turn(codec, frames):
    """Milliseconds per frame of encoding and decoding a clip."""
    encoding, codes = timed(codec.encode)
    decoding, _ = timed(codec.decode, codes)
    return [encoding / frames, decoding / frames]


def many_turn(many, frames):
    """Milliseconds per frame and stream, together and apart, of encoding and decoding; frame by frame in turns."""
    calls = {"together": (many.encode_together, many.decode_together), "apart": (many.encode_apart, many.decode_apart)}
    times = {way: [[], []] for way in calls}
    for i in range(frames):
        for way, (encode, decode) in calls.items():
            times[way][0].append(timed(encode, i)[0])
            times[way][1].append(timed(decode)[0])
    return {way: [statistics.median(t) / many.count for t in both] for way, both in times.items()}


def best(old, new):
    """The smaller of each."""
    return [b if a is None else a if b is None else min(a, b) for a, b in zip(old, new)]


def measure_speed(names, arguments, pcm):
    """Each codec's row of the best times, and those of many streams."""
    clip_frames = len(pcm) // mimi.FRAME
    codecs = {name: make(name, arguments)() for name in names}
    for codec in codecs.values():
        codec.open(pcm)
        stream_turn(codec, clip_frames)
        clip_turn(codec, clip_frames)
    many = mimi.Many(codecs["libmimi f32"], arguments.streams) if "libmimi f32" in codecs else None
    rows = {name: [None] * 4 for name in names}
    together = {"together": [None] * 2, "apart": [None] * 2}
    for _ in range(arguments.rounds):
        for name, codec in codecs.items():
            rows[name][:2] = best(rows[name][:2], stream_turn(codec, arguments.frames))
        for name, codec in codecs.items():
            rows[name][2:] = best(rows[name][2:], clip_turn(codec, clip_frames))
        if many:
            times = many_turn(many, arguments.frames)
            together = {way: best(together[way], times[way]) for way in together}
    return rows, together if many else None


def memory():
    """Bytes that this process has in memory, and the most that it had since the mark was last reset."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return [int(lines[key].split()[0]) * 1024 for key in ("VmRSS", "VmHWM")]


def load_here(name, arguments):
    """Loads a codec: seconds, and the bytes that this adds to the process, at the end and at most."""
    load = make(name, arguments)
    # 5: the peak counts from now on
    Path("/proc/self/clear_refs").write_text("5")
    before, _ = memory()
    milliseconds, codec = timed(load)
    after, peak = memory()
    return {"seconds": milliseconds / 1e3, "resident_bytes": after - before, "peak_bytes": peak - before}


def measure_loading(names, arguments):
    """Each codec's best load of a fresh process each; rounds take turns."""
    results = {}
    halves = [half for half in HALVES if half.split(",")[0] in names]
    there = [name for name, (precision, _) in PACKED.items() if (arguments.folder / f"packed-{precision}.safetensors").exists()]
    halves += [packed for packed in there if packed.split(",")[0] in names]
    for _ in range(arguments.rounds):
        for name in names + halves:
            command = [sys.executable, __file__, str(arguments.library), str(arguments.folder), "--load", name]
            result = json.loads(subprocess.run(command, check=True, capture_output=True).stdout.splitlines()[-1])
            old = results.get(name, result)
            results[name] = {key: min(result[key], old[key]) for key in result}
    return results


def ratios(rows):
    """What libmimi is compared with, how often it is as fast in each column, and the goals, where there is one."""
    found = []
    for ours, peers, goals in GOALS:
        there = [rows[peer] for peer in peers if peer in rows]
        if ours not in rows or not there:
            continue
        times = [min((row[i] for row in there if row[i] is not None), default=None) for i in range(4)]
        factors = [None if goal is None or t is None else t / own for own, t, goal in zip(rows[ours], times, goals)]
        found.append({"of": ours, "against": " or ".join(p for p in peers if p in rows), "times": factors, "goals": goals})
    return found


def describe_machine():
    models = [line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line]
    return {"cpu": models[0] if models else "unknown", "cpus": os.cpu_count(), "date": str(datetime.date.today())}


def versions(names):
    from importlib import metadata

    packages = [PEERS[name][1] for name in names if name in PEERS]
    if set(names) & set(PYTORCH):
        packages.append("torch")
    return {package: metadata.version(package) for package in packages}


def cells(values, goals=None):
    """Numbers in columns of fourteen; with goals, the goal in brackets behind each."""
    text = ""
    for value, goal in zip(values, goals or [None] * len(values)):
        number = "-" if value is None else f"{value:.2f}"
        text += f"{number + (f' ({goal:g})' if goal and value is not None else ''):>16}"
    return text


def table(report):
    machine, lines = report["machine"], []
    packages = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    lines.append(f"{machine['cpu']}, {machine['cpus']} CPUs, {machine['date']}{'; ' if packages else ''}{packages}")
    lines.append(f"\n{'ms per frame of 80 ms':34}" + "".join(f"{c:>16}" for c in COLUMNS))
    lines += [f"{name:34}{cells(row)}" for name, row in report["milliseconds_per_frame"].items()]
    many = report["many_streams"]
    if many:
        each = f"libmimi f32, {many['streams']} streams, per stream"
        lines += [f"{each + ', ' + way:34}{cells(many[way])}" for way in ("apart", "together")]
    lines.append("\ntimes as fast (goal)")
    for ratio in report["ratios"]:
        lines.append(f"{ratio['of'] + ' : ' + ratio['against']:34}{cells(ratio['times'], ratio['goals'])}")
    if many:
        lines.append(f"{'libmimi f32, together : apart':34}{cells(many['times'], [MANY_GOAL] * 2)}")
    if report["loading"]:
        lines.append(f"\n{'loading':34}{'seconds':>16}{'resident MB':>16}{'peak MB':>16}{'peak / resident':>20}")
    for name, load in report["loading"].items():
        resident, peak = load["resident_bytes"] / 1e6, load["peak_bytes"] / 1e6
        goal = None if name in PEERS else [PEAK_GOAL]
        lines.append(f"{name:34}{cells([load['seconds'], resident, peak])}    {cells([peak / resident], goal)}")
    for ours, goal in LOAD_GOALS.items():
        if {ours, "rustymimi f32"} <= report["loading"].keys():
            factor = report["loading"]["rustymimi f32"]["seconds"] / report["loading"][ours]["seconds"]
            lines.append(f"{ours + ' : rustymimi f32':34}{cells([factor], [goal])}")
    return "\n".join(lines)


def measure(arguments):
    wanted = [name for name in [*OURS, *PEERS] if not arguments.only or name.split()[0] in arguments.only]
    names = installed(wanted, arguments)
    loading = {} if arguments.no_loading else measure_loading(names, arguments)
    noise = random.Random(0)
    count = arguments.seconds * 24_000 // mimi.FRAME * mimi.FRAME
    pcm = (ctypes.c_float * count)(*(noise.random() - 0.5 for _ in range(count)))
    rows, many = measure_speed(names, arguments, pcm)
    if many:
        many |= {"streams": arguments.streams, "times": [a / t for a, t in zip(many["apart"], many["together"])]}
    return {
        "machine": describe_machine(),
        "versions": versions(names),
        "milliseconds_per_frame": rows,
        "many_streams": many,
        "ratios": ratios(rows),
        "loading": loading,
    }


def parse(words):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library", type=Path, help="libmimi.so, of a release build")
    parser.add_argument("folder", type=Path, help="where checkpoint.py wrote the checkpoint")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--frames", type=int, default=25, help="of each stream in a round")
    parser.add_argument("--seconds", type=int, default=10, help="of the clip")
    parser.add_argument("--streams", type=int, default=8, help="of one call")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="libmimi, rustymimi, moshi, transformers")
    parser.add_argument("--no-loading", action="store_true", help="leave load times and memory out")
    parser.add_argument("--json", action="store_true", help="print numbers for programs")
    parser.add_argument("--load", metavar="CODEC", help=argparse.SUPPRESS)
    arguments = parser.parse_args(words)
    if arguments.frames * mimi.FRAME > arguments.seconds * 24_000:
        parser.error(f"--frames: {arguments.frames} frames are longer than the clip, {arguments.seconds} s")
    arguments.library = arguments.library.resolve()
    return arguments


if __name__ == "__main__":
    arguments = parse(sys.argv[1:])
    if arguments.load:
        print(json.dumps(load_here(arguments.load, arguments)))
    else:
        report = measure(arguments)
        print(json.dumps(report, indent=2) if arguments.json else table(report))
