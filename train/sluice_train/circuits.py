"""A network that can copy, and look for things, before it has learnt anything.

What a small language model learns last, and needs most for filling in arguments, is to find the place where the word just
written stands in the prompt and to go on from there. That circuit is known (Olsson et al. 2022, "induction heads"), so
it is written into the weights to begin with; training may keep, bend or drop it. So is a second one: look for words that
were counted to go together with those just written (tables.py), and say what stands behind them.

Layout of the residual stream (d = 192): a constant; CODE, what a token is; ALIGN, what goes together with it, which two layers
of convolutions smear over the words that follow; KIND, which entities it occurs in; BEFORE, the two tokens before, written by
the first convolution. The norm before the tied output lets CODE alone through.
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


CODE, ALIGN, KIND, BEFORE = slice(1, 97), slice(97, 137), slice(137, 151), slice(151, 192)


def size(s: slice) -> int:
    return s.stop - s.start


@torch.no_grad()
def prepare(model, vocab: list[str], copy_at: int, point_at: int, smear: tuple[int, ...], align=None, kind=None, sharp: float = 2.2):
    """Write the circuits into `model`, whose layer 0 and layers `smear` are convolutions, and `copy_at` and `point_at` attention.
    align [vocab, 40] and kind [vocab, 14] are the tables, or None."""
    c = model.c
    d, hd, n, m = c.d, c.hd, size(CODE), size(BEFORE)
    e = model.embed.weight
    e[:, 0] = CONST
    e[:, CODE] = torch.tensor(codes(vocab, n), dtype=torch.float32)
    e[:, 1 + n:] *= 0.05
    norm = 1 + CONST ** 2
    if align is not None:
        e[:, ALIGN] = 0.6 * torch.tensor(align, dtype=torch.float32)
        e[:, KIND] = 0.06 * torch.tensor(kind, dtype=torch.float32)
        norm += 0.36 + 0.0036 * size(KIND)
    model.embedding_norm.weight.fill_(0.1)
    model.embedding_norm.weight[CODE] = 1.4
    for layer in model.layers:  # everything else begins almost silent
        layer.down.weight *= 0.03
        for out in ("out_proj", "o"):
            if hasattr(layer.mixer, out):
                getattr(layer.mixer, out).weight *= 0.03
    rms = math.sqrt(norm / d)
    one = CONST / rms  # what the norm makes of the constant

    conv = model.layers[0].mixer
    half = d // 2
    before, before2 = _rows(m, n, 1), _rows(m, n, 2)  # what is kept of the token before, and of the one before that
    conv.in_proj.weight *= 0.03
    conv.in_proj.weight[:2 * d, 0] = 1 / one
    conv.in_proj.weight[2 * d:2 * d + half, CODE] = torch.eye(half, n)
    conv.in_proj.weight[2 * d + half:, CODE] = torch.eye(half, n)
    conv.conv.zero_()
    conv.conv[:half, -2] = 1
    conv.conv[half:, -3] = 1
    conv.out_proj.weight[BEFORE, :half] += before[:, :half] * rms
    conv.out_proj.weight[BEFORE, half:] += before2[:, :half] * rms * 0.7

    for n_smear in smear:
        conv, k = model.layers[n_smear].mixer, size(ALIGN)
        conv.in_proj.weight[:k] *= 0.03
        conv.in_proj.weight[d:d + k] *= 0.03
        conv.in_proj.weight[2 * d:2 * d + k] *= 0.03
        conv.in_proj.weight[:k, 0] = conv.in_proj.weight[d:d + k, 0] = 1 / one
        conv.in_proj.weight[2 * d:2 * d + k, ALIGN] += torch.eye(k)
        conv.conv[:k] = torch.tensor([1.0, 1.0, 0.0])
        conv.out_proj.weight[ALIGN, :k] += torch.eye(k) * rms * 0.8

    a = model.layers[copy_at].mixer
    slow = [i for i in range(hd // 2) if c.theta ** (-2 * i / hd) < 1.5e-3]
    at = torch.tensor(slow + [i + hd // 2 for i in slow])
    t = _rows(m, m, 5)[:len(at)]
    # query: the token here, as `before` writes it, and the token before it, as `before2` does
    q, k = torch.zeros(hd, d), torch.zeros(hd, d)
    q[at[:len(t)], CODE] = t @ before
    q[at[:len(t)], BEFORE] = 0.7 * t @ before2 @ before.T
    k[at[:len(t)], BEFORE] = t
    v = _rows(n, n, 6)
    parts = [v[:hd], torch.cat([v[hd:], v[:2 * hd - n]])]
    share = torch.ones(n)
    share[:2 * hd - n] = 0.5 ** 0.5  # rows that both heads carry
    parts = [p * s[:, None] for p, s in zip(parts, (share[:hd], torch.cat([share[hd:], share[:2 * hd - n]])))]
    group = c.heads // c.kv_heads
    assert group == 1
    for head in (0, 1):
        rows = slice(head * hd, (head + 1) * hd)
        a.q.weight[rows] = q * 1.5 + 0.05 * a.q.weight[rows]
        a.k.weight[rows] = k * 1.5
        a.v.weight[rows] *= 0.1
        a.v.weight[rows, CODE] += parts[head] / math.sqrt(d)
        a.o.weight[CODE, rows] += parts[head].T * 4.0
    a.q_norm.weight.fill_(sharp)
    a.k_norm.weight.fill_(sharp)

    # Heads that look for words that go together with the last ones, and say what stands where they look, one token before, and two
    # before it: a name is known as one when its first tokens have been read, not at the first.
    a = model.layers[point_at].mixer
    look = torch.zeros(hd, d)
    look[at[:size(ALIGN)], ALIGN] = torch.eye(size(ALIGN))[:len(at)]
    own = _rows(hd, n, 7)
    for head, (src, say) in enumerate(((CODE, own.T), (BEFORE, before.T), (BEFORE, before2.T * 1.4))):
        rows = slice(head * hd, (head + 1) * hd)
        a.q.weight[rows] = 0.15 * a.q.weight[rows] + look
        a.k.weight[rows] = 0.15 * a.k.weight[rows] + look
        a.v.weight[rows] *= 0.1
        w = own if src is CODE else torch.eye(m)
        a.v.weight[rows.start:rows.start + len(w), src] += w / math.sqrt(d)
        a.o.weight[CODE, rows.start:rows.start + len(w)] += say * 2.0
    a.q_norm.weight.fill_(1.3)
    a.k_norm.weight.fill_(1.3)
