package lfm2

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-ai/sluice/runtime/gguf"
	"github.com/sluice-ai/sluice/runtime/kernel"
)

// A linear is a matrix W, and what adapters add to it: y = W x + Σ scale B (A x).
//
// The corrections stay apart. Adding them to W would need W again in float,
// which for quantised weights is several times the file; as two thin matrices
// they cost their own size and about r*(rows+cols) multiplications per token.
type linear struct {
	*kernel.Weight
	sides []side
}

// A side is the low-rank correction of one adapter.
type side struct {
	a, b  *kernel.Weight // [r][cols], [rows][r]
	scale float32
}

// times sets dst[n][rows] to the product of x[n][cols] with l.
func (w *Work) times(l *linear, dst, x []float32, n int) {
	l.MatMul(w.pool, dst, x, n, &w.scratch)
	for i := range l.sides {
		s := &l.sides[i]
		w.low = grow(w.low, n*s.a.Rows)
		s.a.MatMul(w.pool, w.low, x, n, &w.scratch)
		w.addSide(s, dst, n)
	}
}

// A term is one matrix of several that multiply the same columns, and where its
// product goes.
type term struct {
	l   *linear
	dst []float32
}

// together is times for several matrices.
func (w *Work) together(x []float32, n int, terms ...term) {
	products := w.products[:0]
	for _, t := range terms {
		if len(t.l.sides) > 0 {
			w.times(t.l, t.dst, x, n)
			continue
		}
		products = append(products, kernel.Product{Weight: t.l.Weight, Dst: t.dst})
	}
	if len(products) > 0 {
		w.scratch.Multiply(w.pool, x, n, products)
	}
	clear(products)
}

// addSide adds scale * B low to dst[n][rows].
func (w *Work) addSide(s *side, dst []float32, n int) {
	w.wide = grow(w.wide, n*s.b.Rows)
	s.b.MatMul(w.pool, w.wide, w.low, n, &w.scratch)
	kernel.Axpy(s.scale, w.wide, dst)
}

// embedSides adds the corrections of the embedding to the rows of x, which are
// those of tokens. There A has a row for each token: ΔE[id] = scale * B A[id].
func (w *Work) embedSides(x []float32, tokens []int32) {
	l := &w.model.embed
	for i := range l.sides {
		s := &l.sides[i]
		r := s.a.Cols
		w.low = grow(w.low, len(tokens)*r)
		for t, id := range tokens {
			s.a.Row(int(id), w.low[t*r:][:r])
		}
		w.addSide(s, x, len(tokens))
	}
}

// grow returns s with length n, keeping nothing.
func grow(s []float32, n int) []float32 {
	if cap(s) < n {
		return make([]float32, n)
	}
	return s[:n]
}

// An Adapter is a LoRA adapter in GGUF, as convert_lora_to_gguf writes it:
// for tensors NAME of the model, NAME.lora_a of sizes {cols, r} and NAME.lora_b
// of sizes {r, rows}.
type Adapter struct {
	Name  string // for messages
	File  *gguf.File
	Scale float32 // strength; 1 is as trained, 0 has no effect
}

type openedAdapter struct {
	Adapter
	alpha float64 // 0 is the rank
	used  map[string]bool
}

// openAdapter checks that a is an adapter for models like base.
func openAdapter(base *gguf.File, a Adapter) (*openedAdapter, error) {
	kind, _ := a.File.Str("general.type")
	method, _ := a.File.Str("adapter.type")
	arch, _ := a.File.Str("general.architecture")
	want, _ := base.Str("general.architecture")
	alpha, _ := a.File.Float("adapter.lora.alpha")
	_, triggered := a.File.Field("adapter.alora.invocation_tokens")
	switch {
	case kind != "adapter":
		return nil, fmt.Errorf("adapter %s: the file is no adapter (general.type is %q)", a.Name, kind)
	case method != "lora":
		return nil, fmt.Errorf("adapter %s: adapters of type %q are not supported, only \"lora\"", a.Name, method)
	case triggered:
		return nil, fmt.Errorf("adapter %s: activated adapters (aLoRA) are not supported", a.Name)
	case arch != want:
		return nil, fmt.Errorf("adapter %s: it is for models of architecture %q, and this one is %q", a.Name, arch, want)
	}
	for _, t := range a.File.Tensors {
		// llama.cpp, too, lets norms be, "because most adapters still work fine without".
		if !strings.HasSuffix(t.Name, ".lora_a") && !strings.HasSuffix(t.Name, ".lora_b") && !strings.HasSuffix(t.Name, "_norm.weight") {
			return nil, fmt.Errorf("adapter %s: tensor %q is neither .lora_a nor .lora_b", a.Name, t.Name)
		}
	}
	return &openedAdapter{Adapter: a, alpha: alpha, used: map[string]bool{}}, nil
}

