"""What Hugging Face's package `transformers` has of Mimi, on libmimi: `from libmimi.transformers import MimiModel`.

    model = MimiModel.from_pretrained("kyutai/mimi")
    codes = model.encode(input_values).audio_codes      # int64 [batch, codebooks, frames]
    audio = model.decode(codes).audio_values            # float32 [batch, 1, samples]

Tensors are on the CPU. Weights cannot be trained, and are none of PyTorch's: `parameters()` is empty. What differs:

- `from_pretrained` downloads nothing.
- With a `padding_mask`, each item has the codes that it has alone. In transformers, an item's last frame depends on the
  padding behind it. Codes of frames that are padding alone are 0.
- `use_streaming` takes pieces of any length, and returns one object as all of the caches. `use_cache` in `decode` keeps
  the state of the convolutions, too, so that audio decoded in pieces has no seams.
"""

# The types of torch and transformers are partly unknown.
# pyright: basic
from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from transformers import MimiConfig
from transformers.utils.generic import ModelOutput

from . import _torch as tensors
from ._errors import ArgumentError, ArgumentTypeError, UnsupportedError
from ._model import Model, _resolve
from ._options import Parts, Precision, number
from ._streams import Decoder, Encoder

if TYPE_CHECKING:
    from typing_extensions import Self  # for type checkers, which bring it

__all__ = ["MimiConfig", "MimiDecoderOutput", "MimiEncoderOutput", "MimiModel", "MimiOutput", "MimiStreams"]

# arguments of from_pretrained that say how PyTorch is to hold or find weights
_MEANINGLESS: Final = frozenset(
    {"attn_implementation", "low_cpu_mem_usage", "use_safetensors", "local_files_only", "trust_remote_code", "token"}
)
_MOST_HEADER: Final = 100_000_000


class MimiStreams:
    """The streams of a batch, which stand for the caches of transformers."""

    def __init__(self, streams: Sequence[Encoder] | Sequence[Decoder]) -> None:
        self.streams = list(streams)


@dataclass
class MimiEncoderOutput(ModelOutput):
    """What `MimiModel.encode` returns."""

    audio_codes: torch.Tensor | None = None
    encoder_past_key_values: MimiStreams | None = None
    padding_cache: MimiStreams | None = None

    @property
    def encoder_cache(self) -> MimiStreams | None:
        """The name that later releases give to `encoder_past_key_values`."""
        return self.encoder_past_key_values


@dataclass
class MimiDecoderOutput(ModelOutput):
    """What `MimiModel.decode` returns."""

    audio_values: torch.Tensor | None = None
    decoder_past_key_values: MimiStreams | None = None

    @property
    def decoder_cache(self) -> MimiStreams | None:
        """The name that later releases give to `decoder_past_key_values`."""
        return self.decoder_past_key_values


@dataclass
class MimiOutput(ModelOutput):
    """What `MimiModel.forward` returns."""

    audio_codes: torch.Tensor | None = None
    audio_values: torch.Tensor | None = None
    encoder_past_key_values: MimiStreams | None = None
    decoder_past_key_values: MimiStreams | None = None


