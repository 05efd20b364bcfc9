package engine

import (
	"encoding/json"
	"testing"

	"github.com/sluice-ai/sluice/runtime/sample"
)

// Watch reports what the model chose and nothing that its grammar forced, and
// changes no answer.
func TestWatch(t *testing.T) {
	m := openTiny(t, Options{})
	schema := json.RawMessage(`{"type":"object","properties":{"a_long_and_forced_name":{"type":"boolean"}},"required":["a_long_and_forced_name"],"additionalProperties":false}`)
	r := Request{Prompt: []int32{1, 50}, MaxTokens: 100, Schema: schema, Sampling: sample.Config{Temperature: 1, Seed: 3}}
	plain, _, _ := generate(t, m, r)
	r.Watch = true
	watched, tokens, res := generate(t, m, r)
	if plain != watched {
		t.Errorf("answer %q, watched %q", plain, watched)
	}
	for _, tok := range tokens {
		if tok.Logprob > 0 {
			t.Errorf("log-probability %g", tok.Logprob)
		}
	}
	if n := len(tokens); n == 0 || n >= res.CompletionTokens/2 {
		t.Errorf("%d of %d tokens were reported", n, res.CompletionTokens)
	}
	free, tokens, res := generate(t, m, Request{Prompt: []int32{1, 50}, MaxTokens: 10, Watch: true, Sampling: sample.Config{Temperature: 1, Seed: 3}})
	if n := len(tokens); n == 0 || n > res.CompletionTokens {
		t.Errorf("%d of %d tokens of the free answer %q were reported", n, res.CompletionTokens, free)
	}
}
