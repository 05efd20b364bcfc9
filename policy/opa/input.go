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

func texts(ss []string) *ast.Term {
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

// inputValue returns of in what is read, as OPA's value. It writes the fields out, because reflection would take
// longer than the rules. configs/policies/schema/input.json describes it; a test holds the two together.
func inputValue(in *llm.PolicyInput, r reads) ast.Value {
	q, a := &in.Request, &in.Assessment
	all, some := make([][2]*ast.Term, 0, 8), make([][2]*ast.Term, 0, 12)
	if r.has(readRequest) {
		some = some[:0]
		for _, f := range [...]struct {
			bit reads
			k   *ast.Term
			s   string
		}{
			{readTenant, kTenant, q.Tenant}, {readUser, kUser, q.User}, {readKey, kKey, q.Key}, {readSession, kSession, q.Session},
			{readDialect, kDialect, string(q.Dialect)}, {readModel, kModel, q.Model}, {readOrigin, kOrigin, q.Origin},
		} {
			if r.has(f.bit) {
				some = append(some, pair(f.k, str(f.s)))
			}
		}
		if r.has(readRoles) {
			some = append(some, pair(kRoles, texts(q.Roles)))
		}
		if r.has(readTools) {
			some = append(some, pair(kTools, texts(q.Tools)))
		}
		if r.has(readModalities) {
			some = append(some, pair(kModalities, texts(q.Modalities)))
		}
		if r.has(readStream) {
			some = append(some, pair(kStream, boolTerm(q.Stream)))
		}
		all = append(all, pair(kRequest, object(some...)))
	}
	if r.has(readFindings) {
		some = some[:0]
		if r.has(readTypes) {
			types := ast.NewObject()
			for t, n := range in.Findings.Types {
				types.Insert(str(t), integer(int64(n)))
			}
			some = append(some, pair(kTypes, ast.NewTerm(types)))
		}
		if r.has(readMaxScore) {
			some = append(some, pair(kMaxScore, ast.FloatNumberTerm(in.Findings.MaxScore)))
		}
		if r.has(readSecrets) {
			some = append(some, pair(kSecrets, integer(int64(in.Findings.Secrets))))
		}
		all = append(all, pair(kFindings, object(some...)))
	}
	if r.has(readAssessment) {
		some = some[:0]
		if r.has(readTask) {
			some = append(some, pair(kTask, str(a.Task)))
		}
		if r.has(readPLocal) {
			some = append(some, pair(kPLocal, ast.FloatNumberTerm(a.PLocal)))
		}
		if r.has(readBoundary) {
			some = append(some, pair(kBoundary, str(a.Boundary)))
		}
		all = append(all, pair(kAssessment, object(some...)))
	}
	if r.has(readTargets) {
		targets := make([]*ast.Term, len(in.Targets))
		for i := range in.Targets {
			targets[i] = known.term(&in.Targets[i])
		}
		all = append(all, pair(kTargets, ast.NewTerm(ast.NewArray(targets...))))
	}
	if r.has(readHop) {
		all = append(all, pair(kHop, str(in.Hop)))
	}
	if r.has(readBudget) {
		some = some[:0]
		if r.has(readRemaining) {
			some = append(some, pair(kRemaining, optional(in.Budget.RemainingUSD, ast.FloatNumberTerm)))
		}
		if r.has(readSpent) {
			some = append(some, pair(kSpent, ast.FloatNumberTerm(in.Budget.SpentUSD)))
		}
		all = append(all, pair(kBudget, object(some...)))
	}
	if r.has(readTime) {
		all = append(all, pair(kTime, str(in.Time.UTC().Format(time.RFC3339))))
	}
	return ast.NewObject(all...)
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
