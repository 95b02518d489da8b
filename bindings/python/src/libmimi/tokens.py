"""Token files, `.mtok`: codes as bytes, with a header that says what they are. No model is needed to read them.

    tokens.write("speech.mtok", codes, model.header(samples=len(pcm)))
    header, codes = tokens.read("speech.mtok")

The format is written down, byte by byte, at mimi_pack_header() in mimi.h.
"""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from typing import BinaryIO, Union

import numpy as np
import numpy.typing as npt

from . import _library as c
from ._arrays import Array, Codes, address, integers, view
from ._errors import ArgumentError, ArgumentTypeError, CorruptError, check, check_real_time, of
from ._options import number

__all__ = ["Header", "drop_codebooks", "pack", "pack_header", "read", "unpack", "unpack_header", "write"]

Bytes = Union[bytes, bytearray, memoryview]
_MOST_CODE_BITS = 16


@dataclass(frozen=True)
class Header:
    """What a reader of a token file must know before the first frame. `Model.header()` fills it in."""

    sample_rate: int
    """Samples per second. It is the recording's, unless `original_rate` is another."""
    frame_size: int
    """Samples in a frame at this rate; the frame rate is `sample_rate / frame_size`, exactly."""
    codebooks: int
    """Codes in a frame, 1 to 64."""
    code_bits: int
    """Bits of a code, 1 to 16."""
    samples: int = 0
    """The length of the recording at `sample_rate`; the last frame may reach beyond it. 0: unknown."""
    model_id: int = 0
    """`Model.model_id` of the model that the codes belong to. 0: unknown."""
    original_rate: int = 0
    """The rate of the recording, if a frame is not a whole number of samples at that rate. 0: `sample_rate`."""
    original_samples: int = 0
    """The length of the recording at `original_rate`. 0: unknown, or `original_rate` is 0."""

    @property
    def frames(self) -> int:
        """The frames of a whole file; 0 if the length is unknown."""
        return -(-self.samples // self.frame_size)

    @property
    def frame_bytes(self) -> int:
        """The bytes of a packed frame."""
        return -(-self.codebooks * self.code_bits // 8)

    def samples_at(self, sample_rate: int) -> int:
        """The length of the recording at another rate, to cut decoded audio there. 0: unknown."""
        raw, samples = self.raw(), ctypes.c_int64()
        rate = number("sample_rate", sample_rate)
        check(c.lib.mimi_header_samples(ctypes.byref(raw), rate, ctypes.byref(samples)))
        return samples.value

    @staticmethod
    def room() -> c.TokenHeader:
        """An empty mimi_token_header, for a call that fills it in."""
        return c.TokenHeader(size=ctypes.sizeof(c.TokenHeader))

    @classmethod
    def of(cls, raw: c.TokenHeader) -> Header:
        """The numbers of a mimi_token_header."""
        return cls(
            sample_rate=int(raw.sample_rate),
            frame_size=int(raw.frame_samples),
            codebooks=int(raw.codebooks),
            code_bits=int(raw.code_bits),
            samples=int(raw.n_samples),
            model_id=int(raw.model_id),
            original_rate=int(raw.original_rate),
            original_samples=int(raw.original_samples),
        )

    def raw(self) -> c.TokenHeader:
        """The numbers as a mimi_token_header."""
        return c.TokenHeader(
            size=ctypes.sizeof(c.TokenHeader),
            sample_rate=number("sample_rate", self.sample_rate, 0),
            frame_samples=number("frame_size", self.frame_size, 0),
            n_samples=number("samples", self.samples, 0),
            codebooks=number("codebooks", self.codebooks, 0),
            code_bits=number("code_bits", self.code_bits, 0),
            model_id=number("model_id", self.model_id, 0),
            original_rate=number("original_rate", self.original_rate, 0),
            original_samples=number("original_samples", self.original_samples, 0),
        )


def pack_header(header: Header) -> bytes:
    """The bytes with which a token file begins."""
    raw, written = header.raw(), ctypes.c_size_t()
    room = np.empty(64, np.uint8)
    check(c.lib.mimi_pack_header(ctypes.byref(raw), address(room), room.size, ctypes.byref(written)))
    return room[: written.value].tobytes()


def unpack_header(data: Bytes) -> tuple[Header, int]:
    """The header of a token file, and its length in bytes, where the first frame begins."""
    source, raw = _bytes(data), Header.room()
    check(c.lib.mimi_unpack_header(address(source), source.size, ctypes.byref(raw)))
    return Header.of(raw), int(raw.header_bytes)


def pack(codes: Array, code_bits: int) -> bytes:
    """Codes as bytes: each frame in ceil(codebooks * code_bits / 8) of them.

    `codes`: integers [frames, codebooks], or [codebooks] for one frame.
    `code_bits`: bits of a code, 1 to 16: `Model.code_bits`.
    """
    array = view("codes", codes)
    if array.dtype.kind not in "iu":
        raise ArgumentTypeError(f"codes: found {array.dtype}, expected integers")
    if array.ndim == 1:
        array = array.reshape(1, -1)
    if array.ndim != 2:
        raise ArgumentError(f"codes: found shape {array.shape}, expected [frames, codebooks]")
    frames, codebooks = array.shape
    bits = _bits(code_bits)
    values, written = integers(array), ctypes.c_size_t()
    room = np.empty(frames * -(-codebooks * bits // 8), np.uint8)
    if room.size == 0 and 1 <= codebooks <= 64:
        return b""
    status = c.lib.mimi_pack(
        address(values), values.size, codebooks, bits, address(room), room.size, ctypes.byref(written)
    )
    if status == c.CORRUPT:
        raise of(status, f"codes: found {max(values.view(np.uint32).flat)}, expected codes below {1 << bits}")
    _check_frames(status, codebooks)
    return room.tobytes()


def unpack(data: Bytes, codebooks: int, code_bits: int) -> Codes:
    """The codes of whole frames of bytes, int32 [frames, codebooks]."""
    source, written = _bytes(data), ctypes.c_size_t()
    codebooks, bits = number("codebooks", codebooks), _bits(code_bits)
    frame = -(-codebooks * bits // 8)
    if source.size % frame:
        raise ArgumentError(f"data: found {source.size} bytes, expected whole frames of {frame}")
    room = np.empty((source.size // frame, codebooks), np.int32)
    status = c.lib.mimi_unpack(
        address(source), source.size, codebooks, bits, address(room), room.size, ctypes.byref(written)
    )
    _check_frames(status, codebooks)
    return room


def drop_codebooks(data: Bytes, codebooks: int, code_bits: int, keep: int) -> bytes:
    """The first codebooks of packed frames: the same bytes as packing fewer codes.

    `data`: whole frames. `keep`: codebooks to keep. The header of a file must say this number, too.
    """
    source, written = _bytes(data).copy(), ctypes.c_size_t()
    codebooks, bits, keep = number("codebooks", codebooks), _bits(code_bits), number("keep", keep)
    if keep > codebooks:
        raise ArgumentError(f"keep: found {keep}, expected at most {codebooks}")
    frame = -(-codebooks * bits // 8)
    if source.size % frame:
        raise ArgumentError(f"data: found {source.size} bytes, expected whole frames of {frame}")
    status = c.lib.mimi_drop_codebooks(address(source), source.size, codebooks, bits, keep, ctypes.byref(written))
    _check_frames(status, codebooks)
    return bytes(source[: written.value])


def write(target: str | os.PathLike[str] | BinaryIO, codes: Array, header: Header) -> None:
    """Writes a token file.

    `target`: a path, at which nothing is seen before the file is whole, or a binary file that is open for writing.
    `codes`: integers [frames, header.codebooks].
    """
    first = pack_header(header)
    array = view("codes", codes)
    if array.ndim != 2 or array.shape[1] != header.codebooks:
        raise ArgumentError(f"codes: found shape {array.shape}, expected [frames, {header.codebooks}]")
    if header.samples and array.shape[0] != header.frames:
        raise ArgumentError(f"codes: found {len(array)} frames, expected {header.frames} for {header.samples} samples")
    data = first + pack(array, header.code_bits)
    if not isinstance(target, (str, os.PathLike)):
        target.write(data)
        return
    path = os.fspath(target)
    new = f"{path}.{os.getpid()}.new"
    with open(new, "xb") as file:
        try:
            file.write(data)
            file.close()
            os.replace(new, path)
        except BaseException:
            os.unlink(new)
            raise


def read(source: str | os.PathLike[str] | BinaryIO, *, partial: bool = False) -> tuple[Header, Codes]:
    """Reads a token file: its header, and its codes, int32 [frames, codebooks].

    `source`: a path, or a binary file that is open for reading.
    `partial`: take a file that breaks off, with the frames that are whole; otherwise it is a CorruptError.
    """
    if isinstance(source, (str, os.PathLike)):
        with open(source, "rb") as file:
            data = file.read()
    else:
        data = source.read()
    header, begin = unpack_header(data)
    frames, rest = divmod(len(data) - begin, header.frame_bytes)
    if not partial and (rest or (header.samples and frames != header.frames)):
        found = f"{frames} frames" + (f" and {rest} bytes" if rest else "")
        raise CorruptError(f"token file: found {found}, expected {header.frames or 'whole'} frames")
    end = begin + (min(frames, header.frames) if header.samples else frames) * header.frame_bytes
    return header, unpack(memoryview(data)[begin:end], header.codebooks, header.code_bits)


def _bits(code_bits: int) -> int:
    bits = number("code_bits", code_bits)
    if bits > _MOST_CODE_BITS:
        raise ArgumentError(f"code_bits: found {bits}, expected at most {_MOST_CODE_BITS}")
    return bits


def _bytes(data: Bytes) -> npt.NDArray[np.uint8]:
    try:
        return np.frombuffer(data, np.uint8)
    except (TypeError, ValueError, BufferError) as error:
        raise ArgumentTypeError(f"data: {error}") from error


def _check_frames(status: int, codebooks: int) -> None:
    if status == c.INVALID_ARGUMENT:
        raise ArgumentError(f"codebooks: found {codebooks}, expected 1 to 64")
    check_real_time(status)
