package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/totpd/totpd/daemon/control/qr"
)

// links are of the lengths that occur: a short host, an ordinary one, and one at the end of what fits.
var links = []string{
	"otpauth://totp/h:u?secret=" + strings.Repeat("JBSWY3DP", 4),
	"otpauth://totp/host.example.org:alice?issuer=host.example.org&secret=" + strings.Repeat("JBSWY3DP", 4),
	"otpauth://totp/a-rather-long-name-of-a-host.department.example.org:firstname.lastname%40example.org" +
		"?algorithm=SHA256&digits=8&issuer=a-rather-long-name-of-a-host.department.example.org&period=60&secret=" + strings.Repeat("JBSWY3DP", 8),
}

// theme is what a terminal shows where nobody chose colours: the light of the text and of the page.
type theme struct {
	name       string
	text, page byte
}

var dark, light = theme{"dark", 255, 0}, theme{"light", 0, 255}

func mustQR(t *testing.T, link string) qr.Code {
	t.Helper()
	code, err := qr.New(link)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// A code drawn with its colours is read back from the screen whatever the terminal's own colours are;
// one without colours, where the text is lighter than the page.
func TestACodeOnTheScreenIsRead(t *testing.T) {
	for i, link := range links {
		for _, as := range []style{qrUTF8, qrASCII} {
			for _, c := range []struct {
				on      theme
				colours bool
			}{{dark, true}, {light, true}, {dark, false}} {
				for _, quiet := range []int{qr.Quiet, qr.QuietMin} {
					t.Run(fmt.Sprintf("link %d %s colours=%v on %s quiet=%d", i, as, c.colours, c.on.name, quiet), func(t *testing.T) {
						shown := drawn(mustQR(t, link), as, quiet, c.colours)
						if as == qrASCII && !isASCII(shown) {
							t.Error("not ASCII")
						}
						picture := filepath.Join(t.TempDir(), "screen.pgm")
						if err := os.WriteFile(picture, rendered(shown, as, c.on), 0o600); err != nil {
							t.Fatal(err)
						}
						if got := read(t, picture); got != link {
							t.Errorf("read %q, want %q", got, link)
						}
					})
				}
			}
		}
	}
}

// The lines look like qrterminal's, with the colours around each: a program that reads plain text from
// the screen finds the code as others draw it.
func TestLinesAreOfOneWidthAndEndWithoutColours(t *testing.T) {
	for _, as := range []style{qrUTF8, qrASCII} {
		plain := drawn(mustQR(t, links[0]), as, qr.Quiet, false)
		width := 0
		for line := range strings.Lines(plain) {
			n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n"))
			if width == 0 {
				width = n
			}
			if n != width {
				t.Fatalf("%s: a line of %d columns among those of %d", as, n, width)
			}
		}
		coloured := drawn(mustQR(t, links[0]), as, qr.Quiet, true)
		for line := range strings.Lines(coloured) {
			if !strings.HasPrefix(line, "\x1b[37;4") || !strings.HasSuffix(line, noColours+"\n") {
				t.Fatalf("%s: line %q", as, line)
			}
		}
		if sgr.ReplaceAllString(coloured, "") != plain {
			t.Errorf("%s: colours change the text", as)
		}
	}
}

// Whatever the size of the terminal: the code fits with a line to spare, or there is none.
func TestACodeIsNeverBroken(t *testing.T) {
	for _, link := range links {
		for _, as := range []style{qrUTF8, qrASCII} {
			for columns := 1; columns < 180; columns += 7 {
				for rows := 1; rows < 90; rows += 5 {
					text, err := draw(link, as, screen{columns: columns, rows: rows})
					if err != nil {
						if text != "" {
							t.Fatal("an error and a code")
						}
						continue
					}
					lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
					if len(lines) >= rows || utf8.RuneCountInString(lines[0]) > columns {
						t.Fatalf("%s: %d lines of %d columns on a terminal of %d columns, %d rows",
							as, len(lines), utf8.RuneCountInString(lines[0]), columns, rows)
					}
				}
			}
		}
	}
	if _, err := draw(links[1], qrUTF8, screen{columns: 80, rows: 24}); err != nil {
		t.Errorf("an ordinary code on an ordinary terminal: %v", err)
	}
	_, err := draw(links[0], qrUTF8, screen{columns: 20, rows: 10})
	if want := "the QR code needs 37 columns and 20 rows, this terminal has 20 and 10"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestThePictureIsReadAndIsItsOwnersAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "code.png")
	f, err := createFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := writePNG(f, links[1]); err != nil {
		t.Fatal(err)
	}
	if err := f.keep(); err != nil {
		t.Fatal(err)
	}
	f.doneWith(nil)
	if got := read(t, path); got != links[1] {
		t.Errorf("read %q", got)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if _, err := createFile(path); !os.IsExist(err) {
		t.Errorf("over a file that exists: %v", err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(filepath.Join(t.TempDir(), "elsewhere"), link); err != nil {
		t.Fatal(err)
	}
	if _, err := createFile(link); !os.IsExist(err) {
		t.Errorf("through a link: %v", err)
	}
}

func TestALinkTooLongIsAnErrorWithoutIt(t *testing.T) {
	long := strings.Repeat("secret", 1000)
	if _, err := qr.New(long); err == nil {
		t.Fatal("the test's link is too short")
	}
	if _, err := draw(long, qrUTF8, screen{}); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("error %v", err)
	}
}

func TestTheStyleFollowsTheLocale(t *testing.T) {
	for _, c := range []struct {
		all, ctype, lang string
		want             style
	}{
		{"", "", "", qrASCII},
		{"", "", "C", qrASCII},
		{"", "", "de_DE.UTF-8", qrUTF8},
		{"", "", "C.utf8", qrUTF8},
		{"", "de_DE.ISO-8859-1", "C.UTF-8", qrASCII},
		{"C", "C.UTF-8", "C.UTF-8", qrASCII},
		{"C.UTF-8", "C", "C", qrUTF8},
	} {
		env := map[string]string{"LC_ALL": c.all, "LC_CTYPE": c.ctype, "LANG": c.lang}
		if got := styleOf(func(name string) string { return env[name] }); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
}

var sgr = regexp.MustCompile("\x1b\\[[0-9;]*m")

// rendered is what a terminal shows as a picture (PGM), on a page of the theme's own colour all around. A
// # is taken to fill its cell, a half block fills half.
func rendered(shown string, as style, on theme) []byte {
	const module = 4 // pixels
	wide, high := module, 2*module
	if as == qrASCII {
		wide, high = module/2, module
	}
	var rows [][]byte
	for line := range strings.Lines(shown) {
		cells := make([][]byte, high)
		text, page := on.text, on.page
		for rest := strings.TrimSuffix(line, "\n"); rest != ""; {
			if code := sgr.FindString(rest); code != "" && strings.HasPrefix(rest, code) {
				rest = rest[len(code):]
				switch code {
				case whiteOnBlack:
					text, page = 255, 0
				case whiteOnWhite:
					text, page = 255, 255
				case noColours:
					text, page = on.text, on.page
				default:
					panic("unknown sequence " + code)
				}
				continue
			}
			r, n := utf8.DecodeRuneInString(rest)
			rest = rest[n:]
			for y := range cells {
				pixel := page
				switch {
				case r == '█', r == '#', r == '▀' && y < high/2, r == '▄' && y >= high/2:
					pixel = text
				case r != ' ' && r != '▀' && r != '▄':
					panic("unknown character " + string(r))
				}
				cells[y] = append(cells[y], bytes.Repeat([]byte{pixel}, wide)...)
			}
		}
		rows = append(rows, cells...)
	}
	const margin = 6 * module
	width := len(rows[0]) + 2*margin
	blank := bytes.Repeat([]byte{on.page}, width)
	picture := fmt.Appendf(nil, "P5 %d %d 255\n", width, len(rows)+2*margin)
	picture = append(picture, bytes.Repeat(blank, margin)...)
	for _, row := range rows {
		picture = append(picture, blank[:margin]...)
		picture = append(picture, row...)
		picture = append(picture, blank[:margin]...)
	}
	return append(picture, bytes.Repeat(blank, margin)...)
}

// read has a real reader of QR codes look at a picture.
func read(t *testing.T, path string) string {
	t.Helper()
	zbarimg, err := exec.LookPath("zbarimg")
	if err != nil {
		t.Skip("needs zbarimg (Debian's zbar-tools)")
	}
	out, err := exec.Command(zbarimg, "--quiet", "--raw", "-Sdisable", "-Sqrcode.enable", path).Output()
	if err != nil {
		t.Errorf("zbarimg: %v", err)
	}
	return strings.TrimSuffix(string(out), "\n")
}
