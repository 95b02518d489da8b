"""Live audio: captures and playbacks, for audio callbacks."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Generator
from contextlib import contextmanager

import numpy as np

from . import _arrays as arrays
from . import _library as c
from ._arrays import Array, Codes, Floats, address, floats, integers
from ._errors import check_real_time, of
from ._handle import Handle, Made, read, usable, when_forked
from ._options import number
from ._streams import bad_code

_MOST_WAITING = 64  # frames that a capture keeps


class Live(Made):
    """What captures and playbacks share.

    They have three sides, each for a thread of its own: audio, codes and work. Calls of one side take turns, and wait
    for no other side. In an audio callback the interpreter lock is what makes a call wait: use `work="other"`, keep
    blocks of some milliseconds, or write the callback in another language.
    """

    def __init__(self, handle: object) -> None:
        """For `Model.capture()` and `Model.playback()`, which make them."""
        self._handle: Handle | None = self._own(handle)
        self._sides = [threading.Lock() for _ in range(3)]
        when_forked(self)
        self.codebooks = self._property(c.PROP_CODEBOOKS)
        self.sample_rate = self._property(c.PROP_SAMPLE_RATE)
        self.frame_size = self._property(c.PROP_FRAME_SAMPLES)

    codebooks: int
    """Codes in a frame."""
    sample_rate: int
    """Samples per second of the audio."""
    frame_size: int
    """Samples in a frame, at `sample_rate`."""

    def _use(self) -> Handle:
        return usable(self._handle, self._kind)

    def _property(self, key: int) -> int:
        return read(type(self)._get, self._use(), key)

    @contextmanager
    def _alone(self) -> Generator[Handle, None, None]:
        audio, codes, work = self._sides
        with audio, codes, work:
            yield self._use()

    def forked(self) -> None:
        """In a new process: a call that another thread was in will never end here."""
        if any(side.locked() for side in self._sides):
            self.close()
            self._sides = [threading.Lock() for _ in range(3)]

    @property
    def frames(self) -> int:
        """Frames that were read (capture) or taken (playback)."""
        return self._property(c.PROP_FRAMES)

    @property
    def dropped(self) -> int:
        """Frames for which there was no room."""
        return self._property(c.PROP_DROPPED)

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return self._handle is None

    def close(self) -> None:
        """Ends it. It is freed with the last call that uses it."""
        self._handle = None

    def reset(self) -> None:
        """Forgets everything: it is as new."""
        with self._alone() as handle:
            check_real_time(type(self)._reset(handle))


class Capture(Live):
    """Live audio to codes, made by `Model.capture()`: an audio thread writes samples, another reads their codes."""

    _kind = "capture"
    _get = c.lib.mimi_capture_get
    _reset = c.lib.mimi_capture_reset

    def write(self, pcm: Array) -> None:
        """Takes any number of samples, on the audio side: mono floats [samples] at `sample_rate`."""
        block = floats(arrays.samples(pcm))
        with self._sides[0]:
            check_real_time(c.lib.mimi_capture_write(self._use(), address(block), block.size))

    def read(self) -> Codes:
        """The codes of the frames that are ready, on the codes side: int32 [frames, codebooks], often of no frames.

        If they are not read, 64 frames wait, and later ones are dropped.
        """
        room, written = np.empty((_MOST_WAITING, self.codebooks), np.int32), ctypes.c_size_t()
        with self._sides[1]:
            check_real_time(c.lib.mimi_capture_read(self._use(), address(room), room.size, ctypes.byref(written)))
        codes: Codes = room[: written.value // self.codebooks].copy()
        return codes

    def work(self) -> None:
        """Encodes the frames that are complete, with `work="other"`. Call it at least once a frame."""
        with self._sides[2]:
            check_real_time(c.lib.mimi_capture_work(self._use()))


class Playback(Live):
    """Live codes to audio, made by `Model.playback()`: a thread writes codes, and an audio thread gets its samples."""

    _kind = "playback"
    _get = c.lib.mimi_playback_get
    _reset = c.lib.mimi_playback_reset

    def write(self, codes: Array) -> None:
        """Takes whole frames, on the codes side, in the order in which they are to be heard.

        `codes`: integers [frames, codebooks]. `NO_CODE` stands for a code that did not arrive.

        `buffer_frames` and 16 more frames may wait. If these do not fit, none is taken: that is an Error, and they
        count in `dropped`.
        """
        block = integers(arrays.codes(codes, self.codebooks))
        with self._sides[1]:
            status = c.lib.mimi_playback_write(self._use(), address(block), block.size)
        if status == c.CORRUPT:
            raise bad_code(block, self._property(c.PROP_CODEBOOK_SIZE))
        if status == c.BUFFER_TOO_SMALL:
            raise of(status, f"codes: found {len(block)} frames, for which there is no room beside those that wait")
        check_real_time(status)

    def read(self, samples: int) -> Floats:
        """The next samples, on the audio side: float32 [samples]. They are silence until enough frames wait."""
        room = np.empty(number("samples", samples, 0), np.float32)
        with self._sides[0]:
            check_real_time(c.lib.mimi_playback_read(self._use(), address(room), room.size))
        return room

    def work(self) -> None:
        """Decodes the frames that are due, with `work="other"`. Call it at least once a frame."""
        with self._sides[2]:
            check_real_time(c.lib.mimi_playback_work(self._use()))

    @property
    def concealed(self) -> int:
        """Frames that were not there when their time came, and were concealed."""
        return self._property(c.PROP_CONCEALED)

    @property
    def lost(self) -> int:
        """Frames taken that were lost: all their codes are `NO_CODE`."""
        return self._property(c.PROP_LOST)

    @property
    def waiting(self) -> int:
        """Frames taken that still wait for their time."""
        return self._property(c.PROP_WAITING)

    @property
    def late(self) -> int:
        """Frames taken that came after their time and were thrown away."""
        return self._property(c.PROP_LATE)

    @property
    def missed(self) -> int:
        """With `work="other"`: frames whose audio `work()` had not made in time."""
        return self._property(c.PROP_MISSED)
