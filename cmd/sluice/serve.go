package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluice-ai/sluice/internal/llm"
	"github.com/sluice-ai/sluice/router/api"
	"github.com/sluice-ai/sluice/telemetry"
	"github.com/sluice-ai/sluice/telemetry/ledger"
)

func serveCommand(f *flags) *cobra.Command {
	c := &cobra.Command{
		Use: "serve", Short: "Start the gateway", Args: exactly(0, "no arguments, only flags"),
		Long: `Start the gateway. It listens until SIGINT or SIGTERM, and then lets running
requests end. SIGHUP, or a change of the configuration file, reads the
configuration again: a good one takes over whole, a bad one is reported and changes nothing.`,
	}
	c.Flags().StringVar(&f.listen, "listen", "", "data listener (or SLUICE_LISTEN)")
	c.Flags().StringVar(&f.adminListen, "admin-listen", "", "admin listener (or SLUICE_ADMIN_LISTEN)")
	c.Flags().StringArrayVar(&f.models, "model", nil, "a GGUF to serve as local/<base name>; may be repeated (or SLUICE_MODEL, with commas)")
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := loadConfig(*f)
		if err != nil {
			return usageError{err}
		}
		return serve(c.Context(), *f, cfg, c.ErrOrStderr())
	}
	return c
}

// A gateway is a running process: what lives as long as it, and the
// generation of the configuration that is in force.
type gateway struct {
	flags  flags
	cfg    *Config
	log    *slog.Logger
	tel    *telemetry.Telemetry
	ledger *ledger.Ledger
	base   *base
	now    atomic.Pointer[built]
}

// serve runs the gateway until ctx ends.
func serve(ctx context.Context, f flags, cfg *Config, stderr io.Writer) (err error) {
	started := time.Now()
	g := &gateway{flags: f, cfg: cfg, log: newLog(cfg, stderr)}
	slog.SetDefault(g.log)
	// Listen first: a port in use is the commonest mistake, and costs nothing to find.
	data, err := listen(cfg.Listen, "listen")
	if err != nil {
		return err
	}
	defer data.Close()
	admin, err := listen(cfg.AdminListen, "admin_listen")
	if err != nil {
		return err
	}
	defer admin.Close()

	if g.tel, err = startTelemetry(ctx, cfg, g.log, stderr); err != nil {
		return usageError{err}
	}
	defer func() {
		end, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		err = errors.Join(err, g.tel.Shutdown(end))
	}()
	if g.ledger, err = ledger.Open(ledgerDir(cfg), ledger.Config{
		SegmentBytes: cfg.Ledger.SegmentBytes, Queue: cfg.Ledger.Queue, OnCommit: g.tel.Committed,
	}); err != nil {
		return fmt.Errorf("the ledger: %w", err)
	}
	defer func() { err = errors.Join(err, g.ledger.Close()) }()
	if g.base, err = openBase(ctx, cfg, leaveRoom(), g.log); err != nil {
		return usageError{err}
	}
	defer g.base.close()
	if g.base.mac, err = ledger.LoadOrCreateKey(cfg.DataDir); err != nil {
		return fmt.Errorf("the key of the ledger's digests: %w", err)
	}
	if len(cfg.Budgets) > 0 {
		if err := g.base.refund(ledgerDir(cfg)); err != nil {
			return fmt.Errorf("reading the ledger for the budgets: %w", err)
		}
	}
	if err := g.base.recall(ctx, ledgerDir(cfg)); err != nil { // sluice audit verify says more; nobody's request depends on it
		g.log.Warn("the ledger cannot be read back for feedback, which reaches later decisions only", "err", err)
	}
	b, err := build(ctx, cfg, g.base, g.ledger, g.log, nil)
	if err != nil {
		return usageError{err}
	}
	g.now.Store(b)
	banner(stderr, g, data.Addr(), admin.Addr(), time.Since(started))
	go debug.FreeOSMemory() // what starting left behind
	return g.listenAndServe(ctx, data, admin)
}

// leaveRoom makes a place for the gateway's own goroutines beside those of the
// models, and returns how many cores there are. A model at work has a goroutine on
// each core for milliseconds at a time, in which Go's scheduler looks at the
// network every ten milliseconds at best; a thread of its own is woken by the
// system, which shares the cores fairly. GOMAXPROCS in the environment has its way.
func leaveRoom() (cores int) {
	cores = runtime.GOMAXPROCS(0)
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(cores + 1)
	}
	return cores
}

// listenAndServe serves both listeners until ctx ends, then drains.
func (g *gateway) listenAndServe(ctx context.Context, data, admin net.Listener) error {
	servers := []struct {
		s *http.Server
		l net.Listener
	}{
		{&http.Server{
			Handler:           http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { g.now.Load().api.ServeHTTP(w, r) }),
			ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
			ErrorLog: slog.NewLogLogger(g.log.Handler(), slog.LevelWarn),
		}, data},
		{&http.Server{Handler: g.admin(), ReadHeaderTimeout: 10 * time.Second}, admin},
	}
	failed := make(chan error, len(servers))
	for _, sv := range servers {
		go func() { failed <- sv.s.Serve(sv.l) }()
	}
	stopReload := g.watch(ctx)
	defer stopReload()
	var errs []error
	select {
	case <-ctx.Done():
	case err := <-failed: // the other one still serves: it ends like always, before what it uses is closed
		errs = append(errs, fmt.Errorf("serving: %w", err))
	}
	g.log.Info("stopping: running requests may end", "within", g.cfg.Limits.Shutdown)
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), g.cfg.Limits.Shutdown)
	defer cancel()
	for _, sv := range servers {
		if err := sv.s.Shutdown(end); err != nil {
			errs = append(errs, fmt.Errorf("requests were still running after %v: %w", g.cfg.Limits.Shutdown, err), sv.s.Close())
		}
	}
	return errors.Join(errs...)
}

