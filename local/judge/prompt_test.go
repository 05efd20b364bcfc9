package judge

import (
	"bufio"
	"encoding/json"
	"os"
	"testing"

	"github.com/sluice-ai/sluice/internal/llm"
)

// TestPromptIsTheOneTrained holds the prompt to the file that train/ wrote:
// nano judges well only what looks exactly like what it was trained on.
func TestPromptIsTheOneTrained(t *testing.T) {
	f, err := os.Open("../../testdata/judge/prompts.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	n := 0
	for ; lines.Scan(); n++ {
		var c struct {
			Request struct {
				Messages []struct {
					Role      string   `json:"role"`
					Content   string   `json:"content"`
					ToolCalls []string `json:"tool_calls"`
				} `json:"messages"`
				Tools []string `json:"tools"`
			} `json:"request"`
			Prompt string `json:"prompt"`
		}
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		req := &llm.Request{}
		for _, m := range c.Request.Messages {
			role := llm.Role(m.Role)
			if role == "developer" {
				role = llm.System
			}
			msg := llm.Message{Role: role, Text: m.Content}
			for _, name := range m.ToolCalls {
				msg.ToolCalls = append(msg.ToolCalls, llm.ToolCall{Name: name})
			}
			req.Messages = append(req.Messages, msg)
		}
		for _, name := range c.Request.Tools {
			req.Tools = append(req.Tools, llm.Tool{Name: name})
		}
		got := ""
		for _, s := range append(prefix(), question(digest(req))...) {
			got += s.text
		}
		if got != c.Prompt {
			t.Errorf("line %d: prompt is\n%q\nwant\n%q", n+1, got, c.Prompt)
		}
	}
	if n < 5 {
		t.Fatalf("only %d golden prompts", n)
	}
}
