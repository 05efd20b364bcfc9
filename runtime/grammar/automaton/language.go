package automaton

import (
	"cmp"
	"encoding/binary"
	"slices"
	"unicode/utf8"
)

// A Language is a regular set of texts, held as a deterministic automaton over
// code points. Surrogates are in no text.
type Language struct {
	bounds []rune  // where segments of the alphabet begin, from 0
	class  []int32 // of each segment; -1 for surrogates
	n      int     // classes
	next   []int32 // [state*n + class], -1 is none
	accept []bool
}

// Size returns about how many bytes l takes.
func (l *Language) Size() int64 {
	return int64(4*len(l.bounds) + 4*len(l.class) + 4*len(l.next) + len(l.accept))
}

const (
	surrogateMin = 0xD800
	surrogateMax = 0xDFFF
)

// alphabet makes the segments between the given starts. Class numbers them one
// each, surrogates aside.
func alphabet(starts []rune) (bounds []rune, class []int32, n int) {
	bounds = append(starts, 0, surrogateMin, surrogateMax+1)
	slices.Sort(bounds)
	bounds = slices.Compact(bounds)
	for len(bounds) > 0 && bounds[len(bounds)-1] > utf8.MaxRune {
		bounds = bounds[:len(bounds)-1]
	}
	for _, r := range bounds {
		if r >= surrogateMin && r <= surrogateMax {
			class = append(class, -1)
			continue
		}
		class = append(class, int32(n))
		n++
	}
	return bounds, class, n
}

// Any is the language of all texts.
func Any() *Language {
	l := &Language{accept: []bool{true}, next: []int32{0}, n: 1}
	l.bounds = []rune{0, surrogateMin, surrogateMax + 1}
	l.class = []int32{0, -1, 0}
	return l
}

// Exactly is the language of the given texts.
func Exactly(words ...string) (*Language, error) {
	var starts []rune
	for _, w := range words {
		for _, r := range w {
			starts = append(starts, r, r+1)
		}
	}
	l := &Language{}
	l.bounds, l.class, l.n = alphabet(starts)
	l.state()
	for _, w := range words {
		q := int32(0)
		for _, r := range w {
			c := l.class[l.segment(r)]
			if l.next[int(q)*l.n+int(c)] < 0 {
				if len(l.accept) >= maxStates {
					return nil, ErrTooLarge
				}
				l.next[int(q)*l.n+int(c)] = l.state()
			}
			q = l.next[int(q)*l.n+int(c)]
		}
		l.accept[q] = true
	}
	return l, nil
}

// Lengths is the language of texts of least to most code points; most is
// negative where there is no bound.
func Lengths(least, most int) (*Language, error) {
	if max(least, most) >= maxStates {
		return nil, ErrTooLarge
	}
	if most >= 0 && most < least {
		return Exactly()
	}
	l := Any()
	l.next, l.accept = nil, nil
	for i := range max(least, most) + 1 {
		q := l.state()
		l.accept[q] = i >= least
		if i < max(least, most) {
			l.next[q] = q + 1
		} else if most < 0 {
			l.next[q] = q
		}
	}
	return l, nil
}

func (l *Language) state() int32 {
	for range l.n {
		l.next = append(l.next, -1)
	}
	l.accept = append(l.accept, false)
	return int32(len(l.accept) - 1)
}

// segment returns the index of the segment that r is in.
func (l *Language) segment(r rune) int {
	i, found := slices.BinarySearch(l.bounds, r)
	if !found {
		i--
	}
	return i
}

// Match reports whether s is in the language.
func (l *Language) Match(s string) bool {
	q := int32(0)
	for _, r := range s {
		c := l.class[l.segment(r)]
		if c < 0 {
			return false
		}
		if q = l.next[int(q)*l.n+int(c)]; q < 0 {
			return false
		}
	}
	return l.accept[q]
}

// Empty reports whether there is no text in l.
func (l *Language) Empty() bool {
	for _, a := range l.accept {
		if a {
			return false // states are reachable, once reduced
		}
	}
	return true
}

// States returns the size of l.
func (l *Language) States() int { return len(l.accept) }

// Complement returns the texts that are not in l.
func (l *Language) Complement() *Language {
	c := &Language{bounds: l.bounds, class: l.class, n: l.n, accept: make([]bool, len(l.accept))}
	sink := int32(len(l.accept))
	for _, t := range l.next {
		if t < 0 {
			t = sink
		}
		c.next = append(c.next, t)
	}
	for i, a := range l.accept {
		c.accept[i] = !a
	}
	for range l.n {
		c.next = append(c.next, sink)
	}
	c.accept = append(c.accept, true)
	return c.reduce()
}

