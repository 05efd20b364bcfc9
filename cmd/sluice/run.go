package main

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/sluice-ai/sluice/cloud"
	cloudopenai "github.com/sluice-ai/sluice/cloud/openai"
	"github.com/sluice-ai/sluice/cloud/price"
	"github.com/sluice-ai/sluice/configs"
	"github.com/sluice-ai/sluice/internal/llm"
	"github.com/sluice-ai/sluice/internal/openai"
	"github.com/sluice-ai/sluice/internal/secret"
	"github.com/sluice-ai/sluice/local"
	"github.com/sluice-ai/sluice/local/calibrate"
	"github.com/sluice-ai/sluice/local/entities"
	"github.com/sluice-ai/sluice/local/formats"
	"github.com/sluice-ai/sluice/local/judge"
	"github.com/sluice-ai/sluice/policy/opa"
	"github.com/sluice-ai/sluice/policy/pii"
	"github.com/sluice-ai/sluice/router"
	"github.com/sluice-ai/sluice/router/api"
	"github.com/sluice-ai/sluice/runtime/engine"
	"github.com/sluice-ai/sluice/runtime/nano"
	"github.com/sluice-ai/sluice/telemetry"
	"github.com/sluice-ai/sluice/telemetry/ledger"
)

// What each package offers is what the router asks for.
var (
	_ router.Backend   = (*local.Tier)(nil)
	_ router.Monitor   = (*calibrate.Monitor)(nil)
	_ router.Backend   = (*cloud.Tier)(nil)
	_ router.Judge     = (*judge.Judge)(nil)
	_ router.Policy    = (*opa.Policy)(nil)
	_ router.Inspector = (*pii.Inspector)(nil)
	_ router.Formats   = (*formats.Checker)(nil)
	_ router.Recorder  = (*ledger.Ledger)(nil)
)

// base is what outlives a reload: the loaded models and the key of the ledger's digests.
type base struct {
	local   *local.Tier
	judge   *judge.Judge
	budgets *router.Budgets
	decided *router.Decided
	shadows *router.Shadows
	monitor *calibrate.Monitor
	mac     []byte
}

// openBase loads the models and the judge. Models use cores cores where the
// configuration does not say how many.
func openBase(ctx context.Context, cfg *Config, cores int, log *slog.Logger) (*base, error) {
	b := &base{decided: router.NewDecided()}
	var files []local.ModelFile
	for _, m := range cfg.Local.Models {
		f := local.ModelFile{Name: m.Name, File: m.File, Context: m.Context, KV: m.KV, Memory: m.Memory, Cache: m.Cache, Grammars: m.Grammars, Unpacked: m.Unpacked}
		for _, a := range m.Adapters {
			f.Adapters = append(f.Adapters, engine.Adapter{Path: a.File, Scale: a.Scale})
		}
		if data, ok := nano.File(m.File); ok {
			f.File, f.Data = "", data
		}
		files = append(files, f)
	}
	var err error
	if b.local, err = local.Open(local.Config{Models: files, Threads: cmp.Or(cfg.Local.Threads, cores), Queue: cfg.Local.Queue, HideSchema: cfg.Local.Hide, Log: log}); err != nil {
		return nil, err
	}
	id := "local/" + cfg.Judge.Model
	model := b.local.Model(id)
	if cfg.Judge.Disable {
		model = nil
	}
	judgedBy, calibration, err := openCalibration(cfg)
	if err != nil {
		return nil, errors.Join(err, b.local.Close())
	}
	b.monitor = calibrate.NewMonitor(calibration)
	b.judge, err = judge.New(ctx, model, judge.Config{
		Model: id, Supported: cfg.Judge.Supported, Unsupported: cfg.Judge.Unsupported, Origin: originOf(cfg), Calibration: calibration, Version: judgedBy,
		Escalate: orNever(cfg.Judge.Escalate), Local: b.local.Targets(), Answering: b.local.Model, SelfCheck: cfg.Judge.SelfCheck,
	})
	if err != nil {
		return nil, errors.Join(err, b.local.Close())
	}
	if b.budgets, err = router.NewBudgets(cfg.Budgets); err != nil {
		return nil, errors.Join(err, b.close())
	}
	if s := cfg.Routing.Shadow; s.Workers > 0 {
		b.shadows = router.NewShadows(s.Workers, s.Queue)
	}
	return b, nil
}

