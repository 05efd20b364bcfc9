//go:build !purego

#include "textflag.h"
#include "go_asm.h"
#include "packed_ymm_amd64.h"

DATA ones<>+0(SB)/8, $0x0001000100010001
DATA ones<>+8(SB)/8, $0x0001000100010001
DATA ones<>+16(SB)/8, $0x0001000100010001
DATA ones<>+24(SB)/8, $0x0001000100010001
GLOBL ones<>(SB), RODATA|NOPTR, $32
DATA sixteens<>+0(SB)/8, $0x0010001000100010
DATA sixteens<>+8(SB)/8, $0x0010001000100010
DATA sixteens<>+16(SB)/8, $0x0010001000100010
DATA sixteens<>+24(SB)/8, $0x0010001000100010
GLOBL sixteens<>(SB), RODATA|NOPTR, $32
DATA fifteen<>+0(SB)/8, $0x0f0f0f0f0f0f0f0f
DATA fifteen<>+8(SB)/8, $0x0f0f0f0f0f0f0f0f
DATA fifteen<>+16(SB)/8, $0x0f0f0f0f0f0f0f0f
DATA fifteen<>+24(SB)/8, $0x0f0f0f0f0f0f0f0f
GLOBL fifteen<>(SB), RODATA|NOPTR, $32
DATA eighty<>+0(SB)/4, $0x80808080
GLOBL eighty<>(SB), RODATA|NOPTR, $4

// VPMADDUBSW adds products of unsigned and signed bytes in pairs, as int16. These
// hold the sums of sixteen products with nibbles, 16*15*127 being less than 2^15, and of
// four with six bits, but not one of two with bytes (see below).

// FIRST and MORE begin and continue a sum of products with the four elements at o.
#define FIRST(o, W, I) \
	VPBROADCASTD o(SI), I \
	VPMADDUBSW I, W, I

#define MORE(o, W, I) \
	VPBROADCASTD o(SI), Y10 \
	VPMADDUBSW Y10, W, Y10 \
	VPADDW Y10, I, I

// WITH makes int32 of a sum and adds X.
#define WITH(X, I) \
	VPMADDWD ones<>(SB), I, I \
	VPADDD X, I, I

// BIASED is WITH for the bias at o.
#define BIASED(o, I) \
	VPBROADCASTD o(R10), Y10 \
	WITH(Y10, I)

// SAVED is BIASED, with the sum going to A.
#define SAVED(o, I, A) \
	VPBROADCASTD o(R10), Y10 \
	VPMADDWD ones<>(SB), I, A \
	VPADDD Y10, A, A

#define CLEAN1(j) \
	VPBROADCASTD (4*(j))(SI), Y10 \
	VPMADDUBSW Y10, Y8, Y4 \
	VPMADDUBSW Y10, Y9, Y5

#define CLEAN4(j) \
	FIRST((32*(j)+0), Y8, Y4) \
	FIRST((32*(j)+4), Y8, Y5) \
	FIRST((32*(j)+8), Y8, Y6) \
	FIRST((32*(j)+12), Y8, Y7)

#define START1(b, j) CLEAN1(j)
#define START4(b, j) CLEAN4(j)

#define DOT1(j) \
	VPBROADCASTD (4*(j))(SI), Y10 \
	VPMADDUBSW Y10, Y8, Y11 \
	VPADDW Y11, Y4, Y4 \
	VPMADDUBSW Y10, Y9, Y11 \
	VPADDW Y11, Y5, Y5

#define DOT4(j) \
	MORE((32*(j)+0), Y8, Y4) \
	MORE((32*(j)+4), Y8, Y5) \
	MORE((32*(j)+8), Y8, Y6) \
	MORE((32*(j)+12), Y8, Y7)

#define END1(b) \
	VPBROADCASTD (4*b)(R10), Y10 \
	WITH(Y10, Y4) \
	WITH(Y10, Y5)

#define END4(b) \
	BIASED((32*b+0), Y4) \
	BIASED((32*b+4), Y5) \
	BIASED((32*b+8), Y6) \
	BIASED((32*b+12), Y7)

