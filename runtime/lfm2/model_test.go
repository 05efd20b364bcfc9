package lfm2

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sluice-ai/sluice/runtime/gguf"
	"github.com/sluice-ai/sluice/runtime/quant"
	"github.com/sluice-ai/sluice/runtime/state"
	"github.com/sluice-ai/sluice/runtime/synth"
)

var tiny = synth.Config{Size: "tiny", Type: "f32", Seed: 11}

func randomTokens(n, vocab int, seed uint64) []int32 {
	rng := rand.New(rand.NewPCG(seed, 5))
	out := make([]int32, n)
	for i := range out {
		out[i] = rng.Int32N(int32(vocab))
	}
	return out
}

// run reads tokens in chunks of the given sizes (the last one repeats) and
// returns the logits after every token.
func run(tb testing.TB, m *Model, w *Work, seq *state.Seq, tokens []int32, sizes ...int) []float32 {
	tb.Helper()
	var all []float32
	for i := 0; len(tokens) > 0; i++ {
		n := min(sizes[min(i, len(sizes)-1)], len(tokens))
		logits := make([]float32, n*m.Vocab)
		if err := m.Forward(context.Background(), w, []Span{{seq, tokens[:n], logits}}); err != nil {
			tb.Fatal(err)
		}
		all = append(all, logits...)
		tokens = tokens[n:]
	}
	return all
}

func farthest(x, y []float32) float64 {
	worst := 0.0
	for i := range x {
		worst = max(worst, math.Abs(float64(x[i])-float64(y[i])))
	}
	return worst
}

// naive is section 2 of the reference, in float64, one loop per sum, with no
// state: it recomputes everything from the tokens. It reads the file directly.
type naive struct {
	f *gguf.File
	Config
}

func (n naive) matrix(name string) (w [][]float64) {
	t := n.f.Tensor(name)
	v := make([]float32, t.Elements())
	if err := quant.Dequantize(t.Type, v, t.Data); err != nil {
		panic(err)
	}
	for row := range slices.Chunk(v, t.Dims[0]) {
		r := make([]float64, len(row))
		for i, x := range row {
			r[i] = float64(x)
		}
		w = append(w, r)
	}
	return w
}

// times returns x Wᵀ.
func times(x [][]float64, w [][]float64) (y [][]float64) {
	for _, row := range x {
		out := make([]float64, len(w))
		for o := range w {
			for i := range row {
				out[o] += row[i] * w[o][i]
			}
		}
		y = append(y, out)
	}
	return y
}

func rms(x, w []float64) []float64 {
	sum := 0.0
	for _, v := range x {
		sum += v * v
	}
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = v / math.Sqrt(sum/float64(len(x))+1e-5) * w[i]
	}
	return out
}

func (n naive) forward(tokens []int32) [][]float64 {
	embed := n.matrix("token_embd.weight")
	var h [][]float64
	for _, id := range tokens {
		h = append(h, slices.Clone(embed[id]))
	}
	normed := func(name string) (out [][]float64) {
		w := n.matrix(name)[0]
		for _, row := range h {
			out = append(out, rms(row, w))
		}
		return out
	}
	add := func(y [][]float64) {
		for t := range h {
			for i := range h[t] {
				h[t][i] += y[t][i]
			}
		}
	}
	for l := range n.Layers {
		blk := fmt.Sprintf("blk.%d.", l)
		u := normed(blk + "attn_norm.weight")
		if n.KVHeads[l] == 0 {
			add(n.conv(blk, u))
		} else {
			add(n.attention(blk, u, n.KVHeads[l]))
		}
		u = normed(blk + "ffn_norm.weight")
		if n.sparse(l) {
			add(n.experts(blk, u))
			continue
		}
		gate, up := times(u, n.matrix(blk+"ffn_gate.weight")), times(u, n.matrix(blk+"ffn_up.weight"))
		for t := range gate {
			for i, g := range gate[t] {
				gate[t][i] = g / (1 + math.Exp(-g)) * up[t][i]
			}
		}
		add(times(gate, n.matrix(blk+"ffn_down.weight")))
	}
	if n.f.Tensor("output.weight") != nil {
		embed = n.matrix("output.weight")
	}
	return times(normed("token_embd_norm.weight"), embed)
}

