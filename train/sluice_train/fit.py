"""Training: soft cross-entropy on the route, cross-entropy on the task, and a language-model loss on the request.

The prompt's constant prefix is computed once per step, with gradients, and shared by the whole batch.
"""
import copy
import json
import math
import random
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F

from .bpe import Tokenizer
from .export import label_ids
from .model import LFM2, Config
from .prompt import PREFIX, TASKS, digest, user_segments

IM_END = 7


@dataclass
class Plan:
    seed: int = 1
    epochs: int = 22
    epoch: int = 4000  # examples in an epoch, after which the dev set is looked at
    lr: float = 2e-3
    weight_decay: float = 0.1
    batch_tokens: int = 2560
    max_tokens: int = 512  # longer digests are left out of training
    lm_weight: float = 0.3
    lm_share: float = 0.25  # of the positions, sampled
    task_weight: float = 0.3
    dropout: float = 0.1
    embed_dropout: float = 0.05
    bpe_dropout: float = 0.1
    warmup: float = 0.03
    ema: float = 0.998
    threads: int = 0


class Coder:
    """Requests -> token ids, for one tokenizer."""

    def __init__(self, tok: Tokenizer):
        self.tok = tok
        self.prefix = tok.encode_segments(PREFIX())
        self.routes, self.tasks = label_ids(tok)

    def ids(self, dig: str, rng: random.Random | None = None, drop: float = 0.0) -> list[int]:
        """What follows the prefix, up to where the answer starts."""
        out = []
        for text, special in user_segments(dig):
            if special:
                out.append(self.tok.ids[text])
            else:
                out += self.tok.encode(text, rng if text.startswith("user\n") else None, drop)
        return out


