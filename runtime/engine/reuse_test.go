package engine

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/runtime/chat"
	"github.com/sluice-ai/sluice/runtime/sample"
)

// conversation has a system prompt of some 2,000 tokens and the turns given.
func conversation(turns ...string) []chat.Message {
	all := []chat.Message{{Role: "system", Content: strings.Repeat("Be brief and know what people say. ", 170)}}
	for i, text := range turns {
		all = append(all, chat.Message{Role: []string{"user", "assistant"}[i%2], Content: text})
	}
	return all
}

// A long system prompt is read once: a later request reads less than a twentieth
// of it, in its own words and steps, and says what it would say without the cache.
// Another tenant finds nothing.
func TestPrefixIsReadOnce(t *testing.T) {
	var mu sync.Mutex
	read := 0
	m := openTiny(t, Options{OnStep: func(s Step) { mu.Lock(); read += s.Prompts; mu.Unlock() }})
	none := openTiny(t, Options{Cache: -1})
	ask := func(group string, turns ...string) (tokens int, res Result) {
		t.Helper()
		r := Request{Messages: conversation(turns...), MaxTokens: 8, Group: group, Sampling: sample.Config{Temperature: 1, Seed: 1}}
		want, _, plain := generate(t, none, r)
		mu.Lock()
		read = 0
		mu.Unlock()
		got, _, res := generate(t, m, r)
		if got != want || plain.CachedTokens != 0 || res.PromptTokens != plain.PromptTokens || res.CompletionTokens != plain.CompletionTokens {
			t.Errorf("%q: %q, %+v; without a cache %q, %+v", turns, got, res, want, plain)
		}
		mu.Lock()
		defer mu.Unlock()
		return read, res
	}
	first, res := ask("a", "What do people know?")
	if first < 2000 || first != res.PromptTokens || res.CachedTokens != 0 {
		t.Fatalf("the first reads %d of %d tokens", first, res.PromptTokens)
	}
	for _, turns := range [][]string{{"What do people know?"}, {"Where?"}, {"What do people know?", "Little.", "Why?"}} {
		n, res := ask("a", turns...)
		if n > first/20 || n+res.CachedTokens != res.PromptTokens {
			t.Errorf("%q reads %d of %d tokens, and finds %d", turns, n, res.PromptTokens, res.CachedTokens)
		}
	}
	if n, res := ask("b", "Where?"); n != res.PromptTokens || res.CachedTokens != 0 {
		t.Errorf("another tenant reads %d of %d tokens, and finds %d", n, res.PromptTokens, res.CachedTokens)
	}
	s := m.Stats()
	if s.CacheHits != 3 || s.CacheMisses != 2 || s.CachedTokens < 3*2000 || s.CacheEntries == 0 || s.CacheBytes == 0 {
		t.Errorf("%+v", s)
	}
}

// Prompts that share something else than whole turns share it to the last multiple
// of some hundred tokens; what follows an answer finds the answer.
func TestPlaces(t *testing.T) {
	m := openTiny(t, Options{})
	prompt := make([]int32, 1500)
	for i := range prompt {
		prompt[i] = int32(20 + i*7%500)
	}
	m.unused = append(m.unused, m.tok.EOGs()...)
	ask := func(prompt []int32) (Result, []int32) {
		_, tokens, res := generate(t, m, Request{Prompt: prompt, MaxTokens: 20, Logprobs: true})
		var ids []int32
		for _, tok := range tokens {
			ids = append(ids, tok.ID)
		}
		return res, ids
	}
	_, answer := ask(prompt)
	if res, _ := ask(append(slices.Clone(prompt[:1400]), 5, 6)); res.CachedTokens != 1024 {
		t.Errorf("a prompt that leaves another at 1400 finds %d tokens", res.CachedTokens)
	}
	if res, _ := ask(prompt); res.CachedTokens != 1499 {
		t.Errorf("the same prompt finds %d tokens", res.CachedTokens)
	}
	if len(answer) != 20 {
		t.Fatalf("an answer of %d tokens", len(answer))
	}
	if res, _ := ask(slices.Concat(prompt, answer, []int32{5})); res.CachedTokens != 1519 { // its last token was not read
		t.Errorf("what follows an answer finds %d tokens", res.CachedTokens)
	}
	if res, _ := ask([]int32{20, 27}); res.CachedTokens != 0 {
		t.Errorf("a short prompt finds %d tokens", res.CachedTokens)
	}
}

// What is kept gives way to sequences in use, and never keeps a request out.
func TestCacheGivesWay(t *testing.T) {
	m := openTiny(t, Options{Memory: 30 * tinyPage, Cache: 30 * tinyPage, Context: 3000})
	for i := range 12 {
		generate(t, m, Request{Prompt: slices.Repeat([]int32{int32(20 + i), 30}, 150), MaxTokens: 2})
	}
	if s := m.Stats(); s.CacheBytes < 15*tinyPage || s.MemoryUsed > s.MemoryLimit {
		t.Fatalf("%+v", s)
	}
	s, err := m.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Prefill(t.Context(), make([]int32, 20*128)); err != nil {
		t.Error(err)
	}
	if _, _, res := generate(t, m, Request{Prompt: slices.Repeat([]int32{5, 6}, 200), MaxTokens: 2}); res.CompletionTokens == 0 {
		t.Errorf("%+v", res)
	}
	s.Close()
	m.mu.Lock()
	m.cache.Clear()
	m.mu.Unlock()
	idle(t, m)
}

