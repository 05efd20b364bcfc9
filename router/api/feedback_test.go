package api

import (
	"errors"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/internal/llm"
)

func TestReadFeedback(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		good       bool
		code       llm.Code
		param      string
	}{
		{"good", `{"id":"dec_1","good":true}`, true, "", ""},
		{"bad-with-a-score", `{"id":"dec_1","good":false,"score":0.9}`, false, "", ""},
		{"by-score", `{"id":"dec_1","score":0.5}`, true, "", ""},
		{"no-json", `secret`, false, llm.CodeInvalidJSON, ""},
		{"text", `{"id":"dec_1","good":true,"comment":"secret"}`, false, llm.CodeInvalidRequest, ""},
		{"no-id", `{"good":true}`, false, llm.CodeInvalidRequest, "id"},
		{"other-id", `{"id":"secret","good":true}`, false, llm.CodeInvalidRequest, "id"},
		{"nothing-said", `{"id":"dec_1"}`, false, llm.CodeInvalidRequest, "good"},
		{"score", `{"id":"dec_1","score":2}`, false, llm.CodeInvalidRequest, "score"},
		{"type", `{"id":"dec_1","good":"secret"}`, false, llm.CodeInvalidRequest, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, v, err := readFeedback([]byte(tt.body))
			e, _ := errors.AsType[*llm.Error](err)
			if (err != nil) != (tt.code != "") || e != nil && (e.Code != tt.code || e.Param != tt.param || strings.Contains(e.Error(), "secret")) || v.Good != tt.good {
				t.Errorf("verdict %+v, %v; want good %v, code %q, param %q", v, err, tt.good, tt.code, tt.param)
			}
		})
	}
}
