"""Reads recordings in a process of its own, for parts amid which a process has ended before. A recording that crashes
its decoder then ends that process alone, and is named.

This module is also that process's program: it takes pickled requests from its input and answers to its output.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from libmimi import Floats

from ._audio import AudioError, Recording
from ._errors import reason
from ._sources import Source


class Careful:
    """The process, which is started with the first recording, and again after one that it did not survive."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def open(self, source: Source) -> Distant:
        """Opens a recording in the process, which reads one at a time."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __spec__.name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        return Distant(self, source)

    def _running(self) -> Any:
        """The process, with both its pipes."""
        return self._process

    def ask(self, request: Any) -> None:
        """Sends a request."""
        stdin = self._running().stdin
        try:
            pickle.dump(request, stdin)
            stdin.flush()
        except BrokenPipeError:
            raise self._death() from None

    def answer(self) -> Any:
        """The next answer."""
        try:
            return pickle.load(self._running().stdout)
        except (EOFError, pickle.UnpicklingError):
            raise self._death() from None

    def _death(self) -> AudioError:
        status = self._running().wait()
        self.close()
        how = f"signal {-status}" if status < 0 else f"status {status}"
        return AudioError(f"the process that read it ended with {how}")

    def close(self) -> None:
        """Ends the process."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            with process:
                pass


class Distant:
    """A recording that the process reads."""

    def __init__(self, careful: Careful, source: Source) -> None:
        self._careful, self._ended = careful, False
        self.samples = 0
        careful.ask(source)
        self.rate: int = self._next()

    def _next(self) -> Any:
        kind, value = self._careful.answer()
        self._ended = kind in ("error", "end")
        if kind == "error":
            raise AudioError(value)
        return value

    def blocks(self) -> Iterator[Floats]:
        """All of it; see `Recording.blocks`."""
        while True:
            value = self._next()
            if self._ended:
                self.samples = value
                return
            yield value

    def close(self) -> None:
        """Leaves it. If that is before its end, what the process would still answer is of no use."""
        if not self._ended:
            self._careful.close()


def answers(source: Source) -> Iterator[tuple[str, Any]]:
    """What the process says of a recording."""
    try:
        with closing(Recording(source.open())) as recording:
            yield "rate", recording.rate
            for block in recording.blocks():
                yield "block", block
            yield "end", recording.samples
    except Exception as error:  # whatever a file can do to its readers
        yield "error", reason(error)


def main() -> None:
    """Serves until the input ends. Ctrl-C is for the process that asks."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        try:
            request = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        for answer in answers(request):
            pickle.dump(answer, sys.stdout.buffer, protocol=pickle.HIGHEST_PROTOCOL)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
