package jsonschema

import (
	"encoding/binary"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"

	"github.com/sluice-ai/sluice/runtime/grammar"
	"github.com/sluice-ai/sluice/runtime/grammar/automaton"
)

// build turns shapes into rules of a grammar.
type build struct {
	g      *grammar.Builder
	style  style
	rules  map[string]grammar.Node
	todo   []job
	quoted map[string]*automaton.DFA // of combined languages and of ranges
	texts  automaton.Escapes

	languages, states int       // combined so far
	values            validator // of listed values
}

type job struct {
	goal  goal
	start grammar.Node
}

const maxRules = 20_000

// A style is how values are written.
type style struct {
	comma, colon       string
	null, yes, no      string
	flexible           bool
	open, close, equal string // of the top object, where it is a list of arguments
}

func styleOf(o Options) style {
	s := style{comma: ",", colon: ":", null: "null", yes: "true", no: "false", flexible: o.Whitespace == Flexible}
	if o.Whitespace == Spaced {
		s.comma, s.colon = ", ", ": "
	}
	if o.Python {
		s.null, s.yes, s.no = "None", "True", "False"
	}
	return s
}

// space is what Flexible allows between the parts of a value.
var space = sync.OnceValue(func() *automaton.DFA {
	l, err := automaton.Regex(`[ \t\n\r]{0,32}`, nil)
	if err != nil {
		panic(err)
	}
	d, err := l.Raw()
	if err != nil {
		panic(err)
	}
	d.Shared = true
	return d
})

// literal leads from a node over s to a new one.
func (c *compiler) literal(from grammar.Node, s string) grammar.Node {
	to := c.g.Node()
	c.g.Literal(from, to, s)
	return to
}

// gap leads from a node over white space, if the style allows any, to another.
func (c *compiler) gap(from grammar.Node) grammar.Node {
	if !c.style.flexible {
		return from
	}
	to := c.g.Node()
	c.g.Read(from, to, grammar.Terminal{DFA: space()})
	return to
}

