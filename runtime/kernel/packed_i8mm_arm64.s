//go:build !purego

#include "textflag.h"
#include "go_asm.h"
#include "vector_arm64.h"
#include "packed_arm64.h"
#include "i8mm_arm64.h"

// SUMS4_0 is the b-th block of a pair of Q4_0.
#define SUMS4_0(b, BIAS, NIBBLES, HALVES, TIMES) \
	BIAS(32*b) \
	NIBBLES((64+256*b), (4*b), (4*b+2), 16) \
	NIBBLES((64+256*b+128), (4*b+1), (4*b+3), 16) \
	HALVES((32*b)) \
	TIMES(16)

// LOOP4 is a loop over 128 elements of Q4_0, in pairs of blocks of 32.
#define LOOP4(BIAS, NIBBLES, HALVES, TIMES, FINISH, STORE) \
	LOAD_ARGS \
	VMOVI $15, V7.B16 \
	LSR $2, R6, R6 \
	DONE \
block: \
	MOVD $2, R10 \
	SUMS8 \
pair: \
	SUMS4_0(0, BIAS, NIBBLES, HALVES, TIMES) \
	SUMS4_0(1, BIAS, NIBBLES, HALVES, TIMES) \
	ADD $576, R0 \
	ADD $576, R2 \
	ADD $512, R1 \
	ADD $64, R4 \
	SUBS $1, R10 \
	BNE pair \
	FINISH \
	ADD $128, R3 \
	SUBS $1, R6 \
	BNE block \
	STORE \
	RET

// func packed8Q4_0I8MM(a *packedArgs)
// Requires: FEAT_I8MM
TEXT ·packed8Q4_0I8MM(SB), NOSPLIT, $128-8
	LOOP4(BIAS8, NIBBLES8, HALVES8, TIMES8, FINISH8, STORE8)

// func packed4Q4_0I8MM(a *packedArgs)
// Requires: FEAT_I8MM
TEXT ·packed4Q4_0I8MM(SB), NOSPLIT, $128-8
	LOOP4(BIAS4, NIBBLES4, HALVES4, TIMES4, FINISH4, STORE4)

// SUMS8_0 is the b-th block of a pair of Q8_0.
#define SUMS8_0(b, BIAS, BYTES, HALVES, COLUMN_SCALES, SCALED) \
	BIAS(32*b) \
	BYTES((64+512*b), (4*b)) \
	BYTES((64+512*b+128), (4*b+1)) \
	BYTES((64+512*b+256), (4*b+2)) \
	BYTES((64+512*b+384), (4*b+3)) \
	HALVES((32*b)) \
	COLUMN_SCALES((32*b), R3) \
	SCALED

// LOOP8 is a loop over pairs of blocks of 32 of Q8_0.
#define LOOP8(BIAS, BYTES, HALVES, COLUMN_SCALES, SCALED, STORE) \
	LOAD_ARGS \
	SUMS8 \
pair: \
	SUMS8_0(0, BIAS, BYTES, HALVES, COLUMN_SCALES, SCALED) \
	SUMS8_0(1, BIAS, BYTES, HALVES, COLUMN_SCALES, SCALED) \
	ADD $1088, R0 \
	ADD $1088, R2 \
	ADD $512, R1 \
	ADD $64, R3 \
	ADD $64, R4 \
	SUBS $2, R6 \
	BNE pair \
	STORE \
	RET

// func packed8Q8_0I8MM(a *packedArgs)
// Requires: FEAT_I8MM
TEXT ·packed8Q8_0I8MM(SB), NOSPLIT, $0-8
	LOOP8(BIAS8, BYTES8, HALVES8, COLUMN_SCALES8, SCALED8, STORE8)

// func packed4Q8_0I8MM(a *packedArgs)
// Requires: FEAT_I8MM
TEXT ·packed4Q8_0I8MM(SB), NOSPLIT, $0-8
	LOOP8(BIAS4, BYTES4, HALVES4, COLUMN_SCALES4, SCALED4, STORE4)
