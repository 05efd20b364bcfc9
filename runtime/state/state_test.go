package state

import (
	"errors"
	"slices"
	"testing"
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
	}
	if commit {
		s.Commit(n)
	}
}

func check(t *testing.T, s *Seq, what string, marks func(pos int) float32) {
	t.Helper()
	for pos := range s.Pos() {
		p, at := s.Pages(1)[pos/PageLen], pos%PageLen
		want := float32(pos) + marks(pos)
		if got := p.K[at*3]; got != want {
			t.Fatalf("%s: head 0 key of %d is %g, want %g", what, pos, got, want)
		}
		if got := p.V[(PageLen+at)*3]; got != want+1 {
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
