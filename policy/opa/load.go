package opa

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/util"
)

// A Problem is one thing wrong with a bundle.
type Problem struct {
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"` // 0 when the file as a whole is meant
	Message string `json:"message"`
}

// String returns "file:line: message".
func (p Problem) String() string {
	if p.Line > 0 {
		return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Message)
	}
	return p.File + ": " + p.Message
}

// A LoadError is a bundle that cannot be used, and all that is wrong with it.
type LoadError struct{ Problems []Problem }

// Error returns the problems, one a line.
func (e *LoadError) Error() string {
	var lines []string
	for _, p := range e.Problems {
		lines = append(lines, p.String())
	}
	return "policy: " + strings.Join(lines, "\n")
}

// limits of a bundle; more is a mistake.
const (
	maxFile  = 16 << 20
	maxFiles = 2000

	maxPrepare = 10 * time.Second
)

// A bundle is a folder that was read and compiled.
type bundle struct {
	dir      string // for messages
	config   Config
	revision string
	modules  map[string]*ast.Module // rules
	tests    map[string]*ast.Module // *_test.rego
	own      map[string]any         // the folder's data
	data     map[string]any         // with the operator's
	schemas  map[string]any         // "input", "output"
	fields   *schema                // what the data may hold; nil: anything
	compiler *ast.Compiler
}

// name returns a file's name for people.
func (b *bundle) name(file string) string { return path.Join(b.dir, file) }

// load reads and compiles the bundle of c. Without problems, the bundle is ready for prepare.
func load(c Config) (*bundle, []Problem) {
	c = c.withDefaults()
	b := &bundle{dir: c.Dir, config: c, modules: map[string]*ast.Module{}, tests: map[string]*ast.Module{}, own: map[string]any{}, schemas: map[string]any{}}
	if problems := b.read(); len(problems) > 0 {
		return b, problems
	}
	b.data = merge(clone(b.own), clone(c.Data)).(map[string]any)
	if problems := append(b.check(), index(b)...); len(problems) > 0 {
		return b, problems
	}
	if problems := b.compile(); len(problems) > 0 {
		return b, problems
	}
	return b, b.work()
}

// check holds the data against the bundle's schema of it.
func (b *bundle) check() []Problem {
	if b.fields == nil {
		return nil
	}
	own := b.fields.check(b.own)
	var problems []Problem
	for _, sentence := range b.fields.check(b.data) {
		file := "policy.data" // the operator's configuration
		if slices.Contains(own, sentence) {
			file = b.name("data.yaml")
		}
		problems = append(problems, Problem{File: file, Message: sentence})
	}
	return problems
}

// read reads the folder.
func (b *bundle) read() []Problem {
	var problems []Problem
	h := sha256.New()
	files := 0
	err := fs.WalkDir(b.config.FS, ".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := path.Base(file)
		if file != "." && strings.HasPrefix(base, ".") { // also Kubernetes' ..data
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		isRego := strings.HasSuffix(base, ".rego")
		isData := base == "data.yaml" || base == "data.yml" || base == "data.json"
		isSchema := file == "schema/input.json" || file == "schema/output.json"
		if d.IsDir() || !isRego && !isData && !isSchema { // dataSchema is isData by its name
			return nil
		}
		if files++; files > maxFiles {
			return fmt.Errorf("more than %d files", maxFiles)
		}
		text, err := fs.ReadFile(b.config.FS, file)
		if err != nil {
			return err
		}
		if len(text) > maxFile {
			problems = append(problems, Problem{File: b.name(file), Message: "larger than 16 MiB"})
			return nil
		}
		if !strings.HasSuffix(base, "_test.rego") {
			fmt.Fprintf(h, "%d %s\n%d\n", len(file), file, len(text))
			h.Write(text)
		}
		switch {
		case isRego:
			problems = append(problems, b.parse(file, text)...)
		case isSchema:
			var v any
			if err := json.Unmarshal(text, &v); err != nil {
				problems = append(problems, Problem{File: b.name(file), Message: "not valid JSON: " + err.Error()})
			}
			b.schemas[strings.TrimSuffix(base, ".json")] = v
		case file == dataSchema:
			if b.fields, err = parseSchema(text); err != nil {
				problems = append(problems, Problem{File: b.name(file), Message: oneLine(err.Error())})
			}
		case isData:
			var v any
			if err := util.Unmarshal(text, &v); err != nil {
				problems = append(problems, Problem{File: b.name(file), Message: oneLine(err.Error())})
				return nil
			}
			for dir := path.Dir(file); dir != "."; dir = path.Dir(dir) {
				v = map[string]any{path.Base(dir): v}
			}
			m, ok := v.(map[string]any)
			if !ok {
				problems = append(problems, Problem{File: b.name(file), Message: "the data must be a map at its top"})
				return nil
			}
			b.own = merge(b.own, m).(map[string]any)
		}
		return nil
	})
	if err != nil {
		return append(problems, Problem{File: b.name("."), Message: "the bundle cannot be read: " + err.Error()})
	}
	if len(b.modules) == 0 && len(problems) == 0 {
		problems = append(problems, Problem{File: b.name("."), Message: "there is no .rego file here"})
	}
	operator, err := json.Marshal(b.config.Data)
	if err != nil {
		problems = append(problems, Problem{File: "policy.data", Message: err.Error()})
	}
	h.Write(operator)
	b.revision = "sha256:" + hex.EncodeToString(h.Sum(nil))
	return problems
}

