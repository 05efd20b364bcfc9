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

	raw   row     // the row being sampled, a copy without the banned ids
	work  row     // raw after the penalties, the biases and the mask
	only  row     // raw after the mask
	from  *row    // what is sampled from: work, or raw if nothing changed it
	shown *row    // what Logprob and Top speak of: raw, or only
	norm  float64 // log Σ exp(shown), NaN until somebody asks
	cands []candidate
	spare []float32 // peaks being sorted out
	sums  []float64 // by block
	top   []Token
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
		raw:    row{logits: make([]float32, vocab)},
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
	if s.from == &s.raw {
		s.work.copy(&s.raw)
		s.from = &s.work
	}
	s.work.mask(allowed)
	if s.cfg.MaskedLogprobs {
		s.only.copy(&s.raw)
		s.only.mask(allowed)
		s.shown = &s.only
	}
	if _, best := s.from.best(); math.IsInf(float64(best), -1) {
		return -1, ErrNoneAllowed
	}
	return s.choose(), nil
}

// ErrNoneAllowed says that a mask allows no token that the model can write.
var ErrNoneAllowed = errors.New("no token is allowed here")

// read takes a row of logits: raw without the banned ids, work with the penalties.
func (s *Sampler) read(logits []float32) error {
	if len(logits) != len(s.raw.logits) {
		return fmt.Errorf("sampling from %d logits instead of %d", len(logits), len(s.raw.logits))
	}
	copy(s.raw.logits, logits)
	for _, id := range s.banned {
		if uint32(id) < uint32(len(logits)) {
			s.raw.logits[id] = float32(math.Inf(-1))
		}
	}
	numbers := s.raw.measure()
	if _, best := s.raw.best(); !numbers || math.IsInf(float64(best), 0) {
		return errors.New("the model's output is not a number; the file may be damaged")
	}
	s.norm = math.NaN()
	s.from, s.shown = &s.raw, &s.raw
	if s.edits() {
		s.work.copy(&s.raw)
		s.from = &s.work
		s.edit()
	}
	return nil
}

// edits reports whether penalties or biases change the row.
func (s *Sampler) edits() bool { return len(s.counts) > 0 || len(s.cfg.Bias) > 0 }

// edit applies penalties and biases to work.
func (s *Sampler) edit() {
	w := &s.work
	repeat := float32(cmp.Or(s.cfg.RepeatPenalty, 1))
	for id, n := range s.counts {
		if uint32(id) >= uint32(len(w.logits)) {
			continue
		}
		l := w.logits[id]
		if l <= 0 {
			l *= repeat
		} else {
			l /= repeat
		}
		w.logits[id] = l - float32(n)*float32(s.cfg.FrequencyPenalty) - float32(s.cfg.PresencePenalty)
	}
	for id, b := range s.cfg.Bias {
		if uint32(id) < uint32(len(w.logits)) {
			w.logits[id] += b
		}
	}
	for id := range s.counts {
		if uint32(id) < uint32(len(w.logits)) {
			w.peak(int(id) / blockLen)
		}
	}
	for id := range s.cfg.Bias {
		if uint32(id) < uint32(len(w.logits)) {
			w.peak(int(id) / blockLen)
		}
	}
}

func (s *Sampler) choose() int32 {
	id, best := s.from.best()
	if s.cfg.Temperature == 0 || s.cfg.TopK == 1 {
		return id
	}
	floor := float32(math.Inf(-1))
	if s.cfg.MinP > 0 {
		floor = float32(float64(best) + math.Log(s.cfg.MinP))
	}
	if (s.cfg.TopK == 0 || s.cfg.TopK >= len(s.from.logits)) && (s.cfg.TopP == 0 || s.cfg.TopP == 1) {
		return s.draw(id, best, floor)
	}
	s.filter(best, floor)
	sum := 0.0
	for i := range s.cands {
		c := &s.cands[i]
		c.p = math.Exp((float64(c.logit) - float64(best)) / s.cfg.Temperature)
		sum += c.p
	}
	at := s.rng.Float64() * sum
	for _, c := range s.cands {
		if at -= c.p; at < 0 {
			return c.id
		}
	}
	return id // rounding left a crumb
}

