package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-ai/sluice/internal/llm"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("LEDGER_CRASH_DIR"); dir != "" {
		writeUntilKilled(dir)
	}
	code := m.Run()
	if code == 0 && leaked() {
		code = 1
	}
	os.Exit(code)
}

// leaked reports, and shows, goroutines of ledgers that outlived the tests.
func leaked() bool {
	for range 50 {
		buf := make([]byte, 1<<20)
		buf = buf[:runtime.Stack(buf, true)]
		if !bytes.Contains(buf, []byte("ledger.(*Ledger)")) {
			return false
		}
		time.Sleep(10 * time.Millisecond)
		if bytes.Contains(buf, []byte("ledger.(*Ledger).run")) {
			continue
		}
		fmt.Fprintf(os.Stderr, "leaked:\n%s\n", buf)
		return true
	}
	fmt.Fprintln(os.Stderr, "a ledger's writer was never closed")
	return true
}

var day = time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)

func rec(i int) *llm.Record {
	return &llm.Record{ID: fmt.Sprintf("dec_%06d", i), Time: day.Add(time.Duration(i) * time.Second), Tenant: "acme",
		Dialect: llm.OpenAIChat, Model: "auto", Route: llm.RouteLocal, Target: "local/nano", Status: 200, Policy: "sha256:3f9c1a"}
}

func mustOpen(t testing.TB, dir string, cfg Config) *Ledger {
	t.Helper()
	l, err := Open(dir, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// fill appends records from to to (inclusive), each durable by itself.
func fill(t testing.TB, dir string, cfg Config, from, to int) {
	t.Helper()
	l := mustOpen(t, dir, cfg)
	for i := from; i <= to; i++ {
		if err := l.Record(t.Context(), rec(i), true); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// sound fails the test unless dir holds the records 1 to n, in order.
func sound(t testing.TB, dir string, n int) Report {
	t.Helper()
	rep, err := Verify(dir)
	if err != nil {
		t.Fatal(err)
	}
	if rep.Problem != nil {
		t.Fatalf("Verify: %v", rep.Problem)
	}
	if rep.Records != uint64(n) {
		t.Fatalf("Verify counts %d records, want %d", rep.Records, n)
	}
	i := 0
	err = Scan(dir, func(e Entry) error {
		if i++; e.Sequence != uint64(i) || e.Record.ID != rec(i).ID {
			return fmt.Errorf("entry %d has sequence %d and id %s", i, e.Sequence, e.Record.ID)
		}
		return nil
	})
	if err != nil || i != n {
		t.Fatalf("Scan: %d entries, %v", i, err)
	}
	return rep
}

func TestAppend(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data", "ledger")
	cfg := Config{SegmentBytes: 2 << 10}
	fill(t, dir, cfg, 1, 7)
	fill(t, dir, cfg, 8, 20)
	rep := sound(t, dir, 20)
	if rep.Segments < 4 {
		t.Errorf("%d segments: the ledger did not rotate", rep.Segments)
	}
	if rep.First.ID != "dec_000001" || rep.Last.ID != "dec_000020" || !rep.Last.Time.Equal(rec(20).Time) {
		t.Errorf("first %+v, last %+v", rep.First, rep.Last)
	}
	l := mustOpen(t, dir, cfg)
	defer l.Close()
	if seq, root := l.Head(); seq != 20 || root != rep.Root {
		t.Errorf("Head() = %d %s, Verify says %d %s", seq, root, rep.Last.Sequence, rep.Root)
	}
	names, err := segments(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		st, err := os.Stat(filepath.Join(dir, name))
		if err != nil || st.Size() > cfg.SegmentBytes {
			t.Errorf("%s has %d bytes, %v", name, st.Size(), err)
		}
		if runtime.GOOS != "windows" && st.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", name, st.Mode())
		}
	}
}

func TestEmpty(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, Config{}, 1, 0)
	sound(t, dir, 0)
	if _, err := Verify(filepath.Join(dir, "absent")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Verify of a directory that does not exist: %v", err)
	}
}

// A record that waited is durable, those that did not are by Close, and all
// are in the order in which each writer recorded them.
func TestConcurrentWriters(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, Config{SegmentBytes: 64 << 10, MaxBatch: 7, Queue: 16})
	const writers, each = 32, 40
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				r := rec(i)
				r.Tenant = fmt.Sprint(w)
				if err := l.Record(t.Context(), r, i%3 > 0); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	next := map[string]int{}
	err := Scan(dir, func(e Entry) error {
		if want := rec(next[e.Record.Tenant]).ID; e.Record.ID != want {
			return fmt.Errorf("writer %s: %s where %s should be", e.Record.Tenant, e.Record.ID, want)
		}
		next[e.Record.Tenant]++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for w := range writers {
		if next[fmt.Sprint(w)] != each {
			t.Errorf("writer %d: %d records", w, next[fmt.Sprint(w)])
		}
	}
}

func TestSecondProcess(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, Config{})
	_, err := Open(dir, Config{})
	want := fmt.Sprintf("another sluice (process %d) uses %s", os.Getpid(), dir)
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("second Open: %v, want %q", err, want)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, dir, Config{}).Close()
}

func TestClosed(t *testing.T) {
	l := mustOpen(t, t.TempDir(), Config{})
	var wg sync.WaitGroup
	for range 8 { // racing with Close: recorded, or told that it was not
		wg.Go(func() {
			for err := error(nil); err == nil; {
				if err = l.Record(t.Context(), rec(1), false); err != nil && !errors.Is(err, ErrClosed) {
					t.Error(err)
				}
			}
		})
	}
	for range 2 {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
	if err := l.Record(t.Context(), rec(1), true); !errors.Is(err, ErrClosed) {
		t.Errorf("Record after Close: %v", err)
	}
}

func TestUnwritable(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, Config{})
	bad := rec(0)
	bad.Assessment.PLocal = math.NaN()
	if err := l.Record(t.Context(), bad, true); err == nil || !strings.Contains(err.Error(), "dec_000000") {
		t.Errorf("a record with NaN: %v", err)
	}
	if err := l.Record(t.Context(), rec(1), true); err != nil { // it stops nothing else
		t.Error(err)
	}
	l.Close()
	sound(t, dir, 1)
	if _, err := Open(t.TempDir(), Config{Queue: -1, MaxBatch: -1}); err == nil || !strings.Contains(err.Error(), "queue") || !strings.Contains(err.Error(), "max_batch") {
		t.Errorf("Open with a bad config: %v", err)
	}
}

// A disk counts what is written to it, and can be full, broken or stuck.
type disk struct {
	room  int // bytes until it is full
	sync  error
	stuck chan struct{} // Sync waits until it is closed
}

type diskFile struct {
	*disk
	f file
}

func (d *disk) create(path string) (file, error) {
	f, err := create(path)
	return diskFile{d, f}, err
}

func (f diskFile) Write(b []byte) (int, error) {
	if n := f.room; n < len(b) {
		f.room = 0
		f.f.Write(b[:n])
		return n, syscall.ENOSPC
	}
	f.room -= len(b)
	return f.f.Write(b)
}

func (f diskFile) Sync() error {
	if f.stuck != nil {
		<-f.stuck
	}
	return cmpErr(f.sync, f.f.Sync())
}

func (f diskFile) Truncate(n int64) error { return f.f.Truncate(n) }
func (f diskFile) Close() error           { return f.f.Close() }

func TestDiskFull(t *testing.T) {
	for room := 0; room < 2500; room += 97 {
		dir := t.TempDir()
		var commits []Commit
		l, err := open(dir, Config{OnCommit: func(c Commit) { commits = append(commits, c) }}.withDefaults(), (&disk{room: room}).create)
		if err != nil {
			t.Fatal(err)
		}
		durable := 0
		for err == nil {
			if err = l.Record(t.Context(), rec(durable+1), true); err == nil {
				durable++
			}
		}
		if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), dir) {
			t.Fatalf("room %d: %v", room, err)
		}
		if again := l.Record(t.Context(), rec(0), false); !errors.Is(again, syscall.ENOSPC) {
			t.Fatalf("room %d: the error does not stick: %v", room, again)
		}
		if !errors.Is(l.Err(), syscall.ENOSPC) || !errors.Is(l.Close(), syscall.ENOSPC) {
			t.Fatalf("room %d: Err() = %v", room, l.Err())
		}
		if c := commits[len(commits)-1]; !errors.Is(c.Err, syscall.ENOSPC) || len(commits) != durable+1 {
			t.Fatalf("room %d: commits %+v", room, commits)
		}
		fill(t, dir, Config{}, durable+1, durable+1)
		sound(t, dir, durable+1)
	}
}

