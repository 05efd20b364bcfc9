package bench

import (
	"context"
	"errors"
	"runtime"
)

// contend measures decode while others spin on the same cores, and what share that
// is of decode left alone, right before and after.
func (b *bench) contend(ctx context.Context, c Config, s Samples) (err error) {
	if c.Contend == 0 {
		return nil
	}
	cores, free, err := stayOn(c.Threads)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, free()) }()
	before, err := b.decode(ctx, 1)
	if err != nil {
		return err
	}
	beside, err := b.beside(ctx, c, cores)
	if err != nil {
		return err
	}
	after, err := b.decode(ctx, 1)
	if err != nil {
		return err
	}
	s.add(Contended, beside)
	s.add(Share, 2*beside/(before+after))
	return nil
}

// beside is decode beside c.Contend processes that spin on cores.
func (b *bench) beside(ctx context.Context, c Config, cores []int) (v float64, err error) {
	for i := range c.Contend {
		stop, err := c.Spin(ctx, cores[i%len(cores)])
		if err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, stop()) }()
	}
	least := b.least
	b.least = max(least, 5*least) // time is shared out in slices
	defer func() { b.least = least }()
	return b.decode(ctx, 1)
}

// Spin keeps one thread busy on a core, or on any if cpu is negative or the platform
// cannot say which, until ctx ends.
func Spin(ctx context.Context, cpu int) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := pin(cpu); err != nil {
		return err
	}
	for x := 1; ; x++ {
		if x%(1<<20) == 0 && ctx.Err() != nil {
			return nil
		}
	}
}
