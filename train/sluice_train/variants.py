"""Variants of hand-written examples of entities, tools and extraction: other names, numbers and neighbours, same answer."""
import copy
import random
import re

from . import augment, lexicon, tasks

MEDICAL = {
    "en": "asthma|type 2 diabetes|migraine|hypertension|a torn meniscus|appendicitis|anaemia|psoriasis|bronchitis|gout|shingles|epilepsy|amoxicillin|ibuprofen|metformin|ramipril|insulin|chemotherapy|physiotherapy|hip replacement|depression|tonsillitis|coeliac disease|methotrexate|a slipped disc|eczema|arrhythmia|lithium|cataract surgery|dialysis",
    "de": "Asthma|Diabetes Typ 2|Migräne|Bluthochdruck|Kreuzbandriss|Blinddarmentzündung|Anämie|Schuppenflechte|Bronchitis|Gicht|Gürtelrose|Epilepsie|Amoxicillin|Ibuprofen|Metformin|Ramipril|Insulin|Chemotherapie|Physiotherapie|Depression|Mandelentzündung|Zöliakie|Bandscheibenvorfall|Neurodermitis|Dialyse|Burn-out",
    "fr": "asthme|diabète de type 2|migraine|hypertension|rupture du ligament|appendicite|anémie|psoriasis|bronchite|goutte|zona|épilepsie|amoxicilline|ibuprofène|metformine|insuline|chimiothérapie|kinésithérapie|dépression|angine|maladie cœliaque|hernie discale|eczéma|dialyse",
    "es": "asma|diabetes tipo 2|migraña|hipertensión|rotura de menisco|apendicitis|anemia|psoriasis|bronquitis|gota|herpes zóster|epilepsia|amoxicilina|ibuprofeno|metformina|insulina|quimioterapia|fisioterapia|depresión|amigdalitis|celiaquía|hernia discal|eccema|diálisis",
    "it": "asma|diabete di tipo 2|emicrania|ipertensione|lesione del menisco|appendicite|anemia|psoriasi|bronchite|gotta|fuoco di Sant'Antonio|epilessia|amoxicillina|ibuprofene|metformina|insulina|chemioterapia|fisioterapia|depressione|tonsillite|celiachia|ernia del disco|eczema|dialisi",
    "pt": "asma|diabetes tipo 2|enxaqueca|hipertensão|rotura do menisco|apendicite|anemia|psoríase|bronquite|gota|zona|epilepsia|amoxicilina|ibuprofeno|metformina|insulina|quimioterapia|fisioterapia|depressão|amigdalite|doença celíaca|hérnia discal|eczema|diálise",
    "nl": "astma|diabetes type 2|migraine|hoge bloeddruk|kruisbandletsel|blindedarmontsteking|bloedarmoede|psoriasis|bronchitis|jicht|gordelroos|epilepsie|amoxicilline|ibuprofen|metformine|insuline|chemotherapie|fysiotherapie|depressie|coeliakie|hernia|eczeem|dialyse",
    "pl": "astma|cukrzyca typu 2|migrena|nadciśnienie|zapalenie wyrostka|anemia|łuszczyca|zapalenie oskrzeli|dna moczanowa|półpasiec|padaczka|amoksycylina|ibuprofen|metformina|insulina|chemioterapia|depresja|angina|celiakia|dializa",
    "sv": "astma|typ 2-diabetes|migrän|högt blodtryck|korsbandsskada|blindtarmsinflammation|blodbrist|psoriasis|bronkit|gikt|bältros|epilepsi|amoxicillin|ibuprofen|metformin|insulin|cellgiftsbehandling|sjukgymnastik|depression|celiaki|diskbråck|eksem|dialys",
    "ja": "喘息|2型糖尿病|片頭痛|高血圧|虫垂炎|貧血|乾癬|気管支炎|痛風|帯状疱疹|てんかん|アモキシシリン|イブプロフェン|メトホルミン|インスリン|化学療法|うつ病|扁桃炎|椎間板ヘルニア|湿疹|人工透析"}


