package openai

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/internal/llm"
)

func TestForms(t *testing.T) {
	const schema = `{"type":"object","properties":{"a":{"type":"integer"}}}`
	format := `{"json_schema":{"name":"schema","schema":` + schema + `},"type":"json_schema"}`
	tests := []struct{ name, more, format, form, bad string }{
		{"none", `"response_format":{"type":"text"}`, `{"type":"text"}`, "", ""},
		{"text-and-a-form", `"response_format":{"type":"text"},"guided_regex":"a+"`, `{"type":"text"}`, "{a+ [] }", ""},
		{"regex", `"structured_outputs":{"regex":"a+"}`, "", "{a+ [] }", ""},
		{"choice", `"structured_outputs":{"choice":["yes","no"]}`, "", "{ [yes no] }", ""},
		{"grammar", `"structured_outputs":{"grammar":"root ::= [a]"}`, "", "{ [] root ::= [a]}", ""},
		{"json", `"structured_outputs":{"json":` + schema + `}`, format, "", ""},
		{"json-as-text", `"guided_json":"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"}}}"`, format, "", ""},
		{"object", `"structured_outputs":{"json_object":true}`, `{"type":"json_object"}`, "", ""},
		{"older-names", `"guided_choice":["yes","no"]`, "", "{ [yes no] }", ""},
		{"llama.cpp", `"grammar":"root ::= [a]"`, "", "{ [] root ::= [a]}", ""},
		{"null", `"guided_json":null,"structured_outputs":null`, "", "", ""},
		{"two-ways", `"guided_regex":"a","grammar":"root ::= [a]"`, "", "", "grammar"},
		{"with-a-format", `"response_format":{"type":"json_object"},"guided_regex":"a"`, "", "", "guided_regex"},
		{"no-schema", `"guided_json":"nope"`, "", "", "guided_json"},
		{"bad-type", `"guided_regex":5`, "", "", "guided_regex"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			req, err := ParseRequest([]byte(`{"model":"a","messages":[{"role":"user","content":"SECRET"}],` + tt.more + `}`))
			if e, ok := err.(*llm.Error); tt.bad != "" && (!ok || e.Param != tt.bad || strings.Contains(e.Msg, "SECRET")) || tt.bad == "" && err != nil {
				t.Fatalf("error %v, want one about %q", err, tt.bad)
			}
			if err != nil {
				return
			}
			form := ""
			if req.Form != nil {
				form = fmt.Sprint(*req.Form)
			}
			if req.Guided != (form != "" || strings.Contains(tt.more, "json") && tt.name != "null") {
				t.Errorf("guided: %v", req.Guided)
			}
			if string(req.Format) != tt.format || form != tt.form {
				t.Errorf("format %s, form %s", req.Format, form)
			}
		})
	}
}

func TestBiases(t *testing.T) {
	parse := func(more string) (*llm.Request, error) {
		return ParseRequest([]byte(`{"model":"a","messages":[{"role":"user","content":"x"}],` + more + `}`))
	}
	req, err := parse(`"logit_bias":{"5":-100,"17":2.5},"logprobs_mode":"masked"`)
	if err != nil || fmt.Sprint(req.Sampling.LogitBias) != "map[5:-100 17:2.5]" || !req.Sampling.MaskedLogprobs {
		t.Errorf("%+v, %v", req, err)
	}
	for _, bad := range []string{`"logit_bias":{"word":1}`, `"logit_bias":{"-1":1}`, `"logit_bias":{"5":101}`, `"logit_bias":{"5":"x"}`, `"logit_bias":[1]`} {
		if e, ok := second(parse(bad)).(*llm.Error); !ok || !strings.HasPrefix(e.Param, "logit_bias") {
			t.Errorf("%s: %v", bad, e)
		}
	}
	if e, ok := second(parse(`"logprobs_mode":"cooked"`)).(*llm.Error); !ok || e.Param != "logprobs_mode" {
		t.Errorf("logprobs_mode: %v", e)
	}
}

func second(_ *llm.Request, err error) error { return err }
