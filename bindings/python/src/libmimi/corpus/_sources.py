"""The recordings of a part, wherever they lie: in files, in tar files, in tables."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from collections.abc import Iterator
from typing import IO, Any, NamedTuple, Union, cast

from ._errors import reason
from ._listing import AUDIO, Item, Trouble, extension, id_of
from ._output import Part
from ._packages import need

pa = need("pyarrow")
pq = need("pyarrow.parquet")

ROWS = 64
"""Rows of a table that are in memory at once, with their audio."""


class Source(NamedTuple):
    """A recording that can be opened in any thread or process."""

    id: str
    size: int
    """Bytes, about as many as it is long."""
    path: str = ""
    offset: int | None = None
    """Where it begins in the file; None for the whole file."""
    data: bytes | None = None
    """The recording itself, if it is in no file."""

    def open(self) -> IO[bytes]:
        """Opens it to be read, at any place."""
        if self.data is not None:
            return io.BytesIO(self.data)
        if self.offset is not None:
            return io.BufferedReader(Slice(self.path, self.offset, self.size), 1 << 18)
        file = io.BufferedReader(io.FileIO(self.path, opener=no_pipe), 1 << 18)
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise OSError("not a file")
        return file


def no_pipe(path: str, flags: int) -> int:
    """Opens without waiting for the other end, if the path is a pipe by now."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))


class Slice(io.RawIOBase):
    """A part of a file as a file."""

    def __init__(self, path: str, offset: int, size: int) -> None:
        self._file = io.FileIO(path)
        self._offset, self._size, self._at = offset, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = (0, self._at, self._size)[whence]
        self._at = max(start + offset, 0)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")[: max(self._size - self._at, 0)]
        self._file.seek(self._offset + self._at)
        count = self._file.readinto(view)
        self._at += count
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


Sources = Iterator[Union[Source, Trouble]]


def sources(part: Part, root: str, column: str | None) -> Sources:
    """The recordings of a part whose files are below `root`. `column` of a table holds ids; without it, an id is that
    of the file and the row's number."""
    for item in part.items:
        path = os.path.join(root, item.path)
        if part.kind == "audio":
            yield Source(item.id, item.size, path)
        else:
            try:
                yield from (tar(item, path) if part.kind == "tar" else table(item, path, column))
            except Exception as error:  # whatever a file can do to its readers
                yield Trouble(item.id, f"it cannot be read any further: {reason(error)}")


def tar(item: Item, path: str) -> Sources:
    """The recordings in a tar file, by their places. Nothing is unpacked: a member's name is its id and no path."""
    seen: set[str] = set()
    with tarfile.open(path, "r:", errors="surrogateescape", encoding="utf-8") as archive:
        end = os.path.getsize(path)
        while (member := archive.next()) is not None:
            cast(Any, archive).members = []  # it would keep them all
            if extension(member.name) not in AUDIO or member.isdir():
                continue
            id_ = f"{item.id}/{id_of(member.name)}"
            if not member.isreg():
                yield Trouble(id_, "a link, a device or a file with holes, not a file")
            elif id_ in seen:
                yield Trouble(id_, "a second member of this name")
            elif member.offset_data + member.size > end:
                yield Trouble(id_, "the tar file is cut off")
            else:
                seen.add(id_)
                yield Source(id_, member.size, path, member.offset_data)


def table(item: Item, path: str, column: str | None) -> Sources:
    """The recordings in a parquet file, as Hugging Face's `datasets` writes them: a column `audio` of {bytes, path}."""
    seen: set[str] = set()
    with pq.ParquetFile(path) as file:
        names = file.schema_arrow.names
        for name in ("audio", column):
            if name is not None and name not in names:
                yield Trouble(item.id, f"no column {name!r}; it has {', '.join(names)}")
                return
        kind = file.schema_arrow.field("audio").type
        if not pa.types.is_struct(kind) or kind.get_field_index("bytes") < 0:
            yield Trouble(item.id, f"the column 'audio' is {kind}; expected a struct of bytes and path")
            return
        row = 0
        for batch in file.iter_batches(ROWS, columns=["audio"] if column is None else ["audio", column]):
            ids = [None] * len(batch) if column is None else batch.column(column).to_pylist()
            for audio, id_ in zip(batch.column("audio"), ids):
                name = f"{item.id}/{row}" if column is None else str(id_)
                row += 1
                if column is not None and (id_ is None or name in seen):
                    found = f"no {column}" if id_ is None else f"a second row of {column} {name}"
                    yield Trouble(f"{item.id}/{row - 1}", found)
                    continue
                if column is not None:
                    seen.add(name)
                yield cell(name, audio.as_py() or {}, os.path.dirname(path))


def cell(id_: str, audio: dict[str, Any], folder: str) -> Source | Trouble:
    """The recording in a cell of a column of `datasets`; paths are below `folder`."""
    if audio.get("bytes") is not None:
        return Source(id_, len(audio["bytes"]), data=audio["bytes"])
    if audio.get("path"):
        return Source(id_, 0, os.path.join(folder, audio["path"]))
    return Trouble(id_, "neither bytes nor a path")
