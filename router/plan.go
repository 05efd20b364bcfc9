package router

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/sluice-ai/sluice/internal/llm"
	"github.com/sluice-ai/sluice/internal/semconv"
)

// An Exchange is one request on its way, with all that is known of it. It is
// used by one goroutine.
type Exchange struct {
	Req        *llm.Request
	Findings   []llm.Finding
	Assessment llm.Assessment
	Decision   llm.Decision // of the first hop
	Order      []Choice     // permitted, best first
	Rejected   []Choice
	Attempts   []llm.Attempt
	Timings    Timings
	Latched    bool // an agent's run that stays with the cloud

	// What became of it; set by Run.
	Route    llm.Route
	Target   llm.Target // that answered, or is answering
	Usage    llm.Usage
	Redacted []string        // types taken out of what the last cloud target saw
	Revised  *llm.Assessment // of the last local answer; nil without one, or when none was reviewed
	Held     time.Duration   // how long a local stream was held back before it went out

	r        *Router
	want     Resolved
	known    bool // the client's model name means something here
	strict   bool // a decision that was used demands a durable record
	recorded bool
	err      error
	restored int
	first    time.Duration // until the first event; 0 before
	home     bool          // the target that was tried last is a local one
	settled  bool          // a doubtful local answer has to do: nobody else answered
	answer   *llm.Answer   // of the local tier, when it is whole
	step     *step         // of an agent's run; nil for other requests
}

// Timings says how long each step took.
type Timings struct {
	Inspect, Assess, Decide time.Duration
}

// Plan takes req through inspect, assess and decide. It calls no model but the
// judge's. The exchange is never nil; when the error is not nil the exchange
// is blocked, and says so to Record.
func (r *Router) Plan(ctx context.Context, req *llm.Request) (*Exchange, error) {
	x := &Exchange{Req: req, r: r, Route: llm.RouteBlocked}
	x.err = x.plan(ctx)
	if x.err == nil && len(x.Order) > 0 {
		x.Route = routeOf(x.Order[0])
		x.Target = x.Order[0].Target
	}
	return x, x.err
}

func (x *Exchange) plan(ctx context.Context) error {
	var err error
	if x.want, err = resolve(x.Req.Model, x.r.cfg.Aliases, x.r.targets); err != nil {
		return err
	}
	x.known = true
	if err := x.inspect(ctx); err != nil {
		return err
	}
	x.assess(ctx)
	start := time.Now()
	err = x.decide(ctx)
	x.Timings.Decide = time.Since(start)
	return err
}

func (x *Exchange) inspect(ctx context.Context) error {
	ctx, span := x.r.tracer.Start(ctx, "sluice.inspect")
	defer span.End()
	start := time.Now()
	fs, err := x.r.cfg.Inspector.Inspect(ctx, x.Req)
	x.Timings.Inspect = time.Since(start)
	if err != nil {
		span.SetStatus(codes.Error, "inspection failed")
		if k := llm.KindOf(err); k == llm.Invalid || k == llm.Canceled {
			return err // the body is at fault, or nobody waits any more
		}
		return &llm.Error{Kind: llm.Denied, Code: llm.CodePolicyDenied, Err: err,
			Msg: "the request could not be inspected for personal data, so it was refused"}
	}
	x.Findings = fs
	if span.IsRecording() {
		sum := llm.Summarize(fs)
		span.SetAttributes(attribute.Int("sluice.findings", len(fs)))
		for _, t := range sortedKeys(sum.Types) {
			span.SetAttributes(attribute.Int("sluice.findings."+strings.ToLower(t), sum.Types[t]))
		}
	}
	return nil
}

func (x *Exchange) assess(ctx context.Context) {
	ctx, span := x.r.tracer.Start(ctx, "sluice.assess")
	defer span.End()
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, x.r.cfg.AssessTimeout)
	defer cancel()
	x.Assessment = x.r.cfg.Judge.Assess(ctx, x.Req)
	x.Timings.Assess = time.Since(start)
	x.latch()
	span.SetAttributes(
		attribute.String("sluice.assess.task", x.Assessment.Task),
		attribute.String("sluice.assess.boundary", string(x.Assessment.Boundary)),
		attribute.Float64("sluice.assess.p_local", x.Assessment.PLocal),
		attribute.String("sluice.assess.by", x.Assessment.By),
		attribute.Bool("sluice.assess.latched", x.Latched),
	)
	x.r.meters.assessed(ctx, x.Assessment, x.Timings.Assess)
	if x.Latched {
		x.r.meters.latched.Add(ctx, 1)
	}
}

