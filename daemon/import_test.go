package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/wire"
)

// secretHex is secret as import has it.
const secretHex = "48656c6c6f21deadbeef48656c6c6f21deadbeef"

// Who is taken over logs in with the code of the moment, unless it was used elsewhere: that one is refused,
// also after a restart.
func TestImportThenLogin(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, who takes users over")
	}
	w := newWorld(t)
	r := w.start(t)
	for int(time.Now().Unix()%30) > 20 {
		time.Sleep(time.Second) // the codes stay the same for the test
	}
	present := time.Now().Unix() / 30
	from := func(user string, used ...int64) control.ImportUser {
		return control.ImportUser{User: user, Devices: []control.ImportDevice{
			{Name: "phone", Secret: secretHex, Digits: 6, Period: 30, Algorithm: "SHA1", Used: used},
		}, Recovery: []control.Secret{"12345678"}}
	}
	r1 := control.ImportRequest{Users: []control.ImportUser{
		from("nobody"), from("no-such-user"), from("daemon", present), from("bin"),
	}}
	r1.Users[3].Devices[0].Digits = 7
	done, err := w.client().Import(t.Context(), r1)
	if err != nil {
		t.Fatalf("%v\n%s", err, r.log)
	}
	for i, want := range []control.ErrorCode{"", control.ErrUnknownUser, "", control.ErrBadImport} {
		got := control.ErrorCode("")
		if e := done.Users[i].Error; e != nil {
			got = e.Code
		}
		if got != want || done.Users[i].User != r1.Users[i].User {
			t.Errorf("%+v, want %q", done.Users[i], want)
		}
	}
	if got := w.login(t, "nobody", code(t, 0)); got != wire.Accepted {
		t.Errorf("the code of the moment: %v\n%s", got, r.log)
	}
	if got := w.login(t, "bin", ""); got != wire.NotDue {
		t.Errorf("who was refused as a whole: %v", got)
	}
	if err := r.end(t, syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	r = w.start(t)
	if got := w.login(t, "daemon", code(t, 0)); got == wire.Accepted {
		t.Error("the code that was used elsewhere is accepted")
	}
	if got := w.login(t, "daemon", code(t, 1)); got != wire.Accepted {
		t.Errorf("the next one: %v\n%s", got, r.log)
	}
	for _, what := range []string{secret, secretHex, "12345678"} {
		if strings.Contains(r.log.String(), what) {
			t.Errorf("a secret is in the log:\n%s", r.log)
		}
	}

	var many control.ImportRequest
	for i := range control.ImportMax + 1 {
		many.Users = append(many.Users, from(fmt.Sprint("user", i)))
	}
	for _, r := range []control.ImportRequest{{}, many} {
		if _, err := w.client().Import(t.Context(), r); err == nil || !strings.Contains(err.Error(), "1 to 50 users at a time") {
			t.Errorf("%d users: %v", len(r.Users), err)
		}
	}
}
