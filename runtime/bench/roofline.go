package bench

import (
	"fmt"
	"time"

	"github.com/sluice-ai/sluice/runtime/kernel"
)

// readBytes is how much is read to measure memory: several times what caches hold.
const readBytes = 256 << 20

// roofline measures what the cores of p can read and multiply.
func roofline(p *kernel.Pool, s Samples, least time.Duration) error {
	read, err := readSpeed(p, least)
	if err != nil {
		return err
	}
	s.add(Read, read)
	s.add(Dots, dotSpeed(p, least))
	return nil
}

// readSpeed returns the bytes per second that memory was read with: of several
// patterns the fastest, of each its best pass.
func readSpeed(p *kernel.Pool, least time.Duration) (float64, error) {
	arena, err := kernel.NewArena(readBytes)
	if err != nil {
		return 0, fmt.Errorf("no memory to read: %w", err)
	}
	defer arena.Close()
	mem := arena.Alloc(readBytes)
	for i := 0; i < len(mem); i += 4096 {
		mem[i] = 1 // else all pages are one page of zeros
	}
	best := 0.0
	for _, how := range kernel.ReadPatterns {
		for began := time.Now(); ; {
			start := time.Now()
			kernel.ReadAll(p, mem, how)
			best = max(best, readBytes/time.Since(start).Seconds())
			if time.Since(began) >= least/4 {
				break
			}
		}
	}
	return best, nil
}

// dotSpeed returns the multiplications of bytes per second.
func dotSpeed(p *kernel.Pool, least time.Duration) float64 {
	best := 0.0
	for began, n := time.Now(), 1<<20; ; {
		start := time.Now()
		macs := kernel.DotPeak(p, n)
		took := time.Since(start)
		if took < 5*time.Millisecond { // too short to tell
			n *= 4
			continue
		}
		best = max(best, float64(macs)/took.Seconds())
		if time.Since(began) >= least {
			return best
		}
	}
}

func dotUnit() string { return kernel.DotUnit() }
