"""Which tokens may come next inside a string that is copied from a text: what the gateway's decoding allows for such a model
(runtime/grammar, verbatim strings), computed alike, so that the network is trained on the choices it will have.

A copied string is the JSON form of a piece of the text that begins and ends at a border: not inside a word or a number.
"""
import json
import unicodedata
from functools import lru_cache

import regex

from .bpe import ALPHABET, Tokenizer, pieces

BYTES = {c: b for b, c in enumerate(ALPHABET)}


UNSPACED = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}]")


@lru_cache(maxsize=20000)
def kind(c: str) -> str:
    """L letter, D digit, C of a script written without spaces, S white space, O anything else."""
    if c.isspace():
        return "S"
    if c in "ーｰ" or UNSPACED.match(c):
        return "C"
    k = unicodedata.category(c)
    return "L" if k[0] in "LM" or k == "Nl" else "D" if k[0] == "N" else "O"


@lru_cache(maxsize=50000)
def escaped(c: str) -> str:
    """The character's JSON form, a byte a character of ALPHABET."""
    return "".join(ALPHABET[b] for b in json.dumps(c, ensure_ascii=False)[1:-1].encode())


class Pieces:
    """The pieces of some texts, for one tokenizer."""

    def __init__(self, tok: Tokenizer, texts: list[str]):
        if not hasattr(tok, "begun"):
            tok.begun = {t[:n] for t in tok.vocab for n in range(1, len(t) + 1)}
        self.tok, out, self.begins, self.ends, at = tok, [], [], set(), 0
        self.own: dict[int, int] = {}  # place -> the token that stands there when the text is tokenised
        for text in (t.rstrip() for t in texts):
            before = "S"
            self._tokenise(text, at)
            for c in text:
                k = kind(c)
                if k != "S" and (before != k or k in "CO"):
                    self.begins.append(at)
                if before != "S" and (before != k or before in "CO"):
                    self.ends.add(at)
                e = escaped(c)
                out.append(e)
                at += len(e)
                before = k
            if before != "S":
                self.ends.add(at)
            out.append("\0")  # in no token
            at += 1
        self.text = "".join(out)
        self.first = self._at(self.begins)

    def _tokenise(self, text: str, at: int):
        for p in pieces(text):
            for i in self.tok.piece(p):
                t = self.tok.vocab[i]
                n = sum(len(escaped(chr(b))) if (b := BYTES[c]) < 128 else 1 for c in t)
                if n == len(t):  # nothing in it is escaped
                    self.own[at] = i
                    if t[0] == "Ġ" and t[1:] in self.tok.ids:
                        self.own[at + 1] = self.tok.ids[t[1:]]
                at += n

    def _at(self, places) -> set[int]:
        """Tokens that stand at one of the places: the one that the text is tokenised with and its beginnings that end at a border, or all
        where that is not known."""
        got, text, ids, begun = set(), self.text, self.tok.ids, self.tok.begun
        for p in places:
            if p in self.own:
                got.add(own := self.own[p])
                for n in range(p + 1, p + len(self.tok.vocab[own])):
                    if n in self.ends and text[p:n] in ids:
                        got.add(ids[text[p:n]])
                continue
            n = p + 1
            while (t := text[p:n]) in begun and n <= len(text):
                if t in ids:
                    got.add(ids[t])
                n += 1
        return got

    def next(self, said: str) -> set[int]:
        """Tokens that may follow when `said` (bytes as in ALPHABET) has been written of a string."""
        if not said:
            return self.first
        places = [p + len(said) for p in self.begins if self.text.startswith(said, p)]
        got = self._at(places)
        if any(p in self.ends for p in places):
            got.add(self.tok.ids['"'])
        return got
