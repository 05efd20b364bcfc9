package quant

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

// Q2_K is scales[16], q[64], d, dmin: 16 elements share a scale, in the low
// nibble of their byte, and a minimum, in the high one. 32 bytes of q hold 128
// elements, 32 in each two bits.
func dequantizeQ2_K(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[superBlock:], src[84:] {
		d, dmin := half(src[80:]), half(src[82:])
		for i, sc := range src[:16] { // elements 16i to 16i+15
			scale, minimum := d*float32(sc&15), dmin*float32(sc>>4)
			q, shift := src[16+i/8*32+i%2*16:], i%8/2*2
			for l := range 16 {
				dst[16*i+l] = float32(scale*float32(q[l]>>shift&3)) - minimum
			}
		}
	}
}

// ScaleQ3 returns the scale of elements 16j to 16j+15, j < 16, from the 12 scale
// bytes of a Q3_K block: four low bits in the first eight bytes, two high ones in
// the last four, 32 added.
func ScaleQ3(scales []byte, j int) int8 {
	low := scales[j%8] >> (j / 8 * 4) & 15
	return int8(low|scales[8+j%4]>>(j/4*2)&3<<4) - 32
}

// Q3_K is high[32], q[64], 12 bytes of scales, d: two bits of an element lie as
// in Q2_K; where bit i of high[l] is clear, 4 is taken from element 32i+l.
func dequantizeQ3_K(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[superBlock:], src[110:] {
		d := half(src[108:])
		for i := range 16 {
			scale := d * float32(ScaleQ3(src[96:108], i))
			q, shift := src[32+i/8*32+i%2*16:], i%8/2*2
			high := src[i%2*16:]
			for l := range 16 {
				v := int(q[l]>>shift&3) + int(high[l]>>(i/2)&1<<2) - 4
				dst[16*i+l] = scale * float32(v)
			}
		}
	}
}