// cheap makes m believe that steps cost the same however wide, so that whatever
// can be guessed is.
func cheap(m *Model) {
	for n := 1; n <= 64; n++ {
		for range 100 {
			m.costs.Took(n, time.Millisecond)
		}
	}
}

// Guessing changes no token, no draw, no log-probability and no chunk of an
// answer: greedy or drawn, with penalties, with stop strings, in a grammar,
// alone or with others.
func TestDraftsAreExact(t *testing.T) {
	plain, m := openTiny(t, Options{DisableDrafts: true}), openTiny(t, Options{})
	text := strings.Repeat("the people know what the people say and the world ", 12)
	schema := json.RawMessage(`{"type":"array","items":{"enum":["the people know","the people say","the world"]},"minItems":6,"maxItems":12}`)
	var requests []Request
	for seed := range uint64(6) {
		for _, c := range []sample.Config{{}, {Temperature: 0.2, Seed: seed}, {Temperature: 0.7, MinP: 0.15, RepeatPenalty: 1.05, Seed: seed}, {Temperature: 0.5, TopP: 0.8, FrequencyPenalty: 0.1, Seed: seed}} {
			base := Request{Messages: []chat.Message{{Role: "user", Content: text[:100+40*seed]}}, MaxTokens: 70, Sampling: c, Logprobs: seed%2 == 0, TopLogprobs: int(seed % 3)}
			if base.TopLogprobs > 0 {
				base.Logprobs = true
			}
			withSchema, withStop := base, base
			withSchema.Schema, withSchema.Logprobs, withSchema.TopLogprobs = schema, seed == 0, 0
			withStop.Stop = []string{"e", "what the"}[seed%2 : seed%2+1]
			requests = append(requests, base, withSchema, withStop)
		}
	}
	render := func(m *Model, r Request) (out string, res Result) {
		res, err := m.Generate(t.Context(), r, func(c Chunk) error {
			out += fmt.Sprintf("%q", c.Text)
			for _, tok := range c.Tokens {
				out += fmt.Sprint(" ", tok.ID, math.Float64bits(tok.Logprob), len(tok.Top))
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		return fmt.Sprint(out, res.Finish, res.CompletionTokens, res.Invalid), res
	}
	drafted, accepted := 0, 0
	want := make([]string, len(requests))
	for i, r := range requests {
		cheap(m)
		want[i], _ = render(plain, r)
		got, res := render(m, r)
		if got != want[i] {
			t.Errorf("request %d: with guesses\n%s\nwithout\n%s", i, got, want[i])
		}
		drafted += res.Drafted
		accepted += res.Accepted
	}
	t.Logf("%d of %d guessed tokens were right", accepted, drafted)
	if accepted < 50 || accepted == drafted {
		t.Errorf("%d of %d guesses were right: this shows little", accepted, drafted)
	}
	var wg sync.WaitGroup
	for i, r := range requests {
		wg.Go(func() {
			if got, _ := render(m, r); got != want[i] {
				t.Errorf("request %d, with guesses and others\n%s\nwithout\n%s", i, got, want[i])
			}
		})
	}
	wg.Wait()
	if s := m.Stats(); s.Drafted < int64(drafted) || s.Accepted < int64(accepted) {
		t.Errorf("%+v", s)
	}
}

// Several sets of labels have the scores that each has alone, after its lead.
func TestScoreSets(t *testing.T) {
	steps := 0
	m := openTiny(t, Options{OnStep: func(Step) { steps++ }})
	s, err := m.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Prefill(t.Context(), []int32{40, 90, 300}); err != nil {
		t.Fatal(err)
	}
	sets := []Labels{
		{Labels: [][]int32{{20}, {21}}},
		{After: []int32{20}, Labels: [][]int32{{30}, {31, 32}, {31, 33, 34}, {}}},
		{After: []int32{21, 22}, Labels: [][]int32{{30}, {31, 32}}},
	}
	steps = 0
	got, err := s.ScoreSets(t.Context(), sets...)
	if err != nil {
		t.Fatal(err)
	}
	if steps != 1 {
		t.Errorf("%d steps", steps)
	}
	for i, set := range sets {
		c, err := s.Clone()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Prefill(t.Context(), set.After); err != nil {
			t.Fatal(err)
		}
		want, err := c.Score(t.Context(), set.Labels)
		if err != nil {
			t.Fatal(err)
		}
		for j := range want {
			if got[i][j] != want[j] {
				t.Errorf("set %d, label %d: %g, alone %g", i, j, got[i][j], want[j])
			}
		}
		c.Close()
	}
	steps = 0
	if _, err := s.ScoreSets(t.Context(), sets[0]); err != nil || steps != 0 {
		t.Errorf("labels of one token take %d steps, %v", steps, err)
	}
	if _, err := s.ScoreSets(t.Context(), Labels{After: []int32{640}}); err == nil {
		t.Error("a token beyond the vocabulary is read")
	}
}
