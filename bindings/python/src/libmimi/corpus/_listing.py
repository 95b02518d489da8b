"""What INPUT holds: recordings, tar files and parquet files, in a fixed order."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator
from typing import Any, NamedTuple, Union, cast

from ._errors import CorpusError, reason

_AUDIO = """
aac ac3 aif aifc aiff amr au avr caf flac gsm htk m4a mka mp2 mp3 mp4 oga ogg opus paf ra rf64 sd2 sf snd spx svx voc
w64 wav wave wavex webm wma wv xi
"""
AUDIO = frozenset(_AUDIO.split())
"""Extensions of recordings. Some of these formats libsndfile does not read: they are named as errors, not left out."""
COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")
UNPACK = "a compressed tar file, in which nothing can be found without reading all of it; unpack it"
LISTS = (".txt", ".jsonl")


class Item(NamedTuple):
    """A recording, or a file that holds many."""

    id: str
    path: str
    """Below the input's folder, or absolute; bytes that are no UTF-8 are surrogates, as `os.fsdecode` makes them."""
    size: int


class Found(NamedTuple):
    """An item and its kind: "audio", "tar" or "parquet"."""

    kind: str
    item: Item


class Trouble(NamedTuple):
    """What cannot be worked on, and why."""

    id: str
    message: str


Listed = Union[Found, Trouble]


def id_of(path: str) -> str:
    """`path` as an id, which is UTF-8 always: other bytes are written as \\xNN."""
    path = path.replace(os.sep, "/")
    try:
        raw = os.fsencode(path)
    except UnicodeEncodeError:  # half a character, as only JSON can spell it
        raw = path.encode("utf-8", "backslashreplace")
    return raw.decode("utf-8", "backslashreplace")


def extension(name: str) -> str:
    """In lower case, without the dot."""
    return os.path.splitext(name)[1][1:].lower()


def kind_of(name: str) -> str | None:
    """What a file is by its extension; None for what is no input."""
    kind = extension(name)
    return "audio" if kind in AUDIO else kind if kind in ("tar", "parquet") else None


class Listing:
    """The input as it was typed: `root` is the folder that paths of items are below."""

    def __init__(self, typed: str, output: str) -> None:
        self._output = os.path.realpath(output)
        path = os.path.abspath(typed)
        self._files: list[str] | None = None
        if os.path.isdir(path):
            self.root = path
            return
        self.root = os.path.dirname(path)
        if os.path.exists(path):
            self._files = [path]
        elif "{" in typed:
            self._files = list(braces(path))
        else:
            raise CorpusError(f"{typed}: no such file or folder")
        for file in self._files:
            name = file.lower()
            if name.endswith(COMPRESSED):
                raise CorpusError(f"{file}: {UNPACK}")
            if not name.endswith(LISTS) and kind_of(name) is None:
                raise CorpusError(f"{file}: expected a folder, a list (.txt, .jsonl), .tar, .parquet or a recording")

    def __iter__(self) -> Iterator[Listed]:
        if self._files is None:
            yield from self._walk()
            return
        for file in self._files:
            if file.lower().endswith(LISTS):
                yield from self._list(file)
            else:
                yield self._file(os.path.relpath(file, self.root), file)

    def _file(self, path: str, whole: str, id_: str | None = None) -> Listed:
        """The item of one file, which must be there and be a file: a pipe would make the run wait for ever."""
        id_ = id_of(path) if id_ is None else id_
        kind = kind_of(whole)
        if kind is None:
            return Trouble(id_, f"expected a recording, .tar or .parquet, found .{extension(whole)}")
        try:
            found = os.stat(whole)
        except (OSError, ValueError) as error:
            return Trouble(id_, reason(error))
        if not stat.S_ISREG(found.st_mode):
            return Trouble(id_, "not a file")
        return Found(kind, Item(id_, path, found.st_size))

    def _walk(self) -> Iterator[Listed]:
        """Everything below the folder in the order of names. Links are followed, but not in a circle."""
        # a folder's path below the root, and the folders above it as the system knows them
        waiting: list[tuple[str, tuple[tuple[int, int], ...]]] = [("", ())]
        while waiting:
            below, above = waiting.pop()
            folder = os.path.join(self.root, below)
            try:
                here = os.stat(folder)
                names = sorted(os.listdir(folder))
            except OSError as error:
                yield Trouble(id_of(below) or ".", reason(error))
                continue
            place = (here.st_dev, here.st_ino)
            if place in above:
                yield Trouble(id_of(below), "a link in a circle")
                continue
            folders: list[tuple[str, tuple[tuple[int, int], ...]]] = []
            for name in names:
                path, whole = os.path.join(below, name), os.path.join(folder, name)
                if os.path.isdir(whole):
                    # what an earlier run has written within its input is no input
                    if os.path.realpath(whole) != self._output:
                        folders.append((path, (*above, place)))
                elif name.lower().endswith(COMPRESSED):
                    yield Trouble(id_of(path), UNPACK)
                elif kind_of(name) is not None:
                    yield self._file(path, whole)
            waiting.extend(reversed(folders))

    def _list(self, file: str) -> Iterator[Listed]:
        """The files that a list names, a line for each. Relative paths are below the list's own folder."""
        is_json = file.lower().endswith(".jsonl")
        with open(file, encoding="utf-8", errors="surrogateescape", newline="\n") as lines:
            for number, line in enumerate(lines, 1):
                line = line.rstrip("\r\n")
                if not line.strip():
                    continue
                path, id_ = (line, None) if not is_json else json_entry(line)
                if path is None:
                    place = f"{id_of(os.path.basename(file))}:{number}"
                    yield Trouble(place, 'expected {"path": "…"}, and perhaps "id"')
                    continue
                yield self._file(path, os.path.join(self.root, path), id_)


def json_entry(line: str) -> tuple[str | None, str | None]:
    """Path and id of a line of JSON; `audio_filepath` is what NeMo's manifests call the path."""
    try:
        entry: Any = json.loads(line)
    except ValueError:
        return None, None
    fields = cast("dict[str, Any]", entry) if isinstance(entry, dict) else {}
    path, id_ = fields.get("path", fields.get("audio_filepath")), fields.get("id")
    if not isinstance(path, str) or not isinstance(id_, (str, int, type(None))):
        return None, None
    return path, None if id_ is None else id_of(str(id_))


def braces(path: str) -> Iterator[str]:
    """`{000..012}` in a path written out, as WebDataset and shells do it."""
    match = re.search(r"\{(\d+)\.\.(\d+)\}", path)
    if match is None:
        yield path
        return
    first, last = match[1], match[2]
    width = len(first) if first.startswith("0") or len(first) == len(last) else 0
    for number in range(int(first), int(last) + 1):
        yield from braces(path[: match.start()] + str(number).zfill(width) + path[match.end() :])
