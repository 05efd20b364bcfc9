"""Trains nano and writes OUT/nano.gguf. Resumes when OUT holds a checkpoint.

    python train.py [--out out/nano] [--epochs 22] [--threads 0]
"""
import argparse
import json
import random
from pathlib import Path

import torch

from sluice_train import augment, bpe, data, export, fit
from sluice_train.frames import Frames
from sluice_train.model import Config
from sluice_train.prompt import ROUTES, TASKS, instructions

LANGS = {"en": 0.46, "de": 0.22, "fr": 0.2, "es": 0.06, "it": 0.06}  # shares of the generated requests


def vocabulary(texts: list[str], size: int) -> bpe.Tokenizer:
    """BPE on the training digests. The prompt's constant text and the labels count often enough to become whole words."""
    heads = ["system\n" + instructions(), "assistant\n", "user\n[system] a [tools] a [earlier] user: a\nassistant: a\ntool: a\n[request]\n"]
    labels = [f"{r} {t}" for r in ROUTES for t in TASKS]
    return bpe.train(texts + heads + labels, [1] * len(texts) + [200] * len(heads) + [300] * len(labels), size)


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("--out", type=Path, default=Path(__file__).parent / "out/nano")
    a.add_argument("--epochs", type=int, default=fit.Plan.epochs)
    a.add_argument("--threads", type=int, default=0)
    a.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="another value in Plan or Config")
    a.add_argument("--frames", type=float, nargs=2, default=[0.5, 0.2], help="share of generated requests, first and last")
    args = a.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)

    seeds = data.load_seeds()
    train, dev = data.split(seeds)
    frames = {lang: Frames(lang, data.DATA) for lang in LANGS}

    forbidden, _ = data.held_out()

    def made(rng):
        while True:
            s = frames[rng.choices(list(LANGS), list(LANGS.values()))[0]].seed(rng)
            if not data.grams(data.full_text(s)) & forbidden:
                return s

    saved = args.out / "tokenizer.json"
    if saved.exists():
        tok = bpe.Tokenizer.load(saved)
    else:
        rng = random.Random("vocabulary")
        tok = vocabulary([data.digest_of(s) for s in train] + [data.digest_of(made(rng)) for _ in range(3000)], 8192)
        tok.save(saved)
    config, plan = Config(vocab=len(tok.vocab)), fit.Plan(epochs=args.epochs, threads=args.threads)
    for s in args.set:
        name, value = s.split("=")
        setattr(config if hasattr(config, name) else plan, name, json.loads(value))
    config.attention = tuple(config.attention)
    coder = fit.Coder(tok)
    short = [s for s in train if len(s["t"]) < 200 and not s.get("hist")]

    def source(rng, n, progress):
        share, out = args.frames[0] + (args.frames[1] - args.frames[0]) * progress, []
        for _ in range(n):
            s = made(rng) if rng.random() < share else rng.choice(train)
            s = augment.vary(rng, s, short)
            out.append((data.digest_of(s), s["p"], s["k"]))
        return out

    held = [(data.digest_of(s), s["p"], s["k"]) for s in dev]
    print(f"{len(train)} seeds to train on, {len(dev)} for dev; prefix {len(coder.prefix)} tokens")
    model = fit.train(args.out, config, plan, coder, source, held)
    export.save(args.out / "nano.gguf", model, tok, 1, 0)
    model, tok, _ = export.load(args.out / "nano.gguf")  # calibrate what the file holds
    scores, margin = fit.dev_scores(model, fit.Coder(tok), held, torch.float32)
    scale, bias = fit.fit_scale(margin, [p for _, p, _ in held])
    export.save(args.out / "nano.gguf", model, tok, scale, bias)
    print(json.dumps({"quantised dev": scores, "scale": scale, "bias": bias, "bytes": (args.out / "nano.gguf").stat().st_size,
                      "params": sum(p.numel() for p in model.parameters())}))


if __name__ == "__main__":
    main()
