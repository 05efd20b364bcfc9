package engine

import (
	"math"
	"os"
	"strconv"
	"strings"
)

// systemMemory returns the memory that is available without swapping, and no more
// than the control group allows.
func systemMemory() (int64, bool) {
	free, ok := int64(math.MaxInt64), false
	if b, err := os.ReadFile("/proc/meminfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if f := strings.Fields(line); len(f) >= 2 && f[0] == "MemAvailable:" {
				if kb, err := strconv.ParseInt(f[1], 10, 64); err == nil {
					free, ok = kb<<10, true
				}
			}
		}
	}
	limit, err := readNumber("/sys/fs/cgroup/memory.max") // "max" is no number
	if err == nil {
		used, _ := readNumber("/sys/fs/cgroup/memory.current")
		free, ok = min(free, max(limit-used, 0)), true
	}
	return free, ok
}

func readNumber(path string) (int64, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
}
