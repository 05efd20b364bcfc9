package ledger

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/sluice-ai/sluice/internal/llm"
)

// Errors of [Ledger.Record] that do not come from the disk.
var (
	// ErrFull means that the disk did not keep up: nothing was recorded; try again later.
	ErrFull = errors.New("ledger: the queue is full")
	// ErrClosed means that the ledger was closed.
	ErrClosed = errors.New("ledger: closed")
)

// Config configures a [Ledger]. A zero field takes the default it documents.
type Config struct {
	// SegmentBytes is the size at which a new segment begins. One batch larger
	// than that still goes into one segment. Default 64 MiB.
	SegmentBytes int64 `yaml:"segment_bytes"`
	// MaxBatch is how many records one fsync makes durable at most. Default 4096.
	MaxBatch int `yaml:"max_batch"`
	// Queue is how many records may wait for the disk. Default 16384.
	Queue int `yaml:"queue"`
	// QueueWait is how long Record waits for room in a full queue before it
	// fails with [ErrFull]. Default 1s.
	QueueWait time.Duration `yaml:"queue_wait"`
	// OnCommit, when set, is called after each group commit, also the one that
	// fails, by the goroutine that writes: it must be quick.
	OnCommit func(Commit) `yaml:"-"`
}

// A Commit is one group commit.
type Commit struct {
	Records int
	Bytes   int // written, with the frames
	Took    time.Duration
	Err     error // why the ledger stopped; nil when the records are durable
}

func (c Config) withDefaults() Config {
	c.SegmentBytes = cmp.Or(c.SegmentBytes, 64<<20)
	c.MaxBatch = cmp.Or(c.MaxBatch, 4096)
	c.Queue = cmp.Or(c.Queue, 16<<10)
	c.QueueWait = cmp.Or(c.QueueWait, time.Second)
	return c
}

// Validate reports every mistake in c, not only the first.
func (c Config) Validate() error {
	var errs []error
	for _, f := range []struct {
		name string
		v    int64
	}{{"segment_bytes", c.SegmentBytes}, {"max_batch", int64(c.MaxBatch)}, {"queue", int64(c.Queue)}, {"queue_wait", int64(c.QueueWait)}} {
		if f.v < 0 {
			errs = append(errs, fmt.Errorf("%s must not be negative", f.name))
		}
	}
	return errors.Join(errs...)
}

// A Ledger appends records. It is safe for concurrent use.
type Ledger struct {
	dir  string
	cfg  Config
	lock *os.File
	wake chan struct{} // holds a token when a batch waits
	done chan struct{} // closed when the writer has ended
	end  func() error  // closes the files, once

	mu      sync.Mutex
	batches []*batch // the last one takes records
	queued  int      // records in batches
	room    chan struct{}
	closed  bool
	err     error  // sticky
	head    uint64 // sequence of the last durable record
	root    Hash   // hash of the last durable link

	w writer // the writing goroutine's own
}

// A batch is a group of records that become durable together.
type batch struct {
	bodies []*bytes.Buffer
	bytes  int
	err    error // valid once done is closed
	done   chan struct{}
}

// maxBatchBytes bounds the memory and the time of one commit.
const maxBatchBytes = 4 << 20

var bodies = sync.Pool{New: func() any { return bytes.NewBuffer(make([]byte, 0, 1<<10)) }}

// release gives body back for the next record, unless it is unusually large.
func release(body *bytes.Buffer) {
	if body.Cap() <= 64<<10 {
		bodies.Put(body)
	}
}

// Record appends rec. With wait it returns when rec, and every record before
// it, is durable, or when ctx ends; a record whose ctx ended is written
// nevertheless. Without wait it returns as soon as rec is queued.
//
// It fails with [ErrFull] when the queue had no room for Config.QueueWait, with
// [ErrClosed] after Close, and with the disk's error, for ever, after a write
// failed: what was queued without wait is then lost, and only Config.OnCommit,
// [Ledger.Err] and the next Record say so. rec is not used after the return.
func (l *Ledger) Record(ctx context.Context, rec *llm.Record, wait bool) error {
	body, err := encode(rec)
	if err != nil {
		return err
	}
	b, err := l.enqueue(ctx, body)
	if err != nil {
		release(body)
		return err
	}
	if !wait {
		return nil
	}
	select {
	case <-b.done:
		return b.err
	case <-ctx.Done():
		return fmt.Errorf("ledger: waiting for the disk: %w", context.Cause(ctx))
	}
}

// encode returns rec as one line of JSON.
func encode(rec *llm.Record) (*bytes.Buffer, error) {
	body := bodies.Get().(*bytes.Buffer)
	body.Reset()
	e := json.NewEncoder(body)
	e.SetEscapeHTML(false)
	err := e.Encode(rec)
	if err == nil && body.Len() > maxBody {
		err = fmt.Errorf("it has %d bytes, and the most is %d", body.Len(), maxBody)
	}
	if err != nil {
		release(body)
		return nil, fmt.Errorf("ledger: record %s cannot be written: %w", rec.ID, err)
	}
	return body, nil
}

// enqueue adds body to the last batch, waiting for room.
func (l *Ledger) enqueue(ctx context.Context, body *bytes.Buffer) (*batch, error) {
	var timeout <-chan time.Time
	for {
		l.mu.Lock()
		switch {
		case l.err != nil:
			defer l.mu.Unlock()
			return nil, l.err
		case l.closed:
			l.mu.Unlock()
			return nil, ErrClosed
		case l.queued < l.cfg.Queue:
			b := l.add(body)
			select {
			case l.wake <- struct{}{}:
			default:
			}
			l.mu.Unlock()
			return b, nil
		}
		room := l.room
		l.mu.Unlock()
		if timeout == nil {
			t := time.NewTimer(l.cfg.QueueWait)
			defer t.Stop()
			timeout = t.C
		}
		select {
		case <-room:
		case <-timeout:
			return nil, fmt.Errorf("%w: %d records wait for the disk", ErrFull, l.cfg.Queue)
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ErrFull, context.Cause(ctx))
		}
	}
}

// add puts body in the last batch that has room. l.mu is held.
func (l *Ledger) add(body *bytes.Buffer) *batch {
	l.queued++
	if n := len(l.batches); n > 0 {
		b := l.batches[n-1]
		if len(b.bodies) < l.cfg.MaxBatch && b.bytes+body.Len()+frameOver <= maxBatchBytes {
			b.bodies, b.bytes = append(b.bodies, body), b.bytes+body.Len()+frameOver
			return b
		}
	}
	b := &batch{bodies: []*bytes.Buffer{body}, bytes: body.Len() + frameOver, done: make(chan struct{})}
	l.batches = append(l.batches, b)
	return b
}

// Head returns the sequence and the hash of the last durable record. Noted in
// another place, they prove later that the ledger was not cut off before it.
func (l *Ledger) Head() (uint64, Hash) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.head, l.root
}

// Err returns why the ledger stopped, or nil while it accepts records.
func (l *Ledger) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil && l.closed {
		return ErrClosed
	}
	return l.err
}

// Close writes what is queued, makes it durable and gives the directory free.
// It returns the error that stopped the ledger, if one did. It may be called again.
func (l *Ledger) Close() error {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		close(l.wake)
	}
	l.mu.Unlock()
	<-l.done
	return l.end()
}
