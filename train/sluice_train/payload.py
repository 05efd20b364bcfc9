"""Random payloads for the frames: names, numbers, records, logs, tables, small programs."""
import json
import random

FIRST = ("Amara Bettina Caleb Dervla Emre Farida Gustav Hanne Imogen Jakub Keiko Lorcan Maren Nikhil Oksana Priya Quentin Rosa "
         "Soren Tamsin Umar Vera Wanda Xavier Yusuf Zoe Aidan Birgit Chloe Dmitri Elif Fergus Greta Hamza Ines Jolene Karim "
         "Leila Mateus Nadia Owen Paulo Rania Stefan Theo Ulla Vikram Willa Yara Anton Bea Cosmo Dora Eamon Fleur").split()
LAST = ("Abara Bergstrom Castellan Drummond Eriksen Falk Galvan Hartnell Ishida Jankowski Kowal Lindqvist Moreau Nakata Oyelaran "
        "Petrov Quigley Rahmani Sandoval Thorne Ueda Vasquez Whitlock Yilmaz Zeman Achterberg Brandt Costa Devlin Ekström "
        "Fontaine Grewal Hollis Iversen Jansen Keane Lowell Marchetti Nyberg Okafor Pereira Rossi Schilling Tanaka Voss").split()
CITY = ("Lisbon Ghent Tromsø Leeds Cork Graz Bilbao Turin Gdansk Utrecht Lyon Kassel Malmö Porto Tampere Riga Basel Antwerp Brno "
        "Nantes Bremen Seville Trieste Aarhus Bergen Osaka Perth Halifax Tulsa Boise Austin Durban Lima Quito Pune Hanoi").split()
WORD = ("harbor maple copper lantern pebble orchid falcon summit meadow velvet cobalt ember willow granite saffron juniper "
        "quartz thistle marble cedar").split()
ITEM = {"en": "kettle|desk lamp|hiking boots|water filter|oak shelf|rain jacket|coffee beans|bike pump|yoga mat|phone case|"
              "drill bits|garden hose|wool socks|frying pan|printer ink|tent pegs|paint roller|dog bed|school bag|hinges",
        "de": "Wasserkocher|Schreibtischlampe|Wanderschuhe|Regal|Regenjacke|Kaffeebohnen|Luftpumpe|Handyhülle|Bohrer|"
              "Gartenschlauch|Wollsocken|Bratpfanne|Druckerpatrone|Heringe|Hundebett|Schulranzen|Scharniere|Farbrolle",
        "fr": "bouilloire|lampe de bureau|chaussures de marche|étagère|imperméable|café en grains|pompe à vélo|coque|forets|"
              "tuyau d'arrosage|chaussettes|poêle|cartouche d'encre|piquets|panier pour chien|cartable|charnières|rouleau",
        "es": "hervidor|lámpara|botas|estantería|chubasquero|café en grano|bomba de bici|funda|brocas|manguera|calcetines|"
              "sartén|cartucho|cama para perro|mochila|bisagras", "it": "bollitore|lampada|scarponi|mensola|giacca|caffè|pompa|"
              "custodia|punte|tubo|calzini|padella|cartuccia|cuccia|zaino|cerniere",
        "pt": "chaleira|candeeiro|botas|estante|casaco|café em grão|bomba|capa|brocas|mangueira|meias|frigideira|tinteiro|mochila",
        "nl": "waterkoker|bureaulamp|wandelschoenen|plank|regenjas|koffiebonen|fietspomp|hoesje|boortjes|tuinslang|sokken|koekenpan"}
MONTH = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
SERVICE = "auth billing cache gateway mailer orders search worker scheduler ingest".split()
EVENT = ["started", "request ok 200", "slow query 1840ms", "connection refused", "retry 2/5", "disk 91% full", "user logged in",
         "token expired", "job finished in 12s", "timeout after 30s", "queue depth 412", "certificate expires in 6 days",
         "health check failed", "cache miss", "config reloaded"]
