package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// The secrets of these tests. None of them may stand in a log, a metric or the ledger.
const (
	opsKey   = "sk-ops-5d1c0a7e94"   // tenant default, may debug
	plainKey = "sk-plain-77ab12cd3e" // tenant default
	acmeKey  = "sk-acme-90fe12aa4b"  // tenant acme of the default bundle: personal data stays in the EU
	upKey    = "sk-up-1f2e3d4c5b6a"  // what the gateway shows its clouds
)

var keyEnv = []string{"KEY_OPS=" + opsKey, "KEY_PLAIN=" + plainKey, "KEY_ACME=" + acmeKey, "KEY_UP=" + upKey}

const (
	easy = "Classify the sentiment of this review as positive or negative: I loved it"
	hard = "Prove rigorously that every bounded sequence of real numbers has a convergent subsequence, then generalise the " +
		"argument to compact metric spaces and give a counterexample when completeness fails."
	data = "Write to " + email + " that the transfer from " + iban + " was paid with the card " + card + ", please."
)

// home is the gateway's own chat model.
const home = "local/home"

// A suite is the world of TestEndToEnd: a gateway, a proxy, a cloud.
type suite struct {
	dir, bin  string
	gguf      [2]string // the cloud's model, the home model
	cloud, gw *process
	proxy     *proxy
	dataDir   string
	config    string // the gateway's file
}

// lanes are the clouds of the gateway, all behind the one proxy. Each has one model, NAME/tiny.
var lanes = []struct{ name, more string }{
	{"main", "zone: {region: US, jurisdiction: US, operator: Main, retention_days: 0, trains: false}"},
	{"eu", "zone: {region: DE, jurisdiction: DE, operator: Hof, retention_days: 0, trains: false}"},
	{"nowhere", ""}, {"first", ""}, {"second", ""}, {"retry", "retry: {max: 2, base: 1ms}"}, {"throttle", ""},
	{"patient", "first_byte_timeout: 15s"},
	{"break-silent", ""}, {"break-stall", ""}, {"break-status", ""}, {"break-cut", ""}, {"break-end", ""}, {"break-error", ""},
	{"break-garbage", ""}, {"break-hangup", ""}, {"break-empty", ""},
}

// gatewayConfig is the configuration of the gateway under test.
func (s *suite) gatewayConfig(extra string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `
listen: 127.0.0.1:0
admin_listen: 127.0.0.1:0
data_dir: %s
local:
  threads: 1
  models:
    - {name: nano, file: embedded}
    - {name: home, file: %s}
judge: {timeout: 10s, escalate: 0}
keys:
  - {name: ops, secret: "${KEY_OPS}", debug: true}
  - {name: plain, secret: "${KEY_PLAIN}", user: somebody}
  - {name: acme, secret: "${KEY_ACME}", tenant: acme}
policy: {timeout: 10s}
telemetry: {traces: {exporter: stdout}}
limits: {max_body_bytes: 200000}
aliases:
  - {name: duo, to: [first/tiny, second/tiny]}
%s
providers:
`, s.dataDir, s.gguf[1], extra)
	for _, l := range lanes {
		price := ""
		if l.name == "main" {
			price = ", price: {input: 2, output: 8}" // the only price: auto and cloud prefer it
		}
		fmt.Fprintf(&b, "  - name: %s\n    base_url: %s\n    api_key: ${KEY_UP}\n", l.name, s.proxy.base(l.name))
		if !strings.Contains(l.more, "retry:") {
			b.WriteString("    retry: {max: -1}\n")
		}
		if !strings.Contains(l.more, "first_byte") {
			b.WriteString("    first_byte_timeout: 400ms\n")
		}
		b.WriteString("    idle_timeout: 400ms\n    breaker: {failures: 2, cooldown: 2s}\n")
		if l.more != "" {
			fmt.Fprintf(&b, "    %s\n", l.more)
		}
		fmt.Fprintf(&b, "    models: [{name: tiny, model: local/cloud%s}]\n", price)
	}
	return b.String()
}

