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
	Line     int           `json:"line"`
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
	err := storage.Txn(ctx, store, storage.TransactionParams{}, func(txn storage.Transaction) error {
		ch, err := tester.NewRunner().SetCompiler(b.newCompiler()).SetStore(store).SetModules(b.all()).
			SetCoverageQueryTracer(coverage).SetTimeout(10*time.Second).RaiseBuiltinErrors(true).RunTests(ctx, txn)
		if err != nil {
			return err
		}
		for res := range ch {
			r.add(res)
		}
		return nil
	})
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
	case res.Fail && res.FailedAt != nil:
		t.Message = "not true: " + oneLine(string(res.FailedAt.Location.Text))
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
