"""What corpora are read from: folders, lists, tar files, tables; and what they may do to their reader."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import GOLDEN, TINY
from corpus_support import (
    SPEECH,
    clip,
    codes_of,
    environment,
    errors,
    rows,
    wav,
    write_audio_table,
    write_clips,
    write_tar,
)

import libmimi
from libmimi.corpus import _listing, encode_corpus


def made(source: Path | str, output: Path, **more: object) -> tuple[list[str], dict[str, str]]:
    """The ids of what was encoded, and what was not."""
    encode_corpus(source, output, model=TINY, **more)  # type: ignore[arg-type]
    return sorted(rows(output)), errors(output)


NASTY = [
    "a b.wav",
    "new\nline.wav",
    "quote'\".wav",
    "back\\slash.wav",
    "ünï/日本.wav",
    "-rf.wav",
    "%s{}.wav",
    "x.WAV",
    ".h.wav",
]


def test_names_of_any_kind(tmp_path: Path) -> None:
    write_clips(tmp_path / "in", NASTY)
    raw = os.fsencode(tmp_path / "in") + b"/caf\xe9.wav"
    Path(os.fsdecode(raw)).write_bytes(wav(clip(0)))
    ids, failed = made(tmp_path / "in", tmp_path / "out")
    assert ids == sorted([*NASTY, "caf\\xe9.wav"])
    assert failed == {}
    # also read with care, by another process
    (tmp_path / "out" / "__mimi" / "started" / "00000").touch()
    before = rows(tmp_path / "out")
    (tmp_path / "out" / "part-00000.parquet").unlink()
    assert made(tmp_path / "in", tmp_path / "out") == (ids, {})
    assert rows(tmp_path / "out") == before


def test_what_is_no_recording_is_left_or_named(tmp_path: Path) -> None:
    source = tmp_path / "in"
    write_clips(source, ["a.wav", "deep/b.wav"])
    (source / "notes.txt").write_text("no recording")
    (source / "empty.wav").touch()
    (source / "movie.m4a").write_bytes(b"\0\0\0\x18ftypM4A ")
    (source / "folder.wav").mkdir()
    os.mkfifo(source / "pipe.wav")
    (source / "dangling.wav").symlink_to("nowhere")
    (source / "same.wav").symlink_to("a.wav")
    (source / "deep" / "loop").symlink_to("..")
    (source / "old.tar.gz").touch()
    ids, failed = made(source, tmp_path / "out")
    assert ids == ["a.wav", "deep/b.wav", "same.wav"]
    assert failed == {
        "empty.wav": "Format not recognised.",
        "movie.m4a": "Format not recognised.",
        "pipe.wav": "not a file",
        "dangling.wav": "No such file or directory",
        "deep/loop": "a link in a circle",
        "old.tar.gz": _listing.UNPACK,
    }


def test_folders_that_may_not_be_read_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_clips(tmp_path / "in", ["a.wav", "locked/b.wav"])
    listdir = os.listdir

    def refuse(path: str) -> list[str]:  # tests may run as root, who may read all
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", path)
        return listdir(path)

    monkeypatch.setattr(os, "listdir", refuse)
    assert made(tmp_path / "in", tmp_path / "out") == (["a.wav"], {"locked": "Permission denied"})
    monkeypatch.undo()
    assert made(tmp_path / "in", tmp_path / "out") == (["a.wav", "locked/b.wav"], {})


def test_files_that_vanish_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from libmimi.corpus import _run

    write_clips(tmp_path / "in", ["a.wav", "b.wav"])
    here = _run.here

    def vanish(*arguments: object) -> object:
        (tmp_path / "in" / "b.wav").unlink()
        return here(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(_run, "here", vanish)
    assert made(tmp_path / "in", tmp_path / "out") == (["a.wav"], {"b.wav": "No such file or directory"})


def test_lists(tmp_path: Path) -> None:
    write_clips(tmp_path, ["x/a.wav", "x/b.wav", "x/new\nline.wav", "x/c.wav"])
    plain = tmp_path / "list.txt"
    plain.write_text(f"x/a.wav\r\n\n{tmp_path}/x/b.wav\nx/a.wav\nx/none.wav\nx\n")
    assert made(plain, tmp_path / "1") == (
        sorted(["x/a.wav", f"{tmp_path}/x/b.wav"]),
        {"x/none.wav": "No such file or directory", "x": "expected a recording, .tar or .parquet, found ."},
    )
    lines = [
        {"path": "x/a.wav", "id": "first"},
        {"path": "x/new\nline.wav"},
        {"audio_filepath": "x/c.wav", "id": 7},
        {"path": "x/b.wav", "id": "first"},
        {"id": "no path"},
        {"path": "x/\ud800.wav"},
        {"path": "x/\0.wav"},
        ["x/a.wav"],
    ]
    described = tmp_path / "list.jsonl"
    described.write_text("".join(json.dumps(line) + "\n" for line in lines) + "{broken\n")
    ids, failed = made(described, tmp_path / "2")
    assert ids == ["7", "first", "x/new\nline.wav"]
    assert failed["first"] == "x/b.wav: another file has this id, too"
    assert failed["list.jsonl:5"] == failed["list.jsonl:8"] == failed["list.jsonl:9"]
    assert "x/\\ud800.wav" in failed
    assert "x/\0.wav" in failed


def test_tar_files_of_any_members(tmp_path: Path, tiny: libmimi.Model) -> None:
    names = ["../../up.wav", "/absolute.wav", "a/b.flac", "new\nline.wav", "ü.wav"]
    members = {name: wav(clip(number), kind="FLAC" if ".flac" in name else "WAV") for number, name in enumerate(names)}
    write_tar(tmp_path / "in" / "00000.tar", {**members, "a/b.json": b"{}", "bad.wav": b"no"})
    with tarfile.open(tmp_path / "in" / "00000.tar", "a") as archive:
        archive.addfile(tarfile.TarInfo("a/b.flac"))
        link = tarfile.TarInfo("link.wav")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    before = sorted(tmp_path.rglob("*"))
    ids, failed = made(tmp_path / "in", tmp_path / "out", codebooks=6)
    assert ids == sorted(f"00000.tar/{name}" for name in names)
    assert failed == {
        "00000.tar/bad.wav": "Format not recognised.",
        "00000.tar/a/b.flac": "a second member of this name",
        "00000.tar/link.wav": "a link, a device or a file with holes, not a file",
    }
    assert made(tmp_path / "in", tmp_path / "out", codebooks=6, retry_errors=True) == (ids, failed)
    for number, name in enumerate(names):
        row = rows(tmp_path / "out")[f"00000.tar/{name}"]
        if name.endswith(".wav"):
            assert np.array_equal(codes_of(row), tiny.encode(clip(number)))
    assert [path for path in sorted(tmp_path.rglob("*")) if tmp_path / "out" not in (path, *path.parents)] == before


def test_shards_by_their_numbers(tmp_path: Path) -> None:
    for number in range(13):
        write_tar(tmp_path / f"{number:05}.tar", {f"{number}.wav": wav(clip(number))})
    ids, failed = made(f"{tmp_path}/{{00002..00011}}.tar", tmp_path / "out")
    assert ids == [f"{number:05}.tar/{number}.wav" for number in range(2, 12)]
    assert failed == {}
    assert made(f"{tmp_path}/{{00012..00013}}.tar", tmp_path / "2")[1] == {"00013.tar": "No such file or directory"}
    assert list(_listing.braces("a{08..10}{1..2}")) == ["a081", "a082", "a091", "a092", "a101", "a102"]


def test_tar_files_that_are_cut_off_or_none(tmp_path: Path) -> None:
    members = {f"{number}.wav": wav(clip(number)) for number in range(4)}
    write_tar(tmp_path / "in" / "cut.tar", members)
    whole = (tmp_path / "in" / "cut.tar").read_bytes()
    (tmp_path / "in" / "cut.tar").write_bytes(whole[: 3 * (512 + 24064) + 5000])
    (tmp_path / "in" / "no.tar").write_bytes(b"no tar" * 1000)
    (tmp_path / "in" / "empty.tar").touch()
    greedy = tarfile.TarInfo("greedy")
    greedy.type, greedy.size = tarfile.XHDTYPE, 1 << 60
    (tmp_path / "in" / "greedy.tar").write_bytes(greedy.tobuf() + b"x" * 2048)
    ids, failed = made(tmp_path / "in", tmp_path / "out")
    assert ids == ["cut.tar/0.wav", "cut.tar/1.wav", "cut.tar/2.wav"]
    assert failed.pop("cut.tar/3.wav") == "the tar file is cut off"
    assert all("cannot be read any further" in message for message in failed.values())
    assert {"no.tar", "empty.tar", "greedy.tar"} <= set(failed) <= {"no.tar", "empty.tar", "greedy.tar", "cut.tar"}


def test_tables_as_datasets_writes_them(tmp_path: Path, tiny: libmimi.Model) -> None:
    (tmp_path / "in").mkdir()
    write_clips(tmp_path / "in" / "beside", ["z.aud"])
    cells = [{"bytes": wav(clip(number)), "path": f"{number}.wav"} for number in range(25)]
    cells += [{"bytes": None, "path": "beside/z.aud"}, {"bytes": b"no", "path": None}, {"bytes": None, "path": None}]
    names = [f"n{number}" for number in range(24)] + ["n0", "z", "bad", None]
    write_audio_table(tmp_path / "in" / "train.parquet", cells, name=names)
    ids, failed = made(tmp_path / "in", tmp_path / "1", codebooks=6)
    assert ids == sorted(f"train.parquet/{number}" for number in range(26))
    assert failed == {"train.parquet/26": "Format not recognised.", "train.parquet/27": "neither bytes nor a path"}
    for number in range(25):
        assert np.array_equal(codes_of(rows(tmp_path / "1")[f"train.parquet/{number}"]), tiny.encode(clip(number)))
    ids, failed = made(tmp_path / "in" / "train.parquet", tmp_path / "2", id_column="name")
    assert ids == sorted([*names[:24], "z"])
    assert failed == {
        "bad": "Format not recognised.",
        "train.parquet/24": "a second row of name n0",
        "train.parquet/27": "no name",
    }


def test_tables_of_something_else_are_named(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    (tmp_path / "in").mkdir()
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "in" / "text.parquet")
    pq.write_table(pa.table({"audio": ["a"]}), tmp_path / "in" / "strings.parquet")
    (tmp_path / "in" / "none.parquet").write_bytes(b"PAR1")
    _, failed = made(tmp_path / "in", tmp_path / "out")
    assert failed["text.parquet"] == "no column 'audio'; it has text"
    assert failed["strings.parquet"] == "the column 'audio' is string; expected a struct of bytes and path"
    assert "cannot be read any further" in failed["none.parquet"]


@pytest.mark.parametrize(
    ("rate", "channels"), [(8_000, 1), (16_000, 2), (22_050, 1), (44_100, 2), (48_000, 6), (11_111, 1)]
)
def test_rates_and_channels(tmp_path: Path, rate: int, channels: int, tiny: libmimi.Model) -> None:
    count = rate * 2 + 13
    pcm = SPEECH[:count] if count <= len(SPEECH) else np.resize(SPEECH, count)
    loud = np.stack([pcm * (number + 1) / channels for number in range(channels)], axis=1)
    soundfile.write(tmp_path / "a.wav", loud, rate, subtype="FLOAT")
    encode_corpus(tmp_path / "a.wav", tmp_path / "out", model=TINY, codebooks=6)
    (row,) = rows(tmp_path / "out").values()
    assert (row["samples"], row["rate"]) == (count, rate)
    assert row["frames"] == -(-count * tiny.sample_rate // (rate * tiny.frame_size))
    if rate % 25 == 0:
        mono = loud[:, 0] if channels == 1 else loud.astype(np.float32).mean(axis=1)
        assert np.array_equal(codes_of(row), tiny.encode(mono.astype(np.float32), sample_rate=rate))
    # and those of the other way to encode files
    (same,) = tiny.encode_files([tmp_path / "a.wav"])
    assert np.array_equal(codes_of(row)[: len(same.codes)], same.codes)


def test_recordings_without_samples_have_no_frames(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(wav(SPEECH[:0]))
    (tmp_path / "b.wav").write_bytes(wav(SPEECH[:1]))
    encode_corpus(tmp_path, tmp_path / "out", model=TINY)
    found = rows(tmp_path / "out")
    assert [(found[name]["frames"], found[name]["samples"], found[name]["codes"]) for name in ("a.wav",)] == [
        (0, 0, b"")
    ]
    assert (found["b.wav"]["frames"], found["b.wav"]["samples"]) == (1, 1)


@pytest.mark.parametrize("kind", ["WAV", "AIFF", "W64", "CAF", "FLAC", "OGG", "MP3"])
def test_recordings_that_are_cut_off_are_named(tmp_path: Path, kind: str) -> None:
    whole = wav(np.tile(SPEECH, 2), kind=kind)
    write_tar(
        tmp_path / "a.tar", {f"{cut}.{kind.lower()}": whole[: len(whole) - cut] for cut in (0, 10, len(whole) // 3)}
    )
    ids, failed = made(tmp_path / "a.tar", tmp_path / "out")
    assert ids == [f"a.tar/0.{kind.lower()}"]
    assert len(failed) == 2


def test_wav_files_from_pipes_promise_no_length(tmp_path: Path) -> None:
    data = bytearray(wav(clip(0)))
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    (tmp_path / "a.wav").write_bytes(data)
    assert made(tmp_path / "a.wav", tmp_path / "out") == (["a.wav"], {})


@pytest.mark.parametrize("minutes", [10, pytest.param(600, marks=pytest.mark.long)])
def test_long_recordings_take_little_memory(tmp_path: Path, minutes: int) -> None:
    # of silence, with a network that takes no time; memory does not depend on what is heard
    with soundfile.SoundFile(tmp_path / "long.flac", "w", 48_000, 2, "PCM_16") as file:
        minute = np.zeros((48_000 * 60, 2), np.float32)
        for _ in range(minutes):
            file.write(minute)
    script = (
        "import resource, sys\n"
        "from libmimi.corpus import encode_corpus\n"
        "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "encode_corpus(sys.argv[2], sys.argv[1] + '/short', model=sys.argv[3])\n"
        "before = peak()\n"
        "encode_corpus(sys.argv[1] + '/long.flac', sys.argv[1] + '/out', model=sys.argv[3])\n"
        "print(peak() - before)\n"
    )
    line = [sys.executable, "-c", script, str(tmp_path), str(GOLDEN / "speech.wav"), str(TINY)]
    kilobytes = int(subprocess.check_output(line, env=environment(), text=True))
    (row,) = rows(tmp_path / "out").values()
    assert row["samples"] == minutes * 60 * 48_000
    # ten minutes as samples are 230 MB; the codes of ten hours are 2 MB, and are there several times
    assert kilobytes < 40_000
