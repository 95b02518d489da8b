#!/usr/bin/env python3
"""Times libmimi beside other Mimis, in one process, on one thread each, taking turns; the best of all rounds counts.

usage: peers.py LIBMIMI.SO TRANSFORMERS_CHECKPOINT KYUTAI_CHECKPOINT [ROUNDS]

The two checkpoints hold the same weights in the two layouts. Peers that are not installed are left out: rustymimi and moshi
(`pip install rustymimi moshi`). Speed does not depend on what the weights are.
"""
import ctypes
import os
import sys
import time

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = "1"
import numpy as np

CODEBOOKS, FRAME, CLIP_FRAMES, STREAM_FRAMES = 8, 1920, 125, 25


class Libmimi:
    def __init__(self, library, checkpoint, precision):
        self.c = ctypes.CDLL(library)
        self.c.mimi_options_new.restype = ctypes.c_void_p
        self.c.mimi_last_error.restype = ctypes.c_char_p
        self.options = ctypes.c_void_p(self.c.mimi_options_new())
        for key, value in ((1, CODEBOOKS), (4, precision)):
            self.ok(self.c.mimi_options_set(self.options, key, ctypes.c_int64(value)))
        self.model, self.encoder, self.decoder = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
        self.ok(self.c.mimi_load(checkpoint.encode(), self.options, ctypes.byref(self.model)))
        self.ok(self.c.mimi_encoder_new(self.model, self.options, ctypes.byref(self.encoder)))
        self.ok(self.c.mimi_decoder_new(self.model, self.options, ctypes.byref(self.decoder)))
        self.codes = np.zeros(CODEBOOKS * CLIP_FRAMES, np.uint32)
        self.audio = np.zeros(FRAME * CLIP_FRAMES, np.float32)

    def ok(self, status):
        if status != 0:
            raise RuntimeError(self.c.mimi_last_error().decode())

    def call(self, function, *arguments):
        n = ctypes.c_size_t()
        converted = [
            a.ctypes.data_as(ctypes.c_void_p) if isinstance(a, np.ndarray) else ctypes.c_size_t(a) if isinstance(a, int) else a
            for a in arguments
        ]
        self.ok(function(*converted, ctypes.byref(n)))
        return n.value

    def encode_step(self, pcm):
        self.call(self.c.mimi_encoder_process, self.encoder, pcm, pcm.size, self.codes, self.codes.size)
        return self.codes[:CODEBOOKS].copy()

    def decode_step(self, codes):
        self.call(self.c.mimi_decoder_process, self.decoder, codes, codes.size, self.audio, self.audio.size)

    def encode(self, pcm):
        n = self.call(self.c.mimi_encode, self.model, self.options, pcm, pcm.size, self.codes, self.codes.size)
        return self.codes[:n].copy()

    def decode(self, codes):
        self.call(self.c.mimi_decode, self.model, self.options, codes, codes.size, self.audio, self.audio.size)


class Rustymimi:
    def __init__(self, checkpoint):
        import rustymimi

        self.stream = rustymimi.Tokenizer(checkpoint, num_codebooks=CODEBOOKS)
        self.clip = rustymimi.Tokenizer(checkpoint, num_codebooks=CODEBOOKS)

    def encode_step(self, pcm):
        return self.stream.encode_step(pcm[None, None])

    def decode_step(self, codes):
        self.stream.decode_step(codes)

    def encode(self, pcm):
        return self.clip.encode(pcm[None, None])

    def decode(self, codes):
        self.clip.decode(codes)


class Moshi:
    def __init__(self, checkpoint):
        import torch
        from moshi.models import loaders

        torch.set_num_threads(1)
        torch.set_grad_enabled(False)
        self.torch = torch
        self.stream = loaders.get_mimi(checkpoint, device="cpu", num_codebooks=CODEBOOKS)
        self.clip = loaders.get_mimi(checkpoint, device="cpu", num_codebooks=CODEBOOKS)
        self.stream.streaming_forever(1)

    def encode_step(self, pcm):
        return self.stream.encode(self.torch.from_numpy(pcm)[None, None])

    def decode_step(self, codes):
        self.stream.decode(codes)

    def encode(self, pcm):
        return self.clip.encode(self.torch.from_numpy(pcm)[None, None])

    def decode(self, codes):
        self.clip.decode(codes)


def turn(codec, pcm):
    """Milliseconds per frame: streamed encode and decode, median; clip encode and decode."""
    times = [[], []]
    for i in range(STREAM_FRAMES):
        frame = pcm[i * FRAME : (i + 1) * FRAME]
        start = time.perf_counter()
        codes = codec.encode_step(frame)
        middle = time.perf_counter()
        codec.decode_step(codes)
        times[0].append(middle - start)
        times[1].append(time.perf_counter() - middle)
    start = time.perf_counter()
    codes = codec.encode(pcm)
    middle = time.perf_counter()
    codec.decode(codes)
    clip = [(middle - start) / CLIP_FRAMES, (time.perf_counter() - middle) / CLIP_FRAMES]
    return np.array([np.median(times[0]), np.median(times[1]), *clip]) * 1e3


def main(library, transformers, kyutai, rounds=5):
    makers = {
        "libmimi f32": lambda: Libmimi(library, transformers, 0),
        "libmimi bf16": lambda: Libmimi(library, transformers, 1),
        "libmimi int8": lambda: Libmimi(library, transformers, 2),
        "rustymimi f32": lambda: Rustymimi(kyutai),
        "moshi (PyTorch) f32": lambda: Moshi(kyutai),
    }
    codecs = {}
    for name, make in makers.items():
        try:
            codecs[name] = make()
        except ImportError as error:
            print(f"{name}: left out, {error}", file=sys.stderr)
    pcm = (np.random.default_rng(0).random(CLIP_FRAMES * FRAME, np.float32) - 0.5).astype(np.float32)
    best = {name: np.full(4, np.inf) for name in codecs}
    for _ in range(int(rounds)):
        for name, codec in codecs.items():
            best[name] = np.minimum(best[name], turn(codec, pcm))
    print(f"{'ms per frame':22}{'stream encode':>14}{'stream decode':>14}{'clip encode':>14}{'clip decode':>14}")
    for name, times in best.items():
        print(f"{name:22}" + "".join(f"{t:14.2f}" for t in times))


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    main(*sys.argv[1:])
