//go:build !purego

#include "textflag.h"

// func convAVX2(dst, bcx, taps, state *float32, d, n int)
// convAVX2 is ConvStep for the first n of d channels, n a positive multiple of 8.
// Requires: AVX2
TEXT ·convAVX2(SB), NOSPLIT, $0-48
	MOVQ dst+0(FP), DI
	MOVQ bcx+8(FP), SI
	MOVQ taps+16(FP), DX
	MOVQ state+24(FP), BX
	MOVQ d+32(FP), R8
	MOVQ n+40(FP), CX
	SHLQ $2, R8
conv:
	VMOVUPS (SI), Y0
	VMULPS (SI)(R8*2), Y0, Y0 // s
	VMOVUPS (BX), Y1
	VMOVUPS (BX)(R8*1), Y2
	VMOVUPS Y2, (BX)
	VMOVUPS Y0, (BX)(R8*1)
	VMULPS (DX), Y1, Y1
	VMULPS (DX)(R8*1), Y2, Y2
	VMULPS (DX)(R8*2), Y0, Y0
	VADDPS Y2, Y1, Y1
	VADDPS Y0, Y1, Y1
	VMULPS (SI)(R8*1), Y1, Y1
	VMOVUPS Y1, (DI)
	ADDQ $32, DI
	ADDQ $32, SI
	ADDQ $32, DX
	ADDQ $32, BX
	SUBQ $8, CX
	JG conv
	VZEROUPPER
	RET

// func ropeAVX2(x, cos, sin *float32, n, heads int)
// ropeAVX2 is Rope for heads of 2n elements, n a positive multiple of 8.
// Requires: AVX2
TEXT ·ropeAVX2(SB), NOSPLIT, $0-40
	MOVQ x+0(FP), DI
	MOVQ cos+8(FP), SI
	MOVQ sin+16(FP), DX
	MOVQ n+24(FP), R8
	MOVQ heads+32(FP), CX
	SHLQ $2, R8
head:
	XORQ AX, AX
pair:
	VMOVUPS (SI)(AX*1), Y0
	VMOVUPS (DX)(AX*1), Y1
	VMOVUPS (DI), Y2
	VMOVUPS (DI)(R8*1), Y3
	VMULPS Y0, Y2, Y4
	VMULPS Y1, Y3, Y5
	VSUBPS Y5, Y4, Y4
	VMULPS Y0, Y3, Y3
	VMULPS Y1, Y2, Y2
	VADDPS Y2, Y3, Y3
	VMOVUPS Y4, (DI)
	VMOVUPS Y3, (DI)(R8*1)
	ADDQ $32, DI
	ADDQ $32, AX
	CMPQ AX, R8
	JL pair
	ADDQ R8, DI
	DECQ CX
	JNZ head
	VZEROUPPER
	RET

// func scaleAVX2(a float32, x *float32, n int)
// scaleAVX2 multiplies n elements by a, a positive multiple of 8.
// Requires: AVX2
TEXT ·scaleAVX2(SB), NOSPLIT, $0-24
	VBROADCASTSS a+0(FP), Y0
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX
scale:
	VMULPS (SI), Y0, Y1
	VMOVUPS Y1, (SI)
	ADDQ $32, SI
	SUBQ $8, CX
	JG scale
	VZEROUPPER
	RET
