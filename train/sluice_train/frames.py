"""Text generators: templates with slots, written in train/data/frames-*.txt and train/data/lexicon-*.txt.

A frames file is a list of templates under headers:

    @ kind p            the templates below get this label
    text {slot} {a|b|}  one template a line; \\n is a line break

A slot names a lexicon entry, a payload of payload.py, or is a choice between alternatives. `{=x:slot}` draws a slot
and remembers it as x; `{x}` repeats it. A line may start with "sys: … || " , "tools: a, b || " or
"user: … || assistant: … || ", the context of the request. A lexicon is "= slot" followed by one entry a line; entries
may hold slots again.
"""
import random
import re
from pathlib import Path

from . import payload
from .prompt import TASKS

SLOT = re.compile(r"\{(?:=(\w+):)?([^{}]*)\}")
CONTEXT = re.compile(r"^(sys|tools|user|assistant|tool): (.*)$", re.S)


class Frames:
    """The frames of one language."""

    def __init__(self, lang: str, folder: Path):
        self.lang = lang
        self.lexicon: dict[str, list[str]] = {}
        self.groups: list[tuple[str, float, list[str]]] = []
        slot = ""
        for path in (folder / "lexicon-all.txt", folder / f"lexicon-{lang}.txt"):
            for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
                if line.startswith("= "):
                    slot = line[2:].strip()
                    self.lexicon.setdefault(slot, [])
                elif line.strip():
                    self.lexicon[slot].append(line)
        for n, line in enumerate((folder / f"frames-{lang}.txt").read_text(encoding="utf-8").splitlines(), 1):
            if line.startswith("@ "):
                _, kind, p = line.split()
                if kind not in TASKS:
                    raise ValueError(f"frames-{lang}.txt:{n}: unknown kind {kind}")
                self.groups.append((kind, float(p), []))
            elif line.strip() and not line.startswith("#"):
                self.groups[-1][2].append(line)
        self.weights = [len(g[2]) for g in self.groups]

    def expand(self, text: str, rng: random.Random) -> str:
        memory: dict[str, str] = {}

        def fill(m):
            keep, body = m.groups()
            if "|" in body:
                v = rng.choice(body.split("|"))
            elif body in memory:
                v = memory[body]
            elif body in self.lexicon:
                v = rng.choice(self.lexicon[body])
            elif (made := payload.make(body, self.lang, rng)) is not None:
                v = made.replace("{", "\x01").replace("}", "\x02")
            else:
                raise ValueError(f"frames-{self.lang}: no slot {body!r} in {text[:80]!r}")
            if "{" in v:
                v = self.expand(v, rng)
            if keep:
                memory[keep] = v
            return v

        for _ in range(8):
            new = SLOT.sub(fill, text)
            if new == text:
                break
            text = new
        return text

    def seed(self, rng: random.Random) -> dict:
        """One generated line in the form of train/data/judge-*.jsonl."""
        kind, p, templates = rng.choices(self.groups, self.weights)[0]
        parts = self.expand(rng.choice(templates), rng).replace("\\n", "\n")
        parts = parts.replace("\x01", "{").replace("\x02", "}").split(" || ")
        s = {"t": parts[-1], "k": kind, "p": p, "l": self.lang}
        for c in parts[:-1]:
            role, text = CONTEXT.match(c).groups()
            if role == "sys":
                s["sys"] = text
            elif role == "tools":
                s["tools"] = [t.strip() for t in text.split(",")]
            else:
                s.setdefault("hist", []).append([role, text])
        return s
