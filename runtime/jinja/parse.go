package jinja

import (
	"fmt"
	"slices"
	"strconv"
)

// maxNesting bounds statements in statements and expressions in expressions.
const maxNesting = 100

type parser struct {
	tokens []token
	at     int
	depth  int
	loops  int
}

// A parseFailure is what the methods of a parser panic with; parse recovers it.
type parseFailure struct{ err error }

func parse(src string) (nodes []node, err error) {
	tokens, err := lex(src)
	if err != nil {
		return nil, err
	}
	defer func() {
		if r := recover(); r != nil {
			f, ok := r.(parseFailure)
			if !ok {
				panic(r)
			}
			err = f.err
		}
	}()
	p := &parser{tokens: tokens}
	nodes, _ = p.block()
	return nodes, nil
}

func (p *parser) fail(format string, args ...any) {
	panic(parseFailure{&Error{Line: p.tokens[p.at].line, Msg: fmt.Sprintf(format, args...)}})
}

func (p *parser) peek() token { return p.tokens[p.at] }

func (p *parser) next() token {
	t := p.tokens[p.at]
	if t.kind != tEnd {
		p.at++
	}
	return t
}

func (p *parser) enter() {
	if p.depth++; p.depth > maxNesting {
		p.fail("nested too deeply")
	}
}

func (p *parser) leave() { p.depth-- }

// is reports whether the next token is the operator or name s, and takes it.
func (p *parser) is(k kind, s string) bool {
	if t := p.peek(); t.kind != k || t.s != s {
		return false
	}
	p.at++
	return true
}

func (p *parser) want(k kind, s string) {
	if !p.is(k, s) {
		p.fail("expected %q, not %q", s, p.peek().s)
	}
}

func (p *parser) name() string {
	t := p.next()
	if t.kind != tName {
		p.fail("expected a name, not %q", t.s)
	}
	return t.s
}

// block parses nodes up to one of the statements named ends, whose name it has
// taken, or with no ends to the end of the template.
func (p *parser) block(ends ...string) (nodes []node, end string) {
	p.enter()
	defer p.leave()
	for {
		switch t := p.next(); {
		case t.kind == tEnd && len(ends) == 0:
			return nodes, ""
		case t.kind == tEnd:
			p.fail("%s is missing", ends[len(ends)-1])
		case t.kind == tText:
			nodes = append(nodes, text{t.s})
		case t.s == "{{":
			nodes = append(nodes, output{t.line, p.expression()})
			p.want(tClose, "}}")
		default:
			word := p.name()
			if slices.Contains(ends, word) {
				return nodes, word
			}
			nodes = append(nodes, p.statement(t.line, word)...)
		}
	}
}

func (p *parser) statement(line int, word string) []node {
	end := func() { p.want(tClose, "%}") }
	switch word {
	case "if":
		return []node{p.ifStatement(line)}
	case "for":
		return []node{p.forStatement(line)}
	case "set":
		return []node{p.setStatement(line)}
	case "macro":
		return []node{p.macroStatement(line)}
	case "break", "continue":
		if p.loops == 0 {
			p.fail("%s outside a loop", word)
		}
		end()
		return []node{flow{word == "break"}}
	case "generation": // marks what to train on; of no meaning here
		end()
		body, _ := p.block("endgeneration")
		end()
		return body
	}
	p.fail("the statement %q is not known, or not allowed, in a chat template", word)
	return nil
}

func (p *parser) ifStatement(line int) node {
	s := ifStmt{line: line}
	for word := "if"; word != "endif"; {
		if word != "else" {
			s.conds = append(s.conds, p.expression())
		}
		p.want(tClose, "%}")
		var body []node
		if word == "else" {
			body, word = p.block("endif")
		} else {
			body, word = p.block("elif", "else", "endif")
		}
		s.then = append(s.then, body)
	}
	p.want(tClose, "%}")
	if len(s.then) == len(s.conds) {
		s.then = append(s.then, nil)
	}
	return s
}

func (p *parser) targets() []string {
	paren := p.is(tOp, "(")
	names := []string{p.name()}
	for p.is(tOp, ",") {
		names = append(names, p.name())
	}
	if paren {
		p.want(tOp, ")")
	}
	return names
}

func (p *parser) forStatement(line int) node {
	s := forStmt{line: line, targets: p.targets()}
	p.want(tName, "in")
	s.in = p.tupleOr(p.or)
	if p.is(tName, "if") {
		s.cond = p.expression()
	}
	p.want(tClose, "%}")
	p.loops++
	body, word := p.block("else", "endfor")
	p.loops--
	s.body = body
	if word == "else" {
		p.want(tClose, "%}")
		s.orElse, _ = p.block("endfor")
	}
	p.want(tClose, "%}")
	return s
}

