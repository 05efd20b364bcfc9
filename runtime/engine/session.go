package engine

import (
	"cmp"
	"context"
	"runtime"
	"slices"

	"github.com/sluice-ai/sluice/runtime/sched"
	"github.com/sluice-ai/sluice/runtime/state"
)

// A Session is one sequence of tokens that the model has read. Its steps go
// before those of generations.
type Session struct {
	m      *Model
	task   *task     // nil once it is closed
	logits []float32 // [vocab], after the last token
	ready  bool      // logits holds that
}

// NewSession returns an empty session. It holds memory as it grows, until Close.
func (m *Model) NewSession() (*Session, error) {
	if m.dead.Load() {
		return nil, ErrClosed
	}
	return m.session(state.NewWithin(m.budget, m.shape, m.opts.Context), make([]float32, m.net.Vocab)), nil
}

func (m *Model) session(seq *state.Seq, logits []float32) *Session {
	s := &Session{m: m, task: m.newTask(sched.Urgent, ""), logits: logits}
	s.task.seq = seq
	// The memory goes back to the budget when nobody holds s any more, should its
	// owner forget Close.
	runtime.AddCleanup(s, (*state.Seq).Release, seq)
	return s
}

// Prefill reads tokens, in steps. If it fails, the session holds the tokens of
// the steps that succeeded (Pos tells how many) and has no logits; tokens that
// do not fit the context fail with a [*ContextError] before any is read, and with
// [ErrBusy] if other sequences hold the memory they need. When ctx ends it returns
// within one layer of a step, or at the end of one that is for others too.
func (s *Session) Prefill(ctx context.Context, tokens []int32) error {
	if s.task == nil {
		return ErrClosed
	}
	m, seq := s.m, s.task.seq
	if needed := seq.Pos() + len(tokens); needed > seq.Limit() {
		return &ContextError{Needed: needed, Limit: seq.Limit()}
	}
	if len(tokens) == 0 {
		return nil
	}
	if err := cmp.Or(m.check(tokens), ctx.Err()); err != nil {
		return err
	}
	m.mu.Lock()
	err := m.promise(seq, len(tokens))
	m.mu.Unlock()
	if err != nil {
		return busy(err)
	}
	s.ready = false
	s.task.tokens, s.task.rows = tokens, s.logits
	err = s.do(ctx, false)
	s.ready = err == nil
	return err
}

// do has the model do the task's job.
func (s *Session) do(ctx context.Context, whole bool) error {
	err := s.m.submit(s.task, whole)
	if err == nil {
		err = s.m.wait(ctx, s.task)
	}
	s.task.tokens, s.task.rows, s.task.batch = nil, nil, nil
	return err
}

// Logits returns the model's scores for the next token, one per row of the
// vocabulary; nil before anything was read. They are valid until the next call.
func (s *Session) Logits() []float32 {
	if !s.ready {
		return nil
	}
	return s.logits
}

// Pos returns how many tokens the session has read.
func (s *Session) Pos() int {
	if s.task == nil {
		return 0
	}
	return s.task.seq.Pos()
}

// Clone returns an independent session in the same state. The two share what
// they have read, so a clone of a long prefix costs little: this is how a
// constant prompt is read once and used often. Several goroutines may clone one
// session at the same time if nobody advances it.
func (s *Session) Clone() (*Session, error) {
	if s.task == nil {
		return nil, ErrClosed
	}
	c := s.m.session(s.task.seq.Clone(), slices.Clone(s.logits))
	c.ready = s.ready
	return c, nil
}

// Close lets go of the session's memory. Closing twice is harmless.
func (s *Session) Close() {
	if s.task != nil {
		s.task.seq.Release()
	}
	s.task, s.logits, s.ready = nil, nil, false
}

// Logits returns the scores after every token, one row per token. They take
// 4 bytes times the vocabulary for each.
func (m *Model) Logits(ctx context.Context, tokens []int32) ([][]float32, error) {
	s, err := m.NewSession()
	if err != nil {
		return nil, err
	}
	defer s.Close()
	if limit := m.opts.Context; len(tokens) > limit {
		return nil, &ContextError{Needed: len(tokens), Limit: limit}
	}
	if err := cmp.Or(m.check(tokens), ctx.Err()); err != nil {
		return nil, err
	}
	rows := make([][]float32, 0, len(tokens))
	for part := range slices.Chunk(tokens, 64) {
		all := make([]float32, len(part)*m.net.Vocab)
		s.task.tokens, s.task.rows = part, all
		if err := s.do(ctx, true); err != nil {
			return nil, err
		}
		for i := range part {
			rows = append(rows, all[i*m.net.Vocab:][:m.net.Vocab:m.net.Vocab])
		}
	}
	return rows, nil
}
