package judge

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/sluice-ai/sluice/internal/llm"
	"github.com/sluice-ai/sluice/local/hints"
)

// Weights are the logistic model that makes p_local of signals. They are a file
// that can be read: weights.json is embedded, and a calibration may bring others.
//
//	p_local = 1 / (1 + exp(-(bias + Σ weight × (value - center))))
//
// where each value is first brought between low and high. Before are the signals
// that a request has; After those that an answer adds, to the request's log-odds
// times prior.
type Weights struct {
	Version string  `json:"version"`
	From    string  `json:"from"` // what they were fitted on, and when, for people
	Bias    float64 `json:"bias"`
	// Kind is what the hints' kind of task adds to the model's score of that kind.
	Kind float64 `json:"kind"`
	// Prior is how much of the log-odds that a request had still counts once its
	// answer has been read.
	Prior  float64  `json:"prior"`
	Before []Weight `json:"before"`
	After  []Weight `json:"after"`
}

// A Weight is what one signal counts.
type Weight struct {
	Name   string  `json:"name"`
	Weight float64 `json:"weight"`
	Center float64 `json:"center,omitempty"` // the value that counts nothing
	Low    float64 `json:"low,omitempty"`
	High   float64 `json:"high,omitempty"` // when low and high are equal, there are no bounds
	About  string  `json:"about,omitempty"`
}

// Digest names w together with the hints, "sha256:…": two judges with the same model
// and the same digest say the same.
func (w *Weights) Digest() string {
	text, err := json.Marshal(w)
	if err != nil {
		panic("judge: " + err.Error()) // no NaN gets here, and nothing else can fail
	}
	sum := sha256.Sum256(append(text, hints.Digest()...))
	return "sha256:" + hex.EncodeToString(sum[:])
}

//go:embed weights.json
var embedded []byte

// names are the signals that exist, before and after an answer.
var names = [2][]string{
	{"lfm2", "hints", "ngrams", "tool_errors", "tool_repeats"},
	{"chosen_mean", "chosen_weak", "repetition", "refusal", "empty", "cut", "broken", "other_script", "self_check"},
}

// DefaultWeights returns the embedded weights.
func DefaultWeights() *Weights {
	w, err := ParseWeights(embedded)
	if err != nil {
		panic("judge: the embedded weights: " + err.Error()) // a test holds them
	}
	return w
}

// ParseWeights reads weights. It refuses unknown fields and signals, missing
// ones, and what is no number.
func ParseWeights(text []byte) (*Weights, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	w := &Weights{}
	if err := dec.Decode(w); err != nil {
		return nil, fmt.Errorf("reading the judge's weights: %w", err)
	}
	var errs []error
	for i, list := range [2][]Weight{w.Before, w.After} {
		seen := map[string]bool{}
		for _, x := range list {
			seen[x.Name] = true
			if bad(x.Weight) || bad(x.Center) || bad(x.Low) || bad(x.High) || x.Low > x.High {
				errs = append(errs, fmt.Errorf("the weight of %q is no number, or its low is above its high", x.Name))
			}
		}
		for _, n := range names[i] {
			if !seen[n] {
				errs = append(errs, fmt.Errorf("the signal %q has no weight: 0 switches it off", n))
			}
		}
		if len(list) != len(names[i]) && len(errs) == 0 {
			errs = append(errs, fmt.Errorf("there are %d signals, and weights for %d: the signals are %v", len(names[i]), len(list), names[i]))
		}
	}
	if bad(w.Bias) || bad(w.Kind) || bad(w.Prior) || w.Version == "" {
		errs = append(errs, errors.New("version, bias, kind and prior must be set"))
	}
	return w, errors.Join(errs...)
}

func bad(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }

// clamp returns what of v counts.
func (w *Weight) clamp(v float64) float64 {
	if w.Low < w.High {
		v = min(max(v, w.Low), w.High)
	}
	return v
}

// odds returns what a signal's value adds to the log-odds.
func (w *Weight) odds(v float64) float64 { return w.Weight * (w.clamp(v) - w.Center) }

// weigh returns the signals that have a value, each with what it adds, and the sum.
func weigh(list []Weight, values map[string]float64) (signals []llm.Signal, sum float64) {
	for i := range list {
		v, ok := values[list[i].Name]
		if !ok {
			continue
		}
		odds := list[i].odds(v)
		sum += odds
		signals = append(signals, llm.Signal{Name: list[i].Name, Value: round(v), Weight: round(odds)})
	}
	return signals, sum
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// logit is sigmoid's inverse, kept within ±20.
func logit(p float64) float64 {
	const far = 20
	return min(max(math.Log(p/(1-p)), -far), far)
}

func round(v float64) float64 { return math.Round(v*1000) / 1000 }
