"""Hand-written seeds: reading, checking, splitting, and keeping clear of the evaluation sets."""
import json
import re
import zlib
from collections import Counter
from pathlib import Path

from .prompt import ROOT, TASKS, digest, request_of

DATA = ROOT / "train/data"
EVAL = ROOT / "testdata/eval/judge.jsonl"
ROLES = ("user", "assistant", "tool", "system")


def read_jsonl(path: Path) -> list[dict]:
    out = []
    for n, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        if line.strip():
            try:
                out.append(json.loads(line))
            except ValueError as e:
                raise ValueError(f"{path.name}:{n}: {e}") from None
    return out


def problem(s: dict) -> str:
    """Why a seed cannot be used, or ""."""
    if not isinstance(s.get("t"), str) or not s["t"].strip():
        return "no text"
    if s.get("k") not in TASKS:
        return f"unknown kind {s.get('k')!r}"
    if not isinstance(s.get("p"), (int, float)) or not 0 <= s["p"] <= 1:
        return f"bad p {s.get('p')!r}"
    if not isinstance(s.get("l"), str):
        return "no language"
    if "sys" in s and s["sys"] is not None and not isinstance(s["sys"], str):
        return "sys is no string"
    if any(not isinstance(t, str) for t in s.get("tools") or []):
        return "tools are no names"
    for h in s.get("hist") or []:
        if not (isinstance(h, list) and len(h) == 2 and h[0] in ROLES and isinstance(h[1], str)):
            return "bad history"
    return ""


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def grams(text: str, n: int = 8) -> set:
    """Word n-grams; of scripts without spaces (and of short texts) character n-grams as well."""
    w = words(text)
    g = {tuple(w[i:i + n]) for i in range(len(w) - n + 1)}
    s = "".join(re.findall(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]", text))
    return g | {s[i:i + 14] for i in range(len(s) - 13)}


def full_text(s: dict) -> str:
    return "\n".join([s.get("sys") or ""] + [c for _, c in s.get("hist") or []] + [s["t"]])


def key(s: dict) -> str:
    return " ".join(words(full_text(s))) or full_text(s)


def held_out() -> tuple[set, set]:
    """(n-grams, whole texts) of the evaluation set."""
    g, texts = set(), set()
    for h in read_jsonl(EVAL) if EVAL.exists() else []:
        g |= grams(full_text(h))
        texts.add(" ".join(words(h["t"])) or h["t"])
    return g, texts


def load_seeds(report=print) -> list[dict]:
    """Every usable line of train/data/judge-*.jsonl, without duplicates and without anything that shares an 8-gram (or
    its whole text) with the evaluation set."""
    held_grams, held_keys = held_out()
    seeds, seen, why = [], set(), Counter()
    for path in sorted(DATA.glob("judge-*.jsonl")):
        for s in read_jsonl(path):
            bad = problem(s)
            k = "" if bad else key(s)
            if bad:
                report(f"{path.name}: {bad}: {str(s)[:80]}")
                why["bad"] += 1
            elif k in seen:
                why["duplicate"] += 1
            elif (" ".join(words(s["t"])) or s["t"]) in held_keys and len(s["t"]) > 12 or grams(full_text(s)) & held_grams:
                why["in evaluation set"] += 1
            else:
                seen.add(k)
                s["file"] = path.name
                seeds.append(s)
    report(f"{len(seeds)} seeds; left out: {dict(why)}")
    return seeds


DEV_FILES = "03"
# Files that put easy and hard questions to the same texts, ten to a text. With their full weight everything else became worse.
CONTRAST, LESS = re.compile(r"judge-(?!mix)\w+-(8[1-9]|9\d|1\d\d)\.jsonl"), 0.3


def weight(s: dict) -> float:
    """How much a seed counts."""
    return LESS if CONTRAST.search(s["file"]) else 1.0


def thin(seeds: list[dict]) -> list[dict]:
    """The seeds, of those of weight LESS only that share: always the same ones."""
    return [s for s in seeds if weight(s) == 1 or zlib.crc32(s["t"].encode()) < LESS * 2**32]


def split(seeds: list[dict]) -> tuple[list[dict], list[dict]]:
    """(train, dev): files with the number 03, one of almost every writer and language, are kept for dev as a whole, so that a
    seed's twins and its writer's mood of that hour are not in both."""
    dev = lambda s: s["file"].rsplit("-", 1)[1] == DEV_FILES + ".jsonl"
    return [s for s in seeds if not dev(s)], [s for s in seeds if dev(s)]


def digest_of(s: dict) -> str:
    return digest(request_of(s))
