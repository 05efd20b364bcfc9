package chat

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestExact reads what grammars write, in pieces of every size, and holds it to
// what the lenient parser makes of the whole.
func TestExact(t *testing.T) {
	for _, in := range []string{
		`|S|[get_time(city="Rome", utc=True)]|E|`,
		`Let me check.|S|[get_time(city="a\"]\n"), empty_args(), Calendar.create(n=[], m={})]|E|`,
		`|S|[c(title="demo", who=["Alice", "B\u00e9"], meta={"priority": "high", "r": None, "n": [1, {"x": False}]}, minutes=-15, f=1.5e-7)]|E|`,
		`|S|[f(a="x|E|y|S|[g()]")]|E|`,
		`|S|[f()]|E| Done.`,
		`|S|[f(a="\\", b="\\\"", c=",)")]|E|`,
		`no calls [f(1)] here`,
		`<think>hm</think>|S|[f(a=1)]|E|`,
	} {
		in := strings.NewReplacer("|S|", toolCallStart, "|E|", toolCallEnd).Replace(in)
		want := Parse(in, ParserOptions{})
		for _, size := range []int{1, 2, 3, 7, 1000} {
			p := NewParser(ParserOptions{Exact: true})
			var deltas []Delta
			for part := range slices.Chunk([]byte(in), size) {
				deltas = append(deltas, p.Push(string(part))...)
			}
			var got Output
			pieces := 0
			for _, d := range append(deltas, p.Flush()...) {
				got.Content += d.Text
				got.Thinking += d.Thinking
				switch c := d.Call; {
				case c == nil:
				case c.Name != "":
					if c.Arguments != "" || c.Index != len(got.Calls) {
						t.Errorf("%q in pieces of %d: a call begins with %+v", in, size, c)
					}
					got.Calls = append(got.Calls, ToolCall{Name: c.Name})
				default:
					pieces++
					got.Calls[c.Index].Arguments = append(got.Calls[c.Index].Arguments, c.Arguments...)
				}
			}
			if got.Content != want.Content || got.Thinking != want.Thinking || len(got.Calls) != len(want.Calls) {
				t.Fatalf("%q in pieces of %d: %+v, want %+v", in, size, got, want)
			}
			for i := range got.Calls {
				if got.Calls[i].Name != want.Calls[i].Name || !sameJSON(t, got.Calls[i].Arguments, want.Calls[i].Arguments) {
					t.Errorf("%q in pieces of %d: call %s, want %s", in, size, got.Calls[i], want.Calls[i])
				}
			}
			if n := len(want.Calls); size == 1 && n > 0 && pieces < len(want.Calls[0].Arguments)/3 {
				t.Errorf("%q: arguments came in %d pieces", in, pieces)
			}
		}
	}
}

func sameJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	var out [2][]byte
	for i, s := range [][]byte{a, b} {
		d := json.NewDecoder(bytes.NewReader(s))
		var v any
		if err := d.Decode(&v); err != nil {
			t.Errorf("%s is no JSON: %v", s, err)
		}
		out[i] = fmt.Append(nil, v)
	}
	return bytes.Equal(out[0], out[1])
}

// What no grammar can have written is read as leniently as ever.
func TestExactFallsBack(t *testing.T) {
	for _, in := range []string{
		`|S|[{"name": "f", "arguments": {"a": 1}}]|E|`, `|S|f(a='x')|E|`, `|S|[bash]|E|`, `|S||E|`, `[get(a='it')]`,
	} {
		in := strings.NewReplacer("|S|", toolCallStart, "|E|", toolCallEnd).Replace(in)
		want := Parse(in, ParserOptions{Names: []string{"get"}})
		got := Parse(in, ParserOptions{Names: []string{"get"}, Exact: true})
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%q: %+v, want %+v", in, got, want)
		}
	}
	cut := toolCallStart + `[f(a="half`
	if out := Parse(cut, ParserOptions{Exact: true}); len(out.Calls) != 1 || string(out.Calls[0].Arguments) != `{"a":"half` {
		t.Errorf("a call that was cut is %+v", out)
	}
}
