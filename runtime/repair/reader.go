package repair

import (
	"math/big"
	"slices"
	"strings"
	"unicode/utf8"
)

// A reader reads one value that is meant to be JSON, and writes it as JSON. It
// looks at each byte a bounded number of times.
type reader struct {
	s     string
	i     int
	out   []byte
	kinds []string // of fixes, each once
	cut   bool     // the text ended inside a list or an object
}

const maxDepth = 200

func (r *reader) fix(kind string) {
	if !slices.Contains(r.kinds, kind) {
		r.kinds = append(r.kinds, kind)
	}
}

func (r *reader) end() bool { return r.i >= len(r.s) }

// space skips white space and comments.
func (r *reader) space() {
	for !r.end() {
		rest := r.s[r.i:]
		switch {
		case strings.IndexByte(" \t\r\n\f\v", rest[0]) >= 0:
			r.i++
		case strings.HasPrefix(rest, "\u00a0"):
			r.i += len("\u00a0")
		case strings.HasPrefix(rest, "//"), rest[0] == '#':
			r.fix(KindComment)
			if n := strings.IndexByte(rest, '\n'); n >= 0 {
				r.i += n + 1
			} else {
				r.i = len(r.s)
			}
		case strings.HasPrefix(rest, "/*"):
			r.fix(KindComment)
			if n := strings.Index(rest[2:], "*/"); n >= 0 {
				r.i += n + 4
			} else {
				r.i = len(r.s)
			}
		default:
			return
		}
	}
}

// value reads one value. It returns false, with out as it was, where there is
// none, or only the beginning of one that the text breaks off.
func (r *reader) value(depth int) bool {
	r.space()
	if r.end() || depth > maxDepth {
		return false
	}
	switch b := r.s[r.i]; {
	case b == '{':
		return r.object(depth)
	case b == '[':
		return r.list(depth)
	case r.quote() != "":
		return r.text(false)
	case b >= '0' && b <= '9', b == '-', b == '+', b == '.':
		return r.number()
	}
	return r.word()
}

func (r *reader) list(depth int) bool {
	r.i++
	r.out = append(r.out, '[')
	ok := r.members(']', func() bool { return r.value(depth + 1) })
	r.out = append(r.out, ']')
	return ok
}

func (r *reader) object(depth int) bool {
	r.i++
	r.out = append(r.out, '{')
	ok := r.members('}', func() bool {
		if !r.key() {
			return false
		}
		if r.space(); r.end() {
			return false
		}
		if b := r.s[r.i]; b == ':' {
			r.i++
		} else if b == '=' {
			r.i++
			r.fix(KindKey)
			r.i += len(r.s[r.i:]) - len(strings.TrimPrefix(r.s[r.i:], ">"))
		} else {
			return false
		}
		r.out = append(r.out, ':')
		return r.value(depth + 1)
	})
	r.out = append(r.out, '}')
	return ok
}

// members reads what stands between commas up to the bracket that closes. What
// the text breaks off is left out.
func (r *reader) members(closing byte, one func() bool) bool {
	wrong := byte(']')
	if closing == ']' {
		wrong = '}'
	}
	for n := 0; ; n++ {
		r.space()
		commas := 0
		for !r.end() && (r.s[r.i] == ',' || r.s[r.i] == ';' && n > 0) {
			if r.s[r.i] == ';' {
				r.fix(KindComma)
			}
			commas++
			r.i++
			r.space()
		}
		if commas > 1 || commas > 0 && n == 0 {
			r.fix(KindComma)
		}
		if r.end() {
			r.cut = true
			return true
		}
		if b := r.s[r.i]; b == closing || b == wrong && r.lastCloser() {
			if b == wrong {
				r.fix(KindBracket)
			}
			if commas > 0 {
				r.fix(KindComma)
			}
			r.i++
			return true
		}
		before := len(r.out)
		if n > 0 {
			r.out = append(r.out, ',')
		}
		at := r.i
		if !one() {
			r.out = r.out[:before]
			if !r.end() {
				return false
			}
			r.cut = true
			return true
		}
		if n > 0 && commas == 0 {
			// A comma is missing. Where no line was broken either, this is no list.
			if !strings.ContainsAny(r.s[max(at-2, 0):at], "\n \t") && strings.IndexByte("}]\"'", r.s[at-1]) < 0 {
				return false
			}
			r.fix(KindComma)
		}
		if r.cut {
			return true
		}
	}
}

// lastCloser reports whether nothing but closing signs follow: only then one of
// the wrong kind is a slip.
func (r *reader) lastCloser() bool { return strings.Trim(r.s[r.i:], "]} \t\r\n`;") == "" }

