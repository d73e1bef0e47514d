package main

import (
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// columns is how wide talk may be: 0, which is as wide as it likes, unless it goes to a terminal.
func (c *command) columns() int {
	f, ok := c.err.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0
	}
	n, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return n
}

// fold breaks lines that are wider than columns between words. What goes on stands below where the line, or
// its last column, began.
// A hint is left whole: people copy commands from it.
func fold(text string, columns int) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if columns > 0 && utf8.RuneCountInString(line) > columns && !strings.HasPrefix(strings.TrimSpace(line), "hint: ") {
			lines[i] = foldLine(line, columns)
		}
	}
	return strings.Join(lines, "\n")
}

func foldLine(line string, columns int) string {
	begin := line[:len(line)-len(strings.TrimLeft(line, " -"))]
	if gap := strings.LastIndex(line, "  "); gap+2 > len(begin) && gap >= 0 && gap+2 <= columns/2 {
		begin = line[:gap+2]
	}
	margin := strings.Repeat(" ", utf8.RuneCountInString(begin))
	var b strings.Builder
	b.WriteString(begin)
	used := len(margin)
	for i, word := range strings.Split(line[len(begin):], " ") {
		width := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case used+1+width > columns:
			b.WriteString("\n" + margin)
			used = len(margin)
		default:
			b.WriteByte(' ')
			used++
		}
		b.WriteString(word)
		used += width
	}
	return b.String()
}
