package hub

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Find returns where the model called name is under dir, if it has been pulled,
// or put there by hand: the first shard of a GGUF, or the folder of safetensors.
// A name without a quantisation means the default one if it is there, else the
// next in the order in which a pull would look. A GGUF file directly in dir is
// found too.
func Find(name, dir string) (path string, ok bool) {
	r, err := Parse(name)
	if err != nil {
		return "", false
	}
	for _, folder := range []string{folderOf(dir, r), dir} {
		files := filesIn(folder)
		if folder == dir {
			// Of a folder for everything, only what is named as this repository's files are.
			model := strings.ToLower(strings.TrimSuffix(r.Repo, "-GGUF"))
			kept := files[:0]
			for _, f := range files {
				if strings.HasPrefix(stem(f.Path), model+"-") && strings.EqualFold(stem(f.Path), model+"-"+quantOf(f.Path)) || f.Path == r.File {
					kept = append(kept, f)
				}
			}
			files = kept
		}
		found, err := choose(r, files)
		if err != nil {
			continue
		}
		if strings.HasSuffix(found[0].Path, ".gguf") || r.File != "" {
			return filepath.Join(folder, filepath.FromSlash(found[0].Path)), true
		}
		return folder, true
	}
	return "", false
}

// folderOf returns where the files of r are kept: dir/org/repo.
func folderOf(dir string, r Ref) string { return filepath.Join(dir, r.Org, r.Repo) }

// filesIn lists the finished files of a folder, two levels deep.
func filesIn(folder string) []File {
	var files []File
	filepath.WalkDir(folder, func(p string, d fs.DirEntry, err error) error {
		rel, relErr := filepath.Rel(folder, p)
		if err != nil || relErr != nil {
			return nil //nolint:nilerr // what cannot be read is not there
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			if strings.Count(rel, "/") >= 1 {
				return fs.SkipDir
			}
			return nil
		}
		// A link to a file counts as the file.
		if info, err := os.Stat(p); err == nil && info.Mode().IsRegular() && isLocal(rel) && !strings.HasSuffix(rel, partSuffix) {
			files = append(files, File{Path: rel, Size: info.Size()})
		}
		return nil
	})
	return files
}
