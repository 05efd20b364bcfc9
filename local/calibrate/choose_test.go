package calibrate

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// A world is a judge and the traffic it sees.
type world struct {
	name string
	bad  func(p float64) float64 // chance that the local answer is bad
	// promised: bad answers do not get more frequent as p grows.
	promised bool
}

func sharper(p float64) float64 { return 1 / (1 + math.Pow(p/(1-p), 2)) }

var worlds = []world{
	{"calibrated", func(p float64) float64 { return 1 - p }, true},
	{"underconfident", sharper, true},
	{"overconfident", func(p float64) float64 { return 1 - p*p }, true},
	// Everywhere a little above alpha: whatever is chosen breaks the promise.
	{"all-above", func(float64) float64 { return 0.1001 }, true},
	{"wrong-at-the-top", func(p float64) float64 {
		if p > 0.97 {
			return 0.16
		}
		return sharper(p)
	}, false},
}

// draw is a score of a judge that is often sure: two humps of log-odds.
func draw(r *rand.Rand) float64 {
	z := 1.6 + 1.3*r.NormFloat64()
	if r.Float64() < 0.45 {
		z -= 3.4
	}
	return 1 / (1 + math.Exp(-z))
}

// truth returns, for each threshold of the grid, the share kept and the share
// of bad ones among them, over a long run of w.
func (w world) truth() (share, bad []float64) {
	const n = 200_000
	r := rand.New(rand.NewPCG(1, 1))
	share, bad = make([]float64, gridSize), make([]float64, gridSize)
	for range n {
		p := draw(r)
		for i := gridSize - 1; i >= 0 && p >= float64(gridSize-i)/(gridSize+1); i-- {
			share[i]++
			bad[i] += w.bad(p)
		}
	}
	for i := range share {
		bad[i] /= share[i]
		share[i] /= n
	}
	return share, bad
}

// Over 1,000 draws of 500 outcomes the chosen threshold's true share of bad
// answers is above alpha no more often than delta says. And the promise is not
// kept by promising nothing: where the judge is good, most of what could stay
// does; where no threshold is right, some draws are fooled.
func TestThePromiseHolds(t *testing.T) {
	const draws, n = 1000, 500
	o := Options{Alpha: 0.1, Delta: 0.05}
	for _, w := range worlds {
		t.Run(w.name, func(t *testing.T) {
			share, bad := w.truth()
			ideal := 0.0
			for i := range bad {
				if bad[i] <= o.Alpha {
					ideal = share[i]
				}
			}
			broken, found, kept := 0, 0, 0.0
			for d := range draws {
				r := rand.New(rand.NewPCG(7, uint64(d)))
				outcomes := make([]Outcome, n)
				for i := range outcomes {
					p := draw(r)
					outcomes[i] = Outcome{p, r.Float64() >= w.bad(p)}
				}
				c := search(outcomes, o)
				if c.Best < 0 {
					continue
				}
				found++
				kept += share[c.Best]
				if bad[c.Best] > o.Alpha {
					broken++
				}
			}
			t.Logf("broken %.3f, found %.2f, kept %.3f of all, %.3f were possible", float64(broken)/draws, float64(found)/draws, kept/draws, ideal)
			if broken > int(o.Delta*draws) {
				t.Errorf("the promise was broken in %d of %d draws, allowed are %g", broken, draws, o.Delta*draws)
			}
			switch {
			case w.name == "underconfident" && (found < 0.95*draws || kept/draws < 0.8*ideal):
				t.Errorf("found a threshold in %d of %d draws, keeping %.2f of the requests where %.2f could stay", found, draws, kept/draws, ideal)
			case w.name == "all-above" && broken < int(o.Delta*draws/5):
				t.Errorf("only %d of %d draws were fooled: the test has no edge", broken, draws)
			}
		})
	}
}

