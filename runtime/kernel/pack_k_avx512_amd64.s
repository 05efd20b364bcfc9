//go:build !purego

#include "textflag.h"
#include "go_asm.h"
#include "rows_amd64.h"
#include "pack_amd64.h"

// Panels of Q4_K and Q5_K, 256 elements at a time. Z16 is d and Z17 -dmin of the
// rows, Z18 their offsets, Z19 to Z22 six-bit scales and minimums of groups 0 to
// 3 and 4 to 7, a byte each; R14 panel mins.

DATA kmasks<>+0(SB)/4, $0x80808080
DATA kmasks<>+4(SB)/4, $0x0f0f0f0f
DATA kmasks<>+8(SB)/4, $0x30303030
DATA kmasks<>+12(SB)/4, $0x3f3f3f3f
DATA kmasks<>+16(SB)/4, $0x10101010
DATA kmasks<>+20(SB)/4, $0x80000000
GLOBL kmasks<>(SB), RODATA|NOPTR, $24

DATA krow<>+0(SB)/8, $0x0000000100000000
DATA krow<>+8(SB)/8, $0x0000000300000002
DATA krow<>+16(SB)/8, $0x0000000500000004
DATA krow<>+24(SB)/8, $0x0000000700000006
DATA krow<>+32(SB)/8, $0x0000000900000008
DATA krow<>+40(SB)/8, $0x0000000b0000000a
DATA krow<>+48(SB)/8, $0x0000000d0000000c
DATA krow<>+56(SB)/8, $0x0000000f0000000e
GLOBL krow<>(SB), RODATA|NOPTR, $64

#define LOAD_K \
	MOVQ a+0(FP), AX \
	MOVQ packArgs_min(AX), R14 \
	LOAD_ARGS \
	VPBROADCASTD R10, Z18 \
	VPMULLD krow<>(SB), Z18, Z18 \
	VPBROADCASTD kmasks<>+0(SB), Z31 \
	VPBROADCASTD kmasks<>+4(SB), Z30 \
	VPBROADCASTD kmasks<>+8(SB), Z29 \
	VPBROADCASTD kmasks<>+12(SB), Z28 \
	VPBROADCASTD kmasks<>+16(SB), Z27 \
	VPBROADCASTD kmasks<>+20(SB), Z26

#define GATHER(o, R) \
	KXNORW K1, K1, K1 \
	VPGATHERDD o(R8)(Z18*1), K1, R

// BYTE stores byte n of every dword of R, shifted to the top by SH, times F at o.
#define BYTE(R, SH, F, o) \
	VPSLLD SH, R, Z0 \
	VPSRLD $24, Z0, Z0 \
	VCVTDQ2PS Z0, Z0 \
	VMULPS F, Z0, Z0 \
	VMOVUPS Z0, o

#define BYTES(R, F, o, P) \
	BYTE(R, $24, F, (o)(P)) \
	BYTE(R, $16, F, (o+64)(P)) \
	BYTE(R, $8, F, (o+128)(P)) \
	BYTE(R, $0, F, (o+192)(P))

#define SCALES \
	GATHER(0, Z0) \
	VPMOVDW Z0, Y16 \
	VPSRLD $16, Z0, Z0 \
	VPMOVDW Z0, Y17 \
	VCVTPH2PS Y16, Z16 \
	VCVTPH2PS Y17, Z17 \
	VPXORD Z26, Z17, Z17 \
	GATHER(4, Z4) \
	GATHER(8, Z5) \
	GATHER(12, Z6) \
	VPANDD Z28, Z4, Z19 \
	VPANDD Z28, Z5, Z20 \
	VPANDD Z30, Z6, Z21 \
	VPSRLD $2, Z4, Z4 \
	VPTERNLOGD $0xf8, Z29, Z4, Z21 \
	VPSRLD $4, Z6, Z22 \
	VPANDD Z30, Z22, Z22 \
	VPSRLD $2, Z5, Z5 \
	VPTERNLOGD $0xf8, Z29, Z5, Z22 \
	BYTES(Z19, Z16, 0, BX) \
	BYTES(Z21, Z16, 256, BX) \
	BYTES(Z20, Z17, 0, R14) \
	BYTES(Z22, Z17, 256, R14) \
	ADDQ $512, BX \
	ADDQ $512, R14

