//go:build !purego

#include "textflag.h"
#include "go_asm.h"

// The steps of attention over a page, eight keys or elements of values in a vector;
// see attention_avx512_amd64.s, of which this has the order of additions.

#define F32(m, Y, S) VMOVUPS m, Y

#define F16(m, Y, S) VCVTPH2PS m, Y

#define Q8(m, Y, S) \
	VPMOVSXBD m, Y \
	VCVTDQ2PS Y, Y \
	VMULPS S, Y, Y

// Scores. DI scores, SI queries, R8 group of keys, DX elements, R9 and R10 one and
// three queries' bytes, R13 a group's, R12 batches of groups left, AX elements of
// queries, R11 elements of keys, R15 scales of keys, CX elements left.

// ROWS4 multiplies a group by four queries. H is the bytes of eight numbers.
#define ROWS4(T, H) \
	T((R11), Y8, Y12) \
	T(H(R11), Y9, Y13) \
	ROW((AX), Y0, Y1) \
	ROW((AX)(R9*1), Y2, Y3) \
	ROW((AX)(R9*2), Y4, Y5) \
	ROW((AX)(R10*1), Y6, Y7)

#define ROW(m, A, B) \
	VBROADCASTSS m, Y10 \
	VFMADD231PS Y8, Y10, A \
	VFMADD231PS Y9, Y10, B

// ROWS2 multiplies two groups by two queries, ROWS1 by one.
#define ROWS2(T, H) \
	VBROADCASTSS (AX), Y10 \
	VBROADCASTSS (AX)(R9*1), Y11 \
	PAIR(T, (R11), Y12, Y0, Y4) \
	PAIR(T, H(R11), Y13, Y1, Y5) \
	PAIR(T, (R11)(R13*1), Y14, Y2, Y6) \
	PAIR(T, H(R11)(R13*1), Y15, Y3, Y7)

#define PAIR(T, m, S, A, B) \
	T(m, Y8, S) \
	VFMADD231PS Y8, Y10, A \
	VFMADD231PS Y8, Y11, B

#define ROWS1(T, H) \
	VBROADCASTSS (AX), Y10 \
	T((R11), Y8, Y12) \
	VFMADD231PS Y8, Y10, Y0 \
	T(H(R11), Y9, Y13) \
	VFMADD231PS Y9, Y10, Y1 \
	T((R11)(R13*1), Y8, Y14) \
	VFMADD231PS Y8, Y10, Y2 \
	T(H(R11)(R13*1), Y9, Y15) \
	VFMADD231PS Y9, Y10, Y3

#define SCALES1 \
	VCVTPH2PS (R15), Y12 \
	VCVTPH2PS 16(R15), Y13

#define SCALES2 \
	SCALES1 \
	VCVTPH2PS (R15)(R13*1), Y14 \
	VCVTPH2PS 16(R15)(R13*1), Y15

#define STORE4 \
	VMOVUPS Y0, (DI) \
	VMOVUPS Y1, 32(DI) \
	VMOVUPS Y2, 512(DI) \
	VMOVUPS Y3, 544(DI) \
	VMOVUPS Y4, 1024(DI) \
	VMOVUPS Y5, 1056(DI) \
	VMOVUPS Y6, 1536(DI) \
	VMOVUPS Y7, 1568(DI)

#define STORE1 \
	VMOVUPS Y0, (DI) \
	VMOVUPS Y1, 32(DI) \
	VMOVUPS Y2, 64(DI) \
	VMOVUPS Y3, 96(DI)

#define STORE2 \
	STORE1 \
	VMOVUPS Y4, 512(DI) \
	VMOVUPS Y5, 544(DI) \
	VMOVUPS Y6, 576(DI) \
	VMOVUPS Y7, 608(DI)

// FLOATS goes through the elements of a batch of F32 or F16.
#define FLOATS(T, H, ROWS, SCALES) \
	MOVQ R8, R11 \
	MOVQ DX, CX \