func newSuite(t *testing.T) *suite {
	t.Helper()
	s := &suite{dir: t.TempDir(), bin: buildBinary(t)}
	for i, m := range []struct{ name, typ string }{{"cloud", "f32"}, {"home", "q8_0"}} {
		s.gguf[i] = filepath.Join(s.dir, m.name+".gguf")
		r := sluice(t, s.bin, "models", "synth", "--size", "tiny", "--type", m.typ, "--seed", fmt.Sprint(i+1), "-o", s.gguf[i])
		if r.exit != 0 {
			t.Fatalf("models synth: exit code %d\n%s", r.exit, r.stderr)
		}
	}
	upConfig := filepath.Join(s.dir, "cloud.yaml")
	writeConfig(t, upConfig, `
local: {threads: 1}
keys: [{name: gateway, secret: "${KEY_UP}"}]
`)
	s.cloud = start(t, "the cloud", s.bin, keyEnv, "--config", upConfig, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0",
		"--data-dir", filepath.Join(s.dir, "cloud-data"), "--model", s.gguf[0])
	s.cloud.key = upKey
	s.proxy = newProxy(t, s.cloud.base)
	s.dataDir = filepath.Join(s.dir, "data")
	s.config = filepath.Join(s.dir, "gateway.yaml")
	writeConfig(t, s.config, s.gatewayConfig(""))
	s.gw = start(t, "the gateway", s.bin, keyEnv, "--config", s.config)
	s.gw.key = opsKey
	return s
}

// TestEndToEnd drives the real binary: a gateway, another Sluice as its cloud,
// and a proxy between the two that breaks what it is told to.
func TestEndToEnd(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	s := newSuite(t)
	t.Run("local", s.local)
	t.Run("auto", s.auto)
	t.Run("structured", s.structured)
	t.Run("formatted", s.formatted)
	t.Run("redacted", s.redacted)
	t.Run("redacted-everywhere", s.redactedEverywhere)
	t.Run("residency", s.residency)
	t.Run("fallback", s.fallback)
	t.Run("retry", s.retry)
	t.Run("throttled", s.throttled)
	t.Run("unknown-fields", s.unknownFields)
	t.Run("traceparent", s.traceparent)
	t.Run("debug-headers", s.debugHeaders)
	t.Run("bad-requests", s.badRequests)
	t.Run("client-leaves", s.clientLeaves)
	t.Run("breakers", s.breakers)
	t.Run("reload", s.reload)
	t.Run("metrics", s.metrics)
	t.Run("escalated", s.escalated)
	t.Run("learned", s.learned)
	t.Run("no-chat-at-home", s.noChatAtHome)
	t.Run("shutdown", s.shutdown)
	if t.Failed() {
		return // the ledger cannot be as expected
	}
	t.Run("spans", s.spans)
	t.Run("ledger", s.ledger)
	t.Run("nothing-leaks", s.nothingLeaks)
	t.Run("tampering", s.tampering)
}

// untouched fails when f lets a byte reach the proxy.
func (s *suite) untouched(t *testing.T, f func()) {
	t.Helper()
	before := len(s.proxy.sent())
	f()
	if after := s.proxy.sent(); len(after) != before {
		t.Errorf("%d bytes reached the cloud:\n%.400s", len(after)-before, after[before:])
	}
}

func (s *suite) local(t *testing.T) {
	bothWays(t, func(t *testing.T, stream bool) {
		s.untouched(t, func() {
			a := s.gw.chat(t, stream, ask("local", "Say something short, with words of your own"))
			a.expect(t, http.StatusOK, "local", home)
			if a.text == "" || a.output == 0 || a.input == 0 {
				t.Errorf("text %q, %d tokens in, %d out", a.text, a.input, a.output)
			}
			b := s.gw.chat(t, !stream, ask("local/home", "Say something short, with words of your own"))
			if b.expect(t, http.StatusOK, "local", home); a.text != b.text {
				t.Errorf("streamed and unstreamed answers differ: %q, %q", a.text, b.text)
			}
			if stream && a.events < 3 {
				t.Errorf("the stream came in %d events", a.events)
			}
		})
	})
}

