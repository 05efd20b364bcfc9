package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/sluice-ai/sluice/internal/llm"
)

// An Entry is a record as the ledger holds it.
type Entry struct {
	Sequence uint64          `json:"sequence"`
	Hash     Hash            `json:"hash"`
	Segment  string          `json:"segment"`
	Offset   int64           `json:"offset"`
	Record   llm.Record      `json:"record"`
	Raw      json.RawMessage `json:"-"` // the record's own bytes, one JSON object
}

// A Mark names one record in a [Report].
type Mark struct {
	Sequence uint64    `json:"sequence"`
	ID       string    `json:"id"`
	Time     time.Time `json:"time"`
}

// A Report is what [Verify] found.
type Report struct {
	Ledger   ID     `json:"ledger"`
	Segments int    `json:"segments"` // that are whole; the last may be growing
	Records  uint64 `json:"records"`  // that are whole and in order, up to the Problem
	First    Mark   `json:"first"`
	Last     Mark   `json:"last"`
	// Root is the hash of the last link. It stands for everything before it:
	// noted in another place, it proves later that nothing was cut off.
	Root Hash `json:"root"`
	// Torn counts the bytes of a last frame that is not whole: one that is
	// being written now, or was when the process or the machine stopped.
	Torn    int64    `json:"torn_bytes,omitempty"`
	Problem *Problem `json:"problem,omitempty"`
}

// Verify reads the whole ledger in dir and recomputes its chain. The error is
// about reading; what is wrong with the ledger itself is in the Report. Verify
// may run beside a process that writes: it then sees a beginning of the chain.
//
// A chain cannot show that its end was cut off, or that somebody who can write
// every file computed it anew. For that, compare Root with one noted elsewhere.
func Verify(dir string) (Report, error) {
	var rep Report
	w, err := walk(dir, func(e *frame, _ string) error {
		m := Mark{Sequence: e.seq}
		if rep.Records == 0 {
			rep.First = mark(m, e.body)
		}
		rep.Records++
		rep.Last = m
		return nil
	})
	if err != nil {
		if p, ok := errors.AsType[*Problem](err); ok {
			rep.Problem, err = p, nil
		}
	}
	rep.Ledger, rep.Segments, rep.Root, rep.Torn = w.at.id, w.segments, w.at.prev, w.torn
	if rep.Records == 1 {
		rep.Last = rep.First
	} else if rep.Records > 1 {
		rep.Last = mark(rep.Last, w.last)
	}
	return rep, err
}

func mark(m Mark, body []byte) Mark {
	var rec struct {
		ID   string    `json:"id"`
		Time time.Time `json:"time"`
	}
	if json.Unmarshal(body, &rec) == nil {
		m.ID, m.Time = rec.ID, rec.Time
	}
	return m
}

// Scan calls f with every record in dir, in order, and verifies the chain on
// the way: it stops with a [*Problem] at the first record that is not as it
// was written. It stops when f fails, and returns that error. A last record
// that is not whole is left out.
func Scan(dir string, f func(Entry) error) error {
	_, err := walk(dir, func(fr *frame, segment string) error {
		e, err := entry(*fr, segment)
		if err != nil {
			return err
		}
		return f(e)
	})
	return err
}

// entry decodes fr. The entry owns its bytes.
func entry(fr frame, segment string) (Entry, error) {
	e := Entry{Sequence: fr.seq, Hash: fr.sum, Segment: segment, Offset: fr.offset, Raw: slices.Clone(fr.body)}
	if err := json.Unmarshal(e.Raw, &e.Record); err != nil {
		return e, &Problem{Segment: segment, Sequence: fr.seq, Offset: fr.offset,
			What: "the record is chained correctly but is no record of a request: another program wrote it"}
	}
	return e, nil
}

// A walked is how far walk came.
type walked struct {
	at       link
	segments int
	torn     int64
	last     []byte // body of the last frame
}

// walk reads all segments of dir. The frame that f gets is valid until it returns.
func walk(dir string, f func(*frame, string) error) (walked, error) {
	w := walked{at: link{fixed: true, next: 1}}
	names, err := segments(dir)
	if err != nil {
		return w, err
	}
	for i, name := range names {
		if err := w.segment(dir, name, i == len(names)-1, f); err != nil {
			return w, err
		}
	}
	return w, nil
}

func (w *walked) segment(dir, name string, last bool, f func(*frame, string) error) error {
	file, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return fmt.Errorf("reading the ledger: %w", err)
	}
	defer file.Close()
	r, _, err := newReader(name, fileSource{file}, w.at)
	if err != nil {
		return w.ended(err, name, fileSource{file}, 0, last)
	}
	w.at = r.at
	for {
		fr, err := r.next()
		if err == io.EOF {
			w.segments++
			return nil
		}
		if err != nil {
			return w.ended(err, name, r.src, r.off, last)
		}
		if err := f(&fr, name); err != nil {
			return err
		}
		w.at, w.last = r.at, append(w.last[:0], fr.body...)
	}
}

// ended says what err, met at off, means: only the last segment may be torn.
func (w *walked) ended(err error, name string, src source, off int64, last bool) error {
	if !errors.Is(err, errTorn) {
		if _, ok := errors.AsType[*Problem](err); ok {
			return err
		}
		return fmt.Errorf("reading the ledger's segment %s: %w", name, err)
	}
	if !last {
		p := &Problem{Segment: name, Sequence: w.at.next, Offset: off, What: "the segment was cut short, and a later one exists"}
		if off == 0 {
			p.Sequence = 0
		}
		return p
	}
	size, err := src.Size()
	if err != nil {
		return fmt.Errorf("reading the ledger's segment %s: %w", name, err)
	}
	w.torn = size - off
	if off > 0 {
		w.segments++
	}
	return nil
}

// segments returns the names of dir's segments, in order.
func segments(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("reading the ledger: %w", err)
	}
	var names []string
	for _, e := range entries {
		if _, ok := parseName(e.Name()); ok && !e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil // ReadDir sorts by name, and the digits are padded
}
