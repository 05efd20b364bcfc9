package kernel

import (
	"fmt"
	"sync"

	"github.com/sluice-ai/sluice/runtime/quant"
)

// A Weight is a matrix [Rows][Cols] of one type, over the bytes of a file. It
// never writes to them, and any number of goroutines may use it.
type Weight struct {
	Type       quant.Type
	Rows, Cols int

	data   []byte
	stride int // bytes in a row; if packed, in a panel
	packed bool
}

// NewWeight returns the matrix that data holds row by row. It fails if t is not
// a type that can be multiplied, or data is not exactly rows*cols elements. The
// Weight keeps data.
func NewWeight(t quant.Type, rows, cols int, data []byte) (*Weight, error) {
	if !t.Supported() {
		return nil, fmt.Errorf("kernel: cannot multiply by %v", t)
	}
	stride := quant.RowBytes(t, cols)
	if rows <= 0 || cols <= 0 || stride < 0 {
		return nil, fmt.Errorf("kernel: no %v matrix is %d rows of %d", t, rows, cols)
	}
	if len(data)/stride != rows || len(data)%stride != 0 {
		return nil, fmt.Errorf("kernel: %d bytes are no %v matrix of %d rows of %d", len(data), t, rows, cols)
	}
	return &Weight{Type: t, Rows: rows, Cols: cols, data: data, stride: stride}, nil
}

// Data returns the bytes of the matrix, which are not to be changed.
func (w *Weight) Data() []byte { return w.data }

// Packed reports whether the matrix is one that Pack made.
func (w *Weight) Packed() bool { return w.packed }

// Bytes returns the size of the matrix, in the file or packed.
func (w *Weight) Bytes() int { return len(w.data) }

func (w *Weight) row(i int) []byte { return w.data[i*w.stride:][:w.stride:w.stride] }

var rowBuffers = sync.Pool{New: func() any { return new([]byte) }}

// Row fills dst with the values of row i. It panics unless dst is Cols long.
func (w *Weight) Row(i int, dst []float32) {
	row := []byte(nil)
	if w.packed {
		buf := rowBuffers.Get().(*[]byte)
		defer rowBuffers.Put(buf)
		*buf = grow(*buf, quant.RowBytes(w.Type, w.Cols))
		row = w.fileRow(*buf, i)
	} else {
		row = w.row(i)
	}
	if err := quant.Dequantize(w.Type, dst, row); err != nil || len(dst) != w.Cols {
		panic("kernel: Weight.Row: dst is not one row long")
	}
}
