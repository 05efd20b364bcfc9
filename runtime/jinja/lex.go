package jinja

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// An Error is a template that is malformed or that fails. It never quotes
// literal text.
type Error struct {
	Line int // in the template, from 1
	Msg  string

	cause error
}

func (e *Error) Error() string { return fmt.Sprintf("chat template, line %d: %s", e.Line, e.Msg) }

// Unwrap returns [ErrRaised] or [ErrBudget], if that is what e is about.
func (e *Error) Unwrap() error { return e.cause }

type kind uint8

const (
	tText  kind = iota // of the template, outside tags
	tOpen              // {{ or {%
	tClose             // }} or %}
	tName
	tInt
	tFloat
	tString
	tOp
	tEnd
)

type token struct {
	kind kind
	s    string
	line int
}

const maxTemplate = 256 << 10

type lexer struct {
	src  string
	at   int
	line int
	out  []token
	// lineStart says that the text before begins a line: lstrip_blocks applies.
	lineStart bool
}

// lex cuts a template into tokens, with white space handled as with
// trim_blocks and lstrip_blocks.
func lex(src string) ([]token, error) {
	if len(src) > maxTemplate {
		return nil, &Error{Line: 1, Msg: fmt.Sprintf("longer than %d bytes", maxTemplate)}
	}
	src = strings.ReplaceAll(strings.ReplaceAll(src, "\r\n", "\n"), "\r", "\n")
	l := &lexer{src: strings.TrimSuffix(src, "\n"), line: 1, lineStart: true}
	for l.at < len(l.src) {
		if err := l.next(); err != nil {
			return nil, err
		}
	}
	l.add(tEnd, "end of template")
	return l.out, nil
}

func (l *lexer) add(k kind, s string) { l.out = append(l.out, token{k, s, l.line}) }

func (l *lexer) fail(format string, args ...any) error {
	return &Error{Line: l.line, Msg: fmt.Sprintf(format, args...)}
}

// advance moves over n bytes, counting lines.
func (l *lexer) advance(n int) {
	l.line += strings.Count(l.src[l.at:l.at+n], "\n")
	l.at += n
	if n > 0 {
		l.lineStart = l.src[l.at-1] == '\n'
	}
}

// next reads text up to a tag, and the tag.
func (l *lexer) next() error {
	rest := l.src[l.at:]
	i := strings.Index(rest, "{")
	for i >= 0 && (i+1 == len(rest) || !strings.Contains("{%#", rest[i+1:i+2])) {
		j := strings.Index(rest[i+1:], "{")
		if j < 0 {
			i = -1
			break
		}
		i += 1 + j
	}
	if i < 0 {
		l.add(tText, rest)
		l.advance(len(rest))
		return nil
	}
	open := rest[i : i+2]
	mark := byte(0)
	if i+2 < len(rest) {
		mark = rest[i+2]
	}
	text := rest[:i]
	switch {
	case mark == '-':
		text = strings.TrimRightFunc(text, isPySpace)
	case mark != '+' && open != "{{":
		line := strings.LastIndexByte(text, '\n') + 1
		if (line > 0 || l.lineStart) && strings.TrimLeft(text[line:], " \t") == "" {
			text = text[:line]
		}
	}
	if text != "" {
		l.add(tText, text)
	}
	n := i + 2
	if mark == '-' || mark == '+' && open != "{{" {
		n++
	}
	l.advance(n)
	switch open {
	case "{#":
		end := strings.Index(l.src[l.at:], "#}")
		if end < 0 {
			return l.fail("a comment does not end")
		}
		dash := end > 0 && l.src[l.at+end-1] == '-'
		l.advance(end + 2)
		l.after(dash, true)
		return nil
	case "{%":
		if l.raw() {
			return nil
		}
	}
	l.add(tOpen, open)
	return l.tag(map[string]string{"{{": "}}", "{%": "%}"}[open])
}

// after skips the white space behind a tag.
func (l *lexer) after(dash, block bool) {
	rest := l.src[l.at:]
	switch {
	case dash:
		l.advance(len(rest) - len(strings.TrimLeftFunc(rest, isPySpace)))
	case block && strings.HasPrefix(rest, "\n"):
		l.advance(1)
	}
}

// raw reads {% raw %}…{% endraw %}, if that is what follows the opening.
func (l *lexer) raw() bool {
	rest := l.src[l.at:]
	head, ok := strings.CutPrefix(strings.TrimLeft(rest, " \t\n"), "raw")
	if !ok {
		return false
	}
	head = strings.TrimLeft(head, " \t\n")
	dash := strings.HasPrefix(head, "-%}")
	if !dash && !strings.HasPrefix(head, "%}") {
		return false
	}
	l.advance(len(rest) - len(head) + map[bool]int{true: 3, false: 2}[dash])
	l.after(dash, false)
	rest = l.src[l.at:]
	for i := 0; ; i += 2 {
		j := strings.Index(rest[i:], "{%")
		if j < 0 {
			return false // the tag will fail to parse
		}
		i += j
		tail := rest[i+2:]
		before := strings.HasPrefix(tail, "-")
		tail = strings.TrimLeft(strings.TrimPrefix(tail, "-"), " \t\n")
		tail, ok = strings.CutPrefix(tail, "endraw")
		if !ok {
			continue
		}
		tail = strings.TrimLeft(tail, " \t\n")
		dash := strings.HasPrefix(tail, "-%}")
		if !dash && !strings.HasPrefix(tail, "%}") {
			continue
		}
		text := rest[:i]
		if before {
			text = strings.TrimRightFunc(text, isPySpace)
		} else if line := strings.LastIndexByte(text, '\n') + 1; strings.TrimLeft(text[line:], " \t") == "" && (line > 0 || l.lineStart) {
			text = text[:line]
		}
		l.add(tText, text)
		l.advance(len(rest) - len(tail) + map[bool]int{true: 3, false: 2}[dash])
		l.after(dash, true)
		return true
	}
}

