"""What the tests of corpora share: recordings, runs, and what must have come of them."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile
from conftest import GOLDEN, TINY

import libmimi

SRC = Path(libmimi.__file__).parents[1]
SPEECH, RATE = soundfile.read(GOLDEN / "speech.wav", dtype="float32")


def clip(number: int, seconds: float = 0.5) -> libmimi.Floats:
    """A piece of speech that differs from those of other numbers."""
    return np.roll(SPEECH, -997 * number)[: int(seconds * RATE)]


def wav(pcm: libmimi.Floats, rate: int = RATE, kind: str = "WAV") -> bytes:
    """A file of the samples."""
    file = io.BytesIO()
    soundfile.write(file, pcm, rate, format=kind)
    return file.getvalue()


def write_clips(folder: Path, names: Iterable[str], seconds: float = 0.5) -> None:
    """A recording for each name."""
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(wav(clip(number, seconds)))


def write_tar(path: Path, members: Mapping[str, bytes]) -> None:
    """A tar file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def write_audio_table(path: Path, cells: list[dict[str, Any]], **columns: list[Any]) -> None:
    """A parquet file as `datasets` writes it."""
    audio = pa.array(cells, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    pq.write_table(pa.table({"audio": audio, **columns}), path, row_group_size=10)


def run(*arguments: str | os.PathLike[str], model: Path = TINY, **more: Any) -> subprocess.CompletedProcess[str]:
    """The program."""
    line = [sys.executable, "-m", "libmimi.corpus", *map(os.fspath, arguments), "--model", str(model)]
    return subprocess.run(line, env=environment(), capture_output=True, text=True, check=False, **more)


def environment() -> dict[str, str]:
    """One in which other processes find the package."""
    return {**os.environ, "PYTHONPATH": str(SRC)}


def rows(output: Path) -> dict[str, dict[str, Any]]:
    """The tables of codes by id. No id may be there twice."""
    found = [row for file in sorted(output.glob("part-*.parquet")) for row in pq.read_table(file).to_pylist()]
    by_id = {row["id"]: row for row in found}
    assert len(by_id) == len(found)
    return by_id


def errors(output: Path) -> dict[str, str]:
    """The tables of errors."""
    files = sorted((output / "__errors").glob("errors-*.parquet"))
    found = [row for file in files for row in pq.read_table(file).to_pylist()]
    assert len({row["id"] for row in found}) == len(found)
    return {row["id"]: row["message"] for row in found}


def unpack(codes: bytes, codebooks: int, bits: int) -> npt.NDArray[np.int64]:
    """As CORPUS.md tells everybody."""
    width = -(-codebooks * bits // 8)
    rows = np.unpackbits(np.frombuffer(codes, np.uint8).reshape(-1, width), axis=1)
    rows = rows[:, : codebooks * bits].reshape(-1, codebooks, bits)
    return rows @ (1 << np.arange(bits)[::-1])


def codes_of(row: Mapping[str, Any]) -> npt.NDArray[np.int64]:
    """The codes of a row, whose numbers must fit each other."""
    codes = unpack(row["codes"], row["codebooks"], row["bits"])
    assert codes.shape == (row["frames"], row["codebooks"])
    return codes


def nothing_half_written(output: Path) -> bool:
    """Whether all that a reader takes for a table is one, and no process is amid a part."""
    for file in output.rglob("*.parquet"):
        pq.read_table(file)
    return not any((output / "__mimi" / "tmp").iterdir()) and not any((output / "__mimi" / "started").iterdir())
