"""Variants of seeds that keep their label."""
import random

from .prompt import digest, request_of

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
