//go:build !linux

package bench

// This platform does not tell about its cache of files or the memory of a process
// the same way, and pins no threads.

func cachedShare(string) (float64, bool) { return 0, false }

func dropCache(string) bool { return false }

func resident() (int64, bool) { return 0, false }

func peakResident() (int64, bool) { return 0, false }

func resetPeak() {}

// stayOn returns n cores of no number: who spins, spins where the system puts it.
func stayOn(n int) (cores []int, free func() error, err error) {
	cores = make([]int, n)
	for i := range cores {
		cores[i] = -1
	}
	return cores, func() error { return nil }, nil
}

func pin(int) error { return nil }
