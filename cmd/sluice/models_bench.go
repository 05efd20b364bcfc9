package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluice-ai/sluice/local"
	"github.com/sluice-ai/sluice/runtime/bench"
	"github.com/sluice-ai/sluice/runtime/engine"
	"github.com/sluice-ai/sluice/runtime/synth"
)

func modelsBenchCommand(f *flags) *cobra.Command {
	var cfg bench.Config
	var sizes, types []string
	var packed, asJSON bool
	c := &cobra.Command{
		Use: "bench [MODEL…]", Short: "How fast models run here, and how fast this machine could",
		Long: `Measure models on this machine: files, models of the configuration, "embedded",
"embedded/forms", or ones with random weights made for the purpose (speed does not
depend on their values). Without a model, those of the configuration.

Beside the model stand the machine's rooflines, measured in the same run: how fast
memory can be read, which bounds decoding, and how many bytes can be multiplied, which
bounds the reading of prompts. Rounds alternate between models; what is shown is the
median of the rounds, and the least and the greatest.

For numbers that mean something nothing else should run on the machine.

  sluice models bench models/mine.gguf
  sluice models bench --size 350m,1.2b --type q4_0 --threads 2
  sluice models bench --contend 2 lfm2-350m    # beside two processes that spin on its cores

rows: ` + strings.Join(bench.Rows, ", "),
		Args: cobra.ArbitraryArgs,
	}
	c.Flags().StringSliceVar(&sizes, "size", nil, "make models of these shapes: "+strings.Join(synth.Sizes(), ", "))
	c.Flags().StringSliceVar(&types, "type", []string{"q4_0"}, "… with weights of these types: "+strings.Join(synth.Types(), ", "))
	c.Flags().IntVar(&cfg.Threads, "threads", 0, "cores to use; 0 is all")
	c.Flags().IntVar(&cfg.Repeat, "repeat", 3, "rounds")
	c.Flags().StringSliceVar(&cfg.Rows, "rows", nil, "measure these rows only")
	c.Flags().StringVar(&cfg.KV, "kv", "f16", "how to keep keys and values: f16, q8_0 or f32")
	c.Flags().BoolVar(&packed, "packed", true, "lay the weights out for this machine; --packed=false uses them as the file has them")
	c.Flags().BoolVar(&cfg.Cold, "cold", false, "also load with the file dropped from the system's cache (Linux)")
	c.Flags().IntVar(&cfg.Contend, "contend", 0, "also decode beside so many processes that spin on the same cores (pinned on Linux)")
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON, an object for each model")
	c.RunE = func(c *cobra.Command, args []string) error {
		cfg.Unpacked = !packed
		cfg.Spin = spinElsewhere
		if cfg.Repeat < 1 {
			return usageError{errors.New("--repeat must be at least 1")}
		}
		if err := cfg.Validate(); err != nil {
			return usageError{err}
		}
		if !slices.Contains([]string{"f16", "q8_0", "f32"}, strings.ToLower(cfg.KV)) {
			return usageError{fmt.Errorf("--kv %q: use f16, q8_0 or f32", cfg.KV)}
		}
		models, err := benchModels(f, args, len(sizes) > 0)
		if err != nil {
			return err
		}
		if len(sizes) > 0 {
			made, remove, err := benchSynthetic(c.ErrOrStderr(), sizes, types)
			defer remove()
			if err != nil {
				return err
			}
			models = append(models, made...)
		}
		reports, err := bench.Run(c.Context(), models, cfg, c.ErrOrStderr())
		if err != nil {
			return err
		}
		for i, r := range reports {
			if asJSON {
				if err := printJSON(c.OutOrStdout(), benchJSON(r)); err != nil {
					return err
				}
				continue
			}
			if i > 0 {
				fmt.Fprintln(c.OutOrStdout())
			}
			if err := printBench(c.OutOrStdout(), r); err != nil {
				return err
			}
		}
		return nil
	}
	return c
}

// benchModels returns the models that args name, or those of the configuration
// unless there are others.
func benchModels(f *flags, args []string, others bool) ([]bench.Model, error) {
	if len(args) == 0 && others {
		return nil, nil
	}
	cfg, err := loadConfig(*f)
	if err != nil {
		return nil, usageError{err}
	}
	var models []bench.Model
	if len(args) == 0 {
		for _, m := range cfg.Local.Models {
			args = append(args, m.Name)
		}
	}
	for _, name := range args {
		file := name
		for _, m := range cfg.Local.Models {
			if m.Name == strings.TrimPrefix(name, "local/") {
				file = m.File
			}
		}
		m := bench.Model{Name: name, Open: func(o engine.Options) (*engine.Model, error) { return openModel(file, o) }}
		if st, err := os.Stat(local.Locate(file)); err == nil && st.Mode().IsRegular() {
			m.File = local.Locate(file)
		}
		models = append(models, m)
	}
	return models, nil
}

