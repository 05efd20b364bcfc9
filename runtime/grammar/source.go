package grammar

import (
	"cmp"
	"slices"
	"unicode"
	"unicode/utf8"
)

// A Source is what the verbatim strings of an answer are pieces of: an index of
// some texts. A piece begins and ends at a border. With the code points sorted
// into letters (of scripts written with spaces), digits, white space and the rest,
// among which are Han, kana and Thai,
//
//   - a piece may begin before a code point that is no white space, where the one
//     before it is of another sort or there is none, and before any of the rest;
//   - it may end behind a code point that is no white space, where the one after
//     it is of another sort or there is none, and behind any of the rest.
//
// So no piece begins or ends within a word or a number. A Source is immutable and
// safe for concurrent use.
type Source struct {
	// text is the texts as JSON spells them between quotes, each followed by a 0, which
	// stands nowhere else. White space at their ends is left out: no piece could end
	// there.
	text   []byte
	begins []int32  // where a piece may begin, in the order of the bytes that follow
	ends   []uint64 // bit i%64 of word i/64: whether a piece may end before text[i]
	own    *owned   // nil if it is no TokenSource
}

// MaxSource is how many bytes the texts of a Source may have together, as JSON spells them.
const MaxSource = 1 << 20

// NewSource returns the Source of texts, of which bytes that are no UTF-8 count as
// U+FFFD. It returns nil if no piece can begin, or the texts are longer than
// [MaxSource] together.
func NewSource(texts []string) *Source {
	size := 0
	for _, t := range texts {
		size += spelledLen(t) + 1
	}
	if size > MaxSource {
		return nil
	}
	s := &Source{text: make([]byte, 0, size+size/16)}
	var begins, ends []int32
	for _, t := range texts {
		before, last := white, len(s.text) // last: behind what is no white space
		for _, r := range t {
			at := int32(len(s.text))
			now := sortOf(r)
			if now != white && (before != now || now == rest) {
				begins = append(begins, at)
			}
			if before != white && (before != now || before == rest) {
				ends = append(ends, at)
			}
			s.text = appendSpelled(s.text, r)
			if before = now; now != white {
				last = len(s.text)
			}
		}
		s.text = append(s.text[:last], 0)
		ends = append(ends, int32(last))
	}
	if len(begins) == 0 {
		return nil
	}
	s.ends = make([]uint64, len(s.text)/64+1)
	for _, e := range ends {
		s.ends[e/64] |= 1 << (e % 64)
	}
	s.begins = s.order(begins)
	return s
}

type runeSort uint8

const (
	white runeSort = iota
	letter
	digit
	rest
)

// unspaced are the scripts that are written without spaces between words.
var unspaced = []*unicode.RangeTable{unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai}

// sortOf returns the sort of r.
func sortOf(r rune) runeSort {
	switch {
	case unicode.IsSpace(r):
		return white
	case r < utf8.RuneSelf && (r|0x20 >= 'a' && r|0x20 <= 'z'):
		return letter
	case '0' <= r && r <= '9':
		return digit
	case r < utf8.RuneSelf:
		return rest
	case unicode.In(r, unspaced...) || r == 'ー' || r == 'ｰ': // the prolonged mark belongs to both kana
		return rest
	case unicode.IsLetter(r) || unicode.IsMark(r) || unicode.Is(unicode.Nl, r):
		return letter
	case unicode.IsNumber(r):
		return digit
	}
	return rest
}

