package quant

import (
	"encoding/binary"
	"math"
)

var le = binary.LittleEndian

func half(b []byte) float32 { return HalfToFloat(le.Uint16(b)) }

func dequantizeF32(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = math.Float32frombits(le.Uint32(src[4*i:]))
	}
}

func dequantizeF16(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = half(src[2*i:])
	}
}

func dequantizeBF16(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = BFloatToFloat(le.Uint16(src[2*i:]))
	}
}

// Q8_0 is d, int8 q[32].
func dequantizeQ8_0(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[32:], src[34:] {
		d := half(src)
		for j := range 32 {
			dst[j] = d * float32(int8(src[2+j]))
		}
	}
}

// Q4_0 is d, nibbles[16]: low nibbles hold elements 0..15, high ones 16..31,
// both with 8 added.
func dequantizeQ4_0(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[32:], src[18:] {
		d := half(src)
		for j, q := range src[2:18] {
			dst[j] = d * float32(int(q&15)-8)
			dst[j+16] = d * float32(int(q>>4)-8)
		}
	}
}

// Q4_1 is d, m, nibbles[16], nothing added.
func dequantizeQ4_1(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[32:], src[20:] {
		d, m := half(src), half(src[2:])
		for j, q := range src[4:20] {
			dst[j] = float32(d*float32(q&15)) + m
			dst[j+16] = float32(d*float32(q>>4)) + m
		}
	}
}

// Q5_0 is d, the fifth bits of all 32 as a uint32, nibbles[16], 16 added.
func dequantizeQ5_0(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[32:], src[22:] {
		d, high := half(src), le.Uint32(src[2:])
		for j, q := range src[6:22] {
			dst[j] = d * float32(int(uint32(q&15)|high>>j&1<<4)-16)
			dst[j+16] = d * float32(int(uint32(q>>4)|high>>(j+16)&1<<4)-16)
		}
	}
}

// Q5_1 is d, m, the fifth bits, nibbles[16], nothing added.
func dequantizeQ5_1(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[32:], src[24:] {
		d, m, high := half(src), half(src[2:]), le.Uint32(src[4:])
		for j, q := range src[8:24] {
			dst[j] = float32(d*float32(uint32(q&15)|high>>j&1<<4)) + m
			dst[j+16] = float32(d*float32(uint32(q>>4)|high>>(j+16)&1<<4)) + m
		}
	}
}

// ScaleMinK returns the six-bit scale and minimum of the 32 elements from 32j
// on, j < 8, from the 12 scale bytes of a Q4_K or Q5_K block.
func ScaleMinK(scales []byte, j int) (scale, minimum uint8) {
	if j < 4 {
		return scales[j] & 63, scales[j+4] & 63
	}
	return scales[j+4]&15 | scales[j-4]>>6<<4, scales[j+4]>>4 | scales[j]>>6<<4
}

// Q4_K is d, dmin, 12 bytes of scales, nibbles[128]: 32 bytes hold elements
// 64c..64c+31 in their low nibbles, 64c+32..64c+63 in their high ones.
func dequantizeQ4_K(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[superBlock:], src[144:] {
		d, dmin := half(src), half(src[2:])
		for c := range 4 {
			sc0, m0 := ScaleMinK(src[4:16], 2*c)
			sc1, m1 := ScaleMinK(src[4:16], 2*c+1)
			d0, min0 := d*float32(sc0), dmin*float32(m0)
			d1, min1 := d*float32(sc1), dmin*float32(m1)
			for l, q := range src[16+32*c:][:32] {
				dst[64*c+l] = float32(d0*float32(q&15)) - min0
				dst[64*c+32+l] = float32(d1*float32(q>>4)) - min1
			}
		}
	}
}

// Q5_K is d, dmin, 12 bytes of scales, qh[32], nibbles[128]: as Q4_K, with the
// fifth bit of element 32i+l in bit i of qh[l].
func dequantizeQ5_K(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[superBlock:], src[176:] {
		d, dmin := half(src), half(src[2:])
		qh := src[16:48]
		for c := range 4 {
			sc0, m0 := ScaleMinK(src[4:16], 2*c)
			sc1, m1 := ScaleMinK(src[4:16], 2*c+1)
			d0, min0 := d*float32(sc0), dmin*float32(m0)
			d1, min1 := d*float32(sc1), dmin*float32(m1)
			for l, q := range src[48+32*c:][:32] {
				dst[64*c+l] = float32(d0*float32(q&15|qh[l]>>(2*c)&1<<4)) - min0
				dst[64*c+32+l] = float32(d1*float32(q>>4|qh[l]>>(2*c+1)&1<<4)) - min1
			}
		}
	}
}

// Q6_K is ql[128], qh[64], int8 scales[16], d: 16 elements share a scale; four
// low bits come from ql, two high ones from qh, 32 is added.
func dequantizeQ6_K(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[superBlock:], src[210:] {
		d := half(src[208:])
		for n := range 2 {
			ql, qh, sc := src[64*n:], src[128+32*n:], src[192+8*n:]
			y := dst[128*n:]
			for l := range 32 {
				i := l / 16
				h := qh[l]
				y[l] = d * float32(int8(sc[i])) * float32(int(ql[l]&15|h&3<<4)-32)
				y[l+32] = d * float32(int8(sc[i+2])) * float32(int(ql[l+32]&15|h>>2&3<<4)-32)
				y[l+64] = d * float32(int8(sc[i+4])) * float32(int(ql[l]>>4|h>>4&3<<4)-32)
				y[l+96] = d * float32(int8(sc[i+6])) * float32(int(ql[l+32]>>4|h>>6<<4)-32)
			}
		}
	}
}
