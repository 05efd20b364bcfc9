package formats

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/sluice-ai/sluice/internal/llm"
	"github.com/sluice-ai/sluice/runtime/engine"
	"github.com/sluice-ai/sluice/runtime/repair"
)

// Config configures a [Checker]. A zero field takes the default it documents.
type Config struct {
	// Model writes broken documents again; nil: only rules repair.
	Model *engine.Model
	// Target is the id of the model's target, for policy and for the record.
	Target string
	// MaxTokens bounds what the model writes for one document. Default 1024.
	MaxTokens int
	// Timeout bounds the time for one document. Default 20s.
	Timeout time.Duration
}

// A Checker checks and repairs answers. It is safe for concurrent use.
type Checker struct {
	cfg Config

	mu   sync.Mutex
	kept map[[sha256.Size]byte]*wanted
	size int64 // of what is kept, in bytes

	large    *wanted // the last that was too large to be kept
	largeKey [sha256.Size]byte
}

// New returns a Checker.
func New(cfg Config) *Checker {
	if cfg.MaxTokens <= 0 {
		cfg.MaxTokens = 1024
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 20 * time.Second
	}
	return &Checker{cfg: cfg, kept: map[[sha256.Size]byte]*wanted{}}
}

// wanted is what a request asks of its answer.
type wanted struct {
	llm.Wanted
	raw    json.RawMessage // the schema of the text
	schema *repair.Schema
	form   *repair.Form // of the text; nil where it has a schema, or none
	tools  *repair.Tools
	named  string // the tool that must be called
	params map[string]json.RawMessage
	size   int64 // about how many bytes it takes
}

// What is remembered: so many formats, of about so many bytes together, of which one may
// have a quarter, and the last that is larger: the choices of one answer need it.
const (
	keepWanted = 64
	mostWanted = 64 << 20
)

// Wants returns what of an answer to req is checked. A format that cannot be
// read is left to the target.
func (c *Checker) Wants(req *llm.Request) llm.Wanted { return c.wants(req).Wanted }

func (c *Checker) wants(req *llm.Request) *wanted {
	if len(req.Format) == 0 && len(req.Tools) == 0 && req.Form == nil {
		return &wanted{}
	}
	h, said := sha256.New(), 0
	part := func(b []byte) {
		fmt.Fprintf(h, "%d:%s", len(b), b)
		said += len(b)
	}
	part(req.Format)
	part(req.ToolChoice)
	for _, t := range req.Tools {
		part(t.Raw)
	}
	if f := req.Form; f != nil {
		for _, s := range append([]string{"form", f.Regex, f.Grammar}, f.Choice...) {
			part([]byte(s))
		}
	}
	key := [sha256.Size]byte(h.Sum(nil))
	c.mu.Lock()
	w := c.kept[key]
	if w == nil && c.largeKey == key {
		w = c.large
	}
	c.mu.Unlock()
	if w != nil {
		return w
	}
	w = read(req)
	w.size = w.bytes(said)
	c.mu.Lock()
	defer c.mu.Unlock()
	if w.size > mostWanted/4 {
		c.large, c.largeKey = w, key
		return w
	}
	if len(c.kept) >= keepWanted || c.size+w.size > mostWanted {
		clear(c.kept)
		c.size = 0
	}
	if c.kept[key] == nil {
		c.size += w.size
	}
	c.kept[key] = w
	return w
}

// bytes returns about how many bytes w takes, of a request that says it in so many.
func (w *wanted) bytes(said int) int64 {
	n := int64(said)
	if w.schema != nil {
		n += w.schema.Bytes()
	}
	if w.form != nil {
		n += w.form.Bytes()
	}
	if w.tools != nil {
		n += w.tools.Bytes()
	}
	return n
}

