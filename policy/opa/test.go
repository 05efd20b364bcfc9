package opa

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/tester"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// A Report is the outcome of a bundle's Rego tests.
type Report struct {
	Tests     []TestResult `json:"tests"`
	Passed    int          `json:"passed"`
	Failed    int          `json:"failed"`   // errors included
	Coverage  float64      `json:"coverage"` // percent of the rules' lines that the tests ran
	Uncovered []Range      `json:"uncovered,omitempty"`
}

// OK reports whether there were tests and all passed.
func (r Report) OK() bool { return r.Failed == 0 && r.Passed > 0 }

// A TestResult is the outcome of one rule whose name begins with test_.
type TestResult struct {
	Name     string        `json:"name"` // "data.sluice_test.test_…"
	File     string        `json:"file"`
	Line     int           `json:"line"` // of the test; of a failed one, the expression
	Pass     bool          `json:"pass"`
	Message  string        `json:"message,omitempty"` // what went wrong; for a failed test, the expression that was false
	Duration time.Duration `json:"duration_ns"`
}

// A Range is lines of a file, both ends included.
type Range struct {
	File string `json:"file"`
	From int    `json:"from"`
	To   int    `json:"to"`
}

// compileTests compiles the rules together with their tests.
func (b *bundle) compileTests() []Problem {
	c := b.newCompiler()
	if c.Compile(b.all()); c.Failed() {
		return b.problems(c.Errors)
	}
	return nil
}

// all returns copies of the rules and the tests.
func (b *bundle) all() map[string]*ast.Module {
	all := map[string]*ast.Module{}
	for _, modules := range []map[string]*ast.Module{b.modules, b.tests} {
		for name, m := range modules {
			all[name] = m.Copy()
		}
	}
	return all
}

// Test runs the bundle's *_test.rego on the bundle's own data, without c.Data.
// The error is a bundle that does not load; failed tests are in the report.
func Test(ctx context.Context, c Config) (Report, error) {
	c.Data = nil
	if err := c.Validate(); err != nil {
		return Report{}, err
	}
	b, problems := load(c)
	if len(problems) == 0 {
		problems = b.compileTests()
	}
	if len(problems) > 0 {
		return Report{}, &LoadError{problems}
	}
	store, coverage := b.store(b.data), cover.New()
	var r Report
	run := func(set func(*tester.Runner), each func(*tester.Result)) error {
		return storage.Txn(ctx, store, storage.TransactionParams{}, func(txn storage.Transaction) error {
			t := tester.NewRunner().SetCompiler(b.newCompiler()).SetStore(store).SetModules(b.all()).SetTimeout(10 * time.Second).RaiseBuiltinErrors(true)
			set(t)
			ch, err := t.RunTests(ctx, txn)
			if err != nil {
				return err
			}
			for res := range ch {
				each(res)
			}
			return nil
		})
	}
	err := run(func(t *tester.Runner) { t.SetCoverageQueryTracer(coverage) }, r.add)
	if err == nil && r.Failed > 0 { // once more, to see where; the runner cannot do both at a time
		err = run(func(t *tester.Runner) { t.EnableTracing(true) }, r.explain)
	}
	if err != nil {
		if errs, ok := errors.AsType[ast.Errors](err); ok {
			return Report{}, &LoadError{b.problems(errs)}
		}
		return Report{}, err
	}
	slices.SortFunc(r.Tests, func(a, b TestResult) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	report := coverage.Report(b.modules)
	r.Coverage = report.Coverage
	for _, file := range slices.Sorted(maps.Keys(report.Files)) {
		for _, n := range report.Files[file].NotCovered {
			r.Uncovered = append(r.Uncovered, Range{file, n.Start.Row, n.End.Row})
		}
	}
	return r, nil
}

func (r *Report) add(res *tester.Result) {
	t := TestResult{Name: res.Package + "." + res.Name, File: res.Location.File, Line: res.Location.Row, Pass: res.Pass(), Duration: res.Duration}
	switch {
	case res.Error != nil:
		t.Message = oneLine(res.Error.Error())
	case res.Fail:
		t.Message = "not true"
	}
	if t.Pass {
		r.Passed++
	} else if !res.Skip {
		r.Failed++
	}
	r.Tests = append(r.Tests, t)
}

// explain adds to a failed test the expression of its file that failed last.
func (r *Report) explain(res *tester.Result) {
	if !res.Fail {
		return
	}
	name := res.Package + "." + res.Name
	i := slices.IndexFunc(r.Tests, func(t TestResult) bool { return t.Name == name })
	if i < 0 {
		return
	}
	for _, e := range slices.Backward(res.Trace) {
		if x, ok := e.Node.(*ast.Expr); ok && e.Op == topdown.FailOp && x.Location != nil && x.Location.File == r.Tests[i].File {
			r.Tests[i].Line = x.Location.Row
			r.Tests[i].Message = "not true: " + oneLine(string(x.Location.Text))
			return
		}
	}
}
