package mix

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"sync"

	"github.com/sluice-ai/sluice/runtime/gguf"
	"github.com/sluice-ai/sluice/runtime/quant"
)

// Options say how to write.
type Options struct {
	// Threads is how many goroutines convert. Default: as many as there are cores.
	Threads int
	// AllowRequantize permits to convert weights that are already quantised, which
	// adds a second rounding to theirs.
	AllowRequantize bool
	// Progress, if not nil, is told how many of the bytes of tensor data are done.
	Progress func(done, total int64)
}

// ErrQuantized reports a model whose weights are quantised already.
var ErrQuantized = errors.New("the weights are quantised already, and doing it twice costs quality")

// A Report says what was done.
type Report struct {
	Recipe  string   `json:"type"`
	Tensors []Change `json:"tensors"`
	Before  int64    `json:"bytes_before"` // of tensor data
	After   int64    `json:"bytes_after"`
}

// A Change is one tensor's.
type Change struct {
	Name string `json:"name"`
	From string `json:"from"`
	To   string `json:"to"`
	Dims []int  `json:"dims"`
	// Error is the root of the mean squared difference, relative to that of the
	// values; 0 for a tensor that was copied.
	Error float64 `json:"error"`
}

// A Group is the tensors that went from one type to another.
type Group struct {
	From, To string
	Tensors  int
	Error    float64 // the largest
}

// Summary returns the report's groups, in the order of their first tensors.
func (r *Report) Summary() []Group {
	var groups []Group
	for _, c := range r.Tensors {
		i := slices.IndexFunc(groups, func(g Group) bool { return g.From == c.From && g.To == c.To })
		if i < 0 {
			i = len(groups)
			groups = append(groups, Group{From: c.From, To: c.To})
		}
		groups[i].Tensors++
		groups[i].Error = max(groups[i].Error, c.Error)
	}
	return groups
}

// Write writes the model f to out with r's types. All metadata is kept, but what
// it says of types and of shards. It fails before it writes anything if f is no
// whole LFM2 model or, without Options.AllowRequantize, is quantised already
// ([ErrQuantized]).
func Write(ctx context.Context, out io.Writer, f *gguf.File, r Recipe, o Options) (*Report, error) {
	shape, err := shapeOf(f)
	if err != nil {
		return nil, err
	}
	tensors := make([]Tensor, len(f.Tensors))
	for i, t := range f.Tensors {
		tensors[i] = Tensor{t.Name, t.Type, t.Dims}
	}
	if o.Threads <= 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	c := converter{file: f, threads: o.Threads, progress: o.Progress}
	report := &Report{Recipe: r.String(), Tensors: make([]Change, len(tensors))}
	var w gguf.Writer
	setMetadata(&w, f, r)
	for i, to := range r.Types(tensors, shape) {
		t, change := &f.Tensors[i], &report.Tensors[i]
		*change = Change{Name: t.Name, From: t.Type.String(), To: to.String(), Dims: t.Dims}
		report.Before += int64(len(t.Data))
		if to == t.Type {
			w.Add(t.Name, to, t.Dims, func(out io.Writer) error { return c.copy(ctx, out, t) })
			continue
		}
		if !t.Type.Supported() {
			return nil, fmt.Errorf("tensor %q is %v, which cannot be read", t.Name, t.Type)
		}
		if t.Type.BlockSize() > 1 && !o.AllowRequantize {
			return nil, fmt.Errorf("%w (tensor %q is %v)", ErrQuantized, t.Name, t.Type)
		}
		w.Add(t.Name, to, t.Dims, func(out io.Writer) (err error) {
			change.Error, err = c.convert(ctx, out, t, to)
			return err
		})
	}
	c.total = w.Size()
	report.After = c.total
	if _, err := w.WriteTo(out); err != nil {
		return nil, err
	}
	return report, nil
}

// shapeOf returns what recipes must know of f.
func shapeOf(f *gguf.File) (Shape, error) {
	arch, _ := f.Str("general.architecture")
	if arch != "lfm2" && arch != "lfm2moe" {
		return Shape{}, fmt.Errorf("the file holds a model of architecture %q; only lfm2 and lfm2moe can be quantised", arch)
	}
	if n, ok := f.Int("split.count"); ok && n > 1 {
		return Shape{}, fmt.Errorf("the file is one of %d shards; merge them first (llama-gguf-split --merge)", n)
	}
	layers, _ := f.Int(arch + ".block_count")
	experts, _ := f.Int(arch + ".expert_count")
	if layers <= 0 || layers > 1<<16 || experts < 0 || experts > 1<<16 {
		return Shape{}, fmt.Errorf("the file says that the model has %d layers and %d experts", layers, experts)
	}
	return Shape{Layers: int(layers), Experts: int(experts)}, nil
}

