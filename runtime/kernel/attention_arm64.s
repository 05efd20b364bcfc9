//go:build !purego

#include "textflag.h"
#include "go_asm.h"
#include "vector_arm64.h"

// The steps of attention over a page, four keys or elements of values in a vector.
// Each score is a chain of fused additions over the elements of its key, and each
// element of a mixture one over the keys, however many rows share them.

// Nor has the assembler names for these: widening integers, sums of
// products with one lane, and comparisons and roundings of floats.
#define SXTLB(n, d) WORD $(0x0F08A400 | n<<5 | d)
#define SXTLB2(n, d) WORD $(0x4F08A400 | n<<5 | d)
#define SXTLH(n, d) WORD $(0x0F10A400 | n<<5 | d)
#define SXTLH2(n, d) WORD $(0x4F10A400 | n<<5 | d)
#define FMLA0(m, n, d) WORD $(0x4F801000 | (m<<16) | (n<<5) | d)
#define FMLA1(m, n, d) WORD $(0x4FA01000 | (m<<16) | (n<<5) | d)
#define FMLA2(m, n, d) WORD $(0x4F801800 | (m<<16) | (n<<5) | d)
#define FMLA3(m, n, d) WORD $(0x4FA01800 | (m<<16) | (n<<5) | d)
#define FSUB4(m, n, d) WORD $(0x4EA0D400 | (m<<16) | (n<<5) | d)
#define FMAX4(m, n, d) WORD $(0x4E20F400 | (m<<16) | (n<<5) | d)
#define FMAXV4(n, d) WORD $(0x6E30F800 | (n<<5) | d)
#define FCMGT4(m, n, d) WORD $(0x6EA0E400 | (m<<16) | (n<<5) | d)
#define BIC16(m, n, d) WORD $(0x4E601C00 | (m<<16) | (n<<5) | d)
#define FRINTM4(n, d) WORD $(0x4E219800 | (n<<5) | d)
#define FCVTZS4(n, d) WORD $(0x4EA1B800 | (n<<5) | d)

#define ZERO(V) VEOR V.B16, V.B16, V.B16

// Sixteen numbers at R1, which they advance, to V0-V3. The scales of Q8 are in
// V12-V15.

#define LOADF32 \
	VLD1.P 64(R1), [V0.S4, V1.S4, V2.S4, V3.S4]

#define LOADF16 \
	VLD1.P 32(R1), [V8.B16, V9.B16] \
	FCVTL(8, 0) \
	FCVTL2(8, 1) \
	FCVTL(9, 2) \
	FCVTL2(9, 3)

#define LOADQ8 \
	VLD1.P 16(R1), [V8.B16] \
	SXTLB(8, 9) \
	SXTLB2(8, 10) \
	SXTLH(9, 0) \
	SXTLH2(9, 1) \
	SXTLH(10, 2) \
	SXTLH2(10, 3) \
	SCVTF4(0, 0) \
	SCVTF4(1, 1) \
	SCVTF4(2, 2) \
	SCVTF4(3, 3) \
	FMUL4(12, 0, 0) \
	FMUL4(13, 1, 1) \
	FMUL4(14, 2, 2) \
	FMUL4(15, 3, 3)

// Scores of one group. R0 scores, R1 keys, R2 scales of keys, R3 elements left of
// the block, R4-R7 queries, R8 elements, R9 blocks left, R10 groups left.

#define QUERIES1 \
	VLD1.P 16(R4), [V4.S4]

#define QUERIES2 \
	QUERIES1 \
	VLD1.P 16(R5), [V5.S4]

#define QUERIES4 \
	QUERIES2 \
	VLD1.P 16(R6), [V6.S4] \
	VLD1.P 16(R7), [V7.S4]

#define ROW(FMLA, q, s) \
	FMLA(q, 0, s) \
	FMLA(q, 1, (s+1)) \
	FMLA(q, 2, (s+2)) \
	FMLA(q, 3, (s+3))

#define ROWS1(FMLA) \
	ROW(FMLA, 4, 16)

#define ROWS2(FMLA) \
	ROWS1(FMLA) \
	ROW(FMLA, 5, 20)

#define ROWS4(FMLA) \
	ROWS2(FMLA) \
	ROW(FMLA, 6, 24) \
	ROW(FMLA, 7, 28)

#define REWIND1 \
	SUB R8<<2, R4

#define REWIND2 \
	REWIND1 \
	SUB R8<<2, R5

#define REWIND4 \
	REWIND2 \
	SUB R8<<2, R6 \
	SUB R8<<2, R7

#define STORE1 \
	VST1 [V16.S4, V17.S4, V18.S4, V19.S4], (R0)

#define STORE2 \
	STORE1 \
	ADD $512, R0, R11 \
	VST1 [V20.S4, V21.S4, V22.S4, V23.S4], (R11)

