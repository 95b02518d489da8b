"""What Kyutai's package `moshi` has of Mimi, on libmimi: `from libmimi import moshi as loaders`, then

    mimi = loaders.get_mimi(path)                   # as moshi.models.loaders.get_mimi
    with torch.no_grad(), mimi.streaming(1):
        codes = mimi.encode(chunk)                  # int64 [batch, codebooks, frames]

Tensors are on the CPU. Weights cannot be trained, and are none of PyTorch's: `parameters()` is empty. Each item of a
batch is a stream of its own.

Streams give the bits of whole recordings. Those of moshi do so up to the length of its attention window, 10 seconds in
the published model: from there on the first of a frame's two steps sees one step less in them.
"""

# The types of torch and transformers are partly unknown.
# pyright: basic
from __future__ import annotations

import math
import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import torch

from . import _torch as tensors
from ._errors import ArgumentError, StateError, UnsupportedError
from ._model import Model
from ._options import Precision, number
from ._streams import Decoder, Encoder

__all__ = ["DEFAULT_REPO", "FRAME_RATE", "MIMI_NAME", "SAMPLE_RATE", "MimiModel", "QuantizedResult", "get_mimi"]

SAMPLE_RATE: Final = 24000
FRAME_RATE: Final = 12.5
MIMI_NAME: Final = "tokenizer-e351c8d8-checkpoint125.safetensors"
DEFAULT_REPO: Final = "kyutai/moshiko-pytorch-bf16"


class FrameSizeError(ArgumentError, RuntimeError):
    """Audio of a stream that is not a whole number of frames; moshi raises a RuntimeError."""


class NotStreamingError(StateError, ValueError, AssertionError):
    """A call that needs streaming; moshi raises an AssertionError, or a ValueError."""


@dataclass
class QuantizedResult:
    """What `MimiModel.forward` returns, as moshi names it."""

    x: torch.Tensor
    codes: torch.Tensor
    bandwidth: torch.Tensor
    penalty: torch.Tensor | None = None
    metrics: dict[str, torch.Tensor] = field(default_factory=dict)


class _Streams:
    """The streams of a batch."""

    def __init__(self, model: Model, batch_size: int) -> None:
        self.encoders: list[Encoder] = [model.encoder() for _ in range(batch_size)] if model.parts != "decoder" else []
        self.decoders: list[Decoder] = [model.decoder() for _ in range(batch_size)] if model.parts != "encoder" else []
        self.batch_size = batch_size
        self.exec_mask = torch.ones(batch_size, dtype=torch.bool)

    def reset(self, mask: torch.Tensor) -> None:
        for at in mask.nonzero().flatten().tolist():
            if self.encoders:
                self.encoders[at].reset()
            if self.decoders:
                self.decoders[at].reset()
            self.exec_mask[at] = True

    def active(self) -> list[int]:
        return [int(at) for at in self.exec_mask.nonzero().flatten().tolist()]