func TestSyncFails(t *testing.T) {
	dir := t.TempDir()
	l, err := open(dir, Config{}.withDefaults(), (&disk{room: 1 << 20, sync: syscall.EIO}).create)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Record(t.Context(), rec(1), true); !errors.Is(err, syscall.EIO) {
		t.Errorf("Record = %v: it claims a record that is not durable", err)
	}
	l.Close()
	fill(t, dir, Config{}, 1, 1)
	sound(t, dir, 1)
}

func TestStuckDisk(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		stuck := make(chan struct{})
		l, err := open(dir, Config{Queue: 3, QueueWait: time.Second}.withDefaults(), (&disk{room: 1 << 20, stuck: stuck}).create)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := l.Record(ctx, rec(1), true); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waiting for a stuck disk: %v", err)
		}
		for i := range 3 { // the first is with the disk, these are queued
			if err := l.Record(t.Context(), rec(i+2), false); err != nil {
				t.Error(err)
			}
		}
		start := time.Now()
		if err := l.Record(t.Context(), rec(9), false); !errors.Is(err, ErrFull) || time.Since(start) != time.Second {
			t.Errorf("full queue: %v after %v", err, time.Since(start))
		}
		time.AfterFunc(time.Second/2, func() { close(stuck) })
		if err := l.Record(t.Context(), rec(5), true); err != nil { // waits for room
			t.Error(err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	sound(t, dir, 5)
}
