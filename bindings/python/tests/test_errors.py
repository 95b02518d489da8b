"""Failures: each an exception that Python people expect, which says what was found and what was expected."""

from __future__ import annotations

import errno
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import DEMO, GOLDEN, TINY

import libmimi
from libmimi import Decoder, Encoder, Model


def test_what_is_not_there(tmp_path: Path) -> None:
    missing = tmp_path / "none.safetensors"
    with pytest.raises(FileNotFoundError) as caught:
        Model(missing)
    assert isinstance(caught.value, libmimi.Error)
    assert isinstance(caught.value, libmimi.ReadError)
    assert caught.value.filename == str(missing)
    assert caught.value.errno == errno.ENOENT
    assert caught.value.status == -4
    assert str(missing) in str(caught.value)
    with pytest.raises(OSError, match="no weights found") as nothing:
        Model(tmp_path)
    assert not isinstance(nothing.value, FileNotFoundError)
    assert nothing.value.filename == str(tmp_path)


def test_what_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"no model" * 100)
    with pytest.raises(libmimi.Error) as caught:
        Model(path)
    assert isinstance(caught.value, ValueError)
    assert str(path) in str(caught.value)
    path.write_bytes(DEMO.read_bytes()[:-100])
    with pytest.raises(libmimi.CorruptError):
        Model(path)
    with pytest.raises(libmimi.Error):
        Model.from_bytes(b"")
    with pytest.raises(TypeError, match="data"):
        Model.from_bytes("text")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"precision": "f16"}, ValueError, "precision: found 'f16', expected one of 'f32', 'bf16', 'int8'"),
        ({"precision": ["f32"]}, ValueError, "precision"),
        ({"parts": "half"}, ValueError, "parts: found 'half'"),
        ({"codebooks": 0}, ValueError, "codebooks: found 0, expected 1 or more"),
        ({"codebooks": 99}, ValueError, "99"),
        ({"codebooks": 10**30}, ValueError, "codebooks"),
        ({"codebooks": 8.0}, TypeError, "codebooks: found 8.0, expected a whole number"),
        ({"codebooks": "8"}, TypeError, "codebooks: found '8'"),
        ({"isa": "mmx"}, ValueError, "isa: found 'mmx'"),
    ],
)
def test_options_of_models(arguments: dict[str, Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message) as caught:
        Model(TINY, **arguments)
    assert isinstance(caught.value, libmimi.Error)


def test_sources_of_other_types() -> None:
    for source in (5, None, ["a"]):
        with pytest.raises(TypeError, match="source"):
            Model(source)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="NUL"):
        Model("a\0b")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"codebooks": 7}, "codebooks: found 7, expected at most 6"),
        ({"codebooks": -1}, "codebooks"),
        ({"sample_rate": 44099}, "44099"),
        ({"sample_rate": 2**70}, "sample_rate"),
        ({"tail": "none"}, "tail"),
        ({"context": 70000}, "70000"),
    ],
)
def test_options_of_calls_and_streams(tiny: Model, arguments: dict[str, Any], message: str) -> None:
    pcm = np.zeros(5000, np.float32)
    for call in (lambda: tiny.encode(pcm, **arguments), lambda: tiny.encoder(**arguments)):
        with pytest.raises(libmimi.ArgumentError, match=message):
            call()
    with pytest.raises(libmimi.ArgumentError, match="threads"):
        tiny.encode(pcm, threads=0)
    with pytest.raises(libmimi.ArgumentError):
        tiny.encode(pcm, threads=65)


def pcm_of(values: Any) -> list[Callable[[Model], object]]:
    """Every call that takes audio, with these values."""
    return [
        lambda model: model.encode(values),
        lambda model: model.encode_latents(values),
        lambda model: model.encoder().process(values),
        lambda model: model.encoder().process_latents(values),
        lambda model: model.capture().write(values),
    ]


