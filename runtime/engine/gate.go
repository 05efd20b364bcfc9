package engine

import (
	"context"
	"slices"
	"sync"
)

// A priority orders those who wait at a gate.
type priority uint8

const (
	normal priority = iota // generations
	urgent                 // short work that somebody waits for: sessions
)

// patience is how many urgent ones in a row pass while normal ones wait.
const patience = 4

// A gate lets capacity holders in at once and queues the others: urgent ones
// first, but not for ever, otherwise first come first served. Whoever leaves and
// enters again goes to the end, which makes it a round robin.
type gate struct {
	capacity int
	room     int // how many may wait; negative is any number

	mu      sync.Mutex
	inside  int
	queues  [2][]*turn // by priority
	hurried int        // urgent ones in a row
}

// A turn is one party's place in the queue. It may be used again and again, at
// one gate at a time.
type turn struct{ ready chan struct{} }

func newTurn() *turn { return &turn{ready: make(chan struct{}, 1)} }

// enter waits until there is room inside. It fails with [ErrBusy] if too many
// wait already, and with ctx's error when ctx ends first.
func (g *gate) enter(ctx context.Context, t *turn, p priority) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	g.mu.Lock()
	waiting := len(g.queues[normal]) + len(g.queues[urgent])
	if g.inside < g.capacity && waiting == 0 {
		g.inside++
		g.mu.Unlock()
		return nil
	}
	if g.room >= 0 && waiting >= g.room {
		g.mu.Unlock()
		return ErrBusy
	}
	g.queues[p] = append(g.queues[p], t)
	g.mu.Unlock()

	select {
	case <-t.ready:
		return nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	i := slices.Index(g.queues[p], t)
	if i >= 0 {
		g.queues[p] = slices.Delete(g.queues[p], i, i+1)
	}
	g.mu.Unlock()
	if i < 0 { // let in at the same moment
		<-t.ready
		g.leave()
	}
	return ctx.Err()
}

// leave lets the next one in.
func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.handOver()
}

// handOver is leave with the lock held.
func (g *gate) handOver() {
	p := g.next()
	if len(g.queues[p]) == 0 {
		g.inside--
		return
	}
	t := g.queues[p][0]
	g.queues[p] = slices.Delete(g.queues[p], 0, 1)
	t.ready <- struct{}{}
}

// next chooses whose turn it is.
func (g *gate) next() priority {
	switch {
	case len(g.queues[urgent]) == 0:
		g.hurried = 0
		return normal
	case len(g.queues[normal]) > 0 && g.hurried >= patience:
		g.hurried = 0
		return normal
	}
	g.hurried++
	return urgent
}

// waiting returns how many wait.
func (g *gate) waiting() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.queues[normal]) + len(g.queues[urgent])
}

// acquire is enter for those who cannot be cancelled.
func (g *gate) acquire(p priority) {
	_ = g.enter(context.Background(), newTurn(), p) // fails only for ctx or room, and steps have room
}
