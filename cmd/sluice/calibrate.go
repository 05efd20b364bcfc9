package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluice-ai/sluice/local/calibrate"
	"github.com/sluice-ai/sluice/local/eval"
)

func calibrateCommand(f *flags) *cobra.Command {
	var data, model, out string
	var o calibrate.Options
	var force, asJSON bool
	c := &cobra.Command{
		Use: "calibrate --data FILE", Short: "Pick the judge's threshold so that few bad answers stay at home",
		Long: `Pick the lowest p_local from which requests may be kept at home, so that the share of
bad answers among them is at most ALPHA, with confidence 1-DELTA.

A line of data is an outcome, what the judge said and whether the local answer was good:

  {"p_local": 0.83, "ok": true}

or a labelled request as for sluice eval, which the judge reads now; it counts as good
when its p is at least 0.5. Labels are what somebody expects: outcomes are better.

The outcomes must be of the judge's model (--model) and of the traffic to come. The
configuration's judge.calibration takes the file. Exit 1 when no threshold keeps the
promise: then the table says what it would take. docs/evaluation.md explains the method.`,
		Args: exactly(0, "no arguments, only flags"),
	}
	c.Flags().StringVar(&data, "data", "", "outcomes or labelled requests, JSON lines; - is stdin")
	c.Flags().Float64Var(&o.Alpha, "alpha", 0.1, "most bad answers among those kept, a share")
	c.Flags().Float64Var(&o.Delta, "delta", 0.05, "most chance that the promise fails")
	c.Flags().StringVar(&model, "model", "", "the model that judges: one of local.models, or a GGUF file; the configured judge without it")
	c.Flags().StringVarP(&out, "output", "o", "", "calibration file to write")
	c.Flags().BoolVarP(&force, "force", "f", false, "overwrite the file if it exists")
	c.Flags().BoolVar(&asJSON, "json", false, "the calibration as JSON")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if data == "" {
			return usageError{errors.New("which outcomes? Give them with --data FILE, or - for stdin")}
		}
		if err := o.Validate(); err != nil {
			return usageError{err}
		}
		if _, err := os.Stat(out); out != "" && err == nil && !force {
			return usageError{fmt.Errorf("%s exists: --force overwrites it", out)}
		}
		text, err := readFileOr(c.InOrStdin(), data)
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
		outcomes, kind, err := readOutcomes(c.Context(), c.ErrOrStderr(), j, text)
		if err != nil {
			return usageError{fmt.Errorf("%s: %w", data, err)}
		}
		from := calibrate.Data{Digest: digestOf(text), Kind: kind, N: len(outcomes)}
		for _, x := range outcomes {
			if !x.OK {
				from.Bad++
			}
		}
		choice := calibrate.Choose(outcomes, o)
		made, err := calibrate.New(choice, o, calibrate.Model{Name: j.Name, Digest: j.Digest}, from, cfg.Judge.Unsupported, "sluice "+version, time.Now())
		if err != nil && !errors.Is(err, calibrate.ErrNone) {
			return err
		}
		if !asJSON {
			if perr := printCalibration(c.OutOrStdout(), choice, o, from); perr != nil {
				return perr
			}
		}
		if err != nil {
			return err
		}
		if out != "" {
			if err := writeCalibration(out, made); err != nil {
				return err
			}
			fmt.Fprintf(c.ErrOrStderr(), "wrote %s, %s: the configuration's judge.calibration takes it\n", out, made.ID)
		}
		if asJSON {
			return made.Write(c.OutOrStdout())
		}
		return nil
	}
	return c
}

// readOutcomes reads outcomes, or labelled requests, which j then judges; the
// first line says which.
func readOutcomes(ctx context.Context, stderr io.Writer, j *judging, text []byte) ([]calibrate.Outcome, string, error) {
	first, _, _ := bytes.Cut(bytes.TrimSpace(text), []byte("\n"))
	if !bytes.Contains(first, []byte(`"t"`)) || bytes.Contains(first, []byte(`"p_local"`)) {
		outcomes, err := calibrate.ReadOutcomes(bytes.NewReader(text))
		return outcomes, "outcomes", err
	}
	cases, err := eval.ReadCases(bytes.NewReader(text))
	if err != nil {
		return nil, "", err
	}
	judgments, err := eval.Run(ctx, j, cases, counter(stderr, j.Name, len(cases)))
	if err != nil {
		return nil, "", err
	}
	var outcomes []calibrate.Outcome
	for i, x := range judgments {
		outcomes = append(outcomes, calibrate.Outcome{PLocal: x.PLocal, OK: cases[i].P >= 0.5})
	}
	return outcomes, "labels", nil
}

