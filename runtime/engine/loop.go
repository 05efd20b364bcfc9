package engine

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/sluice-ai/sluice/runtime/lfm2"
	"github.com/sluice-ai/sluice/runtime/sched"
	"github.com/sluice-ai/sluice/runtime/state"
)

// The owners of sequences that had part in a step get their logits at the same
// time, and each samples in a goroutine of its own. The next step waits for them
// to come back, so that it holds all of them, but not for long: an owner that is
// slow, or whose client does not read, has part in a later one.
const (
	patienceLeast = 200 * time.Microsecond
	patienceMost  = 3 * time.Millisecond
	patienceShare = 4 // of the step before, a quarter
)

// A stopSign is the context of steps. It is made once, for steps allocate nothing.
type stopSign struct {
	context.Context
	atomic.Bool
}

func (s *stopSign) Err() error {
	if s.Load() {
		return context.Canceled
	}
	return nil
}

// run is the model's loop: it does all steps, one after the other, until Close.
// It keeps its thread. Owners run between the steps, on whatever threads there
// are; a step that then goes on in another thread than the one before is apt to
// share a core with its own worker, while the other core is idle, until the
// system notices some milliseconds later.
func (m *Model) run() {
	runtime.LockOSThread()
	defer close(m.stopped)
	m.mu.Lock()
	defer m.mu.Unlock()
	var ended time.Time // of the last step
	var grace time.Duration
	for !m.dead.Load() {
		m.admit()
		switch left := grace - time.Since(ended); {
		case !m.sched.Pending():
			m.sleep(-1)
		case m.thinking > 0 && left > 0:
			m.sleep(left)
		default:
			// Whoever has not come by now is not waited for again: a client that does
			// not read must not have every step wait.
			m.thinking = 0
			m.round++
			took := m.step()
			ended = time.Now()
			grace = max(m.patience, min(took/patienceShare, patienceMost))
		}
	}
}

// sleep waits for a signal, or for d unless that is negative. The lock is held,
// but not meanwhile.
func (m *Model) sleep(d time.Duration) {
	m.mu.Unlock()
	defer m.mu.Lock()
	if d < 0 {
		<-m.wake
		return
	}
	m.timer.Reset(d)
	select {
	case <-m.wake:
	case <-m.timer.C:
	}
	m.timer.Stop()
}

// admit lets in whoever can begin, after something changed that could help.
func (m *Model) admit() {
	for m.changed {
		st, err := m.sched.Admit(m.begin)
		if st == nil {
			m.changed = false
			return
		}
		st.Owner.(*task).done <- err
	}
}

// begin gives a generation its sequence, with what the cache has of its prompt,
// and promises it the memory of the rest and of the first part of its answer.
func (m *Model) begin(st *sched.Task) error {
	t := st.Owner.(*task)
	seq := m.resume(t.Group, t.prompt)
	if err := m.promise(seq, len(t.prompt)-seq.Pos()+t.ahead); err != nil {
		seq.Release()
		return busy(err)
	}
	t.seq, t.cached = seq, seq.Pos()
	m.found(t.cached, len(t.prompt))
	return nil
}

// promise is [state.Seq.Promise]; the cache gives way. The lock is held.
func (m *Model) promise(seq *state.Seq, n int) error {
	err := seq.Promise(n)
	for m.makeRoom(err) {
		err = seq.Promise(n)
	}
	return err
}

// reserve is [state.Seq.Reserve]; the cache gives way. The lock is held.
func (m *Model) reserve(seq *state.Seq, n int) error {
	err := seq.Reserve(n)
	for m.makeRoom(err) {
		err = seq.Reserve(n)
	}
	return err
}

