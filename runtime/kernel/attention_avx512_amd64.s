//go:build !purego

#include "textflag.h"
#include "go_asm.h"

// The steps of attention over a page, sixteen keys or elements of values in a
// vector. Each score is a chain of fused additions over the elements of its key,
// and each element of a mixture one over the keys, however many rows share them.

#define F32(m, R, S) VMOVUPS m, R

#define F16(m, R, S) VCVTPH2PS m, R

#define Q8(m, R, S) \
	VPMOVSXBD m, R \
	VCVTDQ2PS R, R \
	VMULPS S, R, R

#define ZERO4(A, B, C, D) \
	VPXORD A, A, A \
	VPXORD B, B, B \
	VPXORD C, C, C \
	VPXORD D, D, D

// Scores. DI scores, SI queries, R8 group of keys, DX elements, R9 and R10 one and
// three queries' bytes, R13 a group's, R12 batches of groups left, AX and BX
// elements of queries, R11 elements of keys, R15 scales of keys, CX elements left.
// Where a batch has four groups, BX is three groups' bytes instead.

#define GROUPS1(T, FROM) \
	T((FROM), Z16, Z20)

#define GROUPS2(T, FROM) \
	GROUPS1(T, FROM) \
	T((FROM)(R13*1), Z17, Z21)

#define GROUPS4(T, FROM) \
	GROUPS2(T, FROM) \
	T((FROM)(R13*2), Z18, Z22) \
	T((FROM)(BX*1), Z19, Z23)

// SCALE loads into S what Q8 multiplies by.
#define SCALE(m, R, S) VCVTPH2PS m, S

#define ROWS8 \
	VFMADD231PS.BCST (AX), Z16, Z0 \
	VFMADD231PS.BCST (AX)(R9*1), Z16, Z1 \
	VFMADD231PS.BCST (AX)(R9*2), Z16, Z2 \
	VFMADD231PS.BCST (AX)(R10*1), Z16, Z3 \
	VFMADD231PS.BCST (BX), Z16, Z4 \
	VFMADD231PS.BCST (BX)(R9*1), Z16, Z5 \
	VFMADD231PS.BCST (BX)(R9*2), Z16, Z6 \
	VFMADD231PS.BCST (BX)(R10*1), Z16, Z7 \
	ADDQ $4, BX

#define ROW2(m, A, B) \
	VFMADD231PS.BCST m, Z16, A \
	VFMADD231PS.BCST m, Z17, B

#define ROWS4 \
	ROW2((AX), Z0, Z1) \
	ROW2((AX)(R9*1), Z2, Z3) \
	ROW2((AX)(R9*2), Z4, Z5) \
	ROW2((AX)(R10*1), Z6, Z7)

#define ROW4(m, A, B, C, D) \
	VBROADCASTSS m, Z24 \
	VFMADD231PS Z16, Z24, A \
	VFMADD231PS Z17, Z24, B \
	VFMADD231PS Z18, Z24, C \
	VFMADD231PS Z19, Z24, D

#define ROWS1 \
	ROW4((AX), Z0, Z1, Z2, Z3)

#define ROWS2 \
	ROWS1 \
	ROW4((AX)(R9*1), Z4, Z5, Z6, Z7)

#define STORE8 \
	VMOVUPS Z0, (DI) \
	VMOVUPS Z1, 512(DI) \
	VMOVUPS Z2, 1024(DI) \
	VMOVUPS Z3, 1536(DI) \
	VMOVUPS Z4, 2048(DI) \
	VMOVUPS Z5, 2560(DI) \
	VMOVUPS Z6, 3072(DI) \
	VMOVUPS Z7, 3584(DI)

#define STORE4 \
	VMOVUPS Z0, (DI) \
	VMOVUPS Z1, 64(DI) \
	VMOVUPS Z2, 512(DI) \
	VMOVUPS Z3, 576(DI) \
	VMOVUPS Z4, 1024(DI) \
	VMOVUPS Z5, 1088(DI) \
	VMOVUPS Z6, 1536(DI) \
	VMOVUPS Z7, 1600(DI)

#define STORE1 \
	VMOVUPS Z0, (DI) \
	VMOVUPS Z1, 64(DI) \
	VMOVUPS Z2, 128(DI) \
	VMOVUPS Z3, 192(DI)

