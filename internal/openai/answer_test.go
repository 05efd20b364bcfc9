package openai

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/internal/llm"
)

func TestChunksOfOurOwn(t *testing.T) {
	s := Stream{Head: Head{ID: "chatcmpl-1", Model: "local/x", Created: 5}, Usage: true}
	for _, step := range []struct {
		ev   llm.Event
		want string
	}{
		{llm.Event{Choices: []llm.Delta{{Text: "Hi"}}},
			`{"id":"chatcmpl-1","object":"chat.completion.chunk","created":5,"model":"local/x","choices":[{"index":0,"delta":{"role":"assistant","content":"Hi"},"finish_reason":null}]}`},
		{llm.Event{Choices: []llm.Delta{{ToolCalls: []llm.ToolDelta{{Index: 0, ID: "c", Name: "f", Arguments: "{}"}}}}},
			`{"id":"chatcmpl-1","object":"chat.completion.chunk","created":5,"model":"local/x","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},"finish_reason":null}]}`},
		{llm.Event{Choices: []llm.Delta{{Finish: llm.Stop}}},
			`{"id":"chatcmpl-1","object":"chat.completion.chunk","created":5,"model":"local/x","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`},
		{llm.Event{Usage: &llm.Usage{Input: 3, Cached: 1, Output: 2}},
			`{"id":"chatcmpl-1","object":"chat.completion.chunk","created":5,"model":"local/x","choices":[],"usage":{"prompt_tokens":4,"completion_tokens":2,"total_tokens":6,"prompt_tokens_details":{"cached_tokens":1},"completion_tokens_details":{"reasoning_tokens":0}}}`},
	} {
		got, err := s.Chunk(&step.ev)
		if err != nil || string(got) != step.want {
			t.Errorf("chunk = %s, %v\nwant    %s", got, err, step.want)
		}
	}
}