element: \
	ROWS(T, H) \
	ADDQ $(2*H), R11 \
	ADDQ $4, AX \
	DECQ CX \
	JNZ element

// BLOCKS goes through those of Q8_0, whose groups begin with DX bytes of scales.
#define BLOCKS(T, H, ROWS, SCALES) \
	LEAQ (R8)(DX*1), R11 \
	MOVQ R8, R15 \
block: \
	SCALES \
	MOVQ $32, CX \
element: \
	ROWS(T, H) \
	ADDQ $(2*H), R11 \
	ADDQ $4, AX \
	DECQ CX \
	JNZ element \
	ADDQ $32, R15 \
	LEAQ (R8)(DX*1), CX \
	CMPQ R15, CX \
	JL block

#define SCORES(WALK, T, H, ROWS, SCALES, STORE, COUNT) \
	MOVQ a+0(FP), AX \
	MOVQ scoreArgs_p(AX), DI \
	MOVQ scoreArgs_q(AX), SI \
	MOVQ scoreArgs_k(AX), R8 \
	MOVQ scoreArgs_d(AX), DX \
	MOVQ scoreArgs_group(AX), R13 \
	MOVQ scoreArgs_batches(AX), R12 \
	LEAQ (DX*4), R9 \
	LEAQ (R9)(R9*2), R10 \
batch: \
	VXORPS Y0, Y0, Y0 \
	VXORPS Y1, Y1, Y1 \
	VXORPS Y2, Y2, Y2 \
	VXORPS Y3, Y3, Y3 \
	VXORPS Y4, Y4, Y4 \
	VXORPS Y5, Y5, Y5 \
	VXORPS Y6, Y6, Y6 \
	VXORPS Y7, Y7, Y7 \
	MOVQ SI, AX \
	WALK(T, H, ROWS, SCALES) \
	STORE \
	ADDQ $(64*COUNT), DI \
	IMUL3Q $COUNT, R13, CX \
	ADDQ CX, R8 \
	DECQ R12 \
	JNZ batch \
	VZEROUPPER \
	RET

// func scores4F32AVX2(a *scoreArgs)
// Requires: AVX2, FMA, F16C
TEXT ·scores4F32AVX2(SB), NOSPLIT, $0-8
	SCORES(FLOATS, F32, 32, ROWS4, SCALES1, STORE4, 1)

// func scores2F32AVX2(a *scoreArgs)
// Requires: AVX2, FMA, F16C
TEXT ·scores2F32AVX2(SB), NOSPLIT, $0-8
	SCORES(FLOATS, F32, 32, ROWS2, SCALES2, STORE2, 2)

// func scores1F32AVX2(a *scoreArgs)
// Requires: AVX2, FMA, F16C
TEXT ·scores1F32AVX2(SB), NOSPLIT, $0-8
	SCORES(FLOATS, F32, 32, ROWS1, SCALES2, STORE1, 2)

// func scores4F16AVX2(a *scoreArgs)
// Requires: AVX2, FMA, F16C
TEXT ·scores4F16AVX2(SB), NOSPLIT, $0-8
	SCORES(FLOATS, F16, 16, ROWS4, SCALES1, STORE4, 1)

// func scores2F16AVX2(a *scoreArgs)
// Requires: AVX2, FMA, F16C
TEXT ·scores2F16AVX2(SB), NOSPLIT, $0-8
	SCORES(FLOATS, F16, 16, ROWS2, SCALES2, STORE2, 2)

// func scores1F16AVX2(a *scoreArgs)
// Requires: AVX2, FMA, F16C
TEXT ·scores1F16AVX2(SB), NOSPLIT, $0-8
	SCORES(FLOATS, F16, 16, ROWS1, SCALES2, STORE1, 2)

