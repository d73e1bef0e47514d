package sshd

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Copy is a configuration in a directory of its own, which includes nothing but what is there.
type Copy struct {
	Path  string            // of the first file, to give to sshd
	names map[string]string // by the path of the copy: what the host calls it
}

// MakeCopy copies a host's configuration into dir, with some files as they are to become: a text takes the
// place of a file or adds one, nil takes it away.
func MakeCopy(root, name, dir string, files map[string][]byte) (*Copy, error) {
	return makeCopy(&copier{root: root, files: files}, name, dir)
}

// MakeCopyForAll is MakeCopy without what stands in Match blocks: sshd can't be asked about everybody where a block
// looks at more than users and addresses.
func MakeCopyForAll(root, name, dir string, files map[string][]byte) (*Copy, error) {
	return makeCopy(&copier{root: root, files: files, forAll: true}, name, dir)
}

func makeCopy(c *copier, name, dir string) (*Copy, error) {
	c.base, c.dir, c.copy = path.Dir(name), dir, &Copy{names: map[string]string{}}
	var err error
	if c.copy.Path, err = c.file(name, 0); err != nil {
		return nil, fmt.Errorf("copy sshd's settings: %w", err)
	}
	return c.copy, nil
}

// Original puts the host's names in the place of the copy's in what sshd says.
func (c *Copy) Original(text string) string {
	for name, host := range c.names {
		text = strings.ReplaceAll(text, name+" ", host+" ")
		text = strings.ReplaceAll(text, name+":", host+":")
	}
	return text
}

type copier struct {
	root, base, dir string
	files           map[string][]byte
	forAll          bool // without Match blocks
	copy            *Copy
}

// file copies one file and returns the path of the copy.
func (c *copier) file(host string, depth int) (string, error) {
	if depth > depthMax || len(c.copy.names) > filesMax {
		return "", fmt.Errorf("%s: %w", host, ErrTooDeep)
	}
	text, laid := c.files[host]
	if !laid {
		var err error
		if text, err = os.ReadFile(filepath.Join(c.root, host)); err != nil {
			return "", err
		}
	}
	name := filepath.Join(c.dir, fmt.Sprintf("%d-%s", len(c.copy.names), strings.Map(plainName, path.Base(host))))
	c.copy.names[name] = host
	var b strings.Builder
	inMatch := false
	for line := range strings.Lines(string(text)) {
		keyword, patterns := words(line)
		if strings.EqualFold(keyword, "match") {
			inMatch = !(len(patterns) == 1 && strings.EqualFold(patterns[0], "all"))
		}
		if c.forAll && inMatch {
			b.WriteString("#\n") // the line's number is kept
			continue
		}
		if !strings.EqualFold(keyword, "include") {
			b.WriteString(line)
			continue
		}
		copies, err := c.include(patterns, depth+1)
		if err != nil {
			return "", err
		}
		if len(copies) == 0 { // the line's number is kept
			copies = []string{filepath.Join(c.dir, "nothing")}
		}
		fmt.Fprintf(&b, "Include %s\n", strings.Join(copies, " "))
	}
	return name, os.WriteFile(name, []byte(b.String()), 0o600)
}

// plainName keeps a file name from meaning something in a line of the copy.
func plainName(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' || r == '_' {
		return r
	}
	return '_'
}

// include copies the files of the patterns in the order in which sshd reads them.
func (c *copier) include(patterns []string, depth int) ([]string, error) {
	var copies []string
	for _, pattern := range patterns {
		if !path.IsAbs(pattern) {
			pattern = path.Join(c.base, pattern)
		}
		for _, host := range matching(c.root, pattern, c.files) {
			name, err := c.file(host, depth)
			if err != nil {
				return nil, err
			}
			copies = append(copies, name)
		}
	}
	return copies, nil
}
