package engine

import (
	"errors"
	"slices"
	"strings"

	"github.com/sluice-ai/sluice/runtime/chat"
	"github.com/sluice-ai/sluice/runtime/grammar"
	"github.com/sluice-ai/sluice/runtime/grammar/toolcall"
)

// ErrCut says that an answer ended before it was complete.
var ErrCut = errors.New("the answer ended before it was complete")

// A guide keeps one answer inside the grammars it may follow. A thought that the
// prompt opened is left free.
type guide struct {
	m     *Model
	paths []path // those that are left
	bits  []uint64
	other []uint64 // of a second path

	endThought int32 // the token that ends the thought in progress; -1 outside
	text       []byte
}

type path struct {
	*program
	*grammar.Matcher
}

// newGuide returns nil if no grammar is given. Verbatim strings are pieces of texts.
func (m *Model) newGuide(all []*program, texts []string, thinks bool) *guide {
	if len(all) == 0 {
		return nil
	}
	words := m.grammars.vocab().Words()
	g := &guide{m: m, bits: make([]uint64, words), other: make([]uint64, words), endThought: -1}
	var src *grammar.Source
	if len(texts) > 0 && slices.ContainsFunc(all, func(p *program) bool { return p.Verbatim() }) {
		if m.info.Verbatim { // it has learned to choose among their own tokens
			src = m.grammars.vocab().TokenSource(texts)
		} else {
			src = grammar.NewSource(texts)
		}
	}
	for _, p := range all {
		g.paths = append(g.paths, path{p, p.NewMatcherOf(src)})
	}
	if id, ok := m.tok.ID("</think>"); ok && thinks {
		g.endThought = id
	}
	return g
}

// mask returns the tokens that may come next, valid until the next call.
func (g *guide) mask() []uint64 {
	if g.endThought >= 0 {
		for i := range g.bits {
			g.bits[i] = ^uint64(0)
		}
		for _, id := range g.m.tok.EOGs() {
			g.bits[id/64] &^= 1 << (id % 64)
		}
		return g.bits
	}
	g.paths[0].Mask(g.bits)
	for _, p := range g.paths[1:] {
		p.Mask(g.other)
		for i, w := range g.other {
			g.bits[i] |= w
		}
	}
	return g.bits
}

// forced returns the tokens that must come next whatever the model says.
func (g *guide) forced() []int32 {
	if g.endThought >= 0 || len(g.paths) > 1 {
		return nil
	}
	return g.paths[0].Forced()
}

// accept moves on by a token that is in the mask or forced.
func (g *guide) accept(id int32) error {
	if g.endThought >= 0 {
		if id == g.endThought {
			g.endThought = -1
		}
		return nil
	}
	var left []path
	var failed error
	if len(g.paths) == 1 {
		failed = g.paths[0].Accept(id)
		left = g.paths
	} else {
		for _, p := range g.paths {
			if err := p.Accept(id); err == nil {
				left = append(left, p)
			}
		}
		if len(left) == 0 {
			failed = grammar.ErrNotAllowed
		}
	}
	if failed != nil {
		return failed
	}
	g.paths = left
	if g.m.visible[id] {
		g.text = append(g.text, g.m.tok.Piece(id)...)
	}
	return nil
}

// complete reports whether nothing but the end can follow.
func (g *guide) complete() bool {
	return g.endThought < 0 && len(g.paths) == 1 && g.paths[0].Complete()
}

// verdict says why the answer so far is not what was asked for, or nil.
func (g *guide) verdict() error {
	if g.endThought >= 0 || len(g.paths) > 1 || !g.paths[0].Done() {
		return ErrCut
	}
	return g.paths[0].check(string(g.text))
}

// checkCalls checks the arguments of the calls in an answer.
func checkCalls(c *toolcall.Compiled, answer string) error {
	at := strings.Index(answer, toolcall.Start)
	if at < 0 {
		return nil
	}
	out := chat.Parse(answer[at:], chat.ParserOptions{})
	if out.Malformed > 0 {
		return errMalformed
	}
	for _, call := range out.Calls {
		if err := c.Validate(call.Name, call.Arguments); err != nil {
			return err
		}
	}
	return nil
}
