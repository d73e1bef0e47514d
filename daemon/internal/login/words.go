package login

import (
	"fmt"
	"time"

	"github.com/totpd/totpd/daemon/internal/policy"
	"github.com/totpd/totpd/daemon/internal/throttle"
	"github.com/totpd/totpd/daemon/internal/verify"
)

// Every sentence a person sees while logging in. Those that end a login name the reference, which
// finds its line in the journal. A wrong code, an unknown user and a caller who may not ask about
// that user get the same one.

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
	return "a code is 6 or 8 digits: type the one that is shown now"
}

func sayRefused(reference string) string {
	return fmt.Sprintf("not accepted: log in again with a new code, or ask your administrator for help (reference %s)", reference)
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
		return fmt.Sprintf("too many wrong codes: the next is taken in %s. A recovery code is taken now", wait(out.Until.Sub(now)))
	}
	return "codes are locked after too many wrong ones. A recovery code is taken"
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

func sayNotEnrolled(reference string) string {
	return fmt.Sprintf("a code is required and you have no device for it: ask your administrator for help (reference %s)", reference)
}

func sayEnrolBy(due policy.Decision, now time.Time) string {
	days := "in 1 day"
	if n := due.DaysLeft(now); n > 1 {
		days = fmt.Sprintf("in %d days", n)
	}
	return fmt.Sprintf("a second factor is required from %s on, %s: set it up with totpctl enrol", due.EnrolBy.Format(time.DateOnly), days)
}
