package pii

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/internal/llm"
)

// positions are the places of a chat request in which a value can hide; %s is the value.
var positions = []struct{ name, path, body string }{
	{"user-text", "/messages/0/content", `{"messages":[{"role":"user","content":"hi %s"}]}`},
	{"system-text", "/messages/0/content", `{"messages":[{"role":"system","content":"hi %s"}]}`},
	{"assistant-history", "/messages/1/content", `{"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"%s"}]}`},
	{"content-part", "/messages/0/content/1/text", `{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"%s"}]}]}`},
	{"tool-arguments", "/messages/0/tool_calls/0/function/arguments", `{"messages":[{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"to\":\"%s\"}"}}]}]}`},
	{"tool-result", "/messages/0/content", `{"messages":[{"role":"tool","tool_call_id":"c","content":"{\"mail\": \"%s\"}"}]}`},
	{"tool-schema", "/tools/0/function/parameters/properties/to/description", `{"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"to":{"description":"like %s"}}}}}]}`},
	{"schema-enum", "/tools/0/function/parameters/enum/1", `{"tools":[{"type":"function","function":{"name":"f","parameters":{"enum":["a","%s"]}}}]}`},
	{"message-name", "/messages/0/name", `{"messages":[{"role":"user","name":"%s","content":"x"}]}`},
	{"metadata", "/metadata/owner", `{"metadata":{"owner":"%s"},"messages":[]}`},
	{"user-field", "/user", `{"user":"%s","messages":[]}`},
	{"unknown-field", "/x_vendor/a~1b/0/~0", `{"x_vendor":{"a/b":[{"~":"%s"}]}}`},
	{"object-key", "/metadata/~1#", `{"metadata":{"a":1,"%s":"x"}}`},
	{"refusal-history", "/messages/0/refusal", `{"messages":[{"role":"assistant","refusal":"no, %s"}]}`},
	{"stop", "/stop/0", `{"stop":["%s"]}`},
	{"image-url-plain", "/messages/0/content/0/image_url/url", `{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://x.example/?to=%s"}}]}]}`},
	{"image-url-forged", "/messages/0/content/0/image_url/url", `{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,%s"}}]}]}`},
	{"escaped", "/a", `{"a":"line\n\u00fc\ud83d\ude00 %s \"q\""}`},
}

const email = "jane.doe@example.com"

