package sample

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestExp(t *testing.T) {
	worst := 0.0
	for x := -700.0; x <= 0; x += 0.00317 {
		worst = max(worst, math.Abs(exp(x)/math.Exp(x)-1))
	}
	if worst > 3e-13 || exp(0) != 1 {
		t.Errorf("exp is off by %g of its size", worst)
	}
}

func TestLogSumExp(t *testing.T) {
	for _, row := range [][]float32{{0}, {-90, -91}, {1e30, 1}, {50, -2, float32(math.Inf(-1))}, randomLogits(70000, 4)} {
		top := slices.Max(row)
		sum := 0.0
		for _, l := range row {
			sum += math.Exp(float64(l) - float64(top))
		}
		want := float64(top) + math.Log(sum)
		if got, ok := LogSumExp(row); !ok || math.Abs(got-want) > 1e-11*math.Max(1, math.Abs(want)) {
			t.Errorf("LogSumExp of %d = %v, %v, want %v", len(row), got, ok, want)
		}
	}
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, row := range [][]float32{{}, {nan}, {1, nan}, {nan, 1}, {1, inf}, {-inf, -inf}} {
		if got, ok := LogSumExp(row); ok {
			t.Errorf("LogSumExp(%v) = %v", row, got)
		}
	}
}

// The k-th highest is that of a sorted slice, ties included.
func TestKth(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		s := make([]float32, 1+rng.IntN(40))
		for i := range s {
			s[i] = float32(rng.IntN(1 + rng.IntN(30)))
		}
		sorted := slices.Clone(s)
		slices.Sort(sorted)
		slices.Reverse(sorted)
		k := 1 + rng.IntN(len(s))
		if got := kth(slices.Clone(s), k); got != sorted[k-1] {
			t.Fatalf("the %d-th highest of %v is %g", k, s, got)
		}
	}
}

// Those that reach a mass are the fewest likeliest, whatever the order and ties.
func TestReach(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 2))
	for range 3000 {
		all := make([]candidate, 1+rng.IntN(30))
		total := 0.0
		for i := range all {
			l := float32(rng.IntN(1 + rng.IntN(12)))
			all[i] = candidate{id: int32(i), logit: l, p: math.Exp(float64(l))}
			total += all[i].p
		}
		mass := total * (0.02 + rng.Float64())
		sorted := slices.Clone(all)
		slices.SortFunc(sorted, byLogit)
		want, sum := 0, 0.0
		for want < len(sorted) && sum < mass {
			sum += sorted[want].p
			want++
		}
		if math.Abs(sum-mass) < 1e-9*total {
			continue // a matter of rounding
		}
		got := reach(all, mass)
		slices.SortFunc(all[:got], byLogit)
		if got != want || !slices.Equal(all[:got], sorted[:want]) {
			t.Fatalf("%d of %v reach %g, want %d", got, sorted, mass, want)
		}
	}
}

// Whatever edits the row, its peaks are those of what is sampled from: greedy
// choices agree with looking at every logit.
func TestPeaksAfterEdits(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for n := range 300 {
		row := randomLogits(60+rng.IntN(300), uint64(n))
		cfg := Config{RepeatPenalty: 1.5, FrequencyPenalty: -1 + 2*rng.Float64(), PresencePenalty: -1 + 2*rng.Float64()}
		s, err := New(cfg, len(row), nil)
		if err != nil {
			t.Fatal(err)
		}
		for range rng.IntN(80) {
			s.Accept(rng.Int32N(int32(len(row))))
		}
		allowed := make([]uint64, len(row)/64+1)
		for i := range allowed {
			allowed[i] = []uint64{0, math.MaxUint64, rng.Uint64()}[rng.IntN(3)]
		}
		allowed[0] |= 1
		got, err := s.SampleMasked(row, allowed)
		if err != nil {
			t.Fatal(err)
		}
		want := int32(-1)
		for i := range row {
			if allowed[i/64]>>(i%64)&1 != 0 && (want < 0 || s.work.logits[i] > s.work.logits[want]) {
				want = int32(i)
			}
		}
		if got != want {
			t.Fatalf("token %d is chosen, %d is the likeliest", got, want)
		}
	}
}

func BenchmarkLogprob(b *testing.B) {
	row := randomLogits(65536, 1)
	s, err := New(Config{}, len(row), nil)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		tok, _ := s.Sample(row)
		s.Logprob(tok)
		s.Top(20)
	}
}
