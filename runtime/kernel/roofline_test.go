package kernel

import (
	"testing"
	"time"
)

// Every way to read goes over the whole of its memory and not a byte further, with
// every implementation.
func TestReadAll(t *testing.T) {
	p := NewPool(2)
	defer p.Close()
	each(t, func(t *testing.T) {
		mem := guardedBytes(t, make([]byte, 3*readChunk))
		for _, how := range ReadPatterns {
			ReadAll(p, mem, how)
		}
	})
}

func TestDotPeak(t *testing.T) {
	p := NewPool(2)
	defer p.Close()
	each(t, func(t *testing.T) {
		if got := DotPeak(p, 1<<20+1); got != 2*2<<20 {
			t.Errorf("DotPeak did %d multiplications, want %d", got, 4<<20)
		}
		if DotUnit() == "" {
			t.Error("DotUnit has no name")
		}
	})
}

func BenchmarkRoofline(b *testing.B) {
	p := NewPool(2)
	defer p.Close()
	arena, err := NewArena(256 << 20)
	if err != nil {
		b.Fatal(err)
	}
	defer arena.Close()
	mem := arena.Alloc(256 << 20)
	for i := 0; i < len(mem); i += 4096 {
		mem[i] = 1
	}
	for _, how := range ReadPatterns {
		b.Run("read", func(b *testing.B) {
			b.SetBytes(int64(len(mem)))
			for b.Loop() {
				ReadAll(p, mem, how)
			}
		})
	}
	b.Run("dot", func(b *testing.B) {
		macs := 0
		began := time.Now()
		for b.Loop() {
			macs += DotPeak(p, 64<<20)
		}
		b.ReportMetric(float64(macs)/time.Since(began).Seconds()/1e9, "GMAC/s")
	})
}