// writeCalibration writes the file whole, or not at all.
func writeCalibration(path string, c *calibrate.Calibration) error {
	var text bytes.Buffer
	if err := c.Write(&text); err != nil {
		return err
	}
	part := path + ".part"
	if err := os.WriteFile(part, text.Bytes(), 0o644); err != nil {
		return err
	}
	return os.Rename(part, path)
}

// printCalibration writes the trade-off, and what it would take to be surer.
func printCalibration(w io.Writer, c calibrate.Choice, o calibrate.Options, from calibrate.Data) error {
	fmt.Fprintf(w, "%d %s, %d of them bad; wanted: at most %s bad among those kept at home, with confidence %s\n\n",
		from.N, from.Kind, from.Bad, share(o.Alpha), share(1-o.Delta))
	t := &table{}
	t.row("p_local from", "kept", "of all", "bad", "of kept", "upper bound", "bad of all", "")
	shown := 0
	for i, p := range c.Points {
		// Every fifth threshold, the ones that decide, and no two that keep the same.
		decides := i == c.Best || p.State == calibrate.Failed
		if !decides && (i%5 != 4 || p.Kept == shown) {
			continue
		}
		shown = p.Kept
		note := string(p.State)
		if i == c.Best {
			note = "passed: the threshold"
		}
		t.row(fmt.Sprintf("%.2f", p.Threshold), strconv.Itoa(p.Kept), share(p.Share), strconv.Itoa(p.Bad), share(p.BadShare), share(p.Bound),
			share(float64(p.Bad)/float64(max(from.N, 1))), note)
	}
	if err := t.print(w); err != nil {
		return err
	}
	fmt.Fprintln(w)
	if c.Best >= 0 {
		p := c.Points[c.Best]
		fmt.Fprintf(w, "The threshold is %.2f: %s of the requests stay, and at most %s of their answers are bad (%s were), with confidence %s.\n",
			p.Threshold, share(p.Share), share(o.Alpha), share(p.BadShare), share(1-o.Delta))
	}
	fmt.Fprintln(w, toBeSurer(c, o, from.N))
	return nil
}

// toBeSurer says what data would let more requests stay.
func toBeSurer(c calibrate.Choice, o calibrate.Options, n int) string {
	failed, ok := c.Failing()
	switch {
	case !ok && c.Best >= 0:
		return "Every threshold below it that was tested passed too."
	case !ok:
		need, _ := calibrate.Needed(0, o)
		return fmt.Sprintf("There are too few outcomes: even without one bad answer, %d must be kept. Here are %d in all.", need, n)
	}
	need, possible := calibrate.Needed(failed.BadShare, o)
	if !possible {
		return fmt.Sprintf("From %.2f, %s of the answers kept are bad, which is not less than %s: more outcomes alone will hardly change that; a better model or judge would.",
			failed.Threshold, share(failed.BadShare), share(o.Alpha))
	}
	return fmt.Sprintf("To start at %.2f, where %s of %d are bad, about %d must be kept at that share: some %d outcomes like these instead of %d.",
		failed.Threshold, share(failed.BadShare), failed.Kept, need, int(float64(need)/failed.Share)+1, n)
}

func share(v float64) string { return fmt.Sprintf("%.1f %%", 100*v) }

// openCalibration reads the configured calibration, nil when there is none. It
// must have been made for the model that judges.
func openCalibration(cfg *Config) (*calibrate.Calibration, error) {
	if cfg.Judge.Calibration == "" || cfg.Judge.Disable {
		return nil, nil
	}
	c, err := calibrate.Open(cfg.Judge.Calibration)
	if err != nil {
		return nil, fmt.Errorf("judge.calibration: %w", err)
	}
	for _, m := range cfg.Local.Models {
		if m.Name != cfg.Judge.Model {
			continue
		}
		digest, err := modelDigest(m.File)
		if err != nil {
			return nil, fmt.Errorf("judge.calibration: %w", err)
		}
		if err := c.Fits(digest); err != nil {
			return nil, fmt.Errorf("judge.calibration: %w", err)
		}
	}
	return c, nil
}
