package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait of these tests. Nothing takes nearly as long when all is well.
const patience = 10 * time.Second

// buildBinary compiles the real binary once.
func buildBinary(t testing.TB) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "sluice")
	out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput()
	if err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return bin
}

// A process is a running sluice serve.
type process struct {
	name           string
	base, admin    string // http://host:port
	stdout, stderr output
	cmd            *exec.Cmd
	exited         chan struct{}
	exit           int // once exited is closed
	client         *http.Client
	key            string // sent when a call names no other

	mu      sync.Mutex
	want    map[string]expected // what the ledger must say, by decision id
	unseen  int                 // requests whose decision id no client has seen
	prompts []string            // every text that clients sent
}

// expected is what the ledger must say of one request.
type expected struct {
	route  string
	status int
}

// An output gathers what a process writes.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

var bannerLine = regexp.MustCompile(`gateway (http://\S+)/v1\s+admin (http://\S+)`)

// start runs sluice with args until the test ends, and waits until it listens.
func start(t testing.TB, name, bin string, env []string, args ...string) *process {
	t.Helper()
	p := &process{name: name, exited: make(chan struct{}), want: map[string]expected{}, client: &http.Client{Timeout: patience}}
	p.cmd = exec.Command(bin, append([]string{"serve"}, args...)...)
	p.cmd.Env = append(cleanEnv(), env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	p.cmd.SysProcAttr = dieWithParent()
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait()
		p.exit = p.cmd.ProcessState.ExitCode()
		close(p.exited)
	}()
	t.Cleanup(func() {
		p.client.CloseIdleConnections()
		if !p.dead() {
			p.stop(t, 5*time.Second)
		}
		if t.Failed() {
			t.Logf("---- %s: exit code %d, log:\n%s", name, p.exit, clipMiddle(withoutSpans(p.stderr.String()), 24<<10))
		}
	})
	eventually(t, name+" to listen", func() error {
		if m := bannerLine.FindStringSubmatch(p.stderr.String()); m != nil {
			p.base, p.admin = m[1], m[2]
			return nil
		}
		if p.dead() {
			t.Fatalf("%s ended with exit code %d:\n%s", name, p.exit, p.stderr.String())
		}
		return errors.New("no banner yet")
	})
	return p
}

// cleanEnv is this process's environment without what configures Sluice.
func cleanEnv() []string {
	return slices.DeleteFunc(os.Environ(), func(kv string) bool {
		return strings.HasPrefix(kv, "SLUICE_") || strings.HasPrefix(kv, "OPENAI_") || strings.HasPrefix(kv, "OTEL_") ||
			strings.HasPrefix(strings.ToLower(kv), "http_proxy=")
	})
}

func (p *process) dead() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// stop ends the process as an operator would, and kills it when it does not listen.
func (p *process) stop(t testing.TB, within time.Duration) {
	t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(within):
		_ = p.cmd.Process.Kill()
		<-p.exited
		t.Errorf("%s did not stop within %v of SIGTERM", p.name, within)
	}
}

// eventually polls until ok returns nil, and fails when it does not in time.
func eventually(t testing.TB, what string, ok func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ok()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for %s: %v", patience, what, err)
		}
		<-tick.C
	}
}

// withoutSpans drops the stdout exporter's lines from a log that people read.
func withoutSpans(log string) string {
	return strings.Join(slices.DeleteFunc(strings.SplitAfter(log, "\n"), func(line string) bool { return strings.HasPrefix(line, `{"time"`) }), "")
}

func clipMiddle(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n/2] + "\n[…]\n" + s[len(s)-n/2:]
}

// A result is what a command line gave.
type result struct {
	stdout, stderr string
	exit           int
}

// sluice runs a command to its end.
func sluice(t testing.TB, bin string, args ...string) result {
	t.Helper()
	c := exec.Command(bin, args...)
	c.Env = cleanEnv()
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	kill := time.AfterFunc(patience, func() { _ = c.Process.Kill() })
	defer kill.Stop()
	err := c.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	}
	return result{out.String(), errs.String(), c.ProcessState.ExitCode()}
}

// writeConfig replaces a file whole, so that a reader never sees half of it.
func writeConfig(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// get fetches a URL of the process.
func (p *process) get(t *testing.T, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.key)
	resp, err := p.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s\n%s", url, resp.Status, b)
	}
	return string(b)
}

// A state is what GET /status of the admin listener says.
type state struct {
	Generation int64
	Targets    []struct {
		ID      string
		Healthy bool
		Breaker string
	}
}

func (p *process) status(t *testing.T) state {
	t.Helper()
	var s state
	if err := json.Unmarshal([]byte(p.get(t, p.admin+"/status")), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// breaker returns the state of a target's breaker.
func (p *process) breaker(t *testing.T, target string) string {
	t.Helper()
	for _, s := range p.status(t).Targets {
		if s.ID == target {
			if s.Healthy == (s.Breaker == "open") {
				t.Errorf("/status: %s is healthy=%v with its breaker %s", target, s.Healthy, s.Breaker)
			}
			return s.Breaker
		}
	}
	t.Fatalf("/status does not list %s", target)
	return ""
}

// waitBreaker waits for a state of a target's breaker.
func (p *process) waitBreaker(t *testing.T, target, want string) {
	t.Helper()
	eventually(t, "the breaker of "+target+" to be "+want, func() error {
		if got := p.breaker(t, target); got != want {
			return fmt.Errorf("it is %s", got)
		}
		return nil
	})
}
