package store

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/internal/account"
)

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

// An account takes the place of a record that can't be read, in one step: never is there none.
func TestReplace(t *testing.T) {
	s := openNew(t)
	put(t, s, enrolled("alice", "phone"))
	shell(t, s.path, "UPDATE account SET record = 'x'")
	want := account.Account{User: "alice", MustEnrol: true}
	check(t, s.Replace(t.Context(), want))
	if got, found := get(t, s, "alice"); !found || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, found)
	}
	check(t, s.Replace(t.Context(), account.Account{User: "bob", MustEnrol: true}))
	if _, found := get(t, s, "bob"); !found {
		t.Error("bob isn't there")
	}
	wantError(t, s.Replace(t.Context(), account.Account{}), "refused to store a broken record")
}
