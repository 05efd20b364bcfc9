package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/sluice-ai/sluice/runtime/engine"
	"github.com/sluice-ai/sluice/runtime/kernel"
	"github.com/sluice-ai/sluice/runtime/sample"
)

// Tokens of the rows, but for models whose context is smaller.
const (
	promptTokens = 512
	judgeTokens  = 200
	startTokens  = 16
	aloneTokens  = 64 // written by one sequence, after one token
	groupPrompt  = 128
	groupTokens  = 32 // written by each of several sequences together
)

// measure adds one round's samples of m to r.
func measure(ctx context.Context, m Model, c Config, r *Report) error {
	p := kernel.NewPool(c.Threads)
	err := roofline(p, r.Samples, c.Least)
	p.Close()
	if err != nil {
		return err
	}
	if c.Cold && m.File != "" {
		if err := cold(ctx, m, c, r.Samples); err != nil {
			return err
		}
	}
	debug.FreeOSMemory()
	before, known := resident()
	resetPeak()
	began := time.Now()
	b, err := open(m, c)
	if err != nil {
		return err
	}
	defer b.model.Close()
	loaded := time.Since(began)
	r.Info = b.model.Info()
	if known {
		r.Samples.add(Before, float64(before))
		if peak, ok := peakResident(); ok {
			r.Samples.add(Peak, float64(peak))
		}
	}
	if err := b.prefill(ctx, startTokens); err != nil {
		return err
	}
	r.Samples.add(Load, loaded.Seconds())
	if slices.Contains(c.Rows, "start") {
		r.Samples.add("start", time.Since(began).Seconds())
	}
	debug.FreeOSMemory() // what opening left behind: a gateway does so when it has started
	if err := b.rows(ctx, c, r.Samples); err != nil {
		return err
	}
	r.roofs()
	return b.contend(ctx, c, r.Samples)
}

// cold opens the model once with nothing of its file in the system's cache.
func cold(ctx context.Context, m Model, c Config, s Samples) error {
	if !dropCache(m.File) {
		return nil
	}
	began := time.Now()
	b, err := open(m, c)
	if err != nil {
		return err
	}
	defer b.model.Close()
	s.add(ColdLoad, time.Since(began).Seconds())
	if err := b.prefill(ctx, startTokens); err != nil {
		return err
	}
	s.add(ColdStart, time.Since(began).Seconds())
	return nil
}

// A bench is an opened model and the steps that it did.
type bench struct {
	model *engine.Model
	limit int // tokens that a sequence may have
	vocab int
	least time.Duration
	rand  *rand.Rand
	greed sample.Config

	mu      sync.Mutex
	steps   []step
	writing int    // how many are to write together
	left    int    // steps in which they still shall
	enough  func() // ends them
}

// A step is one of the engine's, and when it ended.
type step struct {
	engine.Step
	at time.Time
}

func open(m Model, c Config) (*bench, error) {
	b := &bench{least: c.Least, rand: rand.New(rand.NewPCG(1, 2))}
	var err error
	b.model, err = m.Open(engine.Options{
		Threads: c.Threads, KV: c.KV, Unpacked: c.Unpacked, Parallel: 16, Cache: -1, DisableDrafts: true,
		OnStep: func(s engine.Step) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.steps = append(b.steps, step{s, time.Now()})
			if s.Answers == b.writing && s.Prompts == 0 {
				if b.left--; b.left == 0 {
					b.enough()
				}
			}
		},
	})
	if err != nil {
		return nil, err
	}
	i := b.model.Info()
	b.limit, b.vocab = i.Context, i.Vocab
	b.greed.Bias = map[int32]float32{} // random weights end answers as soon as write them
	for _, id := range b.model.Tokenizer().EOGs() {
		b.greed.Bias[id] = -100
	}
	return b, nil
}

// tokens returns n random ones, or as many as leave half of the context.
func (b *bench) tokens(n int) []int32 {
	out := make([]int32, min(n, b.limit/2))
	for i := range out {
		out[i] = b.rand.Int32N(int32(b.vocab))
	}
	return out
}

// prefill reads n tokens in a session of their own.
func (b *bench) prefill(ctx context.Context, n int) error {
	s, err := b.model.NewSession()
	if err != nil {
		return err
	}
	defer s.Close()
	return s.Prefill(ctx, b.tokens(n))
}

// judge reads a prompt and scores two labels.
func (b *bench) judge(ctx context.Context) error {
	s, err := b.model.NewSession()
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.Prefill(ctx, b.tokens(judgeTokens)); err != nil {
		return err
	}
	_, err = s.Score(ctx, [][]int32{b.tokens(1), b.tokens(1)})
	return err
}

