// What the routines with the matrix products of i8mm share. USMMLA multiplies two rows
// of eight unsigned bytes with two columns of eight signed ones: twice the work of SDOT.
//
// A tile is 32 sums of int32 in eight registers, each two rows of two columns, [r0c0,
// r0c1, r1c0, r1c1], with 32 sums of float32 in eight more: what is left of the 32 holds
// weights, columns and scales, so that nothing spills in the innermost loop. Suffix 8 is
// four rows times eight columns: for eight elements two registers of weights and four of
// columns are loaded for eight USMMLA. That costs as many loads as eight rows times four
// columns, but half the work to make bytes of nibbles, and that work and USMMLA
// compete for the same units. Suffix 4 is eight rows times four columns, for groups of no
// more. Sixteen registers of sums (eight rows times eight columns) would leave none for the
// floats, which all of them meet every 16 or 32 elements.
//
// Panels have four elements of each row beside each other, as SDOT wants them for one
// column; two vectors zipped are eight. Both nibbles are zipped at once, and a zip counts
// for four or eight USMMLA, so a layout for this alone would save about a tenth of the
// vector instructions. None of this was measured on hardware. Columns are laid out
// in eights when they are rounded.
//
// R0 panel, R1 column bytes, R2 halves of the panel, R3 column scales, R4 biases, R5 bytes
// of the panel, R6 blocks left, R7 result, R8 its stride, R10 an inner count, R14 sums
// that are done, R11 for use.
//
// V16-V23 are the integer sums, V24-V31 the float sums: for suffix 8, those of rows 0 and
// 1 with columns 0 and 1, 2 and 3, 4 and 5, 6 and 7, then the same of rows 2 and 3; for
// suffix 4, those of rows 0 and 1 with columns 0 and 1, 2 and 3, then of rows 2 and 3, and
// so on. V8-V15 are a second set of integer sums, or for use. V0-V7 are for use, V7
// being a mask. No operation fuses, and float operations keep the generic order.

// The assembler has no name for BIC Vd.8H, #255, LSL #8.
#define CLEAR_HIGH(d) WORD $(0x6F07B7E0 | (d))

// SUMS8 clears the float sums, NO_BIAS the integer sums of both sets.
#define SUMS8 \
	CLEAR_FOUR(V24, V25, V26, V27) \
	CLEAR_FOUR(V28, V29, V30, V31)

#define NO_BIAS \
	CLEAR_FOUR(V16, V17, V18, V19) \
	CLEAR_FOUR(V20, V21, V22, V23) \
	CLEAR_FOUR(V8, V9, V10, V11) \
	CLEAR_FOUR(V12, V13, V14, V15)

// BIAS begins the integer sums at the biases at o(R4).
#define BIAS8(o) \
	FLDPQ (o)(R4), (F0, F1) \
	VDUP V0.D[0], V16.D2 \
	VDUP V0.D[1], V17.D2 \
	VDUP V1.D[0], V18.D2 \
	VDUP V1.D[1], V19.D2 \
	VDUP V0.D[0], V20.D2 \
	VDUP V0.D[1], V21.D2 \
	VDUP V1.D[0], V22.D2 \
	VDUP V1.D[1], V23.D2

#define BIAS4(o) \
	FMOVQ (o)(R4), F0 \
	VDUP V0.D[0], V16.D2 \
	VDUP V0.D[1], V17.D2 \
	VDUP V0.D[0], V18.D2 \
	VDUP V0.D[1], V19.D2 \
	VDUP V0.D[0], V20.D2 \
	VDUP V0.D[1], V21.D2 \
	VDUP V0.D[0], V22.D2 \
	VDUP V0.D[1], V23.D2

// FOUR_ROWS loads eight elements of four rows from the vectors at w(R0) and after it: V2
// are rows 0 and 1, V1 rows 2 and 3.
#define FOUR_ROWS(w) \
	FMOVQ (w)(R0), F0 \
	FMOVQ (w+64)(R0), F1 \
	VZIP1 V1.S4, V0.S4, V2.S4 \
	VZIP2 V1.S4, V0.S4, V1.S4

// COLUMNS loads the j-th eight elements of the columns.
#define COLUMNS8(j) \
	FLDPQ (64*(j))(R1), (F3, F4) \
	FLDPQ (64*(j)+32)(R1), (F5, F6)

// ROWS multiplies two rows with eight columns, HALF four rows with four columns in a and b.
#define ROWS8(n, I) \
	USMMLA(3, n, I) \
	USMMLA(4, n, I+1) \
	USMMLA(5, n, I+2) \
	USMMLA(6, n, I+3)