// watch reloads on SIGHUP and when the configuration file changes. The
// returned function stops it and waits.
func (g *gateway) watch(ctx context.Context) func() {
	ctx, cancel := context.WithCancel(ctx)
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	done := make(chan struct{})
	path := g.flags.config
	if path == "" {
		path = os.Getenv("SLUICE_CONFIG")
	}
	go func() {
		defer close(done)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		last := stamp(path)
		seen := last
		for {
			select {
			case <-ctx.Done():
				return
			case <-hup:
				last = stamp(path) // a change that is announced is not reloaded again
				seen = last
				g.reload(ctx)
			case <-tick.C:
				now := stamp(path)
				settled := now == seen // half a file may be a configuration, too: one without its keys
				if seen = now; settled && now != last {
					last = now
					g.reload(ctx)
				}
			}
		}
	}()
	return func() { signal.Stop(hup); cancel(); <-done }
}

// stamp tells one state of a file from another; "" without a file.
func stamp(path string) string {
	st, err := os.Stat(path)
	if err != nil {
		return ""
	}
	return fmt.Sprint(st.ModTime().UnixNano(), st.Size())
}

// reload reads the configuration again and swaps it in whole, or changes nothing.
func (g *gateway) reload(ctx context.Context) {
	old := g.now.Load()
	cfg, err := loadConfig(g.flags)
	if err == nil {
		err = fixed(g.cfg, cfg)
	}
	var b *built
	if err == nil {
		b, err = build(ctx, cfg, g.base, g.ledger, g.log, old)
	}
	if err != nil {
		g.log.Error("the new configuration was not taken: the old one stays in force", "generation", old.generation, "err", err)
		return
	}
	g.now.Store(b)
	g.log.Info("configuration reloaded", "generation", b.generation, "policy", short(b.policy.Revision()))
}

// admin returns the handler of the admin listener.
func (g *gateway) admin() http.Handler {
	return api.Admin{
		Metrics: g.tel.MetricsHandler(),
		Ready: func() (string, error) {
			b := g.now.Load()
			line := fmt.Sprintf("generation %d, policy %s, %d targets", b.generation, short(b.policy.Revision()), len(b.router.Targets()))
			if d := b.router.Drift(); d.Alarm { // worth a look, but no reason to send nobody here
				line += "; the judge has drifted from " + d.Calibration
			}
			return line, nil
		},
		Status: func() any { return g.status() },
	}.Handler()
}

// status is what GET /status says.
func (g *gateway) status() any {
	b := g.now.Load()
	type target struct {
		ID      string   `json:"id"`
		Healthy bool     `json:"healthy"`
		Breaker string   `json:"breaker,omitempty"`
		Can     []string `json:"abilities"`
		Zone    llm.Zone `json:"zone"`
	}
	var targets []target
	for _, t := range b.router.Targets() {
		targets = append(targets, target{t.ID, b.router.Healthy(t.ID), b.cloud.Breaker(t.ID), t.Can, t.Zone})
	}
	return map[string]any{
		"version": version, "generation": b.generation, "policy": b.policy.Revision(), "targets": targets, "judge": b.router.Drift(),
	}
}

// listen binds addr; the error says what to do about a port in use.
func listen(addr, key string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s is in use by another process: stop it, or choose another address with --%s", addr, strings.ReplaceAll(key, "_", "-"))
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return l, nil
}

// banner says, in a few lines, what is running and what to try.
func banner(w io.Writer, g *gateway, data, admin net.Addr, took time.Duration) {
	b := g.now.Load()
	t := &table{}
	t.row("sluice "+version, fmt.Sprintf("gateway http://%s/v1", data), fmt.Sprintf("admin http://%s", admin))
	chat := false
	for _, l := range g.base.local.Targets() {
		info := g.base.local.Model(l.ID).Info()
		t.row("local", l.Model+": "+strings.Join(l.Can, ", "), fmt.Sprintf("%s parameters, %s", count(info.Params), bytesOf(info.FileBytes)))
		chat = chat || l.Has("chat")
	}
	if !chat {
		t.row("", "no chat model yet: nano only judges", "--model FILE.gguf adds one; --model embedded/forms one that fills in forms")
	}
	from := "built in (configs/policies)"
	if g.cfg.Policy.Dir != "" {
		from = g.cfg.Policy.Dir
	}
	t.row("policy", short(b.policy.Revision()), from)
	providers := map[string]int{}
	var names []string
	for _, c := range b.cloud.Targets() {
		if providers[c.Provider] == 0 {
			names = append(names, c.Provider)
		}
		providers[c.Provider]++
	}
	for _, n := range names {
		t.row("cloud", n, plural(providers[n], "model"))
	}
	if len(names) == 0 {
		t.row("cloud", "none found", "set OPENAI_API_KEY, or see configs/sluice.yaml")
	}
	t.row("ledger", ledgerDir(g.cfg), fmt.Sprintf("ready in %d ms", took.Milliseconds()))
	_ = t.print(w) // stderr is gone: nobody to tell
	base := "http://" + data.String()
	fmt.Fprintf(w, `try   curl -s %s/v1/route -d '{"model":"auto","messages":[{"role":"user","content":"Pull the dates out of: due 3 May, paid 9 June"}]}'
      ./bin/sluice route "Prove that there are infinitely many primes of the form 4k+3"
      ./bin/sluice inspect <<< "write to ann@example.com, card 4111 1111 1111 1111"
`, base)
}
