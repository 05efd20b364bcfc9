package grammar

import (
	"math/bits"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sluice-ai/sluice/runtime/tokenizer"
)

// owned says in which tokens the pieces of a Source are written: in the texts' own,
// those that the tokenizer makes of each text by itself.
type owned struct {
	at   []int32   // of each place, 1 + the index of what may stand there; 0: what matches the text
	sets [][]int32 // an own token, and the tokens that begin it and end at a border
}

// maxPlaces is among how many places own tokens are looked for; where a string may
// go on in more, all tokens that match the text are allowed. Its beginning is
// looked through whatever its size, once.
const maxPlaces = 1 << 15

// TokenSource is [NewSource] for the pieces to be written in own tokens, by Matchers
// of v's Programs. Each text is read by the tokenizer as ordinary text, without the
// white space at its end. A token of it in which JSON escapes nothing owns the place
// where it begins; one that begins with a space and goes on with what is a token as
// well gives that one the place behind the space. At each place that a string may
// go on from, a Matcher then allows
//
//   - where there is an own token, that one, and tokens that begin it and end where a
//     piece may end; else all that match the text;
//   - where a piece may end, tokens that begin with the closing quote.
//
// No token that goes on behind the opening quote is allowed, nor one in which
// the piece goes on to the closing quote. Where that leaves nothing, because the
// vocabulary lacks a byte, what [NewSource] lets through is allowed; without a token
// for the quote itself, it is all a NewSource.
func (v *Vocab) TokenSource(texts []string) *Source {
	s := NewSource(texts)
	if quote := v.trie.first['"']; s == nil || quote < 0 || v.trie.tok[quote] < 0 {
		return s
	}
	o := ownFinder{v: v, s: s, own: &owned{at: make([]int32, len(s.text))}, sets: map[ownKey]int32{}, rests: map[int32]int32{}}
	at := int32(0)
	for _, t := range texts {
		at = o.text(t, at) + 1
	}
	s.own = o.own
	return s
}

// An ownFinder fills an owned.
type ownFinder struct {
	v     *Vocab
	s     *Source
	own   *owned
	sets  map[ownKey]int32
	rests map[int32]int32 // of tokens that begin with a space, the one behind it, or -1
	ids   []int32
}

// An ownKey is all that the set of a place depends on: the token, and at which of
// its bytes a piece may end.
type ownKey struct {
	id   int32
	ends uint64
}

// text finds the own tokens of t, which lies at place at, and returns where it ends.
func (o *ownFinder) text(t string, at int32) int32 {
	if !utf8.ValidString(t) {
		t = string([]rune(t))
	}
	t = strings.TrimRightFunc(t, unicode.IsSpace)
	tok := o.v.tok
	o.ids = tok.Encode(o.ids[:0], t, tokenizer.Options{})
	for _, id := range o.ids {
		p := tok.Piece(id)
		if len(p) == 0 || !strings.HasPrefix(t, string(p)) {
			break // the vocabulary lacks a byte
		}
		t = t[len(p):]
		size := spelledLen(string(p))
		if size == len(p) && int(id) < o.v.rows && isText(tok, id) {
			o.own.at[at] = o.set(id, at)
			if rest := o.rest(id, p); rest >= 0 {
				o.own.at[at+1] = o.set(rest, at+1)
			}
		}
		at += int32(size)
	}
	return at + int32(spelledLen(t))
}

// rest returns the token that p, which is id's, is a space and; -1 if there is none.
func (o *ownFinder) rest(id int32, p []byte) int32 {
	if p[0] != ' ' || len(p) == 1 {
		return -1
	}
	rest, ok := o.rests[id]
	if !ok {
		tr := &o.v.trie
		if rest = tr.find(string(p[1:])); rest >= 0 {
			rest = tr.tok[rest]
		}
		o.rests[id] = rest
	}
	return rest
}

// set returns the entry of place at, of which id is the own token.
func (o *ownFinder) set(id, at int32) int32 {
	p := o.v.tok.Piece(id)
	key := ownKey{id: id}
	for i := 1; i < len(p) && i < 64; i++ {
		if o.s.mayEnd(at + int32(i)) {
			key.ends |= 1 << i
		}
	}
	if k := o.sets[key]; k > 0 && len(p) <= 64 {
		return k
	}
	tr := &o.v.trie
	set, node := []int32{id}, int32(0)
	for i := 1; i < len(p); i++ {
		if node = tr.child(node, p[i-1]); node < 0 {
			break
		}
		if begun := tr.tok[node]; begun >= 0 && o.s.mayEnd(at+int32(i)) {
			set = append(set, begun)
		}
	}
	o.own.sets = append(o.own.sets, set)
	k := int32(len(o.own.sets))
	o.sets[key] = k
	return k
}

