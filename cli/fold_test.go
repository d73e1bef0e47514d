package main

import "testing"

func TestFold(t *testing.T) {
	for _, c := range []struct {
		text    string
		columns int
		want    string
	}{
		{"as long as it likes", 0, "as long as it likes"},
		{"it just fits", 12, "it just fits"},
		{"it just fits not", 12, "it just fits\nnot"},
		{"\n  - one of many\nshort\n", 10, "\n  - one of\n    many\nshort\n"},
		{"  ok  it is refused (sshd)", 18, "  ok  it is\n      refused\n      (sshd)"},
		{"averyverylongword and", 5, "averyverylongword\nand"},
		{"größer als öd", 10, "größer als\nöd"},
		{"hint: totpctl bypass alice --list", 10, "hint: totpctl bypass alice --list"},
	} {
		if got := fold(c.text, c.columns); got != c.want {
			t.Errorf("fold(%q, %d): %q, want %q", c.text, c.columns, got, c.want)
		}
	}
}
