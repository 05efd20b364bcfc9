package automaton

import (
	"fmt"
	"math/big"
	"strings"
	"sync"
)

// A Range is a set of numbers. The zero Range holds all of them.
type Range struct {
	Integer    bool
	Min, Max   *big.Rat // nil is no bound; decimal fractions
	OpenMin    bool     // Min itself is not in it
	OpenMax    bool
	MultipleOf *big.Rat // nil is no condition; a positive decimal fraction
}

// free reports whether r says nothing about the value.
func (r *Range) free() bool { return r.Min == nil && r.Max == nil && r.MultipleOf == nil }

const (
	maxDivisor = 10_000
	digits     = "0123456789"
	// Most digits of the whole part and of the fraction. More serve nobody, and a
	// model that has begun to repeat a digit would not stop.
	maxWholeDigits = 60
	maxFracDigits  = 40
	// Divisors up to which digits are bounded: beyond, states would be too many.
	maxBoundedDiv = 100
)

var freeNumbers = [2]func() *DFA{
	sync.OnceValue(func() *DFA { return must(number(Range{})) }),
	sync.OnceValue(func() *DFA { return must(number(Range{Integer: true})) }),
}

func must(d *DFA, err error) *DFA {
	if err != nil {
		panic("automaton: " + err.Error())
	}
	d.Shared = true
	return d
}

// Numbers returns the JSON numbers in r, of at most 60 digits before the point
// and 40 after it, or as many as its bounds have. Integers are written without fraction
// and exponent. Only where r says nothing about the value may a number have an
// exponent, of at most two digits. It fails with [ErrTooLarge] for a MultipleOf
// whose digits are too many.
func Numbers(r Range) (*DFA, error) {
	switch {
	case r.free() && r.Integer:
		return freeNumbers[1](), nil
	case r.free():
		return freeNumbers[0](), nil
	}
	return number(r)
}

// A bound is a decimal that magnitudes are compared with, digit by digit.
type bound struct {
	whole, frac string // without leading and trailing zeros, but whole is "0" at least
	open        bool   // the bound itself is out
}

// newBound returns |x| as a bound. It fails for what is no decimal fraction.
func newBound(x *big.Rat, open bool) (*bound, error) {
	places, err := decimals(x)
	if err != nil {
		return nil, err
	}
	whole, frac, _ := strings.Cut(new(big.Rat).Abs(x).FloatString(places), ".")
	return &bound{whole, strings.TrimRight(frac, "0"), open}, nil
}

const maxPlaces = 400

// decimals returns how many digits after the point x needs.
func decimals(x *big.Rat) (int, error) {
	n, exact := x.FloatPrec()
	if !exact {
		return 0, fmt.Errorf("%s is no decimal fraction", x.RatString())
	}
	if n > maxPlaces {
		return 0, ErrTooLarge
	}
	return n, nil
}

const (
	less    = int8(-1)
	equal   = int8(0)
	greater = int8(1)
)

// A magnitude is the state of reading a number without its sign.
type magnitude struct {
	phase  uint8 // see below
	neg    bool
	n      int16 // digits of the whole part, up to one more than any bound has
	at     int16 // digits after the point, as far as they matter
	lo, hi int8  // the digits so far against the bounds'
	rem    int32 // the digits so far, as a whole number, modulo the divisor
	digits int16 // of the part at hand, where they are bounded
}

const (
	atStart uint8 = iota
	afterSign
	inZero
	inWhole
	afterPoint
	inFraction
	afterE
	afterESign
	inExponent
	inExponent2
)

type numbers struct {
	r        Range
	pos, neg [2]*bound // of magnitudes: least and greatest; nil is none
	noPos    bool      // no number without a sign
	noNeg    bool
	maxWhole int16
	maxFrac  int16
	div      int64 // multiples of div / 10^places; 0 is no condition
	places   int16
	pow      []int64 // 10^i modulo div
}

