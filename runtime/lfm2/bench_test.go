package lfm2

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"testing"

	"github.com/sluice-ai/sluice/runtime/gguf"
	"github.com/sluice-ai/sluice/runtime/quant"
	"github.com/sluice-ai/sluice/runtime/state"
)

var (
	benchModel  = flag.String("model", "", "GGUF file to measure instead of a tiny model")
	benchPacked = flag.Bool("packed", true, "measure with the weights packed")
	benchTokens = flag.Int("tokens", 512, "length of the prompt, and of what decoding follows")
	benchKV     = flag.String("kv", "f16", "type of keys and values to measure with")
)

func benchmarkModel(b *testing.B) *Model {
	if *benchModel == "" {
		m, _ := synthetic(b, tiny)
		return m
	}
	f, err := gguf.Open(*benchModel)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = f.Close() })
	m, err := Load(f)
	if err != nil {
		b.Fatal(err)
	}
	if *benchPacked {
		if err := m.Pack(testPool(b), f.Release); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = m.Close() })
	}
	return m
}

// benchSeq returns an empty sequence that keeps keys and values as -kv says.
func benchSeq(b *testing.B, m *Model) *state.Seq {
	shape := m.Shape()
	var err error
	if shape.KV, err = quant.Parse(*benchKV); err != nil {
		b.Fatal(err)
	}
	return state.New(shape, m.Context)
}

// BenchmarkPrefill reads a prompt in steps of 256.
func BenchmarkPrefill(b *testing.B) {
	m := benchmarkModel(b)
	w := NewWork(m, testPool(b), 256)
	tokens := randomTokens(*benchTokens, m.Vocab, 1)
	logits := make([]float32, m.Vocab)
	for b.Loop() {
		seq := benchSeq(b, m)
		for part := range slices.Chunk(tokens, 256) {
			if err := m.Forward(b.Context(), w, []Span{{seq, part, logits}}); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(len(tokens)*b.N)/b.Elapsed().Seconds(), "tokens/s")
}

// BenchmarkDecode reads one token at a time, n sequences together, from position 128 on unless -tokens says another.
func BenchmarkDecode(b *testing.B) {
	m := benchmarkModel(b)
	for _, n := range []int{1, 4, 16} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := NewWork(m, testPool(b), 256)
			batch := make([]Span, n)
			for i := range batch {
				seq := benchSeq(b, m)
				if err := m.Forward(b.Context(), w, []Span{{seq, randomTokens(128, m.Vocab, uint64(i)), nil}}); err != nil {
					b.Fatal(err)
				}
				batch[i] = Span{seq, []int32{int32(i)}, make([]float32, m.Vocab)}
			}
			for b.Loop() {
				if err := m.Forward(b.Context(), w, batch); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "tokens/s")
		})
	}
}

// BenchmarkOpen loads and packs the file that -model names, which the system has in its
// cache.
func BenchmarkOpen(b *testing.B) {
	if *benchModel == "" {
		b.Skip("no -model")
	}
	pool := testPool(b)
	for b.Loop() {
		f, err := gguf.Open(*benchModel)
		if err != nil {
			b.Fatal(err)
		}
		m, err := Load(f)
		if err != nil {
			b.Fatal(err)
		}
		if err := m.Pack(pool, f.Release); err != nil {
			b.Fatal(err)
		}
		b.SetBytes(f.Size)
		if err := errors.Join(m.Close(), f.Close()); err != nil {
			b.Fatal(err)
		}
	}
}
