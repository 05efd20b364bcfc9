package kernel

import (
	"encoding/binary"
	"unsafe"

	"github.com/sluice-ai/sluice/runtime/quant"
)

// Keys and values of a head are kept in pages, as F32, F16 or Q8_0, and attention
// reads them as they are. F16 halves the memory and moves no score by more than a
// rounding; Q8_0 takes about a quarter.
//
// A page of values is KVPage rows, one after the other. A page of keys is groups of
// 16, in which an element of all keys comes before the next element, so that one
// vector holds it for all of them: [KVPage/16][d][16] numbers of F32 or F16; in
// Q8_0 each group begins with the scales, [d/32][16] halves, and [d][16] int8 follow.
// Both take the bytes of KVPage rows.

const (
	// KVPage is how many keys, or values, of a head are kept together.
	KVPage = 128

	keyGroup = 16
)

// KVSupported reports whether keys and values of n elements can be kept as t.
func KVSupported(t quant.Type, n int) bool {
	switch t {
	case quant.F32, quant.F16:
		return n > 0
	case quant.Q8_0:
		return n > 0 && n%32 == 0
	}
	return false
}

// KVStoreKey writes x as key i of a page of t. Numbers too large for F16 become its
// largest. It panics if the page is too short or t is not one of the three.
func KVStoreKey(t quant.Type, page []byte, i int, x []float32) {
	n, lane := len(x), i%keyGroup
	size := quant.RowBytes(t, n) * keyGroup
	group := page[i/keyGroup*size:][:size]
	var buf [64]byte
	switch t {
	case quant.F32:
		g := floatsOf(group)
		for j, v := range x {
			g[j*keyGroup+lane] = v
		}
	case quant.F16:
		for len(x) > 0 {
			part := min(32, len(x))
			storeF16(buf[:2*part], x[:part])
			for j := range part {
				copy(group[2*(j*keyGroup+lane):][:2], buf[2*j:])
			}
			x, group = x[part:], group[2*part*keyGroup:]
		}
	case quant.Q8_0:
		scales, ints := group[:n/32*2*keyGroup], group[n/32*2*keyGroup:]
		for b := range n / 32 {
			quant.QuantizeQ8_0(buf[:q8Bytes], x[32*b:][:32])
			copy(scales[2*(b*keyGroup+lane):][:2], buf[:])
			for j, v := range buf[2:q8Bytes] {
				ints[(32*b+j)*keyGroup+lane] = v
			}
		}
	default:
		panic("kernel: no keys of that type")
	}
}

// KVStoreValue writes x as one row of t, of which a page of values has KVPage.
// Numbers too large for F16 become its largest. It panics if dst is too short or t
// is not one of the three.
func KVStoreValue(t quant.Type, dst []byte, x []float32) {
	switch t {
	case quant.F32:
		copy(floatsOf(dst)[:len(x)], x)
	case quant.F16:
		storeF16(dst[:2*len(x)], x)
	case quant.Q8_0:
		quant.QuantizeQ8_0(dst[:quant.RowBytes(quant.Q8_0, len(x))], x)
	default:
		panic("kernel: no values of that type")
	}
}

// KVKey sets x to key i of a page of t.
func KVKey(t quant.Type, x []float32, page []byte, i int) {
	n := len(x)
	group := page[i/keyGroup*quant.RowBytes(t, n)*keyGroup:]
	var wide [keyGroup]float32
	for j := range x {
		widenKeys(t, &wide, group, n, j)
		x[j] = wide[i%keyGroup]
	}
}

// widenKeys sets dst to element j of the keys of a group, keys having n elements.
func widenKeys(t quant.Type, dst *[keyGroup]float32, group []byte, n, j int) {
	switch t {
	case quant.F32:
		copy(dst[:], floatsOf(group)[j*keyGroup:][:keyGroup])
	case quant.F16:
		for i := range dst {
			dst[i] = half(group[2*(j*keyGroup+i):])
		}
	default:
		scales, ints := group[j/32*2*keyGroup:], group[n/32*2*keyGroup+j*keyGroup:]
		for i := range dst {
			dst[i] = float32(int8(ints[i])) * half(scales[2*i:]) // exact
		}
	}
}

// floatsOf views b, whose address is a multiple of four, as floats.
func floatsOf(b []byte) []float32 {
	if len(b) < 4 {
		return nil
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/4)
}

const (
	maxF16  = 65504
	q8Bytes = 34 // of a block of 32: a half, 32 int8
)

func storeF16Generic(dst []byte, x []float32) {
	for i, v := range x {
		binary.LittleEndian.PutUint16(dst[2*i:], quant.FloatToHalf(max(-maxF16, min(v, maxF16))))
	}
}
