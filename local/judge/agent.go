package judge

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"github.com/sluice-ai/sluice/internal/llm"
)

// agentRun reads, from the messages since the user last spoke, how an agent's
// turn is going.
func agentRun(req *llm.Request) llm.AgentRun {
	start := 0
	for i, m := range req.Messages {
		if m.Role == llm.User {
			start = i + 1
		}
	}
	var run llm.AgentRun
	made := map[string]bool{}
	for _, m := range req.Messages[start:] {
		if len(m.ToolCalls) > 0 {
			run.Steps++
			run.Failed = false
		}
		for _, c := range m.ToolCalls {
			key := c.Name + "\x00" + strings.Join(strings.Fields(c.Arguments), "")
			if made[key] {
				run.Repeats++
			}
			made[key] = true
		}
		if m.Role == llm.ToolRole && failed(m.Text) {
			run.Errors++
			run.Failed = true
		}
	}
	return run
}

// errorText begins what a tool says when it fails, in the words of shells,
// languages and frameworks.
var errorText = regexp.MustCompile(`(?i)^\W{0,3}(error|err:|exception|traceback|fatal|failed|failure|panic:|fehler|erreur|errore|erro\b|<tool_use_error>|cannot |can't |could not |unable to |invalid |command not found|permission denied|access denied|no such |not found|timed? ?out|unauthorized|forbidden|http(/\d\.\d)? [45]\d\d|[45]\d\d [a-z]|exit (code|status):? [1-9]|エラー|失敗)`)

// endsInError ends the output of a program that failed.
var endsInError = regexp.MustCompile(`(?i)(command not found|permission denied|no such file or directory|exit (code|status):? [1-9]\d*\.?|\w+(Error|Exception): [^\n]{1,200})\s*$`)

// failed reports whether a tool's result looks like an error. It looks at the
// ends of long results only.
func failed(text string) bool {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "{") {
		if bad, object := failedJSON(text); object {
			return bad
		}
	}
	head, tail := text, text
	if len(text) > 400 {
		head, tail = text[:400], text[len(text)-400:]
	}
	return errorText.MatchString(head) || endsInError.MatchString(tail)
}

// failedJSON reads the members by which tools say how they fared. object is
// false when text is no JSON object.
func failedJSON(text string) (bad, object bool) {
	var o map[string]any
	if len(text) > 1<<20 || json.Unmarshal([]byte(text), &o) != nil {
		return false, false
	}
	for _, k := range []string{"error", "errors", "exception", "is_error", "isError"} {
		switch v := o[k].(type) {
		case string:
			bad = bad || v != ""
		case bool:
			bad = bad || v
		case map[string]any:
			bad = bad || len(v) > 0
		case []any:
			bad = bad || len(v) > 0
		}
	}
	for _, k := range []string{"ok", "success"} {
		if v, is := o[k].(bool); is {
			bad = bad || !v
		}
	}
	for _, k := range []string{"status", "status_code", "code"} {
		switch v := o[k].(type) {
		case string:
			bad = bad || slices.Contains([]string{"error", "failed", "failure"}, strings.ToLower(v))
		case float64:
			bad = bad || v >= 400 && v < 600
		}
	}
	for _, k := range []string{"exit_code", "returncode"} {
		if v, is := o[k].(float64); is {
			bad = bad || v != 0
		}
	}
	return bad, true
}
