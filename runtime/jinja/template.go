package jinja

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"
)

// A Template is a parsed chat template. It is immutable and safe for concurrent use.
type Template struct{ nodes []node }

// Parse reads a template. Its errors are of type [*Error].
func Parse(source string) (*Template, error) {
	nodes, err := parse(source)
	if err != nil {
		return nil, err
	}
	return &Template{nodes}, nil
}

// The bounds of one rendering, beyond what its input needs.
const (
	maxSteps = 2 << 20   // nodes evaluated
	maxBytes = 128 << 20 // of all strings made
	maxCalls = 64        // macros in macros
	maxRange = 10000     // items of range()
)

// ErrRaised is wrapped by errors of a template that calls raise_exception: it
// refuses the conversation.
var ErrRaised = errors.New("the chat template refuses this conversation")

// ErrBudget is wrapped by errors of a template that does too much.
var ErrBudget = errors.New("the chat template does too much")

// Options are what a rendering may ask for.
type Options struct {
	// Now is the time that strftime_now tells.
	Now time.Time
}

// Render returns what the template makes of the variables vars, whose values are
// nil, bool, int64, float64, [Text], [*List], [*Dict]. They are not altered.
//
// It fails when the template does, does more than bounds allow, or ctx ends.
func (t *Template) Render(ctx context.Context, vars map[string]any, o Options) (Text, error) {
	r := &renderer{ctx: ctx, now: o.Now, globals: vars}
	var out builder
	r.out = &out
	top := &scope{vars: map[string]any{}}
	if err := r.run(t.nodes, top); err != nil {
		return Text{}, err
	}
	return out.text(), nil
}

// FromJSON returns the value of a JSON document, whose strings and keys are
// [Literal] if literal is set. Keys keep their order.
func FromJSON(raw json.RawMessage, literal bool) (any, error) {
	if !json.Valid(raw) { // also bounds the depth
		return nil, errors.New("malformed JSON")
	}
	dec := json.NewDecoder(strings.NewReader(string(raw)))
	dec.UseNumber()
	mark := Plain
	if literal {
		mark = Literal
	}
	return fromJSON(dec, mark, 0)
}

const maxJSONDepth = 256

func fromJSON(dec *json.Decoder, mark func(string) Text, depth int) (any, error) {
	if depth > maxJSONDepth {
		return nil, errors.New("JSON nested too deeply")
	}
	token, err := dec.Token()
	if err == io.EOF {
		return nil, io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	switch v := token.(type) {
	case json.Delim:
		if v == '[' {
			l := &List{}
			for dec.More() {
				x, err := fromJSON(dec, mark, depth+1)
				if err != nil {
					return nil, err
				}
				l.Items = append(l.Items, x)
			}
			_, err = dec.Token()
			return l, err
		}
		d := &Dict{}
		for dec.More() {
			key, err := dec.Token()
			if err != nil {
				return nil, err
			}
			x, err := fromJSON(dec, mark, depth+1)
			if err != nil {
				return nil, err
			}
			d.Set(mark(key.(string)), x)
		}
		_, err = dec.Token()
		return d, err
	case string:
		return mark(v), nil
	case json.Number:
		return jsonNumber(v), nil
	}
	return token, nil // bool or nil
}

func jsonNumber(n json.Number) any {
	s := n.String()
	if strings.ContainsAny(s, ".eE") {
		f, err := n.Float64()
		if err != nil {
			return math.Copysign(math.Inf(1), f)
		}
		return f
	}
	if i, err := n.Int64(); err == nil {
		return i
	}
	return bigInt(s)
}

func (r *renderer) fail(format string, args ...any) error {
	return &Error{Line: r.line, Msg: fmt.Sprintf(format, args...)}
}

func (r *renderer) wrap(cause error) error {
	return &Error{Line: r.line, Msg: cause.Error(), cause: cause}
}
