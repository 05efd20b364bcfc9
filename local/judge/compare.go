package judge

import (
	"encoding/json"
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/sluice-ai/sluice/internal/llm"
)

// Compare says how far a local answer does what a cloud target's answer does. It
// takes the cloud's for the better one and is no more than a proxy: two good
// answers may differ, and two bad ones agree.
//
//   - calls: the same tools with the same arguments, 1 or 0; F1 when there are several
//   - fields: two JSON values: the share of their leaves, by path, that are equal (F1)
//   - words: F1 of the words of both texts, each as often as it occurs
//   - shape: cosine of the counts of their letter trigrams
//   - numbers: F1 of the numbers in both; absent when neither has one
//
// The score is calls, or fields, where the cloud's answer consists of them, and else
// the mean of words and shape; where there are numbers, it is halfway to numbers.
func (*Judge) Compare(_ *llm.Request, local, cloud llm.Answer) (score float64, measures map[string]float64) {
	m := map[string]float64{}
	if len(cloud.Calls) > 0 || len(local.Calls) > 0 {
		m["calls"] = f1(callKeys(local.Calls), callKeys(cloud.Calls))
		return m["calls"], m
	}
	if a, b := fields(local.Text), fields(cloud.Text); b != nil {
		m["fields"] = f1(a, b)
		return m["fields"], m
	}
	m["words"] = f1(wordsOf(local.Text), wordsOf(cloud.Text))
	m["shape"] = cosine(trigrams(local.Text), trigrams(cloud.Text))
	score = (m["words"] + m["shape"]) / 2
	a, b := numberPattern.FindAllString(local.Text, -1), numberPattern.FindAllString(cloud.Text, -1)
	if len(a)+len(b) > 0 {
		m["numbers"] = f1(a, b)
		score = (score + m["numbers"]) / 2
	}
	for k, v := range m {
		m[k] = round(v)
	}
	return round(score), m
}

var numberPattern = regexp.MustCompile(`\d+(?:[.,:]\d+)*`)

// f1 compares two multisets; two empty ones are equal.
func f1(a, b []string) float64 {
	if len(a)+len(b) == 0 {
		return 1
	}
	left := map[string]int{}
	for _, x := range a {
		left[x]++
	}
	hits := 0
	for _, x := range b {
		if left[x] > 0 {
			left[x]--
			hits++
		}
	}
	return 2 * float64(hits) / float64(len(a)+len(b))
}

func callKeys(calls []llm.ToolCall) (out []string) {
	for _, c := range calls {
		var v any
		args := c.Arguments
		if json.Unmarshal([]byte(args), &v) == nil {
			if b, err := json.Marshal(v); err == nil { // keys sorted
				args = string(b)
			}
		}
		out = append(out, c.Name+args)
	}
	return out
}

// fields lists the leaves of a JSON object or array with their paths; nil when text is none.
func fields(text string) (out []string) {
	text = strings.TrimSpace(text)
	var v any
	if text == "" || text[0] != '{' && text[0] != '[' || json.Unmarshal([]byte(text), &v) != nil {
		return nil
	}
	out = []string{} // an empty object is one, too
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch x := v.(type) {
		case map[string]any:
			for k, m := range x {
				walk(path+"."+k, m)
			}
		case []any:
			for _, m := range x {
				walk(path+"[]", m)
			}
		case string:
			out = append(out, path+"="+strings.ToLower(strings.Join(strings.Fields(x), " ")))
		default:
			if b, err := json.Marshal(x); err == nil {
				out = append(out, path+"="+string(b))
			}
		}
	}
	walk("", v)
	return out
}

// wordsOf splits into words, lower case; scripts without spaces into characters.
func wordsOf(text string) []string {
	var out []string
	var word strings.Builder
	flush := func() {
		if word.Len() > 0 {
			out = append(out, word.String())
			word.Reset()
		}
	}
	for _, r := range strings.ToLower(text) {
		switch {
		case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana):
			flush()
			out = append(out, string(r))
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			word.WriteRune(r)
		default:
			flush()
		}
	}
	flush()
	return out
}

func trigrams(text string) map[string]float64 {
	out := map[string]float64{}
	runes := []rune(" " + strings.Join(wordsOf(text), " ") + " ")
	for i := range max(0, len(runes)-2) {
		out[string(runes[i:i+3])]++
	}
	return out
}

func cosine(a, b map[string]float64) float64 {
	var dot, x, y float64
	keys := make([]string, 0, len(a))
	for k := range a {
		keys = append(keys, k)
	}
	slices.Sort(keys) // sums in one order
	for _, k := range keys {
		dot += a[k] * b[k]
		x += a[k] * a[k]
	}
	for _, v := range b {
		y += v * v
	}
	if x == 0 || y == 0 {
		return 0
	}
	return dot / math.Sqrt(x*y)
}
