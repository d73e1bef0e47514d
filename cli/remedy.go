package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/totpd/totpd/cli/internal/system"
	"github.com/totpd/totpd/daemon/control"
)

// failure is what a verb could not do: operation, object, cause.
type failure struct {
	verb string
	user string // empty: the caller, whose name isn't known
	err  error
	hint string // instead of the one chosen by the error's code

	named   string // the user as named on the command line
	typed   string // the command line, of a verb with more arguments than a user
	offline bool
}

func (f *failure) Error() string {
	// Where the daemon has named operation and object already, once is enough.
	cause := strings.TrimPrefix(f.err.Error(), f.verb+": ")
	switch {
	case strings.HasPrefix(cause, f.verb+" ") && strings.Contains(cause, ": "):
		return cause
	case f.user == "":
		return f.verb + ": " + cause
	}
	return f.verb + " " + f.user + ": " + cause
}

func (f *failure) Unwrap() error { return f.err }

// failed returns err as the failure of a verb, nil for nil.
func failed(verb, user string, err error) error {
	if err == nil {
		return nil
	}
	return &failure{verb: verb, user: user, err: err}
}

// misuse is an option or an argument that doesn't fit, with what to type instead.
type misuse struct{ text, hint string }

func (m *misuse) Error() string { return m.text }

// explain tells the person how a verb ended and returns the exit status.
func explain(w io.Writer, ran *cobra.Command, err error) int {
	f := new(failure)
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errUnwell), errors.Is(err, errTold):
		return exitFailed
	case errors.As(err, &f):
		f.named = ran.Flags().Arg(0)
		if about := ran.Flags().Lookup("user"); about != nil { // the arguments are no users
			f.named = about.Value.String()
			f.typed = asTyped(ran)
		}
		f.offline, _ = ran.Flags().GetBool("offline")
		f.explain(w)
		return exitFailed
	}
	hint := strings.Replace(ran.CommandPath(), "totpctl", "totpctl help", 1)
	if m := new(misuse); errors.As(err, &m) {
		hint = m.hint
	}
	fmt.Fprintf(w, "totpctl: %s\nhint: %s\n", strings.TrimRight(err.Error(), "\n"), hint)
	return exitUsage
}

func (f *failure) explain(w io.Writer) {
	cause := new(control.Error)
	if errors.Is(f.err, context.Canceled) {
		f.err = errors.New("interrupted: nothing was changed")
	}
	fmt.Fprintf(w, "totpctl: %s\n", printable(f.Error()))
	if errors.As(f.err, &cause) {
		if cause.Reference != "" {
			fmt.Fprintf(w, "reference: %s\n", printable(cause.Reference))
		}
		if f.hint == "" {
			f.hint = f.remedy(cause)
		}
	}
	if f.hint != "" {
		fmt.Fprintf(w, "hint: %s\n", f.hint)
	}
}

