package opa

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/dependencies"
	"github.com/open-policy-agent/opa/v1/util"

	"github.com/sluice-ai/sluice/internal/llm"
)

// reads is the set of the input's fields that a policy can look at. What it cannot
// look at is neither built nor part of a cached decision's key.
type reads uint32

const (
	readTenant reads = 1 << iota
	readUser
	readKey
	readRoles
	readSession
	readDialect
	readModel
	readTools
	readModalities
	readStream
	readOrigin
	readTypes
	readMaxScore
	readSecrets
	readTask
	readPLocal
	readBoundary
	readTargets
	readHop
	readRemaining
	readSpent
	readTime

	readAll        = readTime<<1 - 1
	readRequest    = readTypes - 1
	readFindings   = readTypes | readMaxScore | readSecrets
	readAssessment = readTask | readPLocal | readBoundary
	readBudget     = readRemaining | readSpent
)

// inputFields says where each field stands in the input.
var inputFields = []struct {
	path string
	bit  reads
}{
	{"request.tenant", readTenant}, {"request.user", readUser}, {"request.key", readKey}, {"request.roles", readRoles},
	{"request.session", readSession}, {"request.dialect", readDialect}, {"request.model", readModel}, {"request.tools", readTools},
	{"request.modalities", readModalities}, {"request.stream", readStream}, {"request.origin", readOrigin},
	{"findings.types", readTypes}, {"findings.max_score", readMaxScore}, {"findings.secrets", readSecrets},
	{"assessment.task", readTask}, {"assessment.p_local", readPLocal}, {"assessment.boundary", readBoundary},
	{"targets", readTargets}, {"hop", readHop},
	{"budget.remaining_usd", readRemaining}, {"budget.spent_usd", readSpent}, {"time", readTime},
}

// has reports whether any of the fields is read.
func (r reads) has(fields reads) bool { return r&fields != 0 }

// readsOf returns what the rules that c compiled can read of the input to answer query, and whether the
// same input always has the same answer. What it missed would give one request another's decision, so two analyses
// that share no code are joined: ours and OPA's, which follows values through variables.
func readsOf(c *ast.Compiler, query string) (r reads, pure bool) {
	refs, err := dependencies.Base(c, ast.MustParseBody(query))
	if err != nil {
		return readAll, false
	}
	r, pure = mentionedBy(c, query)
	for _, ref := range refs {
		if ref[0].Equal(ast.InputRootDocument) {
			r |= readsAt(ref)
		}
	}
	return r, pure
}

// mentionedBy is the analysis of our own. It errs on the side of more: every mention of the input in a rule that
// the query can reach counts, cut off where it is not constant, wherever its value goes.
func mentionedBy(c *ast.Compiler, query string) (r reads, pure bool) {
	pure = true
	var v *ast.GenericVisitor
	v = ast.NewGenericVisitor(func(x any) bool {
		switch x := x.(type) {
		case ast.Ref:
			if b := ast.BuiltinMap[x.String()]; b != nil && (b.Nondeterministic || isImpure(b.Name)) {
				pure = false
			}
			if x[0].Equal(ast.InputRootDocument) {
				r |= readsAt(x)
			} else {
				v.Walk(x[0])
			}
			for _, t := range x[1:] { // x[input.y]
				v.Walk(t)
			}
			return true
		case ast.Var:
			if x.Equal(ast.InputRootDocument.Value) {
				r |= readAll
			}
		}
		return false
	})
	for _, rule := range reachable(c, ast.MustParseRef(query)) {
		v.Walk(rule)
	}
	return r, pure
}

// readsAt returns the fields that the reference to the input, as far as it is constant, can reach.
func readsAt(ref ast.Ref) (r reads) {
	var at []string
	for _, t := range ref[1:] {
		s, ok := t.Value.(ast.String)
		if !ok {
			break
		}
		at = append(at, string(s))
	}
	for _, f := range inputFields {
		path := strings.Split(f.path, ".")
		n := min(len(at), len(path))
		if slices.Equal(at[:n], path[:n]) {
			r |= f.bit
		}
	}
	return r
}

