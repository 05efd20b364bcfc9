package router

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"

	"github.com/sluice-ai/sluice/internal/llm"
)

// Config configures a [Router]. Fields without a default must be set.
type Config struct {
	Local     Backend // the embedded runtime; never nil, though it may have no chat model
	Cloud     Backend // nil when no provider is configured
	Inspector Inspector
	Judge     Judge
	Policy    Policy
	Recorder  Recorder
	// Formats checks answers against the schema of their request; nil checks none.
	Formats Formats
	Format  FormatConfig
	// Parse reads a body in a dialect; it is how a redacted request is read again.
	Parse func(llm.Dialect, []byte) (*llm.Request, error)

	Aliases   []Alias
	Budgets   *Budgets // nil: nobody has a budget
	NoDegrade bool     // never answer locally what was meant for the cloud
	Commit    Commit   // how long local streams are held back and reviewed
	Latch     Latch    // when the runs of agents stay with the cloud
	Decided   *Decided // what feedback can reach; nil: none
	Monitor   Monitor  // nil: nobody watches the judge
	Shadow    Shadow
	Shadows   *Shadows // who sends copies; nil: nobody
	// AssessTimeout bounds the judge. Default 500ms.
	AssessTimeout time.Duration
	// MACKey keys the digests in the ledger. Without it they would be guessable.
	MACKey []byte
	// Generation numbers the configuration in force.
	Generation int64
	// Log takes what an operator must know. Default: slog's default logger.
	Log *slog.Logger
}

// A Router makes decisions and carries them out. It is safe for concurrent use.
type Router struct {
	cfg     Config
	targets []llm.Target // local first, then cloud
	tracer  trace.Tracer
	meters  *meters
	took    latencies
	latches *latches
	alarm   atomic.Bool // the judge has drifted, and the log says so
	retired atomic.Bool // another has taken its place
}

// New returns a Router, or every mistake in cfg.
func New(cfg Config) (*Router, error) {
	if cfg.Local == nil || cfg.Inspector == nil || cfg.Judge == nil || cfg.Policy == nil || cfg.Recorder == nil || cfg.Parse == nil {
		return nil, errors.New("router: Local, Inspector, Judge, Policy, Recorder and Parse must be set")
	}
	if len(cfg.MACKey) < 16 {
		return nil, errors.New("router: MACKey must have at least 16 bytes")
	}
	if cfg.AssessTimeout <= 0 {
		cfg.AssessTimeout = 500 * time.Millisecond
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	r := &Router{cfg: cfg, tracer: otel.Tracer("github.com/sluice-ai/sluice/router"), latches: newLatches(cfg.Latch)}
	r.targets = append(r.targets, cfg.Local.Targets()...)
	if cfg.Cloud != nil {
		r.targets = append(r.targets, cfg.Cloud.Targets()...)
	}
	seen := map[string]bool{}
	var errs []error
	if err := cfg.Format.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("formats: %w", err))
	}
	for _, t := range r.targets {
		if seen[t.ID] {
			errs = append(errs, fmt.Errorf("two targets have the id %q", t.ID))
		}
		seen[t.ID] = true
	}
	errs = append(errs, ValidateAliases(cfg.Aliases, r.targets)...)
	var err error
	if r.meters, err = newMeters(); err != nil {
		errs = append(errs, err)
	}
	return r, errors.Join(errs...)
}

// Inherit lets r take the place of old: it takes over what old remembers of the
// runs of agents, and old sends no more copies, for its policy is no longer in force.
// Exchanges that old has begun go on. It must be called before r is used.
func (r *Router) Inherit(old *Router) {
	r.latches.inherit(old.latches)
	old.retired.Store(true)
}

// Refused counts a request that was refused before it could be planned: no key,
// a bad body, too large. Such a request leaves no record, so that a flood of
// them cannot fill the disk. An empty tenant is one that nobody knows.
func (r *Router) Refused(ctx context.Context, tenant string, status int) {
	r.meters.refused(ctx, tenant, status)
}

// Targets returns every target, local first.
func (r *Router) Targets() []llm.Target { return r.targets }

// Aliases returns the configured names.
func (r *Router) Aliases() []Alias { return r.cfg.Aliases }

// Healthy reports whether the target with the id would be tried now.
func (r *Router) Healthy(id string) bool {
	for _, b := range []Backend{r.cfg.Local, r.cfg.Cloud} {
		if b == nil {
			continue
		}
		for _, t := range b.Targets() {
			if t.ID == id {
				return b.Healthy(id)
			}
		}
	}
	return false
}

// backend returns the tier that serves t.
func (r *Router) backend(t llm.Target) Backend {
	if t.Local() {
		return r.cfg.Local
	}
	return r.cfg.Cloud
}

// Permitted returns the targets that policy permits p to use for a request
// without findings: what GET /v1/models lists.
func (r *Router) Permitted(ctx context.Context, p llm.Principal) ([]llm.Target, error) {
	req := &llm.Request{Principal: p, Model: "auto", Dialect: llm.OpenAIChat}
	in := r.policyInput(req, nil, llm.Assessment{Boundary: llm.NoVerdict}, llm.First, r.targets)
	d, err := r.cfg.Policy.Decide(ctx, in)
	if err != nil {
		return nil, policyFailed(err)
	}
	var out []llm.Target
	for _, t := range r.targets {
		if d.Allow && permits(d, t) {
			out = append(out, t)
		}
	}
	return out, nil
}

func policyFailed(err error) error {
	return &llm.Error{Kind: llm.Denied, Code: llm.CodePolicyDenied, Err: err,
		Msg: "the policy could not decide, so the request was refused: ask the operator to run sluice policy check"}
}

// mac returns a keyed digest of s, or "" for "": a plain hash of a short
// personal value could be guessed.
func (r *Router) mac(s []byte) string {
	if len(s) == 0 {
		return ""
	}
	h := hmac.New(sha256.New, r.cfg.MACKey)
	h.Write(s)
	return hex.EncodeToString(h.Sum(nil)[:16])
}
