package draft

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func letters(s string) (ids []int32) {
	for _, r := range s {
		ids = append(ids, r)
	}
	return ids
}

func TestLookup(t *testing.T) {
	for _, tt := range []struct {
		history string
		n       int
		want    string
	}{
		{"", 4, ""},
		{"a", 4, ""},
		{"ab", 4, ""},
		{"ababx", 4, ""},
		{"abcdab", 4, "cdab"},
		{"abcdab", 6, "cdabcd"},
		{"abcdab", 1, "c"},
		{"abcdab", 0, ""},
		{"abxyabzab", 2, "za"},   // the latest of equals
		{"cabxyabzcab", 2, "xy"}, // the longer one
		{"aaaa", 4, "aaaa"},
		{"xababab", 5, "ababa"},
		{"xyz.xyz,xyz", 4, ",xyz"}, // not the end itself
		{"0123456789-123456789+123456789", 2, "+1"},
	} {
		if got := Lookup(nil, letters(tt.history), tt.n); !slices.Equal(got, letters(tt.want)) {
			t.Errorf("after %q come %q, want %q", tt.history, string(runes(got)), tt.want)
		}
	}
}

func runes(ids []int32) (r []rune) { return append(r, ids...) }

// Against looking at every place: the match is as long as any, up to longest.
func TestLookupFindsTheLongest(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		h := make([]int32, rng.IntN(60))
		for i := range h {
			h[i] = rng.Int32N(3)
		}
		best, at := 1, -1
		for i := 1; i < len(h); i++ { // a match that ends before i
			same := 0
			for same < longest && same < i && h[i-1-same] == h[len(h)-1-same] {
				same++
			}
			if same >= best && same >= shortest {
				best, at = same, i
			}
		}
		var want []int32
		if at >= 0 {
			whole := slices.Clone(h)
			for i := range 5 {
				whole = append(whole, whole[at+i])
			}
			want = whole[len(h):]
		}
		if got := Lookup(nil, h, 5); !slices.Equal(got, want) {
			t.Fatalf("after %v come %v, want %v", h, got, want)
		}
	}
}

func TestOdds(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, p := range []float64{0, 0.3, 0.9, 1} {
		var o Odds
		for range 300 {
			right := 0
			for right < 4 && rng.Float64() < p {
				right++
			}
			o.Verified(4, right)
		}
		if math.Abs(o.Right()-p) > 0.25 {
			t.Errorf("odds of %.2f are thought to be %.2f", p, o.Right())
		}
	}
	var o Odds
	for range 50 {
		o.Verified(3, 0)
	}
	low := o.Right()
	for range 500 {
		o.Skipped()
	}
	if low > 0.01 || o.Right() < 0.45 || o.Right() > prior {
		t.Errorf("odds are %.3f, and %.3f when nothing was tried for long", low, o.Right())
	}
}

// A guess is worth it when steps are cheap to widen and it is likely right.
func TestWorth(t *testing.T) {
	// costs learns steps of 1 to 16 tokens that take base + n.
	costs := func(base float64) *Costs {
		var c Costs
		for n := 1; n <= 16; n++ {
			for range 3 {
				c.Took(n, time.Duration((base+float64(n))*1e6))
			}
		}
		return &c
	}
	for _, tt := range []struct {
		name  string
		costs *Costs
		width int
		p     float64
		want  int
	}{
		{"unknown", &Costs{}, 1, 1, 0},
		{"certain", costs(9), 1, 1, 7},
		{"likely", costs(9), 1, 0.8, 6},
		{"open", costs(9), 1, 0.5, 2},
		{"unlikely", costs(9), 1, 0.1, 0},
		{"no-gain-in-width", costs(0), 1, 0.95, 0},
		{"wide-already", costs(1), 8, 0.8, 0},
		{"wide-and-certain", costs(9), 8, 1, 7},
	} {
		if got := tt.costs.Worth(tt.width, 7, tt.p); got != tt.want {
			t.Errorf("%s: %d tokens are worth it, want %d", tt.name, got, tt.want)
		}
	}
	var c Costs
	c.Took(1, 100)
	if got := c.Of(3); math.Abs(got-130) > 1e-9 {
		t.Errorf("from one known width, three take %g", got)
	}
	c.Took(5, 120)
	if got := c.Of(3); math.Abs(got-110) > 1e-9 {
		t.Errorf("between two known widths, three take %g", got)
	}
	if got := c.Worth(1, 7, 0.99); got == 0 {
		t.Error("nothing is ever tried")
	}
}

func BenchmarkLookup(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	h := make([]int32, 4096)
	for i := range h {
		h[i] = rng.Int32N(2000)
	}
	var dst [8]int32
	b.ReportAllocs()
	for b.Loop() {
		Lookup(dst[:0], h, 7)
	}
}
