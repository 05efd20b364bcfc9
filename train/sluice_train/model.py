"""Dense LFM2 in PyTorch, as it is published: x += mixer(norm(x)); x += ffn(norm(x)).

Shapes: B batch, T new tokens, P tokens of a shared prefix, d width, H query heads, G key-value heads, hd = d/H = 64.
"""
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn


@dataclass
class Config:
    vocab: int = 8192
    d: int = 256
    layers: int = 6
    attention: tuple[int, ...] = (2, 4, 5)  # the other layers are short convolutions
    heads: int = 4
    kv_heads: int = 2
    ffn: int = 640
    taps: int = 3
    theta: float = 1e6
    eps: float = 1e-5
    context: int = 4096

    @property
    def hd(self) -> int:
        return self.d // self.heads


class RMSNorm(nn.Module):
    def __init__(self, n: int, eps: float):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(n)), eps

    def forward(self, x):
        return F.rms_norm(x.float(), (x.shape[-1],), self.weight, self.eps)


def linear(i: int, o: int) -> nn.Linear:
    return nn.Linear(i, o, bias=False)


class ShortConv(nn.Module):
    """Gated short convolution: [b | c | x] = in_proj(u); out = out_proj(c * conv(b * x))."""

    def __init__(self, c: Config):
        super().__init__()
        self.in_proj, self.out_proj = linear(c.d, 3 * c.d), linear(c.d, c.d)
        self.conv = nn.Parameter(torch.empty(c.d, c.taps))  # oldest tap first

    def forward(self, u, pos, state):
        b, c, x = self.in_proj(u).chunk(3, -1)
        s = b * x  # [B,T,d]
        k = self.conv.shape[1] - 1
        past = s.new_zeros(1, k, s.shape[-1]) if state is None else state.to(s.dtype)
        s = torch.cat([past.expand(s.shape[0], -1, -1), s], 1)  # [B,k+T,d]
        t = s.shape[1] - k
        z = sum(s[:, i:i + t] * self.conv[:, i].to(s.dtype) for i in range(k + 1))
        return self.out_proj(c * z), s[:, -k:]


class Attention(nn.Module):
    """Grouped-query attention with per-head RMS norms of q and k before RoPE (half rotation)."""

    def __init__(self, c: Config):
        super().__init__()
        self.c = c
        self.q, self.k, self.v = linear(c.d, c.d), linear(c.d, c.kv_heads * c.hd), linear(c.d, c.kv_heads * c.hd)
        self.o = linear(c.d, c.d)
        self.q_norm, self.k_norm = RMSNorm(c.hd, c.eps), RMSNorm(c.hd, c.eps)
        self.watch, self.seen = False, None

    def forward(self, u, pos, state):
        c, (B, T, _) = self.c, u.shape
        q = rope(self.q_norm(self.q(u).view(B, T, c.heads, c.hd)), pos, c.theta).transpose(1, 2).to(u.dtype)
        k = rope(self.k_norm(self.k(u).view(B, T, c.kv_heads, c.hd)), pos, c.theta).transpose(1, 2).to(u.dtype)
        v = self.v(u).view(B, T, c.kv_heads, c.hd).transpose(1, 2).to(u.dtype)
        if state is not None:
            k = torch.cat([state[0].to(k.dtype).expand(B, -1, -1, -1), k], 2)
            v = torch.cat([state[1].to(v.dtype).expand(B, -1, -1, -1), v], 2)
        S, g = k.shape[2], c.heads // c.kv_heads  # query head h reads kv head h // g
        if not self.watch and g == 1:  # the same, faster
            mask = None if S == T else torch.ones(T, S, dtype=torch.bool, device=u.device).tril(S - T)
            a = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None)
            return self.o(a.transpose(1, 2).reshape(B, T, c.d)), (k, v)
        q = q.reshape(B, c.kv_heads, g * T, c.hd)
        score = (q @ k.transpose(2, 3)).view(B, c.kv_heads, g, T, S) * c.hd ** -0.5
        future = torch.ones(T, S, dtype=torch.bool, device=u.device).triu(S - T + 1)
        a = score.float().masked_fill(future, -torch.inf).softmax(-1).to(v.dtype)
        if self.watch:  # where the heads look, for a loss on it
            self.seen = a.flatten(1, 2)  # [B,H,T,S]
        a = (a.view(B, c.kv_heads, g * T, S) @ v).view(B, c.heads, T, c.hd)
        return self.o(a.transpose(1, 2).reshape(B, T, c.d)), (k, v)


