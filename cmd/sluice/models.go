package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sluice-ai/sluice/local"
	"github.com/sluice-ai/sluice/runtime/engine"
	"github.com/sluice-ai/sluice/runtime/nano"
	"github.com/sluice-ai/sluice/runtime/synth"
)

func modelsCommand(f *flags) *cobra.Command {
	return group("models", "Local models: list, pull, inspect, synth, quantize, logits, bench",
		modelsListCommand(f), modelsPullCommand(), modelsInspectCommand(), modelsSynthCommand(), modelsQuantizeCommand(), modelsLogitsCommand(),
		modelsBenchCommand(f), modelsSpinCommand())
}

func modelsListCommand(f *flags) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{Use: "list", Short: "The models of the configuration", Args: exactly(0, "no arguments")}
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := loadConfig(*f)
		if err != nil {
			return usageError{err}
		}
		type row struct {
			Name      string   `json:"name"`
			File      string   `json:"file"`
			Type      string   `json:"type,omitempty"`
			Params    int64    `json:"params,omitempty"`
			Bytes     int64    `json:"bytes,omitempty"`
			Abilities []string `json:"abilities,omitempty"`
			Error     string   `json:"error,omitempty"`
		}
		rows := []row{}
		for _, m := range cfg.Local.Models {
			r := row{Name: m.Name, File: m.File}
			model, err := openModel(m.File, engine.Options{})
			if err != nil {
				r.Error = err.Error()
			} else {
				i := model.Info()
				r.Type, r.Params, r.Bytes, r.Abilities = i.Type, i.Params, i.FileBytes, i.Abilities
				model.Close()
			}
			rows = append(rows, r)
		}
		if asJSON {
			return printJSON(c.OutOrStdout(), rows)
		}
		w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "NAME\tPARAMS\tTYPE\tSIZE\tCAN\tFILE")
		for _, r := range rows {
			if r.Error != "" {
				fmt.Fprintf(w, "%s\t-\t-\t-\t-\t%s\n", r.Name, r.Error)
				continue
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", r.Name, count(r.Params), r.Type, bytesOf(r.Bytes), strings.Join(r.Abilities, ","), r.File)
		}
		return w.Flush()
	}
	return c
}

// openModel opens a GGUF file, or an embedded model.
func openModel(file string, o engine.Options) (*engine.Model, error) {
	if data, ok := nano.File(file); ok {
		return engine.OpenBytes(file, data, o)
	}
	return engine.Open(local.Locate(file), o)
}

func modelsSynthCommand() *cobra.Command {
	var cfg synth.Config
	var out string
	var force bool
	c := &cobra.Command{
		Use: "synth --size SIZE -o FILE", Short: "Write a GGUF of an LFM2 shape with random weights",
		Long: `Write a GGUF of an LFM2 shape with random weights: to test and to measure, for what
such a model says means nothing. The same size, type and seed give the same bytes.

sizes: ` + strings.Join(synth.Sizes(), ", ") + `
types: ` + strings.Join(synth.Types(), ", "),
		Args: exactly(0, "no arguments, only flags"),
	}
	c.Flags().StringVar(&cfg.Size, "size", "tiny", "shape: "+strings.Join(synth.Sizes(), ", "))
	c.Flags().StringVar(&cfg.Vocab, "vocab", "", "a GGUF whose byte-level BPE vocabulary is used, as much of it as fits")
	c.Flags().StringVar(&cfg.Type, "type", "q8_0", "type of the matrices: "+strings.Join(synth.Types(), ", "))
	c.Flags().Uint64Var(&cfg.Seed, "seed", 1, "seed of the weights")
	c.Flags().StringVarP(&out, "output", "o", "", "file to write")
	c.Flags().BoolVarP(&force, "force", "f", false, "overwrite the file if it exists")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if out == "" {
			return usageError{errors.New("where to? Give a file with -o FILE")}
		}
		if !slices.Contains(synth.Sizes(), cfg.Size) || !slices.Contains(synth.Types(), strings.ToLower(cfg.Type)) {
			return usageError{fmt.Errorf("no such size or type: sizes are %s; types are %s", strings.Join(synth.Sizes(), ", "), strings.Join(synth.Types(), ", "))}
		}
		if _, err := os.Stat(out); err == nil && !force {
			return usageError{fmt.Errorf("%s exists: --force overwrites it", out)}
		}
		start := time.Now()
		bar := progressBar(c.ErrOrStderr(), out)
		if err := synth.WriteFile(out, cfg, bar); err != nil {
			return err
		}
		st, err := os.Stat(out)
		if err != nil {
			return err
		}
		fmt.Fprintf(c.ErrOrStderr(), "%s: %s, %s, %s in %.1fs\n", out, cfg.Size, strings.ToLower(cfg.Type), bytesOf(st.Size()), time.Since(start).Seconds())
		return nil
	}
	return c
}

