"""Examples of entities, tools and extraction as tokens: what is asked of the network at which position.

A grammar holds the answer to its form, so the network is taught only where it has a choice: which type, which tool, where
a copy begins, how it goes on, when it ends. `Item.weight` is 0 where the grammar leaves one possibility. `Item.point` says
where in the prompt a copy begins, `Item.tags` what the words of the user's text are; both are for additional losses.
"""
import json
import re
from dataclasses import dataclass, field
from functools import lru_cache

from . import tasks, verbatim
from .bpe import ALPHABET, Tokenizer, pieces

BYTES = {c: b for b, c in enumerate(ALPHABET)}
FREE, FORCED, FAINT, BEGIN = 1.0, 0.0, 0.05, 3.0
TAGS = [f"{p}-{t}" for t in tasks.ENTITY_TYPES for p in "BI"]  # 0 is "none"; tag i+1 is TAGS[i]


@dataclass
class Item:
    ids: list[int]  # prompt and answer
    start: int  # of the answer
    weight: list[float]  # of each answer token
    point: list[tuple[int, int]] = field(default_factory=list)  # (position that predicts, position copied)
    chain: list[tuple[int, int]] = field(default_factory=list)  # (position, where the entity before the one in question begins)
    tags: list[tuple[int, int]] = field(default_factory=list)  # (position, tag) of the user's text
    values: list[tuple[int, int]] = field(default_factory=list)  # (position, 0 none, 1 begins a value, 2 inside)
    allow: list = field(default_factory=list)  # of each answer token: the ids that decoding would allow, where that is known; None
    task: str = ""


def encode_at(tok: Tokenizer, text: str) -> tuple[list[int], list[int]]:
    """(ids, byte offset of each token)."""
    ids, at, offs = [], 0, []
    for p in pieces(text):
        for i in tok.piece(p):
            ids.append(i)
            offs.append(at)
            at += len(tok.vocab[i])
    return ids, offs


@lru_cache(maxsize=4)
def structure(tok: Tokenizer) -> frozenset[int]:
    """Tokens that forms are made of."""
    text = '[]{}()=",:?.- 0 1 2 3 4 5 6 7 8 9 {" ": " {" [" ["a null true false None True False Which No tool fits'
    out = {i for part in (text, " " + text, text.replace(" ", "")) for i in tok.encode(part)}
    return frozenset(out | {tok.ids[t] for t in ("<|im_end|>", tasks.CALL_START, tasks.CALL_END)})


def entities_answer(ex):
    out = [("[", FORCED)]
    for n, (t, s) in enumerate(ex["e"]):
        out += [("{", FREE) if n == 0 else (", ", FREE), ('"type": "' if n == 0 else '{"type": "', FORCED), (t, 2.0),
                ('"', 2.0 if any(u.startswith(t + "_") for u in tasks.ENTITY_TYPES) else FORCED), (', "text": "', FORCED), (("copy", s), FREE), ('"', FREE), ("}", FORCED)]
    return out + [("]", FREE)]


