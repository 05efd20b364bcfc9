//go:build !purego

package kernel

import (
	"unsafe"

	"github.com/sluice-ai/sluice/runtime/quant"
	"golang.org/x/sys/cpu"
)

var (
	useNEON = true // every arm64 has it
	useDOT  = cpu.ARM64.HasASIMDDP
)

func init() {
	register("NEON", &useNEON)
	register("I8MM", &useI8MM)
	register("DOT", &useDOT)
}

//go:noescape
func dotNEON(x, y []float32) float32

//go:noescape
func axpyNEON(a float32, x, y []float32)

//go:noescape
func rowDOT(a *rowArgs) float32

//go:noescape
func row16DOT(a *rowArgs) float32

//go:noescape
func rowQ8_0DOT(a *rowArgs) float32

//go:noescape
func rowQ4_0DOT(a *rowArgs) float32

//go:noescape
func tileDOT(a *tileArgs)

//go:noescape
func tile16DOT(a *tileArgs)

func dot(x, y []float32) float32 {
	if useNEON {
		return dotNEON(x, y)
	}
	return dotGeneric(x, y)
}

func axpy(a float32, x, y []float32) {
	if useNEON {
		axpyNEON(a, x, y)
		return
	}
	axpyGeneric(a, x, y)
}

// haveTile reports whether tile may be called.
func haveTile() bool { return useDOT || useI8MM }

// tile sets the first cols columns of a.dst, and perhaps more, to the product of
// a panel and a group, where size elements share a scale.
func tile(a *tileArgs, cols, size int) {
	if useI8MM {
		tileI8MM(a, cols, size)
		return
	}
	quarters(a, cols, size)
}

func tileQuarter(a *tileArgs, size int) {
	if size == 16 {
		tile16DOT(a)
	} else {
		tileDOT(a)
	}
}

// haveRow reports whether dotRow may be called for t.
func haveRow(t quant.Type) bool { return useDOT && (t == quant.Q8_0 || t == quant.Q4_0) }

// dotRow returns the product of a row of type t and a column.
func dotRow(t quant.Type, row []byte, q []int8, d []float32) float32 {
	a := rowArgs{v: &row[0], q: &q[0], d: &d[0], blocks: len(d)}
	if t == quant.Q8_0 {
		return rowQ8_0DOT(&a)
	}
	return rowQ4_0DOT(&a)
}

// dotBlocks is dotUnpacked.
func dotBlocks(w *unpacked, q []int8, d, dsum []float32) float32 {
	if !useDOT {
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
		return row16DOT(&a)
	}
	return rowDOT(&a)
}
