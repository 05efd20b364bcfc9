"""Scores a nano GGUF on a held-out file, next to the baselines and a control with random weights.

    python evaluate.py [--model ../runtime/nano/nano.gguf] [--data ../testdata/eval/judge.jsonl]

A request counts as "local" when its label p > 0.5; those with p = 0.5 are left out. AUC and accuracy use that; Brier
and ECE compare the predicted probability with it too ("soft" columns compare with p itself). Intervals are 95 %
bootstrap intervals over requests. Everything is calibrated on the dev split of the training data, never here.
"""
import argparse
import random
from pathlib import Path

import torch

from sluice_train import baseline, data, export, fit
from sluice_train.model import LFM2
from sluice_train.prompt import ROOT

torch.set_num_threads(1)


def sigmoid(z):
    return torch.tensor(z, dtype=torch.float64).sigmoid().tolist()


def ece(prob, label, bins=10):
    """Equal-width bins: the mean of |mean prediction - mean label|, weighted by bin size."""
    total = 0.0
    for b in range(bins):
        some = [(p, y) for p, y in zip(prob, label) if b / bins <= p < (b + 1) / bins or b == bins - 1 and p == 1]
        if some:
            total += abs(sum(p for p, _ in some) - sum(y for _, y in some))
    return total / len(prob)


def metrics(prob, p):
    y = [float(q > 0.5) for q in p]
    n = len(y)
    return {"acc": sum((a > 0.5) == (b > 0.5) for a, b in zip(prob, y)) / n, "auc": fit.auc(prob, [int(b) for b in y]),
            "brier": sum((a - b) ** 2 for a, b in zip(prob, y)) / n, "ece": ece(prob, y),
            "brier_soft": sum((a - b) ** 2 for a, b in zip(prob, p)) / n, "ece_soft": ece(prob, p)}


def bootstrap(prob, p, rounds=1000, seed=7):
    rng, n = random.Random(seed), len(p)
    runs = []
    for _ in range(rounds):
        i = [rng.randrange(n) for _ in range(n)]
        runs.append(metrics([prob[j] for j in i], [p[j] for j in i]))
    return {k: tuple(sorted(r[k] for r in runs)[int(q * (rounds - 1))] for q in (0.025, 0.975)) for k in runs[0]}


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("--model", type=Path, default=ROOT / "runtime/nano/nano.gguf")
    a.add_argument("--data", type=Path, default=data.EVAL)
    a.add_argument("--dev", action="store_true", help="use the dev split of the training data instead")
    args = a.parse_args()
    train, dev = data.split(data.load_seeds(report=lambda _: None))
    items = [s for s in (dev if args.dev else data.read_jsonl(args.data)) if s["p"] != 0.5]
    p = [s["p"] for s in items]
    model, tok, kv = export.load(args.model)
    coder, digests = fit.Coder(tok), [data.digest_of(s) for s in items]
    margin, task = fit.judge(model, coder, digests)
    scale, bias = kv["sluice.judge.scale"], kv["sluice.judge.bias"]
    torch.manual_seed(0)
    control, _ = fit.judge(LFM2(model.c), coder, digests)
    dev_p = [s["p"] for s in dev]

    def calibrated(score):  # the baselines get the same calibration on dev
        a, b = fit.fit_scale(score(dev), dev_p)
        return sigmoid([a * m + b for m in score(items)])

    rows = {"nano": sigmoid([scale * m + bias for m in margin]),
            "words + features, logistic": calibrated(baseline.Bag().fit(train).margin),
            "features, logistic": calibrated(baseline.Features().fit(train).margin),
            "hand rules": calibrated(lambda ss: [baseline.rules(s) for s in ss]),
            "random weights": sigmoid(control), "always local": [0.999] * len(items)}
    print(f"{len(items)} requests, {sum(q > 0.5 for q in p)} local; 95 % intervals\n")
    names = ["acc", "auc", "ece", "brier", "ece_soft", "brier_soft"]
    print("| | " + " | ".join(names) + " |\n|---|" + "---|" * len(names))
    for name, prob in rows.items():
        m, ci = metrics(prob, p), bootstrap(prob, p)
        print(f"| {name} | " + " | ".join(f"{m[k]:.3f} ({ci[k][0]:.3f}–{ci[k][1]:.3f})" for k in names) + " |")
    print(f"\ntask kind right: {sum(t == s['k'] for t, s in zip(task, items)) / len(items):.3f}\n")
    for field in ("l", "k"):
        print(f"| {field} | n | acc | auc | features acc | features auc |\n|---|---|---|---|---|---|")
        for v in sorted({s[field] for s in items}):
            i = [j for j, s in enumerate(items) if s[field] == v]
            m, f = (metrics([rows[r][j] for j in i], [p[j] for j in i]) for r in ("nano", "features, logistic"))
            print(f"| {v} | {len(i)} | {m['acc']:.2f} | {m['auc']:.2f} | {f['acc']:.2f} | {f['auc']:.2f} |")
        print()


if __name__ == "__main__":
    main()
