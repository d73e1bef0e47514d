package recovery

import (
	"crypto/rand"
	"strings"
	"testing"
)

func fill(b []byte) { rand.Read(b) }

func TestNormal(t *testing.T) {
	for _, c := range []struct {
		typed, code string
		kind        Kind
	}{
		{"123456", "123456", Digits},
		{" 123 456\t", "123456", Digits},
		{"1234-5678", "12345678", Digits},
		{"7K3M-Q2ND-ZX09", "7K3MQ2NDZX09", Recovery},
		{"7k3m q2nd zx09", "7K3MQ2NDZX09", Recovery},
		{"7k3mq2ndzxo9", "7K3MQ2NDZX09", Recovery},
		{"OoIi-Ll00-1111", "001111001111", Recovery},
		{"1234 5678 9012", "123456789012", Recovery},
		{"7K3MQ-2NDZX", "7K3MQ2NDZX", Bypass},
		{"12345 67890", "1234567890", Bypass},
		{"7K3M\u2013Q2ND\u2011ZX09\u00a0", "7K3MQ2NDZX09", Recovery}, // as an editor makes them

		{"", "", None},
		{"- -", "", None},
		{"12345", "", None},
		{"1234567", "", None},
		{"O23456", "", None}, // a device shows digits
		{"7K3MQ2NDZX0", "", None},
		{"7K3M-Q2ND-ZX0U", "", None}, // U is no letter of a code
		{"7K3M-Q2ND-ZX0_", "", None},
		{"١٢٣٤٥٦", "", None},
		{"7K3M\xa0Q2ND\xa0ZX09", "", None},
		{"7K3M-Q2ND-ZX0\ufffd", "", None},
		{"7K3M-Q2ND-ZX09\n", "", None},
		{strings.Repeat(" ", 59) + "123456", "", None},
	} {
		if code, kind := Normal(c.typed); code != c.code || kind != c.kind {
			t.Errorf("%q is %q of kind %d, want %q of kind %d", c.typed, code, kind, c.code, c.kind)
		}
	}
}

func TestNew(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		codes := New(fill)
		if len(codes) != 10 {
			t.Fatalf("%d codes, want 10", len(codes))
		}
		for _, code := range codes {
			shown := Shown(code)
			if len(shown) != 14 || shown[4] != '-' || shown[9] != '-' {
				t.Errorf("shown as %q", shown)
			}
			if read, kind := Normal(strings.ToLower(shown)); read != code || kind != Recovery {
				t.Errorf("%q is read as %q of kind %d", shown, read, kind)
			}
			if seen[code] {
				t.Error("a code twice")
			}
			seen[code] = true
		}
		bypass := NewBypass(fill)
		if read, kind := Normal(Shown(bypass)); read != bypass || kind != Bypass || len(Shown(bypass)) != 11 {
			t.Errorf("%q is read as %q of kind %d", Shown(bypass), read, kind)
		}
	}
	if len(letters) != 32 {
		t.Errorf("%d letters: a code has less than 5 bits for each", len(letters))
	}
}

// A source that repeats itself once doesn't make a code that stands there twice.
func TestNewHasNoCodeTwice(t *testing.T) {
	n := byte(0)
	known := map[string]bool{}
	for _, code := range New(func(b []byte) { clear(b); b[0] = n / 2; n++ }) {
		if known[code] {
			t.Error("a code twice:", code)
		}
		known[code] = true
	}
}

func FuzzNormal(f *testing.F) {
	for _, seed := range []string{"", "123456", "1234 5678", "7K3M-Q2ND-ZX09", "7k3mq 2ndzx", "O\x00", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		code, kind := Normal(typed)
		if (kind == None) != (code == "") {
			t.Fatalf("%q is %q of kind %d", typed, code, kind)
		}
		if kind == None {
			return
		}
		if again, k := Normal(code); again != code || k != kind {
			t.Errorf("%q is %q of kind %d, which is %q of kind %d", typed, code, kind, again, k)
		}
		if again, k := Normal(Shown(code)); again != code || k != kind {
			t.Errorf("%q is shown as %q, which is %q of kind %d", code, Shown(code), again, k)
		}
	})
}
