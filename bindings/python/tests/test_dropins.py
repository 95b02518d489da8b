"""The drop-ins beside the packages whose place they take.

Each needs its package, and says NOT CHECKED without it. rustymimi runs the published network alone: MIMI_FULL names the
folder that tests/peers/checkpoint.py writes.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import sys
import threading
import time
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import DEMO, GOLDEN, ROOT, TINY

import libmimi
from libmimi import Floats, Model
from libmimi import rustymimi as ours

MOSHI = GOLDEN / "tiny-moshi"
MOSHI_CONFIG = json.loads((MOSHI / "mimi_config.json").read_text())
CLOSE = 5e-5  # of the largest value; the packages differ from each other by about 5e-6
warns = pytest.mark.filterwarnings("ignore")  # of other packages


def package(name: str) -> Any:
    """A package, or a skip that says what is not checked."""
    try:
        return importlib.import_module(name)
    except Exception as error:  # broken ones count as missing
        pytest.skip(f"NOT CHECKED: {name}: {error}")


def close(found: Any, expected: Any) -> None:
    """Whether audio or latents agree up to rounding."""
    assert found.shape == expected.shape
    assert abs(found - expected).max() <= CLOSE * abs(expected).max()


@pytest.fixture
def torch() -> Any:
    """torch, on one thread and without gradients."""
    module = package("torch")
    module.set_num_threads(1)
    with module.no_grad():
        yield module


# --- rustymimi


@pytest.fixture(scope="module")
def full() -> str:
    """The full-size checkpoint in Kyutai's layout."""
    folder = os.environ.get("MIMI_FULL")
    if not folder:
        pytest.skip("NOT CHECKED: rustymimi itself: MIMI_FULL names no folder")
    return str(Path(folder) / "kyutai.safetensors")


def test_rustymimi_itself_agrees(full: str, speech: Floats, tmp_path: Path) -> None:
    theirs = package("rustymimi")
    pcm = speech[None, None, : 20 * 1920 - 777]
    one, other = ours.Tokenizer(full), theirs.Tokenizer(full)
    codes = other.encode(pcm)
    found = one.encode(pcm)
    assert (found.shape, found.dtype) == (codes.shape, codes.dtype)
    # rounding decides some codes of these weights, and each decides those that refine it
    assert (found == codes).mean() > 0.98
    assert np.array_equal(found[:, 0], codes[:, 0])
    close(one.decode(codes), other.decode(codes))
    one, other = ours.Tokenizer(full, num_codebooks=4), theirs.Tokenizer(full, num_codebooks=4)
    for size in (1920, 960, 960, 100, 5660, 480):
        step, pcm = pcm[..., :size], pcm[..., size:]
        expected, found = other.encode_step(step), one.encode_step(step)
        if expected is None:
            assert found is None
        else:
            assert found.shape == expected.shape
            assert (found == expected).mean() > 0.9
            close(one.decode_step(expected), other.decode_step(expected))
    for module, name in ((ours, "ours.wav"), (theirs, "theirs.wav")):
        module.write_wav(tmp_path / name, (speech * 3).astype(np.float32), sample_rate=24000)
    assert (tmp_path / "ours.wav").read_bytes() == (tmp_path / "theirs.wav").read_bytes()
    assert {name for name in dir(theirs) if name[0] != "_"} - {"rustymimi"} <= set(ours.__all__)


