"""Examples of entities, tools and extraction, their variants, and the circuits: python -m unittest discover -s tests"""
import random
import sys
import unittest
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from sluice_train import bpe, circuits, forms, items, seeds, tasks, variants  # noqa: E402
from sluice_train.model import LFM2, Config  # noqa: E402

TEXT = "Frau Anneliese Kröger, Hauptstr. 12, schrieb an Oslo Bank. \"Oslo\" again; Anneliese (27.03.1966)"
ENTITY = {"l": "de", "t": "Frau Anneliese Kröger wohnt in Oslo.\nAnneliese Kröger ruft an.",
          "e": [["PERSON", "Anneliese Kröger"], ["LOCATION", "Oslo"], ["PERSON", "Anneliese Kröger"]]}
TOOL = {"l": "en", "tools": [{"name": "book_bed", "parameters": {"type": "object", "properties": {
    "ward": {"type": "string"}, "nights": {"type": "integer"}, "single": {"type": "boolean"}}, "required": ["ward"]}}],
    "m": [["user", "a bed on 7B for 14 nights"]], "calls": [{"name": "book_bed", "arguments": {"ward": "7B", "nights": 14}}], "ask": None, "say": None}
FORM = {"l": "fr", "schema": {"type": "object", "properties": {
    "no": {"type": "string"}, "total": {"type": "number"}, "due": {"type": ["string", "null"]}, "state": {"type": "string", "enum": ["open", "paid"]}},
    "required": ["no", "total", "due", "state"]}, "t": "Facture F-20418, total 1 248,90 €, réglée", "v": {"no": "F-20418", "total": 1248.9, "due": None, "state": "paid"}}


def tokenizer():
    return bpe.train_copy([TEXT, "Anneliese Kröger Oslo Bank schrieb"] * 3, [1] * 6, 305, 0.1)


class Tokens(unittest.TestCase):
    def test_a_word_is_split_alike_everywhere(self):
        tok = tokenizer()
        self.assertLessEqual(len(tok.vocab), 305)
        self.assertEqual(len(tok.vocab), len(set(tok.vocab)))

        def split(text):
            return [tok.vocab[i].lstrip("Ġ") for i in tok.encode(text) if tok.vocab[i].lstrip("Ġ")]
        for frame in ('"{}"', " {}", "({}", "{}", '="{}"', "_{}"):
            got = split(frame.format("Anneliese"))
            self.assertEqual([t for t in got if t.isalpha()], split("Anneliese"), frame)
        self.assertEqual(len(tok.encode("1966")), 4)

    def test_round_trip(self):
        tok = tokenizer()
        table = {c: b for b, c in enumerate(bpe.ALPHABET)}
        for t in (TEXT, 'x{"a": [1, 2]}\n\n  住所'):
            self.assertEqual(bytes(table[c] for i in tok.encode(t) for c in tok.vocab[i]).decode(), t)


