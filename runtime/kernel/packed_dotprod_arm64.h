// What the routines with dot products on packed panels share: eight rows of a panel times four columns of
// a group, or all sixteen rows times one column.
//
// R0 vectors of the panel, R1 column bytes, R2 halves of the panel, R3 column scales, R4
// biases, R5 bytes of the panel, R6 blocks left, R7 result, R8 its stride, R10 an inner
// count, R9, R11 to R13 for use. No operation fuses, and float operations keep the generic order.
//
// For four columns V16-V23 are the integer sums, two for each column, V24-V31 the float
// sums, V5, V6 row scales, V8, V9 those of a block, V3 and V14 masks. For one column
// V16-V19 are the integer sums, V24-V27 the float sums, V28-V31 those of the blocks of 128 or
// 256 that are done, V20-V23 row scales, V8-V11 those of a block, V15 and V14 masks.

// ZERO clears the float sums.
#define ZERO1 CLEAR_FOUR(V24, V25, V26, V27)

#define ZERO4 \
	CLEAR_FOUR(V24, V25, V26, V27) \
	CLEAR_FOUR(V28, V29, V30, V31)

// BEGIN clears the integer sums.
#define BEGIN1 CLEAR_FOUR(V16, V17, V18, V19)

#define BEGIN4 \
	CLEAR_FOUR(V16, V17, V18, V19) \
	CLEAR_FOUR(V20, V21, V22, V23)

// BIAS begins the integer sums at the b-th biases.
#define BIAS1(b) \
	FMOVS (4*b)(R4), F16 \
	VDUP V16.S[0], V17.S4 \
	VDUP V16.S[0], V18.S4 \
	VDUP V16.S[0], V19.S4 \
	VDUP V16.S[0], V16.S4

#define BIAS4(b) \
	FMOVQ (32*b)(R4), F7 \
	VDUP V7.S[0], V16.S4 \
	VDUP V7.S[0], V17.S4 \
	VDUP V7.S[1], V18.S4 \
	VDUP V7.S[1], V19.S4 \
	VDUP V7.S[2], V20.S4 \
	VDUP V7.S[2], V21.S4 \
	VDUP V7.S[3], V22.S4 \
	VDUP V7.S[3], V23.S4

// COLUMNS1 loads the j-th sixteen elements of the column. They are lanes of V12.
#define COLUMNS1(j) FMOVQ (16*(j))(R1), F12
#define COLUMNS4(j)

// DOT adds the products of the weights and the j-th four elements of the columns; LANE
// has the dot product with lane j of four, for one column.
#define DOT1(j, LANE) \
	LANE(12, 0, 16) \
	LANE(12, 1, 17) \
	LANE(12, 2, 18) \
	LANE(12, 3, 19)

#define DOT4(j, LANE) \
	FMOVQ (32*(j))(R1), F2 \
	SDOT0(2, 0, 16) \
	SDOT0(2, 1, 17) \
	SDOT1(2, 0, 18) \
	SDOT1(2, 1, 19) \
	SDOT2(2, 0, 20) \
	SDOT2(2, 1, 21) \
	SDOT3(2, 0, 22) \
	SDOT3(2, 1, 23)

// BYTES loads the vector of weights at w(R).
#define BYTES1(w, R) \
	FLDPQ w(R), (F0, F1) \
	FLDPQ (w+32)(R), (F2, F3)

#define BYTES4(w, R) FLDPQ w(R), (F0, F1)

// LOW and HIGH load its low or high nibbles.
#define LOW1(w, R) \
	BYTES1(w, R) \
	VAND V15.B16, V0.B16, V0.B16 \
	VAND V15.B16, V1.B16, V1.B16 \
	VAND V15.B16, V2.B16, V2.B16 \
	VAND V15.B16, V3.B16, V3.B16

#define LOW4(w, R) \
	BYTES4(w, R) \
	VAND V3.B16, V0.B16, V0.B16 \
	VAND V3.B16, V1.B16, V1.B16

#define HIGH1(w, R) \
	BYTES1(w, R) \
	VUSHR $4, V0.B16, V0.B16 \
	VUSHR $4, V1.B16, V1.B16 \
	VUSHR $4, V2.B16, V2.B16 \
	VUSHR $4, V3.B16, V3.B16