func (p *parser) setStatement(line int) node {
	s := setStmt{line: line, targets: p.targets()}
	if p.is(tOp, ".") {
		s.attr = p.name()
	}
	if p.is(tOp, "=") {
		s.value = p.tupleOr(p.expression)
		p.want(tClose, "%}")
		return s
	}
	p.want(tClose, "%}")
	s.body, _ = p.block("endset")
	p.want(tClose, "%}")
	return s
}

func (p *parser) macroStatement(line int) node {
	s := macroStmt{line: line, name: p.name()}
	p.want(tOp, "(")
	for !p.is(tOp, ")") {
		if len(s.params) > 0 {
			p.want(tOp, ",")
		}
		s.params = append(s.params, p.name())
		if p.is(tOp, "=") {
			s.defaults = append(s.defaults, p.expression())
		} else if len(s.defaults) > 0 {
			p.fail("a parameter without a default follows one with")
		}
	}
	p.want(tClose, "%}")
	loops := p.loops
	p.loops = 0
	s.body, _ = p.block("endmacro")
	p.loops = loops
	p.want(tClose, "%}")
	return s
}

// tupleOr parses one expression, or several with commas as a tuple.
func (p *parser) tupleOr(one func() expr) expr {
	e := one()
	if t := p.peek(); t.kind != tOp || t.s != "," {
		return e
	}
	l := list{items: []expr{e}, tuple: true}
	for p.is(tOp, ",") {
		if t := p.peek(); t.kind == tClose || t.kind == tName && t.s == "if" {
			break
		}
		l.items = append(l.items, one())
	}
	return l
}

func (p *parser) expression() expr {
	p.enter()
	defer p.leave()
	e := p.or()
	for p.is(tName, "if") {
		c := cond{test: p.or(), yes: e}
		if p.is(tName, "else") {
			c.no = p.expression()
		}
		e = c
	}
	return e
}

func (p *parser) or() expr {
	e := p.and()
	for p.is(tName, "or") {
		e = binary{"or", e, p.and()}
	}
	return e
}

func (p *parser) and() expr {
	e := p.not()
	for p.is(tName, "and") {
		e = binary{"and", e, p.not()}
	}
	return e
}

func (p *parser) not() expr {
	if p.is(tName, "not") {
		p.enter()
		defer p.leave()
		return unary{"not", p.not()}
	}
	return p.comparison()
}

func (p *parser) comparison() expr {
	c := compare{x: p.sum()}
	for {
		t := p.peek()
		op := ""
		switch {
		case t.kind == tOp && slices.Contains([]string{"==", "!=", "<", "<=", ">", ">="}, t.s), t.kind == tName && t.s == "in":
			p.at++
			op = t.s
		case t.kind == tName && t.s == "not" && p.tokens[p.at+1].kind == tName && p.tokens[p.at+1].s == "in":
			p.at += 2
			op = "not in"
		}
		if op == "" {
			break
		}
		c.ops = append(c.ops, op)
		c.ys = append(c.ys, p.sum())
	}
	if len(c.ops) == 0 {
		return c.x
	}
	return c
}

// chain parses operands joined by operators of one precedence.
func (p *parser) chain(operand func() expr, ops ...string) expr {
	e := operand()
	for p.peek().kind == tOp && slices.Contains(ops, p.peek().s) {
		op := p.next().s
		e = binary{op, e, operand()}
	}
	return e
}

func (p *parser) sum() expr     { return p.chain(p.tilde, "+", "-") }
func (p *parser) tilde() expr   { return p.chain(p.product, "~") }
func (p *parser) product() expr { return p.chain(p.power, "*", "/", "//", "%") }
func (p *parser) power() expr   { return p.chain(func() expr { return p.unary(true) }, "**") }

func (p *parser) unary(filters bool) expr {
	p.enter()
	defer p.leave()
	var e expr
	if t := p.peek(); t.kind == tOp && (t.s == "-" || t.s == "+") {
		p.at++
		e = unary{t.s, p.unary(false)}
	} else {
		e = p.postfix(p.primary())
	}
	if filters {
		e = p.filters(e)
	}
	return e
}

func (p *parser) primary() expr {
	switch t := p.next(); t.kind {
	case tName:
		switch t.s {
		case "true", "True":
			return constant{true}
		case "false", "False":
			return constant{false}
		case "none", "None":
			return constant{nil}
		case "and", "or", "not", "in", "is", "if", "else":
			p.fail("%q is no value", t.s)
		}
		return name{t.s}
	case tString:
		s := t.s
		for p.peek().kind == tString {
			s += p.next().s
		}
		return constant{Plain(s)}
	case tInt:
		n, err := strconv.ParseInt(t.s, 10, 64)
		if err != nil {
			p.fail("the number %s is too large", t.s)
		}
		return constant{n}
	case tFloat:
		f, err := strconv.ParseFloat(t.s, 64)
		if err != nil {
			p.fail("the number %s is too large", t.s)
		}
		return constant{f}
	case tOp:
		switch t.s {
		case "(":
			return p.parenthesis()
		case "[":
			return list{items: p.items("]")}
		case "{":
			return p.dict()
		}
	}
	p.at = max(p.at-1, 0)
	p.fail("unexpected %q", p.peek().s)
	return nil
}

