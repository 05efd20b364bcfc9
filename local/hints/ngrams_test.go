package hints

import (
	"bufio"
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"
)

// Go says of a text what Python, which fitted the weights, says.
func TestNGramsAreTheOnesFitted(t *testing.T) {
	f, err := os.Open("../../testdata/judge/ngrams.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n := 0
	for lines := bufio.NewScanner(f); lines.Scan(); n++ {
		var c struct {
			Text string
			Odds float64
		}
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		if got := NGrams(c.Text); math.Abs(got-c.Odds) > 2e-3 {
			t.Errorf("%.40q: %.4f, want %.4f", c.Text, got, c.Odds)
		}
	}
	if n < 5 {
		t.Fatalf("only %d examples", n)
	}
}

func BenchmarkNGrams(b *testing.B) {
	text := strings.Repeat("Please read the delivery note and give me the order number. ", 14)
	for b.Loop() {
		NGrams(text)
	}
}