// benchSynthetic writes models to a folder that remove removes.
func benchSynthetic(talk io.Writer, sizes, types []string) (models []bench.Model, remove func(), err error) {
	var errs []error
	for _, size := range sizes {
		for _, typ := range types {
			errs = append(errs, synth.Config{Size: size, Type: typ}.Validate())
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, func() {}, usageError{errors.New(strings.SplitN(err.Error(), "\n", 2)[0])}
	}
	dir, err := os.MkdirTemp("", "sluice-bench-")
	if err != nil {
		return nil, func() {}, err
	}
	remove = func() { _ = os.RemoveAll(dir) }
	for _, size := range sizes {
		for _, typ := range types {
			name := strings.ToLower(size + "-" + typ)
			path := filepath.Join(dir, name+".gguf")
			fmt.Fprintf(talk, "writing %s\n", name)
			if err := synth.WriteFile(path, synth.Config{Size: size, Type: typ, Seed: 1}, progressBar(talk, name)); err != nil {
				return nil, remove, fmt.Errorf("writing a model to measure: %w", err)
			}
			models = append(models, bench.Model{Name: name, File: path, Open: func(o engine.Options) (*engine.Model, error) { return engine.Open(path, o) }})
		}
	}
	return models, remove, nil
}

// spinElsewhere starts this program again, to spin on a core.
func spinElsewhere(ctx context.Context, cpu int) (stop func() error, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "models", "spin", strconv.Itoa(cpu))
	cmd.Args[0] = os.Args[0]
	cmd.Stderr = os.Stderr
	cmd.WaitDelay = 5 * time.Second
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting a process that spins: %w", err)
	}
	stop = func() error { return errors.Join(in.Close(), cmd.Wait()) }
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		return nil, errors.Join(errors.New("a process that should spin does not"), stop())
	}
	return stop, nil
}

// modelsSpinCommand is what spinElsewhere starts: it ends when its input does, and so
// does not outlive who started it.
func modelsSpinCommand() *cobra.Command {
	return &cobra.Command{
		Use: "spin CPU", Hidden: true, Args: exactly(1, "the number of a core"), DisableFlagParsing: true,
		RunE: func(c *cobra.Command, args []string) error {
			cpu, err := strconv.Atoi(args[0])
			if err != nil {
				return usageError{fmt.Errorf("%q is no number of a core", args[0])}
			}
			ctx, stop := context.WithCancel(c.Context())
			go func() {
				defer stop()
				_, _ = io.Copy(io.Discard, c.InOrStdin())
			}()
			fmt.Fprintln(c.OutOrStdout(), "spinning")
			return bench.Spin(ctx, cpu)
		},
	}
}

// benchResult is a report as JSON: medians, and the samples behind them. A field that
// was not measured is absent.
type benchResult struct {
	Model        string                 `json:"model"`
	Type         string                 `json:"type"`
	Params       int64                  `json:"params"`
	FileBytes    int64                  `json:"file_bytes"`
	PackedBytes  int64                  `json:"packed_bytes"`
	Threads      int                    `json:"threads"`
	KV           string                 `json:"kv"`
	KVBytes      int                    `json:"kv_bytes_per_token"`
	FileCached   *float64               `json:"file_cached,omitempty"` // share, before the first opening
	LoadMS       float64                `json:"load_ms"`
	ColdLoadMS   float64                `json:"cold_load_ms,omitempty"`
	StartMS      float64                `json:"start_ms,omitempty"`
	ColdStartMS  float64                `json:"cold_start_ms,omitempty"`
	TTFTMS       float64                `json:"ttft_ms,omitempty"`
	JudgeMS      float64                `json:"judge_ms,omitempty"`
	PrefillTPS   float64                `json:"prefill_tps,omitempty"`
	DecodeTPS    float64                `json:"decode_tps,omitempty"`
	Batch4TPS    float64                `json:"batch4_tps,omitempty"`
	Batch16TPS   float64                `json:"batch16_tps,omitempty"`
	ContendedTPS float64                `json:"contended_decode_tps,omitempty"`
	Share        float64                `json:"contended_share,omitempty"`
	RSS          int64                  `json:"rss_bytes,omitempty"`
	RSSPeak      int64                  `json:"rss_peak_bytes,omitempty"`
	RSSBefore    int64                  `json:"rss_before_bytes,omitempty"`
	Roofline     benchRoofline          `json:"roofline"`
	Reached      map[string]reachedRoof `json:"reached,omitempty"`
	Samples      map[string][]float64   `json:"samples"` // in seconds, tokens/s, bytes and shares
}

type benchRoofline struct {
	ReadGBps  float64 `json:"read_gbps"`
	Int8GMACs float64 `json:"int8_gmacs"`
	Unit      string  `json:"int8_unit"`
}

// A reachedRoof is a speed, in GB/s or GMAC/s, and what part of the roofline it is.
type reachedRoof struct {
	Speed float64 `json:"speed"`
	Share float64 `json:"share"`
}

