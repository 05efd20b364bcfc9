package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/runtime/sample"
)

// held is a model whose steps wait: each one ends when the test says so.
type held struct {
	*Model
	steps chan Step     // a step's report, as it ends
	next  chan struct{} // lets the loop go on
	free  sync.Once
}

func openHeld(t *testing.T, o Options) *held {
	h := &held{steps: make(chan Step), next: make(chan struct{})}
	o.OnStep = func(s Step) {
		h.steps <- s
		<-h.next
	}
	h.Model = openTiny(t, o)
	t.Cleanup(h.release)
	return h
}

// release lets steps end by themselves from now on.
func (h *held) release() {
	h.free.Do(func() {
		close(h.next)
		go func() {
			for range h.steps {
			}
		}()
	})
}

// until waits for cond, which sees the model locked.
func (h *held) until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for range 5000 {
		h.mu.Lock()
		ok := cond()
		h.mu.Unlock()
		if ok {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("%s does not happen", what)
}

// A session's step goes before a generation's prompt that waited longer, and
// beside the next token of an answer.
func TestSessionsGoFirst(t *testing.T) {
	h := openHeld(t, Options{DisableDrafts: true})
	var wg sync.WaitGroup
	defer wg.Wait()
	generate := func(prompt ...int32) {
		wg.Go(func() {
			if _, err := h.Generate(t.Context(), Request{Prompt: prompt, MaxTokens: 3, Sampling: sample.Config{Temperature: 2}}, func(Chunk) error { return nil }); err != nil {
				t.Error(err)
			}
		})
	}
	session := func(n int) *Session {
		s, err := h.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			defer s.Close()
			if err := s.Prefill(t.Context(), make([]int32, n)); err != nil {
				t.Error(err)
			}
		})
		return s
	}
	h.mu.Lock()
	h.patience = 10 * time.Second // whoever is slow on this machine is waited for
	h.mu.Unlock()
	generate(1, 2, 3)
	first := <-h.steps
	generate(slices.Repeat([]int32{5}, 100)...) // arrives first
	h.until(t, "a second generation", func() bool { return h.sched.Waiting() == 1 })
	task := session(64).task // what a step holds while the pace is unknown
	h.until(t, "a session", func() bool { return !task.since.IsZero() })
	var got []string
	for s := first; ; s = <-h.steps {
		prompts := s.Prompts
		if len(got) == 2 && prompts > 0 {
			prompts = 100 // or a part of them: how many fit depends on how long a step took
		}
		got = append(got, fmt.Sprintf("%d+%d %v", prompts, s.Answers, s.Urgent))
		if len(got) == 3 {
			break
		}
		h.next <- struct{}{}
	}
	h.release()
	want := []string{"3+0 false", "64+1 true", "100+1 false"}
	if !slices.Equal(got, want) {
		t.Errorf("steps of prompts+answers %q, want %q", got, want)
	}
}

// Answers are written in steps they share, and each is what it would be alone.
func TestBatchedAnswers(t *testing.T) {
	var m *Model
	width := map[int]int{}
	together := false
	m = openTiny(t, Options{OnStep: func(s Step) {
		for began := time.Now(); together && time.Since(began) < 10*time.Second; time.Sleep(time.Millisecond) {
			if now := m.Stats(); now.Running+now.Waiting == 12 { // all have come before the first goes on
				together = false
			}
		}
		width[s.Answers]++
	}})
	request := func(i int) Request {
		return Request{Prompt: slices.Repeat([]int32{1, int32(100 + i)}, 1+10*i), Group: fmt.Sprint(i % 3), MaxTokens: 60, Sampling: sample.Config{Temperature: 1, Seed: uint64(i)}, Logprobs: i%2 == 0}
	}
	var want [12]string
	for i := range want {
		want[i], _, _ = generate(t, m, request(i))
	}
	clear(width)
	m.mu.Lock()
	m.patience = 10 * time.Second // whoever is slow on this machine is waited for
	m.mu.Unlock()
	together = true
	var wg sync.WaitGroup
	for i := range want {
		wg.Go(func() {
			if got, _, _ := generate(t, m, request(i)); got != want[i] {
				t.Errorf("answer %d is %q together and %q alone", i, got, want[i])
			}
		})
	}
	wg.Wait()
	steps, answers := 0, 0
	for n, count := range width {
		steps += count
		answers += n * count
	}
	t.Logf("%d steps hold %d parts of answers: %v", steps, answers, width)
	if answers < 5*steps { // 12 at most; their prompts and answers differ in length, and how fast prompts are read depends on the machine
		t.Errorf("%d steps for %d parts of answers: they do not share", steps, answers)
	}
}

