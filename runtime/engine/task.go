package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluice-ai/sluice/runtime/lfm2"
	"github.com/sluice-ai/sluice/runtime/sched"
	"github.com/sluice-ai/sluice/runtime/state"
)

// A task is one party that has the model work for it, a session or a generation,
// and the job it has given: tokens to be read. Its owner's goroutine and the
// model's loop use it by turns: from submit to the end of wait it is the loop's.
type task struct {
	sched.Task
	m   *Model
	seq *state.Seq // of a generation, nil until it is let in

	tokens []int32     // those of the job that are still to be read
	rows   []float32   // [n][vocab], for the logits of the job's last n tokens; a generation's are the model's
	batch  []lfm2.Span // instead of tokens: sequences that advance in one step
	keep   []int       // positions to take snapshots at, ascending
	back   int         // so many of the job's last tokens may be taken back
	since  time.Time   // when the job was given, or had its last part in a step
	done   chan error  // how the job ended; room for one

	// Of a generation.
	prompt []int32
	ahead  int // tokens after the prompt whose memory it is promised
	cached int // tokens of the prompt that were found in the cache

	inStep   int  // tokens in the step in progress
	gone     bool // nobody waits for the job any more
	thinking bool // its owner has the logits and will soon say what comes next
	round    int  // the model's, when it got them
	marks    []int
}

func (m *Model) newTask(c sched.Class, group string) *task {
	t := &task{m: m, done: make(chan error, 1)}
	t.Task = sched.Task{Class: c, Group: group, Owner: t}
	return t
}

// errGone is how a job ends whose owner has gone: nobody sees it.
var errGone = errors.New("the job was given up")

// check refuses tokens that the model does not have.
func (m *Model) check(tokens []int32) error {
	for _, id := range tokens {
		if id < 0 || int(id) >= m.net.Vocab {
			return fmt.Errorf("token %d is outside the vocabulary of %d", id, m.net.Vocab)
		}
	}
	return nil
}

// submit gives the loop t's job: its tokens, or its batch. A whole job is done in
// one step.
func (m *Model) submit(t *task, whole bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rest(t)
	if m.dead.Load() {
		return ErrClosed
	}
	n := len(t.tokens)
	for _, s := range t.batch {
		n += len(s.Tokens)
	}
	t.since = time.Now()
	if m.thinking == 0 || !m.sched.Pending() { // else the loop waits for more
		m.signal()
	}
	m.sched.Ready(&t.Task, n, whole)
	return nil
}

// wait returns how t's job, or its wait for a slot, ended. When ctx ends first, a
// generation's job is left to the loop, which looks after what it uses; a
// session's has ended when wait returns. Either way tokens that were not read are
// not read any more.
func (m *Model) wait(ctx context.Context, t *task) error {
	select {
	case err := <-t.done:
		if m.dead.Load() {
			return ErrClosed
		}
		return cmp.Or(err, ctx.Err())
	case <-m.stopped:
		return ErrClosed
	case <-ctx.Done():
	}
	m.mu.Lock()
	select {
	case err := <-t.done: // at the same moment
		m.mu.Unlock()
		return err
	default:
	}
	m.sched.Withdraw(&t.Task)
	m.abandon(t)
	running := t.gone
	m.mu.Unlock()
	if running && t.Class == sched.Urgent {
		select {
		case <-t.done:
		case <-m.stopped:
			return ErrClosed
		}
	}
	return ctx.Err()
}

// abandon says that nobody waits for t's job any more. A step is given up when
// half of it would be for nobody. The lock is held.
func (m *Model) abandon(t *task) {
	if t.inStep == 0 || t.gone {
		return
	}
	t.gone = true
	if m.wasted += t.inStep; 2*m.wasted >= m.stepping {
		m.stop.Store(true)
	}
}

// rest says that t's owner is not thinking any more. The lock is held.
func (m *Model) rest(t *task) {
	if !t.thinking {
		return
	}
	t.thinking = false
	if t.round != m.round { // nobody waits for it any more
		return
	}
	if m.thinking--; m.thinking == 0 {
		m.signal()
	}
}

// pause is rest for an owner that will not give its next job soon.
func (m *Model) pause(t *task) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rest(t)
}

// leave ends a generation: its slot and its memory are free, at once or, if it is
// part of the step in progress, when that ends.
func (m *Model) leave(t *task) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rest(t)
	m.sched.Leave(&t.Task)
	m.abandon(t)
	if !t.gone {
		m.free(t)
	}
	m.changed = true
	m.signal()
}

// free lets go of what a generation used. The lock is held.
func (m *Model) free(t *task) {
	if t.seq != nil {
		t.seq.Release()
		t.seq = nil
	}
	m.recycle(t.rows)
	t.rows, m.changed = nil, true
}

// arrive has a generation wait for a slot; wait tells when it has one.
func (m *Model) arrive(t *task) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead.Load() {
		return ErrClosed
	}
	if err := m.sched.Arrive(&t.Task, len(t.prompt)); err != nil {
		return ErrBusy
	}
	m.changed = true
	m.signal()
	return nil
}

// signal wakes the loop up.
func (m *Model) signal() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// rowsKept bounds the buffers that wait to be used again.
const rowsKept = 8

// buffer returns room for n rows of logits. The lock is held.
func (m *Model) buffer(n int) []float32 {
	for i := len(m.spare) - 1; i >= 0; i-- {
		if b := m.spare[i]; cap(b) >= n*m.net.Vocab {
			m.spare = append(m.spare[:i], m.spare[i+1:]...)
			return b[:n*m.net.Vocab]
		}
	}
	return make([]float32, n*m.net.Vocab)
}

// recycle keeps a buffer for another generation. The lock is held.
func (m *Model) recycle(b []float32) {
	if b != nil && len(m.spare) < rowsKept {
		m.spare = append(m.spare, b)
	}
}
