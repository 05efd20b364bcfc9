package sample

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// A Config says how to choose tokens. The zero value is greedy decoding.
type Config struct {
	Temperature      float64           // 0 is greedy
	TopK             int               // 0 keeps all
	TopP             float64           // 0 and 1 keep all
	MinP             float64           // 0 keeps all
	RepeatPenalty    float64           // divides positive logits of recent tokens, multiplies negative ones; 0 and 1 do nothing
	FrequencyPenalty float64           // subtracted once per recent occurrence
	PresencePenalty  float64           // subtracted once when there is a recent occurrence
	RepeatLast       int               // how many tokens, of prompt and answer, count as recent. Default 64; -1 is all
	Bias             map[int32]float32 // added to the logits of these tokens; -100 all but bans one, 100 all but forces it
	// MaskedLogprobs has [Sampler.Logprob] and [Sampler.Top] speak of the tokens that
	// the mask allows, whose probabilities sum to 1, and not of all of them.
	MaskedLogprobs bool
	Seed           uint64 // the same seed, logits and Config give the same tokens
}

// Validate reports every field of c that is out of range.
func (c Config) Validate() error {
	var errs []error
	check := func(name string, v, lo, hi float64) {
		if !(v >= lo && v <= hi) { // written so that NaN fails
			errs = append(errs, fmt.Errorf("%s must be between %g and %g, not %g", name, lo, hi, v))
		}
	}
	check("temperature", c.Temperature, 0, 100)
	check("top_k", float64(c.TopK), 0, math.MaxInt32)
	check("top_p", c.TopP, 0, 1)
	check("min_p", c.MinP, 0, 1)
	check("repeat_penalty", c.RepeatPenalty, 0, 100)
	check("frequency_penalty", c.FrequencyPenalty, -100, 100)
	check("presence_penalty", c.PresencePenalty, -100, 100)
	check("repeat_last_n", float64(c.RepeatLast), -1, math.MaxInt32)
	for _, b := range c.Bias {
		check("bias", float64(b), -100, 100)
	}
	return errors.Join(errs...)
}

// A Token is an id and the natural logarithm of its probability.
type Token struct {
	ID      int32
	Logprob float64
}

// A Sampler chooses the tokens of one sequence. It is not safe for concurrent use.
type Sampler struct {
	cfg    Config
	banned []int32
	rng    *rand.Rand

	recent []int32       // ring of the last RepeatLast accepted tokens, or all of them
	next   int           // where the ring continues once it is full
	counts map[int32]int // of the tokens in recent

	raw    []float32 // the row being sampled, a copy without the banned ids
	logits []float32 // raw after the penalties and the mask; raw itself if there are neither
	work   []float32 // the buffer behind logits when it is not raw
	shown  []float32 // the row that Logprob and Top speak of: raw, or a copy with the mask
	only   []float32 // the buffer behind shown when it is not raw
	norm   float64   // log Σ exp(shown), NaN until somebody asks
	cands  []candidate
	top    []Token
}

type candidate struct {
	id    int32
	logit float32
	p     float64
}

// New returns a Sampler for rows of vocab logits. Ids in banned are never
// chosen. It fails if cfg is invalid or every id is banned.
func New(cfg Config, vocab int, banned []int32) (*Sampler, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if vocab <= len(banned) {
		return nil, fmt.Errorf("sampling from %d tokens of which %d are banned", vocab, len(banned))
	}
	cfg.RepeatLast = cmp.Or(cfg.RepeatLast, 64)
	return &Sampler{
		cfg: cfg, banned: banned,
		rng:    rand.New(rand.NewPCG(cfg.Seed, 0x9e3779b97f4a7c15)),
		counts: map[int32]int{},
		raw:    make([]float32, vocab),
	}, nil
}

// penalises reports whether recent tokens matter.
func (s *Sampler) penalises() bool {
	c := s.cfg
	return c.FrequencyPenalty != 0 || c.PresencePenalty != 0 || (c.RepeatPenalty != 0 && c.RepeatPenalty != 1)
}

// Accept records id as part of the sequence, for the penalties. Sample does not
// do it by itself: the prompt is recorded the same way.
func (s *Sampler) Accept(id int32) {
	if !s.penalises() {
		return
	}
	if n := s.cfg.RepeatLast; n > 0 && len(s.recent) == n {
		old := s.recent[s.next]
		if s.counts[old]--; s.counts[old] == 0 {
			delete(s.counts, old)
		}
		s.recent[s.next] = id
		s.next = (s.next + 1) % n
	} else {
		s.recent = append(s.recent, id)
	}
	s.counts[id]++
}

