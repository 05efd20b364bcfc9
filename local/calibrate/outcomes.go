package calibrate

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// maxLine is the longest line of a file of outcomes: 1 MiB.
const maxLine = 1 << 20

// ReadOutcomes reads one JSON object a line, {"p_local": 0.83, "ok": true}; what
// else an object holds is ignored, and so are empty lines. An error names the
// line, and quotes nothing of it.
func ReadOutcomes(r io.Reader) ([]Outcome, error) {
	var out []Outcome
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for n := 1; lines.Scan(); n++ {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		var o struct {
			PLocal *float64 `json:"p_local"`
			OK     *bool    `json:"ok"`
		}
		if err := json.Unmarshal(line, &o); err != nil {
			return nil, fmt.Errorf("line %d is no outcome like {\"p_local\": 0.83, \"ok\": true}", n)
		}
		switch {
		case o.PLocal == nil || o.OK == nil:
			return nil, fmt.Errorf("line %d: an outcome needs \"p_local\" and \"ok\"", n)
		case !(*o.PLocal >= 0 && *o.PLocal <= 1):
			return nil, fmt.Errorf("line %d: p_local is %g, which is no probability", n, *o.PLocal)
		}
		out = append(out, Outcome{*o.PLocal, *o.OK})
	}
	if err := lines.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			return nil, fmt.Errorf("a line is longer than %d bytes", maxLine)
		}
		return nil, err
	}
	return out, nil
}
