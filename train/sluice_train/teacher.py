"""A teacher for nano: logistic regression on word and character n-grams of the digest.

Trained from scratch on a few thousand requests, a network of six million weights learns them by heart before it learns what
a word says about a request. A linear model cannot, and does better on requests it has not seen. So the network is
taught by both: by the label, and by what the linear model, fitted on the other seeds, says of the same text. The linear
model can also label what nobody wrote: fragments of requests put together anew.
"""
import hashlib
import math
import random
import re

import numpy as np
from scipy.sparse import csr_matrix, hstack, vstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from .baseline import features
from .data import digest_of, words
from .prompt import TASKS

FOLDS = 4


def fold(s: dict) -> int:
    """Near-twins begin alike, and stay in one fold."""
    return hashlib.sha256(("fold " + " ".join(words(s["t"])[:4])).encode()).digest()[0] % FOLDS


HEAD = 60  # code points at the beginning of the request, where people say what they want


class Teacher:
    """FOLDS linear models, each fitted without one fold of the seeds: n-grams of the digest, n-grams of the request's first
    words apart, and the surface features of baseline.py."""

    def __init__(self, seeds: list[dict], c: float = 4.0):
        word = dict(sublinear_tf=True, token_pattern=r"\w+|[^\w\s]")
        char = dict(analyzer="char_wb", ngram_range=(2, 5), min_df=2, sublinear_tf=True)
        self.whole = [TfidfVectorizer(ngram_range=(1, 2), **word), TfidfVectorizer(**char)]
        self.head = [TfidfVectorizer(ngram_range=(1, 3), **word), TfidfVectorizer(**char)]
        for v in self.whole:
            v.fit([digest_of(s) for s in seeds])
        for v in self.head:
            v.fit([s["t"][:HEAD] for s in seeds])
        x = self._x(seeds)
        p = np.array([s["p"] for s in seeds])
        of = np.array([fold(s) for s in seeds])
        self.models = []
        for k in range(FOLDS):
            keep = np.flatnonzero(of != k)
            rows, y = vstack([x[keep], x[keep]]), np.r_[np.ones(len(keep)), np.zeros(len(keep))]
            self.models.append(LogisticRegression(C=c, max_iter=200).fit(rows, y, sample_weight=np.r_[p[keep], 1 - p[keep]]))

    def _x(self, seeds):
        digests, heads = [digest_of(s) for s in seeds], [s["t"][:HEAD] for s in seeds]
        return hstack([v.transform(digests) for v in self.whole] + [v.transform(heads) for v in self.head] +
                      [csr_matrix(0.3 * np.array([features(s) for s in seeds]))]).tocsr()

    def logits(self, seeds: list[dict], folds: list[int | None]) -> np.ndarray:
        """The log-odds of local for each request: by the model that has not seen its fold, or by all for None."""
        x = self._x(seeds)
        z = np.stack([m.decision_function(x) for m in self.models], 1)
        return np.array([row.mean() if k is None else row[k] for row, k in zip(z, folds)])


FIRST = 16  # tokens at the beginning of the request


def token_table(seeds: list[dict], ids: list[list[int]], marker: list[int], vocab: int) -> np.ndarray:
    """[vocab, 2 + kinds]: what each token says of the route anywhere, what it says besides among the first tokens after `marker`,
    and what it says of each kind of task, by logistic regression on the seeds' tokens; a column has a standard deviation
    of 1 over the tokens that occur. As the first columns of the embedding it gives a network from scratch what a bag of
    words knows, and the rest of training goes into what it does not."""
    def rows(parts):
        r, c, v = [], [], []
        for i, t in enumerate(parts):
            u, n = np.unique(t, return_counts=True)
            w = 1 + np.log(n)
            r += [i] * len(u)
            c += list(u)
            v += list(w / max(np.linalg.norm(w), 1e-9))
        return csr_matrix((v, (r, c)), shape=(len(parts), vocab))

    def first(t):
        m = len(marker)
        at = next((j + m for j in range(len(t) - m + 1) if t[j:j + m] == marker), 0)
        return t[at:at + FIRST]
    x, h = rows(ids), rows([first(t) for t in ids])
    p = np.array([s["p"] for s in seeds])
    y = np.r_[np.ones(len(p)), np.zeros(len(p))]
    both = hstack([x, h]).tocsr()
    route = LogisticRegression(C=4, max_iter=300).fit(vstack([both, both]), y, sample_weight=np.r_[p, 1 - p]).coef_.reshape(2, vocab)
    kinds = np.array([TASKS.index(s["k"]) for s in seeds])
    table = np.concatenate([route, LogisticRegression(C=2, max_iter=300).fit(x, kinds).coef_]).T
    seen = np.asarray((x > 0).sum(0)).ravel() > 0
    table = table / table[seen].std(0, keepdims=True)
    table[~seen] = 0
    return table.clip(-4, 4).astype(np.float32)


PIECE = re.compile(r"(?<=[.!?;:。！？\n])\s*|(?<=,)\s+")


def splice(rng: random.Random, by_lang: dict[str, list[dict]], langs: list[str]) -> dict:
    """Pieces of requests in one language, put together: text that nobody wrote, from a few words to a page."""
    lang = rng.choice(langs)
    parts = []
    for _ in range(round(math.exp(rng.uniform(0, math.log(16))))):
        pieces = [x for x in PIECE.split(rng.choice(by_lang[lang])["t"]) if x.strip()]
        at = rng.randrange(len(pieces))
        piece = " ".join(pieces[at:at + rng.choice([1, 1, 2, 3])]).split(" ")
        if len(piece) > 8 and rng.random() < 0.3:
            cut = rng.randrange(4, len(piece))
            piece = piece[:cut] if rng.random() < 0.5 else piece[cut - 4:]
        parts.append(" ".join(piece[:60]))
    return {"t": rng.choice([" ", "\n", ". "]).join(parts), "l": lang}
