package chat

import (
	"bytes"
	"slices"
)

// ParserOptions say what output to expect.
type ParserOptions struct {
	// Thinking says that the output begins inside a thought, because the prompt
	// opened it ([Style.StartsThinking]).
	Thinking bool
	// Names are the tools the model was shown. Where they are given, a list of
	// calls of them that the model forgot to put between markers is recognised
	// when it begins a line and ends the output.
	Names []string
	// Exact says that a grammar writes the blocks of calls (package
	// runtime/grammar/toolcall), so that what has come of one is known to be well
	// formed: calls come in pieces.
	Exact bool
}

// A Delta is the next bit of an output: content, reasoning or a tool call,
// never two of them.
type Delta struct {
	Text     string
	Thinking string
	Call     *CallDelta
}

// A CallDelta is a tool call, or with [ParserOptions].Exact a piece of one: the
// first of an Index has the Name and no Arguments, the others only Arguments. The
// Arguments of one Index, put together, are a JSON object, unless the output was cut.
// Without Exact a call comes whole, for only a whole one is known to be well formed.
type CallDelta struct {
	Index     int // from 0, in the order written
	Name      string
	Arguments string
}

// An Output is all that a model wrote.
type Output struct {
	Content   string
	Thinking  string
	Calls     []ToolCall // without IDs
	Malformed int        // see [Parser.Malformed]
}

// Parse reads a whole output.
func Parse(text string, o ParserOptions) Output {
	p := NewParser(o)
	var out Output
	var content, thinking bytes.Buffer
	for _, d := range append(p.Push(text), p.Flush()...) {
		content.WriteString(d.Text)
		thinking.WriteString(d.Thinking)
		if d.Call != nil && d.Call.Name == "" {
			last := &out.Calls[len(out.Calls)-1]
			last.Arguments = append(last.Arguments, d.Call.Arguments...)
		} else if d.Call != nil {
			out.Calls = append(out.Calls, ToolCall{Name: d.Call.Name, Arguments: []byte(d.Call.Arguments)})
		}
	}
	out.Content, out.Thinking, out.Malformed = content.String(), thinking.String(), p.Malformed()
	return out
}

// A Parser reads an output as it comes. What it finds depends on the text
// alone, not on the chunks.
//
// A thought is what stands between <think>, where it begins the output, and
// </think>, without the space around it. Tool calls are what stands between
// <|tool_call_start|> and <|tool_call_end|>; all text before, between and after
// is content, except space beside a call that stands alone. The parser is lenient:
//
//   - a block without an end is ended by the end of the output, or of its list;
//   - an end without a start is dropped, with the list of calls before it, when
//     that follows a block: read if it is new, dropped if it repeats the block;
//   - a call that cannot be read is left out, but a block of which nothing can be
//     read becomes content.
//
// A Parser is not safe for concurrent use. The zero Parser is not ready: use
// [NewParser].
type Parser struct {
	names map[string]bool
	exact exact
	fine  bool   // blocks are exact
	buf   []byte // text not dealt with yet
	step  func(final bool) bool

	// While leading: what to do with white space, and whether a thought may begin.
	trim, dropLast, mayThink bool
	// A block's end came before its list's: a bracket may follow.
	unclosed bool
	// While thinking: nothing but white space came.
	thoughtless bool
	// The last byte of content was a line break.
	line bool

	// While in a block or a bare list.
	scan  scanner
	calls []ToolCall
	bad   int
	seek  int // while a string is broken: where to look for the end
	base  int // in a bare list: its first byte
	bares int // bare lists that were none

	last      []ToolCall // the calls of the last block
	index     int
	malformed int
	deltas    []Delta
	run       []byte // of content or reasoning, not in deltas yet
	thought   bool   // run is reasoning
}

// NewParser returns a Parser at the beginning of an output.
func NewParser(o ParserOptions) *Parser {
	p := &Parser{names: make(map[string]bool), mayThink: true, fine: o.Exact}
	for _, name := range o.Names {
		p.names[name] = true
	}
	p.step = p.lead
	if o.Thinking {
		p.step, p.thoughtless = p.think, true
	}
	return p
}

