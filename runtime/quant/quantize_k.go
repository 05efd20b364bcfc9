package quant

import "math"

// A group is 32 elements that share a scale and a minimum: element i is to
// become scale*q[i] + least, with q in [0, top]. Errors count by their square and
// by a weight that is twice as large for a large element as for a small one, as
// in ggml's search for the same types.
//
// Elements are kept as their distance to low, so that sums lose nothing when all
// lie far from zero.
type group struct {
	top, low, width float32
	y, w, wy        [32]float32 // x - low, weight, their product

	sw, sy, syy float64 // Σw, Σwy, Σwyy
}

// set fills g with the 32 elements of x. Low is the least of them, or 0 if that
// is less and the minimum must not be positive.
func (g *group) set(x []float32, top float32, negative bool) {
	x = x[:32]
	least, most, square := x[0], x[0], float32(0)
	for _, v := range x {
		least, most = min(least, v), max(most, v)
		square += float32(v * v)
	}
	if negative {
		least = min(least, 0)
	}
	g.top, g.low, g.width = top, least, most-least
	deviation := float32(math.Sqrt(float64(square / 32)))
	g.sw, g.sy, g.syy = 0, 0, 0
	for i, v := range x {
		y, w := v-least, deviation+abs(v)
		g.y[i], g.w[i], g.wy[i] = y, w, float32(w*y)
		g.sw += float64(w)
		g.sy += float64(g.wy[i])
		g.syy += float64(float32(g.wy[i] * y))
	}
}

// nearest returns x, whose magnitude is less than 2^22, rounded to even.
func nearest(x float32) float32 {
	const shift = 3 << 22
	return float32(x+shift) - shift
}

// mul returns a*b, rounded: a compiler may not fuse it with an addition, so that
// a file has the same bytes on every machine.
func mul(a, b float64) float64 { return float64(a * b) }

// sums are what a choice of integers comes to: Σwq, Σwqq, Σwqy.
type sums struct{ q, qq, qy float64 }

// round returns the sums of y*inverse + c rounded to [0, top].
func (g *group) round(inverse, c float32) sums {
	var q0, qq0, qy0, q1, qq1, qy1 float32 // two of each: sums wait for each other
	top := g.top
	for i := 0; i < 32; i += 2 {
		l0 := nearest(float32(g.y[i]*inverse) + c)
		l1 := nearest(float32(g.y[i+1]*inverse) + c)
		if l0 > top {
			l0 = top
		}
		if l1 > top {
			l1 = top
		}
		if l0 < 0 {
			l0 = 0
		}
		if l1 < 0 {
			l1 = 0
		}
		wl0, wl1 := float32(g.w[i]*l0), float32(g.w[i+1]*l1)
		q0 += wl0
		q1 += wl1
		qq0 += float32(wl0 * l0)
		qq1 += float32(wl1 * l1)
		qy0 += float32(g.wy[i] * l0)
		qy1 += float32(g.wy[i+1] * l1)
	}
	return sums{float64(q0) + float64(q1), float64(qq0) + float64(qq1), float64(qy0) + float64(qy1)}
}

// err returns Σw(scale*q + b - y)².
func (g *group) err(s sums, scale, b float64) float64 {
	return g.syy + mul(mul(scale, scale), s.qq) + mul(mul(b, b), g.sw) + 2*(mul(mul(scale, b), s.q)-mul(scale, s.qy)-mul(b, g.sy))
}

// singular is the part of the product of its diagonal below which the
// determinant of two equations is what rounding left of nothing.
const singular = 1e-5

// search returns the scale and the minimum that come nearest to the group, among
// those that some division of its range leads to: the range is divided into top
// steps, or somewhat fewer or more, elements are rounded to them, and scale and
// minimum are then fitted to the integers by least squares. With negative, the
// minimum is not positive.
func (g *group) search(negative bool) (scale, least float32) {
	if !(g.width > tiny) {
		return 0, g.low
	}
	best, offset := math.Inf(1), 0.0
	for step := -10; step <= 10; step++ {
		s := g.round((g.top+float32(0.1*float32(step)))/g.width, 0)
		if s.qq == 0 {
			continue
		}
		a, b := s.qy/s.qq, 0.0
		if det := mul(g.sw, s.qq) - mul(s.q, s.q); det > singular*g.sw*s.qq { // not all integers are alike
			a, b = (mul(g.sw, s.qy)-mul(s.q, g.sy))/det, (mul(s.qq, g.sy)-mul(s.q, s.qy))/det
		}
		if limit := -float64(g.low); negative && b > limit {
			b = limit
			a = (s.qy - mul(b, s.q)) / s.qq
		}
		if e := g.err(s, a, b); e < best {
			best, scale, offset = e, float32(a), b
		}
	}
	return scale, float32(float64(g.low) + offset)
}

