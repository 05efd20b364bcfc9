package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluice-ai/sluice/local/eval"
)

// evalData is where the repository has a suite's held-out set.
func evalData(suite string) string { return "testdata/eval/" + suite + ".jsonl" }

// evalReport is what `sluice eval --json` prints.
type evalReport struct {
	Model *judging  `json:"model"`
	Data  dataFile  `json:"data"`
	Made  time.Time `json:"made"`
	*eval.Report
}

type dataFile struct {
	File   string `json:"file"`
	Digest string `json:"digest"` // "sha256:…"
}

func evalCommand(f *flags) *cobra.Command {
	var suite, model, data, plots string
	var seed uint64
	var asJSON bool
	c := &cobra.Command{
		Use: "eval", Short: "Measure a local model on labelled requests, beside the baselines",
		Long: `Measure how well a local model does one of its jobs, beside a baseline of keywords and
a control with random weights, with 95 % bootstrap intervals. The model is asked as in the
gateway: the same prompts, the same grammars.

judge       which requests a small model can answer: accuracy, AUC, calibration, Brier
            score; what routing by it would cost and save; how long it takes
entities    names, addresses and what else has no shape: F1 of spans of the right type,
            with the tagger of inspect.entities beside the model
tools       calls, word for word, and whether it leaves alone what no tool is for
extraction  JSON for a schema: F1 of fields

A line of data is, by suite (docs/evaluation.md has all fields and definitions):

  {"t": "the request", "k": "extraction", "p": 0.97, "l": "en"}
  {"t": "the text", "e": [["PERSON", "Zoë Ng"]], "l": "en"}
  {"tools": [{…}], "m": [["user", "…"]], "calls": [{"name": "…", "arguments": {…}}], "l": "en"}
  {"schema": {…}, "t": "the document", "v": {…}, "l": "en"}`,
		Args: exactly(0, "no arguments, only flags"),
	}
	c.Flags().StringVar(&suite, "suite", "judge", "what to measure: "+strings.Join(eval.Suites, ", "))
	c.Flags().StringVar(&model, "model", "", "one of local.models, or a GGUF file. Without it the configured judge; for other suites the first other model, or embedded/forms")
	c.Flags().StringVar(&data, "data", "", "labelled samples, JSON lines (default "+evalData("SUITE")+" when it is there)")
	c.Flags().StringVar(&plots, "plot", "", "a folder for the drawings, SVG and PNG")
	c.Flags().Uint64Var(&seed, "seed", 1, "seed of the bootstrap and of the random weights")
	c.Flags().BoolVar(&asJSON, "json", false, "the whole report as JSON")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if !slices.Contains(eval.Suites, suite) {
			return usageError{fmt.Errorf("--suite %s: there are %s", suite, strings.Join(eval.Suites, ", "))}
		}
		cfg, err := loadConfig(*f)
		if err != nil {
			return usageError{err}
		}
		if suite != "judge" {
			return evalTask(c.Context(), c.OutOrStdout(), c.ErrOrStderr(), cfg, taskFlags{suite, model, data, plots, seed, asJSON})
		}
		cases, file, err := readCases(data)
		if err != nil {
			return usageError{err}
		}
		j, err := openJudging(c.Context(), cfg, model)
		if err != nil {
			return err
		}
		defer j.close()
		systems, err := runSystems(c.Context(), c.ErrOrStderr(), j, cases, seed)
		if err != nil {
			return err
		}
		report := evalReport{j, file, time.Now().UTC().Truncate(time.Second), eval.Compare(cases, systems, eval.Options{Seed: seed})}
		if plots != "" {
			if err := writePlots(c.ErrOrStderr(), plots, eval.Plots(report.Report)); err != nil {
				return err
			}
		}
		if asJSON {
			return printJSON(c.OutOrStdout(), report)
		}
		return printEval(c.OutOrStdout(), &report)
	}
	return c
}

// readCases reads the labelled requests in file, or the repository's own.
func readCases(file string) ([]eval.Case, dataFile, error) {
	text, from, err := readData("judge", file)
	if err != nil {
		return nil, from, err
	}
	cases, err := eval.ReadCases(bytes.NewReader(text))
	if err != nil {
		return nil, from, fmt.Errorf("%s: %w", from.File, err)
	}
	return cases, from, nil
}

// readData reads file, or the repository's own set of the suite.
func readData(suite, file string) ([]byte, dataFile, error) {
	if file == "" {
		file = evalData(suite)
		if _, err := os.Stat(file); err != nil {
			return nil, dataFile{}, errors.New("which data? Give labelled samples with --data FILE.jsonl; the project's own are in its repository, " + file)
		}
	}
	text, err := os.ReadFile(file)
	return text, dataFile{filepath.ToSlash(file), digestOf(text)}, err
}

// runSystems asks j, the baseline and the control about the cases.
func runSystems(ctx context.Context, stderr io.Writer, j *judging, cases []eval.Case, seed uint64) ([]eval.System, error) {
	judged, err := eval.Run(ctx, j, cases, counter(stderr, j.Name, len(cases)))
	if err != nil {
		return nil, err
	}
	ruled, err := eval.Run(ctx, eval.Rules{}, cases, nil)
	if err != nil {
		return nil, err
	}
	worded, err := eval.Run(ctx, eval.Words{}, cases, nil)
	if err != nil {
		return nil, err
	}
	systems := []eval.System{{Name: j.Name, Judgments: judged}, {Name: "keyword rules", Judgments: ruled}, {Name: "words, linear", Judgments: worded}}
	control, err := openControl(ctx, j, seed)
	if err != nil {
		return nil, err
	}
	if control == nil {
		fmt.Fprintf(stderr, "no control with random weights: the model is no single file of at most %s\n", bytesOf(maxControl))
		return systems, nil
	}
	defer control.close()
	random, err := eval.Run(ctx, control, cases, counter(stderr, control.Name, len(cases)))
	if err != nil {
		return nil, err
	}
	return append(systems, eval.System{Name: control.Name, Judgments: random}), nil
}

// counter draws how many of total are done, when w is a terminal.
func counter(w io.Writer, what string, total int) func(done int) {
	bar := progressBar(w, what)
	return func(done int) { bar(int64(done), int64(total)) }
}

func writePlots(stderr io.Writer, dir string, plots []eval.Plot) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, p := range plots {
		for _, form := range []struct {
			ending string
			draw   func() ([]byte, error)
		}{{".svg", p.SVG}, {".png", p.PNG}} {
			drawing, err := form.draw()
			if err != nil {
				return err
			}
			path := filepath.Join(dir, p.Name+form.ending)
			if err := os.WriteFile(path, drawing, 0o644); err != nil {
				return err
			}
			fmt.Fprintln(stderr, "wrote", path)
		}
	}
	return nil
}
