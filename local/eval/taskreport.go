package eval

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// An Answerer is what a suite other than the judge's measures.
type Answerer interface {
	// Reply answers one sample of a suite. What a model does badly is a reply;
	// an error ends the run.
	Reply(ctx context.Context, suite string, s *Sample) (Reply, error)
}

// A TaskSystem is an answerer that was run.
type TaskSystem struct {
	Name    string
	Replies []Reply
	Took    []time.Duration
}

// Answer asks a about each sample, one after the other; the first once before,
// so that what is made on first use is not counted.
func Answer(ctx context.Context, name string, a Answerer, suite string, samples []Sample, progress func(done int)) (TaskSystem, error) {
	out := TaskSystem{Name: name}
	for i := range samples {
		if i == 0 {
			if _, err := a.Reply(ctx, suite, &samples[i]); err != nil {
				return out, fmt.Errorf("sample 1: %w", err)
			}
		}
		start := time.Now()
		r, err := a.Reply(ctx, suite, &samples[i])
		if err != nil {
			return out, fmt.Errorf("sample %d: %w", i+1, err)
		}
		out.Replies, out.Took = append(out.Replies, r), append(out.Took, time.Since(start))
		if progress != nil {
			progress(i + 1)
		}
	}
	return out, nil
}

// A TaskReport compares systems on the samples of a suite.
type TaskReport struct {
	Suite       string             `json:"suite"`
	N           int                `json:"n"`
	Rounds      int                `json:"bootstrap_rounds"`
	Seed        uint64             `json:"seed"`
	Main        string             `json:"main"` // the measure that systems are compared by
	Systems     []TaskSystemReport `json:"systems"`
	Differences []TaskDifference   `json:"differences"` // of the first system from each other one, in the main measure
}

// A TaskSystemReport is how one system did.
type TaskSystemReport struct {
	Name     string      `json:"name"`
	Measures []Measure   `json:"measures"` // the main one first
	Groups   []TaskGroup `json:"groups"`
	Latency  LatencyMS   `json:"latency_ms"`
	Tokens   float64     `json:"tokens"` // of an answer, mean
}

// A Measure is a number with its interval, and for an F1 what it is made of.
type Measure struct {
	Name string `json:"name"`
	N    int    `json:"n"` // samples, or for an F1 what was wanted
	Estimate
	Precision *float64 `json:"precision,omitempty"`
	Recall    *float64 `json:"recall,omitempty"`
}

// A TaskGroup is the main measure of a part of the samples.
type TaskGroup struct {
	By   string `json:"by"` // "language", "type"
	Name string `json:"name"`
	Measure
}

// A TaskDifference is between two systems on the same resamples.
type TaskDifference struct {
	Of   string `json:"of"`
	From string `json:"from"`
	Estimate
}

// CompareTasks measures systems, the one of interest first, on samples. Each
// must have answered every sample.
func CompareTasks(suite string, samples []Sample, systems []TaskSystem, o Options) *TaskReport {
	if o.Rounds == 0 {
		o.Rounds = 1000
	}
	out := &TaskReport{Suite: suite, N: len(samples), Rounds: o.Rounds, Seed: o.Seed, Main: mainOf[suite]}
	rng := rand.New(rand.NewPCG(o.Seed, 4))
	resamples := make([][]int, o.Rounds)
	for i := range resamples {
		for range samples {
			resamples[i] = append(resamples[i], rng.IntN(len(samples)))
		}
	}
	all := make([]int, len(samples))
	for i := range all {
		all[i] = i
	}
	var tallies [][]tally
	for _, s := range systems {
		var ts []tally
		tokens := 0
		for i := range samples {
			ts = append(ts, score(suite, &samples[i], &s.Replies[i]))
			tokens += s.Replies[i].Tokens
		}
		tallies = append(tallies, ts)
		r := TaskSystemReport{Name: s.Name, Latency: latencyOf(s.Took), Tokens: float64(tokens) / float64(max(1, len(samples)))}
		names := measureNames(ts, out.Main)
		for _, n := range names {
			m, ok := measureOf(ts, n, all, resamples)
			if !ok {
				continue
			}
			if typ, is := strings.CutPrefix(n, "type "); is {
				r.Groups = append(r.Groups, TaskGroup{"type", typ, m})
			} else {
				r.Measures = append(r.Measures, m)
			}
		}
		for _, lang := range langs(samples) {
			var of []int
			for i := range samples {
				if samples[i].Lang == lang {
					of = append(of, i)
				}
			}
			if m, ok := measureOf(ts, out.Main, of, within(resamples, of, o)); ok {
				r.Groups = append(r.Groups, TaskGroup{"language", lang, m})
			}
		}
		out.Systems = append(out.Systems, r)
	}
	for i := 1; i < len(systems); i++ {
		a, _ := valueOf(tallies[0], out.Main, all)
		b, _ := valueOf(tallies[i], out.Main, all)
		var ds []float64
		for _, of := range resamples {
			x, okx := valueOf(tallies[0], out.Main, of)
			y, oky := valueOf(tallies[i], out.Main, of)
			if okx && oky {
				ds = append(ds, x-y)
			}
		}
		out.Differences = append(out.Differences, TaskDifference{systems[0].Name, systems[i].Name, spread(a-b, ds)})
	}
	return out
}

func langs(samples []Sample) []string {
	seen := map[string]bool{}
	for i := range samples {
		seen[samples[i].Lang] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

// within resamples a part of the samples, as often as the whole was.
func within(resamples [][]int, of []int, o Options) [][]int {
	rng := rand.New(rand.NewPCG(o.Seed, uint64(len(of))+5))
	out := make([][]int, len(resamples))
	for i := range out {
		for range of {
			out[i] = append(out[i], of[rng.IntN(len(of))])
		}
	}
	return out
}

// measureNames lists what the tallies count, main first.
func measureNames(ts []tally, main string) []string {
	seen := map[string]bool{}
	for _, t := range ts {
		for n := range t.f1 {
			seen[n] = true
		}
		for n := range t.share {
			seen[n] = true
		}
	}
	delete(seen, main)
	return append([]string{main}, slices.Sorted(maps.Keys(seen))...)
}

func measureOf(ts []tally, name string, of []int, resamples [][]int) (Measure, bool) {
	v, ok := valueOf(ts, name, of)
	if !ok {
		return Measure{}, false
	}
	var vs []float64
	for _, r := range resamples {
		if x, ok := valueOf(ts, name, r); ok {
			vs = append(vs, x)
		}
	}
	m := Measure{Name: name, Estimate: spread(v, vs)}
	var hit, said, wanted, n float64
	for _, i := range of {
		c := ts[i].f1[name]
		hit, said, wanted = hit+c[0], said+c[1], wanted+c[2]
		n += ts[i].share[name][1]
	}
	if m.N = int(n); said+wanted > 0 {
		m.N = int(wanted)
		precision, recall := ratio(hit, said), ratio(hit, wanted)
		m.Precision, m.Recall = &precision, &recall
	}
	return m, true
}

// valueOf is an F1 or a share over some of the samples; ok is false when none of them counts.
func valueOf(ts []tally, name string, of []int) (v float64, ok bool) {
	var a, b, c float64
	f1 := false
	for _, i := range of {
		if x, is := ts[i].f1[name]; is {
			f1 = true
			a, b, c = a+x[0], b+x[1], c+x[2]
		} else if x, is := ts[i].share[name]; is {
			a, b = a+x[0], b+x[1]
		}
	}
	if f1 {
		if b+c == 0 {
			return 0, false
		}
		return 2 * a / (b + c), true
	}
	return ratio(a, b), b > 0
}

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}