func (b *bundle) parse(file string, text []byte) []Problem {
	m, err := ast.ParseModuleWithOpts(b.name(file), string(text), ast.ParserOptions{RegoVersion: ast.RegoV1, ProcessAnnotation: true, Capabilities: capabilities()})
	if err != nil {
		return b.problems(err)
	}
	if m == nil {
		return []Problem{{File: b.name(file), Message: "the file is empty"}}
	}
	if strings.HasSuffix(file, "_test.rego") {
		b.tests[b.name(file)] = m
	} else {
		b.modules[b.name(file)] = m
	}
	return nil
}

// newCompiler returns a strict compiler that knows the input's fields and no impure built-in.
func (b *bundle) newCompiler() *ast.Compiler {
	c := ast.NewCompiler().WithStrict(true).WithCapabilities(capabilities()).WithEnablePrintStatements(false).
		WithPathConflictsCheck(func(path []string) (bool, error) { return taken(b.data, path), nil })
	c.SetErrorLimit(50)
	if schema, ok := b.schemas["input"]; ok {
		set := ast.NewSchemaSet()
		set.Put(ast.SchemaRootRef, schema)
		c = c.WithSchemas(set)
	}
	return c
}

func (b *bundle) compile() []Problem {
	b.compiler = b.newCompiler()
	modules := make(map[string]*ast.Module, len(b.modules))
	for name, m := range b.modules {
		modules[name] = m.Copy() // compiling changes it
	}
	if b.compiler.Compile(modules); b.compiler.Failed() {
		return b.problems(b.compiler.Errors)
	}
	if len(b.compiler.GetRulesExact(ast.MustParseRef(Query))) == 0 {
		return []Problem{{File: b.name("."), Message: "no rule defines " + Query + ", which is what the gateway asks"}}
	}
	return nil
}

// work evaluates the bundle's [Prepare] rule, where it has one, and makes its value data.prepared.
func (b *bundle) work() []Problem {
	rules := b.compiler.GetRulesExact(ast.MustParseRef(Prepare))
	if len(rules) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), maxPrepare)
	defer cancel()
	loc := rules[0].Location
	problem := func(msg string) []Problem {
		return []Problem{{File: loc.File, Line: loc.Row, Message: Prepare + " " + msg}}
	}
	rs, err := rego.New(rego.Query(Prepare), rego.Compiler(b.compiler), rego.Store(b.store(b.data)), rego.StrictBuiltinErrors(true)).Eval(ctx)
	switch {
	case err != nil:
		return problem("failed: " + oneLine(err.Error()))
	case len(rs) != 1:
		return problem("is undefined")
	}
	b.data["prepared"] = rs[0].Expressions[0].Value
	return nil
}

// store returns data as OPA wants it.
func (b *bundle) store(data map[string]any) storage.Store {
	return inmem.NewFromObjectWithOpts(data, inmem.OptRoundTripOnWrite(false), inmem.OptReturnASTValuesOnRead(true))
}

// prepare makes the compiled bundle ready to be asked.
func (b *bundle) prepare(ctx context.Context) (*prepared, error) {
	q, err := rego.New(rego.Query(Query), rego.Compiler(b.compiler), rego.Store(b.store(b.data)), rego.StrictBuiltinErrors(true)).PrepareForEval(ctx)
	if err != nil {
		return nil, err
	}
	p := &prepared{revision: b.revision, query: q, timeout: max(b.config.Timeout, time.Millisecond)}
	var pure bool
	if p.reads, pure = readsOf(b.compiler, Query); pure && !p.reads.has(readTime) { // no two requests have the same time
		p.cache = newCache()
	}
	return p, nil
}

// problems turns OPA's errors to ours, in the order of the files.
func (b *bundle) problems(err error) []Problem {
	errs, ok := errors.AsType[ast.Errors](err)
	if !ok {
		if one, ok := errors.AsType[*ast.Error](err); ok {
			errs = ast.Errors{one}
		} else {
			return []Problem{{File: b.name("."), Message: oneLine(err.Error())}}
		}
	}
	var out []Problem
	for _, e := range errs {
		p := Problem{File: b.name("."), Message: oneLine(e.Message)}
		if e.Location != nil {
			p.File, p.Line = e.Location.File, e.Location.Row
		}
		if d, ok := e.Details.(*ast.RefErrInvalidDetail); ok && len(d.OneOf) > 0 {
			var names []string
			for _, v := range d.OneOf {
				names = append(names, strings.Trim(v.String(), `"`))
			}
			p.Message += fmt.Sprintf("; there are %s", strings.Join(names, ", "))
		}
		out = append(out, p)
	}
	slices.SortStableFunc(out, func(x, y Problem) int { return cmp.Or(cmp.Compare(x.File, y.File), cmp.Compare(x.Line, y.Line)) })
	return out
}

// oneLine makes one sentence of a message of several lines.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
