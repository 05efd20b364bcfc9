package opa

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/sluice-ai/sluice/internal/llm"
)

const folder = "../../configs/policies"

func TestDefaultBundle(t *testing.T) {
	for _, c := range []Config{{Dir: folder}, {FS: os.DirFS(folder)}} {
		for _, p := range Check(t.Context(), c) {
			t.Error(p)
		}
	}
}

func TestRego(t *testing.T) {
	r, err := Test(t.Context(), Config{Dir: folder})
	if err != nil {
		t.Fatal(err)
	}
	for _, res := range r.Tests {
		if !res.Pass {
			t.Errorf("%s:%d: %s: %s", res.File, res.Line, res.Name, res.Message)
		}
	}
	if r.Passed < 18 || r.Coverage < 100 {
		t.Errorf("%d passed, coverage %.1f %%, not covered: %v", r.Passed, r.Coverage, r.Uncovered)
	}
}

// one returns a bundle with one file of rules.
func one(rego string) fstest.MapFS {
	return fstest.MapFS{"p.rego": {Data: []byte(rego)}}
}

// answer returns a bundle whose decision is the Rego expression.
func answer(expr string) fstest.MapFS { return one("package sluice\n\ndecision := " + expr) }

var input = llm.PolicyInput{Request: llm.PolicyRequest{Tenant: "default"}, Targets: []llm.PolicyTarget{{ID: "a", Local: true}, {ID: "b"}}, Hop: llm.First}

func TestLoadErrors(t *testing.T) {
	schema, err := os.ReadFile(filepath.Join(folder, "schema/input.json"))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, want string
		fs         fstest.MapFS
	}{
		{"syntax", "p.rego:3: ", one("package sluice\n\ndecision := {")},
		{"undefined-variable", "p.rego:3: var x is unsafe", one("package sluice\n\ndecision := x")},
		{"unused-variable", "p.rego:4: ", one("package sluice\n\ndecision := {\"allow\": true, \"targets\": []} if {\n\tx := 1\n}")},
		{"no-query", "no rule defines data.sluice.decision", one("package other\n\na := 1")},
		{"empty-folder", "no .rego file", fstest.MapFS{"x.txt": {Data: []byte("x")}}},
		{"network", "p.rego:3: undefined function http.send", answer(`{"allow": true, "targets": http.send({"url": "x", "method": "get"}).body}`)},
		{"clock", "undefined function time.now_ns", answer(`{"allow": time.now_ns() > 0, "targets": []}`)},
		{"random", "undefined function rand.intn", answer(`{"allow": rand.intn("x", 2) == 1, "targets": []}`)},
		{"environment", "undefined function opa.runtime", answer(`{"allow": opa.runtime().env.X == "1", "targets": []}`)},
		{"misspelt-field", "p.rego:3: undefined ref: input.request.tennant; there are ", fstest.MapFS{"p.rego": {Data: []byte("package sluice\n\ndecision := {\"allow\": input.request.tennant == \"x\", \"targets\": []}")}, "schema/input.json": {Data: schema}}},
		{"bad-data", "data.yaml: ", fstest.MapFS{"p.rego": {Data: []byte("package sluice\n\ndecision := {}")}, "data.yaml": {Data: []byte("a: [")}}},
		{"data-hides-rule", "p.rego:3: ", fstest.MapFS{"p.rego": {Data: []byte("package sluice\n\ndecision := {}")}, "data.yaml": {Data: []byte("sluice: {decision: 1}")}}},
		{"name-twice", `tenants: the name "a" is there twice`, fstest.MapFS{"p.rego": {Data: []byte("package sluice\n\ndecision := {}")}, "data.yaml": {Data: []byte("tenants: [{name: a}, {name: a}]")}}},
		{"answer-of-no-use", "the decision lacks allow", answer(`{}`)},
		{"prepare-undefined", "p2.rego:3: data.sluice.prepare.value is undefined", fstest.MapFS{"p.rego": {Data: []byte("package sluice\n\ndecision := {}")}, "p2.rego": {Data: []byte("package sluice.prepare\n\nvalue := data.nothing")}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Open(t.Context(), Config{FS: tt.fs})
			if _, ok := errors.AsType[*LoadError](err); !ok || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if Check(t.Context(), Config{FS: tt.fs}) == nil {
				t.Error("Check found nothing")
			}
		})
	}
	if _, err := Open(t.Context(), Config{Dir: "no/such/folder"}); err == nil {
		t.Error("a folder that does not exist loaded")
	}
	if _, err := Open(t.Context(), Config{}); err == nil {
		t.Error("no folder at all loaded")
	}
}

