package qr

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

const link = "otpauth://totp/host.example.org:alice?issuer=host.example.org&secret=JBSWY3DPJBSWY3DPJBSWY3DPJBSWY3DP"

// What is drawn on one ground is the negative of what is drawn on the other, and as large as is told.
func TestGrounds(t *testing.T) {
	c, err := New(link)
	if err != nil {
		t.Fatal(err)
	}
	negative := strings.NewReplacer("█", " ", " ", "█", "▀", "▄", "▄", "▀")
	for _, quiet := range []int{QuietMin, 3, Quiet} {
		dark, light := c.Draw(Dark, quiet), c.Draw(Light, quiet)
		if negative.Replace(dark) != light {
			t.Errorf("a rim of %d: dark and light are two codes", quiet)
		}
		lines := strings.Split(strings.TrimSuffix(dark, "\n"), "\n")
		if len(lines) != c.Rows(quiet) {
			t.Errorf("a rim of %d: %d lines, want %d", quiet, len(lines), c.Rows(quiet))
		}
		for _, line := range lines {
			if n := utf8.RuneCountInString(line); n != c.Columns(quiet) {
				t.Errorf("a rim of %d: a line of %d columns, want %d", quiet, n, c.Columns(quiet))
			}
		}
	}
}

func TestNothingQuotesTheText(t *testing.T) {
	long := strings.Repeat("secret", 1000)
	if _, err := New(long); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("error %v", err)
	}
	c, _ := New(link)
	if all := fmt.Sprintf("%v %+v %#v %s", c, c, c, c); strings.Contains(all, "JBSW") {
		t.Error(all)
	}
}
