package jsonschema

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	peer "github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/sluice-ai/sluice/runtime/gguf"
	"github.com/sluice-ai/sluice/runtime/grammar"
	"github.com/sluice-ai/sluice/runtime/nano"
	"github.com/sluice-ai/sluice/runtime/tokenizer"
)

// schemas makes random schemas of the keywords that are enforced while decoding.
type schemas struct {
	*rand.Rand
	defs []string
}

func (r schemas) one(list ...string) string { return list[r.IntN(len(list))] }

func (r schemas) schema(depth int) map[string]any {
	s := map[string]any{}
	kinds := []string{"string", "string", "integer", "number", "boolean", "null", "enum"}
	if depth > 0 {
		kinds = append(kinds, "object", "object", "object", "array", "array", "any", "all", "ref", "if", "union", "not")
	}
	switch r.one(kinds...) {
	case "string":
		r.text(s)
	case "integer", "number":
		r.number(s)
	case "boolean":
		s["type"] = "boolean"
	case "null":
		s["type"] = "null"
	case "enum":
		s["enum"] = []any{"a", "a b", "ü\n\"x\"", 1, -2.5, nil, true, []any{1, "x"}, map[string]any{"k": 1}}[r.IntN(5) : 5+r.IntN(5)]
	case "object":
		r.object(s, depth)
	case "array":
		s["type"] = "array"
		if r.IntN(3) > 0 {
			s["items"] = r.schema(depth - 1)
		}
		if r.IntN(3) == 0 {
			s["prefixItems"] = []any{r.schema(depth - 1), r.schema(depth - 1)}
		}
		if r.IntN(2) == 0 {
			s["minItems"] = r.IntN(3)
			s["maxItems"] = 2 + r.IntN(3)
		}
	case "any":
		s[r.one("anyOf", "anyOf", "oneOf")] = []any{r.schema(depth - 1), r.schema(depth - 1), r.schema(depth - 1)}
	case "all":
		s["allOf"] = []any{r.schema(depth - 1), r.schema(depth - 1)}
	case "ref":
		s["$ref"] = "#/$defs/" + r.one(r.defs...)
	case "if":
		r.object(s, depth)
		s["if"] = map[string]any{"properties": map[string]any{"a": map[string]any{"const": r.one("x", "y")}}, "required": []any{"a"}}
		s["then"] = map[string]any{"required": []any{"b"}}
		s["else"] = map[string]any{"properties": map[string]any{"c": r.schema(depth - 1)}}
	case "union":
		s["type"] = []any{"string", r.one("null", "integer", "array")}
		s["maxLength"] = 1 + r.IntN(5)
	case "not":
		r.object(s, depth)
		s["not"] = map[string]any{"required": []any{r.one("a", "b", "zz")}}
	}
	return s
}

func (r schemas) text(s map[string]any) {
	s["type"] = "string"
	if r.IntN(2) == 0 {
		s["minLength"] = r.IntN(4)
		s["maxLength"] = 3 + r.IntN(12)
	}
	switch r.IntN(5) {
	case 0:
		s["pattern"] = r.one(`^[a-z]+$`, `\d`, `^(ab|cd)*$`, `^[^"\\]{1,8}$`, `^é+.?$`, `^\S+ \S+$`, `[A-Z]{2}`)
	case 1:
		delete(s, "minLength")
		delete(s, "maxLength")
		s["format"] = r.one("date", "time", "date-time", "duration", "email", "uuid", "uri", "ipv4", "ipv6", "hostname")
	}
}

func (r schemas) number(s map[string]any) {
	s["type"] = r.one("integer", "number")
	lo := r.IntN(200) - 100
	if r.IntN(2) == 0 {
		s[r.one("minimum", "exclusiveMinimum")] = lo
	}
	if r.IntN(2) == 0 {
		s[r.one("maximum", "exclusiveMaximum")] = json.Number(fmt.Sprintf("%d.5", lo+20+r.IntN(1000)))
	}
	if r.IntN(4) == 0 {
		s["multipleOf"] = json.Number(r.one("2", "5", "0.5", "0.01", "7"))
	}
}

