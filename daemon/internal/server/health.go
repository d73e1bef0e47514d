package server

import (
	"context"
	"errors"
	"time"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/internal/login"
	"github.com/totpd/totpd/daemon/internal/store"
)

const (
	// tryTime is how long one thing may take that is tried. SQLite waits for a lock for half as long.
	tryTime = 3 * time.Second
	// unknownName is a name that no host gives anybody.
	unknownName = "totpd-doctor-asks"
	// triedAt names the value that is written.
	triedAt = "health"
)

// health tries a change and a lookup, which a login that is judged needs both.
func (c *call) health(ctx context.Context, _ control.Nothing) (control.Health, error) {
	var told control.Health
	ctx, cancel := context.WithTimeout(ctx, 2*tryTime)
	defer cancel()
	names := make(chan control.Tried, 1)
	go func() { names <- c.tryNames(ctx) }()
	told.Store = c.tryStore(ctx)
	told.Names = <-names
	return told, nil
}

func (c *call) tryStore(ctx context.Context) control.Tried {
	ctx, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	lost := new(store.Lost)
	err := c.control.Accounts.SetMeta(ctx, triedAt, c.control.Clock().UTC().Format(time.RFC3339))
	switch {
	case err == nil:
		return control.Tried{}
	case errors.Is(err, store.ErrReplaced):
		return control.Tried{Fault: control.FaultReplaced, Cause: err.Error()}
	case errors.As(err, &lost):
		return control.Tried{Fault: control.FaultLost, Cause: err.Error()}
	case store.Locked(err):
		return control.Tried{Fault: control.FaultLocked, Cause: err.Error()}
	}
	return control.Tried{Fault: control.FaultOther, Cause: err.Error()}
}

func (c *call) tryNames(ctx context.Context) control.Tried {
	_, err := c.control.Names.Canonical(ctx, unknownName)
	if err == nil || errors.Is(err, login.ErrUnknownUser) {
		_, err = c.control.Names.HasGroup(ctx, unknownName)
	}
	if err != nil {
		return control.Tried{Fault: control.FaultOther, Cause: err.Error()}
	}
	return control.Tried{}
}