#define STORE4 \
	STORE2 \
	ADD $1024, R0, R11 \
	VST1 [V24.S4, V25.S4, V26.S4, V27.S4], (R11) \
	ADD $1536, R0, R11 \
	VST1 [V28.S4, V29.S4, V30.S4, V31.S4], (R11)

// FLOATS begins a group of F32 or F16, one block of all its elements.
#define FLOATS \
	MOVD $1, R9

#define FLOATBLOCK \
	MOVD R8, R3

// BLOCKS begins one of Q8_0, which has R8 bytes of scales first.
#define BLOCKS \
	MOVD R1, R2 \
	ADD R8, R1 \
	LSR $5, R8, R9

#define Q8BLOCK \
	VLD1.P 32(R2), [V8.B16, V9.B16] \
	FCVTL(8, 12) \
	FCVTL2(8, 13) \
	FCVTL(9, 14) \
	FCVTL2(9, 15) \
	MOVD $32, R3

#define SCORES(GROUP, BLOCK, LOAD, QUERIES, ROWS, REWIND, STORE) \
	MOVD a+0(FP), R12 \
	MOVD scoreArgs_p(R12), R0 \
	MOVD scoreArgs_q(R12), R4 \
	MOVD scoreArgs_k(R12), R1 \
	MOVD scoreArgs_d(R12), R8 \
	MOVD scoreArgs_batches(R12), R10 \
	ADD R8<<2, R4, R5 \
	ADD R8<<2, R5, R6 \
	ADD R8<<2, R6, R7 \
group: \
	ZERO(V16) \
	ZERO(V17) \
	ZERO(V18) \
	ZERO(V19) \
	ZERO(V20) \
	ZERO(V21) \
	ZERO(V22) \
	ZERO(V23) \
	ZERO(V24) \
	ZERO(V25) \
	ZERO(V26) \
	ZERO(V27) \
	ZERO(V28) \
	ZERO(V29) \
	ZERO(V30) \
	ZERO(V31) \
	GROUP \
block: \
	BLOCK \
four: \
	QUERIES \
	LOAD \
	ROWS(FMLA0) \
	LOAD \
	ROWS(FMLA1) \
	LOAD \
	ROWS(FMLA2) \
	LOAD \
	ROWS(FMLA3) \
	SUBS $4, R3 \
	BNE four \
	SUBS $1, R9 \
	BNE block \
	STORE \
	ADD $64, R0 \
	REWIND \
	SUBS $1, R10 \
	BNE group \
	RET

// func scores4F32NEON(a *scoreArgs)
TEXT ·scores4F32NEON(SB), NOSPLIT, $0-8
	SCORES(FLOATS, FLOATBLOCK, LOADF32, QUERIES4, ROWS4, REWIND4, STORE4)

// func scores2F32NEON(a *scoreArgs)
TEXT ·scores2F32NEON(SB), NOSPLIT, $0-8
	SCORES(FLOATS, FLOATBLOCK, LOADF32, QUERIES2, ROWS2, REWIND2, STORE2)

// func scores1F32NEON(a *scoreArgs)
TEXT ·scores1F32NEON(SB), NOSPLIT, $0-8
	SCORES(FLOATS, FLOATBLOCK, LOADF32, QUERIES1, ROWS1, REWIND1, STORE1)

// func scores4F16NEON(a *scoreArgs)
TEXT ·scores4F16NEON(SB), NOSPLIT, $0-8
	SCORES(FLOATS, FLOATBLOCK, LOADF16, QUERIES4, ROWS4, REWIND4, STORE4)

// func scores2F16NEON(a *scoreArgs)
TEXT ·scores2F16NEON(SB), NOSPLIT, $0-8
	SCORES(FLOATS, FLOATBLOCK, LOADF16, QUERIES2, ROWS2, REWIND2, STORE2)

// func scores1F16NEON(a *scoreArgs)
TEXT ·scores1F16NEON(SB), NOSPLIT, $0-8
	SCORES(FLOATS, FLOATBLOCK, LOADF16, QUERIES1, ROWS1, REWIND1, STORE1)

// func scores4Q8NEON(a *scoreArgs)
TEXT ·scores4Q8NEON(SB), NOSPLIT, $0-8
	SCORES(BLOCKS, Q8BLOCK, LOADQ8, QUERIES4, ROWS4, REWIND4, STORE4)

// func scores2Q8NEON(a *scoreArgs)
TEXT ·scores2Q8NEON(SB), NOSPLIT, $0-8
	SCORES(BLOCKS, Q8BLOCK, LOADQ8, QUERIES2, ROWS2, REWIND2, STORE2)

// func scores1Q8NEON(a *scoreArgs)
TEXT ·scores1Q8NEON(SB), NOSPLIT, $0-8
	SCORES(BLOCKS, Q8BLOCK, LOADQ8, QUERIES1, ROWS1, REWIND1, STORE1)