func (r schemas) object(s map[string]any, depth int) {
	s["type"] = "object"
	props := map[string]any{}
	for _, name := range []string{"a", "b", "c", "na\"me", "ü"}[:r.IntN(6)] {
		props[name] = r.schema(depth - 1)
	}
	s["properties"] = props
	var required []any
	for name := range props {
		if r.IntN(3) == 0 {
			required = append(required, name)
		}
	}
	if len(required) > 0 {
		s["required"] = required
	}
	switch r.IntN(6) {
	case 0, 1:
		s["additionalProperties"] = false
	case 2:
		s["additionalProperties"] = r.schema(0)
	case 3:
		s["patternProperties"] = map[string]any{r.one("^a", "x$", "^[b-d]+$"): r.schema(0)}
	case 4:
		s["propertyNames"] = map[string]any{"pattern": "^[a-cü]", "maxLength": 4}
	case 5:
		s["maxProperties"] = 1 + r.IntN(3)
	}
	if r.IntN(6) == 0 {
		s["dependentRequired"] = map[string]any{"a": []any{"b"}}
	}
}

func (r schemas) document() []byte {
	r.defs = []string{"one", "two"}
	s := r.schema(3)
	s["$defs"] = map[string]any{"one": r.schema(2), "two": r.schema(2)}
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return b
}

// peerSchema compiles the schema with the validator that ours is held against.
func peerSchema(t testing.TB, text []byte) *peer.Schema {
	t.Helper()
	doc, err := peer.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	c := peer.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return s
}

func valueOf(t testing.TB, text string) (any, error) {
	t.Helper()
	return peer.UnmarshalJSON(strings.NewReader(text))
}

