package eval

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"image/png"
	"io"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/internal/llm"
)

func TestReadCases(t *testing.T) {
	const good = `{"t": "hidden text", "k": "chat", "p": 0.9, "l": "en"}`
	for _, tt := range []struct{ name, text, err string }{
		{"all-fields", `{"t":"x","k":"tool","p":0,"l":"de","sys":"s","tools":["a"],"hist":[["user","u"],["tool","r"]],"c":0.9}`, ""},
		{"empty-lines", "\n" + good + "\n\n", ""},
		{"nothing", "\n\n", "there is no case"},
		{"no-label", `{"t": "hidden text", "k": "chat", "l": "en"}`, `line 1: "p", the label, is missing`},
		{"no-text", `{"k": "chat", "p": 1, "l": "en"}`, `line 1: "t"`},
		{"no-chance", good + "\n" + strings.Replace(good, "0.9", "1.2", 1), `line 2: "p" and "c" are chances`},
		{"unknown-kind", strings.Replace(good, "chat", "cooking", 1), `line 1: "k" is none of the kinds`},
		{"unknown-key", strings.Replace(good, `"l"`, `"lang"`, 1), `line 1 is no case`},
		{"no-language", strings.Replace(good, `"en"`, `""`, 1), `line 1: "l"`},
		{"unknown-role", strings.Replace(good, "}", `,"hist":[["boss","hidden text"]]}`, 1), `"hist" holds a role`},
		{"wrong-type", strings.Replace(good, "0.9", `"hidden"`, 1), `"p" is a string`},
		{"no-json", "hidden text", "line 1 is no case"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ReadCases(strings.NewReader(tt.text))
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			if err != nil && strings.Contains(err.Error(), "hidden") {
				t.Errorf("the error quotes the data: %v", err)
			}
		})
	}
}

// The repository's own set is read, and its requests are whole.
func TestOwnSet(t *testing.T) {
	cases := ownSet(t)
	for i := range cases {
		c := &cases[i]
		req := c.Request()
		last := req.Messages[len(req.Messages)-1]
		want := len(c.History) + 1
		if c.System != "" {
			want++
		}
		if last.Role != llm.User || last.Text != c.Text || len(req.Messages) != want || len(req.Tools) != len(c.Tools) {
			t.Errorf("case %d became %+v", i+1, req)
		}
	}
}

