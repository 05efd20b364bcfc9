package kernel

import (
	"encoding/binary"

	"github.com/sluice-ai/sluice/runtime/quant"
)

func half(b []byte) float32 { return quant.HalfToFloat(binary.LittleEndian.Uint16(b)) }

// unpackBlock splits one block of t into integers, scales and, if the type has
// them, minimums, as many as reserve makes room for. Scales and minimums are
// exact: a half times a small integer fits a float32.
func unpackBlock(t quant.Type, v []int8, scale, mins []float32, b []byte) {
	switch t {
	case quant.Q8_0:
		scale[0] = half(b)
		for j := range 32 {
			v[j] = int8(b[2+j])
		}
	case quant.Q4_0:
		scale[0] = half(b)
		for j, q := range b[2:18] {
			v[j], v[j+16] = int8(q&15)-8, int8(q>>4)-8
		}
	case quant.Q4_1:
		scale[0], mins[0] = half(b), half(b[2:])
		for j, q := range b[4:20] {
			v[j], v[j+16] = int8(q&15), int8(q>>4)
		}
	case quant.Q5_0:
		scale[0] = half(b)
		fiveBits(v, b[2:6], b[6:22], 16)
	case quant.Q5_1:
		scale[0], mins[0] = half(b), half(b[2:])
		fiveBits(v, b[4:8], b[8:24], 0)
	case quant.Q4_K:
		scalesK(scale, mins, b)
		for c := range 4 {
			for l, q := range b[16+32*c:][:32] {
				v[64*c+l], v[64*c+32+l] = int8(q&15), int8(q>>4)
			}
		}
	case quant.Q5_K:
		scalesK(scale, mins, b)
		for c := range 4 {
			for l, q := range b[48+32*c:][:32] {
				h := b[16+l] >> (2 * c)
				v[64*c+l], v[64*c+32+l] = int8(q&15|h&1<<4), int8(q>>4|h>>1&1<<4)
			}
		}
	case quant.Q6_K:
		d := half(b[208:])
		for i := range 16 {
			scale[i] = d * float32(int8(b[192+i]))
		}
		for n := range 2 {
			ql, qh, y := b[64*n:][:64], b[128+32*n:][:32], v[128*n:][:128]
			for l, h := range qh {
				y[l] = int8(ql[l]&15|h&3<<4) - 32
				y[l+32] = int8(ql[l+32]&15|h>>2&3<<4) - 32
				y[l+64] = int8(ql[l]>>4|h>>4&3<<4) - 32
				y[l+96] = int8(ql[l+32]>>4|h>>6<<4) - 32
			}
		}
	case quant.IQ4_NL:
		scale[0] = half(b)
		for j, q := range b[2:18] {
			v[j], v[j+16] = quant.LevelIQ4(q&15), quant.LevelIQ4(q>>4)
		}
	case quant.MXFP4:
		scale[0] = quant.HalfPowerE8M0(b[0])
		for j, q := range b[1:17] {
			v[j], v[j+16] = quant.LevelE2M1(q&15), quant.LevelE2M1(q>>4)
		}
	case quant.Q2_K:
		d, dmin := half(b[80:]), half(b[82:])
		for i, sc := range b[:16] {
			scale[i], mins[i] = d*float32(sc&15), -(dmin * float32(sc>>4))
		}
		for c := range 8 {
			y, q, shift := v[32*c:][:32], b[16+c/4*32:][:32], c%4*2&7
			for l := range y {
				y[l] = int8(q[l] >> shift & 3)
			}
		}
	case quant.Q3_K:
		d := half(b[108:])
		for i := range 16 {
			scale[i] = d * float32(quant.ScaleQ3(b[96:108], i))
		}
		for c := range 8 {
			y, q, high, shift := v[32*c:][:32], b[32+c/4*32:][:32], b[:32], c%4*2&7
			for l := range y {
				y[l] = int8(q[l]>>shift&3|high[l]>>(c&7)&1<<2) - 4
			}
		}
	default:
		panic("kernel: no integers in " + t.String())
	}
}

func fiveBits(v []int8, high, q []byte, offset int8) {
	h := binary.LittleEndian.Uint32(high)
	for j, q := range q {
		v[j] = int8(uint32(q&15)|h>>j&1<<4) - offset
		v[j+16] = int8(uint32(q>>4)|h>>(j+16)&1<<4) - offset
	}
}

func scalesK(scale, mins []float32, b []byte) {
	d, dmin := half(b), half(b[2:])
	for j := range 8 {
		sc, m := quant.ScaleMinK(b[4:16], j)
		scale[j], mins[j] = d*float32(sc), -(dmin * float32(m))
	}
}
