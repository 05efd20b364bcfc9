package jsonschema

import (
	"errors"
	"fmt"

	"github.com/sluice-ai/sluice/runtime/grammar"
	"github.com/sluice-ai/sluice/runtime/grammar/automaton"
)

// Bounds of what one schema may combine.
const (
	maxLanguages      = 2_000
	maxLanguageStates = 400_000
)

// text leads from one node to another over the strings of m.
func (c *compiler) text(g goal, m *shape, from, to grammar.Node) error {
	var not []string
	for _, n := range m.not {
		if s, ok := n.value.(string); ok {
			not = append(not, s)
		}
	}
	if len(m.langs) == 0 && len(m.formats) == 0 && m.maxLen != 0 {
		t := grammar.Terminal{
			DFA: automaton.Text(c.texts), Least: m.minLen, Most: max(m.maxLen, 0),
			Verbatim: m.minLen <= 1 && m.maxLen < 0 && len(not) == 0,
		}
		if len(not) > 0 {
			if err := exclude(&t, not); err != nil {
				return err
			}
		}
		c.g.Read(from, to, t)
		return nil
	}
	most := m.maxLen
	if len(m.langs) == 0 && len(m.formats) == 1 && m.minLen == 0 && len(not) == 0 && most != 0 {
		f, _ := automaton.FormatOf(m.formats[0].name)
		if f.Most > 0 {
			most = least(most, f.Most)
		}
		c.terminal(from, to, f.JSON, most)
		return nil
	}
	key := fmt.Sprint(m.minLen, most == 0, not)
	for _, l := range m.langs {
		key += fmt.Sprintf(" %p", l.lang)
	}
	for _, f := range m.formats {
		key += " " + f.name
		if f, _ := automaton.FormatOf(f.name); f.Most > 0 {
			most = least(most, f.Most)
		}
	}
	d, ok := c.quoted[key]
	if !ok {
		l, err := c.language(g, m, not)
		if err != nil {
			return err
		}
		if most == 0 {
			if l, err = l.Intersect(lengths(0, 0)); err != nil {
				return err
			}
		}
		if d, err = l.Quoted(0); err != nil {
			return err
		}
		c.quoted[key] = d
	}
	c.terminal(from, to, d, most)
	return nil
}

func lengths(least, most int) *automaton.Language {
	l, err := automaton.Lengths(least, most)
	if err != nil {
		return automaton.Any()
	}
	return l
}

// terminal reads d, of at most so many code points; negative is no bound.
func (c *compiler) terminal(from, to grammar.Node, d *automaton.DFA, most int) {
	if most > 0 && int(d.Distance(0)) > most {
		return
	}
	c.g.Read(from, to, grammar.Terminal{DFA: d, Most: max(most, 0)})
}

// exclude keeps t, whose DFA is a [automaton.Text], from reading the given texts.
func exclude(t *grammar.Terminal, texts []string) error {
	spelled := make([]string, len(texts))
	for i, s := range texts {
		spelled[i] = quoted(s)
	}
	d, err := automaton.Words(spelled...)
	if err != nil {
		return err
	}
	t.DFA, t.Not = automaton.Text(0), d // one spelling only, so that none escapes
	return nil
}

// language returns the texts of m, but for their greatest length. What makes the
// automaton too large is checked afterwards.
func (c *compiler) language(g goal, m *shape, not []string) (*automaton.Language, error) {
	if c.languages++; c.languages > maxLanguages {
		return nil, grammar.ErrTooLarge
	}
	l := automaton.Any()
	and := func(o *automaton.Language, ptr string) error {
		both, err := l.Intersect(o)
		if errors.Is(err, automaton.ErrTooLarge) && ptr != "" {
			c.check(ptr, "the conditions together are too large to be held while decoding")
			return nil
		}
		if err == nil {
			l = both
			c.states += l.States()
		}
		if c.states > maxLanguageStates {
			return grammar.ErrTooLarge
		}
		return err
	}
	for _, p := range m.langs {
		if err := and(p.lang, p.ptr); err != nil {
			return nil, err
		}
	}
	for _, f := range m.formats {
		format, _ := automaton.FormatOf(f.name)
		if err := and(format.Language, f.ptr); err != nil {
			return nil, err
		}
	}
	if len(not) > 0 {
		words, err := automaton.Exactly(not...)
		if err != nil {
			return nil, err
		}
		if err := and(words.Complement(), ""); err != nil {
			return nil, err
		}
	}
	if m.minLen > 0 {
		ptr := "/minLength"
		if len(g) > 0 {
			ptr = g[0].s.ptr + ptr
		}
		long, err := automaton.Lengths(m.minLen, -1)
		if err != nil {
			c.check(ptr, "the length is too large to be held together with a pattern while decoding")
			return l, nil
		}
		if err := and(long, ptr); err != nil {
			return nil, err
		}
	}
	return l, nil
}
