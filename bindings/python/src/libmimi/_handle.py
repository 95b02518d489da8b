"""The handles of mimi.h, and who may use one at a time."""

from __future__ import annotations

import ctypes
import itertools
import os
import threading
import weakref
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Callable, Final

from ._errors import ArgumentError, StateError, check_real_time

_numbers: Final = itertools.count()


class Handle:
    """A C object, which is freed with this Python object.

    Every call holds a reference to the handle that it uses, so that nothing is freed below a call: closing an object
    only lets go of its handle.
    """

    __slots__ = ("_free", "pointer")

    def __init__(self, pointer: int, free: Callable[[int], Any]) -> None:
        self.pointer = pointer
        self._free = free

    def __del__(self) -> None:
        self._free(self.pointer)


def make(call: Callable[[Any], int], raises: Callable[[int], None], free: Callable[[int], Any]) -> Handle:
    """The handle that `call` puts into its argument."""
    out = ctypes.c_void_p()
    raises(call(ctypes.byref(out)))
    assert out.value is not None, "a call that made nothing and did not fail"
    return Handle(out.value, free)


def read(get: Callable[[int, int, Any], int], pointer: int, key: int) -> int:
    """A property of a handle."""
    value = ctypes.c_int64()
    check_real_time(get(pointer, key, ctypes.byref(value)))
    return value.value


class Turns:
    """Gives a stream to one call at a time: whoever holds `lock` may use `pointer()`."""

    __slots__ = ("__weakref__", "_broken", "_handle", "_name", "lock", "number")

    def __init__(self, handle: Handle, name: str) -> None:
        self._handle: Handle | None = handle
        self._name = name
        self._broken = False
        self.lock = threading.Lock()
        self.number = next(_numbers)
        _all.add(self)

    def pointer(self, *, broken: bool = False) -> int:
        """The C pointer; `broken` is for calls that take a stream in any state."""
        if self._handle is None:
            raise StateError(f"the {self._name} is closed")
        if self._broken and not broken:
            raise StateError(f"the {self._name} was in use by another thread when the process was forked: reset it")
        return self._handle.pointer

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


_all: Final[weakref.WeakSet[Turns]] = weakref.WeakSet()


def _after_fork() -> None:
    for turns in list(_all):
        turns.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@contextmanager
def all_turns(streams: Sequence[Turns]) -> Generator[list[int], None, None]:
    """The pointers of several streams, locked in one order for all callers, so that no two wait for each other."""
    ordered = sorted(streams, key=lambda turns: turns.number)
    if any(one is other for one, other in zip(ordered, ordered[1:])):
        raise ArgumentError("the same stream twice")
    with ExitStack() as stack:
        for turns in ordered:
            stack.enter_context(turns.lock)
        yield [turns.pointer() for turns in streams]
