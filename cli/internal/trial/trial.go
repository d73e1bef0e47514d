// Package trial tries out how logins would go with a changed PAM configuration: real transactions of the
// real libpam, on a copy in a private directory, each in a process of its own with a time limit.
//
// A trial is no login: totpd says what it would do, and does nothing (see relay). Only modules that check
// passwords hear of the wrong one.
//
// What it tries is the order of things: that a wrong password ends before the code, that a right one goes on
// to the daemon, and that without the daemon nobody gets in. The modules that check passwords are real when
// a wrong one is tried; that a password is right is only pretended, since nobody tells it theirs.
package trial

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/msteinert/pam/v2"

	"github.com/totpd/totpd/cli/internal/stack"
	"github.com/totpd/totpd/cli/internal/system"
)

// Trial is where and with whom logins are tried.
type Trial struct {
	Tree    *stack.Tree // as it will be
	Scratch string      // a private directory
	Program []string    // a command that calls Run
	Module  []string    // our module's path, and arguments for it; empty: where libpam looks
	User    string      // somebody without a second factor
	// Required tells whether the rules require one of User in a service all the same. Nil: they don't.
	Required func(ctx context.Context, service string) bool
}

// Check is one thing that was tried.
type Check struct {
	Service string `json:"service"`
	What    string `json:"what"` // what should be
	OK      bool   `json:"ok"`
	Cause   string `json:"cause,omitempty"`
	Hint    string `json:"hint,omitempty"`
	// Warning says that it fails, and is no worse than without the change.
	Warning bool `json:"warning,omitempty"`
}

// Service tries the logins of one service. withKey: a key that sshd has verified stands for the password;
// onePrompt: password and code are typed together.
func (t *Trial) Service(ctx context.Context, name string, withKey, onePrompt bool) []Check {
	wrong := t.wrongPassword
	if onePrompt {
		wrong = t.wrongTogether
	}
	checks := []Check{wrong(ctx, name), t.rightPassword(ctx, name), t.daemonGone(ctx, name, daemonGone)}
	if withKey {
		checks = append(checks, t.key(ctx, name), t.daemonGone(ctx, name, keyDaemonGone))
	}
	return checks
}

// Without tries the logins of a service whose lines of ours are taken out, and compares with how they go now.
// No rule of totpd counts any more then, nor whether it runs.
func (t *Trial) Without(ctx context.Context, name string, now *stack.Tree) []Check {
	after, before := *t, *t
	after.Required, before.Tree = nil, now
	wrong, right := after.wrongPassword(ctx, name), after.rightPassword(ctx, name)
	wrong.What, right.What = "a wrong password is refused", "the right password gets in"
	if !wrong.OK {
		wrong.Warning = !after.getsIn(ctx, name, wrongPassword) || before.getsIn(ctx, name, wrongAsNow)
	}
	if !right.OK {
		right.Warning = !before.getsIn(ctx, name, rightPassword)
	}
	return []Check{wrong, right}
}

// getsIn tells whether a login is let in.
func (t *Trial) getsIn(ctx context.Context, service string, p purpose) bool {
	a, err := t.try(ctx, service, p)
	return err == nil && a.Code == 0
}

// Daemon tries whether totpd judges a login of User in a service. Our module is alone in the stack, so that
// no other one has a say. Like every trial it leaves no trace in the history and needs no password.
func (t *Trial) Daemon(ctx context.Context, service string) Check {
	alone := *t
	alone.Tree = stack.Open("/").With(map[string][]byte{"/etc/pam.d/" + service: []byte("auth required pam_totpd.so\nauth required pam_permit.so\n")})
	c := alone.rightPassword(ctx, service)
	c.What = "totpd judges a login"
	return c
}

// keyEnv is what sshd tells PAM once it has verified a key.
const keyEnv = "SSH_AUTH_INFO_0=publickey ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA=="

// try makes a copy for a purpose and tries one login on it.
func (t *Trial) try(ctx context.Context, service string, p purpose) (Answer, error) {
	dir, err := os.MkdirTemp(t.Scratch, "pam-")
	if err != nil {
		return Answer{}, err
	}
	return t.tryIn(ctx, dir, service, p)
}

// tryIn makes the copy in this directory.
func (t *Trial) tryIn(ctx context.Context, dir, service string, p purpose) (Answer, error) {
	c := copier{tree: t.Tree, dir: dir, module: t.Module, purpose: p, relays: relays{}}
	if err := c.service(strings.ToLower(service)); err != nil {
		return Answer{}, err
	}
	defer c.relays.close()
	if err := c.relays.listen(); err != nil {
		return Answer{}, err
	}
	r := Request{Dir: dir, Service: service, User: t.User, Password: "not-the-password-of-anybody"}
	switch p {
	case verifiedKey, keyDaemonGone:
		r.Env = []string{keyEnv}
	case wrongTogether:
		r.Password += strings.Repeat("1", feignedDigits)
	}
	a, err := t.ask(ctx, r)
	a.Unreached = c.relays.fault()
	return a, err
}

