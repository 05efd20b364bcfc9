package hints

import (
	"math"
	"testing"

	"github.com/sluice-ai/sluice/internal/llm"
)

func TestFlatten(t *testing.T) {
	if got := flatten("Don’t “Sort” it, l'été!\n- 5%"); got != " don't sort it l'été - 5% " {
		t.Errorf("flatten = %q", got)
	}
}

func TestOf(t *testing.T) {
	for _, tt := range []struct {
		text, kind string
		local      bool
	}{
		{"Translate 'good morning' into French", "translation", true},
		{"Prove that the polynomial x^4+1 is irreducible over Q, and find its Galois group.", "maths", false},
	} {
		kind, odds, parts := Of(&llm.Request{Messages: []llm.Message{{Role: llm.User, Text: tt.text}}})
		if kind != tt.kind || (odds >= 0) != tt.local {
			t.Errorf("%q: %s, log-odds %.2f; want %s, local %v", tt.text, kind, odds, tt.kind, tt.local)
		}
		sum := 0.0
		for _, p := range parts {
			sum += p.Odds
		}
		if math.Abs(sum-odds) > 1e-9 || len(parts) < 2 {
			t.Errorf("%q: the parts %v sum up to %g, not to %g", tt.text, parts, sum, odds)
		}
	}
}
