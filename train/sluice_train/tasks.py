"""The prompts of entities, tool calls and extraction, as the gateway sends them to any LFM2.

`local/entities`, `local/outline` and `runtime/chat` render the same text; both sides are tested against
`testdata/prompts/tasks.jsonl`. A prompt or an answer is a list of (text, special) segments: only special ones are
control tokens, and the text between two of them is tokenised as one ordinary string.

An example is a line of train/data: {"t", "e"} (entities), {"tools", "m", "calls", "ask", "say"} (tools),
{"schema", "t", "v"} (extraction). `segments(task, example)` is the prompt, `answer(task, example)` what follows it.
"""
import json

from .prompt import BOS, IM_END, IM_START

ENTITY_TYPES = "PERSON LOCATION_ADDRESS DATE_OF_BIRTH ORGANIZATION LOCATION MEDICAL CREDENTIAL_TEXT".split()
ENTITY_INSTRUCTIONS = ("Copy every name of a person, address, birth date, organization, place, illness or treatment of a "
                       "person, and spelled-out password from the text, in its order.")
ENTITY_SCHEMA = {"type": "array", "maxItems": 64, "items": {
    "type": "object", "properties": {"type": {"enum": ENTITY_TYPES}, "text": {"type": "string", "minLength": 1}},
    "required": ["type", "text"], "additionalProperties": False}}

LEAD = "Answer in JSON: "
LIST_START, LIST_END = "<|tool_list_start|>", "<|tool_list_end|>"
CALL_START, CALL_END = "<|tool_call_start|>", "<|tool_call_end|>"
RESULT_START, RESULT_END = "<|tool_response_start|>", "<|tool_response_end|>"

Segments = list[tuple[str, bool]]


def dumps(v) -> str:
    return json.dumps(v, ensure_ascii=False)


# --- outlines of schemas (local/outline) ---

MAX_DEPTH, MAX_LENGTH = 6, 4000


def outline(schema) -> str:
    """A schema in a type notation; "" when that would say nothing, or too much."""
    for described in (True, False):
        out = _write(schema, schema, 0, described)
        if out in ("any", "object"):
            return ""
        if len(out) <= MAX_LENGTH:
            return out
    return ""


def _write(root, s, depth: int, described: bool) -> str:
    if isinstance(s, dict) and "$ref" in s and depth < MAX_DEPTH:
        target = _resolve(root, s["$ref"])
        if target is not None:
            return _write(root, target, depth + 1, described)
    if depth >= MAX_DEPTH or not isinstance(s, dict):
        return "any"
    if "const" in s:
        return dumps(s["const"])
    if isinstance(s.get("enum"), list):
        return _join(dumps(v) for v in s["enum"])
    for k in ("anyOf", "oneOf"):
        if isinstance(s.get(k), list):
            return _join(_write(root, a, depth + 1, described) for a in s[k])
    t = s.get("type", "")
    if isinstance(t, list):
        return _join(_typed(root, s, x, depth, described) for x in t)
    return _typed(root, s, t, depth, described)


def _typed(root, s, t: str, depth: int, described: bool) -> str:
    if t == "array" or not t and "items" in s:
        return "[" + _write(root, s.get("items"), depth + 1, described) + "]"
    if t == "object" or not t and "properties" in s:
        if not isinstance(s.get("properties"), dict):
            return "object"
        members = []
        for name, p in s["properties"].items():
            m = dumps(name) + ("" if name in s.get("required", []) else "?") + ": " + _write(root, p, depth + 1, described)
            d = " ".join(p.get("description", "").split()) if isinstance(p, dict) else ""
            members.append(m + (f" ({d})" if d and described else ""))
        return "{" + ", ".join(members) + "}"
    if t == "string" and "format" in s:
        return f"string ({s['format']})"
    return t or "any"


def _resolve(root, ref: str):
    if ref == "#":
        return root
    if not ref.startswith("#/"):
        return None
    for step in ref[2:].split("/"):
        step = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(root, dict) or step not in root:
            return None
        root = root[step]
    return root


def _join(texts) -> str:
    return " | ".join(dict.fromkeys(texts))


# --- the chat template (runtime/chat, the first generation of LFM2) ---

def _turn(role: str, *body: tuple[str, bool]) -> Segments:
    return [(IM_START, True), *_merge([(role + "\n", False), *body]), (IM_END, True), ("\n", False)]


def _merge(segments) -> Segments:
    out: Segments = []
    for text, special in segments:
        if out and not special and not out[-1][1]:
            out[-1] = (out[-1][0] + text, False)
        elif text:
            out.append((text, special))
    return out


def _system(text: str) -> Segments:
    return _turn("system", (text, False))


def _begin() -> Segments:
    return [(IM_START, True), ("assistant\n", False)]


def call_list(calls: list[dict]) -> str:
    """Calls as Python: [f(a="x", b=1, c=True), g()]. Strings, lists and objects are JSON, the rest is Python's."""
    def literal(v):
        return dumps(v) if isinstance(v, (str, list, dict)) else repr(v)
    return "[" + ", ".join(
        c["name"] + "(" + ", ".join(f"{k}={literal(v)}" for k, v in c["arguments"].items()) + ")" for c in calls) + "]"


def entities_prefix() -> Segments:
    """The part that all prompts of the task share; the user's turn follows."""
    return [(BOS, True)] + _system(ENTITY_INSTRUCTIONS + "\n" + LEAD + outline(ENTITY_SCHEMA))


def segments(task: str, ex: dict) -> Segments:
    """The prompt, up to where the answer begins."""
    if task == "entities":
        out = entities_prefix() + _turn("user", (ex["t"], False))
    elif task == "extraction":
        out = [(BOS, True)] + _system(LEAD + outline(ex["schema"])) + _turn("user", (ex["t"], False))
    elif task == "tools":
        out = [(BOS, True)] + _turn(
            "system", ("List of tools: ", False), (LIST_START, True),
            ("[" + ", ".join(dumps(t) for t in ex["tools"]) + "]", False), (LIST_END, True))
        for role, text in ex["m"]:
            if role == "call":  # a turn of the assistant that called tools: [f(a="x")]
                out += _turn("assistant", (CALL_START, True), (text, False), (CALL_END, True))
            elif role == "tool":
                out += _turn("tool", (RESULT_START, True), (text, False), (RESULT_END, True))
            else:
                out += _turn(role, (text, False))
    else:
        raise ValueError(f"no such task: {task}")
    return _merge(out + _begin())


def answer(task: str, ex: dict) -> Segments:
    """What the model is to write, its end included."""
    if task == "entities":
        body = [(dumps([{"type": t, "text": s} for t, s in ex["e"]]), False)]
    elif task == "extraction":
        body = [(dumps(ex["v"]), False)]
    elif ex["calls"]:
        body = [(CALL_START, True), (call_list(ex["calls"]), False), (CALL_END, True)]
    else:
        body = [(ex["say"], False)]
    return body + [(IM_END, True)]
