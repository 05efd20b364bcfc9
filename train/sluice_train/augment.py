"""Variants of seeds that keep their label."""
import random
import re


NEAR = dict(zip("qwertyuiopasdfghjklzxcvbnm", "wertyuioplsdfghjkkxcvbnmn"))


def typo(rng: random.Random, text: str, rate: float) -> str:
    out, i = [], 0
    while i < len(text):
        c = text[i]
        if c.isalpha() and rng.random() < rate:
            r = rng.random()
            if r < 0.3:
                pass
            elif r < 0.55 and i + 1 < len(text) and text[i + 1].isalpha():
                out += [text[i + 1], c]
                i += 1
            elif r < 0.75:
                out += [c, c]
            else:
                out.append(NEAR.get(c, c))
        else:
            out.append(c)
        i += 1
    return "".join(out)


def noise(rng: random.Random, text: str) -> str:
    r = rng.random()
    if r < 0.15:
        text = text.lower()
    elif r < 0.18 and len(text) < 200:
        text = text.upper()
    elif r < 0.24:
        text = text[:1].lower() + text[1:]
    if rng.random() < 0.12:
        text = text.rstrip(".?!。？！¿¡ ")
    if rng.random() < 0.05:
        text = text.replace(",", "").replace("'", "")
    if rng.random() < 0.05:
        text = text.replace("\n", " ")
    if rng.random() < 0.15:
        text = typo(rng, text, rng.choice([0.01, 0.02, 0.04]))
    return text or "?"


OPEN = {"en": "hi, |hey |Hello, |please |quick one: |could you |I need help: |ok so |can you help? |sorry, another one: |hey there! ",
        "de": "hallo, |hi, |bitte |kurze Frage: |kannst du mal: |guten Tag, |also: |noch was: ",
        "fr": "bonjour, |salut, |stp |petite question : |peux-tu : |alors, |encore une : ",
        "es": "hola, |por favor |una pregunta: |oye, |buenas, ", "it": "ciao, |per favore |una domanda: |buongiorno, ",
        "pt": "olá, |por favor |uma pergunta: |bom dia, ", "nl": "hoi, |graag |korte vraag: |goedemorgen, "}
CLOSE = {"en": " thanks| thank you!| pls| please| asap| cheers| (on my phone)|\n\nThanks,\nJo|\n\nSent from my phone| :)| thx",
         "de": " danke| bitte| danke!| lg|\n\nViele Grüße| :)| mfg", "fr": " merci| svp| stp|\n\nCordialement| :)| merci !",
         "es": " gracias| porfa|\n\nUn saludo", "it": " grazie| per favore|\n\nSaluti", "pt": " obrigado| por favor", "nl": " bedankt| alvast dank"}
MACHINE = ["### Instruction:\n{}\n\n### Response:", "Task: {}", "User: {}\nAssistant:", "<request>\n{}\n</request>", "Q: {}\nA:",
           "[INST] {} [/INST]", "Please respond to the following message.\n\n{}", "{{\"role\": \"user\", \"content\": \"{}\"}}", "> {}"]
SYSTEM = ["You are a helpful assistant.", "You are a helpful assistant. Be concise.", "Answer in the user's language.",
          "You are the assistant of a small company. Be friendly and brief.", "Today is Tuesday.", "Du bist ein hilfreicher Assistent.",
          "Tu es un assistant utile.", "Eres un asistente útil.", "Never mention that you are a language model.",
          "You run inside a phone keyboard. Keep answers short.", "You are a coding assistant in an editor.",
          "Antworte kurz und höflich.", "Réponds brièvement.", "You are an agent. Think step by step and use tools when needed.",
          "You are a knowledgeable assistant. Format answers in markdown.", "Sei un assistente cortese.", "Je bent een behulpzame assistent.",
          "You are Milo, the assistant of a delivery app. Today's orders are loaded.", "Follow the house style. Do not use emojis."]
TOOLS = ("get_weather set_timer send_message search_web read_file write_file run_code get_calendar create_event query_db send_email "
         "lookup_customer get_order_status list_files get_time translate_text open_ticket play_music set_light http_get").split()
SHORT = {"en": ["Sure, here it is.", "Done.", "You're welcome!", "It's 42.", "Of course. Anything else?"],
         "de": ["Gerne, hier bitte.", "Erledigt.", "Bitte!", "Natürlich. Sonst noch etwas?"],
         "fr": ["Voilà.", "C'est fait.", "Avec plaisir !", "Bien sûr. Autre chose ?"]}


def jitter(rng: random.Random, text: str) -> str:
    """Other digits in numbers of at least two digits; the first digit stays non-zero."""
    def other(m):
        s = m.group()
        return str(rng.randint(1, 9)) + "".join(str(rng.randint(0, 9)) for _ in s[1:])
    return re.sub(r"(?<![\d.,:/-])\d{2,6}(?![\d.,:/-])", other, text)


def vary(rng: random.Random, s: dict, earlier: list[dict]) -> dict:
    """A variant of the seed s with the same label. `earlier` are seeds whose text may stand before it as history."""
    s = dict(s)
    t, lang, plain = s["t"], s["l"], not (s.get("hist") or s.get("sys") or s.get("tools"))
    if rng.random() < 0.25:
        t = jitter(rng, t)
    if rng.random() < 0.1 and lang in OPEN:
        t = rng.choice(OPEN[lang].split("|")) + t
    if rng.random() < 0.1 and lang in CLOSE:
        t = t + rng.choice(CLOSE[lang].split("|"))
    if rng.random() < 0.1:
        w = t.split(" ")
        if len(w) > 6:
            del w[rng.randrange(len(w))]
            t = " ".join(w)
    t = noise(rng, t)
    if plain:
        if rng.random() < 0.04:
            t = rng.choice(MACHINE).format(t)
        if rng.random() < 0.08:
            s["sys"] = rng.choice(SYSTEM)
        if rng.random() < 0.05 and s["k"] != "tool":
            s["tools"] = rng.sample(TOOLS, rng.randint(1, 8))
        if rng.random() < 0.06 and len(t) > 25:
            e = rng.choice(earlier)
            s["hist"] = [["user", e["t"]], ["assistant", rng.choice(SHORT.get(e["l"], SHORT["en"]))]]
    elif s.get("tools") and rng.random() < 0.3:
        more = [x for x in rng.sample(TOOLS, rng.randint(1, 3)) if x not in s["tools"]]
        s["tools"] = list(s["tools"]) + (more if s["p"] > 0.5 and len(s["tools"]) < 5 else [])
        rng.shuffle(s["tools"])
    s["t"] = t
    return s
