package world

import (
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// Theme is the colours of a terminal where a program sets none.
type Theme struct{ Text, Background uint8 } // brightness

// The themes that a person's terminal may have.
var (
	Dark  = Theme{Text: 229, Background: 16}
	Light = Theme{Text: 16, Background: 255}
)

// A character cell, in dots. Twice as high as wide, so that half a block is square.
const cellWidth, cellHeight = 6, 12

// ErrNoQR says that the reader saw no QR code.
var ErrNoQR = errors.New("the reader sees no QR code on the screen")

// ReadQR photographs the terminal's screen, as it looks under a theme, and returns what zbarimg reads
// in it. Like many a phone's, this reader takes a dark code on a light ground only. The photo stays
// in file.
func (t *Terminal) ReadQR(theme Theme, file string) (string, error) {
	text, err := t.server.tmux("capture-pane", "-p", "-e", "-N", "-t", t.pane())
	if err != nil {
		return "", err
	}
	if err := writePNG(file, Draw(text, theme)); err != nil {
		return "", err
	}
	return scan(file)
}

func writePNG(file string, img image.Image) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	if err := png.Encode(f, img); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}

// scan reads the QR code in a picture.
func scan(file string) (string, error) {
	cmd := exec.Command("zbarimg", "--quiet", "--raw", "--nodbus", "-Sdisable", "-Sqrcode.enable", file)
	out, err := cmd.Output()
	var ended *exec.ExitError
	if errors.As(err, &ended) && ended.ExitCode() == 4 {
		return "", ErrNoQR
	}
	if err != nil {
		return "", fmt.Errorf("zbarimg: %w", err)
	}
	return strings.TrimRight(string(out), "\n"), nil
}

// Draw draws what a terminal shows: text with its colours as escape sequences (ECMA-48 §8.3.117, SGR).
func Draw(text string, theme Theme) image.Image {
	img := image.NewGray(image.Rect(0, 0, columns*cellWidth, rows*cellHeight))
	for i := range img.Pix {
		img.Pix[i] = theme.Background
	}
	p := plain(theme)
	for row, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		col := 0
		for line != "" {
			if rest, sgr, ok := cutSGR(line); ok {
				p.apply(sgr, theme)
				line = rest
				continue
			}
			r := []rune(line[:min(len(line), 4)])[0]
			line = line[len(string(r)):]
			drawCell(img, col, row, r, p)
			col++
		}
	}
	return img
}

// cutSGR takes an escape sequence off the front of a line.
func cutSGR(line string) (rest, parameters string, ok bool) {
	if !strings.HasPrefix(line, "\x1b[") {
		return "", "", false
	}
	end := strings.IndexByte(line, 'm')
	if end < 0 {
		return "", "", false
	}
	return line[end+1:], line[2:end], true
}

// pen is the brightness that text is drawn with.
type pen struct {
	text, background uint8
	reverse          bool
}

func plain(t Theme) pen { return pen{text: t.Text, background: t.Background} }

// apply changes the pen as a sequence says.
func (p *pen) apply(parameters string, theme Theme) {
	numbers := strings.FieldsFunc(parameters, func(r rune) bool { return r == ';' || r == ':' })
	if len(numbers) == 0 {
		numbers = []string{"0"}
	}
	for i := 0; i < len(numbers); i++ {
		n, _ := strconv.Atoi(numbers[i])
		switch {
		case n == 0:
			*p = plain(theme)
		case n == 7:
			p.reverse = true
		case n == 27:
			p.reverse = false
		case n == 39:
			p.text = theme.Text
		case n == 49:
			p.background = theme.Background
		case n == 38 || n == 48:
			bright, used := extended(numbers[i+1:])
			if n == 38 {
				p.text = bright
			} else {
				p.background = bright
			}
			i += used
		case n >= 30 && n <= 37 || n >= 90 && n <= 97:
			p.text = palette(n%10 + 8*(n/90))
		case n >= 40 && n <= 47 || n >= 100 && n <= 107:
			p.background = palette(n%10 + 8*(n/100))
		}
	}
}

// extended reads the rest of an indexed (5;N) or direct (2;R;G;B) colour.
func extended(rest []string) (bright uint8, used int) {
	number := func(i int) int {
		if i >= len(rest) {
			return 0
		}
		n, _ := strconv.Atoi(rest[i])
		return n
	}
	if number(0) == 2 {
		c := color.RGBA{uint8(number(1)), uint8(number(2)), uint8(number(3)), 255}
		return color.GrayModel.Convert(c).(color.Gray).Y, 4
	}
	return palette(number(1)), 2
}

// palette is the brightness of xterm's colours.
func palette(n int) uint8 {
	base := [16]uint8{0, 68, 130, 190, 30, 90, 150, 229, 127, 76, 150, 226, 105, 105, 179, 255}
	level := [6]int{0, 95, 135, 175, 215, 255}
	switch {
	case n < 16:
		return base[n]
	case n < 232:
		n -= 16
		return uint8((299*level[n/36] + 587*level[n/6%6] + 114*level[n%6]) / 1000)
	default:
		return uint8(8 + 10*(n-232))
	}
}

// drawCell draws a character: blocks exactly, anything else as most of its cell, as letters look from
// afar.
func drawCell(img *image.Gray, col, row int, r rune, p pen) {
	fg, bg := p.text, p.background
	if p.reverse {
		fg, bg = bg, fg
	}
	for y := range cellHeight {
		for x := range cellWidth {
			inked := false
			switch r {
			case ' ', '\u00a0':
			case '█':
				inked = true
			case '▀':
				inked = y < cellHeight/2
			case '▄':
				inked = y >= cellHeight/2
			case '▌':
				inked = x < cellWidth/2
			case '▐':
				inked = x >= cellWidth/2
			default:
				inked = x > 0 && y > 0 && y < cellHeight-1
			}
			c := bg
			if inked {
				c = fg
			}
			if at := image.Pt(col*cellWidth+x, row*cellHeight+y); at.In(img.Rect) {
				img.SetGray(at.X, at.Y, color.Gray{Y: c})
			}
		}
	}
}
