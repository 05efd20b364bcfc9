package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/internal/llm"
)

// What the gateway does not know goes up as it came, to the digit.
func (s *suite) unknownFields(t *testing.T) {
	const fields = `"x_vendor":{"n":12345678901234567890,"f":1.10,"s":"<&>é","list":[1,null,{"deep":true}]},"reasoning_effort":"low","logit_bias":{"50256":-100}`
	const part = `"cache_control":{"type":"ephemeral","n":1e3}`
	main := s.proxy.lane("main")
	bothWays(t, func(t *testing.T, stream bool) {
		for _, text := range []string{"nothing personal here", "write to " + email} {
			raw := fmt.Sprintf(`{"model":"cloud","max_tokens":4,%s,"stream":%v,"messages":[{"role":"user",%s,"content":%q}]}`, fields, stream, part, text)
			resp, err := s.gw.post(t.Context(), "/v1/chat/completions", []byte(raw))
			if err != nil {
				t.Fatal(err)
			}
			a := &answer{status: resp.StatusCode, header: resp.Header}
			a.read(t, resp)
			resp.Body.Close()
			a.expect(t, http.StatusOK, "cloud", "main/tiny")
			s.gw.expectRecord(resp, expected{"cloud", 200})
			for _, want := range []string{fields, part} {
				if got := main.last(t).body; !bytes.Contains(got, []byte(want)) {
					t.Errorf("the cloud saw\n%s\nwithout\n%s", got, want)
				}
			}
			if stream && (a.input != 0 || bytes.Contains(a.raw, []byte(`"usage"`))) {
				t.Errorf("the client got a usage it did not ask for:\n%s", a.raw)
			}
		}
	})
}

const (
	traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
	spanID  = "00f067aa0ba902b7"
)

func (s *suite) traceparent(t *testing.T) {
	main := s.proxy.lane("main")
	a := s.gw.chat(t, true, ask("cloud", "Trace this one all the way up"), header{"Traceparent", "00-" + traceID + "-" + spanID + "-01"}, header{"Baggage", "who=somebody"})
	a.expect(t, http.StatusOK, "cloud", "main/tiny")
	h := main.last(t).header
	if m := regexp.MustCompile(`^00-(\w{32})-(\w{16})-01$`).FindStringSubmatch(h.Get("Traceparent")); m == nil || m[1] != traceID || m[2] == spanID {
		t.Errorf("the cloud got traceparent %q, want the trace %s and a span of the gateway's", h.Get("Traceparent"), traceID)
	}
	for _, name := range []string{"Baggage", "Cookie", "X-Forwarded-For"} {
		if h.Get(name) != "" {
			t.Errorf("the cloud got %s: %q", name, h.Get(name))
		}
	}
}

func (s *suite) debugHeaders(t *testing.T) {
	names := []string{"Sluice-Reason", "Sluice-P-Local", "Server-Timing"}
	bothWays(t, func(t *testing.T, stream bool) {
		for _, tt := range []struct {
			key  string
			ask  bool
			show bool
		}{{opsKey, true, true}, {opsKey, false, false}, {plainKey, true, false}} {
			hs := []header{{"Authorization", "Bearer " + tt.key}}
			if tt.ask {
				hs = append(hs, header{"Sluice-Debug", "1"})
			}
			a := s.gw.chat(t, stream, ask("cloud", "Show me what you thought of it"), hs...)
			a.expect(t, http.StatusOK, "cloud", "main/tiny")
			for _, n := range names {
				if got := a.header.Get(n); (got != "") != tt.show {
					t.Errorf("%s: %q; debug asked for: %v, key %.8s", n, got, tt.ask, tt.key)
				}
			}
			cost := a.header.Get("Sluice-Cost-Usd")
			if stream {
				continue // its headers go out before anybody knows the cost
			}
			if (cost != "") != tt.show {
				t.Errorf("Sluice-Cost-Usd: %q", cost)
			}
			if want := fmt.Sprintf("%.9f", (2*float64(a.input)+8*float64(a.output))/1e6); cost != "" && cost != want {
				t.Errorf("Sluice-Cost-Usd: %s, want %s of %d and %d tokens", cost, want, a.input, a.output)
			}
		}
	})
}

