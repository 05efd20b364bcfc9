"""The judge's prompt: a chat request, digested and wrapped in ChatML.

This file is the definition. `local/judge/prompt.go` renders the same text, and both are tested against
`testdata/judge/prompts.jsonl`.

A request is {"messages": [{"role", "content", "tool_calls": [name, ...]?}, ...], "tools": [name, ...]?}.
"Whitespace" means Unicode's White_Space property; "collapsed" means trimmed, with every run of whitespace replaced by
one space; lengths are counted in code points.
"""
import re
from pathlib import Path

TASKS = ("extraction formatting classification rewriting translation summary tool chat answering "
         "reasoning maths code knowledge writing").split()
ROUTES = ("local", "cloud")

SYSTEM_MAX, TOOLS_MAX, EARLIER_TURNS, EARLIER_MAX = 240, 12, 2, 160
REQUEST_MAX, REQUEST_HEAD, REQUEST_TAIL = 1200, 800, 400
CUT = "\n[…]\n"

BOS, IM_START, IM_END = "<|startoftext|>", "<|im_start|>", "<|im_end|>"

_WS = "\t\n\v\f\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_RUN = re.compile(f"[{_WS}]+")
_EDGES = re.compile(f"^[{_WS}]+|[{_WS}]+$")

ROOT = Path(__file__).resolve().parents[2]


def trim(s: str) -> str:
    return _EDGES.sub("", s)


def collapse(s: str) -> str:
    return trim(_RUN.sub(" ", s))


def clip(s: str, n: int) -> str:
    return s if len(s) <= n else s[:n] + "…"


def turn_text(m: dict) -> str:
    """A turn's text on one line; an assistant's tool calls follow as "[calls a, b]"."""
    calls = m.get("tool_calls") or []
    return collapse((m.get("content") or "") + (f" [calls {', '.join(calls)}]" if calls else ""))


def digest(request: dict) -> str:
    """What the judge sees of a request: at most about 2,000 code points, whatever the request's length."""
    messages = request["messages"]
    system = collapse(" ".join(m.get("content") or "" for m in messages if m["role"] in ("system", "developer")))
    turns = [m for m in messages if m["role"] not in ("system", "developer")]
    last = max((i for i, m in enumerate(turns) if m["role"] in ("user", "tool")), default=-1)
    lines = []
    if system:
        lines.append("[system] " + clip(system, SYSTEM_MAX))
    tools = request.get("tools") or []
    if tools:
        more = f" +{len(tools) - TOOLS_MAX}" if len(tools) > TOOLS_MAX else ""
        lines.append("[tools] " + ", ".join(tools[:TOOLS_MAX]) + more)
    earlier = [(m["role"], turn_text(m)) for m in turns[:max(last, 0)]]
    for role, text in [e for e in earlier if e[1]][-EARLIER_TURNS:]:
        lines.append(f"[earlier] {role}: " + clip(text, EARLIER_MAX))
    text = trim((turns[last].get("content") or "").replace("\r\n", "\n")) if last >= 0 else ""
    if len(text) > REQUEST_MAX:
        text = text[:REQUEST_HEAD] + CUT + text[-REQUEST_TAIL:]
    lines.append("[request]\n" + text)
    return "\n".join(lines)


def instructions() -> str:
    """The judge's system text, shared with the gateway."""
    return trim((ROOT / "local/judge/prompt.txt").read_text(encoding="utf-8"))


def segments(request: dict) -> list[tuple[str, bool]]:
    """The prompt as (text, special) pairs. Text between special tokens is tokenised as one ordinary string, so content
    that imitates a marker stays text."""
    return PREFIX() + user_segments(digest(request))


def PREFIX() -> list[tuple[str, bool]]:
    """The part every prompt shares: it ends before the user turn's text."""
    return [(BOS, True), (IM_START, True), ("system\n" + instructions(), False), (IM_END, True), ("\n", False),
            (IM_START, True)]


def user_segments(dig: str) -> list[tuple[str, bool]]:
    return [("user\n" + dig, False), (IM_END, True), ("\n", False), (IM_START, True), ("assistant\n", False)]


def render(request: dict) -> str:
    return "".join(text for text, _ in segments(request))


def request_of(seed: dict) -> dict:
    """The chat request that a line of train/data stands for."""
    messages = [{"role": "system", "content": seed["sys"]}] if seed.get("sys") else []
    messages += [{"role": r, "content": c} for r, c in seed.get("hist") or []]
    messages.append({"role": "user", "content": seed["t"]})
    return {"messages": messages} | ({"tools": seed["tools"]} if seed.get("tools") else {})
