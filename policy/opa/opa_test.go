package opa

import (
	"os"
	"testing"
)

const folder = "../../configs/policies"

func TestDefaultBundle(t *testing.T) {
	for _, c := range []Config{{Dir: folder}, {FS: os.DirFS(folder)}} {
		for _, p := range Check(t.Context(), c) {
			t.Error(p)
		}
	}
}
