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
	Failures  int    `json:"failures"`  // wrong codes, of all kinds
	Passwords int    `json:"passwords"` // wrong passwords, given to totpctl
}

// ResetRequest takes everything away that a user has, and has the next login enrol.
type ResetRequest struct {
	User string `json:"user"`
}

// AdoptRequest gives a user, with the uid of now, the account that is kept under the name From.
type AdoptRequest struct {
	User string `json:"user"`
	From string `json:"from,omitempty"` // empty: User
}

// Adopt gives a user the account of before a change of name or uid.
func (c *Client) Adopt(ctx context.Context, r AdoptRequest) (Account, error) {
	return ask[Account](ctx, c, VerbAdopt, r)
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
