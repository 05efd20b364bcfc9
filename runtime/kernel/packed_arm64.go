//go:build !purego

package kernel

import "github.com/sluice-ai/sluice/runtime/quant"

// havePacked reports whether packed may be called for t.
func havePacked(t quant.Type) bool {
	switch t {
	case quant.Q4_0, quant.Q8_0, quant.Q4_K, quant.Q6_K:
		return useDOT || useI8MM
	}
	return false
}

// fetchesAhead reports whether packed fetches what its arguments say.
func fetchesAhead() bool { return false }

func haveRepack(quant.Type) bool { return false }

func repack(*packArgs, quant.Type) { panic("kernel: no routine to repack") }

// packed sets a.dst to the product of a panel of type t and width columns: 1, in the
// plain layout, or 4 or 8 of a group.
func packed(a *packedArgs, t quant.Type, width int) {
	switch {
	case width > 1 && useI8MM:
		packedI8MM(a, t, width)
	case width > 1:
		packedQuarters(a, t, width)
	default:
		packed1DOT(a, t)
	}
}

func packed1DOT(a *packedArgs, t quant.Type) {
	switch t {
	case quant.Q4_0:
		packed1Q4_0DOT(a)
	case quant.Q8_0:
		packed1Q8_0DOT(a)
	case quant.Q4_K:
		packed1Q4_KDOT(a)
	case quant.Q6_K:
		packed1Q6_KDOT(a)
	}
}

// packedQuarter is packed by eight rows from a.row on and four columns.
func packedQuarter(a *packedArgs, t quant.Type) {
	switch t {
	case quant.Q4_0:
		packed4Q4_0DOT(a)
	case quant.Q8_0:
		packed4Q8_0DOT(a)
	case quant.Q4_K:
		packed4Q4_KDOT(a)
	case quant.Q6_K:
		packed4Q6_KDOT(a)
	}
}

//go:noescape
func packed1Q4_0DOT(a *packedArgs)

//go:noescape
func packed4Q4_0DOT(a *packedArgs)

//go:noescape
func packed1Q8_0DOT(a *packedArgs)

//go:noescape
func packed4Q8_0DOT(a *packedArgs)

//go:noescape
func packed1Q4_KDOT(a *packedArgs)

//go:noescape
func packed4Q4_KDOT(a *packedArgs)

//go:noescape
func packed1Q6_KDOT(a *packedArgs)

//go:noescape
func packed4Q6_KDOT(a *packedArgs)
