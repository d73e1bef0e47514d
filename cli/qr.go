package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/totpd/totpd/daemon/control/qr"
)

// style is how a QR code is drawn.
type style string

// The styles. Light modules are the drawn ones, so that text white on black is a proper code.
const (
	qrUTF8  style = "utf8"  // half blocks, two modules a character
	qrASCII style = "ascii" // ## or two spaces a module
	qrNone  style = "none"
)

// styleOf is the best style for a locale.
func styleOf(env func(string) string) style {
	locale := strings.ToLower(cmp.Or(env("LC_ALL"), env("LC_CTYPE"), env("LANG")))
	if strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8") {
		return qrUTF8
	}
	return qrASCII
}

// screen is what a code must fit into.
type screen struct {
	columns, rows int // 0: without end
	colours       bool
}

// draw returns the code of text as lines for a screen, one line of which is left for a prompt. When
// the code doesn't fit it returns an error that says how large it is.
func draw(text string, as style, on screen) (string, error) {
	code, err := qr.New(text)
	if err != nil {
		return "", err
	}
	for quiet := qr.Quiet; ; quiet-- {
		columns, rows := code.Columns(quiet), code.Rows(quiet)
		if as == qrASCII {
			columns, rows = 2*columns, columns
		}
		if (on.columns == 0 || columns <= on.columns) && (on.rows == 0 || rows < on.rows) {
			return drawn(code, as, quiet, on.colours), nil
		}
		if quiet == qr.QuietMin {
			return "", fmt.Errorf("the QR code needs %d columns and %d rows, this terminal has %d and %d",
				columns, rows+1, on.columns, on.rows)
		}
	}
}

func drawn(code qr.Code, as style, quiet int, colours bool) string {
	if as == qrUTF8 {
		lines := code.Draw(qr.Dark, quiet)
		if colours {
			lines = paint(lines, whiteOnBlack)
		}
		return lines
	}
	lines := code.ASCII(quiet)
	if !colours {
		return lines
	}
	// A # leaves most of its cell dark: the cell itself has to be white.
	cells := strings.NewReplacer(" #", " "+whiteOnWhite+"#", "# ", "#"+whiteOnBlack+" ")
	return paint(cells.Replace(lines), whiteOnWhite) // the rim begins each line
}

// The colours that every terminal knows.
const (
	whiteOnBlack = "\x1b[37;40m"
	whiteOnWhite = "\x1b[37;47m"
	noColours    = "\x1b[0m"
)

// paint begins each line with a colour and ends it without, so that the rest of the row keeps the
// terminal's own.
func paint(lines, colour string) string {
	var b strings.Builder
	for line := range strings.Lines(lines) {
		b.WriteString(colour + strings.TrimSuffix(line, "\n") + noColours + "\n")
	}
	return b.String()
}

// writePNG writes the code of text, as a picture.
func writePNG(to io.Writer, text string) error {
	code, err := qr.New(text)
	if err == nil {
		_, err = to.Write(code.PNG())
	}
	return err
}
