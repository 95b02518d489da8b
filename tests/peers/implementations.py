"""Mimi as libmimi and as others have it, behind one face.

A codec is made from a folder with `transformers.safetensors`, `kyutai.safetensors` and `config.json`: `imports` what it needs,
then loads the model when it is made; `open(pcm)` begins streams and takes the samples that `encode_step(i)` (frame i of them) and
`encode()` (all of them) work on. Codes are whatever the codec itself hands out and takes back.
"""
import ctypes

CODEBOOKS, FRAME = 8, 1920


class Libmimi:
    """Through the C ABI, without copies, as a program in C would use it."""

    OPT_CODEBOOKS, OPT_PRECISION, OPT_PARTS = 1, 4, 5
    PRECISIONS = {"f32": 0, "bf16": 1, "int16": 3, "int8": 2}
    PARTS = {"both": 0, "encoder": 1, "decoder": 2}

    def __init__(self, folder, library, precision, parts="both"):
        name = f"packed-{precision}" if parts == "packed" else "transformers"
        parts = "both" if parts == "packed" else parts
        self.load(folder / f"{name}.safetensors", library, precision, parts, {self.OPT_CODEBOOKS: CODEBOOKS})

    def load(self, path, library, precision, parts, more):
        self.c = ctypes.CDLL(library)
        self.c.mimi_options_new.restype = ctypes.c_void_p
        self.c.mimi_last_error.restype = ctypes.c_char_p
        self.options = ctypes.c_void_p(self.c.mimi_options_new())
        options = {self.OPT_PRECISION: self.PRECISIONS[precision], self.OPT_PARTS: self.PARTS[parts], **more}
        for key, value in options.items():
            self.ok(self.c.mimi_options_set(self.options, key, ctypes.c_int64(value)))
        self.model = ctypes.c_void_p()
        self.ok(self.c.mimi_load(str(path).encode(), self.options, ctypes.byref(self.model)))

    @staticmethod
    def imports():
        pass

    def ok(self, status):
        if status != 0:
            raise RuntimeError(self.c.mimi_last_error().decode())

    def stream(self, make):
        handle = ctypes.c_void_p()
        self.ok(make(self.model, self.options, ctypes.byref(handle)))
        return handle

    def open(self, pcm):
        self.pcm, self.samples, self.n = pcm, ctypes.c_size_t(len(pcm)), ctypes.c_size_t()
        self.encoder, self.decoder = self.stream(self.c.mimi_encoder_new), self.stream(self.c.mimi_decoder_new)
        frames = len(pcm) // FRAME
        self.codes, self.audio = (ctypes.c_uint32 * (frames * CODEBOOKS))(), (ctypes.c_float * len(pcm))()

    def encode_step(self, i):
        samples = ctypes.byref(self.pcm, 4 * i * FRAME)
        room, n = ctypes.c_size_t(CODEBOOKS), ctypes.byref(self.n)
        self.ok(self.c.mimi_encoder_process(self.encoder, samples, ctypes.c_size_t(FRAME), self.codes, room, n))
        return self.codes

    def decode_step(self, codes):
        count, room = ctypes.c_size_t(CODEBOOKS), ctypes.c_size_t(FRAME)
        self.ok(self.c.mimi_decoder_process(self.decoder, codes, count, self.audio, room, ctypes.byref(self.n)))

    def encode(self):
        room, n = ctypes.c_size_t(len(self.codes)), ctypes.byref(self.n)
        self.ok(self.c.mimi_encode(self.model, self.options, self.pcm, self.samples, self.codes, room, n))
        return self.codes

    def decode(self, codes):
        count, n = ctypes.c_size_t(len(codes)), ctypes.byref(self.n)
        self.ok(self.c.mimi_decode(self.model, self.options, codes, count, self.audio, self.samples, n))


