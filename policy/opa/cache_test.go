package opa

import (
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/dependencies"
	"github.com/open-policy-agent/opa/v1/rego"

	"github.com/sluice-ai/sluice/internal/llm"
)

// rules compiles a policy with every built-in there is.
func rules(t *testing.T, text string) *ast.Compiler {
	t.Helper()
	c, err := ast.CompileModules(map[string]string{"p.rego": "package sluice\n\n" + text})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestReads(t *testing.T) {
	tests := []struct {
		name, rego string
		want       reads
		impure     bool
	}{
		{"nothing", `decision := 1`, 0, false},
		{"one-field", `decision := input.request.tenant`, readTenant, false},
		{"index", `decision := input["request"]["tenant"]`, readTenant, false},
		{"a-part", `decision := x if x := input.request`, readRequest, false},
		{"below-a-variable", `decision := r.user if r := input.request`, readRequest, false},
		{"all", `decision := input`, readAll, false},
		{"all-of-a-variable", `decision := i.hop if i := input`, readAll, false},
		{"a-name-that-varies", `decision := input[k] if k := "hop"`, readAll, false},
		{"every-name", `decision := {k | input.budget[k] > 0}`, readBudget, false},
		{"an-operand", `decision := data.x[input.hop]`, readHop, false},
		{"an-operand-of-the-input", `decision := input.findings.types[input.assessment.task]`, readTypes | readTask, false},
		{"a-function", "f(x) := x.id\n\ndecision := f(input.targets[_])", readTargets, false},
		{"inside-a-function", "f(x) if x == input.budget.spent_usd\n\ndecision := f(1)", readSpent, false},
		{"another-rule", "a := b\n\nb := input.request.origin\n\ndecision := a", readOrigin, false},
		{"a-rule-by-name", "p.a := input.request.user\n\np.b := input.request.key\n\ndecision := data.sluice.p[x] if some x in [\"a\", \"b\"]", readUser | readKey, false},
		{"else", "decision := 1 if input.hop == \"x\"\n\nelse := input.request.model", readHop | readModel, false},
		{"behind-else", "a := input.hop\n\ndecision := 1 if input.request.key == \"x\"\n\nelse := 2 if input.request.user == \"x\"\n\nelse := a", readKey | readUser | readHop, false},
		{"else-of-another-rule", "a := 1 if input.request.key == \"x\"\n\nelse := b\n\nb := input.hop\n\ndecision := a", readKey | readHop, false},
		{"else-of-a-function", "f(x) := 1 if x == 1\n\nelse := b\n\nb := input.hop\n\ndecision := f(2)", readHop, false},
		{"a-default", "default a := 1\n\na := b if b > 1\n\nb := input.findings.secrets\n\ndecision := a", readSecrets, false},
		{"the-head", `decision[input.hop] := input.request.model`, readHop | readModel, false},
		{"the-parts-of-the-answer", "decision.allow := input.hop == \"x\"\n\ndecision.targets := input.request.tools", readHop | readTools, false},
		{"a-comprehension", `decision := count([1 | input.request.roles[_] == "x"])`, readRoles, false},
		{"every", `decision if every t in input.targets { t.local }`, readTargets, false},
		{"not", `decision if not input.request.stream`, readStream, false},
		{"with", "a := input.hop\n\ndecision := x if x := a with input.hop as input.request.session", readHop | readSession, false},
		{"with-a-function", "f(_) := input.time\n\ndecision := x if x := count([1]) with count as f", readTime, false},
		{"a-template", `decision := $"{input.assessment.boundary}"`, readBoundary, false},
		{"an-object", `decision := object.get(input, ["request", "user"], "")`, readAll, false},
		{"another-rule-that-nothing-asks", "other := input.time\n\ndecision := input.hop", readHop, false},
		{"no-such-field", `decision := input.nonsense`, 0, false},
		{"below-a-field", `decision := input.findings.types.EMAIL`, readTypes, false},
		{"time", `decision := time.parse_rfc3339_ns(input.time)`, readTime, false},
		{"the-clock", `decision := time.now_ns()`, 0, true},
		{"the-clock-in-a-rule", "t := [x | x := time.now_ns()]\n\ndecision := t", 0, true},
		{"the-network", `decision := http.send({"method": "get", "url": input.request.origin})`, readOrigin, true},
		{"chance-that-nothing-asks", "other := rand.intn(\"x\", 2)\n\ndecision := 1", 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := rules(t, tt.rego)
			for _, analysis := range []func(*ast.Compiler, string) (reads, bool){readsOf, mentionedBy} {
				if got, pure := analysis(c, Query); got != tt.want || pure == tt.impure {
					t.Errorf("reads %s, pure %v; want %s", got, pure, tt.want)
				}
			}
			within(t, c)
		})
	}
}

