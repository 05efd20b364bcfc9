"""Fits the tagger of entities, and writes local/entities/tagger.bin with examples to hold Go to.

    python tagger.py                 # fits on everything but the dev files, says how good it is there, writes
    python tagger.py --folds 4       # leaves a quarter of the files out, four times; writes nothing

L-BFGS with both penalties (python-crfsuite); hand-written examples, and variants of them with other names. Weights smaller than
--least are dropped, the others become bytes.
"""
import argparse
import json
import random
import struct
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pycrfsuite

from sluice_train import seeds, tagger, variants
from sluice_train.prompt import ROOT

EXAMPLES = ["hi its Kezia from the bee group, Dewi is off sick w/ shingles so dont count on him",
            "Sehr geehrte Frau Dr. Anneliese Kröger,\n\nHauptstr. 12a, 20095 Hamburg\ngeb. 04.05.1961", "明日、渡辺さんが株式会社ヤマダに来ます。〒150-0001 東京都渋谷区1-2-3",
            "", "   ", "no names here", "DIYARBAKIR İZMİR O'BRIEN cafe\u0301 x²½ \U0001f600\u200d", "a\r\n\n\nb\tc\u00a0d", "the password is Blumenkohl77!"]


def examples(rng, rows, variations: int):
    """(text, entities): rows as they are, and as often varied."""
    by_lang: dict[str, list] = {}
    for r in rows:
        yield r
        by_lang.setdefault(r["l"], []).append(r)
    for _ in range(variations):
        for r in rows:
            try:
                v = variants.VARY["entities"](rng, r, by_lang[r["l"]], 0.5)
            except AssertionError:
                continue
            if not seeds.problem("entities", v):
                yield v


def fit(rows, args):
    """{feature: {label: weight}}, {(from, to): weight}"""
    t = pycrfsuite.Trainer(algorithm="lbfgs", verbose=False)
    for r in examples(random.Random(1), rows, args.variations):
        at = tagger.tokens(r["t"])
        if at:
            t.append(tagger.features(r["t"], at), tagger.labels(r["t"], at, r["e"]))
    t.set_params({"c1": args.c1, "c2": args.c2, "max_iterations": args.iterations, "feature.possible_transitions": True, "feature.minfreq": args.minfreq})
    with tempfile.TemporaryDirectory() as d:
        path = str(Path(d) / "crf")
        t.train(path)
        tag = pycrfsuite.Tagger()
        tag.open(path)
        info = tag.info()
        state: dict[str, dict[str, float]] = {}
        for (f, label), w in info.state_features.items():
            if abs(w) >= args.least:
                state.setdefault(f, {})[label] = w
        return state, dict(info.transitions)


class Model:
    """Weights as they are in the file."""

    def __init__(self, state, transitions):
        index = {l: i for i, l in enumerate(tagger.LABELS)}
        self.scale = max(abs(w) for ws in state.values() for w in ws.values()) / 127
        table: dict[int, np.ndarray] = {}
        for f, ws in state.items():
            row = table.setdefault(tagger.key(f), np.zeros(len(index), np.int32))
            for label, w in ws.items():
                row[index[label]] += round(w / self.scale)
        self.table = {k: np.clip(r, -127, 127) for k, r in table.items() if r.any()}
        self.step = np.zeros((len(index), len(index)), np.float32)
        for (a, b), w in transitions.items():
            self.step[index[a], index[b]] = w
        for a, i in index.items():
            for b, j in index.items():
                if b[0] == "I" and (a == "O" or a[2:] != b[2:]):
                    self.step[i, j] = -np.inf
        self.start = np.array([-np.inf if l[0] == "I" else 0 for l in tagger.LABELS], np.float32)

    def emissions(self, text, at):
        out = np.zeros((len(at), len(tagger.LABELS)), np.float32)
        for i, fs in enumerate(tagger.features(text, at)):
            total = np.zeros(len(tagger.LABELS), np.int32)
            for f in fs:
                if (r := self.table.get(tagger.key(f))) is not None:
                    total += r
            out[i] = total * np.float32(self.scale)
        return out

    def tag(self, text):
        at = tagger.tokens(text)
        if not at:
            return []
        e = self.emissions(text, at)
        best, back = self.start + e[0], []
        for row in e[1:]:
            each = best[:, None] + self.step
            back.append(each.argmax(0))
            best = each.max(0) + row
        path = [int(best.argmax())]
        for b in reversed(back):
            path.append(int(b[path[-1]]))
        return tagger.spans(text, at, [tagger.LABELS[i] for i in reversed(path)])

    def write(self, path: Path):
        """"SLTG", uint32 version, float32 scale, uint32 labels, their float32 transitions (row: from), uint32 features, their uint32
        keys (sorted), a byte each for how many labels they weigh for, those labels (a byte each), their weights (a signed byte each)."""
        keys = sorted(self.table)
        used = [np.flatnonzero(self.table[k]) for k in keys]
        with path.open("wb") as f:
            f.write(b"SLTG" + struct.pack("<IfI", 1, self.scale, len(tagger.LABELS)) + self.step.astype("<f4").tobytes() + struct.pack("<I", len(keys)))
            f.write(np.array(keys, "<u4").tobytes() + bytes(len(u) for u in used) + b"".join(bytes(u.tolist()) for u in used))
            f.write(b"".join(self.table[k][u].astype(np.int8).tobytes() for k, u in zip(keys, used)))