#define STORE2 \
	STORE1 \
	VMOVUPS Z4, 512(DI) \
	VMOVUPS Z5, 576(DI) \
	VMOVUPS Z6, 640(DI) \
	VMOVUPS Z7, 704(DI)

#define UPPER LEAQ (SI)(R9*4), BX
#define NOUPPER

// FLOATS goes through the elements of a batch of F32 or F16.
#define FLOATS(T, GROUPS, STEP, ROWS) \
	MOVQ R8, R11 \
	MOVQ DX, CX \
element: \
	GROUPS(T, R11) \
	ROWS \
	ADDQ STEP, R11 \
	ADDQ $4, AX \
	DECQ CX \
	JNZ element

// BLOCKS goes through those of Q8_0, whose groups begin with DX bytes of scales.
#define BLOCKS(T, GROUPS, STEP, ROWS) \
	LEAQ (R8)(DX*1), R11 \
	MOVQ R8, R15 \
block: \
	GROUPS(SCALE, R15) \
	MOVQ $32, CX \
element: \
	GROUPS(T, R11) \
	ROWS \
	ADDQ STEP, R11 \
	ADDQ $4, AX \
	DECQ CX \
	JNZ element \
	ADDQ $32, R15 \
	LEAQ (R8)(DX*1), CX \
	CMPQ R15, CX \
	JL block

#define SCORES(WALK, T, GROUPS, STEP, ROWS, TOUPPER, STORE, COUNT) \
	MOVQ a+0(FP), AX \
	MOVQ scoreArgs_p(AX), DI \
	MOVQ scoreArgs_q(AX), SI \
	MOVQ scoreArgs_k(AX), R8 \
	MOVQ scoreArgs_d(AX), DX \
	MOVQ scoreArgs_group(AX), R13 \
	MOVQ scoreArgs_batches(AX), R12 \
	LEAQ (DX*4), R9 \
	LEAQ (R9)(R9*2), R10 \
	LEAQ (R13)(R13*2), BX \
batch: \
	ZERO4(Z0, Z1, Z2, Z3) \
	ZERO4(Z4, Z5, Z6, Z7) \
	MOVQ SI, AX \
	TOUPPER \
	WALK(T, GROUPS, STEP, ROWS) \
	STORE \
	ADDQ $(64*COUNT), DI \
	IMUL3Q $COUNT, R13, CX \
	ADDQ CX, R8 \
	DECQ R12 \
	JNZ batch \
	VZEROUPPER \
	RET

// func scores8F32AVX512(a *scoreArgs)
// Requires: AVX512F
TEXT ·scores8F32AVX512(SB), NOSPLIT, $0-8
	SCORES(FLOATS, F32, GROUPS1, $64, ROWS8, UPPER, STORE8, 1)

// func scores4F32AVX512(a *scoreArgs)
// Requires: AVX512F
TEXT ·scores4F32AVX512(SB), NOSPLIT, $0-8
	SCORES(FLOATS, F32, GROUPS2, $64, ROWS4, NOUPPER, STORE4, 2)

// func scores2F32AVX512(a *scoreArgs)
// Requires: AVX512F
TEXT ·scores2F32AVX512(SB), NOSPLIT, $0-8
	SCORES(FLOATS, F32, GROUPS4, $64, ROWS2, NOUPPER, STORE2, 4)

// func scores1F32AVX512(a *scoreArgs)
// Requires: AVX512F
TEXT ·scores1F32AVX512(SB), NOSPLIT, $0-8
	SCORES(FLOATS, F32, GROUPS4, $64, ROWS1, NOUPPER, STORE1, 4)

// func scores8F16AVX512(a *scoreArgs)
// Requires: AVX512F
TEXT ·scores8F16AVX512(SB), NOSPLIT, $0-8
	SCORES(FLOATS, F16, GROUPS1, $32, ROWS8, UPPER, STORE8, 1)

// func scores4F16AVX512(a *scoreArgs)
// Requires: AVX512F
TEXT ·scores4F16AVX512(SB), NOSPLIT, $0-8
	SCORES(FLOATS, F16, GROUPS2, $32, ROWS4, NOUPPER, STORE4, 2)

