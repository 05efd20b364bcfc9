package entities

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sluice-ai/sluice/runtime/engine"
	"github.com/sluice-ai/sluice/runtime/nano"
	"github.com/sluice-ai/sluice/runtime/synth"
)

func TestParse(t *testing.T) {
	const text = "Zoë met Zoë's aunt Ng in Köln; Ng left."
	for _, tt := range []struct {
		name, answer string
		want         []Entity
	}{
		{"in-order", `[{"type": "PERSON", "text": "Zoë"}, {"type": "PERSON", "text": "Zoë"}, {"type": "LOCATION", "text": "Köln"}]`,
			[]Entity{{"PERSON", "Zoë", 0, 3, 0}, {"PERSON", "Zoë", 8, 11, 0}, {"LOCATION", "Köln", 25, 29, 0}}},
		{"out-of-order", `[{"type": "LOCATION", "text": "Köln"}, {"type": "PERSON", "text": "Ng"}, {"type": "PERSON", "text": "Ng"}]`,
			[]Entity{{"PERSON", "Ng", 19, 21, 0}, {"LOCATION", "Köln", 25, 29, 0}, {"PERSON", "Ng", 31, 33, 0}}},
		{"not-in-the-text", `[{"type": "PERSON", "text": "Bob"}, {"type": "PERSON", "text": "Ng"}]`, []Entity{{"PERSON", "Ng", 19, 21, 0}}},
		{"too-often", `[{"type": "LOCATION", "text": "Köln"}, {"type": "LOCATION", "text": "Köln"}]`, []Entity{{"LOCATION", "Köln", 25, 29, 0}}},
		{"unknown-type", `[{"type": "CAT", "text": "Ng"}]`, nil},
		{"cut-off", `[{"type": "PERSON", "text": "Zoë"}, {"type": "PERS`, []Entity{{"PERSON", "Zoë", 0, 3, 0}}},
		{"none", `[]`, nil},
		{"no-list", `{"type": "PERSON"}`, nil},
		{"nothing", ``, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Parse(text, tt.answer); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("Parse = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestWindows(t *testing.T) {
	for _, text := range []string{
		"", "short", strings.Repeat("word ", 900), strings.Repeat("x", 2*window+5), strings.Repeat("文。", window),
		strings.Repeat("One line of it, not long.\n", 200), strings.Repeat("A sentence of some length ends here. ", 100),
	} {
		got := windows(text, window)
		if strings.Join(got, "") != text {
			t.Fatalf("%.20q: the windows are not the text", text)
		}
		for i, w := range got {
			if n := utf8.RuneCountInString(w); n > window || n == 0 && text != "" {
				t.Errorf("%.20q: window %d has %d code points", text, i, n)
			}
			if i < len(got)-1 && strings.ContainsAny(text, "\n.。") && !strings.HasSuffix(strings.TrimRight(w, " "), "\n") && !strings.HasSuffix(strings.TrimRight(w, " "), ".") && !strings.HasSuffix(w, "。") {
				t.Errorf("%.20q: window %d ends in %q", text, i, w[len(w)-10:])
			}
		}
	}
}

// What a model of random weights names stands in the text as well.
func TestFindVerbatim(t *testing.T) {
	var b bytes.Buffer
	if err := synth.Write(&b, synth.Config{Size: "tiny", Seed: 1}, nil); err != nil {
		t.Fatal(err)
	}
	m, err := engine.OpenBytes("tiny", b.Bytes(), engine.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	n := 0
	for _, text := range []string{"Kezia rang Dewi.", "日本の佐藤さん", "see \"Röhm & Co\"\nLyon", " \n"} {
		found, err := Find(t.Context(), m, text)
		if err != nil {
			t.Fatal(err)
		}
		n += len(found)
	}
	if n == 0 {
		t.Error("nothing is found")
	}
}

// Find runs on the embedded model, whatever it has learned: what it returns stands in the text.
func TestFind(t *testing.T) {
	m, err := engine.OpenBytes("nano", nano.Bytes(), engine.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	text := strings.Repeat("hi its Kezia from the bee group, Dewi is off sick w/ shingles.\n", 20)
	found, err := Find(t.Context(), m, text)
	if err != nil {
		t.Fatal(err)
	}
	runes := []rune(text)
	for _, e := range found {
		if string(runes[e.Start:e.End]) != e.Text || !slices.Contains(Types, e.Type) {
			t.Errorf("%+v stands elsewhere", e)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Find(ctx, m, text); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
