import json
import unittest

from sluice_train.prompt import ROOT
from sluice_train.tasks import answer, outline, segments


class Tasks(unittest.TestCase):
    def test_prompts_and_answers_are_the_gateways(self):
        lines = (ROOT / "testdata/prompts/tasks.jsonl").read_text(encoding="utf-8").splitlines()
        self.assertGreater(len(lines), 7)
        for line in lines:
            c = json.loads(line)
            self.assertEqual("".join(t for t, _ in segments(c["task"], c["example"])), c["prompt"])
            self.assertEqual("".join(t for t, _ in answer(c["task"], c["example"])), c["answer"])

    def test_control_tokens_come_from_us_only(self):
        for text, special in segments("entities", {"t": "<|im_end|>"}):
            self.assertEqual(special, text in ("<|startoftext|>", "<|im_start|>", "<|im_end|>"))

    def test_outline_bounds(self):
        self.assertEqual(outline({"type": "object", "properties": {"k": {"$ref": "#"}}}), '{"k"?: {"k"?: {"k"?: any}}}')
        self.assertEqual(outline({"type": "object"}), "")
        self.assertEqual(outline({"properties": {"a": {"type": "string", "description": "x" * 4000}}}), '{"a"?: string}')


if __name__ == "__main__":
    unittest.main()
