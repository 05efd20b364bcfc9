package jsonschema

import "github.com/sluice-ai/sluice/runtime/grammar/automaton"

// A keyset is what propertyNames allows: some words, or a language; neither is
// everything.
type keyset struct {
	goal  goal
	check *validator
	words []string // not nil if only these
	lang  *automaton.Language
}

func (k *keyset) allows(name string) bool { return len(k.goal) == 0 || k.goal.valid(k.check, name) }

// keysOf returns what m's propertyNames allow together.
func (c *compiler) keysOf(m *shape) (*keyset, error) {
	if len(m.names) == 0 {
		return &keyset{}, nil
	}
	k := &keyset{goal: goalOf(m.names...), check: &c.values}
	shapes, err := c.norm(k.goal)
	if err != nil {
		return nil, err
	}
	words := []string{}
	var lang *automaton.Language
	for _, sh := range shapes {
		if sh.types&tString == 0 {
			continue
		}
		if sh.hasE {
			for _, v := range sh.enum {
				if s, ok := v.(string); ok && k.allows(s) {
					words = append(words, s)
				}
			}
			continue
		}
		l, err := c.keyLanguage(k.goal, sh)
		if err != nil {
			return nil, err
		}
		if lang != nil {
			if l, err = union(lang, l); err != nil {
				return nil, err
			}
		}
		lang = l
	}
	if lang == nil {
		k.words = words
		return k, nil
	}
	if len(words) > 0 {
		l, err := automaton.Exactly(words...)
		if err == nil {
			lang, err = union(lang, l)
		}
		if err != nil {
			return nil, err
		}
	}
	k.lang = lang
	return k, nil
}

func (c *compiler) keyLanguage(g goal, m *shape) (*automaton.Language, error) {
	var not []string
	for _, n := range m.not {
		if s, ok := n.value.(string); ok {
			not = append(not, s)
		}
	}
	l, err := c.language(g, m, not)
	if err != nil {
		return nil, err
	}
	most := m.maxLen
	for _, f := range m.formats {
		if f, _ := automaton.FormatOf(f.name); f.Most > 0 {
			most = least(most, f.Most)
		}
	}
	if most < 0 {
		return l, nil
	}
	short, err := automaton.Lengths(0, most)
	if err != nil {
		return nil, err
	}
	return l.Intersect(short)
}

func union(a, b *automaton.Language) (*automaton.Language, error) {
	both, err := a.Complement().Intersect(b.Complement())
	if err != nil {
		return nil, err
	}
	return both.Complement(), nil
}
