"""Writes the weighted mean of two networks of the judge that went on from the same beginning, calibrated on dev, and says how good each is.

    python merge.py A.gguf B.gguf [--share 0.5] --out OUT.gguf        # share of B
"""
import argparse
import json
from pathlib import Path

import torch

from distill import finish
from sluice_train import data, export, fit


def merged(a: Path, b: Path, share: float):
    """(network, tokenizer)"""
    (one, tok, _), (other, other_tok, _) = export.load(a), export.load(b)
    if tok.vocab != other_tok.vocab or one.c != other.c:
        raise SystemExit(f"{a} and {b} differ in vocabulary or shape: only networks from the same beginning can be merged")
    theirs = other.state_dict()
    one.load_state_dict({k: torch.lerp(v, theirs[k], share) for k, v in one.state_dict().items()})
    return one, tok


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("a", type=Path)
    p.add_argument("b", type=Path)
    p.add_argument("--share", type=float, default=0.5)
    p.add_argument("--out", type=Path, required=True)
    args = p.parse_args()
    _, dev = data.split(data.load_seeds(report=lambda _: None))
    held = [(data.digest_of(s), s["p"], s["k"]) for s in dev]
    for path in (args.a, args.b):
        model, tok, _ = export.load(path)
        print(path, json.dumps(fit.dev_scores(model, fit.Coder(tok), held, torch.float32)[0]), flush=True)
    finish(args.out, *merged(args.a, args.b, args.share), held)


if __name__ == "__main__":
    main()
