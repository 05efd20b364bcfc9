//go:build !purego

#include "textflag.h"

#define LINES(base) \
	VPOR 0(base), Y0, Y0 \
	VPOR 32(base), Y1, Y1 \
	VPOR 64(base), Y2, Y2 \
	VPOR 96(base), Y3, Y3 \
	VPOR 128(base), Y4, Y4 \
	VPOR 160(base), Y5, Y5 \
	VPOR 192(base), Y6, Y6 \
	VPOR 224(base), Y7, Y7

#define ASK(base) \
	PREFETCHT0 0(base)(DX*1) \
	PREFETCHT0 64(base)(DX*1) \
	PREFETCHT0 128(base)(DX*1) \
	PREFETCHT0 192(base)(DX*1)

// func read1AVX2(p *byte, n, ahead int)
// Requires: AVX2
TEXT ·read1AVX2(SB), NOSPLIT, $0-24
	MOVQ p+0(FP), SI
	MOVQ n+8(FP), CX
	MOVQ ahead+16(FP), DX
	TESTQ DX, DX
	JNZ ask
loop:
	LINES(SI)
	ADDQ $256, SI
	SUBQ $256, CX
	JNZ loop
	VZEROUPPER
	RET
ask:
	ASK(SI)
	LINES(SI)
	ADDQ $256, SI
	SUBQ $256, CX
	JNZ ask
	VZEROUPPER
	RET

// func read4AVX2(p *byte, n, ahead int)
// Requires: AVX2
TEXT ·read4AVX2(SB), NOSPLIT, $0-24
	MOVQ p+0(FP), SI
	MOVQ n+8(FP), CX
	MOVQ ahead+16(FP), DX
	SHRQ $2, CX
	LEAQ (SI)(CX*1), DI
	LEAQ (DI)(CX*1), R8
	LEAQ (R8)(CX*1), R9
	TESTQ DX, DX
	JNZ ask
loop:
	LINES(SI)
	LINES(DI)
	LINES(R8)
	LINES(R9)
	ADDQ $256, SI
	ADDQ $256, DI
	ADDQ $256, R8
	ADDQ $256, R9
	SUBQ $256, CX
	JNZ loop
	VZEROUPPER
	RET
ask:
	ASK(SI)
	LINES(SI)
	ASK(DI)
	LINES(DI)
	ASK(R8)
	LINES(R8)
	ASK(R9)
	LINES(R9)
	ADDQ $256, SI
	ADDQ $256, DI
	ADDQ $256, R8
	ADDQ $256, R9
	SUBQ $256, CX
	JNZ ask
	VZEROUPPER
	RET

#define DOT(A) VPDPBUSD Z17, Z16, A

// func dotPeakVNNI(n int)
// Requires: AVX512F, AVX512VNNI
TEXT ·dotPeakVNNI(SB), NOSPLIT, $0-8
	MOVQ n+0(FP), CX
	VPXORD Z16, Z16, Z16
	VPXORD Z17, Z17, Z17
loop:
	DOT(Z0)
	DOT(Z1)
	DOT(Z2)
	DOT(Z3)
	DOT(Z4)
	DOT(Z5)
	DOT(Z6)
	DOT(Z7)
	DOT(Z8)
	DOT(Z9)
	DOT(Z10)
	DOT(Z11)
	DOT(Z12)
	DOT(Z13)
	DOT(Z14)
	DOT(Z15)
	SUBQ $1024, CX
	JNZ loop
	VZEROUPPER
	RET

#define MADD(T, A) \
	VPMADDUBSW Y14, Y15, T \
	VPMADDWD T, Y13, T \
	VPADDD T, A, A

// func dotPeakAVX2(n int)
// Requires: AVX2
TEXT ·dotPeakAVX2(SB), NOSPLIT, $0-8
	MOVQ n+0(FP), CX
	VPXOR Y13, Y13, Y13
	VPXOR Y14, Y14, Y14
	VPXOR Y15, Y15, Y15
loop:
	MADD(Y6, Y0)
	MADD(Y7, Y1)
	MADD(Y8, Y2)
	MADD(Y9, Y3)
	MADD(Y10, Y4)
	MADD(Y11, Y5)
	MADD(Y6, Y0)
	MADD(Y7, Y1)
	SUBQ $256, CX
	JNZ loop
	VZEROUPPER
	RET
