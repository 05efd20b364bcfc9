"""Trains nano's second file, which fills in forms: entities, tool calls, extraction. Resumes from OUT/last.pt.

    python skills.py [--out out/skills] [--steps 12000] [--decay 0.3] [--threads 1] [--data data]

The rate is constant after a short rise and falls to zero over the last share `--decay` of the steps. A file OUT/finish makes
a run that is under way begin its decay at once, over as many steps as the file says.
"""
import argparse
import copy
import json
import os
import random
import time
from dataclasses import asdict
from pathlib import Path

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn

from sluice_train import bpe, circuits, data, export, forms, items, lexicon, seeds, tables, tasks, variants
from sluice_train.model import LFM2, Config

SMEAR_AT, COPY_AT, POINT_AT, TAP = (2, 3), 4, 5, 3
MIX = {"entities": 0.16, "tools": 0.42, "extraction": 0.42}
FORMS = {"entities": 0.0, "tools": 0.3, "extraction": 0.45}  # share of generated examples
TOGETHER = 8  # steps between averages of the processes' weights
WEIGHT = {"tags": 0.5, "values": 0.2, "point": 0.6, "lm": 0.03, "chain": 0.5, "full": 0.3}


def vocabulary(train: dict, size: int = 8192) -> bpe.Tokenizer:
    """Words of the judge's requests, of these examples with their prompts, and of made-up names, in all languages."""
    rng, texts, weights = random.Random(1), [], []

    def add(text, weight=1):
        texts.append(text)
        weights.append(weight)
    for s in data.split(data.load_seeds(report=lambda _: None))[0]:
        add(data.digest_of(s))
    for task, examples in train.items():
        for ex in examples:
            for text, special in tasks.segments(task, ex) + tasks.answer(task, ex):
                if not special:
                    add(text, 2)
    for lang in lexicon.LOCALES:
        for _ in range(500):
            add(" ".join([lexicon.person(rng, lang, rng.randint(1, 3)), lexicon.address(rng, lang), lexicon.org(rng, lang), lexicon.place(rng, lang)]))
    add(tasks.ENTITY_INSTRUCTIONS + " " + tasks.outline(tasks.ENTITY_SCHEMA) + " null true false True False None string number integer boolean object array", 500)
    return bpe.train_copy(texts, weights, size, 0.28)


class Heads(nn.Module):
    """What the additional losses read from the residual stream; not part of the model."""

    def __init__(self, d):
        super().__init__()
        kinds = 1 + len(items.TAGS)
        self.tags, self.values = nn.Linear(d, 3 * kinds), nn.Linear(d, 3)


def config(vocab: int) -> Config:
    return Config(vocab=vocab, d=192, layers=6, attention=(1, COPY_AT, POINT_AT), heads=3, kv_heads=3, ffn=320, theta=1e8)


def fresh(tok, seed: int, source=None):
    """A network with the circuits; with a source of examples, also what counting them says."""
    torch.manual_seed(seed)
    model = LFM2(config(len(tok.vocab)))
    align, kind = tables.make(tok, source) if source else (None, None)
    circuits.prepare(model, tok.vocab, COPY_AT, POINT_AT, SMEAR_AT, align, kind)
    return model, Heads(model.c.d)


def watch(model):
    model.tap = TAP
    model.layers[POINT_AT].mixer.watch = model.layers[COPY_AT].mixer.watch = True