// spelledLen returns how many bytes the bytes of s take where JSON escapes them.
func spelledLen(s string) int {
	n := len(s)
	for i := range len(s) {
		switch b := s[i]; {
		case b == '"' || b == '\\' || b == '\n' || b == '\r' || b == '\t' || b == '\b' || b == '\f':
			n++
		case b < ' ':
			n += len(`\u0000`) - 1
		}
	}
	return n
}

// owned fills c with what the own tokens at the places of p let through.
func (w *maskWalk) owned(p span, c *copied) {
	src := w.src
	if p.depth > 0 && p.hi-p.lo > maxPlaces {
		w.pieces(src.Source, 0, p, c)
	} else {
		if src.seen == nil {
			src.seen = make([]uint32, len(src.own.sets)+1)
		}
		src.turn++
		others := src.others[:0]
		for _, b := range src.begins[p.lo:p.hi] {
			k := src.own.at[b+p.depth]
			if k == 0 {
				others = append(others, b)
			} else if src.seen[k] != src.turn {
				src.seen[k] = src.turn
				c.ids = append(c.ids, src.own.sets[k-1]...)
			}
		}
		if src.others = others; len(others) > 0 { // in the order of what follows, as all are
			w.pieces(&Source{text: src.text, begins: others, ends: src.ends}, 0, span{0, int32(len(others)), p.depth}, c)
		}
	}
	c.exits = nil // but the quote itself
	if quote := w.v.trie.first['"']; quote >= 0 && src.done(p) {
		c.exits = []int32{quote}
	}
}

// follow returns what token id leads to where space.own holds. It fails as
// Matcher.Accept does.
func (w *maskWalk) follow(in []thread, id int32) (config, error) {
	piece := w.v.tok.Piece(id)
	var from, to config
	from.threads = append(from.threads, in...)
	for _, b := range piece {
		w.step(from.threads, b, &to)
		if from, to = to, from; from.over || w.spent() {
			return config{}, ErrTooLarge
		}
	}
	for i := range in {
		t := &in[i]
		if !w.copying(t) || !slices.Contains(w.through(t).ids, id) {
			continue
		}
		p, ok := t.span(), true
		for _, b := range piece {
			if p, ok = w.src.next(p, b); !ok {
				break
			}
		}
		if ok {
			from.add(thread{t.term, p.lo, p.hi, p.depth + 1, t.after})
		}
	}
	if from.dead() {
		return config{}, ErrNotAllowed
	}
	return from, nil
}

// copying reports whether t is behind the opening quote of a verbatim string.
func (s *space) copying(t *thread) bool {
	return t.x > 0 && s.src != nil && s.g.terms[t.term].Verbatim
}

// midCopy reports whether c is inside a verbatim string that may go on.
func (s *space) midCopy(c *config) bool {
	return slices.ContainsFunc(c.threads, func(t thread) bool {
		return s.copying(&t) && s.src.at(t.span(), t.n-1) != 0 // the greatest of the bytes that follow
	})
}

// acceptOwn is Accept where strings are written in own tokens.
func (m *Matcher) acceptOwn(id int32) error {
	m.s.own = true
	to, err := m.s.follow(m.now.threads, id)
	if err == nil {
		m.now = to
		return nil
	}
	before := m.now
	m.s.own = false
	if m.read(m.p.v.tok.Piece(id)) != nil {
		return err
	}
	after := m.now
	if m.now, m.s.own = before, true; m.anyToken(&before) || m.s.spent() {
		return err
	}
	m.now = after
	return nil
}

// anyToken sets m.bits to what may follow c, and reports whether there is something.
func (m *Matcher) anyToken(c *config) bool {
	if m.bits == nil {
		m.bits = make([]uint64, m.p.v.Words())
	}
	clear(m.bits)
	m.mask(m.bits, c)
	return !empties(m.bits)
}

func empties(mask []uint64) bool {
	return !slices.ContainsFunc(mask, func(w uint64) bool { return w != 0 })
}

// onlyToken returns the token of text that must follow in c, and whether there is
// just one.
func (m *Matcher) onlyToken(c *config) (int32, bool) {
	if c.end || len(c.specials) > 0 || !m.anyToken(c) || m.s.spent() {
		return 0, false
	}
	only := int32(-1)
	for i, w := range m.bits {
		if w == 0 {
			continue
		}
		if only >= 0 || w&(w-1) != 0 {
			return 0, false
		}
		only = int32(i*64 + bits.TrailingZeros64(w))
	}
	return only, true
}
