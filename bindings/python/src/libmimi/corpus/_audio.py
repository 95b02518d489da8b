"""Recordings of any format that libsndfile reads, as mono samples, block by block."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import IO, Any

import numpy as np

from libmimi import Floats

from ._packages import need

soundfile = need("soundfile")
soxr = need("soxr")

BLOCK = 1 << 18
"""Values read at once, of all channels: a megabyte, and at least a second of stereo."""
RATES = range(1_000, 768_001)
_UNKNOWN = 0x7FFF_0000
"""Lengths from here on are what programs write who do not know them, as into pipes."""


class AudioError(ValueError):
    """A recording that is none, or is cut off."""


class Recording:
    """A recording that is being read."""

    def __init__(self, file: IO[bytes]) -> None:
        """Opens `file`, which is closed with the recording."""
        self._file = file
        try:
            self._sound = soundfile.SoundFile(file)
        except soundfile.LibsndfileError as error:
            file.close()
            raise AudioError(str(error.error_string)) from None
        self.rate: int = self._sound.samplerate
        self.samples = 0
        """As many as were read so far."""

    def blocks(self) -> Iterator[Floats]:
        """All of it, the channels mixed to one."""
        sound = self._sound
        frames = max(BLOCK // sound.channels, 1)
        while True:
            try:
                block: Any = sound.read(frames, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                raise AudioError(f"damaged after {self.samples} samples ({error.error_string})") from None
            if len(block) == 0:
                break
            self.samples += len(block)
            yield block[:, 0] if sound.channels == 1 else block.mean(axis=1)
        fault = self._fault()
        if fault is not None:
            raise AudioError(fault)

    def close(self) -> None:
        """Closes the file."""
        self._sound.close()
        self._file.close()

    def _fault(self) -> str | None:
        """What is missing at the end. libsndfile takes files that were cut off for whole."""
        sound = self._sound
        if self.samples < sound.frames < _UNKNOWN:
            return f"cut off after {self.samples} of {sound.frames} samples"
        for told, found in re.findall(r": (\d+) \(should be (\d+)\)", sound.extra_info):
            if int(found) < int(told) < _UNKNOWN:
                return f"cut off after {self.samples} samples: {told} bytes promised, {found} found"
        if sound.format == "OGG" and not ogg_ends(self._file):
            return f"cut off after {self.samples} samples: the last page is missing"
        return None


class Samples:
    """A recording that is in memory: samples, or [channels, samples], at some rate."""

    def __init__(self, array: Floats, rate: int) -> None:
        if array.ndim not in (1, 2):
            raise AudioError(f"an array of shape {array.shape}; expected samples, or channels and samples")
        self._pcm: Floats = array if array.ndim == 1 else array.mean(axis=0)
        self.rate, self.samples = rate, self._pcm.size

    def blocks(self) -> Iterator[Floats]:
        """As those of `Recording`."""
        return (self._pcm[at : at + BLOCK] for at in range(0, self.samples, BLOCK))

    def close(self) -> None:
        """Nothing is to be closed."""


def converted(blocks: Iterator[Floats], rate: int, to: int) -> Iterator[Floats]:
    """Audio at another rate, of its length to the sample."""
    if rate == to:
        yield from blocks
        return
    if rate not in RATES:
        raise AudioError(f"a sample rate of {rate} Hz; expected {RATES[0]} to {RATES[-1]}")
    stream = soxr.ResampleStream(rate, to, 1, dtype="float32")
    taken = given = 0
    for block in blocks:
        taken += len(block)
        piece: Floats = stream.resample_chunk(block)
        given += len(piece)
        yield piece
    rest = stream.resample_chunk(np.empty(0, np.float32), last=True)
    # samples that begin before the end, as the library counts them
    due = max(-(-taken * to // rate) - given, 0)
    yield np.pad(rest[:due], (0, max(due - len(rest), 0)))


def ogg_ends(file: IO[bytes]) -> bool:
    """Whether an Ogg file has its last page, which says that it is that, to its end."""
    end = file.seek(0, io.SEEK_END)
    tail_at = max(end - (1 << 17), 0)  # two of the longest pages
    file.seek(tail_at)
    tail = file.read()
    at = tail.rfind(b"OggS")
    page = tail[at:]
    if at < 0 or len(page) < 27 or not page[5] & 4:
        return False
    segments = page[27 : 27 + page[26]]
    return len(page) >= 27 + page[26] + sum(segments)
