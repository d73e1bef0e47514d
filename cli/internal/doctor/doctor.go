// Package doctor looks at a host and says what is wrong with the second factor of its logins, and what
// repairs it. It changes nothing: no file, no unit, no account. Its remedies are for the host as it is: how the
// daemon was started, and the account it runs as, are found out first (layout.go).
//
// Each topic has a file: what is looked at, and what is said of it. A finding has an id that stays from
// version to version (ids.go), a place and a remedy. What could not be looked at, for lack of rights or
// of a service, is told as unseen and never taken for fine.
//
// Everything is reached through Host, so that tests examine a directory tree with faults in it.
package doctor

import (
	"cmp"
	"context"
	"errors"
	"os/user"
	"path/filepath"
	"slices"
	"time"

	"github.com/totpd/totpd/daemon/control"
)

// Host is where to look, and what a test may settle.
type Host struct {
	Root    string // the directory that is taken for /; empty: the host itself
	Bus     string // address of the system bus; empty: the usual one
	Control string // the daemon's control socket; empty: as configured
	Version string // of this command; empty: not known
	UID     int    // who looks
	Now     time.Time

	// Offline returns a client of the accounts themselves, for root while the daemon doesn't answer.
	Offline func() *control.Client
	// Lookup finds a user, or returns user.UnknownUserError.
	Lookup func(name string) (*user.User, error)
	// Load loads a PAM module as a login program does, in another process.
	Load func(ctx context.Context, path string) error
	// Ours tells whether a file is totpd's module. Nil: that isn't asked.
	Ours func(path string) bool
	// Login tries a login of a service against the daemon, without a trace. Nil: it isn't tried.
	Login func(ctx context.Context, service string) error
	// Space is the room on the file system that holds a path.
	Space func(path string) (Space, error)
	// KernelClock tells whether the kernel takes its clock for right.
	KernelClock func() (bool, error)
	// RootUID owns what root owns on the host: 0 but for tests that aren't root.
	RootUID uint32
}

// patience is how long one part of the host may take to answer: a service, a program, the daemon.
const patience = 5 * time.Second

// exam is one look at the host. Each topic leaves what it learnt for those that follow.
type exam struct {
	Host
	ctx    context.Context
	report Report

	settings   settings          // of the daemon
	units      map[string]*Unit  // by name; nil: not known
	booted     bool              // systemd runs this host
	process    *running          // the daemon's; nil: not known
	owner      uint32            // the uid that the daemon runs as, or would
	owned      bool              // it is known
	group      uint32            // its gid
	grouped    bool              // it is known
	mute       bool              // the name service doesn't answer us
	answers    bool              // the daemon does
	dead       bool              // it doesn't, and not for want of our rights
	accounts   []control.Account // of everybody
	listed     bool              // accounts holds them
	unreadable *control.Error    // why the accounts could not be listed
	module     string            // path of the module; empty: there is none
	required   []string          // services that need an answer of the daemon
	together   map[string]bool   // services that ask for password and code together
	alone      bool              // sshd's stack asks for a code and for no password
	cantAsk    bool              // sshd asks PAM, but can't show its questions
	sshd       *server           // nil: it asks for no code, or not known
	deaf       bool              // nobody listens at the login socket
	container  bool
}

// Logins looks only at what has to do with whether logins ask for a code: the module, PAM's stacks and sshd.
func Logins(ctx context.Context, h Host) Report {
	x := newExam(ctx, h)
	x.examine(x.lookHost, x.lookUnits, x.lookProcess, x.lookModule, x.lookStacks, x.lookSSHD)
	return x.report
}

// Examine looks at everything and returns what it found. It ends early when ctx does.
func Examine(ctx context.Context, h Host) Report {
	x := newExam(ctx, h)
	x.examine(
		x.lookHost, x.lookUnits, x.lookProcess, x.lookConfig, x.lookDaemon, x.lookProcess, x.judgeUser, x.judgeUnits,
		x.lookSockets, x.lookModule, x.lookStacks, x.lookSSHD, x.lookStore, x.lookKey, x.lookHealth, x.judgeReading, x.lookClock,
		x.lookSELinux, x.lookAppArmor, x.lookPeople, x.lookRules, x.lookSetup,
	)
	return x.report
}

func newExam(ctx context.Context, h Host) *exam {
	x := &exam{Host: h, ctx: ctx, together: map[string]bool{}}
	x.report.Findings, x.report.Fine, x.report.Unseen = []Finding{}, []Line{}, []Line{}
	x.report.Facts.Time, x.report.Facts.UID = h.Now, h.UID
	x.report.Facts.Versions.Command = cmp.Or(h.Version, "unknown")
	return x
}

// examine looks at one topic after the other.
func (x *exam) examine(looks ...func()) {
	for _, look := range looks {
		if x.ctx.Err() != nil {
			break
		}
		look()
	}
	x.report.sort()
}

// judgeUser: systemd starts the daemon as its own user. Started by hand, it may be anybody's.
func (x *exam) judgeUser() {
	unknown := user.UnknownUserError("")
	if _, err := x.lookup(daemonUser); errors.As(err, &unknown) && x.process == nil && x.bySystemd() {
		x.found("daemon-user", "", "systemd-sysusers totpd.conf && systemctl restart totpd.socket totpd-password.socket",
			"the user %s, whom the daemon runs as, is not on this host", daemonUser)
	}
}

// daemonUser is the account that systemd starts the daemon as.
const daemonUser = "totpd"

// sort brings everything into the order in which it is read: by topic, the worst first, and every time
// the same.
func (r *Report) sort() {
	slices.SortFunc(r.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(slices.Index(topics, a.Topic), slices.Index(topics, b.Topic)),
			cmp.Compare(slices.Index(severities, a.Severity), slices.Index(severities, b.Severity)),
			cmp.Compare(a.ID, b.ID), cmp.Compare(a.Place, b.Place), cmp.Compare(a.Text, b.Text))
	})
	byTopic := func(a, b Line) int {
		return cmp.Compare(slices.Index(topics, a.Topic), slices.Index(topics, b.Topic))
	}
	slices.SortStableFunc(r.Fine, byTopic)
	slices.SortStableFunc(r.Unseen, byTopic)
}

// path is where a path of the host lies for us.
func (x *exam) path(p string) string { return filepath.Join("/", x.Root, p) }
