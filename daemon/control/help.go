package control

import (
	"context"
	"time"
)

// ShowRequest asks for everything about one user.
type ShowRequest struct {
	User string `json:"user"`
}

// Shown is what whoever helps a user needs to know.
type Shown struct {
	Account
	Passwords int        `json:"passwords"`        // wrong passwords in a row, given to totpctl
	Computers []Computer `json:"computers"`        // from which no code is asked
	Sources   []Source   `json:"sources"`          // the latest last
	Policy    *Policy    `json:"policy,omitempty"` // for a login through sshd on this host, where it can be told
	Logins    []LogEntry `json:"logins"`           // the latest, in order
}

// Source is where a user has logged in from. Strangers can't keep the user out from there.
type Source struct {
	From     string    `json:"from"`
	Used     time.Time `json:"used"`
	Failures int       `json:"failures"` // in a row, since
}

// UnlockRequest forgets all failures of a user.
type UnlockRequest struct {
	User string `json:"user"`
}

// Unlocked says what was forgotten.
type Unlocked struct {
	User      string `json:"user"`
	Failures  int    `json:"failures"`  // wrong codes
	Passwords int    `json:"passwords"` // wrong passwords, given to totpctl
}

// ResetRequest takes everything away that a user has, and has the next login enrol.
type ResetRequest struct {
	User string `json:"user"`
}

// LogMax is how many entries one answer to a LogRequest holds at the most.
const LogMax = 300

// LogRequest asks for the history of events: the newest, or those after After.
type LogRequest struct {
	User      string    `json:"user,omitempty"`
	Reference string    `json:"reference,omitempty"`
	Since     time.Time `json:"since,omitzero"`
	After     int64     `json:"after,omitempty"`  // an entry's ID: the oldest of those written later
	Before    int64     `json:"before,omitempty"` // an entry's ID: only those written earlier
	Limit     int       `json:"limit,omitempty"`  // 0: LogMax
}

// Log are entries in the order in which they were written.
type Log struct {
	Entries []LogEntry `json:"entries"`
}

// LogEntry is one event. What is missing is empty; to a user who isn't an admin, so are Detail and Action.
type LogEntry struct {
	ID        int64     `json:"id"` // larger than all before it
	Time      time.Time `json:"time"`
	User      string    `json:"user"`
	Kind      string    `json:"kind"`
	Result    string    `json:"result"`
	Reason    string    `json:"reason,omitempty"`
	Service   string    `json:"service,omitempty"`
	Source    string    `json:"source,omitempty"`
	TTY       string    `json:"tty,omitempty"`
	Caller    string    `json:"caller_uid,omitempty"`
	Device    string    `json:"device,omitempty"`
	Reference string    `json:"reference,omitempty"`
	Detail    string    `json:"detail,omitempty"`
	Action    string    `json:"action,omitempty"`
}

// Show asks for everything about one user.
func (c *Client) Show(ctx context.Context, r ShowRequest) (Shown, error) {
	return ask[Shown](ctx, c, VerbShow, r)
}

// Unlock forgets all failures of a user.
func (c *Client) Unlock(ctx context.Context, r UnlockRequest) (Unlocked, error) {
	return ask[Unlocked](ctx, c, VerbUnlock, r)
}

// Reset takes everything away that a user has, and has the next login enrol.
func (c *Client) Reset(ctx context.Context, r ResetRequest) (Account, error) {
	return ask[Account](ctx, c, VerbReset, r)
}

// Log asks for a user's history.
func (c *Client) Log(ctx context.Context, r LogRequest) (Log, error) {
	return ask[Log](ctx, c, VerbLog, r)
}

// LogAll asks for everybody's history.
func (c *Client) LogAll(ctx context.Context, r LogRequest) (Log, error) {
	return ask[Log](ctx, c, VerbLogAll, r)
}
