"""The output folder: tables that appear whole or not at all, and what a later run must know.

    part-00000.parquet               codes
    __errors/errors-00000.parquet    what of the same part could not be encoded
    __errors/errors-listing.parquet  what could not even be looked at
    __mimi/run.json                  the input, the model and the options
    __mimi/plan-00000.jsonl          which recordings make which part, a line for each part
    __mimi/started, tmp, lock        parts at hand, files that are being written, the run that is at work

Readers of tables leave out names that begin with two underscores. A part is done if its part-NNNNN.parquet is there,
which is written last. What a part holds was written down before any work began, and never changes: two processes that
make the same part write the same rows under the same name.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import platform
import uuid
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from ._errors import CorpusError
from ._listing import Found, Item, Listed, Trouble
from ._packages import need

pa = need("pyarrow")
pq = need("pyarrow.parquet")

CODES = pa.schema(
    [
        ("id", pa.string()),
        ("codes", pa.binary()),
        ("frames", pa.int64()),
        ("codebooks", pa.int32()),
        ("bits", pa.int32()),
        ("samples", pa.int64()),
        ("rate", pa.int32()),
        ("model_id", pa.int64()),
    ]
)
ERRORS = pa.schema([("id", pa.string()), ("message", pa.string())])


class Part(NamedTuple):
    """What one output file is made of. Its number is the file's; `kind` is that of its items."""

    number: int
    kind: str
    items: list[Item]

    @property
    def size(self) -> int:
        """Bytes of its inputs."""
        return sum(item.size for item in self.items)


class Limits(NamedTuple):
    """How much makes a part."""

    items: int
    size: int = 1 << 30