// structured asks the local tier for JSON and for a call. Its weights are random:
// only the grammar makes the answers what they are.
func (s *suite) structured(t *testing.T) {
	schema := body{"type": "object", "required": []string{"city", "days"}, "properties": body{
		"city": body{"enum": []string{"Rome", "Bern"}}, "days": body{"type": "integer", "minimum": 1, "maximum": 7},
	}}
	holds := func(t *testing.T, text string) {
		var v struct {
			City string
			Days int
		}
		if err := json.Unmarshal([]byte(text), &v); err != nil || v.City != "Rome" && v.City != "Bern" || v.Days < 1 || v.Days > 7 {
			t.Errorf("%q does not satisfy the schema: %v", text, err)
		}
	}
	tool := body{"type": "function", "function": body{"name": "weather", "parameters": schema}}
	bothWays(t, func(t *testing.T, stream bool) {
		a := s.gw.chat(t, stream, ask("local", "Write JSON, or something like it", body{
			"max_tokens": 80, "response_format": body{"type": "json_schema", "json_schema": body{"name": "w", "schema": schema}},
		}))
		a.expect(t, http.StatusOK, "local", home)
		if holds(t, a.text); a.finish != "stop" {
			t.Errorf("finish %s", a.finish)
		}
		a = s.gw.chat(t, stream, ask("local", "Call it, whatever it does", body{
			"max_tokens": 80, "tools": []any{tool}, "tool_choice": "required", "parallel_tool_calls": false,
		}))
		a.expect(t, http.StatusOK, "local", home)
		if holds(t, a.arguments); a.call != "weather" || a.finish != "tool_calls" {
			t.Errorf("call of %q, finish %s", a.call, a.finish)
		}
		if n := bytes.Count(a.raw, []byte(`"tool_calls":[`)); stream && n < 4 {
			t.Errorf("the call came in %d deltas", n)
		}
	})
}

func (s *suite) auto(t *testing.T) {
	bothWays(t, func(t *testing.T, stream bool) {
		s.untouched(t, func() {
			s.gw.chat(t, stream, ask("auto", easy)).expect(t, http.StatusOK, "local", home)
		})
		main := s.proxy.lane("main")
		n := len(main.requests())
		a := s.gw.chat(t, stream, ask("auto", hard))
		a.expect(t, http.StatusOK, "cloud", "main/tiny")
		if got := len(main.requests()) - n; got != 1 {
			t.Fatalf("the cloud saw %d requests", got)
		}
		if got := main.last(t).header.Get("Authorization"); got != "Bearer "+upKey {
			t.Errorf("the cloud was shown %q", got)
		}
		direct := s.cloud.chat(t, stream, ask("local/cloud", hard))
		if a.text == "" || a.text != direct.text || a.finish != direct.finish || a.output != direct.output {
			t.Errorf("the cloud said %q (%s, %d tokens), the client got %q (%s, %d tokens)",
				direct.text, direct.finish, direct.output, a.text, a.finish, a.output)
		}
	})
}

func (s *suite) redacted(t *testing.T) {
	bothWays(t, func(t *testing.T, stream bool) {
		main := s.proxy.lane("main")
		defer main.set(fault{})
		check := func() {
			t.Helper()
			sent := main.last(t).body
			for _, typ := range []string{"EMAIL_", "IBAN_", "CREDIT_CARD_"} {
				if !bytes.Contains(sent, []byte(typ)) {
					t.Errorf("no %s… in what was sent: %s", typ, sent)
				}
			}
			noLeaks(t, "what the cloud saw", s.proxy.sent(), email, iban, card)
		}
		main.set(fault{kind: faultEcho})
		a := s.gw.chat(t, stream, ask("cloud", data))
		a.expect(t, http.StatusOK, "cloud", "main/tiny")
		if a.text != data {
			t.Errorf("the client got %q\nwant           %q", a.text, data)
		}
		check()

		// A value with quotes around it, inside JSON inside JSON.
		quoted := `Note "` + email + `" \ and the card "` + card + `" for ` + iban + "\nthen stop"
		main.set(fault{kind: faultEchoTool})
		a = s.gw.chat(t, stream, ask("cloud", quoted, body{"tools": []any{body{"type": "function", "function": body{"name": "note", "parameters": body{"type": "object"}}}}}))
		a.expect(t, http.StatusOK, "cloud", "main/tiny")
		var args struct{ Text string }
		if err := json.Unmarshal([]byte(a.arguments), &args); err != nil || args.Text != quoted || a.call != "note" || a.finish != "tool_calls" {
			t.Errorf("tool call %s(%s), finish %s, %v; want the text %q", a.call, a.arguments, a.finish, err, quoted)
		}
		check()

		main.set(fault{}) // and through the real cloud
		s.gw.chat(t, stream, ask("cloud", data)).expect(t, http.StatusOK, "cloud", "main/tiny")
		check()
	})
}

