"""What goes wrong, as exceptions."""

from __future__ import annotations

import errno
import os
from typing import Final

from . import _library as c


class Error(Exception):
    """The base of all exceptions of libmimi.

    `status` is the number that the C library gave, a MIMI_ERR_ code of mimi.h. The text names the file, tensor, option
    or argument, what was found and what was expected.
    """

    status: int = 0

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        if status is not None:
            self.status = status

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (str(self), self.status)


class ArgumentError(Error, ValueError):
    """An argument that can never be right: out of range, of the wrong shape, a partial frame."""

    status = c.INVALID_ARGUMENT


class ArgumentTypeError(Error, TypeError):
    """An argument of the wrong type: no array, or an array of other numbers."""

    status = c.INVALID_ARGUMENT


class ReadError(Error, OSError):
    """A file that could not be read. It has `filename` and `errno`, as every OSError."""

    status = c.IO

    def __init__(self, message: str, filename: str | None = None, number: int = errno.EIO) -> None:
        OSError.__init__(self, number, message, filename)

    def __str__(self) -> str:
        return str(self.strerror)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.strerror, self.filename, self.errno)


class NotFoundError(ReadError, FileNotFoundError):
    """A file, a folder, or a model in the cache that is not there."""

    def __init__(self, message: str, filename: str | None = None, number: int = errno.ENOENT) -> None:
        super().__init__(message, filename, number)


class FormatError(Error, ValueError):
    """Bytes in another format: not a Mimi checkpoint, or not a token file."""

    status = c.FORMAT


class CorruptError(Error, ValueError):
    """Damaged data: a truncated checkpoint, a code out of range."""

    status = c.CORRUPT


class UnsupportedError(Error, NotImplementedError):
    """What this library, this model or this CPU does not do, such as the half of a model that was not loaded."""

    status = c.UNSUPPORTED


class OutOfMemoryError(Error, MemoryError):
    """Memory for weights, for a stream or for a result could not be had."""

    status = c.OUT_OF_MEMORY


class StateError(Error, RuntimeError):
    """A model or a stream that is closed, or unusable until it is reset."""

    status = c.STATE


class InternalError(Error, RuntimeError):
    """A bug in libmimi. Please report it. A stream that it happened to answers StateError until it is reset."""

    status = c.PANIC


_BY_STATUS: Final[dict[int, type[Error]]] = {
    c.NULL_POINTER: ArgumentError,
    c.INVALID_ARGUMENT: ArgumentError,
    c.BUFFER_TOO_SMALL: ArgumentError,
    c.FORMAT: FormatError,
    c.CORRUPT: CorruptError,
    c.UNSUPPORTED: UnsupportedError,
    c.OUT_OF_MEMORY: OutOfMemoryError,
    c.STATE: StateError,
    c.PANIC: InternalError,
}


def check(status: int) -> None:
    """Raises what the last call of this thread, which was not a real-time one, says."""
    if status != c.OK:
        message: bytes = c.lib.mimi_last_error()
        raise of(status, message.decode("utf-8", "replace"))


def check_real_time(status: int) -> None:
    """Raises what a real-time call says, which is the status alone."""
    if status != c.OK:
        raise of(status)


def check_load(status: int, path: str) -> None:
    """Raises what a call that loads says of `path`."""
    if status != c.IO:
        check(status)
        return
    message: bytes = c.lib.mimi_last_error()
    raise read_error(message.decode("utf-8", "replace"), path)


def read_error(message: str, path: str) -> ReadError:
    """The error of a path, with the number that the system has for it."""
    try:
        os.stat(path)
    except FileNotFoundError:
        return NotFoundError(message, path)
    except OSError as error:
        return ReadError(message, path, error.errno or errno.EIO)
    if not os.access(path, os.R_OK):
        return ReadError(message, path, errno.EACCES)
    return ReadError(message, path)


def of(status: int, message: str | None = None) -> Error:
    """The exception of a status, with a message or what the status means."""
    if message is None:
        meaning: bytes = c.lib.mimi_status_string(status)
        message = meaning.decode()
    return _BY_STATUS.get(status, Error)(message, status)
