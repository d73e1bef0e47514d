package main

import (
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/totpd/totpd/daemon/internal/audit"
	"github.com/totpd/totpd/daemon/internal/config"
	"github.com/totpd/totpd/daemon/internal/enrol"
	"github.com/totpd/totpd/daemon/internal/server"
	"github.com/totpd/totpd/daemon/internal/store"
	"github.com/totpd/totpd/daemon/internal/throttle"
)

// offline is root's help without a daemon: the management API on standard input, for as long as that is
// open, from the store alone. It takes no socket, no key and no lock, so that a daemon may run, start or
// end beside it, and a broken configuration doesn't stop it.
func offline(file string, l *log.Logger) error {
	syscall.Umask(0o077)
	conn, err := net.FileConn(os.Stdin)
	if err != nil {
		return errors.New("standard input is no socket: totpctl --offline starts this, nobody by hand")
	}
	defer conn.Close()
	os.Stdin.Close() // conn is a duplicate
	cfg, err := besideDaemon(file, l)
	if err != nil {
		return err
	}
	st, err := store.OpenBeside(cfg.Store.Path)
	if err != nil {
		return err
	}
	journal := audit.ToJournal()
	defer journal.Flush()
	err = offlineControl(st, cfg, journal, l).ServeOffline(conn)
	return errors.Join(err, st.Close())
}

// besideDaemon returns what is readable of the settings, and makes this process the owner's of the store.
func besideDaemon(file string, l *log.Logger) (config.Config, error) {
	cfg, err := config.Salvage(file)
	if err != nil {
		for line := range strings.Lines(err.Error()) {
			l.Print(strings.TrimSpace(line))
		}
		l.Printf("going on with the accounts in %s", cfg.Store.Path)
	}
	if err := becomeOwner(filepath.Dir(cfg.Store.Path)); err != nil {
		return cfg, fmt.Errorf("open store %s: %w", cfg.Store.Path, err)
	}
	return cfg, nil
}

// becomeOwner gives root's rights up for those of the owner of the store's directory, before anything
// in it is touched: what it holds is its owner's, who could lead root elsewhere by links. Files that
// SQLite makes are then the owner's too, for the daemon to open.
func becomeOwner(dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	owner := info.Sys().(*syscall.Stat_t)
	uid, gid := int(owner.Uid), int(owner.Gid)
	if uid == 0 {
		return nil
	}
	for _, become := range []func() error{
		func() error { return syscall.Setgroups([]int{gid}) },
		func() error { return syscall.Setresgid(gid, gid, gid) },
		func() error { return syscall.Setresuid(uid, uid, uid) },
	} {
		if err := become(); err != nil {
			return fmt.Errorf("become uid %d, the owner of %s: %w", uid, dir, err)
		}
	}
	return nil
}

func offlineControl(st *store.Store, cfg config.Config, journal *audit.Log, l *log.Logger) *server.Control {
	limits := limitsOf(cfg)
	events := offlineEvents{journal, l}
	events.journal.Tell(st.Record)
	// No key: no verb that is served offline opens or seals a secret.
	enrolment := enrol.New(st, nil, enrol.Config{Limits: limits}, time.Now, events)
	return server.NewControl(server.Parts{
		Version:  versionText(),
		Accounts: st,
		Names:    server.NewNames(),
		Audit:    events,
		Log:      l,
		Clock:    time.Now,
		Settings: func() (server.Enrolment, throttle.Limits) { return enrolment, limits },
	})
}

// offlineEvents also tells root what failed, who may be without a journal.
type offlineEvents struct {
	journal *audit.Log
	log     *log.Logger
}

func (e offlineEvents) Record(event audit.Event) {
	if event.Result == audit.Unavailable && event.Detail != "" {
		e.log.Print(event.Detail)
	}
	e.journal.Record(event)
}
