package kernel

import (
	"encoding/binary"
	"unsafe"

	"github.com/sluice-ai/sluice/runtime/quant"
)

// A packed matrix holds its rows in panels of panelRows side by side, zeros where
// the last panel has no rows. A vector of 64 bytes is four neighbouring elements of
// each row, so that one instruction works on all rows, no sum goes across lanes, and
// memory is read in order. With vec(i) standing for the i-th four bytes of each row:
//
//	Q4_0   two blocks: scale f16[2][16]; then of each block vec(0..3), low nibbles
//	       being elements 4i.., high ones those 16 later
//	Q8_0   two blocks: scale f16[2][16]; then of each vec(0..7), 128 added
//	Q4_K   d f16[16], dmin f16[16]; four times (64 elements): scale u8[16] of the first
//	       32 and of the second, min u8[16][2]; vec(0..7), high nibbles the second 32
//	Q6_K   d f16[16], 32 bytes of nothing; twice (128 elements): scale i8[8][16];
//	       vec(0..15) of the low bits; vec(0..7) of the high ones
//
// That is the size of the file's matrix, but for Q4_K (2.8 % more) and Q6_K (1 %).
const (
	packedQ4_0 = 64 + 2*256
	packedQ8_0 = 64 + 2*512
	packedQ4_K = 64 + 4*(64+512)
	packedQ6_K = 64 + 2*(128+1024+512)
)

// packedArgs is what a packed panel times one column, or a group of them, needs.
// The field names are used by assembly.
type packedArgs struct {
	w      *byte
	q      *int8    // group [cols/run][groupCols][run], or column [cols]
	d      *float32 // group [cols/32][groupCols], or column [cols/32]
	bias   *int32   // as d, but kind.biases for each 64 elements
	dst    *float32 // [columns][panelRows]
	stride int      // bytes from a column of dst to the next
	row    int      // of the panel: the first to compute, where a routine does not compute all
	blocks int      // of the weight's type

	// What to bring into the caches meanwhile, for several columns: as many addresses as
	// the panel has lines, step bytes apart. Nothing need be there.
	ahead uintptr
	step  int
}

// Packable reports whether this machine is faster with the matrix packed.
func (w *Weight) Packable() bool { return havePacked(w.Type) && w.packedPanel() > 0 && !w.packed }

// PackedBytes returns the size of the matrix when it is packed.
func (w *Weight) PackedBytes() int { return w.panels() * w.packedPanel() }

func (w *Weight) panels() int { return (w.Rows + panelRows - 1) / panelRows }

// packedPanel returns the bytes of a packed panel, 0 if there is no such thing.
func (w *Weight) packedPanel() int {
	switch {
	case w.Type == quant.Q4_0 && w.Cols%128 == 0:
		return w.Cols / 64 * packedQ4_0
	case w.Type == quant.Q8_0 && w.Cols%64 == 0:
		return w.Cols / 64 * packedQ8_0
	case w.Type == quant.Q4_K:
		return w.Cols / 256 * packedQ4_K
	case w.Type == quant.Q6_K:
		return w.Cols / 256 * packedQ6_K
	}
	return 0
}

// Pack returns the same matrix packed into mem, which is PackedBytes long and is
// kept, and best aligned to 64 bytes. The threads of p share the work. It panics
// unless the matrix is Packable.
func (w *Weight) Pack(p *Pool, mem []byte) *Weight {
	if !w.Packable() || len(mem) != w.PackedBytes() {
		panic("kernel: Weight.Pack: no such packed matrix")
	}
	size := w.packedPanel()
	p.Run(w.panels(), func(i int) {
		panel := mem[i*size:][:size]
		r0 := i * panelRows
		rows := min(panelRows, w.Rows-r0)
		if rows < panelRows {
			clear(panel)
		} else if haveRepack(w.Type) {
			repack(&packArgs{w: &w.data[r0*w.stride], stride: w.stride, v: &panel[0], blocks: w.Cols / w.Type.BlockSize()}, w.Type)
			return
		}
		for r := range rows {
			src := w.row(r0 + r)
			switch w.Type {
			case quant.Q4_0:
				packRowQ4_0(panel, src, r)
			case quant.Q8_0:
				packRowQ8_0(panel, src, r)
			case quant.Q4_K:
				packRowQ4_K(panel, src, r)
			case quant.Q6_K:
				packRowQ6_K(panel, src, r)
			}
		}
	})
	return &Weight{Type: w.Type, Rows: w.Rows, Cols: w.Cols, data: mem, stride: size, packed: true}
}