// rows measures the rows of c.
func (b *bench) rows(ctx context.Context, c Config, s Samples) error {
	for _, row := range Rows {
		if !slices.Contains(c.Rows, row) {
			continue
		}
		var v float64
		var err error
		switch row {
		case "prefill":
			n := float64(len(b.tokens(promptTokens)))
			if err = b.prefill(ctx, promptTokens); err == nil { // once for the pace of steps, and for buffers
				v, err = b.median(func() error { return b.prefill(ctx, promptTokens) })
				v = n / v
			}
		case "decode":
			v, err = b.decode(ctx, 1)
			if rss, ok := resident(); ok {
				s.add(Resident, float64(rss))
			}
		case "batch4":
			v, err = b.decode(ctx, 4)
		case "batch16":
			v, err = b.decode(ctx, 16)
		case "ttft":
			v, err = b.median(func() error { return b.first(ctx) })
		case "judge":
			v, err = b.median(func() error { return b.judge(ctx) })
		default:
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", row, err)
		}
		s.add(row, v)
	}
	return nil
}

// median returns the median of the seconds that f takes, called for as long as a row
// is measured at least.
func (b *bench) median(f func() error) (float64, error) {
	s := Samples{}
	for began := time.Now(); ; {
		start := time.Now()
		if err := f(); err != nil {
			return 0, err
		}
		s.add("", time.Since(start).Seconds())
		if time.Since(began) >= b.least {
			return s.Median(""), nil
		}
	}
}

// first waits for the first token of an answer.
func (b *bench) first(ctx context.Context) error {
	_, err := b.model.Generate(ctx, engine.Request{Prompt: b.tokens(judgeTokens), MaxTokens: 1, Sampling: b.greed},
		func(engine.Chunk) error { return nil })
	return err
}

var errTooFew = errors.New("the sequences were never all together; the machine is too busy, or their memory too small")

// decode returns how many tokens per second n sequences write together: while all of
// them do, with everything that happens between steps.
func (b *bench) decode(ctx context.Context, n int) (float64, error) {
	prompt, length := groupPrompt, groupTokens
	if n == 1 {
		prompt, length = 1, aloneTokens
	}
	length = min(length, b.limit/8)
	tokens, seconds := 0, 0.0
	for tries := 0; tokens == 0 || seconds < b.least.Seconds(); tries++ {
		if tokens == 0 && tries == 3 {
			return 0, errTooFew
		}
		steps, err := b.generate(ctx, n, prompt, length)
		if err != nil {
			return 0, err
		}
		t, s := together(steps, n)
		tokens, seconds = tokens+t, seconds+s
	}
	return float64(tokens) / seconds, nil
}

// generate has n sequences answer at once until they have written length tokens
// together, and returns the steps that took. The first write while the prompts of
// others are read, so they are not limited to that.
func (b *bench) generate(ctx context.Context, n, prompt, length int) ([]step, error) {
	all, enough := context.WithCancel(ctx)
	defer enough()
	b.mu.Lock()
	b.steps, b.writing, b.left, b.enough = b.steps[:0], n, length+1, enough
	b.mu.Unlock()
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		r := engine.Request{Prompt: b.tokens(prompt), MaxTokens: max(length, b.limit/4), Sampling: b.greed}
		wg.Go(func() {
			_, err := b.model.Generate(all, r, func(engine.Chunk) error { return nil })
			if err != nil && (ctx.Err() != nil || all.Err() == nil) {
				errs[i] = err
			}
		})
	}
	wg.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.steps), errors.Join(errs...)
}

// together returns the tokens that were written from the first step in which n
// answers had part to the last one, and how long that took.
func together(steps []step, n int) (tokens int, seconds float64) {
	first, last := -1, -1
	for i, s := range steps {
		if s.Answers == n && s.Prompts == 0 {
			if first < 0 {
				first = i
			}
			last = i
		}
	}
	if first == last {
		return 0, 0
	}
	for _, s := range steps[first+1 : last+1] {
		tokens += s.Tokens - s.Prompts
	}
	return tokens, steps[last].at.Sub(steps[first].at).Seconds()
}

// roofs adds what share of the rooflines the last round reached.
func (r *Report) roofs() {
	last := func(name string) float64 {
		if v := r.Samples[name]; len(v) > 0 {
			return v[len(v)-1]
		}
		return 0
	}
	i := &r.Info
	if v := last("decode"); v > 0 {
		bytes := float64(i.StepBytes) + float64(i.KVBytes)*aloneTokens/2
		r.Samples.add(ReadSpeed, v*bytes)
		r.Samples.add(ReadShare, v*bytes/last(Read))
	}
	if v := last("prefill"); v > 0 {
		n := float64(min(promptTokens, i.Context/2))
		macs := float64(i.TokenMACs) + float64(i.OutputMACs)/n
		r.Samples.add(DotSpeed, v*macs)
		r.Samples.add(DotShare, v*macs/last(Dots))
	}
}
