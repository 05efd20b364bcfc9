package grammar_test

import (
	"encoding/json"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/runtime/grammar"
	"github.com/sluice-ai/sluice/runtime/grammar/jsonschema"
)

// typical are schemas of the kinds that requests carry.
var typical = []struct{ name, schema string }{
	{"any-object", `{"type":"object"}`},
	{"person", `{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer","minimum":0,"maximum":150},"email":{"type":"string","format":"email"}},"required":["name","age"],"additionalProperties":false}`},
	{"sentiment", `{"type":"object","properties":{"sentiment":{"enum":["positive","negative","neutral"]},"confidence":{"type":"number","minimum":0,"maximum":1},"reason":{"type":"string","maxLength":200}},"required":["sentiment","confidence","reason"],"additionalProperties":false}`},
	{"invoice", `{"type":"object","properties":{"number":{"type":"string","pattern":"^INV-\\d{4}-\\d{3,6}$"},"date":{"type":"string","format":"date"},"currency":{"enum":["EUR","USD","GBP","CHF"]},"lines":{"type":"array","minItems":1,"maxItems":50,"items":{"type":"object","properties":{"description":{"type":"string","minLength":1,"maxLength":120},"quantity":{"type":"integer","minimum":1},"price":{"type":"number","minimum":0,"multipleOf":0.01}},"required":["description","quantity","price"],"additionalProperties":false}},"total":{"type":"number"}},"required":["number","date","currency","lines","total"],"additionalProperties":false}`},
	{"entities", `{"type":"array","items":{"type":"object","properties":{"text":{"type":"string"},"type":{"enum":["person","organisation","place","date","money","other"]},"start":{"type":"integer","minimum":0},"end":{"type":"integer","minimum":0}},"required":["text","type"],"additionalProperties":false}}`},
	{"tree", `{"$ref":"#/$defs/node","$defs":{"node":{"type":"object","properties":{"value":{"type":["string","number","null"]},"children":{"type":"array","items":{"$ref":"#/$defs/node"}}},"required":["value","children"],"additionalProperties":false}}}`},
	{"event-union", `{"anyOf":[{"type":"object","properties":{"kind":{"const":"message"},"text":{"type":"string"},"at":{"type":"string","format":"date-time"}},"required":["kind","text"],"additionalProperties":false},{"type":"object","properties":{"kind":{"const":"payment"},"amount":{"type":"number","exclusiveMinimum":0},"to":{"type":"string","format":"uuid"}},"required":["kind","amount","to"],"additionalProperties":false},{"type":"object","properties":{"kind":{"const":"login"},"ip":{"type":"string","format":"ipv4"},"ok":{"type":"boolean"}},"required":["kind","ip"],"additionalProperties":false}]}`},
	{"address-optional", `{"type":"object","properties":{"street":{"type":"string"},"number":{"type":"string"},"city":{"type":"string"},"zip":{"type":"string","pattern":"^\\d{4,5}$"},"country":{"type":"string","pattern":"^[A-Z]{2}$"},"phone":{"type":"string"},"note":{"type":["string","null"]}},"required":["city"],"additionalProperties":false}`},
	{"headers", `{"type":"object","properties":{"id":{"type":"integer"}},"patternProperties":{"^x-[a-z-]+$":{"type":"string"}},"additionalProperties":{"type":["string","number","boolean"]},"required":["id"]}`},
	{"settings", settings()},
}

// settings is an object of forty optional members.
func settings() string {
	props := map[string]any{}
	for i := range 40 {
		props[fmt.Sprintf("option_%c%d", 'a'+i%26, i)] = []any{
			map[string]any{"type": "boolean"}, map[string]any{"type": "integer", "minimum": -10, "maximum": 1000},
			map[string]any{"type": "string"}, map[string]any{"type": "array", "items": map[string]any{"type": "string"}, "maxItems": 5},
		}[i%4]
	}
	b, _ := json.Marshal(map[string]any{"type": "object", "properties": props, "additionalProperties": false})
	return string(b)
}

