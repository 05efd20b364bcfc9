package grammar

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/sluice-ai/sluice/runtime/grammar/automaton"
	"github.com/sluice-ai/sluice/runtime/tokenizer"
)

// ErrNotAllowed says that a token is not in the language.
var ErrNotAllowed = errors.New("the grammar does not allow the token")

// A Program is a Grammar bound to a vocabulary, with what has been learnt about
// the two. It is safe for concurrent use.
type Program struct {
	v        *Vocab
	g        *Grammar
	masks    []*masks // by DFA
	specials []int32  // token ids, by Grammar.specials
	size     int64    // of g, in bytes

	room atomic.Int64 // see masks

	space atomic.Pointer[sharedSpace] // of new Matchers
}

// A sharedSpace is a space with its lock. Matchers of one Program share it.
type sharedSpace struct {
	mu sync.Mutex
	maskWalk
}

func (p *Program) newSpace() *sharedSpace {
	return &sharedSpace{maskWalk: maskWalk{space: newSpace(p.g), v: p.v}}
}

const (
	// warmVisits bounds, in nodes of the trie, what Bind computes in advance.
	warmVisits = 2 << 20
	// warmFrames, warmThreads and warmExtras bound how far it goes; minWarm is from how many
	// exits on it is worth it.
	warmFrames  = 512
	warmThreads = 4096
	warmExtras  = 256
	minWarm     = 64
	warmNarrow  = 8
	// maxFrames is how many frames a space may hold before new Matchers get a new one.
	maxFrames = 1 << 14
)

// Bind prepares g for v. It fails if v lacks a special token that g names, and with
// [ErrTooLarge] if a text of g can begin in too many ways at once.
func (v *Vocab) Bind(g *Grammar) (*Program, error) {
	p := &Program{v: v, g: g, size: g.bytes()}
	p.space.Store(p.newSpace())
	p.room.Store(maxMaskBytes)
	for _, s := range g.specials {
		id, ok := v.tok.ID(s)
		if !ok {
			return nil, fmt.Errorf("the model has no token %s", s)
		}
		p.specials = append(p.specials, id)
	}
	budget := warmVisits
	for _, d := range g.dfas {
		m := v.masksOf(d, &p.room)
		p.masks = append(p.masks, m)
		v.prepare(m, &budget)
	}
	if p.space.Load().start().over {
		return nil, ErrTooLarge
	}
	p.warm()
	return p, nil
}

// prepare finds masks of m in advance: all of them if they are shared, which is
// done once for the vocabulary; else as far as the budget goes, without those of
// later narrow states, which take little time when they come up.
func (v *Vocab) prepare(m *masks, budget *int) {
	d := m.d
	if d.Shared {
		m.once.Do(func() {
			for q := range int32(d.States()) {
				if found := v.mask(m, q); found.hasTails() {
					v.makeTails(found)
				}
			}
		})
		return
	}
	for q := range int32(d.States()) {
		wide := d.Width(q) > narrow
		if *budget <= 0 || !wide && q >= warmNarrow {
			continue
		}
		v.mask(m, q)
		*budget -= 64
		if wide {
			*budget -= len(v.trie.char) * min(d.Width(q), 128) / 128
		}
	}
}

// Prepare does now what would else slow the first schemas that use numbers,
// texts and formats. It takes some tenths of a second and some megabytes.
func (v *Vocab) Prepare() {
	for _, d := range automaton.SharedDFAs() {
		v.prepare(v.masksOf(d, nil), nil)
	}
}

// warm follows the grammar from its start, breadth first, and finds in advance
// what the exits of the masks on the way let through.
func (p *Program) warm() {
	s := p.space.Load()
	queue := []*frame{s.start()}
	seen := map[*frame]bool{queue[0]: true}
	scratch := make([]uint64, p.v.Words())
	left, threads := warmExtras, warmThreads
	for i := 0; i < len(queue) && i < warmFrames && threads > 0 && !s.spent(); i++ {
		f := queue[i]
		s.close(f)
		threads -= len(f.threads)
		for _, t := range f.threads {
			if !seen[t.after] {
				seen[t.after] = true
				queue = append(queue, t.after)
			}
			d := p.g.terms[t.term].DFA
			ms := p.masks[p.g.dfa[t.term]]
			t.n, t.x = int32(p.g.terms[t.term].Least), -1
			for t.q = 0; t.q < int32(d.States()) && left > 0 && !s.spent(); t.q++ {
				if t.q >= warmNarrow && d.Width(t.q) <= narrow {
					continue
				}
				if m := ms.states[t.q].Load(); m != nil && len(m.exits) >= minWarm {
					s.thread(scratch, &t, ms)
					left--
				}
			}
		}
		for _, sp := range f.specials {
			if !seen[sp.after] {
				seen[sp.after] = true
				queue = append(queue, sp.after)
			}
		}
	}
}