class Many:
    """`count` streams of a libmimi model, a frame for each: in one call, or in a call for each."""

    def __init__(self, codec, count):
        self.codec, self.count = codec, count
        pointers = ctypes.c_void_p * count
        self.encoders = pointers(*(codec.stream(codec.c.mimi_encoder_new).value for _ in range(count)))
        self.decoders = pointers(*(codec.stream(codec.c.mimi_decoder_new).value for _ in range(count)))
        self.codes = [(ctypes.c_uint32 * CODEBOOKS)() for _ in range(count)]
        self.audio = [(ctypes.c_float * FRAME)() for _ in range(count)]
        addresses = [pointers(*map(ctypes.addressof, buffers)) for buffers in (self.codes, self.audio)]
        self.code_pointers, self.audio_pointers = addresses

    def encode_together(self, i):
        at = ctypes.addressof(self.codec.pcm) + 4 * i * FRAME
        pcm = (ctypes.c_void_p * self.count)(*[at] * self.count)
        n = ctypes.c_size_t(self.count)
        self.codec.ok(self.codec.c.mimi_encoder_process_many(self.encoders, n, pcm, self.code_pointers))

    def decode_together(self):
        n = ctypes.c_size_t(self.count)
        decode = self.codec.c.mimi_decoder_process_many
        self.codec.ok(decode(self.decoders, n, self.code_pointers, self.audio_pointers))

    def encode_apart(self, i):
        c, n = self.codec.c, ctypes.byref(self.codec.n)
        samples, size, room = ctypes.byref(self.codec.pcm, 4 * i * FRAME), ctypes.c_size_t(FRAME), ctypes.c_size_t(CODEBOOKS)
        for encoder, codes in zip(self.encoders, self.codes):
            self.codec.ok(c.mimi_encoder_process(ctypes.c_void_p(encoder), samples, size, codes, room, n))

    def decode_apart(self):
        c, n = self.codec.c, ctypes.byref(self.codec.n)
        size, room = ctypes.c_size_t(CODEBOOKS), ctypes.c_size_t(FRAME)
        for decoder, codes, audio in zip(self.decoders, self.codes, self.audio):
            self.codec.ok(c.mimi_decoder_process(ctypes.c_void_p(decoder), codes, size, audio, room, n))


class Rustymimi:
    """kyutai's Rust implementation, on candle."""

    @staticmethod
    def imports():
        import numpy
        import rustymimi

        return numpy, rustymimi

    def __init__(self, folder):
        self.np, self.rustymimi = self.imports()
        self.checkpoint = str(folder / "kyutai.safetensors")
        self.streaming = self.load()

    def load(self):
        return self.rustymimi.Tokenizer(self.checkpoint, num_codebooks=CODEBOOKS)

    def open(self, pcm):
        self.offline = self.load()
        self.pcm = self.np.frombuffer(pcm, self.np.float32)[None, None]

    def encode_step(self, i):
        return self.streaming.encode_step(self.pcm[..., i * FRAME : (i + 1) * FRAME])

    def decode_step(self, codes):
        self.streaming.decode_step(codes)

    def encode(self):
        return self.offline.encode(self.pcm)

    def decode(self, codes):
        self.offline.decode(codes)


def torch():
    import torch

    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    return torch


class Moshi:
    """kyutai's PyTorch implementation."""

    @staticmethod
    def imports():
        from moshi.models import loaders

        return torch(), loaders

    def __init__(self, folder):
        self.torch, self.loaders = self.imports()
        self.checkpoint = str(folder / "kyutai.safetensors")
        self.streaming = self.load()

    def load(self):
        return self.loaders.get_mimi(self.checkpoint, device="cpu", num_codebooks=CODEBOOKS)

    def open(self, pcm):
        self.offline = self.load()
        self.streaming.streaming_forever(1)
        self.pcm = self.torch.frombuffer(pcm, dtype=self.torch.float32)[None, None]

    def encode_step(self, i):
        return self.streaming.encode(self.pcm[..., i * FRAME : (i + 1) * FRAME])

    def decode_step(self, codes):
        self.streaming.decode(codes)

    def encode(self):
        return self.offline.encode(self.pcm)

    def decode(self, codes):
        self.offline.decode(codes)


class Transformers:
    """Hugging Face's PyTorch implementation. It encodes as a stream; its decoder keeps no state of convolutions, so that it cannot
    decode as one."""

    decode_step = None

    @staticmethod
    def imports():
        import transformers
        from safetensors.torch import load_file

        return torch(), transformers, load_file

    def __init__(self, folder):
        self.torch, transformers, load_file = self.imports()
        config = transformers.MimiConfig.from_json_file(str(folder / "config.json"))
        self.model = transformers.MimiModel(config).eval()
        self.model.load_state_dict(load_file(str(folder / "transformers.safetensors")))

    def open(self, pcm):
        self.pcm = self.torch.frombuffer(pcm, dtype=self.torch.float32)[None, None]
        self.state = {}

    def encode_step(self, i):
        frame = self.pcm[..., i * FRAME : (i + 1) * FRAME]
        self.model.config.use_cache = True
        step = self.model.encode(frame, num_quantizers=CODEBOOKS, use_streaming=True, return_dict=True, **self.state)
        self.state = {key: step[key] for key in ("encoder_past_key_values", "padding_cache")}
        return step.audio_codes

    def encode(self):
        self.model.config.use_cache = False
        return self.model.encode(self.pcm, num_quantizers=CODEBOOKS).audio_codes

    def decode(self, codes):
        self.model.decode(codes)
