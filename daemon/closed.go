package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
	"github.com/totpd/totpd/daemon/internal/config"
)

// closedFor is how long a daemon that can't start turns people away before it ends and systemd starts
// the next one. So long it may take, too, until a mended cause is noticed.
const closedFor = 5 * time.Second

// errSaid ends the program with status 1; the cause is in the log already.
var errSaid = errors.New("the cause is in the log")

// turnAway is for a daemon that can't start and has its sockets from systemd, at which people would
// wait in vain. For a moment it serves as it always does, over accounts that can't be read: each login
// is refused at once, with its line and its reference. No code but the usual one runs, and nothing in
// here could let anybody in. Without systemd the sockets go away with the daemon, and cause is returned.
func (d *daemon) turnAway(cause error) error {
	if len(d.sockets.locks) > 0 {
		return cause
	}
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, syscall.SIGINT)
	d.log.Print(cause)
	d.notify("STATUS=Can't start: " + strings.ReplaceAll(cause.Error(), "\n", " "))
	c := closed{fmt.Errorf("totpd can't start: %w", cause)}
	d.build(c, c)
	failed := d.serve()
	select {
	case <-time.After(closedFor):
	case <-failed:
	case <-end:
	}
	return errors.Join(errSaid, d.stop())
}

// turnAwayAnyway does so where the settings are broken, or don't agree with the sockets that systemd
// holds: these are looked for where what is left of the settings has them, or else the default ones.
func turnAwayAnyway(file string, cause error, lines *audit.Queue) error {
	left, _ := config.Salvage(file)
	for _, cfg := range []config.Config{left, config.Default()} {
		d := newDaemon(file, cfg, lines)
		var err error
		d.sockets, err = take(inherited(), cfg.Listen)
		defer d.close()
		if err == nil && d.sockets.login != nil && d.sockets.control != nil {
			return d.turnAway(cause)
		}
	}
	return cause
}

// closed are accounts, and a key, that can't be had.
type closed struct{ cause error }

func (c closed) Get(context.Context, string) (account.Account, bool, error) {
	return account.Account{}, false, c.cause
}

func (c closed) List(context.Context, string, int) ([]account.Account, error) { return nil, c.cause }

func (c closed) Update(context.Context, string, func(account.Account) (account.Account, error)) error {
	return c.cause
}

func (c closed) SetMeta(context.Context, string, string) error { return c.cause }

func (c closed) Replace(context.Context, account.Account) error { return c.cause }

func (c closed) Events(context.Context, audit.Query) ([]audit.Entry, error) { return nil, c.cause }

func (c closed) Delete(context.Context, string) error { return c.cause }

func (c closed) Open(string, string, []byte) ([]byte, error) { return nil, c.cause }

// Seal returns what no key opens; nor can it be stored.
func (c closed) Seal(string, string, []byte) []byte { return []byte("closed") }

// Hash returns what nothing is compared with: no account can be read.
func (c closed) Hash(string, string, string) []byte { return nil }
