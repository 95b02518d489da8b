"""Mimi, the neural speech codec: 24 kHz speech to 12.5 frames of codes a second, and back.

    import numpy as np
    import libmimi

    model = libmimi.Model("kyutai/mimi")
    pcm = np.zeros(24000, np.float32)       # a second, mono, full scale -1 to 1
    codes = model.encode(pcm)               # int32 [13, 8]: 13 frames of 8 codes
    audio = model.decode(codes)             # float32 [24960]: 13 frames of 1920 samples

Streams (`Model.encoder`, `Model.decoder`) take audio and codes piece by piece and give the same bits. All calls that
compute give up the interpreter lock.
"""

from . import tokens
from ._arrays import NO_CODE, Array, Codes, Floats
from ._errors import (
    ArgumentError,
    ArgumentTypeError,
    CorruptError,
    Error,
    FormatError,
    InternalError,
    NotFoundError,
    OutOfMemoryError,
    ReadError,
    StateError,
    UnsupportedError,
)
from ._files import EncodedFile
from ._library import version
from ._live import Capture, Playback
from ._model import Model
from ._streams import Decoder, Encoder

__version__ = "0.1.0"
__all__ = [
    "NO_CODE",
    "ArgumentError",
    "ArgumentTypeError",
    "Array",
    "Capture",
    "Codes",
    "CorruptError",
    "Decoder",
    "EncodedFile",
    "Encoder",
    "Error",
    "Floats",
    "FormatError",
    "InternalError",
    "Model",
    "NotFoundError",
    "OutOfMemoryError",
    "Playback",
    "ReadError",
    "StateError",
    "UnsupportedError",
    "tokens",
    "version",
]
