//go:build !purego

#include "textflag.h"

DATA quantize<>+0(SB)/4, $0x42fe0000 // 127
DATA quantize<>+4(SB)/4, $0x0d800000 // 2^-100, the constant smallest
DATA quantize<>+8(SB)/4, $0x7fffffff
DATA quantize<>+12(SB)/4, $0x01010101
DATA quantize<>+16(SB)/4, $0x00010001
DATA quantize<>+20(SB)/4, $0
GLOBL quantize<>(SB), RODATA|NOPTR, $24

DATA order<>+0(SB)/8, $0x0000000400000000
DATA order<>+8(SB)/8, $0x0000000500000001
DATA order<>+16(SB)/8, $0x0000000600000002
DATA order<>+24(SB)/8, $0x0000000700000003
GLOBL order<>(SB), RODATA|NOPTR, $32

#define CONSTANTS \
	VBROADCASTSS quantize<>+0(SB), Y15 \
	VBROADCASTSS quantize<>+4(SB), Y14 \
	VBROADCASTSS quantize<>+8(SB), Y13 \
	VBROADCASTSS quantize<>+12(SB), Y12 \
	VBROADCASTSS quantize<>+16(SB), Y11 \
	VMOVDQU order<>(SB), Y10

#define LOAD \
	VMOVUPS (SI), Y0 \
	VMOVUPS 32(SI), Y1 \
	VMOVUPS 64(SI), Y2 \
	VMOVUPS 96(SI), Y3

// TOP sets all lanes of Y4 to the largest magnitude in Y0 to Y3.
#define TOP \
	VANDPS Y13, Y0, Y4 \
	VANDPS Y13, Y1, Y5 \
	VANDPS Y13, Y2, Y6 \
	VANDPS Y13, Y3, Y7 \
	VMAXPS Y5, Y4, Y4 \
	VMAXPS Y7, Y6, Y6 \
	VMAXPS Y6, Y4, Y4 \
	VPERM2F128 $1, Y4, Y4, Y5 \
	VMAXPS Y5, Y4, Y4 \
	VPERMILPS $0x4e, Y4, Y5 \
	VMAXPS Y5, Y4, Y4 \
	VPERMILPS $0xb1, Y4, Y5 \
	VMAXPS Y5, Y4, Y4

// ROUND rounds Y0 to Y3 by the largest magnitude, which all lanes of Y4 hold.
#define ROUND \
	VCMPPS $13, Y14, Y4, Y6 \
	VDIVPS Y4, Y15, Y5 \
	VANDPS Y6, Y5, Y5 \
	VDIVSS X15, X4, X4 \
	VANDPS X6, X4, X4 \
	VMOVSS X4, (DX) \
	VMULPS Y5, Y0, Y0 \
	VMULPS Y5, Y1, Y1 \
	VMULPS Y5, Y2, Y2 \
	VMULPS Y5, Y3, Y3 \
	VCVTPS2DQ Y0, Y0 \
	VCVTPS2DQ Y1, Y1 \
	VCVTPS2DQ Y2, Y2 \
	VCVTPS2DQ Y3, Y3 \
	VPACKSSDW Y1, Y0, Y0 \
	VPACKSSDW Y3, Y2, Y2 \
	VPACKSSWB Y2, Y0, Y0 \
	VPERMD Y0, Y10, Y0 \
	VMOVDQU Y0, (DI) \
	VPMADDUBSW Y0, Y12, Y1 \
	VPMADDWD Y11, Y1, Y1 \
	VPHADDD Y1, Y1, Y1 \
	VPHADDD Y1, Y1, Y1 \
	VEXTRACTI128 $1, Y1, X2 \
	VMOVD X1, (BX) \
	VMOVD X2, 4(BX)

// func quantizeAVX2(q *int8, d *float32, sums *int32, x *float32, blocks int)
// Requires: AVX2
TEXT ·quantizeAVX2(SB), NOSPLIT, $0-40
	MOVQ q+0(FP), DI
	MOVQ d+8(FP), DX
	MOVQ sums+16(FP), BX
	MOVQ x+24(FP), SI
	MOVQ blocks+32(FP), CX
	CONSTANTS
block:
	LOAD
	TOP
	ROUND
	ADDQ $128, SI
	ADDQ $32, DI
	ADDQ $4, DX
	ADDQ $8, BX
	DECQ CX
	JNZ block
	VZEROUPPER
	RET

// func quantizeWideAVX2(q *int8, d *float32, sums *int32, x *float32, blocks, span int)
// The same for blocks of which span at a time share the largest magnitude.
// Requires: AVX2
TEXT ·quantizeWideAVX2(SB), NOSPLIT, $0-48
	MOVQ q+0(FP), DI
	MOVQ d+8(FP), DX
	MOVQ sums+16(FP), BX
	MOVQ x+24(FP), SI
	MOVQ blocks+32(FP), CX
	MOVQ span+40(FP), R8
	CONSTANTS
span:
	VXORPS Y9, Y9, Y9
	MOVQ R8, AX
	MOVQ SI, R9
top:
	LOAD
	TOP
	VMAXPS Y4, Y9, Y9
	ADDQ $128, SI
	DECQ AX
	JNZ top
	MOVQ R9, SI
	MOVQ R8, AX
round:
	LOAD
	VMOVAPS Y9, Y4
	ROUND
	ADDQ $128, SI
	ADDQ $32, DI
	ADDQ $4, DX
	ADDQ $8, BX
	DECQ AX
	JNZ round
	SUBQ R8, CX
	JNZ span
	VZEROUPPER
	RET
