package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// generation waits for a generation of the configuration.
func (p *process) generation(t *testing.T, want int64) {
	t.Helper()
	eventually(t, fmt.Sprintf("generation %d", want), func() error {
		if got := p.status(t).Generation; got != want {
			return fmt.Errorf("it is %d", got)
		}
		return nil
	})
}

// reload swaps the configuration whole, or not at all, while a stream runs.
func (s *suite) reload(t *testing.T) {
	gate := make(chan struct{})
	s.proxy.lane("main").set(fault{kind: faultDrip, gate: gate}, fault{})
	b := ask("cloud", "This stream outlives the configuration it began with", body{"stream": true})
	s.gw.remember(b)
	running := s.gw.open(t.Context(), t, b)
	defer running.Body.Close()

	writeConfig(t, s.config, s.gatewayConfig("  - {name: gpt-4o, to: [local]}"))
	s.hup(t)
	s.gw.generation(t, 2)
	s.gw.chat(t, false, ask("gpt-4o", "An alias that came with the reload")).expect(t, http.StatusOK, "local", home)
	if models := s.gw.get(t, s.gw.base+"/v1/models"); !strings.Contains(models, `"gpt-4o"`) {
		t.Errorf("GET /v1/models does not list the new alias:\n%s", models)
	}

	for _, tt := range []struct{ name, old, new, why string }{
		{"unknown-key", "judge: {", "jugde: {}\njudge: {", "unknown key jugde"},
		{"needs-a-restart", "local:\n  threads: 1", "local:\n  threads: 2", "local can only be changed by a restart"},
		{"broken-policy", "policy: {", "policy: {dir: " + s.badPolicy(t) + ", ", "broken.rego:4"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.Replace(s.gatewayConfig("  - {name: gpt-bad, to: [local]}"), tt.old, tt.new, 1)
			mark := len(s.gw.stderr.String())
			writeConfig(t, s.config, text)
			s.hup(t)
			eventually(t, "the reason in the log", func() error {
				log := s.gw.stderr.String()[mark:]
				if strings.Contains(log, "not taken") && strings.Contains(log, tt.why) {
					return nil
				}
				return fmt.Errorf("the log says %q", clipMiddle(log, 2000))
			})
			if got := s.gw.status(t).Generation; got != 2 {
				t.Errorf("the generation is %d", got)
			}
			s.gw.chat(t, true, ask("gpt-4o", "The old configuration still answers")).expect(t, http.StatusOK, "local", home)
		})
	}
	close(gate)
	a := &answer{status: running.StatusCode, header: running.Header}
	a.read(t, running)
	a.expect(t, http.StatusOK, "cloud", "main/tiny")
	s.gw.expectRecord(running, expected{"cloud", 200})
	if got := s.gw.status(t).Generation; got != 2 { // the signal and the watch of the file are one reload
		t.Errorf("the generation is %d", got)
	}
}

func (s *suite) hup(t *testing.T) {
	t.Helper()
	if err := s.gw.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}

// badPolicy writes a bundle that does not compile in line 4.
func (s *suite) badPolicy(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	writeConfig(t, dir+"/broken.rego", "package sluice\n\n# A comment.\ndecision := {\"allow\": nonsense}\n")
	return dir
}