// quantizeK fills q with the integers of a super-block and returns what else
// there is of it: element i is d*scale[i/32]*q[i] - dmin*minimum[i/32], with q
// at most top.
func quantizeK(q *[superBlock]uint8, x []float32, top float32) (d, dmin uint16, scale, minimum [8]uint8) {
	var groups [8]group
	var scales, minimums [8]float32
	var widestScale, deepest float32
	for i := range groups {
		groups[i].set(x[32*i:], top, true)
		s, least := groups[i].search(true)
		scales[i], minimums[i] = s, -least
		widestScale, deepest = max(widestScale, s), max(deepest, -least)
	}
	d, dmin = FloatToHalf(widestScale/63), FloatToHalf(deepest/63)
	var fit joint
	for i := range groups {
		scale[i], minimum[i] = sixBits(scales[i], d), sixBits(minimums[i], dmin)
		fit.add(&groups[i], d, dmin, scale[i], minimum[i])
	}
	d, dmin = fit.solve(d, dmin)
	for i := range groups {
		s, m := sixBits(scales[i], d), sixBits(minimums[i], dmin)
		scale[i], minimum[i] = groups[i].neighbour(d, dmin, s, m)
		inv, c := groups[i].transform(d, dmin, scale[i], minimum[i])
		for j, y := range groups[i].y {
			q[32*i+j] = uint8(max(0, min(top, nearest(float32(y*inv)+c))))
		}
	}
	return d, dmin, scale, minimum
}

// sixBits returns x/d rounded to six bits.
func sixBits(x float32, d uint16) uint8 {
	return uint8(max(0, min(63, nearest(x*inverse(HalfToFloat(d))))))
}

// transform returns what [group.round] needs to round elements to a scale and a
// minimum of a super-block.
func (g *group) transform(d, dmin uint16, scale, minimum uint8) (inv, c float32) {
	inv = inverse(HalfToFloat(d) * float32(scale))
	return inv, float32((g.low + float32(HalfToFloat(dmin)*float32(minimum))) * inv)
}

// neighbour returns the scale and the minimum, each the one given, one more or
// one less, that come nearest to the group once its elements are rounded to them.
func (g *group) neighbour(d, dmin uint16, scale, minimum uint8) (uint8, uint8) {
	fd, fmin, best := float64(HalfToFloat(d)), float64(HalfToFloat(dmin)), math.Inf(1)
	bestScale, bestMinimum := scale, minimum
	for s := max(1, scale) - 1; s <= min(63, scale+1); s++ {
		for m := max(1, minimum) - 1; m <= min(63, minimum+1); m++ {
			inv, c := g.transform(d, dmin, s, m)
			e := g.err(g.round(inv, c), fd*float64(s), -mul(fmin, float64(m))-float64(g.low))
			if e < best {
				best, bestScale, bestMinimum = e, s, m
			}
		}
	}
	return bestScale, bestMinimum
}

// joint is the normal equations for d and dmin of a super-block whose scales,
// minimums and integers are given.
type joint struct{ dd, dm, mm, dx, mx float64 }

func (j *joint) add(g *group, d, dmin uint16, scale, minimum uint8) {
	s := g.round(g.transform(d, dmin, scale, minimum))
	sc, m, low := float64(scale), float64(minimum), float64(g.low)
	j.dd += mul(sc*sc, s.qq)
	j.dm -= mul(sc*m, s.q)
	j.mm += mul(m*m, g.sw)
	j.dx += mul(sc, s.qy+mul(low, s.q))
	j.mx -= mul(m, g.sy+mul(low, g.sw))
}

// solve returns the best d and dmin, or those given if the equations have no
// solution that a block can hold.
func (j *joint) solve(d, dmin uint16) (uint16, uint16) {
	a, b := j.dx/j.dd, 0.0
	if j.mm > 0 {
		det := mul(j.dd, j.mm) - mul(j.dm, j.dm)
		if det <= singular*j.dd*j.mm {
			return d, dmin
		}
		a, b = (mul(j.dx, j.mm)-mul(j.mx, j.dm))/det, (mul(j.mx, j.dd)-mul(j.dx, j.dm))/det
	}
	if !(a > 0 && b >= 0 && a < 65504 && b < 65504) { // not if one of them is NaN, either
		return d, dmin
	}
	return FloatToHalf(float32(a)), FloatToHalf(float32(b))
}

// putScalesK stores six-bit scales and minimums as [ScaleMinK] reads them.
func putScalesK(dst []byte, scale, minimum *[8]uint8) {
	for j := range 4 {
		dst[j] = scale[j] | scale[j+4]>>4<<6
		dst[j+4] = minimum[j] | minimum[j+4]>>4<<6
		dst[j+8] = scale[j+4]&15 | minimum[j+4]<<4
	}
}

func quantizeQ4_K(dst []byte, src []float32) {
	var q [superBlock]uint8
	for ; len(src) > 0; dst, src = dst[144:], src[superBlock:] {
		d, dmin, scale, minimum := quantizeK(&q, src[:superBlock], 15)
		le.PutUint16(dst, d)
		le.PutUint16(dst[2:], dmin)
		putScalesK(dst[4:16], &scale, &minimum)
		for c := range 4 {
			for l := range 32 {
				dst[16+32*c+l] = q[64*c+l] | q[64*c+32+l]<<4
			}
		}
	}
}

func quantizeQ5_K(dst []byte, src []float32) {
	var q [superBlock]uint8
	for ; len(src) > 0; dst, src = dst[176:], src[superBlock:] {
		d, dmin, scale, minimum := quantizeK(&q, src[:superBlock], 31)
		le.PutUint16(dst, d)
		le.PutUint16(dst[2:], dmin)
		putScalesK(dst[4:16], &scale, &minimum)
		high := dst[16:48]
		clear(high)
		for c := range 4 {
			for l := range 32 {
				a, b := q[64*c+l], q[64*c+32+l]
				dst[48+32*c+l] = a&15 | b<<4
				high[l] |= a>>4<<(2*c) | b>>4<<(2*c+1)
			}
		}
	}
}
