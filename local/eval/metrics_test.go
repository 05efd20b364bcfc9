package eval

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// naive takes the metrics by their definitions, pair by pair, of a sample that
// is written out.
func naive(score []float64, p []float64) values {
	n := float64(len(score))
	var v values
	var pairs float64
	for i := range score {
		y := 0.0
		if p[i] >= 0.5 {
			y = 1
		}
		if (score[i] >= 0.5) == (y == 1) {
			v.accuracy += 1 / n
		}
		v.brier += (score[i] - y) * (score[i] - y) / n
		v.brierP += (score[i] - p[i]) * (score[i] - p[i]) / n
		for j := range score {
			if p[i] >= 0.5 && p[j] < 0.5 {
				pairs++
				if score[i] > score[j] {
					v.auc++
				} else if score[i] == score[j] {
					v.auc += 0.5
				}
			}
		}
	}
	v.auc /= pairs
	order := make([]int, len(score))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		if score[a] < score[b] {
			return -1
		} else if score[a] > score[b] {
			return 1
		}
		return 0
	})
	for b := range Bins {
		var s, y, q float64
		for at, i := range order {
			if at*Bins/len(order) == b {
				s += score[i]
				q += p[i]
				if p[i] >= 0.5 {
					y++
				}
			}
		}
		v.ece += math.Abs(s-y) / n
		v.eceP += math.Abs(s-q) / n
	}
	return v
}

func apart(a, b values) float64 {
	d := 0.0
	for _, x := range []float64{a.accuracy - b.accuracy, a.auc - b.auc, a.ece - b.ece, a.eceP - b.eceP, a.brier - b.brier, a.brierP - b.brierP} {
		d = max(d, math.Abs(x))
	}
	return d
}

func TestMeasure(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for round := range 30 {
		n := 20 + rng.IntN(200)
		cases := make([]Case, n)
		score := make([]float64, n)
		times := make([]int, n)
		var of []int
		var manyScores, manyP []float64
		for i := range cases {
			cases[i].P = math.Round(rng.Float64()*10) / 10
			score[i] = rng.Float64()
			if round%2 == 0 {
				score[i] = math.Round(score[i]*8) / 8 // ties
			}
			of = append(of, i)
			times[i] = rng.IntN(4)
		}
		r := rank(score, cases, of)
		for _, i := range r.index { // within a tie the order decides which bin one falls into
			for range times[i] {
				manyScores = append(manyScores, score[i])
				manyP = append(manyP, cases[i].P)
			}
		}
		if got, want := r.measure(times), naive(manyScores, manyP); !(apart(got, want) < 1e-9) {
			t.Fatalf("round %d: got  %+v\nwant %+v", round, got, want)
		}
	}
}

// A small sample whose numbers can be checked by hand.
func TestMeasureByHand(t *testing.T) {
	cases := []Case{{P: 0.9}, {P: 0.1}, {P: 0.8}, {P: 0.2}}
	got := rank([]float64{0.9, 0.8, 0.6, 0.1}, cases, []int{0, 1, 2, 3}).measure([]int{1, 1, 1, 1})
	want := values{
		accuracy: 0.75, // the second is wrong
		auc:      0.75, // of the four pairs, only 0.6 against 0.8 is the wrong way round
		ece:      (0.1 + 0.8 + 0.4 + 0.1) / 4, eceP: (0 + 0.7 + 0.2 + 0.1) / 4,
		brier: (0.01 + 0.64 + 0.16 + 0.01) / 4, brierP: (0 + 0.49 + 0.04 + 0.01) / 4,
	}
	if !(apart(got, want) < 1e-12) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if one := rank([]float64{0.2, 0.3}, []Case{{P: 1}, {P: 1}}, []int{0, 1}).measure([]int{1, 1}); !math.IsNaN(one.auc) {
		t.Errorf("the AUC of one label is %v", one.auc)
	}
}

// The intervals hold the truth about as often as they say, and they are the same each time.
func TestIntervals(t *testing.T) {
	const draws, n = 200, 150
	held := 0
	for d := range draws {
		rng := rand.New(rand.NewPCG(3, uint64(d)))
		cases, score, of := make([]Case, n), make([]float64, n), make([]int, n)
		for i := range cases {
			of[i] = i
			score[i] = rng.Float64()
			if rng.Float64() < 0.8 { // right in four cases of five
				cases[i].P = math.Round(score[i])
			} else {
				cases[i].P = 1 - math.Round(score[i])
			}
		}
		r := []*ranking{rank(score, cases, of)}
		plain, resampled := bootstrap(r, n, of, 300, 1)
		m := metricsOf(plain[0], resampled[0])
		if m.Accuracy.Low <= 0.8 && 0.8 <= m.Accuracy.High {
			held++
		}
		if e := m.ECE; e.Low > e.Value || e.High < e.Value || e.Low == e.High {
			t.Errorf("draw %d: the ECE is %+v", d, e)
		}
		if d == 0 {
			again, _ := bootstrap(r, n, of, 300, 1)
			_, more := bootstrap(r, n, of, 300, 1)
			if metricsOf(again[0], more[0]).Accuracy != m.Accuracy {
				t.Error("the same seed gave other intervals")
			}
		}
	}
	if held < draws*90/100 || held == draws {
		t.Errorf("the interval held the truth in %d of %d draws", held, draws)
	}
}

// The floor is what scores that are right get.
func TestFloor(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	const n = 400
	cases, score, of, once := make([]Case, n), make([]float64, n), make([]int, n), make([]int, n)
	for i := range cases {
		of[i], once[i] = i, 1
		score[i] = rng.Float64()
		if rng.Float64() < score[i] {
			cases[i].P = 1
		}
	}
	r := rank(score, cases, of)
	got, floor := r.measure(once).ece, r.floor(200, 1)
	if floor < 0.03 || floor > 0.10 || math.Abs(got-floor) > 0.03 {
		t.Errorf("ECE %.3f, floor %.3f", got, floor)
	}
}
