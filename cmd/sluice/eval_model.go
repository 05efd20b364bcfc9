package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/sluice-ai/sluice/local"
	"github.com/sluice-ai/sluice/local/judge"
	"github.com/sluice-ai/sluice/runtime/engine"
	"github.com/sluice-ai/sluice/runtime/gguf"
	"github.com/sluice-ai/sluice/runtime/nano"
	"github.com/sluice-ai/sluice/runtime/quant"
)

// A judging is a model that judges, outside a gateway.
type judging struct {
	*judge.Judge
	Name   string `json:"name"`   // "local/nano"
	Digest string `json:"digest"` // "sha256:…" of its file
	file   string
	model  *engine.Model
}

// openJudging opens the model that name stands for: one of local.models, the
// configuration's judge when name is empty, or else a file.
func openJudging(ctx context.Context, cfg *Config, name string) (*judging, error) {
	name, file, digest, err := findModel(cfg, name)
	if err != nil {
		return nil, err
	}
	model, err := openModel(file, engine.Options{Threads: cfg.Local.Threads})
	if err != nil {
		return nil, err
	}
	j := &judging{Name: "local/" + name, Digest: digest, file: file, model: model}
	j.Judge, err = judge.New(ctx, model, judge.Config{Model: j.Name, Supported: cfg.Judge.Supported, Unsupported: cfg.Judge.Unsupported})
	if err != nil {
		return nil, errors.Join(err, model.Close())
	}
	return j, nil
}

// findModel returns the short name, the file and the digest of what name stands for.
func findModel(cfg *Config, name string) (short, file, digest string, err error) {
	if name == "" {
		name = cfg.Judge.Model
	}
	for _, m := range cfg.Local.Models {
		if m.Name == name {
			file = m.File
		}
	}
	if _, ok := nano.File(name); ok && file == "" {
		file, name = name, path.Base(name)
	}
	if file == "" {
		if _, err := os.Stat(local.Locate(name)); err != nil {
			return "", "", "", usageError{fmt.Errorf("--model %s: neither one of local.models, nor a pulled model, nor a file", name)}
		}
		file, name = name, strings.TrimSuffix(filepath.Base(name), ".gguf")
	}
	digest, err = modelDigest(file)
	return name, file, digest, err
}

func (j *judging) close() {
	_ = errors.Join(j.Judge.Close(), j.model.Close()) // the process ends
}

// modelDigest returns the digest of a model's file, or of the embedded one, as "sha256:…".
func modelDigest(file string) (string, error) {
	if data, ok := nano.File(file); ok {
		return digestOf(data), nil
	}
	file = local.Locate(file)
	st, err := os.Stat(file)
	if err != nil {
		return "", fmt.Errorf("opening model: %w", err)
	}
	h := sha256.New()
	if !st.IsDir() {
		err = hashFile(h, file)
	} else { // a checkpoint of several files
		entries, derr := os.ReadDir(file) // sorted
		err = derr
		for _, e := range entries {
			if e.Type().IsRegular() && err == nil {
				fmt.Fprintf(h, "%q\n", e.Name())
				err = hashFile(h, filepath.Join(file, e.Name()))
			}
		}
	}
	if err != nil {
		return "", fmt.Errorf("reading model: %w", err)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), nil
}

func hashFile(h io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(h, f)
	return err
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// maxControl is the largest model that a control is made of.
const maxControl = 64 << 20

// openControl opens a judge like j whose matrices hold noise: what the
// architecture, the prompt and the calibration can do without anything learned.
// Each matrix keeps its deviation; vectors (norms) stay. It returns nil when j's
// model is larger than maxControl, or no single file.
func openControl(ctx context.Context, j *judging, seed uint64) (*judging, error) {
	noise, err := noiseLike(j.file, seed)
	if err != nil || noise == nil {
		return nil, err
	}
	model, err := engine.OpenBytes("random weights", noise, engine.Options{})
	if err != nil {
		return nil, fmt.Errorf("the control with random weights: %w", err)
	}
	c := &judging{Name: "random weights", model: model}
	if c.Judge, err = judge.New(ctx, model, judge.Config{Model: c.Name}); err != nil {
		return nil, errors.Join(err, model.Close())
	}
	return c, nil
}

// noiseLike returns a GGUF like file with noise in its matrices; nil when the file
// is larger than maxControl, or no single file.
func noiseLike(file string, seed uint64) ([]byte, error) {
	data, embedded := nano.File(file)
	if !embedded {
		path := local.Locate(file)
		st, err := os.Stat(path)
		if err != nil || st.IsDir() || st.Size() > maxControl {
			return nil, err
		}
		if data, err = os.ReadFile(path); err != nil {
			return nil, err
		}
	}
	noise, err := noisy(data, seed)
	if err != nil {
		return nil, fmt.Errorf("the control with random weights: %w", err)
	}
	return noise, nil
}

// noisy returns the GGUF in data with its matrices replaced by Gaussian noise.
func noisy(data []byte, seed uint64) ([]byte, error) {
	f, err := gguf.Parse(data)
	if err != nil {
		return nil, err
	}
	var w gguf.Writer
	for _, field := range f.Fields {
		w.Set(field.Key, field.Value)
	}
	rng := rand.New(rand.NewPCG(seed, 3))
	for _, t := range f.Tensors {
		bytes := t.Data
		if len(t.Dims) > 1 {
			values := make([]float32, t.Elements())
			if err := quant.Dequantize(t.Type, values, t.Data); err != nil {
				return nil, err
			}
			sum := 0.0
			for _, v := range values {
				sum += float64(v) * float64(v)
			}
			deviation := math.Sqrt(sum / float64(len(values)))
			for i := range values {
				values[i] = float32(deviation * rng.NormFloat64())
			}
			bytes = make([]byte, len(t.Data))
			if err := quant.Quantize(t.Type, bytes, values); err != nil {
				return nil, err
			}
		}
		w.AddBytes(t.Name, t.Type, t.Dims, bytes)
	}
	var out bytes.Buffer
	_, err = w.WriteTo(&out)
	return out.Bytes(), err
}