// noChatAtHome is the gateway as it comes, with its own models alone, and a cloud
// that nobody listens at: what cannot be answered is refused at once, and clearly,
// and forms are filled in with what the text says.
func (s *suite) noChatAtHome(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // nothing to cancel
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	l.Close()
	config := filepath.Join(s.dir, "bare.yaml")
	writeConfig(t, config, fmt.Sprintf(`
keys: [{name: plain, secret: "${KEY_PLAIN}"}, {name: acme, secret: "${KEY_ACME}", tenant: acme}]
policy: {timeout: 10s}
providers:
  - {name: dead, base_url: "http://%s/v1", retry: {max: -1}, zone: {region: US, retention_days: 0, trains: false}, models: [{name: m}]}
`, nobody))
	p := start(t, "the bare gateway", s.bin, keyEnv, "--config", config, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0",
		"--data-dir", filepath.Join(s.dir, "bare-data"), "--model", "embedded/forms")
	p.key = plainKey
	refused := func(t *testing.T, a *answer, status int, code, message string) {
		t.Helper()
		a.expect(t, status, "blocked", "none")
		if a.code != code || !strings.Contains(a.message, message) || len(a.message) > 250 || strings.Contains(a.message, nobody) {
			t.Errorf("code %s, message %q; want %s and %q", a.code, a.message, code, message)
		}
	}
	bothWays(t, func(t *testing.T, stream bool) {
		refused(t, p.chat(t, stream, ask("auto", "Nobody is at home, and nobody abroad")), 503, "upstream_unavailable", "try again later")
		refused(t, p.chat(t, stream, ask("local", "Nobody is at home, and nobody abroad")), 503, "local_model_insufficient", "--model FILE")
		refused(t, p.chat(t, stream, ask("auto", "Write to "+email+" about it"), header{"Authorization", "Bearer " + acmeKey}),
			403, "residency_no_target", "residency")
		const text = "Parcel for Maud Ellery, 3 boxes, from the Hartfield mill."
		a := p.chat(t, stream, ask("local/forms", text, body{"max_tokens": 80, "response_format": body{"type": "json_schema", "json_schema": body{"name": "parcel", "schema": body{
			"type": "object", "required": []string{"name", "boxes"}, "properties": body{"name": body{"type": "string"}, "boxes": body{"type": "integer"}}}}}}))
		a.expect(t, http.StatusOK, "local", "local/forms")
		var form struct {
			Name  string
			Boxes *int
		}
		if err := json.Unmarshal([]byte(a.text), &form); err != nil || form.Name == "" || !strings.Contains(text, form.Name) || form.Boxes == nil {
			t.Errorf("the form was filled in as %q: %v", a.text, err)
		}
	})
	r := sluice(t, s.bin, "chat", "--url", p.base, "--key", plainKey, "hello", "there")
	if r.exit != 1 || strings.Count(r.stderr, "\n") != 1 || !strings.Contains(r.stderr, "try again later") {
		t.Errorf("sluice chat: exit code %d\n%s%s", r.exit, r.stdout, r.stderr)
	}
	r = sluice(t, s.bin, "chat", "--url", p.base, "--key", "sk-nobody", "hello")
	if r.exit != 1 || !strings.Contains(r.stderr, "API key is not known") {
		t.Errorf("sluice chat with a wrong key: exit code %d\n%s%s", r.exit, r.stdout, r.stderr)
	}
	r = sluice(t, s.bin, "chat", "--url", s.gw.base, "--key", plainKey, "--model", "local", "hello")
	if r.exit != 0 || strings.TrimSpace(r.stdout) == "" || !strings.Contains(r.stderr, "(local: local/home, dec_") {
		t.Errorf("sluice chat: exit code %d\n%s%s", r.exit, r.stdout, r.stderr)
	}
	s.gw.mu.Lock()
	s.gw.want[chatDecision.FindString(r.stderr)] = expected{"local", 200}
	s.gw.mu.Unlock()
	p.stop(t, patience)
	noLeaks(t, "the log of "+p.name, []byte(p.stderr.String()), email, plainKey, acmeKey)
}

var chatDecision = regexp.MustCompile(`dec_\w+`)

// shutdown lets a running stream end, and then ends with exit code 0.
func (s *suite) shutdown(t *testing.T) {
	gate := make(chan struct{})
	s.proxy.lane("main").set(fault{kind: faultDrip, gate: gate})
	b := ask("cloud", "The gateway stops while this stream runs", body{"stream": true})
	s.gw.remember(b)
	running := s.gw.open(t.Context(), t, b)
	defer running.Body.Close()
	if err := s.gw.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the gateway to close its listener", func() error {
		s.gw.client.CloseIdleConnections()
		resp, err := http.Get(s.gw.base + "/healthz") //nolint:noctx // it fails at once
		if err != nil {
			return nil
		}
		resp.Body.Close()
		return errors.New("it still answers")
	})
	if s.gw.dead() {
		t.Fatal("the gateway ended with a stream running")
	}
	close(gate)
	a := &answer{status: running.StatusCode, header: running.Header}
	a.read(t, running)
	a.expect(t, http.StatusOK, "cloud", "main/tiny")
	if !strings.HasSuffix(a.text, "end") {
		t.Errorf("the stream ended with %q", a.text)
	}
	s.gw.expectRecord(running, expected{"cloud", 200})
	select {
	case <-s.gw.exited:
	case <-time.After(patience):
		t.Fatal("the gateway did not end after its last stream")
	}
	if s.gw.exit != 0 {
		t.Errorf("the gateway ended with exit code %d", s.gw.exit)
	}
	s.cloud.stop(t, patience)
	if s.cloud.exit != 0 {
		t.Errorf("the cloud ended with exit code %d", s.cloud.exit)
	}
}
