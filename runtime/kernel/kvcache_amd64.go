//go:build !purego

package kernel

//go:noescape
func storeF16AVX2(dst *byte, x *float32, n int)

//go:noescape
func dotF16AVX2(x *float32, y *byte, n int) float32

//go:noescape
func axpyF16AVX2(a float32, x *byte, y *float32, n int)

//go:noescape
func scoresF16AVX512(dst, q *float32, k *byte, n, stride, fours int, scale float32)

//go:noescape
func mixF16AVX512(dst, p *float32, v *byte, n, stride, mask int)

//go:noescape
func scoresQ8AVX512(dst, q *float32, k *byte, blocks, n int, scale float32)

//go:noescape
func mixQ8AVX512(dst, p *float32, v *byte, n, stride int)

func storeF16(dst []byte, x []float32) {
	n := len(x) &^ 7
	if !useAVX2 || n == 0 {
		n = 0
	} else {
		storeF16AVX2(&dst[0], &x[0], n)
	}
	storeF16Generic(dst[2*n:], x[n:])
}

func scoresF16(dst, q []float32, k []byte, scale float32) {
	n := len(q)
	if !useAVX2 || n%8 != 0 {
		scoresF16Generic(dst, q, k, scale)
		return
	}
	done := 0
	if useAVX512 && n%16 == 0 {
		for len(dst)-done >= 4 {
			fours := min(len(dst)-done, keysPerCall) / 4
			scoresF16AVX512(&dst[done], &q[0], &k[done*2*n], n, 2*n, fours, scale)
			done += 4 * fours
		}
	}
	for ; done < len(dst); done++ {
		dst[done] = scale * dotF16AVX2(&q[0], &k[done*2*n], n)
	}
}

func mixF16(dst, p []float32, v []byte) {
	n := len(dst)
	if !useAVX2 || n%8 != 0 {
		mixF16Generic(dst, p, v)
		return
	}
	if !useAVX512 {
		for t, weight := range p {
			axpyF16AVX2(weight, &v[t*2*n], &dst[0], n)
		}
		return
	}
	for t := 0; t < len(p); t += keysPerCall {
		rows := min(keysPerCall, len(p)-t)
		for i := 0; i < n; i += 64 {
			mask := -1
			if left := n - i; left < 64 {
				mask = 1<<left - 1
			}
			mixF16AVX512(&dst[i], &p[t], &v[2*(t*n+i)], rows, 2*n, mask)
		}
	}
}

func scoresQ8(dst, q []float32, k []byte, scale float32) {
	if !useAVX512 {
		scoresQ8Generic(dst, q, k, scale)
		return
	}
	blocks := len(q) / 32
	for t := 0; t < len(dst); t += keysPerCall {
		scoresQ8AVX512(&dst[t], &q[0], &k[t*blocks*q8Bytes], blocks, min(keysPerCall, len(dst)-t), scale)
	}
}

func mixQ8(dst, p []float32, v []byte) {
	if !useAVX512 {
		mixQ8Generic(dst, p, v)
		return
	}
	row := len(dst) / 32 * q8Bytes
	for t := 0; t < len(p); t += keysPerCall {
		for b := range len(dst) / 32 {
			mixQ8AVX512(&dst[32*b], &p[t], &v[t*row+b*q8Bytes], min(keysPerCall, len(p)-t), row)
		}
	}
}
