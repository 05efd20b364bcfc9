package ledger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"time"
)

// poll is how often Tail looks for new records.
const poll = 100 * time.Millisecond

// Tail calls f with the last n records in dir, in order. With follow it goes
// on with each record that is written, by whatever process, until ctx ends,
// and then returns nil; dir may still be empty. It stops when f fails and
// returns that error, or with a [*Problem] at a record that is not as it was
// written.
//
// Tail reads what has been written, which may be some milliseconds before it
// is durable.
func Tail(ctx context.Context, dir string, n int, follow bool, f func(Entry) error) error {
	if n < 0 {
		return fmt.Errorf("ledger: tail: %d is not a number of records", n)
	}
	name, first, at, err := start(dir, uint64(n))
	if err != nil {
		return err
	}
	t := tail{dir: dir, skip: first, f: f}
	defer t.close()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		for name != "" {
			if err := t.open(name, at); err != nil {
				return err
			}
			if t.r == nil {
				break // its header is not written yet
			}
			// Whether there is a next segment must be known before this one is
			// read to its end: then no record of this one can be missed.
			names, err := segments(dir)
			if err != nil {
				return err
			}
			if err := t.read(ctx); err != nil || ctx.Err() != nil {
				return err
			}
			at = t.r.at
			next := after(names, name)
			if next == "" {
				break
			}
			if p := t.tornBefore(next); p != nil {
				return p
			}
			t.close()
			name = next
		}
		if !follow {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if name == "" {
			// All that has come since the call began is new, however much it is.
			if name, _, at, err = start(dir, math.MaxInt64); err != nil {
				return err
			}
		}
	}
}

// A tail reads one segment after the other.
type tail struct {
	dir  string
	skip uint64 // the first sequence to pass on
	f    func(Entry) error
	file *os.File
	r    *reader
	torn bool
}

func (t *tail) open(name string, at link) error {
	if t.r != nil {
		return nil
	}
	file, err := os.Open(filepath.Join(t.dir, name))
	if err != nil {
		return fmt.Errorf("reading the ledger: %w", err)
	}
	r, _, err := newReader(name, fileSource{file}, at)
	if err != nil {
		file.Close()
		if errors.Is(err, errTorn) {
			return nil
		}
		return err
	}
	t.file, t.r = file, r
	return nil
}

func (t *tail) close() {
	if t.file != nil {
		t.file.Close()
	}
	t.file, t.r = nil, nil
}

// read passes on what the segment holds now.
func (t *tail) read(ctx context.Context) error {
	for ctx.Err() == nil {
		fr, err := t.r.next()
		t.torn = errors.Is(err, errTorn)
		if err == io.EOF || t.torn {
			return nil
		}
		if err != nil {
			return err
		}
		if fr.seq < t.skip {
			continue
		}
		e, err := entry(fr, t.r.name)
		if err != nil {
			return err
		}
		if err := t.f(e); err != nil {
			return err
		}
	}
	return nil
}

func (t *tail) tornBefore(next string) error {
	if !t.torn {
		return nil
	}
	return &Problem{Segment: t.r.name, Sequence: t.r.at.next, Offset: t.r.off,
		What: "the segment was cut short, and " + next + " follows it"}
}

// start finds the segment and the sequence of the first of the last n records.
// name is "" when there is no segment yet.
func start(dir string, n uint64) (name string, first uint64, at link, err error) {
	names, err := segments(dir)
	if err != nil || len(names) == 0 {
		return "", 0, link{}, err
	}
	end, err := count(dir, names[len(names)-1])
	if err != nil {
		return "", 0, link{}, err
	}
	first = 1
	if n < end {
		first = end - n
	}
	name = names[0]
	for _, s := range names {
		if f, _ := parseName(s); f <= first {
			name = s
		}
	}
	return name, first, link{}, nil
}

// count returns the sequence that follows the last whole record of a segment.
// A segment that is wrong is counted up to there: reading it again will tell.
func count(dir, name string) (uint64, error) {
	file, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return 0, fmt.Errorf("reading the ledger: %w", err)
	}
	defer file.Close()
	next, _ := parseName(name)
	r, _, err := newReader(name, fileSource{file}, link{})
	for err == nil {
		next = r.at.next
		_, err = r.next()
	}
	return next, nil
}

// after returns the name that follows name in names, or "".
func after(names []string, name string) string {
	for _, s := range names {
		if s > name {
			return s
		}
	}
	return ""
}
