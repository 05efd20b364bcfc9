// The assembler has no names for these instructions: dot products of vectors, and
// of a vector with one lane; products of floats with one lane; vectors of floats.
#define SDOT(m, n, d) WORD $(0x4E809400 | (m<<16) | (n<<5) | d)
#define SDOT0(m, n, d) WORD $(0x4F80E000 | (m<<16) | (n<<5) | d)
#define SDOT1(m, n, d) WORD $(0x4FA0E000 | (m<<16) | (n<<5) | d)
#define SDOT2(m, n, d) WORD $(0x4F80E800 | (m<<16) | (n<<5) | d)
#define SDOT3(m, n, d) WORD $(0x4FA0E800 | (m<<16) | (n<<5) | d)
#define FMUL0(m, n, d) WORD $(0x4F809000 | (m<<16) | (n<<5) | d)
#define FMUL1(m, n, d) WORD $(0x4FA09000 | (m<<16) | (n<<5) | d)
#define FMUL2(m, n, d) WORD $(0x4F809800 | (m<<16) | (n<<5) | d)
#define FMUL3(m, n, d) WORD $(0x4FA09800 | (m<<16) | (n<<5) | d)
#define FMUL4(m, n, d) WORD $(0x6E20DC00 | (m<<16) | (n<<5) | d)
#define FADD4(m, n, d) WORD $(0x4E20D400 | (m<<16) | (n<<5) | d)
#define SCVTF4(n, d) WORD $(0x4E21D800 | (n<<5) | d)
#define FADDP4(m, n, d) WORD $(0x6E20D400 | (m<<16) | (n<<5) | d)

// Nor for these: widening halves to floats, int8 and uint8 to
// int16, these to int32, of the lower and of the upper half; products of int16s with
// lane i, added as int32; change of sign.
#define FCVTL(n, d) WORD $(0x0E217800 | (n<<5) | d)
#define FCVTL2(n, d) WORD $(0x4E217800 | (n<<5) | d)
#define SXTL8(n, d) WORD $(0x0F08A400 | (n<<5) | d)
#define SXTL8U(n, d) WORD $(0x4F08A400 | (n<<5) | d)
#define UXTL8(n, d) WORD $(0x2F08A400 | (n<<5) | d)
#define UXTL8U(n, d) WORD $(0x6F08A400 | (n<<5) | d)
#define SXTL16(n, d) WORD $(0x0F10A400 | (n<<5) | d)
#define SXTL16U(n, d) WORD $(0x4F10A400 | (n<<5) | d)
#define SMLAL(i, m, n, d) WORD $(0x0F402000 | (((i)&1)<<20) | ((((i)>>1)&1)<<21) | (((i)>>2)<<11) | (m<<16) | (n<<5) | d)
#define SMLALU(i, m, n, d) WORD $(0x4F402000 | (((i)&1)<<20) | ((((i)>>1)&1)<<21) | (((i)>>2)<<11) | (m<<16) | (n<<5) | d)
#define FNEG4(n, d) WORD $(0x6EA0F800 | (n<<5) | d)

// USMMLA Vd.4S, Vn.16B, Vm.16B of i8mm: two rows of eight unsigned bytes in n times two
// columns of eight signed ones in m.
#define USMMLA(m, n, d) WORD $(0x4E80AC00 | ((m)<<16) | ((n)<<5) | (d))
