package eval

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/internal/llm"
	"github.com/sluice-ai/sluice/local"
	"github.com/sluice-ai/sluice/runtime/nano"
)

func TestReadSamples(t *testing.T) {
	for _, tt := range []struct{ name, suite, line, err string }{
		{"entities", "entities", `{"l":"en","t":"hidden Ann and Ann","e":[["PERSON","Ann"],["PERSON","Ann"]]}`, ""},
		{"entity-not-there", "entities", `{"l":"en","t":"hidden Ann","e":[["PERSON","Ann"],["PERSON","Ann"]]}`, `"e"[1] does not stand`},
		{"entity-type", "entities", `{"l":"en","t":"hidden Ann","e":[["CAT","Ann"]]}`, `type that is none`},
		{"tools", "tools", `{"l":"en","tools":[{"name":"f"}],"m":[["user","hidden"]],"calls":[{"name":"f","arguments":{}}],"ask":null,"say":null}`, ""},
		{"tools-role", "tools", `{"l":"en","tools":[{"name":"f"}],"m":[["boss","hidden"]]}`, `role that is none`},
		{"tools-both", "tools", `{"l":"en","tools":[{"name":"f"}],"m":[["user","hidden"]],"calls":[{"name":"f","arguments":{}}],"ask":"x"}`, "exclude"},
		{"no-tools", "tools", `{"l":"en","m":[["user","hidden"]]}`, `"tools"`},
		{"extraction", "extraction", `{"l":"en","t":"hidden","schema":{"type":"object"},"v":{}}`, ""},
		{"no-value", "extraction", `{"l":"en","t":"hidden","schema":{"type":"object"}}`, `"v"`},
		{"unknown-key", "extraction", `{"l":"en","t":"hidden","schema":{},"v":{},"hidden2":1}`, "unknown field"},
		{"no-language", "entities", `{"t":"hidden"}`, `"l"`},
		{"unknown-suite", "poems", `{"l":"en","t":"hidden"}`, "none of"},
		{"no-json", "entities", `hidden`, "not JSON"},
		{"nothing", "entities", "\n", "no sample"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ReadSamples(tt.suite, strings.NewReader(tt.line))
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			if err != nil && strings.Contains(strings.ReplaceAll(err.Error(), "hidden2", ""), "hidden") {
				t.Errorf("the error quotes the data: %v", err)
			}
		})
	}
}

