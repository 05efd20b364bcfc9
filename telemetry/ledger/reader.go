package ledger

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"slices"
)

// A Problem is the first thing in a ledger that is not as it was written.
type Problem struct {
	Segment  string `json:"segment"`            // file name; "" when no segment is to blame
	Sequence uint64 `json:"sequence,omitempty"` // of the record at fault; 0 for the segment's header
	Offset   int64  `json:"offset"`             // of its first byte in the segment
	What     string `json:"what"`               // a sentence for people
}

// Error says where and what.
func (p *Problem) Error() string {
	where := p.Segment
	if where == "" {
		where = "ledger"
	}
	if p.Sequence > 0 {
		return fmt.Sprintf("%s: record %d at byte %d: %s", where, p.Sequence, p.Offset, p.What)
	}
	return fmt.Sprintf("%s: byte %d: %s", where, p.Offset, p.What)
}

// errTorn ends a segment in a frame, or a header, that was not written to its end.
var errTorn = errors.New("ledger: the last write was cut short")

// A source is a segment's bytes; they may grow while it is read.
type source interface {
	io.ReaderAt
	Size() (int64, error)
}

type fileSource struct{ *os.File }

func (f fileSource) Size() (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

// A frame is one record as it is on disk. body is valid until the next frame is read.
type frame struct {
	seq    uint64
	offset int64
	prev   Hash
	sum    Hash
	body   []byte
}

// A link is a place in the chain: the sequence that comes next, and the hash
// that it must follow. A link with fixed unset takes both from the first
// segment it meets.
type link struct {
	fixed bool
	id    ID
	next  uint64
	prev  Hash
}

// A reader reads the frames of one segment and holds them to the chain.
type reader struct {
	name string
	src  source
	at   link
	off  int64 // of the next frame
	br   *bufio.Reader
	buf  []byte
}

// newReader reads the header of the segment called name and checks that it
// continues at. It fails with errTorn when the header is incomplete, and with
// a *Problem when it is wrong.
func newReader(name string, src source, at link) (*reader, header, error) {
	r := &reader{name: name, src: src, at: at}
	b := make([]byte, headerSize)
	n, err := src.ReadAt(b, 0)
	if n < headerSize {
		switch {
		case err != io.EOF:
		case !beginsHeader(b[:n], name):
			err = &Problem{Segment: name, What: fmt.Sprintf("its %d bytes are not the beginning of a segment's header: this is not a segment of a ledger, or it was changed", n)}
		default:
			err = errTorn
		}
		return nil, header{}, err
	}
	h, err := parseHeader(b)
	if err != nil {
		if torn, err := r.endsInZeros(headerSize); torn || err != nil {
			return nil, h, cmpErr(err, errTorn)
		}
		return nil, h, &Problem{Segment: name, What: err.Error()}
	}
	wrong := func(format string, a ...any) (*reader, header, error) {
		return nil, h, &Problem{Segment: name, What: fmt.Sprintf(format, a...)}
	}
	if first, ok := parseName(name); !ok || first != h.first {
		return wrong("the file was renamed: its header says that it begins with record %d", h.first)
	}
	if !at.fixed {
		r.at = link{fixed: true, id: h.id, next: h.first}
	} else {
		switch {
		case h.first > at.next:
			return wrong("records %d to %d are missing: a segment was removed or cut short before this one", at.next, h.first-1)
		case h.first < at.next:
			return wrong("the segment begins with record %d, where record %d should be", h.first, at.next)
		case at.id != (ID{}) && h.id != at.id:
			return wrong("the segment belongs to another ledger, %s", h.id)
		case h.prev != at.prev:
			return wrong("the segment does not follow the record before it: that record, or this header, was replaced")
		}
		r.at.id = h.id
	}
	r.at.prev = h.sum
	r.seek(headerSize)
	return r, h, nil
}

func (r *reader) seek(off int64) {
	r.off = off
	section := io.NewSectionReader(r.src, off, 1<<62)
	if r.br == nil {
		r.br = bufio.NewReaderSize(section, 256<<10)
		return
	}
	r.br.Reset(section)
}

// next returns the next frame. It fails with io.EOF behind the last, with
// errTorn in front of one that is not (yet) whole, and with a *Problem for one
// that is wrong. After io.EOF and errTorn it may be called again: the segment
// may have grown.
func (r *reader) next() (frame, error) {
	fr, err := r.read()
	if err != nil {
		r.seek(r.off)
		return frame{}, err
	}
	r.off += int64(frameOver + len(fr.body))
	r.at.next, r.at.prev = fr.seq+1, fr.sum
	return fr, nil
}

func (r *reader) read() (frame, error) {
	head, err := r.br.Peek(checkSize)
	if len(head) < checkSize {
		switch {
		case err != io.EOF:
			return frame{}, err
		case len(head) == 0:
			return frame{}, io.EOF
		}
		return frame{}, errTorn
	}
	if binary.LittleEndian.Uint32(head[12:]) != crc32.Checksum(head[:12], castagnoli) {
		return r.bad(checkSize, "the frame's length or sequence was changed")
	}
	n, seq := int(binary.LittleEndian.Uint32(head)), binary.LittleEndian.Uint64(head[4:])
	switch {
	case seq > r.at.next:
		return r.bad(0, fmt.Sprintf("record %d stands here: records were removed or reordered", seq))
	case seq < r.at.next:
		return r.bad(0, fmt.Sprintf("record %d stands here: a record was repeated or reordered", seq))
	case n == 0 || n > maxBody:
		return r.bad(0, fmt.Sprintf("the frame claims %d bytes", n))
	}
	total := frameOver + n
	if total > cap(r.buf) {
		size, err := r.src.Size()
		if err != nil {
			return frame{}, err
		}
		if r.off+int64(total) > size {
			return frame{}, errTorn // and no memory is taken for a length that lies
		}
	}
	r.buf = slices.Grow(r.buf[:0], total)[:total]
	if _, err := io.ReadFull(r.br, r.buf); err != nil {
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			err = errTorn
		}
		return frame{}, err
	}
	fr := frame{seq: seq, offset: r.off, body: r.buf[frameHead : frameHead+n]}
	copy(fr.prev[:], r.buf[checkSize:])
	copy(fr.sum[:], r.buf[frameHead+n:])
	if sha256.Sum256(r.buf[:frameHead+n]) != fr.sum {
		return r.bad(total, "the record does not match its hash: it was changed")
	}
	if fr.prev != r.at.prev {
		return r.bad(0, "the record does not follow the one before it: one of the two was replaced")
	}
	return fr, nil
}

// bad reports the frame at r.off, unless the first size bytes of it reach
// into zeros at the end of the file: those were never written.
func (r *reader) bad(size int, what string) (frame, error) {
	if size > 0 {
		if torn, err := r.endsInZeros(r.off + int64(size)); torn || err != nil {
			return frame{}, cmpErr(err, errTorn)
		}
	}
	return frame{}, &Problem{Segment: r.name, Sequence: r.at.next, Offset: r.off, What: what}
}

// endsInZeros reports whether the file ends in at least zeroRun zero bytes
// that begin after r.off and before end.
func (r *reader) endsInZeros(end int64) (bool, error) {
	size, err := r.src.Size()
	if err != nil {
		return false, err
	}
	from := size
	for b := make([]byte, 64<<10); from > r.off; {
		n := min(int64(len(b)), from-r.off)
		if _, err := r.src.ReadAt(b[:n], from-n); err != nil && err != io.EOF {
			return false, err
		}
		zeros := int64(0)
		for zeros < n && b[n-1-zeros] == 0 {
			zeros++
		}
		from -= zeros
		if zeros < n {
			break
		}
	}
	return size-from >= zeroRun && from < end, nil
}

func cmpErr(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}
