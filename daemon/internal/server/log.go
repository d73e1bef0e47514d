package server

import (
	"context"
	"errors"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/internal/audit"
)

// logOf is a user's history. The owner sees of it what happened; what was the matter with the host is root's
// to know.
func (c *call) logOf(ctx context.Context, r control.LogRequest) (control.Log, error) {
	q := asked(r)
	q.User, q.Own = c.user, !c.admin && !c.peer.Root()
	return c.entries(ctx, q)
}

func (c *call) logAll(ctx context.Context, r control.LogRequest) (control.Log, error) {
	if r.User != "" {
		return control.Log{}, c.malformed("user: everybody's log is nobody's")
	}
	return c.entries(ctx, asked(r))
}

func asked(r control.LogRequest) audit.Query {
	q := audit.Query{Reference: r.Reference, Since: r.Since, After: r.After, Before: r.Before, Limit: r.Limit}
	if q.Limit <= 0 || q.Limit > control.LogMax {
		q.Limit = control.LogMax
	}
	return q
}

func (c *call) entries(ctx context.Context, q audit.Query) (control.Log, error) {
	entries, err := c.history(ctx, q)
	return control.Log{Entries: entries}, err
}

func (c *call) history(ctx context.Context, q audit.Query) ([]control.LogEntry, error) {
	found, err := c.control.Accounts.Events(ctx, q)
	switch {
	case errors.Is(err, context.Canceled): // the caller has hung up, as totpctl log -f does in the end
		return nil, &control.Error{Code: control.ErrUnavailable, Message: "nobody waits for the answer"}
	case err != nil:
		return nil, c.unavailable("store", err)
	}
	entries := make([]control.LogEntry, 0, len(found))
	for _, e := range found {
		entry := control.LogEntry{
			ID: e.ID, Time: e.At, User: e.User, Kind: string(e.Kind), Result: string(e.Result), Reason: e.Reason,
			Service: e.Service, Source: e.Source, TTY: e.TTY, Caller: e.Caller, Device: e.Device, Reference: e.Reference,
		}
		if !q.Own {
			entry.Detail, entry.Action = e.Detail, e.Action
		}
		entries = append(entries, entry)
	}
	return entries, nil
}