// progressBar returns a callback that draws on w when that is a terminal, and does nothing elsewhere.
func progressBar(w io.Writer, what string) func(done, total int64) {
	file, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return func(int64, int64) {}
	}
	var last time.Time
	return func(done, total int64) {
		if time.Since(last) < 100*time.Millisecond && done < total {
			return
		}
		last = time.Now()
		const width = 30
		n := int(width * done / max(total, 1))
		fmt.Fprintf(w, "\r%s [%s%s] %3d%% %s", what, strings.Repeat("#", n), strings.Repeat(".", width-n), 100*done/max(total, 1), bytesOf(done))
		if done >= total {
			fmt.Fprint(w, "\r\x1b[K")
		}
	}
}

func modelsLogitsCommand() *cobra.Command {
	var tokens, kv string
	var top, threads int
	var asJSON bool
	c := &cobra.Command{
		Use: "logits FILE --tokens 1,2,3", Short: "The likeliest next tokens after each of a sequence",
		Args: exactly(1, "one file"),
	}
	c.Flags().StringVar(&tokens, "tokens", "", "token ids, with commas")
	c.Flags().IntVar(&top, "top", 20, "how many tokens for each position")
	c.Flags().IntVar(&threads, "threads", 0, "cores to use; 0 is all")
	c.Flags().StringVar(&kv, "kv", "f16", "how to keep keys and values: f16, q8_0 or f32")
	c.Flags().BoolVar(&asJSON, "json", false, `as JSON: {"positions":[[[id,logprob],…],…]}, natural logarithms over the whole vocabulary`)
	c.RunE = func(c *cobra.Command, args []string) error {
		ids, err := parseIDs(tokens)
		if err != nil {
			return usageError{err}
		}
		if top < 1 || threads < 0 {
			return usageError{errors.New("--top must be at least 1, and --threads must not be negative")}
		}
		m, err := openModel(args[0], engine.Options{Threads: threads, KV: kv})
		if err != nil {
			return err
		}
		defer m.Close()
		positions, err := topLogprobs(c.Context(), m, ids, top)
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(c.OutOrStdout(), map[string]any{"positions": positions})
		}
		w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "AFTER\tNEXT\tLOGPROB\tTEXT")
		for i, row := range positions {
			for _, p := range row {
				fmt.Fprintf(w, "%d\t%d\t%.4f\t%q\n", ids[i], int32(p[0]), p[1], m.Tokenizer().Piece(int32(p[0])))
			}
		}
		return w.Flush()
	}
	return c
}

func parseIDs(s string) ([]int32, error) {
	var ids []int32
	for f := range strings.SplitSeq(s, ",") {
		id, err := strconv.ParseInt(strings.TrimSpace(f), 10, 32)
		if err != nil || id < 0 {
			return nil, fmt.Errorf("--tokens wants ids with commas, such as 1,2,3: %q is none", f)
		}
		ids = append(ids, int32(id))
	}
	return ids, nil
}

// topLogprobs returns, for each position, the n likeliest tokens as (id, natural logarithm).
func topLogprobs(ctx context.Context, m *engine.Model, ids []int32, n int) ([][][2]float64, error) {
	for _, id := range ids {
		if int(id) >= m.Info().Vocab {
			return nil, usageError{fmt.Errorf("token %d does not exist: the vocabulary has %d", id, m.Info().Vocab)}
		}
	}
	logits, err := m.Logits(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make([][][2]float64, len(logits))
	for i, row := range logits {
		peak := slices.Max(row)
		sum := 0.0
		for _, v := range row {
			sum += math.Exp(float64(v - peak))
		}
		lse := float64(peak) + math.Log(sum)
		order := make([]int, len(row))
		for j := range order {
			order[j] = j
		}
		slices.SortFunc(order, func(a, b int) int {
			if row[a] != row[b] {
				if row[a] > row[b] {
					return -1
				}
				return 1
			}
			return a - b
		})
		for _, j := range order[:min(n, len(order))] {
			out[i] = append(out[i], [2]float64{float64(j), float64(row[j]) - lse})
		}
	}
	return out, nil
}

// count writes a number of parameters as people say it.
func count(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1fB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1fM", float64(n)/1e6)
	}
	return fmt.Sprintf("%.0fk", float64(n)/1e3)
}

// bytesOf writes a size as people say it.
func bytesOf(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.2f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
}
