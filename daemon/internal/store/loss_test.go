package store

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/internal/account"
)

// crash copies the files of an open store, as a daemon that is killed leaves them.
func crash(t testing.TB, s *Store) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "totpd.db")
	copyFiles(t, s.path, path)
	return path
}

func copyFiles(t testing.TB, from, to string) {
	t.Helper()
	for _, suffix := range []string{"", "-wal", "-shm", counterSuffix} {
		content, err := os.ReadFile(from + suffix)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			os.Remove(to + suffix)
			continue
		case err == nil:
			err = os.WriteFile(to+suffix, content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// wantLost wants both ways to open a store to refuse it, as often as it is tried.
func wantLost(t *testing.T, path, text string) {
	t.Helper()
	for range 2 {
		for _, open := range []func(string) (*Store, error){Open, OpenBeside} {
			s, err := open(path)
			if err == nil {
				s.Close()
			}
			var lost *Lost
			if !errors.As(err, &lost) {
				t.Fatalf("opened, or not for the right reason: %v", err)
			}
			wantError(t, err, text)
			wantError(t, err, "totpctl accept-loss")
		}
	}
}

// After a kill, whatever happens to the log: a store that lacks what was told to be stored stays closed, until
// root accepts it. One that lacks nothing opens.
func TestLogThatIsLost(t *testing.T) {
	s := openNew(t)
	for i := range 20 {
		put(t, s, enrolled(userName(i), "phone"))
	}
	for i := range 7 {
		use(t, s, userName(i), 56_000_000)
	}
	for name, c := range map[string]struct {
		lose func(path string) error
		want string // empty: nothing is lost
	}{
		"nothing":                 {func(string) error { return nil }, ""},
		"-shm":                    {func(path string) error { return os.Remove(path + "-shm") }, ""},
		"-wal":                    {func(path string) error { return os.Remove(path + "-wal") }, "changes of accounts are lost, the last 7:"},
		"-wal and -shm":           {func(path string) error { return errors.Join(os.Remove(path+"-wal"), os.Remove(path+"-shm")) }, "the last 7:"},
		"cut to 0":                {func(path string) error { return os.Truncate(path+"-wal", 0) }, "the last 7:"},
		"cut in a frame":          {func(path string) error { return os.Truncate(path+"-wal", 32+3*frameSize+100) }, "changes of accounts are lost"},
		"its header":              {flip("-wal", 17), "the last 7:"},
		"a frame":                 {flip("-wal", 32+4*frameSize+1000), "changes of accounts are lost"},
		"the counter, one slot":   {flip(counterSuffix, 30), ""},
		"the counter, all":        {func(path string) error { return os.Remove(path + counterSuffix) }, "it can't be told"},
		"the counter is empty":    {func(path string) error { return os.Truncate(path+counterSuffix, 0) }, "it can't be told"},
		"the counter and the log": {func(path string) error { return errors.Join(os.Remove(path+counterSuffix), os.Remove(path+"-wal")) }, "it can't be told"},
		"the counter is another's": {func(path string) error {
			return os.WriteFile(path+counterSuffix, []byte(newPosition().line()), 0o600)
		}, "is another database's"},
	} {
		t.Run(name, func(t *testing.T) {
			path := crash(t, s)
			check(t, c.lose(path))
			if c.want == "" {
				if a, _ := get(t, reopen(t, path), userName(6)); len(a.Devices) != 1 || len(a.Devices[0].Used) != 1 {
					t.Errorf("%+v", a)
				}
				_, err := AcceptLoss(path, same)
				wantError(t, err, "another totpd has it open")
				return
			}
			wantLost(t, path, c.want)
			done, err := AcceptLoss(path, func(a account.Account) account.Account { a.Codes.Failures = 5; return a })
			if err != nil || done.Accounts != 20 || done.New {
				t.Fatalf("%+v, %v", done, err)
			}
			_, err = AcceptLoss(path, same)
			wantError(t, err, "nothing is lost")
			s := reopen(t, path)
			if a, _ := get(t, s, userName(0)); a.Codes.Failures != 5 {
				t.Error("the accounts were not changed")
			}
			use(t, s, userName(0), 56_000_001)
			wantIntact(t, s)
			path = crash(t, s)
			check(t, os.Remove(path+"-wal"))
			wantLost(t, path, "the last 1:") // it counts on
		})
	}
}

func flip(suffix string, at int64) func(path string) error {
	return func(path string) error {
		f, err := os.OpenFile(path+suffix, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		var b [1]byte
		if _, err := f.ReadAt(b[:], at); err != nil {
			return err
		}
		b[0] ^= 1 << (at % 8)
		_, err = f.WriteAt(b[:], at)
		return err
	}
}

// Bits of the log at random, after a kill: nobody who enrolled looks as if not, and no use of a code is gone.
func TestLogWithFlippedBits(t *testing.T) {
	s := openNew(t)
	for i := range 10 {
		put(t, s, enrolled(userName(i), "phone"))
		use(t, s, userName(i), int64(i))
	}
	for i := range 10 { // in one log with uses of codes
		put(t, s, account.Account{User: userName(i), Codes: account.Attempts{Failures: 1}})
		put(t, s, enrolled(userName(i), "tablet"))
	}
	for i := range 10 {
		use(t, s, userName(i), int64(100+i))
	}
	path := crash(t, s)
	log, err := os.Stat(path + "-wal")
	check(t, err)
	r := rand.New(rand.NewPCG(1, 2))
	closed := 0
	for range 150 {
		copyFiles(t, s.path, path)
		at := r.Int64N(min(log.Size(), 40*frameSize))
		check(t, flip("-wal", at)(path))
		after, err := Open(path)
		if err != nil {
			closed++
			continue
		}
		for i := range 10 {
			if a, found, err := after.Get(t.Context(), userName(i)); err != nil || !found || a.Devices[0].Name != "tablet" || a.Devices[0].Used[0] != int64(100+i) {
				t.Errorf("bit at %d: %+v, %v, %v", at, a, found, err)
			}
		}
		after.Close()
	}
	if closed == 0 || closed == 150 {
		t.Errorf("%d of 150 closed", closed)
	}
}

// What lets somebody in or keeps them out is in the database itself before it is told.
func TestWaysDontDependOnTheLog(t *testing.T) {
	s := openNew(t)
	after := func(what string, want bool) {
		t.Helper()
		path := crash(t, s)
		check(t, errors.Join(os.Remove(path+"-wal"), os.Remove(path+"-shm")))
		if a, _ := get(t, reopen(t, path), "alice"); a.Enrolled() != want {
			t.Errorf("after %s: %+v", what, a)
		}
	}
	put(t, s, enrolled("alice", "phone"))
	after("an enrolment", true)
	use(t, s, "alice", 1)
	put(t, s, account.Account{User: "alice", MustEnrol: true})
	after("a reset", false)
	check(t, s.Replace(t.Context(), enrolled("alice", "phone")))
	after("a replacement", true)
	use(t, s, "alice", 1)
	check(t, s.Delete(t.Context(), "alice"))
	after("a deletion", false)
}

// A missing database is not made anew: nobody would be enrolled in it.
func TestMissingDatabase(t *testing.T) {
	for name, lose := range map[string]func(path string) error{
		"the database": os.Remove,
		"all of it":    func(path string) error { return errors.Join(os.Remove(path), os.Remove(path+counterSuffix)) },
		"the directory's": func(path string) error {
			return errors.Join(os.RemoveAll(filepath.Dir(path)), os.Mkdir(filepath.Dir(path), 0o700))
		},
		"its content": func(path string) error { return os.Truncate(path, 0) },
		"but its log": func(path string) error {
			return errors.Join(os.Remove(path), os.WriteFile(path+"-wal", []byte("x"), 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "store", "totpd.db")
			check(t, os.Mkdir(filepath.Dir(path), 0o700))
			s := reopen(t, path)
			put(t, s, enrolled("alice", "phone"))
			s.Close()
			check(t, lose(path))
			for range 2 {
				for _, open := range []func(string) (*Store, error){Open, OpenBeside} {
					_, err := open(path)
					wantError(t, err, "totpctl accept-loss")
				}
			}
			if info, err := os.Stat(path); err == nil && info.Size() > 0 {
				t.Fatal("a database was made")
			}
			if name == "but its log" {
				wantError(t, Create(path), "is there: put both back")
			}
			done, err := AcceptLoss(path, same)
			if err != nil || !done.New {
				t.Fatalf("%+v, %v", done, err)
			}
			if _, found := get(t, reopen(t, path), "alice"); found {
				t.Error("alice is there")
			}
			if err := Create(path); !errors.Is(err, fs.ErrExist) {
				t.Error(err)
			}
		})
	}
}

// While it is open, what is removed or replaced is noticed at once, also by those who only read.
func TestRemovedWhileOpen(t *testing.T) {
	for _, suffix := range []string{"", "-wal"} {
		t.Run(suffix, func(t *testing.T) {
			s := openNew(t)
			put(t, s, enrolled("alice", "phone"))
			use(t, s, "alice", 7)
			check(t, os.Rename(s.path+suffix, s.path+".aside"))
			_, _, err := s.Get(t.Context(), "bob")
			wantError(t, err, "removed or replaced")
			_, err = s.List(t.Context(), "", 1)
			wantError(t, err, "removed or replaced")
			wantError(t, count(s, "alice"), "removed or replaced")
			if suffix == "" {
				return
			}
			// The log that was removed is in the database by now: a daemon that is killed here loses nothing.
			path := crash(t, s)
			if a, _ := get(t, reopen(t, path), "alice"); len(a.Devices) == 0 || a.Devices[0].Used[0] != 7 {
				t.Errorf("%+v", a)
			}
		})
	}
}

// While it is open, the database is overwritten in place with an older copy, as by cp. What SQLite has of the other one in
// memory and in its log would make a mixture of the two, in which alice may be in no index.
func TestOverwritten(t *testing.T) {
	older := func(t *testing.T) (*Store, []byte) {
		s := openNew(t)
		put(t, s, enrolled("bob", "phone"))
		copied, err := os.ReadFile(s.path)
		check(t, err)
		put(t, s, enrolled("alice", "phone"))
		put(t, s, enrolled("carol", "phone"))
		return s, copied
	}
	t.Run("while open", func(t *testing.T) {
		s, copied := older(t)
		time.Sleep(10 * time.Millisecond) // the kernel's times are as coarse
		check(t, os.WriteFile(s.path, copied, 0o600))
		for range 2 {
			_, _, err := s.Get(t.Context(), "alice")
			wantError(t, err, "removed or replaced")
			wantError(t, count(s, "bob"), "removed or replaced")
		}
		killed := crash(t, s)
		wantLost(t, killed, "lost")
		s.Close()
		wantLost(t, s.path, "lost")
		if _, err := AcceptLoss(s.path, same); err != nil {
			t.Error(err)
		}
		get(t, reopen(t, s.path), "bob")
	})
	t.Run("after a kill", func(t *testing.T) {
		s, copied := older(t)
		path := crash(t, s)
		check(t, os.WriteFile(path, copied, 0o600))
		wantLost(t, path, "another one's")
	})
	t.Run("with what it is", func(t *testing.T) {
		s, _ := older(t)
		content, err := os.ReadFile(s.path)
		check(t, err)
		time.Sleep(10 * time.Millisecond)
		check(t, os.WriteFile(s.path, content, 0o600))
		if a, _ := get(t, s, "alice"); !a.Enrolled() {
			t.Errorf("%+v", a)
		}
		check(t, count(s, "alice"))
	})
}

// Any one bit of the database: whoever has enrolled never looks as if not, and no used step is forgotten. What
// can't be read is an error.
func TestFlippedBits(t *testing.T) {
	s := openNew(t)
	for i := range 12 {
		a := enrolled(userName(i), "phone")
		a.Devices[0].Used = []int64{56_000_000 + int64(i)}
		put(t, s, a)
	}
	a := enrolled("12345", "phone") // looks like a number
	a.Devices[0].Used = []int64{56_000_012}
	put(t, s, a)
	users := func(i int) string {
		if i == 12 {
			return "12345"
		}
		return userName(i)
	}
	s.Close()
	path := filepath.Join(t.TempDir(), "totpd.db")
	info, err := os.Stat(s.path)
	check(t, err)
	step := int64(211) // bits; STORE_FLIP=1 tries them all
	if text := os.Getenv("STORE_FLIP"); text != "" {
		if _, err := fmt.Sscan(text, &step); err != nil {
			t.Fatal(err)
		}
	}
	closed, failed := 0, 0
	for bit := int64(0); bit < info.Size()*8; bit += step {
		copyFiles(t, s.path, path)
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		check(t, err)
		var b [1]byte
		_, err = f.ReadAt(b[:], bit/8)
		check(t, err)
		b[0] ^= 1 << (bit % 8)
		_, err = f.WriteAt(b[:], bit/8)
		check(t, errors.Join(err, f.Close()))
		after, err := Open(path)
		if err != nil {
			closed++
			continue
		}
		for i := range 13 {
			a, found, err := after.Get(t.Context(), users(i))
			if err != nil {
				failed++
				err := after.Update(t.Context(), users(i), func(a account.Account) (account.Account, error) {
					t.Errorf("bit %d: judged by %+v, which can't be read", bit, a)
					return a, nil
				})
				if err == nil {
					t.Errorf("bit %d: no error", bit)
				}
				continue
			}
			if !found || len(a.Devices) != 1 || len(a.Devices[0].Used) != 1 || a.Devices[0].Used[0] != 56_000_000+int64(i) {
				t.Errorf("bit %d: %s is %+v, %v", bit, users(i), a, found)
			}
		}
		after.Close()
	}
	if closed == 0 || failed == 0 {
		t.Errorf("%d times closed, %d accounts that could not be read", closed, failed)
	}
	t.Logf("%d bits: %d times closed, %d accounts that could not be read", (info.Size()*8+step-1)/step, closed, failed)
}
