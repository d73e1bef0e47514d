package main

import (
	"fmt"
	"time"

	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/throttle"
	"github.com/totpd/totpd/daemon/internal/verify"
)

// attack is one strategy against one owner.
type attack struct {
	name      string
	owner     owner
	neighbour bool // the guesser comes from an address of the owner's
	patient   bool // guesses only when the owner has just logged in
	parallel  int  // guesses made at the same time, whenever one may be judged
	// forget is done to the account after each success: what totpd did once, for the test.
	forget func(account.Account) account.Account
}

var attacks = []attack{
	{name: "none", owner: phone},
	{name: "flat out", owner: phone, parallel: 1},
	{name: "64 at once", owner: phone, parallel: 64},
	{name: "patient", owner: phone, parallel: 1, patient: true},
	{name: "patient, 64 at once", owner: phone, parallel: 64, patient: true},
	{name: "64 at once", owner: twoPhones, parallel: 64},
	{name: "patient", owner: twoPhones, parallel: 1, patient: true},
	{name: "64 at once", owner: wrongClock, parallel: 64},
	{name: "patient", owner: wrongClock, parallel: 1, patient: true},
	{name: "64 at once", owner: token, parallel: 64},
	{name: "patient", owner: token, parallel: 1, patient: true},
	{name: "64 at once", owner: phoneAndToken, parallel: 64},
	{name: "behind the owner's address", owner: phone, parallel: 64, neighbour: true},
	{name: "patient, behind that address", owner: phone, parallel: 1, patient: true, neighbour: true},
}

// guess has the attacker do what can be done from one time to another.
func (g *game) guess(from, to time.Time) {
	if g.attack.parallel == 0 {
		return
	}
	for t := from; t.Before(to); {
		login := verify.Login{Source: g.address()}
		out, allowed := g.judge.Allowed(g.acc, login, t)
		switch {
		case allowed:
			for range g.attack.parallel {
				g.try(login, t)
				login.Source = g.address()
			}
			if g.attack.patient {
				return
			}
			t = t.Add(time.Second)
		case out.Kind == verify.Waiting && !g.attack.patient:
			t = out.Until
		default:
			return
		}
	}
}

// try is one guess. Before it is made, the book has what it could win.
func (g *game) try(login verify.Login, now time.Time) {
	if _, allowed := g.judge.Allowed(g.acc, login, now); !allowed {
		return
	}
	could := g.couldWin(now)
	acc, out := g.judge.Answer(g.acc, fmt.Sprintf("%06d", g.rand.IntN(1e6)), login, now)
	switch out.Kind {
	case verify.Wrong:
		g.acc = acc
		g.guesses++
		g.book += could
		g.odds = max(g.odds, g.book)
	case verify.Accepted: // lucky, and no worse for the owner: the book has the odds
	}
}

// couldWin is the odds of one guess, from the account and not from what the throttle makes of them: how many
// of the million codes would let in now.
func (g *game) couldWin(now time.Time) float64 {
	codes := map[string]bool{}
	for _, d := range g.acc.Devices {
		near := []int64{d.Counter, d.Counter + 1, d.Counter + 2, d.Counter + 3, d.Counter + 4, d.Counter + 5}
		if d.Kind == account.TOTP {
			middle := now.Unix()/int64(d.Period) + int64(d.Drift)
			near = []int64{middle - 2, middle - 1, middle, middle + 1, middle + 2}
		}
		if d.Resync != nil {
			near = append(near, d.Resync.Step+1, d.Resync.Step+2, d.Resync.Step+3)
		}
		for _, step := range near {
			codes[code(d, step)] = true
		}
	}
	known := g.acc
	known.Codes, known.Spent, known.Strangers = account.Attempts{}, account.Spent{}, account.Attempts{}
	won := 0
	for c := range codes {
		if _, out := g.judge.Answer(known, c, verify.Login{Source: "another"}, now); out.Kind == verify.Accepted {
			won++
		}
	}
	return float64(won) / 1e6
}

// address is where the next guess comes from.
func (g *game) address() string {
	if g.attack.neighbour {
		return g.attack.owner.sources[0]
	}
	g.addresses++
	return fmt.Sprintf("2001:db8:%x:%x::/64", g.addresses>>16, g.addresses&0xffff)
}

// unlock is root's help.
func (g *game) unlock() {
	g.acc = throttle.Unlock(g.acc)
	g.unlocks++
	g.book = 0
}
