package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/password"
)

// TestOwnSecondFactor needs root, to be uid 65534.
func TestOwnSecondFactor(t *testing.T) {
	a := serveControl(t)
	_, e := a.post(t, stranger, control.VerbEnrol, control.EnrolRequest{Password: "wrong"}, nil)
	a.expect(t, "wrong password", control.ErrWrongPassword, e)
	var enrolment control.Enrolment
	if _, e := a.post(t, stranger, control.VerbEnrol, control.EnrolRequest{Password: "right"}, &enrolment); e != nil {
		t.Fatal(e)
	}
	code := func() control.Secret {
		key, err := otp.NewKeyFromURL(string(enrolment.URI))
		if err != nil {
			t.Fatal(err)
		}
		code, err := totp.GenerateCode(key.Secret(), a.clock())
		if err != nil {
			t.Fatal(err)
		}
		return control.Secret(code)
	}
	var confirmation control.Confirmation
	if _, e := a.post(t, stranger, control.VerbConfirm, control.ConfirmRequest{Code: code()}, &confirmation); e != nil || confirmation.Outcome != control.Confirmed {
		t.Fatalf("%+v, %v", confirmation, e)
	}
	var users control.Users
	if _, e := a.post(t, 0, control.VerbUsers, control.UsersRequest{}, &users); e != nil || len(users.Users) != 1 || !users.Users[0].Enrolled || users.More {
		t.Errorf("%+v, %v", users, e)
	}
	a.pass(time.Minute)
	_, e = a.post(t, stranger, control.VerbDisable, control.DisableRequest{Password: "wrong", Code: code()}, nil)
	a.expect(t, "right code, wrong password", control.ErrWrongPassword, e)
	_, e = a.post(t, stranger, control.VerbDisable, control.DisableRequest{Password: "right", Code: "000000"}, nil)
	a.expect(t, "right password, wrong code", control.ErrWrongCode, e)
	if _, e := a.post(t, stranger, control.VerbDisable, control.DisableRequest{Password: "right", Code: code()}, nil); e != nil {
		t.Fatal(e)
	}
	for _, secret := range []string{string(enrolment.Secret), "right\"", string(code())} {
		if strings.Contains(a.log.String(), secret) {
			t.Errorf("a secret is in the journal:\n%s", a.log)
		}
	}
}

// TestPasswordsAreThrottled needs root, to be uid 65534.
func TestPasswordsAreThrottled(t *testing.T) {
	a := serveControl(t)
	enrol := func(p control.Secret) *control.Error {
		_, e := a.post(t, stranger, control.VerbEnrol, control.EnrolRequest{Password: p}, nil)
		return e
	}
	for range 3 {
		a.expect(t, "free", control.ErrWrongPassword, enrol("wrong"))
	}
	asked := a.asked
	e := enrol("right")
	a.expect(t, "wait", control.ErrWait, e)
	if e.RetryAfter != 5 || a.asked != asked {
		t.Errorf("retry after %d s, asked %d times", e.RetryAfter, a.asked-asked)
	}
	a.pass(5 * time.Second)
	a.expect(t, "after the wait", control.ErrWrongPassword, enrol("wrong"))
	a.expect(t, "right away", control.ErrWait, enrol("right"))
	a.pass(10 * time.Second)
	if e := enrol("right"); e != nil {
		t.Fatal(e)
	}
	acc, _, err := a.store.Get(t.Context(), "nobody")
	if err != nil || acc.Password != (account.Attempts{}) {
		t.Errorf("after the right one: %+v, %v", acc.Password, err)
	}
	for range 200 {
		a.pass(time.Hour)
		if e = enrol("wrong"); e.Code != control.ErrWrongPassword {
			break
		}
	}
	a.expect(t, "after 100", control.ErrLocked, e)
	a.expect(t, "locked", control.ErrLocked, enrol("right"))
	if _, e := a.post(t, 0, control.VerbDisable, control.DisableRequest{User: "nobody"}, nil); e != nil {
		t.Errorf("root can't help: %v", e)
	}
	if e := enrol("right"); e != nil {
		t.Errorf("root didn't help: %v", e)
	}
}

// TestGuessesAtOnce needs root, to be uid 65534: guesses made at the same time gain nothing.
func TestGuessesAtOnce(t *testing.T) {
	a := serveControl(t)
	a.check = func(string, string) (password.Answer, error) {
		time.Sleep(100 * time.Millisecond)
		return password.Answer{Verdict: password.Wrong}, nil
	}
	body, _ := json.Marshal(control.EnrolRequest{Password: "wrong"})
	var conns []net.Conn
	for range 12 {
		conns = append(conns, dialAs(t, stranger, a.path))
	}
	var all sync.WaitGroup
	for _, c := range conns {
		all.Go(func() {
			req, _ := http.NewRequest("POST", "http://totpd/v1/enrol", bytes.NewReader(body))
			req.Close = true
			req.Write(c)
			io.ReadAll(c)
		})
	}
	all.Wait()
	if a.asked > 3 {
		t.Errorf("%d guesses were judged", a.asked)
	}
}

// TestBrokenPasswordCheck needs root, to be uid 65534.
func TestBrokenPasswordCheck(t *testing.T) {
	a := serveControl(t)
	failures := func(err error) int {
		a.check = func(string, string) (password.Answer, error) { return password.Answer{}, err }
		_, e := a.post(t, stranger, control.VerbEnrol, control.EnrolRequest{Password: "x"}, nil)
		a.expect(t, err.Error(), control.ErrUnavailable, e)
		acc, _, err := a.store.Get(t.Context(), "nobody")
		if err != nil {
			t.Fatal(err)
		}
		return acc.Password.Failures
	}
	if n := failures(password.ErrNotAsked); n != 0 {
		t.Errorf("never asked, and %d failures", n)
	}
	if n := failures(errors.New("cut off")); n != 1 {
		t.Errorf("perhaps judged, and %d failures", n)
	}
	if n := failures(password.ErrNotAsked); n != 1 {
		t.Errorf("one before, and %d failures", n)
	}
	if !strings.Contains(a.log.String(), "cut off") {
		t.Errorf("the cause is not in the journal:\n%s", a.log)
	}
}