// within checks that OPA's analysis finds nothing that ours does not.
func within(t *testing.T, c *ast.Compiler) {
	t.Helper()
	got, _ := mentionedBy(c, Query)
	refs, err := dependencies.Base(c, ast.MustParseBody(Query))
	if err != nil {
		t.Fatal(err)
	}
	for _, ref := range refs {
		if ref.HasPrefix(ast.InputRootRef) && readsAt(ref)&^got != 0 {
			t.Errorf("OPA finds that %s is read, and we find only %s", ref, got)
		}
	}
}

func (r reads) String() string {
	var names []string
	for _, f := range inputFields {
		if r.has(f.bit) {
			names = append(names, f.path)
		}
	}
	return "[" + strings.Join(names, " ") + "]"
}

func TestReadsOfTheDefaultBundle(t *testing.T) {
	b, problems := load(Config{FS: os.DirFS(folder)})
	if problems != nil {
		t.Fatal(problems)
	}
	within(t, b.compiler)
	want := readTenant | readTypes | readTargets | readHop | readBudget
	if got, pure := readsOf(b.compiler, Query); got != want || !pure {
		t.Errorf("reads %s, want %s", got, want)
	}
}

// changes of an input, each of one field.
var changes = map[reads][]func(in *llm.PolicyInput){
	readTenant:     {func(in *llm.PolicyInput) { in.Request.Tenant += "x" }},
	readUser:       {func(in *llm.PolicyInput) { in.Request.User += "x" }},
	readKey:        {func(in *llm.PolicyInput) { in.Request.Key += "x" }},
	readRoles:      {func(in *llm.PolicyInput) { in.Request.Roles = []string{"a", "b"} }, func(in *llm.PolicyInput) { in.Request.Roles = []string{"ab"} }},
	readSession:    {func(in *llm.PolicyInput) { in.Request.Session += "x" }},
	readDialect:    {func(in *llm.PolicyInput) { in.Request.Dialect += "x" }},
	readModel:      {func(in *llm.PolicyInput) { in.Request.Model += "x" }},
	readTools:      {func(in *llm.PolicyInput) { in.Request.Tools = []string{"a"} }, func(in *llm.PolicyInput) { in.Request.Tools = []string{""} }},
	readModalities: {func(in *llm.PolicyInput) { in.Request.Modalities = []string{"image"} }},
	readStream:     {func(in *llm.PolicyInput) { in.Request.Stream = true }},
	readOrigin:     {func(in *llm.PolicyInput) { in.Request.Origin += "x" }},
	readTypes:      {func(in *llm.PolicyInput) { in.Findings.Types = map[string]int{"EMAIL": 2} }, func(in *llm.PolicyInput) { in.Findings.Types = map[string]int{"EMAIL": 1, "PHONE": 1} }},
	readMaxScore:   {func(in *llm.PolicyInput) { in.Findings.MaxScore = 0.5 }},
	readSecrets:    {func(in *llm.PolicyInput) { in.Findings.Secrets = 1 }},
	readTask:       {func(in *llm.PolicyInput) { in.Assessment.Task = "x" }},
	readPLocal:     {func(in *llm.PolicyInput) { in.Assessment.PLocal = 0.25 }},
	readBoundary:   {func(in *llm.PolicyInput) { in.Assessment.Boundary = llm.Supported }},
	readTargets: {
		func(in *llm.PolicyInput) { in.Targets[0].Healthy = true },
		func(in *llm.PolicyInput) { in.Targets[0].Zone.Region = "x" },
		func(in *llm.PolicyInput) { in.Targets[0].Zone.Jurisdiction = "x" },
		func(in *llm.PolicyInput) { in.Targets[0].Zone.Operator = "x" },
		func(in *llm.PolicyInput) { in.Targets[0].Zone.RetentionDays = &zero },
		func(in *llm.PolicyInput) { in.Targets[0].Zone.RetentionDays = &thirty },
		func(in *llm.PolicyInput) { in.Targets[0].Zone.Trains = &no },
		func(in *llm.PolicyInput) { in.Targets[0].Price.ID = "x" },
		func(in *llm.PolicyInput) { in.Targets[0].Price.Input = 1 },
		func(in *llm.PolicyInput) { in.Targets[0].Price.Cached = 1 },
		func(in *llm.PolicyInput) { in.Targets[0].Price.Output = 1 },
		func(in *llm.PolicyInput) { in.Targets[0].Price.Reason = 1 },
		func(in *llm.PolicyInput) { in.Targets[0].Price.Known = true },
	},
	readHop:       {func(in *llm.PolicyInput) { in.Hop = llm.Shadow }},
	readRemaining: {func(in *llm.PolicyInput) { v := 0.0; in.Budget.RemainingUSD = &v }, func(in *llm.PolicyInput) { v := 1.5; in.Budget.RemainingUSD = &v }},
	readSpent:     {func(in *llm.PolicyInput) { in.Budget.SpentUSD = 1 }},
	readTime:      {func(in *llm.PolicyInput) { in.Time = in.Time.Add(time.Hour) }},
	readAll: { // what settles an answer counts even where no rule reads it
		func(in *llm.PolicyInput) { in.Targets[0].ID += "x" },
		func(in *llm.PolicyInput) { in.Targets[0].Local = true },
		func(in *llm.PolicyInput) { in.Targets = append(in.Targets, llm.PolicyTarget{}) },
	},
}