func benchJSON(r *bench.Report) benchResult {
	s := r.Samples
	ms := func(name string) float64 { return 1e3 * s.Median(name) }
	out := benchResult{
		Model: r.Model, Type: r.Info.Type, Params: r.Info.Params, FileBytes: r.Info.FileBytes, PackedBytes: r.Info.PackedBytes,
		Threads: r.Config.Threads, KV: r.Info.KV, KVBytes: r.Info.KVBytes,
		LoadMS: ms(bench.Load), ColdLoadMS: ms(bench.ColdLoad), StartMS: ms("start"), ColdStartMS: ms(bench.ColdStart), TTFTMS: ms("ttft"), JudgeMS: ms("judge"),
		PrefillTPS: s.Median("prefill"), DecodeTPS: s.Median("decode"), Batch4TPS: s.Median("batch4"), Batch16TPS: s.Median("batch16"),
		ContendedTPS: s.Median(bench.Contended), Share: s.Median(bench.Share),
		RSS: int64(s.Median(bench.Resident)), RSSPeak: int64(s.Median(bench.Peak)), RSSBefore: int64(s.Median(bench.Before)),
		Roofline: benchRoofline{s.Median(bench.Read) / 1e9, s.Median(bench.Dots) / 1e9, r.Unit},
		Reached:  map[string]reachedRoof{}, Samples: s,
	}
	if r.Cached >= 0 {
		out.FileCached = &r.Cached
	}
	if v := s.Median(bench.ReadSpeed); v > 0 {
		out.Reached["decode_gbps"] = reachedRoof{v / 1e9, s.Median(bench.ReadShare)}
	}
	if v := s.Median(bench.DotSpeed); v > 0 {
		out.Reached["prefill_gmacs"] = reachedRoof{v / 1e9, s.Median(bench.DotShare)}
	}
	return out
}

// printBench writes a report for people.
func printBench(w io.Writer, r *bench.Report) error {
	s, i := r.Samples, r.Info
	var t table
	layout := "weights as in the file"
	if i.PackedBytes > 0 {
		layout = fmt.Sprintf("%s of weights laid out for this machine", bytesOf(i.PackedBytes))
	}
	fmt.Fprintf(w, "%s: %s parameters, %s, %s; %s; %d threads, keys and values %s\n",
		r.Model, count(i.Params), i.Type, bytesOf(i.FileBytes), layout, r.Config.Threads, strings.ToLower(i.KV))
	row := func(what, name string, scale float64, unit, note string) {
		if len(s[name]) == 0 {
			return
		}
		least, most := s.Range(name)
		t.row(what, fmt.Sprintf("%7s", number(s.Median(name)*scale)), unit, fmt.Sprintf("%s to %s", number(least*scale), number(most*scale)), note)
	}
	cached := ""
	switch {
	case r.Cached >= 0.95:
		cached = "the file was in the system's cache"
	case r.Cached >= 0:
		cached = fmt.Sprintf("%.0f %% of the file was in the system's cache at first", 100*r.Cached)
	}
	row("load", bench.Load, 1e3, "ms", cached)
	row("  cold", bench.ColdLoad, 1e3, "ms", "the file dropped from the system's cache")
	row("start", "start", 1e3, "ms", "load and first token")
	row("  cold", bench.ColdStart, 1e3, "ms", "")
	row("prefill 512", "prefill", 1, "tokens/s", reached(s, bench.DotSpeed, bench.DotShare, "GMAC/s"))
	row("decode 64", "decode", 1, "tokens/s", reached(s, bench.ReadSpeed, bench.ReadShare, "GB/s"))
	row("4 together", "batch4", 1, "tokens/s", "")
	row("16 together", "batch16", 1, "tokens/s", "")
	row("contended", bench.Contended, 1, "tokens/s", fmt.Sprintf("%.2f of decode alone, beside %d spinning", s.Median(bench.Share), r.Spinners))
	row("first token", "ttft", 1e3, "ms", "after a prompt of 200")
	row("judge", "judge", 1e3, "ms", "200 tokens, two labels")
	if rss := s.Median(bench.Resident); rss > 0 {
		row("memory", bench.Resident, 1./(1<<20), "MiB", fmt.Sprintf("%.2f of the file, this program's own %s included", rss/float64(max(i.FileBytes, 1)), bytesOf(int64(s.Median(bench.Before)))))
		row("  at most", bench.Peak, 1./(1<<20), "MiB", "while loading")
	}
	row("memory reads", bench.Read, 1e-9, "GB/s", "roofline of decode")
	row("bytes multiply", bench.Dots, 1e-9, "GMAC/s", "roofline of prefill: "+r.Unit)
	return t.print(w)
}

func reached(s bench.Samples, speed, share, unit string) string {
	return fmt.Sprintf("%s %s, %.0f %% of the roofline", number(s.Median(speed)/1e9), unit, 100*s.Median(share))
}

// number writes v with three digits, or all before the point.
func number(v float64) string {
	switch {
	case v >= 99.95:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}
