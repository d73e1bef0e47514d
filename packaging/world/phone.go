package world

import (
	"errors"
	"fmt"
	"net/url"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// Phone is an authenticator with one account in it. It remembers which codes it gave, since each works
// once.
type Phone struct {
	Label     string
	secret    string
	digits    string
	period    int64
	algorithm string
	used      map[int64]bool
}

// NewPhone returns a phone that has scanned an otpauth URI.
func NewPhone(uri string) (*Phone, error) {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "otpauth" || u.Host != "totp" {
		return nil, errors.New("what was read is no otpauth://totp/ link")
	}
	q := u.Query()
	or := func(key, otherwise string) string {
		if v := q.Get(key); v != "" {
			return v
		}
		return otherwise
	}
	p := &Phone{
		Label: strings.TrimPrefix(u.Path, "/"), secret: q.Get("secret"), digits: or("digits", "6"),
		algorithm: or("algorithm", "SHA1"), used: map[int64]bool{},
	}
	if p.secret == "" {
		return nil, errors.New("the otpauth link has no secret")
	}
	p.period, err = strconv.ParseInt(or("period", "30"), 10, 64)
	return p, err
}

// code computes the code of a step with oathtool, an implementation that totpd shares nothing with.
func (p *Phone) code(step int64) (string, error) {
	cmd := exec.Command("oathtool", "--totp="+p.algorithm, "-b", "-d", p.digits,
		"-s", fmt.Sprintf("%ds", p.period), "-N", fmt.Sprintf("@%d", step*p.period), "-")
	cmd.Stdin = strings.NewReader(p.secret + "\n")
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("oathtool: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// Code returns a code that is right now and that this phone has not given before. The codes of the
// step before and the step after are right too (a skew of one), which saves waiting for the next step;
// when all are spent, it waits.
func (p *Phone) Code() (string, error) {
	for {
		now := time.Now()
		step := now.Unix() / p.period
		left := time.Unix((step+1)*p.period, 0).Sub(now)
		candidates := []int64{step, step + 1}
		if left > 4*time.Second { // or it's too old when it arrives
			candidates = append([]int64{step - 1}, candidates...)
		}
		for _, s := range candidates {
			if !p.used[s] {
				p.used[s] = true
				return p.code(s)
			}
		}
		time.Sleep(left + 100*time.Millisecond)
	}
}

// WrongCode returns a code that is not right, nor will be within two steps.
func (p *Phone) WrongCode() (string, error) {
	step := time.Now().Unix() / p.period
	right := map[string]bool{}
	for s := step - 2; s <= step+3; s++ {
		c, err := p.code(s)
		if err != nil {
			return "", err
		}
		right[c] = true
	}
	for _, c := range []string{"123456", "234567", "345678", "456789", "567890", "678901", "789012"} {
		if !right[c] {
			return c, nil
		}
	}
	return "", errors.New("every wrong code is right")
}