// originOf says where the judge's thresholds are from when no calibration has them.
func originOf(cfg *Config) string {
	if cfg.Judge.Supported == judge.DefaultSupported && cfg.Judge.Unsupported == judge.DefaultUnsupported {
		return "default"
	}
	return "config"
}

// orNever turns the configuration's "0: never" into what no probability is below.
func orNever(p float64) float64 {
	if p == 0 {
		return -1
	}
	return p
}

func (b *base) close() error {
	b.shadows.Close()
	return errors.Join(b.judge.Close(), b.local.Close())
}

// built is one generation of the configuration: what a reload swaps.
type built struct {
	generation int64
	policy     *opa.Policy
	cloud      *cloud.Tier
	router     *router.Router
	api        *api.Server
}

// build makes a generation of cfg. It reports every mistake that only building shows.
func build(ctx context.Context, cfg *Config, b *base, rec router.Recorder, log *slog.Logger, old *built) (*built, error) {
	out := &built{generation: 1}
	if old != nil {
		out.generation = old.generation + 1
	}
	var errs []error
	fail := func(err error) { errs = append(errs, err) }
	var err error
	if out.policy, err = openPolicy(ctx, cfg); err != nil {
		fail(err)
	}
	mac := b.mac
	if mac == nil {
		mac = make([]byte, 32)
		_, _ = rand.Read(mac) // never fails
	}
	in, err := newInspector(cfg, derive(mac, "placeholders"))
	if err != nil {
		fail(err)
	}
	entries, err := entries(cfg)
	if err != nil {
		fail(err)
	}
	if out.cloud, err = cloud.New(entries, log); err != nil {
		fail(err)
	}
	keys, err := keysOf(cfg)
	if err != nil {
		fail(err)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	if old != nil {
		out.cloud.Inherit(old.cloud)
	}
	out.router, err = router.New(router.Config{
		Formats: formats.New(restater(cfg, b.local)), Format: cfg.formatConfig(),
		Local: b.local, Cloud: out.cloud, Inspector: in, Judge: b.judge, Policy: out.policy, Recorder: rec,
		Parse:   func(_ llm.Dialect, body []byte) (*llm.Request, error) { return openai.ParseRequest(body) },
		Aliases: cfg.Aliases, Budgets: b.budgets, NoDegrade: cfg.Routing.NoDegrade,
		Commit:  router.Commit(cfg.Routing.Commit),
		Decided: b.decided, Monitor: b.monitor, Shadows: b.shadows,
		Shadow:        router.Shadow{Share: cfg.Routing.Shadow.Share, Good: cfg.Routing.Shadow.Good, Timeout: cfg.Routing.Shadow.Timeout},
		Latch:         router.Latch{After: cfg.Routing.Agents.LatchAfter, Sticky: cfg.Routing.Agents.Sticky, Idle: cfg.Routing.Agents.Idle},
		AssessTimeout: cfg.Judge.Timeout, MACKey: derive(mac, "ledger"), Generation: out.generation, Log: log,
	})
	if err != nil {
		return nil, err
	}
	out.api, err = api.New(api.Config{
		Router: out.router, Inspector: in, Keys: keys, MaxBody: cfg.Limits.MaxBody, Version: version, Log: log,
	})
	if err == nil && old != nil { // nothing can go wrong any more
		out.router.Inherit(old.router)
	}
	return out, err
}

// restater names the local model that writes broken answers again, if there is one.
func restater(cfg *Config, tier *local.Tier) formats.Config {
	for _, t := range tier.Targets() {
		if t.Has("chat") && (cfg.Formats.Model == "" || t.Model == cfg.Formats.Model) {
			return formats.Config{Model: tier.Model(t.ID), Target: t.ID}
		}
	}
	return formats.Config{}
}

// openPolicy loads the bundle: the operator's folder, or the built-in one.
func openPolicy(ctx context.Context, cfg *Config) (*opa.Policy, error) {
	fsys, err := policyFS(cfg.Policy.Dir)
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	return opa.Open(ctx, policyConfig(cfg, fsys))
}

func policyConfig(cfg *Config, fsys fs.FS) opa.Config {
	return opa.Config{FS: fsys, Timeout: cfg.Policy.Timeout, Data: cfg.Policy.Data}
}

func policyFS(dir string) (fs.FS, error) {
	if dir == "" {
		return fs.Sub(configs.Policies, "policies")
	}
	if st, err := os.Stat(dir); err != nil || !st.IsDir() {
		return nil, fmt.Errorf("%s is no folder", dir)
	}
	return os.DirFS(dir), nil
}

// newInspector makes placeholders with key; nil is a key of its own.
func newInspector(cfg *Config, key []byte) (*pii.Inspector, error) {
	return pii.New(pii.Config{Regions: cfg.Inspect.Regions, Types: cfg.Inspect.Types, MinScore: cfg.Inspect.MinScore, Recognize: recognizer(cfg.Inspect.Entities, cfg.Inspect.EntitiesMinScore), Key: key})
}

// recognizer finds entities of these types by the tagger, those that are at least as sure as least; without types, nil.
func recognizer(types []string, least float64) pii.Recognizer {
	if len(types) == 0 {
		return nil
	}
	return func(ctx context.Context, text string) ([]llm.Finding, error) {
		tagged, err := entities.Tag(ctx, text)
		var found []llm.Finding
		for _, e := range tagged {
			if e.Score >= least && slices.Contains(types, e.Type) {
				found = append(found, llm.Finding{Type: e.Type, Start: e.Start, End: e.End, Score: math.Round(e.Score*1000) / 1000, By: "tagger"})
			}
		}
		return found, err
	}
}

// derive makes a key for one purpose from the gateway's own.
func derive(key []byte, purpose string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(purpose))
	return h.Sum(nil)
}