// The key tells two inputs apart exactly when they differ in what is read, and so does the value that OPA sees.
func TestKey(t *testing.T) {
	base := func() *llm.PolicyInput {
		return &llm.PolicyInput{Findings: llm.Findings{Types: map[string]int{"EMAIL": 1}}, Targets: []llm.PolicyTarget{{ID: "a"}}}
	}
	for _, f := range inputFields {
		if len(changes[f.bit]) == 0 {
			t.Errorf("%s: no change is tried", f.path)
		}
		seen := map[string]bool{string(f.bit.appendKey(nil, base())): true}
		values := map[string]bool{inputValue(base(), f.bit).String(): true}
		for bit, list := range changes {
			for i, change := range list {
				in := base()
				change(in)
				key, value := string(f.bit.appendKey(nil, in)), inputValue(in, f.bit).String()
				if seen[key] != !bit.has(f.bit) && bit != readAll || bit == readAll && seen[key] {
					t.Errorf("%s read, %s changed (%d): the key is new: %v", f.path, bit, i, !seen[key])
				}
				if values[value] != !bit.has(f.bit) && bit != readAll {
					t.Errorf("%s read, %s changed (%d): the value is new: %v", f.path, bit, i, !values[value])
				}
				if bit == f.bit {
					seen[key], values[value] = true, true
				}
			}
		}
	}
}