def like(rng: random.Random, kind: str, s: str, lang: str) -> str:
    """Another entity of the kind, in the case of s."""
    if kind == "PERSON":
        new = lexicon.person(rng, lang, len(s.split()))
        if lang == "ja" and len(s) <= 3 and " " not in s:
            new = lexicon.person(rng, lang, 1)
    elif kind == "LOCATION_ADDRESS":
        new = lexicon.address(rng, lang)
        if "\n" in s and rng.random() < 0.7:
            new = new.replace(", ", "\n", 1)
    elif kind == "DATE_OF_BIRTH":
        new = lexicon.date(rng, lang, s)
    elif kind == "ORGANIZATION":
        new = lexicon.org(rng, lang)
    elif kind == "LOCATION":
        new = lexicon.place(rng, lang)
    elif kind == "MEDICAL":
        new = rng.choice(MEDICAL.get(lang, MEDICAL["en"]).split("|"))
    else:
        new = lexicon.secret(rng, s)
    return cased(s, new)


def cased(s: str, new: str) -> str:
    if s.isupper() and len(s) > 1:
        return new.upper()
    if s.islower():
        return new.lower()
    return new


def pieces(ex: dict) -> list[tuple[str, str | None]]:
    """The text as (text, type or None), in order."""
    out, at = [], 0
    for kind, s in ex["e"]:
        c = ex["t"].find(s, at)
        if c < 0:
            continue
        if c > at:
            out.append((ex["t"][at:c], None))
        out.append((s, kind))
        at = c + len(s)
    return out + ([(ex["t"][at:], None)] if at < len(ex["t"]) else [])


def joined(parts) -> dict:
    return {"t": "".join(s for s, _ in parts), "e": [[k, s] for s, k in parts if k]}


CUTS = re.compile(r"(?<=[.!?;\n。！？])\s+|\n+")


def cut(rng, parts):
    """Some of the sentences, in order."""
    sents, cur = [], []
    for s, k in parts:
        if k:
            cur.append((s, k))
            continue
        at = 0
        for m in CUTS.finditer(s):
            cur.append((s[at:m.end()], None))
            sents.append(cur)
            cur, at = [], m.end()
        if at < len(s):
            cur.append((s[at:], None))
    if cur:
        sents.append(cur)
    if len(sents) < 2:
        return parts
    a = rng.randrange(len(sents))
    b = rng.randint(a + 1, len(sents))
    out = [p for x in sents[a:b] for p in x]
    if out and out[-1][1] is None:
        out[-1] = (out[-1][0].rstrip() or ".", None)
    return out


def entities(rng: random.Random, ex: dict, others: list[dict], easy: float = 0.0) -> dict:
    """With a chance of `easy`, a short text: some of the sentences, and nothing around them."""
    lang, parts = ex["l"], pieces(ex)
    short = rng.random() < easy
    if rng.random() < (0.7 if short else 0.25):
        parts = cut(rng, parts)
    n = 0
    while not short and rng.random() < 0.3 and n < 2 and sum(len(s) for s, _ in parts) < 500:
        n += 1
        o = rng.choice(others)
        more = pieces(o)
        if rng.random() < 0.4:
            more = cut(rng, more)
        glue = rng.choice(["\n", " ", "\n\n", " ", " – ", "\n- "])
        parts = parts + [(glue, None)] + more if rng.random() < 0.5 else more + [(glue, None)] + parts
    r = rng.random()
    share = 0.0 if r < 0.2 else 0.6 if r < 0.4 else 0.95
    swap: dict[str, str] = {}
    for s, k in parts:
        if k and s not in swap and rng.random() < share:
            swap[s] = like(rng, k, s, lang)
    people = [s for s, k in parts if k == "PERSON"]
    for s in list(swap):  # a family name alone follows the full name
        for full in swap:
            if s != full and s in people and full in people and " " not in s and full.split(" ")[-1] == s and swap[full].split(" "):
                swap[s] = swap[full].split(" ")[-1]
    parts = [(swap.get(s, s), k) if k else (s, k) for s, k in parts]
    r = rng.random()
    if r < 0.1:
        parts = [(s.lower(), k) for s, k in parts]
    elif r < 0.13:
        parts = [(s.upper(), k) for s, k in parts]
    if rng.random() < 0.15:
        rate = rng.choice([0.01, 0.03])
        parts = [(s, k) if k else (augment.typo(rng, s, rate), k) for s, k in parts]
    if rng.random() < 0.2:
        parts = [(s, k) if k else (augment.jitter(rng, s), k) for s, k in parts]
    return joined(parts) | {"l": lang}


