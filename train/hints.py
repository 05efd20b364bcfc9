"""Fits the n-gram part of the cheap hints, and writes local/hints/ngrams.bin (1 MiB) with examples to hold Go to.

Logistic regression on the seeds' labels, with the seeds of the dev files (number 03 of almost every writer) left out; each
gram weighs by its inverse document frequency, and one that occurs in a single seed does not count. Seeds that put easy and hard
questions to the same text count LESS: with their full weight the model was worse on everything else. Then:

    go test ./local/judge -run TestFitWeights -v -fit

fits how much the model, the hints and the n-grams count beside each other, on the dev files.
"""
import argparse
import json
import struct

import numpy as np
from scipy.sparse import diags, vstack
from sklearn.linear_model import LogisticRegression

from sluice_train import data, ngrams
from sluice_train.fit import auc
from sluice_train.prompt import ROOT

DEV = "-03.jsonl"
C = 1.0
EXAMPLES = ["thanks a lot!", "Prove that √2 is irrational, and generalise.", "  Übersetze\t\tbitte: \u201eGuten Morgen\u201c 2024-05-03 \n",
            "請求書の番号と日付を抜き出してください。No. 4711", "x" * 2000 + " ende", "", "?", "\n \nOne.\r\n\n two 22\n\t\n", "Which is right?\n" + "y z " * 90, "Zoë's naïve café\u0301 — 12 %"]


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--out", default=ROOT / "local/hints/ngrams.bin")
    args = a.parse_args()
    seeds = data.load_seeds()
    train, dev = [s for s in seeds if not s["file"].endswith(DEV)], [s for s in seeds if s["file"].endswith(DEV)]
    x, xd = ngrams.matrix([s["t"] for s in train]), ngrams.matrix([s["t"] for s in dev])
    p = np.array([s["p"] for s in train])
    count = np.array([data.weight(s) for s in train])
    df = np.asarray((x > 0).sum(0)).ravel()
    idf = np.where(df >= 2, np.log((1 + len(p)) / (1 + df)) + 1, 0) / 3
    weighed = (x @ diags(idf.astype(np.float32))).tocsr()
    m = LogisticRegression(C=C, max_iter=500, tol=3e-5).fit(
        vstack([weighed, weighed]), np.r_[np.ones(len(p)), np.zeros(len(p))], sample_weight=np.r_[p * count, (1 - p) * count])
    w = m.coef_[0] * idf
    scale = np.abs(w).max() / 127
    q = np.clip(np.round(w / scale), -127, 127).astype(np.int8)
    bias = float(m.intercept_[0])
    score = lambda xs: np.asarray(xs @ (q.astype(np.float64) * scale)).ravel() + bias
    print({"seeds": len(train), "dev": len(dev), "dev auc": round(auc(score(xd).tolist(), [s["p"] >= 0.5 for s in dev]), 4)})
    with open(args.out, "wb") as f:
        f.write(b"SLNG" + struct.pack("<Iff", ngrams.BUCKETS, scale, bias) + q.tobytes())
    with (ROOT / "testdata/judge/ngrams.jsonl").open("w", encoding="utf-8") as f:
        for text, z in zip(EXAMPLES, score(ngrams.matrix(EXAMPLES))):
            f.write(json.dumps({"text": text, "odds": round(float(z), 4)}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