def test_rustymimi_whole_and_in_steps(demo: Model, speech: Floats) -> None:
    tokenizer = ours.Tokenizer(DEMO)
    pcm = np.stack([speech, speech[::-1]])[:, None]
    codes = tokenizer.encode(pcm)
    assert codes.shape == (2, 8, 42)
    assert codes.dtype == np.uint32
    assert np.array_equal(codes[0].T, demo.encode(speech, tail="layer"))
    audio = tokenizer.decode(codes)
    assert np.array_equal(audio[1, 0], demo.decode(codes[1].T))
    for _ in range(2):
        steps = [tokenizer.encode_step(pcm[..., at : at + 1000]) for at in range(0, 79000, 1000)]
        assert np.array_equal(np.concatenate([step for step in steps if step is not None], 2), codes[..., :41])
        assert steps[0] is None
        pieces = [tokenizer.decode_step(codes[..., at : at + 3]) for at in range(0, 42, 3)]
        assert np.array_equal(np.concatenate([piece for piece in pieces if piece is not None], 2), audio)
        tokenizer.reset()
    fewer = tokenizer.decode(codes[:, :3])
    assert np.array_equal(fewer[0, 0], demo.decode(codes[0, :3].T, codebooks=3))
    for bad in (pcm[0], pcm[:, 0], np.zeros((1, 2, 1920), np.float32), np.zeros((0, 1, 1920), np.float32)):
        with pytest.raises(ValueError, match="pcm_data"):
            tokenizer.encode(bad)
    with pytest.raises(ValueError, match="expected"):
        tokenizer.decode(codes[0])
    with pytest.raises(ValueError, match="dtype"):
        ours.Tokenizer(DEMO, dtype="f64")
    tokenizer.encode_step(pcm)
    with pytest.raises(ValueError, match="found 1 items, expected 2 until reset"):
        tokenizer.encode_step(pcm[:1])


def wait(get: Any) -> Any:
    """What a stream tokenizer gives when it is done."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        result = get()
        if result is not None:
            return result
        time.sleep(0.001)
    raise AssertionError("nothing came")


def test_rustymimi_streams_on_threads(demo: Model, speech: Floats) -> None:
    tokenizer = ours.StreamTokenizer(DEMO)
    assert tokenizer.get_encoded() is None
    expected = demo.encode(speech)
    audio = demo.decode(expected)
    for frame in range(10):  # as moshi_mlx's local.py does
        tokenizer.encode(speech[1920 * frame : 1920 * (frame + 1)])
        data = wait(tokenizer.get_encoded)
        assert np.array_equal(data.T, expected[frame : frame + 1])
        tokenizer.decode(np.array(data).astype(np.uint32).transpose(1, 0))
        assert np.array_equal(wait(tokenizer.get_decoded), audio[1920 * frame : 1920 * (frame + 1)])
    tokenizer.decode(np.full((1, 8), 999, np.uint32))
    with pytest.raises(libmimi.CorruptError, match="found 999"):
        wait(tokenizer.get_decoded)
    with pytest.raises(ValueError, match="codes"):
        tokenizer.decode(np.zeros((2, 8), np.uint32))
    worker = [thread for thread in threading.enumerate() if thread.name == "libmimi"]
    assert len(worker) == 2
    del tokenizer
    for thread in worker:
        thread.join(10)
        assert not thread.is_alive()


# --- moshi


@warns
def test_moshi_itself_agrees(torch: Any, speech: Floats) -> None:
    loaders = package("moshi.models.loaders")
    from libmimi import moshi

    one = moshi.get_mimi(MOSHI / "model.safetensors", MOSHI_CONFIG, num_codebooks=6)
    other = loaders.get_mimi(MOSHI / "model.safetensors", MOSHI_CONFIG, num_codebooks=6)
    for name in ("channels", "sample_rate", "frame_rate", "frame_size", "dimension", "cardinality", "total_codebooks"):
        assert getattr(one, name) == getattr(other, name), name
    x = torch.from_numpy(np.stack([speech[at : at + 19_999] for at in (0, 20_000, 40_000)]))[:, None]
    codes = other.encode(x)
    assert torch.equal(one.encode(x), codes)
    assert one.encode(x).dtype == codes.dtype
    close(one.decode(codes), other.decode(codes))
    close(one.decode(codes[:, :3]), other.decode(codes[:, :3]))
    close(one.decode_latent(codes), other.decode_latent(codes))
    for quantize in (True, False):
        close(one.encode_to_latent(x, quantize=quantize), other.encode_to_latent(x, quantize=quantize))
    found, expected = one(x[..., : 10 * 1920]), other(x[..., : 10 * 1920])
    close(found.x, expected.x)
    assert torch.equal(found.codes, expected.codes)
    assert found.bandwidth == expected.bandwidth


@warns
def test_moshi_itself_agrees_while_it_streams(torch: Any, speech: Floats) -> None:
    loaders = package("moshi.models.loaders")
    from libmimi import moshi

    one = moshi.get_mimi(MOSHI, num_codebooks=4)
    other = loaders.get_mimi(MOSHI / "model.safetensors", MOSHI_CONFIG, num_codebooks=4)
    x = torch.from_numpy(np.stack([speech[at : at + 16 * 1920] for at in (0, 20_000, 40_000)]))[:, None]
    with one.streaming(3), other.streaming(3):
        assert one.is_streaming
        for frame in range(16):
            chunk = x[..., 1920 * frame : 1920 * (frame + 1)]
            if frame == 4:
                one.set_num_codebooks(6)
                other.set_num_codebooks(6)
            if frame in (8, 9):  # before the attention window is full, where moshi's streams see less than it
                mask = torch.tensor([frame == 9, frame == 9, frame == 8])
                one.reset_streaming(mask)
                other.reset_streaming(mask)
            held = torch.ones(3, dtype=torch.bool)
            held[1] = frame != 10
            one.set_exec_mask(held)
            other.set_exec_mask(held)
            codes, expected = one.encode(chunk), other.encode(chunk)
            assert torch.equal(codes[held], expected[held])
            close(one.decode(expected)[held], other.decode(expected)[held])
        with pytest.raises(RuntimeError, match="multiple"):
            one.encode(x[..., :100])
    assert not one.is_streaming
    with pytest.raises(AssertionError):
        one.reset_streaming()


@warns
@pytest.mark.parametrize("name", ["mimi_streaming_test.py", "test_mimi.py"])
def test_scripts_of_moshi_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MOSHI_SCRIPTS: the folder `scripts` of a clone of moshi, whose programs run as they are, with our classes."""
    folder = os.environ.get("MOSHI_SCRIPTS")
    if not folder:
        pytest.skip("NOT CHECKED: MOSHI_SCRIPTS names no folder")
    monkeypatch.chdir(tmp_path)
    if name == "test_mimi.py":
        monkeypatch.setitem(sys.modules, "rustymimi", ours)
        arguments = ["--model", str(DEMO), "--steps", "5"]
    else:
        package("sphn")
        loaders = package("moshi.models.loaders")
        from libmimi import moshi

        monkeypatch.setattr(loaders, "get_mimi", moshi.get_mimi)
        (tmp_path / "bria.mp3").write_bytes((ROOT / "tests" / "data" / "audio" / "sweep.mp3").read_bytes())
        arguments = ["--mimi-weight", str(DEMO), "--device", "cpu"]
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    runpy.run_path(str(Path(folder) / name), run_name="__main__")
    if name != "test_mimi.py":
        assert (tmp_path / "streaming_out.wav").read_bytes() == (tmp_path / "roundtrip_out.wav").read_bytes()


