"""A recording to a row of the table."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, Protocol

from libmimi import Encoder, Floats, Model, tokens
from libmimi._files import stream_rate

from ._audio import converted

_KEPT = 4
"""Encoders of a thread, each for a rate."""


class Recording(Protocol):
    """Audio that is being read: its rate, its blocks, and then the number of its samples."""

    rate: int
    samples: int

    def blocks(self) -> Iterator[Floats]: ...


class Stopped(BaseException):
    """The run ends, and what is being encoded is not waited for."""


class Encoders:
    """Those of one thread. Recordings at a rate that a stream can have are converted by the library, as
    `Model.encode_files` does it, and others by soxr."""

    def __init__(self, model: Model, codebooks: int | None, stop: threading.Event | None = None) -> None:
        self._model, self._codebooks, self._stop = model, codebooks, stop
        self._by_rate: dict[int, Encoder] = {}

    def row(self, recording: Recording) -> dict[str, Any]:
        """Encodes a recording: a row, but for its id."""
        rate, bits = stream_rate(self._model, recording.rate), self._model.code_bits
        encoder = self._encoder(rate)
        encoder.reset()
        packed: list[bytes] = []
        for block in converted(recording.blocks(), recording.rate, rate):
            if self._stop is not None and self._stop.is_set():
                raise Stopped
            packed.append(tokens.pack(encoder.process(block), bits))
        packed.append(tokens.pack(encoder.flush(), bits))
        codes = b"".join(packed)
        return {
            "codes": codes,
            "frames": len(codes) // -(-encoder.codebooks * bits // 8),
            "codebooks": encoder.codebooks,
            "bits": bits,
            "samples": recording.samples,
            "rate": recording.rate,
            "model_id": self._model.model_id,
        }

    def _encoder(self, rate: int) -> Encoder:
        encoder = self._by_rate.pop(rate, None)
        if encoder is None:
            while len(self._by_rate) >= _KEPT:
                self._by_rate.pop(next(iter(self._by_rate))).close()
            encoder = self._model._long_encoder(self._codebooks, rate)
        self._by_rate[rate] = encoder  # the last one used stands last
        return encoder
