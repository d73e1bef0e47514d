package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/internal/account"
)

func openNew(t *testing.T) *Store {
	t.Helper()
	return reopen(t, filepath.Join(t.TempDir(), "totpd.db"))
}

func reopen(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func put(t *testing.T, s *Store, a account.Account) {
	t.Helper()
	err := s.Update(t.Context(), a.User, func(account.Account) (account.Account, error) { return a, nil })
	if err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, s *Store, user string) (account.Account, bool) {
	t.Helper()
	a, found, err := s.Get(t.Context(), user)
	if err != nil {
		t.Fatal(err)
	}
	return a, found
}

// shell runs SQL beside the open store, as root may with the sqlite3 command.
func shell(t *testing.T, path, text string, args ...any) {
	t.Helper()
	db := connect(path, "rw", "")
	defer db.Close()
	if _, err := db.Exec(text, args...); err != nil {
		t.Fatal(err)
	}
}

func wantError(t *testing.T, err error, part string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), part) {
		t.Fatalf("error is %v, want one with %q", err, part)
	}
}

func TestAccountsSurviveReopening(t *testing.T) {
	s := openNew(t)
	if a, found := get(t, s, "alice"); found || !reflect.DeepEqual(a, account.Account{User: "alice"}) {
		t.Fatalf("a user without an account is %+v, %v", a, found)
	}
	want := enrolled("alice", "phone")
	want.Pending = &account.Pending{Device: enrolled("", "token").Devices[0], Expires: time.Unix(2e9, 5).UTC()}
	want.Pending.Device.ID = "ff"
	want.Codes = account.Attempts{Failures: 2, Last: time.Unix(1e9, 7).UTC()}
	want.Devices[0].Used = []int64{3, 1, 2}
	put(t, s, want)
	for range 2 {
		if got, found := get(t, s, "alice"); !found || !reflect.DeepEqual(got, want) {
			t.Fatalf("stored %+v\nread   %+v, %v", want, got, found)
		}
		s.Close()
		if _, err := os.Stat(s.path + "-wal"); err == nil {
			t.Error("the log is left behind by Close")
		}
		s = reopen(t, s.path)
	}
	put(t, s, account.Account{User: "alice"})
	if _, found := get(t, s, "alice"); found {
		t.Error("an account that became empty is still stored")
	}
}

func TestUserNames(t *testing.T) {
	s := openNew(t)
	names := []string{
		"a", "A", " ", "../../etc/passwd", "line\nbreak", "ünïcödé", "\xff", "\xfe", "�", "'; DROP TABLE account; --",
		"corp\\alice", "alice@example.org", "%s", strings.Repeat("x", account.UserMax),
	}
	for i, name := range names {
		a := enrolled(name, "phone")
		a.Devices[0].Used = []int64{int64(i)}
		put(t, s, a)
	}
	for i, name := range names {
		if a, _ := get(t, s, name); a.User != name || a.Devices[0].Used[0] != int64(i) {
			t.Errorf("the account of %q is %+v", name, a)
		}
	}
	listed, err := s.List(t.Context(), "", len(names)+1)
	if err != nil || len(listed) != len(names) {
		t.Errorf("%d of %d users listed, error %v", len(listed), len(names), err)
	}
	for _, name := range []string{"", "nul\x00", strings.Repeat("x", account.UserMax+1), strings.Repeat("\n", 10_000)} {
		_, _, err := s.Get(t.Context(), name)
		wantError(t, err, "a user name")
		err = s.Update(t.Context(), name, func(a account.Account) (account.Account, error) {
			t.Errorf("fn was called for %.20q", name)
			return a, nil
		})
		wantError(t, err, "a user name")
		wantError(t, s.Delete(t.Context(), name), "a user name")
		if len(err.Error()) > 3000 || strings.ContainsAny(err.Error(), "\n\x00") {
			t.Errorf("an error that spoils the log: %.100q", err)
		}
	}
}

