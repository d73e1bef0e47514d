package main

import (
	"encoding/base32"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"

	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/config"
	"github.com/totpd/totpd/daemon/internal/throttle"
	"github.com/totpd/totpd/daemon/internal/verify"
)

// How people log in.
const (
	loginsADay = 20
	mistypes   = 0.03 // of answers
	givesUp    = 0.03 // of logins, after each mistype: nothing makes that one good
	newSource  = 0.01 // of logins: where the owner has never been
	tries      = 3

	helpedAfter = 7 // days at the most, where they are locked out
	typing      = 8 * time.Second
)

// owner is somebody with devices and places.
type owner struct {
	name    string
	devices []account.Device
	off     time.Duration // by how much the phone's clock is ahead
	sources []string
}

var (
	places  = []string{"192.0.2.1", "198.51.100.7", "local"}
	aPhone  = account.Device{ID: "p", Name: "phone", Digits: 6, Period: 30, Algorithm: account.SHA1, Sealed: []byte("phone's")}
	another = account.Device{ID: "q", Name: "tablet", Digits: 6, Period: 30, Algorithm: account.SHA1, Sealed: []byte("tablet's")}
	aToken  = account.Device{ID: "t", Name: "token", Digits: 6, Kind: account.HOTP, Algorithm: account.SHA1, Sealed: []byte("token's")}

	phone         = owner{"a phone", []account.Device{aPhone}, 0, places}
	twoPhones     = owner{"two phones", []account.Device{aPhone, another}, 0, places}
	wrongClock    = owner{"a phone, 4 minutes slow", []account.Device{aPhone}, -4 * time.Minute, places}
	token         = owner{"a token (HOTP)", []account.Device{aToken}, 0, places}
	phoneAndToken = owner{"a phone and a token", []account.Device{aPhone, aToken}, 0, places}
)

// result is what came of an attack.
type result struct {
	guesses   int     // judged
	odds      float64 // the highest between two unlocks
	unlocks   int
	wait      time.Duration // the owner's longest in one login from a known source
	waitNew   time.Duration // from a new one
	failed    int           // the owner's answers that no success made good
	lockedOut int           // logins that a lock refused at a known source
	lockedNew int
}

// game is one attack under way.
type game struct {
	result
	attack    attack
	acc       account.Account
	judge     verify.Judge
	rand      *rand.Rand
	book      float64 // odds since the last unlock
	addresses int
}

// play is an attack of so many days.
func play(a attack, days int) result {
	cfg := config.Default()
	g := &game{
		attack: a,
		acc:    account.Account{User: "owner", Devices: a.owner.devices},
		judge: verify.Judge{
			Open: func(d account.Device) ([]byte, error) { return d.Sealed, nil },
			Hash: func(string, string) []byte { return make([]byte, account.HashSize) },
			Skew: cfg.Code.Skew,
			Limits: throttle.Limits{
				Free: cfg.Throttle.Free, FirstWait: cfg.Throttle.FirstWait,
				LongestWait: cfg.Throttle.LongestWait, Lock: cfg.Throttle.Lock,
			},
		},
		rand: rand.New(rand.NewPCG(1, 2)),
	}
	day := time.Date(2026, 1, 1, 7, 0, 0, 0, time.UTC)
	// The owner has logged in from these before the attack begins.
	for _, s := range a.owner.sources {
		g.acc = throttle.Know(g.acc, s, day)
	}
	last, helped := day, 0
	for n := range days {
		if n%helpedAfter == 0 && g.lockedOut > helped {
			helped = g.lockedOut
			g.unlock()
		}
		for i := range loginsADay {
			at := day.Add(time.Duration(i)*45*time.Minute + time.Duration(g.rand.IntN(40))*time.Minute)
			g.guess(last, at)
			last = g.logIn(at)
		}
		day = day.Add(24 * time.Hour)
	}
	g.guess(last, day)
	return g.result
}

// logIn is a login of the owner's. It returns when it is over.
func (g *game) logIn(at time.Time) time.Time {
	source, known := g.attack.owner.sources[g.rand.IntN(len(g.attack.owner.sources))], true
	if g.rand.Float64() < newSource {
		source, known = fmt.Sprintf("203.0.113.%d", g.rand.IntN(250)), false
	}
	now, waited := at, time.Duration(0)
	login := verify.Login{Source: source}
	for asked := 0; ; {
		out, allowed := g.judge.Allowed(g.acc, login, now)
		switch {
		case allowed:
			typed := now.Add(typing)
			g.guess(now, typed)
			now = typed
			if asked++; g.answer(&login, now) {
				return g.over(now, waited, known)
			}
			if asked%tries == 0 { // that login has ended
				g.failed += login.Failed
				login.Failed = 0
			}
			if login.Failed > 0 && g.rand.Float64() < givesUp {
				g.failed += login.Failed
				return g.over(now, waited, known)
			}
		case out.Kind == verify.Waiting:
			waited += out.Until.Sub(now)
			g.guess(now, out.Until)
			now = out.Until
		case known:
			g.lockedOut++
			return now
		default:
			g.lockedNew++
			return now
		}
	}
}

// over keeps the longest wait.
func (g *game) over(now time.Time, waited time.Duration, known bool) time.Time {
	if known {
		g.wait = max(g.wait, waited)
	} else {
		g.waitNew = max(g.waitNew, waited)
	}
	return now
}

// answer types what the first device shows, or something else.
func (g *game) answer(login *verify.Login, now time.Time) bool {
	d := g.acc.Devices[0]
	step := d.Counter
	if d.Kind == account.TOTP {
		step = now.Add(g.attack.owner.off).Unix() / int64(d.Period)
	}
	typed := []byte(code(d, step))
	if g.rand.Float64() < mistypes {
		typed[g.rand.IntN(6)] = byte('0' + g.rand.IntN(10))
	}
	acc, out := g.judge.Answer(g.acc, string(typed), *login, now)
	switch out.Kind {
	case verify.Accepted:
		if g.acc = acc; g.attack.forget != nil {
			g.acc = g.attack.forget(acc)
		}
		return true
	case verify.Wrong:
		g.acc = acc
		login.Failed += out.Counted
	}
	return false
}

// code is what a device shows.
func code(d account.Device, step int64) string {
	secret := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(d.Sealed)
	c, err := hotp.GenerateCodeCustom(secret, uint64(step), hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
	if err != nil {
		panic(err)
	}
	return c
}
