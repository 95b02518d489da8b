"""How far a run is, on standard error."""

from __future__ import annotations

import contextlib
import importlib
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

from ._listing import Trouble
from ._worker import Result, Tally


class Progress:
    """A bar over the bytes of the input, if tqdm is there. tqdm is what Ray and `datasets` show theirs with."""

    def __init__(self, shown: bool, size: Callable[[], int]) -> None:
        """`size`: the bytes that will be read."""
        self._bar: Any = None
        self._lock = threading.Lock()
        self._tally = Tally()
        if shown:
            with contextlib.suppress(ImportError):
                tqdm = importlib.import_module("tqdm").tqdm
                self._bar = tqdm(total=size(), unit="B", unit_scale=True, smoothing=0.05)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def recording(self, result: Result, size: int) -> None:
        """A recording is done."""
        if self._bar is not None:
            made = not isinstance(result, Trouble)
            seconds = result["samples"] / result["rate"] if not isinstance(result, Trouble) else 0.0
            self.add(Tally(int(made), int(not made), seconds), size)

    def add(self, tally: Tally, size: int) -> None:
        """Several are done."""
        if self._bar is not None:
            with self._lock:
                self._tally += tally
                speed = self._tally.seconds / max(self._bar.format_dict["elapsed"], 1e-3)
                hours = self._tally.seconds / 3600
                made, failed = self._tally.made, self._tally.failed
                told = f"{made} made, {failed} failed, {hours:.1f} h, {speed:.0f} x real time"
                self._bar.set_postfix_str(told, refresh=False)
                self._bar.update(size)
