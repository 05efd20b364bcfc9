package tokenizer

import (
	"unicode"
	"unicode/utf8"
)

// The pre-tokenizer pattern of lfm2, which is Llama 3's:
//
//	(?i:'s|'t|'re|'ve|'m|'ll|'d)
//	|[^\r\n\p{L}\p{N}]?\p{L}+
//	|\p{N}{1,3}
//	| ?[^\s\p{L}\p{N}]+[\r\n]*
//	|\s*[\r\n]+
//	|\s+(?!\S)
//	|\s+
//
// Every text is wholly covered: the classes letter, number, space and other
// are disjoint, and each begins some alternative.

// class is the class of a rune. A byte that is not UTF-8 is an other.
type class uint8

const (
	other class = iota
	letter
	number
	space   // white space, but not \r and \n
	newline // \r and \n
)

var ascii [utf8.RuneSelf]class

func init() {
	for r := range rune(utf8.RuneSelf) {
		ascii[r] = classOf(r)
	}
}

func classOf(r rune) class {
	switch {
	case unicode.IsLetter(r):
		return letter
	case r == '\r' || r == '\n':
		return newline
	case unicode.IsSpace(r):
		return space
	case unicode.IsNumber(r):
		return number
	}
	return other
}

// at returns the class and the size of the rune at s[i:]; i < len(s).
func at(s string, i int) (class, int) {
	if b := s[i]; b < utf8.RuneSelf {
		return ascii[b], 1
	}
	r, n := utf8.DecodeRuneInString(s[i:])
	if r == utf8.RuneError {
		return other, n
	}
	return classOf(r), n
}

// next returns the length of the first piece of s; 0 only for "".
func next(s string) int {
	if s == "" {
		return 0
	}
	first, n := at(s, 0)
	switch first {
	case letter:
		return letters(s, n)
	case number:
		for range 2 {
			c, m := peek(s, n)
			if c != number || m == 0 {
				break
			}
			n += m
		}
		return n
	case newline:
		return spaces(s)
	}
	// A space or an other may lead a run of letters.
	if s[0] == '\'' {
		if n := contraction(s); n > 0 {
			return n
		}
	}
	second, m := peek(s, n)
	if second == letter {
		return letters(s, n+m)
	}
	switch {
	case first == other:
		return others(s, n)
	case s[0] == ' ' && second == other && m > 0:
		return others(s, n+m)
	}
	return spaces(s)
}

// peek is at, or (other, 0) at the end of s.
func peek(s string, i int) (class, int) {
	if i >= len(s) {
		return other, 0
	}
	return at(s, i)
}

// letters extends a piece that ends at n by \p{L}*.
func letters(s string, n int) int {
	for n < len(s) {
		c, m := at(s, n)
		if c != letter {
			break
		}
		n += m
	}
	return n
}

// others extends a piece that ends at n by [^\s\p{L}\p{N}]*[\r\n]*.
func others(s string, n int) int {
	for n < len(s) {
		c, m := at(s, n)
		if c != other {
			break
		}
		n += m
	}
	for n < len(s) && (s[n] == '\r' || s[n] == '\n') {
		n++
	}
	return n
}

// spaces matches the last three alternatives on s, which begins with white
// space: up to the last line break of the run; else all but its last rune when
// something follows; else all of it.
func spaces(s string) int {
	end, last, lines := 0, 0, 0 // of the run, before its last rune, after its last line break
	for end < len(s) {
		c, m := at(s, end)
		if c != space && c != newline {
			break
		}
		last = end
		end += m
		if c == newline {
			lines = end
		}
	}
	switch {
	case lines > 0:
		return lines
	case end == len(s) || last == 0:
		return end
	}
	return last
}

// contraction returns the length of the contraction that s, beginning with an
// apostrophe, begins with; 0 for none. Only ASCII letters count.
func contraction(s string) int {
	if len(s) < 2 {
		return 0
	}
	switch s[1] | 0x20 {
	case 's', 't', 'm', 'd':
		return 2
	}
	if len(s) < 3 {
		return 0
	}
	switch [2]byte{s[1] | 0x20, s[2] | 0x20} {
	case [2]byte{'r', 'e'}, [2]byte{'v', 'e'}, [2]byte{'l', 'l'}:
		return 3
	}
	return 0
}
