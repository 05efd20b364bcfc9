package ledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// A file is a segment open for appending.
type file interface {
	Write(b []byte) (int, error)
	Sync() error
	Truncate(size int64) error
	Close() error
}

// osFile is a file on disk.
type osFile struct{ *os.File }

func (f osFile) Sync() error { return syncFile(f.File) }

// create makes a new segment. It never opens one that exists.
func create(path string) (file, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

// A writer appends to the segments of one directory. It is used by one goroutine.
type writer struct {
	dir    string
	limit  int64
	create func(path string) (file, error)

	f    file  // nil until the first record, and after an error
	size int64 // of f, all of it durable
	at   link
	buf  []byte
}

// maxIdle is the largest buffer that is kept between two batches.
const maxIdle = 1 << 20

// run commits batches until the ledger is closed and empty.
func (l *Ledger) run() {
	defer close(l.done)
	for open := true; open; {
		_, open = <-l.wake
		for b := l.take(); b != nil; b = l.take() {
			n := len(b.bodies)
			l.commit(b)
			if n > 1 {
				l.gather()
			}
		}
	}
}

// gather lets the writers that a commit woke queue their next records before
// the next batch is taken: one fsync then serves all of them, where otherwise
// the quickest one would have it alone. It costs some microseconds.
func (l *Ledger) gather() {
	for n := -1; ; runtime.Gosched() {
		l.mu.Lock()
		queued := l.queued
		l.mu.Unlock()
		if queued <= n {
			return
		}
		n = queued
	}
}

// take removes the oldest batch from the queue; nil when there is none.
func (l *Ledger) take() *batch {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.batches) == 0 {
		return nil
	}
	b := l.batches[0]
	l.batches[0] = nil
	l.batches = l.batches[1:]
	l.queued -= len(b.bodies)
	close(l.room)
	l.room = make(chan struct{})
	return b
}

// commit makes b durable and wakes who waits for it.
func (l *Ledger) commit(b *batch) {
	start := time.Now()
	c := Commit{Records: len(b.bodies)}
	if c.Err = l.Err(); c.Err == nil || errors.Is(c.Err, ErrClosed) {
		c.Bytes, c.Err = l.w.append(b)
		if c.Err != nil {
			c.Err = fmt.Errorf("the ledger in %s stopped at record %d: %w", l.dir, l.w.at.next, c.Err)
		}
	}
	c.Took = time.Since(start)
	l.mu.Lock()
	if c.Err != nil && l.err == nil {
		l.err = c.Err
	} else if c.Err == nil {
		l.head, l.root = l.w.at.next-1, l.w.at.prev
	}
	l.mu.Unlock()
	for _, body := range b.bodies {
		release(body)
	}
	b.bodies, b.err = nil, c.Err
	close(b.done)
	if l.cfg.OnCommit != nil {
		l.cfg.OnCommit(c)
	}
}

// append writes b's records as frames and makes them durable.
func (w *writer) append(b *batch) (int, error) {
	begin := w.f == nil || w.size > headerSize && w.size+int64(b.bytes) > w.limit
	at, buf := w.at, w.buf[:0]
	if begin {
		if err := w.rotate(); err != nil {
			return 0, err
		}
		h := header{first: at.next, created: time.Now(), id: at.id, prev: at.prev}
		buf = h.append(buf)
		at.prev = h.sum
	}
	for _, body := range b.bodies {
		buf, at.prev = appendFrame(buf, at.next, at.prev, body.Bytes())
		at.next++
	}
	_, err := w.f.Write(buf)
	if err == nil {
		err = w.f.Sync()
	}
	if err == nil && begin {
		err = syncDir(w.dir)
	}
	if err != nil {
		// Nobody was told that these records are durable: take back what can
		// be taken back, so that the next Open finds a clean end. It copes if not.
		_ = w.f.Truncate(w.size)
		_ = w.close()
		return 0, err
	}
	w.size += int64(len(buf))
	w.at = at
	if w.buf = buf; cap(buf) > maxIdle {
		w.buf = nil
	}
	return len(buf), nil
}

// rotate closes the segment, which is durable, and creates the next one.
func (w *writer) rotate() error {
	if err := w.close(); err != nil {
		return err
	}
	f, err := w.create(filepath.Join(w.dir, segmentName(w.at.next)))
	if err != nil {
		return err
	}
	w.f, w.size = f, 0
	return nil
}

func (w *writer) close() error {
	if w.f == nil {
		return nil
	}
	f := w.f
	w.f = nil
	return f.Close()
}
