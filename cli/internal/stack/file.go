package stack

import (
	"fmt"
	"strings"
)

// File is a configuration file as it was read.
type File struct {
	Path  string // as the host names it
	Lines []Line // without comments and empty lines
}

// sizeMax is the longest file that is read, in bytes. Real ones have a few thousand.
const sizeMax = 1 << 20

// Parse reads the text of a file of pam.d(5). It never fails: a line that libpam can't read makes every
// login of the service fail, and says so in its Problem.
func Parse(path, service string, text []byte) *File {
	return parse(path, service, text, false)
}

// ParseConf reads the text of pam.conf(5), where each line names its service.
func ParseConf(path string, text []byte) *File {
	return parse(path, "", text, true)
}

func parse(path, service string, text []byte, withService bool) *File {
	f := &File{Path: path}
	j := joiner{lines: strings.SplitAfter(string(text), "\n")}
	for {
		joined, first, last, more := j.next()
		if !more {
			return f
		}
		at := Line{Place: Place{File: path, Line: first}, Last: last, Service: service}
		if strings.Contains(joined, "\x00") {
			at.Type, at.Problem = Auth, "there is a NUL byte in it"
			f.Lines = append(f.Lines, at)
			continue
		}
		l := parseLine(joined, at, withService)
		if j.cut {
			l.Problem = firstOf(l.Problem, fmt.Sprintf("the file ends after a backslash: libpam reads nothing of %s then", path))
		}
		f.Lines = append(f.Lines, l)
	}
}

// joiner puts continued lines together. As in libpam, a comment ends a line whatever it ends with, and
// empty lines and whole comments between the parts of a continued line are passed over.
type joiner struct {
	lines []string
	at    int  // how many were read
	cut   bool // the file ended where a line should go on
}

// next returns a line with the numbers of its first and last.
func (j *joiner) next() (joined string, first, last int, more bool) {
	var b strings.Builder
	for j.at < len(j.lines) {
		text := strings.TrimLeft(j.lines[j.at], " \t\n")
		j.at++
		if text == "" || text[0] == '#' {
			continue
		}
		if first == 0 {
			first = j.at
		}
		last = j.at
		if before, _, comment := strings.Cut(text, "#"); comment {
			b.WriteString(before)
			return b.String(), first, last, true
		}
		before, continued := strings.CutSuffix(strings.TrimRight(text, " \t\n"), `\`)
		b.WriteString(before)
		if !continued {
			return b.String(), first, last, true
		}
		b.WriteByte(' ')
	}
	j.cut = first != 0
	return b.String(), first, last, first != 0
}
