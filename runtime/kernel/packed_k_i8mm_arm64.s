//go:build !purego

#include "textflag.h"
#include "go_asm.h"
#include "vector_arm64.h"
#include "packed_arm64.h"
#include "i8mm_arm64.h"

// MINS adds the p-th two minimums of each row times the columns' sums of their elements,
// four rows in a register for each column.
#define MINS_COLUMN8(i, m, d) \
	SMLAL((2*i), m, 0, d) \
	SMLAL((2*i+1), m, 2, d)

#define MINS8(p) \
	FLDPQ (32*p)(R4), (F3, F4) \
	FMOVD (576*p+96)(R2), F0 \
	VUSHR $8, V0.H8, V2.H8 \
	CLEAR_HIGH(0) \
	MINS_COLUMN8(0, 3, 16) \
	MINS_COLUMN8(1, 3, 17) \
	MINS_COLUMN8(2, 3, 18) \
	MINS_COLUMN8(3, 3, 19) \
	MINS_COLUMN8(0, 4, 20) \
	MINS_COLUMN8(1, 4, 21) \
	MINS_COLUMN8(2, 4, 22) \
	MINS_COLUMN8(3, 4, 23)

#define MINS_COLUMN4(i, d) \
	SMLAL((2*i), 3, 0, d) \
	SMLALU((2*i), 3, 0, (d+1)) \
	SMLAL((2*i+1), 3, 2, d) \
	SMLALU((2*i+1), 3, 2, (d+1))

#define MINS4(p) \
	FMOVQ (32*p)(R4), F3 \
	FMOVQ (576*p+96)(R2), F0 \
	VUSHR $8, V0.H8, V2.H8 \
	CLEAR_HIGH(0) \
	MINS_COLUMN4(0, 16) \
	MINS_COLUMN4(1, 18) \
	MINS_COLUMN4(2, 20) \
	MINS_COLUMN4(3, 22)

// TURN brings these sums into V8-V15, ordered as the others.
#define TURN_TWO(A, B, C, D) \
	VZIP1 B.S4, A.S4, C.S4 \
	VZIP2 B.S4, A.S4, D.S4

#define TURN8 \
	TURN_TWO(V16, V17, V8, V12) \
	TURN_TWO(V18, V19, V9, V13) \
	TURN_TWO(V20, V21, V10, V14) \
	TURN_TWO(V22, V23, V11, V15)

#define TURN4 \
	TURN_TWO(V16, V18, V8, V10) \
	TURN_TWO(V17, V19, V12, V14) \
	TURN_TWO(V20, V22, V9, V11) \
	TURN_TWO(V21, V23, V13, V15)

// LOOP4K is a loop over blocks of 256 of Q4_K, in chunks of 64.
#define LOOP4K(NIBBLES, SCALES, MINS, TURN, NEGATED, TIMES, FINISH, STORE) \
	LOAD_ARGS \
	VMOVI $15, V7.B16 \
	DONE \
block: \
	ADD $64, R0 \
	ADD $64, R5 \
	MOVD $4, R10 \
	SUMS8 \
chunk: \
	NO_BIAS \
	NIBBLES(64, 0, 4, 8) \
	NIBBLES(192, 1, 5, 8) \
	NIBBLES(320, 2, 6, 8) \
	NIBBLES(448, 3, 7, 8) \
	SCALES(0, UXTL8) \
	TIMES(16) \
	SCALES(16, UXTL8) \
	TIMES(8) \
	ADD $576, R0 \
	ADD $576, R5 \
	ADD $512, R1 \
	SUBS $1, R10 \
	BNE chunk \
	NO_BIAS \
	MINS(0) \
	MINS(1) \
	MINS(2) \
	MINS(3) \
	TURN \
	NEGATED(32) \
	TIMES(8) \
	FINISH \
	ADD $2368, R2 \
	ADD $256, R3 \
	ADD $128, R4 \
	SUBS $1, R6 \
	BNE block \
	STORE \
	RET

// func packed8Q4_KI8MM(a *packedArgs)
// Requires: FEAT_I8MM
TEXT ·packed8Q4_KI8MM(SB), NOSPLIT, $128-8
	LOOP4K(NIBBLES8, SCALES8, MINS8, TURN8, NEGATED8, TIMES8, FINISH8, STORE8)

// func packed4Q4_KI8MM(a *packedArgs)
// Requires: FEAT_I8MM
TEXT ·packed4Q4_KI8MM(SB), NOSPLIT, $128-8
	LOOP4K(NIBBLES4, SCALES4, MINS4, TURN4, NEGATED4, TIMES4, FINISH4, STORE4)

