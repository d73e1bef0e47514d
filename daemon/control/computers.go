package control

import (
	"context"
	"time"
)

// RememberedRequest asks for the computers from which a user is asked for no code.
type RememberedRequest struct {
	User string `json:"user,omitempty"`
}

// Remembered are computers, the latest last.
type Remembered struct {
	User      string     `json:"user"`
	Computers []Computer `json:"computers"`
}

// Computer is one that is remembered.
type Computer struct {
	ID       string    `json:"id"`   // to forget it by
	From     string    `json:"from"` // its address, or its network of IPv6
	Name     string    `json:"name"` // the ssh key, or the service where there was none
	Since    time.Time `json:"since"`
	Expires  time.Time `json:"expires"`            // at the latest: a rule that is made stricter ends it earlier
	LastUsed time.Time `json:"last_used,omitzero"` // a day
}

// ForgetRequest ends what is remembered: all of it, or one computer, or those of an address. One of the three
// is given.
type ForgetRequest struct {
	User string `json:"user,omitempty"`
	All  bool   `json:"all,omitempty"`
	ID   string `json:"id,omitempty"`
	From string `json:"from,omitempty"`
}

// Remembered asks for the remembered computers.
func (c *Client) Remembered(ctx context.Context, r RememberedRequest) (Remembered, error) {
	return ask[Remembered](ctx, c, VerbRemembered, r)
}

// Forget forgets computers, and returns them.
func (c *Client) Forget(ctx context.Context, r ForgetRequest) (Remembered, error) {
	return ask[Remembered](ctx, c, VerbForget, r)
}
