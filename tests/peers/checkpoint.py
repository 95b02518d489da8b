#!/usr/bin/env python3
"""Writes the full-size checkpoint that speed and fidelity are measured on, in both published layouts:

    checkpoint.py FOLDER

makes FOLDER/transformers.safetensors, FOLDER/kyutai.safetensors and FOLDER/config.json. Values come from a formula, the one
of tests/support/synth.rs, and every tensor is checked against its digest in tests/data/golden/full/tensors.tsv. Needs numpy and
safetensors (`pip install numpy safetensors`).
"""
import hashlib
import math
import re
import shutil
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

GOLDEN = Path(__file__).parent.parent / "data/golden/full"
HIDDEN, HEADS = 512, 8
# The decoder's layers that are transposed convolutions.
TRANSPOSED = ("2", "5", "8", "11")


def units(name, count):
    """float32 numbers in [-1, 1) that depend on `name` alone: splitmix64 keyed by its FNV-1a hash."""
    key = 0xCBF29CE484222325
    for byte in name.encode():
        key = (key ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    with np.errstate(over="ignore"):
        z = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(key)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return ((z >> np.uint64(40)).astype(np.int64) - (1 << 23)).astype(np.float32) / np.float32(1 << 23)


def usage(name, entries):
    return np.float32(1) + np.float32(0.5) * units(name, entries)


def fan(name, shape):
    """Products that are summed up in an output."""
    part, _, layer = name.split(".")[:3]
    if part == "upsample":
        return 2 * shape[0] // HIDDEN
    if part == "decoder" and layer in TRANSPOSED:
        return 2 * shape[0]
    return math.prod(shape[1:])


def values(name, shape):
    if name.endswith("initialized"):
        return np.ones(shape, np.float32)
    if name.endswith("cluster_usage"):
        return usage(name, shape[0])
    u = units(name, math.prod(shape)).reshape(shape)
    if name.endswith("embed_sum"):
        scale = np.float32(3.0 * 0.9 ** int(name.split(".layers.")[1].split(".")[0]))
        return u * scale * usage(name.replace("embed_sum", "cluster_usage"), shape[0])[:, None]
    for part, offset, scale in (("layernorm.weight", 1, 0.25), ("layer_scale", 0.25, 0.125)):
        if part in name:
            return np.float32(offset) + np.float32(scale) * u
    scale = 0.1 if name.endswith("bias") else 1.3 * math.sqrt(3.0 / fan(name, shape))
    return u * np.float32(scale)


def generated():
    """All tensors by name, in transformers' layout, each checked."""
    tensors = {}
    for line in (GOLDEN / "tensors.tsv").read_text().splitlines()[1:]:
        name, shape, digest = line.split("\t")[:3]
        tensor = np.ascontiguousarray(values(name, tuple(map(int, shape.split("x")))))
        if hashlib.sha256(tensor.tobytes()).hexdigest() != digest:
            sys.exit(f"{name}: its values are not those of {GOLDEN / 'tensors.tsv'}")
        tensors[name] = tensor
    return tensors


# Patterns of names in transformers' layout, and what they are in kyutai's.
RENAMED = [
    (r"^(encoder|decoder)\.layers\.", r"\1.model."),
    (r"^(encoder|decoder)(\.model\..*)\.(weight|bias)$", r"\1\2.conv.\3"),
    (r"^(decoder\.model\.(?:%s))\.conv\.conv\." % "|".join(TRANSPOSED), r"\1.convtr.convtr."),
    (r"^downsample\.conv\.", "downsample.conv.conv.conv."),
    (r"^upsample\.conv\.", "upsample.convtr.convtr.convtr."),
    (r"_transformer\.layers\.", "_transformer.transformer.layers."),
    (r"\.o_proj\.", ".out_proj."),
    (r"\.mlp\.fc(\d)\.", r".linear\1."),
    (r"\.input_layernorm\.", ".norm1."),
    (r"\.post_attention_layernorm\.", ".norm2."),
    (r"\.self_attn_layer_scale\.", ".layer_scale_1."),
    (r"\.mlp_layer_scale\.", ".layer_scale_2."),
    (r"semantic_residual_vector_quantizer", "rvq_first"),
    (r"acoustic_residual_vector_quantizer", "rvq_rest"),
    (r"^(quantizer\..*)\.layers\.", r"\1.vq.layers."),
    (r"\.codebook\.initialized$", "._codebook._initialized"),
    (r"\.codebook\.cluster_usage$", "._codebook.cluster_usage"),
    (r"\.codebook\.embed_sum$", "._codebook.embedding_sum"),
]


def interleaved(weight):
    """Rows of a head from [first halves, second halves] of the rotary pairs to pair after pair."""
    rows, columns = weight.shape
    return weight.reshape(HEADS, 2, rows // HEADS // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def kyutai(tensors):
    """The same weights in kyutai's layout."""
    renamed = {}
    for name, tensor in tensors.items():
        if re.search(r"\.[kv]_proj\.", name):
            continue
        if ".q_proj." in name:
            keys, values = (tensors[name.replace("q_proj", other)] for other in ("k_proj", "v_proj"))
            tensor = np.concatenate([interleaved(tensor), interleaved(keys), values])
            name = name.replace("q_proj.weight", "in_proj_weight")
        for pattern, replacement in RENAMED:
            name = re.sub(pattern, replacement, name)
        renamed[name] = np.ascontiguousarray(tensor)
    return renamed


def main(folder):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = generated()
    config = (GOLDEN / "config.json").read_text()
    save_file(tensors, folder / "transformers.safetensors", {"format": "pt", "config": config})
    save_file(kyutai(tensors), folder / "kyutai.safetensors", {"format": "pt"})
    shutil.copy(GOLDEN / "config.json", folder)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
