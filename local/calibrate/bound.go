package calibrate

import "math"

// Upper returns the Clopper-Pearson upper bound on a share: the largest share
// under which bad or fewer of kept would still be seen with probability above
// delta. Over repeated samples it lies below the true share in at most a part
// delta of them. It is 1 when nothing was kept.
func Upper(bad, kept int, delta float64) float64 {
	if bad >= kept {
		return 1
	}
	lo, hi := float64(bad)/float64(kept), 1.0
	for range 50 { // halving: far below the precision of any report
		mid := (lo + hi) / 2
		if atMost(bad, kept, mid) > delta {
			lo = mid
		} else {
			hi = mid
		}
	}
	return hi
}

// passes reports whether Upper(bad, kept, delta) <= alpha, without the search.
func passes(bad, kept int, alpha, delta float64) bool {
	return bad < kept && atMost(bad, kept, alpha) <= delta
}

// atMost returns P(X <= k) of a binomial X over n draws with chance p in (0, 1).
// It sums downwards from k, and stops where a term no longer counts.
func atMost(k, n int, p float64) float64 {
	if k >= n {
		return 1
	}
	a, _ := math.Lgamma(float64(n + 1))
	b, _ := math.Lgamma(float64(k + 1))
	c, _ := math.Lgamma(float64(n - k + 1))
	term := math.Exp(a - b - c + float64(k)*math.Log(p) + float64(n-k)*math.Log1p(-p))
	if float64(k) > float64(n)*p { // most of the mass is below k: sum the smaller tail
		sum := 0.0
		for i := k; i < n && term > 0; i++ {
			term *= float64(n-i) / float64(i+1) * p / (1 - p)
			sum += term
			if term < 1e-17*sum {
				break
			}
		}
		return max(0, 1-sum)
	}
	sum := term
	for i := k; i > 0 && term > 1e-17*sum; i-- {
		term *= float64(i) / float64(n-i+1) * (1 - p) / p
		sum += term
	}
	return min(1, sum)
}

// fewest returns the smallest number of kept answers that passes with bad of
// them bad, or 0 when more than limit would be needed.
func fewest(bad int, alpha, delta float64, limit int) int {
	for kept := bad + 1; kept <= limit; kept++ {
		if passes(bad, kept, alpha, delta) {
			return kept
		}
	}
	return 0
}