def rope(x, pos, theta: float):
    """x [B,T,heads,hd], pos [T]: rotate the pairs (i, i + hd/2)."""
    half = x.shape[-1] // 2
    freq = theta ** (-torch.arange(half, dtype=torch.float32, device=x.device) / half)
    angle = pos.float()[:, None] * freq  # [T,half]
    cos, sin = angle.cos()[:, None], angle.sin()[:, None]
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


class Layer(nn.Module):
    def __init__(self, c: Config, attention: bool):
        super().__init__()
        self.operator_norm, self.ffn_norm = RMSNorm(c.d, c.eps), RMSNorm(c.d, c.eps)
        self.mixer = Attention(c) if attention else ShortConv(c)
        self.gate, self.up, self.down = linear(c.d, c.ffn), linear(c.d, c.ffn), linear(c.ffn, c.d)
        self.drop = 0.0

    def forward(self, x, pos, state, dt):
        m, state = self.mixer(self.operator_norm(x).to(dt), pos, state)
        x = x + self.dropout(m)
        u = self.ffn_norm(x).to(dt)
        return x + self.dropout(self.down(F.silu(self.gate(u)) * self.up(u))), state

    def dropout(self, x):
        """One mask per sequence, shared by its tokens: cheap on a CPU."""
        if not self.training or not self.drop:
            return x
        keep = torch.rand(x.shape[0], 1, x.shape[2], device=x.device, dtype=torch.float32) >= self.drop
        return x * (keep / (1 - self.drop)).to(x.dtype)


class LFM2(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        self.c = c
        self.embed = nn.Embedding(c.vocab, c.d)
        self.layers = nn.ModuleList(Layer(c, i in c.attention) for i in range(c.layers))
        self.embedding_norm = RMSNorm(c.d, c.eps)  # the final norm, as LFM2 names it
        std = c.d ** -0.5
        for name, p in self.named_parameters():
            if name.endswith("conv"):
                nn.init.normal_(p, std=c.taps ** -0.5)
            elif p.dim() > 1:
                out = any(name.endswith(f"{s}.weight") for s in ("out_proj", "mixer.o", "down"))
                nn.init.normal_(p, std=std * (2 * c.layers) ** -0.5 if out else std)
        self.embed_drop = 0.0
        self.tap = self.tapped = None  # keep the residual stream after layer `tap` of the last forward pass

    def forward(self, tokens, past=None, offset: int = 0, dt=torch.float32):
        """tokens [B,T] -> hidden [B,T,d] after the final norm, and the state of every layer.

        `past` is the state that a forward pass of a prefix of `offset` tokens returned, with batch 1; gradients flow
        through it. Pad on the right: padding never reaches the tokens before it."""
        x = self.embed(tokens)
        if self.training and self.embed_drop:  # whole tokens vanish
            keep = torch.rand(tokens.shape, device=x.device) >= self.embed_drop
            x = x * keep[..., None]
        pos = torch.arange(offset, offset + tokens.shape[1], device=tokens.device)
        states = []
        for i, layer in enumerate(self.layers):
            x, s = layer(x, pos, None if past is None else past[i], dt)
            states.append(s)
            if i == self.tap:
                self.tapped = x
        return self.embedding_norm(x), states

    def logits(self, h, dt=torch.float32):
        return F.linear(h.to(dt), self.embed.weight.to(dt)).float()
