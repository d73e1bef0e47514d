// Package qr draws QR codes with characters. It sets no colours: who draws says on which ground the lines
// stand.
//
// Always true: no error and no printed Code quotes the text, which may be a secret.
package qr

import (
	"errors"
	"strings"

	"github.com/mdp/qrterminal/v3"
	"rsc.io/qr"
)

// Ground is what a screen shows where nothing is drawn.
type Ground int

// The grounds. On a dark one the light modules are drawn, on a light one the dark modules. On the other
// ground each is a code with its colours the wrong way round, which not every phone reads.
const (
	Dark Ground = iota
	Light
)

// The light rim of a code, in modules: 4 by the standard, and what phones read well where that doesn't fit.
const (
	Quiet    = 4
	QuietMin = 2
)

// Code is one QR code.
type Code struct {
	text string
	code *qr.Code
}

// New returns the code of a text.
func New(text string) (Code, error) {
	code, err := qr.Encode(text, qr.L)
	if err != nil {
		return Code{}, errors.New("the link is too long for a QR code")
	}
	return Code{text, code}, nil
}

// String and GoString redact.
func (Code) String() string   { return "[redacted QR code]" }
func (Code) GoString() string { return "[redacted QR code]" }

// PNG is the code as a picture.
func (c Code) PNG() []byte { return c.code.PNG() }

// Columns is how many columns Draw takes with a rim of quiet modules.
func (c Code) Columns(quiet int) int { return c.code.Size + 2*quiet }

// Rows is how many lines it takes.
func (c Code) Rows(quiet int) int { return (c.Columns(quiet) + 1) / 2 }

// ASCII draws the code on a dark ground with two characters a module, ## where it is light.
func (c Code) ASCII(quiet int) string {
	var b strings.Builder
	qrterminal.GenerateWithConfig(c.text, qrterminal.Config{
		Level: qr.L, Writer: &b, QuietZone: quiet, WhiteChar: "##", BlackChar: "  ",
	})
	return b.String()
}

// Draw draws it with half blocks, two modules one above the other a character. Each line has its end.
func (c Code) Draw(on Ground, quiet int) string {
	var b strings.Builder
	config := qrterminal.Config{Level: qr.L, Writer: &b, QuietZone: quiet, HalfBlocks: true}
	if on == Light {
		config.WhiteChar, config.BlackChar = qrterminal.BLACK_BLACK, qrterminal.WHITE_WHITE
		config.WhiteBlackChar, config.BlackWhiteChar = qrterminal.BLACK_WHITE, qrterminal.WHITE_BLACK
	}
	qrterminal.GenerateWithConfig(c.text, config)
	return b.String()
}
