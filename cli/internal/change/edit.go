package change

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Edit puts lines in place of others in a text.
type Edit struct {
	Line   int      `json:"line"`             // of the first one removed, or before which lines are added; from 1
	Remove []string `json:"remove,omitempty"` // without line ends
	Add    []string `json:"add,omitempty"`
}

// ErrUnclear says that the lines of an edit aren't in a text, or more than once.
var ErrUnclear = errors.New("its lines are no longer where they were put")

// Apply makes edits in a text. Their line numbers are those of the text before.
func Apply(text []byte, edits []Edit) ([]byte, error) {
	lines := split(text)
	edits = slices.Clone(edits)
	slices.SortStableFunc(edits, func(a, b Edit) int { return b.Line - a.Line })
	for _, e := range edits {
		at := e.Line - 1
		if at < 0 || at > len(lines) || !startsWith(lines[at:], e.Remove) {
			return nil, fmt.Errorf("edit at line %d: %w", e.Line, ErrUnclear)
		}
		lines = slices.Replace(lines, at, at+len(e.Remove), e.Add...)
	}
	return join(lines), nil
}

// Revert takes edits back in a text that others may have changed meanwhile: each one's added lines,
// wherever they are now, make room for what they replaced. It fails with ErrUnclear unless they are there
// together, exactly once.
func Revert(text []byte, edits []Edit) ([]byte, error) {
	lines := split(text)
	for _, e := range edits {
		if len(e.Add) == 0 {
			return nil, ErrUnclear
		}
		at := -1
		for i := range lines {
			if startsWith(lines[i:], e.Add) {
				if at >= 0 {
					return nil, ErrUnclear
				}
				at = i
			}
		}
		if at < 0 {
			return nil, ErrUnclear
		}
		lines = slices.Replace(lines, at, at+len(e.Add), e.Remove...)
	}
	return join(lines), nil
}

func startsWith(lines, beginning []string) bool {
	return len(lines) >= len(beginning) && slices.Equal(lines[:len(beginning)], beginning)
}

// split parts a text into lines. That the last has no line end isn't kept.
func split(text []byte) []string {
	if len(text) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

func join(lines []string) []byte {
	if len(lines) == 0 {
		return nil
	}
	return []byte(strings.Join(lines, "\n") + "\n")
}