// entries makes the cloud targets of the providers, and of OPENAI_API_KEY when there are none.
func entries(cfg *Config) ([]cloud.Entry, error) {
	prices, err := prices(cfg)
	if err != nil {
		return nil, err
	}
	providers := cfg.Providers
	if len(providers) == 0 {
		providers = fromEnvironment()
	}
	var out []cloud.Entry
	var errs []error
	for _, p := range providers {
		key, err := secret.Resolve(p.APIKey)
		if err != nil {
			errs = append(errs, fmt.Errorf("provider %q: api_key: %w", p.Name, err))
		}
		headers, err := headersOf(p.Headers)
		if err != nil {
			errs = append(errs, fmt.Errorf("provider %q: %w", p.Name, err))
		}
		client := cloudopenai.New(cloudopenai.Config{
			BaseURL: p.BaseURL, Key: key, Headers: headers, ConnectTimeout: p.ConnectTimeout,
			FirstByteTimeout: p.FirstByteTimeout, AnswerTimeout: p.AnswerTimeout, IdleTimeout: p.IdleTimeout, MaxAnswer: cfg.Limits.MaxAnswer,
		})
		for _, m := range p.Models {
			t, err := target(p, m, prices)
			if err != nil {
				errs = append(errs, err)
			}
			out = append(out, cloud.Entry{Target: t, Provider: client, Breaker: p.Breaker, Retry: p.Retry})
		}
	}
	return out, errors.Join(errs...)
}

