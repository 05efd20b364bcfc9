package entities

import (
	"context"
	_ "embed"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"sync"
	"unicode/utf8"
)

// The tagger is a linear-chain CRF over words, shapes and neighbours: what can be known of an entity
// from its wording, in microseconds a word and without a model. train/tagger.py fits it.

//go:embed tagger.bin
var taggerFile []byte

// theTagger is unpacked when it is first needed.
var theTagger = sync.OnceValue(func() *tagger { return readTagger(taggerFile) })

// A tagger has a weight for features and labels, and for each step from a label to the next.
// Label 0 is none; 1+2k begins an entity of Types[k], 2+2k goes on with it.
type tagger struct {
	scale  float32
	step   [][]float32 // from, to; -Inf where impossible
	chance [][]float64 // their exponentials
	// Features, sorted by key. Those whose keys begin with the 16 bits h are first[h] to first[h+1];
	// of feature i, labels and weights are at[i] to at[i+1].
	first  []uint32
	keys   []uint32
	at     []uint32
	labels []byte
	weight []byte // int8
}

var impossible = float32(math.Inf(-1))

// readTagger reads what train/tagger.py writes, little-endian: "SLTG", version, scale (float32), the number n of labels, n×n float32
// of steps (row: from), the number of features, their keys in order (CRC-32 of their text), a byte each for how many
// labels they weigh for, those labels, a byte each, and their weights, a signed byte each.
func readTagger(file []byte) *tagger {
	damaged := func() { panic(fmt.Sprintf("entities: the embedded tagger is damaged: %d bytes", len(file))) }
	n := 1 + 2*len(Types)
	head := 16 + 4*n*n + 4
	word := func(at int) uint32 { return binary.LittleEndian.Uint32(file[at:]) }
	if len(file) < head || string(file[:4]) != "SLTG" || word(4) != 1 || int(word(12)) != n {
		damaged()
	}
	t := &tagger{scale: math.Float32frombits(word(8)), step: make([][]float32, n), chance: make([][]float64, n), first: make([]uint32, 1<<16+1)}
	for i := range t.step {
		t.step[i], t.chance[i] = make([]float32, n), make([]float64, n)
		for j := range t.step[i] {
			t.step[i][j] = math.Float32frombits(word(16 + 4*(i*n+j)))
			t.chance[i][j] = math.Exp(float64(t.step[i][j]))
		}
	}
	features := int(word(head - 4))
	if features > (len(file)-head)/5 {
		damaged()
	}
	t.keys, t.at = make([]uint32, features), make([]uint32, features+1)
	counts := file[head+4*features:]
	for i := range t.keys {
		t.keys[i] = word(head + 4*i)
		t.first[t.keys[i]>>16+1]++
		t.at[i+1] = t.at[i] + uint32(counts[i])
	}
	for h := range 1 << 16 {
		t.first[h+1] += t.first[h]
	}
	pairs := int(t.at[features])
	if len(counts) != features+2*pairs {
		damaged()
	}
	t.labels, t.weight = counts[features:features+pairs], counts[features+pairs:]
	for _, l := range t.labels {
		if int(l) >= n {
			damaged()
		}
	}
	return t
}

// weigh adds the weights of a feature to sums.
func (t *tagger) weigh(key uint32, sums []int32) {
	for i := t.first[key>>16]; i < t.first[key>>16+1]; i++ {
		if t.keys[i] != key {
			continue
		}
		for k := t.at[i]; k < t.at[i+1]; k++ {
			sums[t.labels[k]] += int32(int8(t.weight[k]))
		}
	}
}

// emissions returns what each token alone says for each label.
func (t *tagger) emissions(at []token) [][]float32 {
	n := len(t.step)
	flat, sums := make([]float32, len(at)*n), make([]int32, n)
	out := make([][]float32, len(at))
	r := reader{at: at, add: func(key uint32) { t.weigh(key, sums) }}
	for i := range at {
		clear(sums)
		r.features(i)
		out[i] = flat[i*n : (i+1)*n]
		for k, s := range sums {
			out[i][k] = t.scale * float32(s)
		}
	}
	return out
}

