"""The C library: mimi.h in ctypes.

ctypes and not an extension module, so that one wheel serves every Python: it needs no compiler for each of them, and it
gives up the interpreter lock in every call.
"""

from __future__ import annotations

import ctypes
import os
import sys
from ctypes import POINTER, c_char_p, c_int32, c_int64, c_size_t, c_uint32, c_void_p
from pathlib import Path
from typing import Final

HEADER: Final = 100  # MIMI_VERSION_NUMBER of the mimi.h that is written down here

OK: Final = 0
NULL_POINTER: Final = -1
INVALID_ARGUMENT: Final = -2
BUFFER_TOO_SMALL: Final = -3
IO: Final = -4
FORMAT: Final = -5
CORRUPT: Final = -6
UNSUPPORTED: Final = -7
OUT_OF_MEMORY: Final = -8
ABORTED: Final = -9
STATE: Final = -10
PANIC: Final = -11

OPT_CODEBOOKS: Final = 1
OPT_SAMPLE_RATE: Final = 2
OPT_MAX_BLOCK: Final = 3
OPT_PRECISION: Final = 4
OPT_PARTS: Final = 5
OPT_TAIL: Final = 6
OPT_CONTEXT: Final = 7
OPT_THREADS: Final = 8
OPT_ISA: Final = 9
OPT_WORK: Final = 10
OPT_OFFLINE: Final = 11
OPT_BUFFER_FRAMES: Final = 12

PROP_CODEBOOKS: Final = 1
PROP_SAMPLE_RATE: Final = 2
PROP_FRAME_SAMPLES: Final = 3
PROP_CODEBOOK_SIZE: Final = 4
PROP_LATENCY_SAMPLES: Final = 5
PROP_FRAMES: Final = 6
PROP_MEMORY_BYTES: Final = 7
PROP_CODES_HASH: Final = 8
PROP_MODEL_ID: Final = 9
PROP_CODE_BITS: Final = 10
PROP_PRECISION: Final = 11
PROP_ISA: Final = 12
PROP_PARTS: Final = 13
PROP_FLUSH_LEN: Final = 14
PROP_BAD_CODE_INDEX: Final = 15
PROP_BAD_CODE_VALUE: Final = 16
PROP_CONCEALED: Final = 17
PROP_LOST: Final = 18
PROP_WAITING: Final = 19
PROP_LATE: Final = 20
PROP_MISSED: Final = 21
PROP_DROPPED: Final = 22
PROP_LATENT_DIM: Final = 23
PROP_FLUSH_LATENTS: Final = 24


class TokenHeader(ctypes.Structure):
    """mimi_token_header."""

    _fields_ = [
        ("size", c_size_t),
        ("sample_rate", c_int64),
        ("frame_samples", c_int64),
        ("n_samples", c_int64),
        ("codebooks", c_int64),
        ("code_bits", c_int64),
        ("model_id", c_int64),
        ("header_bytes", c_int64),
        ("original_rate", c_int64),
        ("original_samples", c_int64),
    ]


_handle, _buffer, _count = c_void_p, c_void_p, c_size_t
_out, _length, _value = POINTER(c_void_p), POINTER(c_size_t), POINTER(c_int64)
_header = POINTER(TokenHeader)
_whole = (_handle, _handle, _buffer, _count, _buffer, _count, _length)
_process = (_handle, _buffer, _count, _buffer, _count, _length)
_flush = (_handle, _buffer, _count, _length)
_many = (_buffer, _count, _buffer, _buffer)

