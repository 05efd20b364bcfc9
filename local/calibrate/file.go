package calibrate

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"time"
)

// Version is the file format's, as docs/evaluation.md describes it.
const Version = 1

// A Calibration is what the search found, with what it was found from. The judge
// takes its thresholds from it; the ledger names it by its id.
type Calibration struct {
	Version int       `json:"version"`
	ID      string    `json:"id"` // "cal_" and the first 12 digits of the SHA-256 of all the rest
	Made    time.Time `json:"made"`
	By      string    `json:"by"` // the program that made it
	Model   Model     `json:"model"`
	Data    Data      `json:"data"`
	Alpha   float64   `json:"alpha"`
	Delta   float64   `json:"delta"`
	Method  string    `json:"method"`
	// Supported is the p_local from which a request is the local tier's,
	// Unsupported that up to which it is not.
	Supported   float64 `json:"supported"`
	Unsupported float64 `json:"unsupported"`
	Point       Point   `json:"point"` // what Supported does on the outcomes
	Points      []Point `json:"points"`
	// Scores are the 0, 10, … 100 % quantiles of p_local in the outcomes: what the
	// judge in use is held against. None with fewer than 50 outcomes.
	Scores []float64 `json:"scores,omitempty"`
}

// A Model is the one whose p_local was calibrated.
type Model struct {
	Name   string `json:"name"`
	Digest string `json:"digest"` // "sha256:…" of its file
	Judge  string `json:"judge"`  // "sha256:…" of the hints and the weights beside it
}

// Data is what was learned from.
type Data struct {
	Digest string `json:"digest"` // "sha256:…" of the file, or of the ledger's root
	Kind   string `json:"kind"`   // "outcomes" that were seen, "ledger" of feedback and shadow copies, or "labels" that somebody expects
	N      int    `json:"n"`
	Bad    int    `json:"bad"`
}

// ErrNone is returned when no threshold keeps the promise.
var ErrNone = errors.New("no threshold keeps the promise")

// New makes the calibration of a choice. Unsupported is the judge's own lower
// threshold; it is lowered to the upper one if it is above. It returns [ErrNone]
// when the search found nothing.
func New(c Choice, o Options, m Model, d Data, outcomes []Outcome, unsupported float64, by string, made time.Time) (*Calibration, error) {
	if c.Best < 0 {
		return nil, ErrNone
	}
	best := c.Points[c.Best]
	f := &Calibration{
		Version: Version, Made: made.UTC().Truncate(time.Second), By: by, Model: m, Data: d, Alpha: o.Alpha, Delta: o.Delta,
		Method:    "Clopper-Pearson bounds, fixed sequence 0.99, 0.98, … 0.01",
		Supported: best.Threshold, Unsupported: min(unsupported, best.Threshold), Point: best, Points: c.Points,
	}
	var scores []float64
	for _, x := range outcomes {
		scores = append(scores, x.PLocal)
	}
	f.Scores = quantiles(scores)
	f.ID = f.id()
	return f, nil
}

// id digests everything but the id.
func (f *Calibration) id() string {
	bare := *f
	bare.ID = ""
	text, err := json.Marshal(bare)
	if err != nil {
		panic("calibrate: " + err.Error()) // no NaN gets here, and nothing else can fail
	}
	sum := sha256.Sum256(text)
	return "cal_" + hex.EncodeToString(sum[:6])
}

// Write writes f as indented JSON.
func (f *Calibration) Write(w io.Writer) error {
	text, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(append(text, '\n'))
	return err
}

// Open reads the calibration in the file at path.
func Open(path string) (*Calibration, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the calibration: %w", err)
	}
	f, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("the calibration %s: %w", path, err)
	}
	return f, nil
}

// Parse reads a calibration. It refuses unknown fields, thresholds that are
// none, and a file that was edited after it was made.
func Parse(text []byte) (*Calibration, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	f := &Calibration{}
	if err := dec.Decode(f); err != nil {
		return nil, err
	}
	if dec.More() {
		return nil, errors.New("more than one JSON value")
	}
	share := func(v float64) bool { return v >= 0 && v <= 1 && !math.IsNaN(v) }
	switch {
	case f.Version != Version:
		return nil, fmt.Errorf("version %d is not known here: make it again with `sluice calibrate`", f.Version)
	case f.ID != f.id():
		return nil, errors.New("it was changed after it was made: make it again with `sluice calibrate`")
	case !share(f.Supported) || f.Supported == 0 || !share(f.Unsupported) || f.Unsupported > f.Supported:
		return nil, fmt.Errorf("0 <= unsupported (%g) <= supported (%g) <= 1 must hold, and supported must not be 0", f.Unsupported, f.Supported)
	}
	return f, nil
}

// Fits returns an error when f was made for another model than the one whose
// file has this digest, or for other hints and weights than those of judge.
func (f *Calibration) Fits(digest, judge string) error {
	if f.Model.Digest != digest {
		return fmt.Errorf("the calibration %s was made for another model (%s, %.19s…) than the one that judges (%.19s…): make it again with `sluice calibrate`",
			f.ID, f.Model.Name, f.Model.Digest, digest)
	}
	if f.Model.Judge != judge {
		return fmt.Errorf("the calibration %s was made with other hints or weights (%.19s…) than this version of the judge has (%.19s…): make it again with `sluice calibrate`",
			f.ID, f.Model.Judge, judge)
	}
	return nil
}
