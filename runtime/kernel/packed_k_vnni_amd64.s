//go:build !purego

#include "textflag.h"
#include "go_asm.h"
#include "packed_amd64.h"

DATA bits<>+0(SB)/4, $0x0f0f0f0f
DATA bits<>+4(SB)/4, $0x30303030
DATA bits<>+8(SB)/4, $0x80000000
GLOBL bits<>(SB), RODATA|NOPTR, $12

#define LOW(w, j, DOT, A) \
	VPANDD w(DI), Z30, A \
	DOT(j, A)

#define HIGH(w, j, DOT, A) \
	VPSRLD $4, w(DI), A \
	VPANDD Z30, A, A \
	DOT(j, A)

// HALF4 is the b-th 32 elements of a chunk of 64.
#define HALF4(b, PART, CLEAR, DOT, TIMES) \
	CLEAR \
	PART(64, (8*b+0), DOT, Z25) \
	PART(128, (8*b+1), DOT, Z26) \
	PART(192, (8*b+2), DOT, Z27) \
	PART(256, (8*b+3), DOT, Z25) \
	PART(320, (8*b+4), DOT, Z26) \
	PART(384, (8*b+5), DOT, Z27) \
	PART(448, (8*b+6), DOT, Z25) \
	PART(512, (8*b+7), DOT, Z26) \
	VPMOVZXBD (16*b)(DI), Z24 \
	VCVTDQ2PS Z24, Z24 \
	VMULPS Z28, Z24, Z24 \
	TIMES(Z24)

// PAIR adds the p-th two minimums times the columns' sums of their elements.
#define PAIR1(p) \
	VPMOVZXBW (576*p-2304+32)(DI), Z25 \
	VPDPWSSD.BCST (4*p)(R10), Z25, Z8

#define PAIR4(p) \
	VPMOVZXBW (576*p-2304+32)(DI), Z25 \
	VPDPWSSD.BCST (32*p+0)(R10), Z25, Z8 \
	VPDPWSSD.BCST (32*p+4)(R10), Z25, Z9 \
	VPDPWSSD.BCST (32*p+8)(R10), Z25, Z10 \
	VPDPWSSD.BCST (32*p+12)(R10), Z25, Z11

#define PAIR8(p) \
	PAIR4(p) \
	VPDPWSSD.BCST (32*p+16)(R10), Z25, Z12 \
	VPDPWSSD.BCST (32*p+20)(R10), Z25, Z13 \
	VPDPWSSD.BCST (32*p+24)(R10), Z25, Z14 \
	VPDPWSSD.BCST (32*p+28)(R10), Z25, Z15

// LOOP4K is a loop over blocks of 256: Z28 are their scales, Z29 their minimums.
#define LOOP4K(W, DONE, ZERO, CLEAR, DOT, TIMES, PAIR, FINISH, AHEAD, LINE, AFTER, RESULT) \
	LOAD_ARGS \
	VPBROADCASTD bits<>+0(SB), Z30 \
	VPBROADCASTD bits<>+8(SB), Z31 \
	DONE \
block: \
	VCVTPH2PS 0(DI), Z28 \
	VCVTPH2PS 32(DI), Z29 \
	VPXORD Z31, Z29, Z29 \
	LINE(4096) \
	ADDQ $64, DI \
	MOVQ $4, AX \
	ZERO \
chunk: \
	AHEAD(0) \
	AHEAD(256) \
	LINE(4608) \
	HALF4(0, LOW, CLEAR, DOT, TIMES) \
	HALF4(1, HIGH, CLEAR, DOT, TIMES) \
	ADDQ $576, DI \
	ADDQ $W, SI \
	DECQ AX \
	JNZ chunk \
	CLEAR \
	PAIR(0) \
	PAIR(1) \
	PAIR(2) \
	PAIR(3) \
	TIMES(Z29) \
	FINISH \
	AFTER(8, 4) \
	DECQ CX \
	JNZ block \
	RESULT

// func packed8Q4_KVNNI(a *packedArgs)
// Requires: AVX512F, AVX512BW, AVX512VNNI
TEXT ·packed8Q4_KVNNI(SB), NOSPLIT, $0-8
	LOOP4K(512, DONE8, ZERO8, CLEAR8, DOT8, TIMES8, PAIR8, FINISH8, AHEAD8, LINE8, AFTER8, RESULT8)

// func packed4Q4_KVNNI(a *packedArgs)
// Requires: AVX512F, AVX512BW, AVX512VNNI
TEXT ·packed4Q4_KVNNI(SB), NOSPLIT, $0-8
	LOOP4K(512, DONE4, ZERO4, CLEAR4, DOT4, TIMES4, PAIR4, FINISH4, AHEAD8, LINE8, AFTER8, RESULT4)

// func packed1Q4_KVNNI(a *packedArgs)
// Requires: AVX512F, AVX512BW, AVX512VNNI
TEXT ·packed1Q4_KVNNI(SB), NOSPLIT, $0-8
	LOOP4K(64, DONE1, ZERO1, CLEAR1, DOT1, TIMES1, PAIR1, FINISH1, AHEAD1, LINE1, AFTER1, RESULT1)

