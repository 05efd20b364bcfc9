package repair

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestForm(t *testing.T) {
	read := func(f *Form, err error) *Form {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	const list = "root ::= item | item \",\" root\nitem ::= [a-zß]+"
	for _, tt := range []struct {
		name       string
		form       *Form
		text, want string // want is the text once mended: "-" where it cannot be
	}{
		{"regex", read(Regex("a|b+")), "bb", "bb"},
		{"regex-part", read(Regex("a|b+")), "ab", "-"},
		{"regex-space", read(Regex("a|b+")), "\n a", "a"},
		{"choice", read(Choice([]string{"in stock", "sold"})), "in stock", "in stock"},
		{"choice-case", read(Choice([]string{"in stock", "sold"})), "In-Stock ", "in stock"},
		{"choice-none", read(Choice([]string{"in stock", "sold"})), "perhaps", "-"},
		{"choice-no-text", read(Choice([]string{"\"a\"", "<b>"})), "<B>", "<b>"},
		{"grammar", read(GBNF(list)), "maß,b", "maß,b"},
		{"grammar-long", read(GBNF(list)), strings.Repeat("a,", 10_000) + "b", strings.Repeat("a,", 10_000) + "b"},
		{"grammar-space", read(GBNF(list)), " a,b\n", "a,b"},
		{"grammar-unfinished", read(GBNF(list)), "a,", "-"},
		{"grammar-no-utf8", read(GBNF(list)), "a\xff", "-"},
		{"grammar-too-deep", read(GBNF(`root ::= "(" root ")" | "x"`)), strings.Repeat("(", 300) + "x" + strings.Repeat(")", 300), "-"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.form.Check(tt.text)
			if (err == nil) != (tt.text == tt.want) {
				t.Errorf("check: %v", err)
			}
			fixed, fixes, merr := tt.form.Mend(tt.text)
			if tt.want == "-" {
				b, ok := errors.AsType[*BrokenError](merr)
				if !ok || b.Keyword != strings.SplitN(tt.name, "-", 2)[0] || strings.Contains(b.Error(), "perhaps") {
					t.Errorf("mended to %q: %v", fixed, merr)
				}
				return
			}
			if fixed != tt.want || merr != nil || len(fixes) == 0 && err != nil {
				t.Errorf("mended to %q by %v, %v", fixed, fixes, merr)
			}
		})
	}
	long := strings.Repeat("a", maxForm+1)
	for name, read := range map[string]func(string) (*Form, error){"regex": Regex, "grammar": GBNF} {
		for _, text := range []string{long, "(?=secret)(", "a)|(?:b"} {
			if _, err := read(text); err == nil || strings.Contains(err.Error(), "(?=secret)") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// What a short expression is blown up to, or a long text, takes neither time nor memory.
func TestFormBounded(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	clock := time.Now()
	if _, err := Regex(strings.Repeat(`(?:a?|b){900}|`, 600) + "a"); !errors.Is(err, errTooLong) {
		t.Errorf("a large expression: %v", err)
	}
	f, err := Regex(strings.Repeat(`(?:a?|b){900}|`, 8) + "a")
	if err != nil {
		t.Fatal(err)
	}
	if f.Check(strings.Repeat("a", 800)) != nil || f.Check(strings.Repeat("a", 1000)) == nil {
		t.Error("a text of bearable length is not checked")
	}
	if err := f.Check(strings.Repeat("a", 1<<20)); err != nil {
		t.Errorf("a text that takes too long: %v", err)
	}
	runtime.ReadMemStats(&after)
	if n, took := (after.TotalAlloc-before.TotalAlloc)>>20, time.Since(clock); n > 100 || took > 10*time.Second {
		t.Errorf("%d MiB in %v", n, took)
	}
}

// A grammar that is costly to follow is followed for a while.
func TestGrammarBounded(t *testing.T) {
	root, rules := `root ::= "y"`, `q ::= "x" | "(" q ")"`
	for i := range 200 {
		root += fmt.Sprintf(" | p%d", i)
		rules += fmt.Sprintf("\np%d ::= q{0,%d}", i, 9999+i)
	}
	f, err := GBNF(root + "\n" + rules)
	if err != nil {
		t.Fatal(err)
	}
	clock := time.Now()
	for _, tt := range []struct {
		text string
		want bool
	}{{strings.Repeat("x", 100), true}, {strings.Repeat("x", 100) + "!", false}, {strings.Repeat("x", 1<<20) + "!", true}} {
		if got := f.Check(tt.text) == nil; got != tt.want {
			t.Errorf("%d bytes: %v", len(tt.text), got)
		}
	}
	if took := time.Since(clock); took > 20*time.Second {
		t.Errorf("checked in %v", took)
	}
}

// Patterns of all tools together are bounded, not only those of each.
func TestToolsShareWork(t *testing.T) {
	var tools []Tool
	for i := range 400 {
		tools = append(tools, Tool{Name: fmt.Sprint("t", i), Parameters: fmt.Appendf(nil, `{"type":"object","properties":{"a":{"type":"string","pattern":"^(?:a?b?c?){%d}$"}}}`, 201+i%200)})
	}
	clock := time.Now()
	read := ReadTools(tools)
	if took := time.Since(clock); took > 10*time.Second {
		t.Errorf("read in %v", took)
	}
	if read.Check("t399", `{"a":1}`) == nil || read.Check("t399", `{"a":"c"}`) != nil {
		t.Error("a pattern that was too much is checked, or what else the schema says is not")
	}
}