func (p *parser) parenthesis() expr {
	if p.is(tOp, ")") {
		return list{tuple: true}
	}
	e := p.expression()
	if p.is(tOp, ")") {
		return e
	}
	p.want(tOp, ",")
	return list{items: append([]expr{e}, p.items(")")...), tuple: true}
}

// items parses expressions up to the closing bracket end.
func (p *parser) items(end string) []expr {
	var out []expr
	for !p.is(tOp, end) {
		if len(out) > 0 {
			p.want(tOp, ",")
			if p.is(tOp, end) {
				break
			}
		}
		out = append(out, p.expression())
	}
	return out
}

func (p *parser) dict() expr {
	var d dict
	for !p.is(tOp, "}") {
		if len(d.keys) > 0 {
			p.want(tOp, ",")
			if p.is(tOp, "}") {
				break
			}
		}
		d.keys = append(d.keys, p.expression())
		p.want(tOp, ":")
		d.values = append(d.values, p.expression())
	}
	return d
}

// postfix parses attributes, items and calls.
func (p *parser) postfix(e expr) expr {
	for n := 0; ; n++ {
		if n > maxNesting {
			p.fail("nested too deeply")
		}
		switch {
		case p.is(tOp, "."):
			t := p.next()
			switch t.kind {
			case tName:
				e = attr{e, t.s}
			case tInt:
				i, _ := strconv.ParseInt(t.s, 10, 64) //nolint:errcheck // 0 of too large a number is no item either
				e = item{e, constant{i}}
			default:
				p.fail("expected a name, not %q", t.s)
			}
		case p.is(tOp, "["):
			e = p.subscript(e)
		case p.is(tOp, "("):
			e = call{e, p.arguments()}
		default:
			return e
		}
	}
}

func (p *parser) subscript(e expr) expr {
	var parts [3]expr
	colons := 0
	for !p.is(tOp, "]") {
		switch {
		case p.is(tOp, ":"):
			if colons++; colons > 2 {
				p.fail("unexpected %q", ":")
			}
		case parts[colons] == nil:
			parts[colons] = p.expression()
		default:
			p.fail("expected %q, not %q", "]", p.peek().s)
		}
	}
	if colons > 0 {
		return slice{e, parts[0], parts[1], parts[2]}
	}
	if parts[0] == nil {
		p.fail("an index is missing")
	}
	return item{e, parts[0]}
}

// arguments parses what is between parentheses, the first of which is taken.
func (p *parser) arguments() args {
	var a args
	for n := 0; !p.is(tOp, ")"); n++ {
		if n > 0 {
			p.want(tOp, ",")
			if p.is(tOp, ")") {
				break
			}
		}
		if t, eq := p.peek(), p.tokens[min(p.at+1, len(p.tokens)-1)]; t.kind == tName && eq.kind == tOp && eq.s == "=" {
			p.at += 2
			a.names = append(a.names, t.s)
			a.named = append(a.named, p.expression())
			continue
		}
		if len(a.names) > 0 {
			p.fail("a positional argument follows a named one")
		}
		a.pos = append(a.pos, p.expression())
	}
	return a
}

// filters parses filters, tests, and calls of what they give.
func (p *parser) filters(e expr) expr {
	for n := 0; ; n++ {
		if n > maxNesting {
			p.fail("nested too deeply")
		}
		switch {
		case p.is(tOp, "|"):
			f := filter{x: e, name: p.name()}
			if filterTable[f.name] == nil {
				p.fail("the filter %q is not known", f.name)
			}
			if p.is(tOp, "(") {
				f.args = p.arguments()
			}
			e = f
		case p.is(tName, "is"):
			e = p.test(e)
		default:
			return e
		}
	}
}

func (p *parser) test(e expr) expr {
	not := p.is(tName, "not")
	t := test{x: e, name: p.name()}
	if testTable[t.name] == nil {
		p.fail("the test %q is not known", t.name)
	}
	switch next := p.peek(); {
	case p.is(tOp, "("):
		t.args = p.arguments()
	case next.kind == tString, next.kind == tInt, next.kind == tFloat, next.kind == tOp && (next.s == "[" || next.s == "{"),
		next.kind == tName && !slices.Contains([]string{"else", "or", "and", "is", "if", "not", "in"}, next.s):
		t.args.pos = []expr{p.postfix(p.primary())}
	}
	if not {
		return unary{"not", t}
	}
	return t
}
