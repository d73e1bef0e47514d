package server

import (
	"context"
	"errors"
	"fmt"
	"os/user"
	"strings"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/internal/login"
	"github.com/totpd/totpd/daemon/internal/share"
)

func TestNamesOfThisHost(t *testing.T) {
	n := NewNames()
	if name, err := n.Canonical(t.Context(), "root"); name != "root" || err != nil {
		t.Errorf("root: %q, %v", name, err)
	}
	if name, err := n.OfUID(t.Context(), 0); name != "root" || err != nil {
		t.Errorf("uid 0: %q, %v", name, err)
	}
	if _, err := n.OfUID(t.Context(), 4_000_000); !errors.Is(err, login.ErrUnknownUser) {
		t.Errorf("a uid without a name: %v", err)
	}
}

func TestNamesThatAreNone(t *testing.T) {
	n := NewNames()
	n.byName = func(name string) (*user.User, error) {
		t.Errorf("the name service was asked for %q", name)
		return nil, errors.New("asked")
	}
	for _, name := range []string{
		"", "root\x00", "root\x00alice", "ro\not", "a:b", "../etc", "\t", "\x7f", strings.Repeat("a", 10_000),
	} {
		if _, err := n.Canonical(t.Context(), name); !errors.Is(err, login.ErrUnknownUser) {
			t.Errorf("%.20q: %v", name, err)
		}
	}
}

func TestCanonicalSpelling(t *testing.T) {
	n := NewNames()
	n.byName = func(string) (*user.User, error) { return &user.User{Username: "alice", Uid: "1000"}, nil }
	if name, err := n.Canonical(t.Context(), "ALICE"); name != "alice" || err != nil {
		t.Errorf("%q, %v", name, err)
	}
	n.byName = func(string) (*user.User, error) { return &user.User{Username: "a/b"}, nil }
	if name, err := n.Canonical(t.Context(), "a"); name != "" || err == nil {
		t.Errorf("%q, %v", name, err)
	}
}

func TestHungNameService(t *testing.T) {
	n := NewNames()
	n.Patience = 50 * time.Millisecond
	hang := make(chan struct{})
	lookups := make(chan struct{}, 1000)
	n.byName = func(string) (*user.User, error) {
		lookups <- struct{}{}
		<-hang
		return &user.User{Username: "alice", Uid: "1000"}, nil
	}
	n.groupsOf = func(string, []string) (in, unknown []string, err error) {
		lookups <- struct{}{}
		<-hang
		return nil, nil, nil
	}
	for range 100 {
		go n.GroupsOf(context.Background(), "alice", []string{"staff"})
		go n.Canonical(context.Background(), "alice")
	}
	begun := time.Now()
	if name, err := n.Canonical(t.Context(), "alice"); err == nil || errors.Is(err, login.ErrUnknownUser) {
		t.Errorf("%q, %v", name, err)
	}
	if took := time.Since(begun); took > time.Second {
		t.Errorf("waited %v", took)
	}
	if in, _, err := n.GroupsOf(t.Context(), "alice", []string{"staff"}); in != nil || err == nil {
		t.Errorf("%q, %v", in, err)
	}
	time.Sleep(100 * time.Millisecond)
	if len(lookups) > 16 { // one requester's
		t.Errorf("%d lookups hang", len(lookups))
	}
	close(hang)
	eventually(t, func() bool {
		name, err := n.Canonical(t.Context(), "alice")
		return name == "alice" && err == nil
	})
}

// A slow directory, and somebody who has it asked for many names that aren't there.
func TestLookupsAreShared(t *testing.T) {
	n := NewNames()
	n.byName = func(name string) (*user.User, error) {
		if name != "alice" {
			time.Sleep(n.Patience)
		}
		return &user.User{Username: name, Uid: "1000"}, nil
	}
	n.byUID = n.byName
	for i := range 1000 {
		go n.Canonical(share.With(t.Context(), "local mallory"), fmt.Sprint("name", i))
		go n.OfUID(share.WithUID(t.Context(), 100000+uint32(i)), 100000+uint32(i))
	}
	time.Sleep(100 * time.Millisecond)
	for _, who := range []string{"192.0.2.7", "local alice", ""} {
		begun := time.Now()
		if name, err := n.Canonical(share.With(t.Context(), who), "alice"); name != "alice" || err != nil || time.Since(begun) > time.Second {
			t.Errorf("%q: %q, %v, after %v", who, name, err, time.Since(begun))
		}
	}
}

func TestGroupsOfThisHost(t *testing.T) {
	n := NewNames()
	g, err := user.LookupGroupId("0")
	if err != nil {
		t.Fatal(err)
	}
	in, unknown, err := n.GroupsOf(t.Context(), "root", []string{"no-such-group", g.Name, "nogroup"})
	if err != nil || len(in) != 1 || in[0] != g.Name || len(unknown) != 1 || unknown[0] != "no-such-group" {
		t.Errorf("root is in %q, unknown are %q: %v", in, unknown, err)
	}
	if in, _, err := n.GroupsOf(t.Context(), "no-such-user", []string{g.Name}); err == nil {
		t.Errorf("nobody is in %q", in)
	}
	for name, want := range map[string]bool{g.Name: true, "no-such-group": false} {
		if has, err := n.HasGroup(t.Context(), name); has != want || err != nil {
			t.Errorf("group %s: %v, %v", name, has, err)
		}
	}
}
