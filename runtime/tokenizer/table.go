package tokenizer

import (
	"hash/maphash"
	"math"
	"math/bits"
)

// A table finds numbers by the hashes of what they stand for: what a map takes several
// times the memory for. Whoever adds or looks up compares.
type table struct {
	tags  []uint8 // of each slot, a part of the hash; 0 is an empty slot
	slots []int32
}

// newTable returns a table with room for n numbers.
func newTable(n int) table {
	size := 1 << bits.Len(uint(n+n/2)) // no more than two thirds full
	return table{make([]uint8, size), make([]int32, size)}
}

// first returns the tag and the first slot of a hash.
func (t *table) first(hash uint64) (tag uint8, slot int) {
	return uint8(hash>>56) | 1, int(hash) & (len(t.slots) - 1)
}

func (t *table) after(slot int) int { return (slot + 1) & (len(t.slots) - 1) }

// add puts v, which is not there yet, into the first slot that is free for it.
func (t *table) add(hash uint64, v int32) {
	tag, i := t.first(hash)
	for t.tags[i] != 0 {
		i = t.after(i)
	}
	t.tags[i], t.slots[i] = tag, v
}

// mostText bounds the bytes of all tokens together.
const mostText = math.MaxUint32

// The text of id is texts[textAt[id]:textAt[id+1]], and its bytes are in pieces likewise:
// a string and a slice for each would take more than what they hold.

func (t *Tokenizer) text(id int32) string { return t.texts[t.textAt[id]:t.textAt[id+1]] }

func (t *Tokenizer) piece(id int32) []byte {
	return t.pieces[t.pieceAt[id]:t.pieceAt[id+1]:t.pieceAt[id+1]]
}

// find returns the id whose text is text, which is not empty.
func (t *Tokenizer) find(text string) (id int32, ok bool) {
	x := &t.ids
	tag, i := x.first(maphash.String(t.seed, text))
	for x.tags[i] != 0 {
		if x.tags[i] == tag && t.text(x.slots[i]) == text {
			return x.slots[i], true
		}
		i = x.after(i)
	}
	return 0, false
}

// findRaw returns the normal token of these bytes.
func (t *Tokenizer) findRaw(piece string) (id int32, ok bool) {
	x := &t.raw
	tag, i := x.first(maphash.String(t.seed, piece))
	for x.tags[i] != 0 {
		if x.tags[i] == tag && string(t.piece(x.slots[i])) == piece {
			return x.slots[i], true
		}
		i = x.after(i)
	}
	return 0, false
}

// rank returns the rank of the merge of two tokens.
func (t *Tokenizer) rank(left, right int32) int32 {
	x := &t.ranks
	tag, i := x.first(t.mix(left, right))
	for x.tags[i] != 0 {
		if x.tags[i] == tag {
			if m := &t.merges[x.slots[i]]; m.left == left && m.right == right {
				return x.slots[i]
			}
		}
		i = x.after(i)
	}
	return noRank
}

// mix is the hash of two neighbouring tokens.
func (t *Tokenizer) mix(left, right int32) uint64 {
	hi, lo := bits.Mul64((uint64(uint32(left))<<32|uint64(uint32(right)))^t.salt, 0x9e3779b97f4a7c15)
	return hi ^ lo
}
