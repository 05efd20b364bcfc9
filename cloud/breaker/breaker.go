// Package breaker is sony/gobreaker fitted to language models, whose calls last
// from one second to two minutes and fail in more ways than by an error status.
//
// A breaker opens after a number of failures in a row, and no time window
// drops a slow failure. An answer counts when it is complete: a stream that
// breaks off is a failure although it began well. Only the probe of a half-open
// breaker counts at its first byte, so that one long answer does not hold the
// breaker half-open; if that answer breaks later, it is counted then.
package breaker

import (
	"cmp"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"
)

// Config configures a [Breaker]. A zero field takes the default it documents.
type Config struct {
	// Failures in a row that open the breaker. Default 5.
	Failures int `yaml:"failures"`
	// Cooldown is how long an open breaker waits before it lets one probe through. Default 10s.
	Cooldown time.Duration `yaml:"cooldown"`
}

func (c Config) withDefaults() Config {
	c.Failures = cmp.Or(c.Failures, 5)
	c.Cooldown = cmp.Or(c.Cooldown, 10*time.Second)
	return c
}

// Validate reports every mistake in c, not only the first.
func (c Config) Validate() error {
	var errs []error
	if c.Failures < 0 {
		errs = append(errs, fmt.Errorf("failures must not be negative, as %d is", c.Failures))
	}
	if c.Cooldown < 0 {
		errs = append(errs, fmt.Errorf("cooldown must not be negative, as %v is", c.Cooldown))
	}
	return errors.Join(errs...)
}

// A Breaker refuses calls of a target that keeps failing. It is safe for concurrent use.
type Breaker struct {
	b *gobreaker.TwoStepCircuitBreaker[struct{}]
}

var (
	errFailed  = errors.New("failed")
	errNothing = errors.New("neither success nor failure")
)

// New returns a closed breaker. onChange, when not nil, is told of every change
// of state; it must return at once.
func New(name string, c Config, onChange func(from, to string)) *Breaker {
	c = c.withDefaults()
	s := gobreaker.Settings{
		Name: name, MaxRequests: 1, Timeout: c.Cooldown,
		ReadyToTrip: func(n gobreaker.Counts) bool { return n.ConsecutiveFailures >= uint32(c.Failures) },
		IsExcluded:  func(err error) bool { return errors.Is(err, errNothing) },
	}
	if onChange != nil {
		s.OnStateChange = func(_ string, from, to gobreaker.State) { onChange(from.String(), to.String()) }
	}
	return &Breaker{gobreaker.NewTwoStepCircuitBreaker[struct{}](s)}
}

// State returns "closed", "half-open" or "open".
func (b *Breaker) State() string { return b.b.State().String() }

// Allow asks for leave to call the target. nil means no. A permit must be
// ended by exactly one of its methods Success, Failure and Nothing; later calls are ignored.
func (b *Breaker) Allow() *Permit {
	done, err := b.b.Allow()
	if err != nil {
		return nil
	}
	return &Permit{b: b, done: done, probe: b.b.State() == gobreaker.StateHalfOpen}
}

// A Permit is leave to make one call.
type Permit struct {
	b     *Breaker
	done  func(error)
	probe bool
	early bool // a probe that has been counted at its first byte
	once  sync.Once
}

// FirstByte says that an answer has begun.
func (p *Permit) FirstByte() {
	if p.probe {
		p.once.Do(func() { p.early = true; p.done(nil) })
	}
}

// Success says that the call is over and the target did its part.
func (p *Permit) Success() { p.once.Do(func() { p.done(nil) }) }

// Failure says that the target failed.
func (p *Permit) Failure() {
	ended := true
	p.once.Do(func() { ended = false; p.done(errFailed) })
	if ended && p.early {
		p.early = false
		if again := p.b.Allow(); again != nil {
			again.Failure()
		}
	}
}

// Nothing says that the call tells nothing about the target: the client left, or the target throttled.
func (p *Permit) Nothing() { p.once.Do(func() { p.done(errNothing) }) }
