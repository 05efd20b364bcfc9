package quant

import "math"

// HalfToFloat returns the value of the IEEE 754 half h. It is exact.
func HalfToFloat(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	exp := uint32(h>>10) & 31
	man := uint32(h & 0x3ff)
	switch {
	case exp == 31: // infinity, NaN
		return math.Float32frombits(sign | 0x7f800000 | man<<13)
	case exp == 0: // zero, subnormal: man * 2^-24
		return math.Float32frombits(sign | math.Float32bits(float32(man)*0x1p-24))
	}
	return math.Float32frombits(sign | (exp+112)<<23 | man<<13)
}

// FloatToHalf returns the half nearest to f, ties to even. What is too large
// becomes an infinity; a NaN stays a NaN.
func FloatToHalf(f float32) uint16 {
	bits := math.Float32bits(f)
	sign := uint16(bits >> 16 & 0x8000)
	bits &= 0x7fffffff
	switch {
	case bits > 0x7f800000:
		return sign | 0x7e00
	case bits >= 0x477ff000: // 65520 and more round to infinity
		return sign | 0x7c00
	case bits < 0x38800000: // below 2^-14: subnormal; adding 0.5 shifts and rounds
		return sign | uint16(math.Float32bits(math.Float32frombits(bits)+0.5)-0x3f000000)
	}
	bits += 0xfff + bits>>13&1
	return sign | uint16((bits-112<<23)>>13)
}

// BFloatToFloat returns the value of the bfloat16 b. It is exact.
func BFloatToFloat(b uint16) float32 { return math.Float32frombits(uint32(b) << 16) }

// FloatToBFloat returns the bfloat16 nearest to f, ties to even. A NaN stays a
// NaN.
func FloatToBFloat(f float32) uint16 {
	bits := math.Float32bits(f)
	if bits&0x7fffffff > 0x7f800000 {
		return uint16(bits>>16) | 0x40
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}
