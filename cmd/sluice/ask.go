package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"

	"github.com/sluice-ai/sluice/internal/llm"
	"github.com/sluice-ai/sluice/internal/openai"
	"github.com/sluice-ai/sluice/router/api"
)

func routeCommand(f *flags) *cobra.Command {
	var asJSON bool
	var tenant, model, origin, body string
	c := &cobra.Command{
		Use: `route "PROMPT"`, Short: "Where would this request go, and why?",
		Long: `Take a request through inspection, the judge and policy, call no model, and explain
the decision. The prompt is the argument, or stdin; --body takes a whole chat
completions body from a file ("-" is stdin).`,
	}
	c.Flags().BoolVar(&asJSON, "json", false, "the answer of POST /v1/route")
	c.Flags().StringVar(&tenant, "tenant", "default", "whose policy to ask")
	c.Flags().StringVar(&model, "model", "auto", "the model name that the client would send")
	c.Flags().StringVar(&origin, "origin", "", "where the data comes from, for example DE")
	c.Flags().StringVar(&body, "body", "", "a chat completions body, from a file or - for stdin")
	c.RunE = func(c *cobra.Command, args []string) error {
		raw, err := bodyOf(c.InOrStdin(), body, model, args)
		if err != nil {
			return usageError{err}
		}
		cfg, err := loadConfig(*f)
		if err != nil {
			return usageError{err}
		}
		b, err := assemble(c.Context(), cfg, quiet())
		if err != nil {
			return usageError{err}
		}
		defer b.close()
		req, err := openai.ParseRequest(raw)
		if err != nil {
			return usageError{err}
		}
		req.ID, req.Received = "dec_"+ulid.Make().String(), time.Now()
		req.Principal.Tenant, req.Origin = tenant, strings.ToUpper(origin)
		x, err := b.router.Plan(c.Context(), req)
		if llm.KindOf(err) == llm.NotFound && err != nil {
			return usageError{err}
		}
		answer := api.Explain(x, err)
		if asJSON {
			return printJSON(c.OutOrStdout(), answer)
		}
		return explain(c.OutOrStdout(), answer)
	}
	return c
}

// bodyOf makes a chat body of what the command line gives.
func bodyOf(stdin io.Reader, file, model string, args []string) ([]byte, error) {
	if file != "" {
		if len(args) > 0 {
			return nil, errors.New("give a prompt or --body, not both")
		}
		return readFileOr(stdin, file)
	}
	prompt := strings.Join(args, " ")
	if prompt == "" {
		b, err := io.ReadAll(stdin)
		if err != nil {
			return nil, err
		}
		prompt = string(b)
	}
	if strings.TrimSpace(prompt) == "" {
		return nil, errors.New(`no prompt: sluice route "…", or pipe one in`)
	}
	return json.Marshal(map[string]any{"model": model, "messages": []map[string]string{{"role": "user", "content": prompt}}})
}

// explain writes a decision as a colleague would tell it.
func explain(w io.Writer, a api.RouteAnswer) error {
	fmt.Fprintln(w, sentence(a))
	fmt.Fprintln(w)
	t := &table{}
	t.row("judge", verdict(a.Assessment))
	for _, s := range a.Assessment.Signals {
		name, weight := s.Name, ""
		if s.Weight != 0 {
			weight = fmt.Sprintf("adds %+.2f to the log-odds", s.Weight)
		}
		if part, is := strings.CutPrefix(name, "hints."); is {
			name = "  of it " + part
			weight = strings.Replace(weight, "adds ", "  ", 1)
		}
		t.row("", fmt.Sprintf("%s = %v", name, s.Value), weight)
	}
	if l := a.Assessment.Thresholds; l != nil {
		t.row("", fmt.Sprintf("supported from %.2f, unsupported up to %.2f", l.Supported, l.Unsupported), "by "+l.Origin)
		if l.Escalate > 0 {
			t.row("", fmt.Sprintf("an answer below %.2f is given up", l.Escalate))
		}
	}
	counts := llm.Summarize(a.Findings).Types
	if len(counts) == 0 {
		t.row("found", "no personal data, no secrets")
	}
	label := "found"
	for _, kind := range sorted(counts) {
		what := ""
		if slices.Contains(a.Policy.Redact, kind) {
			what = "redacted before a cloud target sees it"
		}
		t.row(label, fmt.Sprintf("%d × %s", counts[kind], kind), what)
		label = ""
	}
	t.row("policy", short(a.Policy.Revision))
	for _, d := range a.Policy.Deny {
		t.row("", "denied by "+d.Rule+": "+d.Message)
	}
	for _, r := range a.Policy.Reasons {
		t.row("", r)
	}
	label = "targets"
	for _, c := range a.Candidates {
		t.row(label, c.Target, standing(c))
		label = ""
	}
	t.row("took", fmt.Sprintf("inspect %.2f ms, judge %.2f ms, decide %.2f ms", a.TimingsMS["inspect"], a.TimingsMS["assess"], a.TimingsMS["decide"]))
	return t.print(w)
}