func (n naive) conv(blk string, u [][]float64) [][]float64 {
	bcx, taps := times(u, n.matrix(blk+"shortconv.in_proj.weight")), n.matrix(blk+"shortconv.conv.weight")
	d, k := n.Dim, n.Taps
	var y [][]float64
	for t := range u {
		out := make([]float64, d)
		for c := range d {
			z := 0.0
			for j := range k {
				if from := t - (k - 1) + j; from >= 0 {
					z += taps[c][j] * bcx[from][c] * bcx[from][2*d+c] // B * x
				}
			}
			out[c] = bcx[t][d+c] * z // C
		}
		y = append(y, out)
	}
	return times(y, n.matrix(blk+"shortconv.out_proj.weight"))
}

func (n naive) attention(blk string, u [][]float64, kv int) [][]float64 {
	hd := n.HeadDim
	heads := func(name, norm string, count int, rotate bool) [][][]float64 { // [t][head][hd]
		x := times(u, n.matrix(blk+name))
		out := make([][][]float64, len(x))
		for t := range x {
			for h := range count {
				v := slices.Clone(x[t][h*hd : (h+1)*hd])
				if rotate {
					v = rms(v, n.matrix(blk + norm)[0])
					r := make([]float64, hd)
					for i := range hd / 2 {
						a := float64(t) * math.Pow(n.Theta, -2*float64(i)/float64(hd))
						r[i] = v[i]*math.Cos(a) - v[i+hd/2]*math.Sin(a)
						r[i+hd/2] = v[i+hd/2]*math.Cos(a) + v[i]*math.Sin(a)
					}
					v = r
				}
				out[t] = append(out[t], v)
			}
		}
		return out
	}
	q := heads("attn_q.weight", "attn_q_norm.weight", n.Heads, true)
	k := heads("attn_k.weight", "attn_k_norm.weight", kv, true)
	v := heads("attn_v.weight", "", kv, false)
	var y [][]float64
	for t := range u {
		out := make([]float64, n.Heads*hd)
		for h := range n.Heads {
			g := h / (n.Heads / kv)
			weights, sum := make([]float64, t+1), 0.0
			for s := range t + 1 {
				dot := 0.0
				for i := range hd {
					dot += q[t][h][i] * k[s][g][i]
				}
				weights[s] = math.Exp(dot / math.Sqrt(float64(hd)))
				sum += weights[s]
			}
			for s, w := range weights {
				for i := range hd {
					out[h*hd+i] += w / sum * v[s][g][i]
				}
			}
		}
		y = append(y, out)
	}
	return times(y, n.matrix(blk+"attn_output.weight"))
}

// The forward pass agrees with the naive one at every position.
func TestAgainstNaive(t *testing.T) {
	for _, c := range []synth.Config{tiny, tinyMoE, {Size: "tiny", Type: "f32", Seed: 21, Untied: true}} {
		m, file := synthetic(t, c)
		f, err := gguf.Parse(file)
		if err != nil {
			t.Fatal(err)
		}
		tokens := randomTokens(24, m.Vocab, 1)
		want := naive{f, m.Config}.forward(tokens)
		got := run(t, m, NewWork(m, testPool(t), 64), state.New(m.Shape(), 64), tokens, 64)
		for i, row := range want {
			for id, v := range row {
				if g := float64(got[i*m.Vocab+id]); math.Abs(g-v) > 1e-4 {
					t.Fatalf("%+v: position %d, id %d: logit %g, want %g", c, i, id, g, v)
				}
			}
		}
	}
}

// variants are the models of the metamorphic tests.
func variants() (all []synth.Config) {
	for _, size := range []string{"tiny", "tinymoe"} {
		for _, typ := range []string{"f32", "bf16", "q8_0", "q4_0", "q4_k_m"} {
			all = append(all, synth.Config{Size: size, Type: typ, Seed: 12, Untied: typ == "q8_0"})
		}
	}
	return all
}