func ownSet(t *testing.T) []Case {
	t.Helper()
	f, err := os.Open("../../testdata/eval/judge.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cases, err := ReadCases(f)
	if err != nil || len(cases) < 400 {
		t.Fatalf("%d cases: %v", len(cases), err)
	}
	return cases
}

type judgeFunc func(*llm.Request) llm.Assessment

func (f judgeFunc) Assess(_ context.Context, req *llm.Request) llm.Assessment { return f(req) }

func TestRun(t *testing.T) {
	asked, told := 0, 0
	j := judgeFunc(func(*llm.Request) llm.Assessment {
		asked++
		return llm.Assessment{PLocal: 0.7, Task: "chat", Boundary: llm.Supported}
	})
	out, err := Run(t.Context(), j, []Case{{Text: "a"}, {Text: "b"}}, func(done int) { told = done })
	if err != nil || len(out) != 2 || asked != 3 || told != 2 || out[1].PLocal != 0.7 || out[1].Kind != "chat" {
		t.Errorf("%+v %v; asked %d times, told %d", out, err, asked, told)
	}
	mute := judgeFunc(func(*llm.Request) llm.Assessment { return llm.Assessment{Boundary: llm.NoVerdict, Why: "busy"} })
	if _, err := Run(t.Context(), mute, []Case{{Text: "a"}}, nil); err == nil || !strings.Contains(err.Error(), "case 1 has no verdict: busy") {
		t.Errorf("without a verdict: %v", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(gone, j, []Case{{Text: "a"}}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

// The baseline is worth beating: on the held-out set it is far from chance, in
// every language. (It was fitted on other data.) The numbers are in docs/evaluation.md.
func TestRulesAreSerious(t *testing.T) {
	cases := ownSet(t)
	judged, err := Run(t.Context(), Rules{}, cases, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := Compare(cases, []System{{"rules", judged}, {"rules again", judged}}, Options{Rounds: 50})
	s := r.Systems[0]
	if s.AUC.Value < 0.78 || s.Kinds.Accuracy.Value < 0.4 {
		t.Errorf("AUC %.3f, kinds %.3f", s.AUC.Value, s.Kinds.Accuracy.Value)
	}
	perGroup := map[string]int{}
	for _, g := range s.Groups {
		perGroup[g.By] += g.N
		if g.By == "language" && (g.AUC == nil || g.AUC.Value < 0.6) {
			t.Errorf("language %s: AUC %v", g.Name, g.AUC)
		}
	}
	if !reflect.DeepEqual(perGroup, map[string]int{"language": len(cases), "kind": len(cases), "length": len(cases)}) {
		t.Errorf("the groups hold %v of %d cases", perGroup, len(cases))
	}
	// A judge does not differ from itself, on any resample.
	if d := r.Differences[0]; d.Accuracy != (Estimate{}) || *d.AUC != (Estimate{}) {
		t.Errorf("differences %+v, %+v", d.Accuracy, *d.AUC)
	}
	again := Compare(cases, []System{{"rules", judged}, {"rules again", judged}}, Options{Rounds: 50})
	a, aerr := json.Marshal(r)
	b, berr := json.Marshal(again)
	if aerr != nil || berr != nil || string(a) != string(b) {
		t.Errorf("two reports differ: %v, %v", aerr, berr)
	}
}

func TestRules(t *testing.T) {
	for _, tt := range []struct {
		text, kind string
		local      bool
	}{
		{"Translate 'good morning' into French", "translation", true},
		{"Übersetze ins Englische: Guten Morgen", "translation", true},
		{"Sort alphabetically and return JSON: pear, apple", "formatting", true},
		{"Fix the grammar: \"he go home\"", "rewriting", true},
		{"Prove that the polynomial x^4+1 is irreducible over Q, and find its Galois group.", "maths", false},
		{"この定理を証明し、収束の速さについて比較して、計画を立ててください。また設計を検討してください。", "maths", false},
		{"WHAT IS the capital of Mongolia?", "knowledge", true},
	} {
		a := Rules{}.Assess(t.Context(), &llm.Request{Messages: []llm.Message{{Role: llm.User, Text: tt.text}}})
		if a.Task != tt.kind || (a.PLocal >= 0.5) != tt.local || (a.Boundary == llm.Supported) != tt.local {
			t.Errorf("%q is %s with p_local %.2f (%s), want %s, local %v", tt.text, a.Task, a.PLocal, a.Boundary, tt.kind, tt.local)
		}
	}
}

// The drawings are XML and PNG, hold every system, and no number that is none.
func TestPlots(t *testing.T) {
	cases := ownSet(t)
	judged, err := Run(t.Context(), Rules{}, cases, nil)
	if err != nil {
		t.Fatal(err)
	}
	plots := Plots(Compare(cases, []System{{"rules <&>", judged}}, Options{Rounds: 10}))
	samples := []Sample{{Lang: "en", Text: "Ann", Entities: [][2]string{{"PERSON", "Ann"}}}, {Lang: "de", Text: "x"}}
	tasks := TaskPlots(CompareTasks("entities", samples, []TaskSystem{{Name: "rules <&>", Replies: []Reply{{Entities: samples[0].Entities}, {}}}}, Options{Rounds: 10}))
	if len(plots) != 3 || len(tasks) != 2 {
		t.Fatalf("%d plots and %d of tasks", len(plots), len(tasks))
	}
	for _, p := range append(plots, tasks...) {
		svg, err := p.SVG()
		if err != nil {
			t.Fatal(err)
		}
		dec := xml.NewDecoder(bytes.NewReader(svg))
		text := ""
		for {
			tok, err := dec.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", p.Name, err)
			}
			if c, ok := tok.(xml.CharData); ok {
				text += string(c)
			}
		}
		if !strings.Contains(text, "rules <&>") {
			t.Errorf("%s does not name the system", p.Name)
		}
		if bytes.Contains(svg, []byte("NaN")) || bytes.Contains(svg, []byte("Inf")) {
			t.Errorf("%s holds a number that is none", p.Name)
		}
		drawing, err := p.PNG()
		if err != nil {
			t.Fatal(err)
		}
		if img, err := png.Decode(bytes.NewReader(drawing)); err != nil || img.Bounds().Dx() < 400 {
			t.Errorf("%s.png: %v", p.Name, err)
		}
	}
}
