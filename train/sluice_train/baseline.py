"""What nano has to beat: hand rules, a logistic regression on surface features, and one on bags of words."""
import re
import zlib

import torch
import torch.nn.functional as F

from .data import words

HARD = re.compile(
    r"\b(prove|proof|derive|theorem|integral|architecture|design|implement|refactor|deadlock|race|concurren\w*|optimi[sz]e|strategy|"
    r"compare|critique|evaluate|analy[sz]e|why|root cause|investigate|research|essay|novel|chapter|report|thesis|latest|today|"
    r"current|yesterday|news|price of|weather|legal|diagnos\w*|plan|scenario\w*|trade-?offs?|"
    r"beweis\w*|zeige|warum|entwirf|entwerfe|vergleich\w*|konzept|strategie|ursache|aktuell\w*|heute|gestern|gutachten|rechtslage|"
    r"démontr\w*|prouv\w*|pourquoi|conçois|concevoir|compar\w*|stratégie|analyse\w*|cause|actuel\w*|aujourd'hui|hier|"
    r"demuestra\w*|por qué|diseña\w*|estrategia|dimostra\w*|perché|progetta\w*|strategia|bewijs|waarom|ontwerp)\b", re.I)
EASY = re.compile(
    r"\b(extract|list|convert|format|json|csv|table|translate|fix|correct|grammar|spelling|rewrite|rephrase|shorter|classify|label|"
    r"sentiment|summari[sz]e|tldr|sort|subject line|thanks?|hello|hi|hey|what is|capital|turn (?:on|off)|timer|remind|"
    r"übersetz\w*|korrigier\w*|sortier\w*|tabelle|zusammenfass\w*|fasse|kürz\w*|danke|hallo|welche|was ist|licht|"
    r"traduis\w*|corrige\w*|résum\w*|reformul\w*|tri\w*|tableau|merci|bonjour|salut|liste|"
    r"traduce|corrige|resume|gracias|hola|traduci|correggi|riassum\w*|grazie|ciao|vertaal|verbeter|bedankt)\b", re.I)


def features(s: dict) -> list[float]:
    """Length, digits, code, questions, keywords, context: what a rule writer would look at."""
    t = s["t"]
    n = len(t)
    hard, easy = len(HARD.findall(t)), len(EASY.findall(t))
    head = t[:80]
    return [1.0, torch.tensor(n + 1.0).log().item() / 7, min(n, 2000) / 1000, float(n < 40), float(n > 600),
            sum(c.isdigit() for c in t) / (n + 1), float("```" in t or re.search(r"[{};]\n|\bdef |\bfunc|=>|SELECT ", t) is not None),
            float(t.count("?")) / 2, float("?" in t), min(hard, 4) / 2, float(hard > 0), min(easy, 4) / 2, float(easy > 0),
            float(bool(HARD.search(head))), float(bool(EASY.search(head))), t.count("\n") / 10, t.count(",") / (n + 1) * 20,
            float(bool(s.get("tools"))), float(len(s.get("tools") or []) > 3), float(bool(s.get("hist"))), float(bool(s.get("sys"))),
            float(re.search(r"\d{3,}[ .,-]*(words|pages|wörter|seiten|mots|zeilen|lines)", t, re.I) is not None),
            float(re.search(r"[\^∫∑√≤∈]|x\^|lim|O\(", t) is not None)]


def rules(s: dict) -> float:
    """A score that grows with the belief that the request may stay: keywords first, then length."""
    t = s["t"]
    score = 0.6 + 1.2 * min(len(EASY.findall(t[:120])), 2) - 1.2 * min(len(HARD.findall(t)), 2)
    score += 0.8 * (len(t) < 60) - 0.8 * (len(t) > 700) - 1.0 * (len(s.get("tools") or []) > 3)
    score -= 1.5 * bool(re.search(r"[\^∫∑√≤∈]|\d{3,}[ .,-]*(words|pages|wörter|seiten|mots|lines)", t, re.I))
    return score - 0.5 * (t.count(",") > 4 and not EASY.search(t[:80]))


BUCKETS = 1 << 16


def bag(s: dict) -> list[int]:
    """Hashed words, word pairs and character 4-grams of the request and of its last earlier turns."""
    out = []
    for tag, text in [("t", s["t"])] + [("h", c) for _, c in (s.get("hist") or [])[-2:]] + [("s", s.get("sys") or "")]:
        w = words(text)
        flat = " ".join(w)
        out += [f"{tag}{x}" for x in w] + [f"{tag}{a} {b}" for a, b in zip(w, w[1:])] + [f"{tag}#{flat[i:i + 4]}" for i in range(len(flat) - 3)]
    return [zlib.crc32(x.encode()) % BUCKETS for x in set(out)] or [0]


class Features:
    """Logistic regression on `features`."""

    def fit(self, seeds):
        x, y = torch.tensor([features(s) for s in seeds]), torch.tensor([s["p"] for s in seeds])
        self.w = torch.zeros(x.shape[1], requires_grad=True)
        opt = torch.optim.LBFGS([self.w], max_iter=300, line_search_fn="strong_wolfe")

        def closure():
            opt.zero_grad()
            z = F.binary_cross_entropy_with_logits(x @ self.w, y) + 1e-4 * self.w.square().sum()
            z.backward()
            return z
        opt.step(closure)
        return self

    @torch.no_grad()
    def margin(self, seeds):
        return (torch.tensor([features(s) for s in seeds]) @ self.w).tolist()


class Bag:
    """Logistic regression on `bag` and `features` together, early stopping by a fixed number of epochs."""

    def fit(self, seeds, epochs: int = 12, seed: int = 1):
        g = torch.Generator().manual_seed(seed)
        self.w = torch.zeros(BUCKETS, requires_grad=True)
        self.v = torch.zeros(len(features(seeds[0])), requires_grad=True)
        bags, x, y = [bag(s) for s in seeds], torch.tensor([features(s) for s in seeds]), torch.tensor([s["p"] for s in seeds])
        opt = torch.optim.AdamW([self.w, self.v], lr=2e-2, weight_decay=0.02)
        for _ in range(epochs):
            for some in torch.randperm(len(seeds), generator=g).split(64):
                z = self._margin([bags[i] for i in some], x[some])
                loss = F.binary_cross_entropy_with_logits(z, y[some])
                opt.zero_grad()
                loss.backward()
                opt.step()
        return self

    def _margin(self, bags, x):
        flat = torch.tensor([i for b in bags for i in b])
        off = torch.tensor([0] + [len(b) for b in bags][:-1]).cumsum(0)
        n = torch.tensor([len(b) for b in bags]).float().sqrt()
        return F.embedding_bag(flat, self.w[:, None], off, mode="sum")[:, 0] / n + x @ self.v

    @torch.no_grad()
    def margin(self, seeds):
        return self._margin([bag(s) for s in seeds], torch.tensor([features(s) for s in seeds])).tolist()
