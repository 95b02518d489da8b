"""The handles of mimi.h, and who may use one at a time."""

from __future__ import annotations

import ctypes
import itertools
import os
import threading
import weakref
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Final, Protocol

from . import _library as c
from ._errors import ArgumentError, StateError, check_real_time

if TYPE_CHECKING:
    from typing_extensions import Self  # for type checkers, which bring it

_numbers: Final = itertools.count()


class Forkable(Protocol):
    """What has locks that another thread may hold while the process is forked."""

    def forked(self) -> None:
        """Called in the new process."""


_forkable: Final[weakref.WeakSet[Forkable]] = weakref.WeakSet()


def when_forked(owner: Forkable) -> None:
    """Lets `owner` know of forks as long as it lives."""
    _forkable.add(owner)


def _after_fork() -> None:
    for owner in list(_forkable):
        owner.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class Handle:
    """A C object, which is freed with this Python object.

    Calls take the handle itself, whose pointer ctypes reads: so it lives as long as each call that uses it, and closing
    an object only lets go of its handle. In a cycle that is collected, it may be finalised before an object that comes
    to life again: then there is no pointer any more.
    """

    __slots__ = ("_as_parameter_", "_free")

    def __init__(self, pointer: int, free: Callable[[int | None], Any]) -> None:
        self._as_parameter_: int | None = pointer
        self._free = free

    def __del__(self) -> None:
        pointer, self._as_parameter_ = self._as_parameter_, None
        self._free(pointer)

    @property
    def pointer(self) -> int | None:
        """Where the C object is, for arrays of pointers."""
        return self._as_parameter_


def usable(handle: Handle | None, name: str) -> Handle:
    """The handle, if it is there."""
    if handle is None or handle.pointer is None:
        raise StateError(f"the {name} is closed")
    return handle


def make(call: Callable[[Any], int], raises: Callable[[int], None], free: Callable[[int | None], Any]) -> Handle:
    """The handle that `call` puts into its argument."""
    out = ctypes.c_void_p()
    raises(call(ctypes.byref(out)))
    assert out.value is not None, "a call that made nothing and did not fail"
    return Handle(out.value, free)


def read(get: Callable[[Handle, int, Any], int], handle: Handle, key: int) -> int:
    """A property of a handle."""
    value = ctypes.c_int64()
    check_real_time(get(handle, key, ctypes.byref(value)))
    return value.value


class Closable:
    """What is closed at the end of a `with` block."""

    def close(self) -> None:
        """Lets go of what it stands for. More calls do nothing."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Made(Closable):
    """What models make: streams, captures and playbacks. Each has a state of its own."""

    _kind: str
    _get: Callable[[Handle, int, Any], int]
    _reset: Callable[[Handle], int]

    def _own(self, handle: object) -> Handle:
        """The argument of a constructor."""
        if not isinstance(handle, Handle):
            raise TypeError(f"a model makes it: Model.{self._kind}()")
        return handle

    def _property(self, key: int) -> int:
        raise NotImplementedError

    @property
    def latency(self) -> int:
        """Samples by which an audio host delays the dry signal to line it up."""
        return self._property(c.PROP_LATENCY_SAMPLES)

    @property
    def memory_bytes(self) -> int:
        """Bytes of its state, without the model's weights."""
        return self._property(c.PROP_MEMORY_BYTES)

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError(f"{type(self).__name__} cannot be pickled: it has a state of its own; pickle its model")


class Turns:
    """Gives a stream to one call at a time: whoever holds `lock` may use `handle()`."""

    __slots__ = ("__weakref__", "_broken", "_handle", "_name", "lock", "number")

    def __init__(self, handle: Handle, name: str) -> None:
        self._handle: Handle | None = handle
        self._name = name
        self._broken = False
        self.lock = threading.Lock()
        self.number = next(_numbers)
        when_forked(self)

    def handle(self, *, broken: bool = False) -> Handle:
        """The handle; `broken` is for calls that take a stream in any state."""
        if self._broken and not broken:
            raise StateError(f"the {self._name} was in use by another thread when the process was forked: reset it")
        return usable(self._handle, self._name)

    def mended(self) -> None:
        """Says that the stream is as new."""
        self._broken = False

    def close(self) -> None:
        """Waits for the call whose turn it is, and frees the handle."""
        with self.lock:
            self._handle = None

    @property
    def closed(self) -> bool:
        """Whether the handle is gone."""
        return self._handle is None

    def forked(self) -> None:
        """In a new process: a call that another thread was in will never end here."""
        if self.lock.locked():
            self.lock = threading.Lock()
            self._broken = True


@contextmanager
def all_turns(streams: Sequence[Turns]) -> Generator[list[Handle], None, None]:
    """The handles of several streams, locked in one order for all callers, so that no two wait for each other."""
    ordered = sorted(streams, key=lambda turns: turns.number)
    if any(one is other for one, other in zip(ordered, ordered[1:])):
        raise ArgumentError("the same stream twice")
    with ExitStack() as stack:
        for turns in ordered:
            stack.enter_context(turns.lock)
        yield [turns.handle() for turns in streams]
