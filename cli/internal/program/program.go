// Package program says what the programs behind PAM services are really like: the user that asks PAM, the address
// space that there is, what becomes of capabilities, whether a Unix socket can be reached. It goes by what is
// known of programs, by their settings, by systemd's units and by the processes that run.
//
// It changes nothing, and decides nothing about a service: Faults says what can't work, and why. What it finds
// nothing about is taken for a program that runs as root and has no limits, as nearly all are.
package program

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// SpaceNeeded is the address space that a small program needs in which our module asks for a code, in bytes: 1.4 GB
// are the Go runtime's reserve. Measured with dovecot 2.3: 1600 MB are too little, 1700 MB are enough.
const SpaceNeeded = 1700 << 20

// Program is the one behind a service of PAM.
type Program struct {
	Service string
	Name    string // of the program, as people call it
	Unit    string // of systemd's, where there is one

	User, UserBy string // the account that asks PAM, and what says so; empty: root, as far as is known
	Space        uint64 // bytes of address space; 0: enough, as far as is known
	SpaceBy      string // what limits it
	NoSockets    bool   // systemd keeps it from Unix sockets
	Capset       bool   // changes its capabilities in one thread, and then its user

	Around bool // accepts a password that PAM has refused

	// What helps: empty, nothing does.
	spaceHint, capsetHint, aroundHint string
}

// Fault is why a code can't be asked for in a program.
type Fault struct {
	Kind Kind
	Why  string
	Hint string // what helps
}

// Kind of a Fault.
type Kind int

// The kinds of faults. With Space and Capset, users who are asked for no code get in.
const (
	NotRoot  Kind = iota // only root may speak for other users, and this program isn't root: nobody gets in
	NoSocket             // the program can't reach the daemon: nobody gets in
	Space                // the runtime of the module doesn't fit in: users who are asked for a code are refused
	Capset               // the program is killed after a login with a code
	Around               // the program accepts a password after PAM has refused it: a code keeps nobody out
)

// Nobody tells whether no user at all gets in.
func (f Fault) Nobody() bool { return f.Kind == NotRoot || f.Kind == NoSocket }

// Look finds out what is behind a service on the host whose root directory this is.
func Look(root, service string) Program {
	h := host(root)
	k := knownOf(service)
	p := Program{Service: service, Name: service}
	if k.name != "" {
		p.Name = k.name
	}
	if k.helper {
		return p
	}
	units := append([]string{service + ".service"}, k.units...)
	for _, unit := range units {
		if settings, found := h.unit(unit); found {
			p.Unit = unit
			p.byUnit(settings, k)
			break
		}
	}
	programs := k.programs
	if programs == nil {
		programs = []string{service}
	}
	p.byProcesses(h.processes(programs), h)
	p.byKnowledge(h, k)
	return p
}

// byUnit goes by the settings of systemd's unit.
func (p *Program) byUnit(unit map[string][]string, k known) {
	last := func(key string) string {
		if all := unit[key]; len(all) > 0 {
			return all[len(all)-1]
		}
		return ""
	}
	if user := last("User"); user != "" && user != "root" && user != "0" && !strings.Contains(user, "%") {
		p.User, p.UserBy = user, p.Unit+" (User=)"
	}
	if space, limited := sizeOf(last("LimitAS")); limited {
		p.limit(space, p.Unit+" (LimitAS=)", dropIn(p.Unit, "LimitAS=infinity"))
	}
	p.NoSockets = keptFromSockets(unit["RestrictAddressFamilies"])
}

// keptFromSockets goes by RestrictAddressFamilies= of systemd.exec(5): a list of what is allowed or, behind a
// tilde, of what is not; an empty one begins again.
func keptFromSockets(lines []string) bool {
	restricted, allowed := false, map[string]bool{}
	for _, line := range lines {
		words := strings.Fields(line)
		if len(words) == 0 {
			restricted, allowed = false, map[string]bool{}
			continue
		}
		first, denies := strings.CutPrefix(words[0], "~")
		words[0] = first
		if words[0] == "none" {
			restricted, allowed = true, map[string]bool{}
			continue
		}
		if !restricted {
			restricted, allowed["AF_UNIX"] = true, denies
		}
		if slices.Contains(words, "AF_UNIX") {
			allowed["AF_UNIX"] = !denies
		}
	}
	return restricted && !allowed["AF_UNIX"]
}