def _json(v, schema, out, choice=False):
    """Appends the value with what is free in it; after it stands a decision when its end is not certain."""
    s = schema if isinstance(schema, dict) else {}
    t = s.get("type")
    nullable = isinstance(t, list) and len(t) > 1 or "anyOf" in s or "oneOf" in s
    if isinstance(v, str):
        if "enum" in s:
            out += [('"', FREE if nullable or choice else FORCED), (("option", v), FREE), ('"', FREE)]
        else:
            out += [('"', FREE if nullable else FORCED), (("copy", v), FREE), ('"', FREE)]
        return FORCED
    if isinstance(v, bool) or v is None:
        out.append((json.dumps(v), FREE))
        return FORCED
    if isinstance(v, (int, float)):
        out.append((("number", v), FREE))
        return FREE
    if isinstance(v, list):
        out.append(("[", FREE if nullable else FORCED))
        end = FREE
        for n, x in enumerate(v):
            if n:
                out.append((", ", FREE))
            if isinstance(x, dict) or isinstance(x, list):
                k = len(out)
                _json(x, s.get("items"), out)
                if n == 0:
                    out[k] = (out[k][0], FREE)
            else:
                k = len(out)
                _json(x, s.get("items"), out)
                if n == 0 and out[k][1] == FORCED:
                    out[k] = (out[k][0], FREE)
        out.append(("]", end))
        return FORCED
    props, required = s.get("properties", {}), s.get("required", [])
    names = list(props)
    out.append(("{", FREE if nullable else FORCED))
    last = -1
    pending = FORCED
    for n, (k, x) in enumerate(v.items()):
        i = names.index(k) if k in names else last + 1
        skipped = any(names[j] not in required for j in range(last + 1, i)) or k not in required
        if n:
            out.append((",", max(pending, FREE if skipped else FORCED)))
            out.append((" ", FORCED))
        out.append((json.dumps(k, ensure_ascii=False), FREE if skipped else FORCED))
        out.append((": ", FORCED))
        pending = _json(x, props.get(k), out)
        last = i
    rest = any(names[j] not in required for j in range(last + 1, len(names)))
    out.append(("}", FREE if rest or pending else FORCED))
    return FORCED


def extraction_answer(ex):
    out = []
    _json(ex["v"], ex["schema"], out)
    return out


def _literal(v, schema, out):
    if isinstance(v, bool) or v is None:
        out.append((repr(v), FREE))
        return FORCED
    return _json(v, schema, out, True)


def tools_answer(ex):
    """After the marker that begins the calls."""
    schemas = {t["name"]: t.get("parameters") or {} for t in ex["tools"]}
    out = [("[", FORCED)]
    for n, c in enumerate(ex["calls"]):
        if n:
            out.append((", ", FREE))
        s = schemas.get(c["name"], {})
        props, required = s.get("properties") or {}, s.get("required") or []
        names, last, pending = list(props), -1, FORCED
        out += [(("tool", c["name"]), FREE), ("(", FREE)]
        for m, (k, v) in enumerate(c["arguments"].items()):
            i = names.index(k) if k in names else last + 1
            skipped = any(names[j] not in required for j in range(last + 1, i)) or k not in required
            if m:
                out += [(",", max(pending, FREE if skipped else FORCED)), (" ", FORCED)]
            out += [(k, FREE if skipped else FORCED), ("=", FORCED)]
            pending = _literal(v, props.get(k), out)
            last = i
        out.append((")", FREE if pending or any(names[j] not in required for j in range(last + 1, len(names))) else FORCED))
    return out + [("]", FREE)]


ASK, NOTHING = "Which {}?", "No tool fits."


def refusal(ex) -> str:
    """What nano says instead of a call. It is too small to write; one of two sentences leaves no doubt what it means, and
    does not divide the probability of not calling among all ways to begin an answer."""
    return ASK.format(ex["ask"]) if ex.get("ask") else NOTHING


def number_text(v) -> str:
    return repr(v) if isinstance(v, float) else str(v)


NUMBERS = re.compile(r"\d+(?:[.,'’]\d+|[ \u00a0\u202f]\d{3}(?!\d))*"), re.compile(r"\d+(?:[.,]\d+)?"), re.compile(r"\d+")


def find_number(v, text: str) -> int:
    """The byte where a number stands that has the digits of v, or -1."""
    want = re.sub(r"\D", "", number_text(v)).strip("0") or "0"
    for m in (m for n in NUMBERS for m in n.finditer(text)):
        digits = re.sub(r"\D", "", m.group())
        if digits.strip("0") == want or digits.lstrip("0") == want or (digits.strip("0") or "0") == want:
            return len(text[:m.start()].encode())
    return -1