#define WIDE1 \
	VPMADDWD ones<>(SB), Y4, Y4 \
	VPMADDWD ones<>(SB), Y5, Y5

#define WIDE4 \
	WIDE1 \
	VPMADDWD ones<>(SB), Y6, Y6 \
	VPMADDWD ones<>(SB), Y7, Y7

#define SPLIT1(b) \
	SAVED((4*b), Y4, Y6) \
	SAVED((4*b), Y5, Y7)

#define SPLIT4(b) \
	SAVED((32*b+0), Y4, Y9) \
	SAVED((32*b+4), Y5, Y11) \
	SAVED((32*b+8), Y6, Y14) \
	SAVED((32*b+12), Y7, Y15)

#define JOIN1 \
	WITH(Y6, Y4) \
	WITH(Y7, Y5)

#define JOIN4 \
	WITH(Y9, Y4) \
	WITH(Y11, Y5) \
	WITH(Y14, Y6) \
	WITH(Y15, Y7)

#define CLEAR1 \
	VPXOR Y4, Y4, Y4 \
	VPXOR Y5, Y5, Y5

#define CLEAR4 \
	CLEAR1 \
	VPXOR Y6, Y6, Y6 \
	VPXOR Y7, Y7, Y7

#define TWO(o, I) \
	VPBROADCASTD o(R10), Y10 \
	VPMADDWD Y10, Y8, Y10 \
	VPADDD Y10, I, I

#define PAIR1(o) \
	VPBROADCASTD o(R10), Y10 \
	VPMADDWD Y10, Y8, Y11 \
	VPADDD Y11, Y4, Y4 \
	VPMADDWD Y10, Y9, Y11 \
	VPADDD Y11, Y5, Y5

#define PAIR4(o) \
	TWO((o+0), Y4) \
	TWO((o+4), Y5) \
	TWO((o+8), Y6) \
	TWO((o+12), Y7)

// func packed1Q4_0AVX2(a *packedArgs)
// Requires: AVX2, F16C
TEXT ·packed1Q4_0AVX2(SB), NOSPLIT, $0-8
	LOOP4(64, 8, 16, START1, DOT1, END1, LOW1, HIGH1, HALVES1, TIMES1, ZERO1, STORE1, FINISH1, AHEAD1)

// func packed4Q4_0AVX2(a *packedArgs)
// Requires: AVX2, F16C
TEXT ·packed4Q4_0AVX2(SB), NOSPLIT, $0-8
	LOOP4(512, 64, 128, START4, DOT4, END4, LOW4, HIGH4, HALVES4, TIMES4, ZERO4, STORE4, FINISH4, AHEAD4)

// func packed1Q4_KAVX2(a *packedArgs)
// Requires: AVX2, F16C
TEXT ·packed1Q4_KAVX2(SB), NOSPLIT, $0-8
	LOOP4K(64, 16, CLEAN1, DOT1, WIDE1, CLEAR1, PAIR1, MINS1, LOW1, HIGH1, SCALES1, NEGATED1, TIMES1, ZERO1, STORE1, FINISH1, AHEAD1)

// func packed4Q4_KAVX2(a *packedArgs)
// Requires: AVX2, F16C
TEXT ·packed4Q4_KAVX2(SB), NOSPLIT, $0-8
	LOOP4K(512, 128, CLEAN4, DOT4, WIDE4, CLEAR4, PAIR4, MINS4, LOW4, HIGH4, SCALES4, NEGATED4, TIMES4, ZERO4, STORE4, FINISH4, AHEAD4)

// func packed1Q6_KAVX2(a *packedArgs)
// Requires: AVX2, F16C
TEXT ·packed1Q6_KAVX2(SB), NOSPLIT, $0-8
	LOOP6K(128, 32, 32, START1, DOT1, SPLIT1, CLEAN1, JOIN1, LOW1, HIGH1, LEFT1, RIGHT1, SCALES1, TIMES1, ZERO1, STORE1, FINISH1, AHEAD1)

// func packed4Q6_KAVX2(a *packedArgs)
// Requires: AVX2, F16C
TEXT ·packed4Q6_KAVX2(SB), NOSPLIT, $0-8
	LOOP6K(1024, 256, 256, START4, DOT4, SPLIT4, CLEAN4, JOIN4, LOW4, HIGH4, LEFT4, RIGHT4, SCALES4, TIMES4, ZERO4, STORE4, FINISH4, AHEAD4)