class Output:
    """An output folder. It is made when the run begins."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self.state = self.folder / "__mimi"
        self.errors = self.folder / "__errors"

    @contextlib.contextmanager
    def open(self, settings: dict[str, Any]) -> Generator[None]:
        """Makes the folder, or checks that it was made with the same settings. Keeps other runs out meanwhile, where
        the file system has locks; where it has none, two runs do the same work twice, and write the same files."""
        if self.folder.exists() and not self.folder.is_dir():
            raise CorpusError(f"{self.folder}: not a folder")
        if not self.state.exists() and any(self.folder.glob("*.parquet")):
            raise CorpusError(f"{self.folder}: holds parquet files of something else; name a new folder")
        for folder in (self.state / "tmp", self.state / "started", self.errors):
            folder.mkdir(parents=True, exist_ok=True)
        with open(self.state / "lock", "a+") as file:
            if not try_lock(file):
                file.seek(0)
                raise CorpusError(f"{self.folder}: another run is writing into it ({file.read()})")
            file.truncate(0)
            file.write(f"process {os.getpid()} on {platform.node()}")
            file.flush()
            for half in (self.state / "tmp").iterdir():  # of runs that were killed
                half.unlink(missing_ok=True)
            self._settle(settings)
            yield

    def _settle(self, settings: dict[str, Any]) -> None:
        note = self.state / "run.json"
        if not note.exists():
            text = json.dumps(settings, indent=1, sort_keys=True) + "\n"
            self.write(note, lambda file: file.write(text.encode()))
        made = json.loads(note.read_text())
        for name, wanted in settings.items():
            if made.get(name) != wanted:
                way_out = f'if it was moved, correct "input" in {note}' if name == "input" else "name a new folder"
                raise CorpusError(f"{self.folder}: made with {name} {made.get(name)}, not {wanted}; {way_out}")

    def clear_marks(self) -> None:
        """Forgets that parts were at hand, when all are done: a process may have ended between a part and its mark."""
        for mark in (self.state / "started").iterdir():
            mark.unlink(missing_ok=True)

    def write(self, path: Path, fill: Callable[[IO[bytes]], Any]) -> None:
        """Writes a file that is there whole or not at all, also after a power failure."""
        temporary = self.state / "tmp" / f"{path.name}.{uuid.uuid4().hex}"
        try:
            with open(temporary, "xb") as file:
                fill(file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)

    def write_table(self, path: Path, schema: Any, rows: list[dict[str, Any]]) -> None:
        """Writes a table. One without rows has no row groups either: `datasets` takes no empty ones."""

        def fill(file: IO[bytes]) -> None:
            with pq.ParquetWriter(file, schema, compression="zstd") as writer:
                if rows:
                    writer.write_table(pa.Table.from_pylist(rows, schema=schema))

        self.write(path, fill)

    def codes_file(self, part: int) -> Path:
        """Where the codes of a part go."""
        return self.folder / f"part-{part:05}.parquet"

    def errors_file(self, part: int | str) -> Path:
        """Where the errors of a part go."""
        name = part if isinstance(part, str) else f"{part:05}"
        return self.errors / f"errors-{name}.parquet"

    def finish(self, part: int, rows: list[dict[str, Any]], errors: list[dict[str, Any]]) -> None:
        """Writes the tables of a part. The codes come last: with them the part is done."""
        if errors:
            self.write_table(self.errors_file(part), ERRORS, errors)
        else:
            self.errors_file(part).unlink(missing_ok=True)
        self.write_table(self.codes_file(part), CODES, rows)

    def list_troubles(self, troubles: list[Trouble]) -> None:
        """Writes what could not be looked at, as it is now."""
        path = self.errors_file("listing")
        if troubles:
            self.write_table(path, ERRORS, [trouble._asdict() for trouble in troubles])
        else:
            path.unlink(missing_ok=True)

    def failures(self) -> int:
        """Rows of the error tables."""
        return sum(int(pq.read_metadata(file).num_rows) for file in self.errors.glob("errors-*.parquet"))

    # the plan

    def _plans(self) -> list[Path]:
        return sorted(self.state.glob("plan-*.jsonl"))

    def planned(self) -> Iterator[Part]:
        """All parts, in the order of their numbers."""
        for plan in self._plans():
            with open(plan, encoding="ascii") as lines:
                for line in lines:
                    number, kind, items = json.loads(line)
                    yield Part(number, kind, [Item(*item) for item in items])

    def plan(self, listing: Iterable[Listed], limits: Limits) -> list[Trouble]:
        """Adds parts for what is new in the input. Returns what cannot be worked on."""
        known: dict[str, str] = {}
        number = 0
        for part in self.planned():
            number = part.number + 1
            known.update((item.id, item.path) for item in part.items)
        troubles: list[Trouble] = []

        def fresh() -> Iterator[Found]:
            for found in listing:
                if isinstance(found, Trouble):
                    troubles.append(found)
                elif found.item.id not in known:
                    known[found.item.id] = found.item.path
                    yield found
                elif known[found.item.id] != found.item.path:
                    troubles.append(Trouble(found.item.id, f"{found.item.path}: another file has this id, too"))

        parts = group(fresh(), number, limits)
        first = next(parts, None)
        if first is not None:

            def fill(file: IO[bytes]) -> None:
                for part in itertools.chain([first], parts):
                    file.write(json.dumps(part).encode() + b"\n")

            self.write(self.state / f"plan-{len(self._plans()):05}.jsonl", fill)
        return troubles


def group(found: Iterable[Found], number: int, limits: Limits) -> Iterator[Part]:
    """Recordings in parts within the limits; a tar or parquet file is a part of its own."""
    items: list[Item] = []
    size = 0
    for kind, item in found:
        if kind != "audio":
            yield Part(number, kind, [item])
            number += 1
            continue
        if items and (len(items) == limits.items or size + item.size > limits.size):
            yield Part(number, "audio", items)
            number, items, size = number + 1, [], 0
        items.append(item)
        size += item.size
    if items:
        yield Part(number, "audio", items)


def try_lock(file: IO[str]) -> bool:
    """Whether no other process holds the file. True where there are no such locks."""
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def sync_folder(folder: Path) -> None:
    """Makes a rename last, where folders can be opened."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
