"""Train the demo model on one GPU in minutes.

usage: gpu.py WAV_DIR OUT_DIR --seconds 480 [--start MODEL.safetensors]

WAV_DIR is what corpus.py writes. OUT_DIR receives model.safetensors (f16, transformers' names, config inside), once a minute
and at the end: the running mean of the weights. Needs numpy, torch and safetensors alone. On a GPU a step is one CUDA graph.
"""
import argparse, glob, json, math, os, time, wave
import numpy as np, torch, torch.nn as nn
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from losses import Spectra, Stoi
from network import Codebook, Mimi

CONFIG = dict(
    model_type="mimi", sampling_rate=24000, audio_channels=1, num_filters=16, num_residual_layers=1, upsampling_ratios=[8, 6, 5, 4],
    kernel_size=7, last_kernel_size=3, residual_kernel_size=3, dilation_growth_rate=2, compress=2, use_causal_conv=True, pad_mode="constant",
    use_conv_shortcut=False, trim_right_ratio=1.0, hidden_size=128, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=4,
    head_dim=32, intermediate_size=512, hidden_act="gelu", norm_eps=1e-5, rope_theta=10000.0, sliding_window=64, attention_bias=False,
    layer_scale_initial_scale=0.1, upsample_groups=128, codebook_size=512, codebook_dim=64, vector_quantization_hidden_dimension=64,
    num_quantizers=8, num_semantic_quantizers=1, frame_rate=12.5, max_position_embeddings=8000, use_streaming=False)


class Speech:
    def __init__(self, folder, device, held_out=16):
        clips = []
        for name in sorted(glob.glob(folder + "/*.wav")):
            with wave.open(name) as w:
                assert (w.getframerate(), w.getnchannels(), w.getsampwidth()) == (24000, 1, 2), name
                clips.append(np.frombuffer(w.readframes(w.getnframes()), "<i2"))
        pieces = [np.pad(c, (0, 96000))[:96000] for c in clips[:held_out]]
        self.held_out = torch.from_numpy(np.stack(pieces)).to(device)[:, None].float() / 32768
        self.pool = torch.from_numpy(np.concatenate(clips[held_out:])).to(device)
        self.device = device

    def batch(self, n, samples):
        """Random pieces at random levels, some with noise below them, and a few tones in place of speech."""
        random = lambda low, high: torch.empty(n, 1, device=self.device).uniform_(low, high)
        t = torch.arange(samples, device=self.device)
        x = self.pool[torch.randint(len(self.pool) - samples, (n, 1), device=self.device) + t].float() / 32768
        turns = random(math.log(80), math.log(2000)).exp() / 24000 * t
        tone = sum(torch.sin(2 * math.pi * (h * turns + random(0, 1))) * random(0, 1) / h for h in range(1, 6)) * torch.exp(-t / 24000 * random(0, 4))
        x = torch.where(random(0, 1) < 0.04, tone, x)
        x = x / (x.abs().amax(1, keepdim=True) + 1e-3)
        level = lambda low, high: (math.log(10) * random(low, high)).exp()
        x = x + torch.randn_like(x) * (random(0, 1) < 0.2) * level(-4, -1.7)
        return (x * level(-1, -0.05))[:, None]