// func scores4Q8AVX2(a *scoreArgs)
// Requires: AVX2, FMA, F16C
TEXT ·scores4Q8AVX2(SB), NOSPLIT, $0-8
	SCORES(BLOCKS, Q8, 8, ROWS4, SCALES1, STORE4, 1)

// func scores2Q8AVX2(a *scoreArgs)
// Requires: AVX2, FMA, F16C
TEXT ·scores2Q8AVX2(SB), NOSPLIT, $0-8
	SCORES(BLOCKS, Q8, 8, ROWS2, SCALES2, STORE2, 2)

// func scores1Q8AVX2(a *scoreArgs)
// Requires: AVX2, FMA, F16C
TEXT ·scores1Q8AVX2(SB), NOSPLIT, $0-8
	SCORES(BLOCKS, Q8, 8, ROWS1, SCALES2, STORE1, 2)

// Mixtures of sixteen elements. BX a row of the mixtures and R9 its bytes, R10
// factors, DX weights, SI values, R8 the block of Q8_0 they are in and R11 a row's
// bytes, CX keys left.

#define MIX_BEGIN \
	MOVQ a+0(FP), AX \
	MOVQ mixArgs_o(AX), BX \
	MOVQ mixArgs_width(AX), R9 \
	MOVQ mixArgs_factor(AX), R10 \
	MOVQ mixArgs_p(AX), DX \
	MOVQ mixArgs_v(AX), SI \
	MOVQ mixArgs_block(AX), R8 \
	MOVQ mixArgs_stride(AX), R11 \
	MOVQ mixArgs_keys(AX), CX \
	MOVQ BX, DI

#define IN(r, A, B) \
	VBROADCASTSS (4*r)(R10), Y10 \
	VMULPS (BX), Y10, A \
	VMULPS 32(BX), Y10, B \
	ADDQ R9, BX

#define OUT(A, B) \
	VMOVUPS A, (DI) \
	VMOVUPS B, 32(DI) \
	ADDQ R9, DI

#define ADD(r, A, B) \
	VBROADCASTSS (512*r)(DX), Y10 \
	VFMADD231PS Y8, Y10, A \
	VFMADD231PS Y9, Y10, B

#define VALUESF32 \
	VMOVUPS (SI), Y8 \
	VMOVUPS 32(SI), Y9

#define VALUESF16 \
	VCVTPH2PS (SI), Y8 \
	VCVTPH2PS 16(SI), Y9

#define VALUESQ8 \
	VPBROADCASTW (R8), X11 \
	VCVTPH2PS X11, Y11 \
	Q8((SI), Y8, Y11) \
	Q8(8(SI), Y9, Y11) \
	ADDQ R11, R8

#define ADDS1 \
	ADD(0, Y0, Y1)

#define ADDS2 \
	ADDS1 \
	ADD(1, Y2, Y3)

#define ADDS4 \
	ADDS2 \
	ADD(2, Y4, Y5) \
	ADD(3, Y6, Y7)

#define INS1 \
	IN(0, Y0, Y1)

#define INS2 \
	INS1 \
	IN(1, Y2, Y3)

#define INS4 \
	INS2 \
	IN(2, Y4, Y5) \
	IN(3, Y6, Y7)

#define OUTS1 \
	OUT(Y0, Y1)

#define OUTS2 \
	OUTS1 \
	OUT(Y2, Y3)

#define OUTS4 \
	OUTS2 \
	OUT(Y4, Y5) \
	OUT(Y6, Y7)

#define MIX(INS, VALUES, ADDS, OUTS) \
	MIX_BEGIN \
	INS \
key: \
	VALUES \
	ADDS \
	ADDQ $4, DX \
	ADDQ R11, SI \
	DECQ CX \
	JNZ key \
	OUTS \
	VZEROUPPER \
	RET

// func mix4F32AVX2(a *mixArgs)
// Requires: AVX2, FMA, F16C
TEXT ·mix4F32AVX2(SB), NOSPLIT, $0-8
	MIX(INS4, VALUESF32, ADDS4, OUTS4)

