package jinja

import "strings"

// A Text is a string some of whose bytes are literal: given, not written by the
// template.
type Text struct {
	s   string
	lit []span // in order, apart, not empty
}

type span struct{ from, to int }

// Literal returns s as text that the template did not write.
func Literal(s string) Text {
	if s == "" {
		return Text{}
	}
	return Text{s: s, lit: []span{{0, len(s)}}}
}

// Plain returns s as text that counts as the template's own.
func Plain(s string) Text { return Text{s: s} }

// A Part is a stretch of a rendered text, all literal or not at all.
type Part struct {
	Text    string
	Literal bool
}

// Parts returns t as parts, in order.
func (t Text) Parts() []Part {
	var parts []Part
	at := 0
	for _, s := range t.lit {
		if at < s.from {
			parts = append(parts, Part{t.s[at:s.from], false})
		}
		parts = append(parts, Part{t.s[s.from:s.to], true})
		at = s.to
	}
	if at < len(t.s) {
		parts = append(parts, Part{t.s[at:], false})
	}
	return parts
}

// String returns all of t.
func (t Text) String() string { return t.s }

// with returns s, all literal if any of t is: for what changes a string too
// much to follow its bytes.
func (t Text) with(s string) Text {
	if len(t.lit) > 0 {
		return Literal(s)
	}
	return Plain(s)
}

func (t Text) slice(from, to int) Text {
	out := Text{s: t.s[from:to]}
	for _, s := range t.lit {
		if a, b := max(s.from, from), min(s.to, to); a < b {
			out.lit = append(out.lit, span{a - from, b - from})
		}
	}
	return out
}

// A builder joins texts.
type builder struct {
	s   strings.Builder
	lit []span
}

func (b *builder) add(t Text) {
	at := b.s.Len()
	b.s.WriteString(t.s)
	for _, s := range t.lit {
		if n := len(b.lit); n > 0 && b.lit[n-1].to == at+s.from {
			b.lit[n-1].to = at + s.to
			continue
		}
		b.lit = append(b.lit, span{at + s.from, at + s.to})
	}
}

func (b *builder) plain(s string) { b.s.WriteString(s) }

func (b *builder) text() Text { return Text{b.s.String(), b.lit} }

func concat(texts ...Text) Text {
	var b builder
	for _, t := range texts {
		b.add(t)
	}
	return b.text()
}

// split cuts t at each sep, at most n times; n < 0 is always.
func (t Text) split(sep string, n int) []Text {
	var out []Text
	from := 0
	for ; n != 0; n-- {
		i := strings.Index(t.s[from:], sep)
		if i < 0 {
			break
		}
		out = append(out, t.slice(from, from+i))
		from += i + len(sep)
	}
	return append(out, t.slice(from, len(t.s)))
}

func joinTexts(texts []Text, sep Text) Text {
	var b builder
	for i, t := range texts {
		if i > 0 {
			b.add(sep)
		}
		b.add(t)
	}
	return b.text()
}

// trim cuts off what cutset has, or white space as Python sees it if all is nil.
func (t Text) trim(left, right bool, cutset *string) Text {
	drop := isPySpace
	if cutset != nil {
		drop = func(r rune) bool { return strings.ContainsRune(*cutset, r) }
	}
	from, to := 0, len(t.s)
	if left {
		from = len(t.s) - len(strings.TrimLeftFunc(t.s, drop))
	}
	if right {
		to = max(from, len(strings.TrimRightFunc(t.s, drop)))
	}
	return t.slice(from, to)
}

// isPySpace is str.isspace of one character.
func isPySpace(r rune) bool {
	switch r {
	case ' ', '\t', '\n', '\r', '\f', '\v', 0x1c, 0x1d, 0x1e, 0x1f, 0x85, 0xa0, 0x1680, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000:
		return true
	}
	return r >= 0x2000 && r <= 0x200a
}