class Trainer:
    def __init__(self, model, data, arg):
        self.model, self.data, self.arg, self.device = model, data, arg, data.device
        self.spectra, self.stoi = Spectra().to(self.device), Stoi().to(self.device)
        self.optimiser = torch.optim.AdamW(model.parameters(), lr=torch.zeros((), device=self.device), betas=(0.8, 0.99), weight_decay=0.01, fused=True, capturable=self.device == "cuda")
        self.lr, self.graph = self.optimiser.param_groups[0]["lr"], None  # a tensor, which a graph reads anew
        self.mean = {k: v.clone() for k, v in model.state_dict().items()}

    def losses(self):
        """One step; the losses, for show."""
        n = self.arg.batch
        x = self.data.batch(n, self.arg.samples)
        random = lambda: torch.rand(n, device=self.device)
        levels = torch.maximum(1 + (8 * random()).long(), 8 * (random() < 0.6).long())
        self.optimiser.zero_grad()
        y, commit = self.model(x, levels, True, self.quantise)
        rec, heard = self.spectra(y, x), self.stoi(y, x)
        (rec - self.arg.stoi * heard + 0.1 * (y - x).abs().mean() + 0.1 * commit).backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.arg.clip)
        self.optimiser.found_inf = (~torch.isfinite(norm)).float()  # such a step changes nothing
        self.optimiser.step()
        return torch.stack([rec, heard, commit, norm]).detach()

    def begin(self, quantise):
        """From now on `step` quantises or does not."""
        self.quantise, self.graph = quantise, None
        if self.device != "cuda" or self.arg.eager:
            return
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                self.losses()
        torch.cuda.current_stream().wait_stream(stream)
        torch.cuda.synchronize()
        self.graph = torch.cuda.CUDAGraph()
        self.optimiser.zero_grad()
        with torch.cuda.graph(self.graph):
            self.shown = self.losses()

    def step(self, lr):
        self.lr.fill_(lr)
        if self.graph:
            self.graph.replay()
        else:
            self.shown = self.losses()

    @torch.no_grad()
    def follow(self, keep):
        for k, v in self.model.state_dict().items():
            self.mean[k].copy_(v) if "codebook" in k else self.mean[k].lerp_(v, 1 - keep)

    @torch.no_grad()
    def start_codebooks(self):
        z = torch.cat([self.model.latent(self.data.batch(self.arg.batch, self.arg.samples)) for _ in range(24)])
        for branch in self.model.quantizer.branches():
            branch.start(z, 1 / 24)

    def save(self, config):
        t = {k: (v if "codebook" in k else v.half()).contiguous().cpu() for k, v in self.mean.items()}
        save_file(t, self.arg.out + "/part", metadata={"format": "pt", "config": json.dumps(config)})
        os.replace(self.arg.out + "/part", self.arg.out + "/model.safetensors")

    @torch.no_grad()
    def check(self):
        """The mean weights on the held-out clips: spectral distance and STOI, for 1 codebook and for 8."""
        now = {k: v.clone() for k, v in self.model.state_dict().items()}
        self.model.load_state_dict(self.mean)
        x, found = self.data.held_out, []
        for n in (1, 8):
            y = self.model(x, torch.full((len(x),), n, device=self.device))[0]
            found += [self.spectra(y, x).item(), self.stoi(y, x).item()]
        self.model.load_state_dict(now)
        print("held out (distance, STOI; 1 and 8 codebooks):", [round(v, 4) for v in found], flush=True)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("speech"), p.add_argument("out")
    p.add_argument("--seconds", type=float, default=480), p.add_argument("--steps", type=int, help="stop after so many")
    p.add_argument("--batch", type=int, default=16), p.add_argument("--samples", type=int, default=1920 * 40)
    p.add_argument("--start", help="a model to go on from, with its config")
    p.add_argument("--warm", type=int, default=1500, help="steps before the quantizer, without --start")
    p.add_argument("--lr", type=float, default=1e-3), p.add_argument("--clip", type=float, default=30.0)
    p.add_argument("--stoi", type=float, default=3.0, help="weight of STOI"), p.add_argument("--eager", action="store_true", help="no CUDA graph")
    a = p.parse_args()
    begun, device = time.time(), "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(0)
    torch.backends.cudnn.benchmark = True  # convolutions in tf32, as is usual
    os.makedirs(a.out, exist_ok=True)
    config = CONFIG
    if a.start:
        with safe_open(a.start, "pt") as f:
            config = json.loads(f.metadata()["config"])
    data, model = Speech(a.speech, device), Mimi(CONFIG | config).to(device)
    if a.start:
        model.load_state_dict(load_file(a.start))
        for book in (m for m in model.modules() if isinstance(m, Codebook)):  # as many uses as a step has
            share = a.batch * a.samples / 1920 / book.cluster_usage.sum()
            book.cluster_usage.mul_(share), book.embed_sum.mul_(share)
    trainer = Trainer(model, data, a)
    print(round(sum(v.numel() for v in model.parameters()) / 1e6, 2), "M parameters,", round(len(data.pool) / 24000 / 60), "minutes of speech,", device, flush=True)
    trainer.check()
    trainer.begin(quantise=a.start is not None)
    print(f"{time.time() - begun:.0f} s to begin", flush=True)
    shown, saved, step = time.time(), time.time(), 0
    while True:
        share = (time.time() - begun) / a.seconds
        if share >= 1 or step == a.steps:
            break
        if step == a.warm and not a.start:
            trainer.start_codebooks()
            trainer.begin(quantise=True)
        trainer.step(a.lr * min(1, (step + 1) / 300) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * share))))
        step += 1
        if step % 10 == 0:
            k = step // 10
            trainer.follow(min(0.98, k / (k + 10)))
        if step % 500 == 0 or step == 20:
            rec, heard, commit, norm = trainer.shown.tolist()
            print(f"{step}: {time.time() - begun:.0f} s, {(time.time() - shown) / (500 if step > 500 else step) * 1e3:.1f} ms a step, spectra {rec:.4f}, STOI {heard:.4f}, commit {commit:.3f}, gradient {norm:.2f}", flush=True)
            shown = time.time()
            if time.time() - saved > 60:
                saved = time.time()
                trainer.save(config), trainer.check()
    trainer.save(config)
    print("steps", step)
    trainer.check()


if __name__ == "__main__":
    main()
