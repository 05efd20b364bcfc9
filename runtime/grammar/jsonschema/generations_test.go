package jsonschema_test

import (
	"bytes"
	"errors"
	"flag"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/runtime/engine"
	"github.com/sluice-ai/sluice/runtime/grammar/jsonschema"
	"github.com/sluice-ai/sluice/runtime/sample"
	"github.com/sluice-ai/sluice/runtime/synth"
)

var (
	generations = flag.Int("generations", 300, "answers that TestGenerations has a model write")
	generation  = flag.Uint64("generation-seed", 1, "which schemas and answers")
)

// TestGenerations has a whole model, tokenizer, forward pass, sampler and all, but
// with random weights, answer random schemas. Every answer that ends must satisfy
// its schema in the eyes of another validator, unless the engine itself says of
// it that it breaks a condition that is only checked. `make generations` runs 10,000.
//
// A bias towards the tokens that end strings, lists and objects stands for the
// sense that the weights lack: without it answers would run to their last token.
func TestGenerations(t *testing.T) {
	var b bytes.Buffer
	if err := synth.Write(&b, synth.Config{Size: "tiny", Type: "f32", Seed: 3}, nil); err != nil {
		t.Fatal(err)
	}
	m, err := engine.OpenBytes("tiny", b.Bytes(), engine.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	ending := map[int32]float32{}
	for id := range int32(m.Tokenizer().Size()) {
		if piece := string(m.Tokenizer().Piece(id)); piece != "" && strings.Trim(piece, `"]}, `) == "" || m.Tokenizer().IsEOG(id) {
			ending[id] = 3
		}
	}
	rng := rand.New(rand.NewPCG(*generation, 12))
	answers, cut, checked, refused, tokens := 0, 0, 0, 0, 0
	distinct := map[string]bool{}
	for answers < *generations {
		schema := jsonschema.RandomSchema(rng)
		if err := m.Check(t.Context(), &engine.Request{Schema: schema}); err != nil {
			if !errors.Is(err, engine.ErrGrammar) || !jsonschema.Impossible(err) {
				t.Fatalf("%s\n%v", schema, err)
			}
			refused++
			continue
		}
		verdict := jsonschema.Peer(t, schema)
		for range 10 {
			var text strings.Builder
			res, err := m.Generate(t.Context(), engine.Request{
				Prompt: []int32{1, int32(50 + rng.IntN(100))}, MaxTokens: 400, Schema: schema,
				Sampling: sample.Config{Temperature: 1 + rng.Float64(), Seed: rng.Uint64(), Bias: ending},
			}, func(c engine.Chunk) error { text.WriteString(c.Text); return nil })
			if err != nil {
				t.Fatalf("%s\n%v", schema, err)
			}
			tokens += res.CompletionTokens
			if res.Finish == "length" {
				if cut++; !errors.Is(res.Invalid, engine.ErrCut) {
					t.Errorf("%s\ncut, and the engine says %v", schema, res.Invalid)
				}
				continue
			}
			answers++
			distinct[text.String()] = true
			switch err := verdict(text.String()); {
			case err == nil && res.Invalid != nil:
				t.Errorf("%s\n%s\nis valid, and the engine says %v", schema, text.String(), res.Invalid)
			case err != nil && res.Invalid == nil:
				t.Fatalf("%s\n%s\n%v", schema, text.String(), err)
			case err != nil:
				checked++
			}
		}
	}
	t.Logf("%d answers (%d different), all valid but %d that the engine reported; %d more were cut; %d schemas allow nothing; %d tokens",
		answers, len(distinct), checked, cut, refused, tokens)
	if checked > answers/50 || cut > answers {
		t.Errorf("%d answers needed the checks afterwards, %d were cut", checked, cut)
	}
}