// vectors copies src, four bytes at a time, to every 64 of dst.
func vectors(dst, src []byte) {
	for len(src) >= 16 {
		d, s := (*[196]byte)(dst), (*[16]byte)(src)
		*(*[4]byte)(d[0:]) = [4]byte(s[0:])
		*(*[4]byte)(d[64:]) = [4]byte(s[4:])
		*(*[4]byte)(d[128:]) = [4]byte(s[8:])
		*(*[4]byte)(d[192:]) = [4]byte(s[12:])
		if src = src[16:]; len(src) > 0 {
			dst = dst[256:]
		}
	}
}

// gather is the reverse of vectors.
func gather(dst, src []byte) {
	for i := 0; i < len(dst); i += 4 {
		*(*[4]byte)(dst[i:]) = [4]byte(src[16*i:])
	}
}

func packRowQ4_0(panel, src []byte, r int) {
	for ; len(src) > 0; panel, src = panel[packedQ4_0:], src[36:] {
		for b := range 2 {
			from := src[18*b:][:18]
			copy(panel[32*b+2*r:][:2], from)
			vectors(panel[64+256*b+4*r:], from[2:])
		}
	}
}

func packRowQ8_0(panel, src []byte, r int) {
	for ; len(src) > 0; panel, src = panel[packedQ8_0:], src[68:] {
		for b := range 2 {
			from := src[34*b:][:34]
			copy(panel[32*b+2*r:][:2], from)
			to := panel[64+512*b+4*r:]
			for i := range 8 {
				binary.LittleEndian.PutUint32(to[64*i:], binary.LittleEndian.Uint32(from[2+4*i:])^0x80808080)
			}
		}
	}
}

func packRowQ4_K(panel, src []byte, r int) {
	for ; len(src) > 0; panel, src = panel[packedQ4_K:], src[144:] {
		copy(panel[2*r:][:2], src)
		copy(panel[32+2*r:][:2], src[2:])
		for c := range 4 {
			to := panel[64+576*c:][:576]
			for b := range 2 {
				to[16*b+r], to[32+2*r+b] = quant.ScaleMinK(src[4:16], 2*c+b)
			}
			vectors(to[64+4*r:], src[16+32*c:][:32])
		}
	}
}

func packRowQ6_K(panel, src []byte, r int) {
	for ; len(src) > 0; panel, src = panel[packedQ6_K:], src[210:] {
		copy(panel[2*r:][:2], src[208:])
		for h := range 2 {
			to := panel[64+1664*h:][:1664]
			for g, scale := range src[192+8*h:][:8] {
				to[16*g+r] = scale
			}
			vectors(to[128+4*r:], src[64*h:][:64])
			vectors(to[1152+4*r:], src[128+32*h:][:32])
		}
	}
}

