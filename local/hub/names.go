package hub

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
)

// DefaultQuant is what a name without a quantisation means: of the files that
// every official repository has, the best answers for their size.
const DefaultQuant = "Q4_K_M"

// Safetensors, in place of a quantisation, means the original weights with
// config.json and tokenizer.json.
const Safetensors = "SAFETENSORS"

// fallbacks are tried in order where a repository has no DefaultQuant.
var fallbacks = []string{DefaultQuant, "Q4_0", "Q5_K_M", "Q6_K", "Q8_0", "Q4_K_S", "Q5_K_S", "F16", "BF16", "F32"}

// Org is the organisation of the official checkpoints.
const Org = "LiquidAI"

// official are the checkpoints with language model weights in GGUF; their
// repositories are LiquidAI/NAME-GGUF, and LiquidAI/NAME for safetensors.
// Source: reference/lfm2.md §17.
var official = []string{
	"LFM2-350M", "LFM2-700M", "LFM2-1.2B", "LFM2-2.6B", "LFM2-2.6B-Exp", "LFM2-8B-A1B", "LFM2-24B-A2B",
	"LFM2.5-230M", "LFM2.5-230M-Base", "LFM2.5-350M", "LFM2.5-350M-Base",
	"LFM2.5-1.2B-Base", "LFM2.5-1.2B-Instruct", "LFM2.5-1.2B-Thinking", "LFM2.5-1.2B-JP",
	"LFM2.5-2.6B", "LFM2.5-2.6B-Base", "LFM2.5-8B-A1B", "LFM2.5-2.6B-DSpark",
	"LFM2-VL-450M", "LFM2-VL-1.6B", "LFM2-VL-3B", "LFM2.5-VL-450M", "LFM2.5-VL-1.6B", "LFM2.5-VL-3B",
	"LFM2-Audio-1.5B", "LFM2.5-Audio-1.5B", "LFM2.5-Audio-1.5B-JP",
	"LFM2-350M-Extract", "LFM2-1.2B-Extract", "LFM2-1.2B-Tool", "LFM2-1.2B-RAG", "LFM2-350M-Math",
	"LFM2-350M-ENJP-MT", "LFM2-350M-PII-Extract-JP", "LFM2-2.6B-Transcript",
	"LFM2-ColBERT-350M", "LFM2.5-ColBERT-350M", "LFM2.5-Embedding-350M", "LFM2.5-Encoder-230M", "LFM2.5-Encoder-350M",
}

// aliases are what people type for a checkpoint that has a longer name.
var aliases = map[string]string{"lfm2.5-1.2b": "LFM2.5-1.2B-Instruct"}

var byShort = func() map[string]string {
	m := maps.Clone(aliases)
	for _, name := range official {
		m[strings.ToLower(name)] = name
	}
	return m
}()

// Names returns the short names of the official checkpoints, sorted.
func Names() []string { return slices.Sorted(maps.Keys(byShort)) }

// A Ref names what to pull from a repository: the file File, or the files of
// quantisation Quant (upper case; "" is the default), or with [Safetensors] the
// original weights.
type Ref struct {
	Org, Repo   string
	File, Quant string
}

// String returns the name that [Parse] reads as r.
func (r Ref) String() string {
	s := r.Org + "/" + r.Repo
	switch {
	case r.File != "":
		return s + ":" + r.File
	case r.Quant != "":
		return s + ":" + r.Quant
	}
	return s
}

// Official reports whether r belongs to the publisher of LFM2.
func (r Ref) Official() bool { return strings.EqualFold(r.Org, Org) }

// Parse reads a name. Short names and quantisations are read in any case.
func Parse(name string) (Ref, error) {
	repo, what, _ := strings.Cut(strings.TrimSpace(name), ":")
	var r Ref
	segments := strings.Split(repo, "/")
	if len(segments) == 1 {
		full, ok := byShort[strings.ToLower(strings.TrimSuffix(strings.ToLower(repo), "-gguf"))]
		if !ok {
			return Ref{}, unknownName(repo)
		}
		r = Ref{Org: Org, Repo: full + "-GGUF"}
		if strings.EqualFold(what, Safetensors) {
			r.Repo = full
		}
	} else {
		r = Ref{Org: segments[0], Repo: segments[1], File: strings.Join(segments[2:], "/")}
	}
	if !isName(r.Org) || !isName(r.Repo) {
		return Ref{}, fmt.Errorf("%q names no repository: write org/repo, org/repo:QUANT or org/repo:file", name)
	}
	if strings.Contains(repo+":", "/:") || r.File != "" && what != "" || strings.HasSuffix(name, ":") {
		return Ref{}, fmt.Errorf("%q: write org/repo, org/repo:QUANT or org/repo:file", name)
	}
	switch {
	case what == "":
	case strings.Contains(what, "/") || path.Ext(what) != "" && !isQuant(what):
		r.File = what
	default:
		r.Quant = strings.ToUpper(what)
	}
	if r.File != "" && !isLocal(r.File) {
		return Ref{}, fmt.Errorf("%q: the file must lie inside the repository", name)
	}
	if r.Quant != "" && !isQuant(r.Quant) {
		return Ref{}, fmt.Errorf("%q: %s is no quantisation: write one such as Q4_K_M, Q8_0 or F16, or a file name", name, what)
	}
	return r, nil
}

func unknownName(name string) error {
	var like []string
	for _, short := range Names() {
		if strings.Contains(short, strings.ToLower(name)) || strings.HasPrefix(strings.ToLower(name), short) {
			like = append(like, short)
		}
	}
	if len(like) == 0 {
		like = []string{"lfm2-350m", "lfm2-1.2b", "lfm2.5-1.2b-instruct", "lfm2-8b-a1b"}
	}
	return fmt.Errorf("%q is no official checkpoint: try %s, or org/repo:QUANT for any other", name, strings.Join(like, ", "))
}

// isName reports whether s may be the name of an organisation or repository.
func isName(s string) bool {
	return s != "" && len(s) <= 96 && s[0] != '.' && s[0] != '-' && strings.Trim(s,
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == "" && !strings.Contains(s, "..")
}

func isQuant(s string) bool {
	return len(s) <= 32 && strings.Trim(strings.ToUpper(s), "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == ""
}

// isLocal reports whether a path from a hub stays inside its folder on every
// platform, and hides nothing.
func isLocal(p string) bool {
	if p == "" || len(p) > 512 || path.Clean(p) != p || path.IsAbs(p) {
		return false
	}
	for _, segment := range strings.Split(p, "/") {
		if segment[0] == '.' || strings.HasSuffix(segment, ".") || strings.HasSuffix(segment, " ") {
			return false
		}
	}
	return !strings.ContainsFunc(p, func(c rune) bool { return c < ' ' || strings.ContainsRune(`\:*?"<>|`, c) || c == 0x7F })
}

// DefaultDir returns where models are kept: $SLUICE_MODELS, or the folder
// "models" here.
func DefaultDir() string {
	if dir := os.Getenv("SLUICE_MODELS"); dir != "" {
		return dir
	}
	return "models"
}

// guess returns the file that r most likely means, to name it where the hub
// cannot be asked; "" when there is no telling.
func (r Ref) guess() string {
	if r.File != "" {
		return r.File
	}
	model, ok := strings.CutSuffix(r.Repo, "-GGUF")
	if !ok || r.Quant == Safetensors {
		return ""
	}
	quant := r.Quant
	if quant == "" {
		quant = DefaultQuant
	}
	return model + "-" + quant + ".gguf"
}

var errNoMatch = errors.New("no such file")
