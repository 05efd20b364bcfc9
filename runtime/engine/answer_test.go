package engine

import (
	"fmt"
	"slices"
	"testing"

	"github.com/sluice-ai/sluice/runtime/sample"
	"github.com/sluice-ai/sluice/runtime/tokenizer"
)

// What becomes of tokens: text in order, control tokens left out but for the
// markers of calls, text that may be a stop string held back together with its
// tokens, and what lies behind a stop string dropped.
func TestAnswer(t *testing.T) {
	m := openTiny(t, Options{})
	tests := []struct {
		name string
		text string // of the tokens, with control tokens
		stop []string
		want []string // chunks: text, a slash, the tokens that are complete with it
	}{
		{"plain", " the people", nil, []string{` the/" the"`, ` people/" people"`}},
		{"control", " the<|im_start|> people", nil, []string{` the/" the"`, `/"<|im_start|>"`, ` people/" people"`}},
		{"marker", "<|tool_call_start|> the", nil, []string{`<|tool_call_start|>/"<|tool_call_start|>"`, ` the/" the"`}},
		{"rune", "é<|im_start|>", nil, []string{`/"\xc3"`, `é/"\xa9"`, `/"<|im_start|>"`}},
		{"held-and-flushed", " the people know", []string{"know the"}, []string{` the/" the"`, ` people/" people"`, ` /`, `know/" know"`}},
		{"held-then-passed", " the people", []string{"the world"}, []string{` /`, `the people/" the" " people"`}},
		{"stopped-inside", " the people know", []string{"eople"}, []string{` th/`, `e p/" the" " people"`}},
		{"stopped-across", " the people know", []string{"he peo"}, []string{` t/`, `/" the"`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			smp, err := sample.New(sample.Config{}, m.net.Vocab, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := smp.Sample(make([]float32, m.net.Vocab)); err != nil {
				t.Fatal(err)
			}
			var got []string
			a := &answer{m: m, r: &Request{Logprobs: true}, smp: smp, text: m.tok.NewStream(false), stop: stopper{stops: tt.stop}}
			emit := func(c Chunk) error {
				s := c.Text + "/"
				for i, tok := range c.Tokens {
					if i > 0 {
						s += " "
					}
					s += fmt.Sprintf("%q", tok.Bytes)
				}
				got = append(got, s)
				return nil
			}
			stopped := false
			for _, id := range m.tok.Encode(nil, tt.text, tokenizer.Options{ParseSpecial: true}) {
				if stopped = a.add(id); stopped {
					break
				}
			}
			if !stopped {
				a.finish()
			}
			if err := a.emit(emit); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("chunks %q, want %q", got, tt.want)
			}
		})
	}
}
