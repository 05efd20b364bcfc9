// Package automaton makes the finite automata that grammars are built of: over
// bytes, for matching tokens, and over code points, for combining languages.
//
//	regular expression, words, lengths → Language ─┬─ Intersect, Complement
//	                                               └─ Quoted, Raw → DFA over bytes
//	number ranges, literals ───────────────────────────────────────→ DFA
//
// Everything here is bounded: what would take too many states fails with
// [ErrTooLarge]. A finished DFA has no state from which acceptance is out of
// reach, so that whatever it lets through can be completed. DFAs and Languages
// are immutable and safe for concurrent use.
package automaton

import "errors"

// ErrTooLarge says that an automaton would have too many states.
var ErrTooLarge = errors.New("the expression needs too many states")

// maxStates bounds automata over code points and over bytes.
const (
	maxStates     = 1 << 13
	maxByteStates = 1 << 16
)