// func scores2F16AVX512(a *scoreArgs)
// Requires: AVX512F
TEXT ·scores2F16AVX512(SB), NOSPLIT, $0-8
	SCORES(FLOATS, F16, GROUPS4, $32, ROWS2, NOUPPER, STORE2, 4)

// func scores1F16AVX512(a *scoreArgs)
// Requires: AVX512F
TEXT ·scores1F16AVX512(SB), NOSPLIT, $0-8
	SCORES(FLOATS, F16, GROUPS4, $32, ROWS1, NOUPPER, STORE1, 4)

// func scores8Q8AVX512(a *scoreArgs)
// Requires: AVX512F
TEXT ·scores8Q8AVX512(SB), NOSPLIT, $0-8
	SCORES(BLOCKS, Q8, GROUPS1, $16, ROWS8, UPPER, STORE8, 1)

// func scores4Q8AVX512(a *scoreArgs)
// Requires: AVX512F
TEXT ·scores4Q8AVX512(SB), NOSPLIT, $0-8
	SCORES(BLOCKS, Q8, GROUPS2, $16, ROWS4, NOUPPER, STORE4, 2)

// func scores2Q8AVX512(a *scoreArgs)
// Requires: AVX512F
TEXT ·scores2Q8AVX512(SB), NOSPLIT, $0-8
	SCORES(BLOCKS, Q8, GROUPS4, $16, ROWS2, NOUPPER, STORE2, 4)

// func scores1Q8AVX512(a *scoreArgs)
// Requires: AVX512F
TEXT ·scores1Q8AVX512(SB), NOSPLIT, $0-8
	SCORES(BLOCKS, Q8, GROUPS4, $16, ROWS1, NOUPPER, STORE1, 4)

// Mixtures. BX a row of the mixtures and R9 its bytes, R10 factors, DX weights, SI
// values and R11 a row's bytes, CX keys left, K1-K4 the elements.

#define MIX_BEGIN \
	MOVQ a+0(FP), AX \
	MOVQ mixArgs_o(AX), BX \
	MOVQ mixArgs_width(AX), R9 \
	MOVQ mixArgs_factor(AX), R10 \
	MOVQ mixArgs_p(AX), DX \
	MOVQ mixArgs_v(AX), SI \
	MOVQ mixArgs_stride(AX), R11 \
	MOVQ mixArgs_keys(AX), CX \
	MOVQ mixArgs_mask(AX), AX \
	KMOVW AX, K1 \
	SHRQ $16, AX \
	KMOVW AX, K2 \
	SHRQ $16, AX \
	KMOVW AX, K3 \
	SHRQ $16, AX \
	KMOVW AX, K4

#define IN2(r, A, B) \
	VMOVUPS.Z (BX), K1, A \
	VMOVUPS.Z 64(BX), K2, B \
	VMULPS.BCST (4*r)(R10), A, A \
	VMULPS.BCST (4*r)(R10), B, B

#define IN4(r, A, B, C, D) \
	IN2(r, A, B) \
	VMOVUPS.Z 128(BX), K3, C \
	VMOVUPS.Z 192(BX), K4, D \
	VMULPS.BCST (4*r)(R10), C, C \
	VMULPS.BCST (4*r)(R10), D, D

#define OUT2(A, B) \
	VMOVUPS A, K1, (BX) \
	VMOVUPS B, K2, 64(BX)

#define OUT4(A, B, C, D) \
	OUT2(A, B) \
	VMOVUPS C, K3, 128(BX) \
	VMOVUPS D, K4, 192(BX)

#define NEXT ADDQ R9, BX

// REWIND goes back to the first of eight, four or two rows, from the last.
#define REWIND(n) \
	IMUL3Q $(n-1), R9, AX \
	SUBQ AX, BX

#define ADD2(r, A, B) \
	VBROADCASTSS (512*r)(DX), Z24 \
	VFMADD231PS Z16, Z24, A \
	VFMADD231PS Z17, Z24, B

#define ADD4(r, A, B, C, D) \
	ADD2(r, A, B) \
	VFMADD231PS Z18, Z24, C \
	VFMADD231PS Z19, Z24, D

#define VALUES2F32 \
	VMOVUPS.Z (SI), K1, Z16 \
	VMOVUPS.Z 64(SI), K2, Z17