// best returns the likeliest labels.
func (t *tagger) best(emissions [][]float32) []int {
	n := len(t.step)
	now, next := make([]float32, n), make([]float32, n)
	copy(now, emissions[0])
	for k := 2; k < n; k += 2 {
		now[k] = impossible // nothing to go on with
	}
	back, flat := make([][]byte, len(emissions)), make([]byte, n*len(emissions))
	for i, e := range emissions[1:] {
		back[i+1] = flat[i*n : (i+1)*n]
		for to := range next {
			from := 0
			for k := range now {
				if now[k]+t.step[k][to] > now[from]+t.step[from][to] {
					from = k
				}
			}
			back[i+1][to], next[to] = byte(from), now[from]+t.step[from][to]+e[to]
		}
		now, next = next, now
	}
	out := make([]int, len(emissions))
	last := len(out) - 1
	for k := range now {
		if now[k] > now[out[last]] {
			out[last] = k
		}
	}
	for i := last; i > 0; i-- {
		out[i-1] = int(back[i][out[i]])
	}
	return out
}

// Tag finds the entities of text without a model, in the order of the text.
// Score is the tagger's own probability of exactly this span and type; docs/evaluation.md
// says how often it is right. It fails when ctx ends, and is safe for concurrent use.
func Tag(ctx context.Context, text string) ([]Entity, error) {
	var found []Entity
	runes := 0
	for _, w := range windows(text, tagWindow) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		for _, e := range theTagger().tag(w) {
			e.Start, e.End = e.Start+runes, e.End+runes
			found = append(found, e)
		}
		runes += utf8.RuneCountInString(w)
	}
	return found, nil
}

const tagWindow = 4000 // code points that are looked at together

func (t *tagger) tag(text string) []Entity {
	at := tokens(text)
	if len(at) == 0 {
		return nil
	}
	emissions := t.emissions(at)
	labels := t.best(emissions)
	var found []Entity
	var chances *chain
	runes, counted := 0, 0
	for i := 0; i < len(at); i++ {
		if labels[i] == 0 {
			continue
		}
		end := i + 1
		for end < len(at) && labels[end] == labels[i]+1 {
			end++
		}
		if chances == nil {
			chances = t.chances(emissions)
		}
		s := text[at[i].start:at[end-1].end]
		runes += utf8.RuneCountInString(text[counted:at[i].start])
		counted = at[i].start
		found = append(found, Entity{Type: Types[(labels[i]-1)/2], Text: s, Start: runes, End: runes + utf8.RuneCountInString(s), Score: chances.span(labels[i], i, end)})
		i = end - 1
	}
	return found
}

// A chain holds the sums over all ways to label the tokens up to one, and from one on (forward and backward), as parts of
// the sum up to that token, which keeps them within what a float64 holds.
type chain struct {
	t               *tagger
	odds            [][]float64 // of labels, by the token alone
	forward, behind [][]float64
	size            []float64 // by how much each token's forward sums were divided
}

func (t *tagger) chances(emissions [][]float32) *chain {
	n, last := len(t.step), len(emissions)-1
	flat := make([]float64, 3*n*len(emissions))
	rows := func() [][]float64 {
		out := make([][]float64, len(emissions))
		for i := range out {
			out[i], flat = flat[:n:n], flat[n:]
		}
		return out
	}
	c := &chain{t: t, odds: rows(), forward: rows(), behind: rows(), size: make([]float64, len(emissions))}
	for i, e := range emissions {
		most := slices.Max(e)
		for k, x := range e {
			c.odds[i][k] = math.Exp(float64(x - most))
		}
		f := c.forward[i]
		for to := range f {
			if i == 0 {
				if to == 0 || to%2 == 1 {
					f[to] = c.odds[0][to]
				}
				continue
			}
			for from, p := range c.forward[i-1] {
				f[to] += p * t.chance[from][to]
			}
			f[to] *= c.odds[i][to]
		}
		for _, p := range f {
			c.size[i] += p
		}
		for to := range f {
			f[to] /= c.size[i]
		}
	}
	for from := range n {
		c.behind[last][from] = 1
	}
	for i := last - 1; i >= 0; i-- {
		for from := range n {
			for to, p := range c.behind[i+1] {
				c.behind[i][from] += t.chance[from][to] * c.odds[i+1][to] * p
			}
			c.behind[i][from] /= c.size[i+1]
		}
	}
	return c
}

// span returns the probability that exactly the tokens from i to end, exclusive, are an entity that label begins.
func (c *chain) span(label, i, end int) float64 {
	p, in, on := c.forward[i][label], label, label+1
	for j := i + 1; j < end; j++ {
		p *= c.t.chance[in][on] * c.odds[j][on] / c.size[j]
		in = on
	}
	if end == len(c.odds) {
		return p
	}
	after := 0.0 // whatever follows but what would go on with it
	for to, q := range c.behind[end] {
		if to != on {
			after += c.t.chance[in][to] * c.odds[end][to] * q
		}
	}
	return p * after / c.size[end]
}
