//go:build !purego

#include "textflag.h"
#include "go_asm.h"
#include "rows_amd64.h"

// Panels from sixteen rows of blocks: a vector of 16 bytes of each of rows i,
// i+4, i+8 and i+12 for i from 0 to 3, and a transposition of four by four dwords
// in each of its quarters, put the rows side by side in order.
//
// Registers as in rows_amd64.h, and DI panel bytes, BX panel scales, CX blocks
// left.

#define LOAD_ARGS \
	MOVQ a+0(FP), AX \
	MOVQ packArgs_w(AX), R8 \
	MOVQ packArgs_stride(AX), R10 \
	MOVQ packArgs_v(AX), DI \
	MOVQ packArgs_scale(AX), BX \
	MOVQ packArgs_blocks(AX), CX \
	STRIDES \
	AHEAD

// STORE transposes A, B, C and D and stores the panel's bytes at o, for 16 of
// each row. It uses Z0 to Z3.
#define STORE(A, B, C, D, o) \
	VPUNPCKLDQ B, A, Z0 \
	VPUNPCKHDQ B, A, Z1 \
	VPUNPCKLDQ D, C, Z2 \
	VPUNPCKHDQ D, C, Z3 \
	VPUNPCKLQDQ Z2, Z0, A \
	VPUNPCKHQDQ Z2, Z0, B \
	VPUNPCKLQDQ Z3, Z1, C \
	VPUNPCKHQDQ Z3, Z1, D \
	VMOVDQU32 A, (o)(DI) \
	VMOVDQU32 B, (o+64)(DI) \
	VMOVDQU32 C, (o+128)(DI) \
	VMOVDQU32 D, (o+192)(DI)

// OP4 applies an instruction with R to A, B, C and D.
#define OP4(OP, R, A, B, C, D) \
	OP R, A, A \
	OP R, B, B \
	OP R, C, C \
	OP R, D, D

DATA masks<>+0(SB)/4, $0x80808080
DATA masks<>+4(SB)/4, $0x0f0f0f0f
DATA masks<>+8(SB)/4, $0x30303030
DATA masks<>+12(SB)/4, $0x78787878 // 128 - 8
DATA masks<>+16(SB)/4, $0x60606060 // 128 - 32
DATA masks<>+20(SB)/4, $0
GLOBL masks<>(SB), RODATA|NOPTR, $24

// func packQ8_0AVX512(a *packArgs)
// Requires: AVX512F, AVX512BW
TEXT ·packQ8_0AVX512(SB), NOSPLIT, $0-8
	LOAD_ARGS
	VPBROADCASTD masks<>+0(SB), Z30
block8:
	FETCH4(0)
	FETCH4(256)
	PREFETCHT0 512(AX)
	ADDQ $544, AX
	LOAD0(2, X4, Z4)
	LOAD1(2, X5, Z5)
	LOAD2(2, X6, Z6)
	LOAD3(2, X7, Z7)
	LOAD0(18, X8, Z8)
	LOAD1(18, X9, Z9)
	LOAD2(18, X10, Z10)
	LOAD3(18, X11, Z11)
	OP4(VPXORD, Z30, Z4, Z5, Z6, Z7)
	OP4(VPXORD, Z30, Z8, Z9, Z10, Z11)
	STORE(Z4, Z5, Z6, Z7, 0)
	STORE(Z8, Z9, Z10, Z11, 256)
	HALVES
	VMOVUPS Z20, (BX)
	ADDQ $34, R8
	ADDQ $34, R9
	ADDQ $512, DI
	ADDQ $64, BX
	DECQ CX
	JNZ block8
	VZEROUPPER
	RET

// func packQ4_0AVX512(a *packArgs)
// Requires: AVX512F, AVX512BW
TEXT ·packQ4_0AVX512(SB), NOSPLIT, $0-8
	LOAD_ARGS
	VPBROADCASTD masks<>+4(SB), Z30
	VPBROADCASTD masks<>+12(SB), Z29
block4:
	FETCH4(0)
	PREFETCHT0 256(AX)
	ADDQ $288, AX
	LOAD0(2, X4, Z4)
	LOAD1(2, X5, Z5)
	LOAD2(2, X6, Z6)
	LOAD3(2, X7, Z7)
	VPSRLD $4, Z4, Z8
	VPSRLD $4, Z5, Z9
	VPSRLD $4, Z6, Z10
	VPSRLD $4, Z7, Z11
	OP4(VPANDD, Z30, Z4, Z5, Z6, Z7)
	OP4(VPANDD, Z30, Z8, Z9, Z10, Z11)
	OP4(VPADDB, Z29, Z4, Z5, Z6, Z7)
	OP4(VPADDB, Z29, Z8, Z9, Z10, Z11)
	STORE(Z4, Z5, Z6, Z7, 0)
	STORE(Z8, Z9, Z10, Z11, 256)
	HALVES
	VMOVUPS Z20, (BX)
	ADDQ $18, R8
	ADDQ $18, R9
	ADDQ $512, DI
	ADDQ $64, BX
	DECQ CX
	JNZ block4
	VZEROUPPER
	RET