// reachable returns the rules that the query may evaluate.
func reachable(c *ast.Compiler, query ast.Ref) []*ast.Rule {
	seen := map[*ast.Rule]bool{}
	var out []*ast.Rule
	var visit func(util.T)
	visit = func(x util.T) {
		rule, ok := x.(*ast.Rule)
		if !ok || seen[rule] {
			return
		}
		seen[rule] = true
		out = append(out, rule)
		for below := range c.Graph.Dependencies(rule) {
			visit(below)
		}
		if rule.Else != nil { // the graph has it as a rule of its own
			visit(rule.Else)
		}
	}
	for _, rule := range c.GetRulesDynamicWithOpts(query, ast.RulesOptions{IncludeHiddenModules: true}) {
		visit(rule)
	}
	return out
}

// maxKey bounds the key of a decision that is worth remembering.
const maxKey = 4 << 10

// appendKey appends what r reads of in, and the targets' names in any case, because an answer is held against them.
// Two inputs have the same key when, and only when, they do not differ in it.
func (r reads) appendKey(b []byte, in *llm.PolicyInput) []byte {
	q := &in.Request
	for _, f := range [...]struct {
		bit reads
		s   string
	}{
		{readTenant, q.Tenant}, {readUser, q.User}, {readKey, q.Key}, {readSession, q.Session}, {readDialect, string(q.Dialect)},
		{readModel, q.Model}, {readOrigin, q.Origin}, {readTask, in.Assessment.Task}, {readBoundary, string(in.Assessment.Boundary)},
		{readHop, string(in.Hop)},
	} {
		if r.has(f.bit) {
			b = appendString(b, f.s)
		}
	}
	for _, f := range [...]struct {
		bit reads
		ss  []string
	}{{readRoles, q.Roles}, {readTools, q.Tools}, {readModalities, q.Modalities}} {
		if r.has(f.bit) {
			b = binary.AppendUvarint(b, uint64(len(f.ss)))
			for _, s := range f.ss {
				b = appendString(b, s)
			}
		}
	}
	if r.has(readStream) {
		b = appendBool(b, q.Stream)
	}
	if r.has(readTypes) {
		b = appendCounts(b, in.Findings.Types)
	}
	if r.has(readMaxScore) {
		b = appendFloat(b, in.Findings.MaxScore)
	}
	if r.has(readSecrets) {
		b = binary.AppendVarint(b, int64(in.Findings.Secrets))
	}
	if r.has(readPLocal) {
		b = appendFloat(b, in.Assessment.PLocal)
	}
	if r.has(readRemaining) {
		b = appendBool(b, in.Budget.RemainingUSD != nil)
		if left := in.Budget.RemainingUSD; left != nil {
			b = appendFloat(b, *left)
		}
	}
	if r.has(readSpent) {
		b = appendFloat(b, in.Budget.SpentUSD)
	}
	if r.has(readTime) {
		b = appendString(b, in.Time.UTC().Format(time.RFC3339))
	}
	b = binary.AppendUvarint(b, uint64(len(in.Targets)))
	for i := range in.Targets {
		t := &in.Targets[i]
		b = appendBool(appendString(b, t.ID), t.Local)
		if r.has(readTargets) {
			b = appendTarget(b, t)
		}
	}
	return b
}

// appendTarget appends what appendKey has not: all but the name.
func appendTarget(b []byte, t *llm.PolicyTarget) []byte {
	b = appendBool(b, t.Healthy)
	b = appendString(b, t.Zone.Region)
	b = appendString(b, t.Zone.Jurisdiction)
	b = appendString(b, t.Zone.Operator)
	b = appendBool(b, t.Zone.RetentionDays != nil)
	if days := t.Zone.RetentionDays; days != nil {
		b = binary.AppendVarint(b, int64(*days))
	}
	b = appendBool(b, t.Zone.Trains != nil)
	if trains := t.Zone.Trains; trains != nil {
		b = appendBool(b, *trains)
	}
	b = appendString(b, t.Price.ID)
	for _, n := range [...]int64{t.Price.Input, t.Price.Cached, t.Price.Output, t.Price.Reason} {
		b = binary.AppendVarint(b, n)
	}
	return appendBool(b, t.Price.Known)
}

// appendCounts appends m in the order of its keys.
func appendCounts(b []byte, m map[string]int) []byte {
	b = binary.AppendUvarint(b, uint64(len(m)))
	var room [16]string // more types than there are need no allocation
	keys := room[:0]
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		b = binary.AppendVarint(appendString(b, k), int64(m[k]))
	}
	return b
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendFloat(b []byte, f float64) []byte {
	return binary.LittleEndian.AppendUint64(b, math.Float64bits(f))
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}