#define VALUES4F32 \
	VALUES2F32 \
	VMOVUPS.Z 128(SI), K3, Z18 \
	VMOVUPS.Z 192(SI), K4, Z19

#define VALUES2F16 \
	VCVTPH2PS.Z (SI), K1, Z16 \
	VCVTPH2PS.Z 32(SI), K2, Z17

#define VALUES4F16 \
	VALUES2F16 \
	VCVTPH2PS.Z 64(SI), K3, Z18 \
	VCVTPH2PS.Z 96(SI), K4, Z19

#define VALUES2Q8 \
	VPBROADCASTW (SI), Y20 \
	VPMOVSXBD 2(SI), Z16 \
	VPMOVSXBD 18(SI), Z17 \
	VCVTPH2PS Y20, Z20 \
	VCVTDQ2PS Z16, Z16 \
	VCVTDQ2PS Z17, Z17 \
	VMULPS Z20, Z16, Z16 \
	VMULPS Z20, Z17, Z17

#define KEYS(VALUES, ADDS) \
key: \
	VALUES \
	ADDS \
	ADDQ $4, DX \
	ADDQ R11, SI \
	DECQ CX \
	JNZ key

#define ADDS8 \
	ADD2(0, Z0, Z1) \
	ADD2(1, Z2, Z3) \
	ADD2(2, Z4, Z5) \
	ADD2(3, Z6, Z7) \
	ADD2(4, Z8, Z9) \
	ADD2(5, Z10, Z11) \
	ADD2(6, Z12, Z13) \
	ADD2(7, Z14, Z15)

#define ADDS4 \
	ADD4(0, Z0, Z1, Z2, Z3) \
	ADD4(1, Z4, Z5, Z6, Z7) \
	ADD4(2, Z8, Z9, Z10, Z11) \
	ADD4(3, Z12, Z13, Z14, Z15)

#define ADDS2 \
	ADD4(0, Z0, Z1, Z2, Z3) \
	ADD4(1, Z4, Z5, Z6, Z7)

#define ADDS1 \
	ADD4(0, Z0, Z1, Z2, Z3)

#define NARROW4 \
	ADD2(0, Z0, Z1) \
	ADD2(1, Z2, Z3) \
	ADD2(2, Z4, Z5) \
	ADD2(3, Z6, Z7)

#define NARROW2 \
	ADD2(0, Z0, Z1) \
	ADD2(1, Z2, Z3)

#define NARROW1 \
	ADD2(0, Z0, Z1)

#define MIX8(VALUES) \
	MIX_BEGIN \
	IN2(0, Z0, Z1) \
	NEXT \
	IN2(1, Z2, Z3) \
	NEXT \
	IN2(2, Z4, Z5) \
	NEXT \
	IN2(3, Z6, Z7) \
	NEXT \
	IN2(4, Z8, Z9) \
	NEXT \
	IN2(5, Z10, Z11) \
	NEXT \
	IN2(6, Z12, Z13) \
	NEXT \
	IN2(7, Z14, Z15) \
	KEYS(VALUES, ADDS8) \
	REWIND(8) \
	OUT2(Z0, Z1) \
	NEXT \
	OUT2(Z2, Z3) \
	NEXT \
	OUT2(Z4, Z5) \
	NEXT \
	OUT2(Z6, Z7) \
	NEXT \
	OUT2(Z8, Z9) \
	NEXT \
	OUT2(Z10, Z11) \
	NEXT \
	OUT2(Z12, Z13) \
	NEXT \
	OUT2(Z14, Z15) \
	VZEROUPPER \
	RET

#define MIX4(VALUES) \
	MIX_BEGIN \
	IN4(0, Z0, Z1, Z2, Z3) \
	NEXT \
	IN4(1, Z4, Z5, Z6, Z7) \
	NEXT \
	IN4(2, Z8, Z9, Z10, Z11) \
	NEXT \
	IN4(3, Z12, Z13, Z14, Z15) \
	KEYS(VALUES, ADDS4) \
	REWIND(4) \
	OUT4(Z0, Z1, Z2, Z3) \
	NEXT \
	OUT4(Z4, Z5, Z6, Z7) \
	NEXT \
	OUT4(Z8, Z9, Z10, Z11) \
	NEXT \
	OUT4(Z12, Z13, Z14, Z15) \
	VZEROUPPER \
	RET

