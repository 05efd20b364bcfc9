package safetensors

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A File is a parsed checkpoint: one file, or all shards of one. It is safe for
// concurrent reading until Close.
type File struct {
	Tensors  []Tensor          // in file order, shards in the order of their names
	Metadata map[string]string // __metadata__, of all shards together; may be nil
	Size     int64             // bytes of all files

	byName map[string]int
	unmap  []func() error
}

// Tensor returns the tensor named name, nil when there is none.
func (f *File) Tensor(name string) *Tensor {
	i, ok := f.byName[name]
	if !ok {
		return nil
	}
	return &f.Tensors[i]
}

// Close releases the maps behind a file from [Open]. Tensor data must not be
// touched afterwards. Closing twice is harmless.
func (f *File) Close() error {
	var errs []error
	for _, unmap := range f.unmap {
		errs = append(errs, unmap())
	}
	f.unmap = nil
	return errors.Join(errs...)
}

const indexName = "model.safetensors.index.json"

// Open opens a checkpoint: a .safetensors file, an index of shards
// (model.safetensors.index.json), or a folder with either. Files must not be
// truncated while they are open: touching a page that is gone kills the process.
// The caller closes the result.
func Open(path string) (*File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("opening model: %w", err)
	}
	if info.IsDir() {
		if path, err = inFolder(path); err != nil {
			return nil, err
		}
	}
	if strings.HasSuffix(path, ".index.json") {
		return openIndex(path)
	}
	return openFile(path)
}

// inFolder returns the index or the only .safetensors file of a folder.
func inFolder(folder string) (string, error) {
	for _, name := range []string{indexName, "model.safetensors"} {
		if _, err := os.Stat(filepath.Join(folder, name)); err == nil {
			return filepath.Join(folder, name), nil
		}
	}
	found, err := filepath.Glob(filepath.Join(escapeGlob(folder), "*.safetensors"))
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("opening model: %s has no model.safetensors and no %s: %w", folder, indexName, fs.ErrNotExist)
	}
	return found[0], nil
}

func escapeGlob(s string) string {
	if os.PathSeparator == '\\' {
		return s // Windows knows no escapes here
	}
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(s)
}

func openFile(path string) (*File, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening model: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	switch {
	case err != nil:
		return nil, fmt.Errorf("opening model: %w", err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("opening model: %s is not a regular file", path)
	case info.Size() < 8:
		return nil, fmt.Errorf("opening model: %s has %d bytes; download it again", path, info.Size())
	case info.Size() != int64(int(info.Size())):
		return nil, fmt.Errorf("opening model: %s is too big for this platform's address space", path)
	}
	data, unmap, err := mapFile(file, int(info.Size()))
	if err != nil {
		return nil, fmt.Errorf("opening model %s: %w", path, err)
	}
	f, err := Parse(data)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("reading %s: %w", path, err), unmap())
	}
	f.unmap = []func() error{unmap}
	return f, nil
}

// openIndex opens the shards that an index names, and checks that each holds
// what the index says.
func openIndex(path string) (_ *File, err error) {
	b, err := readSmall(path, maxHeader)
	if err != nil {
		return nil, err
	}
	where, err := parseIndex(b)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	var shards []string
	for _, shard := range where {
		shards = append(shards, shard)
	}
	slices.Sort(shards)
	all := &File{byName: map[string]int{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, all.Close())
		}
	}()
	for _, shard := range slices.Compact(shards) {
		f, err := openFile(filepath.Join(filepath.Dir(path), shard))
		if err != nil {
			return nil, err
		}
		all.unmap = append(all.unmap, f.unmap...)
		if err := all.add(f, shard, where); err != nil {
			return nil, fmt.Errorf("reading %s: %w", path, err)
		}
	}
	for name, shard := range where {
		if all.Tensor(name) == nil {
			return nil, fmt.Errorf("reading %s: %w", path, fail(fmt.Sprintf("tensor %q", name), "is not in %s", shard))
		}
	}
	return all, nil
}

func (f *File) add(g *File, shard string, where map[string]string) error {
	for _, t := range g.Tensors {
		if where[t.Name] != shard {
			return fail(fmt.Sprintf("tensor %q", t.Name), "is in %s, where the index does not have it", shard)
		}
		f.byName[t.Name] = len(f.Tensors)
		f.Tensors = append(f.Tensors, t)
	}
	for k, v := range g.Metadata {
		if f.Metadata == nil {
			f.Metadata = map[string]string{}
		}
		f.Metadata[k] = v
	}
	f.Size += g.Size
	return nil
}

// parseIndex returns the shard of each tensor.
func parseIndex(data []byte) (map[string]string, error) {
	var index struct {
		WeightMap map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(data, &index); err != nil || len(index.WeightMap) == 0 {
		return nil, fail("index", "has no weight_map")
	}
	for name, shard := range index.WeightMap {
		if len(name) > maxName {
			return nil, fail("index", "a tensor name has %d bytes", len(name))
		}
		if filepath.Base(shard) != shard || strings.ContainsAny(shard, `/\:`) || !strings.HasSuffix(shard, ".safetensors") {
			return nil, fail("index", "%.60q is no file beside it", shard)
		}
	}
	return index.WeightMap, nil
}

// readSmall reads a file of at most limit bytes.
func readSmall(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening model: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%s has more than %d bytes", path, limit)
	}
	return b, nil
}