// draw chooses among the logits that are at least floor, of which id has the
// highest, best. It needs no list of them: sums of blocks say in which one to look.
func (s *Sampler) draw(id int32, best, floor float32) int32 {
	r, scale := s.from, 1/s.cfg.Temperature
	floor = max(floor, float32(float64(best)-negligible*s.cfg.Temperature))
	if len(s.sums) != len(r.peaks) {
		s.sums = make([]float64, len(r.peaks))
	}
	total := 0.0
	for b, peak := range r.peaks {
		s.sums[b] = 0
		if peak < floor {
			continue
		}
		for _, l := range r.block(b) {
			if l >= floor {
				s.sums[b] += exp(float64(l-best) * scale)
			}
		}
		total += s.sums[b]
	}
	at := s.rng.Float64() * total
	for b, sum := range s.sums {
		if at >= sum {
			at -= sum
			continue
		}
		last := id
		for i, l := range r.block(b) {
			if l >= floor {
				last = int32(b*blockLen + i)
				if at -= exp(float64(l-best) * scale); at < 0 {
					break
				}
			}
		}
		return last
	}
	return id // rounding left a crumb
}

// filter fills cands with what top-k, top-p and min-p leave of the logits, whose
// highest is best. Their order depends only on the logits and the Config. Floor is
// min-p as a logit.
func (s *Sampler) filter(best, floor float32) {
	k, topP := len(s.from.logits), s.cfg.TopP > 0 && s.cfg.TopP < 1
	if s.cfg.TopK > 0 {
		k = min(k, s.cfg.TopK)
	}
	if s.spare == nil {
		s.spare = make([]float32, 0, len(s.from.peaks))
	}
	switch {
	case k < len(s.from.logits):
		s.cands = s.from.top(s.cands[:0], k, s.spare)
		if topP {
			sum := 0.0
			for _, c := range s.cands {
				sum += math.Exp(float64(c.logit - best))
			}
			s.cutTopP(float64(best) + math.Log(sum))
		}
	default: // few tokens usually reach P: look at the likeliest of them first
		norm, _ := s.from.logSumExp(best)
		s.cands = s.from.top(s.cands[:0], min(usualTopP, k), s.spare)
		if !s.cutTopP(norm) {
			s.cands = s.from.from(s.cands[:0], best-negligible)
			for i := range s.cands {
				s.cands[i].p = exp(float64(s.cands[i].logit - best))
			}
			s.cands = s.cands[:reach(s.cands, s.cfg.TopP*math.Exp(norm-float64(best)))]
		}
	}
	s.cands = slices.DeleteFunc(s.cands, func(c candidate) bool { return c.logit < floor })
}

// usualTopP is how many tokens are sorted to see whether they reach P.
const usualTopP = 256

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

// Logprob returns the natural log-probability of id in the last row given to Sample.
func (s *Sampler) Logprob(id int32) float64 {
	if uint32(id) >= uint32(len(s.raw.logits)) {
		return math.Inf(-1)
	}
	return float64(s.shown.logits[id]) - s.logSum()
}

func (s *Sampler) logSum() float64 {
	if math.IsNaN(s.norm) {
		_, best := s.shown.best()
		s.norm, _ = s.shown.logSumExp(best)
	}
	return s.norm
}

// Top returns the n likeliest tokens of the last row given to Sample, likeliest
// first. The result is valid until the next call.
func (s *Sampler) Top(n int) []Token {
	if s.spare == nil {
		s.spare = make([]float32, 0, len(s.raw.peaks))
	}
	s.cands = s.shown.top(s.cands[:0], n, s.spare)
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