// Intersect returns the texts that are in both.
func (l *Language) Intersect(o *Language) (*Language, error) {
	out := &Language{bounds: slices.Compact(sorted(l.bounds, o.bounds))}
	pairs := map[[2]int32]int32{}
	var classes [][2]int32
	for _, r := range out.bounds {
		p := [2]int32{l.class[l.segment(r)], o.class[o.segment(r)]}
		if p[0] < 0 || p[1] < 0 {
			out.class = append(out.class, -1)
			continue
		}
		c, ok := pairs[p]
		if !ok {
			c = int32(len(classes))
			pairs[p] = c
			classes = append(classes, p)
		}
		out.class = append(out.class, c)
	}
	out.n = len(classes)
	ids := map[[2]int32]int32{{}: out.state()}
	states := [][2]int32{{}}
	for i := 0; i < len(states); i++ {
		s := states[i]
		out.accept[i] = l.accept[s[0]] && o.accept[s[1]]
		for c, p := range classes {
			t := [2]int32{l.next[int(s[0])*l.n+int(p[0])], o.next[int(s[1])*o.n+int(p[1])]}
			if t[0] < 0 || t[1] < 0 {
				continue
			}
			id, ok := ids[t]
			if !ok {
				if len(states) >= 4*maxStates {
					return nil, ErrTooLarge
				}
				id = out.state()
				ids[t] = id
				states = append(states, t)
			}
			out.next[i*out.n+c] = id
		}
	}
	out = out.reduce()
	if len(out.accept) > maxStates {
		return nil, ErrTooLarge
	}
	return out, nil
}

func sorted[T cmp.Ordered](a, b []T) []T {
	return slices.Sorted(slices.Values(append(slices.Clone(a), b...)))
}

// maxReduce bounds the work of reduce: it need not find the least automaton.
const maxReduce = 4_000_000

// reduce drops what cannot accept and merges states that are alike (Moore's
// algorithm), keeping only what the start reaches.
func (l *Language) reduce() *Language {
	live := l.live()
	block := make([]int32, len(l.accept)) // 0 dead, else by behaviour so far
	blocks := 1
	for q, a := range l.accept {
		switch {
		case !live[q]:
			block[q] = 0
		case a:
			block[q] = 2
		default:
			block[q] = 1
		}
	}
	for work := 0; ; work += len(block) * (l.n + 4) {
		if work > maxReduce { // a long chain: each state is its own block
			for q := range block {
				if block[q] != 0 {
					block[q] = int32(q) + 1
				}
			}
			break
		}
		ids := map[string]int32{}
		next := make([]int32, len(block))
		key := make([]byte, 0, 4*(l.n+1))
		for q := range block {
			if block[q] == 0 {
				continue
			}
			key = binary.LittleEndian.AppendUint32(key[:0], uint32(block[q]))
			for _, t := range l.next[q*l.n : (q+1)*l.n] {
				b := int32(0)
				if t >= 0 {
					b = block[t]
				}
				key = binary.LittleEndian.AppendUint32(key, uint32(b))
			}
			id, ok := ids[string(key)]
			if !ok {
				id = int32(len(ids) + 1)
				ids[string(key)] = id
			}
			next[q] = id
		}
		block = next
		if len(ids)+1 == blocks {
			break
		}
		blocks = len(ids) + 1
	}
	out := &Language{bounds: l.bounds, class: l.class, n: l.n}
	out.state()
	if block[0] == 0 {
		return out
	}
	ids := map[int32]int32{block[0]: 0}
	states := []int32{0} // one of each block
	for i := 0; i < len(states); i++ {
		q := int(states[i])
		out.accept[i] = l.accept[q]
		for c := range l.n {
			t := l.next[q*l.n+c]
			if t < 0 || block[t] == 0 {
				continue
			}
			id, ok := ids[block[t]]
			if !ok {
				id = out.state()
				ids[block[t]] = id
				states = append(states, t)
			}
			out.next[i*l.n+c] = id
		}
	}
	return out
}

// live marks the states from which acceptance can be reached.
func (l *Language) live() []bool {
	from := make([][]int32, len(l.accept))
	for i, t := range l.next {
		if t >= 0 {
			q := int32(i / l.n)
			if f := from[t]; len(f) == 0 || f[len(f)-1] != q {
				from[t] = append(f, q)
			}
		}
	}
	live := make([]bool, len(l.accept))
	var todo []int32
	for q, a := range l.accept {
		if a {
			live[q] = true
			todo = append(todo, int32(q))
		}
	}
	for len(todo) > 0 {
		q := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, p := range from[q] {
			if !live[p] {
				live[p] = true
				todo = append(todo, p)
			}
		}
	}
	return live
}
