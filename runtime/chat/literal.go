package chat

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds how deep a literal may nest.
const maxDepth = 200

// A reader reads Python and JSON literals from s, beginning at i. After a
// method has returned false, i is anywhere.
type reader struct {
	s string
	i int
}

func isSpace(b byte) bool {
	return b == ' ' || b == '\n' || b == '\t' || b == '\r' || b == '\f' || b == '\v'
}

func isWord(b byte) bool {
	return b == '_' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b >= utf8.RuneSelf
}

func (r *reader) space() {
	for r.i < len(r.s) && isSpace(r.s[r.i]) {
		r.i++
	}
}

// peek returns the next byte after white space, or 0 at the end.
func (r *reader) peek() byte {
	r.space()
	if r.i == len(r.s) {
		return 0
	}
	return r.s[r.i]
}

// accept skips white space, and b if it is next.
func (r *reader) accept(b byte) bool {
	if r.peek() != b || r.i == len(r.s) {
		return false
	}
	r.i++
	return true
}

// word reads letters, digits, underscores and bytes beyond ASCII, and, where
// dotted, dots and hyphens after the first.
func (r *reader) word(dotted bool) string {
	r.space()
	start := r.i
	for r.i < len(r.s) {
		b := r.s[r.i]
		if !isWord(b) && (!dotted || r.i == start || b != '.' && b != '-') {
			break
		}
		r.i++
	}
	return r.s[start:r.i]
}

// value reads one literal and appends it as compact JSON.
func (r *reader) value(dst []byte, depth int) ([]byte, bool) {
	if depth > maxDepth {
		return dst, false
	}
	switch b := r.peek(); {
	case b == '\'' || b == '"':
		text, ok := r.text()
		return appendString(dst, text), ok
	case b == '[':
		r.i++
		return r.items(append(dst, '['), 0, ']', depth)
	case b == '(':
		r.i++
		return r.tuple(dst, depth)
	case b == '{':
		r.i++
		return r.braces(dst, depth)
	case b >= '0' && b <= '9' || b == '-' || b == '+' || b == '.':
		return r.number(dst)
	}
	switch r.word(false) {
	case "True", "true":
		return append(dst, "true"...), true
	case "False", "false":
		return append(dst, "false"...), true
	case "None", "null", "none":
		return append(dst, "null"...), true
	case "set":
		if r.accept('(') && r.accept(')') {
			return append(dst, "[]"...), true
		}
	}
	return dst, false
}

// items reads the rest of a list or set, up to end; dst ends with its opening
// bracket and its first n items.
func (r *reader) items(dst []byte, n int, end byte, depth int) (_ []byte, ok bool) {
	for ; !r.accept(end); n++ {
		if n > 0 {
			if !r.accept(',') {
				return dst, false
			}
			if r.accept(end) {
				break
			}
			dst = append(dst, ',')
		}
		if dst, ok = r.value(dst, depth+1); !ok {
			return dst, false
		}
	}
	return append(dst, ']'), true
}

// tuple reads what follows an opening parenthesis: a tuple, or one value.
func (r *reader) tuple(dst []byte, depth int) (_ []byte, ok bool) {
	if r.accept(')') {
		return append(dst, "[]"...), true
	}
	open := len(dst)
	if dst, ok = r.value(append(dst, '['), depth+1); !ok {
		return dst, false
	}
	if r.accept(')') {
		return append(dst[:open], dst[open+1:]...), true
	}
	return r.items(dst, 1, ')', depth)
}

// braces reads what follows an opening brace: a dict or a set, which JSON has
// no other name for than a list.
func (r *reader) braces(dst []byte, depth int) (_ []byte, ok bool) {
	if r.accept('}') {
		return append(dst, "{}"...), true
	}
	open := len(dst)
	dst = append(dst, '{')
	for n := 0; ; n++ {
		key := len(dst)
		if dst, ok = r.value(dst, depth+1); !ok {
			return dst, false
		}
		if n == 0 && r.peek() != ':' {
			dst[open] = '['
			return r.items(dst, 1, '}', depth)
		}
		switch dst[key] {
		case '"':
		case '[', '{':
			return dst, false
		default: // a number or a word: JSON wants it quoted
			dst = appendString(dst[:key], string(dst[key:]))
		}
		if !r.accept(':') {
			return dst, false
		}
		if dst, ok = r.value(append(dst, ':'), depth+1); !ok {
			return dst, false
		}
		comma := r.accept(',')
		if r.accept('}') {
			return append(dst, '}'), true
		}
		if !comma {
			return dst, false
		}
		dst = append(dst, ',')
	}
}

