"""Options by name, as the numbers of mimi.h."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Final, Literal, SupportsIndex, Union

from . import _library as c
from ._errors import ArgumentError, ArgumentTypeError, OutOfMemoryError, check

Precision = Literal["f32", "bf16", "int8"]
"""How weights are kept: as in the checkpoint, or rounded to bfloat16 or to 8 bits."""

Parts = Literal["both", "encoder", "decoder"]
"""Which half of a model to load."""

Tail = Literal["audio", "layer"]
"""How a last partial frame is completed: the waveform is padded, as moshi does, or each layer, as transformers does."""

Isa = Literal["auto", "baseline", "avx2", "avx512", "neon"]
"""The instruction set that the kernels use."""

Work = Literal["spread", "other"]
"""Who does the work of a capture or a playback: the audio calls, in equal shares, or calls of work()."""

_CHOICES: Final[dict[int, tuple[str, ...]]] = {
    c.OPT_PRECISION: ("f32", "bf16", "int8"),
    c.OPT_PARTS: ("both", "encoder", "decoder"),
    c.OPT_TAIL: ("audio", "layer"),
    c.OPT_ISA: ("auto", "baseline", "avx2", "avx512", "neon"),
    c.OPT_WORK: ("spread", "other"),
}
_NAMES: Final[dict[int, str]] = {
    c.OPT_CODEBOOKS: "codebooks",
    c.OPT_SAMPLE_RATE: "sample_rate",
    c.OPT_MAX_BLOCK: "max_block",
    c.OPT_PRECISION: "precision",
    c.OPT_PARTS: "parts",
    c.OPT_TAIL: "tail",
    c.OPT_CONTEXT: "context",
    c.OPT_THREADS: "threads",
    c.OPT_ISA: "isa",
    c.OPT_WORK: "work",
    c.OPT_OFFLINE: "offline",
    c.OPT_BUFFER_FRAMES: "buffer_frames",
}

Value = Union[SupportsIndex, str, None]


def name_of(key: int, value: int) -> str:
    """The name of a choice."""
    return _CHOICES[key][value]


def number(name: str, value: object, least: int = 1) -> int:
    """A whole number that is an argument."""
    try:
        found = operator.index(value)  # type: ignore[arg-type]
    except TypeError as error:
        raise ArgumentTypeError(f"{name}: found {value!r}, expected a whole number") from error
    if not least <= found < 2**63:
        raise ArgumentError(f"{name}: found {found}, expected {least} or more")
    return found


def _number_of(key: int, value: Value) -> int:
    name = _NAMES[key]
    if key not in _CHOICES:
        return number(name, value)
    if value not in _CHOICES[key]:
        raise ArgumentError(f"{name}: found {value!r}, expected one of {', '.join(map(repr, _CHOICES[key]))}")
    return _CHOICES[key].index(str(value))


class Options:
    """A bag of options, freed with its Python object. None leaves an option at its default."""

    __slots__ = ("pointer",)

    def __init__(self, values: Mapping[int, Value]) -> None:
        self.pointer: int | None = None
        given = {key: _number_of(key, value) for key, value in values.items() if value is not None}
        if not given:
            return
        self.pointer = c.lib.mimi_options_new()
        if self.pointer is None:
            raise OutOfMemoryError("no memory for options")
        for key, value in given.items():
            check(c.lib.mimi_options_set(self.pointer, key, value))

    def __del__(self) -> None:
        if self.pointer is not None:
            c.lib.mimi_options_free(self.pointer)
            self.pointer = None
