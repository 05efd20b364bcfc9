package prefix

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// tree returns a tree of strings whose bytes are one for each token not shared,
// and 2 besides, and a list of what it dropped.
func tree(limit int64) (*Tree[string], *[]string) {
	var gone []string
	return New(Config[string]{
		Limit: limit, Size: func(from, to int) int64 { return int64(2 + to - from) },
		Release: func(v string) { gone = append(gone, v) },
	}), &gone
}

// tokens turns letters into tokens.
func tokens(s string) []int32 {
	ids := []int32{}
	for _, r := range s {
		ids = append(ids, r)
	}
	return ids
}

func TestFind(t *testing.T) {
	tr, gone := tree(1000)
	for _, s := range []string{"system", "system one", "system on", "sys", "other", "system one two", "system"} {
		tr.Insert("a", tokens(s), s)
	}
	tr.Insert("b", tokens("system of b"), "system of b")
	for _, tt := range []struct{ group, ask, want string }{
		{"a", "system", "system"},
		{"a", "system one twin", "system one"},
		{"a", "system one two three", "system one two"},
		{"a", "syste", "sys"},
		{"a", "sy", ""},
		{"a", "", ""},
		{"a", "system of b", "system"},
		{"b", "system of b", "system of b"},
		{"b", "system one two", ""},
		{"c", "system", ""},
	} {
		v, n, ok := tr.Find(tt.group, tokens(tt.ask))
		if v != tt.want || n != len(tt.want) || ok != (tt.want != "") {
			t.Errorf("%s asks for %q and finds %q, %d, %v", tt.group, tt.ask, v, n, ok)
		}
		if got := tr.Has(tt.group, tokens(tt.ask)); got != (tt.ask == tt.want && ok) {
			t.Errorf("%s has %q: %v", tt.group, tt.ask, got)
		}
	}
	if !slices.Equal(*gone, []string{"system"}) { // the second one
		t.Errorf("dropped %q", *gone)
	}
	// sys 5, tem 5, on (with the space) 5, e 3, four letters 6, other 7, system of b 13.
	if tr.Len() != 7 || tr.Bytes() != 5+5+5+3+6+7+13 {
		t.Errorf("%d entries of %d bytes", tr.Len(), tr.Bytes())
	}
	tr.Clear()
	if tr.Len() != 0 || tr.Bytes() != 0 || len(*gone) != 8 {
		t.Errorf("after Clear: %d entries of %d bytes, %d dropped", tr.Len(), tr.Bytes(), len(*gone))
	}
}

// What saves little for its bytes goes first; what is used stays; what was used
// long ago does not stay for ever.
func TestEviction(t *testing.T) {
	for _, tt := range []struct{ name, history, want string }{
		// A capital letter repeated is a prompt; "?" before it asks for it.
		{"oldest-of-equals", "AAAA BBBB CCCC DDDD EEEE", "AAAA"},
		{"used-stays", "AAAA ?AAAA BBBB CCCC DDDD EEEE", "BBBB"},
		{"long-saves-more", "AAAAAAAAAAAA BB CCCCCC DD", "BB"},
		{"shared-costs-little", "AAAAAAAA AAAAAAAABB CCCCCCCC DDDDDDDD", "AAAAAAAABB"},
		{"old-use-ages", "?AAAA AAAA ?AAAA ?AAAA BBBB CCCC DDDD EEEE FFFF GGGG HHHH IIII JJJJ KKKK LLLL MMMM NNNN OOOO PPPP QQQQ RRRR SSSS", "BBBB CCCC DDDD EEEE FFFF GGGG HHHH IIII AAAA"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr, gone := tree(24)
			for s := range strings.FieldsSeq(tt.history) {
				if ask, ok := strings.CutPrefix(s, "?"); ok {
					tr.Find("", tokens(ask))
				} else {
					tr.Insert("", tokens(s), s)
				}
			}
			if got := strings.Join(*gone, " "); !strings.HasPrefix(got, tt.want) {
				t.Errorf("%q went, in this order, and not %q", got, tt.want)
			}
		})
	}
}

// Against a plain list: what is found is the longest that was inserted and not
// dropped; bytes are those of the entries; no node is there for nothing.
func TestRandom(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	type key struct{ group, s string }
	kept := map[key]string{}
	serial := 0
	tr := New(Config[string]{
		Limit: 200, Size: func(from, to int) int64 { return int64(2 + to - from) },
		Release: func(v string) {
			for k, was := range kept {
				if was == v {
					delete(kept, k)
				}
			}
		},
	})
	random := func() key {
		s := strings.Builder{}
		for range rng.IntN(12) {
			s.WriteByte("ab"[rng.IntN(2)])
		}
		return key{[]string{"x", "y"}[rng.IntN(2)], s.String()}
	}
	for range 20000 {
		switch k := random(); {
		case rng.IntN(3) == 0 && k.s != "":
			v := fmt.Sprint(serial)
			serial++
			if kept[k] == "" {
				kept[k] = v
			}
			tr.Insert(k.group, tokens(k.s), v)
		case rng.IntN(40) == 0:
			tr.Evict()
		default:
			want := key{k.group, ""}
			for have := range kept {
				if have.group == k.group && strings.HasPrefix(k.s, have.s) && len(have.s) > len(want.s) {
					want = have
				}
			}
			v, n, ok := tr.Find(k.group, tokens(k.s))
			if v != kept[want] || n != len(want.s) || ok != (want.s != "") {
				t.Fatalf("%q finds %q of %d tokens, want %q", k, v, n, want)
			}
		}
		bytes, count := int64(0), 0
		for _, root := range tr.roots {
			root.each(func(n *node[string]) { bytes += tr.cfg.Size(n.above(), n.depth); count++ })
			check(t, root)
		}
		if bytes != tr.Bytes() || count != tr.Len() || count != len(kept) || bytes > 200 {
			t.Fatalf("%d entries of %d bytes; it says %d of %d, the list has %d", count, bytes, tr.Len(), tr.Bytes(), len(kept))
		}
	}
}

func check(t *testing.T, n *node[string]) {
	t.Helper()
	if n.kept == nil && len(n.children) < 2 && (n.parent != nil || len(n.children) == 0) {
		t.Fatalf("a node at %d is there for nothing", n.depth)
	}
	for first, c := range n.children {
		if c.parent != n || c.edge[0] != first || c.depth != n.depth+len(c.edge) {
			t.Fatalf("a node at %d hangs wrong", c.depth)
		}
		check(t, c)
	}
}

func BenchmarkFind(b *testing.B) {
	tr, _ := tree(1 << 40)
	rng := rand.New(rand.NewPCG(1, 2))
	prompt := make([]int32, 4096)
	for i := range prompt {
		prompt[i] = rng.Int32N(65536)
	}
	for n := 512; n <= len(prompt); n += 512 {
		tr.Insert("", prompt[:n], "")
		for range 20 {
			fork := slices.Clone(prompt[:n])
			fork[rng.IntN(n)]++
			tr.Insert("", fork, "")
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, n, _ := tr.Find("", prompt); n != 4096 {
			b.Fatal(n)
		}
	}
}
