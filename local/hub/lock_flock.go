//go:build unix && !solaris && !aix

package hub

import (
	"errors"
	"os"
	"syscall"
)

// lockFile takes the lock on f, or reports that another holds it. The system
// gives it back when f is closed, also by a crash.
func lockFile(f *os.File) (taken bool, err error) {
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}