def build(tok: Tokenizer, task: str, ex: dict) -> Item:
    """The example as an Item. Copies are looked for in the user's text from where the last one ended, then from its start."""
    ids, spans = [], []  # spans: (first token, token offsets in bytes, text) of each plain segment of the prompt
    seg = tasks.segments(task, ex)
    role = ""
    turns, rules, known = [], [], set()
    for text, special in seg:
        if special:
            ids.append(tok.ids[text])
            if text == "<|im_end|>":
                role = ""
            continue
        part, offs = encode_at(tok, text)
        head = text.split("\n", 1)[0]
        if head in ("user", "tool", "system", "assistant") and ids and tok.vocab[ids[-1]] == "<|im_start|>":
            role = head
        if role in ("user", "tool"):
            skip = len(role) + 1 if text.startswith(role + "\n") else 0
            if len(text) > skip:
                turns.append((len(ids), offs, text, skip))
        ids += part
        if role == "system":
            known.update(part)
            rules.append((len(ids) - len(part), offs, text))
    start = len(ids)
    known |= structure(tok)
    known |= {tok.ids[w[1:] if w[0] == "Ġ" else "Ġ" + w] for i in known if (w := tok.vocab[i])[1:] in tok.ids or "Ġ" + w in tok.ids
              if (w[1:] if w[0] == "Ġ" else "Ġ" + w) in tok.ids}
    weight: list[float] = []
    item = Item(ids, start, weight, task=task)
    if task == "tools" and not ex["calls"]:
        said = refusal(ex)
        part, offs = encode_at(tok, said)
        item.ids = ids + part + [tok.ids["<|im_end|>"]]
        named = len(ASK.format("")) - 2
        item.weight = [2.0] + [FREE if ex.get("ask") and o >= named else FAINT for o in offs[1:]] + [FREE]
        item.allow = [None] + [known] * len(part)
        if ex.get("ask"):
            source = _rule(rules, json.dumps(ex["ask"], ensure_ascii=False) + ":", 1)
            n = next((i for i, o in enumerate(offs) if o >= named), None)
            if source is not None and n is not None:
                item.point.append((start + n - 1, source))
        return item
    body = {"entities": entities_answer, "extraction": extraction_answer, "tools": tools_answer}[task](ex)
    flat, copies, marks, text = [], [], [], ""
    for t, w in body:
        what = None
        if isinstance(t, tuple):
            what, v = t
            t = number_text(v) if what == "number" else v if what == "tool" else json.dumps(v, ensure_ascii=False)[1:-1]
            copies.append((len(text.encode()), what, v))
        elif task == "entities" and w and t not in ('"', "}"):
            marks.append((len(text.encode()), t))
        flat += [w] * len(t.encode())
        text += t
    want = "".join(t for t, s in tasks.answer(task, ex) if not s)
    assert text == want, (text, want)
    part, offs = encode_at(tok, text)
    if task == "tools":
        ids.append(tok.ids[tasks.CALL_START])
        weight.append(2.0)
    base = len(ids)
    ends = offs[1:] + [len(flat)]
    weight += [max(flat[a:b]) for a, b in zip(offs, ends)]
    ids += part
    if task == "tools":
        ids.append(tok.ids[tasks.CALL_END])
        weight.append(FORCED)
    ids.append(tok.ids["<|im_end|>"])
    weight.append(FREE if task == "tools" else FORCED)

    item.allow = [known] * len(weight)
    if task == "tools":
        item.allow[0] = None
    pieces_ = verbatim.Pieces(tok, [t[skip:] for _, _, t, skip in turns])
    body_bytes = "".join(ALPHABET[b] for b in text.encode())
    for at, what, v in copies:
        if what != "copy":
            continue
        end = at + len(json.dumps(v, ensure_ascii=False)[1:-1].encode())
        for i, o in enumerate(offs):
            if at <= o <= end:
                item.allow[base + i - start] = pieces_.next(body_bytes[at:o])
    for k, (a, i) in enumerate(zip(item.allow, ids[start:])):
        if a is not None and i not in a:
            item.allow[k] = known | {i}
    used: dict[int, int] = {}
    for at, what, v in copies:
        n = next((i for i, o in enumerate(offs) if o == at), None)
        if what in ("tool", "option"):
            q = json.dumps(v, ensure_ascii=False)
            source = _rule(rules, '"name": ' + q, 9) if what == "tool" else _rule(rules, q, 1)
            if n is not None and source is not None:
                item.point.append((base + n - 1, source))
            continue
        found = _find(turns, what, v, used, ordered=task == "entities")
        if found is None:
            continue
        turn, b, length = found
        first, toffs, _, _ = turns[turn]
        pos = max(i for i, o in enumerate(toffs) if o <= b)
        if n is not None:
            item.point.append((base + n - 1, first + pos))
            weight[base + n - start] = BEGIN
        for i, o in enumerate(toffs):
            if b <= o < b + length or i == pos:
                item.values.append((first + i, 1 if i == pos else 2))
    if task == "entities":
        first, toffs, t, skip = turns[-1]
        tag = {i: 0 for i, o in enumerate(toffs) if o >= skip}
        cursor, begins = skip, [first - 1]  # of the entities, after where the turn begins
        for kind, s in ex["e"]:
            c = t.find(s, cursor)
            if c < 0:
                c = t.find(s, skip)
            if c < 0:
                continue
            cursor = c + len(s)
            b0, b1 = len(t[:c].encode()), len(t[:c + len(s)].encode())
            pos = max(i for i, o in enumerate(toffs) if o <= b0)
            k = 2 * tasks.ENTITY_TYPES.index(kind)
            for i, o in enumerate(toffs):
                if i == pos or b0 < o < b1:
                    tag[i] = k + (1 if i == pos else 2)
            begins.append(first + pos)
        item.tags = [(first + i, v) for i, v in tag.items()]
        item.values = []
        end = first + len(toffs)  # of the turn: what follows the last entity
        if len(begins) == len(ex["e"]) + 1:
            follow = begins[1:] + [end]
            for before, here in zip(begins, follow):
                item.chain += [(p, before) for p in range(here, min(here + 3, end + 1))]
            at_entity = {a: k for k, (a, what, _) in enumerate(c for c in copies if c[1] == "copy")}
            k = 0
            for a, t in sorted(marks + [(a, "copy") for a in at_entity]):
                n = next((i for i, o in enumerate(offs) if o == a), None)
                if n is not None:
                    item.chain.append((base + n - 1, begins[k]))
                    if t != "copy":
                        item.point.append((base + n - 1, follow[k]))
                k += t == "copy"
    else:
        seen = dict(item.values)
        item.values = [(first + i, seen.get(first + i, 0)) for first, toffs, _, skip in turns for i, o in enumerate(toffs) if o >= skip]
    return item


def _rule(rules, text: str, skip: int) -> int | None:
    """The token of the system's text where `text` stands, `skip` bytes on."""
    for first, offs, t in rules:
        c = t.find(text)
        if c >= 0:
            b = len(t[:c].encode()) + skip
            return first + max(i for i, o in enumerate(offs) if o <= b)
    return None


def _find(turns, what, v, used, ordered):
    """(turn, byte, bytes) where a copy stands: the last user turn first."""
    for n in range(len(turns) - 1, -1, -1):
        _, _, t, skip = turns[n]
        if what == "number":
            b = find_number(v, t[skip:])
            if b >= 0:
                return n, b + len(t[:skip].encode()), len(re.sub(r"\D", "", number_text(v)))
            continue
        c = t.find(v, max(skip, used.get(n, 0))) if v else -1
        if c < 0:
            c = t.find(v, skip) if v else -1
        if c >= 0:
            if ordered:
                used[n] = c + len(v)
            return n, len(t[:c].encode()), len(v.encode())
    return None
