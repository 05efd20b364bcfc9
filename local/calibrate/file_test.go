package calibrate

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

func made(t *testing.T) *Calibration {
	t.Helper()
	o := Options{Alpha: 0.1, Delta: 0.05}
	data := outcomes(run{0.9, 100, 0}, run{0.3, 0, 50})
	f, err := New(Choose(data, o), o, Model{"local/nano", "sha256:00ff", "sha256:22"}, Data{"sha256:11", "outcomes", 150, 50}, data, 0.4, "sluice test",
		time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("", 3600)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFile(t *testing.T) {
	f := made(t)
	if f.Supported != 0.31 || f.Unsupported != 0.31 || f.Point.Bad != 0 || f.Point.Kept != 100 {
		t.Errorf("calibration = %+v", f)
	}
	var text bytes.Buffer
	if err := f.Write(&text); err != nil {
		t.Fatal(err)
	}
	back, err := Parse(text.Bytes())
	if err != nil || !reflect.DeepEqual(back, f) {
		t.Errorf("read back: %v\n%+v\nwant\n%+v", err, back, f)
	}
	for _, tt := range []struct{ name, old, new, err string }{
		{"edited", `"supported": 0.31`, `"supported": 0.11`, "changed after it was made"},
		{"unknown-field", `"alpha"`, `"beta"`, "unknown field"},
		{"version", `"version": 1`, `"version": 2`, "version 2"},
		{"two", "{\n", "{}{\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bad := strings.Replace(text.String(), tt.old, tt.new, 1)
			if _, err := Parse([]byte(bad)); bad == text.String() || err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
		})
	}
	if err := f.Fits("sha256:00ff", "sha256:22"); err != nil {
		t.Error(err)
	}
	if err := f.Fits("sha256:00fe", "sha256:22"); err == nil || !strings.Contains(err.Error(), f.ID) {
		t.Errorf("another model fits: %v", err)
	}
	if err := f.Fits("sha256:00ff", "sha256:23"); err == nil || !strings.Contains(err.Error(), "hints or weights") {
		t.Errorf("other hints fit: %v", err)
	}
	if len(f.Scores) != scoreBins+1 || f.Scores[0] != 0.3 || f.Scores[scoreBins] != 0.9 {
		t.Errorf("scores %v", f.Scores)
	}
}

// A file whose digest is right can still hold thresholds that are none.
func TestThresholdsAreChecked(t *testing.T) {
	for _, tt := range []struct{ supported, unsupported float64 }{{0, 0}, {1.5, 0}, {0.3, 0.4}, {0.3, -1}} {
		f := made(t)
		f.Supported, f.Unsupported = tt.supported, tt.unsupported
		f.ID = f.id()
		var text bytes.Buffer
		if err := f.Write(&text); err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(text.Bytes()); err == nil || !strings.Contains(err.Error(), "must hold") {
			t.Errorf("supported %g and unsupported %g: %v", tt.supported, tt.unsupported, err)
		}
	}
}

func TestNoThresholdNoFile(t *testing.T) {
	o := Options{Alpha: 0.1, Delta: 0.05}
	if _, err := New(Choose(nil, o), o, Model{}, Data{}, nil, 0.4, "", time.Time{}); !errors.Is(err, ErrNone) {
		t.Errorf("error %v, want ErrNone", err)
	}
}
