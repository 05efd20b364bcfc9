//go:build !purego

package kernel

import "github.com/sluice-ai/sluice/runtime/quant"

//go:noescape
func storeF16AVX2(dst *byte, x *float32, n int)

func storeF16(dst []byte, x []float32) {
	n := len(x) &^ 7
	if !useAVX2 || n == 0 {
		n = 0
	} else {
		storeF16AVX2(&dst[0], &x[0], n)
	}
	storeF16Generic(dst[2*n:], x[n:])
}

// attendScores is attendScoresGeneric for 1, 2, 4 or 8 rows.
func attendScores(t quant.Type, p, q []float32, k []byte, rows, keys int) {
	d := len(q) / rows
	groups := (keys + keyGroup - 1) / keyGroup
	a := scoreArgs{p: &p[0], q: &q[0], k: &k[0], d: d, group: quant.RowBytes(t, d) * keyGroup}
	switch {
	case useAVX512:
		atOnce := [9]int{1: 4, 2: 4, 4: 2, 8: 1}[rows]
		a.batches = (groups + atOnce - 1) / atOnce
		scoresAVX512(t, &a, rows)
	case useAVX2:
		for ; rows > 4; rows -= 4 {
			attendScores(t, p, q[:4*d], k, 4, keys)
			p, q = p[4*KVPage:], q[4*d:]
		}
		a.p, a.q, a.batches = &p[0], &q[0], groups
		if rows < 4 {
			a.batches = (groups + 1) / 2
		}
		scoresAVX2(t, &a, rows)
	default:
		attendScoresGeneric(t, p, q, k, rows, keys)
	}
}

// attendWeights is attendWeightsGeneric.
func attendWeights(p []float32, keys []int, top, sum, factor []float32) {
	a := weightArgs{p: &p[0], keys: &keys[0], top: &top[0], sum: &sum[0], factor: &factor[0], rows: len(keys)}
	switch {
	case useAVX512:
		weightsAVX512(&a)
	case useAVX2:
		weightsAVX2(&a)
	default:
		attendWeightsGeneric(p, keys, top, sum, factor)
	}
}

// attendMix is attendMixGeneric for 1, 2, 4 or 8 rows.
func attendMix(t quant.Type, o, factor, p []float32, v []byte, keys int) {
	rows := len(factor)
	d := len(o) / rows
	a := mixArgs{width: 4 * d, factor: &factor[0], p: &p[0], stride: quant.RowBytes(t, d), keys: keys}
	switch {
	case useAVX512:
		width := 64
		if rows == 8 || t == quant.Q8_0 {
			width = 32
		}
		for i := 0; i < d; i += width {
			a.o, a.v, a.mask = &o[i], &v[quant.RowBytes(t, i)], -1
			if left := d - i; left < width {
				a.mask = 1<<left - 1
			}
			mixAVX512(t, &a, rows)
		}
	case useAVX2 && d%16 == 0:
		for ; rows > 4; rows -= 4 {
			attendMix(t, o[:4*d], factor[:4], p, v, keys)
			o, factor, p = o[4*d:], factor[4:], p[4*KVPage:]
		}
		a.factor, a.p = &factor[0], &p[0]
		for i := 0; i < d; i += 16 {
			a.o = &o[i]
			if t == quant.Q8_0 {
				a.block = &v[i/32*q8Bytes]
				a.v = &v[i/32*q8Bytes+2+i%32]
			} else {
				a.v = &v[quant.RowBytes(t, i)]
			}
			mixAVX2(t, &a, rows)
		}
	default:
		attendMixGeneric(t, o, factor, p, v, keys)
	}
}