// target is one model of a provider, its gaps filled from the provider and the price table.
func target(p ProviderConfig, m CloudModelConfig, prices *price.Table) (llm.Target, error) {
	t := llm.Target{ID: p.Name + "/" + m.Name, Provider: p.Name, Model: m.Model, Context: m.Context, Can: m.Can, Zone: p.Zone}
	if t.Model == "" {
		t.Model, _, _ = strings.Cut(m.Name, "@")
	}
	if len(t.Can) == 0 {
		t.Can = []string{"chat", "tools", "json", "image"}
	}
	mergeZone(&t.Zone, m.Zone)
	row, ok := prices.Find(p.Name, t.Model)
	if t.Context == 0 {
		t.Context = row.Context
	}
	if m.Price != nil {
		row = price.Row{Provider: p.Name, Model: m.Name, Input: m.Price.Input, Cached: m.Price.Cached, Output: m.Price.Output, Reasoning: m.Price.Reasoning}
		ok = true
	}
	if !ok {
		return t, nil
	}
	var err error
	if t.Price, err = row.Price(); err != nil {
		return t, fmt.Errorf("provider %q, model %q: price: %w", p.Name, m.Name, err)
	}
	return t, nil
}

func mergeZone(z *llm.Zone, over llm.Zone) {
	for _, f := range []struct{ to, from *string }{
		{&z.Region, &over.Region}, {&z.Jurisdiction, &over.Jurisdiction}, {&z.Operator, &over.Operator},
	} {
		if *f.from != "" {
			*f.to = *f.from
		}
	}
	if over.RetentionDays != nil {
		z.RetentionDays = over.RetentionDays
	}
	if over.Trains != nil {
		z.Trains = over.Trains
	}
}

// fromEnvironment is the provider that OPENAI_API_KEY alone makes. Of a base
// URL that is not OpenAI's own, nothing is known about the place.
func fromEnvironment() []ProviderConfig {
	if os.Getenv("OPENAI_API_KEY") == "" {
		return nil
	}
	p := ProviderConfig{Name: "openai", APIKey: "${OPENAI_API_KEY}", BaseURL: os.Getenv("OPENAI_BASE_URL")}
	if p.BaseURL == "" {
		p.Zone = llm.Zone{Region: "US", Jurisdiction: "US", Operator: "OpenAI"}
	}
	models := os.Getenv("OPENAI_MODEL")
	if models == "" {
		models = "gpt-5-mini,gpt-5,gpt-5-nano"
	}
	for m := range strings.SplitSeq(models, ",") {
		p.Models = append(p.Models, CloudModelConfig{Name: strings.TrimSpace(m)})
	}
	return []ProviderConfig{p}
}

func prices(cfg *Config) (*price.Table, error) {
	text := configs.Prices
	if cfg.Prices != "" {
		var err error
		if text, err = os.ReadFile(cfg.Prices); err != nil {
			return nil, fmt.Errorf("prices: %w", err)
		}
	}
	return price.Parse(text)
}

func headersOf(list []HeaderConfig) ([]cloudopenai.Header, error) {
	var out []cloudopenai.Header
	for _, h := range list {
		v, err := secret.Resolve(h.Value)
		if err != nil {
			return nil, fmt.Errorf("header %q: %w", h.Name, err)
		}
		out = append(out, cloudopenai.Header{Name: h.Name, Value: v})
	}
	return out, nil
}

func keysOf(cfg *Config) ([]api.Key, error) {
	var out []api.Key
	var errs []error
	for _, k := range cfg.Keys {
		v, err := secret.Resolve(k.Secret)
		if err != nil {
			errs = append(errs, fmt.Errorf("key %q: %w", k.Name, err))
		}
		out = append(out, api.Key{
			Name: k.Name, Secret: v, Tenant: k.Tenant, User: k.User, Roles: k.Roles, Debug: k.Debug, RequestsPerMinute: k.RequestsPerMinute,
		})
	}
	return out, errors.Join(errs...)
}

func startTelemetry(ctx context.Context, cfg *Config, log *slog.Logger, stderr io.Writer) (*telemetry.Telemetry, error) {
	t := cfg.Telemetry.Traces
	c := telemetry.Config{
		Service: "sluice", Version: version,
		Traces:  telemetry.Traces{Exporter: t.Exporter, Endpoint: t.Endpoint, Sample: t.Sample},
		Metrics: telemetry.Metrics{Disable: cfg.Telemetry.DisableMetrics},
		Out:     stderr, Log: log,
	}
	for _, h := range t.Headers {
		v, err := secret.Resolve(h.Value)
		if err != nil {
			return nil, fmt.Errorf("telemetry.traces: header %q: %w", h.Name, err)
		}
		c.Traces.Headers = append(c.Traces.Headers, telemetry.Header{Name: h.Name, Value: v})
	}
	return telemetry.Start(ctx, c)
}

