package ledger

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

const (
	keyName = "digest.key"
	keySize = 32
)

// LoadOrCreateKey returns the key of the digests in the ledger: 32 random
// bytes in the file digest.key of dir, which only its owner may read. It makes
// the directory and the key when they do not exist. Whoever has the key can
// test a guess of what a digest stands for, so it is never written to the
// ledger, and an export of the ledger must leave it out.
func LoadOrCreateKey(dir string) ([]byte, error) {
	path := filepath.Join(dir, keyName)
	key, err := loadKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the ledger's directory: %w", err)
	}
	if err := createKey(dir, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("making the ledger's key: %w", err)
	}
	return loadKey(path) // ours, or that of a process that was quicker
}

func loadKey(path string) ([]byte, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("reading the ledger's key: %w", err)
	}
	if mode := st.Mode().Perm(); runtime.GOOS != "windows" && mode&0o077 != 0 {
		return nil, fmt.Errorf("the ledger's key %s can be read by others (mode %#o): run chmod 600 on it", path, mode)
	}
	key, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the ledger's key: %w", err)
	}
	if len(key) != keySize {
		return nil, fmt.Errorf("the ledger's key %s has %d bytes, not %d: restore it, or digests of the past can no longer be checked", path, len(key), keySize)
	}
	return key, nil
}

// createKey writes a whole key under another name first: no reader sees half of one.
func createKey(dir, path string) error {
	tmp, err := os.CreateTemp(dir, keyName+".*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	key := make([]byte, keySize)
	rand.Read(key)
	_, err = tmp.Write(key)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := os.Link(tmp.Name(), path); err != nil { // fails when path exists
		if errors.Is(err, fs.ErrExist) {
			return err
		}
		// Some file systems have no links; there, two first starts at once may race.
		if _, serr := os.Stat(path); serr == nil {
			return fs.ErrExist
		}
		if err := os.Rename(tmp.Name(), path); err != nil {
			return err
		}
	}
	return syncDir(dir)
}
