package chat

import "bytes"

// An event is what a scanner found.
type event uint8

const (
	more    event = iota // nothing until more text comes
	element              // an element of the list, at text[from:to]
	closed               // the list's closing bracket, after its last element
	ended                // the marker that ends a block, at text[from:to]
	broken               // a string went on after its closing quote: the rest cannot be scanned
)

// A scanner finds where the elements of a call list end, without reading them.
// It looks at every byte once, so that a list may come in any chunks. Its
// findings depend on the text alone, not on the chunks.
type scanner struct {
	i     int // next byte
	start int // of the current element
	depth int // open brackets inside it
	used  bool

	opened bool // something but white space was seen
	listed bool // the list is between brackets
	quote  byte // of the string that i is in, or 0
	triple bool
	string bool // a string has just ended
}

// next scans text, which it was given the beginning of before, and returns
// what it finds next. With final, no more text will come. A list without
// brackets has no closed event.
func (s *scanner) next(text []byte, final bool) (e event, from, to int) {
	for s.i < len(text) {
		if s.quote != 0 {
			if !s.skipString(text, final) {
				return more, 0, 0
			}
			continue
		}
		b := text[s.i]
		if isSpace(b) {
			s.i++
			continue
		}
		if b == '<' {
			switch marker := markerAt(text[s.i:], final, toolCallEnd, toolCallStart); marker {
			case "?":
				return more, 0, 0
			case toolCallEnd:
				if s.used {
					return s.element() // and look at the marker again
				}
				from := s.i
				s.i += len(marker)
				return ended, from, s.i
			case toolCallStart:
				if !s.used { // a repeated marker before an element means nothing
					s.i += len(marker)
					s.start = s.i
					continue
				}
			}
		}
		afterString := s.string
		s.string = false
		switch b {
		case '\'', '"':
			if !mayQuote(text[:s.i]) {
				return broken, s.start, 0
			}
			rest := text[s.i:]
			twice := len(rest) > 1 && rest[1] == b
			if !final && (len(rest) == 1 || len(rest) == 2 && twice) {
				s.string = afterString
				return more, 0, 0
			}
			s.quote, s.triple = b, twice && len(rest) > 2 && rest[2] == b
			s.i++
			if s.triple {
				s.i += 2
			}
			s.opened, s.used = true, true
			continue
		case '[':
			if !s.opened {
				s.opened, s.listed = true, true
				s.i++
				s.start = s.i
				continue
			}
			s.depth++
			if afterString {
				return broken, s.start, 0
			}
		case '(', '{':
			s.depth++
			if afterString {
				return broken, s.start, 0
			}
		case ']', ')', '}':
			if s.depth > 0 {
				s.depth--
				break
			}
			if b == ']' && s.listed {
				if s.used {
					return s.element() // and look at the bracket again
				}
				s.i++
				return closed, 0, 0
			}
		case ',':
			if s.depth > 0 {
				break
			}
			if s.used {
				return s.element()
			}
			s.i++
			s.start = s.i
			continue
		case ':':
		default:
			if afterString {
				return broken, s.start, 0
			}
		}
		s.opened, s.used = true, true
		s.i++
	}
	return more, 0, 0
}

// element ends the current element at i.
func (s *scanner) element() (event, int, int) {
	from := s.start
	s.start, s.used, s.depth, s.string = s.i, false, 0, false
	return element, from, s.i
}

// mayQuote reports whether a string may begin after text: not where a quote
// is an apostrophe, that is after a word that is no prefix such as r or b.
func mayQuote(text []byte) bool {
	n := len(text)
	for n > 0 && len(text)-n < 3 && isWord(text[n-1]) {
		n--
	}
	return len(text)-n < 3 && len(bytes.Trim(text[n:], "bBrRuUfF")) == 0
}

// skipString moves behind the string that i is in, or as far as the text goes.
func (s *scanner) skipString(text []byte, final bool) bool {
	for s.i < len(text) {
		n := bytes.IndexAny(text[s.i:], stops[s.quote == '"'])
		if n < 0 {
			s.i = len(text)
			return false
		}
		at := s.i + n
		if text[at] == '\\' {
			if at+1 == len(text) {
				s.i = at
				return false
			}
			s.i = at + 2
			continue
		}
		if !s.triple {
			s.i = at + 1
			s.quote, s.string = 0, true
			return true
		}
		rest := text[at:]
		if len(rest) < 3 && !final {
			s.i = at
			return false
		}
		if len(rest) >= 3 && rest[1] == s.quote && rest[2] == s.quote {
			s.i = at + 3
			s.quote, s.string = 0, true
			return true
		}
		s.i = at + 1
	}
	return false
}

var stops = map[bool]string{false: `'\`, true: `"\`}

// markerAt returns which of the markers text begins with, "?" if more text may
// make it one, and "" otherwise.
func markerAt(text []byte, final bool, markers ...string) string {
	partial := ""
	for _, m := range markers {
		n := min(len(m), len(text))
		if string(text[:n]) != m[:n] {
			continue
		}
		if n == len(m) {
			return m
		}
		if !final {
			partial = "?"
		}
	}
	return partial
}
