"""Byte-level BPE in the form llama.cpp calls `lfm2`: Llama 3's pre-tokenizer, ignore_merges, ranked merges.

Reference: GPT-2's byte alphabet; the regex is the one of LFM2's tokenizer.json.
"""
import heapq
import json
import random
from collections import Counter, defaultdict
from pathlib import Path

import regex

SPLIT = regex.compile(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")

# ids 0..13 as in LFM2's 65k tokenizer
SPECIALS = ("<|pad|> <|startoftext|> <|endoftext|> <|fim_pre|> <|fim_mid|> <|fim_suf|> <|im_start|> <|im_end|> "
            "<|tool_list_start|> <|tool_list_end|> <|tool_call_start|> <|tool_call_end|> <|tool_response_start|> "
            "<|tool_response_end|>").split()


def byte_alphabet() -> list[str]:
    """byte -> the printable character that stands for it."""
    keep = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table, n = {b: chr(b) for b in keep}, 0
    for b in range(256):
        if b not in table:
            table[b] = chr(256 + n)
            n += 1
    return [table[b] for b in range(256)]


ALPHABET = byte_alphabet()


def pieces(text: str) -> list[str]:
    return ["".join(ALPHABET[b] for b in p.encode()) for p in SPLIT.findall(text)]


def train(texts, weights, size: int) -> "Tokenizer":
    """Learn merges until the vocabulary has `size` entries. Ties are broken by the pair's text, so that the result
    depends on the input alone."""
    words = Counter()
    for text, w in zip(texts, weights):
        for p in pieces(text):
            words[p] += w
    return _merges(words, size)


def _merges(words: Counter, size: int) -> "Tokenizer":
    symbols = [list(p) for p in sorted(words)]
    counts = [words[p] for p in sorted(words)]
    pairs, where = Counter(), defaultdict(set)
    for i, s in enumerate(symbols):
        for pair in zip(s, s[1:]):
            pairs[pair] += counts[i]
            where[pair].add(i)
    heap = [(-c, p) for p, c in pairs.items()]
    heapq.heapify(heap)
    vocab, merges = SPECIALS + ALPHABET, []
    seen = set(vocab)
    while len(vocab) < size and heap:
        c, pair = heapq.heappop(heap)
        if pairs.get(pair, 0) != -c or c == 0:
            if pairs.get(pair, 0) > 0:
                heapq.heappush(heap, (-pairs[pair], pair))
            continue
        merges.append(pair)
        new = pair[0] + pair[1]
        if new not in seen:
            seen.add(new)
            vocab.append(new)
        changed = set()
        for i in where.pop(pair):
            s, j = symbols[i], 0
            for q in zip(s, s[1:]):
                pairs[q] -= counts[i]
                changed.add(q)
            out = []
            while j < len(s):
                if j + 1 < len(s) and (s[j], s[j + 1]) == pair:
                    out.append(new)
                    j += 2
                else:
                    out.append(s[j])
                    j += 1
            symbols[i] = out
            for q in zip(out, out[1:]):
                pairs[q] += counts[i]
                where[q].add(i)
                changed.add(q)
        for q in changed:
            if pairs[q] > 0:
                heapq.heappush(heap, (-pairs[q], q))
    return Tokenizer(vocab, merges)


class Tokenizer:
    def __init__(self, vocab: list[str], merges: list[tuple[str, str]]):
        self.vocab, self.merges = vocab, [tuple(m) for m in merges]
        self.ids = {t: i for i, t in enumerate(vocab)}
        self.rank = {m: i for i, m in enumerate(self.merges)}
        self._cache: dict[str, list[int]] = {}

    def _merge(self, piece: str, rng: random.Random | None = None, drop: float = 0.0) -> list[int]:
        s = list(piece)
        while len(s) > 1:
            best = min((r for j in range(len(s) - 1) if (r := self.rank.get((s[j], s[j + 1]))) is not None
                        and (rng is None or rng.random() >= drop)), default=None)
            if best is None:
                break
            a, b = self.merges[best]
            out, j = [], 0
            while j < len(s):
                if j + 1 < len(s) and s[j] == a and s[j + 1] == b:
                    out.append(a + b)
                    j += 2
                else:
                    out.append(s[j])
                    j += 1
            s = out
        return [self.ids[t] for t in s]

    def piece(self, p: str) -> list[int]:
        ids = self._cache.get(p)
        if ids is None:
            ids = self._cache[p] = [self.ids[p]] if p in self.ids else self._merge(p)  # ignore_merges
        return ids

    def encode(self, text: str, rng: random.Random | None = None, drop: float = 0.0) -> list[int]:
        """Ordinary text only: markers inside it are not special. With rng, BPE-dropout: a share `drop` of the words
        is split by merges of which some are skipped at random."""
        out = []
        for p in pieces(text):
            if rng is not None and len(p) > 2 and rng.random() < drop:
                out += self._merge(p, rng, 0.25)
            else:
                out += self.piece(p)
        return out

    def encode_segments(self, segments) -> list[int]:
        out = []
        for text, special in segments:
            out += [self.ids[text]] if special else self.encode(text)
        return out

    def save(self, path: Path):
        path.write_text(json.dumps({"vocab": self.vocab, "merges": self.merges}, ensure_ascii=False))

    @staticmethod
    def load(path: Path) -> "Tokenizer":
        d = json.loads(Path(path).read_text())
        return Tokenizer(d["vocab"], d["merges"])


LETTERS = regex.compile(r"\p{L}+")
MARKS = ['":', 'Ġ"', 'Ġ{"', '{"', 'ĊĊ', '://', '...', '--', '**', 'Ġ-', 'Ġ(', 'Ġ=', 'Ġ{', 'Ġ[', 'ĠĠ', 'ĠĠĠĠ', '::', '=>', '->', '==']


def train_copy(texts, weights, size: int, spaced: float = 0.3) -> Tokenizer:
    """A vocabulary for copying: a word is split alike wherever it stands. Merges are learnt on runs of letters alone,
    so that neither a quote nor a bracket joins a word, and digits stay single; last come merges of a space with the
    tokens that begin words most often, up to a share `spaced` of the vocabulary, and a few marks."""
    texts = list(texts)
    runs = [" \n".join(LETTERS.findall(t)) for t in texts]
    words = Counter()
    for t, w in zip(runs, weights):
        for p in t.split(" \n"):
            words["".join(ALPHABET[b] for b in p.encode())] += w
    base = _merges(words, size - int(size * spaced) - len(MARKS))
    first = Counter()
    for t, w in zip(texts, weights):
        for m in regex.finditer(r" (\p{L}+)", t):
            first[base.piece("".join(ALPHABET[b] for b in m.group(1).encode()))[0]] += w
    vocab, merges = list(base.vocab), list(base.merges)
    for m in MARKS:
        s, at = list(m), 0
        while len(s) > 1:  # the marks' own parts first
            pair = (s[0], s[1])
            if pair not in merges:
                merges.append(pair)
                if pair[0] + pair[1] not in vocab:
                    vocab.append(pair[0] + pair[1])
            s[:2] = [s[0] + s[1]]
    room = size - len(vocab)
    for i, _ in first.most_common(room):
        merges.append(("Ġ", vocab[i]))
        vocab.append("Ġ" + vocab[i])
    return Tokenizer(vocab, merges)
