package synth

import (
	"fmt"
	"io"
	"math"
	"runtime"

	"github.com/sluice-ai/sluice/runtime/quant"
)

// chunkElements is how many elements are made and written at once: a multiple of
// every block size.
const chunkElements = 1 << 18

// random adds a tensor of independent elements with the given mean and standard
// deviation. Each chunk has its own stream of numbers, so chunks are made on all
// cores, and neither their number nor the order in which they end matters.
func (b *builder) random(name string, t quant.Type, dims []int, mean, deviation float32) {
	stream := splitMix(b.seed) + b.count<<32
	b.count++
	elements := 1
	for _, d := range dims {
		elements *= d
	}
	b.w.Add(name, t, dims, func(out io.Writer) error {
		chunks := (elements + chunkElements - 1) / chunkElements
		workers := min(runtime.GOMAXPROCS(0), chunks)
		results := make([]chan chunk, workers) // worker i makes chunks i, i+workers, …
		stop := make(chan struct{})
		defer close(stop)
		for i := range workers {
			results[i] = make(chan chunk)
			go func() {
				free := make(chan []byte, 2)
				free <- nil
				free <- nil
				values := make([]float32, min(chunkElements, elements))
				for c := i; c < chunks; c += workers {
					n := min(chunkElements, elements-c*chunkElements)
					fill(values[:n], stream+uint64(c), mean, deviation)
					var data []byte
					select {
					case data = <-free:
					case <-stop:
						return
					}
					if size := quant.RowBytes(t, n); cap(data) < size {
						data = make([]byte, size)
					} else {
						data = data[:size]
					}
					err := quant.Quantize(t, data, values[:n])
					select {
					case results[i] <- chunk{data, free, err}:
					case <-stop:
						return
					}
				}
			}()
		}
		for c := range chunks {
			r := <-results[c%workers]
			if r.err != nil {
				return fmt.Errorf("quantising to %v: %w", t, r.err)
			}
			if _, err := out.Write(r.data); err != nil {
				return err
			}
			b.done += int64(len(r.data))
			r.free <- r.data
			if b.progress != nil {
				b.progress(b.done, b.total)
			}
		}
		return nil
	})
}

// A chunk is data on its way to the writer, and where the buffer goes afterwards.
type chunk struct {
	data []byte
	free chan<- []byte
	err  error
}

// fill sets dst to numbers of the given mean and standard deviation: each the sum
// of four uniform 16-bit integers, which is close to a normal distribution out to
// three deviations and the same on every machine.
func fill(dst []float32, stream uint64, mean, deviation float32) {
	// The sum of four uniform integers in [0, 65535] has variance 4 * (65536²-1)/12.
	scale := deviation / 37837.2275
	state := splitMix(stream)
	for i := range dst {
		state += 0x9e3779b97f4a7c15
		x := splitMix(state)
		sum := int32(x&0xffff) + int32(x>>16&0xffff) + int32(x>>32&0xffff) + int32(x>>48) - 2*65535
		dst[i] = mean + float32(float32(sum)*scale)
	}
}

// splitMix is SplitMix64's output function.
func splitMix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// rootInverse returns 1/√n.
func rootInverse(n int) float32 { return float32(1 / math.Sqrt(float64(n))) }
