package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// Answers of clouds are held to the schema of their request.
func (s *suite) formatted(t *testing.T) {
	main := s.proxy.lane("main")
	main.set(fault{kind: faultEcho})
	defer main.set(fault{})
	format := body{"response_format": body{"type": "json_schema", "json_schema": body{"name": "c", "schema": body{
		"type": "object", "required": []string{"mail", "days"}, "additionalProperties": false,
		"properties": body{"mail": body{"type": "string", "format": "email", "maxLength": 40}, "days": body{"type": "integer"}},
	}}}}
	tools := body{"tools": []any{body{"type": "function", "function": body{"name": "note", "parameters": body{
		"type": "object", "required": []string{"text", "urgent"}, "properties": body{"text": body{"type": "string"}, "urgent": body{"type": "boolean", "default": false}},
	}}}}}
	image := func(text string) body {
		return body{"messages": []any{body{"role": "user", "content": []any{
			body{"type": "text", "text": text}, body{"type": "image_url", "image_url": body{"url": "data:image/png;base64,AAAA"}},
		}}}}
	}
	bothWays(t, func(t *testing.T, stream bool) {
		// Valid: not a byte of it changes.
		right := `{"mail": "` + email + `",  "days": 3}`
		a := s.gw.chat(t, stream, ask("cloud", right, format))
		a.expect(t, http.StatusOK, "cloud", "main/tiny")
		if a.text != right {
			t.Errorf("the client got %q", a.text)
		}
		// Almost right, with personal data that the cloud never saw.
		a = s.gw.chat(t, stream, ask("cloud", "Gladly:\n```json\n{mail: '"+email+"', Days: \"3\",}\n```", format))
		a.expect(t, http.StatusOK, "cloud", "main/tiny")
		if a.text != `{"mail":"`+email+`","days":3}` || a.finish != "stop" {
			t.Errorf("the client got %q (%s)", a.text, a.finish)
		}
		if bytes.Contains(main.last(t).body, []byte(email)) {
			t.Error("the cloud saw the address")
		}
		// Hopeless: the next target answers, or nobody.
		a = s.gw.chat(t, stream, ask("main/tiny", "No.", format, body{"max_tokens": 200}))
		a.expect(t, http.StatusOK, "degraded", home)
		var v struct {
			Mail *string
			Days *int
		}
		if err := json.Unmarshal([]byte(a.text), &v); err != nil || v.Mail == nil || v.Days == nil {
			t.Errorf("the local model answered %q: %v", a.text, err)
		}
		a = s.gw.chat(t, stream, ask("main/tiny", "", image("No."), format))
		a.expect(t, http.StatusBadGateway, "blocked", "none")
		if a.code != "answer_invalid" || strings.Contains(a.message, "No.") {
			t.Errorf("code %s, message %q", a.code, a.message)
		}
		// Arguments of calls.
		main.set(fault{kind: faultEchoTool})
		a = s.gw.chat(t, stream, ask("cloud", "Call me", tools))
		a.expect(t, http.StatusOK, "cloud", "main/tiny")
		if a.call != "note" || a.arguments != `{"text":"Call me","urgent":false}` || a.finish != "tool_calls" {
			t.Errorf("call %s(%s), finish %s", a.call, a.arguments, a.finish)
		}
		main.set(fault{kind: faultEcho}) // and calls that came as text
		a = s.gw.chat(t, stream, ask("cloud", `[note(text="x", urgent=True)]`, tools, body{"tool_choice": "required"}))
		a.expect(t, http.StatusOK, "cloud", "main/tiny")
		if a.call != "note" || a.arguments != `{"text":"x","urgent":true}` || a.text != "" || a.finish != "tool_calls" {
			t.Errorf("call %s(%s) and %q, finish %s", a.call, a.arguments, a.text, a.finish)
		}
	})
	page := s.gw.get(t, s.gw.admin+"/metrics")
	for _, want := range []string{`verdict="repaired"`, `verdict="invalid"`, `sluice_format_fixes_total{kind="fence"`} {
		if !strings.Contains(page, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
}