// SIX joins the low bits at l with two high bits at h to the j-th four elements;
// SHIFT brings the high bits to bits 4 and 5, NIBBLE takes the low ones.
#define LOWER(l, A) VPANDD l(DI), Z30, A
#define UPPER(l, A) \
	VPSRLD $4, l(DI), A \
	VPANDD Z30, A, A
#define LEFT4(h, B) VPSLLD $4, h(DI), B
#define LEFT2(h, B) VPSLLD $2, h(DI), B
#define LEFT0(h, B) VMOVDQU32 h(DI), B
#define RIGHT2(h, B) VPSRLD $2, h(DI), B

#define SIX(l, h, j, NIBBLE, SHIFT, DOT, A, B) \
	NIBBLE(l, A) \
	SHIFT(h, B) \
	VPTERNLOGD $0xf8, Z31, B, A \
	DOT(j, A)

// GROUP6 is the g-th 16 of 128 elements, l and h where their bits begin.
#define GROUP6(g, l, h, NIBBLE, SHIFT, BIAS, DOT, TIMES) \
	BIAS(g) \
	SIX((l+0), (h+0), (4*g+0), NIBBLE, SHIFT, DOT, Z25, Z26) \
	SIX((l+64), (h+64), (4*g+1), NIBBLE, SHIFT, DOT, Z27, Z29) \
	SIX((l+128), (h+128), (4*g+2), NIBBLE, SHIFT, DOT, Z25, Z26) \
	SIX((l+192), (h+192), (4*g+3), NIBBLE, SHIFT, DOT, Z27, Z29) \
	VPMOVSXBD (16*g)(DI), Z24 \
	VCVTDQ2PS Z24, Z24 \
	VMULPS Z28, Z24, Z24 \
	TIMES(Z24)

// LOOP6K is a loop over blocks of 256, in halves.
#define LOOP6K(W, B, DONE, ZERO, BIAS, DOT, TIMES, FINISH, AHEAD, LINE, AFTER, RESULT) \
	LOAD_ARGS \
	VPBROADCASTD bits<>+0(SB), Z30 \
	VPBROADCASTD bits<>+4(SB), Z31 \
	DONE \
block: \
	VCVTPH2PS 0(DI), Z28 \
	LINE(4096) \
	ADDQ $64, DI \
	MOVQ $2, AX \
	ZERO \
half: \
	AHEAD(0) \
	AHEAD(256) \
	GROUP6(0, 128, 1152, LOWER, LEFT4, BIAS, DOT, TIMES) \
	GROUP6(1, 384, 1408, LOWER, LEFT4, BIAS, DOT, TIMES) \
	AHEAD(512) \
	AHEAD(768) \
	GROUP6(2, 640, 1152, LOWER, LEFT2, BIAS, DOT, TIMES) \
	GROUP6(3, 896, 1408, LOWER, LEFT2, BIAS, DOT, TIMES) \
	AHEAD(1024) \
	AHEAD(1280) \
	GROUP6(4, 128, 1152, UPPER, LEFT0, BIAS, DOT, TIMES) \
	GROUP6(5, 384, 1408, UPPER, LEFT0, BIAS, DOT, TIMES) \
	LINE(5632) \
	LINE(5696) \
	GROUP6(6, 640, 1152, UPPER, RIGHT2, BIAS, DOT, TIMES) \
	GROUP6(7, 896, 1408, UPPER, RIGHT2, BIAS, DOT, TIMES) \
	ADDQ $1664, DI \
	ADDQ $W, SI \
	ADDQ $B, R10 \
	DECQ AX \
	JNZ half \
	FINISH \
	AFTER(8, 0) \
	DECQ CX \
	JNZ block \
	RESULT

// func packed8Q6_KVNNI(a *packedArgs)
// Requires: AVX512F, AVX512VNNI
TEXT ·packed8Q6_KVNNI(SB), NOSPLIT, $0-8
	LOOP6K(1024, 256, DONE8, ZERO8, BIAS8, DOT8, TIMES8, FINISH8, AHEAD8, LINE8, AFTER8, RESULT8)

// func packed4Q6_KVNNI(a *packedArgs)
// Requires: AVX512F, AVX512VNNI
TEXT ·packed4Q6_KVNNI(SB), NOSPLIT, $0-8
	LOOP6K(1024, 256, DONE4, ZERO4, BIAS4, DOT4, TIMES4, FINISH4, AHEAD8, LINE8, AFTER8, RESULT4)

// func packed1Q6_KVNNI(a *packedArgs)
// Requires: AVX512F, AVX512VNNI
TEXT ·packed1Q6_KVNNI(SB), NOSPLIT, $0-8
	LOOP6K(128, 32, DONE1, ZERO1, BIAS1, DOT1, TIMES1, FINISH1, AHEAD1, LINE1, AFTER1, RESULT1)
