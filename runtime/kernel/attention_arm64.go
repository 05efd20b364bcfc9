//go:build !purego

package kernel

import (
	"math"

	"github.com/sluice-ai/sluice/runtime/quant"
)

func storeF16(dst []byte, x []float32) { storeF16Generic(dst, x) }

// attendScores is attendScoresGeneric for 1, 2, 4 or 8 rows.
func attendScores(t quant.Type, p, q []float32, k []byte, rows, keys int) {
	d := len(q) / rows
	if !useNEON || d%4 != 0 {
		attendScoresGeneric(t, p, q, k, rows, keys)
		return
	}
	for ; rows > 4; rows -= 4 {
		attendScores(t, p, q[:4*d], k, 4, keys)
		p, q = p[4*KVPage:], q[4*d:]
	}
	scoresNEON(t, &scoreArgs{p: &p[0], q: &q[0], k: &k[0], d: d, batches: (keys + keyGroup - 1) / keyGroup}, rows)
}

// attendWeights is attendWeightsGeneric.
func attendWeights(p []float32, keys []int, top, sum, factor []float32) {
	if !useNEON {
		attendWeightsGeneric(p, keys, top, sum, factor)
		return
	}
	for r, n := range keys { // up to a multiple of four, weights of 0
		for ; n%4 != 0; n++ {
			p[r*KVPage+n] = float32(math.Inf(-1))
		}
	}
	weightsNEON(&weightArgs{p: &p[0], keys: &keys[0], top: &top[0], sum: &sum[0], factor: &factor[0], rows: len(keys)})
}

// attendMix is attendMixGeneric for 1, 2, 4 or 8 rows.
func attendMix(t quant.Type, o, factor, p []float32, v []byte, keys int) {
	rows := len(factor)
	d := len(o) / rows
	if !useNEON || d%16 != 0 {
		attendMixGeneric(t, o, factor, p, v, keys)
		return
	}
	for ; rows > 4; rows -= 4 {
		attendMix(t, o[:4*d], factor[:4], p, v, keys)
		o, factor, p = o[4*d:], factor[4:], p[4*KVPage:]
	}
	a := mixArgs{width: 4 * d, factor: &factor[0], p: &p[0], stride: quant.RowBytes(t, d), keys: keys}
	for i := 0; i < d; i += 16 {
		a.o = &o[i]
		if t == quant.Q8_0 {
			a.block = &v[i/32*q8Bytes]
			a.v = &v[i/32*q8Bytes+2+i%32]
		} else {
			a.v = &v[quant.RowBytes(t, i)]
		}
		mixNEON(t, &a, rows)
	}
}

//go:noescape
func scores4F32NEON(a *scoreArgs)

//go:noescape
func mix4F32NEON(a *mixArgs)

//go:noescape
func scores2F32NEON(a *scoreArgs)

//go:noescape
func mix2F32NEON(a *mixArgs)

//go:noescape
func scores1F32NEON(a *scoreArgs)

//go:noescape
func mix1F32NEON(a *mixArgs)

//go:noescape
func scores4F16NEON(a *scoreArgs)

//go:noescape
func mix4F16NEON(a *mixArgs)

//go:noescape
func scores2F16NEON(a *scoreArgs)

//go:noescape
func mix2F16NEON(a *mixArgs)

//go:noescape
func scores1F16NEON(a *scoreArgs)

//go:noescape
func mix1F16NEON(a *mixArgs)

//go:noescape
func scores4Q8NEON(a *scoreArgs)

//go:noescape
func mix4Q8NEON(a *mixArgs)

//go:noescape
func scores2Q8NEON(a *scoreArgs)

//go:noescape
func mix2Q8NEON(a *mixArgs)

//go:noescape
func scores1Q8NEON(a *scoreArgs)

//go:noescape
func mix1Q8NEON(a *mixArgs)

//go:noescape
func weightsNEON(a *weightArgs)

// scoresNEON runs the routine for keys of type t and 1, 2 or 4 rows.
func scoresNEON(t quant.Type, a *scoreArgs, rows int) {
	switch t {
	case quant.F32:
		switch rows {
		case 1:
			scores1F32NEON(a)
		case 2:
			scores2F32NEON(a)
		case 4:
			scores4F32NEON(a)
		}
	case quant.F16:
		switch rows {
		case 1:
			scores1F16NEON(a)
		case 2:
			scores2F16NEON(a)
		case 4:
			scores4F16NEON(a)
		}
	default:
		switch rows {
		case 1:
			scores1Q8NEON(a)
		case 2:
			scores2Q8NEON(a)
		case 4:
			scores4Q8NEON(a)
		}
	}
}

// mixNEON runs the routine for values of type t and 1, 2 or 4 rows.
func mixNEON(t quant.Type, a *mixArgs, rows int) {
	switch t {
	case quant.F32:
		switch rows {
		case 1:
			mix1F32NEON(a)
		case 2:
			mix2F32NEON(a)
		case 4:
			mix4F32NEON(a)
		}
	case quant.F16:
		switch rows {
		case 1:
			mix1F16NEON(a)
		case 2:
			mix2F16NEON(a)
		case 4:
			mix4F16NEON(a)
		}
	default:
		switch rows {
		case 1:
			mix1Q8NEON(a)
		case 2:
			mix2Q8NEON(a)
		case 4:
			mix4Q8NEON(a)
		}
	}
}
