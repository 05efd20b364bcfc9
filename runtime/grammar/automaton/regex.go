package automaton

import (
	"encoding/binary"
	"errors"
	"fmt"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode"
)

// Regex returns the language of texts that pattern, in RE2's syntax, matches as
// a whole. Look-around, back references and word boundaries are refused. It takes
// what it costs from work, and fails with [ErrTooLarge] when that is used up; a nil
// work is [MaxWork] of its own.
func Regex(pattern string, work *int) (*Language, error) {
	return regex(pattern, false, work)
}

// Search returns the language of texts in which pattern matches somewhere, as
// JSON Schema's keyword pattern means it; see [Regex] for work.
func Search(pattern string, work *int) (*Language, error) {
	return regex(pattern, true, work)
}

func regex(pattern string, search bool, work *int) (*Language, error) {
	if work == nil {
		own := MaxWork
		work = &own
	}
	tree, err := syntax.Parse(fromECMA(pattern), syntax.Perl)
	if err != nil {
		if e, ok := errors.AsType[*syntax.Error](err); ok {
			return nil, fmt.Errorf("the pattern is not supported: %s", e.Code)
		}
		return nil, fmt.Errorf("the pattern is not supported: %w", err)
	}
	if err := supported(tree); err != nil {
		return nil, err
	}
	size := Instructions(tree)
	if *work -= compiling * size; size > maxInstructions || *work < 0 {
		return nil, ErrTooLarge
	}
	prog, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return nil, fmt.Errorf("the pattern is not supported: %w", err)
	}
	p := &subsets{prog: prog, search: search, mark: make([]int, len(prog.Inst)), most: *work}
	defer func() { *work -= p.work }()
	return p.language()
}

const (
	maxInstructions = 1 << 16 // of one program: more would hardly fit in maxStates
	compiling       = 16      // what making one takes, in instructions looked at
)

// Instructions returns about how many instructions the program of re has, which
// repetitions make many more than its text has bytes.
func Instructions(re *syntax.Regexp) int {
	n := max(1, len(re.Rune))
	if re.Op == syntax.OpCharClass {
		n = 1
	}
	for _, sub := range re.Sub {
		n += 1 + Instructions(sub)
	}
	if re.Op == syntax.OpRepeat {
		n *= max(1, re.Min+1, re.Max)
	}
	return n
}

