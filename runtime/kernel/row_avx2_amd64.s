//go:build !purego

#include "textflag.h"
#include "go_asm.h"

// One row of quantised weights times one column for AVX2. VPMADDUBSW wants one
// unsigned factor, so |v| goes with q under the sign of v. Its sums of two cannot
// overflow: 2*128*127 < 2^15.
//
// DI weights, SI column, DX its scales, CX blocks of 32 left, X0 the float sum.

DATA consts<>+0(SB)/4, $0x00010001
DATA consts<>+4(SB)/4, $0x0f0f0f0f
DATA consts<>+8(SB)/4, $0x08080808
DATA consts<>+12(SB)/4, $0
GLOBL consts<>(SB), RODATA|NOPTR, $16

#define LOAD_ARGS \
	MOVQ a+0(FP), AX \
	MOVQ rowArgs_v(AX), DI \
	MOVQ rowArgs_scale(AX), R8 \
	MOVQ rowArgs_min(AX), R9 \
	MOVQ rowArgs_q(AX), SI \
	MOVQ rowArgs_d(AX), DX \
	MOVQ rowArgs_dsum(AX), R10 \
	MOVQ rowArgs_blocks(AX), CX \
	VPBROADCASTD consts<>+0(SB), Y15 \
	VXORPS X0, X0, X0

// DOT sets Y1 to eight partial sums of the 32 products of Y1 and (SI).
#define DOT \
	VMOVDQU (SI), Y2 \
	VPSIGNB Y1, Y2, Y2 \
	VPABSB Y1, Y1 \
	VPMADDUBSW Y2, Y1, Y1 \
	VPMADDWD Y15, Y1, Y1

// SUM adds the lanes of Y1 into X1.
#define SUM \
	VEXTRACTI128 $1, Y1, X2 \
	VPADDD X2, X1, X1 \
	VPSHUFD $0x4e, X1, X2 \
	VPADDD X2, X1, X1 \
	VPSHUFD $0xb1, X1, X2 \
	VPADDD X2, X1, X1

// ADD adds the integer I with the row's scale S to the float sum.
#define ADD(I, S) \
	VCVTDQ2PS I, I \
	VMULSS (DX), S, S \
	VMULSS S, I, I \
	VADDSS I, X0, X0

#define DONE \
	VZEROUPPER \
	MOVSS X0, ret+8(FP) \
	RET

// func rowAVX2(a *rowArgs) float32
// Requires: AVX2
TEXT ·rowAVX2(SB), NOSPLIT, $0-12
	LOAD_ARGS
block:
	VMOVDQU (DI), Y1
	DOT
	SUM
	VMOVSS (R8), X3
	ADD(X1, X3)
	TESTQ R9, R9
	JZ next
	VMOVSS (R9), X3
	VMULSS (R10), X3, X3
	VADDSS X3, X0, X0
	ADDQ $4, R9
	ADDQ $4, R10
next:
	ADDQ $32, DI
	ADDQ $32, SI
	ADDQ $4, R8
	ADDQ $4, DX
	DECQ CX
	JNZ block
	DONE

// func row16AVX2(a *rowArgs) float32
// Requires: AVX2
TEXT ·row16AVX2(SB), NOSPLIT, $0-12
	LOAD_ARGS
block16:
	VMOVDQU (DI), Y1
	DOT
	VPHADDD Y1, Y1, Y1
	VPHADDD Y1, Y1, Y1
	VEXTRACTI128 $1, Y1, X4
	VMOVSS (R8), X3
	ADD(X1, X3)
	VMOVSS 4(R8), X3
	ADD(X4, X3)
	ADDQ $32, DI
	ADDQ $32, SI
	ADDQ $8, R8
	ADDQ $4, DX
	DECQ CX
	JNZ block16
	DONE

// HALF sets X3 to the half at (DI).
#define HALF \
	MOVWLZX (DI), AX \
	VMOVD AX, X3 \
	VCVTPH2PS X3, X3

// func rowQ8_0AVX2(a *rowArgs) float32
// Requires: AVX2, F16C
TEXT ·rowQ8_0AVX2(SB), NOSPLIT, $0-12
	LOAD_ARGS
block8:
	VMOVDQU 2(DI), Y1
	DOT
	SUM
	HALF
	ADD(X1, X3)
	ADDQ $34, DI
	ADDQ $32, SI
	ADDQ $4, DX
	DECQ CX
	JNZ block8
	DONE

// func rowQ4_0AVX2(a *rowArgs) float32
// Requires: AVX2, F16C
TEXT ·rowQ4_0AVX2(SB), NOSPLIT, $0-12
	LOAD_ARGS
	VPBROADCASTD consts<>+4(SB), Y14
	VPBROADCASTD consts<>+8(SB), Y13
block4:
	VMOVDQU 2(DI), X1
	VPSRLW $4, X1, X2
	VINSERTI128 $1, X2, Y1, Y1
	VPAND Y14, Y1, Y1
	VPSUBB Y13, Y1, Y1
	DOT
	SUM
	HALF
	ADD(X1, X3)
	ADDQ $18, DI
	ADDQ $32, SI
	ADDQ $4, DX
	DECQ CX
	JNZ block4
	DONE