@pytest.mark.parametrize(
    ("values", "kind", "message"),
    [
        (np.zeros(10, np.int16), TypeError, "pcm: found int16, expected floats from -1 to 1: divide"),
        (np.zeros(10, np.complex64), TypeError, "complex64"),
        (np.zeros(10, bool), TypeError, "bool"),
        (np.array(["a"]), TypeError, "<U1"),
        (np.array([None]), TypeError, "object"),
        (b"abcd", TypeError, "pcm"),
        ("abcd", TypeError, "pcm"),
        (None, TypeError, "pcm"),
        (object(), TypeError, "pcm"),
        ([[0.0], [0.0, 1.0]], TypeError, "pcm"),
        (np.float32(1), ValueError, r"shape \(\)"),
        (np.zeros((2, 100), np.float32), ValueError, r"shape \(2, 100\), expected mono"),
    ],
)
def test_audio_that_is_none(tiny: Model, values: Any, kind: type[Exception], message: str) -> None:
    for call in pcm_of(values):
        with pytest.raises(kind, match=message) as caught:
            call(tiny)
        assert isinstance(caught.value, libmimi.Error)


@pytest.mark.parametrize(
    ("values", "kind", "message"),
    [
        (np.zeros((3, 6), np.float32), TypeError, "codes: found float32, expected integers"),
        (np.zeros((3, 6), bool), TypeError, "bool"),
        (np.zeros((6, 3), np.int32), ValueError, r"shape \(6, 3\).* transpose it"),
        (np.zeros((3, 8), np.int32), ValueError, "codebooks=8 is for others"),
        (np.zeros((1, 6, 3), np.int32), ValueError, r"shape \(1, 6, 3\)"),
        (np.zeros(7, np.int32), ValueError, r"shape \(7,\)"),
        (np.full((3, 6), 64), ValueError, "found 64 in frame 0, codebook 0, expected 0 to 63 or -1"),
        (np.full((3, 6), -2), ValueError, "found -2"),
        (np.full((3, 6), -2, np.int32), ValueError, "found -2 in frame 0"),
        (np.full((3, 6), 2**40), ValueError, str(2**40)),
        (np.full((3, 6), 2**64 - 1, np.uint64), ValueError, str(2**64 - 1)),
        (np.full((3, 6), 200, np.uint8), ValueError, "found 200"),
    ],
)
def test_codes_that_are_none(tiny: Model, values: Any, kind: type[Exception], message: str) -> None:
    decoder = tiny.decoder()
    for call in (tiny.decode, tiny.dequantize, decoder.process, tiny.playback().write):
        with pytest.raises(kind, match=message) as caught:
            call(values)
        assert isinstance(caught.value, libmimi.Error)
    assert decoder.frames == 0


def test_a_bad_code_in_a_long_call(tiny: Model) -> None:
    codes = np.zeros((1000, 6), np.int64)
    codes[700, 5] = 99
    with pytest.raises(libmimi.CorruptError, match="found 99 in frame 700, codebook 5"):
        tiny.decode(codes)


@pytest.mark.parametrize("shape", [(3, 7), (32, 3), (2, 3, 32), (31,)])
def test_latents_of_another_shape(tiny: Model, shape: tuple[int, ...]) -> None:
    assert tiny.latent_dim == 32
    for call in (tiny.decode_latents, tiny.quantize, tiny.decoder().process_latents):
        with pytest.raises(libmimi.ArgumentError, match=r"latents: found shape .*, expected \[frames, 32\]"):
            call(np.zeros(shape, np.float32))
        with pytest.raises(libmimi.ArgumentTypeError, match="latents: found int64"):
            call(np.zeros((3, 32), np.int64))


def test_many_streams_that_do_not_go_together(tiny: Model, demo: Model) -> None:
    one, other = tiny.encoder(), tiny.encoder()
    block = np.zeros((2, 1920), np.float32)
    with pytest.raises(ValueError, match="same stream twice"):
        Encoder.process_many([one, one], block)
    with pytest.raises(ValueError, match=r"pcm: found float32 \(2, 1920\), expected floats \(1, 1920\)"):
        Encoder.process_many([one], block)
    with pytest.raises(ValueError, match="found int16"):
        Encoder.process_many([one, other], block.astype(np.int16))
    with pytest.raises(ValueError, match="different models"):
        Encoder.process_many([tiny.encoder(codebooks=4), demo.encoder(codebooks=4)], block)
    with pytest.raises(ValueError, match="codebooks"):
        Encoder.process_many([one, tiny.encoder(codebooks=5)], block)
    with pytest.raises(ValueError, match="taken a frame alone"):
        Encoder.process_many([tiny.encoder(sample_rate=48000)], np.zeros((1, 3840), np.float32))
    with pytest.raises(libmimi.CorruptError, match="found 64 in stream 1, codebook 3"):
        Decoder.process_many([tiny.decoder(), tiny.decoder()], [[0] * 6, [0, 0, 0, 64, 0, 0]])
    with pytest.raises(TypeError, match="found Decoder, expected Encoder"):
        Encoder.process_many([tiny.decoder()], block[:1])  # type: ignore[list-item]
    one.close()
    with pytest.raises(libmimi.StateError, match="the encoder is closed"):
        Encoder.process_many([other, one], block)
    assert Encoder.process_many([other], block[:1]).shape == (1, 6)  # none of it changed the other


