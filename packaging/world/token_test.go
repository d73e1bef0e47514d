package world

import "testing"

// A hardware token that counts its codes: those of RFC 4226, appendix D. One that was pressed in vain does no
// harm, and each code lets in once.
func TestToken(t *testing.T) {
	p := newPlainPerson(t, "toni")
	link := "otpauth://hotp/e2e:toni?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&counter=0\n"
	if out, err := runWithInput(link, Totpctl, "enrol", "toni", "--uri", "-"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, codes := range [][]string{
		{"755224"},           // the first
		{"755224", "287082"}, // it again, and the next
		{"254676"},           // three were shown to nobody
		{"338314", "287922"}, // one of those, and the next
	} {
		s := ssh(t, sshd, "toni")
		s.answer(passwordPrompt, p.Password)
		for _, code := range codes {
			s.answer(codePrompt, code)
		}
		s.see(`^welcome, toni$`)
		s.ends(0)
	}
}
