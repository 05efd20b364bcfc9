package grammar_test

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/runtime/grammar"
	"github.com/sluice-ai/sluice/runtime/grammar/jsonschema"
)

// chains is a grammar of which one letter begins 2 to the n texts.
func chains(n int) string {
	s := ""
	for i := range n {
		s += fmt.Sprintf("r%d ::= r%d \"x\" | r%d \"y\"\n", i, i+1, i+1)
	}
	return s + fmt.Sprintf("r%d ::= \"(\" r%d \")\" | \"z\"\n", n, n)
}

// counters is a grammar of texts that n rules count in parallel.
func counters(n int) string {
	s, root := "", "root ::= \"(\""
	for i := range n {
		root += fmt.Sprintf(" | p%d", i)
		s += fmt.Sprintf("p%d ::= q{0,99999}\n", i)
	}
	return root + "\n" + s + "q ::= [a-z ] | \"[\" q \"]\"\n"
}

// Grammars that are short and made to take for ever, or all memory, do neither.
func TestHostileGrammars(t *testing.T) {
	v := large()
	for _, tt := range []struct {
		name, grammar string
		said          string // where Accept says that it is too large; "" where Bind does
	}{
		{"chains", "root ::= r0\n" + chains(200), ""},
		{"chains-behind", "root ::= \"a\" r0\n" + chains(200), "a"},
		{"counters", counters(1500), strings.Repeat("x", 10_000)},
		{"recursions", "root ::= q\nq ::= " + strings.Repeat(`"(" q ")" | `, 4000) + `"x"`, "(((("},
		{"repetitions", "root ::= q\nq ::= " + strings.Repeat(`("(" q ")"){0,99999} | `, 2500) + `"x"`, "(((("},
		{"counters-of-words", counters(1500), strings.Repeat("some words ", 1000)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g, err := grammar.GBNF(tt.grammar)
			if err != nil {
				t.Fatal(err)
			}
			clock := time.Now()
			p, err := v.Bind(g)
			if tt.said != "" {
				if err != nil {
					t.Fatal(err)
				}
				m := p.NewMatcher()
				m.Mask(make([]uint64, v.Words()))
				m.Forced()
				err = m.AcceptText(tt.said)
				if n := p.Bytes(); n > 200<<20 {
					t.Errorf("%d MiB", n>>20)
				}
				if err := p.NewMatcher().AcceptText("x"); err != nil && tt.name == "counters" {
					t.Errorf("others do not go on: %v", err)
				}
			}
			if took := time.Since(clock); !errors.Is(err, grammar.ErrTooLarge) || took > 30*time.Second {
				t.Errorf("%v, in %v", err, took)
			} else {
				t.Log(took)
			}
		})
	}
}

// A mask that takes too long to find allows nothing, and leaves nothing wrong behind.
func TestHostileMask(t *testing.T) {
	g, err := grammar.GBNF(counters(2000))
	if err != nil {
		t.Fatal(err)
	}
	p := bind(t, large(), g)
	m := p.NewMatcher()
	mask := make([]uint64, large().Words())
	for range 2 {
		clock := time.Now()
		m.Mask(mask)
		if took := time.Since(clock); took > 10*time.Second || slices.ContainsFunc(mask, func(w uint64) bool { return w != 0 }) {
			t.Errorf("a mask in %v", took)
		}
	}
	if err := m.AcceptText("word"); err != nil {
		t.Error(err)
	}
}

// Rules that are costly to make automata of share one budget.
func TestHostileRules(t *testing.T) {
	var root, rules strings.Builder
	for i := range 200 {
		fmt.Fprintf(&root, "| r%d ", i)
		fmt.Fprintf(&rules, "r%d ::= [ab]* \"a\" [ab]{1%02d,199}\n", i, i%100)
	}
	clock := time.Now()
	_, err := grammar.GBNF("root ::= \"y\"" + root.String() + "\n" + rules.String())
	if took := time.Since(clock); took > 10*time.Second || !errors.Is(err, grammar.ErrTooLarge) {
		t.Errorf("%v, after %v", err, took)
	}
}

// Bytes knows of what masks of texts of bounded length keep.
func TestBytesOfBounded(t *testing.T) {
	v := large()
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	p := bind(t, v, compile(t, `{"type":"string","pattern":"^[^x]{150}$","maxLength":160}`, jsonschema.Options{}).Grammar)
	clean, counted := heap(), p.Bytes()
	m, mask := p.NewMatcher(), make([]uint64, v.Words())
	if err := m.AcceptText(`"`); err != nil {
		t.Fatal(err)
	}
	for range 150 {
		m.Mask(mask)
		if err := m.AcceptText("a"); err != nil {
			t.Fatal(err)
		}
	}
	grown, known := heap()-clean, p.Bytes()-counted
	if grown > 2*known+(8<<20) {
		t.Errorf("%d MiB are kept, %d MiB are known of", grown>>20, known>>20)
	}
	runtime.KeepAlive(p)
}
