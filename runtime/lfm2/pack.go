package lfm2

import (
	"fmt"

	"github.com/sluice-ai/sluice/runtime/kernel"
)

// Pack lays the matrices out as this machine multiplies them fastest, in memory of
// the model's own, and tells release which bytes of the file it no longer reads. A
// matrix that has no such layout, or is small, stays in the file. The threads of p
// share the work. Close gives the memory back.
//
// Packed matrices give the same bits as the file's, but for Q4_0 and types in blocks of 256:
// those differ by roundings (see [kernel.Weight.MatMul]).
func (m *Model) Pack(p *kernel.Pool, release func(data []byte)) error {
	size := 0
	seen := map[*kernel.Weight]*kernel.Weight{}
	for l := range m.matrices {
		if w := l.Weight; w.Packable() && seen[w] == nil {
			seen[w] = w
			size += (w.PackedBytes() + 63) &^ 63
		}
	}
	if size == 0 {
		return nil
	}
	arena, err := kernel.NewArena(size)
	if err != nil {
		return fmt.Errorf("no memory to lay the weights out in: %w", err)
	}
	m.arena = arena
	for l := range m.matrices {
		w := l.Weight
		packed := seen[w]
		if packed == nil {
			continue
		}
		if packed == w {
			packed = w.Pack(p, arena.Alloc(w.PackedBytes()))
			seen[w] = packed
			release(w.Data())
		}
		l.Weight = packed
	}
	return nil
}

// PackedBytes returns the size of the weights that Pack has laid out.
func (m *Model) PackedBytes() int {
	n := 0
	seen := map[*kernel.Weight]bool{}
	for l := range m.matrices {
		if w := l.Weight; w.Packed() && !seen[w] {
			seen[w] = true
			n += w.Bytes()
		}
	}
	return n
}

// Close gives back the memory of Pack. The model must not be used afterwards.
func (m *Model) Close() error {
	if m.arena == nil {
		return nil
	}
	arena := m.arena
	m.arena = nil
	return arena.Close()
}

// matrices visits the matrices in the order in which a step reads them.
func (m *Model) matrices(yield func(*linear) bool) {
	for i := range m.layers {
		l := &m.layers[i]
		var all []*linear
		if l.conv != nil {
			all = append(all, &l.conv.in, &l.conv.out)
		} else {
			all = append(all, &l.attn.q, &l.attn.k, &l.attn.v, &l.attn.out)
		}
		if l.ffn != nil {
			all = append(all, &l.ffn.gate, &l.ffn.up, &l.ffn.down)
		} else {
			all = append(all, &l.experts.router)
			for e := range l.experts.each {
				x := &l.experts.each[e]
				all = append(all, &x.gate, &x.up, &x.down)
			}
		}
		for _, l := range all {
			if !yield(l) {
				return
			}
		}
	}
	_ = yield(&m.output) && yield(&m.embed)
}
