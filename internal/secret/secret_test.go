package secret

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNeverPrints(t *testing.T) {
	s := New("hunter2")
	j, err := json.Marshal(map[string]any{"k": s})
	if err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %q %x %s", s, s, s, s, s, s), fmt.Sprint(struct{ S String }{s}), string(j), s.String()} {
		if strings.Contains(out, "hunter2") || strings.Contains(out, "68756e746572") {
			t.Errorf("printed: %s", out)
		}
	}
	if s.Reveal() != "hunter2" || !s.Equal("hunter2") || s.Equal("hunter") {
		t.Error("the value is not itself")
	}
}

func TestResolve(t *testing.T) {
	t.Setenv("SLUICE_TEST_SECRET", "from-env")
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("from-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for ref, want := range map[string]string{"${SLUICE_TEST_SECRET}": "from-env", "file:" + file: "from-file", "plain": "plain", "": ""} {
		if s, err := Resolve(ref); err != nil || s.Reveal() != want {
			t.Errorf("Resolve(%q) = %q, %v", ref, s.Reveal(), err)
		}
	}
	for ref, want := range map[string]string{"${SLUICE_TEST_MISSING}": "SLUICE_TEST_MISSING is not set", "${X": "must end with }", "file:/no/such": "no such file"} {
		if _, err := Resolve(ref); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Resolve(%q) = %v, want %q", ref, err, want)
		}
	}
}
