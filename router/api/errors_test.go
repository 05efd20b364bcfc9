package api

import (
	"encoding/json"
	"errors"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/internal/llm"
)

// kinds says with which kind each code is used.
var kinds = map[llm.Code]llm.Kind{
	llm.CodeInternal: llm.Internal, llm.CodeInvalidJSON: llm.Invalid, llm.CodeInvalidRequest: llm.Invalid,
	llm.CodeBodyTooLarge: llm.Invalid, llm.CodeContextLength: llm.Invalid, llm.CodeUpstreamRejected: llm.Invalid,
	llm.CodeInvalidKey: llm.Unauthenticated, llm.CodePolicyDenied: llm.Denied, llm.CodeResidency: llm.Denied,
	llm.CodePIIBlocked: llm.Denied, llm.CodeModelNotFound: llm.NotFound, llm.CodeNotFound: llm.NotFound,
	llm.CodeRateLimited: llm.Busy, llm.CodeBudgetExceeded: llm.Busy, llm.CodeBusy: llm.Busy,
	llm.CodeUpstream: llm.Unavailable, llm.CodeLocalInsufficient: llm.Unavailable, llm.CodeAudit: llm.Unavailable,
	llm.CodeTimeout: llm.Canceled, llm.CodeAnswerInvalid: llm.Unavailable, llm.CodeUnsupportedSchema: llm.Invalid,
}

// TestErrorsDocument holds docs/errors.md to the code: every code is there,
// with the status and the type that a client really gets.
func TestErrorsDocument(t *testing.T) {
	doc, err := os.ReadFile("../../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (\\d+) \\| `([a-z_]+)` \\|")
	seen := map[llm.Code]bool{}
	for _, m := range row.FindAllStringSubmatch(string(doc), -1) {
		code := llm.Code(m[1])
		seen[code] = true
		kind, ok := kinds[code]
		if !ok {
			t.Errorf("docs/errors.md has %q, which no error carries", code)
			continue
		}
		f := failureOf(&llm.Error{Kind: kind, Code: code, Msg: "x"})
		if want, _ := strconv.Atoi(m[2]); f.status != want || f.kind != m[3] {
			t.Errorf("%s: the gateway sends %d %s, the document says %s %s", code, f.status, f.kind, m[2], m[3])
		}
	}
	for code := range kinds {
		if !seen[code] {
			t.Errorf("docs/errors.md lacks %q", code)
		}
	}
}

func TestWriteError(t *testing.T) {
	w := httptest.NewRecorder()
	writeError(w, &llm.Error{Kind: llm.Busy, Code: llm.CodeRateLimited, Msg: "slow down", RetryAfter: 1500 * time.Millisecond, Err: errors.New("SECRET")}, "dec_1")
	var body struct {
		Error struct{ Message, Type, Code, Decision string }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatal(err)
	}
	if w.Code != 429 || w.Header().Get("Retry-After") != "2" || body.Error.Code != "rate_limited" || body.Error.Decision != "dec_1" {
		t.Errorf("%d, Retry-After %q, %s", w.Code, w.Header().Get("Retry-After"), w.Body)
	}
	if strings.Contains(w.Body.String(), "SECRET") {
		t.Error("the cause reached the client")
	}
	// What nobody explained is the log's, not the client's.
	w = httptest.NewRecorder()
	writeError(w, errors.New("SECRET at 10.0.0.1"), "dec_2")
	if w.Code != 500 || strings.Contains(w.Body.String(), "SECRET") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
