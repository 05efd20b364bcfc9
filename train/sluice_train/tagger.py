"""The tagger of entities: a linear-chain CRF over words, their shapes and their neighbours. This file defines its tokens and
features; local/entities/features.go computes the same, and testdata/entities/tagger.jsonl holds both to the same numbers."""
import unicodedata
import zlib
from functools import lru_cache

from . import tasks

TYPES = tasks.ENTITY_TYPES
LABELS = ["O"] + [f"{p}-{t}" for t in TYPES for p in "BI"]
BEFORE, AFTER = 8, 5  # how far bags of words reach


@lru_cache(maxsize=1 << 16)
def kind(c: str) -> str:
    """'l' letter, 'c' letter of a script without spaces, 'd' digit, 'n' line feed, ' ' space, '.' everything else."""
    if c == "\n":
        return "n"
    if c.isspace():
        return " "
    if "\u3040" <= c <= "\u30ff" or "\u3400" <= c <= "\u9fff" or "\uac00" <= c <= "\ud7af" or c == "々":
        return "c"
    k = unicodedata.category(c)
    return "l" if k[0] in "LM" else "d" if k == "Nd" else "."


def tokens(text: str) -> list[tuple[int, int]]:
    """(start, end) of the tokens: words, single digits, runs of line feeds, any other character."""
    out, i, n = [], 0, len(text)
    while i < n:
        k, j = kind(text[i]), i + 1
        if k in "ln":
            while j < n and kind(text[j]) == k:
                j += 1
        if k != " ":
            out.append((i, j))
        i = j
    return out


@lru_cache(maxsize=1 << 12)
def low(c: str) -> str:
    if c == "İ":
        return "i"
    d = c.lower()
    return d if len(d) == 1 else c


@lru_cache(maxsize=1 << 16)
def lower(word: str) -> str:
    return "".join(map(low, word))


@lru_cache(maxsize=1 << 16)
def shape(word: str) -> str:
    c = word[0]
    k = kind(c)
    if k == "d":
        return "0"
    if k == "n":
        return "n"
    if k == ".":
        return c
    if k == "c":
        return "h" if c <= "\u309f" else "k" if c <= "\u30ff" else "c"
    up = [unicodedata.category(x) in ("Lu", "Lt") for x in word]
    if all(up):
        return "U" if len(word) == 1 else "X"
    if up[0]:
        return "Xx"
    return "x" if unicodedata.category(c) == "Ll" else "o"


def features(text: str, at: list[tuple[int, int]]) -> list[list[str]]:
    """The features of each token, as strings; a feature that is there twice counts once."""
    words = [lower(text[a:b]) for a, b in at]
    words = ["<n>" if w[0] == "\n" else w for w in words]
    shapes = [shape(text[a:b]) for a, b in at]
    n = len(at)
    spelt = [kind(w[0]) in "lc" for w in words]

    def w(j):
        return words[j] if 0 <= j < n else "<>"

    def s(j):
        return shapes[j] if 0 <= j < n else "<>"
    out = []
    for i in range(n):
        f = ["b"]
        for k, d in enumerate((-4, -3, -2, -1, 0, 1, 2, 3)):
            f.append(f"w{k}={w(i + d)}")
            if d >= -3:
                f.append(f"s{k}={s(i + d)}")
        word = words[i]
        for k in (1, 2, 3, 4, 5):
            if len(word) >= k:
                f.append(f"p{k}={word[:k]}")
                f.append(f"q{k}={word[-k:]}")
        for k, d in enumerate((-2, -1, 1, 2)):
            if 0 <= i + d < n:
                f.append(f"P{k}={words[i + d][:4]}")
                f.append(f"Q{k}={words[i + d][-3:]}")
        f.append(f"S={s(i - 2)} {s(i - 1)} {s(i)} {s(i + 1)} {s(i + 2)}")
        f.append(f"T={s(i - 1)} {s(i)} {s(i + 1)}")
        for k, d in enumerate((-2, -1, 0, 1)):
            f.append(f"W{k}={w(i + d)} {w(i + d + 1)}")
        f.append(f"V={w(i - 1)} {word} {w(i + 1)}")
        close = (i > 0 and at[i - 1][1] == at[i][0]), (i + 1 < n and at[i][1] == at[i + 1][0])
        f.append(f"g={close[0]:d}{close[1]:d}")
        seen = set()
        for j in range(i - 1, max(-1, i - 1 - BEFORE), -1):
            if spelt[j] and words[j] not in seen:
                seen.add(words[j])
                f.append("L=" + words[j])
        seen = set()
        for j in range(i + 1, min(n, i + 1 + AFTER)):
            if spelt[j] and words[j] not in seen:
                seen.add(words[j])
                f.append("R=" + words[j])
        out.append(f)
    return out


def labels(text: str, at: list[tuple[int, int]], entities) -> list[str]:
    """A label for each token. Entities are looked for from where the one before ended, then from the start."""
    out, cursor = ["O"] * len(at), 0
    for kind_, s in entities:
        c = text.find(s, cursor)
        if c < 0:
            c = text.find(s)
        if c < 0:
            continue
        cursor = c + len(s)
        mine = [i for i, (a, b) in enumerate(at) if a < cursor and b > c]
        for n, i in enumerate(mine):
            out[i] = ("I-" if n else "B-") + kind_
    return out


def spans(text: str, at, tags) -> list[tuple[str, str]]:
    """The entities that tags stand for."""
    out, begin, of, end = [], None, "", 0
    for (a, b), t in zip([*at, (len(text), len(text))], [*tags, "O"]):
        if begin is not None and t != "I-" + of:
            out.append((of, text[begin:end]))
            begin = None
        if t[0] == "B":
            begin, of = a, t[2:]
        end = b
    return out


def key(feature: str) -> int:
    return zlib.crc32(feature.encode())
