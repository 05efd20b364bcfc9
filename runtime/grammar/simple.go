package grammar

import (
	"errors"
	"fmt"

	"github.com/sluice-ai/sluice/runtime/grammar/automaton"
)

// Regex returns the grammar of texts that pattern matches as a whole; see
// [automaton.Regex] for what patterns may be.
func Regex(pattern string) (*Grammar, error) {
	l, err := automaton.Regex(pattern, nil)
	if err != nil {
		return nil, err
	}
	d, err := l.Raw()
	if err != nil {
		return nil, err
	}
	if d.Empty() {
		return nil, ErrEmpty
	}
	return one(d)
}

// Choice returns the grammar of the given texts.
func Choice(texts []string) (*Grammar, error) {
	if len(texts) == 0 {
		return nil, errors.New("a choice needs at least one text")
	}
	d, err := automaton.Words(texts...)
	if err != nil {
		return nil, fmt.Errorf("%w: %d texts", ErrTooLarge, len(texts))
	}
	return one(d)
}

// one returns the grammar of one DFA.
func one(d *automaton.DFA) (*Grammar, error) {
	b := NewBuilder()
	start, end := b.Node(), b.Node()
	b.Final(end)
	b.Read(start, end, Terminal{DFA: d})
	return b.Build(start)
}
