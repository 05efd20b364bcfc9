package main

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/internal/llm"
	"github.com/sluice-ai/sluice/telemetry/ledger"
)

// escalated asks a gateway that gives up doubtful answers. The home model's
// weights are random, so that it doubts every token: within the commit window, and
// unseen by the client, the cloud takes over.
func (s *suite) escalated(t *testing.T) {
	config := filepath.Join(s.dir, "doubtful.yaml")
	text := strings.NewReplacer("escalate: 0", "escalate: 0.6", s.dataDir, s.dataDir+"-doubtful").Replace(s.gatewayConfig("routing: {commit: {tokens: 4, wait: 10s}}"))
	writeConfig(t, config, text)
	gw := start(t, "the doubtful gateway", s.bin, keyEnv, "--config", config)
	gw.key = opsKey
	bothWays(t, func(t *testing.T, stream bool) {
		a := gw.chat(t, stream, ask("auto", easy))
		a.expect(t, http.StatusOK, "cloud", "main/tiny")
		direct := s.cloud.chat(t, stream, ask("local/cloud", easy))
		if a.text == "" || a.text != direct.text {
			t.Errorf("the client got %q, the cloud said %q", a.text, direct.text)
		}
		s.untouched(t, func() { // the client's own word counts more
			gw.chat(t, stream, ask("local", easy)).expect(t, http.StatusOK, "local", home)
		})
	})
	if m := gw.get(t, gw.admin+"/metrics"); !strings.Contains(m, `sluice_commit_wait_seconds_count{`) || !strings.Contains(m, `passed="false"`) {
		t.Error("the metrics lack sluice_commit_wait_seconds of a window that did not pass")
	}
	gw.stop(t, patience)
	n := 0
	err := ledger.Scan(filepath.Join(s.dataDir+"-doubtful", "ledger"), func(e ledger.Entry) error {
		if r := e.Record; r.Route == llm.RouteCloud {
			n++
			if len(r.Attempts) != 2 || r.Attempts[0].Outcome != llm.Insufficient || r.Attempts[0].Code != "unsure" || r.Attempts[1].Hop != llm.Escalate || r.Revised == nil || *r.Revised > 0.6 {
				t.Errorf("record %+v", r)
			}
		}
		return nil
	})
	if err != nil || n != 2 {
		t.Errorf("%d escalated records, %v", n, err)
	}
}

// learned asks a gateway that copies what it answers at home to the cloud, tells it
// what it thinks of an answer, and calibrates on what the ledger then holds.
func (s *suite) learned(t *testing.T) {
	config := filepath.Join(s.dir, "learning.yaml")
	dir := s.dataDir + "-learning"
	writeConfig(t, config, strings.ReplaceAll(s.gatewayConfig("routing: {shadow: {share: 1}}"), s.dataDir, dir))
	gw := start(t, "the learning gateway", s.bin, keyEnv, "--config", config)
	gw.key = opsKey
	main := s.proxy.lane("main")
	before := len(main.requests())
	a := gw.chat(t, false, ask("auto", easy))
	a.expect(t, http.StatusOK, "local", home)
	decision := a.header.Get("Sluice-Decision")
	gw.chat(t, false, ask("local", easy)).expect(t, http.StatusOK, "local", home)
	gw.chat(t, false, ask("auto", easy+" "+email)).expect(t, http.StatusOK, "local", home)
	eventually(t, "the copy to be compared", func() error {
		if m := gw.get(t, gw.admin+"/metrics"); !strings.Contains(m, `sluice_shadows_total{outcome="compared"`) || !strings.Contains(m, `outcome="denied"`) {
			return errors.New("there is no comparison yet, or no refusal of the one with personal data")
		}
		return nil
	})
	if n := len(main.requests()) - before; n != 1 || bytes.Contains(main.last(t).body, []byte(email)) {
		t.Errorf("%d copies reached the cloud, want one", n)
	}
	post := func(body, key string) (int, string) {
		resp, err := gw.post(t.Context(), "/v1/feedback", []byte(body), header{"Authorization", "Bearer " + key})
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b)
	}
	if status, b := post(`{"id":"`+decision+`","good":true}`, opsKey); status != 200 || !strings.Contains(b, `"id":"fbk_`) {
		t.Errorf("feedback: %d %s", status, b)
	}
	for _, tt := range []struct {
		body, key string
		status    int
	}{
		{`{"id":"` + decision + `","good":true}`, acmeKey, 404}, {`{"id":"dec_none","good":true}`, opsKey, 404},
		{`{"id":"` + decision + `"}`, opsKey, 400}, {`{"id":"` + decision + `","good":true}`, "sk-nobody", 401},
	} {
		if status, b := post(tt.body, tt.key); status != tt.status || !strings.Contains(b, `"error"`) {
			t.Errorf("feedback %s: %d %s, want %d", tt.body, status, b, tt.status)
		}
	}
	if st := gw.get(t, gw.admin+"/status"); !strings.Contains(st, `"judge":{`) || !strings.Contains(st, `"outcomes":2`) {
		t.Errorf("status %s", st)
	}
	gw.stop(t, patience)
	again := start(t, "the learning gateway, again", s.bin, keyEnv, "--config", config) // it still knows the decision
	again.key = opsKey
	gw = again
	if status, b := post(`{"id":"`+decision+`","score":0.1}`, opsKey); status != 200 || !strings.Contains(b, `"good":false`) {
		t.Errorf("feedback after a restart: %d %s", status, b)
	}
	gw.stop(t, patience)
	if r := sluice(t, s.bin, "audit", "verify", "--data-dir", dir); r.exit != 0 {
		t.Errorf("audit verify: %s", r.stderr)
	}
	if r := sluice(t, s.bin, "audit", "tail", "--data-dir", dir); !strings.Contains(r.stdout, "feedback") || !strings.Contains(r.stdout, "bad (0.10), of "+decision) || !strings.Contains(r.stdout, "shadow") {
		t.Errorf("audit tail: %s%s", r.stdout, r.stderr)
	}
	r := sluice(t, s.bin, "calibrate", "--ledger", "--data-dir", dir)
	if r.exit != 1 || !strings.Contains(r.stderr, "1 by feedback, 0 by comparison; 0 of another judge") || !strings.Contains(r.stdout, "1 ledger, 1 of them bad") {
		t.Errorf("calibrate: exit code %d\n%s%s", r.exit, r.stdout, r.stderr)
	}
	if r := sluice(t, s.bin, "calibrate", "--ledger", "--learn", "shadow", "--good", "0", "--data-dir", dir); !strings.Contains(r.stdout, "1 ledger, 0 of them bad") {
		t.Errorf("calibrate on comparisons: %s%s", r.stdout, r.stderr)
	}
}