@torch.no_grad()
def judge(model: LFM2, coder: Coder, digests: list[str], dt=torch.float32, max_tokens: int = 2048):
    """(logit(local) - logit(cloud), most probable task) for every digest."""
    model.eval()
    dev = model.embed.weight.device
    prefix = torch.tensor([coder.prefix], device=dev)
    _, past = model(prefix, dt=dt)
    past = [tuple(t for t in s) if isinstance(s, tuple) else s for s in past]
    coded = [coder.ids(d)[-max_tokens:] for d in digests]
    order = sorted(range(len(coded)), key=lambda i: len(coded[i]))
    margin, task = [0.0] * len(coded), [0] * len(coded)
    at = 0
    while at < len(order):
        n = max(1, min(64, 8192 // len(coded[order[min(at + 31, len(order) - 1)]])))
        some = order[at:at + n]
        at += n
        width = max(len(coded[i]) for i in some) + 1
        x = torch.zeros(len(some), width, dtype=torch.long)
        last = torch.tensor([len(coded[i]) - 1 for i in some])
        for r, i in enumerate(some):
            x[r, :len(coded[i])] = torch.tensor(coded[i])
        h, _ = model(x.to(dev), past, len(coder.prefix), dt)
        lg = model.logits(h[torch.arange(len(some)), last.to(dev)], dt)
        m = (lg[:, coder.routes[0]] - lg[:, coder.routes[1]]).cpu()
        for r, i in enumerate(some):  # the task is asked after the more probable route
            x[r, len(coded[i])] = coder.routes[0 if m[r] > 0 else 1]
            margin[i] = m[r].item()
        h, _ = model(x.to(dev), past, len(coder.prefix), dt)
        lg = model.logits(h[torch.arange(len(some)), last.to(dev) + 1], dt)
        best = lg[:, coder.tasks].argmax(1).cpu()
        for r, i in enumerate(some):
            task[i] = best[r].item()
    return margin, [TASKS[t] for t in task]


def batches(examples, coder: Coder, plan: Plan, rng: random.Random):
    """Examples (digest, p, kind) -> shuffled batches of similar length, each under plan.batch_tokens tokens."""
    coded = []
    for dig, p, kind in examples:
        ids = coder.ids(dig, rng, plan.bpe_dropout)
        if len(ids) <= plan.max_tokens:
            coded.append((ids, p, coder.tasks[TASKS.index(kind)] if kind else None))
    coded.sort(key=lambda e: len(e[0]) + rng.random() * 8)
    out, cur = [], []
    for e in coded:
        if cur and (len(e[0]) + 3) * (len(cur) + 1) > plan.batch_tokens:
            out.append(cur)
            cur = []
        cur.append(e)
    out.append(cur)
    rng.shuffle(out)
    return out


def loss_of(model: LFM2, coder: Coder, batch, plan: Plan, rng: random.Random, dt):
    dev = model.embed.weight.device
    width = max(len(ids) for ids, _, _ in batch) + 2
    x = torch.zeros(len(batch), width, dtype=torch.long)
    n = torch.tensor([len(ids) for ids, _, _ in batch])
    for r, (ids, p, kind) in enumerate(batch):
        route = coder.routes[0 if rng.random() < p else 1]
        x[r, :len(ids) + 2] = torch.tensor(ids + [route, kind or IM_END])  # without a kind: not asked
    p = torch.tensor([p for _, p, _ in batch], device=dev)
    x, n = x.to(dev), n.to(dev)
    _, past = model(torch.tensor([coder.prefix], device=dev), dt=dt)
    h, _ = model(x, past, len(coder.prefix), dt)
    row = torch.arange(len(batch), device=dev)
    lr = model.logits(h[row, n - 1], dt).log_softmax(-1)
    route = -(p * lr[:, coder.routes[0]] + (1 - p) * lr[:, coder.routes[1]]).mean()
    asked = torch.tensor([kind is not None for _, _, kind in batch], device=dev)
    task = F.cross_entropy(model.logits(h[row, n], dt), torch.where(asked, x[row, n + 1], -100), ignore_index=-100) \
        if asked.any() else torch.zeros((), device=dev)
    end = F.cross_entropy(model.logits(h[row, n + 1], dt), torch.full_like(n, IM_END))
    total = route + plan.task_weight * task + 0.05 * end
    lm = torch.zeros((), device=dev)
    if plan.lm_weight:
        inside = torch.arange(width, device=dev)[None] < (n - 5)[:, None]  # the request, not the template after it
        pick = (torch.rand(inside.shape, device=dev) < plan.lm_share) & inside
        r, t = pick.nonzero(as_tuple=True)
        lm = F.cross_entropy(model.logits(h[r, t], dt), x[r, t + 1])
        total = total + plan.lm_weight * lm
    return total, (route.item(), task.item(), lm.item())


def fit_scale(margin, p) -> tuple[float, float]:
    """Platt scaling: scale, bias that minimise the soft cross-entropy of sigmoid(scale * margin + bias)."""
    m, y = torch.tensor(margin, dtype=torch.float64), torch.tensor(p, dtype=torch.float64)
    w = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)
    opt = torch.optim.LBFGS([w], max_iter=100, line_search_fn="strong_wolfe")

    def closure():
        opt.zero_grad()
        z = F.binary_cross_entropy_with_logits(w[0] * m + w[1], y)
        z.backward()
        return z
    opt.step(closure)
    return w[0].item(), w[1].item()


def auc(score, label) -> float:
    pairs = sorted(zip(score, label))
    rank, i, total, pos = 0.0, 0, 0.0, sum(label)
    while i < len(pairs):
        j = i
        while j < len(pairs) and pairs[j][0] == pairs[i][0]:
            j += 1
        total += (i + 1 + j) / 2 * sum(y for _, y in pairs[i:j])
        i = j
    neg = len(pairs) - pos
    return (total - pos * (pos + 1) / 2) / (pos * neg) if pos and neg else float("nan")


def dev_scores(model, coder, dev, dt):
    margin, task = judge(model, coder, [d for d, _, _ in dev], dt)
    p = [p for _, p, _ in dev]
    hard = [(m, int(q > 0.5)) for m, q in zip(margin, p) if abs(q - 0.5) > 1e-9]
    ce = F.binary_cross_entropy_with_logits(torch.tensor(margin), torch.tensor(p)).item()
    return {"auc": auc([m for m, _ in hard], [y for _, y in hard]),
            "acc": sum((m > 0) == bool(y) for m, y in hard) / len(hard), "ce": ce,
            "task": sum(a == k for a, (_, _, k) in zip(task, dev)) / len(dev)}, margin


def train(out: Path, config: Config, plan: Plan, coder: Coder, source, dev, log=print, prepare=None):
    """Train until the schedule ends; resumes from out/last.pt, else begins anew, after `prepare` has seen the
    fresh model. `source(rng, n, progress)` makes n examples; `dev` is
    a list of (digest, p, kind). Returns the EMA weights of the best look at dev."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if plan.threads:
        torch.set_num_threads(plan.threads)
    torch.manual_seed(plan.seed)
    out.mkdir(parents=True, exist_ok=True)
    model = LFM2(config).to(device)
    decay = [p for p in model.parameters() if p.dim() > 1]
    rest = [p for p in model.parameters() if p.dim() <= 1]
    opt = torch.optim.AdamW([{"params": decay, "weight_decay": plan.weight_decay},
                             {"params": rest, "weight_decay": 0.0}], lr=plan.lr, betas=(0.9, 0.95), fused=True)
    ema = copy.deepcopy(model)
    at = {"step": 0, "epoch": 0, "spent": 0.0, "best": math.inf}
    last = out / "last.pt"
    if prepare and not last.exists():
        prepare(model)
        ema.load_state_dict(model.state_dict())
    if last.exists():
        saved = torch.load(last, map_location=device)
        model.load_state_dict(saved["model"])
        ema.load_state_dict(saved["ema"])
        opt.load_state_dict(saved["opt"])
        at = saved["at"]
        log(f"resumed after {at['spent'] / 60:.1f} min")
    model.embed_drop = plan.embed_dropout
    for layer in model.layers:
        layer.drop = plan.dropout
    dt = torch.bfloat16
    while at["epoch"] < plan.epochs:
        rng = random.Random(f"{plan.seed}/{at['epoch']}")
        torch.manual_seed(plan.seed * 1000 + at["epoch"])
        began, sums, seen, toks = time.time(), [0.0] * 3, 0, 0
        todo = batches(source(rng, plan.epoch, at["epoch"] / plan.epochs), coder, plan, rng)
        for n, batch in enumerate(todo):
            f = (at["epoch"] + n / len(todo)) / plan.epochs  # progress, 0 to 1
            lr = plan.lr * (f / plan.warmup if f < plan.warmup else
                            0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (f - plan.warmup) / (1 - plan.warmup))))
            for g in opt.param_groups:
                g["lr"] = lr
            model.train()
            with torch.autocast(device, dtype=dt):
                loss, parts = loss_of(model, coder, batch, plan, rng, dt)
            opt.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            opt.step()
            at["step"] += 1
            k = min(plan.ema, (1 + at["step"]) / (10 + at["step"]))
            with torch.no_grad():
                torch._foreach_lerp_(list(ema.parameters()), list(model.parameters()), 1 - k)
            sums = [s + v * len(batch) for s, v in zip(sums, parts)]
            seen += len(batch)
            toks += sum(len(e[0]) for e in batch)
        took = time.time() - began
        at["spent"] += took
        at["epoch"] += 1
        with torch.autocast(device, dtype=dt):
            scores, _ = dev_scores(ema, coder, dev, dt)
        log(json.dumps({"min": round(at["spent"] / 60, 1), "step": at["step"], "tok/s": round(toks / took),
                        "route": round(sums[0] / seen, 4), "task_loss": round(sums[1] / seen, 3),
                        "lm": round(sums[2] / seen, 3), **{k: round(v, 4) for k, v in scores.items()}}), flush=True)
        if scores["ce"] <= at["best"]:
            at["best"] = scores["ce"]
            torch.save({"ema": ema.state_dict(), "config": asdict(config), "scores": scores}, out / "best.pt")
        torch.save({"model": model.state_dict(), "ema": ema.state_dict(), "opt": opt.state_dict(), "at": at,
                    "config": asdict(config)}, last)
    ema.load_state_dict(torch.load(out / "best.pt", map_location=device)["ema"])
    return ema.cpu()
