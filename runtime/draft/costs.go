package draft

import "time"

// Widest is the most tokens of a step whose time [Costs] learns.
const Widest = 64

// Costs learns how long a step of so many tokens takes. The zero Costs knows
// nothing. It is not safe for concurrent use.
type Costs struct {
	took [Widest + 1]float64 // nanoseconds, by tokens; 0 is unknown
}

const (
	fresh = 0.1  // weight of the last step
	guess = 0.15 // of a token's time that one more is thought to cost
	gain  = 1.05 // what a guess must promise
)

// Took says how long a step of so many tokens took, prompts not among them.
func (c *Costs) Took(tokens int, d time.Duration) {
	if tokens < 1 || tokens > Widest || d <= 0 {
		return
	}
	if c.took[tokens] == 0 {
		c.took[tokens] = float64(d)
	}
	c.took[tokens] += (float64(d) - c.took[tokens]) * fresh
}

// Of returns how long a step of so many tokens takes: as measured, or between the
// neighbours that were, or as guessed from the nearest. 0 is unknown.
func (c *Costs) Of(tokens int) float64 {
	tokens = min(max(tokens, 1), Widest)
	lo, hi := tokens, tokens
	for lo > 0 && c.took[lo] == 0 {
		lo--
	}
	for hi <= Widest && c.took[hi] == 0 {
		hi++
	}
	extra := func(n int) float64 { return 1 + guess*float64(n-1) }
	switch {
	case lo == hi:
		return c.took[tokens]
	case lo > 0 && hi <= Widest:
		return c.took[lo] + (c.took[hi]-c.took[lo])*float64(tokens-lo)/float64(hi-lo)
	case lo > 0:
		return c.took[lo] * extra(tokens) / extra(lo)
	case hi <= Widest:
		return c.took[hi] * extra(tokens) / extra(hi)
	}
	return 0
}

// Worth returns how many of up to most guessed tokens, each right with odds p if
// those before it are, are worth a step that is tokens wide without them: the
// number for which all sequences together advance fastest, 0 if that is none.
func (c *Costs) Worth(tokens, most int, p float64) int {
	base := c.Of(tokens)
	if base == 0 {
		return 0
	}
	best, top := 0, gain*float64(tokens)/base
	advance, chance := float64(tokens), 1.0
	for k := 1; k <= most && tokens+k <= Widest; k++ {
		chance *= p
		advance += chance
		if rate := advance / c.Of(tokens+k); rate > top {
			best, top = k, rate
		}
	}
	return best
}
