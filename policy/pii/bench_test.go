package pii

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/internal/llm"
)

const prose = "The gateway reads a request once, from the first byte to the last, and forms an opinion about every text in it. " +
	"Most of what people write holds nothing that must stay at home: a question about a recipe, three lines of a poem, the summary of a meeting " +
	"that took place in 2024 and lasted for 45 minutes. It would be a pity to spend more on those than on the answer itself; so the scanner looks for the few bytes " +
	"with which a number, an address or a key can begin, and only there does it look again. "

// fill repeats prose to n bytes and puts the values into it, evenly.
func fill(n int, values ...string) []byte {
	b := []byte(strings.Repeat(prose, n/len(prose)+1)[:n])
	for i, v := range values {
		at := (i + 1) * n / (len(values) + 1)
		copy(b[at:], " "+v+" ")
	}
	return b
}

func BenchmarkScan(b *testing.B) {
	values := []string{"jane.doe@example.com", "4111 1111 1111 1111", "DE89 3704 0044 0532 0130 00", "203.0.113.9", "AKIAIOSFODNN7EXAMPLE"}
	cases := []struct {
		name string
		text []byte
		want int
	}{
		{"clean-1k", fill(1 << 10), 0}, {"clean-8k", fill(8 << 10), 0}, {"clean-64k", fill(64 << 10), 0},
		{"five-8k", fill(8<<10, values...), 5},
		{"five-and-phone-8k", fill(8<<10, append(values, "+49 30 901820")...), 6},
		{"german-8k", []byte(strings.Repeat("Für die Prüfung der Verträge hätten wir gern größere Räume. ", 130)), 0},
		{"chinese-8k", []byte(strings.Repeat("网关在请求离开本机之前检查每一段文字。", 145)), 0},
		{"fullwidth-8k", []byte(strings.Repeat("卡号，请勿泄露；编号１２３", 210)), 0},
	}
	for _, c := range cases {
		b.Run(c.name, func(b *testing.B) {
			in := newTest(b, Config{})
			s := in.pool.Get().(*scanner)
			b.SetBytes(int64(len(c.text)))
			for b.Loop() {
				if n := len(s.scan(c.text, nil)); n != c.want {
					b.Fatalf("%d findings", n)
				}
			}
		})
	}
}

func body(text string) []byte {
	b, _ := json.Marshal(map[string]any{"model": "auto", "messages": []any{map[string]any{"role": "system", "content": "You help."}, map[string]any{"role": "user", "content": text}}})
	return b
}

func BenchmarkInspect(b *testing.B) {
	in := newTest(b, Config{})
	for _, c := range []struct{ name, text string }{{"clean-8k", string(fill(8 << 10))}, {"three-8k", string(fill(8<<10, email, "4111 1111 1111 1111", "203.0.113.9"))}} {
		b.Run(c.name, func(b *testing.B) {
			req := &llm.Request{ID: "1", Body: body(c.text)}
			b.SetBytes(int64(len(req.Body)))
			for b.Loop() {
				if _, err := in.Inspect(b.Context(), req); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRedact(b *testing.B) {
	in := newTest(b, Config{})
	req := &llm.Request{ID: "1", Body: body(string(fill(8<<10, email, "4111 1111 1111 1111", "203.0.113.9")))}
	fs, _ := in.Inspect(b.Context(), req)
	b.SetBytes(int64(len(req.Body)))
	for b.Loop() {
		if _, _, err := in.Redact(req, fs, Types()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRestore(b *testing.B) {
	_, r := redacted(b, "a@example.com b@example.com c@example.com")
	text := "Exactly. Each token of an answer passes here. "
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		ev := llm.Event{Choices: []llm.Delta{{Text: text}}}
		r.Event(&ev)
	}
}