// key reads the name of a member.
func (r *reader) key() bool {
	if r.quote() != "" {
		return r.text(true)
	}
	start := r.i
	for !r.end() {
		b := r.s[r.i]
		if b != '_' && b != '$' && b != '-' && b != '.' && (b < '0' || b > '9') && (b|0x20 < 'a' || b|0x20 > 'z') && b < utf8.RuneSelf {
			break
		}
		r.i++
	}
	if r.i == start {
		return false
	}
	r.fix(KindKey)
	r.string(r.s[start:r.i])
	return true
}

// pairs are the quotes that a string may stand between.
var pairs = []struct{ open, close string }{{`"`, `"`}, {"'", "'"}, {"“", "”"}, {"‘", "’"}, {"`", "`"}, {"„", "“"}, {"«", "»"}}

// quote returns the quote that opens a string here, or "".
func (r *reader) quote() string {
	for _, p := range pairs {
		if strings.HasPrefix(r.s[r.i:], p.open) {
			return p.open
		}
	}
	return ""
}

// text reads a string. A quote inside it that is not escaped is recognised by
// what follows: no comma, no colon, no bracket.
func (r *reader) text(key bool) bool {
	var closing string
	for _, p := range pairs {
		if strings.HasPrefix(r.s[r.i:], p.open) {
			closing = p.close
			r.i += len(p.open)
			if p.open != `"` {
				r.fix(KindQuotes)
			}
			break
		}
	}
	var text []byte
	for !r.end() {
		rest := r.s[r.i:]
		if strings.HasPrefix(rest, closing) {
			if r.closes(r.i+len(closing), key) {
				r.i += len(closing)
				r.string(string(text))
				return true
			}
			r.fix(KindEscape)
			text = append(text, closing...)
			r.i += len(closing)
			continue
		}
		if rest[0] == '\\' {
			var ok bool
			if text, ok = r.escape(text); !ok {
				break
			}
			continue
		}
		if rest[0] < ' ' {
			r.fix(KindEscape)
		}
		text = append(text, rest[0])
		r.i++
	}
	r.i = len(r.s)
	return false // the text broke it off: half a value is a wrong one
}

// closes reports whether a string may end before i.
func (r *reader) closes(i int, key bool) bool {
	for i < len(r.s) && strings.IndexByte(" \t\r\n", r.s[i]) >= 0 {
		if r.s[i] == '\n' && !key {
			return true
		}
		i++
	}
	if i == len(r.s) {
		return true
	}
	if key {
		return r.s[i] == ':' || r.s[i] == '='
	}
	switch r.s[i] {
	case '}', ']', '/', '#':
		return true
	case ',':
		return r.goesOn(i + 1)
	case '"':
		return i > 0 && r.s[i-1] == ' ' // "a" "b": the comma is missing
	}
	return false
}

// goesOn reports whether, after a comma, something follows that a list or an
// object goes on with, and not the rest of a sentence.
func (r *reader) goesOn(i int) bool {
	for i < len(r.s) && strings.IndexByte(" \t\r\n", r.s[i]) >= 0 {
		i++
	}
	if i == len(r.s) {
		return true
	}
	b := r.s[i]
	if strings.IndexByte("\"'{[]}-+./#0123456789", b) >= 0 || b >= utf8.RuneSelf {
		return true
	}
	end := i
	for end < len(r.s) && (r.s[end] == '_' || r.s[end] >= '0' && r.s[end] <= '9' || r.s[end]|0x20 >= 'a' && r.s[end]|0x20 <= 'z') {
		end++
	}
	if _, ok := words[r.s[i:end]]; ok {
		return true
	}
	rest := strings.TrimLeft(r.s[end:min(len(r.s), end+64)], " \t\r\n")
	return end > i && strings.HasPrefix(rest, ":") // a name without quotes
}

// escape reads an escape, and adds what it stands for.
func (r *reader) escape(text []byte) ([]byte, bool) {
	if r.i+1 >= len(r.s) {
		return text, false
	}
	b := r.s[r.i+1]
	r.i += 2
	switch b {
	case '"', '\\', '/':
		return append(text, b), true
	case 'b':
		return append(text, '\b'), true
	case 'f':
		return append(text, '\f'), true
	case 'n':
		return append(text, '\n'), true
	case 'r':
		return append(text, '\r'), true
	case 't':
		return append(text, '\t'), true
	case 'u':
		c, ok := hex(r.s, r.i, 4)
		if ok {
			r.i += 4
			if c >= 0xd800 && c < 0xdc00 && strings.HasPrefix(r.s[r.i:], `\u`) {
				if low, ok := hex(r.s, r.i+2, 4); ok && low >= 0xdc00 && low < 0xe000 {
					r.i += 6
					c = 0x10000 + (c-0xd800)<<10 + (low - 0xdc00)
				}
			}
			return utf8.AppendRune(text, c), true
		}
		if r.i+4 > len(r.s) {
			return text, false
		}
	case 'x':
		if c, ok := hex(r.s, r.i, 2); ok {
			r.fix(KindEscape)
			r.i += 2
			return utf8.AppendRune(text, c), true
		}
	case '\'', '`':
		r.fix(KindEscape)
		return append(text, b), true
	case '\n':
		r.fix(KindEscape)
		return text, true // a continued line
	}
	r.fix(KindEscape)
	return append(text, '\\', b), true // a path or a pattern: the backslash was meant
}

