package main

import (
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
	text := strings.NewReplacer("escalate: 0", "escalate: 0.3", s.dataDir, s.dataDir+"-doubtful").Replace(s.gatewayConfig("routing: {commit: {tokens: 4, wait: 10s}}"))
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
			if len(r.Attempts) != 2 || r.Attempts[0].Outcome != llm.Insufficient || r.Attempts[0].Code != "unsure" || r.Attempts[1].Hop != llm.Escalate || r.Revised == nil || *r.Revised > 0.3 {
				t.Errorf("record %+v", r)
			}
		}
		return nil
	})
	if err != nil || n != 2 {
		t.Errorf("%d escalated records, %v", n, err)
	}
}