// fileRow restores row i of a packed matrix as the file has it.
func (w *Weight) fileRow(row []byte, i int) []byte {
	dst := row
	panel, r := w.data[i/panelRows*w.stride:][:w.stride], i%panelRows
	switch w.Type {
	case quant.Q4_0:
		for ; len(dst) > 0; panel, dst = panel[packedQ4_0:], dst[36:] {
			for b := range 2 {
				copy(dst[18*b:][:2], panel[32*b+2*r:])
				gather(dst[18*b+2:][:16], panel[64+256*b+4*r:])
			}
		}
	case quant.Q8_0:
		for ; len(dst) > 0; panel, dst = panel[packedQ8_0:], dst[68:] {
			for b := range 2 {
				copy(dst[34*b:][:2], panel[32*b+2*r:])
				q := dst[34*b+2:][:32]
				gather(q, panel[64+512*b+4*r:])
				for j := range q {
					q[j] ^= 0x80
				}
			}
		}
	case quant.Q4_K:
		for ; len(dst) > 0; panel, dst = panel[packedQ4_K:], dst[144:] {
			copy(dst[:2], panel[2*r:])
			copy(dst[2:4], panel[32+2*r:])
			var scales, mins [8]uint8
			for c := range 4 {
				from := panel[64+576*c:][:576]
				for b := range 2 {
					scales[2*c+b], mins[2*c+b] = from[16*b+r], from[32+2*r+b]
				}
				gather(dst[16+32*c:][:32], from[64+4*r:])
			}
			for j := range 4 {
				dst[4+j] = scales[j] | scales[j+4]>>4<<6
				dst[8+j] = mins[j] | mins[j+4]>>4<<6
				dst[12+j] = scales[j+4]&15 | mins[j+4]<<4
			}
		}
	case quant.Q6_K:
		for ; len(dst) > 0; panel, dst = panel[packedQ6_K:], dst[210:] {
			copy(dst[208:210], panel[2*r:])
			for h := range 2 {
				from := panel[64+1664*h:][:1664]
				for g := range 8 {
					dst[192+8*h+g] = from[16*g+r]
				}
				gather(dst[64*h:][:64], from[128+4*r:])
				gather(dst[128+32*h:][:32], from[1152+4*r:])
			}
		}
	}
	return row
}

// fewGroups is how many groups of columns are few: the weights come from memory then
// about as fast as they are multiplied.
const fewGroups = 4

// multiplyPacked computes panels [p0, p1) of a product. A panel meets a few groups one
// after the other, while each of them has a part of the next panel brought from
// memory: were all panels to meet the first group first, it would wait for memory,
// and memory for the others.
func (s *Scratch) multiplyPacked(wk *worker, pt *part, p0, p1 int) {
	groups := (s.n + groupCols - 1) / groupCols
	if groups == 1 || groups > fewGroups || !fetchesAhead() {
		s.multiplyPanels(wk, pt, p0, p1, 1)
		return
	}
	for p := p0; p < p1; p++ {
		s.multiplyPanels(wk, pt, p, p+1, groups)
	}
}

// lineBytes is the size of a line of the caches.
const lineBytes = 64

// multiplyPanels computes panels [p0, p1) of a product, group by group. Each of so
// many groups brings its part of what follows, one alone what it will soon need itself.
func (s *Scratch) multiplyPanels(wk *worker, pt *part, p0, p1, groups int) {
	w, a := pt.w, &s.act
	t := &wk.packed
	t.blocks = w.Cols / w.Type.BlockSize()
	blocks, biases := w.Cols/32, a.kind.biases(w.Cols)
	group := groupCols
	if !a.kind.grouped {
		group = 1
	}
	for c0 := 0; c0 < s.n; c0 += group {
		t.q, t.d, t.bias = &a.q[c0*w.Cols], &a.d[c0*blocks], &a.bias[c0*biases]
		cols := min(group, s.n-c0)
		width := cols
		switch {
		case group == 1:
		case cols <= groupCols/2:
			width = groupCols / 2
		default:
			width = groupCols
		}
		for p := p0; p < p1; p++ {
			t.w = &w.data[p*w.stride]
			t.ahead, t.step = uintptr(unsafe.Pointer(t.w))+2048, lineBytes
			if groups > 1 {
				t.ahead += uintptr(w.stride - 2048 + c0/groupCols*w.stride/groups)
				t.step = lineBytes / groups
			}
			r := p * panelRows
			if rows := min(panelRows, w.Rows-r); rows < panelRows || cols != width {
				t.dst, t.stride = &wk.tile[0], 4*panelRows
				packed(t, w.Type, width)
				for c := range cols {
					copy(pt.dst[(c0+c)*w.Rows+r:][:rows], wk.tile[c*panelRows:])
				}
				continue
			}
			t.dst, t.stride = &pt.dst[c0*w.Rows+r], 4*w.Rows
			packed(t, w.Type, width)
		}
	}
}