// An upstream's chunk goes through byte for byte, fields we do not know included.
func TestChunksOfAnUpstream(t *testing.T) {
	raw := `{"id":"x","choices":[{"index":0,"delta":{"content":"PII_1 said","x_new":[1]},"finish_reason":null}],"x_top":{"a":1}}`
	ev, err := ParseChunk([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	var s Stream
	got, err := s.Chunk(&ev)
	if err != nil || string(got) != raw {
		t.Errorf("unchanged chunk = %s, %v", got, err)
	}
	ev.Edited, ev.Choices[0].Text = true, `Ann "A" said`
	got, err = s.Chunk(&ev)
	want := `{"id":"x","choices":[{"index":0,"delta":{"content":"Ann \"A\" said","x_new":[1]},"finish_reason":null}],"x_top":{"a":1}}`
	if err != nil || string(got) != want {
		t.Errorf("edited chunk = %s, %v\nwant           %s", got, err, want)
	}
}

func TestEditedToolArguments(t *testing.T) {
	raw := `{"choices":[{"index":0,"message":{"content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"mail","arguments":"{\"to\":\"P1\"}"},"x":1}]},"finish_reason":"tool_calls"}]}`
	ev, err := ParseResponse([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	ev.Edited = true
	ev.Choices[0].ToolCalls[0].Arguments = `{"to":"ann@example.com"}`
	var a Answer
	a.Add(ev)
	got, err := a.JSON()
	want := strings.Replace(raw, "P1", "ann@example.com", 1)
	if err != nil || string(got) != want {
		t.Errorf("answer = %s, %v\nwant     %s", got, err, want)
	}
}

// Deltas of tool calls are put together by index, whatever their order.
func TestAnswerGathers(t *testing.T) {
	a := Answer{Head: Head{ID: "chatcmpl-1"}}
	for _, d := range []llm.Delta{
		{Text: "a"}, {Text: "b"},
		{ToolCalls: []llm.ToolDelta{{Index: 1, ID: "c1", Name: "g", Arguments: `{"x"`}}},
		{ToolCalls: []llm.ToolDelta{{Index: 0, ID: "c0", Name: "f", Arguments: `{}`}}},
		{ToolCalls: []llm.ToolDelta{{Index: 1, Arguments: `:1}`}}},
		{Finish: llm.ToolCalls},
	} {
		a.Add(llm.Event{Choices: []llm.Delta{d}})
	}
	a.Add(llm.Event{Usage: &llm.Usage{Input: 1, Output: 1}})
	b, err := a.JSON()
	if err != nil {
		t.Fatal(err)
	}
	ev, err := ParseResponse(b)
	if err != nil {
		t.Fatal(err)
	}
	d := ev.Choices[0]
	if d.Text != "ab" || d.Finish != llm.ToolCalls || len(d.ToolCalls) != 2 || d.ToolCalls[0].Arguments != `{"x":1}` || ev.Usage.Total() != 2 {
		t.Errorf("answer = %s", b)
	}
}

func TestParseAnswerRefuses(t *testing.T) {
	for _, raw := range []string{`<html>`, `{"choices":[]}`, `{}`, `{"choices":[{"message":{"content":5}}]}`} {
		if _, err := ParseResponse([]byte(raw)); !errors.Is(err, ErrMalformed) {
			t.Errorf("ParseResponse(%s) = %v, want ErrMalformed", raw, err)
		}
	}
	_, err := ParseChunk([]byte(`{"error":{"message":"the prompt was: hello","type":"overloaded","code":529}}`))
	up, ok := errors.AsType[*UpstreamError](err)
	if !ok || up.Code != "529" || strings.Contains(err.Error(), "hello") {
		t.Errorf("error = %v", err)
	}
}

// Token counts are split into buckets that do not overlap.
func TestUsageIsDisjoint(t *testing.T) {
	ev, err := ParseChunk([]byte(`{"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":8,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":5}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if want := (llm.Usage{Input: 6, Cached: 4, Output: 3, Reasoning: 5}); *ev.Usage != want {
		t.Errorf("usage = %+v, want %+v", *ev.Usage, want)
	}
	back, err := json.Marshal(usage(ev.Usage))
	if err != nil || !strings.Contains(string(back), `"prompt_tokens":10,"completion_tokens":8,"total_tokens":18`) {
		t.Errorf("written back: %s, %v", back, err)
	}
}

// A report below zero would give money back.
func TestUsageIsBounded(t *testing.T) {
	ev, err := ParseChunk([]byte(`{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":-9000000,"prompt_tokens_details":{"cached_tokens":-7}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if want := (llm.Usage{Input: 5}); *ev.Usage != want {
		t.Errorf("usage = %+v, want %+v", *ev.Usage, want)
	}
}

// What an upstream calls its error may be the prompt.
func TestUpstreamErrorRepeatsNothing(t *testing.T) {
	_, err := ParseChunk([]byte(`{"error":{"type":"cannot mail ann@example.com","code":"4111 1111 1111 1111"}}`))
	if up, ok := errors.AsType[*UpstreamError](err); !ok || up.Type != "other" || up.Code != "other" {
		t.Errorf("error = %v", err)
	}
}

// Clients read choices[0] of every chunk, unless they asked for the usage.
func TestUsageThatNobodyAskedFor(t *testing.T) {
	for _, tt := range []struct{ raw, want string }{
		{`{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}`, ""},
		{`{"choices":[],"usage":{"prompt_tokens":0,"completion_tokens":0}}`, ""},
		{`{"choices":[{"index":0,"delta":{"content":"a"}}],"usage":{"prompt_tokens":1,"completion_tokens":1}}`, `{"choices":[{"index":0,"delta":{"content":"a"}}]}`},
		{`{"choices":[{"index":0,"delta":{"content":"a"}}],"usage":null}`, `{"choices":[{"index":0,"delta":{"content":"a"}}]}`},
		{`{"choices":[{"index":0,"delta":{"content":"\"usage\""}}]}`, `{"choices":[{"index":0,"delta":{"content":"\"usage\""}}]}`},
	} {
		ev, err := ParseChunk([]byte(tt.raw))
		if err != nil {
			t.Fatal(err)
		}
		var s Stream
		if got, err := s.Chunk(&ev); err != nil || string(got) != tt.want {
			t.Errorf("chunk of %s = %s, %v; want %s", tt.raw, got, err, tt.want)
		}
	}
}

// What is edited is written where it was read; the rest keeps its shape.
func TestEditsKeepTheShape(t *testing.T) {
	ev, err := ParseChunk([]byte(`{"choices":[{"index":0,"delta":{"reasoning":"P1","tool_calls":[{"index":0,"type":"custom","custom":{"input":"x"}}]}}]}`))
	if err != nil || ev.Choices[0].Reasoning != "P1" {
		t.Fatalf("event %+v, %v", ev, err)
	}
	ev.Edited, ev.Choices[0].Reasoning = true, "Ann"
	var s Stream
	got, err := s.Chunk(&ev)
	if want := `{"choices":[{"index":0,"delta":{"reasoning":"Ann","tool_calls":[{"index":0,"type":"custom","custom":{"input":"x"}}]}}]}`; err != nil || string(got) != want {
		t.Errorf("chunk = %s, %v\nwant    %s", got, err, want)
	}
}
