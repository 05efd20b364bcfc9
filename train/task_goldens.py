"""Writes testdata/prompts/tasks.jsonl: examples with the prompt and the answer they render to, for Go to agree with."""
import json

from sluice_train.prompt import ROOT
from sluice_train.tasks import answer, segments

WEATHER = {"name": "get_weather", "description": "Current weather in a city.", "parameters": {
    "type": "object", "properties": {"city": {"type": "string", "description": "the city's name"},
                                     "unit": {"type": "string", "enum": ["c", "f"]}}, "required": ["city"]}}
BOOK = {"name": "bookTable", "description": "Reserve a table — für Gäste", "parameters": {
    "type": "object", "properties": {"guests": {"type": "integer"}, "outside": {"type": "boolean"},
                                     "names": {"type": "array", "items": {"type": "string"}},
                                     "deposit": {"type": ["number", "null"]},
                                     "slot": {"type": "object", "properties": {"day": {"type": "string"}}, "required": ["day"]}},
    "required": ["guests", "outside"]}}
NOTHING = {"name": "ping", "parameters": {"type": "object", "properties": {}}}

CASES = [
    ("entities", {"t": "hi its Kezia from the bee group, Dewi is off sick w/ shingles so dont count on him",
                  "e": [["PERSON", "Kezia"], ["PERSON", "Dewi"], ["MEDICAL", "shingles"]]}),
    ("entities", {"t": "Varroa sheets for April and May are due before the 12th.\n\nNo late sheets!", "e": []}),
    ("entities", {"t": "パスワードは「さくら餅77」です。<|im_end|> 宛先: Zoë \"Zo\" O'Hara\\Ng", "e": [
        ["CREDENTIAL_TEXT", "さくら餅77"], ["PERSON", "Zoë \"Zo\" O'Hara\\Ng"]]}),
    ("tools", {"tools": [WEATHER], "m": [["user", "weather in Oslo?"]],
               "calls": [{"name": "get_weather", "arguments": {"city": "Oslo"}}], "ask": None, "say": None}),
    ("tools", {"tools": [WEATHER, BOOK, NOTHING], "m": [["user", "Table for 4 inside, Ann and \"Bo\", friday; and the weather there in Bari, celsius"]],
               "calls": [{"name": "bookTable", "arguments": {"guests": 4, "outside": False, "names": ["Ann", "\"Bo\""], "deposit": None, "slot": {"day": "friday"}}},
                         {"name": "get_weather", "arguments": {"city": "Bari", "unit": "c"}}, {"name": "ping", "arguments": {}}], "ask": None, "say": None}),
    ("tools", {"tools": [BOOK], "m": [["user", "book us outside please"]], "calls": [], "ask": "guests",
               "say": "For how many guests?"}),
    ("tools", {"tools": [WEATHER, BOOK], "m": [["user", "weather in Porto"], ["call", "[get_weather(city=\"Porto\")]"],
                                               ["tool", "{\"temp\": 17.5, \"sky\": \"clear\"}"], ["user", "thanks, do I need a coat?"]],
               "calls": [], "ask": None, "say": "17.5 °C and clear: a light jacket will do."}),
    ("tools", {"tools": [NOTHING], "m": [["user", "hi"], ["assistant", "Hello! What shall I do?"], ["user", "ping it"]],
               "calls": [{"name": "ping", "arguments": {}}], "ask": None, "say": None}),
    ("extraction", {"schema": {"type": "object", "properties": {
        "invoice_no": {"type": "string"}, "total": {"type": "number", "description": "gross, in euro"},
        "status": {"type": "string", "enum": ["open", "paid"]}, "due": {"type": ["string", "null"]},
        "items": {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}, "qty": {"type": "integer"}}, "required": ["name", "qty"]}},
        "tags": {"type": "array", "items": {"type": "string"}}, "note": {"type": "string"}},
        "required": ["invoice_no", "total", "status", "due", "items", "tags"]},
        "t": "Rechnung 4711-B: 2 Körbe, 1 Schaufel; Summe 1.234,50 €. Bezahlt, danke!",
        "v": {"invoice_no": "4711-B", "total": 1234.5, "status": "paid", "due": None,
              "items": [{"name": "Körbe", "qty": 2}, {"name": "Schaufel", "qty": 1}], "tags": []}}),
    ("extraction", {"schema": {"type": "object", "properties": {
        "fournisseur": {"type": "string"}, "adresse": {"type": "object", "properties": {"ville": {"type": "string"}}, "required": ["ville"]},
        "livré": {"type": "boolean"}}, "required": ["fournisseur", "adresse"]},
        "t": "Extrais le fournisseur.\n\nMaison Éclair, \"Les Pins\", Nantes", "v": {"fournisseur": "Maison Éclair, \"Les Pins\"", "adresse": {"ville": "Nantes"}}}),
]

if __name__ == "__main__":
    path = ROOT / "testdata/prompts/tasks.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as f:
        for task, ex in CASES:
            join = lambda s: "".join(t for t, _ in s)
            f.write(json.dumps({"task": task, "example": ex, "prompt": join(segments(task, ex)),
                                "answer": join(answer(task, ex))}, ensure_ascii=False) + "\n")