func sentence(a api.RouteAnswer) string {
	why := "because the judge puts the chance that the local model does it well at " + percent(a.Assessment.PLocal)
	if a.Assessment.Boundary == llm.NoVerdict {
		why = "because the judge has no verdict (" + a.Assessment.Why + ")"
	} else if strings.HasPrefix(a.Assessment.By, "rule:") {
		why = "because " + a.Assessment.Why
	}
	switch a.Route {
	case llm.RouteLocal:
		return fmt.Sprintf("Stays home: %s answers, %s.", a.Target, why)
	case llm.RouteDegraded:
		return fmt.Sprintf("Stays home, degraded: %s answers although a larger model would do better, for no cloud target may or can.", a.Target)
	case llm.RouteCloud:
		return fmt.Sprintf("Goes to %s, %s.", a.Target, why)
	}
	var e struct{ Message string }
	if json.Unmarshal(a.Error, &e) == nil && e.Message != "" {
		return "Blocked: " + e.Message + "."
	}
	return "Blocked."
}

func verdict(a llm.Assessment) string {
	if a.Boundary == llm.NoVerdict {
		return "unavailable: " + a.Why
	}
	if a.Task == "" {
		return fmt.Sprintf("%s, by %s", a.Boundary, a.By)
	}
	return fmt.Sprintf("%s, task %s, p_local %.2f, by %s", a.Boundary, a.Task, a.PLocal, a.By)
}

func standing(c api.RouteCandidate) string {
	if !c.Permitted {
		return "no: " + strings.Join(c.Why, "; ")
	}
	if c.CostUSD == nil {
		return "permitted, price unknown"
	}
	if *c.CostUSD == 0 {
		return "permitted, free"
	}
	return fmt.Sprintf("permitted, about $%.5f", *c.CostUSD)
}

func percent(p float64) string { return fmt.Sprintf("%.0f %%", 100*p) }

// short is the beginning of a revision, as people quote it.
func short(rev string) string {
	_, hash, ok := strings.Cut(rev, ":")
	if !ok {
		hash = rev
	}
	return hash[:min(len(hash), 12)]
}

func sorted(m map[string]int) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func inspectCommand(f *flags) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "inspect [FILE]", Short: "Find personal data and secrets in a text",
		Long: `Find personal data and secrets in a text (a file, or stdin), and print the text
with placeholders in their place. Nothing leaves this machine.`,
	}
	c.Flags().BoolVar(&asJSON, "json", false, "the answer of POST /v1/inspect")
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) > 1 {
			return usageError{errors.New("inspect takes at most one file")}
		}
		file := "-"
		if len(args) == 1 {
			file = args[0]
		}
		text, err := readFileOr(c.InOrStdin(), file)
		if err != nil {
			return err
		}
		cfg, err := loadConfig(*f)
		if err != nil {
			return usageError{err}
		}
		found, clean, err := inspectText(c.Context(), cfg, string(bytes.ToValidUTF8(text, []byte("\uFFFD"))))
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(c.OutOrStdout(), map[string]any{"findings": found, "redacted": clean})
		}
		fmt.Fprint(c.OutOrStdout(), clean)
		if !strings.HasSuffix(clean, "\n") {
			fmt.Fprintln(c.OutOrStdout())
		}
		t := tabwriter.NewWriter(c.ErrOrStderr(), 0, 0, 2, ' ', 0)
		for _, x := range found {
			fmt.Fprintf(t, "%s\t%d-%d\t%.2f\t%s\n", x.Type, x.Start, x.End, x.Score, x.By)
		}
		if len(found) == 0 {
			fmt.Fprintln(t, "no personal data, no secrets found")
		}
		return t.Flush()
	}
	return c
}

// inspectText finds and replaces, with paths and offsets of the bare text.
func inspectText(ctx context.Context, cfg *Config, text string) ([]llm.Finding, string, error) {
	in, err := newInspector(cfg, nil)
	if err != nil {
		return nil, "", err
	}
	body, err := json.Marshal(map[string]string{"text": text})
	if err != nil {
		return nil, "", err
	}
	req := &llm.Request{ID: ulid.Make().String(), Body: body}
	found, err := in.Inspect(ctx, req)
	if err != nil {
		return nil, "", err
	}
	var types []string
	for _, x := range found {
		if !slices.Contains(types, x.Type) {
			types = append(types, x.Type)
		}
	}
	clean, _, err := in.Redact(req, found, types)
	if err != nil {
		return nil, "", err
	}
	var out struct{ Text string }
	if err := json.Unmarshal(clean, &out); err != nil {
		return nil, "", err
	}
	bare := make([]llm.Finding, len(found))
	for i, x := range found {
		x.Path = ""
		bare[i] = x
	}
	return bare, out.Text, nil
}
