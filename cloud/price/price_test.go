package price

import (
	"os"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/internal/llm"
)

func TestShippedTable(t *testing.T) {
	b, err := os.ReadFile("../../configs/prices.yaml")
	if err != nil {
		t.Fatal(err)
	}
	table, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	row, ok := table.Find("openai", "gpt-5-mini")
	if !ok {
		t.Fatal("gpt-5-mini has no price")
	}
	p, err := row.Price()
	if err != nil || !p.Known || p.ID != "openai/gpt-5-mini@2025-08-07" {
		t.Fatalf("price = %+v, %v", p, err)
	}
	// A million tokens of each kind: 0.25 + 0.025 + 2 + 2 dollars.
	nano, known := p.Cost(llm.Usage{Input: 1e6, Cached: 1e6, Output: 1e6, Reasoning: 1e6})
	if nano != 4_275_000_000 || !known {
		t.Errorf("cost = %d nano-dollars, known %v", nano, known)
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"prices: [{provider: a, model: m, input: 0.00000025, output: 0}]\nx: 1":          "field x not found",
		"prices: [{provider: a, model: m}]":                                              "a price of zero is not believed",
		"prices: [{provider: a, model: m, input: 2500, output: 1}]":                      "2500 is no price",
		"prices: [{provider: a, model: m, input: -1, output: 1}]":                        "-1 is no price",
		"prices: [{provider: a, model: m, input: 1}, {provider: a, model: m, input: 1}]": "of its own",
	} {
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%s) = %v, want %q", text, err, want)
		}
	}
}
