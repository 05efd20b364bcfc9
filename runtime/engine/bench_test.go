package engine

import (
	"flag"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/runtime/sample"
)

var benchModel = flag.String("model", "", "GGUF file to measure instead of a tiny model")

func openBench(b *testing.B, o Options) *Model {
	b.Helper()
	if *benchModel == "" {
		return openTiny(b, o)
	}
	m, err := Open(*benchModel, o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = m.Close() })
	return m
}

func benchPrompt(n, seed int) []int32 {
	prompt := make([]int32, n)
	for i := range prompt {
		prompt[i] = int32(20 + (i*7+seed*31)%500)
	}
	return prompt
}

// BenchmarkAnswers writes answers of 64 tokens after prompts of 128, n at a time:
// what a client gets, sampling and all.
func BenchmarkAnswers(b *testing.B) {
	for _, n := range []int{1, 4, 16} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			m := openBench(b, Options{DisableDrafts: true, Cache: -1})
			m.unused = append(m.unused, m.tok.EOGs()...)
			var decode time.Duration
			for b.Loop() {
				var wg sync.WaitGroup
				var mu sync.Mutex
				for i := range n {
					wg.Go(func() {
						r := Request{Prompt: benchPrompt(128, i), MaxTokens: 64, Sampling: sample.Config{Temperature: 0.3, MinP: 0.15, RepeatPenalty: 1.05, Seed: uint64(i)}}
						res, err := m.Generate(b.Context(), r, func(Chunk) error { return nil })
						if err != nil {
							b.Error(err)
						}
						mu.Lock()
						decode += res.Decode
						mu.Unlock()
					})
				}
				wg.Wait()
			}
			b.ReportMetric(float64(n*63*b.N)/(decode.Seconds()/float64(n)), "decoded/s")
		})
	}
}

// BenchmarkPrefix asks with a system prompt of 2,000 tokens and a question of 20:
// the time to the first token when it is new, and when it is not.
func BenchmarkPrefix(b *testing.B) {
	for _, again := range []bool{false, true} {
		b.Run(map[bool]string{false: "first", true: "again"}[again], func(b *testing.B) {
			m := openBench(b, Options{})
			ask := func(i int) time.Duration {
				group := ""
				if !again {
					group = fmt.Sprint(i) // finds nothing
				}
				prompt := append(benchPrompt(2000, 1), m.turnStart)
				prompt = append(prompt, benchPrompt(20, i)...)
				res, err := m.Generate(b.Context(), Request{Prompt: prompt, MaxTokens: 1, Group: group}, func(Chunk) error { return nil })
				if err != nil || again != (res.CachedTokens >= 2000) && i > 0 {
					b.Fatal(err, res)
				}
				return res.Queue + res.Prefill
			}
			ask(0)
			var took []time.Duration
			for i := 1; b.Loop(); i++ {
				took = append(took, ask(i))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms-first-token")
		})
	}
}

// BenchmarkDrafts copies a list, as an extraction does: the prompt's text comes
// again in the answer. Guessing is forced to be right by a bias-free trick: the
// answer is forced by nothing, so with random weights it shows the cost only.
func BenchmarkDrafts(b *testing.B) {
	for _, off := range []bool{true, false} {
		b.Run(map[bool]string{true: "off", false: "on"}[off], func(b *testing.B) {
			m := openBench(b, Options{DisableDrafts: off, Cache: -1})
			m.unused = append(m.unused, m.tok.EOGs()...)
			var decode time.Duration
			drafted, accepted := 0, 0
			for b.Loop() {
				res, err := m.Generate(b.Context(), Request{Prompt: benchPrompt(512, 1), MaxTokens: 128}, func(Chunk) error { return nil })
				if err != nil {
					b.Fatal(err)
				}
				decode += res.Decode
				drafted += res.Drafted
				accepted += res.Accepted
			}
			b.ReportMetric(float64(127*b.N)/decode.Seconds(), "decoded/s")
			b.ReportMetric(float64(accepted)/float64(max(1, drafted)), "right")
			b.ReportMetric(float64(drafted)/float64(b.N), "guessed")
		})
	}
}