COLUMNS = [("name", lambda r: r.choice(FIRST)), ("city", lambda r: r.choice(CITY)), ("qty", lambda r: str(r.randint(1, 90))),
           ("price", lambda r: f"{r.uniform(1, 400):.2f}"), ("date", lambda r: iso(r)), ("status", lambda r: r.choice(
               ["open", "closed", "pending", "paid", "late"])), ("id", lambda r: ident(r)), ("email", lambda r: email(r)),
           ("score", lambda r: str(r.randint(1, 10))), ("active", lambda r: r.choice(["true", "false"]))]
CODE = ["def {f}(xs):\n    total = 0\n    for x in xs:\n        total += x * {n}\n    return total",
        "function {f}(items) {{\n  return items.filter(i => i.qty > {n}).map(i => i.name)\n}}",
        "SELECT {f}, COUNT(*) FROM orders WHERE qty > {n} GROUP BY {f};",
        "for i in range({n}):\n    if i % 3 == 0:\n        print(i, '{f}')",
        "func {f}(a []int) int {{\n\tmax := a[0]\n\tfor _, v := range a {{\n\t\tif v > max {{\n\t\t\tmax = v\n\t\t}}\n\t}}\n\treturn max\n}}",
        "public int {f}(int a, int b) {{\n    if (a > b) return a;\n    return b + {n};\n}}",
        "#!/bin/sh\nfor f in *.{f}; do\n  mv \"$f\" \"old_$f\"\ndone",
        "const {f} = async () => {{\n  const res = await fetch('/api/{f}?limit={n}')\n  return res.json()\n}}",
        "class {f}:\n    def __init__(self, size={n}):\n        self.size = size\n        self.items = []\n\n    def push(self, x):\n        self.items.append(x)",
        "<ul class=\"{f}\">\n  <li>one</li>\n  <li>two</li>\n</ul>", "fn {f}(v: &Vec<i32>) -> i32 {{\n    v.iter().sum::<i32>() + {n}\n}}",
        "try:\n    d = json.load(open('{f}.json'))\nexcept Exception:\n    pass", "let {f} = [3, 1, 2]\n{f}.sort()\nconsole.log({f}[{n}])",
        "CREATE TABLE {f} (\n  id INT PRIMARY KEY,\n  name TEXT,\n  qty INT DEFAULT {n}\n);"]


def iso(r):
    return f"{r.randint(2018, 2027)}-{r.randint(1, 12):02}-{r.randint(1, 28):02}"


def ident(r):
    return r.choice(["{a}-{n}", "{a}{n}", "#{n}", "{n}-{a}", "{a}/{m}/{n}"]).format(
        a="".join(r.choice("ABCDEFGHJKLMNPRSTVWXZ") for _ in range(r.randint(1, 3))), n=r.randint(100, 99999), m=r.randint(10, 29))


def email(r):
    return f"{r.choice(FIRST).lower()}{r.choice(['.', '_', ''])}{r.choice(LAST).lower()}@{r.choice(WORD)}.{r.choice(['example', 'test', 'com', 'org'])}"


def phone(r):
    return r.choice([f"+{r.randint(20, 99)} {r.randint(100, 999)} {r.randint(100000, 999999)}", f"0{r.randint(1000, 9999)} {r.randint(100000, 999999)}",
                     f"({r.randint(200, 999)}) 555-{r.randint(1000, 9999)}"])


def clock(r):
    return f"{r.randint(0, 23):02}:{r.choice([0, 5, 10, 15, 20, 30, 40, 45, 50]):02}"


def date(r):
    return r.choice([iso(r), f"{r.randint(1, 28)} {r.choice(MONTH)} {r.randint(2019, 2027)}", f"{r.randint(1, 28)}.{r.randint(1, 12)}.{r.randint(2019, 2027)}",
                     f"{r.randint(1, 12)}/{r.randint(1, 28)}/{r.randint(19, 27)}"])


def money(r):
    v = r.choice([f"{r.uniform(2, 90):.2f}", f"{r.uniform(90, 4000):.2f}", str(r.randint(5, 9000))])
    return r.choice(["€{}", "{} €", "${}", "£{}", "{} EUR", "{} USD", "CHF {}"]).format(v)


