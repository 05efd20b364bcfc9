package state

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"sync"
	"testing"

	"github.com/sluice-ai/sluice/runtime/quant"
)

var shape = Shape{KVHeads: []int{0, 2}, HeadDim: 3, Dim: 4, Taps: 3}

// step adds n tokens whose keys, values and convolution inputs tell their position and mark.
func step(t *testing.T, s *Seq, n int, mark float32, commit bool) {
	t.Helper()
	if err := s.Begin(n); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		pos := s.Pos() + i
		k := slices.Repeat([]float32{float32(pos) + mark}, 6)
		k[3]++ // the second head
		s.Put(1, pos, k, k)
		c := s.Conv(0)
		copy(c, c[4:])
		for j := range 4 {
			c[4+j] = float32(pos) + mark
		}
		s.Pass(0, pos, 0, 1)
		s.Pass(0, pos, 1, 4)
	}
	if commit {
		s.Commit(n)
	}
}

// float returns the i-th float32 of b.
func float(b []byte, i int) float32 {
	return math.Float32frombits(binary.NativeEndian.Uint32(b[4*i:]))
}

func check(t *testing.T, s *Seq, what string, marks func(pos int) float32) {
	t.Helper()
	for pos := range s.Pos() {
		p, at := s.Pages(1)[pos/PageLen], pos%PageLen
		want := float32(pos) + marks(pos)
		if got := float(p.K, at/16*16*3+at%16); got != want {
			t.Fatalf("%s: head 0 key of %d is %g, want %g", what, pos, got, want)
		}
		if got := float(p.V, (PageLen+at)*3); got != want+1 {
			t.Fatalf("%s: head 1 value of %d is %g, want %g", what, pos, got, want+1)
		}
	}
	for i, pos := range []int{s.Pos() - 2, s.Pos() - 1} {
		want := float32(0)
		if pos >= 0 {
			want = float32(pos) + marks(pos)
		}
		if got := s.conv[0][4*i]; got != want {
			t.Fatalf("%s: convolution input %d is %g, want %g", what, pos, got, want)
		}
	}
}

func TestStepsAndClones(t *testing.T) {
	plain := func(int) float32 { return 0 }
	for _, fork := range []int{0, 1, 5, PageLen - 1, PageLen, PageLen + 1, 3*PageLen + 7} {
		s := New(shape, 1000)
		if fork > 0 {
			step(t, s, fork, 0, true)
		}
		check(t, s, "prefix", plain)
		c := s.Clone()
		step(t, s, 200, 1000, true)
		step(t, c, 300, 2000, true)
		after := func(mark float32) func(int) float32 {
			return func(pos int) float32 {
				if pos < fork {
					return 0
				}
				return mark
			}
		}
		check(t, s, "original", after(1000))
		check(t, c, "clone", after(2000))
	}
}

func TestAbandonedStep(t *testing.T) {
	s := New(shape, 1000)
	step(t, s, 130, 0, true)
	step(t, s, 200, 5000, false)
	check(t, s, "abandoned", func(int) float32 { return 0 })
	step(t, s, 3, 7, true)
	check(t, s, "continued", func(pos int) float32 {
		if pos >= 130 {
			return 7
		}
		return 0
	})
}

// A sequence goes back to a mark of its last step, and to nowhere else; what a
// snapshot holds stays, whatever becomes of the sequence.
func TestMarks(t *testing.T) {
	plain := func(int) float32 { return 0 }
	from := func(fork int, mark float32) func(int) float32 {
		return func(pos int) float32 {
			if pos < fork {
				return 0
			}
			return mark
		}
	}
	for _, start := range []int{0, 1, 126, PageLen, PageLen + 1} {
		for back := 1; back <= 4; back++ {
			b := NewBudget(1 << 20)
			s := NewWithin(b, shape, 1000)
			if start > 0 {
				step(t, s, start, 0, true)
			}
			s.Mark(start+1, start+back, start+5)
			step(t, s, 5, 0, true)
			snap, err := s.Snapshot(start + back)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Rewind(start + back); err != nil {
				t.Fatal(err)
			}
			check(t, s, "rewound", plain)
			step(t, s, 200, 3000, true)
			check(t, s, "rewound and continued", from(start+back, 3000))
			if err := s.Rewind(start + back); err == nil {
				t.Fatal("a mark outlived the step after it")
			}
			s.Release()
			c := snap.Clone()
			check(t, c, "clone of a snapshot", plain)
			step(t, c, 200, 4000, true)
			check(t, c, "clone of a snapshot, continued", from(start+back, 4000))
			check(t, snap, "snapshot", plain)
			c.Release()
			snap.Release()
			if b.Used() != 0 {
				t.Errorf("%d bytes are still used", b.Used())
			}
		}
	}
	s := New(shape, 100)
	s.Mark(3)
	step(t, s, 5, 0, false)
	if s.Rewind(3) == nil {
		t.Error("a mark of an abandoned step counts")
	}
	if _, err := s.Snapshot(2); err == nil {
		t.Error("a snapshot of where there is no mark")
	}
}

func TestLimit(t *testing.T) {
	s := New(shape, 10)
	step(t, s, 8, 0, true)
	err := s.Begin(3)
	if ce, ok := errors.AsType[*ContextError](err); !ok || ce.Needed != 11 || ce.Limit != 10 || !errors.Is(err, ErrContext) {
		t.Fatalf("Begin(3) = %v", err)
	}
	step(t, s, 2, 0, true)
}

