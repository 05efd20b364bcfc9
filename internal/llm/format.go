package llm

// Repair says how far an answer that breaks the format of its request may be repaired.
type Repair string

// The degrees of repair, each with those before it. "" is the default of whoever reads it.
const (
	RepairNone  Repair = "none"
	RepairRules Repair = "rules" // rules that change no value's meaning
	RepairModel Repair = "model" // a local model, held to the schema, that writes the answer again
)

// Least returns the smaller degree of r and s; "" is no limit.
func (r Repair) Least(s Repair) Repair {
	rank := map[Repair]int{RepairNone: 1, RepairRules: 2, RepairModel: 3}
	if r == "" || rank[s] != 0 && rank[s] < rank[r] {
		return s
	}
	return r
}

// A Form is a set of texts that an answer must be one of, given in one of three ways.
type Form struct {
	Regex   string
	Choice  []string
	Grammar string // in llama.cpp's notation, GBNF
}

// A Choice is one choice of an answer, whole.
type Choice struct {
	Text   string
	Calls  []ToolDelta // each whole
	Finish Finish
	// Sent says that the client has Text already: it cannot be changed any more.
	Sent bool
}

// Wanted says what of an answer its request holds to a format. The zero Wanted is nothing.
type Wanted struct {
	Text  bool // of the text: JSON, or one of a set of texts
	Calls bool // tools have schemas
	Must  bool // tool_choice asks for calls, and nothing else
}

// A FormatCheck says whether an answer was in the format that its request asks for.
type FormatCheck struct {
	Verdict string `json:"verdict"`          // FormatValid, FormatRepaired, FormatInvalid
	By      string `json:"by,omitempty"`     // who repaired it: "rules" or a local target's id
	Broken  string `json:"broken,omitempty"` // the first keyword that it broke, "json" where it was none, "regex", "choice", "grammar"
	Fixes   []Fix  `json:"fixes,omitempty"`  // the first MaxFixes
	Fixed   int    `json:"fixed,omitempty"`  // how many there were
}

// The verdicts of a FormatCheck.
const (
	FormatValid    = "valid"
	FormatRepaired = "repaired"
	FormatInvalid  = "invalid"
)

// MaxFixes bounds the fixes that a FormatCheck lists.
const MaxFixes = 32

// A Fix is one change of an answer, in the words of JSON Patch but without values.
type Fix struct {
	Op   string `json:"op"`
	Path string `json:"path"` // JSON pointer; names that the request's schema does not have are "*"
	Kind string `json:"kind"` // why; docs/structured-output.md lists them
}

// Add takes on what was found about a further part of the same answer: the worse verdict counts.
func (f *FormatCheck) Add(more FormatCheck) {
	rank := map[string]int{FormatValid: 1, FormatRepaired: 2, FormatInvalid: 3}
	if rank[more.Verdict] > rank[f.Verdict] {
		f.Verdict = more.Verdict
	}
	if f.Broken == "" {
		f.Broken = more.Broken
	}
	if f.By == "" || f.By == string(RepairRules) && more.By != "" {
		f.By = more.By
	}
	f.Fixed += more.Fixed
	f.Fixes = append(f.Fixes, more.Fixes[:min(len(more.Fixes), MaxFixes-len(f.Fixes))]...)
}
