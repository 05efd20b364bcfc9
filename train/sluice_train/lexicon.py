"""Names, addresses, firms and the like by language, for putting other entities into hand-written texts.

Faker (MIT) makes the words; what is here says how they look in a text. Everything is made up.
"""
import random
from functools import lru_cache

from faker import Faker

LOCALES = {"en": ["en_US", "en_GB", "en_AU", "en_IE", "en_IN", "en_NZ"], "de": ["de_DE", "de_AT", "de_CH"], "fr": ["fr_FR", "fr_CH", "fr_BE"],
           "es": ["es_ES", "es_MX", "es_AR"], "it": ["it_IT"], "pt": ["pt_PT", "pt_BR"], "nl": ["nl_NL", "nl_BE"],
           "pl": ["pl_PL"], "sv": ["sv_SE"], "ja": ["ja_JP"]}
# people move: a text may hold names from anywhere in its script
ABROAD = ["tr_TR", "vi_VN", "id_ID", "hr_HR", "cs_CZ", "da_DK", "fi_FI", "no_NO", "hu_HU", "ro_RO", "en_NG", "yo_NG", "zu_ZA", "fil_PH",
          "sl_SI", "et_EE", "lt_LT", "sk_SK"]


@lru_cache(maxsize=None)
def faker(locale: str) -> Faker:
    return Faker(locale)


def _pick(rng: random.Random, lang: str, abroad: float = 0.0) -> Faker:
    if abroad and lang != "ja" and rng.random() < abroad:
        for _ in range(4):
            try:
                f = faker(rng.choice(ABROAD))
                break
            except AttributeError:
                continue
        else:
            f = faker("en_US")
    else:
        f = faker(rng.choice(LOCALES.get(lang, LOCALES["en"])))
    f.seed_instance(rng.getrandbits(32))
    return f


PARTICLES = ["van", "de", "von", "El", "Al", "dos", "da", "di", "O'", "Mac", "Ben", "Nic", "ter", "bin"]


def person(rng: random.Random, lang: str, parts: int = 0) -> str:
    """A person's name of about as many words as asked for, without title."""
    f = _pick(rng, lang, 0.35)
    if lang == "ja":
        r = rng.random()
        return f.last_name() if parts == 1 and r < 0.7 else f.first_name() if parts == 1 else \
            f.last_name() + (rng.choice([" ", ""]) if r < 0.8 else "　") + f.first_name()
    first, last = f.first_name(), f.last_name()
    if parts == 1:
        return rng.choice([first, first, last]) if rng.random() < 0.9 else invented(rng)
    r = rng.random()
    if r < 0.05:
        first = first[0] + "."
    elif r < 0.08:
        first = first + " " + f.first_name()[0] + "."
    elif r < 0.11:
        first = first + "-" + f.first_name()
    elif r < 0.18:
        first = invented(rng)
    r = rng.random()
    if r < 0.1:
        last = last + rng.choice([" ", "-"]) + f.last_name()
    elif r < 0.14:
        p = rng.choice(PARTICLES)
        last = p + ("" if p in ("O'", "Mac") else rng.choice([" ", " ", "-"])) + last
    elif r < 0.25:
        last = invented(rng)
    if parts >= 3 and rng.random() < 0.7:
        last = rng.choice([f.last_name(), f.first_name(), rng.choice(PARTICLES)]) + " " + last
    return first + " " + last


SYL = ("ka ri mo le na ta shi bu do ra ve lo mi sa ne go ha zu pe ki li fa mar ber dan tor hel win ast olk ham ley son dot ter vin quist ova escu "
       "ian enko aga ola ewa obi chi ngo tra nguy aar ei oe ya yu sch kr br gr st tr fl gl ch th wh qu").split()


def invented(rng: random.Random) -> str:
    """A word that is nobody's name yet."""
    return "".join(rng.choice(SYL) for _ in range(rng.randint(2, 4))).capitalize()