class Source:
    """Endless examples, mixed and varied."""

    def __init__(self, train, tok, seed):
        self.train, self.tok, self.rng, self.easy = train, tok, random.Random(seed), 0.0
        self.by_lang = {t: {} for t in train}
        for t, ex in train.items():
            for e in ex:
                self.by_lang[t].setdefault(e["l"], []).append(e)

    def example(self, task=None):
        """(example, item), of a task drawn by MIX or given."""
        rng = self.rng
        task = task or rng.choices(list(MIX), list(MIX.values()))[0]
        for _ in range(50):
            try:
                if rng.random() < FORMS[task]:
                    ex = forms.make(rng, task)
                else:
                    seed = rng.choice(self.train[task])
                    same = self.by_lang[task][seed["l"]]
                    ex = seed if rng.random() < 0.1 * (1 - self.easy) else variants.VARY[task](
                        rng, seed, same if len(same) > 10 and task != "tools" else self.train[task], self.easy)
                if seeds.problem(task, ex):
                    continue
                item = items.build(self.tok, task, ex)
            except AssertionError:
                continue
            if len(item.ids) <= 620:
                return ex, item
        raise RuntimeError(f"no usable example of {task}")

    def batches(self, n: int, tokens: int):
        got: dict[str, list] = {t: [] for t in MIX}
        for _ in range(n):
            _, i = self.example()
            got[i.task].append(i)
        out = []
        for t, its in got.items():
            its.sort(key=lambda i: len(i.ids) + self.rng.random() * 10)
            cur = []
            for i in its:
                if cur and len(i.ids) * (len(cur) + 1) > tokens:
                    out.append(cur)
                    cur = []
                cur.append(i)
            if cur:
                out.append(cur)
        self.rng.shuffle(out)
        return out


def prefix_of(tok) -> list[int]:
    """What all prompts of entities begin with: it is computed once for a batch."""
    out = []
    for text, special in tasks.entities_prefix():
        out += [tok.ids[text]] if special else tok.encode(text)
    return out + [tok.ids["<|im_start|>"]]


def run(model, batch, prefix, dt):
    """(hidden [B,T,d], offset)"""
    off = 0
    past = None
    if batch[0].task == "entities":
        off = len(prefix)
        _, past = model(torch.tensor([prefix]), dt=dt)
    width = max(len(i.ids) for i in batch) - off
    x = torch.zeros(len(batch), width, dtype=torch.long)
    for r, i in enumerate(batch):
        assert off == 0 or i.ids[:off] == prefix
        x[r, :len(i.ids) - off] = torch.tensor(i.ids[off:])
    h, _ = model(x, past, off, dt)
    return h, x, off


def hold(lg, allowed):
    """Logits with -inf for what decoding forbids."""
    r = [n for n, a in enumerate(allowed) if a is not None for _ in a]
    c = [i for a in allowed if a is not None for i in a]
    mask = torch.zeros(lg.shape, dtype=torch.bool)
    mask[[n for n, a in enumerate(allowed) if a is None]] = True
    mask[r, c] = True
    return lg.masked_fill(~mask, -torch.inf)


