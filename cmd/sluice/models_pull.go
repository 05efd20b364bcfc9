package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sluice-ai/sluice/local/hub"
)

func modelsPullCommand() *cobra.Command {
	var dir string
	var asJSON, list bool
	cfg := hub.FromEnv()
	c := &cobra.Command{
		Use: "pull NAME", Short: "Download a model from the Hugging Face hub",
		Long: `Download a model from the Hugging Face hub, or go on with a download that stopped.

NAME is an official checkpoint by its short name (--list shows all), or any repository:
  lfm2-350m                      LiquidAI/LFM2-350M-GGUF, quantisation ` + hub.DefaultQuant + `
  lfm2.5-1.2b-instruct:q8_0      the same in another quantisation
  lfm2-350m:safetensors          the original weights, with config.json and tokenizer.json
  org/repo:Q4_0                  the one GGUF of that quantisation, all its parts
  org/repo:file.gguf             one file

HF_TOKEN opens gated and private repositories, HF_ENDPOINT names a mirror.`,
		Args: func(c *cobra.Command, args []string) error {
			if list {
				return exactly(0, "no name with --list")(c, args)
			}
			return exactly(1, "one name")(c, args)
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "where models are kept (or SLUICE_MODELS; default ./models)")
	c.Flags().StringVar(&cfg.Revision, "revision", "main", "branch, tag or commit")
	c.Flags().BoolVar(&asJSON, "json", false, `as JSON: {"name","path","files","bytes","downloaded"}`)
	c.Flags().BoolVar(&list, "list", false, "the short names")
	c.RunE = func(c *cobra.Command, args []string) error {
		if list {
			fmt.Fprintln(c.OutOrStdout(), strings.Join(hub.Names(), "\n"))
			return nil
		}
		ref, err := hub.Parse(args[0])
		if err != nil {
			return usageError{err}
		}
		if dir == "" {
			dir = hub.DefaultDir()
		}
		stderr := c.ErrOrStderr()
		line := newPullLine(stderr)
		cfg.OnProgress = line.show
		client, err := hub.New(cfg)
		if err != nil {
			return usageError{err}
		}
		res, err := client.Pull(c.Context(), ref, dir)
		line.clear()
		if err != nil {
			return err
		}
		if ref.Official() && res.Downloaded > 0 {
			fmt.Fprintln(stderr, "Licence: LFM Open License v1.0. Free to use, commercially while the yearly revenue of your\n"+
				"organisation is below 10 million US dollars; the text is in the repository.")
		}
		if asJSON {
			return printJSON(c.OutOrStdout(), struct {
				Name       string   `json:"name"`
				Path       string   `json:"path"`
				Files      []string `json:"files"`
				Bytes      int64    `json:"bytes"`
				Downloaded int64    `json:"downloaded"`
			}{ref.String(), res.Path, res.Files, res.Bytes, res.Downloaded})
		}
		fmt.Fprintln(c.OutOrStdout(), res.Path)
		what := "there already"
		if res.Downloaded > 0 {
			what = "done"
		}
		fmt.Fprintf(stderr, "%s, %s, checked. Next:\n  sluice models inspect %s\n", what, bytesOf(res.Bytes), res.Path)
		return nil
	}
	return c
}

// A pullLine shows a download on one line of a terminal; elsewhere it prints
// notes alone.
type pullLine struct {
	w        io.Writer
	terminal bool
	last     time.Time
	start    time.Time // of the file shown
	from     int64     // bytes that were there then
	file     string
}

func newPullLine(w io.Writer) *pullLine {
	file, ok := w.(*os.File)
	return &pullLine{w: w, terminal: ok && term.IsTerminal(int(file.Fd()))}
}

func (l *pullLine) show(p hub.Progress) {
	if p.Note != "" {
		l.clear()
		fmt.Fprintln(l.w, p.Note)
		return
	}
	now := time.Now()
	if p.File != l.file {
		l.file, l.start, l.from = p.File, now, p.Done
	}
	if !l.terminal || now.Sub(l.last) < 100*time.Millisecond && p.Done < p.Total {
		return
	}
	l.last = now
	fmt.Fprintf(l.w, "\r\x1b[K%s", pullText(p, p.Done-l.from, now.Sub(l.start)))
}

// pullText writes how a pull stands: received bytes of this file came in elapsed.
func pullText(p hub.Progress, received int64, elapsed time.Duration) string {
	const width = 24
	total := max(p.Total, 1)
	n := int(width * min(p.Done, total) / total)
	s := fmt.Sprintf("%s [%s%s] %3d%% %s", p.File, strings.Repeat("#", n), strings.Repeat(".", width-n), 100*min(p.Done, total)/total, bytesOf(p.Done))
	if elapsed < time.Second || received <= 0 {
		return s
	}
	rate := float64(received) / elapsed.Seconds()
	left := time.Duration(float64(total-p.Done) / rate * float64(time.Second))
	return fmt.Sprintf("%s  %s/s  %v left", s, bytesOf(int64(rate)), left.Round(time.Second))
}

func (l *pullLine) clear() {
	if l.terminal {
		fmt.Fprint(l.w, "\r\x1b[K")
	}
}
