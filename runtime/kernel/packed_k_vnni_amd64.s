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

// HALF4 is a block of 32, the b-th of a chunk of two, with its scales and minimums
// as bytes at s.
#define HALF4(b, s, PART, CLEAR, DOT, SCALES, MINS) \
	CLEAR \
	PART(64, (8*b+0), DOT, Z16) \
	PART(128, (8*b+1), DOT, Z17) \
	PART(192, (8*b+2), DOT, Z18) \
	PART(256, (8*b+3), DOT, Z19) \
	PART(320, (8*b+4), DOT, Z20) \
	PART(384, (8*b+5), DOT, Z21) \
	PART(448, (8*b+6), DOT, Z22) \
	PART(512, (8*b+7), DOT, Z23) \
	VPMOVZXBD s(DI), Z24 \
	VPMOVZXBD (s+16)(DI), Z27 \
	VCVTDQ2PS Z24, Z24 \
	VCVTDQ2PS Z27, Z27 \
	VMULPS Z28, Z24, Z24 \
	VMULPS Z29, Z27, Z27 \
	SCALES(b) \
	MINS(b)

// LOOP4K is a loop over blocks of 256: Z28 are their scales, Z29 their minimums.
#define LOOP4K(ZERO, CLEAR, DOT, SCALES, MINS, AHEAD, NEXT, STORE) \
	LOAD_ARGS \
	VPBROADCASTD bits<>+0(SB), Z30 \
	VPBROADCASTD bits<>+8(SB), Z31 \
	ZERO \
block: \
	VCVTPH2PS 0(DI), Z28 \
	VCVTPH2PS 32(DI), Z29 \
	VPXORD Z31, Z29, Z29 \
	PREFETCHT0 4096(DI) \
	ADDQ $64, DI \
	MOVQ $4, AX \
chunk: \
	AHEAD(0) \
	AHEAD(256) \
	PREFETCHT0 4608(DI) \
	HALF4(0, 0, LOW, CLEAR, DOT, SCALES, MINS) \
	HALF4(1, 32, HIGH, CLEAR, DOT, SCALES, MINS) \
	ADDQ $576, DI \
	NEXT(2, 1) \
	DECQ AX \
	JNZ chunk \
	DECQ CX \
	JNZ block \
	STORE

// func packed8Q4_KVNNI(a *packedArgs)
// Requires: AVX512F, AVX512VNNI
TEXT ·packed8Q4_KVNNI(SB), NOSPLIT, $0-8
	LOOP4K(ZERO8, CLEAR8, DOT8, SCALE8, MIN8, AHEAD8, NEXT8, STORE8)

// func packed4Q4_KVNNI(a *packedArgs)
// Requires: AVX512F, AVX512VNNI
TEXT ·packed4Q4_KVNNI(SB), NOSPLIT, $0-8
	LOOP4K(ZERO4, CLEAR4, DOT4, SCALE4, MIN4, AHEAD8, NEXT8, STORE4)

// func packed1Q4_KVNNI(a *packedArgs)
// Requires: AVX512F, AVX512VNNI
TEXT ·packed1Q4_KVNNI(SB), NOSPLIT, $0-8
	LOOP4K(ZERO1, CLEAR1, DOT1, SCALE1, MIN1, AHEAD1, NEXT1, STORE1)

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
#define GROUP6(g, b, l, h, NIBBLE, SHIFT, BIAS, DOT, SCALES) \
	BIAS(g) \
	SIX((l+0), (h+0), (4*g+0), NIBBLE, SHIFT, DOT, Z16, Z17) \
	SIX((l+64), (h+64), (4*g+1), NIBBLE, SHIFT, DOT, Z18, Z19) \
	SIX((l+128), (h+128), (4*g+2), NIBBLE, SHIFT, DOT, Z20, Z21) \
	SIX((l+192), (h+192), (4*g+3), NIBBLE, SHIFT, DOT, Z22, Z23) \
	VPMOVSXBD (16*g)(DI), Z24 \
	VCVTDQ2PS Z24, Z24 \
	VMULPS Z28, Z24, Z24 \
	SCALES(b)

// LOOP6K is a loop over blocks of 256, in halves.
#define LOOP6K(ZERO, BIAS, DOT, SCALES, AHEAD, NEXT, STORE) \
	LOAD_ARGS \
	VPBROADCASTD bits<>+0(SB), Z30 \
	VPBROADCASTD bits<>+4(SB), Z31 \
	ZERO \
block: \
	VCVTPH2PS 0(DI), Z28 \
	PREFETCHT0 4096(DI) \
	ADDQ $64, DI \
	MOVQ $2, AX \
half: \
	AHEAD(0) \
	AHEAD(256) \
	GROUP6(0, 0, 128, 1152, LOWER, LEFT4, BIAS, DOT, SCALES) \
	GROUP6(1, 0, 384, 1408, LOWER, LEFT4, BIAS, DOT, SCALES) \
	AHEAD(512) \
	AHEAD(768) \
	GROUP6(2, 1, 640, 1152, LOWER, LEFT2, BIAS, DOT, SCALES) \
	GROUP6(3, 1, 896, 1408, LOWER, LEFT2, BIAS, DOT, SCALES) \
	AHEAD(1024) \
	AHEAD(1280) \
	GROUP6(4, 2, 128, 1152, UPPER, LEFT0, BIAS, DOT, SCALES) \
	GROUP6(5, 2, 384, 1408, UPPER, LEFT0, BIAS, DOT, SCALES) \
	PREFETCHT0 5632(DI) \
	PREFETCHT0 5696(DI) \
	GROUP6(6, 3, 640, 1152, UPPER, RIGHT2, BIAS, DOT, SCALES) \
	GROUP6(7, 3, 896, 1408, UPPER, RIGHT2, BIAS, DOT, SCALES) \
	ADDQ $1664, DI \
	NEXT(4, 2) \
	DECQ AX \
	JNZ half \
	DECQ CX \
	JNZ block \
	STORE

// func packed8Q6_KVNNI(a *packedArgs)
// Requires: AVX512F, AVX512VNNI
TEXT ·packed8Q6_KVNNI(SB), NOSPLIT, $0-8
	LOOP6K(ZERO8, BIAS8, DOT8, SCALE8, AHEAD8, NEXT8, STORE8)

// func packed4Q6_KVNNI(a *packedArgs)
// Requires: AVX512F, AVX512VNNI
TEXT ·packed4Q6_KVNNI(SB), NOSPLIT, $0-8
	LOOP6K(ZERO4, BIAS4, DOT4, SCALE4, AHEAD8, NEXT8, STORE4)

// func packed1Q6_KVNNI(a *packedArgs)
// Requires: AVX512F, AVX512VNNI
TEXT ·packed1Q6_KVNNI(SB), NOSPLIT, $0-8
	LOOP6K(ZERO1, BIAS1, DOT1, SCALE1, AHEAD1, NEXT1, STORE1)
