package kernel

import (
	"math"

	"github.com/sluice-ai/sluice/runtime/quant"
)

// An Attention computes softmax(q·kᵀ/√d)·v for some queries over the keys and
// values of one head, a page at a time, reading each page once for all of them:
//
//	a.Begin(kv, d, rows)
//	a.Query(row, q, seen)                    for every row
//	a.Page(from, k, v)                       for every page, from = 0, KVPage, ...
//	a.Result(row, dst)                       for every row
//
// A row's result depends on its query and the keys and values it sees alone, to
// the last bit: not on the other rows, nor on what lies behind those keys.
//
// Its zero value is ready for Begin. It belongs to one goroutine at a time.
//
// # Definition
//
// Scores are dot products with log₂e/√d * q, their terms added in order, each key
// and value being widened exactly to float32. For each page in turn, with top' the
// larger of top, -Inf at first, and the page's scores,
//
//	p    = 2^(score - top')
//	sum  = sum * 2^(top - top') + Σp
//	o    = o * 2^(top - top') + Σ p*v         in the order of the keys
//
// and the result is o/sum. Machines differ in the order in which p are summed, in
// the roundings of 2^x, and in whether a product is rounded before it is added.
type Attention struct {
	kv     quant.Type
	d      int
	q, o   []float32 // [rows][d]
	top    []float32 // [rows]
	sum    []float32 // [rows][sumLanes]
	seen   []int     // [rows], as long as those in use
	factor [attendRows]float32
	keys   [attendRows]int
	p      [attendRows * KVPage]float32
}

const (
	attendRows = 8  // queries that share a pass over a page
	sumLanes   = 16 // parts in which a sum of p is kept
)

// Begin starts over with so many rows, queries of d elements that see keys and
// values of type t.
func (a *Attention) Begin(t quant.Type, d, rows int) {
	a.kv, a.d = t, d
	if rows > len(a.top) {
		a.top, a.sum, a.seen = make([]float32, rows), make([]float32, rows*sumLanes), make([]int, rows)
	}
	if rows*d > len(a.q) {
		a.q, a.o = make([]float32, rows*d), make([]float32, rows*d)
	}
	a.seen = a.seen[:rows]
	clear(a.o[:rows*d])
	clear(a.sum[:rows*sumLanes])
	for i := range rows {
		a.top[i] = float32(math.Inf(-1))
	}
}

// Query sets a row's query, of d elements, which sees the first seen keys, at
// least one. No row sees fewer than the row before it.
func (a *Attention) Query(row int, q []float32, seen int) {
	if row > 0 && seen < a.seen[row-1] || seen < 1 {
		panic("kernel: Attention: rows out of order")
	}
	a.seen[row] = seen
	scale := float32(math.Log2E / math.Sqrt(float64(a.d)))
	for i, v := range q[:a.d] {
		a.q[row*a.d+i] = v * scale
	}
}

// Page adds the keys and values from key from on, a page of each, as [KVStoreKey]
// and [KVStoreValue] lay them out. Pages come in order, beginning with 0. It panics
// if one is too short.
func (a *Attention) Page(from int, k, v []byte) {
	size := KVPage * quant.RowBytes(a.kv, a.d)
	k, v = k[:size], v[:size]
	rows := len(a.seen)
	for first := 0; first < rows; first += attendRows {
		end := min(first+attendRows, rows)
		row := first
		for row < end && a.seen[row] <= from {
			row++
		}
		for row < end {
			n := 1
			for 2*n <= end-row {
				n *= 2
			}
			a.page(row, n, from, k, v)
			row += n
		}
	}
}

// page adds a page to rows rows from row on, 1, 2, 4 or 8, which all see a key of it.
func (a *Attention) page(row, rows, from int, k, v []byte) {
	for i := range rows {
		a.keys[i] = min(a.seen[row+i]-from, KVPage)
	}
	d, all := a.d, a.keys[0]
	o := a.o[row*d:][:rows*d]
	attendScores(a.kv, a.p[:], a.q[row*d:][:rows*d], k, rows, a.keys[rows-1])
	attendWeights(a.p[:], a.keys[:rows], a.top[row:][:rows], a.sum[row*sumLanes:][:rows*sumLanes], a.factor[:rows])
	attendMix(a.kv, o, a.factor[:rows], a.p[:], v, all)
	for i := 1; i < rows; i++ {
		if more := a.keys[i] - all; more > 0 {
			a.factor[0] = 1
			attendMix(a.kv, o[i*d:][:d], a.factor[:1], a.p[i*KVPage+all:], v[all*quant.RowBytes(a.kv, d):], more)
		}
	}
}

// Result sets dst, of d elements, to what a row mixed.
func (a *Attention) Result(row int, dst []float32) {
	var sum float32
	for _, v := range a.sum[row*sumLanes:][:sumLanes] {
		sum += v
	}
	copy(dst[:a.d], a.o[row*a.d:])
	scale(1/sum, dst[:a.d])
}

// RopeFrequencies fills freq, half a head's dimension, with the angles that a
// position adds in the rotary embedding: theta^(-i/len(freq)).
func RopeFrequencies(freq []float64, theta float64) {
	for i := range freq {
		freq[i] = math.Pow(theta, -float64(i)/float64(len(freq)))
	}
}

// RopeTable fills cos and sin, both as long as freq, with those of the angles
// pos * freq.
func RopeTable(cos, sin []float32, pos int, freq []float64) {
	cos, sin = cos[:len(freq)], sin[:len(freq)]
	for i, f := range freq {
		s, c := math.Sincos(float64(pos) * f)
		cos[i], sin[i] = float32(c), float32(s)
	}
}

// Rope rotates every head of x in place, a head being 2*len(cos) elements:
// element i pairs with element i+len(cos) (the half rotation of GPT-NeoX). It
// panics if x is not a whole number of heads, or sin is shorter than cos.
func Rope(x, cos, sin []float32) {
	n := len(cos)
	if n == 0 || len(x)%(2*n) != 0 {
		panic("kernel: Rope: x is no whole number of heads")
	}
	rope(x, cos, sin[:n])
}

// ConvStep advances the gated short convolution of three taps by one token. With
// d = len(dst) channels, bcx[3][d] is the input projection (B, C, x in this
// order), taps[3][d] the taps with the oldest first (transposed from the file's
// [d][3]), and state[2][d] what the last two tokens left, oldest first. With
// s = B*x it sets dst = C * (taps[0]*state[0] + taps[1]*state[1] + taps[2]*s) and
// shifts s into state. It panics if a slice is too short.
func ConvStep(dst, bcx, taps, state []float32) { ConvChannels(dst, bcx, taps, state, 0, len(dst)) }

// ConvChannels is ConvStep for the channels [from, to) alone.
func ConvChannels(dst, bcx, taps, state []float32, from, to int) {
	d := len(dst)
	conv(dst, bcx[:3*d], taps[:3*d], state[:2*d], from, to)
}