// pair returns the adapter's tensors for the model's tensor name; nil if it has none.
func (ld *loader) pair(a *openedAdapter, name string) (ta, tb *gguf.Tensor) {
	ta, tb = a.File.Tensor(name+".lora_a"), a.File.Tensor(name+".lora_b")
	if ta == nil && tb == nil {
		return nil, nil
	}
	for _, t := range []*gguf.Tensor{ta, tb} {
		if t == nil {
			ld.fail(name, "has only one of .lora_a and .lora_b in adapter %s", a.Name)
			return nil, nil
		}
		if !t.Type.Supported() {
			ld.fail(t.Name, "of adapter %s is of type %v, which is not supported", a.Name, t.Type)
			return nil, nil
		}
		a.used[t.Name] = true
	}
	return ta, tb
}

// side returns what adapter a adds to the tensor name: one correction for each of
// its count matrices of rows by cols, or none.
func (ld *loader) side(a *openedAdapter, name string, count, rows, cols int) []side {
	ta, tb := ld.pair(a, name)
	if ta == nil {
		return nil
	}
	if len(ta.Dims) < 2 {
		ld.fail(ta.Name, "of adapter %s has sizes %v", a.Name, ta.Dims)
		return nil
	}
	r := ta.Dims[1]
	wantA, wantB := []int{cols, r}, []int{r, rows}
	if count > 1 {
		wantA, wantB = append(wantA, count), append(wantB, count)
	}
	if !slices.Equal(ta.Dims, wantA) || !slices.Equal(tb.Dims, wantB) {
		ld.fail(name, "is %d rows of %d, which does not fit the sizes %v and %v in adapter %s; was it made for another model?", rows, cols, ta.Dims, tb.Dims, a.Name)
		return nil
	}
	sides := make([]side, count)
	sizeA, sizeB := len(ta.Data)/count, len(tb.Data)/count
	for i := range sides {
		sides[i] = side{
			a:     ld.weightOf(ta.Name, ta.Type, r, cols, ta.Data[i*sizeA:][:sizeA:sizeA]),
			b:     ld.weightOf(tb.Name, tb.Type, rows, r, tb.Data[i*sizeB:][:sizeB:sizeB]),
			scale: a.strength(r),
		}
	}
	return sides
}

// strength is the factor of B A, for rank r.
func (a *openedAdapter) strength(r int) float32 {
	if a.alpha == 0 {
		return a.Scale
	}
	return a.Scale * float32(a.alpha) / float32(r)
}

// embedding is matrix for the token embedding, whose A has sizes {r, V} and B {r, d}.
func (ld *loader) embedding(name string, rows, cols int) linear {
	l := linear{Weight: ld.weight(ld.tensor(name, cols, rows), rows, cols)}
	for _, a := range ld.adapters {
		ta, tb := ld.pair(a, name)
		if ta == nil {
			continue
		}
		r := ta.Dims[0]
		if !slices.Equal(ta.Dims, []int{r, rows}) || !slices.Equal(tb.Dims, []int{r, cols}) {
			ld.fail(name, "is %d rows of %d, which does not fit the sizes %v and %v in adapter %s; was it made for another model?", rows, cols, ta.Dims, tb.Dims, a.Name)
			continue
		}
		l.sides = append(l.sides, side{a: ld.weight(ta, rows, r), b: ld.weight(tb, cols, r), scale: a.strength(r)})
	}
	return l
}

// unused returns the name of a tensor that no matrix of the model took, if any.
func (a *openedAdapter) unused() string {
	for _, t := range a.File.Tensors {
		if !a.used[t.Name] && !strings.HasSuffix(t.Name, "_norm.weight") {
			return t.Name
		}
	}
	return ""
}