func TestReservedStepsDoNotAllocate(t *testing.T) {
	s := New(shape, 1<<20)
	if err := s.Reserve(2000); err != nil {
		t.Fatal(err)
	}
	k := make([]float32, 6)
	if n := testing.AllocsPerRun(1000, func() {
		_ = s.Begin(1)
		s.Put(1, s.Pos(), k, k)
		s.Commit(1)
	}); n != 0 {
		t.Errorf("%v allocations per token", n)
	}
}

// A budget counts pages once, promises as if they were pages, and gets everything back.
func TestBudget(t *testing.T) {
	page := int64(2 * 2 * PageLen * 3 * 4) // of the one attention layer
	fixed := int64(shape.FixedBytes())
	if got := shape.Bytes(PageLen + 1); got != fixed+2*page {
		t.Fatalf("Bytes = %d, want %d", got, fixed+2*page)
	}
	b := NewBudget(2*fixed + 4*page)
	used := func(what string, want int64) {
		t.Helper()
		if b.Used() != want {
			t.Fatalf("%s: %d bytes used, want %d", what, b.Used(), want)
		}
	}
	s := NewWithin(b, shape, 1000)
	used("new", 0)
	step(t, s, PageLen+5, 0, true)
	used("two pages", fixed+2*page)
	c := s.Clone()
	used("a clone that only reads", fixed+2*page)
	step(t, c, 1, 1, true)
	used("a clone that wrote", 2*fixed+3*page)
	if err := s.Promise(PageLen); err != nil {
		t.Fatal(err)
	}
	used("promised", 2*fixed+4*page)
	err := c.Begin(PageLen)
	if me, ok := errors.AsType[*MemoryError](err); !ok || me.Needed != page || me.Limit != b.Limit() || !errors.Is(err, ErrMemory) {
		t.Fatalf("Begin without memory: %v", err)
	}
	used("refused", 2*fixed+4*page)
	step(t, s, PageLen, 2, true)
	used("promise kept", 2*fixed+4*page)
	check(t, c, "clone", func(pos int) float32 {
		if pos == PageLen+5 {
			return 1
		}
		return 0
	})
	s.Release()
	used("original released", fixed+2*page)
	check(t, c, "clone without original", func(pos int) float32 {
		if pos == PageLen+5 {
			return 1
		}
		return 0
	})
	c.Release()
	c.Release()
	used("all released", 0)
}

// Clones made, advanced and released by many goroutines neither see each other
// nor lose count.
func TestClonesTogether(t *testing.T) {
	b := NewBudget(1 << 30)
	base := NewWithin(b, shape, 1000)
	step(t, base, PageLen+5, 0, true)
	before := b.Used()
	var group sync.WaitGroup
	for g := range 8 {
		group.Go(func() {
			for i := range 20 {
				c, mark := base.Clone(), float32(1000*g+i)
				step(t, c, 1+i, mark, true)
				check(t, c, "clone", func(pos int) float32 {
					if pos >= PageLen+5 {
						return mark
					}
					return 0
				})
				c.Release()
			}
		})
	}
	group.Wait()
	if b.Used() != before {
		t.Errorf("%d bytes used, want %d", b.Used(), before)
	}
	check(t, base, "base", func(int) float32 { return 0 })
}

// The types of keys and values, with the sizes the reference gives for the 1.2B:
// 12 KiB a token in F16.
func TestTypes(t *testing.T) {
	kv := make([]int, 16)
	for _, l := range []int{2, 5, 8, 10, 12, 14} {
		kv[l] = 8
	}
	for typ, want := range map[quant.Type]int{quant.F32: 24576, quant.F16: 12288, quant.Q8_0: 6528} {
		s := Shape{KVHeads: kv, HeadDim: 64, Dim: 2048, Taps: 3, KV: typ}
		if err := s.Validate(); err != nil || s.TokenBytes() != want {
			t.Errorf("%v: %d bytes per token, %v; want %d", typ, s.TokenBytes(), err, want)
		}
	}
	if err := (Shape{HeadDim: 48, KV: quant.Q8_0}).Validate(); err == nil {
		t.Error("heads of 48 in Q8_0 were accepted")
	}
	if err := (Shape{HeadDim: 64, KV: quant.Q4_0}).Validate(); err == nil {
		t.Error("Q4_0 was accepted")
	}
}

// What a page held is not there any more when another sequence has its memory, and
// nobody has that while a clone still reads it.
func TestPagesAreUsedAgain(t *testing.T) {
	b := NewBudget(1 << 20)
	kept := NewWithin(b, shape, 1000)
	step(t, kept, PageLen+5, 500, true)
	owner := kept
	kept = owner.Clone()
	owner.Release()
	seen := map[*byte]int{}
	for i := range 50 {
		s := NewWithin(b, shape, 1000)
		if err := s.Begin(3); err != nil {
			t.Fatal(err)
		}
		p := s.Pages(1)[0]
		for _, half := range [][]byte{p.K, p.V} {
			if slices.ContainsFunc(half, func(b byte) bool { return b != 0 }) {
				t.Fatalf("round %d: the page is not empty", i)
			}
		}
		seen[&p.K[0]]++
		step(t, s, 3, float32(i), true)
		s.Release()
		s.Release()
	}
	if len(seen) == 50 {
		t.Error("no page was used again")
	}
	check(t, kept, "clone", func(int) float32 { return 500 })
	kept.Release()
	if b.Used() != 0 {
		t.Errorf("%d bytes used", b.Used())
	}
}