// Push reads the next chunk and returns what has become certain.
func (p *Parser) Push(text string) []Delta {
	p.buf = append(p.buf, text...)
	return p.advance(false)
}

// Flush returns what was held back; call it at the end of the output, once.
func (p *Parser) Flush() []Delta { return p.advance(true) }

// Malformed returns how many calls so far could not be read.
func (p *Parser) Malformed() int { return p.malformed }

func (p *Parser) advance(final bool) []Delta {
	for p.step(final) {
	}
	p.emit(nil, false)
	deltas := p.deltas
	p.deltas = nil
	return deltas
}

// emit adds text to the run, and ends the run where text is nil or of the other kind.
func (p *Parser) emit(text []byte, thought bool) {
	if len(p.run) > 0 && (text == nil || thought != p.thought) {
		d := Delta{Text: string(p.run)}
		if p.thought {
			d = Delta{Thinking: string(p.run)}
		}
		p.deltas = append(p.deltas, d)
		p.run = p.run[:0]
	}
	p.run, p.thought = append(p.run, text...), thought
	if n := len(text); n > 0 && !thought {
		p.line = text[n-1] == '\n'
	}
}

func (p *Parser) emitCall(c ToolCall) {
	p.emit(nil, false)
	p.deltas = append(p.deltas, Delta{Call: &CallDelta{p.index, c.Name, string(c.Arguments)}})
	p.index++
	p.calls = append(p.calls, c)
}

// lead decides how the output begins, or goes on after a thought or a block.
func (p *Parser) lead(final bool) bool {
	rest := bytes.TrimLeft(p.buf, " \t\r\n\f\v")
	blank := len(p.buf) - len(rest)
	if len(rest) == 0 {
		if final && !p.trim && !p.dropLast {
			p.emit(p.buf, false)
		}
		if final {
			p.buf = nil
		}
		return false
	}
	markers := []string{toolCallStart, toolCallEnd, thinkStart}
	if !p.mayThink {
		markers = markers[:2]
	}
	switch marker := markerAt(rest, final, markers...); marker {
	case "?":
		return false
	case toolCallStart:
		p.buf = rest[len(marker):]
		p.enterBlock()
		return true
	case toolCallEnd:
		p.buf = rest[len(marker):]
		return true
	case thinkStart:
		p.buf = rest[len(marker):]
		p.step, p.thoughtless, p.mayThink = p.think, true, false
		return true
	}
	if rest[0] == ']' && p.unclosed {
		p.buf, p.unclosed = rest[1:], false
		return true
	}
	if rest[0] == '[' {
		switch p.looksBare(rest, final, p.last != nil) {
		case maybe:
			return false
		case yes:
			p.enterBare(blank)
			return true
		}
	}
	if p.trim {
		p.buf = rest
	} else {
		p.emit(p.buf[:blank], false)
		p.buf = rest
	}
	p.step, p.line = p.text, p.line || p.last == nil
	return true
}

// text passes content on, up to the next marker or bare list.
func (p *Parser) text(final bool) bool {
	for i, b := range p.buf {
		switch b {
		case '<':
			switch marker := markerAt(p.buf[i:], final, toolCallStart, toolCallEnd); marker {
			case "?":
				p.pass(i, 0)
				return false
			case toolCallStart:
				p.pass(i, len(marker))
				p.enterBlock()
				return true
			case toolCallEnd:
				p.pass(i, len(marker))
				return true
			}
		case '[':
			if i > 0 && p.buf[i-1] != '\n' || i == 0 && !p.line {
				continue
			}
			switch p.looksBare(p.buf[i:], final, false) {
			case maybe:
				p.pass(i, 0)
				return false
			case yes:
				p.pass(i, 0)
				p.enterBare(0)
				return true
			}
		}
	}
	p.pass(len(p.buf), 0)
	return false
}

