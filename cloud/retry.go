package cloud

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// Retry configures how often a target is called again for the same request,
// before the router moves on. A zero field takes the default it documents.
type Retry struct {
	// Max is the number of calls after the first. Default 1; -1 for none.
	Max int `yaml:"max"`
	// Base is the wait before the first retry; it doubles with each. Default 200ms.
	Base time.Duration `yaml:"base"`
	// MaxWait bounds one wait. An upstream that asks for more is given up. Default 3s.
	MaxWait time.Duration `yaml:"max_wait"`
}

func (r Retry) withDefaults() Retry {
	r.Max = cmp.Or(r.Max, 1)
	r.Base = cmp.Or(r.Base, 200*time.Millisecond)
	r.MaxWait = cmp.Or(r.MaxWait, 3*time.Second)
	return r
}

// Validate reports every mistake in r.
func (r Retry) Validate() error {
	var errs []error
	if r.Max < -1 || r.Max > 10 {
		errs = append(errs, fmt.Errorf("max must lie between -1 and 10, not %d", r.Max))
	}
	if r.Base < 0 {
		errs = append(errs, errors.New("base must not be negative"))
	}
	if r.MaxWait < 0 {
		errs = append(errs, errors.New("max_wait must not be negative"))
	}
	return errors.Join(errs...)
}

// next returns how long to wait before the retry after try calls (1 for the
// first), and whether to retry at all. jitter is in [0, 1).
func (r Retry) next(try int, e *CallError, jitter float64) (time.Duration, bool) {
	if try > r.Max || !e.retryable() {
		return 0, false
	}
	if e.RetryAfter > 0 {
		return e.RetryAfter, e.RetryAfter <= r.MaxWait
	}
	if e.Code == "timeout" {
		return 0, false // the caller has waited long enough: another target, or the local tier
	}
	wait := min(r.Base<<(try-1), r.MaxWait)
	return wait/2 + time.Duration(jitter*float64(wait)/2), true
}

func jitter() float64 { return rand.Float64() }
