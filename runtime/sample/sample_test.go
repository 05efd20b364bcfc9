package sample

import (
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func logits(p ...float64) []float32 {
	out := make([]float32, len(p))
	for i, v := range p {
		out[i] = float32(math.Log(v))
	}
	return out
}

func randomLogits(n int, seed uint64) []float32 {
	rng := rand.New(rand.NewPCG(seed, 1))
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(3 * rng.NormFloat64())
	}
	return out
}

// The set of tokens a Config can choose, found by drawing often.
func TestFilters(t *testing.T) {
	row := logits(0.05, 0.4, 0.1, 0.3, 0.15) // likeliest first: 1 3 4 2 0
	tests := []struct {
		name   string
		cfg    Config
		banned []int32
		want   []int32
	}{
		{"greedy", Config{}, nil, []int32{1}},
		{"greedy-ignores-filters", Config{TopK: 3, MinP: 0.01}, nil, []int32{1}},
		{"greedy-banned", Config{}, []int32{1}, []int32{3}},
		{"all", Config{Temperature: 1}, nil, []int32{0, 1, 2, 3, 4}},
		{"banned", Config{Temperature: 1}, []int32{0, 4, 99}, []int32{1, 2, 3}},
		{"top-k", Config{Temperature: 5, TopK: 3}, nil, []int32{1, 3, 4}},
		{"top-k-big", Config{Temperature: 5, TopK: 99}, nil, []int32{0, 1, 2, 3, 4}},
		{"top-p", Config{Temperature: 5, TopP: 0.69}, nil, []int32{1, 3}},
		{"top-p-just-more", Config{Temperature: 5, TopP: 0.71}, nil, []int32{1, 3, 4}},
		{"top-p-tiny", Config{Temperature: 5, TopP: 1e-9}, nil, []int32{1}},
		{"min-p", Config{Temperature: 5, MinP: 0.3}, nil, []int32{1, 3, 4}},
		{"min-p-1", Config{Temperature: 5, MinP: 1}, nil, []int32{1}},
		// Top-k first renormalises to .57 .43, so that top-p .5 needs only one.
		{"top-k-then-top-p", Config{Temperature: 5, TopK: 2, TopP: 0.55}, nil, []int32{1}},
		// Filters see the distribution before temperature: T=100 does not widen them.
		{"temperature-last", Config{Temperature: 100, TopP: 0.69, MinP: 0.3}, nil, []int32{1, 3}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := New(tt.cfg, len(row), tt.banned)
			if err != nil {
				t.Fatal(err)
			}
			seen := map[int32]bool{}
			for range 2000 {
				tok, err := s.Sample(row)
				if err != nil {
					t.Fatal(err)
				}
				seen[tok] = true
			}
			var got []int32
			for id := range seen {
				got = append(got, id)
			}
			slices.Sort(got)
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("chose %v, want %v", got, tt.want)
			}
		})
	}
}

// At temperature T the frequencies follow p^(1/T).
func TestTemperatureFrequencies(t *testing.T) {
	row := logits(0.6, 0.3, 0.1)
	for _, temperature := range []float64{0.5, 1, 2} {
		s, err := New(Config{Temperature: temperature, Seed: 7}, 3, nil)
		if err != nil {
			t.Fatal(err)
		}
		const n = 40000
		var count [3]float64
		for range n {
			tok, _ := s.Sample(row)
			count[tok]++
		}
		var want [3]float64
		sum := 0.0
		for i, p := range []float64{0.6, 0.3, 0.1} {
			want[i] = math.Pow(p, 1/temperature)
			sum += want[i]
		}
		for i := range want {
			p := want[i] / sum
			if sigma := math.Sqrt(p * (1 - p) / n); math.Abs(count[i]/n-p) > 5*sigma {
				t.Errorf("T=%g: token %d has frequency %.4f, want %.4f ± %.4f", temperature, i, count[i]/n, p, 5*sigma)
			}
		}
	}
}

func TestPenalties(t *testing.T) {
	tests := []struct {
		name    string
		cfg     Config
		history []int32
		row     []float32
		want    int32
	}{
		{"none", Config{}, []int32{0, 0}, []float32{2, 1.9}, 0},
		{"repeat-positive", Config{RepeatPenalty: 1.1}, []int32{0}, []float32{2, 1.9}, 1},
		{"repeat-negative", Config{RepeatPenalty: 1.1}, []int32{0}, []float32{-1.9, -2}, 1},
		{"presence", Config{PresencePenalty: 0.5}, []int32{0}, []float32{2, 1.6}, 1},
		{"presence-once", Config{PresencePenalty: 0.5}, []int32{0, 0, 0}, []float32{2.2, 1.6}, 0},
		{"frequency", Config{FrequencyPenalty: 0.25}, []int32{0, 0, 0}, []float32{2.2, 1.6}, 1},
		{"forgotten", Config{PresencePenalty: 5, RepeatLast: 2}, []int32{0, 1, 1}, []float32{2, 6.9}, 0},
		{"remembered", Config{PresencePenalty: 5, RepeatLast: 3}, []int32{0, 1, 1}, []float32{2, 2.1}, 1},
		{"all", Config{PresencePenalty: 5, RepeatLast: -1}, slices.Concat([]int32{0}, make([]int32, 200)), []float32{2, 1}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := New(tt.cfg, len(tt.row), nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range tt.history {
				s.Accept(id)
			}
			tok, err := s.Sample(tt.row)
			if err != nil || tok != tt.want {
				t.Errorf("Sample = %v, %v; want token %d", tok, err, tt.want)
			}
			// Log-probabilities are the model's, whatever the penalties did.
			norm, _ := LogSumExp(tt.row)
			if want := float64(tt.row[tt.want]) - norm; math.Abs(s.Logprob(tok)-want) > 1e-9 {
				t.Errorf("logprob = %g, want %g", s.Logprob(tok), want)
			}
		})
	}
}