// decide asks policy about the first hop and orders the candidates.
func (x *Exchange) decide(ctx context.Context) error {
	d, err := x.ask(ctx, llm.First)
	if err != nil {
		return err
	}
	x.Decision, x.strict = d, d.Obligations.Strict()
	x.Order, x.Rejected = Choose(Snapshot{
		Want: x.want.Want, Assessment: x.Assessment, Decision: d,
		Candidates: x.candidates(), Needs: needs(x.Req), NoDegrade: x.r.cfg.NoDegrade,
	})
	if !d.Allow {
		return denied(d)
	}
	if err := x.bind(d); err != nil {
		return err
	}
	if len(x.Order) == 0 {
		return x.nobody()
	}
	return nil
}

// bind takes on what d demands of the gateway, or refuses what it cannot do.
// What one hop's decision demanded is not undone by a later one.
func (x *Exchange) bind(d llm.Decision) error {
	x.strict = x.strict || d.Obligations.Strict()
	return unmet(d.Obligations, x.Req)
}

// ask puts one hop to policy. Any failure is a denial.
func (x *Exchange) ask(ctx context.Context, hop llm.Hop) (llm.Decision, error) {
	ctx, span := x.r.tracer.Start(ctx, "sluice.decide", trace.WithAttributes(attribute.String("sluice.hop", string(hop))))
	defer span.End()
	start := time.Now()
	d, err := x.r.cfg.Policy.Decide(ctx, x.r.policyInput(x.Req, x.Findings, x.Assessment, hop, x.r.targets))
	x.r.meters.decided(ctx, hop, d, err, time.Since(start))
	if err != nil {
		span.SetAttributes(attribute.String(semconv.ErrorType, "policy_failed"))
		span.SetStatus(codes.Error, "policy failed")
		return llm.Decision{}, policyFailed(err)
	}
	if span.IsRecording() {
		span.SetAttributes(
			attribute.Bool("sluice.policy.allow", d.Allow),
			attribute.StringSlice("sluice.policy.targets", d.Targets),
			attribute.StringSlice("sluice.policy.redact", d.Redact),
		)
		span.AddEvent(semconv.GuardrailEvent, trace.WithAttributes(
			attribute.String(semconv.GuardrailName, "sluice.policy"),
			attribute.String(semconv.GuardrailVersion, d.Revision),
			attribute.String(semconv.GuardrailResult, "allow"),
			attribute.String(semconv.GuardrailValue, strconv.FormatBool(d.Allow)),
		))
	}
	return d, nil
}

func (r *Router) policyInput(req *llm.Request, fs []llm.Finding, a llm.Assessment, hop llm.Hop, targets []llm.Target) llm.PolicyInput {
	in := llm.PolicyInput{
		Request: llm.PolicyRequest{
			Tenant: req.Principal.Tenant, User: req.Principal.User, Key: req.Principal.Key, Roles: req.Principal.Roles,
			Session: req.Session, Dialect: req.Dialect, Model: req.Model, Tools: req.ToolNames(),
			Modalities: req.Modalities, Stream: req.Stream, Origin: req.Origin,
		},
		Findings:   llm.Summarize(fs),
		Assessment: llm.PolicyAssessment{Task: a.Task, PLocal: a.PLocal, Boundary: a.Boundary},
		Hop:        hop,
		Budget:     r.cfg.Budgets.Of(req.Principal.Tenant),
		Time:       time.Now().UTC(),
	}
	for _, t := range targets {
		in.Targets = append(in.Targets, llm.PolicyTarget{
			ID: t.ID, Local: t.Local(), Zone: t.Zone, Price: t.Price, Healthy: r.backend(t).Healthy(t.ID),
		})
	}
	return in
}

// candidates returns every target, those that the client named first and in its order.
func (x *Exchange) candidates() []Candidate {
	var out []Candidate
	for _, t := range x.r.targets {
		named := slices.Contains(x.want.Named, t.ID) || x.want.Want == WantLocal && len(x.want.Named) == 0 && t.Local()
		out = append(out, Candidate{Target: t, Named: named, Healthy: x.r.backend(t).Healthy(t.ID), Latency: x.r.took.get(t.ID)})
	}
	slices.SortStableFunc(out, func(a, b Candidate) int {
		return place(x.want.Named, a.Target.ID) - place(x.want.Named, b.Target.ID)
	})
	return out
}

func place(ids []string, id string) int {
	if i := slices.Index(ids, id); i >= 0 {
		return i
	}
	return len(ids)
}

// needs reads what a request asks of a target. Tokens are guessed at six
// bytes each: a low guess, for a target must not be refused what it could take.
func needs(req *llm.Request) Needs {
	n := Needs{Tools: len(req.Tools) > 0 && string(req.ToolChoice) != `"none"`, Modalities: req.Modalities}
	bytes := 0
	for _, m := range req.Messages {
		bytes += len(m.Text)
	}
	n.Tokens = bytes / 6
	var format struct{ Type string }
	_ = json.Unmarshal(req.Format, &format) // what is no object is for the target to refuse
	n.Format = req.Format != nil && format.Type != "text"
	n.Form = req.Guided
	return n
}

