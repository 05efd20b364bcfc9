package kernel

import (
	"math"

	"github.com/sluice-ai/sluice/runtime/quant"
)

// The definitions of attention's three steps over a page; see [Attention]. Rows of
// scores and weights are KVPage apart.

// attendScoresGeneric sets the first keys scores of each row of p, and perhaps more
// of the page's, to the products of its query and the keys of k. There are rows
// queries in q.
func attendScoresGeneric(t quant.Type, p, q []float32, k []byte, rows, keys int) {
	d := len(q) / rows
	var wide [keyGroup]float32
	for g := 0; g < keys; g += keyGroup {
		group := k[g*quant.RowBytes(t, d):]
		for r := range rows {
			clear(p[r*KVPage+g:][:keyGroup])
		}
		for j := range d {
			widenKeys(t, &wide, group, d, j)
			for r := range rows {
				v, sums := q[r*d+j], (*[keyGroup]float32)(p[r*KVPage+g:])
				for i, k := range wide {
					sums[i] += float32(v * k)
				}
			}
		}
	}
}

// attendWeightsGeneric turns the first keys[r] scores of each row r of p into
// 2^(score - top), having raised top[r] to the largest of them; factor[r] is what
// that scales earlier weights by, and sum[r] counts them all.
func attendWeightsGeneric(p []float32, keys []int, top, sum, factor []float32) {
	for r, n := range keys {
		row := p[r*KVPage:][:n]
		most := max(top[r], maxGeneric(row))
		factor[r] = exp2Generic(top[r] - most)
		top[r] = most
		lanes := (*[sumLanes]float32)(sum[r*sumLanes:])
		for i := range lanes {
			lanes[i] *= factor[r]
		}
		for i, v := range row {
			v = exp2Generic(v - most)
			row[i] = v
			lanes[i%sumLanes] += v
		}
	}
}

// attendMixGeneric multiplies each row r of o by factor[r] and adds the first keys
// values of v to it, each times its weight of row r of p.
func attendMixGeneric(t quant.Type, o, factor, p []float32, v []byte, keys int) {
	d := len(o) / len(factor)
	size := quant.RowBytes(t, d)
	for r, f := range factor {
		row := o[r*d:][:d]
		scaleGeneric(f, row)
		for i := range keys {
			mixGeneric(t, row, p[r*KVPage+i], v[i*size:])
		}
	}
}

// mixGeneric adds a times the row v to dst.
func mixGeneric(t quant.Type, dst []float32, a float32, v []byte) {
	switch t {
	case quant.F32:
		axpyGeneric(a, floatsOf(v)[:len(dst)], dst)
	case quant.F16:
		for i := range dst {
			dst[i] += float32(a * half(v[2*i:]))
		}
	default:
		for b := range len(dst) / 32 {
			block := v[b*q8Bytes:][:q8Bytes]
			d := half(block)
			for i := range 32 {
				dst[32*b+i] += float32(a * (float32(int8(block[2+i])) * d))
			}
		}
	}
}

// The polynomial of exp2: 2^x = 1 + x*(exp2c1 + x*(exp2c2 + ...)) for x in [0, 1)
// within 5.3e-9 of it.
const (
	exp2c1 = 0.6931471708649766
	exp2c2 = 0.24022720418109683
	exp2c3 = 0.05549602356402451
	exp2c4 = 0.00965219505602145
	exp2c5 = 0.0012692166069001461
	exp2c6 = 0.0002081791504422099

	exp2Least = -126 // below it 2^x counts as 0, or as nearly that
)

// exp2Generic returns 2^x for an x of at most 0.
func exp2Generic(x float32) float32 {
	if x < exp2Least {
		return 0
	}
	n := math.Floor(float64(x))
	f := x - float32(n)
	y := float32(f*exp2c6) + exp2c5
	y = float32(f*y) + exp2c4
	y = float32(f*y) + exp2c3
	y = float32(f*y) + exp2c2
	y = float32(f*y) + exp2c1
	y = float32(f*y) + 1
	return y * math.Float32frombits(uint32(int32(n)+127)<<23)
}