@warns
def test_moshi_refuses(torch: Any) -> None:
    from libmimi import moshi

    for arguments, kind in (
        ((None,), libmimi.UnsupportedError),
        ((DEMO, None, "cuda"), libmimi.UnsupportedError),
        ((DEMO, {"sample_rate": 16000}), libmimi.ArgumentError),
        ((DEMO, None, "cpu", 9), libmimi.ArgumentError),
    ):
        with pytest.raises(kind):
            moshi.get_mimi(*arguments)  # type: ignore[arg-type]
    mimi = moshi.get_mimi(DEMO, "cpu")
    assert mimi.num_codebooks == 8
    with pytest.raises(ValueError, match="expected"):
        mimi.encode(torch.zeros(1, 1920))
    with pytest.raises(TypeError, match="int64"):
        mimi.encode(torch.zeros(1, 1, 1920, dtype=torch.int64))
    with pytest.raises(libmimi.CorruptError):
        mimi.decode(torch.full((1, 8, 2), 512))
    with mimi.streaming(2), pytest.raises(ValueError, match="found 1 items, expected the 2"):
        mimi.encode(torch.zeros(1, 1, 1920))
    gradients = torch.zeros(1, 1, 1920, requires_grad=True)
    assert not mimi.encode(gradients).requires_grad