// func mix2F32AVX2(a *mixArgs)
// Requires: AVX2, FMA, F16C
TEXT ·mix2F32AVX2(SB), NOSPLIT, $0-8
	MIX(INS2, VALUESF32, ADDS2, OUTS2)

// func mix1F32AVX2(a *mixArgs)
// Requires: AVX2, FMA, F16C
TEXT ·mix1F32AVX2(SB), NOSPLIT, $0-8
	MIX(INS1, VALUESF32, ADDS1, OUTS1)

// func mix4F16AVX2(a *mixArgs)
// Requires: AVX2, FMA, F16C
TEXT ·mix4F16AVX2(SB), NOSPLIT, $0-8
	MIX(INS4, VALUESF16, ADDS4, OUTS4)

// func mix2F16AVX2(a *mixArgs)
// Requires: AVX2, FMA, F16C
TEXT ·mix2F16AVX2(SB), NOSPLIT, $0-8
	MIX(INS2, VALUESF16, ADDS2, OUTS2)

// func mix1F16AVX2(a *mixArgs)
// Requires: AVX2, FMA, F16C
TEXT ·mix1F16AVX2(SB), NOSPLIT, $0-8
	MIX(INS1, VALUESF16, ADDS1, OUTS1)

// func mix4Q8AVX2(a *mixArgs)
// Requires: AVX2, FMA, F16C
TEXT ·mix4Q8AVX2(SB), NOSPLIT, $0-8
	MIX(INS4, VALUESQ8, ADDS4, OUTS4)

// func mix2Q8AVX2(a *mixArgs)
// Requires: AVX2, FMA, F16C
TEXT ·mix2Q8AVX2(SB), NOSPLIT, $0-8
	MIX(INS2, VALUESQ8, ADDS2, OUTS2)

// func mix1Q8AVX2(a *mixArgs)
// Requires: AVX2, FMA, F16C
TEXT ·mix1Q8AVX2(SB), NOSPLIT, $0-8
	MIX(INS1, VALUESQ8, ADDS1, OUTS1)

// masks<> holds eight set dwords and eight clear ones: the mask for n elements is
// at byte 32-4n.
DATA masks<>+0(SB)/8, $-1
DATA masks<>+8(SB)/8, $-1
DATA masks<>+16(SB)/8, $-1
DATA masks<>+24(SB)/8, $-1
DATA masks<>+32(SB)/8, $0
DATA masks<>+40(SB)/8, $0
DATA masks<>+48(SB)/8, $0
DATA masks<>+56(SB)/8, $0
GLOBL masks<>(SB), RODATA|NOPTR, $64

DATA exp2s<>+0(SB)/4, $0x3f317218  // exp2c1
DATA exp2s<>+4(SB)/4, $0x3e75fe1f  // exp2c2
DATA exp2s<>+8(SB)/4, $0x3d634fcc  // exp2c3
DATA exp2s<>+12(SB)/4, $0x3c1e243e // exp2c4
DATA exp2s<>+16(SB)/4, $0x3aa65bd8 // exp2c5
DATA exp2s<>+20(SB)/4, $0x395a4aaa // exp2c6
DATA exp2s<>+24(SB)/4, $0x3f800000 // 1
DATA exp2s<>+28(SB)/4, $0xc2fc0000 // exp2Least
GLOBL exp2s<>(SB), RODATA|NOPTR, $32

