//go:build purego || !(amd64 || arm64)

package kernel

func storeF16(dst []byte, x []float32) { storeF16Generic(dst, x) }

func scoresF16(dst, q []float32, k []byte, scale float32) { scoresF16Generic(dst, q, k, scale) }
func mixF16(dst, p []float32, v []byte)                   { mixF16Generic(dst, p, v) }
func scoresQ8(dst, q []float32, k []byte, scale float32)  { scoresQ8Generic(dst, q, k, scale) }
func mixQ8(dst, p []float32, v []byte)                    { mixQ8Generic(dst, p, v) }
