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

// levelsIQ4 are the 16 values an element of IQ4_NL can have, before its scale.
var levelsIQ4 = [16]int8{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}

// LevelIQ4 returns the integer that nibble q < 16 of an IQ4_NL block stands for.
func LevelIQ4(q byte) int8 { return levelsIQ4[q] }

// IQ4_NL is d, nibbles[16]: as Q4_0, with levels that lie closer together near
// zero.
func dequantizeIQ4_NL(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[32:], src[18:] {
		d := half(src)
		for j, q := range src[2:18] {
			dst[j] = d * float32(levelsIQ4[q&15])
			dst[j+16] = d * float32(levelsIQ4[q>>4])
		}
	}
}

// levelsE2M1 are twice the values of a four-bit float: a sign, two bits of
// exponent and one of mantissa.
var levelsE2M1 = [16]int8{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}

// LevelE2M1 returns twice the value of the four-bit float q < 16, as an integer.
func LevelE2M1(q byte) int8 { return levelsE2M1[q] }

// HalfPowerE8M0 returns 2^(e-128): half the scale e of an MXFP4 block, as its
// levels are doubled. It is subnormal for e < 2.
func HalfPowerE8M0(e byte) float32 {
	if e < 2 {
		return math.Float32frombits(1 << (21 + e))
	}
	return math.Float32frombits(uint32(e-1) << 23)
}

// MXFP4 is e, nibbles[16]: a power of two and four-bit floats, as the OCP
// Microscaling specification has them, in ggml's order.
func dequantizeMXFP4(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[32:], src[17:] {
		d := HalfPowerE8M0(src[0])
		for j, q := range src[1:17] {
			dst[j] = d * float32(levelsE2M1[q&15])
			dst[j+16] = d * float32(levelsE2M1[q>>4])
		}
	}
}
