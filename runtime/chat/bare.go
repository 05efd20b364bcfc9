package chat

import (
	"bytes"
	"strings"
)

// A bare list is a list of calls without markers before it. It is held back
// from its bracket on and becomes content, bracket first, once it proves to be
// none. These bounds keep the cost of being wrong linear.
const (
	maxBare      = 64 << 10
	maxBareFails = 16
	maxName      = 128
)

type verdict uint8

const (
	no verdict = iota
	yes
	maybe // more text will tell
)

// looksBare reports whether text, which begins with a bracket, goes on like a
// list of calls: [name( or [{"name": "name", where name is a known tool or, with
// anyName, whatever it is.
func (p *Parser) looksBare(text []byte, final, anyName bool) verdict {
	if p.bares >= maxBareFails || len(p.names) == 0 && !anyName {
		return no
	}
	text = text[:min(len(text), maxBare)]
	v := p.bareHead(text[1:], anyName)
	if v == maybe && (final || len(text) == maxBare) {
		return no
	}
	return v
}

func (p *Parser) bareHead(text []byte, anyName bool) verdict {
	text = trimLeft(text)
	if len(text) == 0 {
		return maybe
	}
	if text[0] == '{' {
		return p.bareObject(text[1:], anyName)
	}
	n := 0
	for n < len(text) && (isWord(text[n]) || n > 0 && (text[n] == '.' || text[n] == '-')) {
		n++
	}
	name, rest := string(text[:n]), trimLeft(text[n:])
	if n == len(text) {
		return p.known(name, anyName, true)
	}
	if n == 0 || len(rest) > 0 && rest[0] != '(' {
		return no
	}
	v := p.known(name, anyName, false)
	if v == yes && len(rest) == 0 {
		return maybe
	}
	return v
}

// bareObject is bareHead after a brace.
func (p *Parser) bareObject(text []byte, anyName bool) verdict {
	const key = `"name"`
	text = bytes.ReplaceAll(trimLeft(text), []byte("'"), []byte(`"`))
	if len(text) < len(key) {
		if strings.HasPrefix(key, string(text)) {
			return maybe
		}
		return no
	}
	if string(text[:len(key)]) != key {
		return no
	}
	for _, b := range []byte(`:"`) {
		if b == ':' {
			text = text[len(key):]
		}
		text = trimLeft(text)
		if len(text) == 0 {
			return maybe
		}
		if text[0] != b {
			return no
		}
		text = text[1:]
	}
	name, _, done := strings.Cut(string(text), `"`)
	return p.known(name, anyName, !done)
}

// known reports whether name is that of a tool, or with partial the beginning
// of one.
func (p *Parser) known(name string, anyName, partial bool) verdict {
	if len(name) > maxName {
		return no
	}
	if anyName && name != "" && (name[0] < '0' || name[0] > '9') || p.names[name] {
		if partial {
			return maybe
		}
		return yes
	}
	if partial {
		for known := range p.names {
			if strings.HasPrefix(known, name) {
				return maybe
			}
		}
		if anyName && name == "" {
			return maybe
		}
	}
	return no
}

func trimLeft(text []byte) []byte { return bytes.TrimLeft(text, " \t\r\n\f\v") }

// enterBare holds buf back from base on; before it there is only white space.
func (p *Parser) enterBare(base int) {
	p.base = base
	p.scan, p.calls, p.bad = scanner{i: base, start: base}, nil, 0
	p.step = p.bare
}

func (p *Parser) bare(final bool) bool {
	held := p.buf[:min(len(p.buf), p.base+maxBare)]
	switch e, from, to := p.scan.next(held, final && len(held) == len(p.buf)); e {
	case element:
		c, ok := readCall(string(held[from:to]))
		if !ok {
			return p.release()
		}
		p.calls = append(p.calls, c)
		return true
	case closed:
		p.step = p.bareTail
		return true
	case ended, broken:
		return p.release()
	}
	if final || len(held) == p.base+maxBare {
		p.bares = maxBareFails
		return p.release()
	}
	return false
}

// bareTail decides by what follows the list: its end marker, or nothing.
func (p *Parser) bareTail(final bool) bool {
	rest := trimLeft(p.buf[p.scan.i:])
	if len(rest) == 0 {
		if !final {
			return false
		}
		for _, c := range p.calls {
			if !p.names[c.Name] && !sameCalls(p.calls, p.last) {
				return p.release()
			}
		}
		return p.accept(len(p.buf))
	}
	switch markerAt(rest, final, toolCallEnd) {
	case "?":
		return false
	case toolCallEnd:
		return p.accept(len(p.buf) - len(rest) + len(toolCallEnd))
	}
	return p.release()
}

// accept takes the list for calls, unless it only repeats the block before it.
func (p *Parser) accept(end int) bool {
	calls := p.calls
	p.calls = nil
	if !sameCalls(calls, p.last) {
		for _, c := range calls {
			p.emitCall(c)
		}
	}
	p.calls = calls
	p.leave(0, end)
	return true
}

// release gives the bracket back as content.
func (p *Parser) release() bool {
	p.bares++
	from := 0
	if p.trim {
		from = p.base
	}
	p.emit(p.buf[from:p.base+1], false)
	p.buf = p.buf[p.base+1:]
	p.step = p.text
	return true
}
