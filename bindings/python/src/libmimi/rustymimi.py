"""What the package `rustymimi` has, on libmimi: `from libmimi import rustymimi`.

Arrays are as there: audio [batch, 1, samples], codes [batch, codebooks, frames], float32 and uint32. What differs:

- Models of every size and layout are loaded, not only the published one's, and other floats and integers are taken.
- `decode` and `decode_step` also take fewer codebooks than the tokenizer has.
- `max_seq_len` is not needed: streams have no limit of length.
- `encode` and `decode` leave the streams of `encode_step` and `decode_step` alone.
- Errors are those of libmimi, most of them ValueError. Those of a `StreamTokenizer`'s threads are raised by
  `get_encoded` and `get_decoded`, and not printed.
"""

from __future__ import annotations

import os
import queue
import threading
import wave
import weakref
from typing import Any, Callable, Final, Union

import numpy as np
import numpy.typing as npt

from . import _arrays as arrays
from ._arrays import NO_CODE, Array, Floats
from ._errors import ArgumentError, ArgumentTypeError
from ._model import Model
from ._options import Precision, number
from ._streams import Decoder, Encoder

__all__ = ["StreamTokenizer", "Tokenizer", "write_wav"]

Codes = npt.NDArray[np.uint32]

# f16 has no counterpart, and is kept as it is in the checkpoint, with 32 bits
_PRECISIONS: Final[dict[str, Precision]] = {"f32": "f32", "f16": "f32", "bf16": "bf16"}


class Tokenizer:
    """A model and its streams, one for each item of a batch."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        num_codebooks: int = 8,
        dtype: str = "f32",
        max_seq_len: int | None = None,  # noqa: ARG002 - of the other package's interface
    ) -> None:
        """Loads a model: a path or a name, as `libmimi.Model` takes it."""
        if dtype not in _PRECISIONS:
            raise ArgumentError(f"dtype: found {dtype!r}, expected one of 'f32', 'f16', 'bf16'")
        self._model = Model(path, precision=_PRECISIONS[dtype], codebooks=num_codebooks)
        self._encoders: list[Encoder] = []
        self._decoders: list[Decoder] = []

    def encode(self, pcm_data: Array) -> Codes:
        """Encodes whole recordings [batch, 1, samples] to codes [batch, codebooks, frames]."""
        audio = _audio(pcm_data)
        return _codes([self._model.encode(item, tail="layer") for item in audio], self._model.codebooks)

    def encode_step(self, pcm_data: Array) -> Codes | None:
        """Encodes the next samples [batch, 1, samples] of streams; None if they complete no frame."""
        audio = _audio(pcm_data)
        _open(self._encoders, len(audio), self._model.encoder)
        codes = [encoder.process(item) for encoder, item in zip(self._encoders, audio)]
        return _codes(codes, self._model.codebooks) if len(codes[0]) else None

    def decode(self, codes: Array) -> Floats:
        """Decodes whole recordings, codes [batch, codebooks, frames], to audio [batch, 1, samples]."""
        values = self._filled(codes)
        audio = np.stack([self._model.decode(item) for item in values])
        return audio.reshape(len(audio), 1, -1)

    def decode_step(self, codes: Array) -> Floats | None:
        """Decodes the next frames, codes [batch, codebooks, frames], of streams; None if there are none."""
        values = self._filled(codes)
        _open(self._decoders, len(values), self._model.decoder)
        audio = np.stack([decoder.process(item) for decoder, item in zip(self._decoders, values)])
        return audio.reshape(len(audio), 1, -1) if audio.size else None

    def reset(self) -> None:
        """Begins all streams anew."""
        self._encoders.clear()
        self._decoders.clear()

    def _filled(self, codes: Array) -> npt.NDArray[Any]:
        """Codes as [batch, frames, codebooks], where those of codebooks that are left out did not arrive."""
        values, codebooks = arrays.view("codes", codes), self._model.codebooks
        if values.ndim != 3 or values.shape[0] < 1 or not 1 <= values.shape[1] <= codebooks:
            raise ArgumentError(f"codes: found shape {values.shape}, expected [batch, 1 to {codebooks}, frames]")
        if values.dtype.kind not in "iu":
            raise ArgumentTypeError(f"codes: found {values.dtype}, expected integers")
        values = np.transpose(values, (0, 2, 1))
        if values.shape[2] == codebooks:
            return values
        rest = codebooks - values.shape[2]
        filled: npt.NDArray[np.int64] = np.pad(
            values.astype(np.int64), ((0, 0), (0, 0), (0, rest)), constant_values=NO_CODE
        )
        return filled


class StreamTokenizer:
    """A stream of each direction, each on a thread of its own, which ends with this object.

    `encode` and `decode` hand work over and return at once. `get_encoded` and `get_decoded` return what is done, in
    order, or None.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        num_codebooks: int = 8,
        dtype: str = "f32",
        max_seq_len: int | None = None,
    ) -> None:
        """Loads a model, as `Tokenizer` does."""
        tokenizer = Tokenizer(path, num_codebooks=num_codebooks, dtype=dtype, max_seq_len=max_seq_len)
        self._encoder = _Worker(tokenizer.encode_step)
        self._decoder = _Worker(tokenizer.decode_step)
        for worker in (self._encoder, self._decoder):
            weakref.finalize(self, worker.end)

    def encode(self, pcm_data: Array) -> None:
        """Hands over the next samples, of one dimension."""
        self._encoder.give(arrays.floats(arrays.samples(pcm_data))[None, None].copy())

    def decode(self, codes: Array) -> None:
        """Hands over the codes of the next frame, [1, codebooks]."""
        values = arrays.view("codes", codes)
        if values.ndim != 2 or values.shape[0] != 1:
            raise ArgumentError(f"codes: found shape {values.shape}, expected [1, codebooks]")
        self._decoder.give(values[:, :, None].copy())

    def get_encoded(self) -> Codes | None:
        """The codes [codebooks, frames] of samples that were handed over, if some are done."""
        codes: Codes | None = self._encoder.done()
        return codes

    def get_decoded(self) -> Floats | None:
        """The samples of a frame that was handed over, of one dimension, if one is done."""
        audio: Floats | None = self._decoder.done()
        return None if audio is None else audio[0]