// appendSpelled adds r as JSON spells it in a string: as itself where it can stand.
func appendSpelled(dst []byte, r rune) []byte {
	const short, hex = "\"\"\\\\\nn\tt\rr\bb\ff", "0123456789abcdef"
	for i := 0; i < len(short); i += 2 {
		if r == rune(short[i]) {
			return append(dst, '\\', short[i+1])
		}
	}
	if r < ' ' {
		return append(dst, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
	}
	return utf8.AppendRune(dst, r)
}

// order returns begins in the order of what follows them in the text. It ranks
// all places by their first bytes, and then, as long as some are equal, by twice
// as many, of which the ranks are known (Larsson and Sadakane 2007): texts of
// one letter take no longer than others.
func (s *Source) order(begins []int32) []int32 {
	type place struct {
		key uint64
		at  int32
	}
	n := len(s.text)
	places := make([]place, n)
	var key uint64
	for i := n - 1; i >= 0; i-- {
		key = key>>8 | uint64(s.text[i])<<56
		places[i] = place{key, int32(i)}
	}
	slices.SortFunc(places, func(a, b place) int { return cmp.Compare(a.key, b.key) })
	rank := make([]int32, n) // the first index of those that are equal
	for i, p := range places {
		rank[p.at] = int32(i)
		if i > 0 && places[i-1].key == p.key {
			rank[p.at] = rank[places[i-1].at]
		}
	}
	for h, equal := 8, true; equal && h < n; h *= 2 {
		equal = false
		for lo := 0; lo < n; {
			hi := lo + 1
			for hi < n && rank[places[hi].at] == int32(lo) {
				hi++
			}
			if hi-lo > 1 {
				equal = true
				group := places[lo:hi]
				for i := range group {
					group[i].key = 0
					if next := int(group[i].at) + h; next < n {
						group[i].key = uint64(rank[next]) + 1
					}
				}
				slices.SortFunc(group, func(a, b place) int { return cmp.Compare(a.key, b.key) })
				first := lo
				for i, p := range group {
					if i > 0 && group[i-1].key != p.key {
						first = lo + i
					}
					rank[p.at] = int32(first)
				}
			}
			lo = hi
		}
	}
	slices.SortFunc(begins, func(a, b int32) int { return cmp.Compare(rank[a], rank[b]) })
	return begins
}

// A span is the places of a Source that a string in the making may have been
// copied from: begins[lo:hi], of which the next depth bytes are the same.
type span struct{ lo, hi, depth int32 }

// all is the span of a string of which nothing is written yet.
func (s *Source) all() span { return span{0, int32(len(s.begins)), 0} }

// at returns the byte that follows in the i-th place of p; 0 is the end of a text.
func (s *Source) at(p span, i int32) byte { return s.text[s.begins[i]+p.depth] }

// upper returns the first place of p, or p.hi, that goes on with a byte greater
// than b.
func (s *Source) upper(p span, b byte) int32 {
	lo, hi := p.lo, p.hi
	for step := int32(1); lo+step <= hi; step *= 2 { // the place is often near
		if s.at(p, lo+step-1) > b {
			hi = lo + step - 1
			break
		}
		lo += step
	}
	for lo < hi {
		if mid := lo + (hi-lo)/2; s.at(p, mid) > b {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo
}

// next returns the span after byte b, and whether b can follow.
func (s *Source) next(p span, b byte) (span, bool) {
	if b == 0 {
		return span{}, false
	}
	lo := s.upper(p, b-1)
	if lo == p.hi || s.at(p, lo) != b {
		return span{}, false
	}
	return span{lo, s.upper(span{lo, p.hi, p.depth}, b), p.depth + 1}, true
}

// mayEnd reports whether a piece may end before place at.
func (s *Source) mayEnd(at int32) bool { return s.ends[at/64]>>(at%64)&1 != 0 }

// done reports whether a piece may end after p.
func (s *Source) done(p span) bool {
	if p.depth == 0 {
		return false
	}
	for _, b := range s.begins[p.lo:p.hi] {
		if s.mayEnd(b + p.depth) {
			return true
		}
	}
	return false
}

// only returns the byte that must follow in p, a quote for the end, and whether
// there is just one.
func (s *Source) only(p span) (byte, bool) {
	first := s.at(p, p.lo)
	if first != s.at(p, p.hi-1) {
		return 0, false
	}
	if first == 0 {
		return '"', true
	}
	return first, !s.done(p)
}
