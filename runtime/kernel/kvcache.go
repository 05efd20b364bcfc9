package kernel

import (
	"encoding/binary"
	"unsafe"

	"github.com/sluice-ai/sluice/runtime/quant"
)

// Keys and values are kept as rows of F32, F16 or Q8_0, one after the other, and
// attention reads them as they are. F16 halves the memory and moves no score by
// more than a rounding; Q8_0 takes about a quarter.

// KVSupported reports whether rows of n elements can be kept as t.
func KVSupported(t quant.Type, n int) bool {
	switch t {
	case quant.F32, quant.F16:
		return n > 0
	case quant.Q8_0:
		return n > 0 && n%32 == 0
	}
	return false
}

// KVStore writes x as one row of t. Numbers too large for F16 become its largest.
// It panics if dst is too short or t is not one of the three.
func KVStore(t quant.Type, dst []byte, x []float32) {
	switch t {
	case quant.F32:
		copy(floatsOf(dst)[:len(x)], x)
	case quant.F16:
		storeF16(dst[:2*len(x)], x)
	default:
		if err := quant.Quantize(quant.Q8_0, dst[:quant.RowBytes(quant.Q8_0, len(x))], x); err != nil || t != quant.Q8_0 {
			panic("kernel: KVStore: no row of that type")
		}
	}
}

// KVScores sets dst[i] to scale * q·k[i], where k holds at least len(dst) rows as
// long as q. It panics if k is too short.
func KVScores(t quant.Type, dst, q []float32, k []byte, scale float32) {
	if len(dst) == 0 {
		return
	}
	row := quant.RowBytes(t, len(q))
	k = k[:len(dst)*row]
	switch t {
	case quant.F32:
		AttnScores(dst, q, floatsOf(k), len(q), scale)
	case quant.F16:
		scoresF16(dst, q, k, scale)
	default:
		scoresQ8(dst, q, k, scale)
	}
}

// KVMix sets dst to the sum of p[i]*v[i], where v holds at least len(p) rows as
// long as dst. It panics if v is too short.
func KVMix(t quant.Type, dst, p []float32, v []byte) {
	row := quant.RowBytes(t, len(dst))
	v = v[:len(p)*row]
	switch t {
	case quant.F32:
		AttnMix(dst, p, floatsOf(v), len(dst))
	case quant.F16:
		clear(dst)
		mixF16(dst, p, v)
	default:
		clear(dst)
		mixQ8(dst, p, v)
	}
}

// floatsOf views b, whose address is a multiple of four, as floats.
func floatsOf(b []byte) []float32 {
	if len(b) < 4 {
		return nil
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/4)
}

// The definitions.

const maxF16 = 65504

func storeF16Generic(dst []byte, x []float32) {
	for i, v := range x {
		binary.LittleEndian.PutUint16(dst[2*i:], quant.FloatToHalf(max(-maxF16, min(v, maxF16))))
	}
}

func scoresF16Generic(dst, q []float32, k []byte, scale float32) {
	for t := range dst {
		row, sum := k[t*2*len(q):], float32(0)
		for i, v := range q {
			sum += float32(v * half(row[2*i:]))
		}
		dst[t] = scale * sum
	}
}

func mixF16Generic(dst, p []float32, v []byte) {
	for t, weight := range p {
		row := v[t*2*len(dst):]
		for i := range dst {
			dst[i] += float32(weight * half(row[2*i:]))
		}
	}
}

const q8Bytes = 34 // of a block of 32: a half, 32 int8

func scoresQ8Generic(dst, q []float32, k []byte, scale float32) {
	for t := range dst {
		row, sum := k[t*len(q)/32*q8Bytes:], float32(0)
		for b := range len(q) / 32 {
			block, part := row[b*q8Bytes:][:q8Bytes], float32(0)
			for i, v := range q[32*b:][:32] {
				part += float32(v * float32(int8(block[2+i])))
			}
			sum += float32(part * half(block))
		}
		dst[t] = scale * sum
	}
}

func mixQ8Generic(dst, p []float32, v []byte) {
	for t, weight := range p {
		row := v[t*len(dst)/32*q8Bytes:]
		for b := range len(dst) / 32 {
			block := row[b*q8Bytes:][:q8Bytes]
			d := weight * half(block)
			for i := range 32 {
				dst[32*b+i] += float32(d * float32(int8(block[2+i])))
			}
		}
	}
}