// ops are the operators, longer ones before their beginnings.
var ops = []string{"**", "//", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "<", ">", "=", ".", ",", ":", "|", "(", ")", "[", "]", "{", "}"}

// tag reads an expression or statement up to its end.
func (l *lexer) tag(end string) error {
	depth := 0
	for {
		rest := l.src[l.at:]
		if trimmed := strings.TrimLeft(rest, " \t\n\f\v"); len(trimmed) < len(rest) {
			l.advance(len(rest) - len(trimmed))
			continue
		}
		if rest == "" {
			return l.fail("a tag does not end")
		}
		if depth == 0 {
			dash := strings.HasPrefix(rest, "-"+end)
			plus := end == "%}" && strings.HasPrefix(rest, "+"+end)
			if dash || plus || strings.HasPrefix(rest, end) {
				l.add(tClose, end)
				l.advance(len(end) + map[bool]int{true: 1, false: 0}[dash || plus])
				l.after(dash, end == "%}" && !plus)
				return nil
			}
		}
		c := rest[0]
		switch {
		case c == '\'' || c == '"':
			if err := l.quoted(rest); err != nil {
				return err
			}
			continue
		case c >= '0' && c <= '9':
			l.number(rest)
			continue
		case isNameByte(c):
			n := 1
			for n < len(rest) && (isNameByte(rest[n]) || rest[n] >= '0' && rest[n] <= '9') {
				n++
			}
			l.add(tName, rest[:n])
			l.advance(n)
			continue
		}
		op := ""
		for _, o := range ops {
			if strings.HasPrefix(rest, o) {
				op = o
				break
			}
		}
		switch op {
		case "":
			return l.fail("unexpected character %q", firstRune(rest))
		case "(", "[", "{":
			depth++
		case ")", "]", "}":
			depth--
		}
		l.add(tOp, op)
		l.advance(len(op))
	}
}

func isNameByte(c byte) bool { return c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z' }

func firstRune(s string) rune {
	r, _ := utf8.DecodeRuneInString(s)
	return r
}

func (l *lexer) number(rest string) {
	digits := func(i int) int {
		for i < len(rest) && (rest[i] >= '0' && rest[i] <= '9' || rest[i] == '_') {
			i++
		}
		return i
	}
	n, k := digits(0), tInt
	if n+1 < len(rest) && rest[n] == '.' && rest[n+1] >= '0' && rest[n+1] <= '9' {
		n, k = digits(n+1), tFloat
	}
	if n < len(rest) && rest[n]|0x20 == 'e' {
		m := n + 1
		if m < len(rest) && (rest[m] == '+' || rest[m] == '-') {
			m++
		}
		if end := digits(m); end > m {
			n, k = end, tFloat
		}
	}
	l.add(k, strings.ReplaceAll(rest[:n], "_", ""))
	l.advance(n)
}

// quoted reads a string literal; its escapes are Python's.
func (l *lexer) quoted(rest string) error {
	var b strings.Builder
	for i := 1; i < len(rest); i++ {
		switch c := rest[i]; {
		case c == rest[0]:
			l.add(tString, b.String())
			l.advance(i + 1)
			return nil
		case c != '\\' || i+1 == len(rest):
			b.WriteByte(c)
		default:
			i++
			n := map[byte]int{'x': 2, 'u': 4, 'U': 8}[rest[i]]
			if simple, ok := escapes[rest[i]]; ok {
				b.WriteString(simple)
			} else if m := octal(rest[i:]); m > 0 {
				c, _ := strconv.ParseUint(rest[i:i+m], 8, 16) //nolint:errcheck // checked by octal
				b.WriteRune(rune(c))
				i += m - 1
			} else if r, ok := hexRune(rest[i+1:], n); n > 0 && ok {
				b.WriteRune(r)
				i += n
			} else {
				b.WriteByte('\\')
				b.WriteByte(rest[i])
			}
		}
	}
	return l.fail("a string does not end")
}

var escapes = map[byte]string{'n': "\n", 't': "\t", 'r': "\r", '\\': `\`, '\'': "'", '"': `"`, 'b': "\b", 'f': "\f", 'v': "\v", 'a': "\a", '\n': ""}

// octal returns how many of the first three bytes of s are octal digits in a row.
func octal(s string) int {
	n := 0
	for n < min(3, len(s)) && s[n] >= '0' && s[n] <= '7' {
		n++
	}
	return n
}

func hexRune(s string, n int) (rune, bool) {
	if len(s) < n {
		return 0, false
	}
	r := rune(0)
	for _, c := range []byte(s[:n]) {
		d := strings.IndexByte("0123456789abcdef", c|0x20)
		if c < '0' || d < 0 {
			return 0, false
		}
		r = r<<4 | rune(d)
	}
	return r, true
}
