package state

import (
	"errors"
	"fmt"
	"sync"
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
	spare sync.Map // size → *sync.Pool of *[]byte: the memory of pages that were let go of
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

// memory returns size zero bytes for a page, those of an earlier one if there are any:
// else each sequence would leave its own for the garbage collector, which lets
// half of all memory be garbage.
func (b *Budget) memory(size int) []byte {
	if b != nil {
		if pool, ok := b.spare.Load(size); ok {
			if mem, ok := pool.(*sync.Pool).Get().(*[]byte); ok {
				clear(*mem)
				return *mem
			}
		}
	}
	return make([]byte, size)
}

// keep takes the memory of a page that nobody holds any more, until a sequence or the
// garbage collector wants it.
func (b *Budget) keep(mem []byte) {
	if b == nil {
		return
	}
	pool, ok := b.spare.Load(len(mem))
	if !ok {
		pool, _ = b.spare.LoadOrStore(len(mem), new(sync.Pool))
	}
	pool.(*sync.Pool).Put(&mem)
}