// step plans a step, does it, and tells those concerned. It returns how long the
// computation took. The lock is held, but not while it computes.
func (m *Model) step() time.Duration {
	plan := m.compose()
	if len(plan) == 0 {
		return 0
	}
	report := m.describe(plan)
	m.stop.Store(false)
	m.mu.Unlock()
	began := time.Now()
	err := m.net.Forward(&m.stop, m.work, m.spans)
	took := time.Since(began)
	if err == nil && m.opts.OnStep != nil {
		report.Duration = took
		m.opts.OnStep(report)
	}
	m.mu.Lock()
	m.stepping, m.wasted = 0, 0
	if err == nil {
		for _, p := range plan {
			m.snapshots(p.Task.Owner.(*task))
		}
		m.sched.Done(plan, took)
		if report.Prompts == 0 {
			m.costs.Took(report.Tokens, took)
		}
	}
	for _, p := range plan {
		m.conclude(p, err)
	}
	clear(m.spans)
	clear(plan)
	return took
}

// compose plans a step: the spans of those that have the memory for it. The others'
// jobs have ended.
func (m *Model) compose() []sched.Piece {
	m.plan, m.spans = m.sched.Plan(m.plan[:0]), m.spans[:0]
	kept := m.plan[:0]
	for _, p := range m.plan {
		t := p.Task.Owner.(*task)
		if err := m.prepare(t, p.Tokens); err != nil {
			m.sched.Withdraw(&t.Task)
			m.finish(t, busy(err))
			continue
		}
		t.inStep = p.Tokens
		m.stepping += p.Tokens
		kept = append(kept, p)
	}
	return kept
}

// prepare adds the spans of t's next n tokens.
func (m *Model) prepare(t *task, n int) error {
	for _, s := range t.batch {
		if err := m.reserve(s.Seq, len(s.Tokens)); err != nil {
			return err
		}
	}
	if t.batch != nil {
		m.spans = append(m.spans, t.batch...)
		return nil
	}
	if err := m.reserve(t.seq, n); err != nil {
		return err
	}
	span := lfm2.Span{Seq: t.seq, Tokens: t.tokens[:n]}
	if n == len(t.tokens) {
		span.Logits = t.rows
	}
	from := t.seq.Pos()
	t.marks = t.marks[:0]
	for _, pos := range t.keep {
		if pos > from && pos <= from+n {
			t.marks = append(t.marks, pos)
		}
	}
	for i := range t.back {
		t.marks = append(t.marks, from+n-t.back+i)
	}
	if len(t.marks) > 0 {
		t.seq.Mark(t.marks...)
	}
	m.spans = append(m.spans, span)
	return nil
}

// describe says what a step will do.
func (m *Model) describe(plan []sched.Piece) Step {
	s := Step{Sequences: len(m.spans), Waiting: m.sched.Waiting()}
	now := time.Now()
	for _, p := range plan {
		t := p.Task.Owner.(*task)
		s.Tokens += p.Tokens
		s.Wait = max(s.Wait, now.Sub(t.since))
		switch {
		case t.Class == sched.Urgent:
			s.Urgent = true
			s.Prompts += p.Tokens
		case t.prompt != nil:
			s.Prompts += p.Tokens
		default:
			s.Answers++
		}
	}
	return s
}

// conclude tells a party what its part of a step came to.
func (m *Model) conclude(p sched.Piece, err error) {
	t := p.Task.Owner.(*task)
	t.inStep = 0
	if t.gone {
		t.gone = false
		if t.Class == sched.Urgent {
			if err == nil && t.batch == nil {
				t.tokens = t.tokens[p.Tokens:]
			}
			t.done <- errGone
		} else {
			m.free(t)
		}
		return
	}
	switch {
	case err == nil && t.batch == nil && p.Tokens < len(t.tokens):
		t.tokens = t.tokens[p.Tokens:]
		t.since = time.Now()
	case err == nil:
		m.finish(t, nil)
	case errors.Is(err, context.Canceled): // others gave the step up: it comes again
	default:
		m.sched.Withdraw(&t.Task)
		m.finish(t, err)
	}
}

// finish ends t's job.
func (m *Model) finish(t *task, err error) {
	t.tokens, t.batch, t.back = nil, nil, 0
	if t.Class == sched.Normal {
		t.prompt = nil // it is read, and answers follow
		t.thinking, t.round = true, m.round
		m.thinking++
	}
	t.done <- err
}