func (t *Trial) wrongPassword(ctx context.Context, service string) Check {
	c := Check{Service: service, What: "a wrong password is refused, and no code is asked for"}
	a, err := t.try(ctx, service, wrongPassword)
	switch {
	case err != nil:
		return c.failed(err.Error(), "")
	case a.Code == 0:
		return c.failed("it is let in", "look at the modules before pam_totpd.so: one of them takes any password")
	case slices.Contains(a.Said, reached):
		return c.failed("it comes to the code", "the password's modules must end the login: requisite, or a pam_deny.so after them")
	case len(a.Asked) == 0:
		return c.failed("no password is asked for: "+a.Text, "try the service as it is now: does it let anybody in?")
	case broken(a.Code):
		return c.failed(a.Text, "the log says which module: "+system.Log())
	}
	return c.passed()
}

func (t *Trial) rightPassword(ctx context.Context, service string) Check {
	c := Check{Service: service, What: "a user without a second factor gets in with the right password"}
	if t.Required != nil && t.Required(ctx, service) {
		c.What = "a user who must have a second factor and has none is refused after the right password"
		return t.keptOut(ctx, service, rightPassword, c)
	}
	return t.letIn(ctx, service, rightPassword, c)
}

func (t *Trial) key(ctx context.Context, service string) Check {
	c := Check{Service: service, What: "a user without a second factor gets in with a key, and is asked for no password"}
	if t.Required != nil && t.Required(ctx, service) {
		c.What = "a user who must have a second factor and has none is refused after a key"
		return t.keptOut(ctx, service, verifiedKey, c)
	}
	return t.letIn(ctx, service, verifiedKey, c)
}

// reaches tries a login that the daemon is to judge. It returns the failure of one that doesn't get there.
func (t *Trial) reaches(ctx context.Context, service string, p purpose, c Check) (Answer, *Check) {
	a, err := t.try(ctx, service, p)
	switch {
	case err != nil:
		c = c.failed(err.Error(), "")
	case a.Code == int(pam.ErrModuleUnknown):
		c = c.failed("libpam finds no pam_totpd.so", "reinstall the package totpd")
	case a.Code == int(pam.ErrAuthinfoUnavail):
		c = c.failed(strings.TrimSuffix("the daemon doesn't answer: "+a.Unreached, ": "), system.StartDaemon())
	default:
		return a, nil
	}
	return a, &c
}

// keptOut is for whom the rules require a second factor: the daemon is heard, and doesn't let in.
func (t *Trial) keptOut(ctx context.Context, service string, p purpose, c Check) Check {
	a, failed := t.reaches(ctx, service, p, c)
	switch {
	case failed != nil:
		return *failed
	case a.Code == 0:
		return c.failed(fmt.Sprintf("the account %q gets in without a code", t.User), "the rules require one: totpctl policy explain "+t.User+" --service "+service)
	case broken(a.Code):
		return c.failed(a.Text, "the log says which module: "+system.Log())
	case len(a.Asked) == 0 && len(a.Said) == 0:
		return c.failed("totpd isn't heard: "+a.Text, "a line before pam_totpd.so ends the stack")
	}
	return c.passed()
}

func (t *Trial) letIn(ctx context.Context, service string, p purpose, c Check) Check {
	a, failed := t.reaches(ctx, service, p, c)
	switch {
	case failed != nil:
		return *failed
	case len(a.Asked) > 0:
		return c.failed(fmt.Sprintf("the account %q is asked: %s", t.User, strings.TrimSpace(a.Asked[0])), "totpctl users shows who has enrolled")
	case a.Code != 0:
		return c.failed(strings.Join(append([]string{a.Text}, a.Said...), "; "), system.DaemonLog())
	}
	return c.passed()
}

func (t *Trial) daemonGone(ctx context.Context, service string, p purpose) Check {
	c := Check{Service: service, What: "while totpd is stopped, the right password alone is refused"}
	if p == keyDaemonGone {
		c.What = "while totpd is stopped, a key alone is refused"
	}
	a, err := t.try(ctx, service, p)
	switch {
	case err != nil:
		return c.failed(err.Error(), "")
	case a.Code == 0:
		return c.failed("it lets in without the code", "a line before it ends the stack with success, or one after it overrules it")
	case broken(a.Code):
		return c.failed(a.Text, "the log says which module: "+system.Log())
	}
	return c.passed()
}

// broken tells a stack that doesn't work from one that refuses.
func broken(code int) bool {
	return slices.Contains([]pam.Error{pam.ErrOpen, pam.ErrSymbol, pam.ErrService, pam.ErrSystem, pam.ErrBuf,
		pam.ErrAbort, pam.ErrModuleUnknown, pam.ErrConv}, pam.Error(code))
}

func (c Check) passed() Check {
	c.OK = true
	return c
}

func (c Check) failed(cause, hint string) Check {
	c.Cause, c.Hint = cause, hint
	return c
}