// masksOf returns the masks of d, which all Programs share if d is shared.
func (v *Vocab) masksOf(d *automaton.DFA, room *atomic.Int64) *masks {
	if !d.Shared {
		return newMasks(d, room)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	m, ok := v.shared[d]
	if !ok {
		m = newMasks(d, nil)
		v.shared[d] = m
	}
	return m
}

// A Matcher follows one answer. It is not safe for concurrent use.
type Matcher struct {
	p    *Program
	s    *sharedSpace
	src  *copying // nil: nothing is verbatim
	now  config
	next config
	over bool
	bits []uint64 // scratch of anyToken
}

// Verbatim reports whether p has strings that a [Source] holds to its texts.
func (p *Program) Verbatim() bool {
	return slices.ContainsFunc(p.g.terms, func(t Terminal) bool { return t.Verbatim })
}

// NewMatcher returns a Matcher at the beginning of an answer.
func (p *Program) NewMatcher() *Matcher { return p.NewMatcherOf(nil) }

// NewMatcherOf returns a Matcher at the beginning of an answer whose verbatim
// strings are pieces of src; if that is nil, they are free. A [Vocab.TokenSource] is
// of the Vocab that p was bound to.
func (p *Program) NewMatcherOf(src *Source) *Matcher {
	s := p.space.Load()
	s.mu.Lock()
	if len(s.frames) > maxFrames || s.kept > maxExtras || s.bytes.Load() > maxSpace/2 {
		s.mu.Unlock()
		p.space.CompareAndSwap(s, p.newSpace())
		s = p.space.Load()
		s.mu.Lock()
	}
	defer s.mu.Unlock()
	m := &Matcher{p: p, s: s}
	if src != nil {
		m.src = &copying{Source: src, wide: map[span]*copied{}}
	}
	m.now.join(&s.start().config)
	return m
}

// Clone returns an independent Matcher in the same state.
func (m *Matcher) Clone() *Matcher {
	c := &Matcher{p: m.p, s: m.s, src: m.src, over: m.over}
	c.now.join(&m.now)
	return c
}

// lock takes the space for m, and unlock gives it back.
func (m *Matcher) lock() {
	m.s.mu.Lock()
	m.s.src, m.s.work = m.src, 0
}

func (m *Matcher) unlock() {
	m.s.src, m.s.own = nil, false
	m.s.mu.Unlock()
}

// Mask sets bits, of [Vocab.Words] words, to the tokens that may come next: bit
// i%64 of word i/64 is token i. Tokens that end a generation are set if the text
// may end here. After the end, nothing is set, nor where it would take too long to
// find what may come.
func (m *Matcher) Mask(bits []uint64) {
	clear(bits)
	if m.over {
		return
	}
	m.lock()
	defer m.unlock()
	m.s.own = m.owns()
	if m.mask(bits, &m.now); m.s.own && empties(bits) {
		m.s.own = false
		m.mask(bits, &m.now)
	}
	if m.s.spent() {
		clear(bits)
	}
}

// owns reports whether verbatim strings are written in their texts' own tokens.
func (m *Matcher) owns() bool { return m.src != nil && m.src.own != nil }

// mask sets bits to the tokens that may follow c.
func (m *Matcher) mask(bits []uint64, c *config) {
	for i := range c.threads {
		if m.s.spent() {
			return
		}
		t := &c.threads[i]
		m.s.thread(bits, t, m.p.masks[m.p.g.dfa[t.term]])
	}
	for _, s := range c.specials {
		set(bits, m.p.specials[s.token:s.token+1])
	}
	if c.end {
		set(bits, m.p.v.eogs)
	}
}

// Accept moves on by one token. It fails with [ErrNotAllowed], and changes
// nothing, if the token is not in the mask; with [ErrTooLarge] if the text so far
// can be read in too many ways at once, or answers like it have taken too much memory.
func (m *Matcher) Accept(id int32) error {
	if m.over {
		return ErrNotAllowed
	}
	if slices.Contains(m.p.v.eogs, id) {
		if !m.now.end {
			return ErrNotAllowed
		}
		m.over = true
		return nil
	}
	m.lock()
	defer m.unlock()
	if slices.Contains(m.p.specials, id) {
		return m.acceptSpecial(id)
	}
	if id < 0 || int(id) >= m.p.v.rows || !isText(m.p.v.tok, id) {
		return ErrNotAllowed
	}
	if m.owns() {
		return m.acceptOwn(id)
	}
	return m.read(m.p.v.tok.Piece(id))
}

func (m *Matcher) acceptSpecial(id int32) error {
	m.next.reset()
	for _, s := range m.now.specials {
		if m.p.specials[s.token] == id {
			m.s.close(s.after)
			m.next.join(&s.after.config)
		}
	}
	switch {
	case m.next.dead():
		return ErrNotAllowed
	case m.next.over:
		return ErrTooLarge
	}
	m.now, m.next = m.next, m.now
	return nil
}

// read moves on by text, or changes nothing.
func (m *Matcher) read(text []byte) error {
	var from, to config
	from.threads = append(from.threads, m.now.threads...)
	for _, b := range text {
		m.s.step(from.threads, b, &to)
		switch {
		case to.dead():
			return ErrNotAllowed
		case to.over || m.s.spent():
			return ErrTooLarge
		}
		from, to = to, from
	}
	if len(text) > 0 {
		m.now = from
	}
	return nil
}

// AcceptText moves on by text, whatever its tokens. It fails with
// [ErrNotAllowed], and changes nothing, if text is not in the language, and with
// [ErrTooLarge] also if reading it takes too long.
func (m *Matcher) AcceptText(text string) error {
	if m.over {
		return ErrNotAllowed
	}
	m.lock()
	defer m.unlock()
	return m.read([]byte(text))
}

// Done reports whether the text may end here.
func (m *Matcher) Done() bool { return m.over || m.now.end }

// Complete reports whether nothing but the end can follow.
func (m *Matcher) Complete() bool {
	return m.over || m.now.end && len(m.now.threads) == 0 && len(m.now.specials) == 0
}

// maxForced bounds how many bytes Forced looks ahead.
const maxForced = 4 << 10

// Forced returns the tokens that must come next whatever the model says, perhaps
// none. It does not accept them: the caller does, and lets the model read them
// in one step.
//
// The grammar forces bytes, not tokens. They are cut into tokens as the
// tokenizer cuts the whole run. A token at the end of the run is left to the
// model if the vocabulary has a longer one that begins with the same bytes and
// that the grammar allows: after {"a": the model may prefer a token that holds
// the next quote as well. Inside strings of a [Vocab.TokenSource] it is tokens that
// are forced: where only one is allowed, that one.
func (m *Matcher) Forced() []int32 {
	if m.over {
		return nil
	}
	m.lock()
	defer m.unlock()
	m.s.own = m.owns()
	var out []int32
	var run strings.Builder
	var from, to config
	from.join(&m.now)
	for n := 0; n < maxForced && !m.s.spent(); n++ {
		if len(from.threads) == 0 && len(from.specials) == 1 && !from.end {
			s := from.specials[0]
			out, _ = m.tokens(out, run.String(), nil)
			out = append(out, m.p.specials[s.token])
			run.Reset()
			m.s.close(s.after)
			from.reset()
			from.join(&s.after.config)
			continue
		}
		if m.s.own && m.s.midCopy(&from) {
			var whole bool
			if out, whole = m.tokens(out, run.String(), &from); !whole {
				return out
			}
			run.Reset()
			id, ok := m.onlyToken(&from)
			if !ok {
				return out
			}
			next, err := m.s.follow(from.threads, id)
			if err != nil {
				return out
			}
			out, from = append(out, id), next
			n += len(m.p.v.tok.Piece(id)) - 1
			continue
		}
		b, ok := m.onlyByte(&from)
		if !ok {
			break
		}
		run.WriteByte(b)
		m.s.step(from.threads, b, &to)
		from, to = to, from
	}
	out, _ = m.tokens(out, run.String(), &from)
	return out
}

// onlyByte returns the byte that must follow in c.
func (m *Matcher) onlyByte(c *config) (byte, bool) {
	if c.end || len(c.specials) > 0 || len(c.threads) == 0 {
		return 0, false
	}
	found := -1
	for i := range c.threads {
		t := &c.threads[i]
		term := &m.p.g.terms[t.term]
		if term.Verbatim && m.src != nil {
			b, ok := m.s.onlyCopied(t)
			if !ok || found >= 0 && found != int(b) {
				return 0, false
			}
			found = int(b)
			continue
		}
		if plain := term.Most == 0 && term.Not == nil; plain && term.DFA.Width(t.q) > 64 {
			return 0, false // as in the middle of a text: at least two can follow
		}
		several := false
		term.DFA.Bytes(t.q, func(b byte) {
			if several || int(b) == found || !m.s.stepThread(t, b, nil) {
				return
			}
			several = found >= 0
			found = int(b)
		})
		if several {
			return 0, false
		}
	}
	return byte(found), found >= 0
}

// tokens appends the tokens of run that are sure, given what follows it; nil is
// a special token. It reports whether they are the whole run.
func (m *Matcher) tokens(dst []int32, run string, then *config) ([]int32, bool) {
	if run == "" {
		return dst, true
	}
	v := m.p.v
	ids := v.tok.Encode(nil, run, tokenizer.Options{})
	at := 0
	for _, id := range ids {
		if !isText(v.tok, id) || !strings.HasPrefix(run[at:], string(v.tok.Piece(id))) {
			return dst, false
		}
		if then != nil && m.extendable(run[at:], then) {
			return dst, false
		}
		dst = append(dst, id)
		at += len(v.tok.Piece(id))
	}
	return dst, true
}

// extendable reports whether some token is s and more that c allows.
func (m *Matcher) extendable(s string, c *config) bool {
	tr := &m.p.v.trie
	node := tr.find(s)
	if node < 0 {
		return false
	}
	for n := node + 1; n < tr.end[node]; n = tr.end[n] {
		for i := range c.threads {
			if m.s.stepThread(&c.threads[i], tr.char[n], nil) {
				return true
			}
		}
	}
	return false
}
