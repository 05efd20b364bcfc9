//go:build !purego

package kernel

import "github.com/sluice-ai/sluice/runtime/quant"

//go:noescape
func scores8F32AVX512(a *scoreArgs)

//go:noescape
func mix8F32AVX512(a *mixArgs)

//go:noescape
func scores4F32AVX512(a *scoreArgs)

//go:noescape
func mix4F32AVX512(a *mixArgs)

//go:noescape
func scores2F32AVX512(a *scoreArgs)

//go:noescape
func mix2F32AVX512(a *mixArgs)

//go:noescape
func scores1F32AVX512(a *scoreArgs)

//go:noescape
func mix1F32AVX512(a *mixArgs)

//go:noescape
func scores8F16AVX512(a *scoreArgs)

//go:noescape
func mix8F16AVX512(a *mixArgs)

//go:noescape
func scores4F16AVX512(a *scoreArgs)

//go:noescape
func mix4F16AVX512(a *mixArgs)

//go:noescape
func scores2F16AVX512(a *scoreArgs)

//go:noescape
func mix2F16AVX512(a *mixArgs)

//go:noescape
func scores1F16AVX512(a *scoreArgs)

//go:noescape
func mix1F16AVX512(a *mixArgs)

//go:noescape
func scores8Q8AVX512(a *scoreArgs)

//go:noescape
func mix8Q8AVX512(a *mixArgs)

//go:noescape
func scores4Q8AVX512(a *scoreArgs)

//go:noescape
func mix4Q8AVX512(a *mixArgs)

//go:noescape
func scores2Q8AVX512(a *scoreArgs)

//go:noescape
func mix2Q8AVX512(a *mixArgs)

//go:noescape
func scores1Q8AVX512(a *scoreArgs)

//go:noescape
func mix1Q8AVX512(a *mixArgs)

//go:noescape
func weightsAVX512(a *weightArgs)

// scoresAVX512 runs the routine for keys of type t and 1, 2, 4 or 8 rows.
func scoresAVX512(t quant.Type, a *scoreArgs, rows int) {
	switch t {
	case quant.F32:
		switch rows {
		case 1:
			scores1F32AVX512(a)
		case 2:
			scores2F32AVX512(a)
		case 4:
			scores4F32AVX512(a)
		case 8:
			scores8F32AVX512(a)
		}
	case quant.F16:
		switch rows {
		case 1:
			scores1F16AVX512(a)
		case 2:
			scores2F16AVX512(a)
		case 4:
			scores4F16AVX512(a)
		case 8:
			scores8F16AVX512(a)
		}
	default:
		switch rows {
		case 1:
			scores1Q8AVX512(a)
		case 2:
			scores2Q8AVX512(a)
		case 4:
			scores4Q8AVX512(a)
		case 8:
			scores8Q8AVX512(a)
		}
	}
}

// mixAVX512 runs the routine for values of type t and 1, 2, 4 or 8 rows.
func mixAVX512(t quant.Type, a *mixArgs, rows int) {
	switch t {
	case quant.F32:
		switch rows {
		case 1:
			mix1F32AVX512(a)
		case 2:
			mix2F32AVX512(a)
		case 4:
			mix4F32AVX512(a)
		case 8:
			mix8F32AVX512(a)
		}
	case quant.F16:
		switch rows {
		case 1:
			mix1F16AVX512(a)
		case 2:
			mix2F16AVX512(a)
		case 4:
			mix4F16AVX512(a)
		case 8:
			mix8F16AVX512(a)
		}
	default:
		switch rows {
		case 1:
			mix1Q8AVX512(a)
		case 2:
			mix2Q8AVX512(a)
		case 4:
			mix4Q8AVX512(a)
		case 8:
			mix8Q8AVX512(a)
		}
	}
}