func TestSeed(t *testing.T) {
	row := randomLogits(1000, 3)
	draw := func(seed uint64) (ids []int32) {
		s, err := New(Config{Temperature: 1, TopP: 0.95, TopK: 400, Seed: seed}, len(row), nil)
		if err != nil {
			t.Fatal(err)
		}
		for range 50 {
			tok, _ := s.Sample(row)
			ids = append(ids, tok)
		}
		return ids
	}
	if !reflect.DeepEqual(draw(5), draw(5)) {
		t.Error("the same seed drew different tokens")
	}
	if reflect.DeepEqual(draw(5), draw(6)) {
		t.Error("different seeds drew the same 50 tokens")
	}
}

// Selecting the top of a row agrees with sorting all of it, ties included.
func TestTopAgainstSort(t *testing.T) {
	row := randomLogits(5000, 9)
	for i := 0; i < len(row); i += 7 {
		row[i] = row[(i*3)%len(row)] // ties
	}
	row[17] = float32(math.Inf(-1))
	all := make([]candidate, len(row))
	for i, l := range row {
		all[i] = candidate{id: int32(i), logit: l}
	}
	slices.SortFunc(all, byLogit)
	s, err := New(Config{}, len(row), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sample(row); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 1, 2, 3, 20, 257, 4999} {
		got := s.Top(n)
		if len(got) != n {
			t.Fatalf("Top(%d) has %d tokens", n, len(got))
		}
		for i, tok := range got {
			if tok.ID != all[i].id || tok.Logprob != s.Logprob(tok.ID) {
				t.Fatalf("Top(%d)[%d] = %v, want id %d", n, i, tok, all[i].id)
			}
		}
	}
	if got := len(s.Top(6000)); got != 4999 {
		t.Errorf("Top(6000) has %d tokens, want the 4999 possible ones", got)
	}
	sum := 0.0
	for _, tok := range s.Top(6000) {
		sum += math.Exp(tok.Logprob)
	}
	if math.Abs(sum-1) > 1e-6 {
		t.Errorf("probabilities sum to %g", sum)
	}
}

func TestSampleRefuses(t *testing.T) {
	nan := float32(math.NaN())
	inf := float32(math.Inf(1))
	for _, row := range [][]float32{{nan, nan, nan}, {1, nan, 2}, {nan, 1, 2}, {1, inf, 2}, {-inf, -inf, -inf}, {1, 2}} {
		s, err := New(Config{Temperature: 1}, 3, nil)
		if err != nil {
			t.Fatal(err)
		}
		if tok, err := s.Sample(row); err == nil {
			t.Errorf("Sample(%v) = %v", row, tok)
		}
	}
	if _, err := New(Config{}, 2, []int32{0, 1}); err == nil {
		t.Error("a sampler with every id banned was made")
	}
	_, err := New(Config{Temperature: -1, TopP: 2, MinP: math.NaN(), TopK: -4}, 3, nil)
	for _, want := range []string{"temperature", "top_p", "min_p", "top_k"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not name %s", err, want)
		}
	}
}

func TestSampleDoesNotAllocate(t *testing.T) {
	row := randomLogits(4096, 1)
	for name, cfg := range map[string]Config{
		"greedy": {}, "all": {Temperature: 0.3, MinP: 0.15, RepeatPenalty: 1.05}, "top": {Temperature: 1, TopK: 50, TopP: 0.9},
		"plain": {Temperature: 1}, "top-p": {Temperature: 1, TopP: 0.9},
	} {
		s, err := New(cfg, len(row), nil)
		if err != nil {
			t.Fatal(err)
		}
		step := func() {
			tok, _ := s.Sample(row)
			s.Accept(tok)
			s.Top(5)
		}
		for range 200 {
			step()
		}
		if n := testing.AllocsPerRun(50, step); n != 0 {
			t.Errorf("%s: %v allocations per token", name, n)
		}
	}
}

func BenchmarkSample(b *testing.B) {
	row := randomLogits(65536, 1)
	for name, cfg := range map[string]Config{
		"greedy": {}, "lfm2": {Temperature: 0.3, MinP: 0.15, RepeatPenalty: 1.05},
		"top-k": {Temperature: 1, TopK: 50}, "top-p": {Temperature: 1, TopP: 0.9}, "plain": {Temperature: 1},
	} {
		b.Run(name, func(b *testing.B) {
			s, err := New(cfg, len(row), nil)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				tok, _ := s.Sample(row)
				s.Accept(tok)
			}
		})
	}
}
