package ledger

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestTail(t *testing.T) {
	whole, _ := sealed(t)
	dir := t.TempDir()
	whole.write(t, dir)
	for n := range 12 {
		want := max(1, 9-n+1)
		err := Tail(t.Context(), dir, n, false, func(e Entry) error {
			if e.Sequence != uint64(want) || e.Record.ID != rec(want).ID {
				return fmt.Errorf("record %d is %d", want, e.Sequence)
			}
			want++
			return nil
		})
		if err != nil || want != 10 {
			t.Errorf("Tail(%d): %v, next %d", n, err, want)
		}
	}
	stop := errors.New("enough")
	if err := Tail(t.Context(), dir, 3, true, func(Entry) error { return stop }); err != stop {
		t.Errorf("f's error is not returned: %v", err)
	}
	if err := Tail(t.Context(), filepath.Join(dir, "absent"), 3, true, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Tail of nothing: %v", err)
	}
}

// Tail follows a writer through rotations, torn ends and its restart.
func TestFollow(t *testing.T) {
	dir := t.TempDir()
	const n = 60
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	seen := make(chan uint64, n)
	done := make(chan error, 1)
	go func() {
		next := uint64(1)
		done <- Tail(ctx, dir, 5, true, func(e Entry) error {
			if e.Sequence != next {
				return fmt.Errorf("record %d where %d should be", e.Sequence, next)
			}
			next++
			seen <- e.Sequence
			return nil
		})
	}()
	cfg := Config{SegmentBytes: 2300}
	time.Sleep(poll / 2) // it starts on an empty directory
	for i := 1; i <= n; i += 10 {
		fill(t, dir, cfg, i, i+9)
		if i == 31 { // a crash leaves half a frame, which the next Open removes
			names, _ := segments(dir)
			f, err := os.OpenFile(filepath.Join(dir, names[len(names)-1]), os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			half, _ := appendFrame(nil, 41, Hash{}, make([]byte, 100))
			f.Write(half[:90])
			f.Close()
			time.Sleep(2 * poll)
		}
	}
	for want := uint64(1); want <= n; want++ {
		select {
		case err := <-done:
			t.Fatalf("Tail ended before record %d: %v", want, err)
		case <-seen:
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Tail = %v after its context ended, want nil", err)
	}
}

func TestFollowBroken(t *testing.T) {
	whole, names := sealed(t)
	whole[names[1]][200] ^= 1
	dir := t.TempDir()
	whole.write(t, dir)
	err := Tail(t.Context(), dir, 9, true, func(Entry) error { return nil })
	if p, ok := errors.AsType[*Problem](err); !ok || p.Segment != names[1] {
		t.Errorf("Tail = %v, want a *Problem in %s", err, names[1])
	}
}
