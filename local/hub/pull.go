package hub

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// Progress tells how a pull gets on. With a Note it is only that: something to
// know, such as a wait.
type Progress struct {
	File        string // path in the repository
	Done, Total int64  // bytes of all files of the pull
	Note        string
}

// A Result is what a pull has left on disk.
type Result struct {
	Path       string   // what to open: a GGUF file, its first shard, or a folder of safetensors
	Files      []string // all files, on disk
	Bytes      int64    // of all files
	Downloaded int64    // bytes that came over the network
}

// Pull gets the files that r means into dir/org/repo and returns where they are.
// What is there already, whole, is not fetched again; what was begun is
// continued. When ctx ends, what has come so far stays for the next pull.
//
// Errors wrap one of the Err variables of this package, or what the file system
// says; their text tells what to do, and where the network is at fault which
// file to get by hand.
func (c *Client) Pull(ctx context.Context, r Ref, dir string) (Result, error) {
	files, err := c.List(ctx, r)
	if err == nil {
		files, err = choose(r, files)
	}
	folder := folderOf(dir, r)
	if err != nil {
		return Result{}, c.advise(fmt.Errorf("pulling %s: %w", r, err), r, r.guess(), folder)
	}
	var res Result
	for _, f := range files {
		res.Bytes += f.Size
	}
	if err := c.room(folder, files); err != nil {
		return Result{}, fmt.Errorf("pulling %s: %w", r, err)
	}
	done := int64(0)
	for _, f := range files {
		target := filepath.Join(folder, filepath.FromSlash(f.Path))
		d := &download{
			client: c, ref: r, file: f, target: target,
			report: func(n int64) { c.cfg.OnProgress(Progress{File: f.Path, Done: done + n, Total: res.Bytes}) },
		}
		if err := d.run(ctx); err != nil {
			return Result{}, c.advise(fmt.Errorf("pulling %s: %w", r, explain(err, target)), r, f.Path, folder)
		}
		done += f.Size
		res.Downloaded += d.received
		res.Files = append(res.Files, target)
	}
	res.Path = res.Files[0]
	if r.File == "" && !strings.HasSuffix(res.Path, ".gguf") {
		res.Path = folder
	}
	return res, nil
}

// room fails early where the files cannot fit. Where the platform does not tell
// what is free, the write that fails will.
func (c *Client) room(folder string, files []File) error {
	need := int64(0)
	for _, f := range files {
		target := filepath.Join(folder, filepath.FromSlash(f.Path))
		if st, err := os.Stat(target); err == nil && st.Size() == f.Size {
			continue
		}
		need += f.Size
		if st, err := os.Stat(target + partSuffix); err == nil {
			need -= min(st.Size(), f.Size)
		}
	}
	at := folder
	for {
		if _, err := os.Stat(at); err == nil || filepath.Dir(at) == at {
			break
		}
		at = filepath.Dir(at)
	}
	if free, ok := freeSpace(at); ok && need > free {
		return fmt.Errorf("%s more are needed and %s are free in %s; make room, or choose another folder with --dir or SLUICE_MODELS: %w",
			size(need), size(free), at, syscall.ENOSPC)
	}
	return nil
}

func size(n int64) string {
	if n >= 1<<30 {
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}

// explain adds to an error of the file system what to do about it.
func explain(err error, target string) error {
	folder := filepath.Dir(target)
	const diskFull = syscall.Errno(112) // Windows: ERROR_DISK_FULL
	switch {
	case errors.Is(err, syscall.ENOSPC), runtime.GOOS == "windows" && errors.Is(err, diskFull):
		return fmt.Errorf("the disk of %s is full; make room and pull again, which goes on from here: %w", folder, err)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("%s may not be written to; choose another folder with --dir or SLUICE_MODELS: %w", folder, err)
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%s is read-only; choose another folder with --dir or SLUICE_MODELS: %w", folder, err)
	}
	return err
}

// advise adds to an error of the network how to do without it.
func (c *Client) advise(err error, r Ref, file, folder string) error {
	if !errors.Is(err, ErrUnreachable) {
		return err
	}
	from, to := c.FileURL(r, file), filepath.Join(folder, filepath.FromSlash(file))
	if file == "" {
		from, to = c.endpoint.JoinPath(r.Org, r.Repo, "tree", c.cfg.Revision).String(), filepath.Join(folder, "")+string(filepath.Separator)
	}
	return fmt.Errorf(`%w

Without the network, get the file by hand: download
  %s
elsewhere, and put it here as
  %s
A mirror is used with HF_ENDPOINT=https://…, a proxy with HTTPS_PROXY=…`, err, from, to)
}
