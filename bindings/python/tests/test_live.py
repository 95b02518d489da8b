"""Captures and playbacks."""

from __future__ import annotations

import pickle
import threading
import time

import numpy as np
import pytest

import libmimi
from libmimi import Capture, Floats, Model, Playback


@pytest.mark.parametrize("work", ["spread", "other"])
def test_live_audio_is_that_of_streams(demo: Model, speech: Floats, work: libmimi.Work) -> None:
    codes = demo.encode(speech)
    whole = demo.decode(codes)
    heard, seen = [], []
    with demo.capture(work=work) as capture, demo.playback(work=work, buffer_frames=1) as playback:
        assert (capture.codebooks, capture.sample_rate, capture.frame_size) == (8, 24000, 1920)
        padded = np.concatenate([speech, np.zeros(10 * 1920, np.float32)])
        for at in range(0, len(padded) - 480, 480):
            capture.write(padded[at : at + 480])
            capture.work()
            ready = capture.read()
            seen.append(ready)
            playback.write(ready)
            heard.append(playback.read(480))
            playback.work()
        assert capture.dropped == playback.concealed == playback.late == playback.missed == playback.lost == 0
        assert playback.waiting <= 2
        assert playback.frames == capture.frames
        latency = capture.latency + playback.latency
    assert np.array_equal(np.concatenate(seen)[: len(codes) - 1], codes[:-1])  # the last was padded by zeros
    audio = np.concatenate(heard)
    assert not audio[:latency].any()
    samples = 1920 * (len(codes) - 1)
    assert np.array_equal(audio[latency : latency + samples], whole[:samples])


def test_a_playback_refuses_what_does_not_fit(demo: Model) -> None:
    with demo.playback() as playback:
        with pytest.raises(libmimi.ArgumentError, match="found 19 frames"):
            playback.write(np.zeros((19, 8), np.int32))
        assert playback.dropped == 19
        assert playback.waiting == 0
        with pytest.raises(libmimi.CorruptError, match="found 512 in frame 1, codebook 2"):
            playback.write(np.where(np.arange(24).reshape(3, 8) == 10, 512, 0))
        playback.write(np.full((1, 8), libmimi.NO_CODE))
        assert playback.waiting == 1
        playback.reset()
        assert playback.waiting == 0
        with pytest.raises(ValueError, match="samples"):
            playback.read(-1)


def test_sides_on_threads(demo: Model, speech: Floats) -> None:
    capture, codes, done = demo.capture(work="other"), [], threading.Event()

    def work() -> None:
        while not done.wait(0.001):
            capture.work()

    worker = threading.Thread(target=work)
    worker.start()
    for frame in range(len(speech) // 1920):
        capture.write(speech[1920 * frame : 1920 * (frame + 1)])
        # a frame can be read when the samples of the next have come
        while capture.frames + capture.dropped < frame:
            codes.append(capture.read())
            time.sleep(0.001)
    done.set()
    worker.join()
    assert np.array_equal(np.concatenate(codes), demo.encode(speech)[: capture.frames])
    assert capture.memory_bytes > 0
    capture.reset()
    assert capture.frames == 0
    capture.close()
    assert capture.closed
    with pytest.raises(libmimi.StateError, match="the capture is closed"):
        capture.read()


@pytest.mark.parametrize("kind", [Capture, Playback])
def test_models_make_them(kind: type[Capture] | type[Playback], demo: Model) -> None:
    with pytest.raises(TypeError, match="a model makes it"):
        kind(None)
    with demo.playback() as playback, pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(playback)