#define HIGH4(w, R) \
	BYTES4(w, R) \
	VUSHR $4, V0.B16, V0.B16 \
	VUSHR $4, V1.B16, V1.B16

// SIGNED loads bytes and takes the 128 from them.
#define SIGNED1(w, R) \
	BYTES1(w, R) \
	VEOR V15.B16, V0.B16, V0.B16 \
	VEOR V15.B16, V1.B16, V1.B16 \
	VEOR V15.B16, V2.B16, V2.B16 \
	VEOR V15.B16, V3.B16, V3.B16

#define SIGNED4(w, R) \
	BYTES4(w, R) \
	VEOR V3.B16, V0.B16, V0.B16 \
	VEOR V3.B16, V1.B16, V1.B16

// JOIN adds to the weights two bits each from the vector at h(R13), which SHIFT brings
// to bits 4 and 5.
#define LEFT4BITS(V) VSHL $4, V.B16, V.B16
#define LEFT2BITS(V) VSHL $2, V.B16, V.B16
#define NOBITS(V)
#define RIGHT2BITS(V) VUSHR $2, V.B16, V.B16

#define JOIN_BITS(SHIFT, B, W) \
	SHIFT(B) \
	VAND V14.B16, B.B16, B.B16 \
	VORR B.B16, W.B16, W.B16

#define JOIN1(h, SHIFT) \
	FLDPQ h(R13), (F4, F5) \
	FLDPQ (h+32)(R13), (F6, F7) \
	JOIN_BITS(SHIFT, V4, V0) \
	JOIN_BITS(SHIFT, V5, V1) \
	JOIN_BITS(SHIFT, V6, V2) \
	JOIN_BITS(SHIFT, V7, V3)

#define JOIN4(h, SHIFT) \
	FLDPQ h(R13), (F10, F11) \
	JOIN_BITS(SHIFT, V10, V0) \
	JOIN_BITS(SHIFT, V11, V1)

// HALVES sets the row scales to the halves at h(R2), BLOCK those of a block.
#define WIDE_HALVES1(h, A, B, C, D) \
	FLDPQ h(R2), (F4, F5) \
	FCVTL(4, A) \
	FCVTL2(4, B) \
	FCVTL(5, C) \
	FCVTL2(5, D)

#define WIDE_HALVES4(h, A, B) \
	FMOVQ h(R2), F7 \
	FCVTL(7, A) \
	FCVTL2(7, B)

#define HALVES1(h) WIDE_HALVES1(h, 20, 21, 22, 23)
#define HALVES4(h) WIDE_HALVES4(h, 5, 6)
#define BLOCK1 WIDE_HALVES1(0, 8, 9, 10, 11)
#define BLOCK4 WIDE_HALVES4(0, 8, 9)

// NEGATED sets the row scales to minus the halves at h.
#define NEGATED1(h) \
	HALVES1(h) \
	FNEG4(20, 20) \
	FNEG4(21, 21) \
	FNEG4(22, 22) \
	FNEG4(23, 23)

#define NEGATED4(h) \
	HALVES4(h) \
	FNEG4(5, 5) \
	FNEG4(6, 6)

// SCALES sets the row scales to the bytes at o(R5), which WIDE and WIDEU widen, times
// those of the block.
#define SCALES1(o, WIDE, WIDEU) \
	FMOVQ o(R5), F4 \
	WIDEU(4, 5) \
	WIDE(4, 4) \
	SXTL16(4, 20) \
	SXTL16U(4, 21) \
	SXTL16(5, 22) \
	SXTL16U(5, 23) \
	SCALE_OF(8, 20) \
	SCALE_OF(9, 21) \
	SCALE_OF(10, 22) \
	SCALE_OF(11, 23)

#define SCALES4(o, WIDE, WIDEU) \
	FMOVD o(R5), F7 \
	WIDE(7, 7) \
	SXTL16(7, 5) \
	SXTL16U(7, 6) \
	SCALE_OF(8, 5) \
	SCALE_OF(9, 6)

