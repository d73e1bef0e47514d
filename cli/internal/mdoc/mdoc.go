// Package mdoc writes the plain text of a command's help as mdoc(7), the language of manual pages. It
// knows what help looks like: paragraphs, and indented lines that are a list of terms or something to
// type.
//
// Always true: no character of the text is taken for a request or an escape of roff; each sentence
// begins a line, as mdoc has it.
package mdoc

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// width is where lines of prose end, in columns.
const width = 78

var escapes = strings.NewReplacer(`\`, `\e`, "-", `\-`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`)

// Escape returns text as it may stand anywhere in a line but at its beginning. "-" is a minus, which is
// copied as it is typed.
func Escape(text string) string { return escapes.Replace(text) }

// Word returns one argument of a macro.
func Word(text string) string {
	return `"` + strings.ReplaceAll(Escape(text), `"`, `\(dq`) + `"`
}

// line keeps a line from being taken for a request.
func line(text string) string {
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		return `\&` + text + "\n"
	}
	return text + "\n"
}

// Literal shows text as it is, to be typed or compared.
func Literal(text string) string {
	var b strings.Builder
	b.WriteString(".Bd -literal -offset indent\n")
	for l := range strings.Lines(text) {
		b.WriteString(line(strings.ReplaceAll(Escape(strings.TrimRight(l, "\n")), "'", `\(aq`)))
	}
	b.WriteString(".Ed\n")
	return b.String()
}

// Prose fills text, one sentence after the other.
func Prose(text string) string {
	var b strings.Builder
	now := ""
	for _, word := range strings.Fields(Escape(text)) {
		if whole.MatchString(word) {
			word = `\%` + word
		}
		switch {
		case now == "":
			now = word
		case utf8.RuneCountInString(now+" "+word) > width:
			b.WriteString(line(now))
			now = word
		default:
			now += " " + word
		}
		if sentenceEnd.MatchString(word) {
			b.WriteString(line(now))
			now = ""
		}
	}
	if now != "" {
		b.WriteString(line(now))
	}
	return b.String()
}

// sentenceEnd matches the last word of a sentence; "..." ends none.
var sentenceEnd = regexp.MustCompile(`[^.][.?!][)"']*$`)

// whole matches words that must not be hyphenated: to be typed, or names.
var whole = regexp.MustCompile(`[./_]\w|^totp`)

// Text returns a help text: its paragraphs filled, its lists as lists.
func Text(text string) string {
	var b strings.Builder
	for i, block := range blocks(text) {
		items, list := itemsOf(block)
		indented := strings.HasPrefix(block[0], " ")
		if i > 0 && (list || !indented) {
			b.WriteString(".Pp\n")
		}
		switch {
		case !indented:
			b.WriteString(Prose(strings.Join(block, " ")))
		case list:
			b.WriteString(tagged(items))
		default:
			b.WriteString(Literal(outdented(block)))
		}
	}
	return b.String()
}

// blocks are what empty lines, or the beginning or end of an indentation, set apart.
func blocks(text string) [][]string {
	var all [][]string
	fresh := true
	for l := range strings.Lines(text) {
		l = strings.TrimRight(l, " \n")
		if l == "" {
			fresh = true
			continue
		}
		last := len(all) - 1
		if fresh || strings.HasPrefix(l, " ") != strings.HasPrefix(all[last][0], " ") {
			all, last = append(all, nil), last+1
		}
		all[last] = append(all[last], l)
		fresh = false
	}
	return all
}

// item is a term and what it means.
type item struct{ term, text string }

var itemLine = regexp.MustCompile(`^(\S+(?: \S+)*) {2,}(\S.*)$`)

// itemsOf takes a block of lines "TERM  TEXT", and further lines of a text below it, apart.
func itemsOf(block []string) (items []item, list bool) {
	indent := len(block[0]) - len(strings.TrimLeft(block[0], " "))
	for _, l := range block {
		rest := strings.TrimPrefix(l, strings.Repeat(" ", indent))
		m := itemLine.FindStringSubmatch(rest)
		switch {
		case m != nil:
			items = append(items, item{m[1], m[2]})
		case strings.HasPrefix(rest, " ") && len(items) > 0:
			items[len(items)-1].text += " " + strings.TrimSpace(rest)
		default:
			return nil, false
		}
	}
	return items, true
}

func tagged(items []item) string {
	var b strings.Builder
	widest := 0
	for _, i := range items {
		widest = max(widest, utf8.RuneCountInString(i.term))
	}
	fmt.Fprintf(&b, ".Bl -tag -offset indent -width %dn -compact\n", widest)
	for _, i := range items {
		b.WriteString(".It Li " + Word(i.term) + "\n" + Prose(i.text))
	}
	b.WriteString(".El\n")
	return b.String()
}

func outdented(block []string) string {
	indent := len(block[0]) - len(strings.TrimLeft(block[0], " "))
	var b strings.Builder
	for _, l := range block {
		b.WriteString(strings.TrimPrefix(l, strings.Repeat(" ", indent)) + "\n")
	}
	return b.String()
}
