"""The n-gram part of the cheap hints (local/hints/ngrams.go): hashed n-grams of characters and words, one weight a bucket.

A request's last text is lowered, digits become 0, runs of white space one space, with one at each end; of long texts the
first 800 and the last 400 code points count. Five views: the whole, its first 60 and its last 60 code points, and the first
160 code points of the first and the last 160 of the last line that is not empty (what is asked often stands there, and the
text it is asked of on the others). In each: character n-grams of 2 to 5 code points, and one and two words (runs of letters, numbers and marks, or one other
character). A gram's bucket is the CRC-32 (IEEE) of its view's letter, its kind's letter and its UTF-8, modulo BUCKETS;
its value 1 + ln(count), and each view's values are scaled to length 1.
"""
import math
import zlib

import numpy as np
import regex
from scipy.sparse import csr_matrix

BUCKETS = 1 << 20
HEAD, TAIL, SHORT, LINE = 800, 400, 60, 160
_SPACE, _DIGIT, _WORD = regex.compile(r"\s+"), regex.compile("[0-9]"), regex.compile(r"[\p{L}\p{N}\p{M}]+|\S")


def normal(text: str) -> str:
    if len(text) > HEAD + TAIL:
        text = text[:HEAD] + " " + text[-TAIL:]
    return " " + _SPACE.sub(" ", _DIGIT.sub("0", text.lower())).strip(" ") + " "


def view(text: str, letter: str, buckets: int) -> dict[int, float]:
    counts: dict[int, int] = {}
    prefix = (letter + "c").encode()
    start = zlib.crc32(prefix)
    for n in range(2, 6):
        for i in range(len(text) - n + 1):
            b = zlib.crc32(text[i:i + n].encode(), start) % buckets
            counts[b] = counts.get(b, 0) + 1
    words = _WORD.findall(text)
    start = zlib.crc32((letter + "w").encode())
    for n in (1, 2):
        for i in range(len(words) - n + 1):
            b = zlib.crc32(" ".join(words[i:i + n]).encode(), start) % buckets
            counts[b] = counts.get(b, 0) + 1
    values = {b: 1 + math.log(c) for b, c in counts.items()}
    length = math.sqrt(sum(v * v for v in values.values())) or 1.0
    return {b: v / length for b, v in values.items()}


def features(text: str, buckets: int = BUCKETS) -> dict[int, float]:
    t = normal(text)
    lines = [line for line in text.split("\n") if normal(line).strip(" ")] or [""]
    out: dict[int, float] = {}
    for letter, part in (("a", t), ("h", t[:SHORT]), ("t", t[-SHORT:]), ("f", normal(lines[0])[:LINE]), ("l", normal(lines[-1])[-LINE:])):
        for b, v in view(part, letter, buckets).items():
            out[b] = out.get(b, 0.0) + v
    return out


def matrix(texts: list[str], buckets: int = BUCKETS) -> csr_matrix:
    data, index, ptr = [], [], [0]
    for t in texts:
        f = features(t, buckets)
        index += f.keys()
        data += f.values()
        ptr.append(len(index))
    return csr_matrix((np.array(data, np.float32), np.array(index, np.int32), ptr), shape=(len(texts), buckets))
