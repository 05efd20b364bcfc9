"""A network that can copy before it has learnt anything.

What a small language model learns last, and needs most for filling in arguments, is to find the place where the word just
written stands in the prompt and to go on from there. That circuit is known (Olsson et al. 2022, "induction heads"), so
it is written into the weights to begin with; training may keep, bend or drop it.

Layout of the residual stream (d = 192): [0] a constant; [1, C) what a token is; [C, d) what stood before it. A layer of
convolutions writes the two tokens before into the last part; two heads of a later attention look for places whose tokens
before are the token here and the one before it, and write what stands there into [1, C), which is what the tied
output reads.
"""
import math
import zlib

import numpy as np
import torch

from .bpe import ALPHABET, SPECIALS

BYTES = {c: b for b, c in enumerate(ALPHABET)}
CONST = 0.35


def _direction(name: str, n: int) -> np.ndarray:
    return np.random.default_rng(zlib.crc32(name.encode())).standard_normal(n) / math.sqrt(n)


def codes(vocab: list[str], n: int) -> np.ndarray:
    """[vocab, n]: unit vectors that are alike for tokens that are: " Oslo", "Oslo", "OSLO", and, less so, "oslos"."""
    out = np.zeros((len(vocab), n))
    for i, t in enumerate(vocab):
        own = _direction("own " + t, n)
        if i < len(SPECIALS):
            out[i] = own
            continue
        raw = bytes(BYTES[c] for c in t).decode("utf-8", "replace")
        word, space = raw.lstrip(" "), raw[:1] == " "
        low = word.lower()
        v = 0.35 * own + _direction("word " + low, n)
        if len(low) >= 4 and low.isalpha():
            grams = [low[j:j + 3] for j in range(len(low) - 2)] + ["^" + low[:4], low[-3:] + "$"]
            v = v + 0.8 * sum(_direction("gram " + g, n) for g in grams) / math.sqrt(len(grams))
        for name, on in (("space", space and word), ("title", word[:1].isupper()), ("upper", len(word) > 1 and word.isupper()),
                         ("digit", word.isdigit()), ("mark", bool(word) and not word[0].isalnum()),
                         ("cjk", any("\u3040" <= c <= "\u9fff" for c in word)), ("part", not space and word.isalpha())):
            if on:
                v = v + 0.35 * _direction(name, n)
        out[i] = v
    return out / np.linalg.norm(out, axis=1, keepdims=True)


def _rows(n: int, m: int, seed: int) -> torch.Tensor:
    """n orthonormal rows of length m (n <= m)."""
    g = torch.Generator().manual_seed(seed)
    q, _ = torch.linalg.qr(torch.randn(m, n, generator=g))
    return q.T


@torch.no_grad()
def prepare(model, vocab: list[str], copy_at: int, split: int, sharp: float = 1.9, gain: float = 2.0):
    """Write the circuit into `model`: convolutions of layer 0, heads 0 and 1 of the attention `copy_at`."""
    c = model.c
    d, n, m = c.d, split - 1, c.d - split
    e = torch.tensor(codes(vocab, n), dtype=torch.float32)
    model.embed.weight[:, 0] = CONST
    model.embed.weight[:, 1:split] = e
    model.embed.weight[:, split:] *= 0.15
    for layer in model.layers:  # everything else begins almost silent
        layer.down.weight *= 0.03
        for out in ("out_proj", "o"):
            if hasattr(layer.mixer, out):
                getattr(layer.mixer, out).weight *= 0.03
    rms = math.sqrt((1 + CONST ** 2) / d)
    one = CONST / rms  # what the norm makes of the constant

    conv = model.layers[0].mixer
    half = d // 2
    before = _rows(m, n, 1)  # the token before
    before2 = _rows(m, n, 2)  # and the one before that
    k1, k2 = _rows(half, n, 3), _rows(half, n, 4)
    conv.in_proj.weight *= 0.03
    conv.in_proj.weight[:2 * d, 0] = 1 / one
    conv.in_proj.weight[2 * d:2 * d + half, 1:split] = k1
    conv.in_proj.weight[2 * d + half:, 1:split] = k2
    conv.conv.zero_()
    conv.conv[:half, -2] = 1
    conv.conv[half:, -3] = 1
    conv.out_proj.weight[split:, :half] = before @ k1.T * rms * 1.0
    conv.out_proj.weight[split:, half:] = before2 @ k2.T * rms * 0.7

    a, hd = model.layers[copy_at].mixer, c.hd
    slow = [i for i in range(hd // 2) if c.theta ** (-2 * i / hd) < 1.5e-3]
    at = torch.tensor(slow + [i + hd // 2 for i in slow])
    t = _rows(len(at), m, 5) if len(at) <= m else _rows(m, len(at), 5).T
    # query: the token here, as `before` writes it, and the token before it, as `before2` does
    q = torch.zeros(hd, d)
    q[at, 1:split] = t @ before
    q[at, split:] = 0.7 * t @ before2 @ before.T
    k = torch.zeros(hd, d)
    k[at, split:] = t
    group = c.heads // c.kv_heads
    for head in (0, 1):
        a.q.weight[head * hd:(head + 1) * hd] = q * 1.5 + 0.05 * a.q.weight[head * hd:(head + 1) * hd]
        kv = head // group
        a.k.weight[kv * hd:(kv + 1) * hd] = k * 1.5
        v = _rows(2 * hd, n, 6)[head * hd:(head + 1) * hd] if n >= 2 * hd else _rows(hd, n, 6 + head)
        a.v.weight[kv * hd:(kv + 1) * hd] *= 0.1
        a.v.weight[kv * hd:(kv + 1) * hd, 1:split] = v / math.sqrt(d) * 1.0
        a.o.weight[1:split, head * hd:(head + 1) * hd] = v.T * gain
    a.q_norm.weight.fill_(sharp)
    a.k_norm.weight.fill_(sharp)


@torch.no_grad()
def pointer(model, layer: int, split: int, gain: float = 2.0):
    """Heads 0, 1 and 2 of the attention `layer` say what stands where they look, one token before, and two before it: a
    name is known as one when its first tokens have been read, not at the first. Where to look, they must learn."""
    c = model.c
    a, hd, n, m = model.layers[layer].mixer, c.hd, split - 1, c.d - split
    before, before2 = _rows(m, n, 1), _rows(m, n, 2)
    v = torch.zeros(3, hd, c.d)
    o = torch.zeros(3, c.d, hd)
    own = _rows(hd, n, 6)
    v[0, :, 1:split], o[0, 1:split] = own, own.T
    v[1, :m, split:], o[1, 1:split, :m] = torch.eye(m), before.T
    v[2, :m, split:], o[2, 1:split, :m] = torch.eye(m), before2.T
    for head in (0, 1, 2):
        rows = slice(head * hd, (head + 1) * hd)
        a.v.weight[rows] = 0.1 * a.v.weight[rows] + v[head] / math.sqrt(c.d)
        a.o.weight[:, rows] = 0.1 * a.o.weight[:, rows] + o[head] * gain * (1, 1, 1.4)[head]
