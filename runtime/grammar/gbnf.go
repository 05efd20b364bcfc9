package grammar

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sluice-ai/sluice/runtime/grammar/automaton"
)

// GBNF returns the grammar of a text in llama.cpp's notation, whose first rule is
// root. Rules that begin with themselves fail with [ErrLeftRecursion], as does
// the repetition of what may be empty.
func GBNF(text string) (*Grammar, error) {
	p := &gbnf{text: text, rules: map[string]*gbnfExpr{}}
	if err := p.parse(); err != nil {
		return nil, err
	}
	root, ok := p.rules["root"]
	if !ok {
		return nil, fmt.Errorf("the grammar has no rule called root")
	}
	w := &gbnfWriter{gbnf: p, b: NewBuilder(), work: automaton.MaxWork, starts: map[string]Node{}, regular: map[string]*string{}}
	start, end := w.b.Node(), w.b.Node()
	w.b.Final(end)
	w.starts["root"] = start
	w.expr(root, start, end)
	for len(w.todo) > 0 && w.err == nil {
		name := w.todo[len(w.todo)-1]
		w.todo = w.todo[:len(w.todo)-1]
		end := w.b.Node()
		w.b.Final(end)
		w.expr(p.rules[name], w.starts[name], end)
	}
	if w.err != nil {
		return nil, w.err
	}
	return w.b.Build(start)
}

type gbnfOp uint8

const (
	gbnfRegex gbnfOp = iota // text is the regular expression of a literal or class
	gbnfRef                 // text is the name of a rule
	gbnfSeq
	gbnfAlt
	gbnfRepeat
)

type gbnfExpr struct {
	op          gbnfOp
	text        string
	subs        []*gbnfExpr
	least, most int
}

type gbnf struct {
	text  string
	i     int
	depth int
	rules map[string]*gbnfExpr
	refs  []string
}

const (
	maxGBNF      = 1 << 18
	maxGBNFDepth = 100
	maxRegex     = 1 << 14 // bytes of the expression that rules are joined to
)

func (p *gbnf) fail(format string, args ...any) error {
	line := 1 + strings.Count(p.text[:min(p.i, len(p.text))], "\n")
	return fmt.Errorf("line %d of the grammar: %s", line, fmt.Sprintf(format, args...))
}

func (p *gbnf) parse() error {
	if len(p.text) > maxGBNF {
		return ErrTooLarge
	}
	for p.space(true); p.i < len(p.text); p.space(true) {
		name := p.name()
		p.space(false)
		if name == "" || !strings.HasPrefix(p.text[p.i:], "::=") {
			return p.fail("a rule begins with a name and ::=")
		}
		p.i += 3
		if _, twice := p.rules[name]; twice {
			return p.fail("the rule %s is there twice", name)
		}
		p.space(true)
		e, err := p.alternatives(false)
		if err != nil {
			return err
		}
		p.rules[name] = e
	}
	for _, r := range p.refs {
		if p.rules[r] == nil {
			return fmt.Errorf("the grammar has no rule called %s", r)
		}
	}
	return nil
}

// space skips white space and comments; line breaks only if lines says so.
func (p *gbnf) space(lines bool) {
	for p.i < len(p.text) {
		switch c := p.text[p.i]; {
		case c == ' ' || c == '\t' || lines && (c == '\n' || c == '\r'):
			p.i++
		case c == '#':
			for p.i < len(p.text) && p.text[p.i] != '\n' {
				p.i++
			}
		default:
			return
		}
	}
}

func (p *gbnf) name() string {
	start := p.i
	for p.i < len(p.text) {
		c := p.text[p.i]
		if c != '-' && c != '_' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			break
		}
		p.i++
	}
	return p.text[start:p.i]
}

// alternatives reads a rule's right side, or the inside of parentheses.
func (p *gbnf) alternatives(nested bool) (*gbnfExpr, error) {
	if p.depth++; p.depth > maxGBNFDepth {
		return nil, ErrTooLarge
	}
	defer func() { p.depth-- }()
	alt := &gbnfExpr{op: gbnfAlt}
	for {
		seq, err := p.sequence(nested)
		if err != nil {
			return nil, err
		}
		alt.subs = append(alt.subs, seq)
		if p.i == len(p.text) || p.text[p.i] != '|' {
			return alt, nil
		}
		p.i++
		p.space(true)
	}
}

