package grammar_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/sluice-ai/sluice/runtime/grammar"
	"github.com/sluice-ai/sluice/runtime/tokenizer"
)

// large is a vocabulary of 65,536 tokens such as a byte-level BPE of mixed text
// and code has: the LFM2 specials and the bytes, numbers of up to three digits,
// runs of white space, thousands of runs of punctuation with the quotes and
// brackets of JSON, words with and without what stands before and after them,
// and syllables of other scripts, some cut inside a code point.
var large = sync.OnceValue(func() *grammar.Vocab {
	const size = 65_536
	var tokens []string
	var types []int32
	seen := map[string]bool{}
	add := func(t string, kind int32) {
		if len(tokens) < size && !seen[t] {
			seen[t] = true
			tokens = append(tokens, t)
			types = append(types, kind)
		}
	}
	text := func(s string) { add(tokenizer.EncodeBytes(s), tokenizer.Normal) }
	for _, t := range strings.Fields("<|pad|> <|startoftext|> <|endoftext|> <|im_start|> <|im_end|> <|tool_list_start|> <|tool_list_end|> <|tool_call_start|> <|tool_call_end|> <think> </think>") {
		add(t, tokenizer.Control)
	}
	for _, t := range tokenizer.ByteTokens() {
		add(t, tokenizer.Normal)
	}
	for i := range 1000 {
		text(fmt.Sprint(i))
		text(fmt.Sprintf("%02d", i%100))
		text(fmt.Sprintf("%03d", i))
	}
	for n := range 64 {
		text(strings.Repeat(" ", n+1))
		text("\n" + strings.Repeat(" ", n))
		text(strings.Repeat("\t", n%16+1))
		text(strings.Repeat("-", n+1))
	}
	marks := strings.Split("\" , : { } [ ] ( ) . / \\ ' = _ - < > ; \n #", " ")
	for _, a := range marks {
		for _, b := range marks {
			text(a + b)
			text(" " + a + b)
			for _, c := range marks[:14] {
				text(a + b + c)
			}
		}
	}
	words := strings.Fields("the of and to in is that for it as was with be by on not he his but at are this have from or had name email address city country date time type value id title description status order item items price total quantity user users first last phone number street code text message error result data list key true false null None True False function return import class public string int object array get set add remove find search weather location temperature unit celsius")
	for _, w := range words {
		for _, before := range []string{"", " ", "\"", "_", ".", "(", " \"", "'", "{\"", ",\"", "[\""} {
			for _, after := range []string{"", "\"", "\":", "\",", "(", "_", "=", ",", ".", "s"} {
				text(before + w + after)
				text(before + strings.ToUpper(w[:1]) + w[1:] + after)
			}
		}
	}
	for _, s := range []string{"é", "ü", "ñ", "ст", "на", "日本", "中", "한국", "ا", "😀", "—", "…", "“", "”"} {
		text(s)
		text(" " + s)
		text(s + s)
		text(s[:len(s)-1])
		text(s[len(s)-1:])
	}
	const consonants, vowels = "bcdfghklmnprstvwz", "aeiou"
	for i := 0; len(tokens) < size-1100; i++ {
		w := ""
		for n, j := 0, i; n < 2 || j > 0; n++ {
			w += string(consonants[j%len(consonants)])
			j /= len(consonants)
			w += string(vowels[j%len(vowels)])
			j /= len(vowels)
		}
		text(w)
		text(" " + w)
	}
	for len(tokens) < size {
		add(fmt.Sprintf("[PAD%d]", len(tokens)), tokenizer.Unused)
	}
	tok, err := tokenizer.New(tokenizer.Vocab{Tokens: tokens, Types: types, BOS: 1, EOS: int32(slices.Index(tokens, "<|im_end|>")), PAD: 0})
	if err != nil {
		panic(err)
	}
	v := grammar.NewVocab(tok, size)
	v.Prepare()
	return v
})
