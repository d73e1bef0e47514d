package world

import (
	"errors"
	"testing"
)

// TestEnrolScreens enrols in terminals of many kinds. What a phone reads must be the key that makes the
// codes.
func TestEnrolScreens(t *testing.T) {
	inWorld(t)
	for name, c := range map[string]struct {
		command string
		user    string
		themes  []Theme
	}{
		"half blocks":          {"totpctl enrol", "erna", []Theme{Dark, Light}},
		"ascii":                {"totpctl enrol --qr ascii", "egon", []Theme{Dark, Light}},
		"locale without UTF-8": {"LC_ALL=C totpctl enroll", "elke", []Theme{Dark, Light}},
		"no colours":           {"NO_COLOR=1 totpctl enrol", "emil", []Theme{Dark}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlainPerson(t, c.user)
			s := shell(t, c.user)
			s.enter(c.command)
			s.answer(`Password of .*: ?$`, p.Password)
			s.see(`Code shown by the app: ?$`)
			var uri string
			for _, theme := range c.themes {
				got := must(s.ReadQR(theme, "/tmp/photo-"+c.user+".png"))(t)
				if uri != "" && got != uri {
					t.Fatal("the themes show different codes")
				}
				uri = got
			}
			p.phone = must(NewPhone(uri))(t)
			s.answer(`Code shown by the app: ?$`, p.code(t))
			s.see(`^Done`)
			l := ssh(t, sshd, c.user)
			l.answer(passwordPrompt, p.Password)
			l.answer(codePrompt, p.code(t))
			l.see(`^welcome, ` + c.user + `$`)
		})
	}
}

// TestEnrolWrongPassword asks the PAM service that make install brings.
func TestEnrolWrongPassword(t *testing.T) {
	newPlainPerson(t, "ewald")
	s := shell(t, "ewald")
	s.enter("totpctl enrol")
	s.answer(`Password of .*: ?$`, "not the one")
	s.see(`That is not the password of ewald`)
	s.never(`otpauth`)
}

// TestNoQR makes sure that the reader of these tests can fail.
func TestNoQR(t *testing.T) {
	inWorld(t)
	s := shell(t, "root")
	if uri, err := s.ReadQR(Dark, "/tmp/photo-none.png"); !errors.Is(err, ErrNoQR) {
		t.Fatalf("read %q, %v on a screen without a code", uri, err)
	}
}