func compile(t testing.TB, schema string, o jsonschema.Options) *jsonschema.Compiled {
	t.Helper()
	c, err := jsonschema.Compile([]byte(schema), o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// pick chooses a token of the mask: one that leads on to the end, as often as
// the answer is long, else any.
func pick(rng *rand.Rand, v *grammar.Vocab, mask []uint64, long bool) int32 {
	var ids []int32
	for i, w := range mask {
		for ; w != 0; w &= w - 1 {
			ids = append(ids, int32(i*64+bits.TrailingZeros64(w)))
		}
	}
	if len(ids) == 0 {
		return -1
	}
	tok := v.Tokenizer()
	if long {
		// What closes things: end of generation, then the shortest closing tokens.
		for _, want := range []string{"", `"`, "]", "}", ")", `"}`, `"]`, ",", ":"} {
			for _, id := range ids {
				if want == "" && tok.IsEOG(id) || want != "" && string(tok.Piece(id)) == want {
					return id
				}
			}
		}
	}
	return ids[rng.IntN(len(ids))]
}

// walk lets a random picker write an answer and returns the times of its masks.
func walk(t testing.TB, p *grammar.Program, v *grammar.Vocab, rng *rand.Rand, times []time.Duration) (string, []time.Duration) {
	t.Helper()
	m := p.NewMatcher()
	mask := make([]uint64, v.Words())
	var ids []int32
	for {
		clock := time.Now()
		m.Mask(mask)
		times = append(times, time.Since(clock))
		id := pick(rng, v, mask, len(ids) > 40)
		if id < 0 {
			t.Fatalf("a dead end after %q", v.Tokenizer().Decode(ids))
		}
		if err := m.Accept(id); err != nil {
			t.Fatalf("%v: %q after %q", err, v.Tokenizer().Piece(id), v.Tokenizer().Decode(ids))
		}
		if v.Tokenizer().IsEOG(id) {
			return v.Tokenizer().Decode(ids), times
		}
		if ids = append(ids, id); len(ids) > 4000 {
			t.Fatalf("no end after %q", v.Tokenizer().Decode(ids))
		}
	}
}

// BenchmarkMask reports the distribution of the time of one mask over random
// answers to each schema, beginning with a fresh Program.
func BenchmarkMask(b *testing.B) {
	v := large()
	for _, tt := range typical {
		b.Run(tt.name, func(b *testing.B) {
			c := compile(b, tt.schema, jsonschema.Options{})
			p, err := v.Bind(c.Grammar)
			if err != nil {
				b.Fatal(err)
			}
			rng := rand.New(rand.NewPCG(1, 2))
			var times []time.Duration
			for b.Loop() {
				_, times = walk(b, p, v, rng, times)
			}
			slices.Sort(times)
			at := func(q float64) float64 { return float64(times[int(q*float64(len(times)-1))].Nanoseconds()) / 1e3 }
			b.ReportMetric(at(0.5), "p50-µs")
			b.ReportMetric(at(0.99), "p99-µs")
			b.ReportMetric(at(1), "max-µs")
			b.ReportMetric(float64(len(times)), "masks")
		})
	}
}

// BenchmarkCompile measures a schema from its text to a bound Program.
func BenchmarkCompile(b *testing.B) {
	v := large()
	for _, tt := range typical {
		b.Run(tt.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := v.Bind(compile(b, tt.schema, jsonschema.Options{}).Grammar); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkPrepare(b *testing.B) {
	tok := large().Tokenizer()
	for b.Loop() {
		grammar.NewVocab(tok, tok.Size()).Prepare()
	}
}

func BenchmarkForced(b *testing.B) {
	v := large()
	p, err := v.Bind(compile(b, typical[1].schema, jsonschema.Options{}).Grammar)
	if err != nil {
		b.Fatal(err)
	}
	m := p.NewMatcher()
	for b.Loop() {
		m.Forced()
	}
}