// Cutting a prompt into chunks of any sizes changes no bit of the logits, across
// page borders and the work's limit. Nor does reading on from a clone.
func TestChunksAndClones(t *testing.T) {
	for _, c := range variants() {
		t.Run(c.Size+"-"+c.Type, func(t *testing.T) {
			m, _ := synthetic(t, c)
			w := NewWork(m, testPool(t), 400)
			tokens := randomTokens(300, m.Vocab, 2)
			want := run(t, m, w, state.New(m.Shape(), 400), tokens, 400)
			for _, sizes := range [][]int{{1}, {2}, {127, 1, 1, 64}, {128}, {299, 1}, {7, 250}} {
				got := run(t, m, w, state.New(m.Shape(), 400), tokens, sizes...)
				if d := farthest(got, want); d != 0 {
					t.Errorf("chunks of %v: logits differ by %g", sizes, d)
				}
			}
			for _, fork := range []int{1, 100, 128, 257} {
				seq := state.New(m.Shape(), 400)
				run(t, m, w, seq, tokens[:fork], 400)
				clone := seq.Clone()
				run(t, m, w, seq, randomTokens(40, m.Vocab, 99), 7) // must not disturb the clone
				got := run(t, m, w, clone, tokens[fork:], 33)
				if d := farthest(got, want[fork*m.Vocab:]); d != 0 {
					t.Errorf("clone at %d: logits differ by %g", fork, d)
				}
			}
		})
	}
}

// Going back to a mark, or on from a snapshot of one, changes no bit either.
func TestMarks(t *testing.T) {
	for _, c := range variants() {
		t.Run(c.Size+"-"+c.Type, func(t *testing.T) {
			m, _ := synthetic(t, c)
			w := NewWork(m, testPool(t), 400)
			tokens := randomTokens(150, m.Vocab, 2)
			want := run(t, m, w, state.New(m.Shape(), 400), tokens, 400)
			for _, back := range []int{1, 2, 7, 128} {
				seq := state.New(m.Shape(), 400)
				seq.Mark(1, 2, 7, 128)
				run(t, m, w, seq, slices.Concat(tokens[:back], randomTokens(10, m.Vocab, 9)), 400)
				snap, err := seq.Snapshot(back)
				if err == nil {
					err = seq.Rewind(back)
				}
				if err != nil {
					t.Fatal(err)
				}
				for _, s := range []*state.Seq{seq, snap.Clone()} {
					if d := farthest(run(t, m, w, s, tokens[back:], 400), want[back*m.Vocab:]); d != 0 {
						t.Errorf("on from %d: logits differ by %g", back, d)
					}
				}
			}
		})
	}
}

// What shares a batch with a sequence does not change a bit of it.
func TestBatch(t *testing.T) {
	for _, c := range variants() {
		t.Run(c.Size+"-"+c.Type, func(t *testing.T) { testBatch(t, c) })
	}
}

func testBatch(t *testing.T, c synth.Config) {
	m, _ := synthetic(t, c)
	w := NewWork(m, testPool(t), 64)
	type one struct {
		tokens []int32
		rows   int
		seq    *state.Seq
		want   []float32
	}
	var all []one
	var batch []Span
	for i, n := range []int{1, 17, 5, 9} {
		o := one{tokens: randomTokens(n+3, m.Vocab, uint64(i)), rows: []int{1, 0, 5, 2}[i]}
		fresh := state.New(m.Shape(), 64)
		o.want = run(t, m, w, fresh, o.tokens, 64)
		o.seq = state.New(m.Shape(), 64)
		run(t, m, w, o.seq, o.tokens[:3], 64) // the batch begins in the middle
		all = append(all, o)
		batch = append(batch, Span{o.seq, o.tokens[3:], make([]float32, o.rows*m.Vocab)})
	}
	if err := m.Forward(t.Context(), w, batch); err != nil {
		t.Fatal(err)
	}
	for i, o := range all {
		want := o.want[len(o.want)-o.rows*m.Vocab:]
		if d := farthest(batch[i].Logits, want); d != 0 {
			t.Errorf("sequence %d: logits differ by %g", i, d)
		}
		if o.seq.Pos() != len(o.tokens) {
			t.Errorf("sequence %d is at %d", i, o.seq.Pos())
		}
	}
}

// A kernel size other than three takes another path.
func TestConvStepTaps(t *testing.T) {
	const d = 5
	rng := rand.New(rand.NewPCG(1, 1))
	for _, k := range []int{2, 3, 4, 7} {
		taps, past := make([]float32, k*d), make([]float32, (k-1)*d)
		for i := range taps {
			taps[i] = rng.Float32() - 0.5
		}
		var s [][]float32 // B*x of every step
		for step := range 12 {
			bcx, dst := make([]float32, 3*d), make([]float32, d)
			for i := range bcx {
				bcx[i] = rng.Float32() - 0.5
			}
			s = append(s, make([]float32, d))
			for c := range d {
				s[step][c] = bcx[c] * bcx[2*d+c]
			}
			convStep(dst, bcx, taps, past, 0, 2)
			convStep(dst, bcx, taps, past, 2, d)
			for c := range d {
				want := float32(0)
				for j := range k {
					if from := step - (k - 1) + j; from >= 0 {
						want += taps[j*d+c] * s[from][c]
					}
				}
				if want *= bcx[d+c]; math.Abs(float64(dst[c]-want)) > 1e-6 {
					t.Fatalf("K=%d step %d channel %d: %g, want %g", k, step, c, dst[c], want)
				}
			}
		}
	}
}

