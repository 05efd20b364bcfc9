package kernel

import "encoding/binary"

// readChunk is how much of memory a thread reads at once: assembly cannot be
// preempted, so each call is short.
const readChunk = 1 << 20

// ReadPatterns are patterns for ReadAll. Which of them reads fastest depends on the
// machine.
var ReadPatterns = []ReadPattern{{Streams: 1}, {Streams: 1, Ahead: 2 << 10}, {Streams: 1, Ahead: 8 << 10}, {Streams: 4}, {Streams: 4, Ahead: 1 << 10}}

// A ReadPattern says how a thread walks through its part of memory: in so many
// streams side by side, asking for what lies Ahead bytes further on; 0 does not ask.
type ReadPattern struct{ Streams, Ahead int }

// ReadAll reads every byte of mem once and does next to nothing with it: how long
// it takes tells how fast memory can be read. Each thread of p has a part of its
// own. The length of mem must be a multiple of 1 MiB.
func ReadAll(p *Pool, mem []byte, how ReadPattern) {
	p.Run(len(mem)/readChunk, func(i int) {
		part := mem[i*readChunk:][:readChunk]
		if how.Streams == 4 {
			read4(&part[0], readChunk, how.Ahead)
		} else {
			read1(&part[0], readChunk, how.Ahead)
		}
	})
}

// readGeneric reads n bytes, a multiple of 64.
//
//go:noinline
func readGeneric(mem []byte) (sum uint64) {
	for ; len(mem) >= 64; mem = mem[64:] {
		m := (*[64]byte)(mem)
		sum += binary.LittleEndian.Uint64(m[0:]) ^ binary.LittleEndian.Uint64(m[8:])
		sum += binary.LittleEndian.Uint64(m[16:]) ^ binary.LittleEndian.Uint64(m[24:])
		sum += binary.LittleEndian.Uint64(m[32:]) ^ binary.LittleEndian.Uint64(m[40:])
		sum += binary.LittleEndian.Uint64(m[48:]) ^ binary.LittleEndian.Uint64(m[56:])
	}
	return sum
}

// DotPeak has every thread of p multiply and add bytes, from registers to registers,
// with the instructions that products of quantised matrices use here and nothing
// beside them. It returns how many multiplications were done, which are n for each
// thread, rounded up: with the time it took, what these cores can do at most.
func DotPeak(p *Pool, n int) (macs int) {
	const each = 1 << 20 // multiplications of one call
	calls := (n + each - 1) / each
	threads := p.Threads()
	p.Run(threads*calls, func(int) { dotPeak(each) })
	return threads * calls * each
}

// DotUnit names the instructions of DotPeak.
func DotUnit() string { return dotUnit() }

// dotPeakGeneric does n multiplications of bytes, a multiple of 1024.
//
//go:noinline
func dotPeakGeneric(n int) (sum int32) {
	var x, y [1024]int8
	for i := range x {
		x[i], y[i] = int8(i), int8(i>>3)
	}
	for range n / len(x) {
		for i, v := range x {
			sum += int32(v) * int32(y[i])
		}
		x[0] = int8(sum)
	}
	return sum
}
