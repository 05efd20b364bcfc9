package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluice-ai/sluice/internal/llm"
	"github.com/sluice-ai/sluice/local/calibrate"
	"github.com/sluice-ai/sluice/local/eval"
	"github.com/sluice-ai/sluice/local/judge"
	"github.com/sluice-ai/sluice/telemetry/ledger"
)

func calibrateCommand(f *flags) *cobra.Command {
	var data, model, out string
	var o calibrate.Options
	var force, asJSON, fromLedger bool
	var learn string
	var good float64
	c := &cobra.Command{
		Use: "calibrate --data FILE | --ledger", Short: "Pick the judge's threshold so that few bad answers stay at home",
		Long: `Pick the lowest p_local from which requests may be kept at home, so that the share of
bad answers among them is at most ALPHA, with confidence 1-DELTA.

A line of data is an outcome, what the judge said and whether the local answer was good:

  {"p_local": 0.83, "ok": true}

or a labelled request as for sluice eval, which the judge reads now; it counts as good
when its p is at least 0.5. Labels are what somebody expects: outcomes are better.

With --ledger the outcomes are what the gateway's ledger (--data-dir) has learned: feedback
(POST /v1/feedback), and shadow copies that were compared, of requests that a local model
answered under the judge of today. --learn and --good say what counts.

The outcomes must be of the judge's model (--model) and of the traffic to come. The
configuration's judge.calibration takes the file. Exit 1 when no threshold keeps the
promise: then the table says what it would take. docs/evaluation.md explains the method.`,
		Args: exactly(0, "no arguments, only flags"),
	}
	c.Flags().StringVar(&data, "data", "", "outcomes or labelled requests, JSON lines; - is stdin")
	c.Flags().BoolVar(&fromLedger, "ledger", false, "learn from the gateway's ledger instead of a file")
	c.Flags().StringVar(&learn, "learn", "both", "with --ledger, from what: feedback, shadow or both")
	c.Flags().Float64Var(&good, "good", -1, "with --ledger, the agreement from which a shadow comparison counts as good (default routing.shadow.good)")
	c.Flags().Float64Var(&o.Alpha, "alpha", 0.1, "most bad answers among those kept, a share")
	c.Flags().Float64Var(&o.Delta, "delta", 0.05, "most chance that the promise fails")
	c.Flags().StringVar(&model, "model", "", "the model that judges: one of local.models, or a GGUF file; the configured judge without it")
	c.Flags().StringVarP(&out, "output", "o", "", "calibration file to write")
	c.Flags().BoolVarP(&force, "force", "f", false, "overwrite the file if it exists")
	c.Flags().BoolVar(&asJSON, "json", false, "the calibration as JSON")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if (data == "") != fromLedger {
			return usageError{errors.New("which outcomes? Give them with --data FILE, or - for stdin, or --ledger alone")}
		}
		if !slices.Contains([]string{"feedback", "shadow", "both"}, learn) {
			return usageError{fmt.Errorf("--learn %s: there are feedback, shadow and both", learn)}
		}
		if err := o.Validate(); err != nil {
			return usageError{err}
		}
		if _, err := os.Stat(out); out != "" && err == nil && !force {
			return usageError{fmt.Errorf("%s exists: --force overwrites it", out)}
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
		own := judge.DefaultWeights().Digest()
		var outcomes []calibrate.Outcome
		var from calibrate.Data
		if fromLedger {
			if good < 0 {
				good = cfg.Routing.Shadow.Good
			}
			l := calibrate.Learned{Version: judgeVersion(j.Digest, own), Good: good, Feedback: learn != "shadow", Shadow: learn != "feedback"}
			if outcomes, from, err = learnedFrom(*f, &l, c.ErrOrStderr()); err != nil {
				return err
			}
		} else {
			text, err := readFileOr(c.InOrStdin(), data)
			if err != nil {
				return usageError{err}
			}
			var kind string
			if outcomes, kind, err = readOutcomes(c.Context(), c.ErrOrStderr(), j, text); err != nil {
				return usageError{fmt.Errorf("%s: %w", data, err)}
			}
			from = calibrate.Data{Digest: digestOf(text), Kind: kind}
		}
		from.N = len(outcomes)
		for _, x := range outcomes {
			if !x.OK {
				from.Bad++
			}
		}
		choice := calibrate.Choose(outcomes, o)
		made, err := calibrate.New(choice, o, calibrate.Model{Name: j.Name, Digest: j.Digest, Judge: own}, from, outcomes, cfg.Judge.Unsupported, "sluice "+version, time.Now())
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

// learnedFrom reads the ledger, which is verified on the way, and tells stderr what it found.
func learnedFrom(f flags, l *calibrate.Learned, stderr io.Writer) ([]calibrate.Outcome, calibrate.Data, error) {
	dir, err := existingLedger(f)
	if err != nil {
		return nil, calibrate.Data{}, err
	}
	root := ledger.Hash{}
	err = ledger.Scan(dir, func(e ledger.Entry) error {
		root = e.Hash
		l.Add(&e.Record)
		return nil
	})
	if err != nil {
		return nil, calibrate.Data{}, fmt.Errorf("reading the ledger: %w", err)
	}
	fmt.Fprintf(stderr, "%d by feedback, %d by comparison; %d of another judge's requests left out\n",
		l.ByKind[llm.KindFeedback], l.ByKind[llm.KindShadow], l.Others)
	return l.Outcomes(), calibrate.Data{Digest: "sha256:" + root.String(), Kind: "ledger"}, nil
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
// must have been made for the judge: its model, hints and weights, which version names.
func openCalibration(cfg *Config) (version string, c *calibrate.Calibration, err error) {
	if cfg.Judge.Disable {
		return "", nil, nil
	}
	digest := ""
	for _, m := range cfg.Local.Models {
		if m.Name == cfg.Judge.Model {
			if digest, err = modelDigest(m.File); err != nil {
				return "", nil, fmt.Errorf("judge.model: %w", err)
			}
		}
	}
	own := judge.DefaultWeights().Digest()
	version = judgeVersion(digest, own)
	if cfg.Judge.Calibration == "" {
		return version, nil, nil
	}
	if c, err = calibrate.Open(cfg.Judge.Calibration); err == nil {
		err = c.Fits(digest, own)
	}
	if err != nil {
		return "", nil, fmt.Errorf("judge.calibration: %w", err)
	}
	return version, c, nil
}

// judgeVersion names a judge in the ledger: twelve digits over the digests of its
// model, and of its hints and weights.
func judgeVersion(model, judge string) string {
	return short(digestOf([]byte(model + " " + judge)))
}
