"""Encodes parts, in one process with one model and any number of threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any, NamedTuple, Union

from libmimi import Model
from libmimi._options import Precision

from ._audio import Recording
from ._careful import Careful
from ._encoding import Encoders
from ._errors import CorpusError, reason
from ._listing import Trouble
from ._output import CODES, Output, Part
from ._packages import need
from ._sources import Source, sources

pq = need("pyarrow.parquet")


class Settings(NamedTuple):
    """What decides what a recording becomes."""

    model: str
    precision: Precision
    codebooks: int
    model_id: int
    column: str | None


class Tally(NamedTuple):
    """What was done."""

    made: int = 0
    failed: int = 0
    seconds: float = 0.0
    """Of audio."""

    def __add__(self, other: object) -> Tally:
        if not isinstance(other, Tally):
            return NotImplemented
        return Tally(self.made + other.made, self.failed + other.failed, self.seconds + other.seconds)


Result = Union[dict[str, Any], Trouble]
Watch = Callable[[Result, int], None]
"""Hears of each recording, and how many bytes it has, from any thread."""


class Worker:
    """A model, and threads that encode with it. Parts may be made by several threads at once: while the last recordings
    of one are encoded and its tables are written, the threads go on with the next."""

    def __init__(self, settings: Settings, threads: int) -> None:
        self.settings = settings
        self.model = Model(settings.model, parts="encoder", precision=settings.precision)
        if self.model.model_id != settings.model_id:
            raise CorpusError(
                f"{settings.model}: another model on this machine: {self.model.model_id}, not {settings.model_id}"
            )
        self.threads = threads
        self.pool = ThreadPoolExecutor(threads, "libmimi-corpus")
        self._own = threading.local()
        self._careful: list[Careful] = []
        self._stop = threading.Event()

    def __enter__(self) -> Worker:
        return self

    def stop(self) -> None:
        """Ends what is at hand, which fails."""
        self._stop.set()
        self.pool.shutdown(wait=False, cancel_futures=True)

    def __exit__(self, *_: object) -> None:
        self.pool.shutdown(cancel_futures=True)
        for careful in self._careful:
            careful.close()
        self.model.close()

    def run(self, output: Output, root: str, part: Part, watch: Watch | None = None) -> Tally:
        """Makes a part, or what is missing in it."""
        mark = output.state / "started" / f"{part.number:05}"
        # A mark that is there was left by a process that ended amid this part, perhaps because of it.
        careful = mark.exists()
        mark.touch()
        try:
            made = output.codes_file(part.number)
            rows: list[dict[str, Any]] = []
            if made.exists():
                rows = pq.read_table(made, schema=CODES).to_pylist()
            results = self._results(part, root, careful, {row["id"] for row in rows}, watch)
            new = [result for result in results if not isinstance(result, Trouble)]
            troubles = [result for result in results if isinstance(result, Trouble)]
            output.finish(part.number, rows + new, [trouble._asdict() for trouble in troubles])
        finally:
            mark.unlink(missing_ok=True)
        return Tally(len(new), len(troubles), sum(row["samples"] / row["rate"] for row in new))

    def _results(self, part: Part, root: str, careful: bool, there: set[str], watch: Watch | None) -> list[Result]:
        """What becomes of each recording of a part that is not there, in their order."""
        found = sources(part, root, self.settings.column)
        numbered: Iterator[tuple[int, Source | Trouble]] = enumerate(
            source for source in found if isinstance(source, Trouble) or source.id not in there
        )
        if part.kind != "parquet":
            # the longest first, so that no thread has much to do when the others have ended
            numbered = iter(sorted(numbered, key=lambda pair: -getattr(pair[1], "size", 0)))
        # tables are read as they are encoded
        room = threading.Semaphore(4 * self.threads + 16)

        def one(source: Source | Trouble) -> Result:
            result = source if isinstance(source, Trouble) else self._encode(source, careful)
            if watch is not None:
                watch(result, getattr(source, "size", 0))
            return result

        futures: dict[int, Future[Result]] = {}
        for index, source in numbered:
            room.acquire()
            futures[index] = self.pool.submit(one, source)
            futures[index].add_done_callback(lambda _: room.release())
        return [future.result() for _, future in sorted(futures.items())]

    def _encode(self, source: Source, careful: bool) -> Result:
        own = self._own
        if not hasattr(own, "encoders"):
            own.encoders = Encoders(self.model, self.settings.codebooks, self._stop)
            own.careful = Careful()
            self._careful.append(own.careful)
        try:
            with closing(own.careful.open(source) if careful else Recording(source.open())) as recording:
                return {"id": source.id, **own.encoders.row(recording)}
        except Exception as error:  # whatever a file can do to its readers
            return Trouble(source.id, reason(error))
