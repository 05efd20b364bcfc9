//go:build !purego

#include "textflag.h"
#include "go_asm.h"
#include "rows_amd64.h"
#include "pack_amd64.h"

// Packed panels (see packed.go) from sixteen rows of the file, two blocks at a time.

DATA sign<>+0(SB)/4, $0x80808080
GLOBL sign<>(SB), RODATA|NOPTR, $4

#define BLOCK4(b) \
	FETCH4(0) \
	PREFETCHT0 256(AX) \
	ADDQ $288, AX \
	LOAD0(2, X4, Z4) \
	LOAD1(2, X5, Z5) \
	LOAD2(2, X6, Z6) \
	LOAD3(2, X7, Z7) \
	STORE(Z4, Z5, Z6, Z7, (64+256*b)) \
	HALVES \
	VCVTPS2PH $0, Z20, (32*b)(DI) \
	ADDQ $18, R8 \
	ADDQ $18, R9

// func repackQ4_0AVX512(a *packArgs)
// Requires: AVX512F
TEXT ·repackQ4_0AVX512(SB), NOSPLIT, $0-8
	LOAD_ARGS
pair4:
	BLOCK4(0)
	BLOCK4(1)
	ADDQ $576, DI
	SUBQ $2, CX
	JNZ pair4
	VZEROUPPER
	RET

#define BLOCK8(b) \
	FETCH4(0) \
	FETCH4(256) \
	PREFETCHT0 512(AX) \
	ADDQ $544, AX \
	LOAD0(2, X4, Z4) \
	LOAD1(2, X5, Z5) \
	LOAD2(2, X6, Z6) \
	LOAD3(2, X7, Z7) \
	LOAD0(18, X8, Z8) \
	LOAD1(18, X9, Z9) \
	LOAD2(18, X10, Z10) \
	LOAD3(18, X11, Z11) \
	VPXORD Z30, Z4, Z4 \
	VPXORD Z30, Z5, Z5 \
	VPXORD Z30, Z6, Z6 \
	VPXORD Z30, Z7, Z7 \
	VPXORD Z30, Z8, Z8 \
	VPXORD Z30, Z9, Z9 \
	VPXORD Z30, Z10, Z10 \
	VPXORD Z30, Z11, Z11 \
	STORE(Z4, Z5, Z6, Z7, (64+512*b)) \
	STORE(Z8, Z9, Z10, Z11, (64+512*b+256)) \
	HALVES \
	VCVTPS2PH $0, Z20, (32*b)(DI) \
	ADDQ $34, R8 \
	ADDQ $34, R9

// func repackQ8_0AVX512(a *packArgs)
// Requires: AVX512F
TEXT ·repackQ8_0AVX512(SB), NOSPLIT, $0-8
	LOAD_ARGS
	VPBROADCASTD sign<>(SB), Z30
pair8:
	BLOCK8(0)
	BLOCK8(1)
	ADDQ $1088, DI
	SUBQ $2, CX
	JNZ pair8
	VZEROUPPER
	RET
