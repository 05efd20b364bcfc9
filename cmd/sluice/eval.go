package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluice-ai/sluice/local/eval"
)

// evalData is where the repository has the judge's held-out set.
const evalData = "testdata/eval/judge.jsonl"

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
		Use: "eval", Short: "Measure a control model on labelled requests, beside the baselines",
		Long: `Measure how well a local model judges, on labelled requests, beside a baseline of
keywords and lengths and a control with random weights: accuracy, AUC, calibration
error and Brier score with 95 % bootstrap intervals, by language, kind and length; the
kinds of task it tells apart; what routing by it would cost and save; how long it takes.

The judge runs as in the gateway. A line of data is a request and its label:

  {"t": "the request", "k": "extraction", "p": 0.97, "l": "en"}

p is the chance that the local answer is good. Optional are "sys" (a system prompt),
"tools" (names), "hist" (earlier turns, [role, text]) and "c" (the chance that the
cloud's answer is good, 1 when it is left out). docs/evaluation.md has the definitions.`,
		Args: exactly(0, "no arguments, only flags"),
	}
	c.Flags().StringVar(&suite, "suite", "judge", "what to measure: judge")
	c.Flags().StringVar(&model, "model", "", "one of local.models, or a GGUF file; the configured judge without it")
	c.Flags().StringVar(&data, "data", "", "labelled requests, JSON lines (default "+evalData+" when it is there)")
	c.Flags().StringVar(&plots, "plot", "", "a folder for reliability.svg, roc.svg and tradeoff.svg")
	c.Flags().Uint64Var(&seed, "seed", 1, "seed of the bootstrap and of the random weights")
	c.Flags().BoolVar(&asJSON, "json", false, "the whole report as JSON")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if suite != "judge" {
			return usageError{fmt.Errorf("--suite %s: there is one suite, judge", suite)}
		}
		cases, file, err := readCases(data)
		if err != nil {
			return usageError{err}
		}
		cfg, err := loadConfig(*f)
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
			if err := writePlots(c.ErrOrStderr(), plots, report.Report); err != nil {
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
	if file == "" {
		if _, err := os.Stat(evalData); err != nil {
			return nil, dataFile{}, errors.New("which data? Give labelled requests with --data FILE.jsonl; the project's own are in its repository, " + evalData)
		}
		file = evalData
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, dataFile{}, err
	}
	cases, err := eval.ReadCases(bytes.NewReader(text))
	if err != nil {
		return nil, dataFile{}, fmt.Errorf("%s: %w", file, err)
	}
	return cases, dataFile{filepath.ToSlash(file), digestOf(text)}, nil
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
	systems := []eval.System{{Name: j.Name, Judgments: judged}, {Name: "keyword rules", Judgments: ruled}}
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

func writePlots(stderr io.Writer, dir string, r *eval.Report) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, p := range eval.Plots(r) {
		path := filepath.Join(dir, p.Name)
		if err := os.WriteFile(path, p.SVG, 0o644); err != nil {
			return err
		}
		fmt.Fprintln(stderr, "wrote", path)
	}
	return nil
}
