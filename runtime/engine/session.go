package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"time"

	"github.com/sluice-ai/sluice/runtime/lfm2"
	"github.com/sluice-ai/sluice/runtime/sample"
	"github.com/sluice-ai/sluice/runtime/state"
)

// A Session is one sequence of tokens that the model has read. Its steps go
// before those of generations.
type Session struct {
	m        *Model
	seq      *state.Seq
	priority priority
	turn     *turn
	logits   []float32    // [vocab], after the last token
	ready    bool         // logits holds that
	span     [1]lfm2.Span // the step in progress, kept here so that it is not allocated
}

// NewSession returns an empty session. It holds memory as it grows, until Close.
func (m *Model) NewSession() (*Session, error) {
	if m.dead.Load() {
		return nil, ErrClosed
	}
	return m.newSession(urgent), nil
}

func (m *Model) newSession(p priority) *Session {
	s := &Session{
		m: m, seq: state.NewWithin(m.budget, m.shape, m.opts.Context), priority: p, turn: newTurn(),
		logits: make([]float32, m.net.Vocab),
	}
	s.own()
	return s
}

// own gives the sequence's memory back to the budget when nobody holds s any
// more, should its owner forget Close.
func (s *Session) own() { runtime.AddCleanup(s, (*state.Seq).Release, s.seq) }

// Prefill reads tokens, in steps. If it fails, the session holds the tokens of
// the steps that succeeded (Pos tells how many) and has no logits; tokens that
// do not fit the context fail with a [*ContextError] before any is read, and with
// [ErrBusy] if other sequences hold the memory they need.
func (s *Session) Prefill(ctx context.Context, tokens []int32) error {
	if s.seq == nil {
		return ErrClosed
	}
	if needed := s.seq.Pos() + len(tokens); needed > s.seq.Limit() {
		return &ContextError{Needed: needed, Limit: s.seq.Limit()}
	}
	if err := s.seq.Promise(len(tokens)); err != nil {
		return busy(err)
	}
	for len(tokens) > 0 {
		n := min(len(tokens), s.m.tokensPerStep())
		var logits []float32
		if n == len(tokens) {
			logits = s.logits
		}
		s.ready = false
		s.span[0] = lfm2.Span{Seq: s.seq, Tokens: tokens[:n], Logits: logits}
		if err := s.step(ctx, s.span[:]); err != nil {
			return err
		}
		s.ready = logits != nil
		tokens = tokens[n:]
	}
	return nil
}

// step waits for the model's turn and advances the batch.
func (s *Session) step(ctx context.Context, batch []lfm2.Span) error {
	m := s.m
	arrived := time.Now()
	if err := m.steps.enter(ctx, s.turn, s.priority); err != nil {
		return err
	}
	began := time.Now()
	defer m.steps.leave()
	if m.dead.Load() {
		return ErrClosed
	}
	if err := m.net.Forward(ctx, m.work, batch); err != nil {
		return err
	}
	took := time.Since(began)
	n := 0
	for _, b := range batch {
		n += len(b.Tokens)
	}
	if n >= 16 { // a single token's time says little about a prompt's
		m.pace.Store(math.Float64bits(float64(took) / float64(n)))
	}
	if m.opts.OnStep != nil {
		m.opts.OnStep(Step{Tokens: n, Urgent: s.priority == urgent, Wait: began.Sub(arrived), Duration: took})
	}
	return nil
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
	if s.seq == nil {
		return 0
	}
	return s.seq.Pos()
}

var errBroken = errors.New("scoring labels: the model's output is not a number; the file may be damaged")

// Score returns, for each label, the natural logarithm of the probability that
// the model continues with exactly its tokens. The session stays as it was. All
// labels are read in one step where they fit.
func (s *Session) Score(ctx context.Context, labels [][]int32) ([]float64, error) {
	if s.seq == nil {
		return nil, ErrClosed
	}
	if !s.ready {
		return nil, errors.New("scoring labels: the session has read nothing")
	}
	scores := make([]float64, len(labels))
	norm, ok := sample.LogSumExp(s.logits)
	if !ok {
		return nil, errBroken
	}
	vocab := s.m.net.Vocab
	for i, label := range labels {
		for _, id := range label {
			if id < 0 || int(id) >= vocab {
				return nil, fmt.Errorf("scoring labels: token %d is outside the vocabulary of %d", id, vocab)
			}
		}
		if len(label) > 0 {
			scores[i] = float64(s.logits[label[0]]) - norm
		}
	}
	// Labels of several tokens: read all but the last of each on a clone, in
	// batches, and look at every position.
	for from := 0; from < len(labels); {
		var batch []lfm2.Span
		var owners []int
		tokens := 0
		for ; from < len(labels); from++ {
			n := len(labels[from]) - 1
			if n < 1 {
				continue
			}
			if n > maxBatch {
				return nil, fmt.Errorf("scoring labels: a label of %d tokens is more than %d", n+1, maxBatch+1)
			}
			if tokens += n; tokens > maxBatch {
				break
			}
			batch = append(batch, lfm2.Span{Seq: s.seq.Clone(), Tokens: labels[from][:n], Logits: make([]float32, n*vocab)})
			owners = append(owners, from)
		}
		if len(batch) == 0 {
			break
		}
		err := s.step(ctx, batch)
		for _, span := range batch {
			span.Seq.Release()
		}
		if err != nil {
			return nil, busy(err)
		}
		for b, span := range batch {
			for j, id := range labels[owners[b]][1:] {
				row := span.Logits[j*vocab:][:vocab]
				norm, ok := sample.LogSumExp(row)
				if !ok {
					return nil, errBroken
				}
				scores[owners[b]] += float64(row[id]) - norm
			}
		}
	}
	return scores, nil
}

// Clone returns an independent session in the same state. The two share what
// they have read, so a clone of a long prefix costs little: this is how a
// constant prompt is read once and used often. Several goroutines may clone one
// session at the same time if nobody advances it.
func (s *Session) Clone() (*Session, error) {
	if s.seq == nil {
		return nil, ErrClosed
	}
	c := &Session{m: s.m, seq: s.seq.Clone(), priority: s.priority, turn: newTurn(), logits: slices.Clone(s.logits), ready: s.ready}
	c.own()
	return c, nil
}

// Close lets go of the session's memory. Closing twice is harmless.
func (s *Session) Close() {
	if s.seq != nil {
		s.seq.Release()
	}
	s.seq, s.logits, s.ready = nil, nil, false
}

// Logits returns the scores after every token, one row per token. They take
// 4 bytes times the vocabulary for each.
func (m *Model) Logits(ctx context.Context, tokens []int32) ([][]float32, error) {
	s, err := m.NewSession()
	if err != nil {
		return nil, err
	}
	defer s.Close()
	if len(tokens) > s.seq.Limit() {
		return nil, &ContextError{Needed: len(tokens), Limit: s.seq.Limit()}
	}
	rows := make([][]float32, 0, len(tokens))
	for part := range slices.Chunk(tokens, 64) {
		all := make([]float32, len(part)*m.net.Vocab)
		if err := s.step(ctx, []lfm2.Span{{Seq: s.seq, Tokens: part, Logits: all}}); err != nil {
			return nil, busy(err)
		}
		for i := range part {
			rows = append(rows, all[i*m.net.Vocab:][:m.net.Vocab:m.net.Vocab])
		}
	}
	return rows, nil
}
