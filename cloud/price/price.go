// Package price knows what tokens cost, from configs/prices.yaml or an
// operator's own file of the same form.
package price

import (
	"bytes"
	"errors"
	"fmt"
	"math"

	"go.yaml.in/yaml/v3"

	"github.com/sluice-ai/sluice/internal/llm"
)

// A Row is the price of one model, in US dollars per million tokens. The kinds
// of token are disjoint: Input counts those that did not come from a cache.
type Row struct {
	Provider  string  `yaml:"provider"`
	Model     string  `yaml:"model"`
	Input     float64 `yaml:"input"`
	Cached    float64 `yaml:"cached"`    // 0: as Input
	Output    float64 `yaml:"output"`    // reasoning included, unless it has a price of its own
	Reasoning float64 `yaml:"reasoning"` // 0: as Output
	Context   int     `yaml:"context"`   // tokens the model takes; 0 when unknown
	ValidFrom string  `yaml:"valid_from"`
	Source    string  `yaml:"source"`
}

// A Table holds prices by provider and model.
type Table struct{ rows map[[2]string]Row }

// ceiling catches a price that was typed in the wrong unit: nothing costs a
// thousand dollars per million tokens.
const ceiling = 1000

// Parse reads a table, or returns every mistake in it.
func Parse(yamlText []byte) (*Table, error) {
	var file struct {
		Prices []Row `yaml:"prices"`
	}
	dec := yaml.NewDecoder(bytes.NewReader(yamlText))
	dec.KnownFields(true)
	if err := dec.Decode(&file); err != nil {
		return nil, fmt.Errorf("reading prices: %w", err)
	}
	t := &Table{rows: map[[2]string]Row{}}
	var errs []error
	for i, r := range file.Prices {
		key := [2]string{r.Provider, r.Model}
		if _, twice := t.rows[key]; twice || r.Provider == "" || r.Model == "" {
			errs = append(errs, fmt.Errorf("prices[%d]: each needs a provider and a model of its own", i))
		}
		if err := r.check(); err != nil {
			errs = append(errs, fmt.Errorf("prices[%d] %s/%s: %w", i, r.Provider, r.Model, err))
		}
		t.rows[key] = r
	}
	return t, errors.Join(errs...)
}

func (r Row) check() error {
	for _, v := range []float64{r.Input, r.Cached, r.Output, r.Reasoning} {
		if v < 0 || v > ceiling || math.IsNaN(v) {
			return fmt.Errorf("%g is no price in dollars per million tokens", v)
		}
	}
	if r.Input == 0 && r.Output == 0 {
		return errors.New("a price of zero is not believed: leave the row out when the price is unknown")
	}
	return nil
}

// Find returns the row of a model.
func (t *Table) Find(provider, model string) (Row, bool) {
	if t == nil {
		return Row{}, false
	}
	r, ok := t.rows[[2]string{provider, model}]
	return r, ok
}

// Price returns r in nano-dollars per token, or an error when r is no price.
func (r Row) Price() (llm.Price, error) {
	if err := r.check(); err != nil {
		return llm.Price{}, err
	}
	nano := func(usdPerMillion float64) int64 { return int64(math.Round(usdPerMillion * 1000)) }
	id := r.Provider + "/" + r.Model
	if r.ValidFrom != "" {
		id += "@" + r.ValidFrom
	}
	return llm.Price{ID: id, Input: nano(r.Input), Cached: nano(r.Cached), Output: nano(r.Output), Reason: nano(r.Reasoning), Known: true}, nil
}