# --- values of fields and arguments ---

KEYS = [(re.compile(r"name|person|patient|customer|client|kund|nom\b|nombre|nome|naam|driver|guest|tenant|contact|author|employee|assignee|recipient|sender|empfänger|student|teacher|氏名|名前|担当|imi|namn", re.I), "PERSON"),
        (re.compile(r"addr|street|stra|adress|direcc|indirizzo|endere|住所|adres", re.I), "LOCATION_ADDRESS"),
        (re.compile(r"city|town|ort\b|stadt|ville|ciudad|citt|cidade|stad|origin|dest|place|location|port|station|from|\bto\b|miasto|lugar|都市|場所", re.I), "LOCATION"),
        (re.compile(r"company|vendor|supplier|firm|organi|employer|merchant|carrier|lieferant|fournisseur|empresa|azienda|bedrijf|会社|shop|store", re.I), "ORGANIZATION")]


def other_value(rng: random.Random, key: str, v: str, lang: str) -> str | None:
    """Another string of the same look, or None to leave it."""
    if any(c.isdigit() for c in v):
        out = []
        for c in v:
            if c.isdigit():
                out.append(str(rng.randint(0 if out and out[-1].isdigit() else 1, 9)))
            else:
                out.append(c)
        new = "".join(out)
        if rng.random() < 0.5 and re.fullmatch(r"[A-Z]{1,5}[-/ ]?[\w\-/ ]*\d[\w\-/]*", v):
            new = "".join(rng.choice("ABCDEFGHJKLMNPRSTUVWXYZ") if c.isupper() else c for c in new)
        return new
    if v.lower() == v and lang != "ja":
        return None
    if "@" in v:
        return (lexicon.invented(rng) + rng.choice([".", "", "_"]) + lexicon.invented(rng)).lower() + v[v.index("@"):]
    words = v.split()
    if len(words) > 5:
        return None
    for pattern, kind in KEYS:
        if pattern.search(key):
            return like(rng, kind, v, lang)
    if len(words) <= 3 and all(w[:1].isupper() for w in words) and rng.random() < 0.4:
        return " ".join(lexicon.invented(rng) for _ in words)
    return None


def leaves(v, key=""):
    """(key, value) of every string and number inside v."""
    if isinstance(v, dict):
        for k, x in v.items():
            yield from leaves(x, k)
    elif isinstance(v, list):
        for x in v:
            yield from leaves(x, key)
    elif not isinstance(v, bool) and v is not None:
        yield key, v


def replaced(v, table):
    if isinstance(v, dict):
        return {k: replaced(x, table) for k, x in v.items()}
    if isinstance(v, list):
        return [replaced(x, table) for x in v]
    if isinstance(v, bool) or v is None:
        return v
    return table.get(v, v)


