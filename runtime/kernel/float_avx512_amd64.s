//go:build !purego

#include "textflag.h"
#include "go_asm.h"

// Four rows of float weights times four columns, or one, in float32. Each product
// sums over sixteen lanes, in steps of sixteen, and its lanes are added in a fixed
// order: a column's result is the same in both routines.
//
// R8 rows, R9, R10 one and three strides; SI columns, R11, R12 one and three of
// theirs; CX elements left, BX bytes in sixteen weights, K1 the lanes of the tail.

#define LOAD_ARGS \
	MOVQ a+0(FP), AX \
	MOVQ floatArgs_w(AX), R8 \
	MOVQ floatArgs_stride(AX), R9 \
	MOVQ floatArgs_x(AX), SI \
	MOVQ floatArgs_xstride(AX), R11 \
	MOVQ floatArgs_n(AX), CX \
	MOVQ floatArgs_dst(AX), DI \
	LEAQ (R9)(R9*2), R10 \
	LEAQ (R11)(R11*2), R12

#define LOADF32(m, R) \
	VMOVUPS.Z m, K1, R

#define LOADF16(m, R) \
	VCVTPH2PS.Z m, K1, R

#define LOADBF16(m, R) \
	VPMOVZXWD.Z m, K1, R \
	VPSLLD $16, R, R

#define ROWS(LOAD) \
	LOAD((R8), Z16) \
	LOAD((R8)(R9*1), Z17) \
	LOAD((R8)(R9*2), Z18) \
	LOAD((R8)(R10*1), Z19)

#define COLUMN(m, A, B, C, D) \
	VMOVUPS.Z m, K1, Z20 \
	VFMADD231PS Z20, Z16, A \
	VFMADD231PS Z20, Z17, B \
	VFMADD231PS Z20, Z18, C \
	VFMADD231PS Z20, Z19, D

#define COLUMNS1 \
	COLUMN((SI), Z0, Z1, Z2, Z3)

#define COLUMNS4 \
	COLUMNS1 \
	COLUMN((SI)(R11*1), Z4, Z5, Z6, Z7) \
	COLUMN((SI)(R11*2), Z8, Z9, Z10, Z11) \
	COLUMN((SI)(R12*1), Z12, Z13, Z14, Z15)

#define ZERO(A, B, C, D) \
	VPXORD A, A, A \
	VPXORD B, B, B \
	VPXORD C, C, C \
	VPXORD D, D, D

#define ZEROS1 \
	ZERO(Z0, Z1, Z2, Z3)

#define ZEROS4 \
	ZEROS1 \
	ZERO(Z4, Z5, Z6, Z7) \
	ZERO(Z8, Z9, Z10, Z11) \
	ZERO(Z12, Z13, Z14, Z15)

// SUM adds the lanes of A, B, C and D and stores the four sums.
#define SUM(A, B, C, D, o) \
	VUNPCKLPS B, A, Z16 \
	VUNPCKHPS B, A, Z17 \
	VADDPS Z17, Z16, Z16 \
	VUNPCKLPS D, C, Z18 \
	VUNPCKHPS D, C, Z19 \
	VADDPS Z19, Z18, Z18 \
	VUNPCKLPD Z18, Z16, Z17 \
	VUNPCKHPD Z18, Z16, Z19 \
	VADDPS Z19, Z17, Z16 \
	VEXTRACTF32X8 $1, Z16, Y17 \
	VADDPS Y17, Y16, Y16 \
	VEXTRACTF32X4 $1, Y16, X17 \
	VADDPS X17, X16, X16 \
	VMOVUPS X16, o(DI)

#define SUMS1 \
	SUM(Z0, Z1, Z2, Z3, 0)

#define SUMS4 \
	SUMS1 \
	SUM(Z4, Z5, Z6, Z7, 16) \
	SUM(Z8, Z9, Z10, Z11, 32) \
	SUM(Z12, Z13, Z14, Z15, 48)

#define PRODUCT(LOAD, SIZE, ZEROS, COLUMNS, SUMS) \
	LOAD_ARGS \
	ZEROS \
	KXNORW K1, K1, K1 \
	SUBQ $16, CX \
	JL tail \
loop: \
	ROWS(LOAD) \
	COLUMNS \
	ADDQ SIZE, R8 \
	ADDQ $64, SI \
	SUBQ $16, CX \
	JGE loop \
tail: \
	ADDQ $16, CX \
	JZ done \
	MOVL $1, AX \
	SHLL CX, AX \
	DECL AX \
	KMOVW AX, K1 \
	ROWS(LOAD) \
	COLUMNS \
done: \
	SUMS \
	VZEROUPPER \
	RET

// func floatF32x1AVX512(a *floatArgs)
// Requires: AVX512F, AVX512DQ
TEXT ·floatF32x1AVX512(SB), NOSPLIT, $0-8
	PRODUCT(LOADF32, $64, ZEROS1, COLUMNS1, SUMS1)

// func floatF32x4AVX512(a *floatArgs)
// Requires: AVX512F, AVX512DQ
TEXT ·floatF32x4AVX512(SB), NOSPLIT, $0-8
	PRODUCT(LOADF32, $64, ZEROS4, COLUMNS4, SUMS4)

// func floatF16x1AVX512(a *floatArgs)
// Requires: AVX512F, AVX512DQ
TEXT ·floatF16x1AVX512(SB), NOSPLIT, $0-8
	PRODUCT(LOADF16, $32, ZEROS1, COLUMNS1, SUMS1)

// func floatF16x4AVX512(a *floatArgs)
// Requires: AVX512F, AVX512DQ
TEXT ·floatF16x4AVX512(SB), NOSPLIT, $0-8
	PRODUCT(LOADF16, $32, ZEROS4, COLUMNS4, SUMS4)

// func floatBF16x1AVX512(a *floatArgs)
// Requires: AVX512F, AVX512DQ
TEXT ·floatBF16x1AVX512(SB), NOSPLIT, $0-8
	PRODUCT(LOADBF16, $32, ZEROS1, COLUMNS1, SUMS1)

// func floatBF16x4AVX512(a *floatArgs)
// Requires: AVX512F, AVX512DQ
TEXT ·floatBF16x4AVX512(SB), NOSPLIT, $0-8
	PRODUCT(LOADBF16, $32, ZEROS4, COLUMNS4, SUMS4)
