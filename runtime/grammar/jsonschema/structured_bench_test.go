package jsonschema_test

import (
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/runtime/engine"
	"github.com/sluice-ai/sluice/runtime/sample"
	"github.com/sluice-ai/sluice/runtime/tokenizer"
)

var (
	structuredModel   = flag.String("structured-model", "", "a GGUF for BenchmarkStructured")
	structuredThreads = flag.Int("structured-threads", 2, "its threads")
)

// BenchmarkStructured writes documents of a typical extraction schema and, for
// comparison, as many tokens without it. Documents and tokens a second are those
// of decoding; forced is the share of tokens that the grammar left no choice about.
// bench/peers/grammar.mjs does the same with llama.cpp.
func BenchmarkStructured(b *testing.B) {
	if *structuredModel == "" {
		b.Skip("no -structured-model")
	}
	schema, err := os.ReadFile("../../../bench/peers/grammar.schema.json")
	if err != nil {
		b.Fatal(err)
	}
	m, err := engine.Open(*structuredModel, engine.Options{Threads: *structuredThreads, Context: 1024})
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	m.Prepare()
	prompt := m.Tokenizer().Encode([]int32{1}, "Extract the invoice from this letter: please find enclosed the bill for the two items that we delivered last week.", tokenizer.Options{})
	for _, tt := range []struct {
		name   string
		schema json.RawMessage
		each   bool // every token is computed by itself, as with log-probabilities
		most   int
	}{{"constrained", schema, false, 400}, {"constrained-unforced", schema, true, 400}, {"unconstrained", nil, false, 120}} {
		b.Run(tt.name, func(b *testing.B) {
			var spent time.Duration
			docs, tokens, chosen, valid := 0, 0, 0, 0
			last := ""
			for b.Loop() {
				docs++
				var text strings.Builder
				r := engine.Request{
					Prompt: prompt, MaxTokens: tt.most, Schema: tt.schema, Watch: true, Logprobs: tt.each,
					Sampling: sample.Config{Temperature: 1, TopK: 40, Seed: uint64(docs)},
				}
				res, err := m.Generate(b.Context(), r, func(c engine.Chunk) error {
					text.WriteString(c.Text)
					chosen += len(c.Tokens)
					return nil
				})
				if err != nil {
					b.Fatal(err)
				}
				spent += res.Decode
				tokens += res.CompletionTokens - 1 // the first one ended the prompt
				last = text.String()
				if json.Valid([]byte(last)) {
					valid++
				}
			}
			if tt.schema != nil && valid != docs {
				b.Errorf("%d of %d documents are valid", valid, docs)
			}
			b.ReportMetric(float64(tokens)/spent.Seconds(), "tokens/s")
			b.ReportMetric(float64(docs)/spent.Seconds(), "documents/s")
			b.ReportMetric(float64(tokens)/float64(docs), "tokens/document")
			b.ReportMetric(100*float64(tokens+docs-chosen)/float64(tokens+docs), "%forced")
			b.Log(last)
		})
	}
}
