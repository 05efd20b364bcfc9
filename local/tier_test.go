package local

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/internal/llm"
	"github.com/sluice-ai/sluice/runtime/nano"
	"github.com/sluice-ai/sluice/runtime/synth"
)

// open returns a tier of nano and of a tiny model with random weights.
func open(t *testing.T, context int) *Tier {
	t.Helper()
	var b bytes.Buffer
	if err := synth.Write(&b, synth.Config{Size: "tiny", Type: "f32", Seed: 1}, nil); err != nil {
		t.Fatal(err)
	}
	tier, err := Open(Config{Threads: 1, Models: []ModelFile{{Name: "nano", Data: nano.Bytes()}, {Name: "tiny", Data: b.Bytes(), Context: context}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tier.Close(); err != nil {
			t.Error(err)
		}
	})
	return tier
}

func request(tier *Tier, max int) *llm.Request {
	seed, hot := int64(7), 1.0
	req := &llm.Request{Messages: []llm.Message{{Role: llm.User, Text: "Say something."}}, N: 1}
	req.Target = tier.Targets()[1]
	req.Sampling = llm.Sampling{MaxTokens: max, Seed: &seed, Temperature: &hot}
	return req
}

// gather runs req and returns each choice's text, the finishes, and the usage.
func gather(t *testing.T, tier *Tier, req *llm.Request) (texts []string, finish []llm.Finish, use *llm.Usage, logprobs []json.RawMessage) {
	t.Helper()
	texts, finish = make([]string, req.N), make([]llm.Finish, req.N)
	err := tier.Generate(t.Context(), req, func(ev llm.Event) error {
		for _, d := range ev.Choices {
			texts[d.Index] += d.Text
			if d.Finish != "" {
				finish[d.Index] = d.Finish
			}
			if d.Logprobs != nil {
				logprobs = append(logprobs, d.Logprobs)
			}
		}
		if ev.Usage != nil {
			use = ev.Usage
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return texts, finish, use, logprobs
}

func TestTargets(t *testing.T) {
	tier := open(t, 0)
	n, tiny := tier.Targets()[0], tier.Targets()[1]
	if n.ID != "local/nano" || !n.Has("judge") || n.Has("chat") || !n.Local() {
		t.Errorf("nano = %+v", n)
	}
	if tiny.ID != "local/tiny" || !tiny.Has("chat") || !tiny.Price.Known || tiny.Zone.Region != "on-premises" {
		t.Errorf("tiny = %+v", tiny)
	}
}

func TestGenerate(t *testing.T) {
	tier := open(t, 0)
	req := request(tier, 12)
	req.N = 2
	req.Sampling.Logprobs, req.Sampling.TopLogprobs = true, 3
	var attempts []llm.Attempt
	req.OnAttempt = func(a llm.Attempt) { attempts = append(attempts, a) }
	texts, finish, use, lps := gather(t, tier, req)
	if texts[0] == "" || texts[0] == texts[1] || finish[0] == "" || finish[1] == "" {
		t.Errorf("choices %q, finishes %q", texts, finish)
	}
	if use == nil || use.Input == 0 || use.Output == 0 || use.Output > 24 {
		t.Errorf("usage = %+v", use)
	}
	if len(attempts) != 1 || attempts[0].Outcome != llm.OK || attempts[0].FirstByte == 0 || attempts[0].Usage != *use {
		t.Errorf("attempts = %+v", attempts)
	}
	var lp struct {
		Content []struct {
			Logprob float64
			Top     []any `json:"top_logprobs"`
		}
	}
	if len(lps) == 0 || json.Unmarshal(lps[0], &lp) != nil || len(lp.Content) == 0 || lp.Content[0].Logprob > 0 || len(lp.Content[0].Top) != 3 {
		t.Errorf("logprobs = %s", lps)
	}
	again, _, _, _ := gather(t, tier, req)
	if again[0] != texts[0] || again[1] != texts[1] {
		t.Errorf("the same seed gave %q, then %q", texts, again)
	}
}

func TestGenerateFails(t *testing.T) {
	tier := open(t, 64)
	t.Run("too-long", func(t *testing.T) {
		req := request(tier, 4)
		req.Messages[0].Text = strings.Repeat("word ", 200)
		err := tier.Generate(t.Context(), req, func(llm.Event) error { return nil })
		if e, ok := errors.AsType[*llm.Error](err); !ok || e.Code != llm.CodeContextLength || strings.Contains(e.Error(), "word word") {
			t.Errorf("error = %v, want context_length_exceeded", err)
		}
	})
	t.Run("client-gone", func(t *testing.T) {
		gone := errors.New("gone")
		req := request(tier, 30)
		var a llm.Attempt
		req.OnAttempt = func(x llm.Attempt) { a = x }
		if err := tier.Generate(t.Context(), req, func(llm.Event) error { return gone }); !errors.Is(err, gone) || a.Outcome != llm.Abandoned {
			t.Errorf("error = %v, outcome %s", err, a.Outcome)
		}
	})
	t.Run("canceled", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
		defer cancel()
		err := tier.Generate(ctx, request(tier, 30), func(llm.Event) error { return nil })
		if llm.KindOf(err) != llm.Canceled {
			t.Errorf("error = %v, want kind Canceled", err)
		}
	})
}

func TestOpenNamesEveryMistake(t *testing.T) {
	cut := filepath.Join(t.TempDir(), "cut.gguf")
	if err := os.WriteFile(cut, nano.Bytes()[:1000], 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(Config{Models: []ModelFile{{Name: "a", File: "/no/such.gguf"}, {Name: "b", File: cut}}})
	for _, want := range []string{`model "a"`, "does not exist", `model "b"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Open = %v, want it to say %q", err, want)
		}
	}
}
