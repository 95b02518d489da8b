#!/usr/bin/env python3
"""Draws a recording, its codes, and what is decoded from them (pip install libmimi[audio] matplotlib):

    look.py MODEL RECORDING PICTURE.png

Cells that begin with %% run one by one in editors that know them.
"""

# %% Encode and decode
import sys

import matplotlib as mpl
import numpy as np

import libmimi

mpl.use("Agg")  # draws into files
import matplotlib.pyplot as plt

if len(sys.argv) != 4:
    sys.exit(__doc__)
model = libmimi.Model(sys.argv[1])
file = next(model.encode_files([sys.argv[2]]))
audio = model.decode(file.codes, sample_rate=file.header.sample_rate)[: file.header.samples]
print(f"{file.header.samples / file.header.sample_rate:.2f} s, {len(file.codes)} frames of {model.codebooks} codes")

# %% What fewer codebooks keep
kept = [1, 2, model.codebooks]
decoded = {
    count: model.decode(file.codes[:, :count], codebooks=count, sample_rate=file.header.sample_rate) for count in kept
}

# %% Draw
figure, rows = plt.subplots(1 + len(kept), 1, figsize=(10, 2.2 * (1 + len(kept))), sharex=True, layout="constrained")
end = file.header.frames * file.header.frame_size / file.header.sample_rate
rows[0].imshow(file.codes.T, aspect="auto", origin="lower", extent=(0, end, 0, model.codebooks), interpolation="none")
rows[0].set(ylabel="codebook", title=f"{sys.argv[2]}: codes below {model.codebook_size}")
for row, (count, samples) in zip(rows[1:], decoded.items()):
    row.specgram(samples + 1e-6 * np.sin(np.arange(samples.size)), NFFT=512, noverlap=384, Fs=file.header.sample_rate)
    row.set(ylabel="Hz", title=f"decoded from {count} codebooks")
rows[-1].set(xlabel="s")
figure.savefig(sys.argv[3], dpi=120)
print(f"drawn into {sys.argv[3]}; the decoded audio peaks at {np.abs(audio).max():.2f}")
