package automaton

import (
	"encoding/binary"
	"sync"
)

// Escapes says which spellings of a code point a JSON string may use besides
// the shortest one.
type Escapes uint8

const (
	// Unicode allows \uXXXX for every code point, in pairs beyond U+FFFF.
	Unicode Escapes = 1 << iota
	// Slash allows \/.
	Slash
)

// Quoted returns the JSON strings, with their quotes, that mean texts of l. A
// code point is written as itself, or as \" \\ \b \f \n \r \t where JSON forbids
// that, or as escapes allow. Without [Unicode], other control characters cannot
// be written: the texts that hold one are left out.
func (l *Language) Quoted(escapes Escapes) (*DFA, error) {
	e := l.encoder()
	start := e.state(false)
	for range l.accept {
		e.state(false)
	}
	end := e.state(false)
	e.accept[end] = true
	e.edge(start, '"', '"', 1)
	e.base = 1
	for q := range l.accept {
		all := e.intervals(q)
		raw := cut(all, func(r rune) bool { return r >= ' ' && r != '"' && r != '\\' }, ' ', '"', '"'+1, '\\', '\\'+1)
		e.utf8(e.base+int32(q), raw)
		e.escape(e.base+int32(q), all, escapes)
		if l.accept[q] {
			e.edge(e.base+int32(q), '"', '"', end)
		}
		if len(e.edges) > maxByteStates {
			return nil, ErrTooLarge
		}
	}
	e.draft.count = make([]bool, len(e.edges))
	for q := range l.accept {
		e.draft.count[e.base+int32(q)] = true
		if escapes == 0 && l.free(q) {
			e.draft.free = e.base + int32(q)
		}
	}
	return e.finish(), nil
}

// free reports whether any text leads from state q back to it, and is accepted.
func (l *Language) free(q int) bool {
	for _, t := range l.next[q*l.n : (q+1)*l.n] {
		if t != int32(q) {
			return false
		}
	}
	return l.accept[q]
}

// Raw returns the texts of l in UTF-8.
func (l *Language) Raw() (*DFA, error) {
	e := l.encoder()
	for _, a := range l.accept {
		e.state(a)
	}
	for q := range l.accept {
		e.utf8(int32(q), e.intervals(q))
		if len(e.edges) > maxByteStates {
			return nil, ErrTooLarge
		}
	}
	return e.finish(), nil
}

// interval says that the runes lo to hi lead to state to.
type interval struct {
	lo, hi rune
	to     int32
}

type encoder struct {
	l *Language
	draft
	base int32 // the byte state of rune state 0
	memo map[string]int32
}

func (l *Language) encoder() *encoder { return &encoder{l: l, memo: map[string]int32{}} }

// intervals returns where the runes lead from state q, in order.
func (e *encoder) intervals(q int) []interval {
	var out []interval
	l := e.l
	for i, c := range l.class {
		if c < 0 {
			continue
		}
		t := l.next[q*l.n+int(c)]
		if t < 0 {
			continue
		}
		hi := rune(0x10FFFF)
		if i+1 < len(l.bounds) {
			hi = l.bounds[i+1] - 1
		}
		t += e.base
		if n := len(out); n > 0 && out[n-1].to == t && out[n-1].hi+1 == l.bounds[i] {
			out[n-1].hi = hi
			continue
		}
		out = append(out, interval{l.bounds[i], hi, t})
	}
	return out
}

// cut splits the intervals at the given runes, in order, and keeps what keep
// says of their first runes.
func cut(in []interval, keep func(rune) bool, at ...rune) []interval {
	var out []interval
	for _, v := range in {
		for _, r := range at {
			if v.lo < r && r <= v.hi {
				if keep(v.lo) {
					out = append(out, interval{v.lo, r - 1, v.to})
				}
				v.lo = r
			}
		}
		if keep(v.lo) {
			out = append(out, v)
		}
	}
	return out
}

// A level is one byte of an encoding: so many bits of the code, most
// significant first, and the byte that stands for each value.
type level struct {
	bits uint
	byte func(v int) []byte
}

func plain(bits uint, first byte) level {
	return level{bits, func(v int) []byte { return []byte{first + byte(v)} }}
}

var (
	tail  = plain(6, 0x80)
	utf82 = []level{plain(5, 0xC0), tail}
	utf83 = []level{plain(4, 0xE0), tail, tail}
	utf84 = []level{plain(3, 0xF0), tail, tail, tail}
)

// utf8 adds the edges of state q that read runes in UTF-8.
func (e *encoder) utf8(q int32, in []interval) {
	for _, v := range in {
		if v.lo < 0x80 {
			e.edge(q, byte(v.lo), byte(min(v.hi, 0x7F)), v.to)
		}
	}
	e.levels(q, clip(in, 0x80, 0x7FF, 0), utf82, "u")
	e.levels(q, clip(in, 0x800, 0xFFFF, 0), utf83, "u")
	e.levels(q, clip(in, 0x10000, 0x10FFFF, 0), utf84, "u")
}

