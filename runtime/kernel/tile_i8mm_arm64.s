//go:build !purego

#include "textflag.h"
#include "go_asm.h"
#include "vector_arm64.h"
#include "packed_arm64.h"
#include "i8mm_arm64.h"

// Four rows of an unpacked panel times the columns of a group, or eight rows times its
// first four columns. R12 are the panel's mins or nil, R13 the group's sums.

#define LOAD_TILE \
	MOVD a+0(FP), R9 \
	MOVD tileArgs_v(R9), R0 \
	MOVD tileArgs_q(R9), R1 \
	MOVD tileArgs_scale(R9), R2 \
	MOVD tileArgs_d(R9), R3 \
	MOVD tileArgs_bias(R9), R4 \
	MOVD tileArgs_blocks(R9), R6 \
	MOVD tileArgs_dst(R9), R7 \
	MOVD $64, R8 \
	MOVD tileArgs_min(R9), R12 \
	MOVD tileArgs_dsum(R9), R13 \
	SUMS8

// FLOATS sets V1 and V2, or V1 to V4, to those of the rows at o(R).
#define FLOATS8(o, R) \
	FMOVQ (o)(R), F0 \
	PAIRS_OF(V0, V1, V2)

#define FLOATS4(o, R) \
	FLDPQ (o)(R), (F0, F5) \
	PAIRS_OF(V0, V1, V2) \
	PAIRS_OF(V5, V3, V4)

// MIN adds the mins of the rows times the sums of the columns.
#define MIN_SUM(s, d, f) \
	FMUL4(d, s, 0) \
	FADD4(0, f, f)

#define MIN8 \
	MIN_SUM(1, 8, 24) \
	MIN_SUM(1, 9, 25) \
	MIN_SUM(1, 10, 26) \
	MIN_SUM(1, 11, 27) \
	MIN_SUM(2, 8, 28) \
	MIN_SUM(2, 9, 29) \
	MIN_SUM(2, 10, 30) \
	MIN_SUM(2, 11, 31)

#define MIN4 \
	MIN_SUM(1, 8, 24) \
	MIN_SUM(1, 9, 25) \
	MIN_SUM(2, 8, 26) \
	MIN_SUM(2, 9, 27) \
	MIN_SUM(3, 8, 28) \
	MIN_SUM(3, 9, 29) \
	MIN_SUM(4, 8, 30) \
	MIN_SUM(4, 9, 31)

// LOOP is a loop over blocks of 32 that have one scale.
#define LOOP(BIAS, BYTES, FLOATS, COLUMN_SCALES, SCALED, MIN, STORE) \
	LOAD_TILE \
block: \
	BIAS(0) \
	BYTES(0, 0) \
	BYTES(128, 1) \
	BYTES(256, 2) \
	BYTES(384, 3) \
	FLOATS(0, R2) \
	COLUMN_SCALES(0, R3) \
	SCALED \
	ADD $512, R0 \
	ADD $256, R1 \
	ADD $64, R2 \
	ADD $32, R3 \
	ADD $32, R4 \
	CBZ R12, next \
	FLOATS(0, R12) \
	COLUMN_SCALES(0, R13) \
	MIN \
	ADD $64, R12 \
	ADD $32, R13 \
next: \
	SUBS $1, R6 \
	BNE block \
	STORE \
	RET

// LOOP16 is one over blocks with a scale for each half.
#define LOOP16(BIAS, BYTES, FLOATS, COLUMN_SCALES, SCALED, STORE) \
	LOAD_TILE \
block: \
	BIAS(0) \
	BYTES(0, 0) \
	BYTES(128, 1) \
	FLOATS(0, R2) \
	COLUMN_SCALES(0, R3) \
	SCALED \
	BIAS(32) \
	BYTES(256, 2) \
	BYTES(384, 3) \
	FLOATS(64, R2) \
	COLUMN_SCALES(0, R3) \
	SCALED \
	ADD $512, R0 \
	ADD $256, R1 \
	ADD $128, R2 \
	ADD $32, R3 \
	ADD $64, R4 \
	SUBS $1, R6 \
	BNE block \
	STORE \
	RET

// func tile8I8MM(a *tileArgs)
// Requires: FEAT_I8MM
TEXT ·tile8I8MM(SB), NOSPLIT, $0-8
	LOOP(BIAS8, BYTES8, FLOATS8, COLUMN_SCALES8, SCALED8, MIN8, STORE8)

// func tile4I8MM(a *tileArgs)
// Requires: FEAT_I8MM
TEXT ·tile4I8MM(SB), NOSPLIT, $0-8
	LOOP(BIAS4, BYTES4, FLOATS4, COLUMN_SCALES4, SCALED4, MIN4, STORE4)

// func tile8x16I8MM(a *tileArgs)
// Requires: FEAT_I8MM
TEXT ·tile8x16I8MM(SB), NOSPLIT, $0-8
	LOOP16(BIAS8, BYTES8, FLOATS8, COLUMN_SCALES8, SCALED8, STORE8)

// func tile4x16I8MM(a *tileArgs)
// Requires: FEAT_I8MM
TEXT ·tile4x16I8MM(SB), NOSPLIT, $0-8
	LOOP16(BIAS4, BYTES4, FLOATS4, COLUMN_SCALES4, SCALED4, STORE4)
