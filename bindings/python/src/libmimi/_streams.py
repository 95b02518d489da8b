"""Streams: audio to codes and codes to audio, piece by piece."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Sequence
from typing import Any, Callable, TypeVar, cast

import numpy as np
import numpy.typing as npt

from . import _arrays as arrays
from . import _library as c
from ._arrays import NO_CODE, Array, Codes, Floats, address, floats, integers, view
from ._errors import ArgumentError, ArgumentTypeError, CorruptError, check, check_real_time
from ._handle import Handle, Made, Turns, all_turns, make, read
from ._options import number

_S = TypeVar("_S", bound="Stream")


class Stream(Made):
    """What encoders and decoders share.

    A stream takes one call at a time; other threads wait for theirs. It keeps its model's weights in memory, and frees
    its own when it is closed, or with its last reference.
    """

    def __init__(self, handle: object) -> None:
        """For `Model.encoder()` and `Model.decoder()`, which make streams."""
        self._turns = Turns(self._own(handle), self._kind)
        self.codebooks = self._property(c.PROP_CODEBOOKS)
        self.sample_rate = self._property(c.PROP_SAMPLE_RATE)
        self.frame_size = self._property(c.PROP_FRAME_SAMPLES)
        self.latent_dim = self._property(c.PROP_LATENT_DIM)

    codebooks: int
    """Codes in a frame; 0 if the model has latents alone."""
    sample_rate: int
    """Samples per second of the audio."""
    frame_size: int
    """Samples in a frame, at `sample_rate`."""
    latent_dim: int
    """Values in a frame of latents."""

    def _property(self, key: int) -> int:
        with self._turns.lock:
            return read(type(self)._get, self._turns.handle(), key)

    @property
    def frames(self) -> int:
        """Frames that came out (encoder) or were taken (decoder) since the stream began."""
        return self._property(c.PROP_FRAMES)

    @property
    def codes_hash(self) -> int:
        """A hash of the codes of these frames: both ends agree if every code arrived, in order."""
        return self._property(c.PROP_CODES_HASH)

    @property
    def closed(self) -> bool:
        """Whether the stream is closed."""
        return self._turns.closed

    def close(self) -> None:
        """Waits for the call that uses the stream, and frees it. More calls do nothing."""
        self._turns.close()

    def reset(self) -> None:
        """Forgets everything: the stream is as new."""
        with self._turns.lock:
            check_real_time(type(self)._reset(self._turns.handle(broken=True)))
            self._turns.mended()

    @staticmethod
    def _many(
        call: Callable[..., int], streams: Sequence[Stream], values: npt.NDArray[Any], room: npt.NDArray[Any]
    ) -> None:
        """A call for a row of each stream."""
        pointers = ctypes.c_void_p * len(streams)
        with all_turns([stream._turns for stream in streams]) as handles:
            at = pointers(*[handle.pointer for handle in handles])
            status = call(at, len(streams), pointers(*_rows(values)), pointers(*_rows(room)))
        if status == c.INVALID_ARGUMENT:
            raise ArgumentError(
                "streams: found more than 1024, or of different models, or one at another rate than its model's that"
                " has not taken a frame alone yet"
            )
        check_real_time(status)


def run(
    call: Callable[[Handle, int | None, int, int, int, Any], int],
    handle: Handle,
    values: npt.NDArray[Any],
    room: npt.NDArray[Any],
) -> int:
    """A call from values to room; returns how many elements it wrote."""
    written = ctypes.c_size_t()
    check_real_time(call(handle, address(values), values.size, address(room), room.size, ctypes.byref(written)))
    return written.value


class Encoder(Stream):
    """A stream of audio to codes, made by `Model.encoder()`.

        with model.encoder() as encoder:
            for block in blocks:
                codes = encoder.process(block)
            codes = encoder.flush()

    Codes do not depend on how the audio is cut into calls.
    """

    _kind = "encoder"
    _get = c.lib.mimi_encoder_get
    _reset = c.lib.mimi_encoder_reset

    def process(self, pcm: Array) -> Codes:
        """Takes any number of samples, and gives the codes of the frames that they complete.

        `pcm`: mono floats [samples] at `sample_rate`. All are taken.
        Returns int32 [frames, codebooks], often of no frames.
        """
        block = floats(arrays.samples(pcm))
        room = np.empty((-(-block.size // self.frame_size), self.codebooks), np.int32)
        return self._process(c.lib.mimi_encoder_process, block, room)

    def process_latents(self, pcm: Array) -> Floats:
        """As `process`, to latents: float32 [frames, latent_dim]."""
        block = floats(arrays.samples(pcm))
        room = np.empty((-(-block.size // self.frame_size), self.latent_dim), np.float32)
        return self._process(c.lib.mimi_encoder_process_latents, block, room)

    def _process(self, call: Callable[..., int], block: Floats, room: npt.NDArray[Any]) -> npt.NDArray[Any]:
        turns = self._turns
        with turns.lock:
            written = run(call, turns.handle(), block, room)
        return room[: written // room.shape[1]] if written else room[:0]

    def flush(self) -> Codes:
        """Ends the stream: completes a last partial frame, and gives its codes, int32 [frames, codebooks].

        Decoded, they are up to a frame longer than the recording: cut the audio to the samples that went in. Afterwards
        the stream is as new.
        """
        return self._flush(c.lib.mimi_encoder_flush, c.PROP_FLUSH_LEN, self.codebooks, np.dtype(np.int32))

    def flush_latents(self) -> Floats:
        """As `flush`, to latents: float32 [frames, latent_dim]."""
        call = c.lib.mimi_encoder_flush_latents
        return self._flush(call, c.PROP_FLUSH_LATENTS, self.latent_dim, np.dtype(np.float32))

    def _flush(self, call: Callable[..., int], key: int, width: int, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
        written = ctypes.c_size_t()
        with self._turns.lock:
            handle = self._turns.handle()
            room = np.empty(read(c.lib.mimi_encoder_get, handle, key), dtype)
            check_real_time(call(handle, address(room), room.size, ctypes.byref(written)))
        return room.reshape(-1, width) if width else room.reshape(0, 0)

    def clone(self) -> Encoder:
        """A copy that stands at the same point, has the same options and goes its own way."""
        with self._turns.lock:
            handle = self._turns.handle()
            copy = make(lambda out: c.lib.mimi_encoder_clone(handle, out), check, c.lib.mimi_encoder_free)
        return Encoder(copy)

    @staticmethod
    def process_many(encoders: Sequence[Encoder], pcm: Array) -> Codes:
        """Encodes one frame for each of several streams of one model, in one pass over its weights.

        It is faster than a call for each, and gives each stream the same codes as alone.

        `encoders`: streams with equal options, none of them twice; at most 1024.
        `pcm`: floats [streams, frame_size], exactly a frame for each.
        Returns int32 [streams, codebooks].

        A stream at another rate than the model's must take its first frame alone, with `process`.
        """
        encoders = _all(Encoder, encoders)
        block = floats(_frames("pcm", "f", pcm, (len(encoders), _equal(encoders, "frame_size"))))
        room = np.empty((len(encoders), _equal(encoders, "codebooks")), np.int32)
        Stream._many(c.lib.mimi_encoder_process_many, encoders, block, room)
        return room

    @staticmethod
    def process_many_latents(encoders: Sequence[Encoder], pcm: Array) -> Floats:
        """As `process_many`, to latents: float32 [streams, latent_dim]."""
        encoders = _all(Encoder, encoders)
        block = floats(_frames("pcm", "f", pcm, (len(encoders), _equal(encoders, "frame_size"))))
        room = np.empty((len(encoders), _equal(encoders, "latent_dim")), np.float32)
        Stream._many(c.lib.mimi_encoder_process_many_latents, encoders, block, room)
        return room


class Decoder(Stream):
    """A stream of codes to audio, made by `Model.decoder()`.

    Audio does not depend on how the frames are cut into calls.
    """

    _kind = "decoder"
    _get = c.lib.mimi_decoder_get
    _reset = c.lib.mimi_decoder_reset

    @property
    def concealed(self) -> int:
        """Frames concealed since the stream began."""
        return self._property(c.PROP_CONCEALED)

    def process(self, codes: Array) -> Floats:
        """Takes whole frames of codes, and gives their audio, float32 [samples] at `sample_rate`.

        `codes`: integers [frames, codebooks], or [codebooks] for one frame. `NO_CODE` stands for a code that did not
        arrive: a frame is decoded with the codes before it, and one without any is concealed.

        At a rate other than the model's, a stream's first call gives `latency` samples fewer, which `flush` brings.
        """
        block = integers(arrays.codes(codes, self.codebooks))
        turns = self._turns
        room = np.empty(block.shape[0] * self.frame_size, np.float32)
        with turns.lock:
            handle = turns.handle()
            try:
                return room[: run(c.lib.mimi_decoder_process, handle, block, room)]
            except CorruptError:
                raise bad_code(block, read(c.lib.mimi_decoder_get, handle, c.PROP_CODEBOOK_SIZE)) from None

    def process_latents(self, latents: Array) -> Floats:
        """As `process`, of latents: floats [frames, latent_dim]."""
        block = floats(arrays.latents(latents, self.latent_dim))
        room = np.empty(block.shape[0] * self.frame_size, np.float32)
        with self._turns.lock:
            return room[: run(c.lib.mimi_decoder_process_latents, self._turns.handle(), block, room)]

    def conceal(self, frames: int = 1) -> Floats:
        """The audio of frames that did not arrive at all, float32 [samples]."""
        frames = number("frames", frames, 0)
        room = np.empty(frames * self.frame_size, np.float32)
        written = ctypes.c_size_t()
        call, width = c.lib.mimi_decoder_process, self.codebooks
        if not width:
            call, width = c.lib.mimi_decoder_process_latents, self.latent_dim
        with self._turns.lock:
            handle = self._turns.handle()
            check_real_time(call(handle, None, frames * width, address(room), room.size, ctypes.byref(written)))
        return room[: written.value]

    def flush(self) -> Floats:
        """Ends the stream, and gives what audio is still due, float32 [samples]: none at the model's rate.

        Afterwards the stream is as new.
        """
        written = ctypes.c_size_t()
        with self._turns.lock:
            handle = self._turns.handle()
            room = np.empty(read(c.lib.mimi_decoder_get, handle, c.PROP_FLUSH_LEN), np.float32)
            check_real_time(c.lib.mimi_decoder_flush(handle, address(room), room.size, ctypes.byref(written)))
        return room[: written.value]

    def clone(self) -> Decoder:
        """A copy that stands at the same point, has the same options and goes its own way."""
        with self._turns.lock:
            handle = self._turns.handle()
            copy = make(lambda out: c.lib.mimi_decoder_clone(handle, out), check, c.lib.mimi_decoder_free)
        return Decoder(copy)

    @staticmethod
    def process_many(decoders: Sequence[Decoder], codes: Array) -> Floats:
        """Decodes one frame for each of several streams of one model, in one pass over its weights.

        It is faster than a call for each, and gives each stream the same audio as alone.

        `decoders`: streams with equal options, none of them twice; at most 1024.
        `codes`: integers [streams, codebooks], a frame for each. All codes of a lost frame are `NO_CODE`.
        Returns float32 [streams, frame_size].

        A stream at another rate than the model's must take its first frame alone, with `process`.
        """
        decoders = _all(Decoder, decoders)
        block = integers(_frames("codes", "iu", codes, (len(decoders), _equal(decoders, "codebooks"))))
        room = np.empty((len(decoders), _equal(decoders, "frame_size")), np.float32)
        try:
            Stream._many(c.lib.mimi_decoder_process_many, decoders, block, room)
        except CorruptError:
            raise bad_code(block, decoders[0]._property(c.PROP_CODEBOOK_SIZE), "stream") from None
        return room

    @staticmethod
    def process_many_latents(decoders: Sequence[Decoder], latents: Array) -> Floats:
        """As `process_many`, of latents: floats [streams, latent_dim]."""
        decoders = _all(Decoder, decoders)
        block = floats(_frames("latents", "f", latents, (len(decoders), _equal(decoders, "latent_dim"))))
        room = np.empty((len(decoders), _equal(decoders, "frame_size")), np.float32)
        Stream._many(c.lib.mimi_decoder_process_many_latents, decoders, block, room)
        return room


def bad_code(block: npt.NDArray[Any], size: int, row: str = "frame") -> CorruptError:
    """The error of the first code that is not below `size`."""
    values = block.astype(np.int64)
    wrong = (values != NO_CODE) & (values != np.iinfo(np.uint32).max) & ((values < 0) | (values >= size))
    at, codebook = (int(index) for index in np.argwhere(wrong)[0])
    found = int(values[at, codebook])
    where = f"{row} {at}, codebook {codebook}"
    return CorruptError(f"codes: found {found} in {where}, expected 0 to {size - 1} or {NO_CODE}")


def _all(kind: type[_S], streams: Iterable[_S]) -> list[_S]:
    """The streams, if all are of a kind."""
    found = list(streams)
    for stream in found:
        if not isinstance(cast(object, stream), kind):
            raise ArgumentTypeError(f"streams: found {type(stream).__name__}, expected {kind.__name__}")
    return found


def _equal(streams: Sequence[Stream], name: str) -> int:
    """What `name` is of all streams."""
    values = {int(getattr(stream, name)) for stream in streams}
    if len(values) > 1:
        raise ArgumentError(f"streams: found {name} of {sorted(values)}, expected equal ones")
    return values.pop() if values else 0


def _frames(name: str, kinds: str, values: Array, shape: tuple[int, int]) -> npt.NDArray[Any]:
    """One row of `values` for each stream."""
    array = view(name, values)
    if array.dtype.kind not in kinds or array.shape != shape:
        expected = "floats" if kinds == "f" else "integers"
        raise ArgumentError(f"{name}: found {array.dtype} {array.shape}, expected {expected} {shape}")
    return array


def _rows(array: npt.NDArray[Any]) -> range:
    """Where each row begins."""
    begin, step = address(array), array.strides[0] or 1
    return range(begin, begin + step * array.shape[0], step)