// NIBBLES splits Z4-Z7 into low nibbles there and high ones in Z8-Z11, 128 added.
#define NIBBLES(R, S) \
	VPSRLD $4, R, S \
	VPANDD Z30, R, R \
	VPANDD Z30, S, S \
	VPORD Z31, R, R \
	VPORD Z31, S, S

#define LOADS(o) \
	LOAD0(o, X4, Z4) \
	LOAD1(o, X5, Z5) \
	LOAD2(o, X6, Z6) \
	LOAD3(o, X7, Z7) \
	NIBBLES(Z4, Z8) \
	NIBBLES(Z5, Z9) \
	NIBBLES(Z6, Z10) \
	NIBBLES(Z7, Z11)

#define CHUNK4(o, c, h) \
	FETCH4(0) \
	PREFETCHT0 256(AX) \
	ADDQ $288, AX \
	LOADS(o+32*c+16*h) \
	STORE(Z4, Z5, Z6, Z7, 1024*c+256*h) \
	STORE(Z8, Z9, Z10, Z11, 1024*c+256*h+512)

// func packQ4_KAVX512(a *packArgs)
// Requires: AVX512F, AVX512BW
TEXT ·packQ4_KAVX512(SB), NOSPLIT, $0-8
	LOAD_K
block4:
	SCALES
	CHUNK4(16, 0, 0)
	CHUNK4(16, 0, 1)
	CHUNK4(16, 1, 0)
	CHUNK4(16, 1, 1)
	CHUNK4(16, 2, 0)
	CHUNK4(16, 2, 1)
	CHUNK4(16, 3, 0)
	CHUNK4(16, 3, 1)
	ADDQ $4096, DI
	ADDQ $144, R8
	ADDQ $144, R9
	DECQ CX
	JNZ block4
	VZEROUPPER
	RET

// FIFTH adds the fifth bit from Z12-Z15, shifted into place, to A, B, C and D.
#define FIFTH(SHIFT, SH, A, B, C, D) \
	SHIFT SH, Z12, Z0 \
	SHIFT SH, Z13, Z1 \
	SHIFT SH, Z14, Z2 \
	SHIFT SH, Z15, Z3 \
	VPTERNLOGD $0xf8, Z27, Z0, A \
	VPTERNLOGD $0xf8, Z27, Z1, B \
	VPTERNLOGD $0xf8, Z27, Z2, C \
	VPTERNLOGD $0xf8, Z27, Z3, D

#define CHUNK5(c, h, S0, N0, S1, N1) \
	FETCH4(0) \
	FETCH4(256) \
	ADDQ $352, AX \
	LOADS(48+32*c+16*h) \
	FIFTH(S0, N0, Z4, Z5, Z6, Z7) \
	FIFTH(S1, N1, Z8, Z9, Z10, Z11) \
	STORE(Z4, Z5, Z6, Z7, 1024*c+256*h) \
	STORE(Z8, Z9, Z10, Z11, 1024*c+256*h+512)

#define HALF5(h) \
	LOAD0(16+16*h, X12, Z12) \
	LOAD1(16+16*h, X13, Z13) \
	LOAD2(16+16*h, X14, Z14) \
	LOAD3(16+16*h, X15, Z15) \
	CHUNK5(0, h, VPSLLD, $4, VPSLLD, $3) \
	CHUNK5(1, h, VPSLLD, $2, VPSLLD, $1) \
	CHUNK5(2, h, VPSLLD, $0, VPSRLD, $1) \
	CHUNK5(3, h, VPSRLD, $2, VPSRLD, $3)

// func packQ5_KAVX512(a *packArgs)
// Requires: AVX512F, AVX512BW
TEXT ·packQ5_KAVX512(SB), NOSPLIT, $0-8
	LOAD_K
block5:
	SCALES
	HALF5(0)
	HALF5(1)
	ADDQ $4096, DI
	ADDQ $176, R8
	ADDQ $176, R9
	DECQ CX
	JNZ block5
	VZEROUPPER
	RET
