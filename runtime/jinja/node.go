package jinja

// The nodes of a template. Statements carry the line they are on.
type (
	text   struct{ s string }
	output struct {
		line int
		e    expr
	}
	ifStmt struct {
		line  int
		conds []expr // one more body than conds: the else, possibly empty
		then  [][]node
	}
	forStmt struct {
		line    int
		targets []string
		in      expr
		cond    expr // may be nil
		body    []node
		orElse  []node
	}
	setStmt struct {
		line    int
		targets []string
		attr    string // of targets[0], a namespace; "" is a plain assignment
		value   expr   // nil: the rendered body
		body    []node
	}
	macroStmt struct {
		line     int
		name     string
		params   []string
		defaults []expr // of the last len(defaults) params
		body     []node
	}
	flow struct{ stop bool } // break or continue

	node any

	constant struct{ v any }
	name     struct{ s string }
	list     struct {
		items []expr
		tuple bool
	}
	dict  struct{ keys, values []expr }
	unary struct {
		op string
		x  expr
	}
	binary struct {
		op   string
		x, y expr
	}
	compare struct {
		x   expr
		ops []string
		ys  []expr
	}
	cond struct{ test, yes, no expr } // no may be nil
	attr struct {
		x    expr
		name string
	}
	item  struct{ x, at expr }
	slice struct{ x, from, to, step expr }
	call  struct {
		f    expr
		args args
	}
	filter struct {
		x    expr
		name string
		args args
	}
	test struct {
		x    expr
		name string
		args args
	}

	expr any

	args struct {
		pos   []expr
		names []string
		named []expr
	}
)
