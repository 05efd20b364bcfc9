package ledger

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Whatever part of the last write reached the disk, Open finds every whole
// record, drops the rest and goes on.
func TestTornWrites(t *testing.T) {
	whole, names := sealed(t)
	last := names[2]
	first, _ := parseName(last)
	b, at := whole[last], frames(whole[last])
	tests := []struct {
		name string
		tear func(n int) []byte
	}{
		{"cut", func(n int) []byte { return b[:n] }},
		{"zeros-to-the-old-end", func(n int) []byte {
			return append(bytes.Clone(b[:n]), make([]byte, len(b)-n)...)
		}},
		{"zeros-to-a-block", func(n int) []byte { return append(bytes.Clone(b[:n]), make([]byte, 4096-n%4096)...) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			whole.write(t, dir)
			kept := 0 // whole records in b[:n]
			for n := range len(b) + 1 {
				if n == at[min(kept+1, len(at)-1)] && n > headerSize {
					kept++
				}
				if tt.name == "zeros-to-the-old-end" && len(b)-n < zeroRun {
					break // too few to tell from a changed hash
				}
				if err := os.WriteFile(filepath.Join(dir, last), tt.tear(n), 0o600); err != nil {
					t.Fatal(err)
				}
				have := int(first) - 1 + kept
				if rep := sound(t, dir, have); rep.Torn == 0 && n > 0 && n != len(b) && n != headerSize && n != at[kept] {
					t.Fatalf("%d bytes: Verify does not say that the end is torn", n)
				}
				if n%23 > 0 && n%77 > 0 && n != at[kept]-1 && n != at[kept]+1 {
					continue // opening makes the new end durable, and that takes time
				}
				l := mustOpen(t, dir, Config{})
				if seq, _ := l.Head(); seq != uint64(have) {
					t.Fatalf("%d bytes: Open continues after record %d, not %d", n, seq, have)
				}
				l.Close()
				if n%77 == 0 {
					fill(t, dir, Config{SegmentBytes: 1600}, have+1, have+2)
					if rep := sound(t, dir, have+2); rep.Torn != 0 {
						t.Fatalf("%d bytes: still %d torn bytes", n, rep.Torn)
					}
					whole.write(t, dir)
				}
			}
		})
	}
}

// A crash while a segment begins leaves it empty, or with a part of its header.
func TestCrashInRotation(t *testing.T) {
	whole, names := sealed(t)
	next := segmentName(10)
	h := header{first: 10, created: day, prev: Hash{1}}
	for _, n := range []int{0, 1, 8, 60, headerSize - 1} {
		dir := t.TempDir()
		c := whole.clone()
		c[next] = h.append(nil)[:n]
		c.write(t, dir)
		if rep := sound(t, dir, 9); rep.Segments != len(names) || rep.Torn != int64(n) {
			t.Errorf("%d bytes: %+v", n, rep)
		}
		fill(t, dir, Config{}, 10, 11)
		sound(t, dir, 11)
	}
	// The segment before it is durable before a new one begins: it is not torn.
	dir, c := t.TempDir(), whole.clone()
	c[names[2]] = c[names[2]][:len(c[names[2]])-1]
	c[next] = nil
	c.write(t, dir)
	if _, err := Open(dir, Config{}); err == nil || !strings.Contains(err.Error(), "cut short") {
		t.Errorf("Open: %v", err)
	}
}

// A process that is killed loses no record that it was told is durable.
func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a process")
	}
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0]) // CommandContext kills with SIGKILL
	cmd.Env = append(os.Environ(), "LEDGER_CRASH_DIR="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	acked := map[string]bool{}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if acked[lines.Text()] = true; len(acked) == 200 {
			if _, err := Open(dir, Config{}); err == nil || !strings.Contains(err.Error(), fmt.Sprint(cmd.Process.Pid)) {
				t.Errorf("Open beside a live process: %v", err)
			}
			cancel()
		}
	}
	_ = cmd.Wait() // "signal: killed"
	l := mustOpen(t, dir, Config{})
	if err := l.Record(t.Context(), rec(1), true); err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := Scan(dir, func(e Entry) error { delete(acked, e.Record.ID); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(acked) > 0 {
		t.Errorf("%d acknowledged records are lost", len(acked))
	}
}

// writeUntilKilled prints the id of each record that is durable.
func writeUntilKilled(dir string) {
	l, err := Open(dir, Config{SegmentBytes: 16 << 10})
	if err != nil {
		panic(err)
	}
	out := make(chan string)
	for w := range 4 {
		go func() {
			for i := 0; ; i++ {
				r := rec(w*1_000_000 + i)
				if err := l.Record(context.Background(), r, true); err != nil {
					panic(err)
				}
				out <- r.ID
			}
		}()
	}
	for id := range out {
		fmt.Println(id)
	}
}

func TestKey(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	key, err := LoadOrCreateKey(dir)
	if err != nil || len(key) != 32 || bytes.Equal(key, make([]byte, 32)) {
		t.Fatalf("LoadOrCreateKey = %d bytes, %v", len(key), err)
	}
	again, err := LoadOrCreateKey(dir)
	if err != nil || !bytes.Equal(key, again) {
		t.Errorf("the second time it is another key, %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 1 {
		t.Errorf("files: %v", left)
	}
	path := filepath.Join(dir, keyName)
	if err := createKey(dir, path); !os.IsExist(err) {
		t.Errorf("createKey over a key: %v", err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadOrCreateKey(dir); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a key that others can read: %v", err)
	}
	if err := os.WriteFile(path, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	os.Chmod(path, 0o600)
	if _, err := LoadOrCreateKey(dir); err == nil || !strings.Contains(err.Error(), "5 bytes") {
		t.Errorf("a key of 5 bytes: %v", err)
	}
}
