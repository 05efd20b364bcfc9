// Package tokenizer turns text into token ids and back, as the LFM2 family
// does it: byte-level BPE over the GPT-2 byte alphabet, cut into pieces by the
// Llama-3 pattern first.
//
// # Invariants
//
// For every text x, valid UTF-8 or not, Decode(Encode(x)) == x, with one
// exception: a byte for which the vocabulary has no token is encoded as
// U+FFFD. Encode costs O(n log n) in the length of the text, whatever the text.
//
// A [Tokenizer] is immutable and safe for concurrent use; a [Stream] is not.
package tokenizer

import (
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
)

// Token types, as GGUF's tokenizer.ggml.token_type numbers them.
const (
	Normal      int32 = 1
	Unknown     int32 = 2
	Control     int32 = 3
	UserDefined int32 = 4
	Unused      int32 = 5
	Byte        int32 = 6
)

// maxSpecial bounds the text of a token that is matched inside prompts, so that
// the search for them stays linear whatever the model file holds.
const maxSpecial = 512

// A Vocab is what a model file says about its tokenizer.
type Vocab struct {
	// Tokens holds the text of each id. Normal tokens are written in the GPT-2
	// byte alphabet, all others literally.
	Tokens []string
	// Types holds one of the token types above per token; nil means all Normal.
	Types []int32
	// Merges are "left right" pairs in rank order, in the byte alphabet.
	Merges []string
	// Pre names the pre-tokenizer: "lfm2" (also ""), or its synonyms "llama-bpe",
	// "llama3" and "llama-v3".
	Pre string
	// BOS, EOS and PAD are token ids, or -1 for none.
	BOS, EOS, PAD int32
	// AddBOS says that the model expects BOS before every text.
	AddBOS bool
}

// Options say how to read a text.
type Options struct {
	// ParseSpecial turns the text of control and user-defined tokens into those
	// tokens. Leave it off for text that the caller did not write.
	ParseSpecial bool
	// AddBOS puts BOS first when the vocabulary asks for it (Vocab.AddBOS) and
	// the text does not begin with it already.
	AddBOS bool
}

// A Tokenizer maps text to token ids and back.
type Tokenizer struct {
	texts   string   // as the vocabulary writes them
	textAt  []uint32 // where they begin, and the end
	types   []uint8
	pieces  []byte // the bytes of each token; not to be written
	pieceAt []uint32
	ids     table      // by their texts, but for those without
	raw     table      // the normal tokens, by their bytes
	bytes   [256]int32 // token of each single byte, -1 for none
	merges  []merge    // by rank
	ranks   table      // by the tokens merged
	seed    maphash.Seed
	salt    uint64 // of the hashes of ranks
	marks   trie   // control and user-defined tokens
	eogs    []int32

	bos, eos, pad int32
	addBOS        bool
	scratch       sync.Pool // *bpe
}

// New checks v and prepares it. It keeps nothing of v.
//
// It fails when the pre-tokenizer is unknown, when token texts repeat, when a
// merge is malformed or names or makes a token that is not in the vocabulary,
// when an id is out of range, and when U+FFFD cannot be spelled in byte tokens.
func New(v Vocab) (*Tokenizer, error) {
	switch v.Pre {
	case "", "lfm2", "llama-bpe", "llama3", "llama-v3":
	default:
		return nil, fmt.Errorf("tokenizer: unknown pre-tokenizer %q", v.Pre)
	}
	n := len(v.Tokens)
	if n == 0 {
		return nil, errors.New("tokenizer: empty vocabulary")
	}
	if n > math.MaxInt32 {
		return nil, fmt.Errorf("tokenizer: %d tokens are too many", n)
	}
	if v.Types != nil && len(v.Types) != n {
		return nil, fmt.Errorf("tokenizer: %d token types for %d tokens", len(v.Types), n)
	}
	for _, id := range []struct {
		name string
		id   int32
	}{{"BOS", v.BOS}, {"EOS", v.EOS}, {"PAD", v.PAD}} {
		if id.id < -1 || int(id.id) >= n {
			return nil, fmt.Errorf("tokenizer: %s id %d is outside the vocabulary of %d", id.name, id.id, n)
		}
	}
	t := &Tokenizer{
		types: make([]uint8, n),
		bos:   v.BOS, eos: v.EOS, pad: v.PAD,
		addBOS: v.AddBOS && v.BOS >= 0,
		seed:   maphash.MakeSeed(), salt: rand.Uint64(),
	}
	for i := range t.types {
		typ := Normal
		if v.Types != nil {
			typ = v.Types[i]
		}
		if typ < Normal || typ > Byte {
			if v.Tokens[i] == "" {
				continue
			}
			return nil, fmt.Errorf("tokenizer: token %d has unknown type %d", i, typ)
		}
		t.types[i] = uint8(typ)
	}
	t.scratch.New = func() any { return new(bpe) }
	if err := t.addTokens(v.Tokens); err != nil {
		return nil, err
	}
	if err := t.addMerges(v.Merges); err != nil {
		return nil, err
	}
	t.findEOGs()
	return t, nil
}