// setMetadata copies f's metadata to w, with what r makes of it.
func setMetadata(w *gguf.Writer, f *gguf.File, r Recipe) {
	now := map[string]any{
		"general.file_type":            r.FileType(),
		"general.quantization_version": uint32(2),
	}
	for _, field := range f.Fields {
		switch field.Key {
		case "split.no", "split.count", "split.tensors.count", "general.alignment": // of the old file only
			continue
		}
		if v, ok := now[field.Key]; ok {
			w.Set(field.Key, v)
			delete(now, field.Key)
			continue
		}
		w.Set(field.Key, field.Value)
	}
	for _, key := range []string{"general.file_type", "general.quantization_version"} {
		if v, ok := now[key]; ok {
			w.Set(key, v)
		}
	}
}

// A converter carries tensors from one file to another.
type converter struct {
	file        *gguf.File
	threads     int
	progress    func(done, total int64)
	done, total int64
}

func (c *converter) write(ctx context.Context, out io.Writer, data []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, err := out.Write(data); err != nil {
		return err
	}
	c.done += int64(len(data))
	if c.progress != nil {
		c.progress(c.done, c.total)
	}
	return nil
}

func (c *converter) copy(ctx context.Context, out io.Writer, t *gguf.Tensor) error {
	const slab = 4 << 20
	for data := t.Data; len(data) > 0; {
		n := min(slab, len(data))
		if err := c.write(ctx, out, data[:n]); err != nil {
			return err
		}
		c.file.Release(data[:n])
		data = data[n:]
	}
	return nil
}

// chunkElements is about how many elements are converted at once.
const chunkElements = 1 << 16

// A chunk is rows on their way through a worker.
type chunk struct {
	src, dst []byte
	elements int
	moments  moments
	err      error
	done     chan struct{}
}

// moments are the sums of squares of values and of their errors.
type moments struct{ value, err float64 }

// convert writes t as type to and returns the relative error that this made.
// Workers take chunks of rows; they are written in order, and no more than a few
// for each worker are under way.
func (c *converter) convert(ctx context.Context, out io.Writer, t *gguf.Tensor, to quant.Type) (float64, error) {
	cols := t.Dims[0]
	from, into := quant.RowBytes(t.Type, cols), quant.RowBytes(to, cols)
	rows, each := len(t.Data)/from, max(1, chunkElements/cols)

	var workers sync.WaitGroup
	todo := make(chan *chunk)
	defer workers.Wait()
	defer close(todo)
	for range min(c.threads, (rows+each-1)/each) {
		workers.Go(func() {
			x, y := make([]float32, each*cols), make([]float32, each*cols)
			for k := range todo {
				k.run(t.Type, to, x[:k.elements], y[:k.elements])
				k.done <- struct{}{}
			}
		})
	}

	free := make([]*chunk, 2*c.threads)
	for i := range free {
		free[i] = &chunk{done: make(chan struct{}, 1)}
	}
	var under []*chunk // way, oldest first
	var total moments
	for first := 0; first < rows || len(under) > 0; {
		if first < rows && len(free) > 0 {
			k := free[len(free)-1]
			free = free[:len(free)-1]
			n := min(each, rows-first)
			k.src, k.elements = t.Data[first*from:][:n*from], n*cols
			if cap(k.dst) < n*into {
				k.dst = make([]byte, each*into)
			}
			k.dst = k.dst[:n*into]
			first += n
			todo <- k
			under = append(under, k)
			continue
		}
		k := under[0]
		under = under[1:]
		<-k.done
		if k.err != nil {
			return 0, k.err
		}
		total.value, total.err = total.value+k.moments.value, total.err+k.moments.err
		if err := c.write(ctx, out, k.dst); err != nil {
			return 0, err
		}
		c.file.Release(k.src)
		free = append(free, k)
	}
	if total.value == 0 {
		return 0, nil
	}
	return math.Sqrt(total.err / total.value), nil
}

// run converts the chunk by way of x, and reads it back to y.
func (k *chunk) run(from, to quant.Type, x, y []float32) {
	k.moments = moments{}
	if k.err = quant.Dequantize(from, x, k.src); k.err != nil {
		return
	}
	for _, v := range x {
		k.moments.value += float64(v) * float64(v)
	}
	if math.IsNaN(k.moments.value) || math.IsInf(k.moments.value, 0) {
		k.err = errors.New("a weight is infinite or not a number: the file is damaged")
		return
	}
	if k.err = quant.Quantize(to, k.dst, x); k.err != nil {
		return
	}
	if k.err = quant.Dequantize(to, y, k.dst); k.err != nil {
		return
	}
	for i, v := range x {
		e := float64(v) - float64(y[i])
		k.moments.err += e * e
	}
	if math.IsNaN(k.moments.err) || math.IsInf(k.moments.err, 0) {
		k.err = fmt.Errorf("a weight is too large for %v", to)
	}
}
