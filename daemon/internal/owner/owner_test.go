package owner

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/login"
	"github.com/totpd/totpd/daemon/internal/store"
)

var errDown = errors.New("the directory doesn't answer")

// passwd is a host's users: their uids by name.
type passwd map[string]uint32

func (p passwd) find(_ context.Context, name string) (account.Identity, error) {
	uid, known := p[name]
	switch {
	case name == "down":
		return account.Identity{}, errDown
	case !known:
		return account.Identity{}, fmt.Errorf("look up: %w", login.ErrUnknownUser)
	}
	return account.Identity{Name: name, UID: uid}, nil
}

// host has accounts, some users, and a way to change these.
type host struct {
	*Accounts
	t     *testing.T
	users passwd
}

func newHost(t *testing.T, users passwd) *host {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "totpd.db")
	if err := store.Create(path); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	h := &host{t: t, users: users}
	h.open(s)
	return h
}

func (h *host) open(s Store) {
	h.Accounts = New(s, func(ctx context.Context, name string) (account.Identity, error) { return h.users.find(ctx, name) })
}

var phone = account.Device{ID: "p", Name: "phone", Digits: 6, Period: 30, Algorithm: account.SHA1, Sealed: []byte("x"), Added: time.Unix(1, 0).UTC()}

func (h *host) change(user string, change func(account.Account) account.Account) {
	h.t.Helper()
	if err := h.Update(h.t.Context(), user, func(acc account.Account) (account.Account, error) { return change(acc), nil }); err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) enrol(users ...string) {
	h.t.Helper()
	for _, user := range users {
		h.change(user, func(acc account.Account) account.Account { acc.Devices = []account.Device{phone}; return acc })
	}
}

// check is what a login of the user comes to: "", "other_uid", "renamed", or the error.
func (h *host) check(user string) string {
	h.t.Helper()
	is, err := h.users.find(h.t.Context(), user)
	if err != nil {
		h.t.Fatal(err)
	}
	acc, _, err := h.Get(h.t.Context(), user)
	if err != nil {
		h.t.Fatal(err)
	}
	err = h.Check(h.t.Context(), is, acc)
	foreign := new(account.Foreign)
	switch {
	case err == nil:
		return ""
	case errors.As(err, &foreign) && foreign.Renamed():
		return "renamed from " + foreign.Account
	case errors.As(err, &foreign):
		return "other_uid"
	}
	return err.Error()
}

// Whatever becomes of users, nobody uses the account of somebody else, and nobody loses a second factor by another
// name. Each story is told twice: the daemon goes on, or begins anew.
func TestOwners(t *testing.T) {
	for what, tt := range map[string]struct {
		enrolled []string
		then     passwd
		want     map[string]string
	}{
		"nothing happens":                         {[]string{"alice", "bob"}, passwd{"alice": 1, "bob": 2, "carol": 3}, map[string]string{"alice": "", "bob": "", "carol": ""}},
		"a name changes":                          {[]string{"alice"}, passwd{"alicia": 1, "bob": 2}, map[string]string{"alicia": "renamed from alice", "bob": ""}},
		"an account of the name, another uid":     {[]string{"alice"}, passwd{"alice": 9}, map[string]string{"alice": "other_uid"}},
		"another user gets the uid":               {[]string{"alice"}, passwd{"carla": 1}, map[string]string{"carla": "renamed from alice"}},
		"the name goes to another, the uid too":   {[]string{"alice"}, passwd{"alice": 9, "carla": 1}, map[string]string{"alice": "other_uid", "carla": "renamed from alice"}},
		"made anew with the same uid":             {[]string{"alice"}, passwd{"alice": 1}, map[string]string{"alice": ""}},
		"two names change places":                 {[]string{"alice", "bob"}, passwd{"alice": 2, "bob": 1}, map[string]string{"alice": "other_uid", "bob": "other_uid"}},
		"two names change places, one enrolled":   {[]string{"alice"}, passwd{"alice": 2, "bob": 1}, map[string]string{"alice": "other_uid", "bob": "renamed from alice"}},
		"two names with one uid":                  {[]string{"alice"}, passwd{"alice": 1, "toor": 1}, map[string]string{"alice": "", "toor": ""}},
		"two names with one uid, both enrolled":   {[]string{"alice", "twin"}, passwd{"alice": 1, "twin": 1}, map[string]string{"alice": "", "twin": ""}},
		"of two names with one uid, one ends":     {[]string{"alice", "twin"}, passwd{"twin": 1, "new": 1}, map[string]string{"twin": "", "new": "renamed from alice"}},
		"an uid changes and comes to another":     {[]string{"alice"}, passwd{"alice": 7, "bob": 1}, map[string]string{"alice": "other_uid", "bob": "renamed from alice"}},
		"root's uid":                              {[]string{"root"}, passwd{"root": 0, "toor": 0}, map[string]string{"root": "", "toor": ""}},
		"root renamed":                            {[]string{"root"}, passwd{"admin": 0}, map[string]string{"admin": "renamed from root"}},
		"a name that is only spelled differently": {[]string{"alice"}, passwd{"Alice": 1}, map[string]string{"Alice": "renamed from alice"}},
	} {
		for _, anew := range []bool{false, true} {
			h := newHost(t, passwd{"alice": 1, "twin": 1, "bob": 2, "carol": 3, "root": 0})
			h.enrol(tt.enrolled...)
			h.users = tt.then
			if anew {
				h.open(h.Store)
			}
			for user, want := range tt.want {
				if got := h.check(user); got != want {
					t.Errorf("%s (anew: %v): %s: %q, want %q", what, anew, user, got, want)
				}
			}
		}
	}
}

