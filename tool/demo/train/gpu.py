"""Train the demo model on one GPU in minutes: Mimi's architecture in plain torch, reconstruction and adversarial losses.

usage: gpu.py SPEECH OUT_DIR --seconds 480 [--resume OUT_DIR/state.pt] [--start MODEL.safetensors]

SPEECH is what pack.py writes: 8-bit mu-law at 24 kHz, clips one after another, and their lengths. OUT_DIR receives
model.safetensors (f16, transformers' names, config inside), state.pt to go on from, and val.pt (held-out
clips: input, 1 codebook, 8 codebooks). Needs torch and safetensors alone. Tensor names are those of transformers'
MimiModel, so that check.py can load the result.
"""
import argparse, json, math, os, time
import numpy as np, torch, torch.nn as nn, torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file, save_file

CONFIG = dict(
    model_type="mimi", sampling_rate=24000, audio_channels=1, num_filters=16, num_residual_layers=1, upsampling_ratios=[8, 6, 5, 4],
    kernel_size=7, last_kernel_size=3, residual_kernel_size=3, dilation_growth_rate=2, compress=2, use_causal_conv=True, pad_mode="constant",
    use_conv_shortcut=False, trim_right_ratio=1.0, hidden_size=128, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=4,
    head_dim=32, intermediate_size=512, hidden_act="gelu", norm_eps=1e-5, rope_theta=10000.0, sliding_window=64, attention_bias=False,
    layer_scale_initial_scale=0.1, upsample_groups=128, codebook_size=1024, codebook_dim=64, vector_quantization_hidden_dimension=64,
    num_quantizers=8, num_semantic_quantizers=1, frame_rate=12.5, max_position_embeddings=8000, use_streaming=False)


class Conv(nn.Module):
    """Causal convolution over [batch, channels, time]."""

    def __init__(self, cin, cout, kernel, stride=1, dilation=1, bias=True, pad="constant"):
        super().__init__()
        self.conv = nn.Conv1d(cin, cout, kernel, stride, dilation=dilation, bias=bias)
        self.left, self.pad = (kernel - 1) * dilation + 1 - stride, pad
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity="linear")
        if bias:
            nn.init.zeros_(self.conv.bias)

    def forward(self, x):
        return self.conv(F.pad(x, (self.left, 0), mode=self.pad))


class Transposed(nn.Module):
    def __init__(self, cin, cout, kernel, stride, groups=1, bias=True):
        super().__init__()
        self.conv = nn.ConvTranspose1d(cin, cout, kernel, stride, groups=groups, bias=bias)
        self.cut = kernel - stride
        nn.init.normal_(self.conv.weight, std=1 / math.sqrt(2 * cin / groups))
        if bias:
            nn.init.zeros_(self.conv.bias)

    def forward(self, x):
        return self.conv(x)[..., : -self.cut]