def swap_values(rng, texts: list[str], values, fixed: set, lang: str, share: float):
    """(texts, values) with other values at the same places. What is in `fixed` (enum members) stays."""
    table, marks = {}, []
    for key, v in sorted(set((k, v) for k, v in leaves(values)), key=lambda p: -len(str(p[1]))):
        if v in table or v in fixed or rng.random() > share:
            continue
        s = v if isinstance(v, str) else str(v)
        if len(s) < 2 or "\n" in s:
            continue
        pat = re.compile((r"(?<!\w)" if s[0].isalnum() and lang != "ja" else "") + re.escape(s) + (r"(?![\w])" if s[-1].isalnum() and lang != "ja" else ""))
        if not isinstance(v, str):
            pat = re.compile(r"(?<![\w.,])" + re.escape(s) + r"(?![\w]|[.,]\d)")
        hits = sum(len(pat.findall(t)) for t in texts)
        if hits == 0 or hits > 3:
            continue
        if isinstance(v, str):
            new = other_value(rng, key, v, lang)
        elif isinstance(v, int):
            new = int("".join(str(rng.randint(1 if i == 0 else 0, 9)) if c.isdigit() else c for i, c in enumerate(s)))
        else:
            whole, _, frac = s.partition(".")
            new = float(str(rng.randint(1, 9)) + "".join(str(rng.randint(0, 9)) for _ in whole[1:]) + "." + "".join(
                str(rng.randint(1, 9)) for _ in frac)) if s[0].isdigit() else None
            if new is not None and (len(str(new)) != len(s) or not float(new).is_integer() and "." not in s):
                new = None
        if new is None or new == v or isinstance(new, str) and not new.strip():
            continue
        mark = chr(0xE000 + len(marks))
        marks.append((mark, new if isinstance(new, str) else str(new)))
        texts = [pat.sub(mark, t) for t in texts]
        table[v] = new
    for mark, new in marks:
        texts = [t.replace(mark, new) for t in texts]
    return texts, replaced(values, table)


def enums(schema) -> set:
    out = set()
    if isinstance(schema, dict):
        out |= {x for x in schema.get("enum", []) if isinstance(x, (str, int, float))}
        for x in schema.values():
            out |= enums(x)
    elif isinstance(schema, list):
        for x in schema:
            out |= enums(x)
    return out


def split_words(name: str) -> list[str]:
    return [w for w in re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name).replace("_", " ").replace("-", " ").replace(".", " ").split(" ") if w]


def restyle(name: str, style: int) -> str:
    w = split_words(name)
    if not w or style == 0:
        return name
    low = [x.lower() for x in w]
    if style == 1:
        return "_".join(low)
    if style == 2:
        return low[0] + "".join(x.capitalize() for x in low[1:])
    return "".join(x.capitalize() for x in low)


def extraction(rng: random.Random, ex: dict, others: list[dict], easy: float = 0.0) -> dict:
    ex = {k: copy.deepcopy(v) for k, v in ex.items() if k != "file"}
    schema, lang = ex["schema"], ex["l"]
    props = schema["properties"]
    required = list(schema.get("required", []))
    names = list(props)
    if rng.random() < 0.35 and len(names) > 2:
        names = rng.sample(names, rng.randint(1, len(names) - 1))
        names.sort(key=list(props).index)
    if rng.random() < 0.4:
        rng.shuffle(names)
    if rng.random() < 0.2:  # something the text does not say
        o = rng.choice(others)["schema"]["properties"]
        k = rng.choice(list(o))
        if k not in props and isinstance(o[k], dict) and isinstance(o[k].get("type"), str) and o[k]["type"] in ("string", "number", "integer") and "enum" not in o[k]:
            at = rng.randint(0, len(names))
            names.insert(at, k)
            if rng.random() < 0.6:
                props[k] = o[k] | {"type": [o[k]["type"], "null"]}
                required.append(k)
                ex["v"][k] = None
            else:
                props[k] = o[k]
    if rng.random() < 0.12:
        for k in names:
            t = props[k].get("type")
            if t in ("string", "number", "integer") and "enum" not in props[k] and rng.random() < 0.5:
                props[k] = props[k] | {"type": [t, "null"]}
    rest = [t for t in [ex["t"]]]
    texts, values = swap_values(rng, rest, {k: ex["v"][k] for k in names if k in ex["v"]}, enums(schema), lang, rng.choice([0, 0.7, 0.95, 0.95]))
    style = rng.choice([0, 0, 0, 0, 1, 2, 3]) if lang != "ja" else 0
    ex["t"] = texts[0]
    ex["schema"] = {"type": "object", "properties": {restyle(k, style): props[k] for k in names},
                    "required": [restyle(k, style) for k in names if k in required]}
    if len(ex["schema"]["properties"]) < len(names):
        return ex | {"schema": {"type": "object", "properties": {k: props[k] for k in names}, "required": [k for k in names if k in required]},
                     "v": values}
    ex["v"] = {restyle(k, style): v for k, v in values.items()}
    if rng.random() < 0.15:
        o = rng.choice(others)["t"]
        bits = [b for b in CUTS.split(o) if b.strip()]
        extra = rng.choice(bits)
        if not re.search(r"\d", extra) and len(extra) < 120:
            ex["t"] = extra + "\n" + ex["t"] if rng.random() < 0.5 else ex["t"] + "\n" + extra
    return ex


