"""Mimi's architecture in plain torch, for training. Tensor names are those of transformers' MimiModel."""
import math
import torch, torch.nn as nn, torch.nn.functional as F


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
        f = torch.exp(-math.log(self.theta) / d * torch.arange(0, d, 2, device=x.device))
        a = torch.arange(t, device=x.device).float()[:, None] * f
        a = torch.cat([a, a], -1)
        lo, hi = x.chunk(2, -1)
        return x * a.cos() + torch.cat([-hi, lo], -1) * a.sin()

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
    def start(self, r, share):
        """k-means over `r`, of which a training step sees `share`."""
        words = r[torch.randint(len(r), (len(self.cluster_usage),), device=r.device)].clone()
        for _ in range(15):
            i = torch.cdist(r, words).argmin(-1)
            n = torch.bincount(i, minlength=len(words)).float()
            new = torch.zeros_like(words).index_add_(0, i, r) / n.clamp(min=1)[:, None]
            words = torch.where(n[:, None] > 0, new, r[torch.randint(len(r), (len(words),), device=r.device)])
        n = torch.bincount(torch.cdist(r, words).argmin(-1), minlength=len(words)).float().clamp(min=0.5)
        n *= share
        self.cluster_usage.copy_(n), self.embed_sum.copy_(words * n[:, None])

    @torch.no_grad()
    def forward(self, r, train):
        words = self.words()
        i = torch.cdist(r, words).argmin(-1)
        if train:
            n = torch.zeros_like(self.cluster_usage).index_add_(0, i, torch.ones_like(r[:, 0]))
            s = torch.zeros_like(self.embed_sum).index_add_(0, i, r)
            self.cluster_usage.mul_(0.99).add_(n, alpha=0.01), self.embed_sum.mul_(0.99).add_(s, alpha=0.01)
            dead = self.cluster_usage < 0.05 * len(r) / len(n)
            pick = r[torch.randint(len(r), (len(n),), device=r.device)]
            usage = torch.where(dead, torch.full_like(n, 0.5 * len(r) / len(n)), self.cluster_usage)
            self.embed_sum.copy_(torch.where(dead[:, None], pick * usage[:, None], self.embed_sum)), self.cluster_usage.copy_(usage)
        return words[i]


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
    def start(self, z, share):
        left = self.input_proj(z).transpose(1, 2).reshape(-1, self.input_proj.out_channels)
        for layer in self.layers:
            layer.codebook.start(left, share)
            left = left - layer.codebook(left, False)

    def forward(self, z, levels, train):
        """`levels` is how many codebooks are heard, one number for each item; with none the branch is silent."""
        p = self.input_proj(z)
        b, d, t = p.shape
        r = p.transpose(1, 2).reshape(-1, d)
        each = lambda flag: flag[:, None].expand(b, t).reshape(-1, 1)  # of items, for every frame
        left, total, commit = r.detach().clone(), torch.zeros_like(r), 0.0
        for k, layer in enumerate(self.layers):
            heard, word = each(levels > k).float(), layer.codebook(left, train)
            commit = commit + (heard * (r - total - word) ** 2).mean()
            total, left = total + heard * word, left - word
        out = r + (total - r).detach()
        if train:  # some items stay unquantised, as in Moshi, 3.3
            out = torch.where(each(torch.rand(b, device=r.device) < 0.2), r, out)
        out = each(levels > 0) * out
        return self.output_proj(out.view(b, t, d).transpose(1, 2)), commit / len(self.layers)


class Quantizer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.semantic_residual_vector_quantizer = Residual(c, c["num_semantic_quantizers"])
        self.acoustic_residual_vector_quantizer = Residual(c, c["num_quantizers"] - c["num_semantic_quantizers"])

    def branches(self):
        return self.semantic_residual_vector_quantizer, self.acoustic_residual_vector_quantizer

    def forward(self, z, levels, train):
        a, x = self.semantic_residual_vector_quantizer(z, levels.clamp(max=1), train)
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

    def forward(self, x, levels, train=False, quantise=True):
        """The decoded audio and the commitment loss; `levels` is the number of codebooks, one number for each item."""
        z = self.latent(x)
        if quantise:
            q, commit = self.quantizer(z, levels, train)
        else:
            q, commit = sum(r.output_proj(r.input_proj(z)) for r in self.quantizer.branches()), z.new_zeros(())
        return self.decoder(self.decoder_transformer(self.upsample(q)))[..., : x.shape[-1]], commit
