package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/sluice-ai/sluice/runtime/engine"
)

// Rows are the names of what can be measured, in the order of the report. Roofline,
// load and memory need no name: they are part of every run.
var Rows = []string{"start", "prefill", "decode", "batch4", "batch16", "ttft", "judge"}

// A Config says what to measure. A zero field takes the default it documents.
type Config struct {
	Threads  int      // cores to use. Default: all
	KV       string   // how keys and values are kept. Default f16
	Unpacked bool     // leave weights as the file has them
	Repeat   int      // rounds. Default 3
	Rows     []string // of Rows. Default: all
	// Cold drops the file from the system's cache before it is opened for the first
	// time in a round, and reports that time too; where the platform can.
	Cold bool
	// Contend is how many other processes spin on the same cores while decode is
	// measured once more. Default: none.
	Contend int
	// Spin starts the process that spins on a core until its input ends; it says one
	// line when it has begun. Needed for Contend.
	Spin func(ctx context.Context, cpu int) (stop func() error, err error)
	// Least is how long a row is measured at least in a round: what is shorter is done
	// again and again. Default 200 ms.
	Least time.Duration
}

func (c Config) withDefaults() Config {
	c.Threads = cmp.Or(c.Threads, runtime.GOMAXPROCS(0))
	c.KV = cmp.Or(c.KV, "f16")
	c.Repeat = cmp.Or(c.Repeat, 3)
	c.Least = cmp.Or(c.Least, 200*time.Millisecond)
	if len(c.Rows) == 0 {
		c.Rows = Rows
	}
	return c
}

// Validate reports every mistake in c.
func (c Config) Validate() error {
	var errs []error
	if c.Threads < 0 || c.Repeat < 0 || c.Contend < 0 || c.Least < 0 {
		errs = append(errs, errors.New("threads, repeats and contending processes cannot be negative"))
	}
	for _, r := range c.Rows {
		if !slices.Contains(Rows, r) {
			errs = append(errs, fmt.Errorf("there is no row %q; rows are %s", r, strings.Join(Rows, ", ")))
		}
	}
	if c.Contend > 0 && c.Spin == nil {
		errs = append(errs, errors.New("nothing says how to start a process that contends"))
	}
	return errors.Join(errs...)
}

// A Model is one to be measured.
type Model struct {
	Name string
	File string // its path, for the system's cache of files; "" if it is no single file
	Open func(engine.Options) (*engine.Model, error)
}

// Samples are the results of the rounds, by row.
type Samples map[string][]float64

// A Report is what was measured of one model. Speeds are in tokens, bytes and
// multiplications per second, and all are medians of Samples, which has the
// same names.
type Report struct {
	Model   string
	Info    engine.Info
	Config  Config
	Samples Samples
	Unit    string // the instructions that the roofline of multiplications was measured with
	// Cached is the share of the file that the system's cache held before it was first
	// opened; -1 if the platform does not tell.
	Cached float64
	// Spinners is how many processes contended.
	Spinners int
}

// The names of samples besides Rows.
const (
	Load      = "load"      // seconds
	ColdLoad  = "cold_load" // seconds, the file not in the system's cache
	ColdStart = "cold_start"
	Contended = "contended" // decode, while others spin
	Share     = "contended_share"
	Resident  = "rss"       // bytes, of the whole process after decode of one sequence
	Peak      = "rss_peak"  // bytes, while the model was opened
	Before    = "rss_empty" // bytes, before it was opened
	Read      = "read"      // bytes per second that memory can be read with
	Dots      = "dots"      // multiplications of bytes per second
	ReadShare = "read_share"
	DotShare  = "dot_share"
	ReadSpeed = "decode_read" // bytes per second that decode reads
	DotSpeed  = "prefill_dots"
)

// Median returns the median of the samples of name; 0 without any.
func (s Samples) Median(name string) float64 {
	v := slices.Clone(s[name])
	if len(v) == 0 {
		return 0
	}
	slices.Sort(v)
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

// Range returns the least and the greatest sample of name.
func (s Samples) Range(name string) (least, most float64) {
	if v := s[name]; len(v) > 0 {
		return slices.Min(v), slices.Max(v)
	}
	return 0, 0
}

func (s Samples) add(name string, v float64) { s[name] = append(s[name], v) }

// Run measures the models. Talk, if not nil, is told what is being done.
func Run(ctx context.Context, models []Model, c Config, talk io.Writer) ([]*Report, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	if talk == nil {
		talk = io.Discard
	}
	reports := make([]*Report, len(models))
	for i, m := range models {
		reports[i] = &Report{Model: m.Name, Config: c, Samples: Samples{}, Unit: dotUnit(), Cached: -1, Spinners: c.Contend}
		if m.File != "" {
			if share, ok := cachedShare(m.File); ok {
				reports[i].Cached = share
			}
		}
	}
	for round := range c.Repeat {
		for i, m := range models {
			fmt.Fprintf(talk, "%s, round %d of %d\n", m.Name, round+1, c.Repeat)
			if err := measure(ctx, m, c, reports[i]); err != nil {
				return reports, fmt.Errorf("measuring %s: %w", m.Name, err)
			}
		}
	}
	return reports, nil
}
