"""What counting knows, put into the embedding before training.

A small network learns slowly from gradients what a count says at once: that "Kröger" is a name, that "in" stands before a place, that
"Rechnung" in a text answers "invoice_number" in a schema. entity_columns are log-odds of types for each token; aligned
puts tokens near each other that keys and the words before their values have in common (PPMI and an SVD).
"""
import re
from collections import Counter

import numpy as np
from scipy.sparse import coo_matrix
from sklearn.utils.extmath import randomized_svd

from . import tasks
from .bpe import ALPHABET, SPECIALS

BYTES = {c: b for b, c in enumerate(ALPHABET)}


def groups(vocab: list[str]) -> np.ndarray:
    """A number for each token, the same for " Oslo", "Oslo" and "oslo"; -1 for what is no word."""
    seen, out = {}, []
    for i, t in enumerate(vocab):
        word = "" if i < len(SPECIALS) else bytes(BYTES[c] for c in t).decode("utf-8", "replace").strip().lower()
        ok = bool(word) and word[0].isalpha() and "\ufffd" not in word and (len(word) > 1 or word > "\u3000")
        out.append(seen.setdefault(word, len(seen)) if ok else -1)
    return np.array(out)


def entity_columns(items, vocab: int) -> np.ndarray:
    """[vocab, 2 * types]: log-odds of a token being in an entity of each type, and of standing right before one."""
    kinds = len(tasks.ENTITY_TYPES)
    inside, before, total = np.zeros((vocab, kinds)), np.zeros((vocab, kinds)), np.zeros(vocab)
    for it in items:
        tags = dict(it.tags)
        for p, v in it.tags:
            t = it.ids[p]
            total[t] += 1
            if v:
                inside[t, (v - 1) // 2] += 1
            n = tags.get(p + 1, 0)
            if n and n % 2 == 1:
                before[t, (n - 1) // 2] += 1

    def odds(c):
        base = c.sum(0) / total.sum()
        alpha = 8.0
        p = (c + alpha * base) / (total[:, None] + alpha)
        z = np.log(p / (1 - p)) - np.log(base / (1 - base))
        z[total == 0] = 0
        return z.clip(-3, 4)
    out = np.concatenate([odds(inside), odds(before)], 1)
    seen = total > 0
    return out / out[seen].std(0, keepdims=True) * seen[:, None]


def pairs_of(tok, task, ex, item, counts):
    """Counts (key word, word near its value) pairs of an example."""
    if task == "entities":
        tags = dict(item.tags)
        for p, v in item.tags:
            if v and v % 2 == 1:  # a beginning: the type's name, and what stands there and before
                name = tok.encode(tasks.ENTITY_TYPES[(v - 1) // 2])
                near = [item.ids[p + k] for k in (-2, -1, 0, 1, 2) if p + k in tags]
                for a in name:
                    for b in near:
                        counts[2][(a, b)] += 1
        return
    if task == "tools":
        by_name = {t["name"]: t for t in ex["tools"]}
        said = set(g for p, _ in item.values for g in [item.ids[p]])
        for c in ex["calls"]:
            t = by_name[c["name"]]
            about = tok.encode(" ".join(re.findall(r"[^\W_]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", t["name"]) + " " + (t.get("description") or ""))))
            for a in set(about):
                for b in said:
                    counts[0][(a, b)] += 0.3
    for at, source in item.point:  # the key stands right before the value
        back, words = at, []
        while back > item.start and len(words) < 14:
            words.append(item.ids[back])
            if len(words) > 1 and tok.vocab[item.ids[back]] in ("Ġ", "{", "{\"", "Ġ{\"", ",", "("):
                break
            if len(words) > 3 and tok.vocab[item.ids[back]] in ("Ġ\"", "\""):
                break
            back -= 1
        for a in set(words):
            for b in item.ids[source - 5:source] + item.ids[source:source + 1]:
                counts[1][(a, b)] += 1


def aligned(counts: list[Counter], group: np.ndarray, rank: int) -> np.ndarray:
    """[vocab, rank]: rows of length 1 for words that were counted, else 0."""
    n = group.max() + 1
    total = np.zeros((n, rank))
    m = None
    for c in counts:
        merged = Counter()
        for (a, b), v in c.items():
            if group[a] >= 0 and group[b] >= 0:
                merged[(group[a], group[b])] += v
        rows, cols, vals = (np.array(x) for x in zip(*[(a, b, v) for (a, b), v in merged.items()]))
        x = coo_matrix((vals, (rows, cols)), shape=(n, n)).tocsr()
        ra, cb, s = np.asarray(x.sum(1)).ravel(), np.asarray(x.sum(0)).ravel(), x.sum()
        x = x.tocoo()
        pmi = np.log(x.data * s / (ra[x.row] * cb[x.col] ** 0.75 * s ** 0.25)) - 0.5
        keep = (pmi > 0) & (x.data >= 2)
        p = coo_matrix((pmi[keep], (x.row[keep], x.col[keep])), shape=(n, n)).tocsr()
        m = p if m is None else m + p
    u, s, vt = randomized_svd(m, rank, random_state=1)
    for part in (u * np.sqrt(s), vt.T * np.sqrt(s)):
        total += part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 0.3)
    norm = np.linalg.norm(total, axis=1, keepdims=True)
    total = total / np.maximum(norm, 0.5)
    out = np.zeros((len(group), rank))
    out[group >= 0] = total[group[group >= 0]]
    return out


def make(tok, source, n: int = 5000, rank: int = 40):
    """(align, kind) for circuits.prepare, counted in n examples of each task of `source`."""
    counts, ents = [Counter(), Counter(), Counter()], []
    for task in ("entities", "extraction", "tools"):
        for _ in range(n):
            ex, item = source.example(task)
            pairs_of(tok, task, ex, item, counts)
            if task == "entities":
                ents.append(item)
    return aligned(counts, groups(tok.vocab), rank), entity_columns(ents, len(tok.vocab))