#define HALF4(a, b, I) \
	USMMLA(a, 2, I) \
	USMMLA(b, 2, I+1) \
	USMMLA(a, 1, I+2) \
	USMMLA(b, 1, I+3)

// BYTES adds the products of the vectors at w(R0) and the j-th columns.
#define BYTES8(w, j) \
	COLUMNS8(j) \
	FOUR_ROWS(w) \
	ROWS8(2, 16) \
	ROWS8(1, 20)

#define BYTES4(w, j) \
	FLDPQ (64*(j))(R1), (F3, F4) \
	FOUR_ROWS(w) \
	HALF4(3, 4, 16) \
	FOUR_ROWS(w+16) \
	HALF4(3, 4, 20)

// NIBBLES adds the products of the low nibbles at w(R0) and the j-th columns, and, to the
// sums from H on, those of the high ones and the k-th columns.
#define HIGH_NIBBLES \
	VUSHR $4, V2.B16, V2.B16 \
	VUSHR $4, V1.B16, V1.B16

#define NIBBLES8(w, j, k, H) \
	COLUMNS8(j) \
	FOUR_ROWS(w) \
	VAND V7.B16, V2.B16, V0.B16 \
	ROWS8(0, 16) \
	VAND V7.B16, V1.B16, V0.B16 \
	ROWS8(0, 20) \
	COLUMNS8(k) \
	HIGH_NIBBLES \
	ROWS8(2, H) \
	ROWS8(1, H+4)

#define HALF_NIBBLES4(w, I, H) \
	FOUR_ROWS(w) \
	VAND V7.B16, V2.B16, V0.B16 \
	USMMLA(3, 0, I) \
	USMMLA(4, 0, I+1) \
	VAND V7.B16, V1.B16, V0.B16 \
	USMMLA(3, 0, I+2) \
	USMMLA(4, 0, I+3) \
	HIGH_NIBBLES \
	HALF4(5, 6, H)

#define NIBBLES4(w, j, k, H) \
	FLDPQ (64*(j))(R1), (F3, F4) \
	FLDPQ (64*(k))(R1), (F5, F6) \
	HALF_NIBBLES4(w, 16, H) \
	HALF_NIBBLES4(w+16, 20, H+4)

// PAIRS_OF doubles each of four values: two rows' in A, two in B.
#define PAIRS_OF(S, A, B) \
	VZIP1 S.S4, S.S4, A.S4 \
	VZIP2 S.S4, S.S4, B.S4

// HALVES sets the row scales, V1 and V2, or V1 to V4, to the halves at h(R2).
#define HALVES8(h) \
	FMOVD (h)(R2), F0 \
	FCVTL(0, 0) \
	PAIRS_OF(V0, V1, V2)

#define HALVES4(h) \
	FMOVQ (h)(R2), F0 \
	FCVTL2(0, 5) \
	FCVTL(0, 0) \
	PAIRS_OF(V0, V1, V2) \
	PAIRS_OF(V5, V3, V4)

// SCALES sets them to the bytes at o(R5), which WIDE widens, times the halves at (R2).
#define SCALES8(o, WIDE) \
	FMOVS (o)(R5), F0 \
	WIDE(0, 0) \
	SXTL16(0, 0) \
	FMOVD (R2), F1 \
	FCVTL(1, 1) \
	SCALE_OF(1, 0) \
	PAIRS_OF(V0, V1, V2)

#define SCALES4(o, WIDE) \
	FMOVD (o)(R5), F0 \
	WIDE(0, 0) \
	SXTL16U(0, 5) \
	SXTL16(0, 0) \
	FMOVQ (R2), F1 \
	FCVTL2(1, 6) \
	FCVTL(1, 1) \
	SCALE_OF(1, 0) \
	SCALE_OF(6, 5) \
	PAIRS_OF(V0, V1, V2) \
	PAIRS_OF(V5, V3, V4)

// NEGATED sets them to minus the halves at h(R2).
#define NEGATED8(h) \
	HALVES8(h) \
	FNEG4(1, 1) \
	FNEG4(2, 2)

#define NEGATED4(h) \
	HALVES4(h) \
	FNEG4(1, 1) \
	FNEG4(2, 2) \
	FNEG4(3, 3) \
	FNEG4(4, 4)

// TIMES adds the integer sums from I on times the row scales to the float sums.
#define TIMES8(I) \
	TIMES(1, (I), 24) \
	TIMES(1, (I+1), 25) \
	TIMES(1, (I+2), 26) \
	TIMES(1, (I+3), 27) \
	TIMES(2, (I+4), 28) \
	TIMES(2, (I+5), 29) \
	TIMES(2, (I+6), 30) \
	TIMES(2, (I+7), 31)

