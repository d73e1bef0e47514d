package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"

	"github.com/totpd/totpd/daemon/internal/account"
)

// notifyTime is how long a systemd that doesn't read is waited for.
const notifyTime = time.Second

// notify tells systemd, if it wants to know.
func (d *daemon) notify(state string) {
	told := make(chan struct{})
	go func() {
		defer close(told)
		if _, err := systemd.SdNotify(false, state); err != nil {
			d.log.Printf("tell systemd %q: %v", state, err)
		}
	}()
	select {
	case <-told:
	case <-time.After(notifyTime):
	}
}

// reloading is what Type=notify-reload waits for: the time lets systemd tell this reload from another.
func reloading() string {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return "RELOADING=1"
	}
	return fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", now.Nano()/1000)
}

// watchdog tells systemd that the daemon is alive for as long as the writer of the store answers,
// without which no login ends well.
func (d *daemon) watchdog() {
	within, err := systemd.SdWatchdogEnabled(false)
	if err != nil {
		d.log.Printf("watchdog: %v", err)
	}
	if within == 0 {
		return
	}
	for {
		if err := d.alive(within / 4); err != nil {
			d.log.Printf("watchdog: the store doesn't answer: %v", err)
		} else {
			d.notify(systemd.SdNotifyWatchdog)
		}
		time.Sleep(within / 4)
	}
}

var errAlive = errors.New("alive")

// alive sends a change through the writer that changes nothing.
func (d *daemon) alive(within time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	err := d.store.Update(ctx, "watchdog", func(a account.Account) (account.Account, error) { return a, errAlive })
	if errors.Is(err, errAlive) {
		return nil
	}
	return err
}
