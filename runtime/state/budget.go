package state

import (
	"errors"
	"fmt"
	"sync/atomic"
)

// ErrMemory is what a [*MemoryError] is, for errors.Is.
var ErrMemory = errors.New("no memory left for sequences")

// A MemoryError reports a sequence that a [Budget] has no room for now.
type MemoryError struct {
	Needed int64 // bytes asked for
	Used   int64 // bytes that sequences hold
	Limit  int64 // bytes they may hold
}

func (e *MemoryError) Error() string {
	return fmt.Sprintf("no memory left for sequences: %d bytes are needed, %d of %d are in use", e.Needed, e.Used, e.Limit)
}

// Is reports whether target is [ErrMemory].
func (e *MemoryError) Is(target error) bool { return target == ErrMemory }

// A Budget bounds the bytes that many sequences hold together. What they share
// counts once. It is safe for concurrent use; a nil Budget has no bound.
type Budget struct {
	limit int64
	used  atomic.Int64
}

// NewBudget returns a budget of limit bytes.
func NewBudget(limit int64) *Budget { return &Budget{limit: limit} }

// Used returns the bytes that sequences hold or were promised.
func (b *Budget) Used() int64 { return b.used.Load() }

// Limit returns the bytes they may hold.
func (b *Budget) Limit() int64 { return b.limit }

func (b *Budget) take(n int64) error {
	if b == nil || n == 0 {
		return nil
	}
	if used := b.used.Add(n); used > b.limit {
		b.used.Add(-n)
		return &MemoryError{Needed: n, Used: used - n, Limit: b.limit}
	}
	return nil
}

func (b *Budget) give(n int64) {
	if b != nil {
		b.used.Add(-n)
	}
}