def score(model, rows):
    """Counts of {hits, named, wanted}, by what: "" for all, types, languages, "clean" for texts without entities."""
    c = Counter()
    for r in rows:
        got, want = Counter(model.tag(r["t"])), Counter(tuple(e) for e in r["e"])
        for name, a in (("hit", got & want), ("named", got), ("wanted", want)):
            for (kind, _), n in a.items():
                c["", name] += n
                c[kind, name] += n
                c[r["l"], name] += n
        if not want:
            c["clean", "hit"] += not got
            c["clean", "named"] += 1
            c["clean", "wanted"] += 1
    return c


def show(c):
    return {k or "all": round(2 * c[k, "hit"] / max(1, c[k, "named"] + c[k, "wanted"]), 3) for k in sorted({k for k, _ in c})}


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("--out", type=Path, default=ROOT / "local/entities/tagger.bin")
    a.add_argument("--folds", type=int, default=0)
    a.add_argument("--of", type=int, nargs="*", help="only these folds")
    a.add_argument("--variations", type=int, default=1)
    a.add_argument("--c1", type=float, default=0.05)
    a.add_argument("--c2", type=float, default=0.05)
    a.add_argument("--minfreq", type=float, default=0)
    a.add_argument("--iterations", type=int, default=80)
    a.add_argument("--least", type=float, default=0.02)
    args = a.parse_args()
    began = time.time()
    rows = seeds.load(report=lambda _: None)["entities"]
    if args.folds:
        files, total = sorted({r["file"] for r in rows}), Counter()
        for k in args.of or range(args.folds):
            out = set(files[k::args.folds])
            m = Model(*fit([r for r in rows if r["file"] not in out], args))
            total += score(m, [r for r in rows if r["file"] in out])
            print(k, {"min": round((time.time() - began) / 60, 1), "features": len(m.table)}, show(total), flush=True)
        return
    train, dev = seeds.split({"entities": rows, "tools": [], "extraction": []})
    m = Model(*fit(train["entities"], args))
    m.write(args.out)
    print({"min": round((time.time() - began) / 60, 1), "train": len(train["entities"]), "dev": len(dev["entities"]), "features": len(m.table),
           "MiB": round(args.out.stat().st_size / 2**20, 2)}, show(score(m, dev["entities"])), flush=True)
    path = ROOT / "testdata/entities/tagger.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as f:
        for t in EXAMPLES:
            at = tagger.tokens(t)
            f.write(json.dumps({"text": t, "tokens": [t[x:y] for x, y in at], "keys": [sum(tagger.key(g) for g in fs) % 2**32 for fs in tagger.features(t, at)],
                                "emissions": [[round(float(v), 3) for v in row] for row in m.emissions(t, at)] if at else [], "entities": m.tag(t)}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