// rule returns the rule for g, which run writes later.
func (c *compiler) rule(g goal) grammar.Node {
	ids := make([]uint32, 0, len(g))
	for _, l := range g {
		id := uint32(l.s.id) << 1
		if l.neg {
			id |= 1
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	key := make([]byte, 0, 4*len(ids))
	for _, id := range ids {
		key = binary.LittleEndian.AppendUint32(key, id)
	}
	if n, ok := c.rules[string(key)]; ok {
		return n
	}
	n := c.g.Node()
	c.rules[string(key)] = n
	c.todo = append(c.todo, job{g, n})
	return n
}

// run writes the rules that are still to be written.
func (c *compiler) run() error {
	for len(c.todo) > 0 {
		j := c.todo[len(c.todo)-1]
		c.todo = c.todo[:len(c.todo)-1]
		if len(c.rules) > maxRules || c.g.Size() > 1<<18 {
			return grammar.ErrTooLarge
		}
		end := c.g.Node()
		c.g.Final(end)
		if err := c.value(j.goal, j.start, end); err != nil {
			return err
		}
	}
	if c.values.work > maxWork {
		return grammar.ErrTooLarge
	}
	return nil
}

// value leads from one node to another over what satisfies g.
func (c *compiler) value(g goal, from, to grammar.Node) error {
	shapes, err := c.norm(g)
	if err != nil {
		return c.fail(g, err)
	}
	var words []string
	for _, m := range shapes {
		if m.hasE {
			for _, v := range m.enum {
				switch {
				case !g.valid(&c.values, v):
				case typeOf(v)&(tArray|tObject) != 0 && c.style.flexible:
					c.constant(from, to, v)
				default:
					words = append(words, c.spell(v))
				}
			}
			continue
		}
		if m.types&tNull != 0 {
			words = append(words, c.style.null)
		}
		if m.types&tTrue != 0 {
			words = append(words, c.style.yes)
		}
		if m.types&tFalse != 0 {
			words = append(words, c.style.no)
		}
		for _, part := range []struct {
			t typeset
			f func(goal, *shape, grammar.Node, grammar.Node) error
		}{{tNumber, c.number}, {tString, c.text}, {tArray, c.array}, {tObject, c.object}} {
			if m.types&part.t != 0 {
				if err := part.f(g, m, from, to); err != nil {
					return c.fail(g, err)
				}
			}
		}
	}
	if len(words) > 0 {
		d, err := automaton.Words(words...)
		if err != nil {
			return c.fail(g, err)
		}
		c.g.Read(from, to, grammar.Terminal{DFA: d})
	}
	return nil
}

// fail says where err is, if it does not say so itself.
func (c *compiler) fail(g goal, err error) error {
	if len(g) == 0 {
		return err
	}
	return at(g[0].s, err)
}

// spell writes a value on one line.
func (c *compiler) spell(v any) string {
	switch v := v.(type) {
	case nil:
		return c.style.null
	case bool:
		if v {
			return c.style.yes
		}
		return c.style.no
	case *number:
		if v.rat.IsInt() && !strings.ContainsAny(v.text, "eE") {
			return v.rat.Num().String()
		}
		return v.text
	case string:
		return quote(v)
	case []any:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = c.spell(e)
		}
		return "[" + strings.Join(parts, c.style.comma) + "]"
	case *object:
		parts := make([]string, len(v.keys))
		for i, k := range v.keys {
			parts[i] = quote(k) + c.style.colon + c.spell(v.member[k])
		}
		return "{" + strings.Join(parts, c.style.comma) + "}"
	}
	panic(fmt.Sprintf("jsonschema: a value of type %T", v))
}

// constant leads over v with white space where the style allows it.
func (c *compiler) constant(from, to grammar.Node, v any) {
	switch v := v.(type) {
	case []any:
		n := c.gap(c.literal(from, "["))
		for i, e := range v {
			if i > 0 {
				n = c.gap(c.literal(n, c.style.comma))
			}
			next := c.g.Node()
			c.constant(n, next, e)
			n = c.gap(next)
		}
		c.g.Literal(n, to, "]")
	case *object:
		n := c.gap(c.literal(from, "{"))
		for i, k := range v.keys {
			if i > 0 {
				n = c.gap(c.literal(n, c.style.comma))
			}
			n = c.gap(c.literal(n, quote(k)+c.style.colon))
			next := c.g.Node()
			c.constant(n, next, v.member[k])
			n = c.gap(next)
		}
		c.g.Literal(n, to, "}")
	default:
		c.g.Literal(from, to, c.spell(v))
	}
}

func (c *compiler) number(_ goal, m *shape, from, to grammar.Node) error {
	for _, n := range m.not {
		if _, ok := n.value.(*number); ok {
			c.check(n.ptr, "a number that must not be is found afterwards")
		}
	}
	r := m.num
	for _, f := range m.multiples {
		if r.MultipleOf == nil {
			r.MultipleOf = f.of
		} else {
			r.MultipleOf = lcm(r.MultipleOf, f.of)
		}
	}
	d, err := c.numbers(r)
	if err != nil && r.MultipleOf != nil {
		for _, f := range m.multiples {
			c.check(f.ptr, "the divisor is too large to be held while decoding")
		}
		r.MultipleOf = nil
		d, err = c.numbers(r)
	}
	if err != nil {
		return err
	}
	c.g.Read(from, to, grammar.Terminal{DFA: d})
	return nil
}

// numbers returns the DFA of r, the same one for equal ranges.
func (c *compiler) numbers(r automaton.Range) (*automaton.DFA, error) {
	key := fmt.Sprint("number ", r.Integer, r.Min, r.OpenMin, r.Max, r.OpenMax, r.MultipleOf)
	if d, ok := c.quoted[key]; ok {
		return d, nil
	}
	d, err := automaton.Numbers(r)
	if err != nil {
		return nil, err
	}
	if c.states += d.States(); c.states > maxLanguageStates {
		return nil, grammar.ErrTooLarge
	}
	c.quoted[key] = d
	return d, nil
}

// lcm returns the least common multiple of two positive fractions.
func lcm(a, b *big.Rat) *big.Rat {
	num := new(big.Int).Mul(a.Num(), b.Num())
	num.Div(num, new(big.Int).GCD(nil, nil, a.Num(), b.Num()))
	return new(big.Rat).SetFrac(num, new(big.Int).GCD(nil, nil, a.Denom(), b.Denom()))
}

func (c *compiler) array(_ goal, m *shape, from, to grammar.Node) error {
	for _, n := range m.not {
		if typeOf(n.value) == tArray {
			c.check(n.ptr, "a list that must not be is found afterwards")
		}
	}
	prefix := 0
	for _, s := range m.arrays {
		prefix = max(prefix, len(s.prefix))
	}
	item := func(i int) goal {
		var g goal
		for _, s := range m.arrays {
			if i < len(s.prefix) {
				g = join(g, goalOf(s.prefix[i]))
			} else if s.items != nil {
				g = join(g, goalOf(s.items))
			}
		}
		return g
	}
	most := m.maxItems
	for i := range prefix + 1 {
		if never(item(i)) {
			most = least(most, i)
			break
		}
	}
	if most >= 0 && most < m.minItems {
		return nil
	}
	n := c.gap(c.literal(from, "["))
	shut := func(at grammar.Node) { c.g.Literal(c.gap(at), to, "]") }
	i := 0
	for ; i != most && i < max(prefix, 1); i++ {
		if i >= m.minItems {
			shut(n)
		}
		if i > 0 {
			n = c.gap(c.literal(n, c.style.comma))
		}
		next := c.g.Node()
		c.g.Call(n, next, c.rule(item(i)))
		n = next
	}
	if i == most {
		shut(n)
		return nil
	}
	again, end := c.g.Node(), c.g.Node()
	c.g.Final(end)
	c.g.Call(c.gap(c.literal(again, c.style.comma)), end, c.rule(item(i)))
	after := c.g.Node()
	if most >= 0 {
		most -= i
	}
	c.g.Repeat(n, after, again, max(m.minItems-i, 0), most)
	shut(after)
	return nil
}

// never reports whether g holds a schema that nothing satisfies.
func never(g goal) bool {
	for _, l := range g {
		if l.s.always != nil && *l.s.always == l.neg {
			return true
		}
	}
	return false
}
