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

var (
	benchModel   = flag.String("model", "", "GGUF file to measure instead of a tiny model")
	benchThreads = flag.Int("threads", 0, "cores that it uses; 0 is all")
)

func openBench(b *testing.B, o Options) *Model {
	b.Helper()
	if *benchModel == "" {
		return openTiny(b, o)
	}
	o.Threads = *benchThreads
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

// BenchmarkAnswers writes answers of 64 tokens, n at a time: what clients get,
// sampling and all, from the first step that has all n to the last. Computing is
// the share of that time that is spent in steps, width how many answers they hold.
func BenchmarkAnswers(b *testing.B) {
	for _, n := range []int{1, 4, 16} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			type total struct {
				tokens, steps   int
				time, computing time.Duration
			}
			var from time.Time
			var now, whole, sum total // since from; until the last step with all n; of all runs
			m := openBench(b, Options{DisableDrafts: true, Cache: -1, OnStep: func(s Step) {
				if from.IsZero() {
					if s.Answers == n {
						from = time.Now()
					}
					return
				}
				now.tokens += s.Tokens
				now.steps++
				now.computing += s.Duration
				if now.time = time.Since(from); s.Answers == n {
					whole = now
				}
			}})
			m.unused = append(m.unused, m.tok.EOGs()...)
			for b.Loop() {
				var wg sync.WaitGroup
				from, now, whole = time.Time{}, total{}, total{}
				for i := range n {
					wg.Go(func() {
						r := Request{Prompt: benchPrompt(16, i), MaxTokens: 64, Sampling: sample.Config{Temperature: 0.3, MinP: 0.15, RepeatPenalty: 1.05, Seed: uint64(i)}}
						if _, err := m.Generate(b.Context(), r, func(Chunk) error { return nil }); err != nil {
							b.Error(err)
						}
					})
				}
				wg.Wait()
				sum = total{sum.tokens + whole.tokens, sum.steps + whole.steps, sum.time + whole.time, sum.computing + whole.computing}
			}
			b.ReportMetric(float64(sum.tokens)/sum.time.Seconds(), "decoded/s")
			b.ReportMetric(sum.computing.Seconds()/sum.time.Seconds(), "computing")
			b.ReportMetric(float64(sum.tokens)/float64(sum.steps), "width")
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

// BenchmarkDrafts writes answers with and without guessing: one that repeats
// itself, where all guesses are right, and one in which three tokens alternate at
// random, where most are wrong. What they say is brought about by biases.
func BenchmarkDrafts(b *testing.B) {
	for _, tt := range []struct {
		name string
		bias map[int32]float32
	}{{"right", map[int32]float32{50: 100}}, {"wrong", map[int32]float32{50: 100, 60: 100, 70: 100}}} {
		for _, off := range []bool{true, false} {
			b.Run(tt.name+map[bool]string{true: "-off", false: "-on"}[off], func(b *testing.B) {
				m := openBench(b, Options{DisableDrafts: off, Cache: -1})
				var decode time.Duration
				drafted, accepted := 0, 0
				for b.Loop() {
					res, err := m.Generate(b.Context(), Request{Prompt: benchPrompt(64, 1), MaxTokens: 128, Sampling: sample.Config{Temperature: 1, Seed: 1, Bias: tt.bias}}, func(Chunk) error { return nil })
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
}
