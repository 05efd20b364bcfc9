package local

import (
	"bufio"
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/internal/openai"
	"github.com/sluice-ai/sluice/local/entities"
	"github.com/sluice-ai/sluice/runtime/chat"
	"github.com/sluice-ai/sluice/runtime/engine"
	"github.com/sluice-ai/sluice/runtime/grammar"
	"github.com/sluice-ai/sluice/runtime/grammar/jsonschema"
	"github.com/sluice-ai/sluice/runtime/grammar/toolcall"
	"github.com/sluice-ai/sluice/runtime/tokenizer"
)

// TestTaskPromptsAreTheOnesTrained holds what the gateway sends for entities,
// tools and extraction, and what it accepts as an answer, to the file that train/
// wrote: a model does well only what looks exactly like what it was trained on.
func TestTaskPromptsAreTheOnesTrained(t *testing.T) {
	tier := open(t, 0)
	m := tier.Model("local/tiny")
	vocab := grammar.NewVocab(m.Tokenizer(), m.Info().Vocab)
	f, err := os.Open("../testdata/prompts/tasks.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	n := 0
	for ; lines.Scan(); n++ {
		var c struct {
			Task           string
			Prompt, Answer string
			Example        struct {
				T      string
				Tools  []json.RawMessage
				M      [][2]string
				Schema json.RawMessage
				Calls  []struct {
					Name      string
					Arguments map[string]any
				}
				Say string
			}
		}
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		ex := c.Example
		var er engine.Request
		if c.Task == "entities" {
			er = engine.Request{Messages: entities.Messages(ex.T), Schema: entities.Schema}
		} else {
			body := map[string]any{"model": "local"}
			var messages []any
			if c.Task == "extraction" {
				messages = append(messages, map[string]any{"role": "user", "content": ex.T})
				body["response_format"] = map[string]any{"type": "json_schema", "json_schema": map[string]any{"name": "x", "schema": ex.Schema}}
			} else {
				messages = turns(ex.M)
				var tools []any
				for _, tool := range ex.Tools {
					tools = append(tools, map[string]any{"type": "function", "function": tool})
				}
				body["tools"] = tools
			}
			body["messages"] = messages
			b, err := json.Marshal(body)
			if err != nil {
				t.Fatal(err)
			}
			req, err := openai.ParseRequest(b)
			if err != nil {
				t.Fatal(err)
			}
			er = engineRequest(req)
			if err := constrain(t.Context(), m, &er, req, false); err != nil {
				t.Fatalf("line %d: %v", n+1, err)
			}
		}
		got := chat.Render(chat.LFM2, er.Messages, chat.Options{Tools: er.Tools, AddGenerationPrompt: true, BOS: "<|startoftext|>"})
		if got != c.Prompt {
			t.Errorf("line %d: prompt is\n%q\nwant\n%q", n+1, got, c.Prompt)
		}
		answer := strings.TrimSuffix(c.Answer, "<|im_end|>")
		var g *grammar.Grammar
		if er.Schema != nil {
			s, err := jsonschema.Compile(er.Schema, jsonschema.Options{Whitespace: jsonschema.Spaced, Closed: true})
			if err != nil {
				t.Fatal(err)
			}
			g = s.Grammar
		} else {
			s, err := toolcall.Compile(er.Tools, toolcall.Options{})
			if err != nil {
				t.Fatal(err)
			}
			g = s.Grammar
			out := chat.Parse(answer, chat.ParserOptions{})
			var want, have []map[string]any
			for _, call := range ex.Calls {
				want = append(want, map[string]any{"name": call.Name, "arguments": call.Arguments})
			}
			for _, call := range out.Calls {
				var args map[string]any
				if err := json.Unmarshal(call.Arguments, &args); err != nil {
					t.Fatal(err)
				}
				have = append(have, map[string]any{"name": call.Name, "arguments": args})
			}
			if !reflect.DeepEqual(have, want) || out.Content != ex.Say {
				t.Errorf("line %d: read back as %v and %q, want %v and %q", n+1, have, out.Content, want, ex.Say)
			}
		}
		p, err := vocab.Bind(g)
		if err != nil {
			t.Fatal(err)
		}
		match := p.NewMatcher()
		for i, id := range m.Tokenizer().Encode(nil, answer, tokenizer.Options{ParseSpecial: true}) {
			if err := match.Accept(id); err != nil {
				t.Errorf("line %d: the grammar refuses token %d (%q) of %q: %v", n+1, i, m.Tokenizer().Piece(id), answer, err)
				break
			}
		}
		if !match.Done() {
			t.Errorf("line %d: the grammar takes %q for a part only", n+1, answer)
		}
	}
	if n < 8 {
		t.Fatalf("only %d golden prompts", n)
	}
}

// turns writes the turns of a line of train/data as OpenAI messages.
func turns(m [][2]string) (out []any) {
	for _, turn := range m {
		role, text := turn[0], turn[1]
		switch role {
		case "call":
			var calls []any
			for _, c := range chat.Parse("<|tool_call_start|>"+text+"<|tool_call_end|>", chat.ParserOptions{}).Calls {
				calls = append(calls, map[string]any{"id": "c1", "type": "function",
					"function": map[string]any{"name": c.Name, "arguments": string(c.Arguments)}})
			}
			out = append(out, map[string]any{"role": "assistant", "tool_calls": calls})
		case "tool":
			out = append(out, map[string]any{"role": role, "tool_call_id": "c1", "content": text})
		default:
			out = append(out, map[string]any{"role": role, "content": text})
		}
	}
	return out
}