// read reads the format of req.
func read(req *llm.Request) *wanted {
	w := &wanted{params: map[string]json.RawMessage{}}
	choice := string(req.ToolChoice)
	if len(req.Tools) > 0 && choice != `"none"` {
		w.Calls = true
		w.Must = choice == `"required"`
		var named struct {
			Type     string `json:"type"`
			Function struct {
				Name string `json:"name"`
			} `json:"function"`
		}
		if strings.HasPrefix(choice, "{") && json.Unmarshal(req.ToolChoice, &named) == nil && named.Type == "function" {
			w.Must, w.named = true, named.Function.Name
		}
		var tools []repair.Tool
		for _, t := range req.Tools {
			var kind struct {
				Type string `json:"type"`
			}
			_ = json.Unmarshal(t.Raw, &kind) // no object: a function of the deprecated form
			free := kind.Type != "" && kind.Type != "function"
			w.Must = w.Must && !free // what an upstream's own tool leaves behind is no call
			tools = append(tools, repair.Tool{Name: t.Name, Parameters: t.Parameters, Free: free})
			w.params[t.Name] = t.Parameters
		}
		w.tools = repair.ReadTools(tools)
	}
	if w.Must {
		return w
	}
	if f := req.Form; f != nil {
		var err error
		switch {
		case f.Regex != "":
			w.form, err = repair.Regex(f.Regex)
		case len(f.Choice) > 0:
			w.form, err = repair.Choice(f.Choice)
		default:
			w.form, err = repair.GBNF(f.Grammar)
		}
		w.Text = err == nil // else it is the target's to read
		return w
	}
	schema, err := Schema(req.Format)
	if err != nil || schema == nil {
		return w
	}
	w.Text, w.raw = true, schema
	if w.schema, err = repair.Read(schema); err != nil {
		w.schema, _ = repair.Read(json.RawMessage(`{}`)) // JSON at least
	}
	return w
}

// anyObject is what json_object asks for.
var anyObject = json.RawMessage(`{"type":"object"}`)

// Schema reads OpenAI's response_format. It returns nil for text, and an error
// of kind [llm.Invalid] for what is none.
func Schema(raw json.RawMessage) (json.RawMessage, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	var f struct {
		Type       string `json:"type"`
		JSONSchema struct {
			Schema json.RawMessage `json:"schema"`
		} `json:"json_schema"`
	}
	invalid := func(param, msg string) error {
		return &llm.Error{Kind: llm.Invalid, Code: llm.CodeInvalidRequest, Param: param, Msg: msg}
	}
	if json.Unmarshal(raw, &f) != nil {
		return nil, invalid("response_format", "response_format must be an object with a type, and with a json_schema for that type")
	}
	switch f.Type {
	case "text":
		return nil, nil
	case "json_object":
		return anyObject, nil
	case "json_schema":
		if s := f.JSONSchema.Schema; len(s) > 0 && string(s) != "null" {
			return s, nil
		}
		return nil, invalid("response_format.json_schema.schema", "the schema is missing")
	}
	return nil, invalid("response_format.type", "the type of response_format must be text, json_object or json_schema")
}

// Check checks c, a whole choice of an answer to req, and repairs it in place as
// far as how permits. It asks req.May before a model sees a document, and calls
// req.OnAttempt for each that a model wrote again.
func (c *Checker) Check(ctx context.Context, req *llm.Request, ch *llm.Choice, how llm.Repair) llm.FormatCheck {
	w := c.wants(req)
	out := llm.FormatCheck{Verdict: llm.FormatValid}
	if w.Calls && len(ch.Calls) == 0 && !ch.Sent && how != llm.RepairNone && (w.Must || !w.Text || w.check(ch.Text) != nil) {
		if calls := w.tools.Calls(ch.Text); len(calls) > 0 {
			for i, call := range calls {
				ch.Calls = append(ch.Calls, llm.ToolDelta{Index: i, ID: "call_" + ulid.Make().String(), Name: call.Name, Arguments: call.Arguments})
			}
			ch.Text, ch.Finish = "", llm.ToolCalls
			out.Add(llm.FormatCheck{
				Verdict: llm.FormatRepaired, By: string(llm.RepairRules), Broken: "tool_calls", Fixed: 1,
				Fixes: []llm.Fix{{Op: "move", Path: "/tool_calls", Kind: repair.KindText}},
			})
		}
	}
	switch {
	case len(ch.Calls) > 0 && w.Calls:
		for i := range ch.Calls {
			if ch.Calls[i].Name != "" { // a tool of another kind
				out.Add(c.call(ctx, req, w, ch, i, how))
			}
		}
	case w.Must:
		out.Add(llm.FormatCheck{Verdict: llm.FormatInvalid, Broken: "tool_choice"})
	case w.Text && (ch.Text != "" || ch.Finish == llm.Stop):
		out.Add(c.text(ctx, req, w, ch, how))
	}
	return out
}