// nanoVocab returns nano's vocabulary, read without the engine, which imports this
// package.
func nanoVocab(t *testing.T) *grammar.Vocab {
	t.Helper()
	f, err := gguf.Parse(nano.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	v := tokenizer.Vocab{BOS: -1, EOS: -1, PAD: -1}
	v.Tokens, _ = f.Strs("tokenizer.ggml.tokens")
	v.Merges, _ = f.Strs("tokenizer.ggml.merges")
	v.Pre, _ = f.Str("tokenizer.ggml.pre")
	types, _ := f.Ints("tokenizer.ggml.token_type")
	for _, n := range types {
		v.Types = append(v.Types, int32(n))
	}
	if eos, ok := f.Int("tokenizer.ggml.eos_token_id"); ok {
		v.EOS = int32(eos)
	}
	tok, err := tokenizer.New(v)
	if err != nil {
		t.Fatal(err)
	}
	return grammar.NewVocab(tok, tok.Size())
}

// TestRandom writes answers to random schemas with a picker that chooses tokens
// of nano's vocabulary by chance, and holds every answer against another
// validator; then answers with a byte changed, which no automaton may take unless
// they are valid. SLUICE_RANDOM sets how many answers; 10,000 is what the issue
// asks for.
func TestRandom(t *testing.T) {
	v := nanoVocab(t)
	want := 600
	if n, err := strconv.Atoi(os.Getenv("SLUICE_RANDOM")); err == nil {
		want = n
	}
	rng := rand.New(rand.NewPCG(11, 12))
	answers, mutants, checked, refused := 0, 0, 0, 0
	for answers < want {
		text := schemas{Rand: rng}.document()
		c, err := Compile(text, Options{Whitespace: Whitespace(rng.IntN(3))})
		if err != nil {
			if !errors.Is(err, grammar.ErrEmpty) && !strings.Contains(err.Error(), errLoop.Error()) {
				t.Fatalf("%s\n%v", text, err)
			}
			refused++
			continue
		}
		p, err := v.Bind(c.Grammar)
		if err != nil {
			t.Fatal(err)
		}
		judge := peerSchema(t, text)
		for range 10 {
			answer, ok := write(t, v, p, rng, text)
			if !ok {
				t.Fatalf("%s\nno end or a dead end: %.300q", text, answer)
			}
			answers++
			value, err := valueOf(t, answer)
			if err != nil {
				t.Fatalf("%s\nis no JSON: %q", text, answer)
			}
			ours := c.Validate([]byte(answer))
			theirs := judge.Validate(value)
			if (ours == nil) != (theirs == nil) {
				t.Fatalf("%s\n%s\nwe say %v, the peer says %v", text, answer, ours, theirs)
			}
			if theirs != nil {
				if len(c.PostChecks) == 0 {
					t.Fatalf("%s\nallowed %s\n%v", text, answer, theirs)
				}
				checked++
			}
			for range 5 {
				mutants += mutate(t, rng, p, judge, c, string(text), answer)
			}
		}
	}
	t.Logf("%d answers, of which %d needed the checks afterwards; %d mutants refused by the peer; %d schemas refused", answers, checked, mutants, refused)
}

// mutate changes a byte of answer; an automaton without checks afterwards must
// not take what the peer refuses. It returns 1 if the peer refuses the mutant.
func mutate(t *testing.T, rng *rand.Rand, p *grammar.Program, judge *peer.Schema, c *Compiled, schema, answer string) int {
	t.Helper()
	b := []byte(answer)
	switch i := rng.IntN(len(b)); rng.IntN(3) {
	case 0:
		b[i] = `0129abAZ{}[]",:-. \un`[rng.IntN(21)]
	case 1:
		b = append(b[:i], b[i+1:]...)
	case 2:
		b = append(b[:i:i], append([]byte{`019a"],}`[rng.IntN(8)]}, b[i:]...)...)
	}
	value, err := valueOf(t, string(b))
	bad := err != nil || judge.Validate(value) != nil
	m := p.NewMatcher()
	if m.AcceptText(string(b)) == nil && m.Done() && bad && (err != nil || len(c.PostChecks) == 0) {
		t.Fatalf("%s\naccepts %s", schema, b)
	}
	if bad {
		return 1
	}
	return 0
}

// write lets a picker write an answer: tokens by chance, and after a while the
// shortest way to the end that it finds.
func write(t *testing.T, v *grammar.Vocab, p *grammar.Program, rng *rand.Rand, schema []byte) (string, bool) {
	t.Helper()
	m := p.NewMatcher()
	tok := v.Tokenizer()
	mask := make([]uint64, v.Words())
	var ids []int32
	for len(ids) < 3000 {
		if forced := m.Forced(); len(forced) > 0 && rng.IntN(2) == 0 {
			for _, id := range forced {
				if err := m.Accept(id); err != nil {
					t.Fatalf("a forced token is refused: %v", err)
				}
			}
			ids = append(ids, forced...)
			continue
		}
		m.Mask(mask)
		var allowed []int32
		for i, w := range mask {
			for ; w != 0; w &= w - 1 {
				allowed = append(allowed, int32(i*64+bits.TrailingZeros64(w)))
			}
		}
		if len(allowed) == 0 {
			return tok.Decode(ids), false
		}
		id := allowed[rng.IntN(len(allowed))]
		late := "" // what leads on, once the answer is long
		if len(ids) > 60 {
			late = [...]string{`"]}`, `:@.-/0TPZ`, ""}[rng.IntN(3)]
		}
		for _, other := range allowed {
			piece := string(tok.Piece(other))
			if tok.IsEOG(other) && rng.IntN(4) == 0 || piece != "" && strings.Contains(late, piece) && rng.IntN(2) == 0 {
				id = other
				break
			}
		}
		if err := m.Accept(id); err != nil {
			t.Fatalf("%s\n%q is in the mask after %q, but %v", schema, tok.Piece(id), tok.Decode(ids), err)
		}
		if tok.IsEOG(id) {
			return tok.Decode(ids), true
		}
		ids = append(ids, id)
	}
	return tok.Decode(ids), false
}
