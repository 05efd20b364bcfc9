"""Hand-written examples of entities, tools and extraction: reading, checking, splitting by file, keeping clear of the
evaluation sets."""
import json
import re
from pathlib import Path

from . import data, tasks
from .prompt import ROOT

DATA = ROOT / "train/data"
EVAL = ROOT / "testdata/eval"
TASKS = ("entities", "tools", "extraction")
DEV = {"entities": {2, 7, 12}, "tools": {2, 7, 12}, "extraction": {2, 7, 12}}  # numbers of the files kept out of training


def text_of(task: str, ex: dict) -> str:
    return "\n".join(t for _, t in ex["m"]) if task == "tools" else ex["t"]


def problem(task: str, ex: dict) -> str:
    """Why an example cannot be used, or ""; puts arguments into the schema's order."""
    try:
        if task == "entities":
            at = 0
            for kind, s in ex["e"]:
                if kind not in tasks.ENTITY_TYPES or not s:
                    return f"bad entity {kind}"
                if s not in ex["t"]:
                    return f"not in the text: {s}"
            del at
        elif task == "extraction":
            if not isinstance(ex["v"], dict) or not ex["schema"].get("properties"):
                return "no object"
            names = list(ex["schema"]["properties"])
            if any(k not in names for k in ex["v"]):
                return "a key that the schema has not"
            ex["v"] = {k: ex["v"][k] for k in names if k in ex["v"]}
        else:
            by_name = {t["name"]: t for t in ex["tools"]}
            for c in ex["calls"]:
                if c["name"] not in by_name:
                    return f"no such tool {c['name']}"
                names = list((by_name[c["name"]].get("parameters") or {}).get("properties") or {})
                if any(k not in names for k in c["arguments"]):
                    return "an argument that the tool has not"
                c["arguments"] = {k: c["arguments"][k] for k in names if k in c["arguments"]}
            if not ex["calls"] and not ex.get("say"):
                return "neither calls nor text"
            if not any(r in ("user", "tool") for r, _ in ex["m"]):
                return "nobody speaks"
        return ""
    except (KeyError, TypeError, ValueError) as e:
        return repr(e)


def held_out() -> set:
    g = set()
    for task in TASKS:
        path = EVAL / f"{task}.jsonl"
        for ex in data.read_jsonl(path) if path.exists() else []:
            g |= data.grams(text_of(task, ex))
    return g


def load(folder: Path = DATA, report=print) -> dict[str, list[dict]]:
    """task -> usable examples, each with "file"; nothing shares an 8-gram of its text with the evaluation sets."""
    forbidden, out = held_out(), {}
    for task in TASKS:
        out[task], seen, left = [], set(), 0
        for path in sorted(folder.glob(f"{task}-*.jsonl")):
            for ex in data.read_jsonl(path):
                bad = problem(task, ex)
                key = (text_of(task, ex), json.dumps(ex.get("schema") or ex.get("tools")))
                if bad:
                    report(f"{path.name}: {bad}: {text_of(task, ex)[:60]!r}" if "m" in ex or "t" in ex else f"{path.name}: {bad}")
                elif key in seen or data.grams(text_of(task, ex)) & forbidden:
                    left += 1
                else:
                    seen.add(key)
                    ex["file"] = path.name
                    out[task].append(ex)
        report(f"{task}: {len(out[task])} examples; {left} left out")
    return out


def split(examples: dict[str, list[dict]]) -> tuple[dict, dict]:
    """(train, dev): whole files are kept for dev, so that no writer's turn of phrase is in both more than it must."""
    def dev(task, ex):
        return int(re.search(r"-(\d+)\.", ex["file"]).group(1)) in DEV[task]
    return ({t: [e for e in ex if not dev(t, e)] for t, ex in examples.items()},
            {t: [e for e in ex if dev(t, e)] for t, ex in examples.items()})
