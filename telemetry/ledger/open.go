package ledger

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
)

const lockName = "LOCK"

// Open opens the ledger in dir for appending, and makes it when there is none.
// It fails when another process has it open.
//
// A last frame that a crash cut short is removed: nobody was told that it is
// durable. Open then checks the last two segments, and fails with a [*Problem]
// when they are not as they were written: it never appends to a broken chain,
// and never removes a record that is whole. Older segments are for [Verify] and [Scan].
func Open(dir string, cfg Config) (*Ledger, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	return open(dir, cfg.withDefaults(), create)
}

func open(dir string, cfg Config, create func(string) (file, error)) (*Ledger, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the ledger's directory: %w", err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	f, size, at, err := recoverTail(dir)
	if err != nil {
		lock.Close()
		return nil, fmt.Errorf("opening the ledger in %s: %w", dir, err)
	}
	l := &Ledger{
		dir: dir, cfg: cfg, lock: lock,
		wake: make(chan struct{}, 1), done: make(chan struct{}), room: make(chan struct{}),
		head: at.next - 1, root: at.prev,
		w: writer{dir: dir, limit: cfg.SegmentBytes, create: create, f: f, size: size, at: at},
	}
	l.end = sync.OnceValue(func() error { return errors.Join(l.err, l.w.close(), l.lock.Close()) })
	go l.run()
	return l, nil
}

// lockDir takes dir for this process. Closing the file gives it back.
func lockDir(dir string) (*os.File, error) {
	path := filepath.Join(dir, lockName)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the ledger: %w", err)
	}
	taken, err := lockFile(f)
	if err == nil && taken {
		// The number is for people; the lock is what counts.
		_ = f.Truncate(0)
		_, _ = fmt.Fprintf(f, "%d\n", os.Getpid())
		return f, nil
	}
	defer f.Close()
	if err != nil {
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	who := ""
	if b, err := io.ReadAll(io.LimitReader(f, 20)); err == nil && len(b) > 0 {
		who = " (process " + strings.TrimSpace(string(b)) + ")"
	}
	return nil, fmt.Errorf("another sluice%s uses %s: stop it, or give this one its own data directory", who, dir)
}

// recoverTail finds where to go on. f is nil when a new segment must begin.
func recoverTail(dir string) (f file, size int64, at link, err error) {
	names, err := segments(dir)
	if err != nil {
		return nil, 0, at, err
	}
	from := max(len(names)-2, 0)
	var w walked // takes the chain as it finds it, unless it begins at its beginning
	if from == 0 {
		w.at = link{fixed: true, next: 1}
	}
	keep := func(*frame, string) error { return nil }
	for i, name := range names[from:] {
		if err := w.segment(dir, name, from+i == len(names)-1, keep); err != nil {
			return nil, 0, at, err
		}
	}
	if w.at.id == (ID{}) {
		rand.Read(w.at.id[:])
	}
	if len(names) == 0 {
		return nil, 0, w.at, nil
	}
	path := filepath.Join(dir, names[len(names)-1])
	st, err := os.Stat(path)
	if err != nil {
		return nil, 0, at, err
	}
	size = st.Size() - w.torn
	if size == 0 { // a crash while the segment began
		if err := errors.Join(os.Remove(path), syncDir(dir)); err != nil {
			return nil, 0, at, err
		}
		return nil, 0, w.at, nil
	}
	last, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return nil, 0, at, err
	}
	if w.torn > 0 {
		if err := errors.Join(last.Truncate(size), last.Sync()); err != nil {
			return nil, 0, at, errors.Join(err, last.Close())
		}
	}
	return osFile{last}, size, w.at, nil
}

// syncDir makes the names in dir durable, where the system lets it.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
