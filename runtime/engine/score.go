package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sluice-ai/sluice/runtime/lfm2"
	"github.com/sluice-ai/sluice/runtime/sample"
)

// Labels are continuations to be compared: how likely is each of Labels after a
// session and the tokens After?
type Labels struct {
	After  []int32 // none, often
	Labels [][]int32
}

var errBroken = errors.New("scoring labels: the model's output is not a number; the file may be damaged")

// Score returns, for each label, the natural logarithm of the probability that
// the model continues with exactly its tokens. The session stays as it was. All
// labels are read in one step where they fit, and none is if they are of one token.
func (s *Session) Score(ctx context.Context, labels [][]int32) ([]float64, error) {
	all, err := s.ScoreSets(ctx, Labels{Labels: labels})
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

// ScoreSets is Score for several sets of labels, read in one step together. The
// probability of a set's After is not part of its scores.
func (s *Session) ScoreSets(ctx context.Context, sets ...Labels) ([][]float64, error) {
	if s.task == nil {
		return nil, ErrClosed
	}
	if !s.ready {
		return nil, errors.New("scoring labels: the session has read nothing")
	}
	// What is read are the labels without their last tokens; a text that begins
	// another one needs no reading of its own.
	var paths [][]int32
	for _, set := range sets {
		for _, label := range set.Labels {
			if err := s.m.check(label); err != nil {
				return nil, fmt.Errorf("scoring labels: %w", err)
			}
			if len(label) > 0 {
				path := slices.Concat(set.After, label[:len(label)-1])
				if len(path) > maxBatch {
					return nil, fmt.Errorf("scoring labels: a label of %d tokens is more than %d", len(path)+1, maxBatch+1)
				}
				paths = append(paths, path)
			}
		}
		if err := s.m.check(set.After); err != nil {
			return nil, fmt.Errorf("scoring labels: %w", err)
		}
	}
	paths = roots(paths)
	rows, err := s.continuations(ctx, paths)
	if err != nil {
		return nil, err
	}
	known := map[*float32]float64{} // log Σ exp of a row, by its first element
	logprob := func(row []float32, id int32) (float64, bool) {
		norm, ok := known[&row[0]]
		if !ok {
			if norm, ok = sample.LogSumExp(row); !ok {
				return 0, false
			}
			known[&row[0]] = norm
		}
		return float64(row[id]) - norm, true
	}
	vocab := s.m.net.Vocab
	all := make([][]float64, len(sets))
	for i, set := range sets {
		all[i] = make([]float64, len(set.Labels))
		for j, label := range set.Labels {
			text := slices.Concat(set.After, label)
			for k := len(set.After); k < len(text); k++ {
				row := s.logits
				if k > 0 {
					p := slices.IndexFunc(paths, func(p []int32) bool { return hasPrefix(p, text[:len(text)-1]) })
					row = rows[p][(k-1)*vocab:][:vocab]
				}
				lp, ok := logprob(row, text[k])
				if !ok {
					return nil, errBroken
				}
				all[i][j] += lp
			}
		}
	}
	return all, nil
}

func hasPrefix(s, prefix []int32) bool {
	return len(s) >= len(prefix) && slices.Equal(s[:len(prefix)], prefix)
}

// roots returns the paths that are not the beginning of another, or empty.
func roots(paths [][]int32) [][]int32 {
	slices.SortFunc(paths, slices.Compare[[]int32])
	var out [][]int32
	for i, p := range paths {
		if len(p) > 0 && (i+1 == len(paths) || !hasPrefix(paths[i+1], p)) {
			out = append(out, p)
		}
	}
	return out
}

// continuations reads each path on a clone of the session, in as few steps as
// hold them, and returns the logits after each of its tokens.
func (s *Session) continuations(ctx context.Context, paths [][]int32) ([][]float32, error) {
	rows := make([][]float32, 0, len(paths))
	for len(paths) > 0 {
		var batch []lfm2.Span
		tokens := 0
		for len(paths) > 0 && tokens+len(paths[0]) <= maxBatch {
			tokens += len(paths[0])
			row := make([]float32, len(paths[0])*s.m.net.Vocab)
			batch = append(batch, lfm2.Span{Seq: s.task.seq.Clone(), Tokens: paths[0], Logits: row})
			rows, paths = append(rows, row), paths[1:]
		}
		s.task.batch = batch
		err := s.do(ctx, true)
		for _, span := range batch {
			span.Seq.Release()
		}
		if err != nil {
			return nil, err
		}
	}
	return rows, nil
}