// Where the name service doesn't answer, nobody gets in by a name that may be new.
func TestOwnersNotFound(t *testing.T) {
	h := newHost(t, passwd{"down": 1, "alice": 1})
	h.enrol("alice")
	h.change("down", func(acc account.Account) account.Account {
		uid := uint32(1)
		acc.UID, acc.Devices = &uid, []account.Device{phone}
		return acc
	})
	h.users = passwd{"alicia": 1, "alice": 1}
	if got := h.check("alicia"); got != errDown.Error() {
		t.Errorf("%q", got)
	}
	if got := h.check("alice"); got != "" {
		t.Errorf("who has an account of that name and uid: %q", got)
	}
}

// What resolves a mismatch: a reset, the end of the old account, or its new uid.
func TestResolved(t *testing.T) {
	h := newHost(t, passwd{"alice": 1})
	h.enrol("alice")
	h.users = passwd{"alice": 2}
	if got := h.check("alice"); got != "other_uid" {
		t.Fatalf("%q", got)
	}
	if err := h.Replace(t.Context(), account.Account{User: "alice", MustEnrol: true}); err != nil {
		t.Fatal(err)
	}
	if got := h.check("alice"); got != "" {
		t.Errorf("after a reset: %q", got)
	}
	h.enrol("alice")
	if got := h.check("alice"); got != "" {
		t.Errorf("enrolled again: %q", got)
	}
	h.users = passwd{"alice": 3}
	h.change("alice", func(acc account.Account) account.Account { uid := uint32(3); acc.UID = &uid; return acc })
	if got := h.check("alice"); got != "" {
		t.Errorf("adopted: %q", got)
	}
	h.users = passwd{"alicia": 3}
	if err := h.Delete(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	if got := h.check("alicia"); got != "" {
		t.Errorf("after the end of the old account: %q", got)
	}
}

// Wrong codes and other traces make nobody the owner; nor does a change by somebody else's hand lose who it is.
func TestUIDsAreKept(t *testing.T) {
	h := newHost(t, passwd{"alice": 1})
	h.change("alice", func(acc account.Account) account.Account { acc.Codes.Failures = 1; return acc })
	h.users = passwd{"alice": 2}
	if got := h.check("alice"); got != "" {
		t.Errorf("not enrolled: %q", got)
	}
	h.enrol("alice")
	if acc, _, _ := h.Get(t.Context(), "alice"); acc.UID == nil || *acc.UID != 2 {
		t.Errorf("enrolled as %v", acc.UID)
	}
	h.users = passwd{"alice": 3}
	h.change("alice", func(acc account.Account) account.Account {
		return account.Account{User: acc.User, Devices: acc.Devices} // as an import that replaces makes it
	})
	if got := h.check("alice"); got != "other_uid" {
		t.Errorf("made anew: %q", got)
	}
	// Of an account from before uids were kept, nobody can tell; the next change finds out.
	h = newHost(t, passwd{"alice": 1})
	h.users = passwd{}
	h.enrol("alice")
	h.users = passwd{"alice": 5}
	if got := h.check("alice"); got != "" {
		t.Errorf("of an unknown uid: %q", got)
	}
	h.enrol("alice")
	h.users = passwd{"alice": 6}
	if got := h.check("alice"); got != "other_uid" {
		t.Errorf("after a change: %q", got)
	}
}

// A usual login asks the name service for no uid that the account knows.
func TestKnownUIDIsNotLookedUp(t *testing.T) {
	h := newHost(t, passwd{"alice": 1})
	h.enrol("alice")
	h.lookup = func(context.Context, string) (account.Identity, error) {
		t.Error("looked up")
		return account.Identity{}, errDown
	}
	h.change("alice", func(acc account.Account) account.Account { acc.Devices[0].LastUsed = time.Unix(2, 0).UTC(); return acc })
	if acc, _, err := h.Get(t.Context(), "alice"); err != nil || acc.UID == nil || *acc.UID != 1 {
		t.Errorf("%v, %v", acc.UID, err)
	}
}

// A bypass code under the new name doesn't hide the devices under the former one.
func TestBypassHidesNoFormerName(t *testing.T) {
	h := newHost(t, passwd{"alice": 1})
	h.enrol("alice")
	h.users = passwd{"alicia": 1}
	h.change("alicia", func(acc account.Account) account.Account {
		acc.Bypass = []account.Bypass{{ID: "b", Hash: make([]byte, account.MarkSize), Uses: 1, Made: time.Unix(1, 0).UTC(), Expires: time.Unix(2, 0).UTC()}}
		return acc
	})
	if got := h.check("alicia"); got != "renamed from alice" {
		t.Errorf("%q", got)
	}
}