// The Q6_K loop is that of column_vnni_amd64.s: Z8-Z11 and Z12-Z15 are low bytes
// l and l+32, Z16-Z19 the high bytes.

#define LOW(SH, L, H, T) \
	VPSLLD SH, H, Z0 \
	VPANDD Z30, L, T \
	VPTERNLOGD $0xf8, Z29, Z0, T \
	VPADDB Z28, T, T

#define HIGH(SH, L, H, T) \
	VPSRLD SH, H, Z0 \
	VPSRLD $4, L, T \
	VPANDD Z30, T, T \
	VPTERNLOGD $0xf8, Z29, Z0, T \
	VPADDB Z28, T, T

#define GROUP6(OP, SH, L0, L1, L2, L3, o) \
	OP(SH, L0, Z16, Z4) \
	OP(SH, L1, Z17, Z5) \
	OP(SH, L2, Z18, Z6) \
	OP(SH, L3, Z19, Z7) \
	STORE(Z4, Z5, Z6, Z7, o)

#define HALF6(h, LQ, LH) \
	FETCH4(0) \
	FETCH4(256) \
	FETCH4(512) \
	PREFETCHT0 768(AX) \
	ADDQ $840, AX \
	LOAD0(LQ, X8, Z8) \
	LOAD1(LQ, X9, Z9) \
	LOAD2(LQ, X10, Z10) \
	LOAD3(LQ, X11, Z11) \
	LOAD0(LQ+32, X12, Z12) \
	LOAD1(LQ+32, X13, Z13) \
	LOAD2(LQ+32, X14, Z14) \
	LOAD3(LQ+32, X15, Z15) \
	LOAD0(LH, X16, Z16) \
	LOAD1(LH, X17, Z17) \
	LOAD2(LH, X18, Z18) \
	LOAD3(LH, X19, Z19) \
	GROUP6(LOW, $4, Z8, Z9, Z10, Z11, 256*h) \
	GROUP6(LOW, $2, Z12, Z13, Z14, Z15, 256*h+512) \
	GROUP6(HIGH, $0, Z8, Z9, Z10, Z11, 256*h+1024) \
	GROUP6(HIGH, $2, Z12, Z13, Z14, Z15, 256*h+1536)

// SCALE6 stores the scales of a group, the bytes Z22 shifted left by SH.
#define SCALE6(SH, o) \
	VPSLLD SH, Z22, Z0 \
	VPSRAD $24, Z0, Z0 \
	VCVTDQ2PS Z0, Z0 \
	VMULPS Z21, Z0, Z0 \
	VMOVUPS Z0, o(BX)

#define SCALES6(S, o) \
	KXNORW K1, K1, K1 \
	VPGATHERDD S(R8)(Z20*1), K1, Z22 \
	SCALE6($24, o) \
	SCALE6($16, o+64) \
	SCALE6($8, o+128) \
	SCALE6($0, o+192)

// func packQ6_KAVX512(a *packArgs)
// Requires: AVX512F, AVX512BW
TEXT ·packQ6_KAVX512(SB), NOSPLIT, $0-8
	LOAD_ARGS
	VPBROADCASTD R10, Z20
	VPMULLD row<>(SB), Z20, Z20 // the rows' offsets
	VPBROADCASTD masks<>+4(SB), Z30
	VPBROADCASTD masks<>+8(SB), Z29
	VPBROADCASTD masks<>+16(SB), Z28
block6:
	KXNORW K1, K1, K1
	VPGATHERDD 206(R8)(Z20*1), K1, Z21 // the last two bytes are d
	VPSRLD $16, Z21, Z21
	VPMOVDW Z21, Y21
	VCVTPH2PS Y21, Z21
	SCALES6(192, 0)
	SCALES6(196, 256)
	SCALES6(200, 512)
	SCALES6(204, 768)
	HALF6(0, 0, 128)
	HALF6(1, 16, 144)
	ADDQ $2048, DI
	HALF6(0, 64, 160)
	HALF6(1, 80, 176)
	ADDQ $2048, DI
	ADDQ $1024, BX
	ADDQ $210, R8
	ADDQ $210, R9
	DECQ CX
	JNZ block6
	VZEROUPPER
	RET

DATA row<>+0(SB)/8, $0x0000000100000000
DATA row<>+8(SB)/8, $0x0000000300000002
DATA row<>+16(SB)/8, $0x0000000500000004
DATA row<>+24(SB)/8, $0x0000000700000006
DATA row<>+32(SB)/8, $0x0000000900000008
DATA row<>+40(SB)/8, $0x0000000b0000000a
DATA row<>+48(SB)/8, $0x0000000d0000000c
DATA row<>+56(SB)/8, $0x0000000f0000000e
GLOBL row<>(SB), RODATA|NOPTR, $64
