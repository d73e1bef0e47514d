package doctor

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
)

// People is who has a second factor. Names are given where they are few.
type People struct {
	Enrolled int      `json:"enrolled"`
	Locked   []string `json:"locked"`
	Waiting  []string `json:"waiting"` // after wrong codes
	Pending  []string `json:"pending"` // have begun to enrol
}

// lookedUp is of how many accounts it is found out whether the host knows their users.
const lookedUp = 200

// lookPeople tells who has a second factor, and who can't log in at the moment.
func (x *exam) lookPeople() {
	x.judgeEverybody()
	if !x.listed {
		return
	}
	p := &People{Locked: []string{}, Waiting: []string{}, Pending: []string{}}
	x.report.Facts.People = p
	var enrolled []string
	for _, a := range x.accounts {
		if a.Broken != "" {
			x.found("people-broken", "", "totpctl reset "+shell(a.User)+" --yes  # then "+shell(a.User)+" enrols again; or restore the accounts, or their key, from a backup",
				"%s can't log in: %s", a.User, a.Broken)
		}
		if a.Enrolled {
			enrolled = append(enrolled, a.User)
		}
		switch {
		case a.Locked:
			p.Locked = append(p.Locked, a.User)
		case a.WaitUntil.After(x.Now):
			p.Waiting = append(p.Waiting, a.User)
		case a.PendingUntil.After(x.Now):
			p.Pending = append(p.Pending, a.User)
		}
	}
	p.Enrolled = len(enrolled)
	if x.cantAsk && len(enrolled) > 0 {
		x.found("people-no-ssh", "", "that of sshd-usepam, sshd-kbdint or sshd-methods",
			"who has a second factor can't log in over ssh with a password, since sshd can't ask for a code: %s", few(enrolled))
	}
	for _, name := range p.Locked {
		x.found("people-locked", "", "totpctl unlock "+shell(name),
			"%s is locked after too many wrong codes", name)
	}
	if len(p.Waiting) > 0 {
		x.found("people-waiting", "", "nothing: it ends by itself; totpctl users tells when",
			"%s must wait before a code is looked at, after wrong ones", few(p.Waiting))
	}
	x.judgeGone()
	x.fine("people", "%s", x.summary(p))
}

// judgeEverybody: what the module needs is missing, so it refuses whoever comes.
func (x *exam) judgeEverybody() {
	if len(x.required) == 0 {
		return
	}
	why := ""
	switch {
	case x.deaf:
		why = "nobody listens at the daemon's login socket"
	case x.dead:
		why = "the daemon doesn't answer"
	case x.hasFound("module-missing"), x.hasFound("module-broken"), x.hasFound("module-machine"):
		why = "the PAM module can't be loaded"
	default:
		return
	}
	x.found("people-shut-out", "", "keep a root shell open, and fix the other errors",
		"nobody can log in by %s now, with or without a second factor: %s", few(x.required), why)
}

func (x *exam) hasFound(prefix string) bool {
	for _, f := range x.report.Findings {
		if strings.HasPrefix(f.ID, prefix) && f.Severity == Error {
			return true
		}
	}
	return false
}

// hasUID returns the name that a uid has on this host itself, or "".
func (x *exam) hasUID(uid uint32) string {
	text, err := os.ReadFile(x.path("/etc/passwd"))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Split(line, ":"); len(f) == 7 && f[2] == strconv.FormatUint(uint64(uid), 10) {
			return f[0]
		}
	}
	return ""
}

// judgeGone finds accounts whose users the host no longer knows, or knows by another name or uid.
func (x *exam) judgeGone() {
	var gone, moved []string
	one := "" // what is said of the only one who moved
	for _, a := range x.accounts[:min(len(x.accounts), lookedUp)] {
		var unknown user.UnknownUserError
		switch u, err := x.lookup(a.User); {
		case errors.As(err, &unknown) && (a.Owned() || a.MustEnrol && a.UID != nil) && x.hasUID(*a.UID) != "":
			now := x.hasUID(*a.UID)
			x.found("people-renamed", "", "totpctl adopt "+shell(now)+" "+shell(a.User)+"  # if it is the same person; else: totpctl disable "+shell(a.User),
				"uid %d is the user %s now, and its account is that of %s: every login as %s is refused", *a.UID, now, a.User, now)
		case errors.As(err, &unknown):
			gone = append(gone, a.User)
		case err == nil && a.Owned() && u.Uid != strconv.FormatUint(uint64(*a.UID), 10):
			moved = append(moved, a.User)
			one = fmt.Sprintf("the account of %s belongs to uid %d, and the user has uid %s now: every login is refused", a.User, *a.UID, u.Uid)
		}
	}
	switch len(moved) {
	case 0:
	case 1:
		x.found("people-uid", "", "totpctl adopt "+shell(moved[0])+"  # if it is the same person; else: totpctl reset "+shell(moved[0]), "%s", one)
	default:
		x.found("people-uid", "", "totpctl adopt --all  # if they are the same people, as after a backup of another host was restored; else totpctl reset for each who is not",
			"accounts belong to other uids than their users have now, and every login of these is refused: %s", few(moved))
	}
	if x.mute {
		x.unseen("people", "whether the host still knows the users of all accounts: %v", errMute)
		return
	}
	if len(gone) > 0 {
		x.found("people-gone", "", "totpctl disable "+shell(gone[0])+" --yes",
			"the host no longer knows %s: a new user of that name with the same uid would be asked for the old one's codes", few(gone))
	}
}

func (x *exam) summary(p *People) string {
	people := func(n int) string {
		if n == 1 {
			return "1 user has"
		}
		return fmt.Sprintf("%d users have", n)
	}
	text := people(p.Enrolled) + " a second factor, none is locked"
	if p.Enrolled == 0 {
		text = "nobody has a second factor yet"
	}
	if len(p.Pending) > 0 {
		text += fmt.Sprintf("; begun to enrol: %s", few(p.Pending))
	}
	return text
}
