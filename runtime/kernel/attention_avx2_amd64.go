//go:build !purego

package kernel

import "github.com/sluice-ai/sluice/runtime/quant"

//go:noescape
func scores4F32AVX2(a *scoreArgs)

//go:noescape
func mix4F32AVX2(a *mixArgs)

//go:noescape
func scores2F32AVX2(a *scoreArgs)

//go:noescape
func mix2F32AVX2(a *mixArgs)

//go:noescape
func scores1F32AVX2(a *scoreArgs)

//go:noescape
func mix1F32AVX2(a *mixArgs)

//go:noescape
func scores4F16AVX2(a *scoreArgs)

//go:noescape
func mix4F16AVX2(a *mixArgs)

//go:noescape
func scores2F16AVX2(a *scoreArgs)

//go:noescape
func mix2F16AVX2(a *mixArgs)

//go:noescape
func scores1F16AVX2(a *scoreArgs)

//go:noescape
func mix1F16AVX2(a *mixArgs)

//go:noescape
func scores4Q8AVX2(a *scoreArgs)

//go:noescape
func mix4Q8AVX2(a *mixArgs)

//go:noescape
func scores2Q8AVX2(a *scoreArgs)

//go:noescape
func mix2Q8AVX2(a *mixArgs)

//go:noescape
func scores1Q8AVX2(a *scoreArgs)

//go:noescape
func mix1Q8AVX2(a *mixArgs)

//go:noescape
func weightsAVX2(a *weightArgs)

// scoresAVX2 runs the routine for keys of type t and 1, 2 or 4 rows.
func scoresAVX2(t quant.Type, a *scoreArgs, rows int) {
	switch t {
	case quant.F32:
		switch rows {
		case 1:
			scores1F32AVX2(a)
		case 2:
			scores2F32AVX2(a)
		case 4:
			scores4F32AVX2(a)
		}
	case quant.F16:
		switch rows {
		case 1:
			scores1F16AVX2(a)
		case 2:
			scores2F16AVX2(a)
		case 4:
			scores4F16AVX2(a)
		}
	default:
		switch rows {
		case 1:
			scores1Q8AVX2(a)
		case 2:
			scores2Q8AVX2(a)
		case 4:
			scores4Q8AVX2(a)
		}
	}
}

// mixAVX2 runs the routine for values of type t and 1, 2 or 4 rows.
func mixAVX2(t quant.Type, a *mixArgs, rows int) {
	switch t {
	case quant.F32:
		switch rows {
		case 1:
			mix1F32AVX2(a)
		case 2:
			mix2F32AVX2(a)
		case 4:
			mix4F32AVX2(a)
		}
	case quant.F16:
		switch rows {
		case 1:
			mix1F16AVX2(a)
		case 2:
			mix2F16AVX2(a)
		case 4:
			mix4F16AVX2(a)
		}
	default:
		switch rows {
		case 1:
			mix1Q8AVX2(a)
		case 2:
			mix2Q8AVX2(a)
		case 4:
			mix4Q8AVX2(a)
		}
	}
}
