package sample

import (
	"cmp"
	"math"
	"slices"
)

// blockLen is how many logits share a peak. A row of 65,536 has 1,024 peaks, so
// that looking for its best tokens is looking at those, and at few blocks.
const blockLen = 64

// A row is logits with the highest of each block, NaNs left aside.
type row struct {
	logits []float32
	peaks  []float32
}

// measure sets the peaks. It reports false if there is a NaN among the
// logits, or +Inf beside -Inf.
func (r *row) measure() bool {
	blocks := (len(r.logits) + blockLen - 1) / blockLen
	r.peaks = slices.Grow(r.peaks[:0], blocks)[:blocks]
	ok := true
	for b := range r.peaks {
		ok = r.peak(b) && ok
	}
	return ok
}

// peak sets the peak of a block, and reports false if there is a NaN in it, or
// +Inf beside -Inf.
func (r *row) peak(b int) bool {
	block := r.block(b)
	none := float32(math.Inf(-1))
	m0, m1, m2, m3 := none, none, none, none // four: each maximum waits for the one before
	var s0, s1, s2, s3 float32               // NaN if one of them is
	for len(block) >= 4 {
		l0, l1, l2, l3 := block[0], block[1], block[2], block[3]
		s0, s1, s2, s3 = s0+l0, s1+l1, s2+l2, s3+l3
		if l0 > m0 {
			m0 = l0
		}
		if l1 > m1 {
			m1 = l1
		}
		if l2 > m2 {
			m2 = l2
		}
		if l3 > m3 {
			m3 = l3
		}
		block = block[4:]
	}
	for _, l := range block {
		s0 += l
		if l > m0 {
			m0 = l
		}
	}
	r.peaks[b] = max(m0, m1, m2, m3)
	sum := s0 + s1 + s2 + s3
	return sum == sum
}

// block returns the logits of a block.
func (r *row) block(b int) []float32 {
	return r.logits[b*blockLen : min((b+1)*blockLen, len(r.logits))]
}

// copy makes r the same as from.
func (r *row) copy(from *row) {
	r.logits = append(r.logits[:0], from.logits...)
	r.peaks = append(r.peaks[:0], from.peaks...)
}

// mask sets the logits of tokens that are not allowed to -Inf: bit i%64 of word
// i/64 is token i, so that a word is a block.
func (r *row) mask(allowed []uint64) {
	none := float32(math.Inf(-1))
	for b := range r.peaks {
		word := uint64(0)
		if b < len(allowed) {
			word = allowed[b]
		}
		block := r.block(b)
		switch word {
		case math.MaxUint64:
			continue
		case 0:
			r.peaks[b] = none
			for i := range block {
				block[i] = none
			}
			continue
		}
		for i := range block {
			if word>>i&1 == 0 {
				block[i] = none
			}
		}
		r.peak(b)
	}
}

// best returns the index of the highest logit, the lowest of equals, and the logit.
func (r *row) best() (int32, float32) {
	b := ArgMax(r.peaks)
	block := r.block(int(b))
	i := ArgMax(block)
	return b*blockLen + i, block[i]
}

// top appends the k highest logits to dst, likeliest first, -Inf and NaN left out.
// Spare is a buffer of as many elements as there are peaks.
func (r *row) top(dst []candidate, k int, spare []float32) []candidate {
	base := len(dst)
	if k <= 0 {
		return dst
	}
	// At least k logits are as high as the k-th highest peak: lower ones need no look.
	least := float32(math.Inf(-1))
	if k <= len(r.peaks) {
		spare = append(spare[:0], r.peaks...)
		least = kth(spare, k)
	}
	dst = r.from(dst, least)
	if all := dst[base:]; len(all) > k {
		partition(all, k)
		dst = dst[:base+k]
	}
	slices.SortFunc(dst[base:], byLogit)
	return dst
}

// from appends the logits that are at least least, in the order of their ids, but
// for -Inf and NaN.
func (r *row) from(dst []candidate, least float32) []candidate {
	none := float32(math.Inf(-1))
	for b, peak := range r.peaks {
		if peak < least || peak == none {
			continue
		}
		for i, l := range r.block(b) {
			if l >= least && l > none {
				dst = append(dst, candidate{id: int32(b*blockLen + i), logit: l})
			}
		}
	}
	return dst
}

// byLogit orders likeliest first, lowest id on a tie.
func byLogit(a, b candidate) int {
	return cmp.Or(cmp.Compare(b.logit, a.logit), cmp.Compare(a.id, b.id))
}

// kth returns the k-th highest of s, without NaNs, and reorders it. Hoare's
// selection, with the middle of three as pivot.
func kth(s []float32, k int) float32 {
	lo, hi := 0, len(s)-1
	for lo < hi {
		pivot := s[lo+(hi-lo)/2]
		if a, b := s[lo], s[hi]; (a > pivot) != (a > b) {
			pivot = a
		} else if (b > pivot) != (b > a) {
			pivot = b
		}
		i, j := lo, hi
		for i <= j {
			for s[i] > pivot {
				i++
			}
			for s[j] < pivot {
				j--
			}
			if i <= j {
				s[i], s[j] = s[j], s[i]
				i++
				j--
			}
		}
		switch {
		case k-1 <= j:
			hi = j
		case k-1 >= i:
			lo = i
		default:
			return s[k-1]
		}
	}
	return s[lo]
}

// reach moves to the front of all those of highest p that together reach mass, and
// returns how many they are: all, if they do not reach it.
func reach(all []candidate, mass float64) int {
	lo, hi := 0, len(all) // before lo are some of them, from hi on none
	for lo < hi {
		pivot := all[lo+(hi-lo)/2]
		i, sum := lo, 0.0
		for j := lo; j < hi; j++ {
			if byLogit(all[j], pivot) <= 0 {
				sum += all[j].p
				all[i], all[j] = all[j], all[i]
				i++
			}
		}
		switch {
		case sum < mass:
			mass -= sum
			lo = i
		case i-lo == 1:
			return i
		case i < hi:
			hi = i
		default: // the pivot is the least likely: it may be dispensable
			k := lo
			for all[k].id != pivot.id {
				k++
			}
			all[k], all[hi-1] = all[hi-1], all[k]
			if sum-pivot.p < mass {
				return hi
			}
			hi--
		}
	}
	return lo
}

// partition moves the k likeliest of all to its front, in any order; k < len(all).
func partition(all []candidate, k int) {
	lo, hi := 0, len(all)-1
	for lo < hi {
		pivot := all[lo+(hi-lo)/2]
		i, j := lo, hi
		for i <= j {
			for byLogit(all[i], pivot) < 0 {
				i++
			}
			for byLogit(all[j], pivot) > 0 {
				j--
			}
			if i <= j {
				all[i], all[j] = all[j], all[i]
				i++
				j--
			}
		}
		switch {
		case k <= j:
			hi = j
		case k > i:
			lo = i
		default:
			return
		}
	}
}
