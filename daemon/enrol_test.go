package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/wire"
)

// passwords does what totpd-password.socket does: one totpd-password for each connection. Its PAM
// service totpd knows one password, "open sesame".
func (w *world) passwords(t *testing.T) {
	t.Helper()
	const program = "#!/bin/sh\n[ \"$(tr -d '\\000')\" = 'open sesame' ]\n"
	stack := fmt.Sprintf("auth [success=1 default=ignore] pam_exec.so quiet expose_authtok %s\n"+
		"auth requisite pam_deny.so\nauth required pam_permit.so\naccount required pam_permit.so\n", w.path("judge"))
	for name, text := range map[string]string{"judge": program, "totpd": stack} {
		if err := os.WriteFile(w.path(name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("unix", w.path("password.sock"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			cmd := exec.Command(filepath.Join(bin, "totpd-password"), "-pam-dir", w.dir)
			if cmd.Stdin, err = conn.(*net.UnixConn).File(); err == nil {
				err = cmd.Start()
			}
			if err != nil {
				t.Error(err)
			}
			conn.Close()
			cmd.Stdin.(*os.File).Close()
			go cmd.Wait()
		}
	}()
}

// A user enrols with the password, confirms and logs in.
func TestEnrolWithTheRealPasswordCheck(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, who enrols here")
	}
	w := newWorld(t)
	listen := fmt.Sprintf("[listen]\nlogin = %q\ncontrol = %q\npassword = %q\n[store]\npath = %q\n[key]\nfile = %q\n",
		w.path("run/login.sock"), w.path("run/control.sock"), w.path("password.sock"), w.path("totpd.db"), w.path("totpd.key"))
	if err := os.WriteFile(w.path("totpd.toml"), []byte(listen), 0o644); err != nil {
		t.Fatal(err)
	}
	r := w.start(t)
	refused := func(password control.Secret, want control.ErrorCode) {
		t.Helper()
		_, err := w.client().Enrol(t.Context(), control.EnrolRequest{Password: password})
		var e *control.Error
		if !errors.As(err, &e) || e.Code != want {
			t.Errorf("%v, want %s\n%s", err, want, r.log)
		}
	}
	refused("open sesame", control.ErrUnavailable)
	r.logLine(t, "is totpd-password.socket started?")
	w.passwords(t)
	refused("sesame open", control.ErrWrongPassword)

	enrolment, err := w.client().Enrol(t.Context(), control.EnrolRequest{Password: "open sesame"})
	if err != nil {
		t.Fatal(err)
	}
	key, err := otp.NewKeyFromURL(string(enrolment.URI))
	if err != nil {
		t.Fatal(err)
	}
	first, err := totp.GenerateCode(key.Secret(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	confirmation, err := w.client().Confirm(t.Context(), control.ConfirmRequest{Code: control.Secret(first)})
	if err != nil || confirmation.Outcome != control.Confirmed {
		t.Fatalf("%+v, %v", confirmation, err)
	}
	next, err := totp.GenerateCode(key.Secret(), time.Now().Add(30*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if got := w.login(t, "root", first); got == wire.Accepted {
		t.Error("the code of the confirmation was accepted")
	}
	if got := w.login(t, "root", next); got != wire.Accepted {
		t.Errorf("%v\n%s", got, r.log)
	}
}
