package store

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/totpd/totpd/daemon/internal/account"
)

// On a full disk, updates fail in words; what is stored stays; with space they work again.
func TestFullDisk(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	s := reopen(t, filepath.Join(smallDisk(t, "size=8m"), "totpd.db"))
	stored := 0
	add := func() error {
		a := enrolled(userName(stored), "phone")
		for i := range account.DevicesMax - 1 { // large records, to fill the disk soon
			d := a.Devices[0]
			d.ID, d.Name, d.Sealed = fmt.Sprint(i), fmt.Sprint(i), make([]byte, 3000)
			a.Devices = append(a.Devices, d)
		}
		err := s.Update(t.Context(), a.User, func(account.Account) (account.Account, error) { return a, nil })
		if err == nil {
			stored++
		}
		return err
	}
	allThere := func() {
		t.Helper()
		for i := range stored {
			if _, found := get(t, s, userName(i)); !found {
				t.Fatalf("account %d of %d is gone", i, stored)
			}
		}
	}
	for range 3 { // full and free again, several times
		ballast := filepath.Join(filepath.Dir(s.path), "ballast")
		if err := add(); err != nil {
			t.Fatal("with space:", err)
		}
		if err := os.WriteFile(ballast, make([]byte, 16<<20), 0o600); err == nil {
			t.Fatal("the disk is not full")
		}
		var err error
		for range 1000 {
			if err = add(); err != nil {
				break
			}
		}
		wantError(t, err, "update account of user")
		wantError(t, err, "no space left: free some")
		for range 10 {
			wantError(t, add(), "no space left: free some")
		}
		allThere()
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if err := add(); err != nil {
				t.Fatal("with space again:", err)
			}
		}
		allThere()
		// Shrink, so that the next round has something to fill.
		for stored > 1 {
			stored--
			if err := s.Delete(t.Context(), userName(stored)); err != nil {
				t.Fatal(err)
			}
		}
		s.Close()
		s = reopen(t, s.path)
		allThere()
	}
	var verdict string
	if err := s.read.QueryRow("PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Error(verdict, err)
	}
}

// A store can't be made on a full disk; with space it can, and no half of one stands in the way.
func TestCreatedOnFullDisk(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	dir := smallDisk(t, "size=1m")
	path, ballast := filepath.Join(dir, "totpd.db"), filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 2<<20), 0o600); err == nil {
		t.Fatal("the disk is not full")
	}
	wantError(t, Create(path), "no space left")
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	s := reopen(t, path)
	put(t, s, enrolled("alice", "phone"))
}

func TestReadOnlyFileSystem(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	dir := smallDisk(t, "size=16m")
	path := filepath.Join(dir, "totpd.db")
	s := reopen(t, path)
	put(t, s, enrolled("alice", "phone"))
	s.Close()
	remount := func(flags uintptr) {
		t.Helper()
		if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT|flags, ""); err != nil {
			t.Fatal(err)
		}
	}
	remount(syscall.MS_RDONLY)
	_, err := Open(path)
	wantError(t, err, "read-only")
	_, err = OpenBeside(path)
	wantError(t, err, "read-only")
	wantError(t, Create(filepath.Join(dir, "new.db")), "read-only")
	remount(0)
	if _, found := get(t, reopen(t, path), "alice"); !found {
		t.Error("the account is gone")
	}
}
