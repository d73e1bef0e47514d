package store

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/totpd/totpd/daemon/internal/account"
)

// An account is found by the uid in its record, whichever way that came there, and no longer than it is there.
func TestNamesOf(t *testing.T) {
	s := openNew(t)
	with := func(user string, uid *uint32) account.Account {
		acc := enrolled(user, "phone")
		acc.UID = uid
		return acc
	}
	a, b := uint32(1), uint32(4_294_967_294)
	wantNames := func(s *Store, what string, of map[uint32][]string) {
		t.Helper()
		for uid, want := range of {
			if got, err := s.NamesOf(t.Context(), uid); err != nil || !slices.Equal(got, want) {
				t.Errorf("%s: of uid %d are %q, %v, want %q", what, uid, got, err, want)
			}
		}
	}
	put(t, s, with("toor", &a))
	put(t, s, with("alice", &a))
	put(t, s, with("bob", &b))
	put(t, s, with("carol", nil))
	wantNames(s, "new", map[uint32][]string{a: {"alice", "toor"}, b: {"bob"}, 0: nil})
	put(t, s, with("alice", &b))
	put(t, s, with("carol", &a))
	put(t, s, with("toor", nil))
	wantNames(s, "changed", map[uint32][]string{a: {"carol"}, b: {"alice", "bob"}})
	check(t, s.Replace(t.Context(), with("alice", &a)))
	check(t, s.Replace(t.Context(), with("bob", nil)))
	check(t, s.Delete(t.Context(), "carol"))
	wantNames(s, "replaced", map[uint32][]string{a: {"alice"}, b: nil})
	put(t, s, account.Account{User: "alice"})
	wantNames(s, "empty", map[uint32][]string{a: nil})

	put(t, s, with("alice", &a))
	backup := filepath.Join(t.TempDir(), "backup")
	file, err := os.OpenFile(backup, os.O_CREATE|os.O_RDWR, 0o600)
	check(t, err)
	_, _, err = WriteBackup(t.Context(), s.path, nil, file)
	check(t, err)
	check(t, file.Close())
	check(t, s.Close())
	// What stands beside the records of a backup is not believed.
	shell(t, backup, "UPDATE account SET uid = CASE user WHEN 'alice' THEN NULL ELSE 1 END")
	file, err = os.Open(backup)
	check(t, err)
	defer file.Close()
	_, err = Restore(s.path, file, Restoration{
		Accept: func(func(string) string) error { return nil }, Change: same, Last: func() error { return nil }, Undo: func() {},
	})
	check(t, err)
	wantNames(reopen(t, s.path), "restored", map[uint32][]string{a: {"alice"}, b: nil})
}

// A login that leaves the uid as it is writes no page of the index of uids.
func TestUsualUpdateLeavesTheUIDAlone(t *testing.T) {
	s := openNew(t)
	uid := uint32(7)
	acc := enrolled("alice", "phone")
	acc.UID = &uid
	put(t, s, acc)
	shell(t, s.path, "CREATE TRIGGER moved UPDATE OF uid ON account BEGIN SELECT RAISE(ABORT, 'the uid is written'); END")
	use(t, s, "alice", 1)
	err := s.Update(t.Context(), "alice", func(a account.Account) (account.Account, error) { a.UID = nil; return a, nil })
	wantError(t, err, "the uid is written")
}