// A client that does not read stops nobody else, and its own answer only.
func TestStalledReader(t *testing.T) {
	m := openTiny(t, Options{})
	stalled, free := make(chan struct{}), make(chan struct{})
	done := make(chan string)
	r := Request{Prompt: []int32{1, 5}, MaxTokens: 30, Sampling: sample.Config{Temperature: 2}}
	want, _, _ := generate(t, m, r)
	go func() {
		got := ""
		_, err := m.Generate(t.Context(), r, func(c Chunk) error {
			if got += c.Text; got == c.Text { // the first
				close(stalled)
				<-free
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		done <- got
	}()
	<-stalled
	for i := range 5 {
		generate(t, m, Request{Prompt: []int32{1, int32(i)}, MaxTokens: 20, Sampling: sample.Config{Temperature: 2}})
	}
	close(free)
	if got := <-done; got != want {
		t.Errorf("it says %q, and %q when its client reads", got, want)
	}
}

// A reader that stalls is waited for once, and not before every step of the others.
func TestStalledReaderIsNotWaitedFor(t *testing.T) {
	var m *Model
	waited := 0
	m = openTiny(t, Options{DisableDrafts: true, OnStep: func(Step) {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.thinking > 0 { // the next step would be late for somebody who was waited for before this one
			waited++
		}
	}})
	r := Request{Prompt: []int32{1, 5}, MaxTokens: 30, Sampling: sample.Config{Temperature: 2}}
	stalled, free, done := make(chan struct{}), make(chan struct{}), make(chan error)
	var once sync.Once
	go func() {
		_, err := m.Generate(t.Context(), r, func(Chunk) error {
			once.Do(func() { close(stalled) })
			<-free
			return nil
		})
		done <- err
	}()
	<-stalled
	generate(t, m, r)
	m.mu.Lock()
	if waited > 0 {
		t.Errorf("in %d steps somebody is still waited for", waited)
	}
	m.mu.Unlock()
	close(free)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Whoever leaves frees its slot and its memory, before anything and amid a step,
// and others do not notice.
func TestLeaving(t *testing.T) {
	m := openTiny(t, Options{Parallel: 2, Queue: 3, Cache: -1})
	r := Request{Prompt: slices.Repeat([]int32{7, 8, 9}, 200), MaxTokens: 20, Sampling: sample.Config{Temperature: 1, Seed: 3}}
	want, _, _ := generate(t, m, r)
	for i := range 60 {
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for j := range 4 {
			wg.Go(func() {
				n := 0
				_, err := m.Generate(ctx, Request{Prompt: make([]int32, 1+100*j), Group: "b"}, func(Chunk) error {
					n++
					return nil
				})
				if !errors.Is(err, context.Canceled) {
					t.Errorf("cancelled: %v", err)
				}
			})
		}
		s, err := m.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			if err := s.Prefill(ctx, make([]int32, 3000)); err == nil && s.Pos() != 3000 || err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("cancelled: %v, at %d", err, s.Pos())
			}
			s.Close()
		})
		time.Sleep(time.Duration(i) * 50 * time.Microsecond)
		if i%3 == 0 {
			wg.Go(func() {
				if got, _, _ := generate(t, m, r); got != want {
					t.Errorf("beside those who leave it says %q, alone %q", got, want)
				}
			})
			time.Sleep(time.Millisecond)
		}
		cancel()
		wg.Wait()
	}
	idle(t, m)
}

// idle fails unless nothing runs, waits, or holds memory.
func idle(t *testing.T, m *Model) {
	t.Helper()
	var s Stats
	for range 2000 {
		if s = m.Stats(); s.Running+s.Waiting == 0 && s.MemoryUsed == 0 {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Errorf("in the end %d run, %d wait, and %d bytes are used", s.Running, s.Waiting, s.MemoryUsed)
}

// Parties of all kinds that come, go and fail leave nothing behind and get what
// they would get alone.
func TestStress(t *testing.T) {
	m := openTiny(t, Options{Parallel: 3, Queue: 30, Memory: 40 * tinyPage, Context: 1000})
	request := func(i int) Request {
		return Request{Prompt: slices.Repeat([]int32{int32(20 + i%3), 30}, 20+20*i), Group: fmt.Sprint(i % 2), MaxTokens: 15, Sampling: sample.Config{Temperature: 1, Seed: uint64(i)}}
	}
	var want [6]string
	for i := range want {
		want[i], _, _ = generate(t, m, request(i))
	}
	var wg sync.WaitGroup
	for worker := range 8 {
		rng := rand.New(rand.NewPCG(uint64(worker), 1))
		wg.Go(func() {
			for range 25 {
				ctx, cancel := context.WithCancel(t.Context())
				after := time.Duration(rng.IntN(3000)) * time.Microsecond
				if rng.IntN(3) == 0 {
					time.AfterFunc(after, cancel)
				}
				if rng.IntN(3) == 0 {
					s, err := m.NewSession()
					if err == nil {
						if err = s.Prefill(ctx, make([]int32, 1+rng.IntN(300))); err == nil {
							_, err = s.Score(ctx, [][]int32{{1, 2}, {3, 4, 5}, {6}})
						}
						s.Close()
					}
					if err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, ErrBusy) {
						t.Error(err)
					}
				} else {
					i := rng.IntN(len(want))
					var got strings.Builder
					res, err := m.Generate(ctx, request(i), func(c Chunk) error {
						got.WriteString(c.Text)
						return nil
					})
					if err == nil && got.String() != want[i] && res.Finish == "stop" || !strings.HasPrefix(want[i], got.String()) {
						t.Errorf("answer %d is %q, alone %q", i, got.String(), want[i])
					}
					if err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, ErrBusy) {
						t.Error(err)
					}
				}
				cancel()
			}
		})
	}
	wg.Wait()
	m.mu.Lock()
	m.cache.Clear()
	m.mu.Unlock()
	idle(t, m)
}

// Whoever uses a model while it is closed gets [ErrClosed], and nobody hangs.
func TestCloseAmidWork(t *testing.T) {
	for i := range 20 {
		m := openTiny(t, Options{Parallel: 2})
		var wg sync.WaitGroup
		for j := range 4 {
			wg.Go(func() {
				_, err := m.Generate(t.Context(), Request{Prompt: make([]int32, 1+50*j)}, func(Chunk) error { return nil })
				if !errors.Is(err, ErrClosed) {
					t.Errorf("a generation ends with %v", err)
				}
			})
		}
		s, err := m.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			for err == nil {
				err = s.Prefill(t.Context(), []int32{1})
			}
			if !errors.Is(err, ErrClosed) && !errors.Is(err, ErrContext) {
				t.Errorf("a session ends with %v", err)
			}
		})
		time.Sleep(time.Duration(i) * 100 * time.Microsecond)
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		wg.Wait()
	}
}
