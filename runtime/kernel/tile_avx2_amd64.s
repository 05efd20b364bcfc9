//go:build !purego

#include "textflag.h"
#include "go_asm.h"

DATA tconsts<>+0(SB)/4, $0x00010001
DATA tconsts<>+4(SB)/4, $0x80808080
GLOBL tconsts<>(SB), RODATA|NOPTR, $8

// The sign trick is that of row_avx2_amd64.s.
//
// Eight rows of a panel times four columns of a group. Y0-Y3 are the float sums,
// Y4-Y7 the integer sums; DI panel bytes, SI group bytes, R8 panel scales, R9
// group scales, R11 panel mins or nil, R12 group sums.

// FOUR adds the product of four elements of each row with those of column c.
#define FOUR(j, c, I) \
	VPBROADCASTD (j*32+4*c)(SI), Y10 \
	VPSIGNB Y8, Y10, Y10 \
	VPMADDUBSW Y10, Y9, Y10 \
	VPMADDWD Y15, Y10, Y10 \
	VPADDD Y10, I, I

#define ROWS(j) \
	VPXOR (j*64)(DI), Y14, Y8 \
	VPABSB Y8, Y9 \
	FOUR(j, 0, Y4) \
	FOUR(j, 1, Y5) \
	FOUR(j, 2, Y6) \
	FOUR(j, 3, Y7)

#define ZERO(A, B, C, D) \
	VPXOR A, A, A \
	VPXOR B, B, B \
	VPXOR C, C, C \
	VPXOR D, D, D

#define SCALE(c, I, F) \
	VBROADCASTSS (4*c)(R9), Y10 \
	VMULPS Y11, Y10, Y10 \
	VCVTDQ2PS I, I \
	VMULPS Y10, I, I \
	VADDPS I, F, F

#define SCALES \
	VMOVUPS (R8), Y11 \
	SCALE(0, Y4, Y0) \
	SCALE(1, Y5, Y1) \
	SCALE(2, Y6, Y2) \
	SCALE(3, Y7, Y3)

#define MIN(c, F) \
	VBROADCASTSS (4*c)(R12), Y10 \
	VMULPS Y11, Y10, Y10 \
	VADDPS Y10, F, F

#define LOAD_TILE \
	MOVQ a+0(FP), AX \
	MOVQ tileArgs_v(AX), DI \
	MOVQ tileArgs_q(AX), SI \
	MOVQ tileArgs_scale(AX), R8 \
	MOVQ tileArgs_d(AX), R9 \
	MOVQ tileArgs_min(AX), R11 \
	MOVQ tileArgs_dsum(AX), R12 \
	MOVQ tileArgs_dst(AX), DX \
	MOVQ tileArgs_blocks(AX), CX \
	VPBROADCASTD tconsts<>+0(SB), Y15 \
	VPBROADCASTD tconsts<>+4(SB), Y14 \
	ZERO(Y0, Y1, Y2, Y3)

#define STORE \
	VMOVUPS Y0, (DX) \
	VMOVUPS Y1, 64(DX) \
	VMOVUPS Y2, 128(DX) \
	VMOVUPS Y3, 192(DX) \
	VZEROUPPER \
	RET

// func tileAVX2(a *tileArgs)
// Requires: AVX2
TEXT ·tileAVX2(SB), NOSPLIT, $0-8
	LOAD_TILE
tile:
	ZERO(Y4, Y5, Y6, Y7)
	ROWS(0)
	ROWS(1)
	ROWS(2)
	ROWS(3)
	ROWS(4)
	ROWS(5)
	ROWS(6)
	ROWS(7)
	SCALES
	TESTQ R11, R11
	JZ nextTile
	VMOVUPS (R11), Y11
	MIN(0, Y0)
	MIN(1, Y1)
	MIN(2, Y2)
	MIN(3, Y3)
	ADDQ $64, R11
nextTile:
	ADDQ $512, DI
	ADDQ $256, SI
	ADDQ $64, R8
	ADDQ $32, R9
	ADDQ $32, R12
	DECQ CX
	JNZ tile
	STORE

// func tile16AVX2(a *tileArgs)
// Requires: AVX2
TEXT ·tile16AVX2(SB), NOSPLIT, $0-8
	LOAD_TILE
tile16:
	ZERO(Y4, Y5, Y6, Y7)
	ROWS(0)
	ROWS(1)
	ROWS(2)
	ROWS(3)
	SCALES
	ADDQ $64, R8
	ZERO(Y4, Y5, Y6, Y7)
	ROWS(4)
	ROWS(5)
	ROWS(6)
	ROWS(7)
	SCALES
	ADDQ $512, DI
	ADDQ $256, SI
	ADDQ $64, R8
	ADDQ $32, R9
	DECQ CX
	JNZ tile16
	STORE
