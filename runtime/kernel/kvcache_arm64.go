//go:build !purego

package kernel

//go:noescape
func dotF16NEON(x *float32, y *byte, n int) float32

//go:noescape
func axpyF16NEON(a float32, x *byte, y *float32, n int)

func storeF16(dst []byte, x []float32) { storeF16Generic(dst, x) }

func scoresF16(dst, q []float32, k []byte, scale float32) {
	n := len(q)
	if !useNEON || n%8 != 0 {
		scoresF16Generic(dst, q, k, scale)
		return
	}
	for t := range dst {
		dst[t] = scale * dotF16NEON(&q[0], &k[t*2*n], n)
	}
}

func mixF16(dst, p []float32, v []byte) {
	n := len(dst)
	if !useNEON || n%8 != 0 {
		mixF16Generic(dst, p, v)
		return
	}
	for t, weight := range p {
		axpyF16NEON(weight, &v[t*2*n], &dst[0], n)
	}
}

func scoresQ8(dst, q []float32, k []byte, scale float32) { scoresQ8Generic(dst, q, k, scale) }
func mixQ8(dst, p []float32, v []byte)                   { mixQ8Generic(dst, p, v) }
