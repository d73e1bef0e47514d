package world

import (
	"encoding/json"
	"strings"
	"testing"
)

// asRoot runs totpctl with --json and reads the answer.
func asRoot[Answer any](t *testing.T, args ...string) (answer Answer) {
	t.Helper()
	out, err := run(Totpctl, append(args, "--json")...)
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := json.Unmarshal([]byte(out), &answer); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return answer
}

// A lost phone: a recovery code, typed as it comes, lets in once.
func TestRecoveryCode(t *testing.T) {
	p := newPerson(t, "rena")
	codes := asRoot[struct {
		Codes []string `json:"recovery_codes"`
	}](t, "recovery-codes", "new", "rena").Codes
	s := ssh(t, sshd, "rena")
	s.answer(passwordPrompt, p.Password)
	s.answer(codePrompt, strings.ReplaceAll(strings.ToLower(codes[0]), "-", " "))
	s.see(`^welcome, rena$`)
	s.ends(0)

	s = ssh(t, sshd, "rena")
	s.answer(passwordPrompt, p.Password)
	s.answer(codePrompt, codes[0])
	s.answer(codePrompt, codes[1])
	s.see(`^welcome, rena$`)
	if left := asRoot[struct {
		Left int `json:"recovery_left"`
	}](t, "recovery-codes", "rena").Left; left != 8 {
		t.Errorf("%d codes left, want 8", left)
	}
}

// Whoever must have a second factor and has none gets in with the code that the helpdesk reads out, as often
// as it was made for.
func TestBypassCode(t *testing.T) {
	p := newPlainPerson(t, "ruth")
	code := asRoot[struct {
		Code string `json:"code"`
	}](t, "bypass", "ruth", "--for", "1h").Code
	s := ssh(t, sshd, "ruth")
	s.answer(passwordPrompt, p.Password)
	s.answer(codePrompt, strings.ToLower(code))
	s.see(`^welcome, ruth$`)
	s.ends(0)

	s = ssh(t, sshd, "ruth")
	s.answer(passwordPrompt, p.Password)
	s.never(codePrompt)

	second := asRoot[struct {
		Code string `json:"code"`
	}](t, "bypass", "ruth", "--for", "1h", "--uses", "2").Code
	if out, err := run(Totpctl, "bypass", "ruth", "--revoke", "all"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s = ssh(t, sshd, "ruth")
	s.answer(passwordPrompt, p.Password)
	s.never(codePrompt)
	if second == code {
		t.Error("the same code twice")
	}
}
