package kernel

import (
	"os"
	"testing"
	"unsafe"
)

// require fails t if the environment demands every implementation, and skips it
// otherwise.
func require(t *testing.T, name string) {
	t.Helper()
	if os.Getenv("KERNEL_TEST_REQUIRE") == "1" {
		t.Fatalf("this machine cannot run %s", name)
	}
	t.Skipf("this machine cannot run %s", name)
}

// int8s returns b as int8.
func int8s(b []byte) []int8 {
	return unsafe.Slice((*int8)(unsafe.Pointer(unsafe.SliceData(b))), len(b))
}
