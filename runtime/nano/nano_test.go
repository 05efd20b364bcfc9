package nano_test

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/sluice-ai/sluice/runtime/engine"
	"github.com/sluice-ai/sluice/runtime/nano"
	"github.com/sluice-ai/sluice/runtime/tokenizer"
)

// golden is a prompt as train/goldens.py saw it: PyTorch, with the weights that nano.gguf holds.
type golden struct {
	Segments []segment
	IDs      []int32
	Margin   float64 // logit(local) - logit(cloud)
	Task     string
}

// segment is a part of a prompt; a special one is a control token.
type segment struct {
	Text    string
	Special bool
}

func encode(m *engine.Model, segments []segment) (ids []int32) {
	for _, s := range segments {
		ids = m.Tokenizer().Encode(ids, s.Text, tokenizer.Options{ParseSpecial: s.Special})
	}
	return ids
}

func open(t testing.TB, file string) *engine.Model {
	t.Helper()
	data, ok := nano.File(file)
	if !ok {
		t.Fatalf("no file is called %q", file)
	}
	m, err := engine.OpenBytes(file, data, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func goldens[T any](t testing.TB, file string) []T {
	t.Helper()
	b, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	var all []T
	for dec := json.NewDecoder(bytes.NewReader(b)); dec.More(); {
		var g T
		if err := dec.Decode(&g); err != nil {
			t.Fatal(err)
		}
		all = append(all, g)
	}
	return all
}

func label(t testing.TB, m *engine.Model, text string) int32 {
	t.Helper()
	ids := m.Tokenizer().Encode(nil, text, tokenizer.Options{})
	if len(ids) != 1 {
		t.Fatalf("label %q is %d tokens", text, len(ids))
	}
	return ids[0]
}

// after returns the logits of the token that follows ids.
func after(t testing.TB, m *engine.Model, ids []int32) []float32 {
	t.Helper()
	s, err := m.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Prefill(t.Context(), ids); err != nil {
		t.Fatal(err)
	}
	return slices.Clone(s.Logits())
}

func TestFiles(t *testing.T) {
	size := 0
	for _, tt := range []struct {
		file, name string
		abilities  []string
		verbatim   bool
	}{
		{nano.Embedded, nano.Name, []string{"judge"}, false},
		{nano.EmbeddedForms, nano.FormsName, []string{"entities", "tools", "extraction"}, true},
	} {
		data, _ := nano.File(tt.file)
		size += len(data)
		i := open(t, tt.file).Info()
		if i.Name != tt.name || !slices.Equal(i.Abilities, tt.abilities) || i.Verbatim != tt.verbatim {
			t.Errorf("%s: name %q, abilities %v, verbatim %v; want %q, %v, %v", tt.file, i.Name, i.Abilities, i.Verbatim, tt.name, tt.abilities, tt.verbatim)
		}
		if i.JudgeScale <= 0 {
			t.Errorf("%s: judge scale %v", tt.file, i.JudgeScale)
		}
	}
	if size > 12<<20 {
		t.Errorf("the files have %d bytes, more than 12 MiB", size)
	}
}

// nano-forms goes on from a prompt and the beginning of an answer as the training code does.
func TestForms(t *testing.T) {
	m := open(t, nano.EmbeddedForms)
	for n, g := range goldens[struct {
		Segments []segment
		IDs, Top []int32
		Logits   []float64
	}](t, "forms.jsonl") {
		ids := encode(m, g.Segments)
		if !slices.Equal(ids, g.IDs) {
			t.Errorf("prompt %d: ids\n%v, want\n%v", n, ids, g.IDs)
			continue
		}
		logits := after(t, m, ids)
		for i, id := range g.Top {
			if got := float64(logits[id]); math.Abs(got-g.Logits[i]) > 0.25 { // 8-bit activations here, 32-bit there
				t.Errorf("prompt %d: logit of %d is %.4f, want %.4f", n, id, got, g.Logits[i])
			}
		}
	}
}

// The engine reads the same tokens and reaches the same verdicts as the training code.
func TestGolden(t *testing.T) {
	m := open(t, nano.Embedded)
	local, cloud := label(t, m, "local"), label(t, m, "cloud")
	for n, g := range goldens[golden](t, "golden.jsonl") {
		ids := encode(m, g.Segments)
		if !slices.Equal(ids, g.IDs) {
			t.Errorf("prompt %d: ids\n%v, want\n%v", n, ids, g.IDs)
			continue
		}
		logits := after(t, m, ids)
		got := float64(logits[local] - logits[cloud])
		if math.Abs(got-g.Margin) > 0.1 { // 8-bit activations here, 32-bit there
			t.Errorf("prompt %d: margin %.4f, want %.4f", n, got, g.Margin)
		}
	}
}

func BenchmarkJudge(b *testing.B) {
	m := open(b, nano.Embedded)
	ids := goldens[golden](b, "golden.jsonl")[0].IDs
	for len(ids) < 200 {
		ids = append(ids, ids[len(ids)%60+10])
	}
	for b.Loop() {
		s, err := m.NewSession()
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Prefill(b.Context(), ids[:200]); err != nil {
			b.Fatal(err)
		}
		s.Close()
	}
}