# --- transformers


@warns
def test_transformers_itself_agrees(torch: Any, speech: Floats) -> None:
    theirs = package("transformers")
    if int(theirs.__version__.split(".")[0]) < 5:
        pytest.skip(
            f"NOT CHECKED: transformers {theirs.__version__} attends to all of the past: 5.3 or later is needed"
        )
    from libmimi.transformers import MimiModel

    one, other = MimiModel.from_pretrained(TINY), theirs.MimiModel.from_pretrained(TINY)
    assert one.config.to_dict() == other.config.to_dict()
    x = torch.from_numpy(np.stack([speech[:20_001], speech[30_000:50_001]]))[:, None]
    encoded = other.encode(x)
    for found in (one.encode(x).audio_codes, one.encode(x)[0], one.encode(x, return_dict=False)[0]):
        assert torch.equal(found, encoded.audio_codes)
        assert found.dtype == torch.int64
    assert torch.equal(one.encode(x, num_quantizers=3).audio_codes, other.encode(x, num_quantizers=3).audio_codes)
    codes = encoded.audio_codes
    close(one.decode(codes).audio_values, other.decode(codes).audio_values)
    close(one.decode(codes[:, :3])[0], other.decode(codes[:, :3])[0])
    found, expected = one(x), other(x)
    assert torch.equal(found.audio_codes, expected.audio_codes)
    close(found.audio_values, expected.audio_values)
    close(one(x, audio_codes=codes)["audio_values"], other(x, audio_codes=codes)["audio_values"])
    for samples in (1, 960, 1919, 1920, 1921, 79_610):
        assert one.get_encoded_length(samples) == other.get_encoded_length(torch.tensor(samples))
    mask = torch.arange(6000)[None] < torch.tensor([[6000], [1921]])
    for side in ("right", "left"):
        assert torch.equal(one.get_audio_codes_mask(mask, side), other.get_audio_codes_mask(mask, side))


@warns
def test_transformers_saves_what_is_loaded(torch: Any, speech: Floats, tmp_path: Path) -> None:
    """A network of the size of transformers' own tests, with random weights, saved by transformers."""
    theirs = package("transformers")
    from libmimi.transformers import MimiModel

    torch.manual_seed(0)
    config = theirs.MimiConfig(
        hidden_size=32,
        num_filters=8,
        num_residual_layers=1,
        upsampling_ratios=[8, 4],
        codebook_size=64,
        vector_quantization_hidden_dimension=64,
        codebook_dim=64,
        upsample_groups=32,
        num_quantizers=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        intermediate_size=64,
    )
    other = theirs.MimiModel(config).eval()
    for name, buffer in other.named_buffers():  # codebooks begin as zeros
        if name.endswith("embed_sum"):
            buffer.normal_()
    other.save_pretrained(tmp_path)
    one = MimiModel.from_pretrained(tmp_path)
    x = torch.from_numpy(speech[None, None, 20_000:21_000])
    found, codes = one.encode(x).audio_codes, other.encode(x).audio_codes
    assert found.shape == codes.shape
    assert (found == codes).float().mean() > 0.9  # random codebooks have no margins
    assert torch.equal(found[:, 0], codes[:, 0])
    close(one.decode(codes).audio_values, other.decode(codes).audio_values)