// ask asks a bundle that load accepts, without the samples that Open would try.
func ask(t *testing.T, fs fstest.MapFS, c Config) (llm.Decision, error) {
	t.Helper()
	c.FS = fs
	b, problems := load(c)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	p, err := b.prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return p.decide(t.Context(), &input)
}

func TestAnswersThatDeny(t *testing.T) {
	tests := []struct{ name, expr, want string }{
		{"undefined", `{"allow": true, "targets": []} if input.request.tenant == "other"`, "undefined"},
		{"not-an-object", `true`, "not an object"},
		{"no-targets", `{"allow": true}`, "lacks targets"},
		{"allow-is-a-string", `{"allow": "yes", "targets": []}`, "not a boolean"},
		{"unknown-field", `{"allow": true, "targets": ["a"], "alow": true}`, `"alow" is not known`},
		{"unknown-target", `{"allow": true, "targets": ["c"]}`, `permits "c"`},
		{"unknown-excluded", `{"allow": true, "targets": ["a"], "excluded": {"c": ["x"]}}`, `excludes "c"`},
		{"both", `{"allow": true, "targets": ["a"], "excluded": {"a": ["x"]}}`, "at once"},
		{"allow-and-deny", `{"allow": true, "targets": ["a"], "deny": [{"rule": "r", "message": "m"}]}`, "allows and denies"},
		{"targets-of-numbers", `{"allow": true, "targets": [1]}`, "strings"},
		{"unknown-obligation", `{"allow": true, "targets": ["a"], "obligations": {"audit": "group", "fax": true}}`, "not an obligation"},
		{"unknown-audit", `{"allow": true, "targets": ["a"], "obligations": {"audit": "sometimes"}}`, "audit"},
		{"unknown-repair", `{"allow": true, "targets": ["a"], "obligations": {"audit": "group", "repair": "magic"}}`, "none of"},
		{"no-audit", `{"allow": true, "targets": ["a"], "obligations": {}}`, "lack audit"},
		{"half-a-day", `{"allow": true, "targets": ["a"], "obligations": {"audit": "group", "retention_days": 0.5}}`, "days"},
		{"days-as-text", `{"allow": true, "targets": ["a"], "obligations": {"audit": "group", "retention_days": "5"}}`, "days"},
		{"denial-without-rule", `{"allow": false, "targets": [], "deny": [{"message": "m"}]}`, "needs a rule"},
		{"failing-builtin", `{"allow": to_number(input.request.tenant) > 0, "targets": []}`, "to_number"},
		{"conflict", `{"allow": true, "targets": ["a"]} if input.hop == "first"` + "\n\ndecision := {\"allow\": false, \"targets\": []}", "conflict"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := ask(t, answer(tt.expr), Config{})
			if err == nil || !strings.Contains(err.Error(), tt.want) || llm.KindOf(err) != llm.Denied {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if d.Allow || len(d.Targets) > 0 || len(d.Deny) != 1 || d.Deny[0].Rule != "policy.error" || d.Revision == "" {
				t.Errorf("beside the error stands %+v", d)
			}
		})
	}
}

func TestAnswersThatAreCompleted(t *testing.T) {
	tests := []struct{ name, expr, targets, excluded string }{
		{"sets-are-lists", `{"allow": true, "targets": {"b", "a"}}`, "a b", ""},
		{"excluded-without-reason", `{"allow": true, "targets": ["a"]}`, "a", "policy: not permitted"},
		{"local-only-wins", `{"allow": true, "targets": ["a", "b"], "local_only": true}`, "a", "local_only: the request stays here"},
		{"no-reason-to-deny", `{"allow": false, "targets": []}`, "", "policy: the policy does not allow this request"},
		{"denied-targets-are-none", `{"allow": false, "targets": ["b"], "deny": [{"rule": "r", "message": "m"}]}`, "", "r: m"},
		{"nothing-permitted", `{"allow": true, "targets": []}`, "", "policy: not permitted"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := ask(t, answer(tt.expr), Config{})
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(d.Targets, " "); got != tt.targets || strings.Join(d.Excluded["b"], ";") != tt.excluded || d.Allow != (tt.targets != "") || d.Allow == (len(d.Deny) > 0) {
				t.Errorf("decided %+v", d)
			}
		})
	}
}

func TestTimeout(t *testing.T) {
	slow := answer(`{"allow": true, "targets": ["a"]} if count([x | some x in numbers.range(1, 3000); some y in numbers.range(1, 3000); x + y == 0]) == 0`)
	start := time.Now()
	_, err := ask(t, slow, Config{Timeout: 20 * time.Millisecond})
	if !errors.Is(err, errTimeout) || time.Since(start) > 5*time.Second {
		t.Errorf("after %v: %v", time.Since(start), err)
	}
	p, err := Open(t.Context(), Config{Dir: folder})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if d, err := p.Decide(ctx, input); llm.KindOf(err) != llm.Canceled || d.Allow {
		t.Errorf("canceled: %+v, %v", d, err)
	}
}