class Block(nn.Module):
    def __init__(self, c, compress=2, kernel=3):
        super().__init__()
        self.block = nn.ModuleList([nn.ELU(), Conv(c, c // compress, kernel), nn.ELU(), Conv(c // compress, c, 1)])

    def forward(self, x):
        y = x
        for layer in self.block:
            y = layer(y)
        return x + y


class Stack(nn.Module):
    """SEANet, either way; layers are numbered with the ELUs between them."""

    def __init__(self, layers):
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


def seanet_encoder(c):
    n, layers = c["num_filters"], []
    layers.append(Conv(1, n, c["kernel_size"]))
    for ratio in reversed(c["upsampling_ratios"]):
        layers += [Block(n), nn.ELU(), Conv(n, 2 * n, 2 * ratio, ratio)]
        n *= 2
    return Stack(layers + [nn.ELU(), Conv(n, c["hidden_size"], c["last_kernel_size"])])


def seanet_decoder(c):
    n = c["num_filters"] * 2 ** len(c["upsampling_ratios"])
    layers = [Conv(c["hidden_size"], n, c["kernel_size"])]
    for ratio in c["upsampling_ratios"]:
        layers += [nn.ELU(), Transposed(n, n // 2, 2 * ratio, ratio), Block(n // 2)]
        n //= 2
    return Stack(layers + [nn.ELU(), Conv(n, 1, c["last_kernel_size"])])


class Scale(nn.Module):
    def __init__(self, n, value):
        super().__init__()
        self.scale = nn.Parameter(torch.full((n,), value))

    def forward(self, x):
        return x * self.scale


class Layer(nn.Module):
    def __init__(self, c):
        super().__init__()
        d, h = c["hidden_size"], c["num_attention_heads"] * c["head_dim"]
        self.heads, self.window, self.theta = c["num_attention_heads"], c["sliding_window"], c["rope_theta"]
        self.self_attn = nn.ModuleDict({k: nn.Linear(d, h, bias=False) for k in ("q_proj", "k_proj", "v_proj")})
        self.self_attn["o_proj"] = nn.Linear(h, d, bias=False)
        self.mlp = nn.ModuleDict(dict(fc1=nn.Linear(d, c["intermediate_size"], bias=False), fc2=nn.Linear(c["intermediate_size"], d, bias=False)))
        self.input_layernorm = nn.LayerNorm(d, eps=c["norm_eps"])
        self.post_attention_layernorm = nn.LayerNorm(d, eps=c["norm_eps"])
        self.self_attn_layer_scale = Scale(d, c["layer_scale_initial_scale"])
        self.mlp_layer_scale = Scale(d, c["layer_scale_initial_scale"])

    def rope(self, x):
        t, d = x.shape[-2], x.shape[-1]
        f = self.theta ** (-torch.arange(0, d, 2, device=x.device).float() / d)
        a = torch.arange(t, device=x.device).float()[:, None] * f
        a = torch.cat([a, a], -1)
        lo, hi = x.chunk(2, -1)
        return (x * a.cos() + torch.cat([-hi, lo], -1) * a.sin()).to(x.dtype)

    def forward(self, x):
        b, t, _ = x.shape
        y = self.input_layernorm(x)
        q, k, v = (self.self_attn[n](y).view(b, t, self.heads, -1).transpose(1, 2) for n in ("q_proj", "k_proj", "v_proj"))
        age = torch.arange(t, device=x.device)[:, None] - torch.arange(t, device=x.device)
        y = F.scaled_dot_product_attention(self.rope(q), self.rope(k), v, attn_mask=(age >= 0) & (age < self.window))
        x = x + self.self_attn_layer_scale(self.self_attn["o_proj"](y.transpose(1, 2).reshape(b, t, -1)))
        return x + self.mlp_layer_scale(self.mlp["fc2"](F.gelu(self.mlp["fc1"](self.post_attention_layernorm(x)))))


class Transformer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.layers = nn.ModuleList([Layer(c) for _ in range(c["num_hidden_layers"])])

    def forward(self, x):
        x = x.transpose(1, 2)
        for layer in self.layers:
            x = layer(x)
        return x.transpose(1, 2)


class Codebook(nn.Module):
    """Code words as running means of what they stand for; words that nobody uses are set anew."""

    def __init__(self, c):
        super().__init__()
        n = c["codebook_size"]
        self.register_buffer("embed_sum", torch.zeros(n, c["codebook_dim"]))
        self.register_buffer("cluster_usage", torch.ones(n))
        self.register_buffer("initialized", torch.ones(1))

    def words(self):
        return self.embed_sum / self.cluster_usage.clamp(min=1e-5)[:, None]

    @torch.no_grad()
    def start(self, r):
        words = r[torch.randint(len(r), (len(self.cluster_usage),), device=r.device)].clone()
        for _ in range(15):
            i = torch.cdist(r, words).argmin(-1)
            n = torch.bincount(i, minlength=len(words)).float()
            new = torch.zeros_like(words).index_add_(0, i, r) / n.clamp(min=1)[:, None]
            words = torch.where(n[:, None] > 0, new, r[torch.randint(len(r), (len(words),), device=r.device)])
        n = torch.bincount(torch.cdist(r, words).argmin(-1), minlength=len(words)).float().clamp(min=0.5)
        self.cluster_usage.copy_(n), self.embed_sum.copy_(words * n[:, None])

    @torch.no_grad()
    def forward(self, r, train):
        i = torch.cdist(r, self.words()).argmin(-1)
        if train:
            n = torch.zeros_like(self.cluster_usage).index_add_(0, i, torch.ones_like(r[:, 0]))
            s = torch.zeros_like(self.embed_sum).index_add_(0, i, r)
            self.cluster_usage.mul_(0.99).add_(n, alpha=0.01), self.embed_sum.mul_(0.99).add_(s, alpha=0.01)
            dead = self.cluster_usage < 0.05 * len(r) / len(n)
            pick = r[torch.randint(len(r), (len(n),), device=r.device)]
            usage = torch.where(dead, torch.full_like(n, 0.5 * len(r) / len(n)), self.cluster_usage)
            self.embed_sum.copy_(torch.where(dead[:, None], pick * usage[:, None], self.embed_sum)), self.cluster_usage.copy_(usage)
        return i, self.words()[i]


class Level(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.codebook = Codebook(c)


class Residual(nn.Module):
    def __init__(self, c, n):
        super().__init__()
        d, v = c["hidden_size"], c["vector_quantization_hidden_dimension"]
        self.input_proj, self.output_proj = nn.Conv1d(d, v, 1, bias=False), nn.Conv1d(v, d, 1, bias=False)
        self.layers = nn.ModuleList([Level(c) for _ in range(n)])

    @torch.no_grad()
    def start(self, z):
        left = self.input_proj(z).float().transpose(1, 2).reshape(-1, self.input_proj.out_channels)
        for layer in self.layers:
            layer.codebook.start(left)
            left = left - layer.codebook(left, False)[1]

    def forward(self, z, levels, train):
        p = self.input_proj(z).float()
        b, d, t = p.shape
        r = p.transpose(1, 2).reshape(-1, d)
        left, total, commit = r.detach().clone(), torch.zeros_like(r), 0.0
        for layer in self.layers[:levels]:
            _, word = layer.codebook(left, train)
            commit = commit + F.mse_loss(r - total, word)
            total, left = total + word, left - word
        out = r + (total - r).detach()
        if train:  # some items stay unquantised, as in Moshi, 3.3
            keep = (torch.rand(b, device=r.device) < 0.25).repeat_interleave(t)[:, None]
            out = torch.where(keep, r, out)
        return self.output_proj(out.view(b, t, d).transpose(1, 2)), commit / max(1, levels)


class Quantizer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.semantic_residual_vector_quantizer = Residual(c, c["num_semantic_quantizers"])
        self.acoustic_residual_vector_quantizer = Residual(c, c["num_quantizers"] - c["num_semantic_quantizers"])

    def forward(self, z, levels, train):
        a, x = self.semantic_residual_vector_quantizer(z, 1, train)
        if levels == 1:
            return a, x
        b, y = self.acoustic_residual_vector_quantizer(z, levels - 1, train)
        return a + b, x + y


class Mimi(nn.Module):
    def __init__(self, c):
        super().__init__()
        d = c["hidden_size"]
        self.encoder, self.decoder = seanet_encoder(c), seanet_decoder(c)
        self.encoder_transformer, self.decoder_transformer = Transformer(c), Transformer(c)
        self.downsample = Conv(d, d, 4, 2, bias=False, pad="replicate")
        self.upsample = Transposed(d, d, 4, 2, groups=c["upsample_groups"], bias=False)
        self.quantizer = Quantizer(c)

    def latent(self, x):
        return self.downsample(self.encoder_transformer(self.encoder(x)))

    def forward(self, x, levels=8, train=False, quantise=True):
        z = self.latent(x)
        q, commit = self.quantizer(z, levels, train) if quantise else (sum(
            r.output_proj(r.input_proj(z)) for r in (self.quantizer.semantic_residual_vector_quantizer, self.quantizer.acoustic_residual_vector_quantizer)), 0.0)
        return self.decoder(self.decoder_transformer(self.upsample(q)))[..., : x.shape[-1]], commit


class Spectral(nn.Module):
    """A discriminator of complex spectra at one resolution (Défossez et al., 2022)."""

    def __init__(self, n, width=32):
        super().__init__()
        self.n = n
        norm = nn.utils.parametrizations.weight_norm
        conv = lambda i, o, k, s=(1, 1), d=(1, 1): norm(nn.Conv2d(i, o, k, s, tuple((a - 1) * b // 2 for a, b in zip(k, d)), d))
        self.layers = nn.ModuleList([conv(2, width, (3, 9))] + [conv(width, width, (3, 9), (1, 2), (d, 1)) for d in (1, 2, 4)] + [conv(width, width, (3, 3))])
        self.last = conv(width, 1, (3, 3))
        self.register_buffer("window", torch.hann_window(n), persistent=False)

    def forward(self, x):
        s = torch.stft(x.squeeze(1).float(), self.n, self.n // 4, window=self.window, return_complex=True, normalized=True)
        y, seen = torch.view_as_real(s).permute(0, 3, 2, 1), []
        for layer in self.layers:
            y = F.leaky_relu(layer(y), 0.2)
            seen.append(y)
        return self.last(y), seen


class Loss(nn.Module):
    def __init__(self, rate=24000):
        super().__init__()
        self.scales = [(2048, 80), (1024, 80), (512, 64), (256, 32), (128, 16)]
        mel, hz = lambda f: 2595 * np.log10(1 + f / 700), lambda m: 700 * (10 ** (m / 2595) - 1)
        for n, bands in self.scales:
            p = hz(np.linspace(mel(20), mel(rate / 2), bands + 2)) * n / rate
            k = np.arange(n // 2 + 1)
            w = np.maximum(0, np.minimum((k - p[:-2, None]) / np.maximum(p[1:-1] - p[:-2], 1e-3)[:, None], (p[2:, None] - k) / np.maximum(p[2:] - p[1:-1], 1e-3)[:, None]))
            w[w.sum(1) == 0, 1] = 1
            self.register_buffer(f"mel{n}", torch.tensor(w / w.sum(1, keepdims=True), dtype=torch.float32), persistent=False)
            self.register_buffer(f"window{n}", torch.hann_window(n), persistent=False)

    def forward(self, y, x):
        total = 0.0
        for n, _ in self.scales:
            spec = lambda v: torch.stft(v.squeeze(1).float(), n, n // 4, window=getattr(self, f"window{n}"), return_complex=True, normalized=True).abs()
            a, b, m = spec(y), spec(x), getattr(self, f"mel{n}")
            total = total + 2 * (torch.log10(m @ a + 1e-3) - torch.log10(m @ b + 1e-3)).abs().mean() + (a - b).abs().mean()
        return total / len(self.scales)


class Speech:
    def __init__(self, path, device, held_out=12):
        d = np.load(path)
        mu = (torch.arange(256).float() - 128) / 127
        table = (mu.sign() * ((256.0 ** mu.abs()) - 1) / 255).to(device)
        all_ = table[torch.from_numpy(d["mulaw"]).to(device).long()]
        ends = np.cumsum(d["lengths"])
        self.clips = [all_[e - n : e] for n, e in zip(d["lengths"], ends)]
        self.val, self.clips = self.clips[:held_out], self.clips[held_out:]
        self.pool = torch.cat(self.clips)
        self.device = device

    def batch(self, n, samples):
        """Random pieces, faster or slower and so higher or lower by up to a fifth, at random levels."""
        rate = torch.empty(n, device=self.device).uniform_(-0.2, 0.2).exp()
        at = torch.randint(len(self.pool) - 2 * samples, (n,), device=self.device)[:, None] + torch.arange(samples, device=self.device)[None] * rate[:, None]
        i = at.long()
        x = torch.lerp(self.pool[i], self.pool[i + 1], (at - i).float())
        x = x / (x.abs().amax(1, keepdim=True) + 1e-3) * 10 ** torch.empty(n, 1, device=self.device).uniform_(-1, -0.05)
        return x[:, None]


def export(model, config, out):
    t = {k: (v if "codebook" in k else v.half()).contiguous().cpu() for k, v in model.state_dict().items()}
    save_file(t, out + "/model.safetensors", metadata={"format": "pt", "config": json.dumps(config)})


def main():
    p = argparse.ArgumentParser()
    p.add_argument("speech"), p.add_argument("out"), p.add_argument("--resume")
    p.add_argument("--seconds", type=float, default=480), p.add_argument("--batch", type=int, default=32), p.add_argument("--samples", type=int, default=1920 * 20)
    p.add_argument("--warm", type=int, default=1500, help="steps before the quantizer"), p.add_argument("--adversarial", type=float, default=0.35, help="share of the time before it")
    p.add_argument("--lr", type=float, default=8e-4), p.add_argument("--steps", type=int)
    p.add_argument("--start", help="a model to go on from, with its config"), p.add_argument("--f32", action="store_true", help="no bf16")
    a = p.parse_args()
    start, dev = time.time(), "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(0)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    os.makedirs(a.out, exist_ok=True)
    config = CONFIG
    if a.start:
        with safe_open(a.start, "pt") as f:
            config = CONFIG | json.loads(f.metadata()["config"])
    data, model, loss = Speech(a.speech, dev), Mimi(config).to(dev), Loss().to(dev)
    if a.start:
        model.load_state_dict(load_file(a.start))
        for book in (m for m in model.modules() if isinstance(m, Codebook)):  # as many uses as a batch has
            share = a.batch * a.samples / 1920 / book.cluster_usage.sum()
            book.cluster_usage.mul_(share), book.embed_sum.mul_(share)
    critics = nn.ModuleList([Spectral(n) for n in (2048, 1024, 512)]).to(dev)
    g, d = (torch.optim.AdamW(m.parameters(), lr=a.lr, betas=(0.8, 0.99), weight_decay=0.01) for m in (model, critics))
    mean, step = {k: v.clone() for k, v in model.state_dict().items()}, 0
    if a.resume:
        s = torch.load(a.resume, map_location=dev)
        model.load_state_dict(s["model"]), critics.load_state_dict(s["critics"]), g.load_state_dict(s["g"]), d.load_state_dict(s["d"])
        mean, step = s["mean"], s["step"]
    print(sum(v.numel() for v in model.parameters()) / 1e6, "M parameters,", sum(v.numel() for v in model.state_dict().values()) * 2 / 1e6, "MB", dev, flush=True)
    shown, first = time.time(), step
    while True:
        share = (time.time() - start) / a.seconds
        if share >= 1 or (a.steps and step - first >= a.steps):
            break
        lr = a.lr * min(1, (step + 1) / 300) * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * min(1, share))))
        for o in (g, d):
            for group in o.param_groups:
                group["lr"] = lr
        if step == a.warm and not a.start:
            with torch.no_grad():
                z = torch.cat([model.latent(data.batch(a.batch, a.samples)) for _ in range(16)])
                for r in model.quantizer.children():
                    r.start(z)
        x = data.batch(a.batch, a.samples)
        levels = 8 if torch.rand(()) < 0.5 else int(torch.randint(1, 9, ()))
        adversarial = step > a.warm and share > a.adversarial
        with torch.autocast(dev, torch.bfloat16, enabled=dev == "cuda" and not a.f32):
            y, commit = model(x, levels, True, a.start is not None or step >= a.warm)
            if adversarial:
                dl = 0.0
                for c in critics:
                    real, fake = c(x)[0].float(), c(y.detach())[0].float()
                    dl = dl + F.relu(1 - real).mean() + F.relu(1 + fake).mean()
                d.zero_grad(), dl.backward(), nn.utils.clip_grad_norm_(critics.parameters(), 5.0), d.step()
            rec = loss(y, x)
            total = 4 * rec + 0.2 * (y - x).abs().mean() + 0.2 * commit
            if adversarial:
                for c in critics:
                    with torch.no_grad():
                        seen_real = c(x)[1]
                    fake, seen = c(y)
                    total = total - fake.float().mean() / 3 + 2 * sum((s - r).abs().mean() / (r.abs().mean() + 1e-3) for s, r in zip(seen, seen_real)).float() / 15
        g.zero_grad(), total.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        if torch.isfinite(norm):
            g.step()
        step += 1
        with torch.no_grad():
            keep = min(0.999, step / (step + 10))
            for k, v in model.state_dict().items():
                mean[k].lerp_(v, 1 - keep) if v.is_floating_point() and "codebook" not in k else mean[k].copy_(v)
        if step % 200 == 0:
            print(f"{step} {time.time() - start:.0f} s, {(time.time() - shown) / 200:.3f} s a step, reconstruction {rec.item():.4f}, commit {float(commit):.3f}, gradient {norm:.2f}", flush=True)
            shown = time.time()
    torch.save(dict(model=model.state_dict(), critics=critics.state_dict(), g=g.state_dict(), d=d.state_dict(), mean=mean, step=step), a.out + "/state.pt")
    model.load_state_dict(mean), model.eval()
    export(model, config, a.out)
    with torch.no_grad():
        pairs = []
        for v in data.val:
            v = (v / (v.abs().max() + 1e-3) * 0.6)[None, None, : len(v) // 1920 * 1920]
            pairs.append([v.cpu()[0, 0].half()] + [model(v, n)[0].float().cpu()[0, 0].half() for n in (1, 8)])
        torch.save(pairs, a.out + "/val.pt")
        print("held out:", [round(float(np.mean([loss(y[None, None].float().to(dev), x[None, None].float().to(dev)).item() for x, *ys in pairs for y in [ys[k]]])), 4) for k in range(2)], "for 1 and 8 codebooks; steps", step, flush=True)


if __name__ == "__main__":
    main()
