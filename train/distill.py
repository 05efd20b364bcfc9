"""Trains nano as it is shipped, and writes OUT/nano.gguf. Resumes when OUT holds a checkpoint.

    python distill.py [--out out/nano] [--epochs 8] [--threads 0] [--tokenizer FILE] [--start GGUF]

A small network, taught by the labels and by a linear model, that begins with what a bag of words knows: see
sluice_train/teacher.py. train.py is the longer way without a teacher, kept because its numbers are in the model card.
"""
import argparse
import json
import random
import shutil
from pathlib import Path

import numpy as np
import torch

from sluice_train import augment, bpe, circuits, data, export, fit, teacher
from sluice_train.model import Config
from train import vocabulary

TRUST = 0.5  # how much of a seed's target is the teacher's
SCALE = 0.15  # of the token table in the embedding


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("--out", type=Path, default=Path(__file__).parent / "out/nano")
    a.add_argument("--epochs", type=int, default=7)
    a.add_argument("--threads", type=int, default=0)
    a.add_argument("--tokenizer", type=Path, help="a vocabulary made before; default: a new one of the training texts")
    a.add_argument("--start", type=Path, metavar="GGUF", help="go on from a network trained before, with its vocabulary")
    a.add_argument("--spliced", type=float, default=0.5, help="share of spliced requests")
    a.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="another value in Plan or Config")
    args = a.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    train, dev = data.split(data.load_seeds())
    train = data.thin(train)
    forbidden, _ = data.held_out()

    saved = args.out / "tokenizer.json"
    if args.start:
        export.load(args.start)[1].save(saved)
    if args.tokenizer and not saved.exists():
        shutil.copy(args.tokenizer, saved)
    if not saved.exists():
        vocabulary([data.digest_of(s) for s in train], 8192).save(saved)
    tok = bpe.Tokenizer.load(saved)
    config = Config(vocab=len(tok.vocab), d=128, layers=4, attention=(1, 3), heads=2, kv_heads=1, ffn=320)
    plan = fit.Plan(epochs=args.epochs, epoch=10000, threads=args.threads, lr=3e-3, batch_tokens=3072, max_tokens=400,
                    lm_weight=0.1, lm_share=0.1, task_weight=0.15, bpe_dropout=0.0, ema=0.999)
    for s in args.set:
        name, value = s.split("=")
        setattr(config if hasattr(config, name) else plan, name, json.loads(value))
    config.attention = tuple(config.attention)

    coder, coach = fit.Coder(tok), teacher.Teacher(train)
    held = [(data.digest_of(s), s["p"], s["k"]) for s in dev]
    z = coach.logits(dev, [None] * len(dev))
    hard = [(m, int(p > 0.5)) for m, (_, p, _) in zip(z, held) if p != 0.5]
    print(json.dumps({"seeds": len(train), "dev": len(dev), "teacher auc": round(fit.auc([m for m, _ in hard], [y for _, y in hard]), 4)}))
    table = torch.tensor(teacher.token_table(train, [coder.ids(data.digest_of(s)) for s in train], tok.encode("[request]\n"), config.vocab))
    short = [s for s in train if len(s["t"]) < 200 and not s.get("hist")]
    by_lang: dict[str, list[dict]] = {}
    for s in train:
        by_lang.setdefault(s["l"], []).append(s)
    langs = [s["l"] for s in train]

    def source(rng, n, _):
        made, folds, gold = [], [], []
        while len(made) < n:
            if rng.random() < args.spliced:
                s, s_fold, label = teacher.splice(rng, by_lang, langs), None, None
                if data.grams(s["t"]) & forbidden:
                    continue
            else:
                seed = rng.choice(train)
                s, s_fold, label = augment.vary(rng, seed, short), teacher.fold(seed), (seed["p"], seed["k"])
            made.append(s)
            folds.append(s_fold)
            gold.append(label)
        p = 1 / (1 + np.exp(-coach.logits(made, folds)))
        return [(data.digest_of(d), float(q), None) if g is None else (data.digest_of(d), TRUST * float(q) + (1 - TRUST) * g[0], g[1])
                for d, q, g in zip(made, p, gold)]

    def prepare(model):
        if args.start:
            model.load_state_dict(export.load(args.start)[0].state_dict())
            return
        with torch.no_grad():
            model.embed.weight[:, table.shape[1]:] = torch.tensor(circuits.codes(tok.vocab, config.d - table.shape[1]), dtype=torch.float32)
            model.embed.weight[:, :table.shape[1]] = (SCALE * table).to(model.embed.weight.device)

    model = fit.train(args.out, config, plan, coder, source, held, prepare=prepare)
    finish(args.out / "nano.gguf", model, tok, held)


def finish(path: Path, model, tok, held):
    """Quantise, calibrate what the file then says on dev, and write it."""
    export.save(path, model, tok, 1, 0)
    model, tok, _ = export.load(path)
    scores, margin = fit.dev_scores(model, fit.Coder(tok), held, torch.float32)
    scale, bias = fit.fit_scale(margin, [p for _, p, _ in held])
    export.save(path, model, tok, scale, bias)
    print(json.dumps({"quantised dev": scores, "scale": scale, "bias": bias, "bytes": path.stat().st_size,
                      "params": sum(p.numel() for p in model.parameters())}))


if __name__ == "__main__":
    main()
