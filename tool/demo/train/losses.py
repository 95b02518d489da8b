"""How far two signals are from each other: spectra at five resolutions, loudness, and STOI."""
import numpy as np, torch, torch.nn as nn, torch.nn.functional as F


def bank(n, bands, rate):
    """Triangles on the mel scale over the n/2+1 frequencies of an n-point spectrum; each sums to one."""
    mel, hz = lambda f: 2595 * np.log10(1 + f / 700), lambda m: 700 * (10 ** (m / 2595) - 1)
    p = hz(np.linspace(mel(20), mel(rate / 2), bands + 2)) * n / rate
    k = np.arange(n // 2 + 1)
    up, down = (k - p[:-2, None]) / (p[1:-1] - p[:-2])[:, None], (p[2:, None] - k) / (p[2:] - p[1:-1])[:, None]
    w = np.maximum(0, np.minimum(up, down))
    for row, middle in zip(w, p[1:-1]):  # a triangle between two frequencies
        if row.sum() == 0:
            row[round(middle)] = 1
    return torch.tensor(w / w.sum(1, keepdims=True), dtype=torch.float32)


class Spectra(nn.Module):
    """Log-mel and magnitude distances. Speech counts by the higher floor, what is nearly silent by the lower one too."""

    def __init__(self, rate=24000):
        super().__init__()
        self.scales = [(2048, 80), (1024, 80), (512, 64), (256, 32), (128, 16)]
        for n, bands in self.scales:
            self.register_buffer(f"mel{n}", bank(n, bands, rate), persistent=False)
            self.register_buffer(f"window{n}", torch.hann_window(n), persistent=False)

    def forward(self, y, x):
        total = 0.0
        for n, _ in self.scales:
            spec = lambda v: torch.stft(v.squeeze(1), n, n // 4, window=getattr(self, f"window{n}"), return_complex=True, normalized=True).abs()
            a, b, m = spec(y), spec(x), getattr(self, f"mel{n}")
            c, d = m @ a, m @ b
            for weight, floor in ((1.4, 1e-3), (0.4, 5e-5)):
                total = total + weight * (torch.log10(c + floor) - torch.log10(d + floor)).abs().mean()
            total = total + (a - b).abs().mean()
            if n == 512:  # loudness: the power of each band over a tenth of a second
                power = lambda v: torch.log10(F.avg_pool1d(v * v, 19, 19) + 1e-5)
                total = total + 0.3 * (power(c) - power(d)).abs().mean()
        return total / len(self.scales)


class Stoi(nn.Module):
    """STOI (Taal et al., 2011) of pieces of sound, at 24 kHz instead of 10 kHz, so that it has a gradient."""

    def __init__(self, rate=24000):
        super().__init__()
        self.frame, self.n = round(0.0256 * rate), 1250
        f = np.arange(self.n // 2 + 1) * rate / self.n
        bands = np.zeros((15, len(f)), "f4")
        for k in range(15):
            low, high = (np.abs(f - 150 * 2 ** ((2 * k + s) / 6)).argmin() for s in (-1, 1))
            bands[k, low:high] = 1
        self.register_buffer("bands", torch.tensor(bands), persistent=False)
        self.register_buffer("window", torch.hann_window(self.frame), persistent=False)

    def forward(self, y, x):
        spec = lambda v: torch.view_as_real(torch.stft(v.squeeze(1), self.n, self.frame // 2, self.frame, self.window, return_complex=True)).square().sum(-1)
        a, b = spec(y), spec(x)
        heard = b.sum(1)
        heard = heard > 1e-4 * heard.amax(1, keepdim=True)  # 40 dB below the loudest frame is silence, and leaves
        order = torch.argsort(heard.int(), dim=1, descending=True, stable=True)
        envelope = lambda v: (self.bands @ v + 1e-7).sqrt().gather(2, order[:, None].expand(-1, 15, -1)).unfold(2, 30, 1)
        a, b = envelope(a), envelope(b)
        norm = lambda v: v.square().sum(-1, keepdim=True).add(1e-7).sqrt()
        a = torch.minimum(a * (norm(b) / norm(a)), b * (1 + 10 ** 0.75))
        a, b = a - a.mean(-1, keepdim=True), b - b.mean(-1, keepdim=True)
        r = (a / norm(a) * (b / norm(b))).sum(-1).mean(1)
        valid = torch.arange(r.shape[1], device=r.device) + 30 <= heard.sum(1, keepdim=True)
        return (r * valid).sum() / valid.sum().clamp(min=1)
