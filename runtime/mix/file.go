package mix

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"

	"github.com/sluice-ai/sluice/runtime/gguf"
)

// WriteFile is [Write] from the file at in to the file at out, which appears only
// once it is whole and replaces what was there. The two must be different files.
func WriteFile(ctx context.Context, out, in string, r Recipe, o Options) (report *Report, err error) {
	f, err := gguf.Open(in)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if same(in, out) {
		return nil, fmt.Errorf("%s would be written over itself; name another file", in)
	}
	part, err := os.OpenFile(out+".part-"+rand.Text()[:8], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, err
	}
	defer os.Remove(part.Name()) // does nothing once it has its name
	report, err = Write(ctx, part, f, r, o)
	if err == nil {
		err = part.Sync()
	}
	if err = errors.Join(err, part.Close()); err != nil {
		return nil, fmt.Errorf("quantising %s: %w", in, err)
	}
	if err := os.Rename(part.Name(), out); err != nil {
		return nil, err
	}
	return report, nil
}

// same reports whether two paths lead to one file.
func same(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}