func hex(s string, i, n int) (c rune, ok bool) {
	if i+n > len(s) {
		return 0, false
	}
	for _, b := range []byte(s[i : i+n]) {
		switch {
		case b >= '0' && b <= '9':
			c = c<<4 | rune(b-'0')
		case b|0x20 >= 'a' && b|0x20 <= 'f':
			c = c<<4 | rune(b|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return c, true
}

// string writes s as a JSON string.
func (r *reader) string(s string) {
	const digits = "0123456789abcdef"
	r.out = append(r.out, '"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			r.out = append(r.out, '\\', byte(c))
		case c == '\n':
			r.out = append(r.out, `\n`...)
		case c == '\r':
			r.out = append(r.out, `\r`...)
		case c == '\t':
			r.out = append(r.out, `\t`...)
		case c < ' ':
			r.out = append(r.out, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		default:
			r.out = utf8.AppendRune(r.out, c)
		}
	}
	r.out = append(r.out, '"')
}

// words are literals, and those of Python and JavaScript.
var words = map[string]string{
	"true": "true", "false": "false", "null": "null", "True": "true", "False": "false", "None": "null",
	"TRUE": "true", "FALSE": "false", "NULL": "null", "undefined": "null",
}

func (r *reader) word() bool {
	end := r.i
	for end < len(r.s) && (r.s[end]|0x20 >= 'a' && r.s[end]|0x20 <= 'z') {
		end++
	}
	name := r.s[r.i:end]
	out, ok := words[name]
	if !ok {
		for w := range words {
			if name != "" && end == len(r.s) && strings.HasPrefix(w, name) {
				r.i = end // broken off
			}
		}
		return false
	}
	if out != name {
		r.fix(KindLiteral)
	}
	r.i = end
	r.out = append(r.out, out...)
	return true
}

// number reads a number. At the end of the text it may be half of one, and is none.
func (r *reader) number() bool {
	start := r.i
	for !r.end() {
		b := r.s[r.i]
		if strings.IndexByte("+-._", b) < 0 && (b < '0' || b > '9') && (b|0x20 < 'a' || b|0x20 > 'z') {
			break
		}
		r.i++
	}
	text := r.s[start:r.i]
	if r.end() && start > 0 {
		return false
	}
	if len(text) > 400 {
		return false
	}
	fixed, ok := number(text)
	if !ok {
		return false
	}
	if fixed != text {
		r.fix(KindNumber)
	}
	r.out = append(r.out, fixed...)
	return true
}

// number returns text as a JSON number of the same value.
func number(text string) (string, bool) {
	s := strings.TrimPrefix(text, "+")
	s, negative := strings.CutPrefix(s, "-")
	sign := ""
	if negative {
		sign = "-"
	}
	if len(s) > 2 && s[0] == '0' && strings.ContainsAny(s[1:2], "xXoObB") {
		n, ok := new(big.Int).SetString(s, 0)
		if !ok {
			return "", false
		}
		return sign + n.String(), true
	}
	if strings.Contains(s, "_") {
		for i := range s {
			if s[i] == '_' && (i == 0 || i == len(s)-1 || !digit(s[i-1]) || !digit(s[i+1])) {
				return "", false
			}
		}
		s = strings.ReplaceAll(s, "_", "")
	}
	mantissa, exp, hasExp := strings.Cut(strings.ReplaceAll(s, "E", "e"), "e")
	whole, frac, hasFrac := strings.Cut(mantissa, ".")
	if !digits(whole) || !digits(frac) || whole+frac == "" {
		return "", false
	}
	for len(whole) > 1 && whole[0] == '0' {
		whole = whole[1:]
	}
	if whole == "" {
		whole = "0"
	}
	out := sign + whole
	if hasFrac && frac != "" {
		out += "." + frac
	}
	if hasExp {
		e := strings.TrimLeft(exp, "+-")
		if e == "" || !digits(e) || len(exp)-len(e) > 1 {
			return "", false
		}
		out += s[len(mantissa):len(mantissa)+1] + exp
	}
	return out, true
}

func digit(b byte) bool { return b >= '0' && b <= '9' }

func digits(s string) bool { return strings.Trim(s, "0123456789") == "" }