func (t *Tokenizer) addTokens(tokens []string) error {
	t.textAt, t.pieceAt = make([]uint32, len(tokens)+1), make([]uint32, len(tokens)+1)
	size := 0
	for i, tok := range tokens {
		if size += len(tok); uint64(size) > mostText {
			return errors.New("tokenizer: the tokens have more than 4 GiB of text")
		}
		t.textAt[i+1] = uint32(size)
	}
	t.texts = strings.Join(tokens, "")
	t.ids, t.raw = newTable(len(tokens)), newTable(len(tokens))
	arena := make([]byte, 0, size) // decoding never lengthens a token
	for i := range t.bytes {
		t.bytes[i] = -1
	}
	for i, tok := range tokens {
		id := int32(i)
		t.pieceAt[i+1] = uint32(len(arena))
		if tok == "" {
			continue // never matched, decodes to nothing
		}
		if other, ok := t.find(tok); ok {
			return fmt.Errorf("tokenizer: tokens %d and %d have the same text", other, id)
		}
		t.ids.add(maphash.String(t.seed, tok), id)
		start := len(arena)
		switch int32(t.types[i]) {
		case Control, UserDefined:
			if len(tok) > maxSpecial {
				return fmt.Errorf("tokenizer: special token %d has %d bytes, more than %d", id, len(tok), maxSpecial)
			}
			t.marks.add(tok, id)
			arena = append(arena, tok...)
		case Unknown:
			arena = append(arena, tok...)
		case Unused:
		case Normal, Byte:
			var pure bool
			arena, pure = appendDecoded(arena, tok)
			piece := arena[start:]
			if pure {
				t.raw.add(maphash.Bytes(t.seed, piece), id)
				if len(piece) == 1 {
					t.bytes[piece[0]] = id
				}
			}
		}
		t.pieceAt[i+1] = uint32(len(arena))
	}
	t.pieces = slices.Clone(arena)
	for _, b := range []byte("\uFFFD") {
		if t.bytes[b] < 0 {
			return fmt.Errorf("tokenizer: no token for byte 0x%02x", b)
		}
	}
	return nil
}

// findEOGs collects the tokens that end a generation.
func (t *Tokenizer) findEOGs() {
	if t.eos >= 0 {
		t.eogs = append(t.eogs, t.eos)
	}
	for _, text := range []string{"<|im_end|>", "<|endoftext|>"} {
		if id, ok := t.find(text); ok && t.isMark(id) && !slices.Contains(t.eogs, id) {
			t.eogs = append(t.eogs, id)
		}
	}
}

func (t *Tokenizer) isMark(id int32) bool {
	return int32(t.types[id]) == Control || int32(t.types[id]) == UserDefined
}

// Size returns the number of ids, including unused ones.
func (t *Tokenizer) Size() int { return len(t.types) }

// ID returns the id of a token by its text, as the vocabulary writes it.
func (t *Tokenizer) ID(token string) (int32, bool) {
	if token == "" {
		return 0, false
	}
	return t.find(token)
}

// Token returns the text of id as the vocabulary writes it; "" for an unknown id.
func (t *Tokenizer) Token(id int32) string {
	if id < 0 || int(id) >= len(t.types) {
		return ""
	}
	return t.text(id)
}

// IsControl reports whether id is a control token (type Control): structure,
// not text. User-defined tokens, such as <think> in some files, are text.
func (t *Tokenizer) IsControl(id int32) bool {
	return id >= 0 && int(id) < len(t.types) && int32(t.types[id]) == Control
}

// BOS returns the id that begins a text, or -1.
func (t *Tokenizer) BOS() int32 { return t.bos }

// EOS returns the id that ends a text, or -1.
func (t *Tokenizer) EOS() int32 { return t.eos }

// PAD returns the id of padding, or -1.
func (t *Tokenizer) PAD() int32 { return t.pad }

// BOSText returns the text of BOS, what a chat template calls bos_token; ""
// when there is none.
func (t *Tokenizer) BOSText() string { return t.Token(t.bos) }

// EOGs returns the tokens that end a generation: EOS first, then <|im_end|> and
// <|endoftext|> where the vocabulary has them. The slice is the caller's.
func (t *Tokenizer) EOGs() []int32 { return slices.Clone(t.eogs) }

// IsEOG reports whether id ends a generation.
func (t *Tokenizer) IsEOG(id int32) bool { return slices.Contains(t.eogs, id) }
