package eval

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/sluice-ai/sluice/local/judge"
)

// A System is a judge that was run.
type System struct {
	Name      string
	Judgments []Judgment // of each case, in the order of the cases
}

// Options of a comparison. A zero field takes the default it documents.
type Options struct {
	Rounds int    // of the bootstrap. Default 1000
	Seed   uint64 // of everything that depends on chance
}

// A Report compares judges on the same cases. It is the JSON that `sluice eval
// --json` prints.
type Report struct {
	Suite       string         `json:"suite"`
	N           int            `json:"n"`
	Local       int            `json:"local"` // cases whose label is local
	Rounds      int            `json:"bootstrap_rounds"`
	Seed        uint64         `json:"seed"`
	Systems     []SystemReport `json:"systems"`
	Differences []Difference   `json:"differences"` // of the first system from each other one
}

// A SystemReport is how one judge did.
type SystemReport struct {
	Name string `json:"name"`
	Metrics
	// ECEFloor is the ECE to be expected of this many requests if every p_local were right.
	ECEFloor float64    `json:"ece_floor"`
	Bins     []Bin      `json:"bins"`
	ROC      []ROCPoint `json:"roc"`
	Routing  Routing    `json:"routing"`
	Kinds    Kinds      `json:"kinds"`
	Groups   []Group    `json:"groups"`
	Latency  LatencyMS  `json:"latency_ms"`
	scores   []float64  // p_local of each case
}

// A Bin is one of the bins of equal mass: what was said, and what was so.
type Bin struct {
	N      int     `json:"n"`
	PLocal float64 `json:"p_local"` // mean
	Local  float64 `json:"local"`   // share of local labels
	P      float64 `json:"p"`       // mean of p
}

// A ROCPoint is a threshold's share of the cloud's requests kept (x) and of the
// local ones kept (y).
type ROCPoint struct {
	X float64 `json:"x"`
	Y float64 `json:"y"`
}

// Kinds is how well the kind of task was told.
type Kinds struct {
	Accuracy Estimate `json:"accuracy"`
	Names    []string `json:"names"`
	// Confusion counts cases by true kind (row) and told kind (column).
	Confusion [][]int `json:"confusion"`
}

// A Group is the cases that share a language, a kind or a length.
type Group struct {
	By       string    `json:"by"` // "language", "kind", "length"
	Name     string    `json:"name"`
	N        int       `json:"n"`
	Local    int       `json:"local"`
	Accuracy Estimate  `json:"accuracy"`
	AUC      *Estimate `json:"auc,omitempty"` // nil when there is only one label
}

// LatencyMS is how long a verdict took, in milliseconds.
type LatencyMS struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
}

// A Difference is between two systems on the same resamples.
type Difference struct {
	Of       string    `json:"of"`
	From     string    `json:"from"`
	Accuracy Estimate  `json:"accuracy"`
	AUC      *Estimate `json:"auc,omitempty"`
}

// Compare measures systems, the one of interest first, on cases. Each system
// must have judged every case.
func Compare(cases []Case, systems []System, o Options) *Report {
	if o.Rounds == 0 {
		o.Rounds = 1000
	}
	out := &Report{Suite: "judge", N: len(cases), Rounds: o.Rounds, Seed: o.Seed}
	all := make([]int, len(cases))
	for i := range cases {
		all[i] = i
		if cases[i].local() {
			out.Local++
		}
	}
	rng := rand.New(rand.NewPCG(o.Seed, 2))
	resamples := make([][]int, o.Rounds)
	for i := range resamples {
		for range cases {
			resamples[i] = append(resamples[i], rng.IntN(len(cases)))
		}
	}
	var rankings []*ranking
	for _, s := range systems {
		r := SystemReport{Name: s.Name}
		for _, j := range s.Judgments {
			r.scores = append(r.scores, j.PLocal)
		}
		ranked := rank(r.scores, cases, all)
		rankings = append(rankings, ranked)
		r.ECEFloor = ranked.floor(200, o.Seed)
		r.Bins, r.ROC = ranked.bins(), ranked.roc()
		r.Routing = routing(r.scores, cases, resamples)
		r.Kinds = kinds(cases, s.Judgments, resamples)
		r.Latency = latency(s.Judgments)
		out.Systems = append(out.Systems, r)
	}
	plain, resampled := bootstrap(rankings, len(cases), all, o.Rounds, o.Seed)
	for i := range out.Systems {
		out.Systems[i].Metrics = metricsOf(plain[i], resampled[i])
		if i > 0 {
			out.Differences = append(out.Differences, difference(out, i, plain, resampled))
		}
	}
	out.groups(cases, o)
	return out
}