# Arguments of the functions that return a status.
_FUNCTIONS: Final[dict[str, tuple[type, ...]]] = {
    "mimi_options_set": (_handle, c_int32, c_int64),
    "mimi_load": (c_char_p, _handle, _out),
    "mimi_load_memory": (_buffer, _count, _handle, _out),
    "mimi_model_get": (_handle, c_int32, _value),
    "mimi_encode": _whole,
    "mimi_decode": _whole,
    "mimi_encode_latents": _whole,
    "mimi_decode_latents": _whole,
    "mimi_quantize": _whole,
    "mimi_dequantize": _whole,
    "mimi_codes_for": (_handle, _handle, _count, _length),
    "mimi_latents_for": (_handle, _handle, _count, _length),
    "mimi_samples_for": (_handle, _handle, _count, _length),
    "mimi_samples_for_latents": (_handle, _handle, _count, _length),
    "mimi_encoder_new": (_handle, _handle, _out),
    "mimi_encoder_process": _process,
    "mimi_encoder_process_latents": _process,
    "mimi_encoder_process_many": _many,
    "mimi_encoder_process_many_latents": _many,
    "mimi_encoder_flush": _flush,
    "mimi_encoder_flush_latents": _flush,
    "mimi_encoder_reset": (_handle,),
    "mimi_encoder_get": (_handle, c_int32, _value),
    "mimi_encoder_clone": (_handle, _out),
    "mimi_decoder_new": (_handle, _handle, _out),
    "mimi_decoder_process": _process,
    "mimi_decoder_process_latents": _process,
    "mimi_decoder_process_many": _many,
    "mimi_decoder_process_many_latents": _many,
    "mimi_decoder_flush": _flush,
    "mimi_decoder_reset": (_handle,),
    "mimi_decoder_get": (_handle, c_int32, _value),
    "mimi_decoder_clone": (_handle, _out),
    "mimi_capture_new": (_handle, _handle, _out),
    "mimi_capture_write": (_handle, _buffer, _count),
    "mimi_capture_read": (_handle, _buffer, _count, _length),
    "mimi_capture_work": (_handle,),
    "mimi_capture_reset": (_handle,),
    "mimi_capture_get": (_handle, c_int32, _value),
    "mimi_playback_new": (_handle, _handle, _out),
    "mimi_playback_write": (_handle, _buffer, _count),
    "mimi_playback_read": (_handle, _buffer, _count),
    "mimi_playback_work": (_handle,),
    "mimi_playback_reset": (_handle,),
    "mimi_playback_get": (_handle, c_int32, _value),
    "mimi_model_header": (_handle, _handle, _header),
    "mimi_pack_header": (_header, _buffer, _count, _length),
    "mimi_unpack_header": (_buffer, _count, _header),
    "mimi_header_samples": (_header, c_int64, _value),
    "mimi_pack": (_buffer, _count, c_int64, c_int64, _buffer, _count, _length),
    "mimi_unpack": (_buffer, _count, c_int64, c_int64, _buffer, _count, _length),
    "mimi_drop_codebooks": (_buffer, _count, c_int64, c_int64, c_int64, _length),
}


def _load() -> ctypes.CDLL:
    name = {"win32": "mimi.dll", "darwin": "libmimi.dylib"}.get(sys.platform, "libmimi.so")
    # the one that was built with these files, and no other that a system may have
    path = os.fspath(Path(__file__).with_name(name))
    loaded = ctypes.CDLL(path)
    for function, arguments in _FUNCTIONS.items():
        declared = getattr(loaded, function)
        declared.argtypes, declared.restype = arguments, c_int32
    for kind in ("options", "encoder", "decoder", "capture", "playback"):
        free = getattr(loaded, f"mimi_{kind}_free")
        free.argtypes, free.restype = (_handle,), None
    loaded.mimi_free.argtypes, loaded.mimi_free.restype = (_handle,), None
    loaded.mimi_options_new.argtypes, loaded.mimi_options_new.restype = (), c_void_p
    loaded.mimi_last_error.argtypes, loaded.mimi_last_error.restype = (), c_char_p
    loaded.mimi_status_string.argtypes, loaded.mimi_status_string.restype = (c_int32,), c_char_p
    loaded.mimi_version_string.argtypes, loaded.mimi_version_string.restype = (), c_char_p
    loaded.mimi_version_number.argtypes, loaded.mimi_version_number.restype = (), c_uint32
    number = int(loaded.mimi_version_number())
    if number // 100 != HEADER // 100 or number < HEADER:
        raise ImportError(f"{path}: version {number} of libmimi, expected {HEADER} of the same minor version")
    return loaded


lib: Final = _load()


def version() -> str:
    """The version of the C library, and the best kernels that this CPU can run; for logs."""
    text: bytes = lib.mimi_version_string()
    return text.decode()
