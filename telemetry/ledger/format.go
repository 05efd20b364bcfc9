package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
	"time"
)

// The sizes of docs/formats/ledger.md, in bytes.
const (
	headerSize = 112
	checkSize  = 16 // length, sequence and their CRC: what tells how long a frame is
	frameHead  = checkSize + sha256.Size
	frameTail  = sha256.Size
	frameOver  = frameHead + frameTail
	maxBody    = 16 << 20
	version    = 1
	magic      = "SLUICELG"
	suffix     = ".slg"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A Hash is a link of the chain: the SHA-256 of a segment's header or of a frame.
type Hash [sha256.Size]byte

// String returns h in hexadecimal.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText returns h in hexadecimal.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (h *Hash) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(h)) {
		return fmt.Errorf("ledger: a hash has %d hexadecimal digits, not %d", hex.EncodedLen(len(h)), len(text))
	}
	_, err := hex.Decode(h[:], text)
	return err
}

// An ID tells one ledger from another. It is random.
type ID [16]byte

// String returns id in hexadecimal.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// MarshalText returns id in hexadecimal.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// A header begins a segment. It is a link of the chain: prev is the hash of
// the last frame before it, and the segment's first frame follows sum.
type header struct {
	first   uint64 // sequence of the segment's first frame
	created time.Time
	id      ID
	prev    Hash // zero in the first segment
	sum     Hash
}

// append appends h's encoding to dst and sets h.sum.
func (h *header) append(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, magic...)
	dst = binary.LittleEndian.AppendUint32(dst, version)
	dst = binary.LittleEndian.AppendUint32(dst, 0)
	dst = binary.LittleEndian.AppendUint64(dst, h.first)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(h.created.UnixNano()))
	dst = append(dst, h.id[:]...)
	dst = append(dst, h.prev[:]...)
	h.sum = sha256.Sum256(dst[start:])
	return append(dst, h.sum[:]...)
}

// parseHeader reads the first headerSize bytes of a segment.
func parseHeader(b []byte) (header, error) {
	var h header
	if string(b[:8]) != magic {
		return h, fmt.Errorf("it does not begin with %q: this is not a segment of a ledger", magic)
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != version {
		return h, fmt.Errorf("its format has version %d, and this program reads version %d", v, version)
	}
	h.first = binary.LittleEndian.Uint64(b[16:])
	h.created = time.Unix(0, int64(binary.LittleEndian.Uint64(b[24:]))).UTC()
	copy(h.id[:], b[32:])
	copy(h.prev[:], b[48:])
	copy(h.sum[:], b[80:])
	if sha256.Sum256(b[:80]) != h.sum {
		return h, fmt.Errorf("the header does not match its hash: it was changed")
	}
	return h, nil
}

// beginsHeader reports whether b can be what a crash left of the header of the segment called name:
// its first bytes, as far as they are known beforehand, and then zeros.
func beginsHeader(b []byte, name string) bool {
	first, _ := parseName(name)
	want := binary.LittleEndian.AppendUint32([]byte(magic), version)
	want = binary.LittleEndian.AppendUint32(want, 0)
	want = binary.LittleEndian.AppendUint64(want, first)
	b = bytes.TrimRight(b, "\x00")
	n := min(len(b), len(want))
	return bytes.Equal(b[:n], want[:n])
}

// appendFrame appends the frame of body to dst and returns it with the frame's hash.
func appendFrame(dst []byte, seq uint64, prev Hash, body []byte) ([]byte, Hash) {
	start := len(dst)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(body)))
	dst = binary.LittleEndian.AppendUint64(dst, seq)
	dst = binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
	dst = append(dst, prev[:]...)
	dst = append(dst, body...)
	sum := sha256.Sum256(dst[start:])
	return append(dst, sum[:]...), sum
}

// segmentName returns the name of the segment whose first frame is first.
func segmentName(first uint64) string { return fmt.Sprintf("%020d%s", first, suffix) }

// parseName is the inverse of segmentName.
func parseName(name string) (first uint64, ok bool) {
	digits, ok := strings.CutSuffix(name, suffix)
	if !ok || len(digits) != 20 {
		return 0, false
	}
	first, err := strconv.ParseUint(digits, 10, 64)
	return first, err == nil && first > 0
}

// zeroRun is how many zero bytes at the end of a file are taken for blocks
// that were allocated but not written before a crash. No hash ends with as many.
const zeroRun = 16
