package server

import (
	"context"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/internal/audit"
)

// loginsShown is how many events of logins show tells.
const loginsShown = 10

func (c *call) show(ctx context.Context, _ control.ShowRequest) (control.Shown, error) {
	shown, err := c.enrolment().Show(ctx, c.user)
	if err != nil {
		return control.Shown{}, err
	}
	if rules, err := c.policy(ctx, control.PolicyRequest{}); err == nil { // else the journal says why
		shown.Policy = &rules
	}
	shown.Logins, err = c.history(ctx, audit.Query{User: c.user, Kind: audit.Login, Limit: loginsShown})
	return shown, err
}

func (c *call) unlock(ctx context.Context, _ control.UnlockRequest) (control.Unlocked, error) {
	return c.enrolment().Unlock(ctx, c.user)
}

func (c *call) reset(ctx context.Context, _ control.ResetRequest) (control.Account, error) {
	return c.enrolment().Reset(ctx, c.user)
}

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
	if err != nil {
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