// A decision out of the cache, or about the part of the input that is read, or by the rules' short way, is the one
// that all rules give about all of the input.
func TestCacheChangesNothing(t *testing.T) {
	data := map[string]any{"tenants": []any{
		map[string]any{"name": "strict", "personal": "keep_home", "block": []any{"US_SSN"}, "models": []any{"mistral/*"}, "residency": map[string]any{"regions": []any{"EU"}, "jurisdictions": []any{"FR"}}},
		map[string]any{"name": "home", "private_keys": "keep_home", "rehydrate": false},
	}}
	p, err := Open(t.Context(), Config{FS: os.DirFS(folder), Data: data})
	if err != nil {
		t.Fatal(err)
	}
	now := p.now.Load()
	whole := *now
	whole.cache, whole.reads = nil, readAll
	b, problems := load(Config{FS: os.DirFS(folder), Data: data})
	if problems != nil {
		t.Fatal(problems)
	}
	whole.query, err = rego.New(rego.Query("data.sluice.weighed"), rego.Compiler(b.compiler), rego.Store(b.store(b.data)), rego.StrictBuiltinErrors(true)).PrepareForEval(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	hits := 0
	for range 3000 {
		in := llm.PolicyInput{
			Request:    llm.PolicyRequest{Tenant: pick("default", "acme", "strict", "home", "nobody"), User: pick("a", "b"), Model: pick("auto", "local")},
			Findings:   llm.Findings{Types: map[string]int{}, MaxScore: r.Float64()},
			Assessment: llm.PolicyAssessment{PLocal: r.Float64()},
			Hop:        llm.Hop(pick("first", "fallback", "shadow")),
			Time:       time.Unix(r.Int64N(1e9), 0),
		}
		for range r.IntN(3) {
			in.Findings.Types[pick("EMAIL", "IBAN", "US_SSN", "IP_ADDRESS", "SECRET", "PRIVATE_KEY")] = r.IntN(3)
		}
		for _, id := range []string{"local/nano", "openai/gpt", "mistral/small", "other/unknown"} {
			if r.IntN(3) > 0 {
				in.Targets = append(in.Targets, targets[id])
			}
		}
		if r.IntN(4) == 0 {
			left := float64(r.IntN(2))
			in.Budget = llm.Budget{RemainingUSD: &left, SpentUSD: float64(r.IntN(2) * 200)}
		}
		if _, ok := now.cache.get(now.reads.appendKey(nil, &in)); ok {
			hits++
		}
		want, err := whole.decide(t.Context(), &in)
		if err != nil {
			t.Fatal(err)
		}
		got, err := p.Decide(t.Context(), in)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v\ndecided %+v (%v)\nwant    %+v", in, got, err, want)
		}
	}
	if hits < 500 {
		t.Errorf("only %d answers came out of the cache", hits)
	}
}