func (p *gbnf) sequence(nested bool) (*gbnfExpr, error) {
	seq := &gbnfExpr{op: gbnfSeq}
	for p.space(nested); p.i < len(p.text); p.space(nested) {
		var e *gbnfExpr
		var err error
		switch c := p.text[p.i]; {
		case c == '"':
			e, err = p.literal()
		case c == '[':
			e, err = p.class()
		case c == '.':
			p.i++
			e = &gbnfExpr{text: `(?s:.)`}
		case c == '(':
			p.i++
			if e, err = p.alternatives(true); err == nil {
				if p.i == len(p.text) || p.text[p.i] != ')' {
					return nil, p.fail("a parenthesis is not closed")
				}
				p.i++
			}
		case strings.IndexByte("|)\n\r", c) >= 0:
			return seq, nil
		default:
			name := p.name()
			if name == "" {
				return nil, p.fail("%q has no meaning here", c)
			}
			p.refs = append(p.refs, name)
			e = &gbnfExpr{op: gbnfRef, text: name}
		}
		if err == nil {
			e, err = p.postfix(e)
		}
		if err != nil {
			return nil, err
		}
		seq.subs = append(seq.subs, e)
	}
	return seq, nil
}

func (p *gbnf) postfix(e *gbnfExpr) (*gbnfExpr, error) {
	for p.i < len(p.text) {
		r := &gbnfExpr{op: gbnfRepeat, subs: []*gbnfExpr{e}, most: -1}
		switch p.text[p.i] {
		case '*':
		case '+':
			r.least = 1
		case '?':
			r.most = 1
		case '{':
			end := strings.IndexByte(p.text[p.i:], '}')
			if end < 0 {
				return nil, p.fail("a brace is not closed")
			}
			lo, hi, span := strings.Cut(p.text[p.i+1:p.i+end], ",")
			n, err := strconv.Atoi(strings.TrimSpace(lo))
			r.least, r.most = n, n
			if hi = strings.TrimSpace(hi); span && hi == "" {
				r.most = -1
			} else if span && err == nil {
				r.most, err = strconv.Atoi(hi)
			}
			if err != nil || r.least < 0 || span && hi != "" && r.most < r.least {
				return nil, p.fail("how often is not clear")
			}
			p.i += end
		default:
			return e, nil
		}
		p.i++
		e = r
	}
	return e, nil
}

// char reads one character, perhaps escaped.
func (p *gbnf) char() (rune, error) {
	if p.text[p.i] != '\\' || p.i+1 == len(p.text) {
		r, n := utf8.DecodeRuneInString(p.text[p.i:])
		p.i += n
		return r, nil
	}
	c := p.text[p.i+1]
	p.i += 2
	if n := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]; n > 0 {
		if p.i+n > len(p.text) {
			return 0, p.fail("an escape is not complete")
		}
		v, err := strconv.ParseUint(p.text[p.i:p.i+n], 16, 32)
		if err != nil || !utf8.ValidRune(rune(v)) {
			return 0, p.fail("an escape is malformed")
		}
		p.i += n
		return rune(v), nil
	}
	switch c {
	case 'n':
		return '\n', nil
	case 't':
		return '\t', nil
	case 'r':
		return '\r', nil
	case '\\', '"', '[', ']', '-', '^', '/':
		return rune(c), nil
	}
	return 0, p.fail("the escape \\%c is not known", c)
}

func escapeRune(r rune) string { return fmt.Sprintf(`\x{%x}`, r) }

func (p *gbnf) literal() (*gbnfExpr, error) {
	var out strings.Builder
	for p.i++; p.i < len(p.text); {
		if p.text[p.i] == '"' {
			p.i++
			return &gbnfExpr{text: out.String()}, nil
		}
		r, err := p.char()
		if err != nil {
			return nil, err
		}
		out.WriteString(escapeRune(r))
	}
	return nil, p.fail("a text is not closed")
}

