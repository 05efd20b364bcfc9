package entities

import (
	"encoding/json"

	"github.com/sluice-ai/sluice/local/outline"
	"github.com/sluice-ai/sluice/runtime/chat"
)

// Types are the kinds of entity, in the order of the prompt.
var Types = []string{"PERSON", "LOCATION_ADDRESS", "DATE_OF_BIRTH", "ORGANIZATION", "LOCATION", "MEDICAL", "CREDENTIAL_TEXT"}

// instructions and Schema are what the model is told. train/sluice_train/tasks.py
// has the same, and testdata/prompts/tasks.jsonl holds both to it.
const instructions = "Copy every name of a person, address, birth date, organization, place, illness or treatment of a person, and spelled-out password from the text, in its order."

// Schema is what an answer is held to: a list of {"type", "text"}.
var Schema = json.RawMessage(`{"type":"array","maxItems":64,"items":{"type":"object","properties":{` +
	`"type":{"enum":["PERSON","LOCATION_ADDRESS","DATE_OF_BIRTH","ORGANIZATION","LOCATION","MEDICAL","CREDENTIAL_TEXT"]},` +
	`"text":{"type":"string","minLength":1}},"required":["type","text"],"additionalProperties":false}}`)

// Messages returns the prompt for one piece of text.
func Messages(text string) []chat.Message {
	return []chat.Message{
		{Role: "system", Content: instructions + "\n" + outline.Lead + outline.Of(Schema)},
		{Role: "user", Content: text},
	}
}
