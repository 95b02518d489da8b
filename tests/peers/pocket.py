#!/usr/bin/env python3
"""Times Pocket TTS's Mimi as libmimi decodes it and as kyutai's pocket_tts does: latents to audio, a frame at a time, in one
process, on one thread each, taking turns; the best of all rounds counts.

    pip install pocket-tts
    pocket.py LIBRARY               networks that pocket_tts lists, with the weights that PyTorch begins with
    pocket.py LIBRARY --model PATH  libmimi alone, on any model

Both must give the same audio. A round is a sentence from its beginning on: pocket_tts keeps all of a sentence, and takes longer
for each frame of a longer one.
"""
import argparse
import ctypes
import json
import random
import statistics
import sys
import tempfile
from importlib import metadata
from pathlib import Path

import peers
from implementations import Libmimi, torch

FRAME_MS, TOLERANCE, PEER = 80, 5e-5, "pocket_tts f32"
# Networks by the names of their configs in pocket_tts, and how many times as fast as real time they are to stream.
NETWORKS = {
    "published": ("english_2026-10", 12),
    "128 wide, 32 filters, 12 layers": ("english_7m_2026-10", 40),
    "128 wide, 24 filters, 4 layers": ("english_2m_2026-10", 40),
}
PEER_GOAL = 3


class Ours(Libmimi):
    """libmimi's decoder."""

    PROP_FRAME_SAMPLES, PROP_LATENT_DIM = 3, 23

    def __init__(self, path, library, precision):
        self.load(path, library, precision, "decoder", {})
        self.dim, self.frame_samples = self.get(self.PROP_LATENT_DIM), self.get(self.PROP_FRAME_SAMPLES)

    def get(self, prop):
        value = ctypes.c_int64()
        self.ok(self.c.mimi_model_get(self.model, prop, ctypes.byref(value)))
        return value.value

    def open(self, latents):
        self.latents, self.n = latents, ctypes.c_size_t()
        self.decoder, self.pcm = self.stream(self.c.mimi_decoder_new), (ctypes.c_float * self.frame_samples)()

    def begin(self):
        self.ok(self.c.mimi_decoder_reset(self.decoder))

    def step(self, i):
        latent, dim = ctypes.byref(self.latents, 4 * i * self.dim), ctypes.c_size_t(self.dim)
        room = ctypes.c_size_t(self.frame_samples)
        self.ok(self.c.mimi_decoder_process_latents(self.decoder, latent, dim, self.pcm, room, ctypes.byref(self.n)))
        return self.pcm


class PocketTts:
    """kyutai's decoder, on PyTorch."""

    def __init__(self, config):
        self.torch = torch()
        from pocket_tts.models.mimi import build_mimi
        from pocket_tts.modules import stateful_module
        from pocket_tts.utils.config import CONFIGS_DIR, load_config

        self.config, self.state_of = load_config(CONFIGS_DIR / f"{config}.yaml").mimi, stateful_module
        self.torch.manual_seed(0)
        self.model = build_mimi(self.config).eval()
        self.stride = int(self.model.encoder_frame_rate / self.model.frame_rate)
        for name, module in self.model.named_modules():
            if isinstance(module, stateful_module.StatefulModule):
                module._module_absolute_name = name

    def save(self, path):
        from safetensors.torch import save_file

        tensors = {f"mimi.{name}": tensor.contiguous() for name, tensor in self.model.state_dict().items()}
        save_file(tensors, path, {"config": json.dumps({"mimi": self.config.model_dump(exclude_none=True)})})

    def open(self, latents):
        self.latents = self.torch.frombuffer(latents, dtype=self.torch.float32).view(1, -1, self.config.inner_dim)

    def begin(self):
        self.state = self.state_of.init_states(self.model, 1, sequence_length=self.latents.shape[1] * self.stride)

    def step(self, i):
        pcm = self.model.decode_from_latent(self.latents[:, i : i + 1], self.state)
        self.state_of.increment_steps(self.model, self.state, increment=self.stride)
        return pcm[0, 0]


def audio(codec, frames):
    codec.begin()
    return [float(sample) for i in range(frames) for sample in codec.step(i)]


def turn(codec, frames):
    """Milliseconds per frame of a sentence: the median."""
    codec.begin()
    return statistics.median(peers.timed(codec.step, i)[0] for i in range(frames))


def difference(found, expected):
    """The largest, relative to the peak."""
    return max(abs(a - b) for a, b in zip(found, expected, strict=True)) / max(map(abs, expected))


def measure_network(path, peer, arguments):
    """Each codec's best time for a frame."""
    codecs = {f"libmimi {precision}": Ours(path, str(arguments.library), precision) for precision in Ours.PRECISIONS}
    noise, count = random.Random(0), arguments.frames * codecs["libmimi f32"].dim
    latents = (ctypes.c_float * count)(*(noise.gauss(0, 1) for _ in range(count)))
    codecs |= {PEER: peer} if peer else {}
    for codec in codecs.values():
        codec.open(latents)
    sentences = {name: audio(codec, arguments.frames) for name, codec in codecs.items()}
    if peer and difference(sentences["libmimi f32"], sentences[PEER]) > TOLERANCE:
        sys.exit(f"{path}: libmimi and pocket_tts give other audio: {difference(sentences['libmimi f32'], sentences[PEER])}")
    rounds = [{name: turn(codec, arguments.frames) for name, codec in codecs.items()} for _ in range(arguments.rounds)]
    return {name: min(times[name] for times in rounds) for name in codecs}


def measure(arguments):
    if arguments.model:
        return {str(arguments.model): measure_network(arguments.model, None, arguments)}
    rows = {}
    for name, (config, _) in NETWORKS.items():
        with tempfile.TemporaryDirectory() as folder:
            peer, path = PocketTts(config), Path(folder) / "model.safetensors"
            peer.save(path)
            rows[name] = measure_network(path, peer, arguments)
    return rows


def table(rows):
    machine = peers.describe_machine()
    lines = [f"{machine['cpu']}, {machine['cpus']} CPUs, {machine['date']}"]
    if any(PEER in times for times in rows.values()):
        lines[0] += "".join(f"; {package} {metadata.version(package)}" for package in ("pocket-tts", "torch"))
    for network, times in rows.items():
        _, goal = NETWORKS.get(network, (None, None))
        lines.append(f"\n{network:34}{'ms per frame':>16}{'times real time':>20}{'times pocket_tts':>20}")
        for name, ms in times.items():
            ours = name != PEER
            against = peers.cells([times[PEER] / ms], [PEER_GOAL]) if PEER in times and ours else ""
            lines.append(f"{name:34}{ms:>16.3f}    {peers.cells([FRAME_MS / ms], [goal] if ours else None)}    {against}")
    return "\n".join(lines)


def parse(words):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library", type=Path, help="libmimi.so, of a release build")
    parser.add_argument("--model", type=Path, help="a model's file or folder, for libmimi alone")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--frames", type=int, default=62, help="of the sentence")
    parser.add_argument("--json", action="store_true", help="print milliseconds per frame for programs")
    arguments = parser.parse_args(words)
    arguments.library = arguments.library.resolve()
    return arguments


if __name__ == "__main__":
    arguments = parse(sys.argv[1:])
    rows = measure(arguments)
    print(json.dumps(rows, indent=2) if arguments.json else table(rows))
