package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain makes this test binary answer to the name sluice, so that scripts can run it.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"sluice": main})
}
