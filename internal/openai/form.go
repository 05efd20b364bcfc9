package openai

import (
	"encoding/json"
	"strconv"

	"github.com/sluice-ai/sluice/internal/llm"
)

// wireForms are the ways to say what an answer is that OpenAI's API does not
// have: vLLM's structured_outputs and its older guided_ fields, and llama.cpp's grammar.
type wireForms struct {
	Structured struct {
		JSON       json.RawMessage `json:"json"` // a schema, or its text
		JSONObject bool            `json:"json_object"`
		Regex      string          `json:"regex"`
		Choice     []string        `json:"choice"`
		Grammar    string          `json:"grammar"`
	} `json:"structured_outputs"`
	GuidedJSON    json.RawMessage `json:"guided_json"`
	GuidedRegex   string          `json:"guided_regex"`
	GuidedChoice  []string        `json:"guided_choice"`
	GuidedGrammar string          `json:"guided_grammar"`
	Grammar       string          `json:"grammar"`
}

// read sets what req's answer is. A schema becomes a response_format; of all
// fields that say what an answer is, only one may be there.
func (w *wireForms) read(req *llm.Request) error {
	var found []string
	schema := func(name string, raw json.RawMessage) error {
		if raw = present(raw); raw == nil {
			return nil
		}
		found = append(found, name)
		var text string
		if json.Unmarshal(raw, &text) == nil {
			if raw = json.RawMessage(text); !json.Valid(raw) {
				return invalid(name, "the schema is not valid JSON")
			}
		}
		format, err := json.Marshal(map[string]any{"type": "json_schema", "json_schema": map[string]any{"name": "schema", "schema": raw}})
		if err != nil {
			return invalid(name, "the schema is not valid JSON")
		}
		req.Format = format
		return nil
	}
	if req.Format != nil && !isText(req.Format) {
		found = append(found, "response_format")
	}
	if err := schema("structured_outputs.json", w.Structured.JSON); err != nil {
		return err
	}
	if err := schema("guided_json", w.GuidedJSON); err != nil {
		return err
	}
	if w.Structured.JSONObject {
		found = append(found, "structured_outputs.json_object")
		req.Format = json.RawMessage(`{"type":"json_object"}`)
	}
	for _, f := range []struct {
		name string
		form llm.Form
	}{
		{"structured_outputs.regex", llm.Form{Regex: w.Structured.Regex}}, {"guided_regex", llm.Form{Regex: w.GuidedRegex}},
		{"structured_outputs.choice", llm.Form{Choice: w.Structured.Choice}}, {"guided_choice", llm.Form{Choice: w.GuidedChoice}},
		{"structured_outputs.grammar", llm.Form{Grammar: w.Structured.Grammar}}, {"guided_grammar", llm.Form{Grammar: w.GuidedGrammar}},
		{"grammar", llm.Form{Grammar: w.Grammar}},
	} {
		if f.form.Regex != "" || f.form.Grammar != "" || len(f.form.Choice) > 0 {
			found = append(found, f.name)
			req.Form = &f.form
		}
	}
	req.Guided = len(found) > 0 && found[0] != "response_format"
	if len(found) > 1 {
		return invalid(found[1], "the request says in two ways what its answer is: "+found[0]+" and "+found[1])
	}
	return nil
}

// isText reports whether a response_format asks for nothing.
func isText(format json.RawMessage) bool {
	var f struct {
		Type string `json:"type"`
	}
	return json.Unmarshal(format, &f) == nil && f.Type == "text"
}

// biases reads logit_bias and logprobs_mode.
func biases(s *llm.Sampling, w *wireRequest) error {
	switch w.LogprobsMode {
	case "", "raw":
	case "masked":
		s.MaskedLogprobs = true
	default:
		return invalid("logprobs_mode", "logprobs_mode must be raw or masked")
	}
	if len(w.LogitBias) > maxBiases {
		return invalid("logit_bias", "logit_bias takes at most "+strconv.Itoa(maxBiases)+" tokens")
	}
	for id, b := range w.LogitBias {
		n, err := strconv.ParseInt(id, 10, 32)
		if err != nil || n < 0 {
			return invalid("logit_bias", "the keys of logit_bias must be token ids")
		}
		if b < -100 || b > 100 {
			return invalid("logit_bias", "a bias must lie between -100 and 100")
		}
		if s.LogitBias == nil {
			s.LogitBias = map[int32]float64{}
		}
		s.LogitBias[int32(n)] = b
	}
	return nil
}

// maxBiases bounds the tokens of logit_bias, as OpenAI does.
const maxBiases = 1024
