package login

import (
	"fmt"
	"strings"
	"time"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/internal/enrol"
	"github.com/totpd/totpd/daemon/internal/policy"
	"github.com/totpd/totpd/daemon/internal/throttle"
	"github.com/totpd/totpd/daemon/internal/verify"
)

// Everything a person sees while logging in, save the prompt of totpd.toml. Those that end a login name
// the reference, which finds its line in the journal. A wrong code, an unknown user and a caller who may
// not ask about that user get the same one.

// askCombined is asked for in a combined login, before anything has looked at the password.
const askCombined = "Password and one-time code: "

func sayTryAgain(out verify.Outcome) string {
	switch {
	case out.ClockOff != 0:
		return fmt.Sprintf("your phone's clock is %s: type the next code it shows too", ahead(out.ClockOff))
	case out.Way == verify.RecoveryCode:
		return "that recovery code is not right: type it again, or another one"
	case out.Way == verify.BypassCode:
		return "that code is not right, or its time is over: type it again, or ask for another one"
	}
	return "that code is not right: type the one that is shown now"
}

func sayUsedTryAgain() string {
	return "that code was used already: wait for the next one and type it"
}

func sayNoCode() string {
	return "a code is 6 or 8 digits, a recovery code 12 letters: type it again"
}

func sayRefused(reference string) string {
	return fmt.Sprintf("not accepted: log in again with a new code or a recovery code, or ask your administrator for help (reference %s)", reference)
}

func sayUsed(reference string) string {
	return fmt.Sprintf("that code was used already: wait for the next one and log in again (reference %s)", reference)
}

// sayWrong ends a login with a wrong code.
func sayWrong(out verify.Outcome, reference string) string {
	if out.ClockOff == 0 {
		return sayRefused(reference)
	}
	return fmt.Sprintf("your phone's clock is %s: set it right, or log in again with the next code it shows (reference %s)", ahead(out.ClockOff), reference)
}

func sayWait(out verify.Outcome, now time.Time, reference string) string {
	clock := ""
	if out.ClockOff != 0 {
		clock = fmt.Sprintf("your phone's clock is %s, and ", ahead(out.ClockOff))
	}
	return fmt.Sprintf("%stoo many wrong codes: try again in %s (reference %s)", clock, wait(out.Until.Sub(now)), reference)
}

func sayLocked(out verify.Outcome, reference string) string {
	if out.Elsewhere {
		return fmt.Sprintf("locked here after too many wrong codes: log in from a place you have logged in from before, or ask your administrator for help (reference %s)", reference)
	}
	return fmt.Sprintf("locked after too many wrong codes: ask your administrator for help (reference %s)", reference)
}

const askRecovery = "Recovery code: "

// sayRecoveryOnly comes before askRecovery.
func sayRecoveryOnly(out verify.Outcome, now time.Time) string {
	if !out.Until.IsZero() {
		return fmt.Sprintf("too many wrong codes: the next one is looked at in %s, a recovery code or one from your administrator now", wait(out.Until.Sub(now)))
	}
	if out.Elsewhere {
		return "locked here after too many wrong codes: type a recovery code, ask your administrator for a code, or log in from a place you have logged in from before"
	}
	return "locked after too many wrong codes: type a recovery code, or ask your administrator for a code"
}

func sayRecoveryLeft(left int) string {
	switch {
	case left == 0:
		return "that was your last recovery code: make new ones with totpctl recovery-codes new"
	case left == 1:
		return "1 recovery code is left: make new ones with totpctl recovery-codes new"
	case left < 3:
		return fmt.Sprintf("%d recovery codes are left: make new ones with totpctl recovery-codes new", left)
	}
	return fmt.Sprintf("%d recovery codes are left", left)
}

// wait is a time to wait for, rounded up: in seconds, when it is long in minutes or hours.
func wait(d time.Duration) string {
	seconds := throttle.Seconds(d)
	switch {
	case seconds <= 120:
		return fmt.Sprintf("%d s", seconds)
	case seconds <= 2*3600:
		return fmt.Sprintf("%d minutes", (seconds+59)/60)
	}
	return fmt.Sprintf("%d hours", (seconds+3599)/3600)
}

// ahead is by how much a clock is wrong.
func ahead(off time.Duration) string {
	way, minutes := "ahead", int(off.Abs().Round(time.Minute)/time.Minute)
	if off < 0 {
		way = "behind"
	}
	if minutes <= 1 {
		return "about a minute " + way
	}
	return fmt.Sprintf("about %d minutes %s", minutes, way)
}

func sayUnavailable(reference string) string {
	return fmt.Sprintf("codes can't be checked right now: try again later, or tell your administrator (reference %s)", reference)
}

func sayTried(reference string) string {
	return fmt.Sprintf("this was only a trial: in a login a code would be asked for now (reference %s)", reference)
}

