#!/usr/bin/env python3
"""The drop-ins beside the packages whose place they take, side by side:

    dropins.py FOLDER [--seconds 4] [--rounds 3]

FOLDER is what tests/peers/checkpoint.py writes. Milliseconds of one core for a frame of 80 ms, 8 codebooks, the best of
several rounds, in which the two take turns. Packages that are not installed are left out, and said to be.
"""

from __future__ import annotations

import argparse
import importlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import numpy as np

FRAME = 1920
Steps = Iterator[tuple[str, Callable[[], Any]]]


def rustymimi(module: Any, folder: Path, pcm: Any) -> Steps:
    """What programs call of rustymimi."""
    tokenizer = module.Tokenizer(str(folder / "kyutai.safetensors"))
    codes = tokenizer.encode(pcm)
    frames = range(codes.shape[2])
    yield "encode", lambda: tokenizer.encode(pcm)
    yield "decode", lambda: tokenizer.decode(codes)
    yield "encode_step", lambda: [tokenizer.encode_step(pcm[..., FRAME * i : FRAME * (i + 1)]) for i in frames]
    yield "decode_step", lambda: [tokenizer.decode_step(np.ascontiguousarray(codes[..., i : i + 1])) for i in frames]


def moshi(module: Any, folder: Path, pcm: Any) -> Steps:
    """What programs call of moshi."""
    torch = importlib.import_module("torch")
    mimi = module.get_mimi(folder / "kyutai.safetensors")
    x = torch.from_numpy(pcm)
    codes = mimi.encode(x)
    frames = range(codes.shape[2])

    def streamed(step: Callable[[int], Any]) -> None:
        with mimi.streaming(1):
            for i in frames:
                step(i)

    yield "encode", lambda: mimi.encode(x)
    yield "decode", lambda: mimi.decode(codes)
    yield "encode, streaming", lambda: streamed(lambda i: mimi.encode(x[..., FRAME * i : FRAME * (i + 1)]))
    yield "decode, streaming", lambda: streamed(lambda i: mimi.decode(codes[..., i : i + 1]))


def transformers(module: Any, folder: Path, pcm: Any) -> Steps:
    """What programs call of transformers, which reads the weights from a folder of their own."""
    torch = importlib.import_module("torch")
    weights = folder / "transformers"
    if not weights.exists():
        weights.mkdir()
        (weights / "model.safetensors").symlink_to(folder / "transformers.safetensors")
        (weights / "config.json").symlink_to(folder / "config.json")
    model = module.MimiModel.from_pretrained(weights)
    x = torch.from_numpy(pcm)
    codes = model.encode(x, num_quantizers=8).audio_codes
    yield "encode", lambda: model.encode(x, num_quantizers=8)
    yield "decode", lambda: model.decode(codes)


def seconds(call: Callable[[], Any]) -> float:
    """How long a call takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def main() -> None:
    """Measures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    frames = options.seconds * 25 // 2
    pcm = np.random.default_rng(0).uniform(-0.3, 0.3, (1, 1, frames * FRAME)).astype(np.float32)
    try:
        torch = importlib.import_module("torch")
        torch.set_num_threads(1)
        torch.set_grad_enabled(False)
    except ImportError as error:
        print(f"left out: moshi and transformers: {error}")
    print(f"{'':34} package   libmimi     times")
    for make, theirs in ((rustymimi, "rustymimi"), (moshi, "moshi.models.loaders"), (transformers, "transformers")):
        try:
            packages = importlib.import_module(theirs), importlib.import_module(f"libmimi.{make.__name__}")
        except ImportError as error:
            print(f"left out: {theirs}: {error}")
            continue
        for (name, other), (_, ours) in zip(*(make(module, options.folder, pcm) for module in packages)):
            times = [(seconds(other), seconds(ours)) for _ in range(options.rounds)]
            package, libmimi = (min(row) / frames * 1000 for row in zip(*times))
            print(f"{make.__name__:13} {name:18} {package:9.1f} {libmimi:9.1f} {package / libmimi:9.1f}", flush=True)


if __name__ == "__main__":
    main()
