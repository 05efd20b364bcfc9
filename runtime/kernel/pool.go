package kernel

import (
	"sync"
	"sync/atomic"
)

// A Pool is a set of goroutines that share out the iterations of a loop. Its
// methods may be called from any number of goroutines; loops then run one after
// the other.
//
// A worker that has nothing to do watches for work for some microseconds and
// then sleeps, and nobody waits for a worker that has not begun: a caller whose
// workers do not get a core runs the loop itself.
type Pool struct {
	threads int
	mu      sync.Mutex // held for one loop

	// The loop in progress: written by Run before it opens state, and read only
	// by workers that joined through state.
	f    func(i int)
	fw   func(worker, i int) // used if f is nil
	left []share             // iterations nobody has claimed, by worker

	// state is round<<32 | open<<31 | joined workers.
	state  atomic.Uint64
	closed atomic.Bool
	asleep atomic.Int32
	wake   chan struct{} // a token per worker to be woken; stale ones are harmless
	gone   chan struct{} // says that the last joined worker has left
	exited sync.WaitGroup
}

const (
	poolOpen   = 1 << 31
	poolJoined = poolOpen - 1
	poolRound  = 1 << 32
)

// spins bounds the busy wait, of a worker for work and of a caller for its last
// worker. A spin takes a nanosecond or two: together they outlast what one thread
// does alone between two loops of a model's step, for waking a sleeper costs more.
const spins = 64 << 10

// NewPool returns a pool that runs loops on threads cores at once, the caller's
// included: it starts threads-1 goroutines. A pool of one, or less, starts none
// and runs loops in the caller.
func NewPool(threads int) *Pool {
	p := &Pool{threads: max(1, threads)}
	p.wake = make(chan struct{}, p.threads)
	p.gone = make(chan struct{}, 1)
	p.left = make([]share, p.threads)
	for w := 1; w < p.threads; w++ {
		p.exited.Go(func() { p.work(w) })
	}
	return p
}

// Threads returns the number of goroutines that may call f at once, 1 for a nil
// pool.
func (p *Pool) Threads() int {
	if p == nil {
		return 1
	}
	return p.threads
}

// Run calls f(i) once for every i in [0, n), n less than 1<<31, and returns when all calls have
// returned. Calls run in any order and at the same time, at most Threads of
// them. f must not call Run on the same pool, and must not panic. A nil pool
// runs the loop in the caller.
func (p *Pool) Run(n int, f func(i int)) { p.run(n, f, nil) }

// RunWorkers is Run, telling f also which worker it runs on, in [0, Threads).
// No two calls with the same worker overlap, so each may own a buffer.
func (p *Pool) RunWorkers(n int, f func(worker, i int)) { p.run(n, nil, f) }

func (p *Pool) run(n int, f func(i int), fw func(worker, i int)) {
	if p == nil || p.threads == 1 || n <= 1 {
		inline(n, f, fw)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed.Load() {
		inline(n, f, fw)
		return
	}
	p.f, p.fw = f, fw
	for w := range p.left {
		p.left[w].set(w*n/p.threads, (w+1)*n/p.threads)
	}
	p.state.Store((p.state.Load()&^(poolRound-1) + poolRound) | poolOpen)
	for range min(n-1, int(p.asleep.Load())) {
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
	p.claim(0)
	p.finish()
	p.f, p.fw = nil, nil
}

func inline(n int, f func(i int), fw func(worker, i int)) {
	for i := range n {
		if f != nil {
			f(i)
		} else {
			fw(0, i)
		}
	}
}

// claim runs iterations until none is left: first the worker's own share in
// order, so that it walks through memory, then the ends of the others'.
func (p *Pool) claim(worker int) {
	for k := range p.threads {
		from := &p.left[(worker+k)%p.threads]
		for {
			i, ok := from.take(k > 0)
			if !ok {
				break
			}
			if p.f != nil {
				p.f(i)
			} else {
				p.fw(worker, i)
			}
		}
	}
}

// A share is a range of iterations, taken from both ends. It fills a cache line
// of its own.
type share struct {
	span atomic.Uint64 // end<<32 | begin
	_    [56]byte
}

func (s *share) set(begin, end int) { s.span.Store(uint64(end)<<32 | uint64(begin)) }

// take claims the first iteration, or the last.
func (s *share) take(last bool) (i int, ok bool) {
	for {
		span := s.span.Load()
		begin, end := uint32(span), uint32(span>>32)
		switch {
		case begin >= end:
			return 0, false
		case last:
			if s.span.CompareAndSwap(span, span-1<<32) {
				return int(end - 1), true
			}
		default:
			if s.span.CompareAndSwap(span, span+1) {
				return int(begin), true
			}
		}
	}
}

// finish closes the round to workers and waits for those inside it.
func (p *Pool) finish() {
	p.state.And(^uint64(poolOpen))
	for range spins {
		if p.state.Load()&poolJoined == 0 {
			return
		}
	}
	for p.state.Load()&poolJoined != 0 {
		<-p.gone
	}
}

// work is the life of one worker.
func (p *Pool) work(worker int) {
	var served uint64 // the last round joined: it has nothing more to give
	idle := 0
	for !p.closed.Load() {
		s := p.state.Load()
		if s&poolOpen != 0 && s/poolRound != served {
			if !p.state.CompareAndSwap(s, s+1) {
				continue
			}
			served = s / poolRound
			p.claim(worker)
			if p.state.Add(^uint64(0))&(poolOpen|poolJoined) == 0 {
				select {
				case p.gone <- struct{}{}:
				default:
				}
			}
			idle = 0
			continue
		}
		if idle++; idle < spins {
			continue
		}
		idle = 0
		p.asleep.Add(1)
		if s := p.state.Load(); (s&poolOpen == 0 || s/poolRound == served) && !p.closed.Load() {
			<-p.wake
		}
		p.asleep.Add(-1)
	}
}

// Close stops the workers and waits until they have gone. Loops that begin
// after it run in their caller; Close may be called more than once.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed.Swap(true) {
		return
	}
	close(p.wake) // nobody sends once closed is set: run checks it under mu
	p.exited.Wait()
}
