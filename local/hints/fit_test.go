package hints

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"
)

var fit = flag.Bool("fit", false, "fit the rules' numbers on train/data, and print them")

// TestFitRules prints base, and odds and says of every hint and form: logistic
// regression on the labels p of train/data, and the share of each kind.
func TestFitRules(t *testing.T) {
	if !*fit {
		t.Skip("a tool: go test ./local/hints -run TestFitRules -v -fit")
	}
	files, err := filepath.Glob("../../train/data/judge-*.jsonl")
	if err != nil || len(files) == 0 {
		t.Fatalf("no training data: %v", err)
	}
	type seed struct {
		T, K, Sys string
		P         float64
		Tools     []string
		Hist      [][]string
	}
	var x [][]float64
	var cases []seed
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(b) {
			var s seed
			if len(bytes.TrimSpace(line)) == 0 {
				continue
			}
			if err := json.Unmarshal(line, &s); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			cases = append(cases, s)
		}
	}
	for i := range cases {
		c := &cases[i]
		v := look(c.T, len(c.Tools), len(c.Hist) > 0 || c.Sys != "")
		row := []float64{1}
		for i := range hints {
			row = append(row, hints[i].hits(v))
		}
		for _, f := range forms {
			h := 0.0
			if f.holds(v) {
				h = 1
			}
			row = append(row, h)
		}
		x = append(x, row)
	}
	n, d := float64(len(x)), len(x[0])
	w := make([]float64, d)
	for range 4000 { // plain gradient descent: the problem is small and convex
		g := make([]float64, d)
		for i, row := range x {
			z := 0.0
			for j := range row {
				z += w[j] * row[j]
			}
			e := 1/(1+math.Exp(-z)) - cases[i].P
			for j := range row {
				g[j] += e * row[j]
			}
		}
		for j := range w {
			w[j] -= 0.5 * (g[j]/n + 1e-4*w[j])
		}
	}
	says := func(j int, kind string) float64 {
		all, right := 1.0, 0.0
		for i, row := range x {
			if row[j] > 0 {
				all++
				if cases[i].K == kind {
					right++
				}
			}
		}
		return right / all
	}
	t.Logf("%d requests; base = %.2f", len(x), w[0])
	for i, h := range hints {
		fmt.Printf("hint %d %s %.2f %.2f\n", i, h.kind, w[1+i], says(1+i, h.kind))
	}
	for i, f := range forms {
		j := 1 + len(hints) + i
		fmt.Printf("form %d %s %.2f %.2f\n", i, f.name, w[j], says(j, f.kind))
	}
}
