package host

import (
	"slices"
	"strings"
	"testing"
)

// TestServices has servers that can't ask for a code as they come. setup leaves them out, and says why. With lines that
// somebody wrote by hand, users who need no code get in all the same where the program may speak for them, and every
// refusal has its cause in the journal. doctor finds the lines, and what it says helps.
func TestServices(t *testing.T) {
	t.Parallel()
	s := boot(t)
	s.install()
	s.serve()
	plain := s.customer(s.person("plain"))
	enrolled := map[string]*person{}
	for _, v := range servers {
		enrolled[v.name] = s.customer(s.enrolled(v.name + "user"))
	}
	// The files of two screen lockers, as their packages have them.
	s.script("for locker in i3lock swaylock; do dpkg-deb --fsys-tarfile " + Spare + "/${locker}_*.deb | tar -x -C / ./etc/pam.d; done")

	told, err := s.Run("sh", "-c", "totpctl setup --service all --ssh any+code --yes 2>&1")
	s.must(err)
	for _, v := range servers {
		if !strings.Contains(told, "- "+v.pam+" is left out, and asks for no code: ") {
			t.Errorf("%s isn't left out:\n%s", v.name, told)
		}
		p := enrolled[v.name]
		if in, said := v.login(s, p.Name, p.Password); !in {
			t.Errorf("%s, left out: %s", v.name, said)
		}
	}
	for _, locker := range []string{"i3lock", "swaylock"} {
		if text := s.run("cat", "/etc/pam.d/"+locker); !strings.Contains(text, "\nauth  required  pam_totpd.so prompt=combined\n") || strings.Contains(text, "\nauth include login\n") {
			t.Errorf("%s:\n%s", locker, text)
		}
	}
	if found := s.doctor(); len(found) > 0 {
		t.Errorf("after setup: %+v", found)
	}
	s.run("totpctl", "setup", "--undo", "--yes")
	s.byHand(plain, enrolled)
	s.remedies(plain, enrolled)
}

func nothing() string { return "" }

// byHand has lines in the servers' files that setup refuses to put there.
func (s *site) byHand(plain *person, enrolled map[string]*person) {
	s.t.Helper()
	for _, v := range servers {
		s.script("cp /etc/pam.d/" + v.pam + " /root; sed -i '1i auth required pam_totpd.so prompt=combined' /etc/pam.d/" + v.pam)
	}
	for _, v := range servers {
		in, said := v.login(s, plain.Name, plain.Password)
		if in != (v.user == "") {
			s.t.Errorf("%s, a user without a second factor: %v: %s", v.name, in, said)
		}
		if v.user != "" {
			s.journalHas("not_own_login", v.user+" isn't root, and no [[speaker]] lets it speak for others in this service", "service="+v.pam)
		}
	}
	// Nothing was left in them.
	s.script(`for name in proftpd vsftpd auth; do for pid in $(pidof $name); do grep -q '^Threads:.1$' /proc/$pid/status; done; done`)
	for _, v := range servers {
		p := enrolled[v.name]
		if in, said := v.login(s, p.Name, p.Password+p.code()); in {
			s.t.Errorf("%s, a user with a second factor: %s", v.name, said)
		}
	}
	s.journalHas("pam_totpd(vsftpd:auth): denied: too little address space")
	s.journalHas("pam_totpd(dovecot:auth): denied: too little address space")
}

// journalHas looks for one line with all of this.
func (s *site) journalHas(words ...string) {
	s.t.Helper()
	for line := range strings.Lines(s.Journal()) {
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
			return
		}
	}
	s.t.Errorf("no line of the journal has %q", words)
}

// remedies does what doctor says about each of those lines, and then turns the code on.
func (s *site) remedies(plain *person, enrolled map[string]*person) {
	s.t.Helper()
	want := []string{
		"stack-around proftpd", "stack-capset proftpd", "stack-not-root postgresql", "stack-not-root radiusd", "stack-space dovecot", "stack-space vsftpd",
	}
	var got []string
	for _, f := range s.doctor() {
		service, _, _ := strings.Cut(strings.TrimPrefix(f.Text, "in "), ":")
		got = append(got, f.ID+" "+service)
		if service != "vsftpd" { // nothing helps there
			s.script(f.Remedy)
		}
	}
	if slices.Sort(got); !slices.Equal(got, want) {
		s.t.Errorf("doctor finds %q, want %q", got, want)
	}
	var services []string
	for _, v := range servers {
		s.script("cp /root/" + v.pam + " /etc/pam.d")
		if v.name != "vsftpd" {
			services = append(services, v.pam)
		}
	}
	s.run("totpctl", "setup", "--service", strings.Join(services, ","), "--yes")
	if found := s.doctor(); len(found) > 0 {
		s.t.Errorf("with the remedies: %+v", found)
	}
	for _, v := range servers {
		if v.name == "vsftpd" {
			continue
		}
		p := s.customer(s.enrolled(v.name + "too")) // a code of enrolled may have been used up
		for _, try := range []struct {
			what string
			who  *person
			code func() string
			in   bool
		}{
			{"a user without a second factor", plain, nothing, true},
			{"a wrong password", plain, func() string { return "x" }, false},
			{"the password alone", p, nothing, false},
			{"a wrong code", p, p.wrongCode, false},
			{"password and code", p, p.code, true},
		} {
			if in, said := v.login(s, try.who.Name, try.who.Password+try.code()); in != try.in {
				s.t.Errorf("%s, %s: %v: %s", v.name, try.what, in, said)
			}
		}
		if v.user != "" {
			s.journalHas("result=accepted", "user="+p.Name, "service="+v.pam, "says "+v.user)
		}
	}
}