// metrics reads the page while the gateway still runs.
func (s *suite) metrics(t *testing.T) {
	page := s.gw.get(t, s.gw.admin+"/metrics")
	for _, want := range []string{
		`sluice_requests_total\{.*route="cloud".*target="main/tiny".*\} [1-9]`,
		`sluice_requests_total\{.*route="degraded".*\} [1-9]`,
		`sluice_requests_total\{.*route="blocked".*status="403".*tenant="acme".*\} [1-9]`,
		`sluice_requests_total\{.*route="local".*\} [1-9]`,
		`sluice_attempts_total\{.*outcome="ok".*target="main/tiny".*\} [1-9]`,
		`sluice_attempts_total\{.*outcome="failed".*target="break-status/tiny".*\} 4`,
		`sluice_attempts_total\{.*outcome="broken".*target="break-cut/tiny".*\} 4`,
		`sluice_attempts_total\{.*outcome="skipped".*target="break-status/tiny".*\} [1-9]`,
		`sluice_attempts_total\{.*outcome="throttled".*target="throttle/tiny".*\} 1`,
		`sluice_attempts_total\{.*outcome="abandoned".*target="patient/tiny".*\} 6`,
		`sluice_tokens_total\{.*kind="output".*target="main/tiny".*\} [1-9]`,
		`sluice_cost_nano_usd_total\{.*target="main/tiny".*\} [1-9]`,
		`sluice_findings_total\{.*type="EMAIL".*\} [1-9]`,
		`sluice_assess_duration_seconds_count\{.*boundary="unsupported".*\} [1-9]`,
		`sluice_decide_duration_seconds_count\{.*hop="fallback".*\} [1-9]`,
		`sluice_request_first_byte_seconds_bucket`,
	} {
		if !regexp.MustCompile(want).MatchString(page) {
			t.Errorf("/metrics has no line like %s", want)
		}
	}
	if t.Failed() {
		for line := range strings.Lines(page) {
			if strings.HasPrefix(line, "sluice_") && !strings.Contains(line, "_bucket") {
				t.Log(strings.TrimSpace(line))
			}
		}
	}
	s.checkQuiet(t, "/metrics", []byte(page))
}

// A span is one line of the stdout exporter.
type span struct {
	Trace, Span, Parent, Name, Kind string
	Attributes                      map[string]any
}

// spans looks for the trace that the client began.
func (s *suite) spans(t *testing.T) {
	byName := map[string]span{}
	for line := range strings.Lines(s.gw.stderr.String()) {
		var sp span
		if strings.HasPrefix(line, "{") && json.Unmarshal([]byte(line), &sp) == nil && sp.Trace == traceID {
			if _, twice := byName[sp.Name]; twice {
				t.Errorf("the trace has two spans %q", sp.Name)
			}
			byName[sp.Name] = sp
		}
	}
	const root = "POST /v1/chat/completions"
	for name, parent := range map[string]string{
		root: "", "sluice.admit": root, "sluice.inspect": root, "sluice.assess": root, "sluice.decide": root,
		"chat local/cloud": root, "sluice.attempt": "chat local/cloud", "sluice.record": root,
	} {
		sp, ok := byName[name]
		want := spanID // the client's
		if parent != "" {
			want = byName[parent].Span
		}
		if !ok || sp.Parent != want {
			t.Errorf("span %q: there %v, its parent is %q, want %q (%s)", name, ok, sp.Parent, want, parent)
		}
	}
	if got := byName["sluice.attempt"].Attributes["sluice.outcome"]; got != "ok" {
		t.Errorf("the attempt's outcome is %v", got)
	}
	if t.Failed() {
		t.Logf("the trace has the spans %v", slices.Sorted(maps.Keys(byName)))
	}
}

