package opa

import (
	"sync"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/sluice-ai/sluice/internal/llm"
)

// The keys of the input, made once.
var (
	kRequest, kFindings, kAssessment, kTargets, kHop, kBudget, kTime                   = key("request"), key("findings"), key("assessment"), key("targets"), key("hop"), key("budget"), key("time")
	kTenant, kUser, kKey, kRoles, kSession, kDialect, kModel, kTools                   = key("tenant"), key("user"), key("key"), key("roles"), key("session"), key("dialect"), key("model"), key("tools")
	kModalities, kStream, kOrigin, kTypes, kMaxScore, kSecrets, kTask, kPLocal         = key("modalities"), key("stream"), key("origin"), key("types"), key("max_score"), key("secrets"), key("task"), key("p_local")
	kBoundary, kID, kLocal, kZone, kPrice, kHealthy, kRegion, kJurisdiction, kOperator = key("boundary"), key("id"), key("local"), key("zone"), key("price"), key("healthy"), key("region"), key("jurisdiction"), key("operator")
	kRetentionDays, kTrains, kInput, kCached, kOutput, kReasoning, kKnown              = key("retention_days"), key("trains"), key("input"), key("cached"), key("output"), key("reasoning"), key("known")
	kRemaining, kSpent                                                                 = key("remaining_usd"), key("spent_usd")
)

func key(s string) *ast.Term { return ast.StringTerm(s) }

func str[S ~string](s S) *ast.Term { return ast.StringTerm(string(s)) }

func list(ss []string) *ast.Term {
	terms := make([]*ast.Term, len(ss))
	for i, s := range ss {
		terms[i] = ast.StringTerm(s)
	}
	return ast.NewTerm(ast.NewArray(terms...))
}

func object(pairs ...[2]*ast.Term) *ast.Term { return ast.NewTerm(ast.NewObject(pairs...)) }

func pair(k, v *ast.Term) [2]*ast.Term { return [2]*ast.Term{k, v} }

func optional[T any](p *T, term func(T) *ast.Term) *ast.Term {
	if p == nil {
		return ast.NullTerm()
	}
	return term(*p)
}

func integer(n int64) *ast.Term { return ast.IntNumberTerm(int(n)) }

// inputValue returns in as OPA's value. It writes the fields out, because reflection would take longer than the rules.
// configs/policies/schema/input.json describes it; a test holds the two together.
func inputValue(in llm.PolicyInput) ast.Value {
	types := ast.NewObject()
	for t, n := range in.Findings.Types {
		types.Insert(str(t), integer(int64(n)))
	}
	targets := make([]*ast.Term, len(in.Targets))
	for i := range in.Targets {
		targets[i] = known.term(&in.Targets[i])
	}
	r, a := &in.Request, &in.Assessment
	return ast.NewObject(
		pair(kRequest, object(
			pair(kTenant, str(r.Tenant)),
			pair(kUser, str(r.User)),
			pair(kKey, str(r.Key)),
			pair(kRoles, list(r.Roles)),
			pair(kSession, str(r.Session)),
			pair(kDialect, str(r.Dialect)),
			pair(kModel, str(r.Model)),
			pair(kTools, list(r.Tools)),
			pair(kModalities, list(r.Modalities)),
			pair(kStream, boolTerm(r.Stream)),
			pair(kOrigin, str(r.Origin)))),
		pair(kFindings, object(
			pair(kTypes, ast.NewTerm(types)),
			pair(kMaxScore, ast.FloatNumberTerm(in.Findings.MaxScore)),
			pair(kSecrets, integer(int64(in.Findings.Secrets))))),
		pair(kAssessment, object(
			pair(kTask, str(a.Task)),
			pair(kPLocal, ast.FloatNumberTerm(a.PLocal)),
			pair(kBoundary, str(a.Boundary)))),
		pair(kTargets, ast.NewTerm(ast.NewArray(targets...))),
		pair(kHop, str(in.Hop)),
		pair(kBudget, object(
			pair(kRemaining, optional(in.Budget.RemainingUSD, ast.FloatNumberTerm)),
			pair(kSpent, ast.FloatNumberTerm(in.Budget.SpentUSD)))),
		pair(kTime, str(in.Time.UTC().Format(time.RFC3339))))
}

func boolTerm(b bool) *ast.Term { return ast.InternedTerm(b) }

// targetTerm returns t as OPA's value.
func targetTerm(t *llm.PolicyTarget) *ast.Term {
	return object(
		pair(kID, str(t.ID)),
		pair(kLocal, boolTerm(t.Local)),
		pair(kZone, object(
			pair(kRegion, str(t.Zone.Region)),
			pair(kJurisdiction, str(t.Zone.Jurisdiction)),
			pair(kOperator, str(t.Zone.Operator)),
			pair(kRetentionDays, optional(t.Zone.RetentionDays, ast.IntNumberTerm)),
			pair(kTrains, optional(t.Zone.Trains, boolTerm)))),
		pair(kPrice, object(
			pair(kID, str(t.Price.ID)),
			pair(kInput, integer(t.Price.Input)),
			pair(kCached, integer(t.Price.Cached)),
			pair(kOutput, integer(t.Price.Output)),
			pair(kReasoning, integer(t.Price.Reason)),
			pair(kKnown, boolTerm(t.Price.Known)))),
		pair(kHealthy, boolTerm(t.Healthy)))
}

// known remembers the values of targets: there are few, they are the same in
// every request, and they are most of an input. OPA never changes a value that it was given.
var known = targetTerms{terms: map[targetKey]*ast.Term{}}

type targetTerms struct {
	mu    sync.RWMutex
	terms map[targetKey]*ast.Term
}

// targetKey is a target without pointers: what they point at, plus one; 0 for nil.
type targetKey struct {
	target       llm.PolicyTarget
	days, trains int
}

// term returns the value of t, made or remembered.
func (m *targetTerms) term(t *llm.PolicyTarget) *ast.Term {
	k := targetKey{target: *t}
	k.target.Zone.RetentionDays, k.target.Zone.Trains = nil, nil
	if p := t.Zone.RetentionDays; p != nil {
		if k.days = *p + 1; k.days <= 0 { // no number of days at all
			return targetTerm(t)
		}
	}
	if p := t.Zone.Trains; p != nil {
		k.trains = 1
		if *p {
			k.trains = 2
		}
	}
	m.mu.RLock()
	term := m.terms[k]
	m.mu.RUnlock()
	if term == nil {
		term = targetTerm(t)
		m.mu.Lock()
		if len(m.terms) >= 4096 { // configurations come and go
			clear(m.terms)
		}
		m.terms[k] = term
		m.mu.Unlock()
	}
	return term
}
