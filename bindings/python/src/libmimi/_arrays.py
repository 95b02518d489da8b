"""Arrays in and out: from NumPy, PyTorch, JAX and others without copies, where their numbers are those of mimi.h."""

from __future__ import annotations

from typing import Any, Final, Protocol, Union, cast

import numpy as np
import numpy.typing as npt

from ._errors import ArgumentError, ArgumentTypeError

Floats = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int32]

NO_CODE: Final = -1
"""A code that did not arrive, in the input of decoders and playbacks."""

_MOST_CODE: Final = 2**31 - 1
_F32: Final = np.dtype(np.float32)
_I32: Final = np.dtype(np.int32)
_U32: Final = np.dtype(np.uint32)


class SupportsDLPack(Protocol):
    """An array on the CPU of any library that speaks DLPack."""

    def __dlpack__(self, *, stream: Any = ...) -> Any: ...

    def __dlpack_device__(self) -> tuple[int, int]: ...


Array = Union[npt.ArrayLike, SupportsDLPack]
"""What functions take: NumPy arrays, tensors, buffers, and lists of numbers."""


def view(name: str, values: Array) -> npt.NDArray[Any]:
    """`values` as a NumPy array of their own type, without a copy if they are an array on the CPU."""
    if type(values) is np.ndarray:  # of a subclass the plain array, whatever else the class says of itself
        return cast("npt.NDArray[Any]", values)
    try:
        if hasattr(values, "__dlpack__") and not hasattr(values, "__array__"):
            return np.from_dlpack(cast(Any, values))
        return np.asarray(values)
    except MemoryError:
        raise
    except Exception as error:  # whatever the other library says
        raise ArgumentTypeError(f"{name}: {error}") from error


def samples(values: Array) -> npt.NDArray[Any]:
    """Mono audio as an array of one dimension, of any floats."""
    pcm = view("pcm", values)
    if pcm.dtype.kind != "f":
        hint = ": divide it by its full scale" if pcm.dtype.kind in "iu" else ""
        raise ArgumentTypeError(f"pcm: found {pcm.dtype}, expected floats from -1 to 1{hint}")
    if pcm.ndim == 1:
        return pcm
    if pcm.ndim == 0 or sum(length != 1 for length in pcm.shape) > 1:
        raise ArgumentError(f"pcm: found shape {pcm.shape}, expected mono samples, of one dimension")
    return pcm.reshape(-1)


def floats(values: npt.NDArray[Any]) -> Floats:
    """The values as mimi.h wants them; a copy only if they are not so yet."""
    if values.dtype is _F32 or values.dtype == _F32:
        flags = values.flags
        if flags.c_contiguous and flags.aligned:
            return values
    with np.errstate(over="ignore"):  # the library takes infinity as 0
        return np.array(values, dtype=np.float32, order="C")


def latents(values: Array, dim: int) -> npt.NDArray[Any]:
    """Latents as an array [frames, dim] of any floats."""
    array = view("latents", values)
    if array.dtype.kind != "f":
        raise ArgumentTypeError(f"latents: found {array.dtype}, expected floats")
    if array.ndim == 1 and array.shape[0] == dim:
        return array.reshape(1, dim)
    if array.ndim != 2 or array.shape[1] != dim:
        raise ArgumentError(f"latents: found shape {array.shape}, expected [frames, {dim}], or [{dim}] for one frame")
    return array


def codes(values: Array, codebooks: int) -> npt.NDArray[Any]:
    """Codes as an array [frames, codebooks] of any integers."""
    array = view("codes", values)
    if array.dtype.kind not in "iu":
        raise ArgumentTypeError(f"codes: found {array.dtype}, expected integers")
    if array.ndim == 1 and array.shape[0] == codebooks:
        return array.reshape(1, codebooks)
    if array.ndim != 2 or array.shape[1] != codebooks:
        hint = ""
        if array.ndim == 2:
            transposed = array.shape[0] == codebooks
            hint = "; transpose it" if transposed else f"; codebooks={array.shape[1]} is for others"
        raise ArgumentError(
            f"codes: found shape {array.shape}, expected [frames, {codebooks}], or [{codebooks}] for one frame{hint}"
        )
    return array


def integers(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The codes as mimi.h wants them; a copy only if they are not so yet."""
    if values.dtype == _I32 or values.dtype == _U32:
        flags = values.flags
        if flags.c_contiguous and flags.aligned:
            return values
        return np.array(values, order="C")
    if values.size and values.dtype.itemsize >= 4:
        least, most = int(values.min()), int(values.max())
        if least < NO_CODE or most > _MOST_CODE:
            wrong = least if least < NO_CODE else most
            raise ArgumentError(f"codes: found {wrong}, expected codes of the model, or {NO_CODE} for none")
    return np.array(values, dtype=np.int32, order="C")


def address(array: npt.NDArray[Any]) -> int:
    """Where an array begins."""
    where: int = array.__array_interface__["data"][0]
    return where
