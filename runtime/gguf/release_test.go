package gguf

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/sluice-ai/sluice/runtime/quant"
)

// Data is the same after Release, whether it is mapped or not, and wherever it
// begins and ends.
func TestRelease(t *testing.T) {
	want := make([]byte, 100_000)
	for i := range want {
		want[i] = byte(i * 7)
	}
	var w Writer
	w.Set("general.architecture", "test")
	w.AddBytes("x", quant.Q8_0, []int{32, 2}, want[:68])
	w.AddBytes("y", quant.F16, []int{len(want) / 2}, want)
	var b bytes.Buffer
	if _, err := w.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "x.gguf")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	mapped, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer mapped.Close()
	parsed, err := Parse(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []*File{mapped, parsed} {
		if arch, ok := f.Str("general.architecture"); !ok || arch != "test" {
			t.Fatalf("the architecture is %q", arch)
		}
		f.DropMetadata()
		if _, ok := f.Str("general.architecture"); ok || len(f.Fields) > 0 {
			t.Error("metadata is still there")
		}
		y := f.Tensor("y").Data
		for _, part := range [][]byte{nil, f.Tensor("x").Data, y, y[:1], y[4000:5000], y[5000:], y[len(y)-1:]} {
			f.Release(part)
			if !bytes.Equal(y, want) || !bytes.Equal(f.Tensor("x").Data, want[:68]) {
				t.Fatal("the data changed")
			}
		}
	}
}
