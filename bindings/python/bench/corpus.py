#!/usr/bin/env python3
"""Times what encodes many recordings, on the same clips, taking turns: the tool `mimi`, `Model.encode_files` and
`libmimi.corpus`; and with --peers one clip after another by moshi and transformers on PyTorch.

    python bench/corpus.py TOOL MODEL
    python bench/corpus.py TOOL FOLDER/transformers.safetensors --clips 24 --peers FOLDER

TOOL is target/release/mimi. FOLDER is what tests/peers/checkpoint.py writes. Clips of 1 to 20 seconds are cut from
tests/data/golden/speech.wav. Times are of whole processes, with starting and loading. CPU seconds are those of all
their threads, and depend less on what else the machine does.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile

ROOT = Path(__file__).resolve().parents[3]
PEERS = ("transformers", "moshi")
FILES = """
import pathlib, sys
import libmimi
model = libmimi.Model(sys.argv[1], parts="encoder")
out = pathlib.Path(sys.argv[3])
out.mkdir()
for file in model.encode_files(sorted(pathlib.Path(sys.argv[2]).iterdir()), threads=int(sys.argv[4])):
    libmimi.tokens.write(out / (pathlib.Path(file.path).stem + ".mtok"), file.codes, file.header)
"""


class Times(NamedTuple):
    """Of a process, in seconds."""

    wall: float
    cpu: float


def write_clips(folder: Path, count: int) -> float:
    """Clips of 1 to 20 seconds. Returns their seconds in all."""
    speech, rate = soundfile.read(ROOT / "tests/data/golden/speech.wav", dtype="float32")
    speech = np.tile(speech, 8)
    random = np.random.default_rng(0)
    seconds = random.uniform(1, 20, count)
    for number, length in enumerate(seconds):
        start = int(random.integers(0, rate))
        soundfile.write(folder / f"{number:05}.wav", speech[start : start + int(length * rate)], rate)
    return float(seconds.sum())


def measured(line: list[str | os.PathLike[str]], threads: int) -> Times:
    """Runs a process to its end."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "bindings/python/src"), "OMP_NUM_THREADS": str(threads)}
    # which kernels PyTorch takes is up to PyTorch
    environment.pop("OPENBLAS_CORETYPE", None)
    begin = time.perf_counter()
    process = subprocess.Popen(line, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{line[0]} ended with {process.returncode}")
    return Times(time.perf_counter() - begin, usage.ru_utime + usage.ru_stime)


def peer(name: str, folder: Path, clips: Path, threads: int) -> None:
    """Encodes clips one after another with somebody else's Mimi."""
    sys.path.insert(0, str(ROOT / "tests/peers"))
    import implementations
    import torch

    codec: Any = {"transformers": implementations.Transformers, "moshi": implementations.Moshi}[name](folder)
    torch.set_num_threads(threads)
    for clip in sorted(clips.iterdir()):
        pcm, _ = soundfile.read(clip, dtype="float32")
        pcm = torch.from_numpy(pcm)[None, None]
        if name == "moshi":
            codec.streaming.encode(pcm)
        else:
            codec.model.config.use_cache = False
            _ = codec.model.encode(pcm, num_quantizers=implementations.CODEBOOKS).audio_codes


def main() -> None:
    """Measures, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tool", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--clips", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peers", type=Path, metavar="FOLDER")
    parser.add_argument("--peer", choices=PEERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer:
        peer(options.peer, options.tool, options.model, options.threads)
        return
    threads, tool = str(options.threads), options.tool.resolve()
    with tempfile.TemporaryDirectory() as name:
        folder, out = Path(name) / "clips", Path(name) / "out"
        folder.mkdir()
        seconds = write_clips(folder, options.clips)
        python, model = sys.executable, options.model.resolve()
        lines: dict[str, list[Any]] = {
            "mimi encode": [tool, "encode", "-q", "--jobs", threads, "--model", model, folder, out],
            "encode_files": [python, "-c", FILES, model, folder, out, threads],
            "libmimi.corpus": [
                python,
                "-m",
                "libmimi.corpus",
                folder,
                out,
                "--model",
                model,
                "--jobs",
                threads,
                "--quiet",
            ],
        }
        for other in PEERS if options.peers else ():
            lines[other] = [python, __file__, options.peers, folder, "--peer", other, "--threads", threads]
        rounds: list[dict[str, Times]] = []
        for turn in range(options.rounds):
            names = list(lines)
            times = {}
            for contender in names[turn % len(names) :] + names[: turn % len(names)]:
                times[contender] = measured(lines[contender], options.threads)
                print(contender, times[contender], file=sys.stderr, flush=True)
                with contextlib.suppress(FileNotFoundError):
                    shutil.rmtree(out)
            rounds.append(times)
    print(f"{options.clips} clips, {seconds / 3600:.2f} hours, {model}, {threads} threads, {options.rounds} rounds")
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs, {dt.date.today()}\n")
    print(f"{'':16}{'s, best':>10}{'x real time':>13}{'of mimi encode':>16}{'CPU s, best':>13}{'of mimi encode':>16}")
    for contender in lines:
        wall = min(times[contender].wall for times in rounds)
        cpu = min(times[contender].cpu for times in rounds)
        fast = statistics.median(times["mimi encode"].wall / times[contender].wall for times in rounds)
        thrift = statistics.median(times["mimi encode"].cpu / times[contender].cpu for times in rounds)
        print(f"{contender:16}{wall:10.1f}{seconds / wall:13.0f}{fast:16.1%}{cpu:13.1f}{thrift:16.1%}")


if __name__ == "__main__":
    main()
