package engine

import (
	"bytes"
	"context"
	"errors"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/runtime/synth"
)

// Keys and values in F16 and Q8_0 take what they say and change answers little.
func TestKVTypes(t *testing.T) {
	tokens := make([]int32, 300)
	for i := range tokens {
		tokens[i] = int32(20 + i*7%500)
	}
	var file bytes.Buffer // F32 weights, so that no other rounding amplifies the cache's
	if err := synth.Write(&file, synth.Config{Size: "tiny", Type: "f32", Seed: 5}, nil); err != nil {
		t.Fatal(err)
	}
	open := func(kv string) *Model {
		m, err := OpenBytes("tiny", file.Bytes(), Options{KV: kv, Threads: 2})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = m.Close() })
		return m
	}
	exact, err := open("f32").Logits(t.Context(), tokens)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		kv, name string
		bytes    int // of 2 layers with 2 heads of 32
		bound    float64
	}{{"", "F16", 512, 0.005}, {"f16", "F16", 512, 0.005}, {"Q8_0", "Q8_0", 272, 0.1}, {"f32", "F32", 1024, 0}} {
		m := open(tt.kv)
		if i := m.Info(); i.KV != tt.name || i.KVBytes != tt.bytes {
			t.Errorf("%q: %d bytes a token in %s", tt.kv, i.KVBytes, i.KV)
		}
		got, err := m.Logits(t.Context(), tokens)
		if err != nil {
			t.Fatal(err)
		}
		worst := 0.0
		for i := range got {
			for j := range got[i] {
				worst = max(worst, math.Abs(float64(got[i][j]-exact[i][j])))
			}
		}
		t.Logf("%s: logits differ by up to %.2g", tt.name, worst)
		if worst > tt.bound || tt.bound > 0 && worst == 0 {
			t.Errorf("%q: logits differ by %g", tt.kv, worst)
		}
	}
	if _, err := OpenBytes("tiny", tinyFile(), Options{KV: "q4_0"}); err == nil || !strings.Contains(err.Error(), `cannot be kept as "q4_0"`) {
		t.Errorf("q4_0: %v", err)
	}
}

// The tiny model takes 64 KiB for each 128 tokens in F16, and 6 KiB besides.
const tinyPage, tinyFixed = 64 << 10, 6 << 10

func TestMemoryPlan(t *testing.T) {
	for _, tt := range []struct {
		name    string
		o       Options
		context int
		want    string
	}{
		{"default", Options{}, 4096, ""},
		{"fits-itself", Options{Memory: 10 * tinyPage * 9 / 8}, 9 * 128, ""},
		{"asked", Options{Context: 1000, Memory: 10 * tinyPage * 9 / 8}, 1000, ""},
		{"asked-too-much", Options{Context: 2000, Memory: 10 * tinyPage * 9 / 8}, 0, "ask for less context or give more memory"},
		{"nothing", Options{Memory: 1000}, 0, "does not hold the least sequence"},
		{"negative", Options{Memory: -1}, 0, "cannot be negative"},
		{"more-than-model", Options{Context: 5000}, 0, "more than the model's 4096"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.o.Threads = 1
			m, err := OpenBytes("tiny", tinyFile(), tt.o)
			if tt.want != "" {
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Fatalf("error %v does not contain %q", err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			if got := m.Info().Context; got != tt.context {
				t.Errorf("context %d, want %d", got, tt.context)
			}
		})
	}
}

// A sequence that others leave no memory for fails as busy, before it reads
// anything, and gets it when they are closed. A forgotten session gives it back.
func TestMemoryRunsOut(t *testing.T) {
	m := openTiny(t, Options{Memory: 10 * tinyPage, Context: 1000})
	tokens := make([]int32, 600)
	s, err := m.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Prefill(t.Context(), tokens); err != nil {
		t.Fatal(err)
	}
	if used := m.budget.Used(); used != 5*tinyPage+tinyFixed {
		t.Fatalf("%d bytes used", used)
	}
	c, err := s.Clone() // shares all
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Score(t.Context(), [][]int32{{1, 2}, {3, 4, 5}}); err != nil {
		t.Fatal(err)
	}
	other, err := m.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Prefill(t.Context(), tokens); !errors.Is(err, ErrBusy) || !errors.Is(err, ErrMemory) || other.Pos() != 0 {
		t.Fatalf("a session without memory: %v, at %d", err, other.Pos())
	}
	_, err = m.Generate(t.Context(), Request{Prompt: tokens, MaxTokens: 5}, func(Chunk) error { return nil })
	if !errors.Is(err, ErrBusy) {
		t.Fatalf("a generation without memory: %v", err)
	}
	s.Close()
	s.Close()
	if err := other.Prefill(t.Context(), tokens); !errors.Is(err, ErrBusy) {
		t.Fatalf("while a clone holds the pages: %v", err)
	}
	c.Close()
	if err := other.Prefill(t.Context(), tokens); err != nil {
		t.Fatalf("after all were closed: %v", err)
	}
	if used := m.budget.Used(); used != 5*tinyPage+tinyFixed {
		t.Fatalf("%d bytes used", used)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for m.budget.Used() > 0 { // other is not used any more
		if ctx.Err() != nil {
			t.Fatalf("a forgotten session keeps %d bytes", m.budget.Used())
		}
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
}

// An answer whose head start is used up while others hold the rest ends there.
func TestAnswerEndsWithMemory(t *testing.T) {
	m := openTiny(t, Options{Memory: 24 * tinyPage, Context: 2500})
	hog, err := m.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer hog.Close()
	if err := hog.Prefill(t.Context(), make([]int32, 14*128)); err != nil {
		t.Fatal(err)
	}
	m.unused = append(m.unused, m.tok.EOGs()...) // the answer has no end of its own
	res, err := m.Generate(t.Context(), Request{Prompt: []int32{1, 20, 30}}, func(Chunk) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	if res.Finish != "length" || res.CompletionTokens < headStart || res.CompletionTokens > headStart+2*128 {
		t.Errorf("%+v", res)
	}
	hog.Close()
	if used := m.budget.Used(); used != 0 {
		t.Errorf("%d bytes used", used)
	}
}
