"""Corpora on this machine: what comes out, and that it comes out once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import datasets
import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import soundfile
from conftest import DEMO, GOLDEN, ROOT, TINY
from corpus_support import (
    RATE,
    clip,
    codes_of,
    environment,
    errors,
    nothing_half_written,
    rows,
    run,
    unpack,
    wav,
    write_clips,
)

import libmimi
from libmimi.corpus import CorpusError, encode_corpus


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Thirty recordings, of which two are broken."""
    source = tmp_path / "in"
    write_clips(source, [f"{number % 3}/{number:02}.wav" for number in range(28)])
    (source / "0" / "bad.wav").write_bytes(b"not audio")
    (source / "cut.wav").write_bytes(wav(clip(0))[:-1000])
    return source


def test_codes_are_those_of_the_model_and_of_token_files(folder: Path, tmp_path: Path, tiny: libmimi.Model) -> None:
    summary = encode_corpus(folder, tmp_path / "out", model=TINY, codebooks=6, part_items=7)
    assert (summary.made, summary.failed, summary.lost) == (28, 2, [])
    assert summary.seconds == pytest.approx(14)
    found = rows(tmp_path / "out")
    assert len(found) == 28
    for number in range(28):
        row = found[f"{number % 3}/{number:02}.wav"]
        expected = tiny.encode(clip(number))
        assert np.array_equal(codes_of(row), expected)
        assert row["codes"] == libmimi.tokens.pack(expected, tiny.code_bits)
        assert (row["samples"], row["rate"], row["bits"]) == (RATE // 2, RATE, tiny.code_bits)
        assert row["model_id"] == tiny.model_id
    assert errors(tmp_path / "out") == {
        "0/bad.wav": "Format not recognised.",
        "cut.wav": "cut off after 11500 samples: 24036 bytes promised, 23036 found",
    }
    assert len(list((tmp_path / "out").glob("part-*.parquet"))) == 5
    assert nothing_half_written(tmp_path / "out")


def test_readers_of_tables_need_nothing_of_ours(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    (folder / "2").rename(tmp_path / "2")
    for broken in (tmp_path / "2").iterdir():
        broken.write_bytes(b"RIFF")
    (tmp_path / "2").rename(folder / "2")
    encode_corpus(folder, output, model=TINY, part_items=9)  # a part has errors alone
    found = rows(output)
    assert any(pq.read_metadata(file).num_rows == 0 for file in output.glob("part-*.parquet"))
    frame = pd.read_parquet(output)
    assert sorted(frame["id"]) == sorted(found)
    table: Any = duckdb.sql(f"SELECT id, codes, frames FROM '{output}/*.parquet' ORDER BY id").fetchall()
    assert table == [(name, row["codes"], row["frames"]) for name, row in sorted(found.items())]
    by_datasets = datasets.load_dataset(str(output), cache_dir=str(tmp_path / "cache"))["train"]
    assert {row["id"]: row for row in by_datasets} == found
    named: Any = duckdb.sql(f"SELECT id FROM '{output}/__errors/*.parquet'").fetchall()
    assert len(named) == 30 - len(found)


def test_the_lines_of_the_manual_unpack_codes(demo: libmimi.Model, speech: libmimi.Floats) -> None:
    manual = (ROOT / "bindings" / "python" / "CORPUS.md").read_text()
    scope: dict[str, Any] = {}
    lines = next(block for block in manual.split("```python\n") if block.startswith("def unpack")).split("```")[0]
    exec(lines, {"np": np}, scope)
    codes = demo.encode(speech)
    assert np.array_equal(scope["unpack"](libmimi.tokens.pack(codes, demo.code_bits), 8, demo.code_bits), codes)
    for codebooks, bits in [(1, 1), (3, 11), (32, 11), (64, 16)]:
        codes = np.random.default_rng(0).integers(0, 1 << bits, (5, codebooks)).astype(np.int32)
        packed = libmimi.tokens.pack(codes, bits)
        assert np.array_equal(scope["unpack"](packed, codebooks, bits), codes)
        assert np.array_equal(unpack(packed, codebooks, bits), codes)
    assert scope["unpack"](b"", 8, 11).shape == (0, 8)


def test_a_second_run_does_nothing_and_new_recordings_are_added(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    encode_corpus(folder, output, model=TINY)
    before = {file: file.stat().st_mtime_ns for file in output.rglob("*.parquet")}
    summary = encode_corpus(folder, output, model=TINY)
    assert (summary.made, summary.seconds, summary.failed) == (0, 0, 2)
    assert {file: file.stat().st_mtime_ns for file in output.rglob("*.parquet")} == before
    write_clips(folder, ["new/a.wav", "new/b.wav"])
    assert encode_corpus(folder, output, model=TINY).made == 2
    assert len(rows(output)) == 30
    assert {file: file.stat().st_mtime_ns for file in before} == before


def test_errors_are_tried_again_when_that_is_asked_for(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    encode_corpus(folder, output, model=TINY, part_items=7)
    untouched = {file: file.stat().st_ino for file in output.glob("part-*.parquet")}
    (folder / "cut.wav").write_bytes(wav(clip(0)))
    assert encode_corpus(folder, output, model=TINY, part_items=7).made == 0
    summary = encode_corpus(folder, output, model=TINY, part_items=7, retry_errors=True)
    assert (summary.made, summary.failed) == (1, 1)
    assert len(rows(output)) == 29
    assert list(errors(output)) == ["0/bad.wav"]
    changed = [file for file in untouched if file.stat().st_ino != untouched[file]]
    assert len(changed) == 2  # the parts with errors


@pytest.mark.parametrize("wrong", [{"codebooks": 2}, {"model": DEMO}, {"precision": "int8"}, {"source": "other"}])
def test_an_output_of_another_kind_is_refused(folder: Path, tmp_path: Path, wrong: dict[str, Any]) -> None:
    output = tmp_path / "out"
    (tmp_path / "other").mkdir()
    encode_corpus(folder, output, model=TINY, codebooks=6)
    before = {file: file.read_bytes() for file in output.rglob("*") if file.is_file() and file.name != "lock"}
    arguments = {"source": folder, "model": TINY, "codebooks": 6, **wrong}
    if "source" in wrong:
        arguments["source"] = tmp_path / "other"
    name = {"model": "model_id", "source": "input"}.get(next(iter(wrong)), next(iter(wrong)))
    with pytest.raises(CorpusError, match=f"made with {name} .*, not "):
        encode_corpus(arguments.pop("source"), output, **arguments)
    assert {file: file.read_bytes() for file in before} == before


def test_folders_of_something_else_are_left_alone(folder: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "a.parquet").write_bytes(b"mine")
    with pytest.raises(CorpusError, match="holds parquet files of something else"):
        encode_corpus(folder, theirs, model=TINY)
    with pytest.raises(CorpusError, match="the input's own folder"):
        encode_corpus(folder, folder, model=TINY)
    with pytest.raises(CorpusError, match="not a folder"):
        encode_corpus(folder, theirs / "a.parquet", model=TINY)
    assert [file.name for file in theirs.iterdir()] == ["a.parquet"]


def test_an_output_within_the_input_is_no_input(folder: Path) -> None:
    output = folder / "codes"
    for _ in range(2):
        encode_corpus(folder, output, model=TINY)
    assert len(rows(output)) == 28


def test_two_runs_at_once(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    line = [sys.executable, "-m", "libmimi.corpus", str(folder), str(output), "--model", str(TINY), "--quiet"]
    both = [subprocess.Popen(line, env=environment(), stderr=subprocess.PIPE, text=True) for _ in range(2)]
    ended = [(process.communicate()[1], process.returncode) for process in both]
    refused = [text for text, _ in ended if "another run is writing into it (process " in text]
    assert len(refused) <= 1  # the second may come when the first has ended
    assert [status for _, status in ended] == [1, 1]
    assert len(rows(output)) == 28
    assert len(errors(output)) == 2


def test_a_run_that_holds_an_output_keeps_others_out(folder: Path, tmp_path: Path) -> None:
    from libmimi.corpus._output import Output

    with Output(tmp_path / "out").open({}):
        told = run(folder, tmp_path / "out")
    assert told.returncode == 1
    assert f"another run is writing into it (process {os.getpid()} on " in told.stderr


def test_a_run_that_was_killed_goes_on(tmp_path: Path) -> None:
    source, output = tmp_path / "in", tmp_path / "out"
    names = [f"{number:03}.wav" for number in range(120)]
    write_clips(source, names, 1.0)
    for broken in names[::40]:
        (source / broken).write_bytes(b"")
    line = [
        sys.executable,
        "-m",
        "libmimi.corpus",
        str(source),
        str(output),
        "--model",
        str(TINY),
        "--part-items",
        "20",
    ]
    kills = 0
    while True:
        process = subprocess.Popen([*line, "--quiet"], env=environment(), stderr=subprocess.PIPE)
        # until it has made a part more
        before = len(list(output.glob("part-*.parquet")))
        while process.poll() is None and len(list(output.glob("part-*.parquet"))) <= before:
            time.sleep(0.001)
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kills += 1
        for file in output.glob("*.parquet"):
            pq.read_table(file)
    process.communicate()
    assert kills >= 2
    assert process.returncode == 1
    assert sorted(rows(output)) == [name for name in names if name not in names[::40]]
    assert sorted(errors(output)) == names[::40]
    assert nothing_half_written(output)


def test_an_interrupt_ends_the_run_at_once(tmp_path: Path) -> None:
    source, output = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for number in range(3):  # longer than anybody waits for
        soundfile.write(source / f"{number}.flac", np.zeros(3600 * RATE, np.int16), RATE)
    line = [sys.executable, "-m", "libmimi.corpus", str(source), str(output), "--model", str(TINY), "--quiet"]
    # a shell has programs in its background ignore interrupts, and so all that they start
    kept = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(line, env=environment(), stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, kept)
    while not list((output / "__mimi").glob("started/*")):
        time.sleep(0.01)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    told = process.communicate(timeout=60)[1]  # a recording takes minutes
    assert process.returncode == 130
    assert "Traceback" not in told
    assert rows(output) == {}
    assert errors(output) == {}
    assert nothing_half_written(output)


def test_a_disk_that_fills_ends_the_run_and_more_room_lets_it_go_on(tmp_path: Path) -> None:
    source, output = tmp_path / "in", tmp_path / "out"
    write_clips(source, [f"{number}.wav" for number in range(12)], 3.0)
    # a limit of the size of files does what a full disk does, to anyone
    script = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (2600, 2600)); "
    script += "from libmimi.corpus.__main__ import main; sys.exit(main())"
    line = [sys.executable, "-c", script, str(source), str(output), "--model", str(TINY), "--part-items", "4"]
    told = subprocess.run(line, env=environment(), capture_output=True, text=True, check=False)
    assert told.returncode == 1
    assert "File too large" in told.stderr
    assert "Traceback" not in told.stderr
    assert not list(output.glob("*.parquet"))
    assert not any((output / "__mimi" / "tmp").iterdir())
    assert run(source, output, "--part-items", "4").returncode == 0
    assert len(rows(output)) == 12


def test_a_recording_that_ends_the_process_is_named_by_the_next_run(tmp_path: Path) -> None:
    source, output = tmp_path / "in", tmp_path / "out"
    write_clips(source, ["a.wav", "b.wav", "c.wav"])
    # what reads files ends the process at this one
    hostile = tmp_path / "hostile"
    hostile.mkdir()
    (hostile / "sitecustomize.py").write_text(
        "import os, soundfile\n"
        "open_ = soundfile.SoundFile.__init__\n"
        "def init(self, file, *more):\n"
        "    if file.raw.name.endswith('b.wav'): os.kill(os.getpid(), 11)\n"
        "    open_(self, file, *more)\n"
        "soundfile.SoundFile.__init__ = init\n"
    )
    env = environment()
    env["PYTHONPATH"] += os.pathsep + str(hostile)
    line = [sys.executable, "-m", "libmimi.corpus", str(source), str(output), "--model", str(TINY), "--quiet"]
    assert subprocess.run(line, env=env, check=False).returncode == -signal.SIGSEGV
    assert subprocess.run(line, env=env, check=False).returncode == 1
    assert sorted(rows(output)) == ["a.wav", "c.wav"]
    assert errors(output) == {"b.wav": "the process that read it ended with signal 11"}
    assert nothing_half_written(output)


def test_what_is_written_is_written_down(folder: Path, tmp_path: Path) -> None:
    encode_corpus(folder, tmp_path / "out", model=TINY, codebooks=6)
    note = json.loads((tmp_path / "out" / "__mimi" / "run.json").read_text())
    assert note == {
        "bits": 6,
        "codebooks": 6,
        "id_column": None,
        "input": str(folder),
        "model_id": libmimi.Model(TINY).model_id,
        "precision": "f32",
    }


def test_the_program_tells_what_is_wrong(folder: Path, tmp_path: Path) -> None:
    for arguments, message in [
        (("no such", tmp_path / "out"), "no such: no such file or folder"),
        ((GOLDEN / "tiny" / "config.json", tmp_path / "out"), "expected a folder, a list"),
        ((folder, tmp_path / "out", "--codebooks", "99"), "codebooks: found 99, expected at most"),
    ]:
        told = run(*arguments)
        assert (told.returncode, "Traceback" in told.stderr) == (1, False)
        assert message in told.stderr
        assert not (tmp_path / "out").exists()
    assert run(folder, tmp_path / "out", "--jobs", "0").returncode == 2
    assert run(folder, tmp_path / "out", model=tmp_path).returncode == 1


def test_packages_that_are_missing_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from libmimi.corpus._packages import need

    (tmp_path / "nothing_of_that_name").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("nothing_of_this_name", "nothing_of_that_name"):
        with pytest.raises(ModuleNotFoundError, match=rf"No module named '{name}'; `pip install libmimi\[ray\]`"):
            need(name, "ray")


def test_an_empty_folder_makes_an_empty_output(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "notes.txt").write_text("nothing")
    told = run(tmp_path / "in", tmp_path / "out")
    assert told.returncode == 0
    assert "0 encoded" in told.stderr
    assert rows(tmp_path / "out") == {}
