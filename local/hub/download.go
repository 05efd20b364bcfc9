package hub

import (
	"context"
	"crypto/sha1" //nolint:gosec // git's own name for a file, as the hub states it
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// partSuffix marks a file that is not whole. Beside it, with stateSuffix, is what it is a part of.
const (
	partSuffix  = ".part"
	stateSuffix = ".part.json"
)

// state says what a .part file is the beginning of.
type state struct {
	Digest string `json:"digest,omitempty"` // as the hub states it
	ETag   string `json:"etag,omitempty"`   // of the answer that it came from
	Size   int64  `json:"size"`
}

// A download gets one file.
type download struct {
	client *Client
	ref    Ref
	file   File
	target string
	report func(done int64)

	part     *os.File
	at       int64 // bytes in part
	etag     string
	received int64
}

// run returns once the file is there, whole and under its own name.
func (d *download) run(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Dir(d.target), 0o755); err != nil {
		return err
	}
	unlock, err := lock(ctx, d.target+".lock", func() {
		d.client.cfg.OnProgress(Progress{File: d.file.Path, Note: "another process is pulling " + d.file.Path + "; waiting for it"})
	})
	if err != nil {
		return err
	}
	defer unlock()
	if ok, err := d.finished(ctx); err != nil || ok {
		return err
	}
	resumed, err := d.open()
	if err != nil {
		return err
	}
	defer func() { d.part.Close() }()
	for {
		if err := d.client.retry(ctx, func() (bool, error) { return d.fetch(ctx) }); err != nil {
			return err
		}
		err := d.verify(ctx)
		if err == nil {
			return d.finish()
		}
		if !errors.Is(err, ErrChecksum) {
			return err
		}
		if rewindErr := d.rewind(); rewindErr != nil {
			return rewindErr
		}
		if !resumed {
			return errors.Join(err, d.discard())
		}
		resumed = false // the old beginning may have been the fault
		d.client.cfg.OnProgress(Progress{File: d.file.Path, Note: "what was there of " + d.file.Path + " is damaged; starting over"})
	}
}

// finished reports whether the file is there already. A file of the right size
// and the wrong content is no such file.
func (d *download) finished(ctx context.Context) (bool, error) {
	st, err := os.Stat(d.target)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if !st.Mode().IsRegular() {
		return false, fmt.Errorf("%s is there and is no file", d.target)
	}
	if st.Size() != d.file.Size {
		return false, nil
	}
	f, err := os.Open(d.target)
	if err != nil {
		return false, err
	}
	defer f.Close()
	err = d.check(ctx, f)
	if errors.Is(err, ErrChecksum) {
		return false, nil
	}
	if err == nil {
		d.report(d.file.Size)
	}
	return err == nil, err
}

func (d *download) digest() string {
	if d.file.SHA256 != "" {
		return d.file.SHA256
	}
	return d.file.GitID
}

// open opens the .part file, and empties it unless it is the beginning of this
// very file.
func (d *download) open() (resumed bool, err error) {
	d.part, err = os.OpenFile(d.target+partSuffix, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return false, err
	}
	var s state
	if b, err := os.ReadFile(d.target + stateSuffix); err == nil && json.Unmarshal(b, &s) == nil {
		st, err := d.part.Stat()
		if err != nil {
			return false, err
		}
		known := d.digest() != "" && s.Digest == d.digest() || d.digest() == "" && s.ETag != ""
		if known && s.Size == d.file.Size && st.Size() <= d.file.Size {
			d.at, d.etag = st.Size(), s.ETag
			_, err = d.part.Seek(d.at, io.SeekStart)
			return d.at > 0, err
		}
	}
	return false, d.rewind()
}

// rewind empties the .part file.
func (d *download) rewind() error {
	d.at, d.etag = 0, ""
	if err := d.part.Truncate(0); err != nil {
		return err
	}
	_, err := d.part.Seek(0, io.SeekStart)
	return err
}

func (d *download) discard() error {
	return errors.Join(d.part.Close(), os.Remove(d.target+partSuffix), os.Remove(d.target+stateSuffix))
}

// fetch gets what is missing, in one request. It reports whether any of it came.
func (d *download) fetch(ctx context.Context) (progress bool, err error) {
	if d.at == d.file.Size && d.digest() != "" {
		return false, nil // only the check is missing
	}
	u, err := url.Parse(d.client.FileURL(d.ref, d.file.Path))
	if err != nil {
		return false, err
	}
	header := http.Header{}
	if d.at > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", d.at))
		if d.etag != "" {
			header.Set("If-Range", d.etag)
		}
	}
	// A connection that has stalled is cut; the next goes on where it stopped.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stalled := &transient{err: errors.New("the connection has stalled")}
	watchdog := time.AfterFunc(d.client.cfg.Stall, func() { cancel(stalled) })
	defer watchdog.Stop()

	res, err := d.client.get(ctx, u, header)
	if err != nil {
		return false, err
	}
	defer res.Body.Close()
	if err := d.begin(res); err != nil {
		return false, err
	}
	start := d.at
	err = d.copy(res.Body, func() { watchdog.Reset(d.client.cfg.Stall) })
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	return d.at > start, err
}