def rows(r, sep, n):
    cols = r.sample(COLUMNS, r.randint(2, 5))
    return [sep.join(c for c, _ in cols)] + [sep.join(f(r) for _, f in cols) for _ in range(n)]


def record(r):
    return {c: f(r) for c, f in r.sample(COLUMNS, r.randint(2, 5))}


def logs(r, n):
    h, m = r.randint(0, 23), r.randint(0, 40)
    out, style = [], r.randint(0, 2)
    d = iso(r)
    for _ in range(n):
        m = min(59, m + r.randint(0, 2))
        level = r.choice(["INFO", "INFO", "INFO", "WARN", "ERROR"])
        t = f"{h:02}:{m:02}:{r.randint(0, 59):02}"
        svc, ev = r.choice(SERVICE), r.choice(EVENT)
        out.append([f"{d} {t} {level} {svc} {ev}", f"[{t}] {svc}: {ev}", f"{t} {level.lower()} {svc}[{r.randint(100, 9999)}]: {ev}"][style])
    return "\n".join(out)


def arithmetic(r):
    a, b, c = r.randint(2, 99), r.randint(2, 99), r.randint(2, 20)
    return r.choice([f"{a} + {b}", f"{a} - {b}", f"{a} * {c}", f"{a}*{c}", f"{a}+{b}", f"{a * c} / {c}", f"{c}% of {a * 10}", f"{a} x {c}",
                     f"{a}.{c} + {b}.5", f"{a} + {b} - {c}", f"{a}×{c}", f"{c}²", f"{a * c}:{c}"])


def make(name: str, lang: str, r: random.Random) -> str | None:
    """The payload `name`, or None when there is no such payload."""
    if name.startswith("n:"):
        lo, hi = name[2:].split("-")
        return str(r.randint(int(lo), int(hi)))
    items = ITEM.get(lang, ITEM["en"]).split("|")
    match name:
        case "first":
            return r.choice(FIRST)
        case "name":
            return f"{r.choice(FIRST)} {r.choice(LAST)}"
        case "surname":
            return r.choice(LAST)
        case "city":
            return r.choice(CITY)
        case "item":
            return r.choice(items)
        case "items":
            return r.choice([", ", "\n", "; ", " / "]).join(r.sample(items, r.randint(3, 7)))
        case "names":
            return r.choice([", ", "\n", "; "]).join(f"{r.choice(FIRST)} {r.choice(LAST)}" for _ in range(r.randint(3, 7)))
        case "numbers":
            return r.choice([", ", " ", "\n"]).join(str(r.randint(1, 99)) for _ in range(r.randint(4, 10)))
        case "order":
            return ", ".join(f"{r.randint(1, 9)} {i}" for i in r.sample(items, r.randint(2, 4)))
        case "email":
            return email(r)
        case "phone":
            return phone(r)
        case "date":
            return date(r)
        case "iso":
            return iso(r)
        case "time":
            return clock(r)
        case "money":
            return money(r)
        case "id":
            return ident(r)
        case "url":
            return f"https://{r.choice(WORD)}.example/{r.choice(WORD)}/{r.randint(1, 999)}"
        case "word":
            return r.choice(WORD)
        case "ip":
            return ".".join(str(r.randint(1, 254)) for _ in range(4))
        case "csv":
            return "\n".join(rows(r, r.choice([",", ";", "\t", " | "]), r.randint(2, 7)))
        case "json":
            return json.dumps(record(r) if r.random() < 0.6 else [record(r) for _ in range(2)], ensure_ascii=False,
                              indent=r.choice([None, None, 2]))
        case "log":
            return logs(r, r.randint(3, 7))
        case "longlog":
            return logs(r, r.randint(8, 18))
        case "code":
            return r.choice(CODE).format(f=r.choice(WORD), n=r.randint(2, 50))
        case "calc":
            return arithmetic(r)
        case "card":
            return r.choice([", ", "\n", " / ", " · "]).join(r.sample([f"{r.choice(FIRST)} {r.choice(LAST)}", email(r), phone(r), r.choice(CITY), ident(r), date(r)], r.randint(3, 6)))
    return None
