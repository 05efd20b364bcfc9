package kernel

import (
	"encoding/binary"

	"github.com/sluice-ai/sluice/runtime/quant"
)

// A panel is panelRows rows of a quantised matrix unpacked once, to be multiplied
// with many columns: the rows side by side, so that a vector instruction works on
// all of them and needs no sum across lanes.
type panel struct {
	v     []byte    // [cols/4][panelRows][4], 128 added
	scale []float32 // [cols/scaleSize][panelRows]
	min   []float32 // [cols/32][panelRows], or nil
	late  []float32 // [cols/16][panelRows], or nil
	mins  []float32 // what min or late is when it is not nil
}

const (
	panelRows  = 16
	groupCols  = 8 // columns in a group of activations
	blockPanel = 32 * panelRows
)

// reserve makes room for panelRows rows of w.
func (p *panel) reserve(w *Weight) {
	blocks, per := w.Cols/32, 32/scaleSize(w.Type)
	p.v = grow(p.v, blocks*blockPanel)
	p.scale = grow(p.scale, blocks*per*panelRows)
	p.min, p.late = nil, nil
	switch {
	case hasMin(w.Type):
		p.mins = grow(p.mins, blocks*panelRows)
		p.min = p.mins
	case hasLate(w.Type):
		p.mins = grow(p.mins, 2*blocks*panelRows)
		p.late = p.mins
	}
}

// pack fills p with the rows of w from r0 on; rows past the last are zero.
func (p *panel) pack(w *Weight, r0 int) {
	p.reserve(w)
	rows := min(panelRows, w.Rows-r0)
	if rows < panelRows {
		clear(p.scale)
		clear(p.min)
		clear(p.late)
	}
	if rows == panelRows && havePack(w.Type) {
		a := packArgs{
			w: &w.data[r0*w.stride], stride: w.stride, v: &p.v[0], scale: &p.scale[0],
			blocks: w.Cols / w.Type.BlockSize(),
		}
		if p.min != nil {
			a.min = &p.min[0]
		}
		pack(&a, w.Type)
		return
	}
	switch w.Type {
	case quant.Q8_0:
		p.packQ8_0(w, r0, rows)
	case quant.Q4_0:
		p.packQ4_0(w, r0, rows)
	case quant.Q4_K, quant.Q5_K:
		p.packQ45_K(w, r0, rows)
	default:
		p.packAny(w, r0, rows)
	}
}

func (p *panel) packQ8_0(w *Weight, r0, rows int) {
	data := w.data[r0*w.stride:]
	for b := range w.Cols / 32 {
		v, scale := p.v[b*blockPanel:][:blockPanel], p.scale[b*panelRows:][:panelRows]
		for r := range rows {
			src := data[r*w.stride+b*34:][:34]
			scale[r] = half(src)
			for j := range 8 {
				x := binary.LittleEndian.Uint32(src[2+4*j:])
				binary.LittleEndian.PutUint32(v[j*64+r*4:], x^0x80808080)
			}
		}
	}
}

func (p *panel) packQ4_0(w *Weight, r0, rows int) {
	data := w.data[r0*w.stride:]
	for b := range w.Cols / 32 {
		v, scale := p.v[b*blockPanel:][:blockPanel], p.scale[b*panelRows:][:panelRows]
		for r := range rows {
			src := data[r*w.stride+b*18:][:18]
			scale[r] = half(src)
			for j := range 4 {
				x := binary.LittleEndian.Uint32(src[2+4*j:])
				binary.LittleEndian.PutUint32(v[j*64+r*4:], x&0x0f0f0f0f+0x78787878)
				binary.LittleEndian.PutUint32(v[(j+4)*64+r*4:], x>>4&0x0f0f0f0f+0x78787878)
			}
		}
	}
}

// packQ45_K packs Q4_K, and Q5_K, which has the fifth bits besides.
func (p *panel) packQ45_K(w *Weight, r0, rows int) {
	size := w.Type.BlockBytes()
	low := size - 128 // where the low bits begin; the fifth bits are the 32 bytes before
	var scale, mins [8]float32
	for b := range w.Cols / 256 {
		v := p.v[b*8*blockPanel:][:8*blockPanel]
		for r := range rows {
			src := w.row(r0 + r)[b*size:][:size]
			scalesK(scale[:], mins[:], src)
			for i := range 8 {
				p.scale[(8*b+i)*panelRows+r], p.min[(8*b+i)*panelRows+r] = scale[i], mins[i]
			}
			for i := range 8 {
				var high uint32
				if low > 16 {
					high = binary.LittleEndian.Uint32(src[16+4*i:])
				}
				for c := range 4 {
					x := binary.LittleEndian.Uint32(src[low+32*c+4*i:])
					lo := x&0x0f0f0f0f | high>>(2*c)&0x01010101<<4
					hi := x>>4&0x0f0f0f0f | high>>(2*c+1)&0x01010101<<4
					binary.LittleEndian.PutUint32(v[(16*c+i)*64+4*r:], lo|0x80808080)
					binary.LittleEndian.PutUint32(v[(16*c+8+i)*64+4*r:], hi|0x80808080)
				}
			}
		}
	}
}

// hasPack reports whether there is a way to pack t that is not packAny. Where
// there is none, packing takes longer than multiplying one column row by row.
func hasPack(t quant.Type) bool {
	switch t {
	case quant.Q8_0, quant.Q4_0, quant.Q4_K, quant.Q5_K:
		return true
	}
	return havePack(t)
}

// packAny goes by way of unpackBlock.
func (p *panel) packAny(w *Weight, r0, rows int) {
	size, bytes, per := w.Type.BlockSize(), w.Type.BlockBytes(), 32/scaleSize(w.Type)
	var v [256]int8
	var raw [256]byte
	var scale [16]float32
	var mins [16]float32
	blocks := size / 32 // blocks of 32 in one of the type's
	have := 0           // minimums in a block
	switch {
	case p.min != nil:
		have = blocks
	case p.late != nil:
		have = 2 * blocks
	}
	for b := range w.Cols / size {
		for r := range rows {
			unpackBlock(w.Type, v[:size], scale[:blocks*per], mins[:have], w.row(r0 + r)[b*bytes:][:bytes])
			for i := range size {
				raw[i] = byte(v[i]) ^ 0x80
			}
			for i := range size / 4 {
				x := binary.LittleEndian.Uint32(raw[4*i:])
				binary.LittleEndian.PutUint32(p.v[b*size*panelRows+i*64+r*4:], x)
			}
			for i, f := range scale[:blocks*per] {
				p.scale[(b*blocks*per+i)*panelRows+r] = f
			}
			for i, f := range mins[:have] {
				p.mins[(b*have+i)*panelRows+r] = f
			}
		}
	}
}

// packArgs is what packing panelRows rows needs. The field names are used by
// assembly.
type packArgs struct {
	w      *byte // the first row's first block
	stride int   // from row to row
	v      *byte // the panel's
	scale  *float32
	min    *float32 // nil if the type has none
	blocks int      // of the weight's type
}

// tileArgs is what a tile needs: panelRows rows times up to groupCols columns.
// The field names are used by assembly.
type tileArgs struct {
	v          *byte    // panel
	q          *int8    // group [cols/run][groupCols][run]
	scale, min *float32 // panel; min may be nil
	d, dsum    *float32 // group [cols/32][groupCols]
	bias       *int32   // group [cols/scaleSize][groupCols]: -128 * Σ q
	dst        *float32 // [groupCols][panelRows]
	blocks     int      // cols/32
}