// SIX loads eight elements of four rows, their low bits from the vectors at l(R0), of
// which NIBBLE takes one half, and two more from those at h(R0), which SHIFT brings to
// bits 4 and 5. V2 are rows 0 and 1, V1 rows 2 and 3.
#define LOW(V) VAND V7.B16, V.B16, V.B16
#define HIGH(V) VUSHR $4, V.B16, V.B16
#define LEFT4(V) VSHL $4, V.B16, V.B16
#define LEFT2(V) VSHL $2, V.B16, V.B16
#define STAY(V)
#define RIGHT2(V) VUSHR $2, V.B16, V.B16

#define SIX(l, h, NIBBLE, SHIFT) \
	FOUR_ROWS(l) \
	FMOVQ (h)(R0), F0 \
	FMOVQ (h+64)(R0), F3 \
	VZIP1 V3.S4, V0.S4, V4.S4 \
	VZIP2 V3.S4, V0.S4, V3.S4 \
	NIBBLE(V2) \
	NIBBLE(V1) \
	SHIFT(V4) \
	SHIFT(V3) \
	VBIT V8.B16, V4.B16, V2.B16 \
	VBIT V8.B16, V3.B16, V1.B16

#define SIX8(l, h, j, NIBBLE, SHIFT) \
	SIX(l, h, NIBBLE, SHIFT) \
	COLUMNS8(j) \
	ROWS8(2, 16) \
	ROWS8(1, 20)

#define SIX4(l, h, j, NIBBLE, SHIFT) \
	FLDPQ (64*(j))(R1), (F5, F6) \
	SIX(l, h, NIBBLE, SHIFT) \
	HALF4(5, 6, 16) \
	SIX((l+16), (h+16), NIBBLE, SHIFT) \
	HALF4(5, 6, 20)

// SIXTEEN is the g-th 16 of 128 elements.
#define SIXTEEN(g, l, h, NIBBLE, SHIFT, BIAS, SIX, SCALES, TIMES) \
	BIAS(32*g) \
	SIX(l, h, (2*g), NIBBLE, SHIFT) \
	SIX((l+128), (h+128), (2*g+1), NIBBLE, SHIFT) \
	SCALES((16*g), SXTL8) \
	TIMES(16)

// LOOP6K is a loop over blocks of 256 of Q6_K, in halves.
#define LOOP6K(BIAS, SIX, SCALES, TIMES, FINISH, STORE) \
	LOAD_ARGS \
	VMOVI $15, V7.B16 \
	VMOVI $48, V8.B16 \
	DONE \
block: \
	ADD $64, R0 \
	ADD $64, R5 \
	MOVD $2, R10 \
	SUMS8 \
half: \
	SIXTEEN(0, 128, 1152, LOW, LEFT4, BIAS, SIX, SCALES, TIMES) \
	SIXTEEN(1, 384, 1408, LOW, LEFT4, BIAS, SIX, SCALES, TIMES) \
	SIXTEEN(2, 640, 1152, LOW, LEFT2, BIAS, SIX, SCALES, TIMES) \
	SIXTEEN(3, 896, 1408, LOW, LEFT2, BIAS, SIX, SCALES, TIMES) \
	SIXTEEN(4, 128, 1152, HIGH, STAY, BIAS, SIX, SCALES, TIMES) \
	SIXTEEN(5, 384, 1408, HIGH, STAY, BIAS, SIX, SCALES, TIMES) \
	SIXTEEN(6, 640, 1152, HIGH, RIGHT2, BIAS, SIX, SCALES, TIMES) \
	SIXTEEN(7, 896, 1408, HIGH, RIGHT2, BIAS, SIX, SCALES, TIMES) \
	ADD $1664, R0 \
	ADD $1664, R5 \
	ADD $1024, R1 \
	ADD $256, R4 \
	SUBS $1, R10 \
	BNE half \
	FINISH \
	VMOVI $48, V8.B16 \
	ADD $3392, R2 \
	ADD $256, R3 \
	SUBS $1, R6 \
	BNE block \
	STORE \
	RET

// func packed8Q6_KI8MM(a *packedArgs)
// Requires: FEAT_I8MM
TEXT ·packed8Q6_KI8MM(SB), NOSPLIT, $128-8
	LOOP6K(BIAS8, SIX8, SCALES8, TIMES8, FINISH8, STORE8)

// func packed4Q6_KI8MM(a *packedArgs)
// Requires: FEAT_I8MM
TEXT ·packed4Q6_KI8MM(SB), NOSPLIT, $128-8
	LOOP6K(BIAS4, SIX4, SCALES4, TIMES4, FINISH4, STORE4)
