//go:build !purego

package kernel

import (
	"github.com/sluice-ai/sluice/runtime/quant"
	"golang.org/x/sys/cpu"
)

// useI8MM is for products with more than one column alone. With one, half of each
// instruction would be wasted: dot products serve it.
var useI8MM = cpu.ARM64.HasI8MM && cpu.ARM64.HasASIMDDP

// groupRun returns how many neighbouring elements of a column lie beside each other in a
// group.
func groupRun() int {
	if useI8MM {
		return 8
	}
	return 4
}

// packedI8MM is packed for groups, whose columns lie in eights, by 32 sums at a time.
func packedI8MM(a *packedArgs, t quant.Type, width int) {
	part := *a
	for part.row = 0; part.row < panelRows; part.row += 32 / width {
		if width == 8 {
			packed8I8MM(&part, t)
		} else {
			packed4I8MM(&part, t)
		}
	}
}

func packed8I8MM(a *packedArgs, t quant.Type) {
	switch t {
	case quant.Q4_0:
		packed8Q4_0I8MM(a)
	case quant.Q8_0:
		packed8Q8_0I8MM(a)
	case quant.Q4_K:
		packed8Q4_KI8MM(a)
	case quant.Q6_K:
		packed8Q6_KI8MM(a)
	}
}

func packed4I8MM(a *packedArgs, t quant.Type) {
	switch t {
	case quant.Q4_0:
		packed4Q4_0I8MM(a)
	case quant.Q8_0:
		packed4Q8_0I8MM(a)
	case quant.Q4_K:
		packed4Q4_KI8MM(a)
	case quant.Q6_K:
		packed4Q6_KI8MM(a)
	}
}

// tileI8MM is tile for groups whose columns lie in eights, by 32 sums at a time.
func tileI8MM(a *tileArgs, cols, size int) {
	part, width := *a, 4
	if cols > 4 {
		width = 8
	}
	for row := 0; row < panelRows; row += 32 / width {
		part.v = offsetBy(a.v, 4*row)
		part.scale, part.min = offsetBy(a.scale, row), offsetBy(a.min, row)
		part.dst = offsetBy(a.dst, row)
		switch {
		case width == 8 && size == 16:
			tile8x16I8MM(&part)
		case width == 8:
			tile8I8MM(&part)
		case size == 16:
			tile4x16I8MM(&part)
		default:
			tile4I8MM(&part)
		}
	}
}

//go:noescape
func packed8Q4_0I8MM(a *packedArgs)

//go:noescape
func packed4Q4_0I8MM(a *packedArgs)

//go:noescape
func packed8Q8_0I8MM(a *packedArgs)

//go:noescape
func packed4Q8_0I8MM(a *packedArgs)

//go:noescape
func packed8Q4_KI8MM(a *packedArgs)

//go:noescape
func packed4Q4_KI8MM(a *packedArgs)

//go:noescape
func packed8Q6_KI8MM(a *packedArgs)

//go:noescape
func packed4Q6_KI8MM(a *packedArgs)

//go:noescape
func tile8I8MM(a *tileArgs)

//go:noescape
func tile4I8MM(a *tileArgs)

//go:noescape
func tile8x16I8MM(a *tileArgs)

//go:noescape
func tile4x16I8MM(a *tileArgs)
