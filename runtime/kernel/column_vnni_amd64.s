//go:build !purego

#include "textflag.h"
#include "go_asm.h"
#include "rows_amd64.h"

// Sixteen rows times one column, straight from the file's blocks. A vector holds
// 16 bytes of each of four rows; VPDPBUSD leaves four partial sums per row, and
// TREE turns four such vectors into one of 16 sums, row after row.
//
// Registers as in rows_amd64.h, and SI column bytes, DX its scales, BX its biases,
// CX blocks left, DI result.

#define LOAD_ARGS \
	MOVQ a+0(FP), AX \
	MOVQ columnArgs_w(AX), R8 \
	MOVQ columnArgs_stride(AX), R10 \
	MOVQ columnArgs_q(AX), SI \
	MOVQ columnArgs_d(AX), DX \
	MOVQ columnArgs_bias(AX), BX \
	MOVQ columnArgs_blocks(AX), CX \
	MOVQ columnArgs_dst(AX), DI \
	STRIDES

// TREE reduces Z0 to Z3 to sums of four lanes in Z0. It uses Z4 and Z5.
#define TREE \
	VPUNPCKLDQ Z1, Z0, Z4 \
	VPUNPCKHDQ Z1, Z0, Z5 \
	VPADDD Z4, Z5, Z0 \
	VPUNPCKLDQ Z3, Z2, Z4 \
	VPUNPCKHDQ Z3, Z2, Z5 \
	VPADDD Z4, Z5, Z2 \
	VPUNPCKLQDQ Z2, Z0, Z4 \
	VPUNPCKHQDQ Z2, Z0, Z5 \
	VPADDD Z4, Z5, Z0

// ADD adds the integer sums Z0 with the row scales Z20 to the float sums Z31.
#define ADD \
	VPADDD.BCST (BX), Z0, Z0 \
	VCVTDQ2PS Z0, Z0 \
	VMULPS.BCST (DX), Z20, Z4 \
	VMULPS Z4, Z0, Z0 \
	VADDPS Z0, Z31, Z31

#define ZERO4 \
	VPXORD Z0, Z0, Z0 \
	VPXORD Z1, Z1, Z1 \
	VPXORD Z2, Z2, Z2 \
	VPXORD Z3, Z3, Z3

DATA bits<>+0(SB)/4, $0x80808080
DATA bits<>+4(SB)/4, $0x0f0f0f0f
DATA bits<>+8(SB)/4, $0x30303030
DATA bits<>+12(SB)/4, $0
GLOBL bits<>(SB), RODATA|NOPTR, $16

#define Q8(LOAD, o, X, Z, ACT, T) \
	LOAD(o, X, Z) \
	VPXORD Z30, Z, Z \
	VPDPBUSD ACT, Z, T

// func columnQ8_0VNNI(a *columnArgs)
// Requires: AVX512F, AVX512VNNI, AVX512BW
TEXT ·columnQ8_0VNNI(SB), NOSPLIT, $0-8
	LOAD_ARGS
	AHEAD
	VPBROADCASTD bits<>+0(SB), Z30
	VPXORD Z31, Z31, Z31
block8:
	FETCH4(0)
	FETCH4(256)
	PREFETCHT0 512(AX)
	ADDQ $544, AX
	VBROADCASTI32X4 (SI), Z28
	VBROADCASTI32X4 16(SI), Z29
	ZERO4
	Q8(LOAD0, 2, X6, Z6, Z28, Z0)
	Q8(LOAD1, 2, X7, Z7, Z28, Z1)
	Q8(LOAD2, 2, X8, Z8, Z28, Z2)
	Q8(LOAD3, 2, X9, Z9, Z28, Z3)
	Q8(LOAD0, 18, X10, Z10, Z29, Z0)
	Q8(LOAD1, 18, X11, Z11, Z29, Z1)
	Q8(LOAD2, 18, X12, Z12, Z29, Z2)
	Q8(LOAD3, 18, X13, Z13, Z29, Z3)
	HALVES
	TREE
	ADD
	ADDQ $34, R8
	ADDQ $34, R9
	ADDQ $32, SI
	ADDQ $4, DX
	ADDQ $4, BX
	DECQ CX
	JNZ block8
	VMOVUPS Z31, (DI)
	VZEROUPPER
	RET

#define Q4(LOAD, X, Z, U, T) \
	LOAD(2, X, Z) \
	VPSRLD $4, Z, U \
	VPANDD Z30, Z, Z \
	VPANDD Z30, U, U \
	VPDPBUSD Z28, Z, T \
	VPDPBUSD Z29, U, T

// func columnQ4_0VNNI(a *columnArgs)
// Requires: AVX512F, AVX512VNNI, AVX512BW
TEXT ·columnQ4_0VNNI(SB), NOSPLIT, $0-8
	LOAD_ARGS
	AHEAD
	VPBROADCASTD bits<>+4(SB), Z30
	VPXORD Z31, Z31, Z31
block4:
	FETCH4(0)
	PREFETCHT0 256(AX)
	ADDQ $288, AX
	VBROADCASTI32X4 (SI), Z28
	VBROADCASTI32X4 16(SI), Z29
	ZERO4
	Q4(LOAD0, X6, Z6, Z7, Z0)
	Q4(LOAD1, X8, Z8, Z9, Z1)
	Q4(LOAD2, X10, Z10, Z11, Z2)
	Q4(LOAD3, X12, Z12, Z13, Z3)
	HALVES
	TREE
	ADD
	ADDQ $18, R8
	ADDQ $18, R9
	ADDQ $32, SI
	ADDQ $4, DX
	ADDQ $4, BX
	DECQ CX
	JNZ block4
	VMOVUPS Z31, (DI)
	VZEROUPPER
	RET