NO = {"en": ["I can't do that with the tools I have.", "None of my tools can do this.", "Sorry, I have no tool for that."],
      "de": ["Dafür habe ich kein passendes Werkzeug.", "Das kann ich leider nicht."], "fr": ["Je n'ai pas d'outil pour cela.", "Désolé, je ne peux pas faire ça."],
      "es": ["No tengo una herramienta para eso.", "Lo siento, no puedo hacerlo."], "it": ["Non ho uno strumento per questo.", "Mi dispiace, non posso farlo."],
      "pt": ["Não tenho uma ferramenta para isso.", "Desculpe, não consigo fazer isso."], "nl": ["Daar heb ik geen hulpmiddel voor.", "Sorry, dat kan ik niet."],
      "pl": ["Nie mam do tego narzędzia."], "sv": ["Det har jag inget verktyg för."], "ja": ["それに合うツールがありません。"]}


def tools(rng: random.Random, ex: dict, others: list[dict], easy: float = 0.0) -> dict:
    """With a chance of `easy`, few tools."""
    ex = {k: copy.deepcopy(v) for k, v in ex.items() if k != "file"}
    lang = ex["l"]
    if ex["calls"] and rng.random() < 0.12 and len(ex["m"]) == 1:  # two requests in one
        o = rng.choice(others)
        names = {t["name"] for t in ex["tools"]}
        if o["calls"] and len(o["m"]) == 1 and o["l"] == lang and not names & {t["name"] for t in o["tools"]} and len(ex["tools"]) + len(o["tools"]) <= 7 \
                and len(ex["calls"]) + len(o["calls"]) <= 3:
            o = copy.deepcopy(o)
            ex["m"] = [["user", ex["m"][0][1] + rng.choice(["\n", " ", "\n\n", " + "]) + o["m"][0][1]]]
            ex["tools"] += o["tools"]
            ex["calls"] += o["calls"]
    called = {c["name"] for c in ex["calls"]}
    have = [t["name"] for t in ex["tools"]]
    r = rng.random()
    if ex["calls"] and r < 0.12 and not any(role == "call" for role, _ in ex["m"]):  # the tool is not there
        left = [t for t in ex["tools"] if t["name"] not in called]
        fill = [t for o in rng.sample(others, 4) if o.get("file") != ex.get("file") for t in o["tools"] if t["name"] not in have]
        rng.shuffle(fill)
        while len(left) < rng.randint(1, 4) and fill:
            left.append(copy.deepcopy(fill.pop()))
        if left:
            ex |= {"tools": left, "calls": [], "ask": None, "say": rng.choice(NO.get(lang, NO["en"]))}
            called = set()
    elif ex["calls"] and r < 0.17:  # an argument is missing
        name = rng.choice(sorted(called))
        tool = next(t for t in ex["tools"] if t["name"] == name)
        o = rng.choice(rng.choice(others)["tools"])
        more = (o.get("parameters") or {}).get("properties") or {}
        mine = tool.get("parameters", {}).get("properties", {})
        k = rng.choice(list(more)) if more else None
        if k and k not in mine and "enum" not in more[k] and more[k].get("type") in ("string", "integer", "number") and len(ex["calls"]) == 1:
            keys = list(mine)
            keys.insert(rng.randint(0, len(keys)), k)
            tool["parameters"]["properties"] = {x: mine.get(x, more.get(x)) for x in keys}
            tool["parameters"]["required"] = [x for x in keys if x in tool["parameters"].get("required", []) or x == k]
            ex |= {"calls": [], "ask": k, "say": rng.choice(ASK.get(lang, ASK["en"])).format(" ".join(split_words(k)).lower())}
    names = {t["name"] for t in ex["tools"]}
    r = rng.random()
    if rng.random() < easy:
        must = [t for t in ex["tools"] if t["name"] in called or any(k == ex.get("ask") for k in (t.get("parameters") or {}).get("properties") or {})]
        rest = [t for t in ex["tools"] if t not in must]
        rng.shuffle(rest)
        ex["tools"] = must + rest[:max(rng.choice([0, 1, 1, 2]) - (len(must) > 1), 0 if must else 1)]
    elif r < 0.3 and len(ex["tools"]) > 1 and ex["calls"]:
        ex["tools"] = [t for t in ex["tools"] if t["name"] in called or rng.random() < 0.5]
    elif r < 0.5 and len(ex["tools"]) < 5 and (ex["calls"] or ex.get("ask")):
        for t in rng.choice(others)["tools"][:rng.randint(1, 2)]:
            if t["name"] not in names:
                ex["tools"].append(copy.deepcopy(t))
                names.add(t["name"])
    rng.shuffle(ex["tools"])
    if not any(role in ("call", "tool") for role, _ in ex["m"]):
        fixed = enums([t.get("parameters") for t in ex["tools"]])
        texts, values = swap_values(rng, [t for _, t in ex["m"]], [c["arguments"] for c in ex["calls"]], fixed, lang, rng.choice([0, 0.7, 0.95]))
        ex["m"] = [[r, t] for (r, _), t in zip(ex["m"], texts)]
        for c, v in zip(ex["calls"], values):
            c["arguments"] = v
        style = rng.choice([0, 0, 0, 1, 2, 3])
        if style and len({restyle(t["name"], style) for t in ex["tools"]}) == len(ex["tools"]):
            for t in ex["tools"]:
                t["name"] = restyle(t["name"], style)
            for c in ex["calls"]:
                c["name"] = restyle(c["name"], style)
        if rng.random() < 0.15:
            for t in ex["tools"]:
                if rng.random() < 0.7:
                    for p in ((t.get("parameters") or {}).get("properties") or {}).values():
                        if isinstance(p, dict):
                            p.pop("description", None)
    last = ex["m"][-1]
    if last[0] == "user" and rng.random() < 0.1 and lang in augment.OPEN:
        last[1] = rng.choice(augment.OPEN[lang].split("|")) + last[1]
    elif last[0] == "user" and rng.random() < 0.1 and lang in augment.CLOSE:
        last[1] = last[1] + rng.choice(augment.CLOSE[lang].split("|"))
    return ex


ASK = {"en": ["Which {}?", "What is the {}?", "Could you tell me the {}?"], "de": ["Welche Angabe gilt für {}?", "Wie lautet {}?"], "fr": ["Quel est {} ?"], "es": ["¿Cuál es {}?"],
       "it": ["Qual è {}?"], "pt": ["Qual é {}?"], "nl": ["Wat is {}?"], "pl": ["Jaki jest {}?"], "sv": ["Vilken {}?"], "ja": ["{}を教えてください。"]}


def text_case(rng, ex):
    return ex


VARY = {"entities": entities, "tools": tools, "extraction": extraction}
assert set(VARY) == {"entities", "tools", "extraction"} and tasks
