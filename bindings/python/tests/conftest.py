"""What the tests share: the golden vectors of the repository, and models."""

from __future__ import annotations

import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import libmimi

ROOT = Path(__file__).resolve().parents[3]
GOLDEN = ROOT / "tests" / "data" / "golden"
DEMO = ROOT / "tool" / "demo" / "model.safetensors"
TINY = GOLDEN / "tiny"
TINY_SAMPLES = 52_837  # of speech.wav, of which the codes of the tiny networks are


@pytest.fixture(scope="session")
def speech() -> libmimi.Floats:
    """3.3 seconds of speech."""
    with wave.open(str(GOLDEN / "speech.wav")) as file:
        raw = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    return raw.astype(np.float32) / 32768


@pytest.fixture(scope="session")
def golden() -> Callable[[str, str], npt.NDArray[np.float32]]:
    """A golden vector by its case and name."""
    return lambda case, name: np.load(GOLDEN / case / f"{name}.npy")


@pytest.fixture(scope="session")
def demo() -> libmimi.Model:
    """The trained demo model: 8 codebooks of 512 codes."""
    return libmimi.Model(DEMO)


@pytest.fixture(scope="session")
def tiny() -> libmimi.Model:
    """A tiny network, which takes no time: 6 codebooks of 64 codes."""
    return libmimi.Model(TINY, codebooks=6)


@pytest.fixture(scope="session")
def long(speech: libmimi.Floats) -> libmimi.Floats:
    """More audio than a call works on at once."""
    return np.tile(speech, 5)
