package main

import (
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/sluice-ai/sluice/local"
	"github.com/sluice-ai/sluice/runtime/engine"
	"github.com/sluice-ai/sluice/runtime/nano"
)

// A modelReport is what `models inspect --json` prints.
type modelReport struct {
	Name       string   `json:"name"`
	Arch       string   `json:"arch"`
	Type       string   `json:"type"`
	Format     string   `json:"format"`
	Params     int64    `json:"params"`
	Active     int64    `json:"active_params"`
	Bytes      int64    `json:"bytes"`
	Layers     int      `json:"layers"`
	Attention  int      `json:"attention_layers"`
	Dim        int      `json:"dim"`
	Heads      int      `json:"heads"`
	KVHeads    int      `json:"kv_heads"`
	FFN        int      `json:"ffn"`
	Experts    int      `json:"experts"`
	Used       int      `json:"experts_used"`
	ExpertFFN  int      `json:"expert_ffn"`
	Dense      int      `json:"dense_layers"`
	Vocab      int      `json:"vocab"`
	Tied       bool     `json:"tied"`
	Theta      float64  `json:"rope_theta"`
	Context    int      `json:"context"`
	KVBytes    int      `json:"kv_bytes_per_token"`
	Abilities  []string `json:"abilities"`
	Verbatim   bool     `json:"verbatim,omitempty"`
	Style      string   `json:"chat_style"`
	JudgeScale float64  `json:"judge_scale"`
	JudgeBias  float64  `json:"judge_bias"`

	Metadata map[string]any `json:"metadata,omitempty"`
	Tensors  []tensorReport `json:"tensors,omitempty"`
}

type tensorReport struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Dims  []int  `json:"dims"`
	Bytes int64  `json:"bytes"`
}

func modelsInspectCommand() *cobra.Command {
	var asJSON, metadata, tensors bool
	c := &cobra.Command{
		Use: "inspect FILE", Short: "What is in a model's file (or \"embedded\", \"embedded/forms\")",
		Long: `What is in a model: a GGUF file, any part of one that was split, the folder of a
checkpoint in safetensors, "embedded" or "embedded/forms". With --metadata or --tensors, also in a
file that holds another model, a projector or a LoRA adapter.`,
		Args: exactly(1, "one file"),
	}
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	c.Flags().BoolVar(&metadata, "metadata", false, "list the metadata")
	c.Flags().BoolVar(&tensors, "tensors", false, "list the tensors, with their types and sizes")
	c.RunE = func(c *cobra.Command, args []string) error {
		contents, err := inspect(args[0])
		if err != nil {
			return err
		}
		m, err := openModel(args[0], engine.Options{Threads: 1})
		if err != nil && !metadata && !tensors {
			return err
		}
		var info engine.Info
		if m != nil {
			info = m.Info()
			defer m.Close()
		}
		if asJSON {
			return printJSON(c.OutOrStdout(), report(info, contents, metadata, tensors))
		}
		w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
		if m != nil {
			for _, r := range summary(info) {
				fmt.Fprintf(w, "%s\t%s\n", r[0], r[1])
			}
		}
		if err := w.Flush(); err != nil {
			return err
		}
		if metadata {
			listMetadata(c.OutOrStdout(), contents)
		}
		if tensors {
			return listTensors(c.OutOrStdout(), contents)
		}
		return nil
	}
	return c
}

func inspect(file string) (*engine.Contents, error) {
	if data, ok := nano.File(file); ok {
		return engine.InspectBytes(data)
	}
	return engine.Inspect(local.Locate(file))
}

