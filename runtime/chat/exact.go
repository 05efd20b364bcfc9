package chat

import "bytes"

// An exact reader turns the calls of a block that a grammar has written into
// JSON while they come. It knows only what such blocks hold: names, keyword
// arguments, strings between double quotes, numbers, True, False, None, lists
// and dicts of them.
type exact struct {
	state exactState
	depth int    // open brackets of the value
	quote bool   // in a string
	slash bool   // after a backslash
	args  int    // of the call so far
	word  []byte // a name, a keyword, a number or a literal, as far as it came
	piece []byte // JSON that was not emitted yet
}

type exactState uint8

const (
	exactList  exactState = iota // before the opening bracket
	exactName                    // of a call
	exactKey                     // before or in a keyword, or before the closing parenthesis
	exactValue                   // of a keyword
	exactNext                    // after a call
	exactEnd                     // after the list
)

// exactBlock reads what came of a block. It gives a block that no grammar can
// have written to block, which is lenient.
func (p *Parser) exactBlock(final bool) bool {
	e := &p.exact
	if len(p.calls) == 0 {
		*e = exact{} // nothing was taken from buf yet
	}
	for i, b := range p.buf {
		ok := true
		switch e.state {
		case exactList:
			if ok = b == '[' || isSpace(b); b == '[' {
				e.state = exactName
			}
		case exactName:
			switch {
			case b == '(' && len(e.word) > 0:
				p.beginCall(string(e.word))
				e.state, e.args, e.word = exactKey, 0, e.word[:0]
			case isSpace(b) && len(e.word) == 0:
			default:
				ok = isWord(b) || b == '.' || b == '-'
				e.word = append(e.word, b)
			}
		case exactKey:
			switch {
			case b == ')' && len(e.word) == 0:
				p.endCall()
			case b == '=':
				if e.args++; e.args > 1 {
					e.piece = append(e.piece, ',')
				}
				e.piece = append(appendString(e.piece, string(e.word)), ':')
				e.state, e.word = exactValue, e.word[:0]
			case isWord(b):
				e.word = append(e.word, b)
			}
		case exactValue:
			p.exactByte(b)
		case exactNext:
			switch b {
			case ',':
				e.state = exactName
			case ']':
				e.state = exactEnd
			}
		case exactEnd:
			p.scan.i = i
			p.flushPiece()
			p.step = p.blockTail
			return true
		}
		if !ok && len(p.calls) == 0 {
			p.step = p.block // nothing was emitted of it: it is all still there
			return true
		}
	}
	p.flushPiece()
	if e.state <= exactName && len(p.calls) == 0 {
		if final {
			p.step = p.block
		}
		return final
	}
	if e.state == exactEnd {
		p.scan.i = len(p.buf)
		p.step = p.blockTail
		return final
	}
	p.buf = p.buf[:0]
	if final {
		p.leave(0, 0)
	}
	return false
}

// exactByte reads one byte of a value.
func (p *Parser) exactByte(b byte) {
	e := &p.exact
	if e.quote {
		e.piece = append(e.piece, b)
		switch {
		case e.slash:
			e.slash = false
		case b == '\\':
			e.slash = true
		case b == '"':
			e.quote = false
		}
		return
	}
	if isWord(b) || b == '-' || b == '+' || b == '.' {
		e.word = append(e.word, b)
		return
	}
	if len(e.word) > 0 {
		switch w := string(e.word); w {
		case "True", "False":
			e.piece = append(e.piece, bytes.ToLower(e.word)...)
		case "None":
			e.piece = append(e.piece, "null"...)
		default:
			e.piece = append(e.piece, w...)
		}
		e.word = e.word[:0]
	}
	switch {
	case isSpace(b):
	case b == ')' && e.depth == 0:
		p.endCall()
	case b == ',' && e.depth == 0:
		e.state = exactKey
	default:
		switch b {
		case '"':
			e.quote = true
		case '[', '{':
			e.depth++
		case ']', '}':
			e.depth--
		}
		e.piece = append(e.piece, b)
	}
}

func (p *Parser) beginCall(name string) {
	p.emit(nil, false)
	p.flushPiece()
	p.deltas = append(p.deltas, Delta{Call: &CallDelta{Index: p.index, Name: name}})
	p.calls = append(p.calls, ToolCall{Name: name})
	p.index++
	p.exact.piece = append(p.exact.piece, '{')
}

func (p *Parser) endCall() {
	p.exact.piece = append(p.exact.piece, '}')
	p.flushPiece()
	p.exact.state = exactNext
}

// flushPiece emits the arguments that came since the last time.
func (p *Parser) flushPiece() {
	e := &p.exact
	if len(e.piece) == 0 {
		return
	}
	call := &p.calls[len(p.calls)-1]
	call.Arguments = append(call.Arguments, e.piece...)
	p.deltas = append(p.deltas, Delta{Call: &CallDelta{Index: p.index - 1, Arguments: string(e.piece)}})
	e.piece = e.piece[:0]
}