// assembled is a router without listeners and ledger: what commands ask.
type assembled struct {
	*built
	base *base
}

// assemble builds everything but what writes.
func assemble(ctx context.Context, cfg *Config, log *slog.Logger) (*assembled, error) {
	b, err := openBase(ctx, cfg, runtime.GOMAXPROCS(0), log)
	if err != nil {
		return nil, err
	}
	gen, err := build(ctx, cfg, b, nowhere{}, log, nil)
	if err != nil {
		return nil, errors.Join(err, b.close())
	}
	return &assembled{gen, b}, nil
}

func (a *assembled) close() {
	_ = a.base.close() // the process ends
}

// nowhere is the ledger of commands that answer nobody.
type nowhere struct{}

// Record drops the record.
func (nowhere) Record(context.Context, *llm.Record, bool) error { return nil }

// fixed refuses what a reload cannot change.
func fixed(old, now *Config) error {
	var changed []string
	for _, c := range []struct {
		key      string
		old, now any
	}{
		{"listen", old.Listen, now.Listen}, {"admin_listen", old.AdminListen, now.AdminListen}, {"data_dir", old.DataDir, now.DataDir},
		{"local", old.Local, now.Local}, {"judge", judgeOf(old), judgeOf(now)}, {"log", old.Log, now.Log}, {"limits.shutdown", old.Limits.Shutdown, now.Limits.Shutdown}, {"telemetry", old.Telemetry, now.Telemetry},
		{"routing.shadow.workers and queue", [2]int{old.Routing.Shadow.Workers, old.Routing.Shadow.Queue}, [2]int{now.Routing.Shadow.Workers, now.Routing.Shadow.Queue}},
		{"ledger", old.Ledger, now.Ledger}, {"budgets", old.Budgets, now.Budgets},
	} {
		if !reflect.DeepEqual(c.old, c.now) {
			changed = append(changed, c.key)
		}
	}
	if changed != nil {
		return fmt.Errorf("%s can only be changed by a restart", strings.Join(changed, ", "))
	}
	if len(now.Keys) == 0 && len(old.Keys) > 0 {
		return errors.New("keys: without any the gateway would be open to everybody on this machine: that takes a restart")
	}
	return nil
}

// judgeOf is what of the judge's settings a reload cannot change: all but the timeout.
func judgeOf(c *Config) any {
	j := c.Judge
	j.Timeout = 0
	return j
}

// refund counts what the ledger says was spent this month, so that a restart does not renew a budget.
func (b *base) refund(dir string) error {
	month := time.Now().UTC().Format("2006-01")
	return ledger.Scan(dir, func(e ledger.Entry) error {
		if e.Record.CostNano > 0 && e.Record.Time.UTC().Format("2006-01") == month {
			b.budgets.Spend(e.Record.Tenant, e.Record.CostNano)
		}
		return nil
	})
}

// recall lets feedback reach decisions of before a restart.
func (b *base) recall(ctx context.Context, dir string) error {
	return ledger.Tail(ctx, dir, recalled, false, func(e ledger.Entry) error {
		b.decided.Add(&e.Record)
		return nil
	})
}

// recalled is how many of the ledger's last records are looked at for that.
const recalled = 20_000

func newLog(cfg *Config, w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(cfg.Log.Level)) // validated
	o := &slog.HandlerOptions{Level: level}
	if cfg.Log.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// quiet is the log of commands: their errors are their talk.
func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func readFileOr(stdin io.Reader, file string) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(stdin)
	}
	return os.ReadFile(file)
}

// hideOne hides a secret that is no reference.
func hideOne(s *string) {
	if *s != "" && !strings.HasPrefix(*s, "${") && !strings.HasPrefix(*s, "file:") {
		*s = "<redacted>"
	}
}