class MimiModel(torch.nn.Module):
    """The interface of `transformers.MimiModel`, over a `libmimi.Model`."""

    main_input_name = "input_values"
    base_model_prefix = "mimi"

    def __init__(self, model: Model, config: MimiConfig | None = None) -> None:
        super().__init__()
        self._model = model
        self.config = MimiConfig() if config is None else config
        self.bits_per_codebook = model.code_bits
        self.eval()

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | os.PathLike[str],
        *,
        precision: Precision | None = None,
        parts: Parts = "both",
        torch_dtype: Any = None,
        dtype: Any = None,
        device_map: Any = None,
        config: MimiConfig | None = None,
        **more: Any,
    ) -> Self:
        """Loads a folder, a file, or a name in the cache of Hugging Face's tools, as `libmimi.Model` does.

        `precision`, `parts`: as libmimi has them. Without the first, `dtype` or `torch_dtype` of 16 bits is "bf16".
        """
        for name in more:
            if name not in _MEANINGLESS:
                raise ArgumentTypeError(f"{name}: not an argument that libmimi knows")
        if device_map not in (None, "cpu", "auto", {"": "cpu"}):
            raise UnsupportedError(f"device_map: found {device_map!r}, expected 'cpu'")
        wanted = dtype if dtype is not None else torch_dtype
        if precision is None:
            precision = "bf16" if str(wanted).rpartition(".")[2] in ("bfloat16", "float16") else "f32"
        path = _resolve(pretrained_model_name_or_path)
        model = Model(path, precision=precision, parts=parts)
        if config is None:
            config = _config(Path(path))
            config.name_or_path = os.fspath(pretrained_model_name_or_path)
        return cls(model, config)

    @property
    def device(self) -> torch.device:
        """Where tensors are."""
        return torch.device("cpu")

    @property
    def dtype(self) -> torch.dtype:
        """The type of audio."""
        return torch.float32

    def get_encoded_length(self, input_length: Any) -> Any:
        """The frames of audio of so many samples: a number, or a tensor of numbers."""
        return -(-input_length // self._model.frame_size)

    def get_audio_codes_mask(self, padding_mask: torch.Tensor, padding_side: str = "right") -> torch.Tensor:
        """Which codes are of audio, bool [batch, frames], by a padding mask [batch, samples]."""
        lengths = self.get_encoded_length(padding_mask.sum(dim=-1))
        mask: torch.Tensor = torch.arange(int(lengths.max())).expand(len(lengths), -1) < lengths.unsqueeze(1)
        return mask if padding_side == "right" else mask.flip(dims=[-1])

    def encode(
        self,
        input_values: torch.Tensor,
        padding_mask: torch.Tensor | None = None,
        num_quantizers: float | None = None,
        encoder_past_key_values: MimiStreams | None = None,
        padding_cache: MimiStreams | None = None,
        use_streaming: bool | None = None,
        return_dict: bool | None = None,
        *,
        encoder_cache: MimiStreams | None = None,
    ) -> MimiEncoderOutput | tuple[Any, ...]:
        """Encodes audio [batch, 1, samples] to codes, int64 [batch, num_quantizers, frames], by default of all."""
        pcm = tensors.audio("input_values", input_values)
        width = self._width(num_quantizers)
        state = padding_cache or encoder_past_key_values or encoder_cache
        streaming = self.config.use_streaming if use_streaming is None else use_streaming
        if streaming or state is not None:
            if state is None:
                state = MimiStreams([self._model.encoder(codebooks=width, tail="layer") for _ in pcm])
            encoders = _streams(state, Encoder, len(pcm))
            latents = tensors.encode_streams(encoders, pcm)
            items = [self._model.quantize(item, codebooks=width) for item in latents]
        elif padding_mask is None:
            items = [self._encode(item, width) for item in pcm]
        else:
            items = self._encode_padded(pcm, _spans(padding_mask, pcm.shape), width)
        output = MimiEncoderOutput(tensors.codes_tensor(items, width), state, state)
        return output.to_tuple() if return_dict is False else output

    def decode(
        self,
        audio_codes: torch.Tensor,
        padding_mask: torch.Tensor | None = None,
        decoder_past_key_values: MimiStreams | None = None,
        return_dict: bool | None = None,
        *,
        decoder_cache: MimiStreams | None = None,
        use_cache: bool | None = None,
    ) -> MimiDecoderOutput | tuple[Any, ...]:
        """Decodes codes [batch, codebooks, frames] to audio, float32 [batch, 1, samples].

        `padding_mask`: audio is cut to its length.
        """
        values = tensors.codes("audio_codes", audio_codes, self._model.total_codebooks)
        width = values.shape[2]
        state = decoder_past_key_values or decoder_cache
        if state is not None or (self.config.use_cache if use_cache is None else use_cache):
            if state is None:
                state = MimiStreams([self._model.decoder() for _ in values])
            decoders = _streams(state, Decoder, len(values))
            latents = np.stack([self._model.dequantize(item, codebooks=width) for item in values])
            audio = torch.from_numpy(tensors.decode_streams(decoders, latents))
        else:
            audio = tensors.float_tensor([self._model.decode(item, codebooks=width) for item in values])
        audio = audio[:, None]
        if padding_mask is not None and padding_mask.shape[-1] < audio.shape[-1]:
            audio = audio[..., : padding_mask.shape[-1]]
        output = MimiDecoderOutput(audio, state)
        return output.to_tuple() if return_dict is False else output

    def forward(
        self,
        input_values: torch.Tensor,
        padding_mask: torch.Tensor | None = None,
        num_quantizers: int | None = None,
        audio_codes: torch.Tensor | None = None,
        encoder_past_key_values: MimiStreams | None = None,
        decoder_past_key_values: MimiStreams | None = None,
        return_dict: bool | None = None,
    ) -> MimiOutput | tuple[Any, ...]:
        """Encodes audio, if no codes are given, and decodes the codes, cut to the audio's length."""
        cut = torch.ones_like(input_values) if padding_mask is None else padding_mask
        if audio_codes is None:
            encoded = self.encode(input_values, padding_mask, num_quantizers, encoder_past_key_values)
            assert isinstance(encoded, MimiEncoderOutput)
            audio_codes, encoder_past_key_values = encoded.audio_codes, encoded.encoder_past_key_values
        assert audio_codes is not None
        decoded = self.decode(audio_codes, cut, decoder_past_key_values)
        assert isinstance(decoded, MimiDecoderOutput)
        output = MimiOutput(audio_codes, decoded.audio_values, encoder_past_key_values, decoded.decoder_past_key_values)
        return output.to_tuple() if return_dict is False else output

    def _width(self, num_quantizers: float | None) -> int:
        total = self._model.total_codebooks
        if num_quantizers is None:
            return min(total, self.config.num_quantizers)
        width = number("num_quantizers", int(num_quantizers))
        if width > total:
            raise ArgumentError(f"num_quantizers: found {width}, expected at most {total}")
        return width

    def _encode(self, pcm: tensors.Values, width: int) -> tensors.Values:
        return self._model.encode(pcm, codebooks=width, tail="layer")

    def _encode_padded(self, pcm: tensors.Values, spans: list[tuple[int, int]], width: int) -> list[tensors.Values]:
        frames = self.get_encoded_length(pcm.shape[1])
        items: list[tensors.Values] = []
        for item, (begin, end) in zip(pcm, spans):
            codes = self._encode(item[begin:end], width)
            # on the side where the audio is
            first = frames - len(codes) if begin > 0 else 0
            items.append(np.zeros((frames, width), np.int32))
            items[-1][first : first + len(codes)] = codes
        return items


def _streams(state: object, kind: type[Any], count: int) -> list[Any]:
    if not isinstance(state, MimiStreams) or not all(isinstance(stream, kind) for stream in state.streams):
        raise ArgumentTypeError(f"cache: found {type(state).__name__}, expected what an earlier call returned")
    if len(state.streams) != count:
        raise ArgumentError(f"batch: found {count} items, expected the {len(state.streams)} of the cache")
    return state.streams


def _spans(mask: torch.Tensor, shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """Where each item's audio begins and ends."""
    flat = mask.detach().to("cpu").bool()
    if flat.dim() == 3 and flat.shape[1] == 1:
        flat = flat[:, 0]
    if tuple(flat.shape) != tuple(shape):
        raise ArgumentError(f"padding_mask: found shape {tuple(mask.shape)}, expected {list(shape)}, with or without 1")
    spans: list[tuple[int, int]] = []
    for row in flat.numpy():
        there = np.flatnonzero(row)
        begin, end = (int(there[0]), int(there[-1]) + 1) if there.size else (0, 0)
        if end - begin != there.size or (begin > 0 and end < len(row)):
            raise ArgumentError("padding_mask: found gaps, expected padding at one end")
        spans.append((begin, end))
    return spans


def _config(path: Path) -> MimiConfig:
    """The config beside a checkpoint, or in it; that of the published model if there is none."""
    beside = (path if path.is_dir() else path.parent) / "config.json"
    found: dict[str, Any] | None = _metadata(path) if path.is_file() else None
    if found is None and beside.is_file():
        found = json.loads(beside.read_text(encoding="utf-8"))
    if found is None or found.get("model_type", "mimi") != "mimi":
        return MimiConfig()
    return MimiConfig.from_dict(found)


def _metadata(path: Path) -> dict[str, Any] | None:
    """The config in the header of a safetensors file, which libmimi has read before."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(min(length, _MOST_HEADER))) if path.suffix == ".safetensors" else {}
    config = header.get("__metadata__", {}).get("config")
    return None if config is None else json.loads(config)
