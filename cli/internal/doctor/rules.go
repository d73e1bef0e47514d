package doctor

import (
	"context"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/totpd/totpd/daemon/control"
)

// enrolTime is what somebody needs to enrol in a login: to find the phone, and an app for it.
const enrolTime = 5 * time.Minute

// askedMost is how many questions about the rules are asked: of a large host, the first people are looked at.
const askedMost = 2000

// lookRules asks, as root, what the rules say about the people of this host who have not enrolled, wherever
// they log in from: whoever must have a second factor and has none is in for a surprise. Those of a directory
// (LDAP and the like) aren't listed here.
func (x *exam) lookRules() {
	if !x.answers || !x.listed || len(x.required) == 0 {
		return
	}
	service := x.required[0]
	if slices.Contains(x.required, "sshd") {
		service = "sshd"
	}
	r := &reached{service: service, together: x.together[service]}
	var cancel context.CancelFunc
	r.ctx, cancel = context.WithTimeout(x.ctx, patience)
	defer cancel()
	r.client = control.NewClient(x.controlSocket())
	if err := r.learn(); err != nil {
		x.unseen("people", "what the rules say can't be found out: %v", err)
		return
	}
	x.judgeConditions(r)
	enrolled, reset := map[string]bool{}, false
	for _, a := range x.accounts {
		enrolled[a.User] = a.Enrolled
		reset = reset || a.MustEnrol
	}
	var refused, required, later []string
	var first time.Time // of the days from which one is required of those
	for _, name := range x.residents() {
		if enrolled[name] || r.asked+len(r.from) > askedMost {
			continue
		}
		switch asks, by, err := r.most(name); {
		case err != nil:
			x.unseen("people", "what the rules say about %s can't be found out: %v", name, err)
			return
		case asks == control.AsksTooMuch:
			refused = append(refused, name)
		case asks == control.AsksToEnrol:
			required = append(required, name)
		case !by.IsZero():
			later = append(later, name)
			first = earlier(first, by)
		}
	}
	if len(refused) > 0 {
		x.found("people-refused", "", "totpctl policy explain "+shell(refused[0])+" --service "+shell(service)+"  # or let them enrol: totpctl enrol "+shell(refused[0]),
			"%s can't log in by %s: a code is required, they have no device, and they can't enrol in the login", few(refused), service)
	}
	if len(required) > 0 {
		x.found("people-required", "", "nothing, when it is meant so; totpctl policy explain "+shell(required[0])+" --service "+shell(service)+" says why",
			"%s must enrol at the next login by %s", few(required), service)
	}
	if len(later) > 0 {
		x.found("people-enrol-by", "", "totpctl policy explain "+shell(later[0])+" --service "+shell(service)+"  # says why",
			"not enrolled yet: %s; a code is required of them from %s on", few(later), first.Local().Format(time.DateOnly))
	}
	if x.sshd != nil && !x.together["sshd"] && (r.enrols || reset) {
		x.sshd.judgeGrace()
	}
}

// judgeConditions finds conditions of rules that the host can't evaluate: the strictest rule holds there.
func (x *exam) judgeConditions(r *reached) {
	for _, name := range r.noGroups {
		x.found("config-group", configFile, "groupadd "+shell(name)+"  # or take it out of the rules, and then: "+x.reloadDaemon(),
			"the rules name the group %s, which this host doesn't know: nobody can tell who is in it, so the strictest of that rule and those after it holds for everybody", name)
	}
	if r.byNetwork && x.sshd != nil && slices.Contains(x.sshd.settings.Values("usedns"), "yes") {
		place, remedy, _ := x.sshd.wrong("UseDNS", "no")
		x.sshd.found("sshd-usedns", place, remedy,
			"sshd gives names instead of addresses (UseDNS yes), and rules go by the network a login comes from: where there is a name, the strictest of these rules holds")
	}
}

// judgeGrace is for where somebody may enrol inside a login.
func (s *server) judgeGrace() {
	if s.settings.LoginGrace == 0 || s.settings.LoginGrace >= enrolTime {
		return
	}
	place, remedy, _ := s.wrong("LoginGraceTime", "600")
	s.found("sshd-grace", place, remedy, "sshd ends a login after %d s, in which hardly anybody can enrol who must: LoginGraceTime",
		int(s.settings.LoginGrace/time.Second))
}

// reached is how the rules are asked about one service.
type reached struct {
	ctx      context.Context
	client   *control.Client
	service  string
	together bool     // password and code are asked for together: nobody enrols there
	from     []string // where logins come from, as far as the rules tell that apart
	enrols   bool     // somebody may have to enrol inside a login
	// byNetwork says that a rule goes by networks; noGroups are groups of the rules that the host doesn't know.
	byNetwork bool
	noGroups  []string
	asked     int
}

// learn finds out what the rules tell apart.
func (r *reached) learn() error {
	p, err := r.client.Policy(r.ctx, control.PolicyRequest{User: "root", Service: r.service, Reach: true})
	if err != nil {
		return err
	}
	r.enrols, r.from, r.byNetwork, r.noGroups = p.Enrols, []string{"local"}, p.ByNetwork, p.NoGroups
	if r.service == "sshd" && len(p.Addresses) > 0 {
		r.from = p.Addresses
	}
	return nil
}

// most returns how hard it is for somebody who has not enrolled, and from when on a code is required of those who
// may do without one for now. Whoever can enrol from somewhere, or needn't, is not kept out, although they are
// elsewhere.
func (r *reached) most(name string) (asks control.PolicyAsks, by time.Time, err error) {
	said := map[control.PolicyAsks]bool{}
	for _, from := range r.from {
		r.asked++
		p, err := r.client.Policy(r.ctx, control.PolicyRequest{User: name, Service: r.service, From: from})
		switch {
		case err != nil:
			return "", by, err
		case p.Asks == control.AsksToEnrol && r.together:
			said[control.AsksTooMuch] = true
		default:
			said[p.Asks] = true
			by = earlier(by, p.EnrolBy)
		}
	}
	switch {
	case said[control.AsksToEnrol]:
		return control.AsksToEnrol, by, nil
	case said[control.AsksTooMuch]:
		return control.AsksTooMuch, by, nil
	}
	return control.AsksNothing, by, nil
}

// earlier is the first of two times, where there are two.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// residents are root and those with a number that people have, and a shell.
func (x *exam) residents() []string {
	text, err := os.ReadFile(x.path("/etc/passwd"))
	if err != nil {
		return nil
	}
	var all []string
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) != 7 || strings.HasSuffix(f[6], "/nologin") || strings.HasSuffix(f[6], "/false") {
			continue
		}
		if uid, err := strconv.Atoi(f[2]); err == nil && (uid == 0 || uid >= 1000 && uid < 65534) {
			all = append(all, f[0])
		}
	}
	return all
}
