package chat

import (
	"bytes"
	"encoding/json"
	"strings"
)

// readCall reads one element of a call list:
//
//	name(key=value, …)
//	{"name": "…", "arguments": {…}}
//
// where a string that its own quotes have broken is mended; see [mender].
func readCall(s string) (ToolCall, bool) {
	r := &reader{s: s}
	if r.peek() == '{' {
		return readObject(s, true)
	}
	name, ok := r.callName()
	if !ok {
		return ToolCall{}, false
	}
	body := r.i
	if args, ok := r.keywords(); ok && r.peek() == 0 && r.i == len(s) {
		return args.call(name), true
	}
	m := &mender{reader: reader{s: s, i: body}}
	if args, ok := m.keywords(); ok && m.peek() == 0 && m.i == len(s) {
		return args.call(name), true
	}
	return ToolCall{}, false
}

// callName reads a dotted name and the parenthesis after it.
func (r *reader) callName() (string, bool) {
	name := r.word(true)
	if name == "" || name[0] >= '0' && name[0] <= '9' || !r.accept('(') {
		return "", false
	}
	return name, true
}

// An argument is a keyword and its value as JSON.
type argument struct {
	key   string
	value []byte
}

type arguments []argument

// set adds an argument; a repeated one replaces the first.
func (a arguments) set(key string, value []byte) arguments {
	for i := range a {
		if a[i].key == key {
			a[i].value = value
			return a
		}
	}
	return append(a, argument{key, value})
}

func (a arguments) call(name string) ToolCall {
	out := []byte("{")
	for i, arg := range a {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(appendString(out, arg.key), ':')
		out = append(out, arg.value...)
	}
	return ToolCall{Name: strings.ToValidUTF8(name, "\uFFFD"), Arguments: append(out, '}')}
}

// keywords reads keyword arguments and the closing parenthesis.
func (r *reader) keywords() (args arguments, ok bool) {
	for {
		if r.accept(')') {
			return args, true
		}
		if len(args) > 0 && !r.accept(',') {
			return nil, false
		}
		if len(args) > 0 && r.accept(')') {
			return args, true
		}
		key := r.word(false)
		if key == "" || !r.accept('=') {
			return nil, false
		}
		value, ok := r.value(nil, 0)
		if !ok || len(args) >= maxArguments {
			return nil, false
		}
		args = args.set(key, value)
	}
}

// maxArguments bounds the arguments of one call, since set is linear in them.
const maxArguments = 1 << 10

// readObject reads the JSON form of a call, in JSON or as a Python dict. The
// arguments may be called parameters and may be JSON in a string; the whole
// may be wrapped once as {"type": "function", "function": {…}}.
func readObject(s string, wrapped bool) (ToolCall, bool) {
	data := []byte(strings.TrimSpace(s))
	if !json.Valid(data) {
		r := &reader{s: s}
		var ok bool
		if data, ok = r.value(nil, 0); !ok || r.peek() != 0 || r.i != len(s) || !json.Valid(data) {
			return ToolCall{}, false
		}
	}
	var obj struct {
		Name       string          `json:"name"`
		Arguments  json.RawMessage `json:"arguments"`
		Parameters json.RawMessage `json:"parameters"`
		Function   json.RawMessage `json:"function"`
	}
	if json.Unmarshal(data, &obj) != nil {
		return ToolCall{}, false
	}
	if obj.Name == "" {
		if !wrapped || len(obj.Function) == 0 || obj.Function[0] != '{' {
			return ToolCall{}, false
		}
		return readObject(string(obj.Function), false)
	}
	args := obj.Arguments
	if args == nil {
		args = obj.Parameters
	}
	var text string
	if len(args) > 0 && args[0] == '"' && json.Unmarshal(args, &text) == nil {
		args = json.RawMessage(text)
	}
	args = bytes.TrimSpace(args)
	if len(args) == 0 || string(args) == "null" {
		return ToolCall{Name: obj.Name, Arguments: json.RawMessage("{}")}, true
	}
	var compact bytes.Buffer
	if args[0] != '{' || json.Compact(&compact, args) != nil {
		return ToolCall{}, false
	}
	return ToolCall{Name: obj.Name, Arguments: bytes.ToValidUTF8(compact.Bytes(), []byte("\uFFFD"))}, true
}