func TestListInPages(t *testing.T) {
	s := openNew(t)
	for i := range 25 {
		put(t, s, enrolled(userName(i), "phone"))
	}
	var got []string
	for after := ""; ; {
		page, err := s.List(t.Context(), after, 10)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, a := range page {
			got = append(got, a.User)
		}
		after = got[len(got)-1]
	}
	for i, name := range got {
		if name != userName(i) {
			t.Fatalf("user %d of the list is %s", i, name)
		}
	}
	if len(got) != 25 {
		t.Fatalf("%d of 25 users listed", len(got))
	}
}

func TestMeta(t *testing.T) {
	s := openNew(t)
	if _, found, err := s.Meta(t.Context(), "key"); found || err != nil {
		t.Fatal(found, err)
	}
	for _, want := range []string{"one", "two"} {
		if err := s.SetMeta(t.Context(), "key", want); err != nil {
			t.Fatal(err)
		}
		if got, found, err := s.Meta(t.Context(), "key"); got != want || !found || err != nil {
			t.Fatal(got, found, err)
		}
	}
}

func TestErrorOfOneUpdateSkipsOnlyThatOne(t *testing.T) {
	s := openNew(t)
	release := holdWriter(t, s)
	refusal := errors.New("refused")
	var wg sync.WaitGroup
	for i := range 30 {
		wg.Go(func() {
			user := userName(i)
			err := s.Update(t.Context(), user, func(account.Account) (account.Account, error) {
				switch i % 3 {
				case 0:
					return account.Account{}, refusal
				case 1:
					var none []int
					_ = none[i]
				}
				return enrolled(user, "phone"), nil
			})
			switch {
			case i%3 == 0 && err != refusal, i%3 == 1 && err == nil, i%3 == 2 && err != nil:
				t.Errorf("update %d: %v", i, err)
			}
		})
	}
	waitFor(t, func() bool { return queued(s) == 30 })
	release()
	wg.Wait()
	for i := range 30 {
		if _, found := get(t, s, userName(i)); found != (i%3 == 2) {
			t.Errorf("account %d stored: %v", i, found)
		}
	}
}

func TestInvalidChangesAreRefused(t *testing.T) {
	s := openNew(t)
	want := enrolled("alice", "phone")
	put(t, s, want)
	for name, bad := range map[string]account.Account{
		"another user": enrolled("bob", "phone"),
		"invalid":      {User: "alice", Devices: make([]account.Device, 1)},
	} {
		err := s.Update(t.Context(), "alice", func(account.Account) (account.Account, error) { return bad, nil })
		wantError(t, err, "update account of alice: refused to store")
		if got, _ := get(t, s, "alice"); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: the account became %+v", name, got)
		}
	}
}

