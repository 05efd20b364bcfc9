package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sluice-ai/sluice/runtime/gguf"
	"github.com/sluice-ai/sluice/runtime/synth"
)

// TestScripts runs testdata/script/*.txtar: what people and scripts see of the
// command line. Beside testscript's own commands there are:
//
//	exits CODE COMMAND…    the exit code is CODE; a failure says so on stderr, and does not panic
//	fails CODE COMMAND…    the same, and stderr is one line
//	json FILE              FILE (or stdout) holds JSON, or a line of JSON for each record
//	model FILE [TYPE]      write a small model
//	foreign FILE           write a GGUF of another architecture
//	truncate FILE BYTES    cut a file off
//	occupy NAME            listen on a port, whose address becomes the variable NAME
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireUniqueNames: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "fails": fails, "json": isJSON, "model": writeModel, "foreign": writeForeign, "truncate": truncate, "occupy": occupy,
		},
	})
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("running %v: %v", args[1:], err)
		}
		got = exit.ExitCode()
	}
	said := ts.ReadFile("stderr")
	ts.Logf("[stdout]\n%s[stderr]\n%s", ts.ReadFile("stdout"), said)
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
	if strings.Contains(said, "goroutine ") || strings.Contains(said, "%!") {
		ts.Fatalf("stderr holds a panic, or a broken format")
	}
	if want != 0 && !strings.HasPrefix(said, "sluice: ") {
		ts.Fatalf("stderr does not begin with \"sluice: \"")
	}
	if want == 0 && strings.HasPrefix(said, "sluice: ") {
		ts.Fatalf("stderr reports an error, and the exit code is 0")
	}
}

func fails(ts *testscript.TestScript, neg bool, args []string) {
	exits(ts, neg, args)
	if said := ts.ReadFile("stderr"); strings.Count(said, "\n") != 1 {
		ts.Fatalf("stderr is not one line")
	}
}

func isJSON(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: json FILE")
	}
	text := ts.ReadFile(args[0])
	if text == "" {
		ts.Fatalf("%s is empty", args[0])
	}
	if json.Valid([]byte(text)) {
		return
	}
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		if !json.Valid([]byte(line)) {
			ts.Fatalf("%s, line %d: not JSON: %q", args[0], i+1, line)
		}
	}
}

func writeModel(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: model FILE [TYPE]")
	}
	c := synth.Config{Size: "tiny", Type: "q8_0", Seed: 2}
	if len(args) > 1 {
		c.Type = args[1]
	}
	ts.Check(synth.WriteFile(ts.MkAbs(args[0]), c, nil))
}

func writeForeign(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: foreign FILE")
	}
	var w gguf.Writer
	w.Set("general.architecture", "llama")
	w.Set("llama.block_count", uint32(1))
	f, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	_, err = w.WriteTo(f)
	ts.Check(errors.Join(err, f.Close()))
}

func truncate(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: truncate FILE BYTES")
	}
	n, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	ts.Check(os.Truncate(ts.MkAbs(args[0]), n))
}

func occupy(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: occupy NAME")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // nothing to cancel
	ts.Check(err)
	ts.Defer(func() { l.Close() })
	ts.Setenv(args[0], l.Addr().String())
}

// Every script says in its first line what it shows.
func TestScriptsAreTitled(t *testing.T) {
	files, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal(fmt.Errorf("no scripts: %w", err))
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(text), "# ") {
			t.Errorf("%s does not begin with a comment", f)
		}
	}
}
