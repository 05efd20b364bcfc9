package pii

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"unicode/utf8"
)

// A scanner scans one text at a time and owns the buffers for that.
type scanner struct {
	cfg   *Inspector
	t     []byte // what the detectors read: the text, or its folded form
	key   []byte // the name of the JSON member that holds the text; nil when none does
	spans []span

	folded []byte
	seams  []seam
	groups [maxGroups]group
	digits [maxGroups * 2]byte
}

// scan returns the spans of personal data and secrets in text, in order,
// disjoint, in bytes of text. The slice is valid until the next scan.
func (s *scanner) scan(text, key []byte) []span {
	s.t, s.key, s.spans = text, key, s.spans[:0]
	folds := foldable(text)
	if folds {
		s.folded, s.seams = fold(s.folded[:0], s.seams[:0], text)
		s.t = s.folded
	}
	s.whole()
	s.pass()
	s.filter()
	if folds {
		for i := range s.spans {
			sp := &s.spans[i]
			sp.start, sp.end = unfold(s.seams, sp.start, sp.end)
		}
	}
	s.resolve()
	return s.spans
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// triggers returns a word with the high bit set in each byte of x that is a
// trigger: '0' to 'A' (which holds the digits, ':', '=', '@'), '_' or '-'.
func triggers(x uint64) uint64 {
	low := x &^ highs
	from0 := low + (0x80-'0')*ones
	fromB := low + (0x80-'B')*ones
	under := (low ^ '_'*ones) + 0x7f*ones // high bit clear only where equal
	minus := (low ^ '-'*ones) + 0x7f*ones
	return (from0&^fromB | ^(under & minus)) &^ x & highs
}

// pass finds the triggers and asks the detector of each.
func (s *scanner) pass() {
	t := s.t
	for i := 0; i < len(t); {
		for ; i+8 <= len(t); i += 8 {
			if m := triggers(binary.LittleEndian.Uint64(t[i:])); m != 0 {
				i += bits.TrailingZeros64(m) >> 3
				break
			}
		}
		if i >= len(t) {
			return
		}
		switch c := t[i]; {
		case isDigit(c):
			i = s.digit(i)
		case c == '@':
			i = s.email(i, i+1)
		case c == ':':
			i = s.colon(i)
		case c == '=':
			i = s.assign(i)
		case c == 'A':
			i = s.cloudKey(i)
		case c == '_':
			i = s.under(i)
		case c == '-':
			i = s.hyphen(i)
		default:
			i++
		}
	}
}

// add notes a span; filter and resolve decide whether it stays.
func (s *scanner) add(k kind, start, end int, score float64, by string) {
	s.spans = append(s.spans, span{start, end, k, score, by})
}

// filter drops what the operator does not look for.
func (s *scanner) filter() {
	s.spans = slices.DeleteFunc(s.spans, func(sp span) bool {
		return !s.cfg.enabled[sp.kind] || sp.score < s.cfg.minScore
	})
}

// resolve orders the spans and joins those that overlap. A union is kept, not
// the winner's extent alone: what either of them covers must not be seen.
func (s *scanner) resolve() {
	if len(s.spans) < 2 {
		return
	}
	slices.SortFunc(s.spans, func(a, b span) int {
		if a.start != b.start {
			return a.start - b.start
		}
		return b.end - a.end
	})
	out := s.spans[:1]
	for _, sp := range s.spans[1:] {
		last := &out[len(out)-1]
		if sp.start >= last.end {
			out = append(out, sp)
			continue
		}
		end := max(last.end, sp.end)
		if sp.score > last.score || sp.score == last.score && sp.end-sp.start > last.end-last.start {
			last.kind, last.score, last.by = sp.kind, sp.score, sp.by
		}
		last.end = end
	}
	s.spans = out
}

// asciiRun returns how many bytes at the start of t are ASCII.
func asciiRun(t []byte) int {
	i := 0
	for ; i+8 <= len(t); i += 8 {
		if m := binary.LittleEndian.Uint64(t[i:]) & highs; m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
	}
	for i < len(t) && t[i] < utf8.RuneSelf {
		i++
	}
	return i
}
