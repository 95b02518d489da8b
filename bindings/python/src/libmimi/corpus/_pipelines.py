"""Encoding as a step of somebody's pipeline."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from contextlib import closing
from typing import Any, cast

import numpy as np

from libmimi import Model
from libmimi._options import Precision

from ._audio import AudioError, Recording, Samples
from ._encoding import Encoders
from ._errors import reason
from ._listing import Trouble
from ._sources import Source, cell

NOTHING = {"codes": b"", "frames": 0, "codebooks": 0, "bits": 0, "samples": 0, "rate": 0, "model_id": 0}


class Encode:
    """A function of batches, which has the columns of the tables in place of the audio, and `error`, which is empty for
    what was encoded.

        dataset.map_batches(Encode, fn_constructor_args=["kyutai/mimi"], concurrency=8, num_cpus=1)    # Ray Data
        dataset.map(Encode("kyutai/mimi"), batched=True, batch_size=32, remove_columns=["audio"])      # datasets

    Cells of `column` are {bytes, path}, as `datasets` has them with `Audio(decode=False)`; or {array, sampling_rate};
    or a file's bytes. The model is loaded with the first batch, once in each process. Codes are made on the caller's
    thread.
    """

    def __init__(
        self,
        model: str | os.PathLike[str],
        *,
        codebooks: int | None = None,
        precision: Precision = "f32",
        column: str = "audio",
    ) -> None:
        self._settings = (os.fspath(model), codebooks, precision, column)
        self._column = column
        self._model: Model | None = None
        self._own = threading.local()
        self._loading = threading.Lock()

    def __reduce__(self) -> tuple[object, ...]:
        # the settings alone: other processes load the model themselves
        return _encode_of, self._settings

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Encodes the recordings of a batch: columns, by their names."""
        rows = [self._row(audio) for audio in batch[self._column]]
        kept = {name: column for name, column in batch.items() if name != self._column}
        return {**kept, **{name: [row[name] for row in rows] for name in (*NOTHING, "error")}}

    def _row(self, audio: Any) -> dict[str, Any]:
        encoders = self._encoders()
        try:
            with closing(opened(audio)) as recording:
                return {**encoders.row(recording), "error": ""}
        except Exception as error:  # whatever a recording can do to its readers
            return {**NOTHING, "error": reason(error)}

    def _encoders(self) -> Encoders:
        path, codebooks, precision, _ = self._settings
        with self._loading:
            if self._model is None:
                self._model = Model(path, parts="encoder", precision=precision)
        if not hasattr(self._own, "encoders"):
            self._own.encoders = Encoders(self._model, codebooks)
        encoders: Encoders = self._own.encoders
        return encoders


def _encode_of(model: str, codebooks: int | None, precision: Precision, column: str) -> Encode:
    return Encode(model, codebooks=codebooks, precision=precision, column=column)


def opened(audio: Any) -> Recording | Samples:
    """The recording in a cell."""
    if isinstance(audio, bytes):
        return Recording(Source("", len(audio), data=audio).open())
    if isinstance(audio, dict) and not {"bytes", "path"}.isdisjoint(cast("dict[str, Any]", audio)):
        found = cell("", cast("dict[str, Any]", audio), "")
        if isinstance(found, Trouble):
            raise AudioError(found.message)
        return Recording(found.open())
    try:
        array = np.asarray(cast(Any, audio)["array"], np.float32)
        rate = int(cast(Any, audio)["sampling_rate"])
    except (TypeError, KeyError, IndexError, ValueError):
        expected = "bytes, {bytes, path} or {array, sampling_rate}"
        raise AudioError(f"found {type(cast(object, audio)).__name__}, expected {expected}") from None
    return Samples(array, rate)