func TestForwardRefuses(t *testing.T) {
	m, _ := synthetic(t, tiny)
	other, _ := synthetic(t, tiny)
	w := NewWork(m, testPool(t), 8)
	seq := state.New(m.Shape(), 10)
	run(t, m, w, seq, []int32{1, 2, 3, 4, 5}, 8)
	vocab := int32(m.Vocab)
	row := make([]float32, m.Vocab)
	for name, batch := range map[string][]Span{
		"token":       {{seq, []int32{vocab}, nil}},
		"negative":    {{seq, []int32{-1}, nil}},
		"batch":       {{seq, make([]int32, 9), nil}},
		"context":     {{seq, make([]int32, 6), nil}},
		"logits-size": {{seq, []int32{1}, row[1:]}},
		"logits-rows": {{seq, []int32{1}, make([]float32, 2*m.Vocab)}},
		"twice":       {{seq, []int32{1}, nil}, {seq, []int32{2}, nil}},
	} {
		if err := m.Forward(t.Context(), w, batch); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := m.Forward(t.Context(), w, []Span{{seq, make([]int32, 6), nil}}); !errors.Is(err, state.ErrContext) {
		t.Errorf("a full context gives %v", err)
	}
	if err := other.Forward(t.Context(), w, []Span{{seq, []int32{1}, nil}}); err == nil {
		t.Error("a foreign Work was accepted")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := m.Forward(ctx, w, []Span{{seq, []int32{1}, nil}}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled pass gives %v", err)
	}
	if seq.Pos() != 5 {
		t.Errorf("the sequence is at %d after failures", seq.Pos())
	}
}

// A pass that is cancelled in the middle leaves the sequence as it was.
func TestCancelledPass(t *testing.T) {
	m, _ := synthetic(t, tiny)
	w := NewWork(m, testPool(t), 64)
	tokens := randomTokens(40, m.Vocab, 3)
	want := run(t, m, w, state.New(m.Shape(), 64), tokens, 20, 1)
	seq := state.New(m.Shape(), 64)
	run(t, m, w, seq, tokens[:20], 64)
	for layers := range m.Layers {
		ctx := &dies{Context: t.Context(), after: layers}
		if err := m.Forward(ctx, w, []Span{{seq, randomTokens(9, m.Vocab, 7), nil}}); !errors.Is(err, context.Canceled) {
			t.Fatalf("after %d layers: %v", layers, err)
		}
	}
	got := run(t, m, w, seq, tokens[20:], 1)
	if d := farthest(got, want[20*m.Vocab:]); d != 0 {
		t.Errorf("logits differ by %g after cancelled passes", d)
	}
}

// dies is a context that is cancelled after Err was asked so many times.
type dies struct {
	context.Context
	after int
}

func (d *dies) Err() error {
	if d.after--; d.after < 0 {
		return context.Canceled
	}
	return nil
}

func TestDecodeDoesNotAllocate(t *testing.T) {
	for _, c := range []synth.Config{
		{Type: "f32"}, {Type: "f16"}, {Type: "q8_0"}, {Type: "q4_0"}, {Size: "tinymoe", Type: "f16"}, {Size: "tinymoe", Type: "q4_0"},
	} {
		m, _ := synthetic(t, c)
		w := NewWork(m, testPool(t), 16)
		seq := state.New(m.Shape(), 1000)
		if err := seq.Reserve(1000); err != nil {
			t.Fatal(err)
		}
		batch := []Span{{seq, []int32{5}, make([]float32, m.Vocab)}}
		step := func() {
			if err := m.Forward(t.Context(), w, batch); err != nil {
				t.Fatal(err)
			}
		}
		for range 500 {
			step()
		}
		if n := testing.AllocsPerRun(200, step); n != 0 {
			t.Errorf("%s %s: %v allocations per token", c.Size, c.Type, n)
		}
	}
}
