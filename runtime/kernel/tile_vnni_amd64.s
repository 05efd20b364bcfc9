//go:build !purego

#include "textflag.h"
#include "go_asm.h"

// Panels of 16 rows times columns of a group, with VPDPBUSD: unsigned weights
// times signed activations. Adding 128 to every weight is taken back by starting
// the integer sums at -128*Σq. Per column c: Zc is the float sum, Z(8+c) the
// integer sum. No operation fuses, and float operations keep the generic order.
//
// DI panel bytes, SI group bytes, R8 panel scales, R9 group scales, R10 group
// biases, R11 panel mins or nil, R12 group sums, CX blocks left.

#define LOAD_ARGS \
	MOVQ a+0(FP), AX \
	MOVQ tileArgs_v(AX), DI \
	MOVQ tileArgs_q(AX), SI \
	MOVQ tileArgs_scale(AX), R8 \
	MOVQ tileArgs_d(AX), R9 \
	MOVQ tileArgs_bias(AX), R10 \
	MOVQ tileArgs_min(AX), R11 \
	MOVQ tileArgs_dsum(AX), R12 \
	MOVQ tileArgs_dst(AX), DX \
	MOVQ tileArgs_blocks(AX), CX

#define BIAS4 \
	VPBROADCASTD 0(R10), Z8 \
	VPBROADCASTD 4(R10), Z9 \
	VPBROADCASTD 8(R10), Z10 \
	VPBROADCASTD 12(R10), Z11

#define BIAS8 \
	BIAS4 \
	VPBROADCASTD 16(R10), Z12 \
	VPBROADCASTD 20(R10), Z13 \
	VPBROADCASTD 24(R10), Z14 \
	VPBROADCASTD 28(R10), Z15

// DOT4 adds four elements of each row times those of four columns; W is a
// register for the weights.
#define DOT4(j, W) \
	VMOVDQU32 (j*64)(DI), W \
	VPDPBUSD.BCST (j*32+0)(SI), W, Z8 \
	VPDPBUSD.BCST (j*32+4)(SI), W, Z9 \
	VPDPBUSD.BCST (j*32+8)(SI), W, Z10 \
	VPDPBUSD.BCST (j*32+12)(SI), W, Z11

#define DOT8(j, W) \
	DOT4(j, W) \
	VPDPBUSD.BCST (j*32+16)(SI), W, Z12 \
	VPDPBUSD.BCST (j*32+20)(SI), W, Z13 \
	VPDPBUSD.BCST (j*32+24)(SI), W, Z14 \
	VPDPBUSD.BCST (j*32+28)(SI), W, Z15

// SCALE adds the integer sum I of column c to its float sum F.
#define SCALE(c, I, F, T) \
	VCVTDQ2PS I, I \
	VMULPS.BCST (4*c)(R9), Z24, T \
	VMULPS T, I, I \
	VADDPS I, F, F

#define SCALE4 \
	VMOVUPS (R8), Z24 \
	SCALE(0, Z8, Z0, Z25) \
	SCALE(1, Z9, Z1, Z26) \
	SCALE(2, Z10, Z2, Z27) \
	SCALE(3, Z11, Z3, Z28)

#define SCALE8 \
	SCALE4 \
	SCALE(4, Z12, Z4, Z25) \
	SCALE(5, Z13, Z5, Z26) \
	SCALE(6, Z14, Z6, Z27) \
	SCALE(7, Z15, Z7, Z28)

#define MIN(c, F, T) \
	VMULPS.BCST (4*c)(R12), Z24, T \
	VADDPS T, F, F

#define MIN4 \
	VMOVUPS (R11), Z24 \
	ADDQ $64, R11 \
	MIN(0, Z0, Z25) \
	MIN(1, Z1, Z26) \
	MIN(2, Z2, Z27) \
	MIN(3, Z3, Z28)

