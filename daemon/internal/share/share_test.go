package share

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// take takes as many slots as there are for who, without waiting.
func take(t *testing.T, s *Slots, who string) []func() {
	t.Helper()
	var held []func()
	for {
		ctx, cancel := context.WithTimeout(With(t.Context(), who), time.Millisecond)
		back, err := s.Take(ctx)
		cancel()
		if err != nil {
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
			return held
		}
		held = append(held, back)
	}
}

func TestNobodyTakesAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(64, 64)
		for i, want := range []int{32, 16, 8, 4, 2, 1, 1} {
			if got := len(take(t, s, fmt.Sprint("greedy ", i))); got != want {
				t.Errorf("the %d. greedy one holds %d slots, want %d", i+1, got, want)
			}
		}
		s = New(64, 4)
		for i := range 16 {
			if got := len(take(t, s, fmt.Sprint(i))); got > 4 || got == 0 {
				t.Errorf("%d slots", got)
			}
		}
	})
}

func TestGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(1, 1)
		held := take(t, s, "alice")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Take(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if len(s.waiting) != 0 {
			t.Error("still waits")
		}
		held[0]()
		if len(s.held) != 0 || s.free != 1 {
			t.Errorf("%v, %d free", s.held, s.free)
		}
		if _, err := s.Take(ctx); err == nil {
			t.Error("taken after the end")
		}
	})
}

func TestWhoHoldsFewestComesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(4, 4)
		mallory, carol := take(t, s, "mallory"), take(t, s, "carol") // 2 and 1
		dave := take(t, s, "dave")                                   // the last one
		if len(mallory) != 2 || len(carol) != 1 || len(dave) != 1 {
			t.Fatal(len(mallory), len(carol), len(dave))
		}
		var mu sync.Mutex
		var order []string
		for _, who := range []string{"mallory", "mallory", "carol", "alice"} {
			go func() {
				back, err := s.Take(With(t.Context(), who))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				order = append(order, who)
				mu.Unlock()
				time.Sleep(time.Second)
				back()
			}()
			synctest.Wait()
		}
		dave[0]()
		dave[0]() // once is enough
		synctest.Wait()
		mu.Lock()
		if fmt.Sprint(order) != "[alice]" {
			t.Error(order)
		}
		mu.Unlock()
		carol[0]()
		mallory[0]()
		mallory[1]()
		time.Sleep(time.Minute)
		mu.Lock()
		defer mu.Unlock()
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(order) != 4 || len(s.held) != 0 || s.free != 4 {
			t.Errorf("%v, %v held, %d free", order, s.held, s.free)
		}
	})
}

func TestGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(64, 8)
		held := 0
		for i := range 1000 {
			ctx, cancel := context.WithTimeout(WithGroup(t.Context(), "uids 100000 to 165535", fmt.Sprint(i)), time.Millisecond)
			if _, err := s.Take(ctx); err == nil {
				held++
			}
			cancel()
		}
		if held != 32 {
			t.Errorf("a group holds %d slots", held)
		}
		for _, who := range []string{"mallory", "alice"} {
			ctx, cancel := context.WithTimeout(WithGroup(t.Context(), "uids 0 to 65535", who), time.Millisecond)
			n := 0
			for ; n < 64; n++ {
				if _, err := s.Take(ctx); err != nil {
					break
				}
			}
			cancel()
			if n != 8 {
				t.Errorf("%s holds %d slots", who, n)
			}
		}
	})
}

// All subordinate uids of one user lie together.
func TestNeighbours(t *testing.T) {
	if Neighbours(100000) != Neighbours(131071) || Neighbours(100000) == Neighbours(1000) || Neighbours(1000) != "uids 0 to 65535" {
		t.Error(Neighbours(100000), Neighbours(131071), Neighbours(1000))
	}
}
