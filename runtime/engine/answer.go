package engine

import (
	"slices"

	"github.com/sluice-ai/sluice/runtime/sample"
	"github.com/sluice-ai/sluice/runtime/tokenizer"
)

// An answer turns tokens into chunks.
type answer struct {
	m    *Model
	r    *Request
	smp  *sample.Sampler
	text *tokenizer.Stream
	stop stopper
	out  []Chunk // not emitted yet

	guide   *guide // nil without a grammar
	chose   bool   // the token was sampled, not forced
	left    int    // tokens that may still come
	stopped bool   // by a stop string

	made, sent int       // bytes of text made of tokens, and passed on
	pending    []pending // tokens whose text is not all passed on
}

type pending struct {
	TokenLogprob
	from, to int // where its text lies
}

// next returns the tokens to take: those that the grammar forces, or one that is
// sampled, in dst. With log-probabilities every token is sampled, so that each
// has its own.
func (a *answer) next(logits []float32, dst []int32) ([]int32, error) {
	a.chose = true
	if a.guide == nil {
		id, err := a.smp.Sample(logits)
		return append(dst, id), err
	}
	if !a.r.Logprobs {
		if run := a.guide.forced(); len(run) > 0 {
			a.chose = false
			return run[:min(len(run), a.left)], nil
		}
	}
	id, err := a.smp.SampleMasked(logits, a.guide.mask())
	return append(dst, id), err
}

// take adds the next token, whichever way it came about. It returns how the
// answer ended, or "".
func (a *answer) take(id int32) (finish string, err error) {
	a.left--
	if a.m.tok.IsEOG(id) {
		a.finish()
		return "stop", nil
	}
	if a.guide != nil {
		if err := a.guide.accept(id); err != nil {
			return "", err
		}
	}
	a.stopped = a.add(id)
	switch {
	case a.stopped:
		return "stop", nil
	case a.guide != nil && a.guide.complete():
		a.finish()
		return "stop", nil
	case a.left == 0:
		a.finish()
		return "length", nil
	}
	a.smp.Accept(id)
	return "", nil
}

// verdict says why the answer so far is not what its grammar asks for, or nil.
func (a *answer) verdict() error {
	if a.stopped {
		return ErrCut
	}
	return a.guide.verdict()
}

// add takes the next token. It reports whether a stop string ended the answer.
func (a *answer) add(id int32) (stopped bool) {
	var text []byte
	if a.m.visible[id] {
		text = a.text.Push(id)
	} else {
		text = a.text.Flush()
	}
	from := a.made
	a.made += len(text)
	if a.r.Logprobs || a.r.Watch && a.chose {
		a.pending = append(a.pending, pending{a.logprob(id), from, a.made})
	}
	pass, stopped := a.stop.push(text)
	a.sent += len(pass)
	a.send(pass, func(p pending) bool {
		return p.to <= a.sent || stopped && p.from < a.sent
	})
	return stopped
}

// finish passes on what was held back.
func (a *answer) finish() {
	pass, stopped := a.stop.push(a.text.Flush())
	a.stopped = stopped
	if !stopped {
		pass = append(slices.Clip(pass), a.stop.flush()...)
	}
	a.send(pass, func(pending) bool { return !stopped })
}

// send adds a chunk of text and the pending tokens that are done, which come first.
func (a *answer) send(text []byte, done func(pending) bool) {
	c := Chunk{Text: string(text)}
	for len(a.pending) > 0 && done(a.pending[0]) {
		c.Tokens = append(c.Tokens, a.pending[0].TokenLogprob)
		a.pending = a.pending[1:]
	}
	if c.Text != "" || len(c.Tokens) > 0 {
		a.out = append(a.out, c)
	}
}

// emit passes on the chunks made so far.
func (a *answer) emit(emit func(Chunk) error) error {
	defer func() {
		clear(a.out)
		a.out = a.out[:0]
	}()
	for _, c := range a.out {
		if err := emit(c); err != nil {
			return err
		}
	}
	return nil
}

func (a *answer) logprob(id int32) TokenLogprob {
	t := TokenLogprob{ID: id, Bytes: a.m.tok.Piece(id), Logprob: a.smp.Logprob(id)}
	if a.r.TopLogprobs > 0 {
		for _, alt := range a.smp.Top(a.r.TopLogprobs) {
			t.Top = append(t.Top, TokenLogprob{ID: alt.ID, Bytes: a.m.tok.Piece(alt.ID), Logprob: alt.Logprob})
		}
	}
	return t
}