// Personal data is taken out of every place that a request has for text.
func (s *suite) redactedEverywhere(t *testing.T) {
	main := s.proxy.lane("main")
	main.set(fault{kind: faultEcho})
	defer main.set(fault{})
	call := body{"id": "call_9", "type": "function", "function": body{"name": "look", "arguments": jsonOf(body{"who": email, "deep": body{card: []any{iban}}})}}
	b := body{"model": "cloud", "user": "u", "messages": []any{
		body{"role": "system", "content": "You write for " + email},
		body{"role": "user", "content": []any{body{"type": "text", "text": "Pay " + iban}, body{"type": "text", "text": "with " + card}}},
		body{"role": "assistant", "content": nil, "tool_calls": []any{call}},
		body{"role": "tool", "tool_call_id": "call_9", "content": `{"mail":"` + email + `","card":"` + strings.ReplaceAll(card, " ", "-") + `"}`},
		body{"role": "user", "name": "marta", "content": "Answer " + strings.ToUpper(email)},
	}, "tools": []any{body{"type": "function", "function": body{"name": "look", "description": "asks " + email, "parameters": body{
		"type": "object", "properties": body{"who": body{"type": "string", "enum": []any{email}, "default": iban}}}}}}}
	bothWays(t, func(t *testing.T, stream bool) {
		a := s.gw.chat(t, stream, b)
		a.expect(t, http.StatusOK, "cloud", "main/tiny")
		if want := "Answer " + strings.ToUpper(email); a.text != want {
			t.Errorf("the client got %q, want %q", a.text, want)
		}
		noLeaks(t, "what the cloud saw", s.proxy.sent(), email, iban, card)
	})
}

func (s *suite) residency(t *testing.T) {
	key := header{"Authorization", "Bearer " + acmeKey}
	const personal = "Write a friendly note to " + email + " about Tuesday"
	image := body{"messages": []any{body{"role": "user", "content": []any{
		body{"type": "text", "text": personal}, body{"type": "image_url", "image_url": body{"url": "data:image/png;base64,AAAA"}},
	}}}}
	bothWays(t, func(t *testing.T, stream bool) {
		for _, target := range []string{"main/tiny", "nowhere/tiny"} {
			s.untouched(t, func() { // the local model can answer: it does, and says so
				s.gw.chat(t, stream, ask(target, personal), key).expect(t, http.StatusOK, "degraded", home)
			})
			s.untouched(t, func() { // it cannot: a clear refusal
				a := s.gw.chat(t, stream, ask(target, "", image), key)
				a.expect(t, http.StatusForbidden, "blocked", "none")
				if a.code != "residency_no_target" || !strings.Contains(a.message, "residency") {
					t.Errorf("code %s, message %q", a.code, a.message)
				}
			})
		}
		a := s.gw.chat(t, stream, ask("cloud", personal), key) // of all clouds, the one in the EU
		a.expect(t, http.StatusOK, "cloud", "eu/tiny")
		s.untouched(t, func() { // acme's account numbers stay at home, wherever the cloud is
			s.gw.chat(t, stream, ask("eu/tiny", "Check the account "+iban+" please"), key).expect(t, http.StatusOK, "degraded", home)
		})
	})
	noLeaks(t, "what the cloud saw", s.proxy.sent(), email, iban)
}