#define TIMES4(I) \
	TIMES(1, (I), 24) \
	TIMES(1, (I+1), 25) \
	TIMES(2, (I+2), 26) \
	TIMES(2, (I+3), 27) \
	TIMES(3, (I+4), 28) \
	TIMES(3, (I+5), 29) \
	TIMES(4, (I+6), 30) \
	TIMES(4, (I+7), 31)

// COLUMN_SCALES sets V8 and on to the column scales at o(R), as often as there are two.
#define COLUMN_SCALES8(o, R) \
	FLDPQ (o)(R), (F3, F4) \
	VDUP V3.D[0], V8.D2 \
	VDUP V3.D[1], V9.D2 \
	VDUP V4.D[0], V10.D2 \
	VDUP V4.D[1], V11.D2

#define COLUMN_SCALES4(o, R) \
	FMOVQ (o)(R), F0 \
	VDUP V0.D[0], V8.D2 \
	VDUP V0.D[1], V9.D2

// SCALED is TIMES with the column scales in V8 and on as well.
#define SCALED_SUM(s, d, i, f) \
	FMUL4(d, s, 0) \
	TIMES(0, i, f)

#define SCALED8 \
	SCALED_SUM(1, 8, 16, 24) \
	SCALED_SUM(1, 9, 17, 25) \
	SCALED_SUM(1, 10, 18, 26) \
	SCALED_SUM(1, 11, 19, 27) \
	SCALED_SUM(2, 8, 20, 28) \
	SCALED_SUM(2, 9, 21, 29) \
	SCALED_SUM(2, 10, 22, 30) \
	SCALED_SUM(2, 11, 23, 31)

#define SCALED4 \
	SCALED_SUM(1, 8, 16, 24) \
	SCALED_SUM(1, 9, 17, 25) \
	SCALED_SUM(2, 8, 18, 26) \
	SCALED_SUM(2, 9, 19, 27) \
	SCALED_SUM(3, 8, 20, 28) \
	SCALED_SUM(3, 9, 21, 29) \
	SCALED_SUM(4, 8, 22, 30) \
	SCALED_SUM(4, 9, 23, 31)

// DONE clears the sums that are done, which lie in the frame. FINISH adds to them the
// float sums times the scales of the columns, and leaves all in V24-V31.
#define DONE \
	MOVD $done-128(SP), R14 \
	SUMS8 \
	SAVE

#define SAVE \
	FSTPQ (F24, F25), (R14) \
	FSTPQ (F26, F27), 32(R14) \
	FSTPQ (F28, F29), 64(R14) \
	FSTPQ (F30, F31), 96(R14)

#define FINISH_TWO(o, a, b, c, d) \
	FLDPQ (o)(R14), (F0, F1) \
	FMUL4(a, c, c) \
	FMUL4(b, d, d) \
	FADD4(0, c, c) \
	FADD4(1, d, d)

#define FINISH8 \
	COLUMN_SCALES8(0, R3) \
	FINISH_TWO(0, 8, 9, 24, 25) \
	FINISH_TWO(32, 10, 11, 26, 27) \
	FINISH_TWO(64, 8, 9, 28, 29) \
	FINISH_TWO(96, 10, 11, 30, 31) \
	SAVE

#define FINISH4 \
	COLUMN_SCALES4(0, R3) \
	FINISH_TWO(0, 8, 9, 24, 25) \
	FINISH_TWO(32, 8, 9, 26, 27) \
	FINISH_TWO(64, 8, 9, 28, 29) \
	FINISH_TWO(96, 8, 9, 30, 31) \
	SAVE

// STORE writes V24-V31 to the result, column by column.
#define STORE_TWO8(A, B) \
	VUZP1 B.S4, A.S4, V0.S4 \
	VUZP2 B.S4, A.S4, V1.S4 \
	FMOVQ F0, (R11) \
	ADD R8, R11 \
	FMOVQ F1, (R11) \
	ADD R8, R11

#define STORE8 \
	MOVD R7, R11 \
	STORE_TWO8(V24, V28) \
	STORE_TWO8(V25, V29) \
	STORE_TWO8(V26, V30) \
	STORE_TWO8(V27, V31)

#define STORE_TWO4(A, B, C, D) \
	VUZP1 B.S4, A.S4, V0.S4 \
	VUZP1 D.S4, C.S4, V1.S4 \
	FSTPQ (F0, F1), (R11) \
	ADD R8, R11 \
	VUZP2 B.S4, A.S4, V0.S4 \
	VUZP2 D.S4, C.S4, V1.S4 \
	FSTPQ (F0, F1), (R11) \
	ADD R8, R11

#define STORE4 \
	MOVD R7, R11 \
	STORE_TWO4(V24, V26, V28, V30) \
	STORE_TWO4(V25, V27, V29, V31)
