"""Codes, audio and latents: those of other implementations, and the same bits however they are made."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import pytest
from conftest import DEMO, GOLDEN, TINY_SAMPLES

import libmimi
from libmimi import Codes, Decoder, Encoder, Floats, Model

Golden = Callable[[str, str], npt.NDArray[np.float32]]


@pytest.mark.parametrize("case", ["tiny", "tiny-dilated", "tiny-16khz", "tiny-sharded", "tiny-moshi"])
def test_codes_of_tiny_networks_are_those_of_transformers_and_moshi(case: str, speech: Floats, golden: Golden) -> None:
    of = "tiny" if case == "tiny-sharded" else case
    samples = 35_237 if case == "tiny-16khz" else TINY_SAMPLES
    expected = golden(of, "speech.codes").astype(np.int32)
    model = Model(GOLDEN / case)
    tail = "audio" if case == "tiny-moshi" else "layer"
    codes = model.encode(speech[:samples], codebooks=len(expected), tail=tail)  # type: ignore[arg-type]
    assert codes.dtype == np.int32
    assert codes.flags.c_contiguous
    assert np.array_equal(codes.T, expected)
    audio = model.decode(codes, codebooks=len(expected))
    reference = golden(of, "speech.audio")[0]
    assert np.abs(audio - reference).max() <= 5e-5 * np.abs(reference).max()


def test_codes_of_the_demo_model_are_those_of_transformers(demo: Model, speech: Floats, golden: Golden) -> None:
    expected, margin = golden("demo", "speech.codes"), golden("demo", "speech.margin")
    codes = demo.encode(speech, tail="layer").T
    # a code is a matter of rounding where it, or one before it in its branch, has another that is as near
    sure = np.vstack([margin[:1], np.minimum.accumulate(margin[1:])]) > 1e-4
    assert sure.mean() > 0.95
    assert np.array_equal(codes[sure], expected[sure])


def test_latents_are_those_of_pocket_tts(speech: Floats, golden: Golden) -> None:
    model = Model(GOLDEN / "pocket-tiny")
    assert (model.codebooks, model.total_codebooks, model.latent_dim) == (0, 0, 8)
    latents, reference = model.encode_latents(speech[:TINY_SAMPLES]), golden("pocket-tiny", "speech.latents")
    assert latents.shape == reference.shape
    assert np.abs(latents - reference).max() <= 5e-5 * np.abs(reference).max()
    audio = model.decode_latents(reference)
    expected = golden("pocket-tiny", "speech.audio")[0]
    assert np.abs(audio - expected).max() <= 5e-5 * np.abs(expected).max()
    with pytest.raises(libmimi.UnsupportedError, match="no quantizer"):
        model.encode(speech)
    with model.encoder() as encoder:
        assert encoder.codebooks == 0
        assert np.array_equal(encoder.process_latents(speech[: 3 * 1920]), latents[:3])


def cuts(length: int, sizes: list[int]) -> Iterator[slice]:
    """Slices of the given lengths, again and again."""
    at = turn = 0
    while at < length:
        yield slice(at, at + sizes[turn % len(sizes)])
        at, turn = at + sizes[turn % len(sizes)], turn + 1


@pytest.mark.parametrize("sizes", [[1920], [1, 480, 0, 1000, 5000, 37, 1920], [64], [100_000]])
def test_any_cutting_gives_the_same_codes(demo: Model, speech: Floats, sizes: list[int]) -> None:
    whole = demo.encode(speech)
    with demo.encoder() as encoder:
        pieces = [encoder.process(speech[piece]) for piece in cuts(len(speech), sizes)]
        assert encoder.frames == len(speech) // 1920
        pieces.append(encoder.flush())
    assert np.array_equal(np.concatenate(pieces), whole)


@pytest.mark.parametrize("sizes", [[1], [3, 0, 7], [100]])
@pytest.mark.parametrize("rate", [24000, 44100])
def test_any_cutting_gives_the_same_audio(demo: Model, speech: Floats, sizes: list[int], rate: int) -> None:
    codes = demo.encode(speech)
    whole = demo.decode(codes, sample_rate=rate)
    with demo.decoder(sample_rate=rate) as decoder:
        pieces = [decoder.process(codes[piece]) for piece in cuts(len(codes), sizes)]
        pieces.append(decoder.flush())
    assert np.array_equal(np.concatenate(pieces), whole)


@pytest.mark.parametrize("rate", [16000, 24000])
@pytest.mark.parametrize("tail", ["audio", "layer"])
def test_a_long_call_is_worked_on_in_blocks_with_the_same_bits(
    tiny: Model, long: Floats, rate: int, tail: libmimi.Tail
) -> None:
    # one that shares its work between threads is one call of the library
    codes = tiny.encode(long, sample_rate=rate, tail=tail, threads=2)
    assert len(codes) > 128
    assert np.array_equal(tiny.encode(long, sample_rate=rate, tail=tail), codes)
    audio = tiny.decode(codes, sample_rate=rate, threads=2)
    assert np.array_equal(tiny.decode(codes, sample_rate=rate), audio)
    latents = tiny.encode_latents(long, sample_rate=rate, tail=tail, threads=2)
    assert np.array_equal(tiny.encode_latents(long, sample_rate=rate, tail=tail), latents)
    again = tiny.decode_latents(latents, sample_rate=rate, threads=2)
    assert np.array_equal(tiny.decode_latents(latents, sample_rate=rate), again)


def test_the_quantizer_stands_between(demo: Model, speech: Floats) -> None:
    codes, latents = demo.encode(speech), demo.encode_latents(speech)
    assert latents.shape == (len(codes), demo.latent_dim)
    assert np.array_equal(demo.quantize(latents), codes)
    assert np.array_equal(demo.quantize(latents, codebooks=3), codes[:, :3])
    dequantized = demo.dequantize(codes)
    assert np.array_equal(demo.decode_latents(dequantized), demo.decode(codes))
    with demo.encoder() as encoder, demo.decoder() as decoder:
        streamed = [encoder.process_latents(speech[piece]) for piece in cuts(len(speech), [999])]
        streamed.append(encoder.flush_latents())
        assert np.array_equal(np.concatenate(streamed), latents)
        audio = [decoder.process_latents(dequantized[piece]) for piece in cuts(len(codes), [5])]
        assert np.array_equal(np.concatenate(audio), demo.decode(codes))


def test_fewer_codebooks_are_the_first_of_all(demo: Model, speech: Floats) -> None:
    codes = demo.encode(speech)
    assert np.array_equal(demo.encode(speech, codebooks=3), codes[:, :3])
    kept = Model(DEMO, codebooks=3)
    assert (kept.codebooks, kept.total_codebooks) == (3, 3)
    assert kept.memory_bytes < demo.memory_bytes
    assert np.array_equal(kept.encode(speech), codes[:, :3])
    assert np.array_equal(kept.decode(codes[:, :3]), demo.decode(codes[:, :3], codebooks=3))


def test_a_clone_goes_its_own_way(demo: Model, speech: Floats) -> None:
    whole = demo.encode(speech)
    with demo.encoder() as encoder:
        head = encoder.process(speech[:30_000])
        with encoder.clone() as other:
            encoder.process(np.ones(4000, np.float32))
            tail = [other.process(speech[30_000:]), other.flush()]
        assert np.array_equal(np.concatenate([head, *tail]), whole)
    audio = demo.decode(whole)
    with demo.decoder() as decoder:
        begin = decoder.process(whole[:10])
        fork = decoder.clone()
        decoder.close()
        assert np.array_equal(np.concatenate([begin, fork.process(whole[10:])]), audio)


def test_reset_and_flush_leave_a_stream_as_new(demo: Model, speech: Floats) -> None:
    whole = demo.encode(speech)
    with demo.encoder() as encoder, demo.decoder() as decoder:
        encoder.process(speech[:12_345])
        encoder.reset()
        assert encoder.frames == 0
        for _ in range(2):
            assert np.array_equal(np.concatenate([encoder.process(speech), encoder.flush()]), whole)
        audio = demo.decode(whole)
        decoder.process(whole[::-1])
        decoder.reset()
        for _ in range(2):
            assert np.array_equal(decoder.process(whole), audio)
            decoder.flush()


def test_both_ends_agree_on_the_codes_that_arrived(demo: Model, speech: Floats) -> None:
    with demo.encoder() as encoder, demo.decoder() as decoder:
        decoder.process(encoder.process(speech))
        assert encoder.codes_hash == decoder.codes_hash != 0
        assert encoder.frames == decoder.frames == 41
        assert encoder.memory_bytes > 0 < decoder.memory_bytes


def test_lost_frames_are_concealed(demo: Model, speech: Floats) -> None:
    codes = demo.encode(speech)
    lost = codes.copy()
    lost[10] = libmimi.NO_CODE
    with demo.decoder() as decoder:
        audio = [decoder.process(codes[:10]), decoder.conceal(), decoder.process(codes[11:])]
        assert decoder.concealed == 1
        assert decoder.conceal(0).size == 0
    assert np.array_equal(np.concatenate(audio), demo.decode(lost))
    # codes behind one that is lost do not count
    some = codes.copy()
    some[:, 4:] = libmimi.NO_CODE
    assert np.array_equal(demo.decode(some), demo.decode(codes[:, :4], codebooks=4))
    assert np.array_equal(demo.decode(some.view(np.uint32)), demo.decode(some))
    latents = Model(GOLDEN / "pocket-tiny")
    with latents.decoder() as decoder:
        decoder.process_latents(np.ones((3, 8), np.float32))
        assert decoder.conceal(2).size == 2 * 1920
        assert decoder.concealed == 2


@pytest.mark.parametrize("streams", [1, 5])
def test_many_streams_give_the_bits_of_each_alone(demo: Model, speech: Floats, streams: int) -> None:
    frames = 6
    audio = np.stack([speech[1000 * i : 1000 * i + frames * 1920] for i in range(streams)])
    alone = [demo.encoder().process(row) for row in audio]
    encoders, decoders = [demo.encoder() for _ in audio], [demo.decoder() for _ in audio]
    latent_encoders, latent_decoders = [demo.encoder() for _ in audio], [demo.decoder() for _ in audio]
    for frame in range(frames):
        block = audio[:, 1920 * frame : 1920 * (frame + 1)]
        codes = Encoder.process_many(encoders, block)
        assert codes.shape == (streams, 8)
        assert np.array_equal(codes, np.stack([one[frame] for one in alone]))
        decoded = Decoder.process_many(decoders, codes)
        assert decoded.shape == (streams, 1920)
        latents = Encoder.process_many_latents(latent_encoders, block)
        assert np.array_equal(demo.quantize(latents), codes)
        through = Decoder.process_many_latents(latent_decoders, demo.dequantize(codes))
        assert np.array_equal(through, decoded)
        last = decoded
    assert np.array_equal(last, np.stack([demo.decode(one)[-1920:] for one in alone]))


def test_many_of_none_do_nothing() -> None:
    assert Encoder.process_many([], np.empty((0, 0), np.float32)).shape == (0, 0)
    assert Decoder.process_many([], np.empty((0, 0), np.int32)).shape == (0, 0)


def test_empty_input_gives_empty_output(demo: Model) -> None:
    none = np.empty(0, np.float32)
    assert demo.encode(none).shape == (0, 8)
    assert demo.encode_latents(none).shape == (0, demo.latent_dim)
    assert demo.decode(np.empty((0, 8), np.int32)).shape == (0,)
    assert demo.decode_latents(np.empty((0, demo.latent_dim), np.float32)).shape == (0,)
    assert demo.quantize(np.empty((0, demo.latent_dim), np.float32)).shape == (0, 8)
    assert demo.dequantize(np.empty((0, 8), np.int32)).shape == (0, demo.latent_dim)
    with demo.encoder() as encoder, demo.decoder() as decoder:
        assert encoder.process(none).shape == encoder.flush().shape == (0, 8)
        assert decoder.process(np.empty((0, 8), np.int32)).shape == decoder.flush().shape == (0,)


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_precisions_take_less_memory(precision: libmimi.Precision, demo: Model, speech: Floats) -> None:
    model = Model(DEMO, precision=precision)
    assert model.precision == precision
    assert model.memory_bytes < demo.memory_bytes
    assert model.encode(speech).shape == (42, 8)


def test_half_a_model(speech: Floats, demo: Model) -> None:
    path = DEMO
    encoder, decoder = Model(path, parts="encoder"), Model(path, parts="decoder")
    assert (encoder.parts, decoder.parts) == ("encoder", "decoder")
    codes = encoder.encode(speech)
    assert np.array_equal(decoder.decode(codes), demo.decode(codes))
    for call in (decoder.encode, decoder.encode_latents):
        with pytest.raises(libmimi.UnsupportedError):
            call(speech)
    with pytest.raises(libmimi.UnsupportedError):
        encoder.decode(codes)
    with pytest.raises(libmimi.UnsupportedError):
        decoder.encoder()
    with pytest.raises(NotImplementedError):
        encoder.decoder()


def test_bytes_are_a_model_too(demo: Model, speech: Floats) -> None:
    data = DEMO.read_bytes()
    for form in (data, bytearray(data), memoryview(data), np.frombuffer(data, np.uint8)):
        model = Model.from_bytes(form)
        assert model.model_id == demo.model_id
    assert np.array_equal(model.encode(speech), demo.encode(speech))


def test_the_numbers_of_a_model(demo: Model, tiny: Model) -> None:
    assert (demo.sample_rate, demo.frame_size, demo.frame_rate) == (24000, 1920, 12.5)
    assert (demo.codebooks, demo.total_codebooks, demo.codebook_size, demo.code_bits) == (8, 8, 512, 9)
    assert (tiny.codebooks, tiny.codebook_size, tiny.code_bits) == (6, 64, 6)
    assert demo.precision == "f32"
    assert demo.parts == "both"
    assert demo.isa != "auto"
    assert demo.model_id != tiny.model_id
    slow = Model(GOLDEN / "tiny", isa="baseline")
    assert slow.isa == "baseline"


def test_streams_at_other_rates(demo: Model, speech: Floats) -> None:
    codes: Codes = demo.encode(speech, sample_rate=48000)
    with demo.encoder(sample_rate=48000) as encoder, demo.decoder(sample_rate=48000) as decoder:
        assert encoder.sample_rate == decoder.sample_rate == 48000
        assert encoder.frame_size == decoder.frame_size == 3840
        assert encoder.latency > 3840
        assert np.array_equal(np.concatenate([encoder.process(speech), encoder.flush()]), codes)
        audio = np.concatenate([decoder.process(codes), decoder.flush()])
    assert np.array_equal(audio, demo.decode(codes, sample_rate=48000))
    assert audio.size == len(codes) * 3840