// The repository's own sets are read, and become requests that can be sent.
func TestOwnSamples(t *testing.T) {
	for _, suite := range Suites[1:] {
		f, err := os.Open("../../testdata/eval/" + suite + ".jsonl")
		if errors.Is(err, fs.ErrNotExist) {
			t.Logf("%s: not there", suite)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		samples, err := ReadSamples(suite, f)
		f.Close()
		if err != nil || len(samples) < 100 {
			t.Fatalf("%s: %d samples, %v", suite, len(samples), err)
		}
		for i := range samples {
			if suite == "entities" {
				continue
			}
			req, err := samples[i].Request()
			if err != nil || len(req.Messages) == 0 || suite == "tools" && len(req.Tools) != len(samples[i].Tools) {
				t.Errorf("%s, sample %d: %v", suite, i+1, err)
			}
		}
	}
}

func calls(s string) (out []Call) {
	if err := json.Unmarshal([]byte(s), &out); err != nil {
		panic(err)
	}
	return out
}

func TestScore(t *testing.T) {
	ask := "when"
	for _, tt := range []struct {
		name, suite string
		sample      Sample
		reply       Reply
		want        map[string]float64
	}{
		{"spans", "entities", Sample{Entities: [][2]string{{"PERSON", "Ann"}, {"PERSON", "Ann"}, {"LOCATION", "Bern"}}},
			Reply{Entities: [][2]string{{"PERSON", "Ann"}, {"PERSON", "Bern"}, {"PERSON", "Ann"}, {"PERSON", "Ann"}}},
			map[string]float64{spanF1: 4. / 7, textF1: 6. / 7, allRight: 0, "type PERSON": 4. / 6, "type LOCATION": 0}},
		{"clean", "entities", Sample{}, Reply{}, map[string]float64{cleanLeft: 1, allRight: 1}},
		{"not-clean", "entities", Sample{}, Reply{Entities: [][2]string{{"PERSON", "Ann"}}}, map[string]float64{cleanLeft: 0, allRight: 0, spanF1: 0}},
		{"call-in-another-spelling", "tools", Sample{Calls: calls(`[{"name":"f","arguments":{"a":1,"b":"x  y"}}]`)},
			Reply{Calls: calls(`[{"name":"f","arguments":{"b":"x y","a":1.0}}]`)}, map[string]float64{exact: 1, rightTool: 1, allRight: 1}},
		{"wrong-argument", "tools", Sample{Calls: calls(`[{"name":"f","arguments":{"a":1}}]`)},
			Reply{Calls: calls(`[{"name":"f","arguments":{"a":2}}]`)}, map[string]float64{exact: 0, rightTool: 1}},
		{"extra-argument", "tools", Sample{Calls: calls(`[{"name":"f","arguments":{"a":1}}]`)},
			Reply{Calls: calls(`[{"name":"f","arguments":{"a":1,"b":null}}]`)}, map[string]float64{exact: 0}},
		{"calls-in-any-order", "tools", Sample{Calls: calls(`[{"name":"f","arguments":{}},{"name":"g","arguments":{}}]`)},
			Reply{Calls: calls(`[{"name":"g","arguments":{}},{"name":"f","arguments":{}}]`)}, map[string]float64{exact: 1, "calls exact, of several": 1}},
		{"asks", "tools", Sample{Ask: &ask}, Reply{Text: "When?"}, map[string]float64{asked: 1, allRight: 1}},
		{"does-not-ask", "tools", Sample{Ask: &ask}, Reply{Text: "Sure."}, map[string]float64{asked: 0}},
		{"left-uncalled", "tools", Sample{}, Reply{Text: "Sure."}, map[string]float64{uncalled: 1}},
		{"called-for-nothing", "tools", Sample{}, Reply{Calls: calls(`[{"name":"f","arguments":{}}]`)}, map[string]float64{uncalled: 0, allRight: 0}},
		{"fields", "extraction", Sample{Value: json.RawMessage(`{"a":1,"b":[{"c":"x"},{"c":"y"}],"t":["p","q"],"n":null}`)},
			Reply{Text: `{"a": 1.0, "b": [{"c": "x"}, {"c": "z"}], "t": ["q", "p"], "n": null}`}, map[string]float64{fieldF1: 10. / 12, allRight: 0, valid: 1}},
		{"unreadable", "extraction", Sample{Value: json.RawMessage(`{"a":1}`)}, Reply{Text: `{"a":`, Failed: true}, map[string]float64{fieldF1: 0, valid: 0, allRight: 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ts := []tally{score(tt.suite, &tt.sample, &tt.reply)}
			for name, want := range tt.want {
				if got, ok := valueOf(ts, name, []int{0}); !ok || math.Abs(got-want) > 1e-9 {
					t.Errorf("%s = %g (%v), want %g", name, got, ok, want)
				}
			}
		})
	}
}

// oracle answers what is wanted, but for every nth sample.
type oracle int

func (o oracle) Reply(_ context.Context, _ string, s *Sample) (Reply, error) {
	if s.Lang == fmt.Sprint("l", o) {
		return Reply{}, nil
	}
	return Reply{Entities: s.Entities, Calls: s.Calls, Text: string(s.Value)}, nil
}

// The numbers of a comparison are those of its parts, and an interval holds its value.
func TestCompareTasks(t *testing.T) {
	var samples []Sample
	for i := range 60 {
		samples = append(samples, Sample{Lang: fmt.Sprint("l", i%3), Text: "Ann", Entities: [][2]string{{"PERSON", "Ann"}}})
	}
	var systems []TaskSystem
	for _, o := range []oracle{9, 1} {
		s, err := Answer(t.Context(), fmt.Sprint("o", o), o, "entities", samples, nil)
		if err != nil {
			t.Fatal(err)
		}
		systems = append(systems, s)
	}
	r := CompareTasks("entities", samples, systems, Options{Rounds: 200, Seed: 1})
	first, second := r.Systems[0].Measures[0], r.Systems[1].Measures[0]
	if first.Name != spanF1 || first.Value != 1 || math.Abs(second.Value-0.8) > 1e-9 || *second.Precision != 1 || math.Abs(*second.Recall-2./3) > 1e-9 {
		t.Errorf("measures %+v and %+v", first, second)
	}
	if second.Low >= second.Value || second.High <= second.Value || second.Low < 0.6 {
		t.Errorf("interval %+v", second.Estimate)
	}
	if d := r.Differences[0]; math.Abs(d.Value-0.2) > 1e-9 || d.Low <= 0 {
		t.Errorf("difference %+v", d)
	}
	for _, g := range r.Systems[1].Groups {
		if g.By == "language" && (g.Value == 0) != (g.Name == "l1") {
			t.Errorf("group %+v", g)
		}
	}
}

// A model is asked through the local tier, whatever it has learned, and the
// baseline answers in the form of each suite.
func TestReplies(t *testing.T) {
	tier, err := local.Open(local.Config{Threads: 1, Models: []local.ModelFile{{Name: "nano", Data: nano.Bytes()}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tier.Close(); err != nil {
			t.Error(err)
		}
	})
	samples := map[string]string{
		"entities":   `{"l":"en","t":"Dr Anna Berg, born 3 May 1980, lives at 12 Elm Street","e":[["PERSON","Anna Berg"],["DATE_OF_BIRTH","3 May 1980"]]}`,
		"tools":      `{"l":"en","tools":[{"name":"get_weather","description":"Weather in a city","parameters":{"type":"object","properties":{"city":{"enum":["Rome","Bern"]}},"required":["city"]}}],"m":[["user","weather in Bern?"]],"calls":[{"name":"get_weather","arguments":{"city":"Bern"}}]}`,
		"extraction": `{"l":"en","schema":{"type":"object","properties":{"total":{"type":"number"},"paid":{"type":"boolean"}},"required":["total","paid"]},"t":"total: 12,50 EUR, paid","v":{"total":12.5,"paid":true}}`,
	}
	for suite, line := range samples {
		list, err := ReadSamples(suite, strings.NewReader(line))
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range []Answerer{&Model{Tier: tier, Target: "local/nano", Most: 60}, Keywords{}} {
			r, err := a.Reply(t.Context(), suite, &list[0])
			if err != nil {
				t.Fatalf("%s: %v", suite, err)
			}
			_, rules := a.(Keywords)
			tl := score(suite, &list[0], &r)
			if v, _ := valueOf([]tally{tl}, mainOf[suite], []int{0}); rules && v == 0 {
				t.Errorf("%s: the baseline gets nothing right: %+v", suite, r)
			}
		}
	}
}

// A call that a grammar holds comes in pieces.
func TestAddCalls(t *testing.T) {
	var calls []Call
	for _, pieces := range [][]llm.ToolDelta{
		{{Index: 0, ID: "call_1", Name: "book"}},
		{{Index: 0, Arguments: `{"seat":`}},
		{{Index: 0, Arguments: `"4A"}`}, {Index: 1, ID: "call_2", Name: "pay", Arguments: `{"all"`}},
		{{Index: 1, Arguments: `:true}`}},
	} {
		calls = addCalls(calls, pieces)
	}
	if got, want := fmt.Sprintf("%s", calls), `[{book {"seat":"4A"}} {pay {"all":true}}]`; got != want {
		t.Errorf("calls %s, want %s", got, want)
	}
}
