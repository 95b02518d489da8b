"""What the modules for PyTorch programs share. Only they import this, and it imports torch."""

# The types of torch and transformers are partly unknown.
# pyright: basic
from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ._arrays import view
from ._errors import ArgumentError, ArgumentTypeError
from ._streams import Decoder, Encoder

Values = npt.NDArray[Any]


def audio(name: str, tensor: torch.Tensor) -> Values:
    """[batch, samples] of a tensor [batch, 1, samples] of floats."""
    if tensor.dim() != 3 or tensor.shape[1] != 1:
        raise ArgumentError(f"{name}: found shape {tuple(tensor.shape)}, expected [batch, 1, samples]")
    if not tensor.is_floating_point():
        raise ArgumentTypeError(f"{name}: found {tensor.dtype}, expected floats")
    return view(name, tensor.detach().to(torch.float32)[:, 0])


def codes(name: str, tensor: torch.Tensor, most: int) -> Values:
    """[batch, frames, codebooks] of a tensor [batch, codebooks, frames] of integers."""
    if tensor.dim() != 3 or not 1 <= tensor.shape[1] <= most:
        raise ArgumentError(f"{name}: found shape {tuple(tensor.shape)}, expected [batch, 1 to {most}, frames]")
    if tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool:
        raise ArgumentTypeError(f"{name}: found {tensor.dtype}, expected integers")
    return view(name, tensor.detach()).transpose(0, 2, 1)


def codes_tensor(items: list[Values], codebooks: int) -> torch.Tensor:
    """An int64 tensor [batch, codebooks, frames] of codes [frames, codebooks] for each item."""
    stacked = np.stack(items) if items else np.empty((0, 0, codebooks), np.int32)
    return torch.from_numpy(np.ascontiguousarray(stacked.transpose(0, 2, 1), np.int64))


def float_tensor(items: list[Values]) -> torch.Tensor:
    """A float32 tensor [batch, ...] of arrays of equal shapes."""
    return torch.from_numpy(np.ascontiguousarray(np.stack(items), np.float32))


def encode_streams(encoders: list[Encoder], pcm: Values) -> Values:
    """Latents [batch, frames, dim] of the next samples [batch, samples] of streams."""
    frame = encoders[0].frame_size
    if len(encoders) == 1 or pcm.shape[1] % frame:
        return np.stack([encoder.process_latents(item) for encoder, item in zip(encoders, pcm)])
    frames = [Encoder.process_many_latents(encoders, pcm[:, at : at + frame]) for at in range(0, pcm.shape[1], frame)]
    return np.stack(frames, axis=1)


def decode_streams(decoders: list[Decoder], latents: Values) -> Values:
    """Samples [batch, samples] of the next latents [batch, frames, dim] of streams."""
    if len(decoders) == 1 or latents.shape[1] == 0:
        return np.stack([decoder.process_latents(item) for decoder, item in zip(decoders, latents)])
    frames = [Decoder.process_many_latents(decoders, latents[:, at]) for at in range(latents.shape[1])]
    return np.concatenate(frames, axis=1)
