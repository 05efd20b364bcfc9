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

// func mixAVX512(dst, p, v *float32, n, stride, mask int)
// mixAVX512 adds to up to 64 elements of dst, those of mask, n rows of v times p,
// in the order of the rows.
// Requires: AVX512F
TEXT ·mixAVX512(SB), NOSPLIT, $0-48
	MOVQ dst+0(FP), DI
	MOVQ p+8(FP), DX
	MOVQ v+16(FP), SI
	MOVQ n+24(FP), CX
	MOVQ stride+32(FP), BX
	MOVQ mask+40(FP), AX
	KMOVW AX, K1
	SHRQ $16, AX
	KMOVW AX, K2
	SHRQ $16, AX
	KMOVW AX, K3
	SHRQ $16, AX
	KMOVW AX, K4
	VMOVUPS.Z (DI), K1, Z0
	VMOVUPS.Z 64(DI), K2, Z1
	VMOVUPS.Z 128(DI), K3, Z2
	VMOVUPS.Z 192(DI), K4, Z3
mixloop:
	VBROADCASTSS (DX), Z8
	VMOVUPS.Z (SI), K1, Z4
	VMOVUPS.Z 64(SI), K2, Z5
	VMOVUPS.Z 128(SI), K3, Z6
	VMOVUPS.Z 192(SI), K4, Z7
	VFMADD231PS Z4, Z8, Z0
	VFMADD231PS Z5, Z8, Z1
	VFMADD231PS Z6, Z8, Z2
	VFMADD231PS Z7, Z8, Z3
	ADDQ $4, DX
	ADDQ BX, SI
	DECQ CX
	JNZ mixloop
	VMOVUPS Z0, K1, (DI)
	VMOVUPS Z1, K2, 64(DI)
	VMOVUPS Z2, K3, 128(DI)
	VMOVUPS Z3, K4, 192(DI)
	VZEROUPPER
	RET

// func scoresAVX512(dst, q, k *float32, n, stride, fours int, scale float32)
// scoresAVX512 sets 4*fours elements of dst to scale times the product of q and
// a row of k, where n, the elements of a row, is a positive multiple of 16.
// Requires: AVX512F, AVX512DQ
TEXT ·scoresAVX512(SB), NOSPLIT, $0-52
	MOVQ dst+0(FP), DI
	MOVQ q+8(FP), SI
	MOVQ k+16(FP), R8
	MOVQ n+24(FP), DX
	MOVQ stride+32(FP), R9
	MOVQ fours+40(FP), CX
	VBROADCASTSS scale+48(FP), X21
	SHLQ $2, DX
	LEAQ (R9)(R9*2), R10
four:
	ZEROS1
	MOVQ R8, R11
	XORQ AX, AX
row:
	VMOVUPS (SI)(AX*1), Z20
	VFMADD231PS (R11), Z20, Z0
	VFMADD231PS (R11)(R9*1), Z20, Z1
	VFMADD231PS (R11)(R9*2), Z20, Z2
	VFMADD231PS (R11)(R10*1), Z20, Z3
	ADDQ $64, R11
	ADDQ $64, AX
	CMPQ AX, DX
	JL row
	SUMS1
	VMULPS X21, X16, X16
	VMOVUPS X16, (DI)
	LEAQ (R8)(R9*4), R8
	ADDQ $16, DI
	DECQ CX
	JNZ four
	VZEROUPPER
	RET
