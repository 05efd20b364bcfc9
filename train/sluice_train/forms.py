"""Generated examples of extraction and tools: facts of data/forms.txt said in one language, asked for by keys in any.

They teach what hand-written examples are too few for: that "N° client" answers "customer_id", that an amount has a
currency beside it, and where a value ends. The words around are few and stiff; the hand-written examples are for those.
"""
import random
import re
from dataclasses import dataclass, field
from functools import lru_cache

from . import data, lexicon
from .variants import CUTS, restyle

LANGS = {"en": 4, "de": 2, "fr": 1.5, "es": 1.5, "it": 1, "pt": 1, "nl": 1, "pl": 0.8, "sv": 0.8, "ja": 1}


@dataclass
class Fact:
    kind: str
    keys: list[str]
    ways: dict[str, list[str]] = field(default_factory=dict)
    options: list = field(default_factory=list)


@lru_cache(maxsize=1)
def facts() -> list[Fact]:
    out = []
    for line in (data.DATA / "forms.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("@"):
            kind, _, rest = line[1:].partition(":" if line.startswith(("@status:", "@bool:")) else " ")
            options, _, keys = rest.rpartition(" ;; ")
            keys, options = keys.split(), options.split("|") if options else []
            out.append(Fact(kind, keys, {}, options))
        elif line and not line.startswith("#"):
            lang, _, rest = line.partition(" ")
            out[-1].ways[lang] = [w.strip() for w in rest.split(" | ")]
    return out


@lru_cache(maxsize=1)
def talk() -> dict[str, list[str]]:
    """Sentences of the judge's seeds, by language: something to stand around the facts, and words for arbitrary texts."""
    out: dict[str, list[str]] = {}
    train, _ = data.split(data.load_seeds(report=lambda _: None))
    for s in train:
        for c in CUTS.split(s["t"]):
            if 15 < len(c) < 140 and not re.search(r"[\d\"{}<>\\`]", c):
                out.setdefault(s["l"], []).append(c.strip())
    return out


def phrase(rng, lang, lo=1, hi=3):
    """Some consecutive words."""
    pool = talk().get(lang) or talk()["en"]
    for _ in range(20):
        s = rng.choice(pool)
        if lang == "ja":
            s = re.sub(r"[。、？！「」\s]", "", s)
            n = rng.randint(2 * lo, 4 * hi)
            at = rng.randrange(max(1, len(s) - n))
            if len(s[at:at + n]) >= 2:
                return s[at:at + n]
            continue
        w = s.split()
        n = rng.randint(lo, hi)
        if len(w) < n + 1:
            continue
        at = rng.randrange(len(w) - n)
        got = " ".join(w[at:at + n]).strip(".,;:!?()[]'«»„“”–-… ")
        if len(got) > 2:
            return got
    return "oak panel"


def number(rng, lang, v: float, digits: int) -> str:
    """v as people of the language write it."""
    s = f"{v:,.{digits}f}"
    comma = lang not in ("en", "ja") and rng.random() < 0.85
    if rng.random() < 0.5:
        s = s.replace(",", "")
    if comma:
        s = s.replace(",", "_").replace(".", ",").replace("_", rng.choice([".", " ", "."]) if lang != "fr" else rng.choice([" ", "\u202f", " "]))
    if digits == 0:
        pass
    return s


CURRENCY = {"en": ["${}", "£{}", "{} USD", "€{}", "GBP {}", "{} EUR", "{}"], "ja": ["{}円", "¥{}"], "pl": ["{} zł", "{} PLN", "{} EUR"],
            "sv": ["{} kr", "{} SEK", "{} EUR"], "": ["{} €", "{} EUR", "EUR {}", "{}€", "{} CHF", "{} Euro", "{}"]}


def code(rng, keys) -> str:
    k = keys[0]
    d = lambda n: "".join(str(rng.randint(0, 9)) for _ in range(n))
    a = lambda n: "".join(rng.choice("ABCDEFGHJKLMNPRSTUVWXYZ") for _ in range(n))
    if k == "room":
        return rng.choice([a(1) + d(rng.randint(1, 2)), str(rng.randint(1, 620)), d(1) + "." + d(2), a(1) + "-" + d(2)])
    if k == "license_plate":
        return rng.choice([f"{a(rng.randint(1, 3))}-{a(2)} {d(rng.randint(2, 4))}", f"{a(2)}{d(2)} {a(3)}", f"{a(2)}-{d(3)}-{a(2)}", f"{d(4)} {a(3)}"])
    if k == "flight":
        return rng.choice([a(2) + d(rng.randint(2, 4)), a(2) + " " + d(rng.randint(2, 4)), rng.choice(["ICE ", "RE ", "TGV ", "IC "]) + str(rng.randint(1, 9999))])
    if k == "tracking_number" and rng.random() < 0.6:
        return rng.choice([a(2) + d(9) + a(2), d(12), "1Z" + a(3) + d(8), d(4) + " " + d(4) + " " + d(4)])
    return rng.choice([d(rng.randint(4, 8)), d(rng.randint(4, 6)), a(2) + "-" + d(rng.randint(3, 6)), a(1) + d(rng.randint(3, 6)), a(rng.randint(2, 4)) + d(4),
                       str(rng.randint(2018, 2027)) + rng.choice(["-", "/"]) + d(rng.randint(3, 5)), a(2) + "-" + d(3) + "-" + d(4), d(3) + "/" + d(2),
                       a(1) + "-" + d(4), d(3) + "-" + a(1), a(3) + "-" + d(2) + a(1), d(2) + "." + d(3) + "." + d(2), (a(2) + "-" + d(4)).lower()])


def value(rng, f: Fact, lang: str):
    """(value of the field, how the text writes it, JSON type)."""
    k = f.kind
    if k == "id":
        v = code(rng, f.keys)
        return v, v, "string"
    if k == "iban":
        v = rng.choice(["DE", "FR", "ES", "IT", "NL", "AT", "PL", "SE", "GB"]) + "".join(str(rng.randint(0, 9)) for _ in range(2)) + " " + " ".join(
            "".join(str(rng.randint(0, 9)) for _ in range(4)) for _ in range(rng.randint(3, 5)))
        if rng.random() < 0.4:
            v = v.replace(" ", "")
        return v, v, "string"
    if k in ("person", "org", "place", "address"):
        v = {"person": lambda: lexicon.person(rng, lang, rng.choice([1, 2, 2, 2, 3])), "org": lambda: lexicon.org(rng, lang),
             "place": lambda: lexicon.place(rng, lang), "address": lambda: lexicon.address(rng, lang)}[k]()
        if rng.random() < 0.06:
            v = v.lower() if rng.random() < 0.6 else v.upper()
        return v, v, "string"
    if k == "date":
        d, m, y = rng.randint(1, 28), rng.randint(1, 12), rng.randint(2019, 2027) if "birth" not in f.keys[0] else rng.randint(1935, 2015)
        v = lexicon.date(rng, lang).replace("", "") if rng.random() < 0.35 else rng.choice(
            [f"{d:02d}.{m:02d}.{y}", f"{d}.{m}.", f"{d:02d}/{m:02d}/{y}", f"{y}-{m:02d}-{d:02d}", f"{d}/{m}", f"{d}.{m}.{y}", f"{d:02d}-{m:02d}-{y}"]) if lang != "ja" \
            else rng.choice([f"{m}月{d}日", f"{y}年{m}月{d}日", f"{y}/{m}/{d}"])
        if rng.random() < 0.15 and lang in DAYS:
            v = rng.choice(DAYS[lang].split())
        return v, v, "string"
    if k == "time":
        h, m = rng.randint(0, 23), rng.choice([0, 15, 30, 45, rng.randint(0, 59)])
        v = rng.choice([f"{h:02d}:{m:02d}", f"{h}:{m:02d}", f"{h}.{m:02d}"] + ([f"{h % 12 + 1} {rng.choice(['am', 'pm'])}", f"{h % 12 + 1}:{m:02d}{rng.choice(['am', 'pm'])}"] if lang == "en" else [])
                       + ([f"{h}h{m:02d}", f"{h} h"] if lang in ("fr", "pt") else []) + ([f"{h}時{m}分" if m else f"{h}時"] if lang == "ja" else []))
        return v, v, "string"
    if k == "money":
        cents = rng.random() < 0.65 and lang != "ja"
        v = round(rng.uniform(0.5, 10 ** rng.uniform(0.5, 4.3)), 2) if cents else rng.randint(1, int(10 ** rng.uniform(0.5, 4.3)) + 1)
        t = number(rng, lang, v, 2 if cents or rng.random() < 0.2 and lang != "ja" else 0)
        if rng.random() < 0.15 and isinstance(v, int) and lang == "de":
            t += ",-"
        return v, rng.choice(CURRENCY.get(lang, CURRENCY[""])).format(t), "number"
    if k == "int":
        v = rng.randint(1950, 2026) if f.keys[0] == "year" else rng.randint(1, 99) if f.keys[0] != "quantity" else rng.choice([rng.randint(1, 12), rng.randint(2, 500)])
        return v, str(v), "integer"
    if k == "number":
        v = round(rng.uniform(0, 10 ** rng.uniform(0.5, 3.2)), 1) if rng.random() < 0.6 else rng.randint(1, 900)
        if rng.random() < 0.1:
            v = -v
        return v, number(rng, lang, v, 1 if isinstance(v, float) else 0), "number"
    if k == "phone":
        v = "".join(rng.choice(["0", "+49 ", "+33 ", "+44 ", "+34 ", "+39 ", "555-", "06 "])) + rng.choice([" ", "-", ""]).join(
            "".join(str(rng.randint(0, 9)) for _ in range(rng.randint(2, 4))) for _ in range(rng.randint(2, 4)))
        return v, v, "string"
    if k == "email":
        v = (lexicon.invented(rng) + rng.choice([".", "", "_", "-"]) + lexicon.invented(rng)).lower() + rng.choice(["", str(rng.randint(1, 99))]) + "@" + rng.choice(
            ["example.com", "example.org", "mail.example", "firma.example", "example.net"])
        return v, v, "string"
    if k == "product":
        v = phrase(rng, lang, 1, 3)
        return v, v, "string"
    if k == "words":
        v = phrase(rng, lang, 3, 9)
        return v, v, "string"
    if k == "list":
        make = lexicon.person if rng.random() < 0.4 else None
        v = [make(rng, lang, rng.randint(1, 2)) if make else phrase(rng, lang, 1, 2) for _ in range(rng.randint(1, 4))]
        v = list(dict.fromkeys(v))
        if any("," in x for x in v):
            v = ["".join(x.split(",")) for x in v]
        t = "、".join(v) if lang == "ja" else ", ".join(v[:-1]) + rng.choice([", ", AND.get(lang, " and ")]) + v[-1] if len(v) > 1 else v[0]
        return v, t, "list"
    if k == "status":
        opts = [(o.split("=")[0], o.split("=")[1].split(",")) for o in f.options]
        v, ways = rng.choice(opts)
        return v, rng.choice(ways), [o for o, _ in opts]
    yes, no = f.options[0].split(","), f.options[1].split(",")
    v = rng.random() < 0.5
    return v, rng.choice(yes if v else no), "boolean"


AND = {"en": " and ", "de": " und ", "fr": " et ", "es": " y ", "it": " e ", "pt": " e ", "nl": " en ", "pl": " i ", "sv": " och "}
DAYS = {"en": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday tomorrow", "de": "Montag Dienstag Mittwoch Donnerstag Freitag Samstag morgen",
        "fr": "lundi mardi mercredi jeudi vendredi samedi demain", "es": "lunes martes miércoles jueves viernes sábado mañana",
        "it": "lunedì martedì mercoledì giovedì venerdì sabato domani", "nl": "maandag dinsdag woensdag donderdag vrijdag morgen"}


def schema_of(t, rng):
    if isinstance(t, list):
        return {"type": "string", "enum": t}
    if t == "list":
        return {"type": "array", "items": {"type": "string"}}
    return {"type": t}


def pick_key(rng, f: Fact) -> str:
    """English ones come first in the list, and most often in the world."""
    return rng.choice(f.keys[:4] if rng.random() < 0.5 else f.keys)


def say(rng, f: Fact, lang: str, text: str) -> str:
    return rng.choice(f.ways[lang]).replace("{}", text)


def extraction(rng: random.Random) -> dict:
    lang = rng.choices(list(LANGS), list(LANGS.values()))[0]
    pool = [f for f in facts() if lang in f.ways]
    some = rng.sample(pool, min(len(pool), rng.randint(2, 8)))
    style = rng.random()
    lines, fields = [], []
    for f in some:
        v, text, t = value(rng, f, lang)
        s = say(rng, f, lang, text)
        lines.append(s)
        fields.append((pick_key(rng, f), v, t))
    order = list(range(len(some)))
    rng.shuffle(order)
    lines = [lines[i] for i in order]
    for _ in range(rng.choice([0, 0, 1, 2])):
        lines.insert(rng.randint(0, len(lines)), rng.choice(talk().get(lang) or talk()["en"]))
    if style < 0.4:
        t = "\n".join(lines)
    elif style < 0.75:
        t = " ".join(x if x[-1] in ".!?。" else x + rng.choice([".", ",", ".", ";"]) for x in lines)
    else:
        t = rng.choice([" | ", ", ", " / ", " - ", "; "]).join(lines)
    r = rng.random()
    low = r < 0.06
    if low:
        t = t.lower()
    asked = [x for x in fields if rng.random() < 0.8] or fields[:1]
    rng.shuffle(asked)
    if rng.random() < 0.2:  # what the text does not say
        others = [f for f in pool if f not in some and f.kind not in ("status", "bool", "list")]
        if others:
            f = rng.choice(others)
            _, _, ty = value(rng, f, lang)
            asked.insert(rng.randint(0, len(asked)), (pick_key(rng, f), None, ty))
    style = rng.choice([0, 0, 0, 1, 2, 3]) if lang != "ja" else 0
    props, required, v = {}, [], {}
    for k, x, ty in asked:
        k = restyle(k, style)
        if k in props:
            continue
        s = schema_of(ty, rng)
        if x is None:
            if rng.random() < 0.7:
                s = {"type": [ty, "null"]}
                required.append(k)
                v[k] = None
        else:
            if isinstance(ty, str) and ty in ("string", "number", "integer") and rng.random() < 0.12:
                s = {"type": [ty, "null"]}
            if rng.random() < 0.93:
                required.append(k)
            v[k] = [y.lower() for y in x] if low and isinstance(x, list) else x.lower() if low and isinstance(x, str) and not isinstance(ty, list) else x
        props[k] = s
    if len(props) >= 4 and rng.random() < 0.12:  # some of them in an object of their own
        names = list(props)
        at = rng.randrange(len(names) - 2)
        inner = names[at:at + 2]
        name = rng.choice("customer details contact info shipment kunde order meta header data client".split())
        if name not in props:
            p2, v2, r2 = {}, {}, []
            for k in names:
                if k == inner[0]:
                    p2[name] = {"type": "object", "properties": {i: props[i] for i in inner}, "required": [i for i in inner if i in required]}
                    v2[name] = {i: v[i] for i in inner if i in v}
                    r2.append(name)
                if k in inner:
                    continue
                p2[k] = props[k]
                if k in v:
                    v2[k] = v[k]
                if k in required:
                    r2.append(k)
            props, v, required = p2, v2, r2
    if rng.random() < 0.12:
        rows(rng, lang, props, required, v, t2 := [])
        t = t + "\n" + "\n".join(t2)
    return {"l": lang, "schema": {"type": "object", "properties": props, "required": required}, "t": t, "v": v}


def rows(rng, lang, props, required, v, lines):
    """A table of two to four rows, as an array of objects."""
    key = rng.choice("items lines positions articles products entries rows artikel positionen lignes righe lineas".split())
    names = [rng.choice("name item product artikel article articulo description".split()), rng.choice("qty quantity menge qte cantidad count".split()),
             rng.choice("price unit_price preis prix precio amount".split())]
    n = rng.choice([2, 2, 3])
    form = rng.choice(["{1}x {0} {2}", "{0} - {1} - {2}", "{1} {0} @ {2}", "{0}, {1}, {2}", "{0}\t{1}\t{2}", "- {0} ({1}): {2}"])
    if key in props:
        return
    out = []
    for _ in range(rng.randint(1, 4)):
        item = phrase(rng, lang, 1, 2)
        q, p = rng.randint(1, 40), round(rng.uniform(0.5, 300), 2)
        out.append(dict(zip(names, [item, q, p][:n])))
        lines.append(form.format(item, q, number(rng, lang, p, 2)))
    types = ["string", "integer", "number"]
    props[key] = {"type": "array", "items": {"type": "object", "properties": {k: {"type": t} for k, t in zip(names[:n], types)}, "required": names[:n]}}
    required.append(key)
    v[key] = out


@dataclass
class Action:
    names: list[str]
    needed: list[str]
    possible: list[str]
    ways: dict[str, tuple[str, list[str]]] = field(default_factory=dict)


@lru_cache(maxsize=1)
def actions() -> list[Action]:
    out = []
    for line in (data.DATA / "actions.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("@"):
            a, b, c = line[1:].split("|")
            out.append(Action(a.split(), b.split(), c.split()))
        elif line and not line.startswith("#"):
            lang, _, rest = line.partition(" ")
            d, _, w = rest.partition(" ; ")
            out[-1].ways[lang] = (d, w.split(" | "))
    return out


def fact_for(name: str, lang: str) -> Fact | None:
    hits = [f for f in facts() if name in f.keys and lang in f.ways]
    return hits[0] if hits else None


def tool_of(rng, a: Action, lang: str, mine: str, style: int):
    """(tool, [(parameter, fact, needed)]) with descriptions in the language `lang`, or without."""
    used = []
    for name, needed in [(n, True) for n in a.needed] + [(n, False) for n in a.possible if rng.random() < 0.6]:
        f = fact_for(name, mine)
        if f is None:
            if needed:
                return None
            continue
        key = name if rng.random() < 0.6 else pick_key(rng, f)
        used.append((restyle(key, style), f, needed))
    if len({k for k, _, _ in used}) < len(used):
        return None
    if rng.random() < 0.3:
        rng.shuffle(used)
    props = {}
    for k, f, _ in used:
        _, _, ty = value(rng, f, mine)
        props[k] = schema_of(ty, rng)
        if rng.random() < 0.2 and not isinstance(ty, list):
            props[k]["description"] = " ".join(restyle(rng.choice(f.keys), 1).split("_")).capitalize()
    d = a.ways[lang][0] if lang in a.ways else a.ways["en"][0]
    tool = {"name": restyle(rng.choice(a.names), style)} | ({"description": d} if rng.random() < 0.9 else {}) | {
        "parameters": {"type": "object", "properties": props, "required": [k for k, _, n in used if n]}}
    return tool, used


def tools(rng: random.Random) -> dict:
    for _ in range(50):
        lang = rng.choices(list(LANGS), list(LANGS.values()))[0]
        able = [a for a in actions() if lang in a.ways]
        if not able:
            continue
        style = rng.choice([0, 0, 1, 2, 3])
        chosen = rng.sample(able, min(len(able), 2 if rng.random() < 0.12 else 1))
        spoken = lang if rng.random() < 0.7 else "en"
        made = [tool_of(rng, a, spoken, lang, style) for a in chosen]
        if any(m is None for m in made):
            continue
        others = [m for a in rng.sample(actions(), rng.choice([0, 1, 1, 2, 3])) if a not in chosen for m in [tool_of(rng, a, spoken, "en", style)] if m]
        r = rng.random()
        missing = None
        calls, bits = [], []
        for (tool, used), a in zip(made, chosen):
            args, said = {}, []
            for k, f, needed in used:
                v, text, _ = value(rng, f, lang)
                if not needed and rng.random() < 0.5:
                    continue
                if needed and r < 0.12 and missing is None and len(chosen) == 1:
                    missing = k
                    continue
                args[k] = v
                said.append(say(rng, f, lang, text))
            ask = rng.choice(a.ways[lang][1])
            rng.shuffle(said)
            glue = rng.choice([", ", ". ", "\n", " – ", " "])
            bits.append(glue.join([ask] + said if rng.random() < 0.7 else said + [ask]))
            calls.append({"name": tool["name"], "arguments": {k: args[k] for k in tool["parameters"]["properties"] if k in args}})
        text = rng.choice(["\n", ". ", " "]).join(bits)
        if rng.random() < 0.3:
            extra = rng.choice(talk().get(lang) or talk()["en"])
            text = f"{extra} {text}" if rng.random() < 0.5 else f"{text}\n{extra}"
        have = [m[0] for m in made]
        say_ = None
        if missing:
            calls, say_ = [], "Please tell me."
        elif r < 0.3 and others:
            have, calls, say_ = [], [], "I have no tool for that."
        if r > 0.95:  # nothing is asked
            text, calls, say_ = rng.choice(talk().get(lang) or talk()["en"]), [], "Sure."
        have += [m[0] for m in others]
        if not have or len({t["name"] for t in have}) < len(have):
            continue
        rng.shuffle(have)
        return {"l": lang, "tools": have, "m": [["user", text]], "calls": calls, "ask": missing, "say": say_}
    raise AssertionError("no tools")


MAKE = {"extraction": extraction, "tools": tools}


def make(rng: random.Random, task: str) -> dict:
    return MAKE[task](rng)