func difference(r *Report, i int, plain []values, resampled [][]values) Difference {
	minus := func(a, b values) values { return values{accuracy: a.accuracy - b.accuracy, auc: a.auc - b.auc} }
	all := make([]values, len(resampled[0]))
	for round := range all {
		all[round] = minus(resampled[0][round], resampled[i][round])
	}
	m := metricsOf(minus(plain[0], plain[i]), all)
	return Difference{Of: r.Systems[0].Name, From: r.Systems[i].Name, Accuracy: m.Accuracy, AUC: m.AUC}
}

// groups measures each language, kind and length, in the order in which they are read.
func (r *Report) groups(cases []Case, o Options) {
	for _, g := range []struct {
		by    string
		name  func(*Case) string
		names []string // in order; nil is by size
	}{
		{"language", func(c *Case) string { return c.Lang }, nil},
		{"kind", func(c *Case) string { return c.Kind }, judge.Tasks},
		{"length", (*Case).Length, []string{"under 80", "80 to 199", "200 to 499", "500 and more"}},
	} {
		members := map[string][]int{}
		var names []string
		for i := range cases {
			n := g.name(&cases[i])
			if members[n] == nil {
				names = append(names, n)
			}
			members[n] = append(members[n], i)
		}
		if g.names != nil {
			names = g.names
		} else {
			slices.SortStableFunc(names, func(a, b string) int { return len(members[b]) - len(members[a]) })
		}
		for _, name := range names {
			of := members[name]
			if len(of) == 0 {
				continue
			}
			var rankings []*ranking
			for _, s := range r.Systems {
				rankings = append(rankings, rank(s.scores, cases, of))
			}
			plain, resampled := bootstrap(rankings, len(cases), of, o.Rounds, o.Seed)
			for i := range r.Systems {
				m := metricsOf(plain[i], resampled[i])
				local := 0
				for _, j := range of {
					if cases[j].local() {
						local++
					}
				}
				r.Systems[i].Groups = append(r.Systems[i].Groups, Group{By: g.by, Name: name, N: len(of), Local: local, Accuracy: m.Accuracy, AUC: m.AUC})
			}
		}
	}
}

// bins are the bins that ECE is taken over; empty ones are left out.
func (r *ranking) bins() []Bin {
	var bins [Bins]Bin
	for i := range r.index {
		b := &bins[i*Bins/len(r.index)]
		b.N++
		b.PLocal += r.score[i]
		b.P += r.p[i]
		if r.local[i] {
			b.Local++
		}
	}
	var out []Bin
	for _, b := range bins {
		if n := float64(b.N); b.N > 0 {
			out = append(out, Bin{b.N, b.PLocal / n, b.Local / n, b.P / n})
		}
	}
	return out
}

// roc goes from keeping nothing to keeping all; scores that are equal make one step.
func (r *ranking) roc() []ROCPoint {
	var pos, neg, kept, wrong float64
	for _, l := range r.local {
		if l {
			pos++
		} else {
			neg++
		}
	}
	out := []ROCPoint{{}}
	for i := len(r.index) - 1; i >= 0; i-- {
		if r.local[i] {
			kept++
		} else {
			wrong++
		}
		if i == 0 || r.score[i-1] != r.score[i] {
			out = append(out, ROCPoint{wrong / max(neg, 1), kept / max(pos, 1)})
		}
	}
	return out
}

func kinds(cases []Case, judgments []Judgment, resamples [][]int) Kinds {
	k := Kinds{Names: judge.Tasks, Confusion: make([][]int, len(judge.Tasks))}
	for i := range k.Confusion {
		k.Confusion[i] = make([]int, len(judge.Tasks))
	}
	right := func(of func(yield func(int) bool)) float64 {
		n, ok := 0.0, 0.0
		for i := range of {
			n++
			if judgments[i].Kind == cases[i].Kind {
				ok++
			}
		}
		return ok / n
	}
	for i, j := range judgments {
		row, col := slices.Index(judge.Tasks, cases[i].Kind), slices.Index(judge.Tasks, j.Kind)
		if row >= 0 && col >= 0 {
			k.Confusion[row][col]++
		}
	}
	var all []float64
	for _, of := range resamples {
		all = append(all, right(slices.Values(of)))
	}
	every := make([]int, len(cases))
	for i := range every {
		every[i] = i
	}
	k.Accuracy = spread(right(slices.Values(every)), all)
	return k
}

func latency(judgments []Judgment) LatencyMS {
	var took []time.Duration
	for _, j := range judgments {
		took = append(took, j.Took)
	}
	return latencyOf(took)
}

func latencyOf(took []time.Duration) LatencyMS {
	var ms []float64
	for _, d := range took {
		ms = append(ms, float64(d)/float64(time.Millisecond))
	}
	if len(ms) == 0 {
		return LatencyMS{}
	}
	slices.Sort(ms)
	return LatencyMS{P50: quantile(ms, 0.5), P99: quantile(ms, 0.99)}
}
