import unittest

from sluice_train import tagger


class Tagger(unittest.TestCase):
    TEXT = "Dr. Zoë Ng, 12 Elm St\n\nOslo 東京 İ²"

    def test_tokens(self):
        got = [self.TEXT[a:b] for a, b in tagger.tokens(self.TEXT)]
        self.assertEqual(got, ["Dr", ".", "Zoë", "Ng", ",", "1", "2", "Elm", "St", "\n\n", "Oslo", "東", "京", "İ", "²"])

    def test_labels_and_spans(self):
        at = tagger.tokens(self.TEXT)
        want = [("PERSON", "Zoë Ng"), ("LOCATION_ADDRESS", "12 Elm St"), ("LOCATION", "Oslo"), ("LOCATION", "東京")]
        tags = tagger.labels(self.TEXT, at, want)
        self.assertEqual(tags[2:4], ["B-PERSON", "I-PERSON"])
        self.assertEqual(tagger.spans(self.TEXT, at, tags), want)

    def test_spans_end_at_another_beginning(self):
        at = tagger.tokens("Ann Bob")
        self.assertEqual(tagger.spans("Ann Bob", at, ["B-PERSON", "B-PERSON"]), [("PERSON", "Ann"), ("PERSON", "Bob")])

    def test_a_repeated_name_is_found_in_order(self):
        text = "Ann and Ann"
        at = tagger.tokens(text)
        self.assertEqual(tagger.labels(text, at, [("PERSON", "Ann"), ("PERSON", "Ann")]), ["B-PERSON", "O", "B-PERSON"])

    def test_shapes(self):
        self.assertEqual([tagger.shape(w) for w in ("A", "AB", "Ab", "ab", "7", "ひ", "カ", "京", ";", "aB")], ["U", "X", "Xx", "x", "0", "h", "k", "c", ";", "x"])

    def test_features_look_around(self):
        at = tagger.tokens("to Ann, please")
        f = tagger.features("to Ann, please", at)[1]
        for want in ("w4=ann", "w3=to", "s4=Xx", "p2=an", "q3=ann", "L=to", "R=please", "g=01", "V=to ann ,"):
            self.assertIn(want, f)


if __name__ == "__main__":
    unittest.main()