// clip returns the part of the intervals in lo to hi, less minus.
func clip(in []interval, lo, hi, minus rune) []interval {
	var out []interval
	for _, v := range in {
		if v.lo <= hi && v.hi >= lo {
			out = append(out, interval{max(v.lo, lo) - minus, min(v.hi, hi) - minus, v.to})
		}
	}
	return out
}

// levels adds to state q the edges that read the codes of in, level by level.
func (e *encoder) levels(q int32, in []interval, ls []level, kind string) {
	if len(in) == 0 {
		return
	}
	rest := uint(0)
	for _, l := range ls[1:] {
		rest += l.bits
	}
	for v := range 1 << ls[0].bits {
		part := clip(in, rune(v)<<rest, rune(v+1)<<rest-1, rune(v)<<rest)
		if len(part) == 0 {
			continue
		}
		var to int32
		if len(ls) == 1 {
			to = part[0].to
		} else {
			k := kind[:1] + string(rune('a'+len(ls))) + memoKey(part)
			id, ok := e.memo[k]
			if !ok {
				id = e.state(false)
				e.memo[k] = id
				e.levels(id, part, ls[1:], kind)
			}
			to = id
		}
		for _, b := range ls[0].byte(v) {
			e.edge(q, b, b, to)
		}
	}
}

func memoKey(in []interval) string {
	k := make([]byte, 0, 12*len(in))
	for _, v := range in {
		k = binary.LittleEndian.AppendUint32(k, uint32(v.lo))
		k = binary.LittleEndian.AppendUint32(k, uint32(v.hi))
		k = binary.LittleEndian.AppendUint32(k, uint32(v.to))
	}
	return string(k)
}

func hexDigit(v int) []byte {
	if v < 10 {
		return []byte{'0' + byte(v)}
	}
	return []byte{'a' + byte(v-10), 'A' + byte(v-10)}
}

func fixed(b ...byte) level { return level{0, func(int) []byte { return b }} }

var (
	nibble = level{4, hexDigit}
	bmp    = []level{fixed('u'), nibble, nibble, nibble, nibble}
	// D800 + 10 bits, then \u, then DC00 + 10 bits.
	astral = []level{
		fixed('u'), fixed('d', 'D'), {2, func(v int) []byte { return hexDigit(8 + v) }}, nibble, nibble,
		fixed('\\'), fixed('u'), fixed('d', 'D'), {2, func(v int) []byte { return hexDigit(12 + v) }}, nibble, nibble,
	}
	short = map[rune]byte{'"': '"', '\\': '\\', '\b': 'b', '\f': 'f', '\n': 'n', '\r': 'r', '\t': 't'}
)

// escape adds the edges of state q that begin with a backslash.
func (e *encoder) escape(q int32, in []interval, escapes Escapes) {
	esc := int32(-1)
	state := func() int32 {
		if esc < 0 {
			esc = e.state(false)
			e.edge(q, '\\', '\\', esc)
		}
		return esc
	}
	for _, v := range in {
		for r, b := range short {
			if v.lo <= r && r <= v.hi {
				e.edge(state(), b, b, v.to)
			}
		}
		if escapes&Slash != 0 && v.lo <= '/' && '/' <= v.hi {
			e.edge(state(), '/', '/', v.to)
		}
	}
	if escapes&Unicode == 0 || len(in) == 0 {
		return
	}
	// Both kinds begin with u: read it once, then let the digits decide.
	u := e.state(false)
	e.edge(state(), 'u', 'u', u)
	low, high := clip(in, 0, 0xFFFF, 0), clip(in, 0x10000, 0x10FFFF, 0x10000)
	e.levels(u, low, bmp[1:], "b")
	if len(high) == 0 {
		return
	}
	// D followed by 8 to B begins a pair; D followed by 0 to 7 is a rune below.
	d := e.state(false)
	below := clip(low, 0xD000, 0xD7FF, 0xD000)
	e.levels(d, below, bmp[2:], "b")
	e.levels(d, high, astral[2:], "p")
	kept := e.edges[u][:0]
	for _, s := range e.edges[u] {
		if s.lo != 'd' && s.lo != 'D' {
			kept = append(kept, s)
		}
	}
	e.edges[u] = append(kept, span{'d', 'd', d}, span{'D', 'D', d})
}

// text returns the DFA of all JSON strings with the given escapes, made once.
func text(escapes Escapes) *DFA {
	d, err := Any().Quoted(escapes)
	if err != nil {
		panic("automaton: the language of all texts: " + err.Error())
	}
	d.Shared = true
	return d
}

var texts = [4]func() *DFA{
	sync.OnceValue(func() *DFA { return text(0) }),
	sync.OnceValue(func() *DFA { return text(Unicode) }),
	sync.OnceValue(func() *DFA { return text(Slash) }),
	sync.OnceValue(func() *DFA { return text(Unicode | Slash) }),
}

// Text returns the DFA of all JSON strings with the given escapes: from every
// state before the closing quote, texts of any length follow.
func Text(escapes Escapes) *DFA { return texts[escapes&3]() }

// AllText returns the DFA of all texts, in UTF-8, made once.
var AllText = sync.OnceValue(func() *DFA {
	d, err := Any().Raw()
	if err != nil {
		panic("automaton: the language of all texts: " + err.Error())
	}
	d.Shared = true
	return d
})
