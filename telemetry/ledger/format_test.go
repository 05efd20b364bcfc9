package ledger

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The verifier of the format's document, which shares no code with this
// package, agrees with Verify: on a whole ledger, and on a changed one.
func TestDocument(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3 to run the verifier of docs/formats/ledger.md with")
	}
	doc, err := os.ReadFile("../../docs/formats/ledger.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)```python\n(.*?)```").FindSubmatch(doc)
	if m == nil {
		t.Fatal("docs/formats/ledger.md has no verifier")
	}
	verifier := filepath.Join(t.TempDir(), "verify.py")
	if err := os.WriteFile(verifier, m[1], 0o600); err != nil {
		t.Fatal(err)
	}
	whole, names := sealed(t)
	dir := t.TempDir()
	whole.write(t, dir)
	out, err := exec.CommandContext(t.Context(), python, verifier, dir).CombinedOutput()
	if want := fmt.Sprintf("9 %s\n", sound(t, dir, 9).Root); err != nil || string(out) != want {
		t.Errorf("the document's verifier: %s, %v, want %s", out, err, want)
	}
	whole[names[1]][frames(whole[names[1]])[1]+60] ^= 1
	whole.write(t, dir)
	rep, err := Verify(dir)
	if err != nil || rep.Problem == nil {
		t.Fatal(rep, err)
	}
	out, err = exec.CommandContext(t.Context(), python, verifier, dir).CombinedOutput()
	want := fmt.Sprintf("%s: record %d at byte %d was changed", rep.Problem.Segment, rep.Problem.Sequence, rep.Problem.Offset)
	if err == nil || !strings.Contains(string(out), want) {
		t.Errorf("the document's verifier: %s, %v, want %s", out, err, want)
	}
}
