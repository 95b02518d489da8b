"""Arrays of every make and layout: the same codes, and no copy where none is needed."""

from __future__ import annotations

import array
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import libmimi
from libmimi import Floats, Model
from libmimi._arrays import codes as codes_of
from libmimi._arrays import floats, integers, samples


class DLPackOnly:
    """An array that speaks DLPack and nothing else."""

    def __init__(self, values: Any) -> None:
        self.values = values

    def __dlpack__(self, **arguments: Any) -> Any:
        return self.values.__dlpack__(**arguments)

    def __dlpack_device__(self) -> tuple[int, int]:
        device: tuple[int, int] = self.values.__dlpack_device__()
        return device


def unaligned(values: Floats) -> Any:
    """The same values at an odd address."""
    raw = np.empty(values.nbytes + 1, np.uint8)
    raw[1:] = values.view(np.uint8)
    moved = raw[1:].view(np.float32)
    assert not moved.flags.aligned
    return moved


LAYOUTS: dict[str, Callable[[Floats], Any]] = {
    "float64": lambda pcm: pcm.astype(np.float64),
    "big-endian": lambda pcm: pcm.astype(">f4"),
    "strided": lambda pcm: np.repeat(pcm, 2)[::2],
    "negative strides": lambda pcm: pcm[::-1].copy()[::-1],
    "unaligned": unaligned,
    "read-only": lambda pcm: np.frombuffer(pcm.tobytes(), np.float32),
    "one channel": lambda pcm: pcm[None],
    "one channel last": lambda pcm: pcm[:, None],
    "[1, 1, samples]": lambda pcm: pcm[None, None],
    "buffer": lambda pcm: array.array("f", pcm.tobytes()),
    "memoryview": memoryview,
    "list": lambda pcm: pcm.tolist(),
    "DLPack": lambda pcm: DLPackOnly(pcm.copy()),
    "Fortran": lambda pcm: np.asfortranarray(pcm[None]),
    "subclass": lambda pcm: np.ma.masked_array(pcm),  # type: ignore[no-untyped-call]
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout_gives_the_same_codes(tiny: Model, speech: Floats, layout: str) -> None:
    pcm = speech[:10_000]
    expected = tiny.encode(pcm)
    other = LAYOUTS[layout](pcm)
    assert np.array_equal(tiny.encode(other), expected)
    with tiny.encoder() as encoder:
        assert np.array_equal(np.concatenate([encoder.process(other), encoder.flush()]), expected)


@pytest.mark.parametrize(
    "dtype", [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64, ">i4"]
)
def test_any_integers_are_codes(tiny: Model, speech: Floats, dtype: Any) -> None:
    codes = tiny.encode(speech[:10_000])
    expected = tiny.decode(codes)
    assert np.array_equal(tiny.decode(codes.astype(dtype)), expected)
    assert np.array_equal(tiny.decode(codes.astype(dtype).T.copy().T), expected)
    assert np.array_equal(tiny.decode(codes[::-1].astype(dtype)[::-1]), expected)
    assert np.array_equal(tiny.decoder().process(codes[0].astype(dtype)), expected[:1920])
    assert np.array_equal(tiny.decode(codes.tolist()), expected)


def test_no_copy_is_made_where_none_is_needed(speech: Floats) -> None:
    assert np.shares_memory(floats(samples(speech)), speech)
    assert np.shares_memory(floats(samples(DLPackOnly(speech.copy()).values)), speech) is False
    buffer = array.array("f", [0.0, 1.0])
    assert floats(samples(buffer)).__array_interface__["data"][0] == buffer.buffer_info()[0]
    for dtype in (np.int32, np.uint32):
        codes = np.zeros((3, 6), dtype)
        assert np.shares_memory(integers(codes_of(codes, 6)), codes)
    shared = DLPackOnly(speech.copy())
    assert np.shares_memory(floats(samples(shared)), shared.values)


def test_what_a_subclass_says_of_its_address_is_not_believed(tiny: Model, speech: Floats) -> None:
    class Wild(np.ndarray):  # type: ignore[type-arg]
        @property
        def __array_interface__(self) -> Any:
            return {"data": (16, True), "shape": self.shape, "typestr": "<f4", "version": 3}

    assert np.array_equal(tiny.encode(speech[:5000].view(Wild)), tiny.encode(speech[:5000]))


def test_results_are_the_callers(tiny: Model, speech: Floats) -> None:
    with tiny.encoder() as encoder, tiny.decoder() as decoder:
        first = encoder.process(speech[:1920])
        kept = first.copy()
        audio = decoder.process(first)
        heard = audio.copy()
        encoder.process(speech[1920:3840])
        decoder.process(first[::-1])
        assert np.array_equal(first, kept)
        assert np.array_equal(audio, heard)
        first[:] = 0
        audio[:] = 0


def test_numbers_that_are_none_count_as_zero(tiny: Model) -> None:
    wild = np.array([np.nan, np.inf, -np.inf, 1e300] * 1000)
    assert np.array_equal(tiny.encode(wild), tiny.encode(np.zeros(4000, np.float32)))
    assert np.array_equal(tiny.decode_latents(np.full((2, 32), np.nan)), tiny.decode_latents(np.zeros((2, 32))))


def test_what_claims_to_be_huge(tiny: Model) -> None:
    huge = np.broadcast_to(np.float32(0), 2**50)
    with pytest.raises(MemoryError):
        tiny.encode(huge)
    with pytest.raises(MemoryError):
        tiny.decode(np.broadcast_to(np.int32(0), (2**45, 6)))
    with pytest.raises(MemoryError):
        tiny.decoder().conceal(2**40)
    with pytest.raises(libmimi.ArgumentError):
        tiny.decoder().conceal(2**63)
    with pytest.raises((MemoryError, ValueError)):
        tiny.decoder().conceal(2**62)
    with pytest.raises((MemoryError, ValueError)):
        tiny.playback().read(2**62)


def test_arrays_whose_conversion_fails_or_does_harm(tiny: Model) -> None:
    class Fails:
        def __array__(self, *arguments: Any, **more: Any) -> Any:
            raise RuntimeError("no")

    encoder = tiny.encoder()

    class Closes:
        def __array__(self, *arguments: Any, **more: Any) -> Any:
            encoder.close()
            return np.zeros(5000, np.float32)

    with pytest.raises(libmimi.ArgumentTypeError, match="pcm: no"):
        encoder.process(Fails())  # type: ignore[arg-type]
    with pytest.raises(libmimi.StateError, match="closed"):
        encoder.process(Closes())


def test_tensors_of_torch() -> None:
    torch = pytest.importorskip("torch", reason="NOT CHECKED: torch is not installed")
    pcm = torch.zeros(1, 1, 1920)
    assert floats(samples(pcm)).__array_interface__["data"][0] == pcm.data_ptr()
    codes = torch.zeros(3, 6, dtype=torch.int32)
    assert integers(codes_of(codes, 6)).__array_interface__["data"][0] == codes.data_ptr()
    with pytest.raises(libmimi.ArgumentTypeError, match="grad"):
        samples(torch.zeros(10, requires_grad=True))