// Sample chooses a token from logits, which it does not change. A row without a
// finite logit, or with a NaN, is an error: the model's output is broken.
func (s *Sampler) Sample(logits []float32) (int32, error) {
	if err := s.read(logits); err != nil {
		return -1, err
	}
	return s.choose(), nil
}

// SampleMasked is Sample among the allowed tokens: bit i%64 of word i/64 is
// token i, and tokens beyond the last word are not allowed. It fails with
// [ErrNoneAllowed] if none is left. Log-probabilities are those of the row
// without the mask, unless Config.MaskedLogprobs asks for the other.
func (s *Sampler) SampleMasked(logits []float32, allowed []uint64) (int32, error) {
	if err := s.read(logits); err != nil {
		return -1, err
	}
	if !s.edits() {
		s.work = append(s.work[:0], s.raw...)
		s.logits = s.work
	}
	mask(s.logits, allowed)
	if s.cfg.MaskedLogprobs {
		s.only = append(s.only[:0], s.raw...)
		mask(s.only, allowed)
		s.shown = s.only
	}
	if math.IsInf(float64(s.logits[ArgMax(s.logits)]), -1) {
		return -1, ErrNoneAllowed
	}
	return s.choose(), nil
}

// ErrNoneAllowed says that a mask allows no token that the model can write.
var ErrNoneAllowed = errors.New("no token is allowed here")

// mask sets the logits of tokens that are not allowed to -Inf.
func mask(logits []float32, allowed []uint64) {
	none := float32(math.Inf(-1))
	for from := 0; from < len(logits); from += 64 {
		word := uint64(0)
		if w := from / 64; w < len(allowed) {
			word = allowed[w]
		}
		if word == math.MaxUint64 {
			continue
		}
		for i := range logits[from:min(from+64, len(logits))] {
			if word>>i&1 == 0 {
				logits[from+i] = none
			}
		}
	}
}

// read takes a row of logits: raw without the banned ids, logits with the penalties.
func (s *Sampler) read(logits []float32) error {
	if len(logits) != len(s.raw) {
		return fmt.Errorf("sampling from %d logits instead of %d", len(logits), len(s.raw))
	}
	copy(s.raw, logits)
	for _, id := range s.banned {
		if uint32(id) < uint32(len(s.raw)) {
			s.raw[id] = float32(math.Inf(-1))
		}
	}
	if !finite(s.raw) {
		return errors.New("the model's output is not a number; the file may be damaged")
	}
	s.norm = math.NaN()
	s.logits, s.shown = s.raw, s.raw
	if s.edits() {
		s.work = append(s.work[:0], s.raw...)
		s.logits = s.work
		s.penalise()
		for id, b := range s.cfg.Bias {
			if uint32(id) < uint32(len(s.logits)) {
				s.logits[id] += b
			}
		}
	}
	return nil
}

// edits reports whether penalties or biases change the row.
func (s *Sampler) edits() bool { return len(s.counts) > 0 || len(s.cfg.Bias) > 0 }

// finite reports whether the highest logit is finite and none is a NaN.
func finite(logits []float32) bool {
	top := logits[ArgMax(logits)]
	for _, l := range logits {
		if l != l {
			return false
		}
	}
	return !math.IsInf(float64(top), 0)
}

func (s *Sampler) penalise() {
	repeat := float32(cmp.Or(s.cfg.RepeatPenalty, 1))
	for id, n := range s.counts {
		if uint32(id) >= uint32(len(s.logits)) {
			continue
		}
		l := s.logits[id]
		if l <= 0 {
			l *= repeat
		} else {
			l /= repeat
		}
		s.logits[id] = l - float32(n)*float32(s.cfg.FrequencyPenalty) - float32(s.cfg.PresencePenalty)
	}
}

func (s *Sampler) choose() int32 {
	if s.cfg.Temperature == 0 || s.cfg.TopK == 1 {
		return ArgMax(s.logits)
	}
	best := ArgMax(s.logits)
	s.filter(float64(s.logits[best]))
	sum := 0.0
	for i := range s.cands {
		c := &s.cands[i]
		c.p = math.Exp((float64(c.logit) - float64(s.logits[best])) / s.cfg.Temperature)
		sum += c.p
	}
	at := s.rng.Float64() * sum
	for _, c := range s.cands {
		if at -= c.p; at < 0 {
			return c.id
		}
	}
	return best // rounding left a crumb
}