// TIMES adds the integer sums times the row scales to the float sums.
#define TIMES1 \
	TIMES(20, 16, 24) \
	TIMES(21, 17, 25) \
	TIMES(22, 18, 26) \
	TIMES(23, 19, 27)

#define TIMES4 \
	TIMES(5, 16, 24) \
	TIMES(6, 17, 25) \
	TIMES(5, 18, 26) \
	TIMES(6, 19, 27) \
	TIMES(5, 20, 28) \
	TIMES(6, 21, 29) \
	TIMES(5, 22, 30) \
	TIMES(6, 23, 31)

// SCALED is TIMES with the b-th scales of the columns as well.
#define SCALED(FMUL, d, s, i, f) \
	FMUL(d, s, 7) \
	TIMES(7, i, f)

#define SCALED1(b) \
	FMOVS (4*b)(R3), F4 \
	SCALED(FMUL0, 4, 20, 16, 24) \
	SCALED(FMUL0, 4, 21, 17, 25) \
	SCALED(FMUL0, 4, 22, 18, 26) \
	SCALED(FMUL0, 4, 23, 19, 27)

#define SCALED4(b) \
	FMOVQ (32*b)(R3), F4 \
	SCALED(FMUL0, 4, 5, 16, 24) \
	SCALED(FMUL0, 4, 6, 17, 25) \
	SCALED(FMUL1, 4, 5, 18, 26) \
	SCALED(FMUL1, 4, 6, 19, 27) \
	SCALED(FMUL2, 4, 5, 20, 28) \
	SCALED(FMUL2, 4, 6, 21, 29) \
	SCALED(FMUL3, 4, 5, 22, 30) \
	SCALED(FMUL3, 4, 6, 23, 31)

// STORE writes the float sums.
#define STORE1 VST1 [V24.S4, V25.S4, V26.S4, V27.S4], (R7)

#define STORE4 \
	MOVD R7, R11 \
	VST1 [V24.S4, V25.S4], (R11) \
	ADD R8, R11 \
	VST1 [V26.S4, V27.S4], (R11) \
	ADD R8, R11 \
	VST1 [V28.S4, V29.S4], (R11) \
	ADD R8, R11 \
	VST1 [V30.S4, V31.S4], (R11)

// FINISH adds the float sums times the scales of the columns to those that are done:
// four columns have these in the result. DONE begins and RESULT ends it.
#define DONE1 CLEAR_FOUR(V28, V29, V30, V31)

#define DONE4 \
	ZERO4 \
	STORE4

#define FINISH1 \
	FMOVS (R3), F4 \
	FMUL0(4, 24, 24) \
	FMUL0(4, 25, 25) \
	FMUL0(4, 26, 26) \
	FMUL0(4, 27, 27) \
	FADD4(24, 28, 28) \
	FADD4(25, 29, 29) \
	FADD4(26, 30, 30) \
	FADD4(27, 31, 31)

#define FINISH_COLUMN(FMUL, a, b) \
	VLD1 (R11), [V10.S4, V11.S4] \
	FMUL(7, a, a) \
	FMUL(7, b, b) \
	FADD4(10, a, a) \
	FADD4(11, b, b) \
	ADD R8, R11

#define FINISH4 \
	FMOVQ (R3), F7 \
	MOVD R7, R11 \
	FINISH_COLUMN(FMUL0, 24, 25) \
	FINISH_COLUMN(FMUL1, 26, 27) \
	FINISH_COLUMN(FMUL2, 28, 29) \
	FINISH_COLUMN(FMUL3, 30, 31) \
	STORE4

#define RESULT1 \
	VST1 [V28.S4, V29.S4, V30.S4, V31.S4], (R7) \
	RET

#define RESULT4 RET

// AHEAD fetches four lines some way ahead of one column, past the caches.
#define AHEAD1(o) \
	PRFM (4096+o)(R0), PLDL1STRM \
	PRFM (4096+64+o)(R0), PLDL1STRM \
	PRFM (4096+128+o)(R0), PLDL1STRM \
	PRFM (4096+192+o)(R0), PLDL1STRM

#define AHEAD4(o)
