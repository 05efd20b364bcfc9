package quant

import "math"

func putHalf(b []byte, f float32) { le.PutUint16(b, FloatToHalf(f)) }

func quantizeF32(dst []byte, src []float32) {
	for i, v := range src {
		le.PutUint32(dst[4*i:], math.Float32bits(v))
	}
}

func quantizeF16(dst []byte, src []float32) {
	for i, v := range src {
		putHalf(dst[2*i:], v)
	}
}

func quantizeBF16(dst []byte, src []float32) {
	for i, v := range src {
		le.PutUint16(dst[2*i:], FloatToBFloat(v))
	}
}

// widest returns the element of x that is largest in magnitude, the first of
// several.
func widest(x []float32) float32 {
	var w float32
	for _, v := range x {
		if abs(v) > abs(w) {
			w = v
		}
	}
	return w
}

func abs(x float32) float32 { return math.Float32frombits(math.Float32bits(x) &^ (1 << 31)) }

// inverse returns 1/d, and 0 for 0.
func inverse(d float32) float32 {
	if d == 0 {
		return 0
	}
	return 1 / d
}

// QuantizeQ8_0 is [Quantize] for Q8_0, of slices known to fit, which may live on the
// stack. It panics if dst is too short.
func QuantizeQ8_0(dst []byte, src []float32) { quantizeQ8_0(dst, src) }

func quantizeQ8_0(dst []byte, src []float32) {
	for ; len(src) > 0; dst, src = dst[34:], src[32:] {
		d := abs(widest(src[:32])) / 127
		id := inverse(d)
		putHalf(dst, d)
		for j, v := range src[:32] {
			dst[2+j] = byte(int8(roundAway(float32(v * id))))
		}
	}
}

// roundAway returns x rounded, halves away from zero, as C's roundf does. The sum
// is exact.
func roundAway(x float32) int {
	if x < 0 {
		return int(float64(x) - 0.5)
	}
	return int(float64(x) + 0.5)
}

func quantizeQ4_0(dst []byte, src []float32) {
	for ; len(src) > 0; dst, src = dst[18:], src[32:] {
		d := widest(src[:32]) / -8
		id := inverse(d)
		putHalf(dst, d)
		for j := range 16 {
			lo := min(15, int(float32(src[j]*id)+8.5))
			hi := min(15, int(float32(src[j+16]*id)+8.5))
			dst[2+j] = byte(lo | hi<<4)
		}
	}
}

// quantizeQ4_1 and quantizeQ5_1 divide a block's range into 15 or 31 steps, or
// what [group.search] finds better.
func quantizeQ4_1(dst []byte, src []float32) {
	var q [32]uint8
	for ; len(src) > 0; dst, src = dst[20:], src[32:] {
		quantizeAffine(dst, &q, src[:32], 15)
		for j := range 16 {
			dst[4+j] = q[j] | q[j+16]<<4
		}
	}
}

func quantizeQ5_1(dst []byte, src []float32) {
	var q [32]uint8
	for ; len(src) > 0; dst, src = dst[24:], src[32:] {
		quantizeAffine(dst, &q, src[:32], 31)
		putFiveBits(dst[4:24], &q)
	}
}

// quantizeAffine stores the scale and the minimum of a block and fills q with its
// integers.
func quantizeAffine(dst []byte, q *[32]uint8, x []float32, top float32) {
	var g group
	g.set(x, top, false)
	scale, least := g.search(false)
	putHalf(dst, scale)
	putHalf(dst[2:], least)
	d, m := half(dst), half(dst[2:])
	id := inverse(d)
	for j, v := range x {
		q[j] = uint8(max(0, min(top, nearest(float32((v-m)*id)))))
	}
}

func quantizeQ5_0(dst []byte, src []float32) {
	var q [32]uint8
	for ; len(src) > 0; dst, src = dst[22:], src[32:] {
		d := widest(src[:32]) / -16
		id := inverse(d)
		putHalf(dst, d)
		for j, v := range src[:32] {
			q[j] = uint8(min(31, int(float32(v*id)+16.5)))
		}
		putFiveBits(dst[2:22], &q)
	}
}

// putFiveBits stores the fifth bits of q, then its nibbles.
func putFiveBits(dst []byte, q *[32]uint8) {
	var high uint32
	for j, v := range q {
		high |= uint32(v>>4) << j
	}
	le.PutUint32(dst, high)
	for j := range 16 {
		dst[4+j] = q[j]&15 | q[j+16]<<4
	}
}

// tiny is the magnitude below which a group counts as all zero (ggml's
// GROUP_MAX_EPS).
const tiny = 1e-15

// quantizeQ6_K follows ggml's quantize_row_q6_K_ref: a scale per 16 elements by
// search, those scales rounded to eight bits of the largest, and then each
// element rounded again with the scale that was really stored.
func quantizeQ6_K(dst []byte, src []float32) {
	var scales [16]float32
	var q [superBlock]int8
	for ; len(src) > 0; dst, src = dst[210:], src[superBlock:] {
		for i := range scales {
			scales[i] = searchScale(q[16*i:][:16], src[16*i:][:16], 32)
		}
		widestScale := widest(scales[:])
		if abs(widestScale) < tiny {
			clear(dst[:210])
			continue
		}
		iscale := -128 / widestScale
		putHalf(dst[208:], 1/iscale)
		d := half(dst[208:])
		for i, s := range scales {
			sc := int8(min(127, roundToEven(iscale*s)))
			dst[192+i] = byte(sc)
			if group := d * float32(sc); group != 0 {
				for j := range 16 {
					q[16*i+j] = int8(max(-32, min(31, roundToEven(src[16*i+j]/group))))
				}
			}
		}
		for n := range 2 {
			ql, qh, y := dst[64*n:], dst[128+32*n:], q[128*n:]
			for l := range 32 {
				a, b := byte(y[l]+32), byte(y[l+32]+32)
				c, e := byte(y[l+64]+32), byte(y[l+96]+32)
				ql[l] = a&15 | c<<4
				ql[l+32] = b&15 | e<<4
				qh[l] = a>>4 | b>>4<<2 | c>>4<<4 | e>>4<<6
			}
		}
	}
}

func roundToEven(x float32) int { return int(math.RoundToEven(float64(x))) }

// searchScale rounds x to integers q in [-bound, bound) and returns the scale
// for which scale*q is nearest to x, where the error of an element counts by
// its square: ggml's make_qx_quants with rmse_type 1.
func searchScale(q []int8, x []float32, bound int) float32 {
	w := widest(x)
	if abs(w) < tiny {
		clear(q)
		return 0
	}
	var scale, best float32
	for step := -10; step <= 9; step++ {
		// The plain scale goes first, then its neighbours from -9 to 9.
		nudge := float32(step)
		if step == -10 {
			nudge = 0
		} else if step == 0 {
			continue
		}
		iscale := -(float32(bound) + float32(0.1*nudge)) / w
		var sumlx, suml2 float32
		for _, v := range x {
			l := float32(max(-bound, min(bound-1, roundToEven(iscale*v))))
			sumlx += float32(v * v * v * l)
			suml2 += float32(v * v * l * l)
		}
		if step == -10 || suml2 > 0 && sumlx*sumlx > best*suml2 {
			for i, v := range x {
				q[i] = int8(max(-bound, min(bound-1, roundToEven(iscale*v))))
			}
			scale = 0
			if suml2 > 0 {
				scale = sumlx / suml2
			}
			best = scale * sumlx
		}
	}
	return scale
}
