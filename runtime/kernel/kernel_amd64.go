//go:build !purego

package kernel

import (
	"github.com/sluice-ai/sluice/runtime/quant"
	"golang.org/x/sys/cpu"
)

// The bits of package cpu include that the operating system saves the registers.
var (
	useAVX512 = cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL
	useVNNI   = useAVX512 && cpu.X86.HasAVX512VNNI
	useAVX2   = cpu.X86.HasAVX2 && cpu.X86.HasFMA && cpu.X86.HasF16C
)

func init() {
	register("VNNI", &useVNNI)
	register("AVX512", &useAVX512)
	register("AVX2", &useAVX2)
}

//go:noescape
func tile8VNNI(a *tileArgs)

//go:noescape
func tile4VNNI(a *tileArgs)

//go:noescape
func tile8x16VNNI(a *tileArgs)

//go:noescape
func tile4x16VNNI(a *tileArgs)

// haveTile reports whether tile may be called.
func haveTile() bool { return useVNNI }

// tile sets the first cols columns of a.dst, and perhaps more, to the product of
// a panel and a group, where size elements share a scale.
func tile(a *tileArgs, cols, size int) {
	switch {
	case size == 16 && cols <= 4:
		tile4x16VNNI(a)
	case size == 16:
		tile8x16VNNI(a)
	case cols <= 4:
		tile4VNNI(a)
	default:
		tile8VNNI(a)
	}
}

//go:noescape
func packQ8_0AVX512(a *packArgs)

//go:noescape
func packQ4_0AVX512(a *packArgs)

//go:noescape
func packQ6_KAVX512(a *packArgs)

// havePack reports whether pack may be called for t.
func havePack(t quant.Type) bool {
	return useVNNI && (t == quant.Q8_0 || t == quant.Q4_0 || t == quant.Q6_K)
}

// pack fills a panel with panelRows rows of type t.
func pack(a *packArgs, t quant.Type) {
	switch t {
	case quant.Q8_0:
		packQ8_0AVX512(a)
	case quant.Q4_0:
		packQ4_0AVX512(a)
	case quant.Q6_K:
		packQ6_KAVX512(a)
	}
}

//go:noescape
func columnQ8_0VNNI(a *columnArgs)

//go:noescape
func columnQ4_0VNNI(a *columnArgs)

//go:noescape
func columnQ6_KVNNI(a *columnArgs)

// haveColumn reports whether column may be called for t.
func haveColumn(t quant.Type) bool { return useVNNI && offset(t) != 0 }

// column sets a.dst to the product of panelRows rows of type t and a column.
func column(a *columnArgs, t quant.Type) {
	switch t {
	case quant.Q8_0:
		columnQ8_0VNNI(a)
	case quant.Q4_0:
		columnQ4_0VNNI(a)
	case quant.Q6_K:
		columnQ6_KVNNI(a)
	}
}
