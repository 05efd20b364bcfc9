package opa

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"

	"github.com/sluice-ai/sluice/internal/llm"
)

// Check compiles the bundle of c, asks it about sample inputs of every tenant,
// and holds inputs and answers against the bundle's JSON schemas. It returns all
// that is wrong, nil when nothing is.
func Check(ctx context.Context, c Config) []Problem {
	if err := c.Validate(); err != nil {
		return []Problem{{File: "policy", Message: err.Error()}}
	}
	b, problems := load(c)
	if len(problems) > 0 {
		return problems
	}
	if tests := b.compileTests(); len(tests) > 0 {
		return tests
	}
	p, err := b.prepare(ctx)
	if err != nil {
		return []Problem{{File: b.name("."), Message: err.Error()}}
	}
	if problems := b.try(ctx, p); len(problems) > 0 {
		return problems
	}
	return b.match(ctx, p)
}

// try asks p about the samples. An answer that does not decode is a problem.
func (b *bundle) try(ctx context.Context, p *prepared) []Problem {
	for _, s := range b.samples() {
		v, err := p.eval(ctx, &s.input)
		if err == nil {
			_, err = decode(v, s.input.Targets)
		}
		if err != nil {
			return []Problem{{File: b.name("."), Message: fmt.Sprintf("asked about %s: %s", s.name, oneLine(err.Error()))}}
		}
	}
	return nil
}

// match holds the samples and their answers against the schemas.
func (b *bundle) match(ctx context.Context, p *prepared) []Problem {
	for _, name := range []string{"input", "output"} {
		schema, ok := b.schemas[name]
		if !ok {
			continue
		}
		file := "schema/" + name + ".json"
		q, err := rego.New(rego.Query("json.match_schema(input.document, input.schema)")).PrepareForEval(ctx)
		if err != nil {
			return []Problem{{File: b.name(file), Message: err.Error()}}
		}
		s, err := ast.InterfaceToValue(schema)
		if err != nil {
			return []Problem{{File: b.name(file), Message: err.Error()}}
		}
		for _, sample := range b.samples() {
			doc := inputValue(&sample.input, readAll)
			if name == "output" {
				if doc, err = p.eval(ctx, &sample.input); err != nil {
					return []Problem{{File: b.name("."), Message: err.Error()}}
				}
			}
			rs, err := q.Eval(ctx, rego.EvalParsedInput(ast.NewObject(pair(key("document"), ast.NewTerm(doc)), pair(key("schema"), ast.NewTerm(s)))))
			if err != nil {
				return []Problem{{File: b.name(file), Message: oneLine(err.Error())}}
			}
			if verdict, ok := rs[0].Expressions[0].Value.([]any); !ok || verdict[0] != true {
				return []Problem{{File: b.name(file), Message: fmt.Sprintf("asked about %s: the %s does not fit the schema: %v", sample.name, name, verdict[1])}}
			}
		}
	}
	return nil
}

// A sample is an input that every bundle must be able to answer.
type sample struct {
	name  string
	input llm.PolicyInput
}

// maxTenants bounds how many of the data's tenants are tried.
const maxTenants = 50

// samples returns inputs for every tenant of the data, and for one that nobody knows.
func (b *bundle) samples() []sample {
	tenants := []string{"default", "nobody-knows-this-tenant"}
	if list, ok := b.data["tenants"].([]any); ok && named(list) {
		for _, t := range list[:min(len(list), maxTenants)] {
			if name := t.(map[string]any)["name"].(string); !slices.Contains(tenants, name) {
				tenants = append(tenants, name)
			}
		}
	}
	zero, days, no, yes, spent := 0, 30, false, true, 0.0
	targets := []llm.PolicyTarget{
		{ID: "local/nano", Local: true, Healthy: true, Zone: llm.Zone{Region: "on-premises"}},
		{ID: "openai/gpt-5-mini", Healthy: true, Zone: llm.Zone{Region: "US", Jurisdiction: "US", Operator: "OpenAI", RetentionDays: &days, Trains: &no}, Price: llm.Price{ID: "p1", Input: 250, Output: 2000, Known: true}},
		{ID: "mistral/small@eu", Healthy: false, Zone: llm.Zone{Region: "FR", Jurisdiction: "FR", Operator: "Mistral", RetentionDays: &zero, Trains: &yes}},
		{ID: "other/unknown", Healthy: true},
	}
	base := func(tenant string) llm.PolicyInput {
		return llm.PolicyInput{
			Request:    llm.PolicyRequest{Tenant: tenant, User: "u", Key: "k", Session: "s", Dialect: llm.OpenAIChat, Model: "auto", Modalities: []string{"text"}},
			Findings:   llm.Findings{Types: map[string]int{}},
			Assessment: llm.PolicyAssessment{Task: "chat", PLocal: 0.5, Boundary: llm.Uncertain},
			Targets:    targets,
			Hop:        llm.First,
			Time:       time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		}
	}
	var out []sample
	for _, t := range tenants {
		add := func(what string, change func(*llm.PolicyInput)) {
			in := base(t)
			change(&in)
			out = append(out, sample{fmt.Sprintf("%s of tenant %q", what, t), in})
		}
		add("a plain request", func(*llm.PolicyInput) {})
		add("a request with personal data", func(in *llm.PolicyInput) {
			in.Findings = llm.Findings{Types: map[string]int{"EMAIL": 2, "IBAN": 1, "PERSON": 1}, MaxScore: 1}
			in.Request.Tools, in.Request.Roles, in.Request.Stream = []string{"send_mail"}, []string{"analyst"}, true
		})
		add("a request with secrets", func(in *llm.PolicyInput) {
			in.Findings = llm.Findings{Types: map[string]int{"SECRET": 1, "PRIVATE_KEY": 1}, MaxScore: 1, Secrets: 1}
		})
		add("a fallback with a spent budget", func(in *llm.PolicyInput) {
			in.Hop, in.Budget = llm.Fallback, llm.Budget{RemainingUSD: &spent, SpentUSD: 1e9}
		})
		add("a shadow copy", func(in *llm.PolicyInput) {
			in.Hop, in.Findings.Types = llm.Shadow, map[string]int{"EMAIL": 1}
		})
		add("an escalation without a local target", func(in *llm.PolicyInput) {
			in.Hop, in.Targets = llm.Escalate, targets[1:]
		})
		add("a request without targets", func(in *llm.PolicyInput) { in.Targets = nil })
		add("a request without a verdict", func(in *llm.PolicyInput) { in.Assessment = llm.PolicyAssessment{Boundary: llm.NoVerdict} })
	}
	return out
}
