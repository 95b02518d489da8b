"""Token files, and recordings on threads."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import GOLDEN, ROOT

import libmimi
from libmimi import Floats, Model, tokens

# the test vectors of mimi.h
HEADER = bytes.fromhex(
    "6d746f6b010b280008000000c05d000080070000fa36010000000000efcdab896745230159f486c3",
)
FRAME = bytes.fromhex("ffe003ff800ffe003ff801")


def test_the_vectors_of_the_manual() -> None:
    header = tokens.Header(24000, 1920, 8, 11, samples=79610, model_id=0x0123456789ABCDEF)
    assert tokens.pack_header(header) == HEADER
    assert tokens.unpack_header(HEADER + FRAME) == (header, 40)
    codes = [[2047, 0, 2047, 0, 2047, 0, 2047, 1]]
    assert tokens.pack(codes, 11) == tokens.pack(codes[0], 11) == FRAME
    assert tokens.unpack(FRAME, 8, 11).tolist() == codes
    assert tokens.drop_codebooks(FRAME, 8, 11, 3) == tokens.pack([codes[0][:3]], 11)
    assert (header.frames, header.frame_bytes, header.samples_at(8000)) == (42, 11, 26537)


def test_files_there_and_back(demo: Model, speech: Floats, tmp_path: Path) -> None:
    codes, header = demo.encode(speech), demo.header(samples=len(speech))
    assert header.model_id == demo.model_id
    path = tmp_path / "speech.mtok"
    for target in (path, str(path)):
        tokens.write(target, codes, header)
        assert os.listdir(tmp_path) == ["speech.mtok"]
        again, read = tokens.read(target)
        assert again == header
        assert read.dtype == np.int32
        assert np.array_equal(read, codes)
    with io.BytesIO() as file:
        tokens.write(file, codes, header)
        assert file.getvalue() == path.read_bytes()
        file.seek(0)
        assert np.array_equal(tokens.read(file)[1], codes)
    assert demo.header(codebooks=3, sample_rate=48000).frame_size == 3840


def test_files_that_break_off(demo: Model, speech: Floats, tmp_path: Path) -> None:
    codes, path = demo.encode(speech), tmp_path / "cut.mtok"
    tokens.write(path, codes, demo.header(samples=len(speech)))
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    with pytest.raises(libmimi.CorruptError, match="found 41 frames and 6 bytes, expected 42 frames"):
        tokens.read(path)
    header, read = tokens.read(path, partial=True)
    assert header.frames == 42
    assert np.array_equal(read, codes[:41])
    path.write_bytes(whole[:30])
    with pytest.raises(libmimi.CorruptError):
        tokens.read(path)
    path.write_bytes(b"RIFF" + whole)
    with pytest.raises(libmimi.FormatError):
        tokens.read(path)
    path.write_bytes(whole + b"more")
    with pytest.raises(libmimi.CorruptError):
        tokens.read(path)
    with pytest.raises(FileNotFoundError):
        tokens.read(tmp_path / "none")


def test_what_cannot_be_packed(demo: Model, tmp_path: Path) -> None:
    with pytest.raises(libmimi.CorruptError, match="found 512, expected codes below 512"):
        tokens.pack([[512]], 9)
    with pytest.raises(libmimi.CorruptError):
        tokens.pack([[libmimi.NO_CODE]], 9)
    for codes, bits in (([[1] * 65], 9), ([[1]], 17), ([[1]], 0), ([[[1]]], 9)):
        with pytest.raises(libmimi.ArgumentError):
            tokens.pack(codes, bits)
    with pytest.raises(TypeError):
        tokens.pack([[1.5]], 9)
    for data, codebooks, bits in ((FRAME[:-1], 8, 11), (FRAME, 0, 11), (FRAME, 8, 0), (FRAME, 8, 17), (b"", 65, 9)):
        with pytest.raises(libmimi.ArgumentError):
            tokens.unpack(data, codebooks, bits)
    with pytest.raises(libmimi.ArgumentError, match="keep: found 9, expected at most 8"):
        tokens.drop_codebooks(FRAME, 8, 11, 9)
    with pytest.raises(TypeError):
        tokens.unpack("text", 8, 11)  # type: ignore[arg-type]
    header = demo.header(samples=1920)
    with pytest.raises(libmimi.ArgumentError, match="found 2 frames, expected 1"):
        tokens.write(tmp_path / "a", np.zeros((2, 8), int), header)
    with pytest.raises(libmimi.ArgumentError, match=r"shape \(1, 7\)"):
        tokens.write(tmp_path / "a", np.zeros((1, 7), int), header)
    with pytest.raises(libmimi.ArgumentError):
        tokens.pack_header(replace(header, codebooks=65))
    with pytest.raises(libmimi.ArgumentError):
        tokens.pack_header(replace(header, samples=-1))
    with pytest.raises(libmimi.ArgumentError):
        tokens.write(tmp_path / "a", np.zeros((1, 8), int), replace(header, frame_size=0))
    assert os.listdir(tmp_path) == []


def test_a_write_that_fails_leaves_the_old_file(demo: Model, tmp_path: Path) -> None:
    path = tmp_path / "kept.mtok"
    path.mkdir()
    with pytest.raises(OSError, match="kept"):
        tokens.write(path, np.zeros((1, 8), int), demo.header())
    assert os.listdir(tmp_path) == ["kept.mtok"]


def test_recordings_on_threads(demo: Model, speech: Floats, tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile", reason="NOT CHECKED: soundfile is not installed")
    pytest.importorskip("soxr", reason="NOT CHECKED: soxr is not installed")
    wav, flac = GOLDEN / "speech.wav", ROOT / "tests" / "data" / "audio" / "sweep.flac"
    odd, stereo = tmp_path / "odd.wav", tmp_path / "stereo.wav"
    soundfile.write(odd, speech, 11111, subtype="FLOAT")
    soundfile.write(stereo, np.stack([speech, np.zeros_like(speech)], 1), 24000, subtype="FLOAT")
    paths = [wav, flac, odd, stereo, wav, wav, wav]
    files = list(demo.encode_files(paths, threads=2))
    assert [file.path for file in files] == [str(path) for path in paths]
    assert np.array_equal(files[0].codes, demo.encode(speech))
    assert np.array_equal(files[-1].codes, files[0].codes)
    assert files[0].header == demo.header(samples=len(speech))
    sweep, rate = soundfile.read(flac, dtype="float32")
    assert np.array_equal(files[1].codes, demo.encode(sweep.mean(axis=1), sample_rate=rate))
    assert np.array_equal(files[3].codes, demo.encode(speech / 2))
    header = files[2].header
    assert (header.sample_rate, header.original_rate, header.original_samples) == (24000, 11111, len(speech))
    for file in files:
        assert len(file.codes) == file.header.frames
        tokens.write(tmp_path / "x.mtok", file.codes, file.header)


def test_recordings_that_are_none(demo: Model, tmp_path: Path) -> None:
    pytest.importorskip("soundfile", reason="NOT CHECKED: soundfile is not installed")
    wav, none, text = GOLDEN / "speech.wav", tmp_path / "none.wav", tmp_path / "text.wav"
    text.write_text("no audio")
    failed: list[tuple[str, Exception]] = []
    paths = [none, wav, text]
    files = list(demo.encode_files(paths, threads=2, on_error=lambda path, error: failed.append((path, error))))
    assert [file.path for file in files] == [str(wav)]
    assert [path for path, _ in failed] == [str(none), str(text)]
    assert isinstance(failed[0][1], FileNotFoundError)
    assert isinstance(failed[1][1], libmimi.ReadError)
    assert failed[1][1].filename == str(text)
    generator = demo.encode_files([wav, none, wav])
    assert next(generator).path == str(wav)
    with pytest.raises(FileNotFoundError):
        next(generator)
    with pytest.raises(StopIteration):
        next(generator)
    for arguments in ({"threads": 0}, {"codebooks": 9}):
        with pytest.raises(libmimi.ArgumentError):
            demo.encode_files([wav], **arguments)  # type: ignore[arg-type]
    with pytest.raises(libmimi.ArgumentError, match="one path"):
        demo.encode_files("speech.wav")
    half = demo.encode_files([wav] * 50, threads=2)
    next(half)
    half.close()  # ends its threads


def test_without_soundfile_a_message_says_how_to_get_it(demo: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "soundfile", None)
    with pytest.raises(libmimi.UnsupportedError, match=r"pip install libmimi\[audio\]"):
        demo.encode_files([GOLDEN / "speech.wav"])