// remedy returns what to do about an error, by its code alone.
func (f *failure) remedy(e *control.Error) string {
	totpctl := "totpctl"
	if f.offline {
		totpctl = "totpctl --offline"
	}
	again := cmp.Or(f.typed, totpctl+" "+f.verb+f.argument())
	switch e.Code {
	case control.ErrUnreachable:
		return f.remedyUnreachable()
	case control.ErrNotStarted:
		return f.remedyNotStarted()
	case control.ErrNotOffline:
		return "first: " + system.StartDaemon() + "; then " + cmp.Or(f.typed, "totpctl "+f.verb+f.argument())
	case control.ErrForbidden:
		return "everybody may connect to totpd's socket; as root: " + system.RestartSocket()
	case control.ErrTimeout:
		return "it may have been done all the same: " + totpctl + " status tells; as root: " + system.DaemonLog()
	case control.ErrBadAnswer:
		return totpctl + " version tells whether command and daemon fit; --socket names totpd's control socket"
	case control.ErrBadRequest:
		if f.verb == "disable" && f.named != "" {
			return "your own, with password and code: totpctl disable"
		}
		return "totpctl help " + f.verb
	case control.ErrBadURI:
		return "it looks like otpauth://totp/HOST:USER?secret=KEY&issuer=HOST, the key in base32; an event-based one, like otpauth://hotp/HOST:USER?secret=KEY&counter=0"
	case control.ErrBadImport:
		return "totpctl help import"
	case control.ErrUnknownUser:
		return "getent passwd " + quote(f.user)
	case control.ErrUnavailable:
		switch {
		case f.offline:
			return "what totpd says above"
		}
		return "as root: " + system.DaemonLog() + " tells why"
	case control.ErrBroken:
		return "as root: " + totpctl + " users tells why; " + totpctl + " reset " + f.name() + " takes away what is broken, and the next login enrols"
	case control.ErrNoPending:
		return "begin again: totpctl enrol"
	case control.ErrWrongPassword:
		return "it is the password of your login: " + again
	case control.ErrWrongCode:
		return "type the next code that the app shows, or a recovery code: " + again + "; without either, ask root: totpctl reset " + f.name()
	case control.ErrWait:
		return fmt.Sprintf("try again in %s: %s", inWords(time.Duration(e.RetryAfter)*time.Second), again)
	case control.ErrLocked:
		return "only root can help: totpctl unlock " + f.name()
	case control.ErrNotAllowed:
		return f.remedyNotAllowed(e)
	case control.ErrAuthenticate:
		return "at a terminal, pkttyagent (from polkit's package) asks for it; or be root"
	case control.ErrAlreadyEnrolled:
		return "to add a device: " + again + ", which asks for a code of one that is there; totpctl devices" + f.argument() + " lists them"
	case control.ErrForeign:
		return "as root: totpctl log" + f.argument() + " says whose it is; totpctl adopt" + f.argument() + " keeps it for the user of now, totpctl reset takes it away"
	case control.ErrNoComputer:
		return "totpctl remembered" + f.argument() + " lists them"
	case control.ErrNotEnrolled:
		if f.verb == "disable" {
			return "nothing is left to do; " + totpctl + " status" + f.argument() + " shows the state"
		}
		return "totpctl enrol" + f.argument()
	case control.ErrNameTaken, control.ErrNoDevice:
		return "totpctl devices" + f.argument() + " lists the names that there are"
	case control.ErrLastDevice:
		return "to have none: totpctl disable" + f.argument() + "; to have another, add it first: totpctl enrol" + f.argument()
	case control.ErrTooMany:
		if f.verb == "bypass" {
			return "totpctl bypass" + f.argument() + " --list shows them, --revoke ID ends one"
		}
		return "totpctl devices" + f.argument() + " lists them, totpctl devices remove takes one away"
	case control.ErrNoBypass:
		return "totpctl bypass" + f.argument() + " --list shows those that are good now"
	}
	return ""
}

// asTyped is a command line with its arguments.
func asTyped(ran *cobra.Command) string {
	words := []string{ran.CommandPath()}
	for _, arg := range ran.Flags().Args() {
		words = append(words, quote(arg))
	}
	if user := ran.Flags().Lookup("user").Value.String(); user != "" {
		words = append(words, "--user", quote(user))
	}
	return strings.Join(words, " ")
}

// remedyNotAllowed differs by verb.
func (f *failure) remedyNotAllowed(e *control.Error) string {
	rules := ""
	if e.Action != "" {
		rules = "; rules of polkit can allow " + printable(e.Action)
	}
	switch {
	case f.verb == "disable", f.verb == "enrol" && f.named != "", f.verb == "recovery-codes new":
		return "your own: totpctl " + f.verb + "; another's, as root: totpctl " + f.verb + " " + f.name() + rules
	}
	if f.verb == "show" {
		return "your own: totpctl status; another's, as root: totpctl show " + f.name() + rules
	}
	return "as root: " + cmp.Or(f.typed, "totpctl "+f.verb+f.argument()) + rules
}

// remedyUnreachable also tells root, who would help somebody, how to do so at once.
func (f *failure) remedyUnreachable() string {
	offline := ""
	if control.Verb(f.verb).Offline() && (f.named != "" || f.verb == "users") {
		offline = ", or at once: totpctl --offline " + f.verb + f.argument()
	}
	return "as root: " + system.StartDaemon() + offline + " (another socket is named by --socket or TOTPD_SOCKET)"
}

// remedyNotStarted is for when the programs are broken; what they said is on the screen.
func (f *failure) remedyNotStarted() string {
	statement := "SELECT user FROM account"
	if user := f.name(); f.verb == "disable" || f.verb == "reset" || f.verb == "unlock" {
		if strings.Contains(user, "'") {
			user = "USER"
		}
		statement = "DELETE FROM account WHERE user='" + user + "'"
	}
	return `if that can't be mended: sqlite3 /var/lib/totpd/totpd.db "` + statement + `"; for everybody, totpctl setup --undo; more in totpd(8), RESCUE`
}

// name is the user as an argument for root to type.
func (f *failure) name() string {
	if f.user == "" {
		return "USER"
	}
	return quote(f.user)
}

// argument is the user as named on the command line, with the space before it.
func (f *failure) argument() string { return argument(f.named) }

func argument(user string) string {
	if user == "" {
		return ""
	}
	return " " + quote(user)
}
