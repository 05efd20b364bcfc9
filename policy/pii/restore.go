package pii

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-ai/sluice/internal/llm"
)

// A Restorer puts the values of one request back into its answer. It is an
// [llm.Restorer]; nothing of it is ever printed.
//
// It recognises its placeholders also in other case and with up to three of
// " _\-*`" between their characters: what models do to them. Of an answer's end
// it holds back no more than what may still become an issued placeholder.
type Restorer struct {
	entries  []entry // sorted by canon
	first    [256]bool
	held     map[lane]string
	restored int
}

// An entry is a placeholder's canonical form and what it stands for.
type entry struct {
	canon string
	value []byte
	json  []byte // value, as it is written within a JSON string
}

// A lane is one of the texts that grow side by side in an answer.
type lane struct {
	choice int
	part   part
	tool   int
}

type part uint8

const (
	partText part = iota
	partReasoning
	partRefusal
	partTool
)

func newRestorer(list []secret) *Restorer {
	r := &Restorer{held: map[lane]string{}}
	for _, s := range list {
		c := canonical(s.token)
		r.entries = append(r.entries, entry{c, s.value, quote(s.value)})
		r.first[c[0]], r.first[lower(c[0])] = true, true
	}
	slices.SortFunc(r.entries, func(a, b entry) int { return strings.Compare(a.canon, b.canon) })
	return r
}

// Event implements [llm.Restorer].
func (r *Restorer) Event(ev *llm.Event) {
	if len(r.entries) == 0 {
		return
	}
	for i := range ev.Choices {
		d := &ev.Choices[i]
		final := ev.Whole || d.Finish != ""
		edit := func(p part, tool int, text *string) {
			if *text == "" && len(r.held) == 0 {
				return
			}
			if out := r.push(lane{d.Index, p, tool}, *text, final); out != *text {
				*text = out
				ev.Edited = true
			}
		}
		edit(partText, 0, &d.Text)
		edit(partReasoning, 0, &d.Reasoning)
		edit(partRefusal, 0, &d.Refusal)
		for t := range d.ToolCalls {
			edit(partTool, d.ToolCalls[t].Index, &d.ToolCalls[t].Arguments)
		}
		if final {
			for _, l := range r.waiting() {
				if l.choice == d.Index {
					d.ToolCalls = append(d.ToolCalls, llm.ToolDelta{Index: l.tool, Arguments: r.push(l, "", true)})
					ev.Edited = true
				}
			}
		}
	}
}

// Flush implements [llm.Restorer].
func (r *Restorer) Flush() []llm.Delta {
	var out []llm.Delta
	for _, l := range r.waiting() {
		if len(out) == 0 || out[len(out)-1].Index != l.choice {
			out = append(out, llm.Delta{Index: l.choice})
		}
		d, text := &out[len(out)-1], r.push(l, "", true)
		switch l.part {
		case partText:
			d.Text = text
		case partReasoning:
			d.Reasoning = text
		case partRefusal:
			d.Refusal = text
		case partTool:
			d.ToolCalls = append(d.ToolCalls, llm.ToolDelta{Index: l.tool, Arguments: text})
		}
	}
	return out
}

// Restored implements [llm.Restorer].
func (r *Restorer) Restored() int { return r.restored }

// Text restores a whole text.
func (r *Restorer) Text(text string) string {
	return r.push(lane{choice: -1}, text, true)
}

// Close forgets the values, in memory too. The Restorer then changes nothing any more.
func (r *Restorer) Close() {
	for _, e := range r.entries {
		clear(e.value)
		clear(e.json)
	}
	r.entries = nil
}

// Format keeps values out of every print.
func (r *Restorer) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "pii.Restorer(%d placeholders)", len(r.entries))
}

// MarshalJSON keeps values out of every log.
func (r *Restorer) MarshalJSON() ([]byte, error) { return []byte(`"pii.Restorer"`), nil }

// waiting returns the lanes that hold text back, in order.
func (r *Restorer) waiting() []lane {
	var ls []lane
	for l := range r.held {
		ls = append(ls, l)
	}
	slices.SortFunc(ls, func(a, b lane) int {
		return cmp.Or(a.choice-b.choice, int(a.part)-int(b.part), a.tool-b.tool)
	})
	return ls
}

// push returns what the lane's text, grown by text, lets out.
func (r *Restorer) push(l lane, text string, final bool) string {
	if held, ok := r.held[l]; ok {
		text = held + text
		delete(r.held, l)
	}
	var out strings.Builder
	done := 0
	for i := 0; i < len(text); {
		if !r.first[text[i]] {
			i++
			continue
		}
		e, n := r.match(text[i:])
		switch {
		case e != nil:
			out.WriteString(text[done:i])
			if l.part == partTool {
				out.Write(e.json)
			} else {
				out.Write(e.value)
			}
			r.restored++
			i += n
			done = i
		case n > 0 && !final:
			r.held[l] = strings.Clone(text[i:])
			out.WriteString(text[done:i])
			return out.String()
		default:
			i++
		}
	}
	if done == 0 {
		return text
	}
	out.WriteString(text[done:])
	return out.String()
}

// match compares the start of text with the placeholders. It returns the entry
// and the length of its placeholder; or nil and the length of text, when all of it
// may be the beginning of one; or nil and 0.
func (r *Restorer) match(text string) (*entry, int) {
	lo, hi := 0, len(r.entries) // entries[lo:hi] agree with what was read
	depth, gap := 0, 0
	for i := range len(text) {
		c := text[i]
		if isAlnum(c) {
			if class[c]&cLower != 0 {
				c -= 'a' - 'A'
			}
			lo, hi = narrow(r.entries, lo, hi, depth, c)
			if lo == hi {
				return nil, 0
			}
			depth++
			gap = 0
			if len(r.entries[lo].canon) == depth {
				return &r.entries[lo], i + 1
			}
			continue
		}
		if gap++; gap > 3 || !strings.ContainsRune(" _\\-*`", rune(c)) {
			return nil, 0
		}
	}
	return nil, len(text)
}

// narrow returns the part of entries[lo:hi] whose canonical form has c at depth.
func narrow(entries []entry, lo, hi, depth int, c byte) (int, int) {
	part := entries[lo:hi]
	from, _ := slices.BinarySearchFunc(part, c, func(e entry, c byte) int { return int(e.canon[depth]) - int(c) })
	to, _ := slices.BinarySearchFunc(part, c, func(e entry, c byte) int {
		if e.canon[depth] <= c {
			return -1
		}
		return 1
	})
	return lo + from, lo + to
}

// quote returns value as it is written within a JSON string.
func quote(value []byte) []byte {
	var out []byte
	for _, c := range value {
		switch {
		case c == '"' || c == '\\':
			out = append(out, '\\', c)
		case c == '\n':
			out = append(out, `\n`...)
		case c == '\r':
			out = append(out, `\r`...)
		case c == '\t':
			out = append(out, `\t`...)
		case c < 0x20:
			out = fmt.Appendf(out, `\u%04x`, c)
		default:
			out = append(out, c)
		}
	}
	return out
}
