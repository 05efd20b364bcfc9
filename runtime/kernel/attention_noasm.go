//go:build purego || !(amd64 || arm64)

package kernel

import "github.com/sluice-ai/sluice/runtime/quant"

func storeF16(dst []byte, x []float32) { storeF16Generic(dst, x) }

func attendScores(t quant.Type, p, q []float32, k []byte, rows, keys int) {
	attendScoresGeneric(t, p, q, k, rows, keys)
}

func attendWeights(p []float32, keys []int, top, sum, factor []float32) {
	attendWeightsGeneric(p, keys, top, sum, factor)
}

func attendMix(t quant.Type, o, factor, p []float32, v []byte, keys int) {
	attendMixGeneric(t, o, factor, p, v, keys)
}
