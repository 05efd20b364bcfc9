package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/sluice-ai/sluice/local"
	"github.com/sluice-ai/sluice/local/eval"
	"github.com/sluice-ai/sluice/runtime/nano"
)

// taskFlags are the flags of sluice eval for a suite other than the judge's.
type taskFlags struct {
	suite, model, data, plots string
	seed                      uint64
	asJSON                    bool
}

// taskReport is what `sluice eval --suite SUITE --json` prints.
type taskReport struct {
	Model struct {
		Name   string `json:"name"`
		Digest string `json:"digest"`
	} `json:"model"`
	Data dataFile  `json:"data"`
	Made time.Time `json:"made"`
	*eval.TaskReport
}

// evalTask measures a model, for entities also the tagger, the keyword baseline and the control on a suite.
func evalTask(ctx context.Context, stdout, stderr io.Writer, cfg *Config, f taskFlags) error {
	text, from, err := readData(f.suite, f.data)
	if err != nil {
		return usageError{err}
	}
	samples, err := eval.ReadSamples(f.suite, bytes.NewReader(text))
	if err != nil {
		return usageError{fmt.Errorf("%s: %w", from.File, err)}
	}
	if f.model == "" { // the judge does nothing else
		f.model = nano.EmbeddedForms
		if i := slices.IndexFunc(cfg.Local.Models, func(m ModelConfig) bool { return m.Name != cfg.Judge.Model }); i >= 0 {
			f.model = cfg.Local.Models[i].Name
		}
	}
	name, file, digest, err := findModel(cfg, f.model)
	if err != nil {
		return err
	}
	var systems []eval.TaskSystem
	run := func(name string, m local.ModelFile) error {
		s, err := answerWith(ctx, stderr, cfg, name, m, f.suite, samples)
		systems = append(systems, s)
		return err
	}
	m := local.ModelFile{Name: name, File: file}
	if data, ok := nano.File(file); ok {
		m.File, m.Data = "", data
	}
	if err := run("local/"+name, m); err != nil {
		return err
	}
	if f.suite == "entities" {
		tagged, err := eval.Answer(ctx, "tagger", eval.Tagger{}, f.suite, samples, nil)
		if err != nil {
			return err
		}
		systems = append(systems, tagged)
	}
	ruled, err := eval.Answer(ctx, "keyword rules", eval.Keywords{}, f.suite, samples, nil)
	if err != nil {
		return err
	}
	systems = append(systems, ruled)
	noise, err := noiseLike(file, f.seed)
	if err != nil {
		return err
	}
	if noise == nil {
		fmt.Fprintf(stderr, "no control with random weights: the model is no single file of at most %s\n", bytesOf(maxControl))
	} else if err := run("random weights", local.ModelFile{Name: name, Data: noise}); err != nil {
		return err
	}
	r := taskReport{Data: from, Made: time.Now().UTC().Truncate(time.Second), TaskReport: eval.CompareTasks(f.suite, samples, systems, eval.Options{Seed: f.seed})}
	r.Model.Name, r.Model.Digest = "local/"+name, digest
	if f.plots != "" {
		if err := writePlots(stderr, f.plots, eval.TaskPlots(r.TaskReport)); err != nil {
			return err
		}
	}
	if f.asJSON {
		return printJSON(stdout, r)
	}
	return printTask(stdout, &r)
}

// answerWith runs one model over the samples.
func answerWith(ctx context.Context, stderr io.Writer, cfg *Config, name string, m local.ModelFile, suite string, samples []eval.Sample) (_ eval.TaskSystem, err error) {
	tier, err := local.Open(local.Config{Models: []local.ModelFile{m}, Threads: cfg.Local.Threads, Log: quiet()})
	if err != nil {
		return eval.TaskSystem{}, err
	}
	defer func() { err = errors.Join(err, tier.Close()) }()
	return eval.Answer(ctx, name, &eval.Model{Tier: tier, Target: "local/" + m.Name}, suite, samples, counter(stderr, name, len(samples)))
}

// printTask writes a report as tables.
func printTask(w io.Writer, r *taskReport) error {
	fmt.Fprintf(w, "%s (%.19s…) on %s (%.19s…)\n", r.Model.Name, r.Model.Digest, r.Data.File, r.Data.Digest)
	fmt.Fprintf(w, "suite %s, %d samples; 95 %% intervals from %d resamples, seed %d\n\n", r.Suite, r.N, r.Rounds, r.Seed)
	t := &table{}
	t.row("", "n", "value", "precision", "recall")
	for _, s := range r.Systems {
		t.row(s.Name)
		for _, m := range s.Measures {
			precision, recall := "", ""
			if m.Precision != nil {
				precision, recall = num(*m.Precision), num(*m.Recall)
			}
			t.row("  "+m.Name, strconv.Itoa(m.N), within(m.Estimate), precision, recall)
		}
		t.row("  time of an answer, ms", "", fmt.Sprintf("p50 %.1f, p99 %.1f", s.Latency.P50, s.Latency.P99))
	}
	if err := t.print(w); err != nil {
		return err
	}
	fmt.Fprintln(w)
	t = &table{}
	t.row("difference in "+r.Main+", same resamples", "")
	for _, d := range r.Differences {
		t.row(d.Of+" - "+d.From, signed(&d.Estimate))
	}
	if err := t.print(w); err != nil {
		return err
	}
	fmt.Fprintln(w)
	t = &table{}
	head := []string{r.Main + " by", "n"}
	for _, s := range r.Systems {
		head = append(head, s.Name)
	}
	t.row(head...)
	for _, g := range r.Systems[0].Groups {
		row := []string{g.By + " " + g.Name, strconv.Itoa(g.N)}
		for _, s := range r.Systems {
			cell := "-"
			for _, h := range s.Groups {
				if h.By == g.By && h.Name == g.Name {
					cell = within(h.Estimate)
				}
			}
			row = append(row, cell)
		}
		t.row(row...)
	}
	return t.print(w)
}