// A mender reads keyword arguments whose strings hold unescaped quotes of
// their own kind, as in f(cmd='sed -n '1,5p' x', n=1): it takes a string to
// end at the first quote from which the rest of the call can be read. Only
// whole arguments are mended, not strings inside lists or dicts.
type mender struct {
	reader
	found []mended // the arguments read so far
	tries int
}

// A mended is a keyword with its value, or with where its string stands.
type mended struct {
	key      string
	value    []byte
	from, to int
}

// These bound the quotes and the arguments that a mender considers.
const (
	maxTries  = 16 << 10
	maxMended = 64
)

// keywords reads the rest of the keyword arguments and the closing parenthesis.
func (m *mender) keywords() (arguments, bool) {
	n := len(m.found)
	comma := n > 0 && m.accept(',')
	if m.accept(')') {
		if !m.finished() {
			return nil, false
		}
		return m.arguments(), true
	}
	if n > 0 && !comma || n == maxMended {
		return nil, false
	}
	key := m.word(false)
	if key == "" || !m.accept('=') {
		return nil, false
	}
	if b := m.peek(); b != '\'' && b != '"' {
		value, ok := m.value(nil, 0)
		if !ok {
			return nil, false
		}
		m.found = append(m.found[:n], mended{key: key, value: value})
		return m.keywords()
	}
	quote, start := m.s[m.i], m.i+1
	for i := start; i < len(m.s); i++ {
		if m.s[i] == '\\' {
			i++
			continue
		}
		if m.s[i] != quote {
			continue
		}
		if m.tries++; m.tries > maxTries {
			return nil, false
		}
		m.i = i + 1
		m.found = append(m.found[:n], mended{key: key, from: start, to: i})
		if args, ok := m.keywords(); ok {
			return args, true
		}
	}
	return nil, false
}

func (m *mender) arguments() (args arguments) {
	for _, f := range m.found {
		if f.value == nil {
			f.value = appendString(nil, unescape(m.s[f.from:f.to]))
		}
		args = args.set(f.key, f.value)
	}
	return args
}

// finished reports whether the call may be over, with i after its closing
// parenthesis: nothing follows, or the end of the list, or another call.
func (m *mender) finished() bool {
	probe := m.reader
	switch probe.peek() {
	case 0, ']':
		return probe.i == len(probe.s) || probe.s[probe.i] == ']' && onlyClosers(probe.s[probe.i:])
	case ',':
		probe.i++
		if probe.peek() == '{' {
			return true
		}
		_, ok := probe.callName()
		return ok
	}
	return false
}

// onlyClosers reports whether s holds nothing but closing brackets and space.
func onlyClosers(s string) bool { return strings.Trim(s, "]) \t\r\n") == "" }

// mendCalls reads what it can of a call list that a broken string has made
// unreadable, and counts the calls that it had to give up.
func mendCalls(s string) (calls []ToolCall, bad int) {
	if c, ok := readCall(s); ok {
		return []ToolCall{c}, 0
	}
	m := &mender{reader: reader{s: s}}
	for {
		for m.accept(',') || m.accept('[') || m.accept(']') {
		}
		if m.i == len(m.s) {
			return calls, bad
		}
		start := m.i
		if name, ok := m.callName(); ok {
			m.found = m.found[:0]
			if args, ok := m.keywords(); ok {
				calls = append(calls, args.call(name))
				continue
			}
		}
		bad++
		next := nextCall(s, start)
		if next < 0 {
			return calls, bad
		}
		m.i = next
	}
}

// nextCall returns where, after start, a call begins that follows another, or
// -1.
func nextCall(s string, start int) int {
	for i := start; i < len(s); i++ {
		if s[i] != ')' {
			continue
		}
		r := &reader{s: s, i: i + 1}
		if !r.accept(',') {
			continue
		}
		at := r.i
		if _, ok := r.callName(); ok {
			return at
		}
	}
	return -1
}
