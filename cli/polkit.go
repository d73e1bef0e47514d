package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/spf13/cobra"

	"github.com/totpd/totpd/daemon/control"
)

// Limits of what goes before and after a request that polkit decides about.
const (
	busTime   = 2 * time.Second // for the system bus to take us in
	graceTime = 3 * time.Second // for the daemon's answer after Ctrl-C
)

// What an admin asks for.
const (
	toLook   = false
	toChange = true // seen to its end, so that the person learns of it
)

// withPolkit gives a verb the option --no-ask.
func (c *command) withPolkit(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().BoolVar(&c.noAsk, "no-ask", false, "don't ask for the password that polkit may want")
	return cmd
}

// asAdmin asks for what only root may do, or whom polkit lets: that one says who it is on the system bus,
// and at a terminal has pkttyagent ask for the password that polkit may want. Without a bus it asks all
// the same, and the daemon refuses.
func (c *command) asAdmin(ctx context.Context, change bool, ask func(context.Context, *control.Client) error) error {
	lasting := ctx
	if change {
		lasting = context.WithoutCancel(ctx)
	}
	if os.Geteuid() == 0 {
		return ask(lasting, c.client())
	}
	conn, err := systemBus(ctx)
	if err != nil {
		return ask(lasting, c.client())
	}
	defer conn.Close()
	on := func(interactive bool) *control.Client { return c.client().OnBus(conn.Names()[0], interactive) }
	if !c.in.terminal || c.noAsk {
		return ask(lasting, on(false))
	}
	agent := startAgent(c.in.fd)
	defer agent.stop()
	// Ctrl-C ends the question for the password, and then the daemon has an answer.
	patient, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	defer context.AfterFunc(ctx, func() {
		agent.stop()
		time.AfterFunc(graceTime, giveUp)
	})()
	err = ask(patient, on(true))
	switch code := codeOf(err); {
	case err == nil || ctx.Err() == nil:
		return err
	case patient.Err() != nil:
		return &control.Error{Code: control.ErrTimeout, Message: "interrupted before there was an answer"}
	case code == control.ErrNotAllowed || code == control.ErrAuthenticate:
		return ctx.Err()
	}
	return err
}

// systemBus connects to the system bus. One that hangs is none.
func systemBus(ctx context.Context) (*dbus.Conn, error) {
	// Its context ends a connection that was made, too.
	within, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	late := time.AfterFunc(busTime, giveUp)
	defer late.Stop()
	defer context.AfterFunc(ctx, giveUp)()
	conn, err := dbus.ConnectSystemBus(dbus.WithContext(within))
	if err != nil {
		giveUp()
		return nil, err
	}
	if within.Err() != nil {
		return nil, errors.New("the system bus hangs")
	}
	return conn, nil
}