// filter fills cands with what top-k, top-p and min-p leave of the logits, whose
// highest is best. The order of cands depends only on the logits and the Config.
func (s *Sampler) filter(best float64) {
	floor := math.Inf(-1)
	if s.cfg.MinP > 0 {
		floor = best + math.Log(s.cfg.MinP)
	}
	k, topP := len(s.logits), s.cfg.TopP > 0 && s.cfg.TopP < 1
	if s.cfg.TopK > 0 {
		k = min(k, s.cfg.TopK)
	}
	switch {
	case k < len(s.logits):
		s.cands = selectTop(s.cands[:0], s.logits, k)
		if topP {
			sum := 0.0
			for _, c := range s.cands {
				sum += math.Exp(float64(c.logit) - best)
			}
			s.cutTopP(best + math.Log(sum))
		}
	case topP: // few tokens usually reach P: look at the likeliest of them first
		norm, _ := LogSumExp(s.logits)
		for n := 256; ; n *= 8 {
			s.cands = selectTop(s.cands[:0], s.logits, min(n, len(s.logits)))
			if s.cutTopP(norm) || n >= len(s.logits) {
				break
			}
		}
	default: // no order needed
		s.cands = s.cands[:0]
		for id, l := range s.logits {
			if float64(l) >= floor && !math.IsInf(float64(l), -1) {
				s.cands = append(s.cands, candidate{id: int32(id), logit: l})
			}
		}
		return
	}
	n := 1
	for n < len(s.cands) && float64(s.cands[n].logit) >= floor {
		n++
	}
	s.cands = s.cands[:n]
}

// cutTopP keeps the fewest of the sorted cands whose probabilities, exp(logit-norm),
// reach TopP. It reports false, changing nothing, if all together do not.
func (s *Sampler) cutTopP(norm float64) bool {
	sum := 0.0
	for i, c := range s.cands {
		if sum += math.Exp(float64(c.logit) - norm); sum >= s.cfg.TopP {
			s.cands = s.cands[:i+1]
			return true
		}
	}
	return false
}

// byLogit orders likeliest first, lowest id on a tie.
func byLogit(a, b candidate) int {
	return cmp.Or(cmp.Compare(b.logit, a.logit), cmp.Compare(a.id, b.id))
}

// selectTop appends the k highest logits to dst as a sorted list. It keeps a
// heap of k with the lowest on top: O(n + m log k), m the times the heap changes.
func selectTop(dst []candidate, logits []float32, k int) []candidate {
	base := len(dst)
	for id, l := range logits {
		if math.IsInf(float64(l), -1) || l != l {
			continue
		}
		c := candidate{id: int32(id), logit: l}
		h := dst[base:]
		switch {
		case len(h) < k:
			dst = append(dst, c)
			if h = dst[base:]; len(h) == k {
				for i := k/2 - 1; i >= 0; i-- {
					sink(h, i)
				}
			}
		case k > 0 && byLogit(c, h[0]) < 0:
			h[0] = c
			sink(h, 0)
		}
	}
	slices.SortFunc(dst[base:], byLogit)
	return dst
}

// sink restores the heap order below h[i]: the least likely of all on top.
func sink(h []candidate, i int) {
	for {
		child := 2*i + 1
		if child >= len(h) {
			return
		}
		if child+1 < len(h) && byLogit(h[child+1], h[child]) > 0 {
			child++
		}
		if byLogit(h[i], h[child]) >= 0 {
			return
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
}

// Logprob returns the natural log-probability of id in the last row given to Sample.
func (s *Sampler) Logprob(id int32) float64 {
	if uint32(id) >= uint32(len(s.raw)) {
		return math.Inf(-1)
	}
	return float64(s.shown[id]) - s.logSum()
}

func (s *Sampler) logSum() float64 {
	if math.IsNaN(s.norm) {
		s.norm, _ = LogSumExp(s.shown)
	}
	return s.norm
}

// Top returns the n likeliest tokens of the last row given to Sample, likeliest
// first. The result is valid until the next call.
func (s *Sampler) Top(n int) []Token {
	s.cands = selectTop(s.cands[:0], s.shown, n)
	s.top = s.top[:0]
	for _, c := range s.cands {
		s.top = append(s.top, Token{c.id, float64(c.logit) - s.logSum()})
	}
	return s.top
}

// ArgMax returns the index of the highest logit, the lowest index on a tie.
func ArgMax(logits []float32) int32 {
	best := 0
	for i, l := range logits {
		if l > logits[best] || logits[best] != logits[best] {
			best = i
		}
	}
	return int32(best)
}

// LogSumExp returns log Σ exp(logits[i]). It reports false if that is not finite.
func LogSumExp(logits []float32) (float64, bool) {
	if len(logits) == 0 {
		return 0, false
	}
	top := logits[ArgMax(logits)]
	sum := 0.0
	for _, l := range logits {
		// Below e⁻⁸⁸ of the top nothing reaches the sum's last bit even 2³² times over.
		if d := l - top; d > -88 || d != d {
			sum += math.Exp(float64(d))
		}
	}
	norm := float64(top) + math.Log(sum)
	return norm, !math.IsNaN(norm) && !math.IsInf(norm, 0)
}
