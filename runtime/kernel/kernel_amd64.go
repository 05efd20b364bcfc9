//go:build !purego

package kernel

import (
	"unsafe"

	"github.com/sluice-ai/sluice/runtime/quant"
	"golang.org/x/sys/cpu"
)

// The bits of package cpu include that the operating system saves the registers.
var (
	useAVX512 = cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL
	useVNNI   = useAVX512 && cpu.X86.HasAVX512VNNI
	useAVX2   = cpu.X86.HasAVX2 && cpu.X86.HasFMA && cpu.X86.HasF16C

	// No machine at hand has had AVX-VNNI yet: its routines are tested with their
	// instructions replaced by those of AVX-512 that do the same.
	useAVXVNNI = useAVX2 && cpu.X86.HasAVXVNNI
)

func init() {
	register("VNNI", &useVNNI)
	register("AVX512", &useAVX512)
	register("AVXVNNI", &useAVXVNNI)
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

// groupRun returns how many neighbouring elements of a column lie beside each other in a
// group.
func groupRun() int { return 4 }

// haveTile reports whether tile may be called.
func haveTile() bool { return useVNNI || useAVX2 }

// tile sets the first cols columns of a.dst, and perhaps more, to the product of
// a panel and a group, where size elements share a scale.
func tile(a *tileArgs, cols, size int) {
	switch {
	case !useVNNI:
		quarters(a, cols, size)
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
func tileAVX2(a *tileArgs)

//go:noescape
func tile16AVX2(a *tileArgs)

func tileQuarter(a *tileArgs, size int) {
	if size == 16 {
		tile16AVX2(a)
	} else {
		tileAVX2(a)
	}
}

//go:noescape
func rowAVX2(a *rowArgs) float32

//go:noescape
func row16AVX2(a *rowArgs) float32

//go:noescape
func rowQ8_0AVX2(a *rowArgs) float32

//go:noescape
func rowQ4_0AVX2(a *rowArgs) float32

// haveRow reports whether dotRow may be called for t.
func haveRow(t quant.Type) bool { return useAVX2 && (t == quant.Q8_0 || t == quant.Q4_0) }

// dotRow returns the product of a row of type t and a column.
func dotRow(t quant.Type, row []byte, q []int8, d []float32) float32 {
	a := rowArgs{v: &row[0], q: &q[0], d: &d[0], blocks: len(d)}
	if t == quant.Q8_0 {
		return rowQ8_0AVX2(&a)
	}
	return rowQ4_0AVX2(&a)
}

// dotBlocks is dotUnpacked.
func dotBlocks(w *unpacked, q []int8, d, dsum []float32) float32 {
	if !useAVX2 {
		return dotUnpacked(w, q, d, dsum)
	}
	a := rowArgs{
		v: (*byte)(unsafe.Pointer(&w.v[0])), scale: &w.scale[0],
		q: &q[0], d: &d[0], dsum: &dsum[0], blocks: len(d),
	}
	if w.min != nil {
		a.min = &w.min[0]
	}
	if len(w.scale) > len(d) {
		return row16AVX2(&a)
	}
	return rowAVX2(&a)
}

//go:noescape
func packQ8_0AVX512(a *packArgs)

//go:noescape
func packQ4_0AVX512(a *packArgs)

//go:noescape
func packQ4_KAVX512(a *packArgs)

//go:noescape
func packQ5_KAVX512(a *packArgs)

//go:noescape
func packQ6_KAVX512(a *packArgs)

// havePack reports whether pack may be called for t.
func havePack(t quant.Type) bool {
	switch t {
	case quant.Q8_0, quant.Q4_0, quant.Q4_K, quant.Q5_K, quant.Q6_K:
		return useVNNI
	}
	return false
}

// pack fills a panel with panelRows rows of type t.
func pack(a *packArgs, t quant.Type) {
	switch t {
	case quant.Q8_0:
		packQ8_0AVX512(a)
	case quant.Q4_0:
		packQ4_0AVX512(a)
	case quant.Q4_K:
		packQ4_KAVX512(a)
	case quant.Q5_K:
		packQ5_KAVX512(a)
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
