package entities

import (
	"bufio"
	"context"
	"encoding/json"
	"hash/crc32"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func tag(t testing.TB, text string) []Entity {
	t.Helper()
	found, err := Tag(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// A request that has ended is not read to its end.
func TestTagCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if found, err := Tag(ctx, "Zoë Ng"); err == nil {
		t.Errorf("found %v", found)
	}
}

// Tokens, features, weights and entities are those of train/sluice_train/tagger.py.
func TestTaggerAgrees(t *testing.T) {
	f, err := os.Open("../../testdata/entities/tagger.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	n := 0
	for ; lines.Scan(); n++ {
		var want struct {
			Text      string
			Tokens    []string
			Keys      []uint32
			Emissions [][]float32
			Entities  [][2]string
		}
		if err := json.Unmarshal(lines.Bytes(), &want); err != nil {
			t.Fatal(err)
		}
		at := tokens(want.Text)
		var got []string
		for _, x := range at {
			got = append(got, want.Text[x.start:x.end])
		}
		if !slices.Equal(got, want.Tokens) {
			t.Errorf("%q is cut into %q, want %q", want.Text, got, want.Tokens)
			continue
		}
		for i := range at {
			var sum uint32
			(&reader{at: at, add: func(key uint32) { sum += key }}).features(i)
			if sum != want.Keys[i] {
				t.Errorf("%q: token %d, %q, has other features", want.Text, i, got[i])
			}
		}
		for i, e := range theTagger().emissions(at) {
			for k, x := range e {
				if math.Abs(float64(x-want.Emissions[i][k])) > 2e-3 {
					t.Errorf("%q: token %d says %v for label %d, want %v", want.Text, i, x, k, want.Emissions[i][k])
				}
			}
		}
		var found [][2]string
		for _, e := range tag(t, want.Text) {
			found = append(found, [2]string{e.Type, e.Text})
		}
		if !slices.Equal(found, want.Entities) {
			t.Errorf("%q holds %q, want %q", want.Text, found, want.Entities)
		}
	}
	if err := lines.Err(); err != nil || n < 5 {
		t.Errorf("%d examples: %v", n, err)
	}
}

// The places are those of the text, and the scores probabilities.
func TestTagPlaces(t *testing.T) {
	text := "Zoë Ng from Oslo — geb. 04.05.1961 — called.\n" + strings.Repeat("Nothing to see here. ", 300) + "Regards,\nAnneliese Kröger, Hauptstr. 12, 20095 Hamburg"
	found := tag(t, text)
	if len(found) < 3 {
		t.Errorf("found %d entities only", len(found))
	}
	runes := []rune(text)
	last := 0
	for _, e := range found {
		if string(runes[e.Start:e.End]) != e.Text || e.Start < last {
			t.Errorf("%+v is not at its place", e)
		}
		if !(e.Score > 0 && e.Score <= 1+1e-9) {
			t.Errorf("%+v has no probability", e)
		}
		last = e.End
	}
}

// Scores are what summing over all ways to label a short text gives, and the best way is the best of all.
func TestTaggerSums(t *testing.T) {
	text := "Dr. Zoë Ng"
	at, m := tokens(text), theTagger()
	e := m.emissions(at)
	n := len(m.step)
	total, most := 0.0, math.Inf(-1)
	var best []int
	spans := map[[3]int]float64{}
	path := make([]int, len(at))
	var walk func(i int, sum float64)
	walk = func(i int, sum float64) {
		if math.IsInf(sum, -1) {
			return
		}
		if i == len(at) {
			total += math.Exp(sum)
			if sum > most {
				most, best = sum, slices.Clone(path)
			}
			for from := 0; from < len(at); from++ {
				if path[from]%2 == 0 {
					continue
				}
				to := from + 1
				for to < len(at) && path[to] == path[from]+1 {
					to++
				}
				spans[[3]int{path[from], from, to}] += math.Exp(sum)
			}
			return
		}
		for k := range n {
			step := 0.0
			if i > 0 {
				step = float64(m.step[path[i-1]][k])
			} else if k > 0 && k%2 == 0 {
				continue
			}
			path[i] = k
			walk(i+1, sum+step+float64(e[i][k]))
		}
	}
	walk(0, 0)
	if got := m.best(e); !slices.Equal(got, best) {
		t.Errorf("the best labels are %v, not %v", best, got)
	}
	c := m.chances(e)
	for k, p := range spans {
		if got := c.span(k[0], k[1], k[2]); math.Abs(got-p/total) > 1e-6 {
			t.Errorf("span %v has probability %v, want %v", k, got, p/total)
		}
	}
}

// Whatever the text, it neither fails nor names what is not there.
func FuzzTag(f *testing.F) {
	for _, s := range []string{"", "\x80\xff Zoë\xff", "İ\u0301 \u200b", strings.Repeat("Anna ", 900), "\r\n\n東京都渋谷区1-2-3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		runes := []rune(text)
		for _, e := range tag(t, text) {
			if e.Text == "" || e.Start < 0 || e.End > len(runes) || string(runes[e.Start:e.End]) != strings.ToValidUTF8(e.Text, "\uFFFD") && utf8.ValidString(text) || !slices.Contains(Types, e.Type) {
				t.Errorf("%+v is not at its place", e)
			}
		}
	})
}

func BenchmarkTag(b *testing.B) {
	text := strings.Repeat("The claim of Ms Adebayo-Smith of 14 Harbour Lane, Whitby, was forwarded to Northgate Mutual on 3 May. ", 10)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Tag(b.Context(), text); err != nil {
			b.Fatal(err)
		}
	}
}

// The model's file is what the code expects, and damage is noticed.
func TestTaggerDamaged(t *testing.T) {
	for _, file := range [][]byte{nil, taggerFile[:100], taggerFile[:len(taggerFile)-1], append([]byte("XXXX"), taggerFile[4:]...)} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("a file of %d bytes was taken", len(file))
				}
			}()
			readTagger(file)
		}()
	}
	m := theTagger()
	if key := crc32.ChecksumIEEE([]byte("b")); !slices.Contains(m.keys, key) {
		t.Error("the feature that every token has weighs nothing")
	}
	if !slices.IsSorted(m.keys) {
		t.Error("the keys are not sorted")
	}
}
