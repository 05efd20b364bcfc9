//go:build !purego

#include "textflag.h"
#include "go_asm.h"
#include "packed_amd64.h"

DATA low<>+0(SB)/4, $0x0f0f0f0f
GLOBL low<>(SB), RODATA|NOPTR, $4

// NIBBLES takes the vector at w, whose low nibbles are the j-th four elements and
// whose high ones those 16 later.
#define NIBBLES(w, j, DOT, A, B) \
	VMOVDQU32 w(DI), A \
	VPSRLD $4, A, B \
	VPANDD Z30, A, A \
	VPANDD Z30, B, B \
	DOT(j, A) \
	DOT(j+4, B)

// BLOCK4 is the b-th block of a pair.
#define BLOCK4(b, BIAS, DOT, TIMES) \
	BIAS(b) \
	NIBBLES((64+256*b), (8*b+0), DOT, Z25, Z26) \
	NIBBLES((64+256*b+64), (8*b+1), DOT, Z27, Z28) \
	NIBBLES((64+256*b+128), (8*b+2), DOT, Z25, Z26) \
	NIBBLES((64+256*b+192), (8*b+3), DOT, Z27, Z28) \
	VCVTPH2PS (32*b)(DI), Z24 \
	TIMES(Z24)

// LOOP4 is a loop over 128 elements, in pairs of blocks of 32. W and B are the bytes
// and the bytes of biases of a pair, in the columns.
#define LOOP4(W, B, DONE, ZERO, BIAS, DOT, TIMES, FINISH, AHEAD, LINE, AFTER, RESULT) \
	LOAD_ARGS \
	SHRQ $2, CX \
	VPBROADCASTD low<>(SB), Z30 \
	DONE \
block: \
	MOVQ $2, AX \
	ZERO \
pair: \
	AHEAD(0) \
	BLOCK4(0, BIAS, DOT, TIMES) \
	AHEAD(256) \
	LINE(4608) \
	BLOCK4(1, BIAS, DOT, TIMES) \
	ADDQ $576, DI \
	ADDQ $W, SI \
	ADDQ $B, R10 \
	DECQ AX \
	JNZ pair \
	FINISH \
	AFTER(4, 0) \
	DECQ CX \
	JNZ block \
	RESULT

// func packed8Q4_0VNNI(a *packedArgs)
// Requires: AVX512F, AVX512VNNI
TEXT ·packed8Q4_0VNNI(SB), NOSPLIT, $0-8
	LOOP4(512, 64, DONE8, ZERO8, BIAS8, DOT8, TIMES8, FINISH8, AHEAD8, LINE8, AFTER8, RESULT8)

// func packed4Q4_0VNNI(a *packedArgs)
// Requires: AVX512F, AVX512VNNI
TEXT ·packed4Q4_0VNNI(SB), NOSPLIT, $0-8
	LOOP4(512, 64, DONE4, ZERO4, BIAS4, DOT4, TIMES4, FINISH4, AHEAD8, LINE8, AFTER8, RESULT4)

// func packed1Q4_0VNNI(a *packedArgs)
// Requires: AVX512F, AVX512VNNI
TEXT ·packed1Q4_0VNNI(SB), NOSPLIT, $0-8
	LOOP4(64, 8, DONE1, ZERO1, BIAS1, DOT1, TIMES1, FINISH1, AHEAD1, LINE1, AFTER1, RESULT1)

#define BYTES(w, j, DOT, A) \
	VMOVDQU32 w(DI), A \
	DOT(j, A)

#define BLOCK8(b, BIAS, DOT, SCALES) \
	BIAS(b) \
	BYTES((64+512*b), (8*b+0), DOT, Z16) \
	BYTES((64+512*b+64), (8*b+1), DOT, Z17) \
	BYTES((64+512*b+128), (8*b+2), DOT, Z18) \
	BYTES((64+512*b+192), (8*b+3), DOT, Z19) \
	BYTES((64+512*b+256), (8*b+4), DOT, Z20) \
	BYTES((64+512*b+320), (8*b+5), DOT, Z21) \
	BYTES((64+512*b+384), (8*b+6), DOT, Z22) \
	BYTES((64+512*b+448), (8*b+7), DOT, Z23) \
	VCVTPH2PS (32*b)(DI), Z24 \
	SCALES(b)

#define LOOP8(ZERO, BIAS, DOT, SCALES, AHEAD, LINE, NEXT, STORE) \
	LOAD_ARGS \
	ZERO \
pair: \
	AHEAD(0) \
	AHEAD(256) \
	BLOCK8(0, BIAS, DOT, SCALES) \
	AHEAD(512) \
	AHEAD(768) \
	LINE(5120) \
	BLOCK8(1, BIAS, DOT, SCALES) \
	ADDQ $1088, DI \
	NEXT \
	SUBQ $2, CX \
	JNZ pair \
	STORE

// func packed8Q8_0VNNI(a *packedArgs)
// Requires: AVX512F, AVX512VNNI
TEXT ·packed8Q8_0VNNI(SB), NOSPLIT, $0-8
	LOOP8(ZERO8, BIAS8, DOT8, SCALE8, AHEAD8, LINE8, NEXT8, STORE8)

// func packed4Q8_0VNNI(a *packedArgs)
// Requires: AVX512F, AVX512VNNI
TEXT ·packed4Q8_0VNNI(SB), NOSPLIT, $0-8
	LOOP8(ZERO4, BIAS4, DOT4, SCALE4, AHEAD8, LINE8, NEXT8, STORE4)

// func packed1Q8_0VNNI(a *packedArgs)
// Requires: AVX512F, AVX512VNNI
TEXT ·packed1Q8_0VNNI(SB), NOSPLIT, $0-8
	LOOP8(ZERO1, BIAS1, DOT1, SCALE1, AHEAD1, LINE1, NEXT1, STORE1)
