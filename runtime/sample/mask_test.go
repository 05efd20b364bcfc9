package sample

import (
	"errors"
	"math"
	"testing"
)

// bits returns the mask of the given tokens for rows of n.
func bits(n int, ids ...int32) []uint64 {
	b := make([]uint64, (n+63)/64)
	for _, id := range ids {
		b[id/64] |= 1 << (id % 64)
	}
	return b
}

// Whatever the settings, only allowed tokens are chosen, and each of them may be.
func TestSampleMasked(t *testing.T) {
	const n = 200
	row := randomLogits(n, 4)
	row[70] = 50 // the likeliest by far, never allowed
	allowed := []int32{3, 63, 64, 127, 199}
	for _, cfg := range []Config{
		{Temperature: 1}, {Temperature: 2, TopK: 40}, {Temperature: 1, TopP: 0.9}, {Temperature: 1, MinP: 0.2},
		{Temperature: 1, RepeatPenalty: 1.3, FrequencyPenalty: 0.5}, {},
	} {
		s, err := New(cfg, n, []int32{63})
		if err != nil {
			t.Fatal(err)
		}
		plain, err := New(Config{}, n, []int32{63})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := plain.Sample(row); err != nil {
			t.Fatal(err)
		}
		seen := map[int32]int{}
		for range 500 {
			id, err := s.SampleMasked(row, bits(n, allowed...))
			if err != nil {
				t.Fatal(err)
			}
			seen[id]++
			s.Accept(id)
			if got, want := s.Logprob(id), plain.Logprob(id); got != want {
				t.Fatalf("%+v: log-probability %g of token %d, want %g", cfg, got, id, want)
			}
			if top := s.Top(1); top[0].ID != 70 {
				t.Fatalf("%+v: the likeliest token is %d", cfg, top[0].ID)
			}
		}
		for id := range seen {
			if id != 3 && id != 64 && id != 127 && id != 199 {
				t.Errorf("%+v: chose %d", cfg, id)
			}
		}
		if len(seen) < 2 && cfg.Temperature > 0 && cfg.MinP == 0 {
			t.Errorf("%+v: chose only %v", cfg, seen)
		}
	}
}

func TestSampleMaskedRefuses(t *testing.T) {
	s, err := New(Config{Temperature: 1}, 100, []int32{5})
	if err != nil {
		t.Fatal(err)
	}
	row := randomLogits(100, 1)
	row[7] = float32(math.Inf(-1))
	for _, mask := range [][]uint64{nil, bits(100), bits(100, 5), bits(100, 5, 7)} {
		if id, err := s.SampleMasked(row, mask); !errors.Is(err, ErrNoneAllowed) {
			t.Errorf("SampleMasked(%x) = %d, %v", mask, id, err)
		}
	}
	if id, err := s.SampleMasked(row, bits(64, 9)); id != 9 || err != nil { // a short mask
		t.Errorf("chose %d, %v", id, err)
	}
}

func TestSampleMaskedDoesNotAllocate(t *testing.T) {
	s, err := New(Config{Temperature: 0.3, MinP: 0.15, RepeatPenalty: 1.05}, 1000, nil)
	if err != nil {
		t.Fatal(err)
	}
	row, mask := randomLogits(1000, 1), bits(1000, 1, 2, 3, 500, 600, 999)
	step := func() {
		id, err := s.SampleMasked(row, mask)
		if err != nil {
			t.Fatal(err)
		}
		s.Accept(id)
	}
	for range 200 {
		step()
	}
	if n := testing.AllocsPerRun(100, step); n != 0 {
		t.Errorf("%v allocations per token", n)
	}
}

func TestBias(t *testing.T) {
	logits := []float32{1, 2, 3, 0}
	for _, tt := range []struct {
		name string
		bias map[int32]float32
		mask []uint64
		want int32
	}{
		{"none", nil, nil, 2},
		{"forced", map[int32]float32{3: 100}, nil, 3},
		{"banned", map[int32]float32{2: -100}, nil, 1},
		{"unknown-token", map[int32]float32{99: 100, -1: 100}, nil, 2},
		{"mask-wins", map[int32]float32{3: 100}, []uint64{0b0011}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := New(Config{Bias: tt.bias}, len(logits), nil)
			if err != nil {
				t.Fatal(err)
			}
			var got int32
			if tt.mask != nil {
				got, err = s.SampleMasked(logits, tt.mask)
			} else {
				got, err = s.Sample(logits)
			}
			if err != nil || got != tt.want {
				t.Errorf("chose %d, %v, want %d", got, err, tt.want)
			}
			if lp := s.Logprob(2); math.Abs(lp-(3-math.Log(math.E+math.Exp(2)+math.Exp(3)+1))) > 1e-6 {
				t.Errorf("the bias shows in the log-probability %g", lp)
			}
		})
	}
	if err := (Config{Bias: map[int32]float32{1: 101}}).Validate(); err == nil {
		t.Error("a bias of 101 passed")
	}
}

func TestMaskedLogprobs(t *testing.T) {
	logits := []float32{1, 2, 3, 0}
	s, err := New(Config{MaskedLogprobs: true, Bias: map[int32]float32{0: 5}}, len(logits), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.SampleMasked(logits, []uint64{0b0011}); err != nil {
		t.Fatal(err)
	}
	norm := math.Log(math.E + math.Exp(2))
	if a, b := s.Logprob(0), s.Logprob(1); math.Abs(a-(1-norm)) > 1e-6 || math.Abs(b-(2-norm)) > 1e-6 {
		t.Errorf("log-probabilities %g and %g", a, b)
	}
	if !math.IsInf(s.Logprob(2), -1) {
		t.Error("a token that is not allowed has a probability")
	}
	if top := s.Top(4); len(top) != 2 || top[0].ID != 1 {
		t.Errorf("the likeliest are %v", top)
	}
	if _, err := s.Sample(logits); err != nil || math.Abs(s.Logprob(2)-(3-math.Log(math.E+math.Exp(2)+math.Exp(3)+1))) > 1e-6 {
		t.Errorf("after a row without a mask: %g, %v", s.Logprob(2), err)
	}
}
