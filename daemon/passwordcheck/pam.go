package main

import (
	"errors"
	"unsafe"

	"github.com/msteinert/pam/v2"

	"github.com/totpd/totpd/daemon/internal/password"
)

// service is the PAM service whose stack decides.
const service = "totpd"

// errSecond refuses every question of PAM's but the first for a password.
var errSecond = errors.New("the PAM service totpd asks for more than a password")

// check asks PAM for the password and for the account: with the right password, an expired or locked account
// is Barred. Wrong and Barred are what PAM says of a person; Broken is what it says of itself.
func check(pamDir string, q password.Question) password.Answer {
	person := &person{password: q.Password}
	t, err := start(pamDir, q.User, person)
	if err != nil {
		return password.Answer{Verdict: password.Broken, Reason: "start PAM: " + err.Error()}
	}
	defer t.End()
	if err := dontDelay(t); err != nil {
		return password.Answer{Verdict: password.Broken, Reason: "start PAM: " + err.Error()}
	}
	if err := t.Authenticate(pam.Silent | pam.DisallowNullAuthtok); err != nil {
		if person.surprised {
			return password.Answer{Verdict: password.Broken, Reason: errSecond.Error()}
		}
		return password.Answer{Verdict: judge(err, password.Wrong), Reason: "authentication: " + err.Error()}
	}
	if !person.asked {
		return password.Answer{Verdict: password.Broken, Reason: "the PAM service totpd accepts without asking for the password"}
	}
	barred := t.AcctMgmt(pam.Silent | pam.DisallowNullAuthtok)
	if user, err := t.GetItem(pam.User); err != nil || user != q.User {
		return password.Answer{Verdict: password.Broken, Reason: "the PAM service totpd speaks of another user"}
	}
	if barred != nil {
		return password.Answer{Verdict: judge(barred, password.Barred), Reason: "account: " + barred.Error()}
	}
	return password.Answer{Verdict: password.Right}
}

func start(pamDir, user string, p *person) (*pam.Transaction, error) {
	if pamDir != "" {
		return pam.StartConfDir(service, user, p, pamDir)
	}
	return pam.Start(service, user, p)
}

// person answers the first hidden question with the password and refuses any other.
type person struct {
	password         []byte
	asked, surprised bool
}

// RespondPAM implements pam.ConversationHandler.
func (p *person) RespondPAM(style pam.Style, _ string) (string, error) {
	switch {
	case style == pam.TextInfo || style == pam.ErrorMsg:
		return "", nil
	case style == pam.PromptEchoOff && !p.asked:
		p.asked = true
		// No copy of Go's: the buffer behind it is cleared afterwards.
		return unsafe.String(unsafe.SliceData(p.password), len(p.password)), nil
	}
	p.surprised = true
	return "", errSecond
}

// judge tells what PAM says of the person, which is no, from what it says of itself.
func judge(err error, no password.Verdict) password.Verdict {
	for _, status := range []pam.Error{
		pam.ErrAuth, pam.ErrUserUnknown, pam.ErrMaxtries, pam.ErrPermDenied, pam.ErrAcctExpired,
		pam.ErrNewAuthtokReqd, pam.ErrAuthtokExpired, pam.ErrCredExpired,
	} {
		if errors.Is(err, status) {
			return no
		}
	}
	return password.Broken
}