func sayEnrolBy(due policy.Decision, now time.Time) string {
	days := "in 1 day"
	if n := due.DaysLeft(now); n > 1 {
		days = fmt.Sprintf("in %d days", n)
	}
	return fmt.Sprintf("a second factor is required from %s on, %s: type totpctl enrol", due.EnrolBy.Format(time.DateOnly), days)
}

func sayEnrolFirst(reference string) string {
	return fmt.Sprintf("a code is required and you have no device for it: run totpctl enrol on this host, "+
		"or ask your administrator for help (reference %s)", reference)
}

func sayNoChoice(reference string) string {
	return fmt.Sprintf("none of the numbers was typed: log in again with a program that shows them, "+
		"or ask your administrator for help (reference %s)", reference)
}

func sayEnrolElsewhere(reference string) string {
	return fmt.Sprintf("you have no device for the code, and from here you can't enrol: if you are elsewhere, "+
		"log in from inside your network, or else ask your administrator for help (reference %s)", reference)
}

func sayEnrolApart(reference string) string {
	return fmt.Sprintf("you have no device for the code, and nobody can enrol where both are typed at once: log in "+
		"by another way and enrol there, or ask your administrator for help (reference %s)", reference)
}

// The questions.
const (
	askChoice    = "your choice: "
	askFirstCode = "code shown by the app: "
	askNoted     = "press Enter once you have written them down: "
)

func askRemember(d time.Duration) string {
	return fmt.Sprintf("remember this computer for %s? y/N: ", inDays(d))
}

// sayChoices offers to show the new key. The numbers of c stand here and nowhere else. The bar is as wide as the
// QR code, and of its characters: a client without UTF-8 shows something else.
func sayChoices(c choices, columns int) string {
	var b strings.Builder
	b.WriteString("a second factor is required here, and you have none:\n" +
		"install an authenticator app on your phone, then type one of these numbers\n")
	if c.dark != 0 {
		fmt.Fprintf(&b, "%d shows a QR code, if the background of this window is dark\n"+
			"%d shows a QR code, if the background is light\n", c.dark, c.light)
	}
	fmt.Fprintf(&b, "%d shows a key to type", c.key)
	if c.dark != 0 {
		fmt.Fprintf(&b, ", if the next line is not one unbroken bar\n%s", strings.Repeat("▀", columns))
	}
	return b.String()
}

// sayKey shows the key of a new device. With the QR code of a host's usual name and the question after it, it is
// 24 lines long: all of it stays on the smallest screen.
func sayKey(o enrol.Offer, code string) string {
	key := "setup key: " + inFours(string(o.Secret))
	if code == "" {
		return fmt.Sprintf("type this key into the app, then type here the code that it shows\naccount:   %s (%s)\n%s", o.Host, o.User, key)
	}
	// PAM's applications end the text themselves.
	return "scan this with the app, or type the setup key into it\n" + key + "\n" + strings.TrimSuffix(code, "\n")
}

// sayFirstCode says what was wrong with a first code.
func sayFirstCode(c control.Confirmation, e control.Enrolment) string {
	switch c.Outcome {
	case control.CodeExpired:
		return "that code was right, but its time is over: type the one that the app shows now"
	case control.CodeFormat:
		return fmt.Sprintf("a code has %d digits: type the one that the app shows", e.Digits)
	case control.CodeClock:
		return fmt.Sprintf("your phone's clock is %s: set it to automatic, then type the next code", ahead(time.Duration(c.ClockOff)*time.Second))
	}
	return fmt.Sprintf("that code is not right: type the one shown for %s (%s)", e.Host, e.User)
}

// sayEnrolled shows the recovery codes, once.
func sayEnrolled(codes []control.Secret) string {
	var b strings.Builder
	b.WriteString("done: from now on a code of the app is asked for\n" +
		"keep these recovery codes on paper: each lets you in once, in place of a code\n")
	for i, code := range codes {
		b.WriteString("  " + string(code))
		if i%2 == 1 {
			b.WriteByte('\n')
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func sayNotEnrolledNow(reference string) string {
	return fmt.Sprintf("no right code came, so nothing was changed: log in again and begin anew, or ask your administrator for help (reference %s)", reference)
}

func sayEnrolmentOver(reference string) string {
	return fmt.Sprintf("that took more than 10 minutes, so the key is void: log in again and begin anew (reference %s)", reference)
}

func sayEnrolledElsewhere(reference string) string {
	return fmt.Sprintf("you have got a device in the meantime: remove what you have just added to the app, and log in again with a code of that device (reference %s)", reference)
}

func sayNotRemembered() string {
	return "this computer can't be remembered right now: you will be asked for a code again"
}

// inDays tells a time in whole days, rounded up, or in hours where it is no longer than one.
func inDays(d time.Duration) string {
	n, unit := (d+23*time.Hour)/(24*time.Hour), "day"
	if d <= 24*time.Hour {
		n, unit = max(1, (d+time.Hour-1)/time.Hour), "hour"
	}
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}

// inFours groups a key as people type it.
func inFours(key string) string {
	var b strings.Builder
	for i, letter := range key {
		if i > 0 && i%4 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(letter)
	}
	return b.String()
}