#define MIX2(VALUES) \
	MIX_BEGIN \
	IN4(0, Z0, Z1, Z2, Z3) \
	NEXT \
	IN4(1, Z4, Z5, Z6, Z7) \
	KEYS(VALUES, ADDS2) \
	REWIND(2) \
	OUT4(Z0, Z1, Z2, Z3) \
	NEXT \
	OUT4(Z4, Z5, Z6, Z7) \
	VZEROUPPER \
	RET

#define MIX1(VALUES) \
	MIX_BEGIN \
	IN4(0, Z0, Z1, Z2, Z3) \
	KEYS(VALUES, ADDS1) \
	OUT4(Z0, Z1, Z2, Z3) \
	VZEROUPPER \
	RET

// func mix8F32AVX512(a *mixArgs)
// Requires: AVX512F
TEXT ·mix8F32AVX512(SB), NOSPLIT, $0-8
	MIX8(VALUES2F32)

// func mix4F32AVX512(a *mixArgs)
// Requires: AVX512F
TEXT ·mix4F32AVX512(SB), NOSPLIT, $0-8
	MIX4(VALUES4F32)

// func mix2F32AVX512(a *mixArgs)
// Requires: AVX512F
TEXT ·mix2F32AVX512(SB), NOSPLIT, $0-8
	MIX2(VALUES4F32)

// func mix1F32AVX512(a *mixArgs)
// Requires: AVX512F
TEXT ·mix1F32AVX512(SB), NOSPLIT, $0-8
	MIX1(VALUES4F32)

// func mix8F16AVX512(a *mixArgs)
// Requires: AVX512F
TEXT ·mix8F16AVX512(SB), NOSPLIT, $0-8
	MIX8(VALUES2F16)

// func mix4F16AVX512(a *mixArgs)
// Requires: AVX512F
TEXT ·mix4F16AVX512(SB), NOSPLIT, $0-8
	MIX4(VALUES4F16)

// func mix2F16AVX512(a *mixArgs)
// Requires: AVX512F
TEXT ·mix2F16AVX512(SB), NOSPLIT, $0-8
	MIX2(VALUES4F16)

// func mix1F16AVX512(a *mixArgs)
// Requires: AVX512F
TEXT ·mix1F16AVX512(SB), NOSPLIT, $0-8
	MIX1(VALUES4F16)

// func mix8Q8AVX512(a *mixArgs)
// Requires: AVX512F, AVX512BW, AVX512VL
TEXT ·mix8Q8AVX512(SB), NOSPLIT, $0-8
	MIX8(VALUES2Q8)

// func mix4Q8AVX512(a *mixArgs)
// Requires: AVX512F, AVX512BW, AVX512VL
TEXT ·mix4Q8AVX512(SB), NOSPLIT, $0-8
	MIX_BEGIN
	IN2(0, Z0, Z1)
	NEXT
	IN2(1, Z2, Z3)
	NEXT
	IN2(2, Z4, Z5)
	NEXT
	IN2(3, Z6, Z7)
	KEYS(VALUES2Q8, NARROW4)
	REWIND(4)
	OUT2(Z0, Z1)
	NEXT
	OUT2(Z2, Z3)
	NEXT
	OUT2(Z4, Z5)
	NEXT
	OUT2(Z6, Z7)
	VZEROUPPER
	RET

// func mix2Q8AVX512(a *mixArgs)
// Requires: AVX512F, AVX512BW, AVX512VL
TEXT ·mix2Q8AVX512(SB), NOSPLIT, $0-8
	MIX_BEGIN
	IN2(0, Z0, Z1)
	NEXT
	IN2(1, Z2, Z3)
	KEYS(VALUES2Q8, NARROW2)
	REWIND(2)
	OUT2(Z0, Z1)
	NEXT
	OUT2(Z2, Z3)
	VZEROUPPER
	RET

// func mix1Q8AVX512(a *mixArgs)
// Requires: AVX512F, AVX512BW, AVX512VL
TEXT ·mix1Q8AVX512(SB), NOSPLIT, $0-8
	MIX_BEGIN
	IN2(0, Z0, Z1)
	KEYS(VALUES2Q8, NARROW1)
	OUT2(Z0, Z1)
	VZEROUPPER
	RET
