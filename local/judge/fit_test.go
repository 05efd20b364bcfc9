package judge_test

import (
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/sluice-ai/sluice/internal/llm"
	"github.com/sluice-ai/sluice/local/eval"
	"github.com/sluice-ai/sluice/local/judge"
	"github.com/sluice-ai/sluice/runtime/engine"
	"github.com/sluice-ai/sluice/runtime/nano"
)

var fitModel = flag.String("model", "", "with -fit: a GGUF instead of nano")

var fit = flag.Bool("fit", false, "fit the weights of the judge's signals on the dev files, and print them")

// fitted are the signals whose weights can be learned without outcomes.
var fitted = []string{"lfm2", "hints", "ngrams"}

// TestFitWeights prints the bias and the weights of the signals before an answer:
// logistic regression on the labels p of the files that neither nano nor the
// n-grams were trained on. Beside them it prints what they do on parts left out, by file.
func TestFitWeights(t *testing.T) {
	if !*fit {
		t.Skip("a tool: go test ./local/judge -run TestFitWeights -v -fit")
	}
	files, err := filepath.Glob("../../train/data/judge-*-03.jsonl")
	if err != nil || len(files) < 5 {
		t.Fatalf("dev files: %v, %v", files, err)
	}
	m, err := engine.OpenBytes("nano", nano.Bytes(), engine.Options{})
	if *fitModel != "" {
		m, err = engine.Open(*fitModel, engine.Options{})
	}
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	j, err := judge.New(t.Context(), m, judge.Config{Model: "local/nano"})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	var cases []eval.Case
	var rows [][]float64
	var from []int
	for i, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		read, err := eval.ReadCases(f)
		f.Close()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for k := range read {
			rows = append(rows, signals(t, j.Assess(t.Context(), read[k].Request())))
			from = append(from, i)
		}
		cases = append(cases, read...)
	}
	all := make([]int, len(cases))
	for i := range all {
		all[i] = i
	}
	w := logistic(rows, cases, all)
	out := make([]float64, len(cases)) // by weights that did not see the case's file
	for i := range files {
		rest := slices.DeleteFunc(slices.Clone(all), func(k int) bool { return from[k] == i })
		v := logistic(rows, cases, rest)
		for k := range cases {
			if from[k] == i {
				out[k] = sigmoid(dot(v, rows[k]))
			}
		}
	}
	say := func(name string, p func(i int) float64) {
		var js []eval.Judgment
		for i := range cases {
			js = append(js, eval.Judgment{PLocal: p(i)})
		}
		r := eval.Compare(cases, []eval.System{{Name: name, Judgments: js}}, eval.Options{Rounds: 200}).Systems[0]
		fmt.Printf("%-22s AUC %.4f (%.3f-%.3f)  ECE %.3f  ECE of p %.3f  accuracy %.3f\n", name, r.AUC.Value, r.AUC.Low, r.AUC.High, r.ECE.Value, r.ECEP.Value, r.Accuracy.Value)
	}
	fmt.Printf("%d requests of %d files\n", len(cases), len(files))
	for s, name := range fitted {
		say(name, func(i int) float64 { return sigmoid(rows[i][s+1]) })
	}
	say("fitted, files left out", func(i int) float64 { return out[i] })
	say("fitted", func(i int) float64 { return sigmoid(dot(w, rows[i])) })
	fmt.Printf("bias %.3f\n", w[0])
	for s, name := range fitted {
		fmt.Printf("%s %.3f\n", name, w[s+1])
	}
}

// signals returns 1 and the values of the fitted signals.
func signals(t *testing.T, a llm.Assessment) []float64 {
	row := make([]float64, 1+len(fitted))
	row[0] = 1
	for _, s := range a.Signals {
		if i := slices.Index(fitted, s.Name); i >= 0 {
			row[i+1] = s.Value.(float64)
		}
	}
	if a.Boundary == llm.NoVerdict {
		t.Fatalf("no verdict: %s", a.Why)
	}
	return row
}

func dot(a, b []float64) (sum float64) {
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// logistic fits weights to the labels p of some of the cases, by gradient descent:
// the problem is small and convex. A hair of ridge keeps witnesses of the same
// thing from outbidding each other.
func logistic(rows [][]float64, cases []eval.Case, of []int) []float64 {
	w := make([]float64, len(rows[0]))
	for range 20000 {
		g := make([]float64, len(w))
		for _, i := range of {
			e := sigmoid(dot(w, rows[i])) - cases[i].P
			for j := range w {
				g[j] += e * rows[i][j]
			}
		}
		for j := range w {
			ridge := 0.002 * w[j]
			if j == 0 {
				ridge = 0
			}
			w[j] -= 0.1 * (g[j]/float64(len(of)) + ridge)
		}
	}
	return w
}
