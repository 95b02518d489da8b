#!/usr/bin/env python3
"""Whether threads of one process encode as fast as processes:

    threads.py MODEL [--workers 8] [--seconds 10] [--rounds 5]

Each worker encodes a clip of noise with a model of its process. Threads and processes take turns; what is printed is
the best round of each, in seconds of audio a second, and the rate of threads in percent of that of processes.
"""

from __future__ import annotations

import argparse
import multiprocessing
import threading
import time
from multiprocessing.synchronize import Barrier
from typing import Any

import numpy as np

import libmimi


def clip(seconds: int) -> libmimi.Floats:
    """Noise, on which as much work is done as on speech."""
    return np.random.default_rng(0).uniform(-0.3, 0.3, 24000 * seconds).astype(np.float32)


def process(path: str, seconds: int, rounds: int, begin: Barrier, end: Barrier) -> None:
    """A worker that is a process."""
    model, pcm = libmimi.Model(path), clip(seconds)
    model.encode(pcm)
    for _ in range(rounds):
        begin.wait()
        model.encode(pcm)
        end.wait()


def threads(model: libmimi.Model, pcm: libmimi.Floats, workers: int) -> float:
    """Seconds that workers take which are threads."""
    pool = [threading.Thread(target=model.encode, args=(pcm,)) for _ in range(workers)]
    began = time.perf_counter()
    for thread in pool:
        thread.start()
    for thread in pool:
        thread.join()
    return time.perf_counter() - began


def main() -> None:
    """Measures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    begin, end = (context.Barrier(options.workers + 1) for _ in range(2))
    arguments: tuple[Any, ...] = (options.model, options.seconds, options.rounds, begin, end)
    pool = [context.Process(target=process, args=arguments, daemon=True) for _ in range(options.workers)]
    for worker in pool:
        worker.start()
    model, pcm = libmimi.Model(options.model), clip(options.seconds)
    model.encode(pcm)
    best = {"threads": float("inf"), "processes": float("inf")}
    for _ in range(options.rounds):
        begin.wait()
        began = time.perf_counter()
        end.wait()
        best["processes"] = min(best["processes"], time.perf_counter() - began)
        best["threads"] = min(best["threads"], threads(model, pcm, options.workers))
    for worker in pool:
        worker.join()
    rates = {kind: options.workers * options.seconds / seconds for kind, seconds in best.items()}
    for kind, rate in rates.items():
        print(f"{options.workers} {kind}: {rate:.1f} s of audio a second")
    print(f"threads in percent of processes: {100 * rates['threads'] / rates['processes']:.1f}")


if __name__ == "__main__":
    main()
