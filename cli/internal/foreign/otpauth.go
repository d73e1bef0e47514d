package foreign

import (
	"fmt"
	"strings"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/control/otpauth"
)

// Site is this host, as labels of links call it.
type Site struct {
	Host   string // behind the last @ of a label
	Issuer string // before its colon, or the parameter issuer
}

// OTPAuth reads a list of otpauth links, one a line, each with the user before it. Without one, the user is
// in the label, as long as the label's host or issuer is this site: root of another site is not root here.
// Empty lines and those that begin with # are passed over. A user may be in several lines.
func OTPAuth(place, text string, here Site) []Found {
	var all []Found
	number := 0
	for line := range strings.SplitSeq(text, "\n") {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		f := Found{Places: []string{fmt.Sprintf("%s:%d", place, number)}}
		f.otpauthLine(line, here)
		all = append(all, f)
	}
	return Merge(all)
}

// otpauthLine reads: [USER] LINK. Of a line that is anything else, nothing is kept: it may hold a password.
func (f *Found) otpauthLine(line string, here Site) {
	at := otpauth.Index(line)
	if at < 0 || at > 0 && !isUser(line[:at]) {
		f.refuse("not an otpauth link, nor a user with an otpauth link behind: %s", howLines)
		return
	}
	k, secret, err := otpauth.Parse(line[at:])
	f.User = strings.TrimSpace(line[:at])
	if err != nil {
		f.refuse("%v", err)
		return
	}
	if f.User == "" {
		f.User = here.userOf(k)
	}
	if f.User == "" {
		f.refuse("it doesn't say whose it is on this host: write the user before the link")
		return
	}
	d := newDevice(phone, secret)
	d.Digits, d.Period, d.Algorithm = k.Digits, k.Period, k.Algorithm
	if k.Counts {
		d.Name = token
		eventBased(&d, k.Counter)
	}
	f.Devices = []control.ImportDevice{d}
}

// howLines is what a line of a list must look like.
const howLines = "a line is LINK or USER LINK"

// isUser says whether what stands before a link is one word that may be a user, with a blank behind.
func isUser(before string) bool {
	words := strings.Fields(before)
	return len(words) == 1 && strings.TrimRight(before, " \t") != before && !strings.ContainsAny(words[0], `,;:"'|/=<>()`)
}

// userOf returns the user of this host that a label names: USER@HOST with this host, or USER alone with this
// host's issuer. Otherwise it returns nothing.
func (s Site) userOf(k otpauth.Key) string {
	user, host, withHost := cutLast(k.Account, "@")
	switch {
	case withHost && same(host, s.Host):
		return strings.TrimSpace(user)
	case !withHost && (same(k.Issuer, s.Issuer) || same(k.Issuer, s.Host)):
		return k.Account
	}
	return ""
}

// same compares names of hosts. One that every host may have says nothing.
func same(a, ours string) bool {
	a = strings.TrimSpace(a)
	return a != "" && strings.EqualFold(a, ours) && !strings.HasPrefix(strings.ToLower(a), "localhost")
}
