// Package recovery is the codes that stand in for a device: ten recovery codes that a person keeps, and
// the bypass code that a helpdesk reads out. It makes them, spells them, and says which kind of code a
// person has typed. It keeps none and compares none: that is done with keyed hashes of what Normal returns.
//
// Always true: a text is of one kind at the most, so that what a person types is looked for in one place;
// what Shown spells, Normal reads back, in any case, with any spaces and hyphens, and with the letters that
// look like a digit.
package recovery

import (
	"strings"
	"unicode"
)

// Kind is what a typed text can be, by its shape. The zero value is nothing that is accepted anywhere.
type Kind int

// The kinds.
const (
	None     Kind = iota
	Digits        // 6 or 8 digits: a device's code, or 8 a recovery code made elsewhere
	Recovery      // 12 letters: a recovery code
	Bypass        // 10 letters: a bypass code
)

// letters are Crockford's base32: none of the ones that are left out is mistaken for another.
const letters = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// Lengths of a code in letters, 5 bits each, and how many recovery codes a person is given.
const (
	recoverySize = 12 // 60 bits
	bypassSize   = 10 // 50 bits, which last for days at the most
	Count        = 10
)

// typedMax is the longest text that is looked at, in bytes.
const typedMax = 64

// groups are the letters of a group as a code is shown.
var groups = map[int]int{recoverySize: 4, bypassSize: 5}

// New makes Count recovery codes, none of them twice, as Normal would return them. fill writes random bytes.
func New(fill func([]byte)) []string {
	codes := make([]string, 0, Count)
	known := map[string]bool{}
	for len(codes) < Count {
		if code := random(fill, recoverySize); !known[code] {
			known[code] = true
			codes = append(codes, code)
		}
	}
	return codes
}

// NewBypass makes a bypass code, as Normal would return it.
func NewBypass(fill func([]byte)) string { return random(fill, bypassSize) }

func random(fill func([]byte), size int) string {
	code := make([]byte, size)
	fill(code)
	for i, b := range code {
		code[i] = letters[int(b)%len(letters)] // 256 is a multiple of 32: no letter is favoured
	}
	return string(code)
}

// Shown spells a code for people: XXXX-XXXX-XXXX a recovery code, XXXXX-XXXXX a bypass code.
func Shown(code string) string {
	group := groups[len(code)]
	if group == 0 {
		return code
	}
	var b strings.Builder
	for i := 0; i < len(code); i += group {
		if i > 0 {
			b.WriteByte('-')
		}
		b.WriteString(code[i : i+group])
	}
	return b.String()
}

// Normal returns the code that a person typed, and what it can be. Spaces and hyphens are dropped, also those
// that a program has made of them. Of recovery and bypass codes, small letters are capital ones, O is 0, I and L are 1. A text that is no code
// is returned as nothing.
func Normal(typed string) (code string, kind Kind) {
	if len(typed) > typedMax {
		return "", None
	}
	text := make([]byte, 0, len(typed))
	digits := true
	for _, r := range typed {
		if r == '\t' || unicode.In(r, unicode.Zs, unicode.Dash) {
			continue
		}
		digits = digits && r >= '0' && r <= '9'
		b := letter(r)
		if b == 0 {
			return "", None
		}
		text = append(text, b)
	}
	switch n := len(text); {
	case digits && (n == 6 || n == 8):
		return string(text), Digits
	case n == recoverySize:
		return string(text), Recovery
	case n == bypassSize:
		return string(text), Bypass
	}
	return "", None
}

// letter returns the letter of a code that was meant, or 0.
func letter(r rune) byte {
	if r >= 'a' && r <= 'z' {
		r -= 'a' - 'A'
	}
	switch r {
	case 'O':
		return '0'
	case 'I', 'L':
		return '1'
	}
	if i := strings.IndexRune(letters, r); i >= 0 {
		return letters[i]
	}
	return 0
}