def address(rng: random.Random, lang: str) -> str:
    f = _pick(rng, lang)
    r = rng.random()
    if r < 0.35:
        return f.street_address().replace("\n", ", ")
    a = f.address()
    if r < 0.9:
        a = a.replace("\n", ", " if rng.random() < 0.85 else " ")
    if rng.random() < 0.08 and lang in ("en", "de", "fr", "es"):
        a = {"en": "PO Box ", "de": "Postfach ", "fr": "BP ", "es": "Apartado "}[lang] + str(rng.randint(10, 9999)) + (", " + f.city() if rng.random() < 0.6 else "")
    return a


ORG_TAIL = {"en": "Ltd|Inc.|LLC|plc|Group|& Sons|Partners|Foundation|Primary School|High School|Hospital|Clinic|College|University|FC|Rugby Club|Museum|Bakery|Logistics|Freight|Insurance|Council|Trust|Bank|Motors|Dental Practice|Solicitors|Library|Farm|Brewery|Studios|Pharmacy",
            "de": "GmbH|AG|e.V.|KG|& Söhne|Stadtwerke|Gymnasium|Grundschule|Klinikum|Versicherung|Spedition|Bäckerei|Verlag|Sparkasse|Autohaus|Apotheke|Werke|TSV|SC|Stiftung|Kanzlei|Museum|Druckerei",
            "fr": "SARL|SA|SAS|& Fils|Mutuelle|Lycée|Collège|Clinique|Assurances|Transports|Boulangerie|Banque|Editions|Garage|Pharmacie|Musée|Association",
            "es": "S.L.|S.A.|e Hijos|Seguros|Hospital|Colegio|Clínica|Transportes|Panadería|Banco|Editorial|Talleres|Farmacia|Museo|Asociación",
            "it": "S.r.l.|S.p.A.|& Figli|Assicurazioni|Ospedale|Liceo|Clinica|Trasporti|Panificio|Banca|Edizioni|Officina|Farmacia|Museo",
            "pt": "Lda.|S.A.|Ltda|& Filhos|Seguros|Hospital|Colégio|Clínica|Transportes|Padaria|Banco|Editora|Oficina|Farmácia",
            "nl": "B.V.|N.V.|& Zonen|Verzekeringen|Ziekenhuis|College|Kliniek|Transport|Bakkerij|Bank|Uitgeverij|Garage|Apotheek|Museum",
            "pl": "Sp. z o.o.|S.A.|i Synowie|Ubezpieczenia|Szpital|Liceum|Klinika|Transport|Piekarnia|Bank|Wydawnictwo|Apteka",
            "sv": "AB|HB|& Söner|Försäkring|Sjukhus|Skola|Klinik|Åkeri|Bageri|Bank|Förlag|Apotek",
            "ja": "株式会社|有限会社|病院|大学|銀行|商事|工業|運輸|薬局|高校|クリニック|製作所"}


def org(rng: random.Random, lang: str) -> str:
    f = _pick(rng, lang)
    r = rng.random()
    tail = rng.choice(ORG_TAIL.get(lang, ORG_TAIL["en"]).split("|"))
    if lang == "ja":
        n = f.last_name() if r < 0.6 else f.city()
        return tail + n if tail.endswith("会社") and r < 0.3 else n + tail
    if r < 0.25:
        return f.company()
    head = f.last_name() if r < 0.5 else f.city() if r < 0.65 else invented(rng) if r < 0.85 else \
        rng.choice(ADJ) + " " + rng.choice(NOUN) if lang == "en" else invented(rng) + rng.choice(["", "", "-"]) + f.last_name()
    if tail.split()[0] in ("Lycée", "Collège", "Clinique", "Garage", "Boulangerie", "Pharmacie", "Musée", "Association", "Hospital", "Colegio", "Clínica", "Talleres",
                "Ospedale", "Liceo", "Clinica", "Officina", "Szpital", "Klinika", "Autohaus", "TSV", "SC", "Stadtwerke", "Klinikum", "Spedition", "Bäckerei",
                "Banco", "Museo", "Colégio", "Oficina", "Apteka", "Piekarnia", "Ziekenhuis"):
        return tail + " " + head
    return head + (" " + tail if rng.random() < 0.85 else "")


