import unittest

from sluice_train import bpe, verbatim

TEXTS = ["Call Ann-Marie O'Neill, 12 Elm Rd, about the 5kg box. She said \"no\".\nThanks", "田中さんは東京にいます。"]


def names(tok, ids):
    return {bytes(verbatim.BYTES[c] for c in tok.vocab[i]).decode("utf-8", "replace") for i in ids}


class Pieces(unittest.TestCase):
    def setUp(self):
        self.tok = bpe.train_copy(TEXTS * 20, [1] * 40, 420)
        self.pieces = verbatim.Pieces(self.tok, TEXTS)

    def said(self, text):
        return "".join(bpe.ALPHABET[b] for b in text.encode())

    def test_begins(self):
        first = names(self.tok, self.pieces.first)
        self.assertTrue({"5", "k"} <= {w[:1] for w in first})  # a digit and a letter have a border between them
        self.assertFalse(any(w.startswith(" ") for w in first))

    def test_inside_a_word(self):
        got = names(self.tok, self.pieces.next(self.said("O'Nei")))
        self.assertTrue(got)
        self.assertNotIn('"', got)

    def test_at_a_border(self):
        self.assertIn('"', names(self.tok, self.pieces.next(self.said("Elm"))))
        self.assertNotIn('"', names(self.tok, self.pieces.next(self.said("El"))))
        self.assertIn('"', names(self.tok, self.pieces.next(self.said("田中"))))  # a script without spaces
        self.assertIn('"', names(self.tok, self.pieces.next(self.said('said \\"no\\".\\nThanks'))))

    def test_not_there(self):
        self.assertEqual(self.pieces.next(self.said("Bob")), set())


if __name__ == "__main__":
    unittest.main()
