//go:build !purego && (amd64 || arm64)

package kernel

import "github.com/sluice-ai/sluice/runtime/quant"

// packedQuarters is packed by eight rows and four columns at a time.
func packedQuarters(a *packedArgs, t quant.Type, width int) {
	quarter := *a
	for col := 0; col < width; col += 4 {
		quarter.q, quarter.d, quarter.bias = offsetBy(a.q, 4*col), offsetBy(a.d, col), offsetBy(a.bias, col)
		quarter.dst = offsetBy(a.dst, col*a.stride/4)
		for quarter.row = 0; quarter.row < panelRows; quarter.row += 8 {
			packedQuarter(&quarter, t)
		}
	}
}
