package enrol

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
	"github.com/totpd/totpd/daemon/internal/source"
)

// Remembered tells the computers from which the user is asked for no code.
func (s *Service) Remembered(ctx context.Context, user string) (control.Remembered, error) {
	acc, _, err := s.store.Get(ctx, user)
	if err != nil {
		return control.Remembered{}, s.report(ctx, audit.Forget, "remembered", user).refuse(err)
	}
	return control.Remembered{User: user, Computers: remembered(acc, s.clock())}, nil
}

// remembered are the computers from which no code is asked at the time now.
func remembered(acc account.Account, now time.Time) []control.Computer {
	computers := []control.Computer{}
	for _, c := range acc.Remembered {
		if now.Before(c.Expires) {
			computers = append(computers, tell(c))
		}
	}
	return computers
}

// Forget forgets all computers, or one, or those of an address, and returns them. With all of them, the grace
// of terminal sessions ends too.
func (s *Service) Forget(ctx context.Context, user string, which control.ForgetRequest) (control.Remembered, error) {
	r := s.report(ctx, audit.Forget, "forget", user)
	var from string
	switch at := source.Of(user, which.From, ""); {
	case (which.All && (which.ID != "" || which.From != "")) || (which.ID != "") == (which.From != "") && !which.All:
		return control.Remembered{}, r.refuse(badForget("either all, or one computer, or an address"))
	case which.From != "" && !at.Addr.IsValid():
		return control.Remembered{}, r.refuse(badForget("not an address"))
	case which.From != "":
		from = at.Key()
	}
	forgotten := control.Remembered{User: user, Computers: []control.Computer{}}
	err := s.change(ctx, r, user, Consent{Admin: true}, func(acc account.Account, _ time.Time) (account.Account, error) {
		forgotten.Computers = forgotten.Computers[:0]
		var kept []account.Remembered
		for _, c := range acc.Remembered {
			if told := tell(c); which.All || told.ID == which.ID || which.From != "" && c.From == from {
				forgotten.Computers = append(forgotten.Computers, told)
			} else {
				kept = append(kept, c)
			}
		}
		if len(forgotten.Computers) == 0 && !which.All {
			return acc, errNoComputer
		}
		if which.All {
			acc.Grace = nil
		}
		acc.Remembered = kept
		return acc, nil
	})
	if err != nil {
		return control.Remembered{}, err
	}
	var names []string
	for _, c := range forgotten.Computers {
		names = append(names, c.From+", "+c.Name)
	}
	r.event.Detail = fmt.Sprintf("%d forgotten", len(names))
	if len(names) > 0 {
		r.event.Detail += ": " + strings.Join(names, "; ")
	}
	r.done(audit.Done, "")
	return forgotten, nil
}

var errNoComputer = &refusal{code: control.ErrNoComputer, reason: "no_computer", message: "no such computer is remembered"}

func badForget(message string) *refusal {
	return &refusal{code: control.ErrBadRequest, reason: "bad_forget", message: message}
}

// tell is what may be told of a computer. Its ID is a piece of a keyed hash, which is of no other use.
func tell(c account.Remembered) control.Computer {
	return control.Computer{
		ID: hex.EncodeToString(c.Hash[:4]), From: c.From, Name: c.Name, Since: c.Since, Expires: c.Expires, LastUsed: c.LastUsed,
	}
}