// The Q6_K loop takes 128 elements, 64 low bytes and 32 high ones, in two halves:
// of four groups of 16 each, 32 elements apart. Z8-Z11 and Z12-Z15 are low bytes
// l and l+32, Z16-Z19 the high bytes. The sums of the eight groups wait in a
// buffer (R14) until all are there, so that they are added in order.

// DOT6 sets T to the dot product of L | (H & 0x30) and Z28.
#define DOT6(H, L, T) \
	VPTERNLOGD $0xf8, Z29, H, L \
	VPXORD T, T, T \
	VPDPBUSD Z28, L, T

#define LOW(SH, L, H, T) \
	VPSLLD SH, H, Z4 \
	VPANDD Z30, L, Z5 \
	DOT6(Z4, Z5, T)

#define HIGH(SH, L, H, T) \
	VPSRLD SH, H, Z4 \
	VPSRLD $4, L, Z5 \
	VPANDD Z30, Z5, Z5 \
	DOT6(Z4, Z5, T)

#define GROUP6(OP, SH, L0, L1, L2, L3, o, n) \
	VBROADCASTI32X4 o(SI), Z28 \
	OP(SH, L0, Z16, Z0) \
	OP(SH, L1, Z17, Z1) \
	OP(SH, L2, Z18, Z2) \
	OP(SH, L3, Z19, Z3) \
	TREE \
	VPADDD.BCST (4*n)(BX), Z0, Z0 \
	VMOVDQU32 Z0, (64*n)(R14)

// HALF6 does the groups h, h+2, h+4 and h+6.
#define HALF6(h, LQ, LH) \
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
	FETCH4(0) \
	FETCH4(256) \
	FETCH4(512) \
	PREFETCHT0 768(AX) \
	ADDQ $840, AX \
	GROUP6(LOW, $4, Z8, Z9, Z10, Z11, (16*h), (h)) \
	GROUP6(LOW, $2, Z12, Z13, Z14, Z15, (16*h+32), (h+2)) \
	GROUP6(HIGH, $0, Z8, Z9, Z10, Z11, (16*h+64), (h+4)) \
	GROUP6(HIGH, $2, Z12, Z13, Z14, Z15, (16*h+96), (h+6))

// SUM6 adds group n, whose scales are the bytes Z22 shifted left by SH.
#define SUM6(SH, n, b) \
	VPSLLD SH, Z22, Z4 \
	VPSRAD $24, Z4, Z4 \
	VCVTDQ2PS Z4, Z4 \
	VMULPS Z21, Z4, Z4 \
	VMULPS.BCST (4*b)(DX), Z4, Z4 \
	VCVTDQ2PS (64*n)(R14), Z0 \
	VMULPS Z4, Z0, Z0 \
	VADDPS Z0, Z31, Z31

#define PART6(LQ, LH, S) \
	HALF6(0, LQ, LH) \
	HALF6(1, LQ+16, LH+16) \
	KXNORW K1, K1, K1 \
	VPGATHERDD S(R8)(Z20*1), K1, Z22 \
	SUM6($24, 0, 0) \
	SUM6($16, 1, 0) \
	SUM6($8, 2, 1) \
	SUM6($0, 3, 1) \
	KXNORW K1, K1, K1 \
	VPGATHERDD (S+4)(R8)(Z20*1), K1, Z22 \
	SUM6($24, 4, 2) \
	SUM6($16, 5, 2) \
	SUM6($8, 6, 3) \
	SUM6($0, 7, 3) \
	ADDQ $128, SI \
	ADDQ $16, DX \
	ADDQ $32, BX

// func columnQ6_KVNNI(a *columnArgs)
// Requires: AVX512F, AVX512VNNI, AVX512BW
TEXT ·columnQ6_KVNNI(SB), NOSPLIT, $0-8
	LOAD_ARGS
	MOVQ columnArgs_buf(AX), R14
	AHEAD
	VPBROADCASTD R10, Z20
	VPMULLD iota<>(SB), Z20, Z20 // the rows' offsets
	VPBROADCASTD bits<>+4(SB), Z30
	VPBROADCASTD bits<>+8(SB), Z29
	VPXORD Z31, Z31, Z31
block6:
	KXNORW K1, K1, K1
	VPGATHERDD 206(R8)(Z20*1), K1, Z21 // the last two bytes are d
	VPSRLD $16, Z21, Z21
	VPMOVDW Z21, Y21
	VCVTPH2PS Y21, Z21
	PART6(0, 128, 192)
	PART6(64, 160, 200)
	ADDQ $210, R8
	ADDQ $210, R9
	DECQ CX
	JNZ block6
	VMOVUPS Z31, (DI)
	VZEROUPPER
	RET

DATA iota<>+0(SB)/4, $0
DATA iota<>+4(SB)/4, $1
DATA iota<>+8(SB)/4, $2
DATA iota<>+12(SB)/4, $3
DATA iota<>+16(SB)/4, $4
DATA iota<>+20(SB)/4, $5
DATA iota<>+24(SB)/4, $6
DATA iota<>+28(SB)/4, $7
DATA iota<>+32(SB)/4, $8
DATA iota<>+36(SB)/4, $9
DATA iota<>+40(SB)/4, $10
DATA iota<>+44(SB)/4, $11
DATA iota<>+48(SB)/4, $12
DATA iota<>+52(SB)/4, $13
DATA iota<>+56(SB)/4, $14
DATA iota<>+60(SB)/4, $15
GLOBL iota<>(SB), RODATA|NOPTR, $64
