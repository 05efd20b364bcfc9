package opa

import (
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
	for i, t := range in.Targets {
		targets[i] = object(
			pair(kID, str(t.ID)),
			pair(kLocal, ast.BooleanTerm(t.Local)),
			pair(kZone, object(
				pair(kRegion, str(t.Zone.Region)),
				pair(kJurisdiction, str(t.Zone.Jurisdiction)),
				pair(kOperator, str(t.Zone.Operator)),
				pair(kRetentionDays, optional(t.Zone.RetentionDays, ast.IntNumberTerm)),
				pair(kTrains, optional(t.Zone.Trains, ast.BooleanTerm)))),
			pair(kPrice, object(
				pair(kID, str(t.Price.ID)),
				pair(kInput, integer(t.Price.Input)),
				pair(kCached, integer(t.Price.Cached)),
				pair(kOutput, integer(t.Price.Output)),
				pair(kReasoning, integer(t.Price.Reason)),
				pair(kKnown, ast.BooleanTerm(t.Price.Known)))),
			pair(kHealthy, ast.BooleanTerm(t.Healthy)))
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
			pair(kStream, ast.BooleanTerm(r.Stream)),
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
