#!/usr/bin/env python3
"""What a call costs beside the codec's work, in microseconds:

    calls.py MODEL

A call without samples does no work: its time is that of Python, of the arrays and of ctypes. Beside it stands the bare
foreign call. The calls with 64 samples and with a frame show what that is a part of.
"""

from __future__ import annotations

import ctypes
import sys
import time
from typing import Callable

import numpy as np

import libmimi
from libmimi import _library


def best(call: Callable[[], object], times: int) -> float:
    """Microseconds of a call, the best of several rounds."""
    rounds = []
    for _ in range(7):
        began = time.perf_counter()
        for _ in range(times):
            call()
        rounds.append((time.perf_counter() - began) / times * 1e6)
    return min(rounds)


def main() -> None:
    """Measures."""
    model = libmimi.Model(sys.argv[1])
    encoder, decoder = model.encoder(), model.decoder()
    none, block, frame = (np.zeros(n, np.float32) for n in (0, 64, model.frame_size))
    no_codes, codes = (np.zeros((n, model.codebooks), np.int32) for n in (0, 1))
    handle, written = encoder._turns.handle(), ctypes.c_size_t()
    out = ctypes.byref(written)
    bare = _library.lib.mimi_encoder_process
    print(f"the bare foreign call              {best(lambda: bare(handle, None, 0, None, 0, out), 2000):9.2f}")
    print(f"encoder.process, no samples        {best(lambda: encoder.process(none), 2000):9.2f}")
    print(f"decoder.process, no frames         {best(lambda: decoder.process(no_codes), 2000):9.2f}")
    print(f"encoder.process, 64 samples        {best(lambda: encoder.process(block), 300):9.2f}")
    print(f"encoder.process, a frame of 80 ms  {best(lambda: encoder.process(frame), 20):9.2f}")
    print(f"decoder.process, a frame of 80 ms  {best(lambda: decoder.process(codes), 20):9.2f}")


if __name__ == "__main__":
    main()
