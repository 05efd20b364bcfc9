package nano_test

import (
	"bufio"
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
	Segments []struct {
		Text    string
		Special bool
	}
	IDs    []int32
	Margin float64 // logit(local) - logit(cloud)
	Task   string
}

func open(t testing.TB) *engine.Model {
	t.Helper()
	m, err := engine.OpenBytes(nano.Name, nano.Bytes(), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func goldens(t testing.TB) []golden {
	t.Helper()
	b, err := os.ReadFile("testdata/golden.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	var all []golden
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		var g golden
		if err := json.Unmarshal(s.Bytes(), &g); err != nil {
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

func TestFile(t *testing.T) {
	if n := len(nano.Bytes()); n > 12<<20 {
		t.Errorf("nano.gguf has %d bytes, more than 12 MiB", n)
	}
	i := open(t).Info()
	if i.Name != nano.Name {
		t.Errorf("name %q, want %q", i.Name, nano.Name)
	}
	if !slices.Equal(i.Abilities, []string{"judge"}) {
		t.Errorf("abilities %v, want judge alone", i.Abilities)
	}
	if i.JudgeScale <= 0 {
		t.Errorf("judge scale %v", i.JudgeScale)
	}
}

// The engine reads the same tokens and reaches the same verdicts as the training code.
func TestGolden(t *testing.T) {
	m := open(t)
	local, cloud := label(t, m, "local"), label(t, m, "cloud")
	for n, g := range goldens(t) {
		var ids []int32
		for _, s := range g.Segments {
			ids = m.Tokenizer().Encode(ids, s.Text, tokenizer.Options{ParseSpecial: s.Special})
		}
		if !slices.Equal(ids, g.IDs) {
			t.Errorf("prompt %d: ids\n%v, want\n%v", n, ids, g.IDs)
			continue
		}
		s, err := m.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Prefill(t.Context(), ids); err != nil {
			t.Fatal(err)
		}
		got := float64(s.Logits()[local] - s.Logits()[cloud])
		s.Close()
		if math.Abs(got-g.Margin) > 0.1 { // 8-bit activations here, 32-bit there
			t.Errorf("prompt %d: margin %.4f, want %.4f", n, got, g.Margin)
		}
	}
}

func BenchmarkJudge(b *testing.B) {
	m := open(b)
	ids := goldens(b)[0].IDs
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
