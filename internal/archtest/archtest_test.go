// Package archtest holds the tree to its own rules: who may import whom, who
// owns which dependency, and what every package must say of itself.
//
// It parses files instead of asking the go command, so it sees the files of
// every port and tag, and the test cache notices an edit.
package archtest

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/sluice-ai/sluice"

// may lists, for each top folder, the other top folders it may import.
// Do not add an entry to make this test pass: move the code.
var may = map[string][]string{
	"cmd":       {"router", "local", "cloud", "policy", "telemetry", "runtime", "configs", "internal"},
	"router":    {"internal"},
	"cloud":     {"internal"},
	"policy":    {"internal"},
	"telemetry": {"internal"},
	"local":     {"internal", "runtime"},
	"configs":   {},
	"internal":  {},
	"runtime":   {},
}

// engineAPI is runtime/engine, the packages whose types its API is made of, and runtime/repair, which needs no model.
var engineAPI = []string{"runtime/engine", "runtime/chat", "runtime/sample", "runtime/tokenizer", "runtime/repair"}

// owners says which folder alone may import a dependency, with the reason.
var owners = []struct{ dependency, folder, why string }{
	{"github.com/open-policy-agent/opa", "policy/opa", "its types must not reach the router"},
	{"go.opentelemetry.io/otel/sdk", "telemetry", "others use the API only"},
	{"go.opentelemetry.io/otel/exporters", "telemetry", "others use the API only"},
	{"github.com/prometheus/client_golang", "telemetry", "metrics are recorded through OpenTelemetry's API"},
	{"github.com/spf13/viper", "cmd", "one authority for the configuration"},
	{"github.com/spf13/cobra", "cmd", "commands live in cmd"},
	{"github.com/sashabaranov/go-openai", "cloud/openai,cmd", "a transport, whose types know too few fields"},
	{"github.com/sony/gobreaker", "cloud/breaker", "its traps are dealt with in one place"},
	{"github.com/nyaruka/phonenumbers", "policy/pii", "validates candidates only"},
	{"gonum.org/v1/plot", "local/eval/draw", "drawing is apart from measuring"},
	{"github.com/santhosh-tekuri/jsonschema", "runtime/grammar/jsonschema", "its tests hold ours to another validator"},
}

type file struct {
	path, dir string
	imports   []string
	doc       bool
	test      bool
	pkg       string
}

func parse(t *testing.T) []file {
	t.Helper()
	root := filepath.Join("..", "..")
	var files []file
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if p != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "node_modules" || name == "tools" || strings.HasPrefix(name, "_")) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		out := file{path: rel, dir: path.Dir(rel), doc: f.Doc != nil, test: strings.HasSuffix(name, "_test.go"), pkg: f.Name.Name}
		for _, i := range f.Imports {
			s, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			out.imports = append(out.imports, s)
		}
		files = append(files, out)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 50 {
		t.Fatalf("only %d Go files found: the walk is broken", len(files))
	}
	return files
}

func top(dir string) string { t, _, _ := strings.Cut(dir, "/"); return t }

func TestLayers(t *testing.T) {
	for _, f := range parse(t) {
		from := top(f.dir)
		allowed, ok := may[from]
		if !ok {
			continue // bench/, train/: own programs
		}
		for _, imp := range f.imports {
			rel, ours := strings.CutPrefix(imp, module+"/")
			if !ours || top(rel) == from || slices.Contains(allowed, top(rel)) {
				if from == "local" && !f.test && strings.HasPrefix(rel, "runtime/") && !slices.Contains(engineAPI, rel) {
					t.Errorf("%s imports %s: the runtime is reached through %v", f.path, rel, engineAPI)
				}
				continue
			}
			if f.test && top(rel) == "configs" {
				continue // tests may read the shipped policies
			}
			t.Errorf("%s imports %s: %s may import %v", f.path, rel, from, allowed)
		}
	}
}

func TestSiblingsOfInternal(t *testing.T) {
	for _, f := range parse(t) {
		if f.dir != "internal/llm" || f.test {
			continue
		}
		for _, imp := range f.imports {
			if strings.HasPrefix(imp, module) || strings.Contains(imp, ".") {
				t.Errorf("%s imports %s: the vocabulary stands on the standard library alone", f.path, imp)
			}
		}
	}
}

func TestOwners(t *testing.T) {
	for _, f := range parse(t) {
		for _, imp := range f.imports {
			for _, o := range owners {
				if imp != o.dependency && !strings.HasPrefix(imp, o.dependency+"/") {
					continue
				}
				if !slices.ContainsFunc(strings.Split(o.folder, ","), func(own string) bool { return f.dir == own || strings.HasPrefix(f.dir, own+"/") }) {
					t.Errorf("%s imports %s, which belongs to %s: %s", f.path, imp, o.folder, o.why)
				}
			}
		}
	}
}

func TestNoCgo(t *testing.T) {
	for _, f := range parse(t) {
		if slices.Contains(f.imports, "C") {
			t.Errorf("%s uses cgo: the binary is static", f.path)
		}
	}
}

// TestPackageComments asks every package to say what it is for, once.
func TestPackageComments(t *testing.T) {
	docs := map[string]int{}
	for _, f := range parse(t) {
		if f.test && f.dir != "internal/archtest" {
			continue
		}
		if f.doc {
			docs[f.dir]++
		} else if docs[f.dir] == 0 {
			docs[f.dir] = 0
		}
	}
	for dir, n := range docs {
		if n == 0 {
			t.Errorf("package %s has no package comment", dir)
		}
	}
}

// TestFileSize keeps files readable: at 600 lines, split where a seam shows.
func TestFileSize(t *testing.T) {
	for _, f := range parse(t) {
		b, err := os.ReadFile(filepath.Join("..", "..", f.path))
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(b), "\n"); n > 600 {
			t.Errorf("%s has %d lines", f.path, n)
		}
	}
}