// Mixtures of sixteen elements. R0 a row of the mixtures and R8 its bytes, R2
// factors, R4-R7 weights, R1 values, R9 the block of Q8_0 they are in and R10 a
// row's bytes less what loading advances, R3 keys left.

#define IN(A, B, C, D, a, b, c, d) \
	VLD1R.P 4(R2), [V4.S4] \
	VLD1 (R0), [A.S4, B.S4, C.S4, D.S4] \
	ADD R8, R0 \
	FMUL4(4, a, a) \
	FMUL4(4, b, b) \
	FMUL4(4, c, c) \
	FMUL4(4, d, d)

#define INS1 IN(V16, V17, V18, V19, 16, 17, 18, 19)

#define INS2 \
	INS1 \
	IN(V20, V21, V22, V23, 20, 21, 22, 23)

#define INS4 \
	INS2 \
	IN(V24, V25, V26, V27, 24, 25, 26, 27) \
	IN(V28, V29, V30, V31, 28, 29, 30, 31)

#define OUTS1 \
	VST1 [V16.S4, V17.S4, V18.S4, V19.S4], (R11) \
	ADD R8, R11

#define OUTS2 \
	OUTS1 \
	VST1 [V20.S4, V21.S4, V22.S4, V23.S4], (R11) \
	ADD R8, R11

#define OUTS4 \
	OUTS2 \
	VST1 [V24.S4, V25.S4, V26.S4, V27.S4], (R11) \
	ADD R8, R11 \
	VST1 [V28.S4, V29.S4, V30.S4, V31.S4], (R11)

#define ADDROW(W, A, B, C, D) \
	VLD1R.P 4(W), [V4.S4] \
	VFMLA V0.S4, V4.S4, A.S4 \
	VFMLA V1.S4, V4.S4, B.S4 \
	VFMLA V2.S4, V4.S4, C.S4 \
	VFMLA V3.S4, V4.S4, D.S4

#define ADDS1 ADDROW(R4, V16, V17, V18, V19)

#define ADDS2 \
	ADDS1 \
	ADDROW(R5, V20, V21, V22, V23)

#define ADDS4 \
	ADDS2 \
	ADDROW(R6, V24, V25, V26, V27) \
	ADDROW(R7, V28, V29, V30, V31)

#define VALUESF32 LOADF32

#define VALUESF16 LOADF16

#define VALUESQ8 \
	VLD1R (R9), [V12.H8] \
	ADD R12, R9 \
	FCVTL(12, 12) \
	VORR V12.B16, V12.B16, V13.B16 \
	VORR V12.B16, V12.B16, V14.B16 \
	VORR V12.B16, V12.B16, V15.B16 \
	LOADQ8

#define MIX(SIZE, INS, VALUES, ADDS, OUTS) \
	MOVD a+0(FP), R12 \
	MOVD mixArgs_o(R12), R0 \
	MOVD mixArgs_width(R12), R8 \
	MOVD mixArgs_factor(R12), R2 \
	MOVD mixArgs_p(R12), R4 \
	MOVD mixArgs_v(R12), R1 \
	MOVD mixArgs_block(R12), R9 \
	MOVD mixArgs_keys(R12), R3 \
	MOVD mixArgs_stride(R12), R12 \
	SUB $(SIZE), R12, R10 \
	ADD $512, R4, R5 \
	ADD $1024, R4, R6 \
	ADD $1536, R4, R7 \
	MOVD R0, R11 \
	INS \
key: \
	VALUES \
	ADDS \
	ADD R10, R1 \
	SUBS $1, R3 \
	BNE key \
	OUTS \
	RET

// func mix4F32NEON(a *mixArgs)
TEXT ·mix4F32NEON(SB), NOSPLIT, $0-8
	MIX(64, INS4, VALUESF32, ADDS4, OUTS4)

// func mix2F32NEON(a *mixArgs)
TEXT ·mix2F32NEON(SB), NOSPLIT, $0-8
	MIX(64, INS2, VALUESF32, ADDS2, OUTS2)

// func mix1F32NEON(a *mixArgs)
TEXT ·mix1F32NEON(SB), NOSPLIT, $0-8
	MIX(64, INS1, VALUESF32, ADDS1, OUTS1)

// func mix4F16NEON(a *mixArgs)
TEXT ·mix4F16NEON(SB), NOSPLIT, $0-8
	MIX(32, INS4, VALUESF16, ADDS4, OUTS4)

// func mix2F16NEON(a *mixArgs)
TEXT ·mix2F16NEON(SB), NOSPLIT, $0-8
	MIX(32, INS2, VALUESF16, ADDS2, OUTS2)

// func mix1F16NEON(a *mixArgs)
TEXT ·mix1F16NEON(SB), NOSPLIT, $0-8
	MIX(32, INS1, VALUESF16, ADDS1, OUTS1)

