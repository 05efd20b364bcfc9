package ledger

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A copied ledger is a directory's segments in memory, to break and to write again.
type copied map[string][]byte

func load(t testing.TB, dir string) copied {
	t.Helper()
	names, err := segments(dir)
	if err != nil {
		t.Fatal(err)
	}
	c := copied{}
	for _, name := range names {
		if c[name], err = os.ReadFile(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// write replaces dir's segments by c.
func (c copied) write(t testing.TB, dir string) {
	t.Helper()
	names, err := segments(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		os.Remove(filepath.Join(dir, name))
	}
	for name, b := range c {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func (c copied) clone() copied {
	d := copied{}
	for name, b := range c {
		d[name] = bytes.Clone(b)
	}
	return d
}

// frames returns where each frame of a segment begins, and where the last ends.
func frames(b []byte) []int {
	var at []int
	for off := headerSize; off < len(b); off += frameOver + int(binary.LittleEndian.Uint32(b[off:])) {
		at = append(at, off)
	}
	return append(at, len(b))
}

// sealed returns a ledger of nine records in three segments, with their names.
func sealed(t testing.TB) (c copied, names []string) {
	dir := t.TempDir()
	fill(t, dir, Config{SegmentBytes: 1600}, 1, 9)
	names, err := segments(dir)
	if err != nil || len(names) != 3 {
		t.Fatalf("%d segments, %v: choose another SegmentBytes", len(names), err)
	}
	return load(t, dir), names
}

// reseal makes a segment anew, whole in itself, that follows another record.
func reseal(b []byte, prev Hash) []byte {
	h, _ := parseHeader(b)
	h.prev = prev
	out := h.append(nil)
	at, link := frames(b), h.sum
	for i, off := range at[:len(at)-1] {
		out, link = appendFrame(out, h.first+uint64(i), link, b[off+frameHead:at[i+1]-frameTail])
	}
	return out
}

// A file too short for a header is what a crash left only when it begins as that header would.
func TestTooShortForAHeader(t *testing.T) {
	name := segmentName(1)
	whole := (&header{first: 1, created: day}).append(nil)
	wrong := func(i int) []byte { b := bytes.Clone(whole[:40]); b[i] ^= 0x40; return b }
	tests := []struct {
		name string
		b    []byte
		torn bool
	}{
		{"empty", nil, true},
		{"one-byte", whole[:1], true},
		{"magic", whole[:8], true},
		{"all-but-one-byte", whole[:headerSize-1], true},
		{"zeros", make([]byte, 20), true},
		{"few-zeros", make([]byte, 3), true},
		{"magic-and-zeros", append([]byte(magic), make([]byte, 12)...), true},
		{"garbage", []byte("twenty bytes of junk"), false},
		{"one-wrong-byte", []byte("X"), false},
		{"wrong-at-the-end-of-magic", wrong(7), false},
		{"another-version", wrong(8), false},
		{"another-first-record", wrong(16), false},
		{"zeros-then-garbage", append(make([]byte, 19), 'x'), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, name)
			if err := os.WriteFile(path, tt.b, 0o600); err != nil {
				t.Fatal(err)
			}
			rep, err := Verify(dir)
			if err != nil || (rep.Problem == nil) != tt.torn || tt.torn && rep.Torn != int64(len(tt.b)) {
				t.Errorf("Verify: %+v, %v", rep, err)
			}
			if !tt.torn && (rep.Problem.Segment != name || rep.Problem.Sequence != 0 || !strings.Contains(rep.Problem.What, "not the beginning")) {
				t.Errorf("the problem is %v", rep.Problem)
			}
			l, err := Open(dir, Config{})
			if (err == nil) != tt.torn {
				t.Errorf("Open: %v", err)
			}
			if err == nil {
				l.Close()
			} else if b, _ := os.ReadFile(path); !bytes.Equal(b, tt.b) {
				t.Error("Open changed the file that it refused")
			}
		})
	}
}

func TestTampering(t *testing.T) {
	whole, names := sealed(t)
	other, _ := sealed(t)
	a, b, last := names[0], names[1], names[2]
	firstOf := func(name string) uint64 { n, _ := parseName(name); return n }
	const header = 0 // Problem.Sequence of a header
	tests := []struct {
		name  string
		do    func(c copied)
		where string
		seq   uint64
		what  string
	}{
		{"first-segment-removed", func(c copied) { delete(c, a) }, b, header, "are missing"},
		{"middle-segment-removed", func(c copied) { delete(c, b) }, last, header, "are missing"},
		{"segment-of-another-ledger", func(c copied) { c[b] = other[b] }, b, header, "another ledger"},
		{"segment-renamed", func(c copied) { c[segmentName(77)] = c[last]; delete(c, last) }, segmentName(77), header, "renamed"},
		{"segment-repeated", func(c copied) { c[segmentName(77)] = c[b] }, segmentName(77), header, "renamed"},
		{"segments-swapped", func(c copied) { c[a], c[b] = c[b], c[a] }, a, header, "renamed"},
		{"segment-emptied", func(c copied) { c[b] = nil }, b, header, "cut short"},
		{"header-of-the-future", func(c copied) { c[b][8] = 2 }, b, header, "version 2"},
		{"not-a-segment", func(c copied) { copy(c[b], "RIFFWAVE") }, b, header, "SLUICELG"},
		{"header-changed", func(c copied) { c[b][30]++ }, b, header, "hash"},
		{"header-sealed-again", func(c copied) {
			h, _ := parseHeader(c[b])
			h.created = day
			copy(c[b], h.append(nil))
		}, b, firstOf(b), "follow"},
		{"cut-in-the-middle", func(c copied) { c[a] = c[a][:len(c[a])-1] }, a, firstOf(b) - 1, "cut short"},
		{"cut-between-records", func(c copied) { f := frames(c[a]); c[a] = c[a][:f[len(f)-2]] }, b, header, "are missing"},
		{"record-removed", func(c copied) { f := frames(c[a]); c[a] = append(c[a][:f[1]:f[1]], c[a][f[2]:]...) }, a, 2, "removed"},
		{"record-repeated", func(c copied) {
			f := frames(c[a])
			c[a] = append(c[a][:f[2]:f[2]], c[a][f[1]:]...)
		}, a, 3, "repeated"},
		{"records-swapped", func(c copied) {
			f, s := frames(c[a]), c[a]
			c[a] = bytes.Join([][]byte{s[:f[0]], s[f[1]:f[2]], s[f[0]:f[1]], s[f[2]:]}, nil)
		}, a, 1, "reordered"},
		{"record-of-another-ledger", func(c copied) {
			f := frames(c[a])
			copy(c[a][f[1]:f[2]], other[a][f[1]:f[2]])
		}, a, 2, "follow"},
		{"record-sealed-again", func(c copied) {
			f, s := frames(c[a]), c[a]
			body := bytes.Replace(s[f[1]+frameHead:f[2]-frameTail], []byte("local/nano"), []byte("cloud/nano"), 1)
			fr, _ := appendFrame(nil, 2, Hash(s[f[1]-frameTail:f[1]]), body)
			copy(s[f[1]:], fr)
		}, a, 3, "follow"},
		{"segment-sealed-again", func(c copied) { c[b] = reseal(c[b], Hash{7}) }, b, header, "follow"},
		{"first-segment-sealed-again", func(c copied) { c[a] = reseal(c[a], Hash{7}) }, a, header, "follow"},
		{"changed-before-a-torn-end", func(c copied) {
			c[last][headerSize+frameHead+20] ^= 1
			c[last] = append(c[last], make([]byte, 600)...)
		}, last, firstOf(last), "hash"},
		{"changed-where-the-hash-ends-in-zero", func(c copied) {
			f := frames(c[last])
			for i := 0; c[last][len(c[last])-1] != 0; i++ { // a few hundred times
				body := fmt.Appendf(nil, "{%q:%d}", "id", i)
				fr, _ := appendFrame(c[last][:f[0]:f[0]], firstOf(last), Hash(c[last][80:112]), body)
				c[last] = fr
			}
			c[last][f[0]+frameHead] ^= 1
		}, last, firstOf(last), "hash"},
		{"body-changed", func(c copied) { f := frames(c[last]); c[last][f[1]+frameHead+20] ^= 1 }, last, firstOf(last) + 1, "hash"},
		{"length-changed", func(c copied) { f := frames(c[last]); c[last][f[0]+2]++ }, last, firstOf(last), "length"},
		{"length-changed-with-its-crc", func(c copied) {
			f := frames(c[a])
			fr, _ := appendFrame(nil, 1, Hash{}, make([]byte, 1<<20))
			copy(c[a][f[0]:], fr[:checkSize])
		}, a, 1, "cut short"},
		{"zeros-in-the-middle", func(c copied) { f := frames(c[last]); clear(c[last][f[0]:f[1]]) }, last, firstOf(last), "length"},
		{"letters-at-the-end", func(c copied) { c[last] = append(c[last], "nothing to see here"...) }, last, 10, "length"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, dir := whole.clone(), t.TempDir()
			tt.do(c)
			c.write(t, dir)
			rep, err := Verify(dir)
			if err != nil {
				t.Fatal(err)
			}
			p := rep.Problem
			if p == nil || p.Segment != tt.where || p.Sequence != tt.seq || !strings.Contains(p.What, tt.what) {
				t.Errorf("Verify: %+v, want %s, record %d, %q", p, tt.where, tt.seq, tt.what)
			}
			if err := Scan(dir, func(Entry) error { return nil }); p == nil || err == nil || err.Error() != p.Error() {
				t.Errorf("Scan: %v, Verify: %v", err, p)
			}
			if tt.where != a && tt.name != "cut-between-records" { // Open checks the last two segments
				before := load(t, dir)
				l, err := Open(dir, Config{})
				if _, ok := errors.AsType[*Problem](err); !ok {
					t.Errorf("Open: %v, want a *Problem", err)
					l.Close()
				}
				for name, b := range load(t, dir) {
					if !bytes.Equal(b, before[name]) {
						t.Errorf("Open changed %s", name)
					}
				}
			}
		})
	}
}

// Every single flipped byte is found, at the record in which it is.
func TestEveryByte(t *testing.T) {
	whole, names := sealed(t)
	dir := t.TempDir()
	whole.write(t, dir)
	want := uint64(0)
	for _, name := range names {
		at := frames(whole[name])
		for i := range whole[name] {
			first, _ := parseName(name)
			switch {
			case i < headerSize:
				want = 0
			case i == headerSize:
				want = first
			case i == at[want-first+1]:
				want++
			}
			b := bytes.Clone(whole[name])
			b[i] ^= 0x40
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
			rep, err := Verify(dir)
			if err != nil || rep.Problem == nil || rep.Problem.Segment != name || rep.Problem.Sequence != want {
				t.Fatalf("byte %d of %s (record %d) flipped: %+v, %v", i, name, want, rep.Problem, err)
			}
			if name == names[2] && i%5 == 0 {
				if l, err := Open(dir, Config{}); err == nil {
					l.Close()
					t.Fatalf("byte %d of %s flipped: Open appends to it", i, name)
				}
			}
		}
		if err := os.WriteFile(filepath.Join(dir, name), whole[name], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sound(t, dir, 9)
}

// What a chain alone cannot show is documented, and Root shows it.
func TestLimits(t *testing.T) {
	whole, names := sealed(t)
	dir := t.TempDir()
	whole.write(t, dir)
	root := sound(t, dir, 9).Root
	last, _ := parseName(names[2])
	delete(whole, names[2])
	whole.write(t, dir)
	if rep := sound(t, dir, int(last)-1); rep.Root == root {
		t.Error("the last segment was removed, and the root is the same")
	}
}

func FuzzReader(f *testing.F) {
	whole, names := sealed(f)
	f.Add(whole[names[0]], uint16(0), byte(0))
	f.Add(whole[names[0]][:900], uint16(130), byte(1))
	f.Add(append(bytes.Clone(whole[names[0]]), make([]byte, 600)...), uint16(0), byte(0))
	f.Fuzz(func(t *testing.T, b []byte, at uint16, flip byte) {
		good := bytes.Equal(b, whole[names[0]]) && flip == 0
		b = bytes.Clone(b)
		if int(at) < len(b) {
			b[at] ^= flip
		}
		r, _, err := newReader(names[0], memory(b), link{fixed: true, next: 1})
		n := 0
		for err == nil {
			var fr frame
			if fr, err = r.next(); err == nil {
				if n++; fr.seq != uint64(n) || r.off > int64(len(b)) {
					t.Fatalf("frame %d has sequence %d, and ends at %d of %d", n, fr.seq, r.off, len(b))
				}
			}
		}
		if good && n != len(frames(b))-1 {
			t.Fatalf("%d frames of a good segment: %v", n, err)
		}
	})
}

// memory is a segment in memory.
type memory []byte

func (m memory) ReadAt(b []byte, off int64) (int, error) { return bytes.NewReader(m).ReadAt(b, off) }
func (m memory) Size() (int64, error)                    { return int64(len(m)), nil }