// pass emits n bytes as content and drops the next skip.
func (p *Parser) pass(n, skip int) {
	p.emit(p.buf[:n:n], false)
	p.buf = p.buf[n+skip:]
}

// think passes reasoning on, up to its end or a tool call.
func (p *Parser) think(final bool) bool {
	if p.thoughtless {
		p.buf = bytes.TrimLeft(p.buf, " \t\r\n\f\v")
		p.thoughtless = len(p.buf) == 0
	}
	hold := len(p.buf)
	for i := 0; i < hold; i++ {
		if p.buf[i] != '<' {
			continue
		}
		switch marker := markerAt(p.buf[i:], final, thinkEnd, toolCallStart); marker {
		case "?":
			hold = i
		case "":
		default:
			p.emit(bytes.TrimRight(p.buf[:i], " \t\r\n\f\v"), true)
			p.buf = p.buf[i+len(marker):]
			if marker == toolCallStart {
				p.enterBlock()
			} else {
				p.step, p.trim, p.mayThink = p.lead, true, false
			}
			return true
		}
	}
	n := len(bytes.TrimRight(p.buf[:hold], " \t\r\n\f\v"))
	p.emit(p.buf[:n], true)
	p.buf = p.buf[n:]
	return false
}

func (p *Parser) enterBlock() {
	p.scan, p.calls, p.bad, p.unclosed = scanner{}, nil, 0, false
	p.step = p.block
	if p.fine {
		p.exact, p.step = exact{}, p.exactBlock
	}
}

// block reads calls. The whole block stays in buf until it ends.
func (p *Parser) block(final bool) bool {
	switch e, from, to := p.scan.next(p.buf, final); e {
	case element:
		if c, ok := readCall(string(p.buf[from:to])); ok {
			p.emitCall(c)
		} else {
			p.bad++
		}
		return true
	case closed:
		p.step = p.blockTail
		return true
	case ended:
		p.unclosed = p.scan.listed
		p.leave(from, to)
		return true
	case broken: // its string may have swallowed the end
		p.seek, p.step = p.scan.start, p.mend
		return true
	}
	if final {
		p.seek, p.step = p.scan.start, p.mend
	}
	return final
}

// blockTail expects the marker after a list.
func (p *Parser) blockTail(final bool) bool {
	at := p.scan.i
	rest := bytes.TrimLeft(p.buf[at:], " \t\r\n\f\v")
	if len(rest) == 0 && !final {
		return false
	}
	switch marker := markerAt(rest, final, toolCallEnd); marker {
	case "?":
		return false
	case "":
		p.leave(at, at)
	default:
		p.leave(at, len(p.buf)-len(rest)+len(marker))
	}
	return true
}

// mend reads what it can of a block in which a string is broken or has no end.
func (p *Parser) mend(final bool) bool {
	i := bytes.Index(p.buf[p.seek:], []byte(toolCallEnd))
	if i < 0 && !final {
		p.seek = max(p.seek, len(p.buf)-len(toolCallEnd)+1)
		return false
	}
	from, to := len(p.buf), len(p.buf)
	if i >= 0 {
		from = p.seek + i
		to = from + len(toolCallEnd)
	}
	calls, bad := mendCalls(string(p.buf[p.scan.start:from]))
	for _, c := range calls {
		p.emitCall(c)
	}
	p.bad += bad
	p.leave(from, to)
	return true
}

// leave ends a block whose body is buf[:n] and which ends at buf[:end].
func (p *Parser) leave(n, end int) {
	if len(p.calls) == 0 && p.bad > 0 {
		p.emit(p.buf[:n], false)
	}
	p.malformed += p.bad
	p.last = p.calls
	if p.last == nil {
		p.last = []ToolCall{}
	}
	p.buf = p.buf[end:]
	p.step, p.trim, p.dropLast, p.mayThink = p.lead, false, true, false
}

func sameCalls(a, b []ToolCall) bool {
	return slices.EqualFunc(a, b, func(a, b ToolCall) bool {
		return a.Name == b.Name && bytes.Equal(a.Arguments, b.Arguments)
	})
}