func summary(i engine.Info) [][2]string {
	ffn := fmt.Sprintf("feed-forward %d", i.FFN)
	params := fmt.Sprintf("%s (%d)", count(i.Params), i.Params)
	if i.Experts > 0 {
		ffn += fmt.Sprintf(" in the first %d layers, then %d experts of %d, of which a token uses %d", i.DenseLayers, i.Experts, i.ExpertFFN, i.ExpertsUsed)
		params += fmt.Sprintf(", of which a token uses %s", count(i.ActiveParams))
	}
	head := "output tied to the embedding"
	if !i.Tied {
		head = "output apart from the embedding"
	}
	can := strings.Join(i.Abilities, ", ")
	if i.Verbatim {
		can += "; copies what it fills into forms and calls"
	}
	return [][2]string{
		{"name", i.Name}, {"architecture", i.Arch}, {"type", i.Type + " in " + i.Format},
		{"parameters", params}, {"size", bytesOf(i.FileBytes)},
		{"layers", fmt.Sprintf("%d (%d attention, %d convolution)", i.Layers, i.Attention, i.Layers-i.Attention)},
		{"width", fmt.Sprintf("%d, %d heads of %d, %d key-value heads, %s", i.Dim, i.Heads, i.HeadDim, i.KVHeads, ffn)},
		{"vocabulary", strconv.Itoa(i.Vocab) + ", " + head},
		{"context", fmt.Sprintf("%d tokens (the file says %d), %s of memory for each", i.Context, i.Trained, bytesOf(int64(i.KVBytes)))},
		{"can", can}, {"chat template", i.Style + ", prompts " + i.Prompts},
	}
}

func report(i engine.Info, contents *engine.Contents, metadata, tensors bool) modelReport {
	r := modelReport{
		Name: i.Name, Arch: i.Arch, Type: i.Type, Format: contents.Format, Params: i.Params, Active: i.ActiveParams, Bytes: contents.Bytes,
		Layers: i.Layers, Attention: i.Attention, Dim: i.Dim, Heads: i.Heads, KVHeads: i.KVHeads, FFN: i.FFN,
		Experts: i.Experts, Used: i.ExpertsUsed, ExpertFFN: i.ExpertFFN, Dense: i.DenseLayers, Vocab: i.Vocab, Tied: i.Tied, Theta: i.Theta,
		Context: i.Context, KVBytes: i.KVBytes, Abilities: i.Abilities, Verbatim: i.Verbatim, Style: i.Style, JudgeScale: i.JudgeScale, JudgeBias: i.JudgeBias,
	}
	if metadata {
		r.Metadata = map[string]any{}
		for _, f := range contents.Fields {
			if b, ok := f.Value.([]uint8); ok { // encoding/json would write it in base64
				f.Value = slices.Collect(func(yield func(int) bool) {
					for _, v := range b {
						if !yield(int(v)) {
							return
						}
					}
				})
			}
			r.Metadata[f.Key] = f.Value
		}
	}
	if tensors {
		for _, t := range contents.Tensors {
			r.Tensors = append(r.Tensors, tensorReport{t.Name, t.Type, t.Dims, t.Bytes})
		}
	}
	return r
}

// listMetadata prints one entry a line; long texts and arrays are cut.
func listMetadata(out io.Writer, contents *engine.Contents) {
	const most = 72 // bytes of a value
	for _, f := range contents.Fields {
		text := fmt.Sprint(f.Value)
		if v := reflect.ValueOf(f.Value); v.Kind() == reflect.Slice {
			text = fmt.Sprintf("%d: %v", v.Len(), v.Slice(0, min(v.Len(), 16)))
		}
		text = visible(text)
		if len(text) > most {
			cut := most
			for cut > 0 && text[cut]&0xc0 == 0x80 { // not within a code point
				cut--
			}
			text = text[:cut] + "…"
		}
		fmt.Fprintf(out, "%s %s = %s\n", visible(f.Key), f.Type, text)
	}
}

func listTensors(out io.Writer, contents *engine.Contents) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TENSOR\tTYPE\tSIZES\tBYTES")
	for _, t := range contents.Tensors {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\n", visible(t.Name), t.Type, strings.Trim(fmt.Sprint(t.Dims), "[]"), t.Bytes)
	}
	return w.Flush()
}

// visible returns s without what would move a terminal's cursor: files are not trusted.
func visible(s string) string {
	s = strconv.QuoteToGraphic(s)
	return strings.ReplaceAll(s[1:len(s)-1], `\"`, `"`)
}
