package login

import (
	"fmt"
	"time"

	"github.com/totpd/totpd/daemon/internal/policy"
	"github.com/totpd/totpd/daemon/internal/throttle"
)

// Every sentence a person sees while logging in. Those that end a login name the reference, which
// finds its line in the journal. A wrong code, an unknown user and a caller who may not ask about
// that user get the same one.

func sayTryAgain() string {
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

func sayWait(wait time.Duration, reference string) string {
	return fmt.Sprintf("too many wrong codes: try again in %d s (reference %s)", throttle.Seconds(wait), reference)
}

func sayLocked(reference string) string {
	return fmt.Sprintf("locked after too many wrong codes: ask your administrator for help (reference %s)", reference)
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