func (p *gbnf) class() (*gbnfExpr, error) {
	out := "["
	if p.i++; p.i < len(p.text) && p.text[p.i] == '^' {
		p.i++
		out += "^"
	}
	empty := true
	for p.i < len(p.text) && p.text[p.i] != ']' {
		r, err := p.char()
		if err != nil {
			return nil, err
		}
		empty = false
		out += escapeRune(r)
		if p.i+1 < len(p.text) && p.text[p.i] == '-' && p.text[p.i+1] != ']' {
			p.i++
			to, err := p.char()
			if err != nil {
				return nil, err
			}
			if to < r {
				return nil, p.fail("a range is the wrong way round")
			}
			out += "-" + escapeRune(to)
		}
	}
	if p.i == len(p.text) || empty {
		return nil, p.fail("a class is empty or not closed")
	}
	p.i++
	return &gbnfExpr{text: out + "]"}, nil
}

// gbnfWriter writes rules into a Builder. What is regular becomes one DFA.
type gbnfWriter struct {
	*gbnf
	b       *Builder
	starts  map[string]Node
	todo    []string
	work    int                // that may still go into automata
	regular map[string]*string // of rules; nil while being found, and of those that are not
	err     error
}

// regex returns e as a regular expression, if it is one of bearable size.
func (w *gbnfWriter) regex(e *gbnfExpr) (string, bool) {
	switch e.op {
	case gbnfRegex:
		return e.text, true
	case gbnfRef:
		if known, ok := w.regular[e.text]; ok {
			if known == nil {
				return "", false
			}
			return *known, true
		}
		w.regular[e.text] = nil
		s, ok := w.regex(w.rules[e.text])
		if ok {
			w.regular[e.text] = &s
		}
		return s, ok
	case gbnfRepeat:
		s, ok := w.regex(e.subs[0])
		if !ok || max(e.least, e.most) > 200 {
			return "", false
		}
		most := ""
		if e.most >= 0 {
			most = strconv.Itoa(e.most)
		}
		return fmt.Sprintf("(?:%s){%d,%s}", s, e.least, most), true
	}
	sep := ""
	if e.op == gbnfAlt {
		sep = "|"
	}
	parts := make([]string, len(e.subs))
	size := 0
	for i, sub := range e.subs {
		s, ok := w.regex(sub)
		if size += len(s) + 1; !ok || size > maxRegex {
			return "", false
		}
		parts[i] = s
	}
	return "(?:" + strings.Join(parts, sep) + ")", true
}

// read leads over e if it is regular.
func (w *gbnfWriter) read(e *gbnfExpr, from, to Node) bool {
	s, ok := w.regex(e)
	if !ok {
		return false
	}
	l, err := automaton.Regex(s, &w.work)
	if w.work < 0 {
		w.err = ErrTooLarge
	}
	if err != nil {
		return false // too large as one
	}
	d, err := l.Raw()
	if err != nil {
		return false
	}
	w.b.Read(from, to, Terminal{DFA: d})
	return true
}

// expr leads from one node to another over e.
func (w *gbnfWriter) expr(e *gbnfExpr, from, to Node) {
	if w.b.Size() > maxNodes {
		w.err = cmp.Or(w.err, ErrTooLarge)
	}
	if w.err != nil || w.read(e, from, to) {
		return
	}
	switch e.op {
	case gbnfRegex:
		w.err = ErrTooLarge
	case gbnfRef:
		w.b.Call(from, to, w.rule(e.text))
	case gbnfAlt:
		for _, sub := range e.subs {
			w.expr(sub, from, to)
		}
	case gbnfRepeat:
		start, end := w.b.Node(), w.b.Node()
		w.b.Final(end)
		w.expr(e.subs[0], start, end)
		w.b.Repeat(from, to, start, e.least, e.most)
	case gbnfSeq:
		for i := 0; i < len(e.subs); {
			// The longest run that is regular is read at once.
			n := 1
			for n < len(e.subs)-i {
				if _, ok := w.regex(&gbnfExpr{op: gbnfSeq, subs: e.subs[i : i+n+1]}); !ok {
					break
				}
				n++
			}
			next := to
			if i+n < len(e.subs) {
				next = w.b.Node()
			}
			part := e.subs[i]
			if n > 1 {
				part = &gbnfExpr{op: gbnfSeq, subs: e.subs[i : i+n]}
			}
			w.expr(part, from, next)
			from, i = next, i+n
		}
	}
}

func (w *gbnfWriter) rule(name string) Node {
	n, ok := w.starts[name]
	if !ok {
		n = w.b.Node()
		w.starts[name] = n
		w.todo = append(w.todo, name)
	}
	return n
}