class MimiModel(torch.nn.Module):
    """The interface of `moshi.models.MimiModel`, over a `libmimi.Model`.

    Streams take whole frames, as there. `set_exec_mask` holds streams of a batch: they stay as they are, and their
    rows of a result are zeros.
    """

    def __init__(self, model: Model, num_codebooks: int = 8) -> None:
        super().__init__()
        self._model = model
        self._num_codebooks = 0
        self._streaming_state: _Streams | None = None
        self.set_num_codebooks(num_codebooks)
        self.eval()

    @property
    def channels(self) -> int:
        """Channels of the audio: 1."""
        return 1

    @property
    def sample_rate(self) -> int:
        """Samples per second."""
        return self._model.sample_rate

    @property
    def frame_rate(self) -> float:
        """Frames per second."""
        return self._model.frame_rate

    @property
    def frame_size(self) -> int:
        """Samples in a frame."""
        return self._model.frame_size

    @property
    def dimension(self) -> int:
        """Values in a frame of latents."""
        return self._model.latent_dim

    @property
    def cardinality(self) -> int:
        """Codes are below this."""
        return self._model.codebook_size

    @property
    def total_codebooks(self) -> int:
        """Codebooks that are loaded."""
        return self._model.total_codebooks

    @property
    def num_codebooks(self) -> int:
        """Codes in a frame of `encode`."""
        return self._num_codebooks

    def set_num_codebooks(self, n: int) -> None:
        """Sets the codes in a frame of `encode`, also while it is streaming."""
        n = number("num_codebooks", n)
        if n > self.total_codebooks:
            raise ArgumentError(f"num_codebooks: found {n}, expected at most {self.total_codebooks}")
        self._num_codebooks = n

    # --- codes and audio

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Encodes audio [batch, 1, samples] to codes, int64 [batch, num_codebooks, frames]."""
        latents = self._latents(x)
        return tensors.codes_tensor([self._codes(item) for item in latents], self._num_codebooks)

    def encode_to_latent(self, x: torch.Tensor, quantize: bool = True) -> torch.Tensor:
        """Encodes audio to latents, float32 [batch, dimension, frames], as they leave the quantizer, or enter it."""
        latents = self._latents(x)
        if quantize:
            return self.decode_latent(
                tensors.codes_tensor([self._codes(item) for item in latents], self._num_codebooks)
            )
        return tensors.float_tensor([item.T for item in latents])

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """Decodes codes [batch, any codebooks, frames] to audio, float32 [batch, 1, samples]."""
        latents = self._dequantized(codes)
        state = self._streaming_state
        if state is None:
            return tensors.float_tensor([self._model.decode_latents(item) for item in latents])[:, None]
        self._check_batch(len(latents), state)
        active = state.active()
        out = np.zeros((len(latents), latents.shape[1] * self.frame_size), np.float32)
        if active:
            out[active] = tensors.decode_streams([state.decoders[at] for at in active], latents[active])
        return torch.from_numpy(out)[:, None]

    def decode_latent(self, codes: torch.Tensor) -> torch.Tensor:
        """Turns codes into latents, float32 [batch, dimension, frames]."""
        return tensors.float_tensor([item.T for item in self._dequantized(codes)])

    def forward(self, x: torch.Tensor) -> QuantizedResult:
        """Encodes audio and decodes it again, cut to its length."""
        codes = self.encode(x)
        out = self.decode(codes)[..., : x.shape[-1]]
        kbits = self._num_codebooks * math.log2(self.cardinality) * self.frame_rate / 1000
        return QuantizedResult(out, codes, torch.tensor(kbits), torch.zeros(()))

    # --- streaming

    @property
    def is_streaming(self) -> bool:
        """Whether it is streaming."""
        return self._streaming_state is not None

    def streaming(self, batch_size: int) -> ExitStack:
        """Begins streams, which the context that it returns ends."""
        if self._streaming_state is not None:
            raise StateError("it is streaming already")
        self._streaming_state = _Streams(self._model, number("batch_size", batch_size))
        stack = ExitStack()
        stack.callback(self._stop)
        return stack

    def streaming_forever(self, batch_size: int) -> None:
        """Begins streams, which nothing ends."""
        self.streaming(batch_size)

    def _stop(self) -> None:
        self._streaming_state = None

    def reset_streaming(self, reset_mask: torch.Tensor | None = None) -> None:
        """Begins all streams of the batch anew, or those where the mask is True."""
        state = self._streaming()
        state.reset(torch.ones(state.batch_size, dtype=torch.bool) if reset_mask is None else self._mask(reset_mask))

    def set_exec_mask(self, exec_mask: torch.Tensor) -> None:
        """Holds the streams of the batch where the mask is False."""
        self._streaming().exec_mask[:] = self._mask(exec_mask)

    def get_streaming_state(self) -> dict[str, Any]:
        """The streams as they are: not a copy, as in moshi."""
        return {"": self._streaming_state}

    def set_streaming_state(self, state: Mapping[str, Any]) -> None:
        """Goes on with streams of `get_streaming_state`."""
        if set(state) != {""} or not isinstance(state[""], (_Streams, type(None))):
            raise StateError(f"state: found {sorted(state)}, expected that of get_streaming_state")
        self._streaming_state = state[""]

    # --- within

    def _streaming(self) -> _Streams:
        if self._streaming_state is None:
            raise NotStreamingError("it is not streaming: call streaming() first")
        return self._streaming_state

    def _mask(self, mask: torch.Tensor) -> torch.Tensor:
        size = self._streaming().batch_size
        if tuple(mask.shape) != (size,):
            raise ArgumentError(f"mask: found shape {tuple(mask.shape)}, expected [{size}]")
        return mask.to("cpu", torch.bool)

    def _check_batch(self, found: int, state: _Streams) -> None:
        if found != state.batch_size:
            raise ArgumentError(f"batch: found {found} items, expected the {state.batch_size} that stream")

    def _codes(self, latents: tensors.Values) -> tensors.Values:
        return self._model.quantize(latents, codebooks=self._num_codebooks)

    def _latents(self, x: torch.Tensor) -> tensors.Values:
        """Latents [batch, frames, dimension] as they enter the quantizer."""
        pcm = tensors.audio("x", x)
        state = self._streaming_state
        if state is None:
            return np.stack([self._model.encode_latents(item) for item in pcm])
        self._check_batch(len(pcm), state)
        samples = pcm.shape[1]
        if samples == 0 or samples % self.frame_size:
            raise FrameSizeError(f"x: found {samples} samples, expected a positive multiple of {self.frame_size}")
        active = state.active()
        out = np.zeros((len(pcm), samples // self.frame_size, self.dimension), np.float32)
        if active:
            out[active] = tensors.encode_streams([state.encoders[at] for at in active], pcm[active])
        return out

    def _dequantized(self, codes: torch.Tensor) -> tensors.Values:
        """Latents [batch, frames, dimension] as they leave the quantizer."""
        values = tensors.codes("codes", codes, self.total_codebooks)
        return np.stack([self._model.dequantize(item, codebooks=values.shape[2]) for item in values])


def get_mimi(
    filename: str | os.PathLike[str] | None,
    mimi_config: Mapping[str, Any] | str | torch.device | None = None,
    device: torch.device | str = "cpu",
    num_codebooks: int = 8,
    *,
    precision: Precision = "f32",
) -> MimiModel:
    """Loads a Mimi, as `moshi.models.loaders.get_mimi` does.

    `filename`: a file, a folder or a name, as `libmimi.Model` takes it.
    `mimi_config`: only compared with what libmimi finds beside the file; or the device, as older releases had it here.
    `device`: "cpu".
    `precision`: how libmimi keeps the weights.
    """
    if filename is None:
        raise UnsupportedError("filename: found None, which is a model that is not initialised, expected a file")
    if isinstance(mimi_config, (str, torch.device)):
        device, mimi_config = mimi_config, None
    if torch.device(device).type != "cpu":
        raise UnsupportedError(f"device: found {device}, expected cpu")
    model = Model(filename, precision=precision)
    for name in ("sample_rate", "frame_rate"):
        if mimi_config is not None and mimi_config.get(name, getattr(model, name)) != getattr(model, name):
            raise ArgumentError(f"mimi_config: found {name} of {mimi_config[name]}, expected {getattr(model, name)}")
    return MimiModel(model, num_codebooks)
