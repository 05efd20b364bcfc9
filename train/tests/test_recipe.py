"""Quick checks of the recipe: python -m unittest discover -s tests"""
import json
import random
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from sluice_train import augment, bpe, data, export, fit, gguf  # noqa: E402
from sluice_train.frames import Frames  # noqa: E402
from sluice_train.model import LFM2, Config, ShortConv  # noqa: E402
from sluice_train.prompt import PREFIX, ROOT, digest, render, segments  # noqa: E402

TINY = Config(vocab=400, d=64, layers=3, attention=(1,), heads=1, kv_heads=1, ffn=64)


def tiny(seed=0):
    torch.manual_seed(seed)
    return LFM2(TINY).eval()


class Prompt(unittest.TestCase):
    def test_goldens(self):
        for line in (ROOT / "testdata/judge/prompts.jsonl").read_text(encoding="utf-8").rstrip("\n").split("\n"):
            g = json.loads(line)
            self.assertEqual(render(g["request"]), g["prompt"])

    def test_prefix_is_shared(self):
        a, b = (segments({"messages": [{"role": "user", "content": t}]}) for t in ("x", "y"))
        self.assertEqual(a[:len(PREFIX())], b[:len(PREFIX())])

    def test_long_request_is_cut_in_the_middle(self):
        d = digest({"messages": [{"role": "user", "content": "a" * 900 + "b" * 400}]})
        self.assertEqual(d, "[request]\n" + "a" * 800 + "\n[…]\n" + "b" * 400)


class Tokenizer(unittest.TestCase):
    def setUp(self):
        texts = ["the lighthouse keeper's daughter", "Straße, déjà vu, 駅はどこ\n\n  12345", "local extraction cloud maths"]
        self.tok, self.texts = bpe.train(texts, [1, 1, 50], 330), texts

    def test_round_trip(self):
        table = {c: b for b, c in enumerate(bpe.ALPHABET)}
        for t in self.texts + ["never seen: ¿qué? 🙂\t\n "]:
            ids = self.tok.encode(t)
            self.assertEqual(bytes(table[c] for i in ids for c in self.tok.vocab[i]).decode(), t)
            dropped = self.tok.encode(t, random.Random(1), 1.0)
            self.assertEqual(bytes(table[c] for i in dropped for c in self.tok.vocab[i]).decode(), t)

    def test_markers_in_content_stay_text(self):
        self.assertNotIn(7, self.tok.encode("a <|im_end|> b"))
        self.assertIn(7, self.tok.encode_segments([("a", False), ("<|im_end|>", True)]))

    def test_frequent_words_are_whole(self):
        self.assertEqual(len(self.tok.encode("local extraction")), 2)


class Model(unittest.TestCase):
    def test_prefix_state_equals_one_pass(self):
        m, x = tiny(), torch.randint(14, 400, (3, 20))
        x[:, :8] = x[0, :8]
        whole, _ = m(x)
        _, past = m(x[:1, :8])
        rest, _ = m(x[:, 8:], past, 8)
        self.assertLess((whole[:, 8:] - rest).abs().max().item(), 1e-4)

    def test_causal(self):
        m, x = tiny(), torch.randint(14, 400, (1, 20))
        y = x.clone()
        y[0, 15:] = 20
        self.assertLess((m(x)[0][:, :15] - m(y)[0][:, :15]).abs().max().item(), 1e-5)

    def test_short_convolution_by_hand(self):
        c = ShortConv(TINY)
        torch.nn.init.normal_(c.conv)
        u = torch.randn(1, 5, TINY.d)
        b, g, x = (u @ c.in_proj.weight.T).split(TINY.d, -1)  # rows in the order B, C, x
        z = torch.zeros(1, 5, TINY.d)
        for t in range(5):
            for k in range(3):
                if t - 2 + k >= 0:
                    z[:, t] += c.conv[:, k] * b[:, t - 2 + k] * x[:, t - 2 + k]
        self.assertLess((c(u, None, None)[0] - (g * z) @ c.out_proj.weight.T).abs().max().item(), 1e-5)


class File(unittest.TestCase):
    def test_q8_0(self):
        w = np.random.default_rng(0).normal(size=(4, 64)).astype(np.float32)
        back = gguf.unq8_0(gguf.q8_0(w), w.shape)
        self.assertLess(np.abs(w - back).max(), np.abs(w).max() / 127 * 0.51)
        self.assertEqual(gguf.q8_0(np.zeros((1, 32))), bytes(34))

    def test_round_trip(self):
        m, tok = tiny(), bpe.train(["local cloud"] + ["a b c d"], [9, 1], 400)
        tok.vocab += [f"[PAD{i}]" for i in range(len(tok.vocab), 400)]
        with tempfile.TemporaryDirectory() as d:
            export.save(Path(d) / "m.gguf", m, tok, 0.5, -0.25)
            m2, tok2, kv = export.load(Path(d) / "m.gguf")
        self.assertEqual((kv["sluice.judge.scale"], kv["sluice.judge.bias"]), (0.5, -0.25))
        m2.c.eps = round(m2.c.eps, 9)  # an f32 in the file
        self.assertEqual((m2.c, tok2.vocab, tok2.merges), (TINY, tok.vocab, tok.merges))
        x = torch.randint(14, 400, (2, 12))
        self.assertLess((m(x)[0] - m2(x)[0]).abs().max().item(), 0.2)


class Data(unittest.TestCase):
    def test_seeds_are_sound_and_apart_from_the_evaluation_set(self):
        bad = []
        seeds = data.load_seeds(report=lambda s: bad.append(s) if "seeds;" not in s else None)
        self.assertEqual(bad, [])
        held = {h["t"] for h in data.read_jsonl(data.EVAL)} if data.EVAL.exists() else set()
        self.assertFalse([s["t"] for s in seeds if s["t"] in held and len(s["t"]) > 12])
        train, dev = data.split(seeds)
        self.assertFalse({data.key(s) for s in train} & {data.key(s) for s in dev})

    def test_every_frame_expands(self):
        for lang in ("en", "de", "fr", "es", "it"):
            f, rng = Frames(lang, data.DATA), random.Random(0)
            for _, _, templates in f.groups:
                for t in templates:
                    for _ in range(3):
                        self.assertNotIn("{}", f.expand(t, rng))
            for _ in range(200):
                s = f.seed(rng)
                self.assertEqual(data.problem(s), "", s)

    def test_generators_are_seeded(self):
        f = Frames("en", data.DATA)
        one, two = ([augment.vary(r, f.seed(r), [{"t": "x", "l": "en"}]) for _ in range(50)] for r in (random.Random(5), random.Random(5)))
        self.assertEqual(one, two)


class Scores(unittest.TestCase):
    def test_auc(self):
        self.assertEqual(fit.auc([1, 2, 3, 4], [0, 0, 1, 1]), 1)
        self.assertEqual(fit.auc([1, 1, 1, 1], [0, 1, 0, 1]), 0.5)

    def test_calibration_undoes_a_scale(self):
        m = torch.linspace(-3, 3, 200)
        scale, bias = fit.fit_scale((m * 4 + 1).tolist(), m.sigmoid().tolist())
        self.assertAlmostEqual(scale, 0.25, 3)
        self.assertAlmostEqual(bias, -0.25, 3)


if __name__ == "__main__":
    unittest.main()
