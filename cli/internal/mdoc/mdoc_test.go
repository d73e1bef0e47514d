package mdoc

import "testing"

func TestText(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"sentences begin lines", "One. Two (three). Four,\nfive ... six? \"Seven.\" 8.", "One.\nTwo (three).\nFour, five ... six?\n\"Seven.\"\n8.\n"},
		{"long sentences are broken", "A sentence that goes on and on until it is longer than a line may be, which takes so many words.",
			"A sentence that goes on and on until it is longer than a line may be, which\ntakes so many words.\n"},
		{"paragraphs", "One\nand more\n\nTwo", "One and more\n.Pp\nTwo\n"},
		{"nothing is taken for roff", ". Sh X\n\n'br \\fB -x ~ ^ `a`", "\\&. Sh X\n.Pp\n\\&'br \\efB \\-x \\(ti \\(ha \\(gaa\\(ga\n"},
		{"a list", "Shells:\n  bash  ~/x\n  a b   the second,\n        with more. And more\nThen", "Shells:\n.Pp\n.Bl -tag -offset indent -width 4n -compact\n" +
			".It Li \"bash\"\n\\%\\(ti/x\n.It Li \"a b\"\nthe second, with more.\nAnd more\n.El\n.Pp\nThen\n"},
		{"something to type", "Type\n  totpctl 'x' -y\n    .more", "Type\n.Bd -literal -offset indent\ntotpctl \\(aqx\\(aq \\-y\n  .more\n.Ed\n"},
		{"names stay whole", "totpctl asks org.totpd.x, which", "\\%totpctl asks \\%org.totpd.x, which\n"},
		{"nothing", "", ""},
	} {
		if got := Text(c.text); got != c.want {
			t.Errorf("%s:\ngot  %q\nwant %q", c.name, got, c.want)
		}
	}
	if got := Word(`a "b" -c`); got != `"a \(dqb\(dq \-c"` {
		t.Errorf("a word: %s", got)
	}
	if got := Literal(".x\n"); got != ".Bd -literal -offset indent\n\\&.x\n.Ed\n" {
		t.Errorf("literal: %q", got)
	}
}