// What is left is for bytes. One column takes them as signed again, by the sign trick of
// row_avx2_amd64.s. Y15 is ones.

#define SIGNED(A, W, Q, T) \
	VPSIGNB W, Q, T \
	VPMADDUBSW T, A, T \
	VPMADDWD Y15, T, T

#define SIGNED_BYTES1(w) \
	VPXOR w(DI), Y12, Y8 \
	VPXOR (w+32)(DI), Y12, Y9 \
	VPABSB Y8, Y6 \
	VPABSB Y9, Y7

#define SIGNED_DOT1(j) \
	VPBROADCASTD (4*(j))(SI), Y10 \
	SIGNED(Y6, Y8, Y10, Y11) \
	VPADDD Y11, Y4, Y4 \
	SIGNED(Y7, Y9, Y10, Y11) \
	VPADDD Y11, Y5, Y5

#define SIGNED_START1(b, j) \
	CLEAR1 \
	SIGNED_DOT1(j)

#define SIGNED_END(b)

// func packed1Q8_0AVX2(a *packedArgs)
// Requires: AVX2, F16C
TEXT ·packed1Q8_0AVX2(SB), NOSPLIT, $0-8
	VPBROADCASTD eighty<>(SB), Y12
	VMOVDQU ones<>(SB), Y15
	LOOP8(64, 8, SIGNED_START1, SIGNED_DOT1, SIGNED_END, SIGNED_BYTES1, HALVES1, SCALED1, ZERO1, STORE1, AHEAD1)

// Four columns take the low nibbles of bytes, Y8, and the high ones, Y13, each with sums of
// their own: fewer of the multiplications that a processor has two units for.

#define NIBBLES4(w) \
	BYTES4(w) \
	VPSRLW $4, Y8, Y13 \
	VPAND fifteen<>(SB), Y8, Y8 \
	VPAND fifteen<>(SB), Y13, Y13

#define FIRST_NIBBLES(o, L, H) \
	VPBROADCASTD o(SI), Y10 \
	VPMADDUBSW Y10, Y8, L \
	VPMADDUBSW Y10, Y13, H

#define MORE_NIBBLES(o, L, H) \
	VPBROADCASTD o(SI), Y10 \
	VPMADDUBSW Y10, Y8, Y12 \
	VPMADDUBSW Y10, Y13, Y10 \
	VPADDW Y12, L, L \
	VPADDW Y10, H, H

#define END_NIBBLES(o, L, H) \
	VPMADDWD sixteens<>(SB), H, H \
	BIASED(o, L) \
	VPADDD H, L, L

#define NIBBLES_START4(b, j) \
	FIRST_NIBBLES((32*(j)+0), Y4, Y9) \
	FIRST_NIBBLES((32*(j)+4), Y5, Y11) \
	FIRST_NIBBLES((32*(j)+8), Y6, Y14) \
	FIRST_NIBBLES((32*(j)+12), Y7, Y15)

#define NIBBLES_DOT4(j) \
	MORE_NIBBLES((32*(j)+0), Y4, Y9) \
	MORE_NIBBLES((32*(j)+4), Y5, Y11) \
	MORE_NIBBLES((32*(j)+8), Y6, Y14) \
	MORE_NIBBLES((32*(j)+12), Y7, Y15)

#define NIBBLES_END4(b) \
	END_NIBBLES((32*b+0), Y4, Y9) \
	END_NIBBLES((32*b+4), Y5, Y11) \
	END_NIBBLES((32*b+8), Y6, Y14) \
	END_NIBBLES((32*b+12), Y7, Y15)

// func packed4Q8_0AVX2(a *packedArgs)
// Requires: AVX2, F16C
TEXT ·packed4Q8_0AVX2(SB), NOSPLIT, $0-8
	LOOP8(512, 64, NIBBLES_START4, NIBBLES_DOT4, NIBBLES_END4, NIBBLES4, HALVES4, SCALED4, ZERO4, STORE4, AHEAD4)
