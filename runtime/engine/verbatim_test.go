package engine

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/runtime/chat"
	"github.com/sluice-ai/sluice/runtime/sample"
	"github.com/sluice-ai/sluice/runtime/synth"
	"github.com/sluice-ai/sluice/runtime/tokenizer"
)

// Whatever the weights, free strings are pieces of the texts, in JSON and in calls,
// and the answer is the same with and without guessed tokens.
func TestVerbatim(t *testing.T) {
	m, plain := openTiny(t, Options{}), openTiny(t, Options{DisableDrafts: true})
	texts := []string{"Ship 3 \"Blue\" lamps to Ana Ng,\nRua do Ouro 17.", "", "Bern\n"}
	joined := strings.Join(texts, "\x00")
	schema := json.RawMessage(`{"type":"object","properties":{"who":{"type":"string"},"what":{"type":"array","items":{"type":"string","minLength":1},"maxItems":2},"kind":{"enum":["made up","other"]},"code":{"type":"string","pattern":"^[0-9]{3}$"}},"required":["who","what","kind","code"]}`)
	tools := []json.RawMessage{json.RawMessage(`{"name":"send","parameters":{"type":"object","properties":{"to":{"type":"string"},"kind":{"enum":["parcel","letter"]}},"required":["to","kind"]}}`)}
	seen := map[string]bool{}
	check := func(where, s string) {
		t.Helper()
		if seen[s] = true; s == "" || !strings.Contains(joined, s) || strings.TrimSpace(s) != s {
			t.Errorf("%s: %q is no piece", where, s)
		}
	}
	for seed := range uint64(20) {
		r := Request{Prompt: []int32{1, 50}, MaxTokens: 300, Schema: schema, Verbatim: texts, Sampling: sample.Config{Temperature: 1, Seed: seed}}
		text, _, res := generate(t, m, r)
		var f struct {
			Who, Kind, Code string
			What            []string
		}
		if err := json.Unmarshal([]byte(text), &f); err != nil || res.Invalid != nil || res.Finish != "stop" || len(f.Code) != 3 {
			t.Fatalf("%q: %v, %+v", text, err, res)
		}
		for _, s := range append(f.What, f.Who) {
			check(text, s)
		}
		if again, _, _ := generate(t, plain, r); again != text {
			t.Errorf("with guessed tokens %q, without %q", text, again)
		}
		r.Schema, r.Tools, r.Calls = nil, tools, &Calls{Required: true, Single: true}
		text, _, res = generate(t, m, r)
		out := chat.Parse(text, chat.ParserOptions{})
		if len(out.Calls) != 1 || res.Invalid != nil {
			t.Fatalf("%q: %+v", text, res)
		}
		var args struct{ To, Kind string }
		if err := json.Unmarshal(out.Calls[0].Arguments, &args); err != nil || args.Kind != "parcel" && args.Kind != "letter" {
			t.Errorf("%q: %v", text, err)
		}
		check(text, args.To)
	}
	if len(seen) < 20 {
		t.Errorf("only %d different strings", len(seen))
	}
	for _, none := range [][]string{nil, {}, {" ", ""}} {
		text, _, _ := generate(t, m, Request{Prompt: []int32{1, 50}, MaxTokens: 40, Schema: json.RawMessage(`{"type":"string"}`), Verbatim: none, Sampling: sample.Config{Temperature: 1, Seed: 1}})
		if len(text) < 5 || strings.Contains(joined, text[1:5]) {
			t.Errorf("%q: strings are not free without texts", text)
		}
	}
}

// A model that says sluice.verbatim writes pieces in the tokens of their texts, another
// in any; guessed and forced tokens make no difference.
func TestVerbatimTokens(t *testing.T) {
	const text = "Our people know the water system; other people know the number of every small school."
	own := map[int32]bool{}
	schema := json.RawMessage(`{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"string"}},"required":["a","b"]}`)
	for _, flagged := range []bool{true, false} {
		var b bytes.Buffer
		if err := synth.Write(&b, synth.Config{Size: "tiny", Type: "f32", Seed: 1, Verbatim: flagged}, nil); err != nil {
			t.Fatal(err)
		}
		var models []*Model
		for _, o := range []Options{{Threads: 1}, {Threads: 1, DisableDrafts: true}} {
			m, err := OpenBytes("tiny", b.Bytes(), o)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = m.Close() })
			models = append(models, m)
		}
		for _, id := range models[0].tok.Encode(nil, text, tokenizer.Options{}) {
			own[id] = true
		}
		others, spaced := 0, 0
		for seed := range uint64(12) {
			r := Request{Prompt: []int32{1, 50}, MaxTokens: 300, Schema: schema, Verbatim: []string{text}, Sampling: sample.Config{Temperature: 1, Seed: seed}}
			answer, _, res := generate(t, models[0], r)
			var f struct{ A, B string }
			if err := json.Unmarshal([]byte(answer), &f); err != nil || res.Invalid != nil || !strings.Contains(text, f.A) || !strings.Contains(text, f.B) {
				t.Fatalf("%q: %v, %+v", answer, err, res)
			}
			if again, _, _ := generate(t, models[1], r); again != answer {
				t.Errorf("with guessed tokens %q, without %q", answer, again)
			}
			r.Logprobs = true
			_, tokens, _ := generate(t, models[0], r)
			for _, id := range tokens {
				if len(id.Bytes) > 0 && id.Bytes[0] == ' ' && strings.Contains(text, string(id.Bytes)) {
					if spaced++; !own[id.ID] && len(id.Bytes) > 1 {
						others++
					}
				}
			}
		}
		if spaced == 0 || flagged == (others > 0) {
			t.Errorf("flagged %v: of %d tokens that begin with a space %d are not the text's", flagged, spaced, others)
		}
	}
}

func TestVerbatimInfo(t *testing.T) {
	if openTiny(t, Options{}).Info().Verbatim {
		t.Error("a file that says nothing copies")
	}
	var b bytes.Buffer
	if err := synth.Write(&b, synth.Config{Size: "tiny", Verbatim: true}, nil); err != nil {
		t.Fatal(err)
	}
	m, err := OpenBytes("copies", b.Bytes(), Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	if !m.Info().Verbatim {
		t.Error("sluice.verbatim is not read")
	}
}