// limit takes over a limit of the address space, unless there is a tighter one.
func (p *Program) limit(bytes uint64, by, hint string) {
	if p.Space == 0 || bytes < p.Space {
		p.Space, p.SpaceBy, p.spaceHint = bytes, by, hint
	}
}

// byProcesses goes by what runs. A program that can become root asks as root; a person's is a screen locker or the
// like, which asks for that person.
func (p *Program) byProcesses(running []process, h host) {
	var own []process
	for _, r := range running {
		if r.root() || r.uid() < firstPerson {
			own = append(own, r)
		}
	}
	if len(own) == 0 {
		return
	}
	if p.User == "" && !slices.ContainsFunc(own, process.root) {
		if name := h.userName(own[0].uid()); name != "" {
			p.User, p.UserBy = name, fmt.Sprintf("process %d", own[0].pid)
		}
	}
	for _, r := range own {
		if r.space > 0 {
			p.limit(r.space, fmt.Sprintf("process %d (prlimit --as --pid %d)", r.pid, r.pid), "find what limits it (ulimit -v, LimitAS=, its own settings), raise that to 2 GB, and restart it")
		}
	}
}

// byKnowledge goes by what is known of the program, where that is installed.
func (p *Program) byKnowledge(h host, k known) {
	if user := h.firstUser(k.users); user != "" {
		p.User, p.UserBy = user, "known of "+p.Name
	}
	if k.space != nil {
		if bytes, by, hint := k.space(h); bytes > 0 {
			p.limit(bytes, by, hint)
		}
	}
	if k.capset != nil {
		p.Capset, p.capsetHint = k.capset(h)
	}
	if k.around != nil {
		p.Around, p.aroundHint = k.around(h)
	}
}

// Faults are the reasons why a code can't be asked for in the program. speakers are the users
// whom the daemon lets speak for others.
func (p Program) Faults(speakers Speakers) []Fault {
	var all []Fault
	add := func(kind Kind, hint, why string, args ...any) {
		all = append(all, Fault{kind, fmt.Sprintf(why, args...), hint})
	}
	if p.User != "" && !speakers.May(p.User, p.Service) {
		add(NotRoot, speakers.add(p.User, p.Service),
			"%s asks PAM as the user %s (%s), and only root may speak for other users: with a code, nobody gets in", p.Name, p.User, p.UserBy)
	}
	if p.NoSockets {
		add(NoSocket, dropIn(p.Unit, "RestrictAddressFamilies=AF_UNIX"),
			"%s may not open Unix sockets (%s, RestrictAddressFamilies=), so it can't reach totpd: with a code, nobody gets in", p.Name, p.Unit)
	}
	if p.Space > 0 && p.Space < SpaceNeeded {
		hint := p.spaceHint
		if hint == "" {
			hint = "nothing raises this limit: leave the service without a code"
		}
		add(Space, hint, "%s has %s of address space (%s), and asking for a code takes %s: users who are asked for a code are refused, and only the others get in",
			p.Name, inMB(p.Space), p.SpaceBy, inMB(SpaceNeeded))
	}
	if p.Capset {
		hint := p.capsetHint
		if hint == "" {
			hint = "nothing changes that: leave the service without a code"
		}
		add(Capset, hint, "%s changes its capabilities in one thread and then its user, which kills it after a login with a code: users who are asked for a code are cut off, and only the others get in", p.Name)
	}
	if p.Around {
		add(Around, p.aroundHint, "%s goes on to check a password by itself when PAM has refused it: a code would keep nobody out", p.Name)
	}
	return all
}

// dropIn is the command that gives a unit a setting.
func dropIn(unit, setting string) string {
	dir := "/etc/systemd/system/" + unit + ".d"
	return fmt.Sprintf(`mkdir -p %[1]s && printf '[Service]\n%[2]s\n' >%[1]s/totpd.conf && systemctl daemon-reload && systemctl restart %[3]s`, dir, setting, strings.ReplaceAll(unit, "@.", "@*."))
}

func inMB(bytes uint64) string { return fmt.Sprintf("%d MB", bytes>>20) }

// path is where a path of the host lies for us.
func (h host) path(p string) string { return filepath.Join("/", string(h), p) }
