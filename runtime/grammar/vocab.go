package grammar

import (
	"bytes"
	"slices"
	"strings"
	"sync"

	"github.com/sluice-ai/sluice/runtime/grammar/automaton"
	"github.com/sluice-ai/sluice/runtime/tokenizer"
)

// A Vocab is a tokenizer's vocabulary, prepared for masks. Make one per model.
type Vocab struct {
	tok  *tokenizer.Tokenizer
	rows int
	eogs []int32
	trie trie
	long int32 // the most code points of a token
	free inside

	mu     sync.Mutex
	shared map[*automaton.DFA]*masks
}

// NewVocab prepares the vocabulary of tok for masks of rows tokens, the rows of
// the model's logits.
func NewVocab(tok *tokenizer.Tokenizer, rows int) *Vocab {
	v := &Vocab{tok: tok, rows: rows, eogs: tok.EOGs(), shared: map[*automaton.DFA]*masks{}}
	var tokens []tokenBytes
	for id := range int32(min(rows, tok.Size())) {
		if isText(tok, id) {
			tokens = append(tokens, tokenBytes{id, tok.Piece(id)})
		}
	}
	v.trie.build(tokens, rows)
	v.long = int32(v.trie.depth)
	v.inText()
	return v
}

// inside is what the inside of [automaton.Text](0) lets through, in the order of
// the trie: walks that come to a state like it copy from here.
type inside struct {
	plain []bool // of each node: whether the text goes on there, at the end of a code point
	ids   []int32
	exits []exit
}

// inText fills v.free.
func (v *Vocab) inText() {
	d := automaton.Text(0)
	body := d.Step(0, '"')
	path := make([]walkAt, v.trie.depth+1)
	path[0] = walkAt{q: body}
	var m mask
	plain := make([]bool, len(v.trie.char))
	v.walkRange(d, path, 1, int32(len(v.trie.char)), &m, plain)
	v.free = inside{plain, m.ids, m.exits}
}

// isText reports whether id may be part of a text: it stands for bytes and not
// for structure. Some files call the markers of thoughts user-defined tokens,
// which are text to the tokenizer.
func isText(tok *tokenizer.Tokenizer, id int32) bool {
	if tok.IsControl(id) || tok.IsEOG(id) || len(tok.Piece(id)) == 0 {
		return false
	}
	s := tok.Token(id)
	return s != "<think>" && s != "</think>" && !(len(s) > 4 && strings.HasPrefix(s, "<|") && strings.HasSuffix(s, "|>"))
}

// Words returns the length of a mask: one bit per row, 64 to a word.
func (v *Vocab) Words() int { return (v.rows + 63) / 64 }

// Tokenizer returns the tokenizer that v was made of.
func (v *Vocab) Tokenizer() *tokenizer.Tokenizer { return v.tok }

type tokenBytes struct {
	id    int32
	bytes []byte
}

// A trie holds the tokens by their bytes, in preorder: the subtree of node i is
// i to end[i]-1, and its first child, if any, is i+1. Node 0 is the root.
type trie struct {
	char  []byte
	level []uint16
	end   []int32
	tok   []int32    // -1 for none
	node  []int32    // of each token in the trie
	first [256]int32 // the root's child for each byte, or -1
	depth int        // the most bytes of a token
}

func (t *trie) build(tokens []tokenBytes, rows int) {
	t.node = make([]int32, rows)
	slices.SortFunc(tokens, func(a, b tokenBytes) int { return bytes.Compare(a.bytes, b.bytes) })
	add := func(c byte, level int) {
		t.char = append(t.char, c)
		t.level = append(t.level, uint16(level))
		t.end = append(t.end, 0)
		t.tok = append(t.tok, -1)
	}
	add(0, 0)
	path := []int32{0}
	closeTo := func(n int) {
		for len(path) > n+1 {
			t.end[path[len(path)-1]] = int32(len(t.char))
			path = path[:len(path)-1]
		}
	}
	var last []byte
	for _, tk := range tokens {
		if len(tk.bytes) > 1<<15 {
			continue
		}
		n := 0
		for n < len(last) && n < len(tk.bytes) && last[n] == tk.bytes[n] {
			n++
		}
		closeTo(n)
		for ; n < len(tk.bytes); n++ {
			add(tk.bytes[n], n+1)
			path = append(path, int32(len(t.char)-1))
		}
		if at := path[len(path)-1]; t.tok[at] < 0 { // of two tokens with the same bytes, the first is used
			t.tok[at] = tk.id
			t.node[tk.id] = at
		}
		t.depth = max(t.depth, len(tk.bytes))
		last = tk.bytes
	}
	closeTo(0)
	t.end[0] = int32(len(t.char))
	for b := range t.first {
		t.first[b] = t.child(0, byte(b))
	}
}

// find returns the node that s leads to from the root, or -1.
func (t *trie) find(s string) int32 {
	at := int32(0)
	for i := range len(s) {
		if at = t.child(at, s[i]); at < 0 {
			return -1
		}
	}
	return at
}

// child returns the child of node at for byte c, or -1.
func (t *trie) child(at int32, c byte) int32 {
	for n := at + 1; n < t.end[at]; n = t.end[n] {
		if t.char[n] == c {
			return n
		}
	}
	return -1
}

// leaf reports whether node i has no children.
func (t *trie) leaf(i int32) bool { return t.end[i] == i+1 }
