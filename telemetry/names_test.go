package telemetry

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"

	"github.com/sluice-ai/sluice/internal/semconv"
)

// used is what the program's code says to OpenTelemetry, and where.
type used struct {
	spans, attributes, labels, counters, histograms, gauges map[string]string
}

// collect reads the names out of the code, not the tests, of dirs below the
// repository's root. Names that are put together count by their beginning.
func collect(t *testing.T, dirs ...string) used {
	t.Helper()
	u := used{map[string]string{}, map[string]string{}, map[string]string{}, map[string]string{}, map[string]string{}, map[string]string{}}
	constants := map[string]string{}
	each(t, filepath.Join("..", "internal", "semconv"), func(_ string, f *ast.File) {
		ast.Inspect(f, func(n ast.Node) bool {
			if v, ok := n.(*ast.ValueSpec); ok && len(v.Names) == 1 && len(v.Values) == 1 {
				constants["semconv."+v.Names[0].Name] = text(v.Values[0], nil)
			}
			return true
		})
	})
	for _, dir := range dirs {
		each(t, filepath.Join("..", dir), func(path string, f *ast.File) {
			ast.Inspect(f, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok || len(call.Args) == 0 {
					return true
				}
				first := text(call.Args[0], constants)
				var name string
				switch fun := call.Fun.(type) {
				case *ast.Ident:
					name = fun.Name
				case *ast.SelectorExpr:
					name = fun.Sel.Name
					if x, ok := fun.X.(*ast.Ident); ok && x.Name == "attribute" && first != "" {
						if strings.Contains(first, ".") {
							u.attributes[strings.TrimSuffix(first, ".")] = path
						} else {
							u.labels[first] = path
						}
						return true
					}
				}
				switch {
				case name == "Start" && len(call.Args) > 1 && text(call.Args[1], constants) != "":
					u.spans[text(call.Args[1], constants)] = path
				case slices.Contains([]string{"counter", "Int64Counter"}, name) && first != "":
					u.counters[first] = path
				case slices.Contains([]string{"histogram", "Float64Histogram"}, name) && first != "":
					u.histograms[first] = path
				case slices.Contains([]string{"gauge", "Int64ObservableGauge"}, name) && first != "":
					u.gauges[first] = path
				}
				return true
			})
		})
	}
	return u
}

func each(t *testing.T, dir string, f func(path string, file *ast.File)) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err == nil {
			f(path, file)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// text returns the string that e is, or begins with; "" when it is unknown.
func text(e ast.Expr, constants map[string]string) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, _ := strconv.Unquote(e.Value)
		return s
	case *ast.BinaryExpr:
		return text(e.X, constants)
	case *ast.SelectorExpr:
		if x, ok := e.X.(*ast.Ident); ok {
			return constants[x.Name+"."+e.Sel.Name]
		}
	}
	return ""
}

// table returns the cells of the rows of docs/telemetry.md below a heading.
func table(t *testing.T, heading string) [][]string {
	t.Helper()
	doc, err := os.ReadFile("../docs/telemetry.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(doc), "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("docs/telemetry.md has no %q", heading)
	}
	rest, _, _ = strings.Cut(rest, "\n## ")
	var rows [][]string
	for line := range strings.Lines(rest) {
		if cells := strings.Split(strings.TrimSpace(line), "|"); len(cells) > 3 && strings.Contains(cells[1], "`") {
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			rows = append(rows, cells[1:len(cells)-1])
		}
	}
	return rows
}

var quoted = regexp.MustCompile("`([^`]+)`")

// The document and the code name the same spans, attributes and metrics.
func TestDocument(t *testing.T) {
	u := collect(t, "router", "cloud", "local", "policy", "telemetry", "cmd")
	same := func(kind string, code map[string]string, doc map[string]bool) {
		for name, where := range code {
			if !doc[name] {
				t.Errorf("docs/telemetry.md lacks the %s %s of %s", kind, name, where)
			}
		}
		for name := range doc {
			if code[name] == "" {
				t.Errorf("docs/telemetry.md has the %s %s, which no code uses", kind, name)
			}
		}
	}
	spans, attributes, metrics, labels := map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, row := range table(t, "Spans") {
		name := strings.Trim(row[0], "`")
		name = strings.TrimSuffix(name, "MODEL")
		if !strings.HasPrefix(name, "POST ") { // named by the route, at run time
			spans[name] = true
		}
	}
	for _, row := range table(t, "Attributes") {
		attributes[strings.Trim(row[0], "`")] = true
	}
	instruments := maps.Clone(u.counters)
	maps.Copy(instruments, u.histograms)
	maps.Copy(instruments, u.gauges)
	for _, row := range table(t, "Metrics") {
		metrics[strings.Trim(row[0], "`")] = true
		for _, m := range quoted.FindAllStringSubmatch(row[2], -1) {
			labels[m[1]] = true
		}
	}
	if operation, ok := u.spans["chat"]; ok { // the name is put together from a constant
		u.spans["chat "] = operation
		delete(u.spans, "chat")
	}
	if _, ok := u.spans["chat "]; !ok && spans["chat "] {
		delete(spans, "chat ") // its name is a variable
	}
	same("span", u.spans, spans)
	same("attribute", u.attributes, attributes)
	same("metric", instruments, metrics)
	same("label", u.labels, labels)
	for name, where := range u.attributes {
		if !strings.HasPrefix(name, "sluice.") && !slices.Contains(semconv.Names, name) {
			t.Errorf("%s uses %s, which is neither ours nor in internal/semconv", where, name)
		}
	}
}

// The document's second column is what the page really shows.
func TestDocumentedPage(t *testing.T) {
	u := collect(t, "router", "local", "telemetry")
	tel, _ := start(t, Config{})
	m := otel.Meter("names")
	for name := range u.counters {
		c, err := m.Int64Counter(name)
		if err != nil {
			t.Fatal(err)
		}
		c.Add(t.Context(), 1)
	}
	for name := range u.histograms {
		h, err := m.Float64Histogram(name, metric.WithUnit("s"))
		if err != nil {
			t.Fatal(err)
		}
		h.Record(t.Context(), 1)
	}
	for name := range u.gauges {
		g, err := m.Int64Gauge(name)
		if err != nil {
			t.Fatal(err)
		}
		g.Record(t.Context(), 1)
	}
	w := httptest.NewRecorder()
	tel.MetricsHandler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, row := range table(t, "Metrics") {
		kind := "counter"
		if u.histograms[strings.Trim(row[0], "`")] != "" {
			kind = "histogram"
		} else if u.gauges[strings.Trim(row[0], "`")] != "" {
			kind = "gauge"
		}
		if want := fmt.Sprintf("# TYPE %s %s\n", strings.Trim(row[1], "`"), kind); !strings.Contains(w.Body.String(), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}
