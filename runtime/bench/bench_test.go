package bench

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/runtime/engine"
	"github.com/sluice-ai/sluice/runtime/synth"
)

func synthetic(t *testing.T, size, typ string) Model {
	t.Helper()
	path := filepath.Join(t.TempDir(), size+".gguf")
	if err := synth.WriteFile(path, synth.Config{Size: size, Type: typ, Seed: 3}, nil); err != nil {
		t.Fatal(err)
	}
	return Model{Name: size, File: path, Open: func(o engine.Options) (*engine.Model, error) { return engine.Open(path, o) }}
}

// No time is asserted: only that everything asked for is measured, once a round.
func TestRun(t *testing.T) {
	spun := 0
	c := Config{
		Threads: 2, Repeat: 2, Least: time.Nanosecond, Contend: 3, Cold: true,
		Spin: func(context.Context, int) (func() error, error) {
			spun++
			return func() error { spun += 100; return nil }, nil
		},
	}
	var talk strings.Builder
	models := []Model{synthetic(t, "tiny", "q8_0"), synthetic(t, "tinymoe", "q4_0")}
	reports, err := Run(t.Context(), models, c, &talk)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range reports {
		for _, name := range append([]string{Load, Contended, Share, Read, Dots, ReadShare, DotShare}, Rows...) {
			if n := len(r.Samples[name]); n != c.Repeat {
				t.Errorf("%s: %d samples of %s", r.Model, n, name)
			}
			if least, _ := r.Samples.Range(name); least <= 0 {
				t.Errorf("%s: %s is %g", r.Model, name, least)
			}
		}
	}
	if want := 2 * 2 * 3 * 101; spun != want { // models, rounds, processes, each stopped
		t.Errorf("spun %d, want %d", spun, want)
	}
	if got, want := strings.Fields(talk.String())[0], "tiny,"; got != want || !strings.Contains(talk.String(), "round 2 of 2\ntinymoe, round 2 of 2\n") {
		t.Errorf("the rounds do not alternate: %s", talk.String())
	}
}

func TestRowsAlone(t *testing.T) {
	reports, err := Run(t.Context(), []Model{synthetic(t, "tiny", "f32")}, Config{Threads: 1, Repeat: 1, Least: 1, Rows: []string{"judge"}, Unpacked: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := reports[0].Samples
	if len(s["judge"]) != 1 || len(s["decode"]) != 0 || len(s[ReadShare]) != 0 {
		t.Errorf("measured %v", s)
	}
}

func TestConfig(t *testing.T) {
	err := Config{Repeat: -1, Rows: []string{"decode", "sleep"}, Contend: 1}.Validate()
	for _, want := range []string{"negative", `no row "sleep"; rows are start, prefill,`, "how to start"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Validate = %v, without %q", err, want)
		}
	}
	bad := errors.New("no such file")
	m := Model{Name: "gone", Open: func(engine.Options) (*engine.Model, error) { return nil, bad }}
	if _, err := Run(t.Context(), []Model{m}, Config{Least: 1, Threads: 1}, nil); !errors.Is(err, bad) || !strings.Contains(err.Error(), "gone") {
		t.Errorf("Run = %v", err)
	}
}

func TestTogether(t *testing.T) {
	at := time.Unix(100, 0)
	s := func(ms, tokens, prompts, answers int) step {
		return step{engine.Step{Tokens: tokens, Prompts: prompts, Answers: answers}, at.Add(time.Duration(ms) * time.Millisecond)}
	}
	steps := []step{
		s(0, 64, 64, 0), s(100, 33, 32, 1), // prompts, and the first answer
		s(200, 2, 0, 2), s(300, 2, 0, 2), s(400, 1, 0, 1), s(500, 2, 0, 2), // both, with one who was late
		s(600, 1, 0, 1),
	}
	if tokens, seconds := together(steps, 2); tokens != 5 || seconds != 0.3 {
		t.Errorf("together = %d, %g; want 5, 0.3", tokens, seconds)
	}
	if tokens, _ := together(steps, 3); tokens != 0 {
		t.Errorf("three were never together, and wrote %d", tokens)
	}
}

func TestMedian(t *testing.T) {
	s := Samples{"odd": {3, 1, 2}, "even": {4, 1, 2, 3}}
	if s.Median("odd") != 2 || s.Median("even") != 2.5 || s.Median("none") != 0 || !slices.Equal(s["odd"], []float64{3, 1, 2}) {
		t.Errorf("medians of %v", s)
	}
}

func TestSpin(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := Spin(ctx, -1); err != nil {
		t.Error(err)
	}
}
