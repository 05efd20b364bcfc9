package judge

import (
	"context"
	"math"
	"strings"
	"unicode"

	"github.com/sluice-ai/sluice/internal/llm"
)

// Review revises before, the assessment of req, by what the local model has
// answered so far: how sure it was of its tokens, whether the text repeats
// itself, refuses, breaks its format. An answer with a Finish is whole, and the
// only kind that is checked by asking the model itself, when that is configured.
// Review never fails; a self-check that does counts nothing.
func (j *Judge) Review(ctx context.Context, req *llm.Request, before llm.Assessment, ans llm.Answer) llm.Assessment {
	values := j.answered(req, before, ans)
	a := before
	if ans.Finish != "" && j.cfg.SelfCheck > 0 && values["empty"] == 0 {
		if odds, tokens, ok := j.selfCheck(ctx, req, ans); ok {
			values["self_check"] = odds
			a.Tokens += tokens
		}
	}
	start := 0.0 // without a verdict nothing is known beforehand
	if before.Boundary != llm.NoVerdict {
		start = j.weights.Prior * logit(before.PLocal)
	}
	signals, odds := weigh(j.weights.After, values)
	a.PLocal = sigmoid(start + odds)
	a.Boundary = j.boundary(a.PLocal)
	a.Thresholds = j.thresholds()
	a.Signals = append([]llm.Signal{{Name: "before", Value: round(before.PLocal), Weight: round(start)}}, signals...)
	a.Why = reason(signals)
	return a
}

// reason names what speaks most against an answer.
func reason(signals []llm.Signal) string {
	worst, name := -1.0, "unsure"
	for _, s := range signals {
		if s.Weight < worst && !strings.HasPrefix(s.Name, "chosen_") {
			worst, name = s.Weight, s.Name
		}
	}
	return name
}

// smooth is how many tokens of ordinary sureness are added to the statistics of
// an answer's tokens, so that three tokens do not decide.
const smooth = 4

// weak is the log-probability of a token that the model hardly chose.
var weak = math.Log(0.1)

// answered returns the values of the signals of an answer.
func (j *Judge) answered(req *llm.Request, before llm.Assessment, ans llm.Answer) map[string]float64 {
	v := map[string]float64{"empty": 0}
	text := strings.TrimSpace(ans.Text)
	if n := len(ans.Chosen); n > 0 {
		sum, low := 0.0, 0.0
		for _, lp := range ans.Chosen {
			sum += max(lp, -20)
			if lp < weak {
				low++
			}
		}
		mean, share := j.center("chosen_mean"), j.center("chosen_weak")
		v["chosen_mean"] = (sum + smooth*mean) / (float64(n) + smooth)
		v["chosen_weak"] = (low + smooth*share) / (float64(n) + smooth)
	}
	if text == "" && len(ans.Calls) == 0 && ans.Finish != llm.Length {
		v["empty"] = 1
		return v
	}
	v["repetition"] = repetition(text)
	flag := func(name string, is bool) {
		if v[name] = 0; is {
			v[name] = 1
		}
	}
	flag("refusal", len(ans.Calls) == 0 && refuses(text))
	if ans.Finish != "" {
		flag("cut", ans.Finish == llm.Length && req.Sampling.MaxTokens == 0)
		flag("broken", ans.Broken)
	}
	flag("other_script", before.Task != "translation" && len(ans.Calls) == 0 && otherScript(req.LastText(), text))
	return v
}

func (j *Judge) center(name string) float64 {
	for _, w := range j.weights.After {
		if w.Name == name {
			return w.Center
		}
	}
	return 0
}

// repetition returns which share of s repeats what it said before: of its
// windows of 24 code points, letters and digits only, those seen already.
// Texts shorter than 96 of them are not judged: a list may repeat itself.
func repetition(s string) float64 {
	const window, fewest, most = 24, 96, 8192
	var runes []rune
	for _, r := range strings.ToLower(s) {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			if runes = append(runes, r); len(runes) == most {
				break
			}
		}
	}
	if len(runes) < fewest {
		return 0
	}
	seen := make(map[string]bool, len(runes))
	again := 0
	total := len(runes) - window + 1
	for i := range total {
		w := string(runes[i : i+window])
		if seen[w] {
			again++
		}
		seen[w] = true
	}
	return float64(again) / float64(total)
}

// refusals are how models begin when they do not answer, lower case.
var refusals = []string{
	"i can't help", "i cannot help", "i can't assist", "i cannot assist", "i'm sorry, but i can", "i am sorry, but i can", "sorry, i can't", "sorry, i cannot", "i'm unable to", "i am unable to",
	"as an ai", "i'm just an ai", "i don't have access", "i do not have access", "i don't have the ability", "i'm not able to", "i am not able to", "i do not have enough information", "i don't have enough information",
	"es tut mir leid, aber ich kann", "ich kann dir dabei nicht", "ich kann ihnen dabei nicht", "als ki", "ich habe keinen zugriff",
	"je suis désolé, mais je ne peux", "désolé, je ne peux", "en tant qu'ia", "en tant que modèle", "je n'ai pas accès",
	"lo siento, pero no puedo", "lo siento, no puedo", "como modelo de lenguaje", "no tengo acceso",
	"mi dispiace, ma non posso", "come modello linguistico", "non ho accesso", "desculpe, mas não posso", "como modelo de linguagem", "não tenho acesso",
	"het spijt me, maar ik kan", "als taalmodel", "przykro mi, ale nie mog", "nie mam dostępu", "申し訳ありませんが", "申し訳ございませんが", "お手伝いできません",
}

func refuses(text string) bool {
	head := strings.ToLower(text)
	if len(head) > 400 {
		head = head[:400]
	}
	head = strings.ReplaceAll(head, "’", "'")
	for _, r := range refusals {
		if i := strings.Index(head, r); i >= 0 && i < 160 {
			return true
		}
	}
	return false
}

// otherScript reports whether answer is written in another script than ask; only
// when each clearly has one.
func otherScript(ask, answer string) bool {
	a, b := script(ask), script(answer)
	return a != "" && b != "" && a != b
}

// script names the script of at least nine tenths of the letters of s, "" for a
// mix or for fewer than 20 letters. Chinese characters and kana count as one.
func script(s string) string {
	counts := map[string]int{}
	total := 0
	for _, r := range s {
		if !unicode.IsLetter(r) {
			continue
		}
		name := "other"
		switch {
		case unicode.Is(unicode.Latin, r):
			name = "latin"
		case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana) || r == 'ー':
			name = "cjk"
		case unicode.Is(unicode.Cyrillic, r):
			name = "cyrillic"
		case unicode.Is(unicode.Greek, r):
			name = "greek"
		case unicode.Is(unicode.Arabic, r):
			name = "arabic"
		case unicode.Is(unicode.Hangul, r):
			name = "hangul"
		}
		counts[name]++
		if total++; total == 4096 {
			break
		}
	}
	if total < 20 {
		return ""
	}
	for name, n := range counts {
		if n*10 >= total*9 {
			return name
		}
	}
	return ""
}