func TestPositions(t *testing.T) {
	in := newTest(t, Config{})
	for _, p := range positions {
		t.Run(p.name, func(t *testing.T) {
			body := fmt.Sprintf(p.body, email)
			req := &llm.Request{ID: "dec_1", Body: []byte(body)}
			fs, err := in.Inspect(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			if len(fs) != 1 || fs[0].Type != Email || fs[0].Path != p.path {
				t.Fatalf("findings %+v, want one at %s", fs, p.path)
			}
			out, r, err := in.Redact(req, fs, []string{Email})
			if err != nil {
				t.Fatal(err)
			}
			if !json.Valid(out) || strings.Contains(string(out), email) {
				t.Fatalf("redacted to %s", out)
			}
			token := r.(*Restorer).entries[0].canon
			if got, want := string(out), fmt.Sprintf(p.body, "EMAIL_"+strings.TrimPrefix(token, "EMAIL")); got != want {
				t.Errorf("got  %s\nwant %s", got, want) // nothing else has changed
			}
			if got := r.(*Restorer).Text(string(out)); got != body {
				t.Errorf("restored to %s", got)
			}
		})
	}
}

func TestOffsets(t *testing.T) {
	in := newTest(t, Config{})
	req := &llm.Request{Body: []byte(`{"messages":[{"content":"日本 😀\ud83d\ude00é\n ` + email + ` – x@example.org"}]}`)}
	fs, err := in.Inspect(t.Context(), req)
	if err != nil || len(fs) != 2 {
		t.Fatal(fs, err)
	}
	text := []rune("日本 😀😀é\n " + email + " – x@example.org")
	if got := string(text[fs[0].Start:fs[0].End]); got != email {
		t.Errorf("first finding is %q", got)
	}
	if got := string(text[fs[1].Start:fs[1].End]); got != "x@example.org" {
		t.Errorf("second finding is %q", got)
	}
}

func TestNumbersAndMembers(t *testing.T) {
	in := newTest(t, Config{})
	tests := []struct{ name, body, path, typ string }{
		{"card-as-number", `{"metadata":{"card":4111111111111111}}`, "/metadata/card", CreditCard},
		{"ssn-as-number", `{"metadata":{"ssn":123456789}}`, "/metadata/ssn", USSSN},
		{"phone-by-member", `{"metadata":{"phone":"030 901820"}}`, "/metadata/phone", Phone},
		{"password-by-member", `{"metadata":{"db_password":"hunter22"}}`, "/metadata/db_password", Secret},
		{"seed-is-none", `{"seed":4111111111111111,"max_tokens":123456789}`, "", ""},
		{"schema-limits", `{"tools":[{"maximum":9007199254740991}]}`, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			req := &llm.Request{Body: []byte(tt.body)}
			fs, err := in.Inspect(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			if tt.typ == "" {
				if len(fs) > 0 {
					t.Errorf("found %+v", fs)
				}
				return
			}
			if len(fs) != 1 || fs[0].Type != tt.typ || fs[0].Path != tt.path {
				t.Fatalf("found %+v", fs)
			}
			out, _, err := in.Redact(req, fs, Types())
			if err != nil || !json.Valid(out) || !strings.Contains(string(out), `"`+tt.typ+"_") {
				t.Errorf("redacted to %s, %v", out, err)
			}
		})
	}
}

func TestPayloadsAreSkipped(t *testing.T) {
	in := newTest(t, Config{})
	payload := strings.Repeat("AKIAIOSFODNN7EXAMPLE/", 20)
	for _, body := range []string{
		`{"messages":[{"content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,` + payload + `"}}]}]}`,
		`{"messages":[{"content":[{"type":"input_audio","input_audio":{"data":"` + payload + `"}}]}]}`,
	} {
		if fs, err := in.Inspect(t.Context(), &llm.Request{Body: []byte(body)}); err != nil || len(fs) > 0 {
			t.Errorf("found %+v, %v", fs, err)
		}
	}
	body := `{"messages":[{"content":[{"type":"input_text","data":"` + payload + `"}]}]}`
	if fs, err := in.Inspect(t.Context(), &llm.Request{Body: []byte(body)}); err != nil || len(fs) != 20 {
		t.Errorf("elsewhere the payload has %d findings, want 20 (%v)", len(fs), err)
	}
}

func TestMalformed(t *testing.T) {
	in := newTest(t, Config{})
	for _, body := range []string{
		``, `[]`, `"x"`, `{`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{"a":1}x`, `{"a":[1,]}`, `{"a":"x`, `{"a":"\x"}`, `{"a":"\u12"}`,
		"{\"a\":\"\n\"}", `{"a":01}`, `{"a":1.}`, `{"a":1e}`, `{"a":tru}`, `{"a":NaN}`, `{a:1}`, `{'a':1}`, "{\"a\":\"\xff\"}", "{\"a\":\"\xed\xa0\x80\"}",
		`{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `{"a":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`,
	} {
		_, err := in.Inspect(t.Context(), &llm.Request{Body: []byte(body)})
		if err == nil || llm.KindOf(err) != llm.Invalid {
			t.Errorf("%.40q: error %v, want an invalid request", body, err)
		}
	}
	var many strings.Builder
	for i := range 100 {
		fmt.Fprintf(&many, `"k%d":1,`, i)
	}
	if _, err := in.Inspect(t.Context(), &llm.Request{Body: []byte(`{` + many.String() + `"z":1}`)}); err != nil {
		t.Errorf("100 keys: %v", err)
	}
	if _, err := in.Inspect(t.Context(), &llm.Request{Body: []byte(`{` + many.String() + `"k70":1}`)}); err == nil {
		t.Error("a key that is there twice among 101 passed")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := in.Inspect(ctx, &llm.Request{Body: []byte(`{` + many.String() + `"z":1}`)}); llm.KindOf(err) != llm.Canceled {
		t.Errorf("canceled: %v", err)
	}
}

// The error of a malformed body must not carry a byte of it.
func TestMalformedSaysNothing(t *testing.T) {
	in := newTest(t, Config{})
	_, err := in.Inspect(t.Context(), &llm.Request{Body: []byte(`{"jane@example.com":"` + email + `"`)})
	if err == nil || strings.Contains(err.Error(), "jane") {
		t.Errorf("error %v", err)
	}
}

func FuzzWalk(f *testing.F) {
	for _, p := range positions {
		f.Add([]byte(fmt.Sprintf(p.body, email)))
	}
	f.Add([]byte(`{"a":-0.5e+3,"b":[true,false,null,"\ud800"]}`))
	in := newTest(f, Config{})
	f.Fuzz(func(t *testing.T, body []byte) {
		req := &llm.Request{ID: "dec_1", Body: body}
		fs, err := in.Inspect(context.Background(), req)
		if err != nil {
			return
		}
		if !json.Valid(body) {
			t.Fatalf("accepted %q", body)
		}
		out, r, err := in.Redact(req, fs, Types())
		if err != nil {
			t.Fatalf("redact: %v", err)
		}
		if !json.Valid(out) {
			t.Fatalf("%q redacted to %q", body, out)
		}
		if len(fs) > 0 && r.(*Restorer).Text(string(out)) == string(out) {
			t.Fatalf("nothing to restore in %q", out)
		}
	})
}