@warns
@pytest.mark.parametrize("side", ["right", "left"])
def test_transformers_padding_changes_nothing(torch: Any, speech: Floats, side: str) -> None:
    package("transformers")
    from libmimi.transformers import MimiModel

    model = MimiModel.from_pretrained(TINY)
    lengths = [20_001, 5_000, 1, 0]
    x, mask = np.zeros((4, 1, 20_001), np.float32), np.zeros((4, 20_001), np.int64)
    for row, length in enumerate(lengths):
        where = slice(0, length) if side == "right" else slice(20_001 - length, None)
        x[row, 0, where], mask[row, where] = speech[1000 : 1000 + length], 1
    x_, mask_ = torch.from_numpy(x), torch.from_numpy(mask)
    codes = model.encode(x_, mask_).audio_codes
    assert torch.equal(model.encode(x_, mask_[:, None]).audio_codes, codes)
    valid = model.get_audio_codes_mask(mask_, side)
    for row, length in enumerate(lengths):
        alone = model.encode(torch.from_numpy(speech[None, None, 1000 : 1000 + length])).audio_codes[0]
        assert torch.equal(codes[row][:, valid[row]], alone)
        assert not codes[row][:, ~valid[row]].any()
    assert model(x_, mask_).audio_values.shape == x.shape
    for bad in (mask_[:, 1:], torch.tensor([[1, 0, 1]]).expand(4, 3)):
        with pytest.raises(ValueError, match="padding_mask"):
            model.encode(x_[..., : bad.shape[1]] if bad.shape[1] == 3 else x_, bad)


@warns
def test_transformers_streams(torch: Any, speech: Floats) -> None:
    package("transformers")
    from libmimi.transformers import MimiModel

    model = MimiModel.from_pretrained(TINY)
    x = torch.from_numpy(speech[: 12 * 1920])[None, None]
    whole = model.encode(x).audio_codes
    cache, pieces = None, []
    for at in range(0, 12 * 1920, 1000):
        output = model.encode(x[..., at : at + 1000], padding_cache=cache, use_streaming=True)
        cache = output.padding_cache
        assert output.encoder_past_key_values is output.encoder_cache is cache
        pieces.append(output.audio_codes)
    assert torch.equal(torch.cat(pieces, -1), whole)
    past, audio = None, []
    for frame in range(12):
        decoded = model.decode(whole[..., frame : frame + 1], decoder_past_key_values=past, use_cache=True)
        past = decoded.decoder_past_key_values
        audio.append(decoded.audio_values)
    assert torch.equal(torch.cat(audio, -1), model.decode(whole).audio_values)
    with pytest.raises(TypeError, match="cache"):
        model.encode(x, padding_cache=past)
    with pytest.raises(TypeError, match="cache"):
        model.decode(whole, decoder_past_key_values=types.SimpleNamespace())


@warns
def test_transformers_loads_what_users_have(torch: Any) -> None:
    package("transformers")
    from libmimi.transformers import MimiModel

    model = MimiModel.from_pretrained(DEMO)
    assert model.config.codebook_size == 512
    assert model.config.num_quantizers == 8
    assert (model.dtype, model.device.type, list(model.parameters())) == (torch.float32, "cpu", [])
    half = MimiModel.from_pretrained(DEMO, torch_dtype=torch.bfloat16, device_map="cpu", low_cpu_mem_usage=True)
    assert half._model.precision == "bf16"
    with pytest.raises(FileNotFoundError):
        MimiModel.from_pretrained("none/such")
    with pytest.raises(TypeError, match="revision"):
        MimiModel.from_pretrained(DEMO, revision="main")
    with pytest.raises(libmimi.UnsupportedError):
        MimiModel.from_pretrained(DEMO, device_map="cuda")
    for bad in (torch.zeros(1, 1920), torch.zeros(1, 2, 1920)):
        with pytest.raises(ValueError, match="input_values"):
            model.encode(bad)
    with pytest.raises(ValueError, match="num_quantizers"):
        model.encode(torch.zeros(1, 1, 1920), num_quantizers=9)


@warns
def test_data_loaders_of_torch(torch: Any, tiny: Model, speech: Floats) -> None:
    class Clips(torch.utils.data.Dataset):  # type: ignore[misc, name-defined]
        def __len__(self) -> int:
            return 6

        def __getitem__(self, at: int) -> Any:
            return torch.from_numpy(tiny.encode(speech[1000 * at : 1000 * at + 5760]))

    expected = [tiny.encode(speech[1000 * at : 1000 * at + 5760]) for at in range(6)]
    for codes, rows in zip(
        torch.utils.data.DataLoader(Clips(), batch_size=2, num_workers=2), zip(*[iter(expected)] * 2)
    ):
        assert np.array_equal(codes.numpy(), np.stack(rows))
