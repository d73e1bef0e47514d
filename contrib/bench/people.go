package main

import (
	"bytes"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
)

const (
	period    = 30  // seconds of a step
	codeSteps = 120 // of which every user's codes are computed: an hour
)

// user is somebody who logs in. In every module the secret is the same.
type user struct {
	name   string
	secret []byte
	codes  []string // of the steps from people.first on
}

// people are the users who log in, and the codes that a client in this process has used up.
type people struct {
	users []user
	first int64 // step of the first code
	last  []int64
	turn  int
}

func (u user) base32() string {
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(u.secret)
}

// among returns the name of the user at a place among a million others, in the order of the alphabet.
func among(place int) string { return fmt.Sprintf("u%07d", place) }

// newPeople makes users whose names lie evenly among others.
func newPeople(count, others int) (*people, error) {
	p := &people{first: time.Now().Unix()/period - 2, last: make([]int64, count)}
	for i := range count {
		u := user{name: among(i * (others / count)), secret: make([]byte, 20)}
		rand.Read(u.secret) // never fails: crypto/rand
		for step := range int64(codeSteps) {
			code, err := hotp.GenerateCodeCustom(u.base32(), uint64(p.first+step),
				hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
			if err != nil {
				return nil, err
			}
			u.codes = append(u.codes, code)
		}
		p.users = append(p.users, u)
	}
	return p, nil
}

// write makes the file that host reads.
func (p *people) write(path string) error {
	var b bytes.Buffer
	fmt.Fprintln(&b, period, p.first, codeSteps)
	for _, u := range p.users {
		b.WriteString(u.name)
		for _, c := range u.codes {
			b.WriteString(" " + c)
		}
		b.WriteByte('\n')
	}
	return os.WriteFile(path, b.Bytes(), 0o600)
}

// forget says that the state is fresh: no code is used up.
func (p *people) forget() { p.last, p.turn = make([]int64, len(p.users)), 0 }

// take returns the next user with an unused code, by the same rule as host does. It waits for the next
// step when all codes are used up.
func (p *people) take() (user, string, error) {
	for {
		now := time.Now()
		step := now.Unix() / period
		left := time.Unix((step+1)*period, 0).Sub(now)
		lowest := step - 1
		if left < time.Second {
			lowest = step
		}
		for range p.users {
			i := p.turn % len(p.users)
			p.turn++
			s := max(p.last[i]+1, lowest)
			if s > step+1 {
				continue
			}
			if s >= p.first+codeSteps {
				return user{}, "", errors.New("no codes for this time: the run took too long")
			}
			p.last[i] = s
			return p.users[i], p.users[i].codes[s-p.first], nil
		}
		time.Sleep(left)
	}
}
