package tokenizer

import "strings"

// A Part is a stretch of a prompt.
type Part struct {
	Text string
	// Literal keeps the text from being read as special tokens, for text that
	// came from a user, a document or a tool.
	Literal bool
}

// Encode appends the tokens of text to dst.
func (t *Tokenizer) Encode(dst []int32, text string, opts Options) []int32 {
	return t.encode(dst, text, nil, opts)
}

// EncodeParts appends the tokens of the parts, read as one text, to dst: a
// piece may reach across parts, a special token may not touch a Literal one.
func (t *Tokenizer) EncodeParts(dst []int32, parts []Part, opts Options) []int32 {
	var text strings.Builder
	var literal []span
	for _, p := range parts {
		start := text.Len()
		text.WriteString(p.Text)
		if p.Literal && p.Text != "" {
			literal = append(literal, span{start, text.Len()})
		}
	}
	return t.encode(dst, text.String(), literal, opts)
}

type span struct{ from, to int }

// encode leaves special tokens that touch the literal spans, which are in
// order, as text.
func (t *Tokenizer) encode(dst []int32, text string, literal []span, opts Options) []int32 {
	b := t.scratch.Get().(*bpe)
	defer t.scratch.Put(b)
	bos := opts.AddBOS && t.addBOS
	if bos {
		dst = append(dst, t.bos)
	}
	done := 0 // text[:done] is encoded
	for i := 0; opts.ParseSpecial; {
		from, to, id := t.marks.find(text, i)
		if id < 0 {
			break
		}
		for len(literal) > 0 && literal[0].to <= from {
			literal = literal[1:]
		}
		if len(literal) > 0 && literal[0].from < to {
			i = from + 1
			continue
		}
		dst = t.appendText(dst, text[done:from], b)
		if !bos || id != t.bos || from > 0 {
			dst = append(dst, id)
		}
		done, i = to, to
	}
	return t.appendText(dst, text[done:], b)
}

// appendText appends the tokens of text without special tokens.
func (t *Tokenizer) appendText(dst []int32, text string, b *bpe) []int32 {
	for text != "" {
		n := next(text)
		dst = t.appendPiece(dst, text[:n], b)
		text = text[n:]
	}
	return dst
}

// A trie finds the special tokens in a text. The zero trie holds none.
type trie struct {
	starts [256]bool
	next   map[edge]int32
	ids    []int32 // by node, -1 for none; node 0 is the root
}

type edge struct {
	node int32
	b    byte
}

func (tr *trie) add(token string, id int32) {
	if tr.next == nil {
		tr.next = make(map[edge]int32)
		tr.ids = []int32{-1}
	}
	tr.starts[token[0]] = true
	node := int32(0)
	for i := range len(token) {
		e := edge{node, token[i]}
		to, ok := tr.next[e]
		if !ok {
			to = int32(len(tr.ids))
			tr.next[e] = to
			tr.ids = append(tr.ids, -1)
		}
		node = to
	}
	tr.ids[node] = id
}

// find returns the leftmost special token in text[i:], the longest of those
// that begin there; id is -1 when there is none.
func (tr *trie) find(text string, i int) (from, to int, id int32) {
	if tr.next == nil {
		return 0, 0, -1
	}
	for ; i < len(text); i++ {
		if !tr.starts[text[i]] {
			continue
		}
		id, node := int32(-1), int32(0)
		for j := i; j < len(text); j++ {
			next, ok := tr.next[edge{node, text[j]}]
			if !ok {
				break
			}
			node = next
			if tr.ids[node] >= 0 {
				id, to = tr.ids[node], j+1
			}
		}
		if id >= 0 {
			return i, to, id
		}
	}
	return 0, 0, -1
}