// number reads a number: a whole one of any size, or a finite float.
func (r *reader) number(dst []byte) ([]byte, bool) {
	start := r.i
	for r.i < len(r.s) {
		b := r.s[r.i]
		sign := (b == '+' || b == '-') && (r.i == start || (r.s[r.i-1]|0x20 == 'e' && !strings.ContainsAny(r.s[start:r.i], "xX")))
		if b >= utf8.RuneSelf || !isWord(b) && b != '.' && !sign {
			break
		}
		r.i++
	}
	s := r.s[start:r.i]
	if whole, ok := decimal(s); ok {
		return append(dst, whole...), true
	}
	if strings.ContainsAny(s, "xXpPnN") {
		return dst, false // hexadecimal floats, inf and nan are no literals
	}
	f, err := strconv.ParseFloat(strings.ReplaceAll(s, "_", ""), 64)
	if err != nil {
		return dst, false
	}
	return append(dst, pyNumber(strconv.FormatFloat(f, 'e', -1, 64))...), true
}

// text reads one string literal or several in a row, which are joined.
func (r *reader) text() (string, bool) {
	text, ok := r.quoted()
	for ok {
		if b := r.peek(); b != '\'' && b != '"' {
			break
		}
		var more string
		more, ok = r.quoted()
		text += more
	}
	return text, ok
}

// quoted reads one string literal between single, double or tripled quotes.
func (r *reader) quoted() (string, bool) {
	quote := r.s[r.i : r.i+1]
	if triple := strings.Repeat(quote, 3); strings.HasPrefix(r.s[r.i:], triple) {
		quote = triple
	}
	start := r.i + len(quote)
	for i := start; i < len(r.s); i++ {
		switch {
		case r.s[i] == '\\':
			i++
		case strings.HasPrefix(r.s[i:], quote):
			r.i = i + len(quote)
			return unescape(r.s[start:i]), true
		}
	}
	return "", false
}

// unescape decodes the escapes of Python and JSON. An escape that neither
// knows stays as it is, as in Python.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			out = append(out, s[i])
			continue
		}
		i++
		switch b := s[i]; b {
		case '\\', '\'', '"':
			out = append(out, b)
		case '\n': // a continued line
		case 'n':
			out = append(out, '\n')
		case 't':
			out = append(out, '\t')
		case 'r':
			out = append(out, '\r')
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'v':
			out = append(out, '\v')
		case 'a':
			out = append(out, '\a')
		case '0', '1', '2', '3', '4', '5', '6', '7':
			n := 1
			for n < 3 && i+n < len(s) && s[i+n] >= '0' && s[i+n] <= '7' {
				n++
			}
			c, _ := strconv.ParseUint(s[i:i+n], 8, 16)
			out = utf8.AppendRune(out, rune(c))
			i += n - 1
		case 'x', 'u', 'U':
			c, n := hexEscape(s[i:])
			if n == 0 {
				out = append(out, '\\', b)
				continue
			}
			i += n - 1
			if utf16.IsSurrogate(c) && i+2 < len(s) && s[i+1] == '\\' {
				low, m := hexEscape(s[i+2:])
				if pair := utf16.DecodeRune(c, low); m > 0 && pair != utf8.RuneError {
					c = pair
					i += 1 + m
				}
			}
			out = utf8.AppendRune(out, c)
		default:
			out = append(out, '\\', b)
		}
	}
	return string(out)
}

// hexEscape reads xNN, uNNNN or UNNNNNNNN and returns its size, 0 if s begins
// with none.
func hexEscape(s string) (rune, int) {
	n := map[byte]int{'x': 3, 'u': 5, 'U': 9}[s[0]]
	if n == 0 || len(s) < n {
		return 0, 0
	}
	c, err := strconv.ParseUint(s[1:n], 16, 32)
	if err != nil || c > utf8.MaxRune {
		return 0, 0
	}
	return rune(c), n
}
