package safetensors

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/sluice-ai/sluice/runtime/tokenizer"
)

const (
	maxTokenizer = 64 << 20 // bytes of tokenizer.json: real ones have up to 20 MB
	maxVocab     = 1 << 20
	maxToken     = 1 << 10 // bytes of a token
)

// llama3 is the pattern that LFM2's pre-tokenizer cuts text by, and the only one
// that the runtime's does.
const llama3 = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`

// ReadTokenizer reads tokenizer.json in a folder; see [ParseTokenizer].
func ReadTokenizer(folder string, c Config) (tokenizer.Vocab, error) {
	path := filepath.Join(folder, "tokenizer.json")
	b, err := readSmall(path, maxTokenizer)
	if err != nil {
		return tokenizer.Vocab{}, err
	}
	v, err := ParseTokenizer(b, c)
	if err != nil {
		return tokenizer.Vocab{}, fmt.Errorf("reading %s: %w", path, err)
	}
	return v, nil
}

type tokenizerFile struct {
	Normalizer   json.RawMessage `json:"normalizer"`
	PreTokenizer *step           `json:"pre_tokenizer"`
	PostProcess  *step           `json:"post_processor"`
	AddedTokens  []addedToken    `json:"added_tokens"`
	Model        struct {
		Type         string            `json:"type"`
		Vocab        map[string]int32  `json:"vocab"`
		Merges       []json.RawMessage `json:"merges"`
		ByteFallback bool              `json:"byte_fallback"`
	} `json:"model"`
}

type addedToken struct {
	ID      *int32 `json:"id"`
	Content string `json:"content"`
	Special bool   `json:"special"`
}

// A step is one part of tokenizer.json's pipeline, or a Sequence of them.
type step struct {
	Type           string            `json:"type"`
	PreTokenizers  []step            `json:"pretokenizers"`
	Processors     []step            `json:"processors"`
	Pattern        map[string]string `json:"pattern"`
	AddPrefixSpace bool              `json:"add_prefix_space"`
	UseRegex       *bool             `json:"use_regex"`
	Single         []map[string]struct {
		ID string `json:"id"`
	} `json:"single"`
	SpecialTokens map[string]struct {
		IDs []int32 `json:"ids"`
	} `json:"special_tokens"`
}

// ParseTokenizer reads tokenizer.json of a byte-level BPE that cuts text as
// Llama 3 does, and fails for any other. Of c it uses Vocab, the number of rows,
// and the ids of BOS, EOS and PAD; with Vocab 0 there are as many rows as the
// highest id needs. Rows that the file does not name become [PADi], unused, as
// converters to GGUF write them. Added tokens are control tokens if they are
// special, else user-defined ones.
//
// Whole pieces that are in the vocabulary are one token whatever the file's
// ignore_merges says: every LFM2 file says so.
func ParseTokenizer(data []byte, c Config) (tokenizer.Vocab, error) {
	if len(data) > maxTokenizer {
		return tokenizer.Vocab{}, errors.New("tokenizer.json is implausibly long")
	}
	var f tokenizerFile
	if err := json.Unmarshal(data, &f); err != nil {
		return tokenizer.Vocab{}, errors.New("tokenizer.json is not what the tokenizers library writes")
	}
	if f.Model.Type != "BPE" && f.Model.Type != "" || f.Model.ByteFallback || len(f.Model.Vocab) == 0 {
		return tokenizer.Vocab{}, errors.New("tokenizer.json holds no byte-level BPE")
	}
	if s := string(f.Normalizer); s != "" && s != "null" {
		return tokenizer.Vocab{}, errors.New("tokenizer.json normalises text, which no LFM2 tokenizer does")
	}
	if err := checkPre(f.PreTokenizer); err != nil {
		return tokenizer.Vocab{}, err
	}
	v := tokenizer.Vocab{Pre: "lfm2", BOS: c.BOS, EOS: c.EOS, PAD: c.PAD}
	if err := f.rows(&v, c.Vocab); err != nil {
		return tokenizer.Vocab{}, err
	}
	if err := f.merges(&v); err != nil {
		return tokenizer.Vocab{}, err
	}
	if bos, ok := firstToken(f.PostProcess, 0); ok && int(bos) < len(v.Tokens) && bos >= 0 && (v.BOS < 0 || v.BOS == bos) {
		v.BOS, v.AddBOS = bos, true
	}
	return v, nil
}

// checkPre compares the pre-tokenizer with Llama 3's.
func checkPre(s *step) error {
	unknown := errors.New("tokenizer.json cuts text into pieces in another way than LFM2 does; the runtime has no other")
	if s == nil {
		return unknown
	}
	steps := []step{*s}
	if s.Type == "Sequence" {
		steps = s.PreTokenizers
	}
	split, bytes := false, false
	for _, s := range steps {
		switch {
		case s.Type == "Split" && s.Pattern["Regex"] == llama3 && !split:
			split = true
		case s.Type == "ByteLevel" && !s.AddPrefixSpace && s.UseRegex != nil && !*s.UseRegex && !bytes:
			bytes = true
		default:
			return unknown
		}
	}
	if !split || !bytes {
		return unknown
	}
	return nil
}

// rows fills v's tokens and their types.
func (f *tokenizerFile) rows(v *tokenizer.Vocab, size int) error {
	highest := int32(-1)
	for _, id := range f.Model.Vocab {
		highest = max(highest, id)
	}
	for _, t := range f.AddedTokens {
		if t.ID == nil {
			return errors.New("tokenizer.json: an added token has no id")
		}
		highest = max(highest, *t.ID)
	}
	if size == 0 {
		size = int(highest) + 1
	}
	if named := len(f.Model.Vocab) + len(f.AddedTokens); size > 2*named+1<<16 {
		return fmt.Errorf("tokenizer.json names %d tokens, too few for a vocabulary of %d", named, size)
	}
	if int(highest) >= size || size > maxVocab {
		return fmt.Errorf("tokenizer.json: token %d does not fit a vocabulary of %d", highest, size)
	}
	v.Tokens, v.Types = make([]string, size), make([]int32, size)
	set := func(id int32, text string, kind int32) error {
		switch {
		case id < 0 || text == "" || len(text) > maxToken:
			return fmt.Errorf("tokenizer.json: token %d is malformed", id)
		case v.Types[id] != 0 && v.Tokens[id] != text:
			return fmt.Errorf("tokenizer.json: two tokens have the id %d", id)
		}
		v.Tokens[id], v.Types[id] = text, kind
		return nil
	}
	for text, id := range f.Model.Vocab {
		if err := set(id, text, tokenizer.Normal); err != nil {
			return err
		}
	}
	for _, t := range f.AddedTokens {
		kind := tokenizer.UserDefined
		if t.Special {
			kind = tokenizer.Control
		}
		if err := set(*t.ID, t.Content, kind); err != nil {
			return err
		}
	}
	for i, kind := range v.Types {
		if kind == 0 {
			v.Tokens[i], v.Types[i] = fmt.Sprintf("[PAD%d]", i), tokenizer.Unused
		}
	}
	return nil
}

// merges fills v's merges, which a file writes "a b" or ["a", "b"].
func (f *tokenizerFile) merges(v *tokenizer.Vocab) error {
	v.Merges = make([]string, len(f.Model.Merges))
	for i, raw := range f.Model.Merges {
		var pair []string
		text := ""
		if err := json.Unmarshal(raw, &pair); err == nil && len(pair) == 2 {
			text = pair[0] + " " + pair[1]
		} else if json.Unmarshal(raw, &text) != nil {
			text = ""
		}
		left, right, ok := strings.Cut(text, " ")
		if !ok || left == "" || right == "" || strings.Contains(right, " ") || len(text) > 2*maxToken {
			return fmt.Errorf("tokenizer.json: merge %d is no pair", i)
		}
		v.Merges[i] = text
	}
	return nil
}

// firstToken returns the token that a post-processor puts before a text.
func firstToken(s *step, depth int) (int32, bool) {
	if s == nil || depth > 2 {
		return 0, false
	}
	for i := range s.Processors {
		if id, ok := firstToken(&s.Processors[i], depth+1); ok {
			return id, true
		}
	}
	if s.Type != "TemplateProcessing" || len(s.Single) == 0 {
		return 0, false
	}
	first, ok := s.Single[0]["SpecialToken"]
	if !ok {
		return 0, false
	}
	ids := s.SpecialTokens[first.ID].IDs
	if len(ids) != 1 {
		return 0, false
	}
	return ids[0], true
}
