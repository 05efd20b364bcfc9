package judge

import (
	_ "embed"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sluice-ai/sluice/internal/llm"
)

//go:embed prompt.txt
var instructions string

// Tasks are the kinds of work that the judge tells apart, as its second label.
var Tasks = []string{
	"extraction", "formatting", "classification", "rewriting", "translation", "summary", "tool", "chat", "answering",
	"reasoning", "maths", "code", "knowledge", "writing",
}

// The bounds of a digest, in code points unless said. train/ defines them; a
// test holds both sides to testdata/judge/prompts.jsonl.
const (
	systemMax    = 240
	toolsMax     = 12 // names
	earlierTurns = 2
	earlierMax   = 160
	requestMax   = 1200
	requestHead  = 800
	requestTail  = 400
	cut          = "\n[…]\n"
)

// digest returns what the judge sees of a request: at most about 2,000 code
// points, whatever the request's length.
func digest(req *llm.Request) string {
	var system []string
	var turns []llm.Message
	last := -1
	for _, m := range req.Messages {
		if m.Role == llm.System {
			system = append(system, m.Text)
			continue
		}
		turns = append(turns, m)
		if m.Role == llm.User || m.Role == llm.ToolRole {
			last = len(turns) - 1
		}
	}
	var lines []string
	if s := collapse(strings.Join(system, " ")); s != "" {
		lines = append(lines, "[system] "+clip(s, systemMax))
	}
	if names := req.ToolNames(); len(names) > 0 {
		line := "[tools] " + strings.Join(names[:min(len(names), toolsMax)], ", ")
		if more := len(names) - toolsMax; more > 0 {
			line += fmt.Sprintf(" +%d", more)
		}
		lines = append(lines, line)
	}
	lines = append(lines, earlier(turns[:max(last, 0)])...)
	text := ""
	if last >= 0 {
		text = trim(strings.ReplaceAll(turns[last].Text, "\r\n", "\n"))
	}
	if n := utf8.RuneCountInString(text); n > requestMax {
		text = text[:offset(text, requestHead)] + cut + text[offset(text, n-requestTail):]
	}
	return strings.Join(append(lines, "[request]\n"+text), "\n")
}

// earlier digests the last turns before the one to be answered, oldest first.
func earlier(turns []llm.Message) []string {
	var lines []string
	for i := len(turns) - 1; i >= 0 && len(lines) < earlierTurns; i-- {
		text := turns[i].Text
		if len(turns[i].ToolCalls) > 0 {
			names := make([]string, len(turns[i].ToolCalls))
			for j, c := range turns[i].ToolCalls {
				names[j] = c.Name
			}
			text += " [calls " + strings.Join(names, ", ") + "]"
		}
		if text = collapse(text); text != "" {
			lines = append([]string{fmt.Sprintf("[earlier] %s: %s", turns[i].Role, clip(text, earlierMax))}, lines...)
		}
	}
	return lines
}

// A segment is a piece of the prompt: a special token, or ordinary text, in
// which something that looks like a special token stays text.
type segment struct {
	text    string
	special bool
}

// prefix is the part that every prompt shares.
func prefix() []segment {
	return []segment{
		{"<|startoftext|>", true},
		{"<|im_start|>", true}, {"system\n" + trim(instructions), false}, {"<|im_end|>", true}, {"\n", false},
		{"<|im_start|>", true},
	}
}

// question is the part that a digest makes.
func question(digest string) []segment {
	return []segment{
		{"user\n" + digest, false}, {"<|im_end|>", true}, {"\n", false},
		{"<|im_start|>", true}, {"assistant\n", false},
	}
}

func trim(s string) string { return strings.TrimFunc(s, unicode.IsSpace) }

// collapse trims s and turns each run of whitespace into one space.
func collapse(s string) string { return strings.Join(strings.FieldsFunc(s, unicode.IsSpace), " ") }

// clip returns the first n code points of s, and "…" when that is not all.
func clip(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return s[:offset(s, n)] + "…"
}

// offset returns the byte offset of the nth code point of s.
func offset(s string, n int) int {
	for i := range s {
		if n == 0 {
			return i
		}
		n--
	}
	return len(s)
}
