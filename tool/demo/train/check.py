"""Measure a model with transformers' MimiModel: STOI, extended STOI, log-mel distance and loudness for each number of codebooks.

usage: check.py MODEL.safetensors WAV_DIR [CLIPS]      (needs transformers 5.23 or later, soundfile, pystoi)
"""
import glob, json, shutil, sys, tempfile
import numpy as np, soundfile, torch
from pystoi import stoi
from safetensors import safe_open
from transformers import MimiModel

with safe_open(sys.argv[1], "pt") as f:
    config = json.loads(f.metadata()["config"])
with tempfile.TemporaryDirectory() as folder:
    shutil.copy(sys.argv[1], folder + "/model.safetensors")
    with open(folder + "/config.json", "w") as f:
        json.dump(config, f)
    model, report = MimiModel.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
assert not any(report.values()), report
model.eval()
mel = lambda f: 2595 * np.log10(1 + f / 700)
p = 700 * (10 ** (np.linspace(mel(20), mel(12000), 82) / 2595) - 1) * 1024 / 24000
k = np.arange(513)
bank = np.maximum(0, np.minimum((k - p[:-2, None]) / np.maximum(p[1:-1] - p[:-2], 1e-3)[:, None], (p[2:, None] - k) / np.maximum(p[2:] - p[1:-1], 1e-3)[:, None]))
bank = torch.tensor(bank / np.maximum(bank.sum(1, keepdims=True), 1e-9), dtype=torch.float32)
spec = lambda x: 20 * torch.log10((bank @ torch.stft(torch.as_tensor(x), 1024, 256, window=torch.hann_window(1024), return_complex=True).abs()).clamp(min=1e-3))
rows = {n: [] for n in (1, 2, 4, config["num_quantizers"])}
with torch.no_grad():
    for name in sorted(glob.glob(sys.argv[2] + "/*.wav"))[: int(sys.argv[3]) if len(sys.argv) > 3 else 24]:
        x, rate = soundfile.read(name, dtype="float32")
        x = x[: len(x) // 1920 * 1920]
        codes = model.encode(torch.from_numpy(x)[None, None]).audio_codes
        for n in rows:
            y = model.decode(codes[:, :n]).audio_values[0, 0, : len(x)].numpy()
            rows[n].append((stoi(x, y, rate), stoi(x, y, rate, extended=True), float((spec(x) - spec(y)).abs().mean()), 20 * np.log10(y.std() / x.std())))
for n, r in rows.items():
    print("%d codebooks: STOI %.3f, extended %.3f, log-mel distance %.1f dB, change of RMS %.1f dB" % (n, *np.mean(r, 0)))
