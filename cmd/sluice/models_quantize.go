package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluice-ai/sluice/runtime/mix"
)

func modelsQuantizeCommand() *cobra.Command {
	var typ, out string
	var o mix.Options
	var force, asJSON bool
	c := &cobra.Command{
		Use: "quantize FILE --type TYPE -o FILE", Short: "Write a model again with other weight types",
		Long: `Write a GGUF of an LFM2 model again with other weight types. Which tensor gets which
type is llama.cpp's choice, so q4_k_m means here what it means elsewhere. All other
metadata is kept, and the file appears only when it is whole.

Start from F32, F16 or BF16: weights that are quantised already are refused unless
--allow-requantize says that the loss is meant.

types: ` + strings.Join(mix.Names(), ", "),
		Args: exactly(1, "one file"),
	}
	c.Flags().StringVarP(&typ, "type", "t", "q4_k_m", "type of the weights: "+strings.Join(mix.Names(), ", "))
	c.Flags().StringVarP(&out, "output", "o", "", "file to write")
	c.Flags().IntVar(&o.Threads, "threads", 0, "cores to use; 0 is all")
	c.Flags().BoolVarP(&force, "force", "f", false, "overwrite the file if it exists")
	c.Flags().BoolVar(&o.AllowRequantize, "allow-requantize", false, "convert weights that are quantised already")
	c.Flags().BoolVar(&asJSON, "json", false, "report as JSON: every tensor with its types and relative error")
	c.RunE = func(c *cobra.Command, args []string) error {
		recipe, err := mix.Parse(typ)
		switch {
		case err != nil:
			return usageError{err}
		case out == "":
			return usageError{errors.New("where to? Give a file with -o FILE")}
		case o.Threads < 0:
			return usageError{fmt.Errorf("--threads %d: give a number of cores, or 0 for all", o.Threads)}
		}
		if _, err := os.Stat(out); err == nil && !force {
			return usageError{fmt.Errorf("%s exists: --force overwrites it", out)}
		}
		start := time.Now()
		o.Progress = progressBar(c.ErrOrStderr(), out)
		report, err := mix.WriteFile(c.Context(), out, args[0], recipe, o)
		switch {
		case errors.Is(err, mix.ErrQuantized):
			return usageError{fmt.Errorf("%w: start from an F16 or BF16 file, or say --allow-requantize", err)}
		case err != nil:
			return err
		}
		fmt.Fprintf(c.ErrOrStderr(), "%s: %s, weights %s, before %s, in %.1fs\n",
			out, recipe, bytesOf(report.After), bytesOf(report.Before), time.Since(start).Seconds())
		if asJSON {
			return printJSON(c.OutOrStdout(), report)
		}
		w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "TENSORS\tFROM\tTO\tERROR")
		for _, s := range report.Summary() {
			worst := "-"
			if s.Error > 0 {
				worst = fmt.Sprintf("%.2f%%", 100*s.Error)
			}
			fmt.Fprintf(w, "%d\t%s\t%s\t%s\n", s.Tensors, s.From, s.To, worst)
		}
		return w.Flush()
	}
	return c
}
