package calibrate

import (
	"math"
	"math/big"
	"testing"
)

// atMost against the sum in exact integers.
func TestAtMost(t *testing.T) {
	for _, n := range []int{1, 2, 10, 97, 400} {
		for k := 0; k <= n; k += 1 + n/11 {
			for _, tenths := range []int64{1, 3, 5, 9} {
				sum := new(big.Int)
				for i := 0; i <= k; i++ { // C(n,i) t^i (10-t)^(n-i)
					term := new(big.Int).Binomial(int64(n), int64(i))
					term.Mul(term, new(big.Int).Exp(big.NewInt(tenths), big.NewInt(int64(i)), nil))
					term.Mul(term, new(big.Int).Exp(big.NewInt(10-tenths), big.NewInt(int64(n-i)), nil))
					sum.Add(sum, term)
				}
				want, _ := new(big.Rat).SetFrac(sum, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil)).Float64()
				got := atMost(k, n, float64(tenths)/10)
				if math.Abs(got-want) > 1e-11 {
					t.Errorf("P(X <= %d of %d, %g) = %v, want %v", k, n, float64(tenths)/10, got, want)
				}
			}
		}
	}
}

func TestUpper(t *testing.T) {
	for _, tt := range []struct {
		bad, kept   int
		delta, want float64
	}{
		{0, 1, 0.05, 0.95},
		{0, 29, 0.05, 1 - math.Pow(0.05, 1.0/29)}, // no bad one: (1-u)^n = delta
		{0, 100_000, 0.05, 1 - math.Pow(0.05, 1e-5)},
		{3, 4, 0.05, math.Pow(0.95, 0.25)}, // all but one bad: u^n = 1-delta
		{5, 5, 0.05, 1},
		{0, 0, 0.05, 1},
	} {
		if got := Upper(tt.bad, tt.kept, tt.delta); math.Abs(got-tt.want) > 1e-9 {
			t.Errorf("Upper(%d of %d) = %v, want %v", tt.bad, tt.kept, got, tt.want)
		}
	}
}

// The quick test and the bound say the same.
func TestPasses(t *testing.T) {
	for kept := range 200 {
		for bad := range min(kept+1, 25) {
			if got, want := passes(bad, kept, 0.1, 0.05), Upper(bad, kept, 0.05) <= 0.1; got != want {
				t.Errorf("%d of %d passes: %v, and its bound is %v", bad, kept, got, Upper(bad, kept, 0.05))
			}
		}
	}
	// The sizes that tables of the 95 % bound give for 10 %: 29, 46, 61.
	for bad, want := range []int{29, 46, 61} {
		if got := fewest(bad, 0.1, 0.05, 1000); got != want {
			t.Errorf("with %d bad, %d kept pass, want %d", bad, got, want)
		}
	}
}