// check fails with a [*repair.BrokenError] if text is not in its format.
func (w *wanted) check(text string) error {
	if w.form != nil {
		return w.form.Check(text)
	}
	return w.schema.Check(text)
}

func (c *Checker) text(ctx context.Context, req *llm.Request, w *wanted, ch *llm.Choice, how llm.Repair) llm.FormatCheck {
	err := w.check(ch.Text)
	if err == nil {
		return llm.FormatCheck{Verdict: llm.FormatValid}
	}
	out := invalid(err)
	if how == llm.RepairNone || ch.Sent {
		return out
	}
	mend := w.schema.Mend
	if w.form != nil {
		mend = w.form.Mend
	}
	if fixed, fixes, err := mend(ch.Text); err == nil {
		ch.Text = fixed
		return repaired(out, fixes)
	}
	if w.form != nil {
		return out // a model is held to JSON only
	}
	if text, ok := c.restate(ctx, req, w.raw, ch.Text, how); ok && w.schema.Check(text) == nil {
		ch.Text = text
		out.Verdict, out.By = llm.FormatRepaired, c.cfg.Target
		out.Fixes, out.Fixed = []llm.Fix{{Op: "replace", Kind: kindRestated}}, 1
	}
	return out
}

func (c *Checker) call(ctx context.Context, req *llm.Request, w *wanted, ch *llm.Choice, i int, how llm.Repair) llm.FormatCheck {
	call := &ch.Calls[i]
	err := w.tools.Check(call.Name, call.Arguments)
	if err == nil && w.named != "" && call.Name != w.named {
		return llm.FormatCheck{Verdict: llm.FormatInvalid, Broken: "tool_choice"}
	}
	if err == nil {
		return llm.FormatCheck{Verdict: llm.FormatValid}
	}
	out := invalid(err)
	if how == llm.RepairNone {
		return out
	}
	at := fmt.Sprintf("/tool_calls/%d", i)
	if name, args, fixes, err := w.tools.Mend(call.Name, call.Arguments); err == nil {
		call.Name, call.Arguments = name, args
		for i := range fixes {
			fixes[i].Path = at + fixes[i].Path
		}
		return repaired(out, fixes)
	}
	if errors.Is(err, repair.ErrUnknownTool) {
		return out
	}
	if text, ok := c.restate(ctx, req, w.params[call.Name], call.Arguments, how); ok && w.tools.Check(call.Name, text) == nil {
		call.Arguments = text
		out.Verdict, out.By = llm.FormatRepaired, c.cfg.Target
		out.Fixes, out.Fixed = []llm.Fix{{Op: "replace", Path: at, Kind: kindRestated}}, 1
	}
	return out
}

// kindRestated is the fix of a document that a model has written again.
const kindRestated = "restated"

func invalid(err error) llm.FormatCheck {
	out := llm.FormatCheck{Verdict: llm.FormatInvalid, Broken: "json"}
	if b, ok := errors.AsType[*repair.BrokenError](err); ok {
		out.Broken = b.Keyword
	}
	return out
}

func repaired(out llm.FormatCheck, fixes []repair.Fix) llm.FormatCheck {
	out.Verdict, out.By, out.Fixed = llm.FormatRepaired, string(llm.RepairRules), len(fixes)
	for _, f := range fixes[:min(len(fixes), llm.MaxFixes)] {
		out.Fixes = append(out.Fixes, llm.Fix(f))
	}
	return out
}