// Nobody can change a decision that another request will get.
func TestCachedDecisionsAreCopies(t *testing.T) {
	p, err := Open(t.Context(), Config{FS: os.DirFS(folder)})
	if err != nil {
		t.Fatal(err)
	}
	in := llm.PolicyInput{Request: llm.PolicyRequest{Tenant: "acme"}, Findings: llm.Findings{Types: map[string]int{"EMAIL": 1, "PHONE": 1}}, Hop: llm.First}
	for _, id := range []string{"local/nano", "openai/gpt", "mistral/small"} {
		in.Targets = append(in.Targets, targets[id])
	}
	refused := in
	refused.Findings.Types = map[string]int{"PRIVATE_KEY": 1}
	for _, in := range []llm.PolicyInput{in, refused} {
		var first string
		for i := range 3 {
			d, err := p.Decide(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			if s := fmt.Sprintf("%#v", d); i == 0 {
				first = s
			} else if s != first {
				t.Fatalf("time %d: %s\nwas %s", i, s, first)
			}
			lists := [][]string{d.Targets, d.Redact, d.Reasons, d.Obligations.ApproveTools}
			for _, why := range d.Excluded {
				lists = append(lists, why)
			}
			for _, list := range lists {
				for j := range list {
					list[j] = "overwritten"
				}
				_ = append(list, "behind the end")
			}
			for j := range d.Deny {
				d.Deny[j].Rule = "overwritten"
			}
			clear(d.Excluded)
		}
	}
}

func TestCacheIsBounded(t *testing.T) {
	key := func(i int) []byte { return fmt.Appendf(nil, "key %d", i) }
	c := newCache()
	for i := range maxDecisions + 10 {
		c.put(key(i), &llm.Decision{Revision: fmt.Sprint(i)})
		if d, ok := c.get(key(0)); !ok || d.Revision != "0" { // used, so it stays
			t.Fatalf("%d: the decision used last is gone", i)
		}
	}
	if _, ok := c.get(key(1)); ok || c.used.Len() != maxDecisions || len(c.byKey) != maxDecisions {
		t.Errorf("%d and %d decisions, the oldest still there: %v", c.used.Len(), len(c.byKey), ok)
	}
	c = newCache()
	for i := range 1000 {
		c.put(key(i), &llm.Decision{Reasons: []string{strings.Repeat("x", 100<<10)}})
	}
	if c.bytes > maxDecisionBytes || c.used.Len() < 100 || c.used.Len() > 200 || len(c.byKey) != c.used.Len() {
		t.Errorf("%d decisions of %d bytes", c.used.Len(), c.bytes)
	}
	c.put(key(-1), &llm.Decision{Reasons: []string{strings.Repeat("x", maxDecisionBytes)}})
	if _, ok := c.get(key(-1)); ok || c.used.Len() < 100 {
		t.Error("one decision took the room of all")
	}
}

func TestWhatIsRemembered(t *testing.T) {
	decide := func(t *testing.T, rego string, in llm.PolicyInput) int {
		b, problems := load(Config{FS: answer(rego)})
		if problems != nil {
			t.Fatal(problems)
		}
		p, err := b.prepare(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			p.decide(t.Context(), &in)
		}
		if p.cache == nil {
			return -1
		}
		return p.cache.used.Len()
	}
	tests := []struct {
		name, rego string
		want       int
	}{
		{"an-answer", `{"allow": true, "targets": ["a"]}`, 1},
		{"a-refusal", `{"allow": false, "targets": []}`, 1},
		{"an-error", `{"allow": true}`, 0},
		{"undefined", `{"allow": true, "targets": []} if input.request.tenant == "other"`, 0},
		{"by-time", `{"allow": time.parse_rfc3339_ns(input.time) > 0, "targets": ["a"]}`, -1},
		{"by-all-of-the-input", `{"allow": count(input) > 0, "targets": ["a"]}`, -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := decide(t, tt.rego, input); got != tt.want {
				t.Errorf("%d decisions are remembered, want %d", got, tt.want)
			}
		})
	}
	in := input
	in.Request.Tools = []string{strings.Repeat("x", maxKey)}
	if got := decide(t, `{"allow": count(input.request.tools) > 0, "targets": ["a"]}`, in); got != 0 {
		t.Error("a decision with a huge key was remembered")
	}
}

// A bundle that comes in force brings an empty cache, whatever is being decided meanwhile; run with -race.
func TestCacheIsTheBundlesOwn(t *testing.T) {
	p, err := Open(t.Context(), Config{FS: answer(`{"allow": true, "targets": [t.id | some t in input.targets]}`)})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for i := range 4 {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				before := p.Revision()
				in := input
				in.Targets = slices.Concat(input.Targets, []llm.PolicyTarget{{ID: fmt.Sprint(i, n%50)}})
				d, err := p.Decide(t.Context(), in)
				if err != nil || d.Revision != before && d.Revision != p.Revision() {
					t.Errorf("%+v, %v", d, err)
					return
				}
			}
		})
	}
	if err := p.Update(t.Context(), Config{FS: answer(`{"allow": false, "targets": []}`)}); err != nil {
		t.Error(err)
	}
	if d, err := p.Decide(t.Context(), input); err != nil || d.Allow || d.Revision != p.Revision() {
		t.Errorf("the bundle before decided: %+v, %v", d, err)
	}
	close(stop)
	wg.Wait()
}
