package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// queue lets parties line up at a gate that is taken, in the order given (u is
// urgent, n normal), and returns the order in which they get in.
func queue(t *testing.T, parties string) string {
	var order []string
	synctest.Test(t, func(t *testing.T) {
		g := &gate{capacity: 1, room: -1}
		g.acquire(normal)
		var wg sync.WaitGroup
		for i, c := range parties {
			p := normal
			if c == 'u' {
				p = urgent
			}
			wg.Go(func() {
				if err := g.enter(t.Context(), newTurn(), p); err != nil {
					t.Error(err)
				}
				order = append(order, fmt.Sprintf("%c%d", c, i))
				g.leave()
			})
			synctest.Wait()
		}
		g.leave()
		wg.Wait()
		if g.inside != 0 || g.waiting() != 0 {
			t.Errorf("%d inside and %d waiting at the end", g.inside, g.waiting())
		}
	})
	return strings.Join(order, " ")
}

func TestGateOrder(t *testing.T) {
	for parties, want := range map[string]string{
		"nnn":      "n0 n1 n2",
		"nnu":      "u2 n0 n1",
		"nunu":     "u1 u3 n0 n2",
		"nuuuuuun": "u1 u2 u3 u4 n0 u5 u6 n7", // patience ends after four
	} {
		if got := queue(t, parties); got != want {
			t.Errorf("%s got in as %s, want %s", parties, got, want)
		}
	}
}

func TestGateCancelAndRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{capacity: 2, room: 1}
		for range 2 {
			if err := g.enter(t.Context(), newTurn(), normal); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		var got error
		done := make(chan struct{})
		go func() { got = g.enter(ctx, newTurn(), normal); close(done) }()
		synctest.Wait()
		if err := g.enter(t.Context(), newTurn(), urgent); !errors.Is(err, ErrBusy) {
			t.Errorf("a full queue gives %v", err)
		}
		cancel()
		<-done
		if !errors.Is(got, context.Canceled) || g.waiting() != 0 {
			t.Errorf("a cancelled wait gives %v, %d still waiting", got, g.waiting())
		}
		g.leave()
		g.leave()
		if g.inside != 0 {
			t.Errorf("%d inside", g.inside)
		}
	})
}

// A party that gives up at the moment it is let in passes its turn on.
func TestGateGivesUpTooLate(t *testing.T) {
	g := &gate{capacity: 1, room: -1}
	g.acquire(normal)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	turn := newTurn()
	go func() { done <- g.enter(ctx, turn, normal) }()
	for g.waiting() == 0 {
		time.Sleep(100 * time.Microsecond)
	}
	g.mu.Lock()
	cancel()
	time.Sleep(5 * time.Millisecond) // it has noticed, and wants the lock
	g.handOver()
	g.mu.Unlock()
	if err := <-done; err == nil { // it noticed too late, which is fine as well
		g.leave()
	}
	if g.inside != 0 || len(turn.ready) != 0 {
		t.Errorf("%d inside, %d turns lost", g.inside, len(turn.ready))
	}
}

// Many parties that enter, leave and give up never exceed the capacity and never get stuck.
func TestGateStress(t *testing.T) {
	g := &gate{capacity: 3, room: -1}
	var mu sync.Mutex
	inside, most := 0, 0
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			turn := newTurn()
			for j := range 200 {
				ctx, cancel := context.WithCancel(t.Context())
				if j%5 == 0 {
					go cancel()
				}
				if err := g.enter(ctx, turn, priority(i%2)); err == nil {
					mu.Lock()
					inside++
					most = max(most, inside)
					mu.Unlock()
					mu.Lock()
					inside--
					mu.Unlock()
					g.leave()
				}
				cancel()
			}
		})
	}
	wg.Wait()
	if most > 3 || g.inside != 0 || !slices.Equal(g.queues[0], nil) || len(g.queues[1]) != 0 {
		t.Errorf("at most %d inside; %d left inside, %d waiting", most, g.inside, g.waiting())
	}
}