def loss_of(model, heads, batch, prefix, rng, dt):
    h, x, off = run(model, batch, prefix, dt)
    rows, cols, target, w, allowed = [], [], [], [], []
    lr, lc, lt = [], [], []
    for r, i in enumerate(batch):
        for k, wt in enumerate(i.weight):
            if wt > 0:
                rows.append(r)
                cols.append(i.start + k - 1 - off)
                target.append(i.ids[i.start + k])
                w.append(wt)
                allowed.append(i.allow[k])
        for p in range(max(1, off + 1), i.start):
            if rng.random() < 0.08:
                lr.append(r)
                lc.append(p - 1 - off)
                lt.append(i.ids[p])
    w = torch.tensor(w)
    lg = model.logits(h[rows, cols], dt)
    want = torch.tensor(target)
    full = F.cross_entropy(lg, want, reduction="none")
    held = hold(lg, allowed)
    choice = w * torch.tensor([a is None or len(a) > 1 for a in allowed])
    ce = F.cross_entropy(held, want, reduction="none")
    answer = (ce * choice).sum() / choice.sum()
    hit = ((held.argmax(1) == want) & (choice >= 1)).sum().item() / max(1, (choice >= 1).sum().item())
    total = answer + WEIGHT["full"] * (full * w).sum() / w.sum()
    if lr:
        total = total + WEIGHT["lm"] * F.cross_entropy(model.logits(h[lr, lc], dt), torch.tensor(lt))
    parts = {"answer": answer.item(), "hit": hit}
    mid = model.tapped
    for name in ("tags", "values"):
        at = [(r, p - off, v) for r, i in enumerate(batch) for p, v in getattr(i, name) if p >= off]
        if at:
            z = getattr(heads, name)(F.rms_norm(mid[[a[0] for a in at], [a[1] for a in at]].float(), (mid.shape[-1],)))
            if name == "tags":  # of this token and of the two before it, which are surer by now
                known = {(r, p): v for r, p, v in at}
                want = torch.tensor([[known.get((r, p - k), -100) for k in (0, 1, 2)] for r, p, _ in at])
                z = z.view(-1, 3, 1 + len(items.TAGS))
                l = sum(F.cross_entropy(z[:, k], want[:, k], ignore_index=-100) for k in (0, 1, 2)) / 3
                parts["tags2"] = F.cross_entropy(z[:, 2], want[:, 2], ignore_index=-100).item()
            else:
                l = F.cross_entropy(z, torch.tensor([a[2] for a in at]))
            total = total + WEIGHT[name] * l
            parts[name] = l.item()
    at = [(r, t - off, s) for r, i in enumerate(batch) for t, s in i.point]
    if at:
        seen = model.layers[POINT_AT].mixer.seen
        r, t, s = ([a[k] for a in at] for k in (0, 1, 2))
        each = [-(seen[r, k, t, [min(x + k, y + off) for x, y in zip(s, t)]].float() + 1e-4).log().mean() for k in (0, 1, 2)]
        total = total + WEIGHT["point"] * sum(each) / 3
        parts["ptr"] = sum(seen[r, 0, t].argmax(1) == torch.tensor(s)).item() / len(s)
        parts |= {f"point{k}": l.item() for k, l in enumerate(each)}
    at = [(r, t - off, s) for r, i in enumerate(batch) for t, s in i.chain if t >= off]
    if at:
        r, t, s = ([a[k] for a in at] for k in (0, 1, 2))
        l = -(model.layers[COPY_AT].mixer.seen[r, 2, t, s].float() + 1e-4).log().mean()
        total = total + WEIGHT["chain"] * l
        parts["chain"] = l.item()
    return total, parts


@torch.no_grad()
def average(params, of: int):
    """Give each process the mean of all processes' weights."""
    flat = torch.cat([p.view(-1) for p in params])
    dist.all_reduce(flat)
    flat /= of
    at = 0
    for p in params:
        p.copy_(flat[at:at + p.numel()].view_as(p))
        at += p.numel()


def look(model, dev_items, prefix, dt):
    with torch.no_grad(), torch.autocast("cpu", dtype=dt, enabled=dt != torch.float32):
        return _look(model, dev_items, prefix, dt)


def _look(model, dev_items, prefix, dt):
    """How often the network would choose right, shown the right beginning: {task: {"free", "begin", "whole"}}."""
    model.eval()
    out = {}
    for task, its in dev_items.items():
        free = begin = nb = nf = whole = 0
        calls = [0, 0, 0, 0]  # right and all of those with calls, without
        its = sorted(its, key=lambda i: len(i.ids))
        for k in range(0, len(its), 12):
            batch = its[k:k + 12]
            h, x, off = run(model, batch, prefix, dt)
            for r, i in enumerate(batch):
                pos = [j for j, w in enumerate(i.weight) if w >= 1 and (i.allow[j] is None or len(i.allow[j]) > 1)]
                lg = model.logits(h[r, [i.start + j - 1 - off for j in pos]], dt)
                lg = hold(lg, [i.allow[j] for j in pos])
                ok = (lg.argmax(1) == torch.tensor([i.ids[i.start + j] for j in pos])).tolist()
                free += sum(ok)
                nf += len(ok)
                b = [o for o, j in zip(ok, pos) if i.weight[j] == items.BEGIN]
                begin += sum(b)
                nb += len(b)
                whole += all(ok)
                if task == "tools":
                    c = 0 if i.ids[i.start] == model_call(i) else 2
                    calls[c] += ok[0]
                    calls[c + 1] += 1
        out[task] = {"free": round(free / nf, 3), "begin": round(begin / max(1, nb), 3), "whole": round(whole / len(its), 3)}
        if task == "tools":
            out[task] |= {"call": round(calls[0] / max(1, calls[1]), 3), "no call": round(calls[2] / max(1, calls[3]), 3)}
    return out