// EXP2 sets Y3 to 2^Y0; it uses Y0, Y2 and Y5. A NaN stays one.
#define EXP2 \
	VCMPPS $5, Y7, Y0, Y5 \
	VMAXPS Y0, Y7, Y0 \
	VROUNDPS $1, Y0, Y2 \
	VSUBPS Y2, Y0, Y0 \
	VMOVAPS Y15, Y3 \
	VFMADD213PS Y14, Y0, Y3 \
	VFMADD213PS Y13, Y0, Y3 \
	VFMADD213PS Y12, Y0, Y3 \
	VFMADD213PS Y11, Y0, Y3 \
	VFMADD213PS Y10, Y0, Y3 \
	VFMADD213PS Y9, Y0, Y3 \
	VCVTPS2DQ Y2, Y2 \
	VPSLLD $23, Y2, Y2 \
	VPADDD Y2, Y3, Y3 \
	VANDPS Y5, Y3, Y3

// func weightsAVX2(a *weightArgs)
// Requires: AVX2, FMA
TEXT ·weightsAVX2(SB), NOSPLIT, $0-8
	MOVQ a+0(FP), AX
	MOVQ weightArgs_p(AX), DI
	MOVQ weightArgs_keys(AX), SI
	MOVQ weightArgs_top(AX), R8
	MOVQ weightArgs_sum(AX), R9
	MOVQ weightArgs_factor(AX), R10
	MOVQ weightArgs_rows(AX), R11
	VBROADCASTSS exp2s<>+20(SB), Y15
	VBROADCASTSS exp2s<>+16(SB), Y14
	VBROADCASTSS exp2s<>+12(SB), Y13
	VBROADCASTSS exp2s<>+8(SB), Y12
	VBROADCASTSS exp2s<>+4(SB), Y11
	VBROADCASTSS exp2s<>+0(SB), Y10
	VBROADCASTSS exp2s<>+24(SB), Y9
	VBROADCASTSS exp2s<>+28(SB), Y7
row:
	MOVQ (SI), BX
	MOVQ BX, CX
	ANDQ $7, CX
	SHLQ $2, CX
	LEAQ masks<>+32(SB), DX
	SUBQ CX, DX
	VMOVDQU (DX), Y6 // the last keys, if not eight
	VBROADCASTSS (R8), Y4
	VMOVAPS Y4, Y1
	MOVQ DI, DX
	MOVQ BX, CX
	SUBQ $8, CX
	JL tailtop
top:
	VMAXPS (DX), Y1, Y1
	ADDQ $32, DX
	SUBQ $8, CX
	JGE top
tailtop:
	VMASKMOVPS (DX), Y6, Y2
	VBLENDVPS Y6, Y2, Y4, Y2
	VMAXPS Y2, Y1, Y1
	VEXTRACTF128 $1, Y1, X2
	VMAXPS X2, X1, X1
	VPERMILPS $0x4e, X1, X2
	VMAXPS X2, X1, X1
	VPERMILPS $0xb1, X1, X2
	VMAXPS X2, X1, X1
	VMOVSS X1, (R8)
	VBROADCASTSS X1, Y1
	VSUBPS Y1, Y4, Y0
	EXP2
	VMOVSS X3, (R10)
	VMULPS 32(R9), Y3, Y4
	VMOVUPS Y4, 32(R9)
	VMULPS (R9), Y3, Y4
	MOVQ DI, DX
	MOVQ BX, CX
	SUBQ $8, CX
	JL tail
loop:
	VMOVUPS (DX), Y0
	VSUBPS Y1, Y0, Y0
	EXP2
	VMOVUPS Y3, (DX)
	VADDPS Y3, Y4, Y4
	ADDQ $32, DX
	SUBQ $8, CX
	JGE loop
tail:
	ADDQ $8, CX
	JZ done
	VMASKMOVPS (DX), Y6, Y0
	VSUBPS Y1, Y0, Y0
	EXP2
	VANDPS Y6, Y3, Y3
	VMASKMOVPS Y3, Y6, (DX)
	VADDPS Y3, Y4, Y4
done:
	VMOVUPS Y4, (R9)
	ADDQ $512, DI
	ADDQ $8, SI
	ADDQ $4, R8
	ADDQ $64, R9
	ADDQ $4, R10
	DECQ R11
	JNZ row
	VZEROUPPER
	RET
