package pii

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sluice-ai/sluice/internal/llm"
)

// finder recognises these names, wherever they stand.
func finder(names ...string) Recognizer {
	return func(ctx context.Context, text string) (found []llm.Finding, err error) {
		for i := range text {
			for _, n := range names {
				if strings.HasPrefix(text[i:], n) {
					start := utf8.RuneCountInString(text[:i])
					found = append(found, llm.Finding{Type: "PERSON", Start: start, End: start + utf8.RuneCountInString(n), Score: 0.9, By: "tagger"})
				}
			}
		}
		return found, ctx.Err()
	}
}

// through returns body as a cloud target would see it, with PERSON_* for each name, and checks that answers get the names back.
func through(t *testing.T, in *Inspector, body string) (string, []llm.Finding) {
	t.Helper()
	req := &llm.Request{ID: "dec_1", Body: []byte(body)}
	fs, err := in.Inspect(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	out, r, err := in.Redact(req, fs, append(Types(), Shapeless...))
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid(out) {
		t.Fatalf("redacted to %s", out)
	}
	var was, is any
	body = strings.NewReplacer(`\\u00e9`, "é", `\\u00f4`, "ô").Replace(body) // JSON within a text is written anew
	if json.Unmarshal([]byte(body), &was) != nil || json.Unmarshal([]byte(r.(*Restorer).Text(string(out))), &is) != nil {
		t.Fatalf("restored from %s is no JSON", out)
	}
	if !reflect.DeepEqual(was, is) {
		t.Errorf("restored to %v", is)
	}
	return masked(string(out)), fs
}

// masked returns s with the issued part of each placeholder as stars.
func masked(s string) string {
	out := []byte(s)
	for _, p := range placeholders(out) {
		runes := []rune(string(out))
		for k := p[1] - tokenLen; k < p[1]; k++ {
			runes[k] = '*'
		}
		out = []byte(string(runes))
	}
	return strings.ReplaceAll(string(out), strings.Repeat("*", tokenLen), "*")
}

func TestRecognize(t *testing.T) {
	for _, tt := range []struct{ name, find, body, want string }{
		{"chat", "Zoë Ng", `{"messages":[{"role":"user","content":"É, \u0041sk Zoë Ng."}]}`, `{"messages":[{"role":"user","content":"É, \u0041sk PERSON_*."}]}`},
		{"parts", "Zoë Ng", `{"messages":[{"role":"user","content":[{"type":"text","text":"to Zoë Ng"}]}]}`, `{"messages":[{"role":"user","content":[{"type":"text","text":"to PERSON_*"}]}]}`},
		{"pattern-inside", "Ann 123-45-6789 of Rye", `{"messages":[{"role":"user","content":"is Ann 123-45-6789 of Rye in"}]}`,
			`{"messages":[{"role":"user","content":"is PERSON_* US_SSN_* PERSON_* in"}]}`},
		{"pattern-around", "Marta", `{"messages":[{"role":"user","content":"to Marta@example.org"}]}`, `{"messages":[{"role":"user","content":"to EMAIL_*"}]}`},
		{"placeholder", "PERSON_7K3F9Q2M4T8X and Bob", `{"messages":[{"role":"user","content":"PERSON_7K3F9Q2M4T8X and Bob"}]}`,
			`{"messages":[{"role":"user","content":"PERSON_* PERSON_*"}]}`},
		{"json-escapes", "Jérôme Ng", `{"messages":[{"role":"tool","tool_call_id":"c","content":"{\"to\":\"J\\u00e9r\\u00f4me Ng\"}"}]}`,
			`{"messages":[{"role":"tool","tool_call_id":"c","content":"{\"to\":\"PERSON_*\"}"}]}`},
		{"json-syntax", `Ng","b":"Bo`, `{"messages":[{"role":"tool","tool_call_id":"c","content":"{\"a\":\"Ng\",\"b\":\"Bo\"}"}]}`,
			`{"messages":[{"role":"tool","tool_call_id":"c","content":"{\"a\":\"PERSON_*\",\"PERSON_*\":\"PERSON_*\"}"}]}`},
		{"dialect-words", "function", `{"tools":[{"type":"function","function":{"name":"function"}}],"messages":[{"role":"user","content":"it is function"}]}`,
			`{"tools":[{"type":"function","function":{"name":"function"}}],"messages":[{"role":"user","content":"it is PERSON_*"}]}`},
		{"tool-names", "Bob", `{"messages":[{"role":"user","name":"Bob","content":"hi Bob"},{"role":"assistant","tool_calls":[{"id":"Bob","type":"function","function":{"name":"Bob","arguments":"{}"}}]}]}`,
			`{"messages":[{"role":"user","name":"Bob","content":"hi PERSON_*"},{"role":"assistant","tool_calls":[{"id":"Bob","type":"function","function":{"name":"Bob","arguments":"{}"}}]}]}`},
		{"tool-input", "Zoë Ng", `{"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"c","name":"note","input":{"detail":"Zoë Ng"}}]}]}`,
			`{"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"c","name":"note","input":{"detail":"PERSON_*"}}]}]}`},
		{"links", "Zoë Ng", `{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://example.org/Zoë Ng.png"}}]}]}`,
			`{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://example.org/Zoë Ng.png"}}]}]}`},
		{"elsewhere", "Zoë Ng", `{"model":"Zoë Ng","metadata":{"by":"Zoë Ng"},"text":{"format":"Zoë Ng"},"input":"of Zoë Ng"}`,
			`{"model":"Zoë Ng","metadata":{"by":"Zoë Ng"},"text":{"format":"Zoë Ng"},"input":"of PERSON_*"}`},
		{"prediction", "Zoë Ng", `{"messages":[],"prediction":{"type":"content","content":"Dear Zoë Ng"}}`, `{"messages":[],"prediction":{"type":"content","content":"Dear PERSON_*"}}`},
		{"blob", "AAAA", `{"messages":[{"role":"user","content":"` + strings.Repeat("AAAA", 40) + `"}]}`, `{"messages":[{"role":"user","content":"` + strings.Repeat("AAAA", 40) + `"}]}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, fs := through(t, newTest(t, Config{Recognize: finder(tt.find)}), tt.body)
			if got != tt.want {
				t.Errorf("got  %s\nwant %s\nfound %+v", got, tt.want, fs)
			}
		})
	}
}

// Findings of both kinds are ordered, and carry what was found how.
func TestRecognizeOrder(t *testing.T) {
	in := newTest(t, Config{Recognize: finder("Zoë Ng", "Bobby")})
	fs, err := in.Inspect(t.Context(), &llm.Request{Body: []byte(`{"text":"a@example.org, ask Zoë Ng or Bobby"}`)})
	if err != nil {
		t.Fatal(err)
	}
	want := []llm.Finding{
		{Type: Email, Path: "/text", Start: 0, End: 13, Score: 1, By: byPattern},
		{Type: "PERSON", Path: "/text", Start: 19, End: 25, Score: 0.9, By: "tagger"},
		{Type: "PERSON", Path: "/text", Start: 29, End: 34, Score: 0.9, By: "tagger"},
	}
	if !slices.Equal(fs, want) {
		t.Errorf("found %+v, want %+v", fs, want)
	}
}

// A request that ends while it is read is not taken for one without names.
func TestRecognizeCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	in := newTest(t, Config{Recognize: func(ctx context.Context, _ string) ([]llm.Finding, error) {
		cancel()
		return nil, ctx.Err()
	}})
	_, err := in.Inspect(ctx, &llm.Request{Body: []byte(`{"messages":[{"role":"user","content":"Zoë"}]}`)})
	var e *llm.Error
	if !errors.As(err, &e) || e.Kind != llm.Canceled {
		t.Errorf("the error is %v", err)
	}
}

// A name and an address in each of many lines: time should grow as their number, not as its square.
func BenchmarkRecognizeMany(b *testing.B) {
	const line = "Marta, mail q1@example.org; "
	for _, n := range []int{1000, 10000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			in, err := New(Config{Recognize: func(_ context.Context, text string) (found []llm.Finding, _ error) {
				for at := 0; at < len(text); at += len(line) {
					found = append(found, llm.Finding{Type: "PERSON", Start: at, End: at + 5})
				}
				return found, nil
			}})
			if err != nil {
				b.Fatal(err)
			}
			req := &llm.Request{ID: "x", Body: []byte(`{"input":"` + strings.Repeat(line, n) + `"}`)}
			b.SetBytes(int64(len(req.Body)))
			for b.Loop() {
				fs, err := in.Inspect(b.Context(), req)
				if err != nil || len(fs) != 2*n {
					b.Fatalf("%d findings: %v", len(fs), err)
				}
				if _, _, err := in.Redact(req, fs, []string{"PERSON", Email}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