ADJ = "Blue Green Silver Northern Golden Quiet Bright Red Hollow Swift Little Grand Iron Copper Willow Harbour River Stone Amber Meadow".split()
NOUN = "Heron Lantern Bridge Orchard Anchor Kestrel Mill Compass Fox Harbour Pine Crescent Wharf Beacon Thistle Otter Forge Valley".split()


def place(rng: random.Random, lang: str) -> str:
    f = _pick(rng, lang, 0.15)
    return f.city() if rng.random() < 0.75 else _pick(rng, lang).country() if rng.random() < 0.6 else rng.choice(
        [invented(rng) + s for s in ("", "burg", "ville", "ton", "o", "a", " Bay", "-sur-Mer", "dorf", "stad")])


MONTHS = {"en": "January February March April May June July August September October November December",
          "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
          "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
          "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
          "it": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
          "pt": "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
          "nl": "januari februari maart april mei juni juli augustus september oktober november december",
          "pl": "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia",
          "sv": "januari februari mars april maj juni juli augusti september oktober november december"}


def date(rng: random.Random, lang: str, like: str = "") -> str:
    """A date, in the form of `like` when that is all digits and marks."""
    d, m, y = rng.randint(1, 28), rng.randint(1, 12), rng.randint(1931, 2019)
    if like and not any(c.isalpha() for c in like):
        return "".join(str(rng.randint(0, 9)) if c.isdigit() else c for c in like) if rng.random() < 0.3 else numeric(rng, like, d, m, y)
    if lang == "ja":
        return rng.choice([f"{y}年{m}月{d}日", f"昭和{rng.randint(20, 63)}年{m}月{d}日", f"平成{rng.randint(1, 30)}年{m}月{d}日", f"{y}/{m:02d}/{d:02d}"])
    mon = MONTHS.get(lang, MONTHS["en"]).split()[m - 1]
    de = " de " if lang in ("es", "pt") else " "
    return rng.choice([f"{d}{'.' if lang == 'de' else ''}{de}{mon}{de}{y}", f"{d}{'.' if lang == 'de' else ''}{de}{mon}{de}{y}"] + (
        [f"{mon} {d}, {y}", f"{mon[:3]} {d}, {y}", f"{d} {mon[:3]} {y}"] if lang == "en" else []))


def numeric(rng, like, d, m, y):
    if len(like) >= 8 and like[:4].isdigit():
        s = like[4]
        return f"{y}{s}{m:02d}{s}{d:02d}"
    s = next((c for c in like if not c.isdigit()), ".")
    a, b = (m, d) if rng.random() < 0.15 else (d, m)
    y2 = f"{y}" if like[-4:].isdigit() else f"{y % 100:02d}"
    return f"{a:02d}{s}{b:02d}{s}{y2}" if rng.random() < 0.7 else f"{a}{s}{b}{s}{y2}"


WORDS = ("cactus river turnip wagon sparrow marble lantern biscuit velvet thunder pickle saddle copper meadow rocket puffin ginger walnut tiger "
         "Blumen kohl Wolke Regen Apfel Sonne Katze Brücke soleil lune poisson fromage casa perro gato luna mela sole neve zeit vis boom fiets kaas").split()


def secret(rng: random.Random, like: str = "") -> str:
    if like.replace(" ", "").isdigit():
        return "".join(str(rng.randint(0, 9)) if c.isdigit() else c for c in like)
    r = rng.random()
    w = rng.choice(WORDS)
    w = w.capitalize() if rng.random() < 0.5 else w
    if r < 0.5:
        return w + rng.choice(["", rng.choice(WORDS), rng.choice(WORDS).capitalize(), "-" + rng.choice(WORDS), "_" + rng.choice(WORDS)]) + str(rng.randint(1, 9999)) + rng.choice(["", "!", "?", "#", "$", "!!"])
    if r < 0.8:
        return "".join(rng.choice("abcdefghkmnpqrstuvwxyzABCDEFGHKLMNPQRSTUVWXYZ23456789!#%&*_-") for _ in range(rng.randint(6, 14)))
    return str(rng.randint(1000, 999999))