// begin checks that an answer carries what was asked for, and starts over if it
// carries the whole file instead.
func (d *download) begin(res *response) error {
	if d.digest() == "" { // the listing said nothing; the file's own address may
		d.file.SHA256 = digest(strings.Trim(res.linked.Get("X-Linked-Etag"), `"`), 64)
	}
	switch res.StatusCode {
	case http.StatusOK:
		if err := d.rewind(); err != nil {
			return err
		}
		if n := res.ContentLength; n >= 0 && n != d.file.Size {
			return fmt.Errorf("%w: %s has %d bytes, not %d", ErrChecksum, d.file.Path, n, d.file.Size)
		}
	case http.StatusPartialContent:
		from, total, ok := contentRange(res.Header.Get("Content-Range"))
		if !ok || from != d.at || total >= 0 && total != d.file.Size {
			if err := d.rewind(); err != nil {
				return err
			}
			return &transient{err: errors.New("the hub sends another part of the file than asked for")}
		}
	case http.StatusRequestedRangeNotSatisfiable:
		if err := d.rewind(); err != nil {
			return err
		}
		return &transient{err: errors.New("the hub has no such part of the file")}
	default:
		return d.client.statusError(res.Response, "the file "+d.file.Path)
	}
	if etag := res.Header.Get("ETag"); strings.HasPrefix(etag, `"`) { // a weak one cannot vouch for bytes
		d.etag = etag
	}
	b, err := json.Marshal(state{Digest: d.digest(), ETag: d.etag, Size: d.file.Size})
	if err != nil {
		return err
	}
	return os.WriteFile(d.target+stateSuffix, b, 0o644)
}

// contentRange reads "bytes 5-9/10"; total is -1 for an unknown one.
func contentRange(s string) (from, total int64, ok bool) {
	span, size, ok := strings.Cut(strings.TrimPrefix(s, "bytes "), "/")
	first, _, isSpan := strings.Cut(span, "-")
	from, err := strconv.ParseInt(first, 10, 64)
	if !ok || !isSpan || err != nil {
		return 0, 0, false
	}
	if size == "*" {
		return from, -1, true
	}
	total, err = strconv.ParseInt(size, 10, 64)
	return from, total, err == nil
}

// copy appends body to the .part file. Alive is called whenever bytes came.
func (d *download) copy(body io.Reader, alive func()) error {
	buf := make([]byte, 256<<10)
	for {
		n, readErr := body.Read(buf)
		if n > 0 {
			alive()
			if int64(n) > d.file.Size-d.at {
				return fmt.Errorf("%w: %s is longer than %d bytes", ErrChecksum, d.file.Path, d.file.Size)
			}
			if _, err := d.part.Write(buf[:n]); err != nil {
				// What a short write left behind is not counted: cut it off.
				return errors.Join(err, d.part.Truncate(d.at))
			}
			d.at += int64(n)
			d.received += int64(n)
			d.report(d.at)
		}
		switch {
		case readErr == io.EOF && d.at == d.file.Size:
			return nil
		case readErr == io.EOF:
			return &transient{err: io.ErrUnexpectedEOF}
		case readErr != nil:
			return &transient{err: unwrapURL(readErr)}
		}
	}
}

// verify checks the whole .part file.
func (d *download) verify(ctx context.Context) error {
	if _, err := d.part.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return d.check(ctx, d.part)
}

// check compares what r holds with what the hub says of the file.
func (d *download) check(ctx context.Context, r io.Reader) error {
	var h hash.Hash
	switch {
	case d.file.SHA256 != "":
		h = sha256.New()
	case d.file.GitID != "":
		h = sha1.New() //nolint:gosec // see above
		fmt.Fprintf(h, "blob %d\x00", d.file.Size)
	default:
		return nil // a mirror that states nothing: the size has to do
	}
	if _, err := io.CopyBuffer(h, readerFunc(func(p []byte) (int, error) {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		return r.Read(p)
	}), make([]byte, 1<<20)); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != d.digest() {
		return fmt.Errorf("%w: %s has the digest %.12s…, not %.12s…", ErrChecksum, d.file.Path, got, d.digest())
	}
	return nil
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// finish gives the file its name, once its bytes are on the disk.
func (d *download) finish() error {
	if err := d.part.Sync(); err != nil {
		return err
	}
	if err := d.part.Close(); err != nil {
		return err
	}
	if err := os.Rename(d.target+partSuffix, d.target); err != nil {
		return err
	}
	os.Remove(d.target + stateSuffix) // of no use any more, and harmless
	return syncFolder(filepath.Dir(d.target))
}
