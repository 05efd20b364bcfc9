package opa

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/sluice-ai/sluice/internal/llm"
)

// Query is what every bundle must answer.
const Query = "data.sluice.decision"

// Prepare is a rule that a bundle may have. It is evaluated once, when the bundle
// is loaded, and its value is data.prepared afterwards: what does not depend
// on the request need not be worked out for each.
const Prepare = "data.sluice.prepare.value"

// Config says where the rules are. A zero field takes the default it documents.
type Config struct {
	// Dir is the bundle's folder. One of Dir and FS is needed; Dir wins.
	Dir string `yaml:"dir"`
	// FS holds the bundle at its root: the default bundle is embedded in the program.
	FS fs.FS `yaml:"-"`
	// Data is laid over the bundle's data: maps are merged, lists of {name: …} by
	// name, anything else is replaced.
	Data map[string]any `yaml:"data"`
	// Timeout stops rules that do not end; it is no goal for latency, so it may be
	// long against a busy machine's pauses. Default 1s.
	Timeout time.Duration `yaml:"timeout"`
}

func (c Config) withDefaults() Config {
	c.Timeout = cmp.Or(c.Timeout, time.Second)
	if c.Dir != "" {
		c.FS = os.DirFS(c.Dir)
	}
	return c
}

// Validate reports every mistake in c.
func (c Config) Validate() error {
	var errs []error
	if c.Dir == "" && c.FS == nil {
		errs = append(errs, errors.New("policy: neither a folder nor an embedded bundle is given"))
	}
	if c.Timeout < 0 {
		errs = append(errs, fmt.Errorf("policy: timeout: must not be negative, is %v", c.Timeout))
	}
	return errors.Join(errs...)
}

// A Policy is the bundle in force. It is safe for concurrent use, also while it is reloaded.
type Policy struct {
	mu     sync.Mutex // held by Reload and Update, not by Decide
	config Config
	now    atomic.Pointer[prepared]
}

// prepared is a bundle ready to be asked.
type prepared struct {
	revision string
	query    rego.PreparedEvalQuery
	timeout  time.Duration
	reads    reads  // the part of the input that the rules can look at
	cache    *cache // nil when decisions must not be remembered
}

// Open loads, compiles and tries the bundle. The error is a [*LoadError] when
// the bundle is at fault; it names each file and line.
func Open(ctx context.Context, c Config) (*Policy, error) {
	p := &Policy{}
	if err := p.Update(ctx, c); err != nil {
		return nil, err
	}
	return p, nil
}

// Reload reads the bundle's files again. When they do not load, the bundle in force stays.
func (p *Policy) Reload(ctx context.Context) error {
	p.mu.Lock()
	c := p.config
	p.mu.Unlock()
	return p.Update(ctx, c)
}

// Update loads the bundle of another configuration and puts it in force whole. When it does not load, nothing changes.
func (p *Policy) Update(ctx context.Context, c Config) error {
	if err := c.Validate(); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	b, problems := load(c)
	if len(problems) > 0 {
		return &LoadError{problems}
	}
	next, err := b.prepare(ctx)
	if err != nil {
		return &LoadError{[]Problem{{File: b.name("."), Message: err.Error()}}}
	}
	if problems := b.try(ctx, next); len(problems) > 0 {
		return &LoadError{problems}
	}
	p.config = c
	p.now.Store(next)
	return nil
}

// Revision names the bundle in force, "sha256:…" over its rules and its data, the operator's included.
func (p *Policy) Revision() string { return p.now.Load().revision }

// Decide asks the rules about in. On an error, which is an [*llm.Error] of kind
// Denied or Canceled, the decision beside it denies and gives the reason.
func (p *Policy) Decide(ctx context.Context, in llm.PolicyInput) (llm.Decision, error) {
	return p.now.Load().decide(ctx, &in)
}

func (p *prepared) decide(ctx context.Context, in *llm.PolicyInput) (llm.Decision, error) {
	var room [1 << 10]byte
	var key []byte
	if p.cache != nil && ctx.Err() == nil {
		key = p.reads.appendKey(room[:0], in)
		if d, ok := p.cache.get(key); ok {
			return d, nil
		}
	}
	v, err := p.eval(ctx, in)
	var d llm.Decision
	if err == nil {
		d, err = decode(v, in.Targets)
	}
	d.Revision = p.revision
	if err == nil {
		if key != nil && len(key) <= maxKey {
			p.cache.put(key, &d)
		}
		return d, nil
	}
	const msg = "the policy could not decide about this request, so it is refused"
	e := &llm.Error{Kind: llm.Denied, Code: llm.CodePolicyDenied, Msg: msg, Err: err}
	if ctx.Err() != nil {
		e = &llm.Error{Kind: llm.Canceled, Code: llm.CodeTimeout, Msg: "the request ended before the policy decided", Err: err}
	}
	return llm.Decision{
		Revision:    p.revision,
		Deny:        []llm.Denial{{Rule: "policy.error", Message: e.Msg}},
		Obligations: llm.Obligations{Audit: "strict"},
	}, e
}

var errTimeout = errors.New("the policy took longer than its timeout")

// eval returns the value of the query.
func (p *prepared) eval(ctx context.Context, in *llm.PolicyInput) (ast.Value, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	cancel := topdown.NewCancel()
	var late atomic.Bool
	timer := time.AfterFunc(p.timeout, func() { late.Store(true); cancel.Cancel() })
	defer timer.Stop()
	stop := context.AfterFunc(ctx, cancel.Cancel)
	defer stop()

	rs, err := p.query.Eval(ctx,
		rego.EvalParsedInput(inputValue(in, p.reads)),
		rego.EvalExternalCancel(cancel),
		rego.EvalGenerateJSON(func(t *ast.Term, _ *rego.EvalContext) (any, error) { return t.Value, nil }))
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil && late.Load():
		return nil, errTimeout
	case err != nil:
		return nil, fmt.Errorf("evaluating %s: %w", Query, err)
	case len(rs) != 1 || len(rs[0].Expressions) != 1:
		return nil, fmt.Errorf("%s is undefined for this input", Query)
	}
	v, ok := rs[0].Expressions[0].Value.(ast.Value)
	if !ok {
		return nil, fmt.Errorf("%s has no value", Query)
	}
	return v, nil
}
