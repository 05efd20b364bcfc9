// Package calibrate picks the p_local from which a request may stay at home, so
// that the share of bad answers among those kept is at most alpha, with
// confidence 1-delta.
//
// It learns from outcomes: what the judge said, and whether the local answer
// then was good. Thresholds of a fixed grid are tested from the most cautious
// down, each by the exact binomial (Clopper-Pearson) bound at level delta, and
// the first one that fails ends the search (fixed-sequence testing, as in
// "Learn then Test", Angelopoulos et al. 2021, section 3.2): so no level is
// spent on looking often.
//
// # What is promised
//
// Outcomes are taken to be independent draws of the traffic to come. Where the
// search begins depends on how many requests were kept, never on whether their
// answers were good. If bad answers do not get more frequent as p_local grows,
// the chance that the threshold's true share of bad answers exceeds alpha is at
// most delta, at any number of outcomes. Without that assumption the same holds
// of the average over the requests that the outcomes came from (by Hoeffding's
// comparison of Poisson-binomial with binomial tails, 1956). Nothing is
// promised for traffic of another kind, or for another judge.
package calibrate

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// An Outcome is a request that the local model answered.
type Outcome struct {
	PLocal float64 // what the judge said before
	OK     bool    // whether the answer was good
}

// Options are the promise that is wanted.
type Options struct {
	Alpha float64 // most bad answers among those kept at home, a share in (0, 1)
	Delta float64 // most chance that the promise fails, in (0, 0.5)
}

// Validate reports every mistake in o.
func (o Options) Validate() error {
	var errs []error
	if !(o.Alpha > 0 && o.Alpha < 1) {
		errs = append(errs, fmt.Errorf("alpha is %g: a share between 0 and 1 is wanted", o.Alpha))
	}
	if !(o.Delta > 0 && o.Delta < 0.5) {
		errs = append(errs, fmt.Errorf("delta is %g: a chance between 0 and 0.5 is wanted", o.Delta))
	}
	return errors.Join(errs...)
}

// A State says what the search made of a threshold.
type State string

// The states of a threshold.
const (
	TooFew State = "too few" // so few were kept that it was not tested
	Passed State = "passed"  // the bound holds
	Failed State = "failed"  // the bound is above alpha: the search ended here
	After  State = "after"   // below the one that failed, and so not tested
)

// A Point is what one threshold does on the outcomes.
type Point struct {
	Threshold float64 `json:"threshold"` // kept: p_local >= Threshold
	Kept      int     `json:"kept"`
	Share     float64 `json:"local_share"` // of all outcomes
	Bad       int     `json:"bad"`         // among those kept
	BadShare  float64 `json:"bad_share"`   // of those kept; 0 when none is
	Bound     float64 `json:"bound"`       // Clopper-Pearson upper bound on BadShare, at 1-delta
	State     State   `json:"state"`
}

// A Choice is the result of the search.
type Choice struct {
	Points []Point // from the most cautious threshold down
	Best   int     // index of the lowest threshold that passed, or -1
}

// gridSize is the number of thresholds: 0.99, 0.98, … 0.01.
const gridSize = 99

// startBad is how many bad answers the first threshold tested must be able to
// bear. Were the search to begin as soon as zero are allowed, one early bad
// answer would end it; were it to begin much later, few outcomes would not do.
const startBad = 2

// Choose searches the grid. The outcomes' order does not matter. It panics if
// o is not valid.
func Choose(outcomes []Outcome, o Options) Choice {
	if err := o.Validate(); err != nil {
		panic("calibrate: " + err.Error())
	}
	c := search(outcomes, o)
	for i := range c.Points {
		c.Points[i].Bound = Upper(c.Points[i].Bad, c.Points[i].Kept, o.Delta)
	}
	return c
}

// search is Choose without the bounds, which it does not need.
func search(outcomes []Outcome, o Options) Choice {
	c := Choice{Points: curve(outcomes), Best: -1}
	start := start(len(outcomes), o)
	state := Passed
	for i := range c.Points {
		p := &c.Points[i]
		switch {
		case start == 0 || p.Kept < start:
			p.State = TooFew
		case state != Passed:
			p.State = After
		case passes(p.Bad, p.Kept, o.Alpha, o.Delta):
			p.State, c.Best = Passed, i
		default:
			p.State, state = Failed, Failed
		}
	}
	return c
}

// start returns how many must be kept for a threshold to be tested: enough to
// bear startBad bad answers, fewer when that is more than a third of n
// outcomes; 0 when even n good ones would not do.
func start(n int, o Options) int {
	for bad := startBad; bad > 0; bad-- {
		if k := fewest(bad, o.Alpha, o.Delta, n/3); k > 0 {
			return k
		}
	}
	return fewest(0, o.Alpha, o.Delta, n)
}

// curve counts what each threshold of the grid keeps; bounds and states are left out.
func curve(outcomes []Outcome) []Point {
	sorted := slices.Clone(outcomes)
	slices.SortFunc(sorted, func(a, b Outcome) int {
		switch {
		case a.PLocal > b.PLocal:
			return -1
		case a.PLocal < b.PLocal:
			return 1
		}
		return 0
	})
	points := make([]Point, gridSize)
	kept, bad := 0, 0
	for i := range points {
		threshold := float64(gridSize-i) / (gridSize + 1)
		for ; kept < len(sorted) && sorted[kept].PLocal >= threshold; kept++ {
			if !sorted[kept].OK {
				bad++
			}
		}
		points[i] = Point{Threshold: threshold, Kept: kept, Bad: bad}
		if kept > 0 {
			points[i].Share = float64(kept) / float64(len(sorted))
			points[i].BadShare = float64(bad) / float64(kept)
		}
	}
	return points
}

// Failing returns the point at which the search ended without success, if there is one.
func (c Choice) Failing() (Point, bool) {
	i := slices.IndexFunc(c.Points, func(p Point) bool { return p.State == Failed })
	if i < 0 {
		return Point{}, false
	}
	return c.Points[i], true
}

// Needed returns about how many outcomes must be kept at a threshold whose share
// of bad answers is badShare for its bound to be at most alpha. It reports false
// when no number would do, or more than ten million.
func Needed(badShare float64, o Options) (kept int, ok bool) {
	if badShare >= o.Alpha {
		return 0, false
	}
	enough := func(n int) bool { return passes(int(math.Ceil(badShare*float64(n))), n, o.Alpha, o.Delta) }
	lo, hi := 0, 1
	for !enough(hi) {
		if lo, hi = hi, 2*hi; hi > 10_000_000 {
			return 0, false
		}
	}
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; enough(mid) {
			hi = mid
		} else {
			lo = mid
		}
	}
	return hi, true
}
