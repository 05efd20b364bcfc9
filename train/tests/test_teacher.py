import random
import unittest

from sluice_train import teacher

EASY = ["Fix the grammar in this sentence number {}.", "Extract the date from note {}.", "Translate line {} into French."]
HARD = ["Prove theorem {} in full generality.", "Design a distributed database with {} shards.", "Plan a merger of {} companies."]
SEEDS = [{"t": f.format(f"{w}{n}"), "p": p, "k": "chat", "l": "en"} for p, forms in ((0.95, EASY), (0.05, HARD))
         for f in forms for n, w in enumerate("ab cd ef gh ij kl mn op".split())]


class TestTeacher(unittest.TestCase):
    def test_it_learns_what_words_say(self):
        t = teacher.Teacher(SEEDS)
        z = t.logits([{"t": "Please fix the grammar."}, {"t": "Prove the theorem."}], [None, None])
        self.assertGreater(z[0], 0)
        self.assertLess(z[1], 0)

    def test_a_seed_is_judged_by_a_model_that_has_not_seen_it(self):
        t = teacher.Teacher(SEEDS)
        s = SEEDS[0]
        z = t.logits([s] * (1 + teacher.FOLDS), [teacher.fold(s)] + list(range(teacher.FOLDS)))
        self.assertEqual(z[0], z[1 + teacher.fold(s)])

    def test_first_words_have_a_column_of_their_own(self):
        ids = [[9, 8, 5] + [20 + i % 7 for i in range(20)] + [5], [9, 8, 6] + [20 + i % 7 for i in range(20)] + [6]] * 4
        seeds = [{"t": "", "p": p, "k": "chat"} for p in (0.95, 0.05)] * 4
        for s, k in zip(seeds, ("chat", "maths") * 4):
            s["k"] = k
        t = teacher.token_table(seeds, ids, [9, 8], 30)
        self.assertGreater(t[5, 0], 0)
        self.assertLess(t[6, 0], 0)
        self.assertGreater(t[5, 1], 0)  # 5 stands at the beginning too
        self.assertEqual(t[29].tolist(), [0.0] * t.shape[1])  # never seen

    def test_twins_share_a_fold(self):
        a, b = {"t": "Why did my cluster split?"}, {"t": "why did my cluster explode, again"}
        self.assertEqual(teacher.fold(a), teacher.fold(b))

    def test_splices_are_seeded_and_have_text(self):
        by = {"en": SEEDS}
        one = [teacher.splice(random.Random(i), by, ["en"]) for i in range(50)]
        two = [teacher.splice(random.Random(i), by, ["en"]) for i in range(50)]
        self.assertEqual(one, two)
        self.assertTrue(all(s["t"].strip() for s in one))
        self.assertGreater(len({len(s["t"]) // 40 for s in one}), 3)  # short ones and long ones


if __name__ == "__main__":
    unittest.main()
