package eval

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/sluice-ai/sluice/internal/llm"
	"github.com/sluice-ai/sluice/local/judge"
)

// A Case is a request with its label: a line of testdata/eval/judge.jsonl.
type Case struct {
	Text    string      `json:"t"`
	Kind    string      `json:"k"` // one of judge.Tasks
	P       float64     `json:"p"` // chance that the local answer is good, as somebody believes or as it was observed
	Lang    string      `json:"l"`
	System  string      `json:"sys,omitempty"`
	Tools   []string    `json:"tools,omitempty"` // names
	History [][2]string `json:"hist,omitempty"`  // earlier turns: role and text
	// Cloud is the chance that the cloud's answer is good; nil counts as 1.
	Cloud *float64 `json:"c,omitempty"`
}

// local reports whether the label says that the request may stay.
func (c *Case) local() bool { return c.P >= 0.5 }

func (c *Case) cloud() float64 {
	if c.Cloud == nil {
		return 1
	}
	return *c.Cloud
}

// Request returns the request that a gateway would have been sent.
func (c *Case) Request() *llm.Request {
	req := &llm.Request{Modalities: []string{"text"}, N: 1}
	if c.System != "" {
		req.Messages = append(req.Messages, llm.Message{Role: llm.System, Text: c.System})
	}
	for _, h := range c.History {
		req.Messages = append(req.Messages, llm.Message{Role: llm.Role(h[0]), Text: h[1]})
	}
	req.Messages = append(req.Messages, llm.Message{Role: llm.User, Text: c.Text})
	for _, name := range c.Tools {
		req.Tools = append(req.Tools, llm.Tool{Name: name})
	}
	return req
}

// check returns why c cannot be used.
func (c *Case) check() error {
	share := func(p float64) bool { return p >= 0 && p <= 1 }
	switch {
	case c.Text == "":
		return errors.New(`"t", the request's text, is missing`)
	case !slices.Contains(judge.Tasks, c.Kind):
		return fmt.Errorf(`"k" is none of the kinds of task: %v`, judge.Tasks)
	case !share(c.P) || !share(c.cloud()):
		return errors.New(`"p" and "c" are chances from 0 to 1`)
	case c.Lang == "":
		return errors.New(`"l", the language, is missing`)
	}
	for _, h := range c.History {
		if !slices.Contains([]llm.Role{llm.User, llm.Assistant, llm.ToolRole, llm.System}, llm.Role(h[0])) {
			return errors.New(`"hist" holds a role that is none of user, assistant, tool, system`)
		}
	}
	return nil
}

// maxLine is the longest line of a file of cases: 1 MiB.
const maxLine = 1 << 20

// ReadCases reads one case a line. Empty lines are ignored; unknown keys are
// errors. An error names the line, and quotes nothing of its text.
func ReadCases(r io.Reader) ([]Case, error) {
	var out []Case
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for n := 1; lines.Scan(); n++ {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		p := struct {
			*Case
			P *float64 `json:"p"` // so that a missing one is told from 0
		}{Case: new(Case)}
		dec := json.NewDecoder(bytes.NewReader(line))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&p); err != nil {
			return nil, fmt.Errorf(`line %d is no case like {"t": "…", "k": "chat", "p": 0.9, "l": "en"}: %s`, n, sentence(err))
		}
		if p.P == nil {
			return nil, fmt.Errorf(`line %d: "p", the label, is missing`, n)
		}
		c := *p.Case
		c.P = *p.P
		if err := c.check(); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		out = append(out, c)
	}
	if err := lines.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			return nil, fmt.Errorf("a line is longer than %d bytes", maxLine)
		}
		return nil, err
	}
	if len(out) == 0 {
		return nil, errors.New("there is no case in it")
	}
	return out, nil
}

// sentence says what json found, without the text it found it in.
func sentence(err error) string {
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Sprintf("%q is a %s", t.Field, t.Value)
	}
	if _, ok := errors.AsType[*json.SyntaxError](err); ok {
		return "not JSON"
	}
	return err.Error() // an unknown field's name
}

// Length names the group of lengths, in code points, that c belongs to.
func (c *Case) Length() string {
	switch n := utf8.RuneCountInString(c.Text); {
	case n < 80:
		return "under 80"
	case n < 200:
		return "80 to 199"
	case n < 500:
		return "200 to 499"
	}
	return "500 and more"
}

// A Judge is what is measured. [judge.Judge] is one, and [Rules] is another.
type Judge interface {
	Assess(ctx context.Context, req *llm.Request) llm.Assessment
}

var (
	_ Judge = (*judge.Judge)(nil)
	_ Judge = Rules{}
)

// A Judgment is what a judge said of a case, and how long that took.
type Judgment struct {
	PLocal float64
	Kind   string
	Took   time.Duration
}

// Run asks j about each case, one after the other, and tells progress, if not
// nil, how many are done. The first case is asked once before, so that what is
// made on first use is not counted. A case without a verdict is an error: what
// is measured must be whole.
func Run(ctx context.Context, j Judge, cases []Case, progress func(done int)) ([]Judgment, error) {
	out := make([]Judgment, len(cases))
	for i := range cases {
		req := cases[i].Request()
		if i == 0 {
			j.Assess(ctx, req)
		}
		start := time.Now()
		a := j.Assess(ctx, req)
		out[i] = Judgment{PLocal: a.PLocal, Kind: a.Task, Took: time.Since(start)}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if a.Boundary == llm.NoVerdict {
			return nil, fmt.Errorf("case %d has no verdict: %s", i+1, a.Why)
		}
		if progress != nil {
			progress(i + 1)
		}
	}
	return out, nil
}