// func mix4Q8NEON(a *mixArgs)
TEXT ·mix4Q8NEON(SB), NOSPLIT, $0-8
	MIX(16, INS4, VALUESQ8, ADDS4, OUTS4)

// func mix2Q8NEON(a *mixArgs)
TEXT ·mix2Q8NEON(SB), NOSPLIT, $0-8
	MIX(16, INS2, VALUESQ8, ADDS2, OUTS2)

// func mix1Q8NEON(a *mixArgs)
TEXT ·mix1Q8NEON(SB), NOSPLIT, $0-8
	MIX(16, INS1, VALUESQ8, ADDS1, OUTS1)

DATA exp2s<>+0(SB)/4, $0x3f317218  // exp2c1
DATA exp2s<>+4(SB)/4, $0x3e75fe1f  // exp2c2
DATA exp2s<>+8(SB)/4, $0x3d634fcc  // exp2c3
DATA exp2s<>+12(SB)/4, $0x3c1e243e // exp2c4
DATA exp2s<>+16(SB)/4, $0x3aa65bd8 // exp2c5
DATA exp2s<>+20(SB)/4, $0x395a4aaa // exp2c6
DATA exp2s<>+24(SB)/4, $0x3f800000 // 1
DATA exp2s<>+28(SB)/4, $0xc2fc0000 // exp2Least
GLOBL exp2s<>(SB), RODATA|NOPTR, $32

// HORNER sets y to c + x*y, using t.
#define HORNER(C, T, X, Y) \
	VORR C.B16, C.B16, T.B16 \
	VFMLA X.S4, Y.S4, T.S4

// EXP2 sets V4 to 2^V0; it uses V0, V2, V3 and V5. A NaN stays one.
#define EXP2 \
	FCMGT4(0, 23, 5) \
	FMAX4(23, 0, 0) \
	FRINTM4(0, 2) \
	FSUB4(2, 0, 0) \
	HORNER(V20, V3, V0, V21) \
	HORNER(V19, V4, V0, V3) \
	HORNER(V18, V3, V0, V4) \
	HORNER(V17, V4, V0, V3) \
	HORNER(V16, V3, V0, V4) \
	HORNER(V22, V4, V0, V3) \
	FCVTZS4(2, 2) \
	VSHL $23, V2.S4, V2.S4 \
	VADD V2.S4, V4.S4, V4.S4 \
	BIC16(5, 4, 4)

// func weightsNEON(a *weightArgs)
// Rows have a multiple of four keys.
TEXT ·weightsNEON(SB), NOSPLIT, $0-8
	MOVD a+0(FP), R12
	MOVD weightArgs_p(R12), R0
	MOVD weightArgs_keys(R12), R1
	MOVD weightArgs_top(R12), R4
	MOVD weightArgs_sum(R12), R5
	MOVD weightArgs_factor(R12), R6
	MOVD weightArgs_rows(R12), R7
	MOVD $exp2s<>(SB), R8
	VLD1R.P 4(R8), [V16.S4]
	VLD1R.P 4(R8), [V17.S4]
	VLD1R.P 4(R8), [V18.S4]
	VLD1R.P 4(R8), [V19.S4]
	VLD1R.P 4(R8), [V20.S4]
	VLD1R.P 4(R8), [V21.S4]
	VLD1R.P 4(R8), [V22.S4]
	VLD1R.P 4(R8), [V23.S4]
row:
	MOVD.P 8(R1), R2
	ADD $3, R2
	LSR $2, R2
	VLD1R (R4), [V6.S4]
	VORR V6.B16, V6.B16, V7.B16
	MOVD R0, R9
	MOVD R2, R3
top:
	VLD1.P 16(R9), [V0.S4]
	FMAX4(0, 7, 7)
	SUBS $1, R3
	BNE top
	FMAXV4(7, 7)
	VDUP V7.S[0], V7.S4
	FMOVS.P F7, 4(R4)
	FSUB4(7, 6, 0)
	EXP2
	FMOVS.P F4, 4(R6)
	VLD1 (R5), [V24.S4, V25.S4, V26.S4, V27.S4]
	FMUL4(4, 24, 24)
	FMUL4(4, 25, 25)
	FMUL4(4, 26, 26)
	FMUL4(4, 27, 27)
	MOVD R0, R9
	MOVD R2, R3
loop:
	VLD1 (R9), [V0.S4]
	FSUB4(7, 0, 0)
	EXP2
	VST1.P [V4.S4], 16(R9)
	FADD4(4, 24, 24)
	SUBS $1, R3
	BNE loop
	VST1.P [V24.S4, V25.S4, V26.S4, V27.S4], 64(R5)
	ADD $512, R0
	SUBS $1, R7
	BNE row
	RET