func TestReload(t *testing.T) {
	dir := t.TempDir()
	write := func(text string) {
		if err := os.WriteFile(filepath.Join(dir, "p.rego"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const good = "package sluice\n\ndecision := {\"allow\": false, \"targets\": []}\n"
	write(good)
	p, err := Open(t.Context(), Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	first := p.Revision()
	write("package sluice\n\ndecision := {")
	if err := p.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "p.rego:3") {
		t.Errorf("reload of a broken file: %v", err)
	}
	write("package sluice\n\ndecision := {\"allow\": 1, \"targets\": []}")
	if err := p.Reload(t.Context()); err == nil {
		t.Error("rules whose answer is no decision came in force")
	}
	if p.Revision() != first {
		t.Error("a bundle that does not load changed the revision")
	}
	if _, err := p.Decide(t.Context(), input); err != nil {
		t.Errorf("the last good bundle does not answer: %v", err)
	}
	write(good + "# changed\n")
	if err := p.Reload(t.Context()); err != nil || p.Revision() == first {
		t.Errorf("reload: %v, revision %s", err, p.Revision())
	}
	write(good)
	if err := p.Reload(t.Context()); err != nil || p.Revision() != first || !strings.HasPrefix(first, "sha256:") || len(first) != 71 {
		t.Errorf("the same files have the revision %s, had %s (%v)", p.Revision(), first, err)
	}
}

func TestOperatorData(t *testing.T) {
	data := map[string]any{"tenants": []any{
		map[string]any{"name": "default", "audit": "strict", "repair": "rules", "keep_home": []any{"EMAIL"}},
		map[string]any{"name": "beta", "models": []string{"mistral/*"}},
		map[string]any{"name": "acme", "max_retention_days": 0},
	}}
	p, err := Open(t.Context(), Config{Dir: folder, Data: data})
	if err != nil {
		t.Fatal(err)
	}
	plain, err := Open(t.Context(), Config{Dir: folder})
	if err != nil {
		t.Fatal(err)
	}
	if p.Revision() == plain.Revision() {
		t.Error("the operator's data is not in the revision")
	}
	decide := func(tenant string, types map[string]int) llm.Decision {
		in := llm.PolicyInput{Request: llm.PolicyRequest{Tenant: tenant}, Findings: llm.Findings{Types: types}, Hop: llm.First}
		for _, id := range []string{"local/nano", "openai/gpt", "mistral/small"} {
			in.Targets = append(in.Targets, targets[id])
		}
		d, err := p.Decide(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	if d := decide("default", map[string]int{"EMAIL": 1}); !d.LocalOnly || d.Obligations.Audit != "strict" || d.Obligations.Repair != llm.RepairRules {
		t.Errorf("default: %+v", d)
	}
	if d := decide("beta", nil); strings.Join(d.Targets, " ") != "local/nano mistral/small" {
		t.Errorf("beta: %+v", d)
	}
	if d := decide("acme", nil); strings.Join(d.Targets, " ") != "local/nano mistral/small" || d.Obligations.Audit != "strict" {
		t.Errorf("acme lost or kept too much: %+v", d)
	}
}

func TestFailingRegoTest(t *testing.T) {
	fs := answer(`{"allow": false, "targets": []}`)
	fs["p_test.rego"] = &fstest.MapFile{Data: []byte("package sluice_test\n\nimport data.sluice\n\ntest_wrong if {\n\tsluice.decision.allow\n}\n\ntest_right if {\n\tnot sluice.decision.allow\n}\n")}
	r, err := Test(t.Context(), Config{FS: fs})
	if err != nil || r.OK() || r.Passed != 1 || r.Failed != 1 || r.Tests[0].Line != 6 || !strings.Contains(r.Tests[0].Message, "sluice.decision.allow") {
		t.Errorf("%+v, %v", r, err)
	}
}

// Requests are decided while the bundle is exchanged under them; run with -race.
func TestDecideWhileReloading(t *testing.T) {
	p, err := Open(t.Context(), Config{Dir: folder})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 4)
	for range cap(done) {
		go func() {
			for range 50 {
				if _, err := p.Decide(context.Background(), input); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range 5 {
		if err := p.Reload(t.Context()); err != nil {
			t.Error(err)
		}
	}
	for range cap(done) {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
