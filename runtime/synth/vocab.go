package synth

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sluice-ai/sluice/runtime/gguf"
	"github.com/sluice-ai/sluice/runtime/tokenizer"
)

// specials are ids 0 to 13 of the LFM2 tokenizer (section 10.2 of the reference).
var specials = []string{
	"<|pad|>", "<|startoftext|>", "<|endoftext|>", "<|fim_pre|>", "<|fim_mid|>", "<|fim_suf|>",
	"<|im_start|>", "<|im_end|>", "<|tool_list_start|>", "<|tool_list_end|>",
	"<|tool_call_start|>", "<|tool_call_end|>", "<|tool_response_start|>", "<|tool_response_end|>",
}

// words get tokens made by merges, so that encoding exercises them.
const words = `the of and to in is that for it as was with be by on not he his but at are this have from or had an
they which one you were all her she there would their we him been has when who will no more if out so up said what its
about than into them can only other time new some could these two may first then do any like my now over such our man
me even most made after also did many off before must well back through years where much your way down should because
long each just state those people mr how too little good world make very year still see own work men day get here old
life both between being under three never know same last another while us might great go come since against right came
take used himself few house use during without again place around however small found mrs part school thought went say
once number system water data user name model local cloud request policy answer question email address token json text`

type vocabulary struct {
	tokens []string
	types  []int32
	merges []string
	seen   map[string]bool
}

// newVocabulary makes s.Vocab tokens: the specials, the 256 bytes, the merges of
// common words, then invented words that only a model's output can contain, and
// from row s.Used on, unused padding as converters write it. With a file, tokens
// and merges are the first of that file's vocabulary.
func newVocabulary(s Shape, file string) (*vocabulary, error) {
	v := &vocabulary{seen: map[string]bool{}}
	for _, t := range specials {
		v.add(t, tokenizer.Control)
	}
	if file != "" {
		if err := v.borrow(file, s.Used); err != nil {
			return nil, fmt.Errorf("the vocabulary of %s: %w", file, err)
		}
		v.pad(s)
		return v, nil
	}
	for _, t := range tokenizer.ByteTokens() {
		v.add(t, tokenizer.Normal)
	}
	for word := range strings.FieldsSeq(words) {
		left := tokenizer.EncodeBytes(" ")
		for _, letter := range word {
			right := string(letter)
			if len(v.tokens) == s.Used {
				break
			}
			if v.add(left+right, tokenizer.Normal) {
				v.merges = append(v.merges, left+" "+right)
			}
			left += right
		}
	}
	for i := 0; len(v.tokens) < s.Used; i++ {
		v.add(invented(i), tokenizer.Normal)
	}
	v.pad(s)
	return v, nil
}

func (v *vocabulary) pad(s Shape) {
	for len(v.tokens) < s.Vocab {
		v.add(fmt.Sprintf("[PAD%d]", len(v.tokens)), tokenizer.Unused)
	}
}

// borrow adds the first tokens of a GGUF's vocabulary until there are most, and
// the merges that make them. Tokens of a BPE stand in the order in which they were
// learnt, so the first of them are the vocabulary of a smaller tokenizer.
func (v *vocabulary) borrow(file string, most int) (err error) {
	f, err := gguf.Open(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	tokens, _ := f.Strs("tokenizer.ggml.tokens")
	types, _ := f.Ints("tokenizer.ggml.token_type")
	merges, _ := f.Strs("tokenizer.ggml.merges")
	if len(merges) == 0 || len(types) != len(tokens) {
		return errors.New("it is no byte-level BPE")
	}
	for i, t := range tokens {
		if types[i] == int64(tokenizer.Normal) && len(v.tokens) < most {
			v.add(strings.Clone(t), tokenizer.Normal) // the file is closed before they are used
		}
	}
	for _, b := range tokenizer.ByteTokens() {
		if !v.seen[b] {
			return errors.New("it lacks a byte")
		}
	}
	for _, m := range merges {
		left, right, ok := strings.Cut(m, " ")
		if ok && v.seen[left] && v.seen[right] && v.seen[left+right] {
			v.merges = append(v.merges, strings.Clone(m))
		}
	}
	return nil
}

// add appends a token unless it is there already.
func (v *vocabulary) add(token string, kind int32) bool {
	if v.seen[token] {
		return false
	}
	v.seen[token] = true
	v.tokens = append(v.tokens, token)
	v.types = append(v.types, kind)
	return true
}

// invented returns the i-th invented word, of three syllables or more, with its space.
func invented(i int) string {
	const consonants, vowels = "bdfgklmnprstvz", "aeiou"
	word := tokenizer.EncodeBytes(" ")
	for n := 0; n < 3 || i > 0; n++ {
		word += string(consonants[i%len(consonants)])
		i /= len(consonants)
		word += string(vowels[i%len(vowels)])
		i /= len(vowels)
	}
	return word
}

// chatTemplate is generation A of LFM2's templates (section 11 of the reference).
const chatTemplate = `{{- bos_token -}}
{%- set system_prompt = "" -%}
{%- set ns = namespace(system_prompt="") -%}
{%- if messages[0]["role"] == "system" -%}
	{%- set ns.system_prompt = messages[0]["content"] -%}
	{%- set messages = messages[1:] -%}
{%- endif -%}
{%- if tools -%}
	{%- set ns.system_prompt = ns.system_prompt + ("\n" if ns.system_prompt else "") + "List of tools: <|tool_list_start|>[" -%}
	{%- for tool in tools -%}
		{%- if tool is not string -%}
			{%- set tool = tool | tojson -%}
		{%- endif -%}
		{%- set ns.system_prompt = ns.system_prompt + tool -%}
		{%- if not loop.last -%}
			{%- set ns.system_prompt = ns.system_prompt + ", " -%}
		{%- endif -%}
	{%- endfor -%}
	{%- set ns.system_prompt = ns.system_prompt + "]<|tool_list_end|>" -%}
{%- endif -%}
{%- if ns.system_prompt -%}
	{{- "<|im_start|>system\n" + ns.system_prompt + "<|im_end|>\n" -}}
{%- endif -%}
{%- for message in messages -%}
	{{- "<|im_start|>" + message["role"] + "\n" -}}
	{%- set content = message["content"] -%}
	{%- if content is not string -%}
		{%- set content = content | tojson -%}
	{%- endif -%}
	{%- if message["role"] == "tool" -%}
		{%- set content = "<|tool_response_start|>" + content + "<|tool_response_end|>" -%}
	{%- endif -%}
	{{- content + "<|im_end|>\n" -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
	{{- "<|im_start|>assistant\n" -}}
{%- endif -%}
`
