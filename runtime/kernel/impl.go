package kernel

// An implementation is a set of assembly routines a test can switch off. Where
// several are on, the first registered that has a routine is used.
type implementation struct {
	name string
	use  *bool
}

var implementations []implementation

func register(name string, use *bool) {
	implementations = append(implementations, implementation{name, use})
}