def test_what_is_closed() -> None:
    model, pcm = Model(TINY), np.zeros(5000, np.float32)
    encoder, decoder = model.encoder(), model.decoder()
    with model as same:
        assert same is model
    assert model.closed
    model.close()
    for call in (lambda: model.encode(pcm), model.encoder, lambda: model.model_id, lambda: pickle.dumps(model)):
        with pytest.raises(libmimi.StateError, match="the model is closed"):
            call()
    assert "closed" in repr(model)
    assert encoder.process(pcm).shape == (2, 6)  # streams live on
    encoder.close()
    encoder.close()
    assert encoder.closed
    for use in (lambda: encoder.process(pcm), encoder.flush, encoder.reset, encoder.clone, lambda: encoder.frames):
        with pytest.raises(RuntimeError, match="the encoder is closed"):
            use()
    with decoder:
        decoder.close()
    with pytest.raises(libmimi.StateError):
        decoder.conceal()


def test_a_model_that_was_never_loaded() -> None:
    model = object.__new__(Model)
    assert model.closed
    assert "closed" in repr(model)
    model.close()
    for use in (lambda: model.encoder(), lambda: model.model_id, lambda: model.encode_latents([0.0])):
        with pytest.raises((libmimi.StateError, AttributeError)):
            use()
    with pytest.raises(ValueError, match="path is empty"):
        Model("")


def test_streams_are_made_by_models() -> None:
    for kind in (Encoder, Decoder):
        for argument in (None, 5, 0):
            with pytest.raises(TypeError, match="a model makes it"):
                kind(argument)


def test_errors_cross_processes() -> None:
    raised = [
        libmimi.ArgumentError("codebooks: found 0"),
        libmimi.CorruptError("text", -6),
        libmimi.ReadError("a: what", "a", errno.EACCES),
        libmimi.NotFoundError("b: none", "b"),
        libmimi.OutOfMemoryError("much"),
    ]
    for error in raised:
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error)
        assert (str(again), again.status) == (str(error), error.status)
        assert getattr(again, "filename", None) == getattr(error, "filename", None)
        assert getattr(again, "errno", None) == getattr(error, "errno", None)
    assert isinstance(raised[-1], MemoryError)


def test_names_are_looked_up_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="no such model in") as caught:
        Model("someone/mimi")
    assert str(tmp_path) in str(caught.value)
    assert caught.value.filename == "someone/mimi"
    folder = tmp_path / "models--someone--mimi"
    shutil.copytree(TINY, folder / "snapshots" / "abc")
    shutil.copytree(TINY, folder / "snapshots" / "abc" / "inside" / "of.it")
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("abc")
    assert Model("someone/mimi").model_id == Model(TINY).model_id
    assert Model("someone/mimi/inside/of.it").model_id == Model(TINY).model_id
    for name in ("someone/other", "someone/mimi/..", "../someone/mimi", "someone/mimi/none"):
        with pytest.raises(FileNotFoundError):
            Model(name)
    (folder / "refs" / "main").write_text("../../..")
    with pytest.raises(FileNotFoundError):
        Model("someone/mimi")
    (folder / "refs" / "main").write_text("abc")
    monkeypatch.delenv("HF_HUB_CACHE")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    with pytest.raises(FileNotFoundError, match="home"):
        Model("someone/mimi")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "hub").symlink_to(tmp_path)
    Model("someone/mimi")


def test_a_path_comes_before_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    shutil.copytree(GOLDEN / "tiny", tmp_path / "kyutai" / "mimi")
    assert Model("kyutai/mimi").model_id == Model(TINY).model_id