class Items(unittest.TestCase):
    def parts(self, task, ex):
        tok = tokenizer()
        i = items.build(tok, task, ex)
        self.assertEqual(len(i.ids) - i.start, len(i.weight))
        free = "".join(tok.vocab[t] for t, w in zip(i.ids[i.start:], i.weight) if w > 0).replace("Ġ", " ")
        return tok, i, bytes({c: b for b, c in enumerate(bpe.ALPHABET)}.get(c, 32) for c in free).decode("utf-8", "replace")

    def test_what_the_grammar_leaves_open(self):
        self.assertEqual(self.parts("extraction", FORM)[2], 'F-20418"1248.9,nullpaid"')
        self.assertEqual(self.parts("tools", TOOL)[2], '<|tool_call_start|>book_bed(7B",nights14,)]<|im_end|>'.replace(",)", ")"))
        self.assertTrue(self.parts("entities", ENTITY)[2].startswith('{"PERSONAnneliese'))

    def test_copies_begin_where_the_text_has_them(self):
        for task, ex, n in (("entities", ENTITY, 3), ("tools", TOOL, 2), ("extraction", FORM, 2)):
            tok, i, _ = self.parts(task, ex)
            copies = [(at, source) for at, source in i.point if i.weight[at + 1 - i.start] == items.BEGIN]
            self.assertEqual(len(copies), n, task)
            for at, source in copies:
                self.assertLess(source, i.start)
                self.assertEqual(tok.vocab[i.ids[at + 1]].lstrip("Ġ"), tok.vocab[i.ids[source]].lstrip("Ġ"))
        _, i, _ = self.parts("entities", ENTITY)
        first = [s for at, s in i.point if i.weight[at + 1 - i.start] == items.BEGIN]
        self.assertEqual(first, sorted(first))  # the second mention is the second place

    def test_entities_are_a_chain(self):
        tok, i, free = self.parts("entities", ENTITY)
        self.assertIn('LOCATION"', free)  # LOCATION_ADDRESS would go on
        begins = dict.fromkeys(s for at, s in i.point if i.weight[at + 1 - i.start] == items.BEGIN)
        before = dict(i.chain)
        turn = [p for p in range(i.start) if tok.vocab[i.ids[p]] == "<|im_start|>"][-2]  # the user's; then the answer's
        want = [turn, *begins]
        for last, here in zip(want, begins):
            self.assertEqual(before[here], last)
        for at, s in i.point:  # of an answer's decisions, those that look at an entity know the one before it
            if s in begins:
                self.assertEqual(before[at], want[list(begins).index(s)])

    def test_the_choices_of_decoding(self):
        for task, ex in (("entities", ENTITY), ("tools", TOOL), ("extraction", FORM)):
            tok, i, _ = self.parts(task, ex)
            for t, allowed in zip(i.ids[i.start:], i.allow):
                self.assertTrue(allowed is None or t in allowed)

    def test_refusals(self):
        tok, i, free = self.parts("tools", TOOL | {"calls": [], "ask": "ward", "say": "Which ward?"})
        self.assertIn("Which ward?", free)
        _, i, free = self.parts("tools", TOOL | {"calls": [], "say": "Hello there!"})
        self.assertTrue(free.startswith("No"))


class Variants(unittest.TestCase):
    def test_every_variant_is_a_usable_example(self):
        rng, tok = random.Random(3), tokenizer()
        for task, ex in (("entities", ENTITY), ("tools", TOOL), ("extraction", FORM)):
            seen = set()
            for _ in range(150):
                v = variants.VARY[task](rng, ex, [ex, ex, ex, ex, ex])
                self.assertEqual(seeds.problem(task, v), "", v)
                seen.add(seeds.text_of(task, v))
                try:
                    items.build(tok, task, v)
                except AssertionError as e:
                    self.fail(f"{v}: {e}")
            self.assertGreater(len(seen), 40, task)

    def test_generated_examples_are_usable(self):
        rng, tok = random.Random(4), tokenizer()
        for task in ("tools", "extraction"):
            points = 0
            for _ in range(100):
                ex = forms.make(rng, task)
                self.assertEqual(seeds.problem(task, ex), "", ex)
                points += len(items.build(tok, task, ex).point)
            self.assertGreater(points, 100)

    def test_seeds_are_checked(self):
        self.assertIn("not in the text", seeds.problem("entities", ENTITY | {"e": [["PERSON", "Nobody"]]}))
        self.assertIn("no such tool", seeds.problem("tools", TOOL | {"tools": []}))


class Circuits(unittest.TestCase):
    def test_an_untrained_network_copies(self):
        torch.manual_seed(0)
        rng = random.Random(0)
        words = ["".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(2, 8))) for _ in range(900)]
        vocab = bpe.SPECIALS + bpe.ALPHABET + list(dict.fromkeys(w for w in words if len(w) > 1))
        model = LFM2(Config(vocab=len(vocab), d=192, layers=6, attention=(1, 4, 5), heads=3, kv_heads=3, ffn=64, theta=1e8)).eval()
        circuits.prepare(model, vocab, 4, 5, (2, 3))
        x = []
        for _ in range(8):
            a = [rng.randrange(280, len(vocab)) for _ in range(100)]
            s = rng.randrange(60)
            x.append(a + a[s:s + 30])
        x = torch.tensor(x)
        with torch.no_grad():
            said = model.logits(model(x)[0])[:, 101:-1].argmax(-1)
        self.assertGreater((said == x[:, 102:]).float().mean().item(), 0.8)

    def test_alike_tokens_have_alike_codes(self):
        e = circuits.codes(["<|pad|>"] * 14 + ["Oslo", "ĠOslo", "oslo", "weather"], 128)
        self.assertGreater(e[14] @ e[15], 0.6)
        self.assertGreater(e[14] @ e[16], 0.5)
        self.assertLess(abs(e[14] @ e[17]), 0.35)


if __name__ == "__main__":
    unittest.main()
