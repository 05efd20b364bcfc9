package hub

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// A File is one file of a repository.
type File struct {
	Path string // inside the repository, with slashes
	Size int64
	// SHA256 is the digest of an LFS file, GitID the git blob id of another;
	// hexadecimal, or "" when the hub states none.
	SHA256, GitID string
}

var shard = regexp.MustCompile(`-(\d{5})-of-(\d{5})$`)

// choose returns the files of a listing that r means, in the order of their
// shards. It is pure.
func choose(r Ref, files []File) ([]File, error) {
	slices.SortFunc(files, func(a, b File) int { return cmp.Compare(a.Path, b.Path) })
	switch {
	case r.File != "":
		return chooseFile(r.File, files)
	case r.Quant == Safetensors:
		return chooseSafetensors(files)
	case r.Quant != "":
		return chooseQuant(r.Quant, files)
	}
	for _, quant := range fallbacks {
		if got, err := chooseQuant(quant, files); err == nil {
			return got, nil
		}
	}
	if models := weights(files); len(models) > 0 && oneModel(models) {
		return whole(models, files)
	}
	if got, err := chooseSafetensors(files); err == nil {
		return got, nil
	}
	return nil, noMatch("no GGUF file and no safetensors", files)
}

// chooseFile finds a file by its path, or its base name if only one has it.
func chooseFile(name string, files []File) ([]File, error) {
	var found []File
	for _, f := range files {
		if f.Path == name {
			return whole([]File{f}, files)
		}
		if strings.EqualFold(f.Path, name) || strings.EqualFold(path.Base(f.Path), name) {
			found = append(found, f)
		}
	}
	if len(found) != 1 {
		return nil, noMatch(fmt.Sprintf("%d files named %s", len(found), name), files)
	}
	return whole(found, files)
}

func chooseQuant(quant string, files []File) ([]File, error) {
	var found []File
	for _, f := range weights(files) {
		if strings.EqualFold(quantOf(f.Path), quant) {
			found = append(found, f)
		}
	}
	if len(found) == 0 {
		return nil, noMatch("no file of quantisation "+quant, files)
	}
	if !oneModel(found) {
		return nil, noMatch(fmt.Sprintf("%d models of quantisation %s: name the file", len(found), quant), found)
	}
	return whole(found, files)
}

// weights returns the GGUF files that hold a language model: not those that
// help one to see, hear or speak.
func weights(files []File) []File {
	var out []File
	for _, f := range files {
		base := strings.ToLower(path.Base(f.Path))
		if strings.HasSuffix(base, ".gguf") && !slices.ContainsFunc([]string{"mmproj-", "vocoder-", "tokenizer-"},
			func(prefix string) bool { return strings.HasPrefix(base, prefix) }) {
			out = append(out, f)
		}
	}
	return out
}

// stem returns a path without extension and shard number.
func stem(p string) string {
	return strings.ToLower(shard.ReplaceAllString(strings.TrimSuffix(p, path.Ext(p)), ""))
}

// quantOf returns the quantisation in a file name: what follows its last hyphen
// or dot.
func quantOf(p string) string {
	s := stem(path.Base(p))
	return strings.ToUpper(s[strings.LastIndexAny(s, "-.")+1:])
}

func oneModel(files []File) bool {
	return !slices.ContainsFunc(files, func(f File) bool { return stem(f.Path) != stem(files[0].Path) })
}

// whole returns all shards of the model that the first of some files belongs to,
// or that file if it is not sharded.
func whole(found, files []File) ([]File, error) {
	first := found[0]
	ext := path.Ext(first.Path)
	m := shard.FindStringSubmatch(strings.TrimSuffix(first.Path, ext))
	if m == nil {
		return []File{first}, nil
	}
	var out []File
	for _, f := range files {
		if stem(f.Path) == stem(first.Path) && path.Ext(f.Path) == ext {
			out = append(out, f)
		}
	}
	if fmt.Sprintf("%05d", len(out)) != m[2] {
		return nil, noMatch(fmt.Sprintf("%d of the %s parts of %s", len(out), m[2], first.Path), files)
	}
	return out, nil
}

// chooseSafetensors returns the weights and what is needed to read them.
func chooseSafetensors(files []File) ([]File, error) {
	var out []File
	tensors := 0
	for _, f := range files {
		switch {
		case strings.Contains(f.Path, "/"):
		case strings.HasSuffix(f.Path, ".safetensors"):
			tensors++
			out = append(out, f)
		case slices.Contains([]string{"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json",
			"special_tokens_map.json", "chat_template.jinja", "model.safetensors.index.json"}, f.Path):
			out = append(out, f)
		}
	}
	if tensors == 0 {
		return nil, noMatch("no safetensors", files)
	}
	return out, nil
}

func noMatch(what string, files []File) error {
	var names []string
	for _, f := range files {
		if ext := path.Ext(f.Path); ext == ".gguf" || ext == ".safetensors" {
			names = append(names, f.Path)
		}
	}
	const most = 20
	list := "no model file at all"
	if len(names) > 0 {
		list = strings.Join(names[:min(most, len(names))], ", ")
	}
	if len(names) > most {
		list += fmt.Sprintf(" and %d more", len(names)-most)
	}
	return fmt.Errorf("%w: the repository has %s; it has %s", errNoMatch, what, list)
}
