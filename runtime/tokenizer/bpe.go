package tokenizer

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Pieces of up to shortPiece bytes are merged by scanning, which is quicker for
// them; longer ones with a heap. maxPiece keeps positions in 32 bits.
const (
	shortPiece = 32
	maxPiece   = 1 << 30
)

const noRank = int32(1<<31 - 1)

// A merge replaces two neighbouring tokens by one.
type merge struct{ left, right, out int32 }

func (t *Tokenizer) addMerges(merges []string) error {
	if len(merges) >= int(noRank) {
		return fmt.Errorf("tokenizer: %d merges are too many", len(merges))
	}
	t.ranks = newTable(len(merges))
	t.merges = make([]merge, len(merges))
	var joined []byte
	for i, m := range merges {
		left, right, ok := strings.Cut(m, " ")
		if !ok || left == "" || right == "" || strings.Contains(right, " ") {
			return fmt.Errorf("tokenizer: merge %d is not a pair of tokens", i)
		}
		joined = append(append(joined[:0], left...), right...)
		var ids [3]int32
		for j, text := range []string{left, right, string(joined)} {
			id, ok := t.find(text)
			if typ := int32(t.types[id]); !ok || typ != Normal && typ != Byte || !utf8.ValidString(text) {
				return fmt.Errorf("tokenizer: merge %d needs a normal token that the vocabulary lacks", i)
			}
			ids[j] = id
		}
		t.merges[i] = merge{ids[0], ids[1], ids[2]}
		if t.rank(ids[0], ids[1]) == noRank {
			t.ranks.add(t.mix(ids[0], ids[1]), int32(i))
		}
	}
	return nil
}

// bpe is the working memory of merging one piece.
type bpe struct {
	ids   []int32 // short pieces: the symbols
	ranks []int32 // ranks[i] is the rank of (ids[i], ids[i+1])
	syms  []symbol
	heap  []uint64 // rank in the high half, position in the low: lowest rank first, then leftmost
}

// A symbol of a long piece; a linked list in order of position.
type symbol struct{ id, prev, next int32 }

// appendPiece appends the tokens of one piece of text. A piece that is a token
// becomes it at once, even where merging would end elsewhere (ignore_merges).
func (t *Tokenizer) appendPiece(dst []int32, piece string, b *bpe) []int32 {
	if id, ok := t.findRaw(piece); ok {
		return append(dst, id)
	}
	for len(piece) > maxPiece {
		dst = t.appendLong(dst, piece[:maxPiece], b)
		piece = piece[maxPiece:]
	}
	if len(piece) > shortPiece {
		return t.appendLong(dst, piece, b)
	}
	return t.appendShort(dst, piece, b)
}

// symbols appends the tokens of the single bytes of piece.
func (t *Tokenizer) symbols(dst []int32, piece string) []int32 {
	for i := range len(piece) {
		if id := t.bytes[piece[i]]; id >= 0 {
			dst = append(dst, id)
			continue
		}
		for _, c := range []byte("\uFFFD") {
			dst = append(dst, t.bytes[c])
		}
	}
	return dst
}

func (t *Tokenizer) appendShort(dst []int32, piece string, b *bpe) []int32 {
	ids := t.symbols(b.ids[:0], piece)
	b.ids = ids
	ranks := b.ranks[:0]
	for i := range len(ids) - 1 {
		ranks = append(ranks, t.rank(ids[i], ids[i+1]))
	}
	b.ranks = ranks
	for {
		best, at := noRank, 0
		for i, r := range ranks {
			if r < best {
				best, at = r, i
			}
		}
		if best == noRank {
			return append(dst, ids...)
		}
		ids[at] = t.merges[best].out
		ids = append(ids[:at+1], ids[at+2:]...)
		ranks = append(ranks[:at], ranks[at+1:]...)
		if at > 0 {
			ranks[at-1] = t.rank(ids[at-1], ids[at])
		}
		if at < len(ranks) {
			ranks[at] = t.rank(ids[at], ids[at+1])
		}
	}
}

func (t *Tokenizer) appendLong(dst []int32, piece string, b *bpe) []int32 {
	ids := t.symbols(b.ids[:0], piece)
	b.ids = ids
	syms := b.syms[:0]
	for i, id := range ids {
		syms = append(syms, symbol{id, int32(i) - 1, int32(i) + 1})
	}
	syms[len(syms)-1].next = -1
	b.syms = syms
	heap := b.heap[:0]
	for i := range len(ids) - 1 {
		if r := t.rank(ids[i], ids[i+1]); r != noRank {
			heap = append(heap, uint64(r)<<32|uint64(i))
		}
	}
	for i := len(heap)/2 - 1; i >= 0; i-- {
		down(heap, i)
	}
	for len(heap) > 0 {
		top := heap[0]
		last := len(heap) - 1
		heap[0] = heap[last]
		heap = heap[:last]
		down(heap, 0)

		m, i := t.merges[top>>32], int32(uint32(top))
		j := syms[i].next
		if syms[i].id != m.left || j < 0 || syms[j].id != m.right {
			continue // a neighbour was merged away since
		}
		k := syms[j].next
		syms[i] = symbol{m.out, syms[i].prev, k}
		syms[j].id = -1
		if k >= 0 {
			syms[k].prev = i
			if r := t.rank(m.out, syms[k].id); r != noRank {
				heap = push(heap, uint64(r)<<32|uint64(i))
			}
		}
		if p := syms[i].prev; p >= 0 {
			if r := t.rank(syms[p].id, m.out); r != noRank {
				heap = push(heap, uint64(r)<<32|uint64(p))
			}
		}
	}
	b.heap = heap
	for i := int32(0); i >= 0; i = syms[i].next {
		dst = append(dst, syms[i].id)
	}
	return dst
}

// push adds x to a binary min-heap.
func push(heap []uint64, x uint64) []uint64 {
	heap = append(heap, x)
	i := len(heap) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if heap[parent] <= x {
			break
		}
		heap[i] = heap[parent]
		i = parent
	}
	heap[i] = x
	return heap
}

// down restores the heap below i.
func down(heap []uint64, i int) {
	if i >= len(heap) {
		return
	}
	x := heap[i]
	for {
		child := 2*i + 1
		if child >= len(heap) {
			break
		}
		if child+1 < len(heap) && heap[child+1] < heap[child] {
			child++
		}
		if x <= heap[child] {
			break
		}
		heap[i] = heap[child]
		i = child
	}
	heap[i] = x
}