// Many logins with one code: one is accepted.
func TestOneCodeOneAcceptance(t *testing.T) {
	s := openNew(t)
	put(t, s, enrolled("alice", "phone"))
	replayed := errors.New("replayed")
	var accepted, refused atomic.Int64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			err := s.Update(t.Context(), "alice", func(a account.Account) (account.Account, error) {
				if len(a.Devices[0].Used) > 0 {
					return a, replayed
				}
				a.Devices[0].Used = []int64{56_000_000}
				return a, nil
			})
			switch err {
			case nil:
				accepted.Add(1)
			case replayed:
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if accepted.Load() != 1 || refused.Load() != 63 {
		t.Errorf("%d accepted, %d refused", accepted.Load(), refused.Load())
	}
}

func TestUpdatesOfOneUserSeeEachOther(t *testing.T) {
	s := openNew(t)
	release := holdWriter(t, s)
	const n = 3*batchMax + 7 // several commits, and a rest
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			err := s.Update(t.Context(), "alice", func(a account.Account) (account.Account, error) {
				a.Codes.Failures++
				return a, nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	waitFor(t, func() bool { return queued(s) == n })
	release()
	wg.Wait()
	if a, _ := get(t, s, "alice"); a.Codes.Failures != n {
		t.Errorf("%d of %d failures counted", a.Codes.Failures, n)
	}
}

func TestUpdateGivenUpWhileWaitingNeverHappens(t *testing.T) {
	s := openNew(t)
	release := holdWriter(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	err := s.Update(ctx, "alice", func(a account.Account) (account.Account, error) {
		t.Error("fn was called")
		return a, nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	wantError(t, err, "gave up before it was written")
	release()
	if err := s.Update(ctx, "alice", nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, _, err := s.Get(ctx, "alice"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestUpdateGivenUpInFlightRunsToItsEnd(t *testing.T) {
	s := openNew(t)
	ctx, cancel := context.WithCancel(t.Context())
	gaveUp := make(chan struct{})
	err := s.Update(ctx, "alice", func(account.Account) (account.Account, error) {
		cancel()
		<-gaveUp
		return enrolled("alice", "phone"), nil
	})
	close(gaveUp)
	wantError(t, err, "gave up while it was being written")
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	put(t, s, enrolled("bob", "phone")) // is behind it
	if _, found := get(t, s, "alice"); !found {
		t.Error("the update did not run to its end")
	}
}

func TestCloseFinishesWhatWaits(t *testing.T) {
	s := openNew(t)
	release := holdWriter(t, s)
	var stored, refused atomic.Int64
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			err := s.Update(context.Background(), userName(i), func(a account.Account) (account.Account, error) {
				return enrolled(a.User, "phone"), nil
			})
			switch {
			case err == nil:
				stored.Add(1)
			case strings.Contains(err.Error(), "the store is closed"):
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	waitFor(t, func() bool { return queued(s) == 20 })
	wg.Go(func() { s.Close() })
	release()
	wg.Wait()
	if stored.Load() != 20 || refused.Load() != 0 {
		t.Errorf("%d stored, %d refused", stored.Load(), refused.Load())
	}
	wantError(t, s.Delete(context.Background(), "x"), "delete account of x: the store is closed")
	if _, _, err := s.Get(context.Background(), "x"); err == nil {
		t.Error("a closed store was read")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if accounts, err := reopen(t, s.path).List(t.Context(), "", 100); err != nil || len(accounts) != 20 {
		t.Error(len(accounts), err)
	}
}

func TestBrokenRecordFailsOnlyItsUser(t *testing.T) {
	s := openNew(t)
	put(t, s, enrolled("zoe", "phone"))
	good, _ := encode(enrolled("alice", "phone"))
	for name, record := range map[string]string{
		"empty":                          "",
		"not JSON":                       "otpauth://",
		"the JSON ends early":            string(good[:len(good)-2]),
		"more than one JSON value":       string(good) + "{}",
		"null":                           "null",
		"another type":                   strings.Replace(string(good), `"digits":6`, `"digits":"6"`, 1),
		"another number of digits":       strings.Replace(string(good), `"digits":6`, `"digits":5`, 1),
		"an unknown field":               strings.Replace(string(good), `{`, `{"recovery":[],`, 1),
		"another user's":                 strings.Replace(string(good), `"alice"`, `"zoe"`, 1),
		"no secret":                      `{"user":"alice","devices":[{"id":"1","name":"n","digits":6,"period":30,"algorithm":"SHA1","sealed":"","added":"2023-11-14T22:13:20Z"}]}`,
		"a secret that is no base64":     strings.Replace(string(good), `"AAAA`, `"A:::SECRET`, 1),
		"so deep that a parser may sink": strings.Repeat("[", 1<<16),
	} {
		t.Run(name, func(t *testing.T) {
			if record == string(good) {
				t.Fatal("the record is not broken")
			}
			shell(t, s.path, "INSERT OR REPLACE INTO account VALUES ('alice', ?)", record)
			_, found, err := s.Get(t.Context(), "alice")
			wantError(t, err, "read account of alice: broken record")
			if found || strings.Contains(err.Error(), "SECRET") {
				t.Error(found, err)
			}
			err = s.Update(t.Context(), "alice", func(account.Account) (account.Account, error) {
				t.Error("fn was called")
				return enrolled("alice", "phone"), nil
			})
			wantError(t, err, "update account of alice: broken record")
			var left string
			if err := s.read.QueryRow("SELECT record FROM account WHERE user = 'alice'").Scan(&left); err != nil || left != record {
				t.Error("the broken record was changed", err)
			}
			accounts, err := s.List(t.Context(), "", 1)
			var broken *Broken
			if !errors.As(err, &broken) || !reflect.DeepEqual(broken.Users, []string{"alice"}) || len(accounts) != 1 || accounts[0].User != "zoe" {
				t.Error(accounts, err)
			}
			use(t, s, "zoe", time.Now().UnixNano())
		})
	}
	if err := s.Delete(t.Context(), "alice"); err != nil {
		t.Error(err)
	}
	put(t, s, enrolled("alice", "phone"))
}

func TestRootMayRepairWhileTheDaemonRuns(t *testing.T) {
	s := openNew(t)
	put(t, s, enrolled("alice", "phone"))
	shell(t, s.path, "DELETE FROM account WHERE user = 'alice'")
	if _, found := get(t, s, "alice"); found {
		t.Error("the deleted account is still there")
	}
	use := func() error {
		return s.Update(t.Context(), "alice", func(a account.Account) (account.Account, error) {
			a.Codes.Failures++
			return a, nil
		})
	}
	db := connect(s.path, "rw", "")
	defer db.Close()
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec("DELETE FROM account"); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	wantError(t, use(), "another program holds the lock")
	if d := time.Since(start); d > 2900*time.Millisecond {
		t.Errorf("a refusal after %v, a login is answered within 3 s", d)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := use(); err != nil {
		t.Error("the lock is free again, but:", err)
	}
}

func TestFileReplacedWhileRunning(t *testing.T) {
	s := openNew(t)
	put(t, s, enrolled("alice", "phone"))
	change := func() error {
		return s.Update(t.Context(), "bob", func(account.Account) (account.Account, error) {
			return enrolled("bob", "phone"), nil
		})
	}
	aside := s.path + ".aside"
	if err := os.Rename(s.path, aside); err != nil {
		t.Fatal(err)
	}
	wantError(t, change(), "removed or replaced")
	if err := os.WriteFile(s.path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantError(t, change(), "removed or replaced")
	if err := os.Rename(aside, s.path); err != nil {
		t.Fatal(err)
	}
	if err := change(); err != nil {
		t.Error("the file is back, but:", err)
	}
}

func TestFilesAreOurs(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	path := filepath.Join(t.TempDir(), "totpd.db")
	if err := os.Chmod(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	s := reopen(t, path)
	put(t, s, enrolled("alice", "phone"))
	files, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, f.Name())
		if info.Mode() != 0o600 {
			t.Errorf("%s has mode %v", f.Name(), info.Mode())
		}
	}
	if got := fmt.Sprint(names); got != "[totpd.db totpd.db-shm totpd.db-wal totpd.db.lock]" {
		t.Error("files:", got)
	}
}

// holdWriter keeps the writer busy until release is called, so that updates pile up.
func holdWriter(t *testing.T, s *Store) (release func()) {
	t.Helper()
	held, free := make(chan struct{}), make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.submit(context.Background(), &update{name: "hold", apply: func(*writer) error {
			close(held)
			<-free
			return nil
		}})
	}()
	<-held
	return func() { close(free); <-done }
}

func queued(s *Store) int {
	s.queue.mu.Lock()
	defer s.queue.mu.Unlock()
	return len(s.queue.waiting)
}

func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("waited in vain")
		}
	}
}