#define MIN8 \
	MIN4 \
	MIN(4, Z4, Z25) \
	MIN(5, Z5, Z26) \
	MIN(6, Z6, Z27) \
	MIN(7, Z7, Z28)

#define ZERO4 \
	VPXORD Z0, Z0, Z0 \
	VPXORD Z1, Z1, Z1 \
	VPXORD Z2, Z2, Z2 \
	VPXORD Z3, Z3, Z3

#define ZERO8 \
	ZERO4 \
	VPXORD Z4, Z4, Z4 \
	VPXORD Z5, Z5, Z5 \
	VPXORD Z6, Z6, Z6 \
	VPXORD Z7, Z7, Z7

#define STORE4 \
	VMOVUPS Z0, (DX) \
	VMOVUPS Z1, 64(DX) \
	VMOVUPS Z2, 128(DX) \
	VMOVUPS Z3, 192(DX)

#define STORE8 \
	STORE4 \
	VMOVUPS Z4, 256(DX) \
	VMOVUPS Z5, 320(DX) \
	VMOVUPS Z6, 384(DX) \
	VMOVUPS Z7, 448(DX)

// TILE is a loop over blocks of 32 that share a scale, and perhaps have a min.
#define TILE(ZERO, BIAS, DOT, SCALES, MINS, STORE) \
	LOAD_ARGS \
	ZERO \
block: \
	BIAS \
	DOT(0, Z16) \
	DOT(1, Z17) \
	DOT(2, Z18) \
	DOT(3, Z19) \
	DOT(4, Z16) \
	DOT(5, Z17) \
	DOT(6, Z18) \
	DOT(7, Z19) \
	SCALES \
	TESTQ R11, R11 \
	JZ next \
	MINS \
next: \
	ADDQ $512, DI \
	ADDQ $256, SI \
	ADDQ $64, R8 \
	ADDQ $32, R9 \
	ADDQ $32, R10 \
	ADDQ $32, R12 \
	DECQ CX \
	JNZ block \
	STORE \
	VZEROUPPER \
	RET

// TILE16 is a loop over blocks of 32 with a scale for each 16.
#define TILE16(ZERO, BIAS, DOT, SCALES, STORE) \
	LOAD_ARGS \
	ZERO \
block: \
	BIAS \
	DOT(0, Z16) \
	DOT(1, Z17) \
	DOT(2, Z18) \
	DOT(3, Z19) \
	SCALES \
	ADDQ $64, R8 \
	ADDQ $32, R10 \
	BIAS \
	DOT(4, Z16) \
	DOT(5, Z17) \
	DOT(6, Z18) \
	DOT(7, Z19) \
	SCALES \
	ADDQ $512, DI \
	ADDQ $256, SI \
	ADDQ $64, R8 \
	ADDQ $32, R9 \
	ADDQ $32, R10 \
	DECQ CX \
	JNZ block \
	STORE \
	VZEROUPPER \
	RET

// func tile8VNNI(a *tileArgs)
// Requires: AVX512F, AVX512VNNI
TEXT ·tile8VNNI(SB), NOSPLIT, $0-8
	TILE(ZERO8, BIAS8, DOT8, SCALE8, MIN8, STORE8)

// func tile4VNNI(a *tileArgs)
// Requires: AVX512F, AVX512VNNI
TEXT ·tile4VNNI(SB), NOSPLIT, $0-8
	TILE(ZERO4, BIAS4, DOT4, SCALE4, MIN4, STORE4)

// func tile8x16VNNI(a *tileArgs)
// Requires: AVX512F, AVX512VNNI
TEXT ·tile8x16VNNI(SB), NOSPLIT, $0-8
	TILE16(ZERO8, BIAS8, DOT8, SCALE8, STORE8)

// func tile4x16VNNI(a *tileArgs)
// Requires: AVX512F, AVX512VNNI
TEXT ·tile4x16VNNI(SB), NOSPLIT, $0-8
	TILE16(ZERO4, BIAS4, DOT4, SCALE4, STORE4)