def write_wav(filename: str | os.PathLike[str], data: Array, sample_rate: int) -> None:
    """Writes samples of one dimension as a WAV file of 16 bits. What is beyond full scale is cut."""
    pcm = arrays.floats(arrays.samples(data))
    cut = (np.clip(pcm, -1, 1) * np.float32(32767)).astype("<i2")
    with wave.open(os.fspath(filename), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(number("sample_rate", sample_rate))
        file.writeframes(cut.tobytes())


class _Worker:
    """A thread that calls a function with what it is given, in order."""

    def __init__(self, call: Callable[[Any], Any]) -> None:
        self._given: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Union[npt.NDArray[Any], Exception]] = queue.SimpleQueue()
        arguments = (call, self._given, self._done)
        threading.Thread(target=_work, args=arguments, name="libmimi", daemon=True).start()

    def give(self, values: npt.NDArray[Any]) -> None:
        self._given.put(values)

    def done(self) -> Any:
        try:
            result = self._done.get_nowait()
        except queue.Empty:
            return None
        if isinstance(result, Exception):
            try:
                raise result
            finally:
                del result  # or it would hold this frame, and the frame it
        return result[0]

    def end(self) -> None:
        self._given.put(None)


def _work(call: Callable[[Any], Any], given: queue.SimpleQueue[Any], done: queue.SimpleQueue[Any]) -> None:
    while True:
        values = given.get()
        if values is None:
            return
        try:
            result = call(values)
        except Exception as error:  # raised where it is seen
            result = error
        if result is not None:
            done.put(result)
        del result  # while it waits it holds nothing


def _audio(pcm: Array) -> npt.NDArray[Any]:
    """[batch, samples] of [batch, 1, samples]."""
    audio = arrays.view("pcm_data", pcm)
    if audio.ndim != 3 or audio.shape[0] < 1 or audio.shape[1] != 1:
        raise ArgumentError(f"pcm_data: found shape {audio.shape}, expected [batch, 1, samples]")
    return audio[:, 0]


def _codes(items: list[arrays.Codes], codebooks: int) -> Codes:
    """[batch, codebooks, frames] of codes of each item."""
    stacked = np.stack([item.reshape(-1, codebooks).T for item in items])
    return np.ascontiguousarray(stacked).view(np.uint32)


def _open(streams: list[Any], count: int, new: Callable[[], Any]) -> None:
    """Makes as many streams as a batch has items, if there are none."""
    if streams and len(streams) != count:
        raise ArgumentError(f"batch: found {count} items, expected {len(streams)} until reset() is called")
    while len(streams) < count:
        streams.append(new())