// fromECMA rewrites the escapes that JavaScript has and RE2 has not.
func fromECMA(p string) string {
	if !strings.Contains(p, `\`) {
		return p
	}
	var out strings.Builder
	for i := 0; i < len(p); i++ {
		if p[i] != '\\' || i+1 == len(p) {
			out.WriteByte(p[i])
			continue
		}
		i++
		switch c := p[i]; {
		case c == 'u' && i+4 < len(p) && isHex(p[i+1:i+5]):
			out.WriteString(`\x{` + p[i+1:i+5] + `}`)
			i += 4
		case c == 'c' && i+1 < len(p) && (p[i+1]|0x20) >= 'a' && (p[i+1]|0x20) <= 'z':
			fmt.Fprintf(&out, `\x%02x`, p[i+1]&0x1f)
			i++
		case c == '0' && (i+1 == len(p) || p[i+1] < '0' || p[i+1] > '9'):
			out.WriteString(`\x00`)
		default:
			out.WriteByte('\\')
			out.WriteByte(c)
		}
	}
	return out.String()
}

func isHex(s string) bool {
	return strings.Trim(s, "0123456789abcdefABCDEF") == ""
}

func supported(re *syntax.Regexp) error {
	switch re.Op {
	case syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return errors.New("the pattern is not supported: word boundary")
	case syntax.OpBeginLine, syntax.OpEndLine:
		return errors.New("the pattern is not supported: line boundary")
	}
	for _, sub := range re.Sub {
		if err := supported(sub); err != nil {
			return err
		}
	}
	return nil
}

// subsets makes the automaton of a program by the subset construction.
type subsets struct {
	prog   *syntax.Prog
	search bool
	mark   []int // per instruction, the last closure that visited it
	gen    int

	work, most int // instructions looked at
}

// MaxWork bounds the construction, in instructions looked at.
const MaxWork = 20_000_000

func (p *subsets) language() (*Language, error) {
	l := &Language{}
	reps := p.classes(l)
	if reps == nil && p.work > p.most {
		return nil, ErrTooLarge
	}
	start := p.closure(nil, []uint32{uint32(p.prog.Start)}, true)
	ids := map[string]int32{}
	var sets [][]uint32
	all := int32(-1) // the state from which every text is accepted
	add := func(set []uint32, first bool) (int32, error) {
		if p.search && p.matched(set) {
			if all < 0 {
				all = l.state()
				l.accept[all] = true
				for c := range l.n {
					l.next[int(all)*l.n+c] = all
				}
				sets = append(sets, nil)
			}
			return all, nil
		}
		k := key(set, first)
		id, ok := ids[k]
		if !ok {
			if len(sets) >= maxStates {
				return -1, ErrTooLarge
			}
			id = l.state()
			ids[k] = id
			sets = append(sets, set)
			l.accept[id] = p.accepts(set, first)
		}
		return id, nil
	}
	if _, err := add(start, true); err != nil {
		return nil, err
	}
	for i := 0; i < len(sets); i++ {
		if int32(i) == all {
			continue
		}
		for c, r := range reps {
			var after []uint32
			p.work += len(sets[i]) + 1
			for _, pc := range sets[i] {
				in := &p.prog.Inst[pc]
				switch in.Op {
				case syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
					if in.MatchRune(r) {
						after = append(after, in.Out)
					}
				}
			}
			if p.search {
				after = append(after, uint32(p.prog.Start))
			}
			if p.work > p.most {
				return nil, ErrTooLarge
			}
			if len(after) == 0 {
				continue
			}
			set := p.closure(nil, after, false)
			if len(set) == 0 {
				continue
			}
			id, err := add(set, false)
			if err != nil {
				return nil, err
			}
			l.next[i*l.n+c] = id
		}
	}
	return l.reduce(), nil
}

func key(set []uint32, first bool) string {
	k := make([]byte, 0, 4*len(set)+1)
	if first {
		k = append(k, 1)
	}
	for _, pc := range set {
		k = binary.LittleEndian.AppendUint32(k, pc)
	}
	return string(k)
}

// closure returns, sorted, what pcs reach without reading: the instructions that
// read a rune, match, or wait for the end of the text.
func (p *subsets) closure(dst, pcs []uint32, atStart bool) []uint32 {
	p.gen++
	todo := pcs
	for len(todo) > 0 {
		pc := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if p.mark[pc] == p.gen {
			continue
		}
		p.mark[pc] = p.gen
		p.work++
		in := &p.prog.Inst[pc]
		switch in.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			todo = append(todo, in.Out, in.Arg)
		case syntax.InstCapture, syntax.InstNop:
			todo = append(todo, in.Out)
		case syntax.InstEmptyWidth:
			switch syntax.EmptyOp(in.Arg) {
			case syntax.EmptyBeginText:
				if atStart {
					todo = append(todo, in.Out)
				}
			default:
				dst = append(dst, pc)
			}
		case syntax.InstFail:
		default:
			dst = append(dst, pc)
		}
	}
	slices.Sort(dst)
	return dst
}

// matched reports whether set has matched already.
func (p *subsets) matched(set []uint32) bool {
	for _, pc := range set {
		if p.prog.Inst[pc].Op == syntax.InstMatch {
			return true
		}
	}
	return false
}

// accepts reports whether set matches if the text ends here.
func (p *subsets) accepts(set []uint32, first bool) bool {
	seen := map[uint32]bool{}
	todo := slices.Clone(set)
	for len(todo) > 0 {
		pc := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[pc] {
			continue
		}
		seen[pc] = true
		in := &p.prog.Inst[pc]
		switch in.Op {
		case syntax.InstMatch:
			return true
		case syntax.InstAlt, syntax.InstAltMatch:
			todo = append(todo, in.Out, in.Arg)
		case syntax.InstCapture, syntax.InstNop:
			todo = append(todo, in.Out)
		case syntax.InstEmptyWidth:
			if syntax.EmptyOp(in.Arg) == syntax.EmptyEndText || syntax.EmptyOp(in.Arg) == syntax.EmptyBeginText && first {
				todo = append(todo, in.Out)
			}
		}
	}
	return false
}

// classes cuts the alphabet into the fewest classes that the program cannot
// tell apart, and returns a rune of each.
func (p *subsets) classes(l *Language) []rune {
	var starts []rune
	var reads []*syntax.Inst
	seen := map[*rune]bool{} // rounds of a repetition share their runes
	for i := range p.prog.Inst {
		in := &p.prog.Inst[i]
		p.work++
		switch in.Op {
		case syntax.InstRuneAny, syntax.InstRuneAnyNotNL, syntax.InstRune, syntax.InstRune1:
		default:
			continue
		}
		if len(in.Rune) > 0 {
			if seen[&in.Rune[0]] {
				continue
			}
			seen[&in.Rune[0]] = true
		}
		if p.work += len(reads) * (1 + len(in.Rune)/8); p.work > p.most {
			return nil
		}
		if slices.ContainsFunc(reads, func(o *syntax.Inst) bool { return o.Op == in.Op && o.Arg == in.Arg && slices.Equal(o.Rune, in.Rune) }) {
			continue
		}
		reads = append(reads, in)
		switch in.Op {
		case syntax.InstRuneAnyNotNL:
			starts = append(starts, '\n', '\n'+1)
		case syntax.InstRune, syntax.InstRune1:
			if len(in.Rune) == 1 {
				r := in.Rune[0]
				starts = append(starts, r, r+1)
				if syntax.Flags(in.Arg)&syntax.FoldCase != 0 {
					for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
						starts = append(starts, f, f+1)
					}
				}
				break
			}
			for j := 0; j+1 < len(in.Rune); j += 2 {
				starts = append(starts, in.Rune[j], in.Rune[j+1]+1)
			}
		}
	}
	var segments int
	l.bounds, l.class, segments = alphabet(starts)
	if p.work += segments * len(reads); p.work > p.most {
		return nil
	}
	ids := map[string]int32{}
	var reps []rune
	sig := make([]byte, (len(reads)+7)/8)
	for i, r := range l.bounds {
		if l.class[i] < 0 {
			continue
		}
		clear(sig)
		for j, in := range reads {
			if in.MatchRune(r) {
				sig[j/8] |= 1 << (j % 8)
			}
		}
		id, ok := ids[string(sig)]
		if !ok {
			id = int32(len(reps))
			ids[string(sig)] = id
			reps = append(reps, r)
		}
		l.class[i] = id
	}
	l.n = len(reps)
	return reps
}
