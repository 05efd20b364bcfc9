//go:build !purego

package kernel

import "github.com/sluice-ai/sluice/runtime/quant"

// havePacked reports whether packed may be called for t.
func havePacked(t quant.Type) bool {
	switch t {
	case quant.Q4_0, quant.Q8_0, quant.Q4_K, quant.Q6_K:
		return useVNNI || useAVXVNNI || useAVX2
	}
	return false
}

// fetchesAhead reports whether packed fetches what its arguments say.
func fetchesAhead() bool { return useVNNI }

//go:noescape
func repackQ4_0AVX512(a *packArgs)

//go:noescape
func repackQ8_0AVX512(a *packArgs)

// haveRepack reports whether repack may be called for t.
func haveRepack(t quant.Type) bool { return useAVX512 && (t == quant.Q4_0 || t == quant.Q8_0) }

// repack fills a packed panel, a.v, with panelRows rows of type t.
func repack(a *packArgs, t quant.Type) {
	if t == quant.Q4_0 {
		repackQ4_0AVX512(a)
	} else {
		repackQ8_0AVX512(a)
	}
}

// packed sets a.dst to the product of a panel of type t and width columns: 1, in the
// plain layout, or 4 or 8 of a group.
func packed(a *packedArgs, t quant.Type, width int) {
	switch {
	case useVNNI:
		packedVNNI(a, t, width)
	case width > 1:
		packedQuarters(a, t, width)
	case useAVXVNNI:
		packed1AVXVNNI(a, t)
	default:
		packed1AVX2(a, t)
	}
}

func packedVNNI(a *packedArgs, t quant.Type, width int) {
	switch t {
	case quant.Q4_0:
		switch width {
		case 1:
			packed1Q4_0VNNI(a)
		case 4:
			packed4Q4_0VNNI(a)
		case 8:
			packed8Q4_0VNNI(a)
		}
	case quant.Q8_0:
		switch width {
		case 1:
			packed1Q8_0VNNI(a)
		case 4:
			packed4Q8_0VNNI(a)
		case 8:
			packed8Q8_0VNNI(a)
		}
	case quant.Q4_K:
		switch width {
		case 1:
			packed1Q4_KVNNI(a)
		case 4:
			packed4Q4_KVNNI(a)
		case 8:
			packed8Q4_KVNNI(a)
		}
	case quant.Q6_K:
		switch width {
		case 1:
			packed1Q6_KVNNI(a)
		case 4:
			packed4Q6_KVNNI(a)
		case 8:
			packed8Q6_KVNNI(a)
		}
	}
}

func packed1AVXVNNI(a *packedArgs, t quant.Type) {
	switch t {
	case quant.Q4_0:
		packed1Q4_0AVXVNNI(a)
	case quant.Q8_0:
		packed1Q8_0AVXVNNI(a)
	case quant.Q4_K:
		packed1Q4_KAVXVNNI(a)
	case quant.Q6_K:
		packed1Q6_KAVXVNNI(a)
	}
}

func packed1AVX2(a *packedArgs, t quant.Type) {
	switch t {
	case quant.Q4_0:
		packed1Q4_0AVX2(a)
	case quant.Q8_0:
		packed1Q8_0AVX2(a)
	case quant.Q4_K:
		packed1Q4_KAVX2(a)
	case quant.Q6_K:
		packed1Q6_KAVX2(a)
	}
}

// packedQuarter is packed by eight rows from a.row on and four columns.
func packedQuarter(a *packedArgs, t quant.Type) {
	if useAVXVNNI {
		packed4AVXVNNI(a, t)
	} else {
		packed4AVX2(a, t)
	}
}

func packed4AVXVNNI(a *packedArgs, t quant.Type) {
	switch t {
	case quant.Q4_0:
		packed4Q4_0AVXVNNI(a)
	case quant.Q8_0:
		packed4Q8_0AVXVNNI(a)
	case quant.Q4_K:
		packed4Q4_KAVXVNNI(a)
	case quant.Q6_K:
		packed4Q6_KAVXVNNI(a)
	}
}

func packed4AVX2(a *packedArgs, t quant.Type) {
	switch t {
	case quant.Q4_0:
		packed4Q4_0AVX2(a)
	case quant.Q8_0:
		packed4Q8_0AVX2(a)
	case quant.Q4_K:
		packed4Q4_KAVX2(a)
	case quant.Q6_K:
		packed4Q6_KAVX2(a)
	}
}

//go:noescape
func packed1Q4_0VNNI(a *packedArgs)

//go:noescape
func packed4Q4_0VNNI(a *packedArgs)

//go:noescape
func packed8Q4_0VNNI(a *packedArgs)

//go:noescape
func packed1Q8_0VNNI(a *packedArgs)

//go:noescape
func packed4Q8_0VNNI(a *packedArgs)

//go:noescape
func packed8Q8_0VNNI(a *packedArgs)

//go:noescape
func packed1Q4_KVNNI(a *packedArgs)

//go:noescape
func packed4Q4_KVNNI(a *packedArgs)

//go:noescape
func packed8Q4_KVNNI(a *packedArgs)

//go:noescape
func packed1Q6_KVNNI(a *packedArgs)

//go:noescape
func packed4Q6_KVNNI(a *packedArgs)

//go:noescape
func packed8Q6_KVNNI(a *packedArgs)

//go:noescape
func packed1Q4_0AVX2(a *packedArgs)

//go:noescape
func packed4Q4_0AVX2(a *packedArgs)

//go:noescape
func packed1Q8_0AVX2(a *packedArgs)

//go:noescape
func packed4Q8_0AVX2(a *packedArgs)

//go:noescape
func packed1Q4_KAVX2(a *packedArgs)

//go:noescape
func packed4Q4_KAVX2(a *packedArgs)

//go:noescape
func packed1Q6_KAVX2(a *packedArgs)

//go:noescape
func packed4Q6_KAVX2(a *packedArgs)

//go:noescape
func packed1Q4_0AVXVNNI(a *packedArgs)

//go:noescape
func packed4Q4_0AVXVNNI(a *packedArgs)

//go:noescape
func packed1Q8_0AVXVNNI(a *packedArgs)

//go:noescape
func packed4Q8_0AVXVNNI(a *packedArgs)

//go:noescape
func packed1Q4_KAVXVNNI(a *packedArgs)

//go:noescape
func packed4Q4_KAVXVNNI(a *packedArgs)

//go:noescape
func packed1Q6_KAVXVNNI(a *packedArgs)

//go:noescape
func packed4Q6_KAVXVNNI(a *packedArgs)
