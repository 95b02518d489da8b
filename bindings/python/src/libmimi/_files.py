"""Recordings to codes, many at a time."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Callable, Final, NamedTuple

import numpy as np

from ._arrays import Codes, Floats
from ._errors import ArgumentError, Error, UnsupportedError, read_error
from ._options import Tail, number
from .tokens import Header

if TYPE_CHECKING:
    from ._model import Model

_SECONDS: Final = 10  # of a file that are read at once
_SOUNDFILE: Final = ("soundfile", "reading audio files needs soundfile")


class EncodedFile(NamedTuple):
    """A recording as codes."""

    path: str
    """Where it was read."""
    codes: Codes
    """int32 [frames, codebooks]."""
    header: Header
    """What a token file says of it: its rate and its length. `tokens.write()` takes both."""


def encode_files(
    model: Model,
    paths: Iterable[str | os.PathLike[str]],
    *,
    threads: int | None,
    codebooks: int | None,
    tail: Tail,
    on_error: Callable[[str, Exception], None] | None,
) -> Generator[EncodedFile, None, None]:
    """See `Model.encode_files`, which checks nothing itself: errors of arguments come before the first file."""
    if isinstance(paths, (str, bytes, os.PathLike)):
        raise ArgumentError("paths: found one path, expected several")
    optional(*_SOUNDFILE)
    count = cores() if threads is None else number("threads", threads)
    model.header(codebooks=codebooks)
    return _run(model, paths, count, codebooks, tail, on_error)


def _run(
    model: Model,
    paths: Iterable[str | os.PathLike[str]],
    threads: int,
    codebooks: int | None,
    tail: Tail,
    on_error: Callable[[str, Exception], None] | None,
) -> Generator[EncodedFile, None, None]:
    waiting: deque[tuple[str, Future[EncodedFile]]] = deque()
    stop: list[bool] = []

    def finished() -> EncodedFile | None:
        path, future = waiting.popleft()
        try:
            return future.result()
        except Exception as error:
            if on_error is None:
                raise
            on_error(path, error)
            return None

    pool = ThreadPoolExecutor(threads, "libmimi")
    try:
        for path in paths:
            text = os.fsdecode(path)
            waiting.append((text, pool.submit(_encode, model, text, codebooks, tail, stop)))
            # as many wait as work, so that no thread idles while the first is slow, and memory stays bounded
            if len(waiting) >= 2 * threads:
                done = finished()
                if done is not None:
                    yield done
        while waiting:
            done = finished()
            if done is not None:
                yield done
    finally:
        stop.append(True)
        pool.shutdown(wait=True, cancel_futures=True)


def _encode(model: Model, path: str, codebooks: int | None, tail: Tail, stop: list[bool]) -> EncodedFile:
    soundfile = optional(*_SOUNDFILE)
    try:
        file = soundfile.SoundFile(path)
    except (OSError, RuntimeError) as error:  # soundfile's own error is a RuntimeError
        raise read_error(f"{path}: {error}", path) from error
    with file:
        recorded = int(file.samplerate)
        rate, convert = _rate(model, recorded)
        seen = taken = 0
        encoder = model._long_encoder(codebooks, rate, tail)
        pieces: list[Codes] = []
        with encoder:
            while not stop:
                try:
                    block = file.read(_SECONDS * recorded, dtype="float32", always_2d=True)
                except RuntimeError as error:
                    raise read_error(f"{path}: {error}", path) from error
                seen += len(block)
                pcm = convert(_mono(block), len(block) == 0)
                taken += len(pcm)
                pieces.append(encoder.process(pcm))
                if len(block) == 0:
                    break
            pieces.append(encoder.flush())
    header = model.header(codebooks=codebooks, sample_rate=rate, samples=taken)
    if rate != recorded:
        header = replace(header, original_rate=recorded, original_samples=seen)
    return EncodedFile(path, np.concatenate(pieces), header)


def _mono(block: Floats) -> Floats:
    return block[:, 0] if block.shape[1] == 1 else block.mean(axis=1, dtype=np.float32)


def _rate(model: Model, recorded: int) -> tuple[int, Callable[[Floats, bool], Floats]]:
    """The rate of a stream for a recording, and what converts its blocks to it."""
    rate = stream_rate(model, recorded)
    if rate == recorded:
        return rate, lambda block, _last: block
    soxr = optional("soxr", f"a stream cannot have the rate of {recorded} Hz, and converting it needs soxr")
    stream = soxr.ResampleStream(recorded, model.sample_rate, 1, dtype="float32")

    def convert(block: Floats, last: bool) -> Floats:
        converted: Floats = stream.resample_chunk(block, last=last)
        return converted

    return rate, convert


def stream_rate(model: Model, recorded: int) -> int:
    """The rate of a recording if a stream can have it; otherwise the model's."""
    try:
        model.header(sample_rate=recorded)
    except Error:
        return model.sample_rate
    return recorded


def optional(name: str, why: str) -> ModuleType:
    """A package that the extra `audio` brings, imported only where it is needed."""
    try:
        return import_module(name)
    except (ImportError, OSError) as error:  # OSError: soundfile finds no libsndfile
        raise UnsupportedError(f"{why}: pip install libmimi[audio] ({error})") from error


def cores() -> int:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