def model_call(i):
    return 10  # <|tool_call_start|>


def write(path: Path, model, tok):
    export.save(path, model, tok, 1, 0, name="Sluice nano-forms v2", abilities=("entities", "tools", "extraction"))


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("--out", type=Path, default=Path(__file__).parent / "out/skills")
    a.add_argument("--data", type=Path, default=seeds.DATA)
    a.add_argument("--tokenizer", type=Path, help="a vocabulary made before; default: a new one")
    a.add_argument("--steps", type=int, default=12000)
    a.add_argument("--decay", type=float, default=0.3)
    a.add_argument("--threads", type=int, default=1)
    a.add_argument("--lr", type=float, default=6e-4)
    a.add_argument("--tokens", type=int, default=2048)
    a.add_argument("--look", type=int, default=250, help="steps between looks at dev")
    a.add_argument("--embed-share", type=float, default=0.1, help="the embedding's learning rate, in parts of the others'")
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--dt", default="bfloat16")
    a.add_argument("--start", type=Path, help="weights to begin with instead of the circuits")
    a.add_argument("--hard", type=int, default=0, help="the step from which on examples are as long as they come; default: where the rate begins to fall")
    a.add_argument("--muon", type=float, default=0.0, help="the matrices are trained by Muon, at this part of the rate; 0: by AdamW like the rest")
    a.add_argument("--of", type=int, default=1, help="so many processes train together, one a core, and average their weights now and then")
    a.add_argument("--rank", type=int, default=0, help="which of them this is; the first one writes")
    a.add_argument("--ema", type=float, default=0.998)
    args = a.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(args.threads)
    dt = getattr(torch, args.dt)
    train, dev = seeds.split(seeds.load(args.data))
    saved = args.out / "tokenizer.json"
    if not saved.exists():
        (bpe.Tokenizer.load(args.tokenizer) if args.tokenizer else vocabulary(train)).save(saved)
    tok = bpe.Tokenizer.load(saved)
    dev_items = {t: [items.build(tok, t, e) for e in ex] for t, ex in dev.items() if ex}
    print({t: (len(train[t]), len(dev[t])) for t in train}, flush=True)
    last = args.out / "last.pt"
    model, heads = fresh(tok, args.seed, None if args.start or last.exists() else Source(train, tok, f"{args.seed}/tables"))
    if args.start:
        model.load_state_dict(torch.load(args.start)["ema"])
    watch(model)
    ema = copy.deepcopy(model)
    params = [*model.parameters(), *heads.parameters()]
    table = model.embed.weight  # the tied output touches all of its rows at every step, most of them with noise
    square = [p for n, p in model.named_parameters() if args.muon and p.dim() == 2 and p is not table and not n.endswith("conv")]
    theirs = {id(p) for p in square} | {id(table)}
    opt = [torch.optim.AdamW([{"params": [p for p in params if p.dim() > 1 and id(p) not in theirs], "weight_decay": 0.05, "share": 1.0},
                              {"params": [p for p in params if p.dim() <= 1], "weight_decay": 0.0, "share": 1.0},
                              {"params": [table], "weight_decay": 0.0, "share": args.embed_share, "eps": 1e-7}], lr=args.lr, betas=(0.9, 0.98), fused=True)]
    if square:
        opt.append(torch.optim.Muon([{"params": square, "share": args.muon}], lr=args.lr, weight_decay=0.05, momentum=0.95, ns_steps=4, adjust_lr_fn="match_rms_adamw"))
    at = {"step": 0, "spent": 0.0, "decay_from": int(args.steps * (1 - args.decay)), "steps": args.steps}
    if last.exists():
        s = torch.load(last)
        model.load_state_dict(s["model"])
        heads.load_state_dict(s["heads"])
        ema.load_state_dict(s["ema"])
        for o, state in zip(opt, s["opt"]):
            o.load_state_dict(state)
        at = s["at"]
        print(f"resumed at step {at['step']}", flush=True)
    prefix = prefix_of(tok)
    model.embed_drop = 0.03
    for layer in model.layers:
        layer.drop = 0.05
    source = Source(train, tok, f"{args.seed}/{at['step']}" + (f"/{args.rank}" if args.rank else ""))
    rng = random.Random(at["step"] + args.rank)
    torch.manual_seed(at["step"] + args.rank)
    if args.of > 1:
        meet = (args.out / f"meet-{at['step']}").resolve()
        dist.init_process_group("gloo", init_method=f"file://{meet}", rank=args.rank, world_size=args.of)
    first = args.rank == 0
    sums, began, tokens, pile = {}, time.time(), 0, []
    if first:
        print({"params": sum(p.numel() for p in model.parameters()), "dev": look(ema, dev_items, prefix, dt)}, flush=True)
    while at["step"] < at["steps"]:
        if not pile:
            source.easy = max(0.15, 1 - at["step"] / (args.hard or max(1, at["decay_from"])))
            pile = source.batches(200, args.tokens)
        batch = pile.pop()
        f, d = at["step"], at["decay_from"]
        rate = args.lr * min(1, (f + 1) / 100) * (1 if f < d else max(0.0, 1 - (f - d) / (at["steps"] - d)))
        for g in (g for o in opt for g in o.param_groups):
            g["lr"] = rate * g["share"]
        model.train()
        with torch.autocast("cpu", dtype=dt, enabled=dt != torch.float32):
            loss, parts = loss_of(model, heads, batch, prefix, rng, dt)
        for o in opt:
            o.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        for o in opt:
            o.step()
        at["step"] += 1
        if args.of > 1 and at["step"] % TOGETHER == 0:
            average(params, args.of)
        k = min(args.ema, (1 + at["step"]) / (10 + at["step"]))
        with torch.no_grad():
            torch._foreach_lerp_(list(ema.parameters()), list(model.parameters()), 1 - k)
        tokens += sum(len(i.ids) for i in batch)
        for n, v in parts.items():
            key = f"{batch[0].task[:3]} {n}" if n[:3] in ("ans", "hit", "poi", "ptr") else n
            s = sums.setdefault(key, [0.0, 0])
            s[0] += v
            s[1] += 1
        if at["step"] % 50 == 0:
            finish = args.out / "finish"
            n = torch.tensor([int(finish.read_text()) if first and finish.exists() else 0])
            if args.of > 1:
                dist.all_reduce(n)
            if n := int(n):
                finish.unlink(missing_ok=True)
                at["decay_from"], at["steps"] = at["step"], at["step"] + n
        if at["step"] % args.look == 0 or at["step"] >= at["steps"]:
            took = time.time() - began
            at["spent"] += took
            if not first:
                sums, began, tokens = {}, time.time(), 0
                continue
            print(json.dumps({"step": at["step"], "min": round(at["spent"] / 60, 1), "tok/s": round(tokens / took), "lr": round(rate, 6)} |
                             {k: round(v[0] / v[1], 3) for k, v in sorted(sums.items())} | {"dev": look(ema, dev_items, prefix, dt)}), flush=True)
            state = {"model": model.state_dict(), "heads": heads.state_dict(), "ema": ema.state_dict(), "opt": [o.state_dict() for o in opt], "at": at,
                     "config": asdict(model.c)}
            torch.save(state, args.out / "last.tmp")
            os.replace(args.out / "last.tmp", last)
            sums, began, tokens = {}, time.time(), 0
    if first:
        write(args.out / "forms.gguf", ema, tok)


if __name__ == "__main__":
    main()