func number(r Range) (*DFA, error) {
	m := &numbers{r: r}
	if err := m.bounds(); err != nil {
		return nil, err
	}
	if r.MultipleOf != nil {
		places, err := decimals(r.MultipleOf)
		if err != nil {
			return nil, err
		}
		scaled := new(big.Rat).Mul(r.MultipleOf, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(places)), nil)))
		if !scaled.IsInt() || scaled.Num().BitLen() > 32 || scaled.Num().Int64() > maxDivisor || places > 20 {
			return nil, ErrTooLarge
		}
		m.div, m.places = scaled.Num().Int64(), int16(places)
		m.pow = make([]int64, places+1)
		m.pow[0] = 1 % m.div
		for i := range places {
			m.pow[i+1] = m.pow[i] * 10 % m.div
		}
	}
	return explore(magnitude{}, m.step, m.accepts, "-+.eE"+digits, maxByteStates)
}

// bounds turns Min and Max into bounds of magnitudes for both signs.
func (m *numbers) bounds() error {
	zero := new(big.Rat)
	set := func(to **bound, x *big.Rat, open bool) error {
		b, err := newBound(x, open)
		if err != nil {
			return err
		}
		*to = b
		m.maxWhole = max(m.maxWhole, int16(len(b.whole)))
		m.maxFrac = max(m.maxFrac, int16(len(b.frac)))
		if len(b.whole) > maxPlaces {
			return ErrTooLarge
		}
		return nil
	}
	if x := m.r.Min; x != nil {
		var err error
		if x.Cmp(zero) >= 0 {
			err = set(&m.pos[0], x, m.r.OpenMin)
			m.noNeg = x.Cmp(zero) > 0 || m.r.OpenMin
		}
		if x.Cmp(zero) <= 0 && err == nil { // magnitudes up to -Min
			err = set(&m.neg[1], x, m.r.OpenMin)
		}
		if err != nil {
			return err
		}
	}
	if x := m.r.Max; x != nil {
		var err error
		if x.Cmp(zero) >= 0 {
			err = set(&m.pos[1], x, m.r.OpenMax)
		}
		if x.Cmp(zero) <= 0 && err == nil {
			err = set(&m.neg[0], x, m.r.OpenMax)
			m.noPos = x.Cmp(zero) < 0 || m.r.OpenMax
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (m *numbers) of(neg bool) (lo, hi *bound) {
	if neg {
		return m.neg[0], m.neg[1]
	}
	return m.pos[0], m.pos[1]
}

func (m *numbers) step(s magnitude, c byte) (magnitude, bool) {
	switch {
	case c >= '0' && c <= '9':
		return m.digit(s, c)
	case c == '-' && s.phase == atStart:
		s.phase, s.neg = afterSign, true
		return s, !m.noNeg
	case c == '.' && (s.phase == inZero || s.phase == inWhole) && !m.r.Integer:
		if m.div > 0 && m.places == 0 {
			return s, false // a multiple of a whole number is written without a point
		}
		s = m.settle(s)
		s.phase = afterPoint
		return s, true
	case (c == 'e' || c == 'E') && !m.r.Integer && m.r.free() && (s.phase == inZero || s.phase == inWhole || s.phase == inFraction):
		return magnitude{phase: afterE}, true
	case (c == '+' || c == '-') && s.phase == afterE:
		s.phase = afterESign
		return s, true
	}
	return s, false
}

func (m *numbers) digit(s magnitude, c byte) (magnitude, bool) {
	switch s.phase {
	case atStart, afterSign:
		if s.phase == atStart && m.noPos {
			return s, false
		}
		s.phase = inWhole
		if c == '0' {
			s.phase = inZero
			if s.neg && m.r.Integer {
				return s, false
			}
		}
		return m.whole(s, c)
	case inWhole:
		return m.whole(s, c)
	case afterPoint, inFraction:
		s.phase = inFraction
		if m.div == 0 {
			if s.digits++; int(s.digits) > max(maxFracDigits, int(m.maxFrac)+1) {
				return s, false
			}
		}
		if m.div > 0 {
			if s.at >= m.places {
				return s, false
			}
		}
		lo, hi := m.of(s.neg)
		s.lo, s.hi = fraction(s.lo, lo, s.at, c), fraction(s.hi, hi, s.at, c)
		if m.div > 0 {
			s.rem = int32((int64(s.rem)*10 + int64(c-'0')) % m.div)
			s.at++
		} else {
			s.at = m.where(s)
		}
		return s, true
	case afterE, afterESign:
		s.phase = inExponent
		return s, true
	case inExponent:
		s.phase = inExponent2
		return s, true
	}
	return s, false
}

// whole reads a digit of the whole part.
func (m *numbers) whole(s magnitude, c byte) (magnitude, bool) {
	if m.div <= maxBoundedDiv {
		if s.digits++; int(s.digits) > max(maxWholeDigits, int(m.maxWhole)) {
			return s, false
		}
	}
	lo, hi := m.of(s.neg)
	compare := func(so int8, b *bound) int8 {
		if b == nil || so != equal || int(s.n) >= len(b.whole) {
			return so // longer numbers are settled by their length
		}
		return order(c, b.whole[s.n])
	}
	s.lo, s.hi = compare(s.lo, lo), compare(s.hi, hi)
	s.n = min(s.n+1, m.maxWhole+1)
	if m.maxWhole == 0 {
		s.n = 0
	} else if s.n > m.maxWhole {
		s.lo, s.hi = greater, greater
	}
	if m.div > 0 {
		s.rem = int32((int64(s.rem)*10 + int64(c-'0')) % m.div)
	}
	return s, true
}

func order(a, b byte) int8 {
	switch {
	case a < b:
		return less
	case a > b:
		return greater
	}
	return equal
}

// settle ends the whole part: numbers of other lengths than a bound's are less
// or greater, whatever their digits.
func (m *numbers) settle(s magnitude) magnitude {
	lo, hi := m.of(s.neg)
	length := func(so int8, b *bound) int8 {
		switch {
		case b == nil:
			return equal
		case int(s.n) < len(b.whole):
			return less
		case int(s.n) > len(b.whole):
			return greater
		}
		return so
	}
	s.lo, s.hi = length(s.lo, lo), length(s.hi, hi)
	s.n, s.at, s.digits = 0, 0, 0
	return s
}

func fraction(so int8, b *bound, at int16, c byte) int8 {
	if b == nil || so != equal {
		return so
	}
	d := byte('0')
	if int(at) < len(b.frac) {
		d = b.frac[at]
	}
	return order(c, d)
}

// where returns the position after one more digit, or one past all bounds when
// it no longer matters.
func (m *numbers) where(s magnitude) int16 {
	lo, hi := m.of(s.neg)
	if (lo == nil || s.lo != equal) && (hi == nil || s.hi != equal) {
		return 0
	}
	return min(s.at+1, m.maxFrac)
}

func (m *numbers) accepts(s magnitude) bool {
	switch s.phase {
	case inExponent, inExponent2:
		return true
	case inZero, inWhole:
		s = m.settle(s)
	case inFraction:
	default:
		return false
	}
	lo, hi := m.of(s.neg)
	if lo != nil {
		c := ended(s.lo, lo, s.at)
		if c < 0 || c == 0 && lo.open {
			return false
		}
	}
	if hi != nil {
		c := ended(s.hi, hi, s.at)
		if c > 0 || c == 0 && hi.open {
			return false
		}
	}
	if m.div > 0 {
		return int64(s.rem)*m.pow[m.places-s.at]%m.div == 0
	}
	return true
}

// ended compares a number that ends after at digits of its fraction.
func ended(so int8, b *bound, at int16) int8 {
	if so == equal && int(at) < len(b.frac) {
		return less
	}
	return so
}
