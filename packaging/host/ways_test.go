package host

import (
	"regexp"
)

// way is one of the ways into a host, or to more rights on it.
type way struct {
	name     string
	password string                  // its prompt
	open     func(p *person) *screen // begins it
	in       func(p *person) string  // what shows that the person is in
}

var ways = []way{
	{"ssh", password, func(p *person) *screen { return p.ssh() }, welcome},
	{"console", password, (*person).console, (*person).prompt},
	{"tty", password, (*person).login, (*person).prompt},
	{"su", password, func(p *person) *screen { return p.from("su - " + p.Name) }, (*person).prompt},
	{"su --pty", password, func(p *person) *screen { return p.from("su --pty - " + p.Name) }, (*person).prompt},
	{"sudo", `\[sudo\] password for .*: ?$`, func(p *person) *screen {
		p.host.run("adduser", "--quiet", p.Name, "sudo")
		return p.terminal("sudo", "--", "echo", "welcome,", p.Name)
	}, welcome},
	// A PAM program that runs as the user whose screen is locked.
	{"locker", password, func(p *person) *screen { return p.terminal("locker", "locker", p.Name) }, welcome},
}

func welcome(p *person) string { return `^welcome, ` + p.Name + `\s*$` }

// console begins a login at the host's console.
func (p *person) console() *screen {
	p.host.t.Helper()
	s := &screen{p.host.Console, p.host.t, "console"}
	p.host.terminals = append(p.host.terminals, s)
	s.must(s.Press("Enter"))
	s.answer(`login: ?$`, p.Name)
	return s
}

// from begins a command in a shell of somebody else's, at a terminal of the host.
func (p *person) from(command string) *screen {
	p.host.t.Helper()
	if p.host.visitor == nil {
		p.host.visitor = p.host.person("visitor")
	}
	other := p.host.visitor
	s := other.login()
	s.answer(password, other.Password)
	s.answer(other.prompt(), command)
	return s
}

// terminal runs a command as the person, at a terminal of the host, without a login. The terminal stays
// until somebody types: systemd-run may lose what a program says at its very end.
func (p *person) terminal(argv ...string) *screen {
	p.host.t.Helper()
	as := []string{"setpriv", "--reuid=" + p.Name, "--regid=" + p.Name, "--init-groups", "env", "HOME=/home/" + p.Name, "USER=" + p.Name}
	as = append(as, "sh", "-c", `"$@"; read -r line`, "sh")
	return p.host.open(p.host.Terminal(append(as, argv...)...)...)
}

// goes goes a way with the right answers.
func (p *person) goes(w way) {
	p.host.t.Helper()
	p.host.t.Logf("%s: %s", p.Name, w.name)
	l := w.open(p)
	l.answer(w.password, p.Password)
	if p.phone != nil {
		l.answer(code, p.code())
	}
	l.see(w.in(p))
	l.leave()
}

// refused goes a way with wrong codes. That shows a reference, by which root finds the cause in the
// journal.
func (p *person) refused(w way) {
	t := p.host.t
	t.Helper()
	t.Logf("%s: %s, with wrong codes", p.Name, w.name)
	l := w.open(p)
	l.answer(w.password, p.Password)
	for range 3 {
		l.answer(code, p.wrongCode())
	}
	reference := regexp.MustCompile(`reference ([0-9A-Z]{4}-[0-9A-Z]{4})`)
	finds := p.Name
	if w.name == "sudo" { // whose sudoers(5) has pam_silent on: it shows no more than its own words
		l.see(`Sorry, try again`)
	} else {
		finds = reference.FindStringSubmatch(l.see(reference.String()))[1]
	}
	l.never(w.in(p))
	line := p.host.script("journalctl --unit=totpd --grep=" + finds)
	if !regexp.MustCompile(`user=` + p.Name + ` .*reason=wrong`).MatchString(line) {
		t.Errorf("the reference finds %s", line)
	}
}
