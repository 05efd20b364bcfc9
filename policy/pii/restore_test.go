package pii

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/internal/llm"
)

// redacted returns the placeholders of the values in the text, in order, and the restorer.
func redacted(t testing.TB, text string) (string, *Restorer) {
	t.Helper()
	in := newTest(t, Config{})
	body, _ := json.Marshal(map[string]string{"t": text})
	req := &llm.Request{ID: "dec_1", Body: body}
	fs, err := in.Inspect(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	out, r, err := in.Redact(req, fs, Types())
	if err != nil {
		t.Fatal(err)
	}
	var m struct{ T string }
	if err := json.Unmarshal(out, &m); err != nil {
		t.Fatal(err)
	}
	return m.T, r.(*Restorer)
}

func TestRestoreStreams(t *testing.T) {
	const text = "Write to jane.doe@example.com or joe@example.com, card 4111 1111 1111 1111; EMAIL EMA IBAN_ CREDIT_CARD_ 12 😀 jane.doe@example.com"
	out, _ := redacted(t, text)
	for cut := 0; cut <= len(out); cut++ {
		for _, second := range []int{cut, min(len(out), cut+1), min(len(out), cut+7), len(out)} {
			_, r := redacted(t, text)
			var got strings.Builder
			for i, piece := range []string{out[:cut], out[cut:second], out[second:]} {
				ev := llm.Event{Choices: []llm.Delta{{Text: piece}}}
				if i == 2 {
					ev.Choices[0].Finish = llm.Stop
				}
				r.Event(&ev)
				got.WriteString(ev.Choices[0].Text)
			}
			if got.String() != text {
				t.Fatalf("cut at %d and %d: %q", cut, second, got.String())
			}
			if d := r.Flush(); d != nil {
				t.Fatalf("cut at %d: %+v is still held back", cut, d)
			}
			if r.Restored() != 4 {
				t.Fatalf("restored %d", r.Restored())
			}
		}
	}
}

func TestRestoreByteByByte(t *testing.T) {
	const text = "a jane.doe@example.com b"
	out, r := redacted(t, text)
	var got strings.Builder
	most := 0
	for i := range len(out) {
		ev := llm.Event{Choices: []llm.Delta{{Text: out[i : i+1]}}}
		r.Event(&ev)
		got.WriteString(ev.Choices[0].Text)
		most = max(most, len(r.held[lane{}]))
	}
	if got.String() != text || most != len("EMAIL_")+tokenLen-1 {
		t.Errorf("got %q, held back %d bytes at most", got.String(), most)
	}
}

func TestRestoreLanes(t *testing.T) {
	const value = `jane.doe@example.com`
	out, r := redacted(t, value)
	head, tail := out[:9], out[9:]
	two := func(text string) []llm.Delta {
		return []llm.Delta{
			{Index: 0, Text: text, Reasoning: text, Refusal: text, ToolCalls: []llm.ToolDelta{{Index: 0, Arguments: text}, {Index: 1, Arguments: text}}},
			{Index: 1, Text: text},
		}
	}
	first := llm.Event{Choices: two(head)}
	r.Event(&first)
	if d := first.Choices[0]; d.Text+d.Reasoning+d.Refusal+d.ToolCalls[0].Arguments+d.ToolCalls[1].Arguments+first.Choices[1].Text != "" || !first.Edited {
		t.Fatalf("let out %+v", first)
	}
	second := llm.Event{Choices: two(tail)}
	r.Event(&second)
	for _, got := range []string{second.Choices[0].Text, second.Choices[0].Reasoning, second.Choices[0].Refusal,
		second.Choices[0].ToolCalls[0].Arguments, second.Choices[0].ToolCalls[1].Arguments, second.Choices[1].Text} {
		if got != value {
			t.Errorf("a lane got %q", got)
		}
	}
	if second.Choices[0].ToolCalls[0].ID != "" {
		t.Error("an id appeared")
	}
	// An unfinished answer, and a finish that comes alone.
	r.Event(&llm.Event{Choices: two(head)})
	end := llm.Event{Choices: []llm.Delta{{Index: 0, Finish: llm.ToolCalls}}}
	r.Event(&end)
	if d := end.Choices[0]; d.Text != head || d.Reasoning != head || len(d.ToolCalls) != 2 || d.ToolCalls[1] != (llm.ToolDelta{Index: 1, Arguments: head}) {
		t.Errorf("the finish released %+v", d)
	}
	if d := r.Flush(); len(d) != 1 || d[0].Index != 1 || d[0].Text != head {
		t.Errorf("flushed %+v", d)
	}
}

func TestRestoreWhole(t *testing.T) {
	out, r := redacted(t, "jane.doe@example.com")
	raw := json.RawMessage(`{"choices":[]}`)
	ev := llm.Event{Whole: true, Raw: raw, Choices: []llm.Delta{{Text: "To " + out + " EMAIL_7", ToolCalls: []llm.ToolDelta{{Arguments: `{"to":"` + out + `"}`}}}}}
	r.Event(&ev)
	if ev.Choices[0].Text != "To jane.doe@example.com EMAIL_7" || ev.Choices[0].ToolCalls[0].Arguments != `{"to":"jane.doe@example.com"}` || !ev.Edited || string(ev.Raw) != string(raw) {
		t.Errorf("%+v", ev)
	}
	ev = llm.Event{Whole: true, Raw: raw, Choices: []llm.Delta{{Text: "nothing here"}}}
	if r.Event(&ev); ev.Edited {
		t.Error("an event without placeholders is marked as edited")
	}
}

// Arguments are JSON text: a value with quotes and line breaks must stay one string.
func TestRestoreArguments(t *testing.T) {
	const secret = "-----BEGIN PRIVATE KEY-----\n\"a\\b\"\n-----END PRIVATE KEY-----"
	out, r := redacted(t, secret)
	ev := llm.Event{Whole: true, Choices: []llm.Delta{{Text: out, ToolCalls: []llm.ToolDelta{{Arguments: `{"key":"` + out + `"}`}}}}}
	r.Event(&ev)
	var args struct{ Key string }
	if err := json.Unmarshal([]byte(ev.Choices[0].ToolCalls[0].Arguments), &args); err != nil || args.Key != secret || ev.Choices[0].Text != secret {
		t.Errorf("%v: %q, text %q", err, ev.Choices[0].ToolCalls[0].Arguments, ev.Choices[0].Text)
	}
	// The other way: found in arguments, where it was escaped, it is restored unescaped in text.
	in := newTest(t, Config{})
	args2, _ := json.Marshal(map[string]string{"key": secret})
	body, _ := json.Marshal(map[string]string{"arguments": string(args2)})
	req := &llm.Request{ID: "dec_1", Body: body}
	fs, err := in.Inspect(t.Context(), req)
	if err != nil || len(fs) != 1 {
		t.Fatal(fs, err)
	}
	_, r2, err := in.Redact(req, fs, Types())
	if err != nil {
		t.Fatal(err)
	}
	if got := string(r2.(*Restorer).entries[0].value); got != secret {
		t.Errorf("the value is %q", got)
	}
}

func TestRestoreDamaged(t *testing.T) {
	const value = "jane.doe@example.com"
	out, _ := redacted(t, value)
	half := len(out) - 5
	for _, damaged := range []string{
		strings.ToLower(out), strings.ReplaceAll(out, "_", `\_`), strings.ReplaceAll(out, "_", " "), strings.ReplaceAll(out, "_", "-"),
		out[:half] + " " + out[half:], "`" + out + "`", "**" + out + "**", strings.Replace(out, "_", "", 1),
	} {
		_, r := redacted(t, value)
		if got := r.Text("x " + damaged + " y"); !strings.Contains(got, value) || strings.Contains(got, out[half:]) {
			t.Errorf("%q restored to %q", damaged, got)
		}
	}
	_, r := redacted(t, value)
	for _, other := range []string{out[:len(out)-1], out[:half] + "!" + out[half:], "EMAIL_000000000000", "email", out[:half] + "    " + out[half:]} {
		if got := r.Text(other); got != other {
			t.Errorf("%q is no placeholder, restored to %q", other, got)
		}
	}
}

func TestRedactIsIdentity(t *testing.T) {
	in := newTest(t, Config{})
	r := rand.New(rand.NewPCG(5, 6))
	for i := range 300 {
		text := generate(r)
		body, _ := json.Marshal(map[string]any{"messages": []any{map[string]any{"content": text}, map[string]any{"content": text + " again"}}, "x": map[string]any{"y": text}})
		req := &llm.Request{ID: fmt.Sprint("dec_", i), Body: body}
		fs, err := in.Inspect(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.IsSortedFunc(fs, func(a, b llm.Finding) int {
			return strings.Compare(fmt.Sprintf("%s %06d", a.Path, a.Start), fmt.Sprintf("%s %06d", b.Path, b.Start))
		}) {
			t.Fatalf("findings are not in order: %+v", fs)
		}
		out, restorer, err := in.Redact(req, fs, Types())
		if err != nil {
			t.Fatal(err)
		}
		var before, after map[string]any
		json.Unmarshal(body, &before)
		if err := json.Unmarshal(out, &after); err != nil {
			t.Fatal(err)
		}
		rest := restorer.(*Restorer)
		for _, e := range rest.entries {
			if len(e.value) >= minAgain && containsWord(string(out), string(e.json)) {
				t.Fatalf("value %q is still in %s", e.value, out)
			}
		}
		if got := rest.Text(after["x"].(map[string]any)["y"].(string)); got != text {
			t.Fatalf("restored\n%q, want\n%q", got, text)
		}
		again, err := in.Inspect(t.Context(), &llm.Request{Body: out})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range again {
			if f.Type != Phone { // the rest of two numbers may join to one
				t.Fatalf("the redacted body still has %+v: %s", f, out)
			}
		}
	}
}

func containsWord(text, word string) bool {
	for from := 0; ; {
		k := strings.Index(text[from:], word)
		if k < 0 {
			return false
		}
		k += from
		b, end := []byte(text), k+len(word)
		if !(isAlnum(word[0]) && isAlnum(at(b, k-1)) || isAlnum(word[len(word)-1]) && isAlnum(at(b, end))) {
			return true
		}
		from = k + 1
	}
}

func TestRedactSessions(t *testing.T) {
	in := newTest(t, Config{})
	redact := func(tenant, session, id string) string {
		req := &llm.Request{ID: id, Session: session, Principal: llm.Principal{Tenant: tenant}, Body: []byte(`{"a":"` + email + ` ` + email + ` joe@example.com"}`)}
		fs, err := in.Inspect(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		out, _, err := in.Redact(req, fs, []string{Email})
		if err != nil {
			t.Fatal(err)
		}
		var m struct{ A string }
		json.Unmarshal(out, &m)
		w := strings.Fields(m.A)
		if w[0] != w[1] || w[0] == w[2] {
			t.Errorf("placeholders %q", w)
		}
		return w[0]
	}
	a := redact("t", "s", "1")
	if b := redact("t", "s", "2"); a != b {
		t.Errorf("one session, two placeholders: %s, %s", a, b)
	}
	for _, b := range []string{redact("t", "s2", "1"), redact("t2", "s", "1"), redact("t", "", "1"), redact("t", "", "2")} {
		if a == b {
			t.Errorf("%s is shared across scopes", a)
		}
	}
}

func TestRedactOnlyTypes(t *testing.T) {
	in := newTest(t, Config{})
	req := &llm.Request{ID: "1", Body: []byte(`{ "b" : 1.50, "a":"` + email + ` 4111111111111111, ssn 123456789 and 123456789" , "z":null}`)}
	fs, _ := in.Inspect(t.Context(), req)
	out, _, err := in.Redact(req, fs, []string{CreditCard})
	if err != nil || !strings.Contains(string(out), email) || strings.Contains(string(out), "4111") || !strings.HasPrefix(string(out), `{ "b" : 1.50, "a":"`) {
		t.Errorf("%s, %v", out, err)
	}
	if out, _, _ := in.Redact(req, fs, nil); string(out) != string(req.Body) {
		t.Errorf("no types: %s", out)
	}
	if out, _, err := in.Redact(req, fs, Types()); err != nil || strings.Contains(string(out), "123456789") {
		t.Errorf("the second number has no context word of its own: %s, %v", out, err)
	}
	for _, bad := range []llm.Finding{{Type: Email, Path: "/nowhere", Start: 0, End: 1}, {Type: Email, Path: "/a", Start: 5, End: 5000}, {Type: Email, Path: "/a", Start: 5, End: 5}, {Type: Email, Path: "/a", Start: -1, End: 5}} {
		if _, _, err := in.Redact(req, []llm.Finding{bad}, []string{Email}); err == nil {
			t.Errorf("%+v was ignored", bad)
		}
	}
}

func TestRedactText(t *testing.T) {
	in := newTest(t, Config{})
	text := "größe 😀 " + email + `, {"card":4111111111111111}`
	out, r, err := in.RedactText(text, in.InspectText(text), Types())
	if err != nil || strings.Contains(out, email) || strings.Contains(out, "4111") || r.(*Restorer).Text(out) != text {
		t.Errorf("%q, %v", out, err)
	}
	text = `{"card":4111111111111111}`
	if out, _, err := in.RedactText(text, in.InspectText(text), Types()); err != nil || !json.Valid([]byte(out)) {
		t.Errorf("%q, %v", out, err)
	}
}

// A number in the arguments of a tool call becomes a string: the arguments stay JSON.
func TestRedactNumberInArguments(t *testing.T) {
	in := newTest(t, Config{})
	req := &llm.Request{ID: "1", Body: []byte(`{"messages":[{"tool_calls":[{"function":{"arguments":"{\"card\":4111111111111111,\"s\":\"4111111111111111\"}"}}]}]}`)}
	fs, err := in.Inspect(t.Context(), req)
	if err != nil || len(fs) != 2 {
		t.Fatal(fs, err)
	}
	out, _, err := in.Redact(req, fs, Types())
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		Messages []struct {
			ToolCalls []struct{ Function struct{ Arguments string } } `json:"tool_calls"`
		}
	}
	if err := json.Unmarshal(out, &m); err != nil || !json.Valid([]byte(m.Messages[0].ToolCalls[0].Function.Arguments)) {
		t.Errorf("%s, %v", out, err)
	}
}

func TestRestorerPrintsNothing(t *testing.T) {
	_, r := redacted(t, email)
	j, _ := json.Marshal(r)
	for _, s := range []string{fmt.Sprint(r), fmt.Sprintf("%v %+v %#v %s", r, r, r, r), string(j)} {
		if strings.Contains(s, "jane") || strings.Contains(s, "106 97 110") {
			t.Errorf("printed %q", s)
		}
	}
	value := r.entries[0].value
	r.Close()
	if strings.Contains(string(value), "jane") || r.Text("EMAIL_") != "EMAIL_" {
		t.Error("Close left the value in memory")
	}
}
