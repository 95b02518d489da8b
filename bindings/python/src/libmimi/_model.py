"""Models: loading them, and whole recordings."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Generator, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Callable, Final, cast

import numpy as np
import numpy.typing as npt

from . import _arrays as arrays
from . import _hub
from . import _library as c
from ._arrays import Array, Codes, Floats, address, floats, integers
from ._errors import (
    ArgumentError,
    ArgumentTypeError,
    CorruptError,
    FormatError,
    NotFoundError,
    UnsupportedError,
    check,
    check_load,
)
from ._files import EncodedFile, encode_files
from ._handle import Closable, Handle, make, read, usable
from ._live import Capture, Playback
from ._options import Isa, Options, Parts, Precision, Tail, Value, Work, name_of, number
from ._streams import Decoder, Encoder, bad_code
from .tokens import Header

if TYPE_CHECKING:
    from typing_extensions import Self  # for type checkers, which bring it

_FRAMES: Final = 16  # what a call of the C library works on at once
_BLOCK: Final = 8 * _FRAMES  # frames between two looks at the interpreter, where Ctrl-C can end a call
_MOST_BLOCK: Final = 262144  # samples: the limit of max_block


class Model(Closable):
    """The weights of a codec, which never change: any number of threads may use one at once.

        model = Model("kyutai/mimi")
        codes = model.encode(pcm)
        audio = model.decode(codes)

    `source`: a file `model.safetensors`, a folder that holds one with its `config.json`, or the index of a checkpoint
    in parts; in the layout of transformers or of moshi. If nothing is there, a name such as "kyutai/mimi" is looked up
    in the cache that Hugging Face's tools share. Nothing is downloaded.
    `precision`: how weights are kept in memory.
    `parts`: which half to load; half a model takes half the memory.
    `codebooks`: keep this many, and use them in all calls that do not say otherwise. Without it all are kept, and calls
    use 8, or as many as the model's config calls valid.
    `isa`: the instruction set that the kernels use.

    Arrays are taken from NumPy, from tensors of other libraries on the CPU, and from buffers, without a copy if they
    are contiguous and of the type that is named first. Results are new NumPy arrays.

    A model can be pickled if it was loaded from a path: whoever unpickles it loads it again.
    """

    # what an object has that was never loaded
    _handle: Handle | None = None
    _origin: tuple[str, dict[str, Any]] | None = None

    def __init__(
        self,
        source: str | os.PathLike[str],
        *,
        precision: Precision = "f32",
        parts: Parts = "both",
        codebooks: int | None = None,
        isa: Isa = "auto",
    ) -> None:
        path = _resolve(source)
        options = _load_options(precision, parts, codebooks, isa)
        encoded = path.encode("utf-8", "surrogateescape")
        handle = make(
            lambda out: c.lib.mimi_load(encoded, options.pointer, out),
            lambda status: check_load(status, path),
            c.lib.mimi_free,
        )
        self._open(handle, codebooks)
        self._origin = (
            os.path.abspath(path),
            {"precision": precision, "parts": parts, "codebooks": codebooks, "isa": isa},
        )

    @classmethod
    def from_bytes(
        cls,
        data: bytes | bytearray | memoryview | npt.NDArray[np.uint8],
        *,
        precision: Precision = "f32",
        parts: Parts = "both",
        codebooks: int | None = None,
        isa: Isa = "auto",
    ) -> Self:
        """Loads the bytes of one `model.safetensors`. What is needed of them is copied.

        The network's numbers come from the checkpoint's own metadata, or are those of a published model.
        """
        try:
            raw = np.frombuffer(data, np.uint8)
        except (TypeError, ValueError, BufferError) as error:
            raise ArgumentTypeError(f"data: {error}") from error
        options = _load_options(precision, parts, codebooks, isa)
        handle = make(
            lambda out: c.lib.mimi_load_memory(address(raw), raw.size, options.pointer, out), check, c.lib.mimi_free
        )
        model = cls.__new__(cls)
        model._open(handle, codebooks)
        return model

    def _open(self, handle: Handle, codebooks: int | None) -> None:
        self._handle = handle
        self.total_codebooks = self._property(c.PROP_CODEBOOKS)
        self.sample_rate = self._property(c.PROP_SAMPLE_RATE)
        self.frame_size = self._property(c.PROP_FRAME_SAMPLES)
        self.latent_dim = self._property(c.PROP_LATENT_DIM)
        self.codebook_size = self._property(c.PROP_CODEBOOK_SIZE) if self.total_codebooks else 0
        self.code_bits = self._property(c.PROP_CODE_BITS) if self.total_codebooks else 0
        self.codebooks = 0
        if self.total_codebooks:
            self.codebooks = self._default_codebooks() if codebooks is None else self.total_codebooks

    codebooks: int
    """Codes in a frame where calls do not say otherwise; 0 if the model has latents alone."""
    total_codebooks: int
    """Codebooks that are loaded."""
    codebook_size: int
    """Codes are below this; 2048 in the published model."""
    code_bits: int
    """The bits that one code needs; 11 in the published model."""
    sample_rate: int
    """Samples per second of the audio; 24000 in the published model."""
    frame_size: int
    """Samples per frame; 1920, or 80 ms, in the published model."""
    latent_dim: int
    """Values in a frame of latents; 512 in the published model."""

    @property
    def frame_rate(self) -> float:
        """Frames per second; 12.5 in the published model."""
        return self.sample_rate / self.frame_size

    @property
    def model_id(self) -> int:
        """A fingerprint of what gives codes their meaning: models with equal ones can decode each other's codes."""
        return self._property(c.PROP_MODEL_ID)

    @property
    def memory_bytes(self) -> int:
        """Bytes of the weights in memory."""
        return self._property(c.PROP_MEMORY_BYTES)

    @property
    def precision(self) -> Precision:
        """How the weights are kept."""
        return cast(Precision, name_of(c.OPT_PRECISION, self._property(c.PROP_PRECISION)))

    @property
    def parts(self) -> Parts:
        """The half that was loaded."""
        return cast(Parts, name_of(c.OPT_PARTS, self._property(c.PROP_PARTS)))

    @property
    def isa(self) -> Isa:
        """The instruction set that the kernels use."""
        return cast(Isa, name_of(c.OPT_ISA, self._property(c.PROP_ISA)))

    @property
    def closed(self) -> bool:
        """Whether the model is closed."""
        return self._handle is None

    def close(self) -> None:
        """Lets go of the weights. They are freed with the last call and the last stream that use them."""
        self._handle = None

    def __repr__(self) -> str:
        if self._handle is None:
            return "<libmimi.Model, closed>"
        source = "bytes" if self._origin is None else repr(self._origin[0])
        return f"<libmimi.Model of {source}, {self.total_codebooks} codebooks, {self.precision}>"

    def __reduce__(self) -> tuple[object, ...]:
        if self._origin is None:
            raise TypeError("a model from bytes cannot be pickled: load it from a file")
        return _reload, (type(self), *self._origin, self.model_id)

    def _use(self) -> Handle:
        return usable(self._handle, "model")

    def _property(self, key: int) -> int:
        return read(c.lib.mimi_model_get, self._use(), key)

    def _default_codebooks(self) -> int:
        header = Header.room()
        check(c.lib.mimi_model_header(self._use(), None, ctypes.byref(header)))
        return int(header.codebooks)

    def _width(self, codebooks: int | None) -> int:
        if not self.total_codebooks:
            raise UnsupportedError("the model has no quantizer: it has latents alone")
        if codebooks is None:
            return self.codebooks
        codebooks = number("codebooks", codebooks)
        if codebooks > self.total_codebooks:
            raise ArgumentError(f"codebooks: found {codebooks}, expected at most {self.total_codebooks}")
        return codebooks

    # --- whole recordings

    def encode(
        self,
        pcm: Array,
        *,
        codebooks: int | None = None,
        sample_rate: int | None = None,
        tail: Tail = "audio",
        context: int | None = None,
        threads: int = 1,
    ) -> Codes:
        """Encodes a whole recording.

        `pcm`: float32, or other floats, [samples], mono, full scale -1 to 1.
        `codebooks`: codes in a frame.
        `sample_rate`: that of `pcm`, if it is not the model's: any at which a frame is an even number of samples.
        `tail`: how a last partial frame is completed.
        `context`: how far attention looks back, in steps; any but the checkpoint's gives other codes than everybody's.
        `threads`: threads that share the work. Ctrl-C ends a call with one thread only, after some 10 s of audio.

        Returns int32 [frames, codebooks]; `codes.T` is a view [codebooks, frames], as PyTorch programs have it.
        """
        width = self._width(codebooks)
        options = self._options(width, sample_rate, tail, context)
        return self._encode(arrays.samples(pcm), options, threads, "", width, np.dtype(np.int32))

    def encode_latents(
        self,
        pcm: Array,
        *,
        sample_rate: int | None = None,
        tail: Tail = "audio",
        context: int | None = None,
        threads: int = 1,
    ) -> Floats:
        """Encodes a whole recording to latents, as they enter the quantizer: float32 [frames, latent_dim].

        The arguments are those of `encode`.
        """
        options = self._options(None, sample_rate, tail, context)
        return self._encode(arrays.samples(pcm), options, threads, "_latents", self.latent_dim, np.dtype(np.float32))

    def decode(
        self,
        codes: Array,
        *,
        codebooks: int | None = None,
        sample_rate: int | None = None,
        context: int | None = None,
        threads: int = 1,
    ) -> Floats:
        """Decodes a whole recording.

        `codes`: int32, or other integers, [frames, codebooks]. `NO_CODE` stands for a code that did not arrive.
        `codebooks`: codes in a frame, if they are not `self.codebooks`: a number that is not told by the array, because
        arrays [codebooks, frames] are common.
        The others are those of `encode`.

        Returns float32 [samples], a whole frame for each of `codes`: up to a frame longer than what was encoded.
        """
        width = self._width(codebooks)
        options = self._options(width, sample_rate, "audio", context)
        values = arrays.codes(codes, width)
        try:
            return self._decode(values, options, threads, "", integers)
        except CorruptError:
            raise bad_code(values, self.codebook_size) from None

    def decode_latents(
        self,
        latents: Array,
        *,
        sample_rate: int | None = None,
        context: int | None = None,
        threads: int = 1,
    ) -> Floats:
        """Decodes a whole recording of latents, as they leave the quantizer.

        `latents`: float32, or other floats, [frames, latent_dim]. What is not a number counts as 0.
        Returns float32 [samples].
        """
        options = self._options(None, sample_rate, "audio", context)
        return self._decode(arrays.latents(latents, self.latent_dim), options, threads, "_latents", floats)

    def quantize(self, latents: Array, *, codebooks: int | None = None) -> Codes:
        """Turns latents into codes: of those of `encode_latents`, the codes of `encode`.

        `latents`: float32, or other floats, [frames, latent_dim].
        Returns int32 [frames, codebooks].
        """
        width = self._width(codebooks)
        values = floats(arrays.latents(latents, self.latent_dim))
        room = np.empty((values.shape[0], width), np.int32)
        self._whole(c.lib.mimi_quantize, Options({c.OPT_CODEBOOKS: width}), values, room)
        return room

    def dequantize(self, codes: Array, *, codebooks: int | None = None) -> Floats:
        """Turns codes into latents, of which `decode_latents` makes the audio that `decode` makes of the codes.

        `codes`: int32, or other integers, [frames, codebooks]. Nothing is concealed: a frame without a code that can be
        used is zeros.
        Returns float32 [frames, latent_dim].
        """
        width = self._width(codebooks)
        values = integers(arrays.codes(codes, width))
        room = np.empty((values.shape[0], self.latent_dim), np.float32)
        try:
            self._whole(c.lib.mimi_dequantize, Options({c.OPT_CODEBOOKS: width}), values, room)
        except CorruptError:
            raise bad_code(values, self.codebook_size) from None
        return room

    # --- streams

    def encoder(
        self,
        *,
        codebooks: int | None = None,
        sample_rate: int | None = None,
        tail: Tail = "audio",
        context: int | None = None,
        max_block: int | None = None,
    ) -> Encoder:
        """Opens a stream of audio to codes.

        `max_block`: samples worked on at once, by default a frame; more is faster for long pieces but takes memory.
        The others are those of `encode`.
        """
        width = self._width(codebooks) if self.total_codebooks else None
        options = self._options(width, sample_rate, tail, context, max_block)
        return self._new_encoder(options)

    def decoder(
        self,
        *,
        codebooks: int | None = None,
        sample_rate: int | None = None,
        context: int | None = None,
        max_block: int | None = None,
    ) -> Decoder:
        """Opens a stream of codes to audio. The arguments are those of `encoder`."""
        width = self._width(codebooks) if self.total_codebooks else None
        options = self._options(width, sample_rate, "audio", context, max_block)
        return self._new_decoder(options)

    # --- live audio

    def capture(
        self,
        *,
        codebooks: int | None = None,
        sample_rate: int | None = None,
        context: int | None = None,
        work: Work = "spread",
        offline: bool = False,
    ) -> Capture:
        """Opens a capture: live audio to codes.

        `work`: who encodes: the calls that write audio, in equal shares, or calls of `Capture.work`.
        `offline`: for audio that is not in real time; the calls that write do all work.
        The others are those of `encode`.
        """
        options = self._options(self._width(codebooks), sample_rate, "audio", context)
        options.update({c.OPT_WORK: work, c.OPT_OFFLINE: 1 if offline else None})
        return Capture(self._stream(c.lib.mimi_capture_new, options, c.lib.mimi_capture_free))

    def playback(
        self,
        *,
        codebooks: int | None = None,
        sample_rate: int | None = None,
        context: int | None = None,
        work: Work = "spread",
        offline: bool = False,
        buffer_frames: int | None = None,
    ) -> Playback:
        """Opens a playback: live codes to audio.

        `work`: who decodes: the calls that read audio, in equal shares, or calls of `Playback.work`.
        `offline`: for audio that is not in real time; nothing is concealed or late.
        `buffer_frames`: the frames that wait before it starts, 1 to 64; by default 2.
        The others are those of `encode`.
        """
        options = self._options(self._width(codebooks), sample_rate, "audio", context)
        options.update({c.OPT_WORK: work, c.OPT_OFFLINE: 1 if offline else None, c.OPT_BUFFER_FRAMES: buffer_frames})
        return Playback(self._stream(c.lib.mimi_playback_new, options, c.lib.mimi_playback_free))

    # --- files

    def header(self, *, codebooks: int | None = None, sample_rate: int | None = None, samples: int = 0) -> Header:
        """The header of a token file for the codes that calls with these options give.

        `samples`: the length of the recording at `sample_rate`; 0 if it is unknown.
        """
        handle, bag = self._use(), Options(self._options(self._width(codebooks), sample_rate, "audio", None))
        raw = Header.room()
        check(c.lib.mimi_model_header(handle, bag.pointer, ctypes.byref(raw)))
        return replace(Header.of(raw), samples=number("samples", samples, 0))

    def encode_files(
        self,
        paths: Iterable[str | os.PathLike[str]],
        *,
        threads: int | None = None,
        codebooks: int | None = None,
        tail: Tail = "audio",
        on_error: Callable[[str, Exception], None] | None = None,
    ) -> Generator[EncodedFile, None, None]:
        """Encodes recordings on several threads, and gives their codes in the order of `paths`.

        Any format and rate that `soundfile` reads, which `pip install libmimi[audio]` brings; channels are averaged. A
        file is read in blocks, never as a whole. Rates that a stream cannot have are converted by `soxr`.

        `threads`: how many; by default as many as this process may use cores.
        `on_error`: called with the path and the error of a file that cannot be encoded, which is then left out. Without
        it the error is raised when it is the file's turn, and the generator ends.
        """
        return encode_files(self, paths, threads=threads, codebooks=codebooks, tail=tail, on_error=on_error)

    # --- within

    @staticmethod
    def _options(
        codebooks: int | None,
        sample_rate: int | None,
        tail: Tail,
        context: int | None,
        max_block: int | None = None,
    ) -> dict[int, Value]:
        return {
            c.OPT_CODEBOOKS: codebooks,
            c.OPT_SAMPLE_RATE: sample_rate,
            c.OPT_TAIL: tail,
            c.OPT_CONTEXT: context,
            c.OPT_MAX_BLOCK: max_block,
        }

    def _stream(self, new: Callable[..., int], options: dict[int, Value], free: Callable[[int | None], Any]) -> Handle:
        handle = self._use()
        bag = Options(options)
        return make(lambda out: new(handle, bag.pointer, out), check, free)

    def _whole(
        self, call: Callable[..., int], options: Options, values: npt.NDArray[Any], room: npt.NDArray[Any]
    ) -> int:
        handle, written = self._use(), ctypes.c_size_t()
        check(
            call(
                handle,
                options.pointer,
                address(values),
                values.size,
                address(room),
                room.size,
                ctypes.byref(written),
            )
        )
        return written.value

    def _size(self, call: Callable[..., int], options: Options, count: int) -> int:
        handle, size = self._use(), ctypes.c_size_t()
        check(call(handle, options.pointer, count, ctypes.byref(size)))
        return size.value

    def _blocks(self, options: dict[int, Value], open_: Callable[..., Any]) -> Any:
        """A stream that is as fast on long pieces as a call for a whole recording."""
        many = min(_FRAMES * self.frame_size, _MOST_BLOCK)
        try:
            return open_({**options, c.OPT_MAX_BLOCK: many})
        except ArgumentError:  # a network whose frames take too much memory for so many of them
            return open_(options)

    def _long_encoder(self, codebooks: int | None, sample_rate: int, tail: Tail = "audio") -> Encoder:
        """As `encoder`, for a whole recording."""
        options = self._options(self._width(codebooks), sample_rate, tail, None)
        encoder: Encoder = self._blocks(options, self._new_encoder)
        return encoder

    def _encode(
        self,
        pcm: npt.NDArray[Any],
        options: dict[int, Value],
        threads: int,
        kind: str,
        width: int,
        dtype: np.dtype[Any],
    ) -> npt.NDArray[Any]:
        bag = Options({**options, c.OPT_THREADS: threads})
        size = self._size(getattr(c.lib, f"mimi_{'latents' if kind else 'codes'}_for"), bag, pcm.size)
        room = np.empty((size // width, width), dtype)
        if threads != 1 or room.shape[0] <= _BLOCK:
            written = self._whole(getattr(c.lib, f"mimi_encode{kind}"), bag, floats(pcm), room)
            return room[: written // width]
        with self._blocks(options, self._new_encoder) as encoder:
            process, flush = getattr(encoder, f"process{kind}"), getattr(encoder, f"flush{kind}")
            done, step = 0, _BLOCK * encoder.frame_size
            for at in range(0, pcm.size, step):
                piece = process(pcm[at : at + step])
                room[done : done + len(piece)] = piece
                done += len(piece)
            room[done:] = flush()
        return room

    def _decode(
        self,
        values: npt.NDArray[Any],
        options: dict[int, Value],
        threads: int,
        kind: str,
        convert: Callable[[npt.NDArray[Any]], npt.NDArray[Any]],
    ) -> Floats:
        bag = Options({**options, c.OPT_THREADS: threads})
        size = self._size(getattr(c.lib, f"mimi_samples_for{kind}"), bag, values.size)
        room = np.empty(size, np.float32)
        if threads != 1 or values.shape[0] <= _BLOCK:
            return room[: self._whole(getattr(c.lib, f"mimi_decode{kind}"), bag, convert(values), room)]
        with self._blocks(options, self._new_decoder) as decoder:
            process, done = getattr(decoder, f"process{kind}"), 0
            for at in range(0, values.shape[0], _BLOCK):
                piece = process(values[at : at + _BLOCK])
                room[done : done + piece.size] = piece
                done += piece.size
            room[done:] = decoder.flush()
        return room

    def _new_encoder(self, options: dict[int, Value]) -> Encoder:
        return Encoder(self._stream(c.lib.mimi_encoder_new, options, c.lib.mimi_encoder_free))

    def _new_decoder(self, options: dict[int, Value]) -> Decoder:
        return Decoder(self._stream(c.lib.mimi_decoder_new, options, c.lib.mimi_decoder_free))


def _load_options(precision: Precision, parts: Parts, codebooks: int | None, isa: Isa) -> Options:
    return Options(
        {c.OPT_PRECISION: precision, c.OPT_PARTS: parts, c.OPT_CODEBOOKS: codebooks, c.OPT_ISA: isa},
    )


def _resolve(source: str | os.PathLike[str]) -> str:
    """The path of a model: a path that is there, or that of a name in the cache."""
    try:
        path = os.fsdecode(source)
    except TypeError as error:
        raise ArgumentTypeError(f"source: found {type(source).__name__}, expected a path or a name") from error
    if "\0" in path:
        raise ArgumentError(f"source: found a NUL in {path!r}")
    if isinstance(source, str) and not os.path.lexists(path) and _hub.is_name(path):
        found = _hub.find(path)
        if found is None:
            raise NotFoundError(
                f"{path}: no such file or folder, and no such model in {_hub.cache()}; `mimi fetch {path}` brings it",
                path,
            )
        return str(found)
    return path


def _reload(kind: type[Model], path: str, options: dict[str, Any], model_id: int) -> Model:
    """The model of another process."""
    model = kind(path, **options)
    if model.model_id != model_id:
        raise FormatError(f"{path}: found another model than the one that was pickled")
    return model