// denied turns policy's refusal into the client's error.
func denied(d llm.Decision) error {
	e := &llm.Error{Kind: llm.Denied, Code: llm.CodePolicyDenied, Msg: "policy refused the request"}
	if len(d.Deny) > 0 {
		e.Code = codeOf(d.Deny[0].Rule)
		e.Msg = "policy refused the request: " + d.Deny[0].Message
	}
	if e.Code == llm.CodeBudgetExceeded {
		e.Kind = llm.Busy
	}
	return e
}

// unmet refuses what policy demands and this gateway cannot do: a duty that is
// silently dropped would be worse than a refusal.
func unmet(o llm.Obligations, req *llm.Request) error {
	what := ""
	if o.StoreContent {
		what = "that content is stored (store_content)"
	}
	for _, name := range req.ToolNames() {
		if slices.Contains(o.ApproveTools, name) {
			what = "that a person approves calls of one of the request's tools (approve_tools)"
		}
	}
	if what == "" {
		return nil
	}
	return &llm.Error{Kind: llm.Denied, Code: llm.CodePolicyDenied,
		Msg: "policy demands " + what + ", which this version of the gateway cannot do, so the request was refused"}
}

// codeOf maps the id of a rule to the code that clients see; docs/policy.md lists them.
func codeOf(rule string) llm.Code {
	switch family, _, _ := strings.Cut(rule, "."); family {
	case "residency", "jurisdiction", "retention", "training":
		return llm.CodeResidency
	case "pii", "secret":
		return llm.CodePIIBlocked
	case "budget":
		return llm.CodeBudgetExceeded
	}
	return llm.CodePolicyDenied
}

// nobody explains an exchange for which no candidate is left.
func (x *Exchange) nobody() error {
	var residency, policy, budget, ability, context int
	for _, c := range x.Rejected {
		for _, why := range c.Why {
			switch rule, _, _ := strings.Cut(why, ":"); {
			case rule == "ability":
				ability++
			case rule == "context":
				context++
			case rule == "name":
			case codeOf(rule) == llm.CodeResidency:
				residency++
			case codeOf(rule) == llm.CodeBudgetExceeded:
				budget++
			default:
				policy++
			}
		}
	}
	cloud := slices.ContainsFunc(x.r.targets, func(t llm.Target) bool { return !t.Local() })
	switch {
	case residency > 0:
		return &llm.Error{Kind: llm.Denied, Code: llm.CodeResidency,
			Msg: "no target satisfies the residency rules for this request, and no local model can answer it: POST /v1/route shows each target and its reason"}
	case budget > 0:
		return &llm.Error{Kind: llm.Busy, Code: llm.CodeBudgetExceeded,
			Msg: "the budget is spent and no local model can answer this request"}
	case policy > 0:
		return &llm.Error{Kind: llm.Denied, Code: llm.CodePolicyDenied,
			Msg: "policy permits no target for this request: POST /v1/route shows each target and its reason"}
	case x.want.Want != WantLocal && !cloud:
		return &llm.Error{Kind: llm.Unavailable, Code: llm.CodeLocalInsufficient,
			Msg: "no local model can answer this request and no cloud provider is configured: set OPENAI_API_KEY, or serve a chat model with --model FILE"}
	case context > 0:
		return &llm.Error{Kind: llm.Invalid, Code: llm.CodeContextLength, Param: "messages",
			Msg: "the request is longer than the context of every target that could serve it: shorten the messages"}
	case ability > 0 && x.want.Want == WantLocal:
		return &llm.Error{Kind: llm.Unavailable, Code: llm.CodeLocalInsufficient,
			Msg: fmt.Sprintf("the local model cannot answer this request (%s): serve a model that can with --model FILE", x.firstAbility())}
	}
	return &llm.Error{Kind: llm.Unavailable, Code: llm.CodeUpstream,
		Msg: "no target can serve this request: POST /v1/route shows each target and its reason"}
}

// firstAbility returns the first ability that a local candidate lacked.
func (x *Exchange) firstAbility() string {
	for _, c := range x.Rejected {
		for _, why := range c.Why {
			if reason, ok := strings.CutPrefix(why, "ability: "); ok && c.Target.Local() {
				return reason
			}
		}
	}
	return "it lacks an ability"
}

func permits(d llm.Decision, t llm.Target) bool {
	return slices.Contains(d.Targets, t.ID) && (t.Local() || !d.LocalOnly)
}

func routeOf(c Choice) llm.Route {
	switch {
	case c.Degraded:
		return llm.RouteDegraded
	case c.Target.Local():
		return llm.RouteLocal
	}
	return llm.RouteCloud
}

func sortedKeys(m map[string]int) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