// outcomes writes outcomes in runs: "0.9 g50 b2" are fifty good and two bad ones at 0.9.
func outcomes(runs ...struct {
	p         float64
	good, bad int
}) []Outcome {
	var out []Outcome
	for _, r := range runs {
		for range r.good {
			out = append(out, Outcome{r.p, true})
		}
		for range r.bad {
			out = append(out, Outcome{r.p, false})
		}
	}
	return out
}

type run = struct {
	p         float64
	good, bad int
}

func TestChoose(t *testing.T) {
	o := Options{Alpha: 0.1, Delta: 0.05}
	for _, tt := range []struct {
		name string
		runs []run
		want float64 // the threshold; 0 when there is none
		last State   // of the lowest threshold
	}{
		{"all-good", []run{{0.9, 100, 0}, {0.4, 100, 0}}, 0.01, Passed},
		{"stops-at-the-first-failure", []run{{0.9, 100, 0}, {0.6, 50, 50}, {0.3, 5000, 0}}, 0.61, After},
		{"exactly-enough", []run{{0.9, 29, 0}, {0.2, 0, 30}}, 0.21, After},
		{"one-too-few", []run{{0.9, 28, 0}, {0.2, 0, 30}}, 0, After},
		{"too-few-at-all", []run{{0.9, 28, 0}}, 0, TooFew},
		{"all-bad", []run{{0.9, 0, 100}}, 0, After},
		{"early-bad-one-is-borne", []run{{0.98, 20, 1}, {0.9, 100, 0}, {0.1, 0, 100}}, 0.11, After},
		{"none", nil, 0, TooFew},
	} {
		t.Run(tt.name, func(t *testing.T) {
			data := outcomes(tt.runs...)
			rand.New(rand.NewPCG(1, 1)).Shuffle(len(data), func(i, j int) { data[i], data[j] = data[j], data[i] })
			before := slices.Clone(data)
			c := Choose(data, o)
			got := 0.0
			if c.Best >= 0 {
				got = c.Points[c.Best].Threshold
			}
			if got != tt.want || c.Points[gridSize-1].State != tt.last {
				t.Errorf("threshold %g and last state %q, want %g and %q", got, c.Points[gridSize-1].State, tt.want, tt.last)
			}
			if !slices.Equal(before, data) {
				t.Error("the outcomes were reordered")
			}
		})
	}
}

func TestNeeded(t *testing.T) {
	o := Options{Alpha: 0.1, Delta: 0.05}
	if got, ok := Needed(0, o); got != 29 || !ok {
		t.Errorf("with none bad %d are needed, want 29", got)
	}
	if got, ok := Needed(0.05, o); !ok || got < 100 || got > 200 || !passes((got+19)/20, got, o.Alpha, o.Delta) {
		t.Errorf("with one in twenty bad %d are needed", got)
	}
	for _, share := range []float64{0.1, 0.5, 0.0999999} {
		if got, ok := Needed(share, o); ok {
			t.Errorf("with a share of %g bad, %d are said to do", share, got)
		}
	}
}

func TestReadOutcomes(t *testing.T) {
	for _, tt := range []struct {
		name, text, err string
		n               int
	}{
		{"two-and-an-empty-line", "{\"p_local\":0.83,\"ok\":true}\n\n{\"p_local\":0,\"ok\":false,\"id\":\"dec_1\"}\n", "", 2},
		{"no-ok", `{"p_local":0.83}`, "line 1: an outcome needs", 0},
		{"no-probability", "{\"p_local\":1,\"ok\":true}\n{\"p_local\":1.5,\"ok\":true}", "line 2: p_local is 1.5", 0},
		{"no-json", "secret text", "line 1 is no outcome", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ReadOutcomes(strings.NewReader(tt.text))
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) || len(got) != tt.n {
				t.Errorf("%d outcomes and %v, want %d and %q", len(got), err, tt.n, tt.err)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the error quotes the data: %v", err)
			}
		})
	}
}
