package control

import (
	"context"
	"iter"
	"time"
)

// StatusRequest asks for one account.
type StatusRequest struct {
	User string `json:"user,omitempty"`
}

// Account is what may be told of an account.
type Account struct {
	User         string    `json:"user"`
	Enrolled     bool      `json:"enrolled"`
	Devices      []Device  `json:"devices"`
	PendingUntil time.Time `json:"pending_until,omitzero"` // an enrolment waits for its first code until then
	Failures     int       `json:"failures"`               // wrong codes that no success has forgiven
	UID          *uint32   `json:"uid,omitempty"`          // of the user who enrolled, where it is known
	WaitUntil    time.Time `json:"wait_until,omitzero"`    // no code is judged before, from where the user has not logged in
	Locked       bool      `json:"locked"`                 // too many wrong codes: root must help
	// LockedElsewhere: codes are judged only from where the user has logged in before.
	LockedElsewhere bool     `json:"locked_elsewhere,omitempty"`
	RecoveryLeft    int      `json:"recovery_left"`        // recovery codes that weren't used yet
	Bypass          []Bypass `json:"bypass,omitempty"`     // bypass codes that are good now
	Remembered      int      `json:"remembered,omitempty"` // computers from which no code is asked
	MustEnrol       bool     `json:"must_enrol,omitempty"` // was reset: the next login enrols
	// Broken says why the record can't be used: no code of the user is judged. Where nothing of it could be
	// read, the other fields are empty.
	Broken string `json:"broken,omitempty"`
}

// Owned says whether there is something in the account that only the user with its UID may use.
func (a Account) Owned() bool {
	return a.UID != nil && (a.Enrolled || a.RecoveryLeft > 0 || len(a.Bypass) > 0)
}

// Device is what may be told of a device.
type Device struct {
	Name      string    `json:"name"`
	Digits    int       `json:"digits"`
	Period    int       `json:"period"` // seconds
	Algorithm string    `json:"algorithm"`
	Added     time.Time `json:"added"`
	LastUsed  time.Time `json:"last_used,omitzero"`
	Kind      string    `json:"kind,omitempty"` // "hotp": its codes count events, and Period is 0
}

// UsersRequest asks for the next page of accounts in order of user name: those after After.
type UsersRequest struct {
	After string `json:"after,omitempty"`
}

// Users is one page. More says that another follows after the last of these.
type Users struct {
	Users []Account `json:"users"`
	More  bool      `json:"more"`
}

// Status asks for one account.
func (c *Client) Status(ctx context.Context, r StatusRequest) (Account, error) {
	return ask[Account](ctx, c, VerbStatus, r)
}

// Users asks for all accounts in order of user name, a page at a time as they are ranged over. An
// error is the last that it yields.
func (c *Client) Users(ctx context.Context) iter.Seq2[Account, error] {
	return func(yield func(Account, error) bool) {
		for r := (UsersRequest{}); ; {
			page, err := ask[Users](ctx, c, VerbUsers, r)
			if err != nil {
				yield(Account{}, err)
				return
			}
			for _, a := range page.Users {
				if a.User <= r.After {
					yield(Account{}, c.badAnswer("a list of users out of order"))
					return
				}
				r.After = a.User
				if !yield(a, nil) {
					return
				}
			}
			if !page.More {
				return
			}
			if len(page.Users) == 0 {
				yield(Account{}, c.badAnswer("a list of users without an end"))
				return
			}
		}
	}
}