// ledger holds the records against what the clients saw: one for each request, none else.
func (s *suite) ledger(t *testing.T) {
	r := sluice(t, s.bin, "audit", "verify", "--data-dir", s.dataDir)
	total := len(s.gw.want) + s.gw.unseen
	if r.exit != 0 || !strings.Contains(r.stdout, fmt.Sprintf("%d records in 1 segment", total)) {
		t.Errorf("audit verify: exit code %d, want 0 and %d records\n%s%s", r.exit, total, r.stdout, r.stderr)
	}
	r = sluice(t, s.bin, "audit", "tail", "--json", "-n", "100000", "--data-dir", s.dataDir)
	if r.exit != 0 {
		t.Fatalf("audit tail: exit code %d\n%s", r.exit, r.stderr)
	}
	seen := map[string]bool{}
	unseen, spent := 0, int64(0)
	for line := range strings.Lines(r.stdout) {
		var rec llm.Record
		if err := json.Unmarshal([]byte(line), &rec); err != nil {
			t.Fatalf("audit tail --json wrote %q: %v", line, err)
		}
		spent += rec.CostNano
		want, ok := s.gw.want[rec.ID]
		switch {
		case seen[rec.ID]:
			t.Errorf("two records of %s", rec.ID)
		case !ok:
			unseen++
			if rec.Status != http.StatusGatewayTimeout || rec.Code != llm.CodeTimeout {
				t.Errorf("a record of a request that no client saw answered: %s", line)
			}
		case string(rec.Route) != want.route, want.status > 0 && rec.Status != want.status, want.status < 0 && rec.Status < 500:
			t.Errorf("the client saw %+v, the record is %s", want, line)
		}
		if rec.Policy == "" && rec.Code != llm.CodeModelNotFound || rec.Config == 0 || rec.InputMAC == "" {
			t.Errorf("a record without policy, generation or digest: %s", line)
		}
		seen[rec.ID] = true
	}
	if unseen != s.gw.unseen || len(seen) != total {
		t.Errorf("%d records, %d of them of clients that left; want %d and %d", len(seen), unseen, total, s.gw.unseen)
	}
	if spent == 0 {
		t.Error("the records say that nothing was spent")
	}
	r = sluice(t, s.bin, "audit", "tail", "-n", "3", "--data-dir", s.dataDir)
	if n := strings.Count(r.stdout, "\n"); n != 3 || r.exit != 0 {
		t.Errorf("audit tail -n 3: exit code %d, %d lines\n%s", r.exit, n, r.stdout)
	}
	t.Logf("audit tail:\n%s", r.stdout)
}

// nothingLeaks searches what stays behind for what must not.
func (s *suite) nothingLeaks(t *testing.T) {
	files := 0
	for _, dir := range []string{s.dataDir, filepath.Join(s.dir, "cloud-data")} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			files++
			text, err := os.ReadFile(path)
			s.checkQuiet(t, path, text)
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	if files < 4 {
		t.Errorf("only %d files were searched", files)
	}
	for _, p := range []*process{s.gw, s.cloud} {
		s.checkQuiet(t, "the log of "+p.name, []byte(p.stderr.String()))
		if out := p.stdout.String(); out != "" {
			t.Errorf("%s wrote to stdout: %q", p.name, out)
		}
	}
}

// checkQuiet fails when text holds personal data, a key, or 24 bytes of what a client sent.
func (s *suite) checkQuiet(t *testing.T, where string, text []byte) {
	t.Helper()
	noLeaks(t, where, text, email, iban, card, opsKey, plainKey, acmeKey, upKey, "somebody")
	for _, p := range []*process{s.gw, s.cloud} {
		p.mu.Lock()
		prompts := slices.Compact(slices.Sorted(slices.Values(p.prompts)))
		p.mu.Unlock()
		for _, prompt := range prompts {
			for piece := range slices.Chunk([]byte(prompt), 24) {
				if len(piece) == 24 && bytes.Contains(text, piece) {
					t.Errorf("%s holds %q of a prompt", where, piece)
				}
			}
		}
	}
}

// tampering changes one byte in the middle of the ledger.
func (s *suite) tampering(t *testing.T) {
	segments, err := filepath.Glob(filepath.Join(s.dataDir, "ledger", "*"))
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	scan := bufio.NewScanner(strings.NewReader(sluice(t, s.bin, "audit", "tail", "--json", "-n", "100000", "--data-dir", s.dataDir).stdout))
	scan.Buffer(nil, 1<<20)
	for scan.Scan() {
		var rec llm.Record
		if err := json.Unmarshal(scan.Bytes(), &rec); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, rec.ID)
	}
	victim := len(ids) / 2
	for _, path := range segments {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		at := bytes.Index(text, []byte(ids[victim]))
		if at < 0 {
			continue
		}
		text[at+len(ids[victim])-1] ^= 1 // another decision's id
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		r := sluice(t, s.bin, "audit", "verify", "--data-dir", s.dataDir)
		if want := fmt.Sprintf("record %d", victim+1); r.exit != 1 || !strings.Contains(r.stderr, want) || strings.Contains(r.stdout, "whole") {
			t.Errorf("audit verify: exit code %d, want 1 and %q\n%s%s", r.exit, want, r.stdout, r.stderr)
		}
		t.Logf("audit verify:\n%s%s", r.stdout, r.stderr)
		return
	}
	t.Error(errors.New("no segment holds the record"))
}
