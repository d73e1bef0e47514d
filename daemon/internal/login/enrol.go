package login

import (
	"context"
	"crypto/rand"
	"errors"
	"math/big"
	"strconv"
	"strings"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/control/qr"
	"github.com/totpd/totpd/daemon/internal/audit"
	"github.com/totpd/totpd/daemon/internal/enrol"
	"github.com/totpd/totpd/daemon/wire"
)

// enrolment is one that goes on inside the login. The account knows nothing of it before its first code.
type enrolment struct {
	offer   enrol.Offer
	code    qr.Code
	choices choices
	device  string // its name, once it is the user's
}

// choices are the numbers that stand in a text for what can be shown. Whoever types one has read the text:
// a client that shows none, and answers whatever it is asked with a code or a password, has not. A QR code
// without colours is a proper one on the ground it is drawn for, so the person says which. 0: not offered.
type choices struct{ dark, light, key int }

// newChoices draws them: two digits each, none of them twice.
func newChoices(withQR bool) choices {
	var n [3]int
	for i := range n {
		for n[i] == 0 || i > 0 && n[i] == n[0] || i > 1 && n[i] == n[1] {
			random, _ := rand.Int(rand.Reader, big.NewInt(90)) // never fails: crypto/rand
			n[i] = 10 + int(random.Int64())
		}
	}
	if !withQR {
		n[0], n[1] = 0, 0
	}
	return choices{n[0], n[1], n[2]}
}

// mustEnrol asks whether it is the user who is to enrol, or says where there can be an enrolment.
func (d *Dialogue) mustEnrol() decision {
	switch {
	case d.open.Combined: // nobody has looked at the password yet
		return decision{result: audit.Refused, reason: "not_enrolled", detail: d.rule.Reason, say: sayEnrolApart(d.reference)}
	case !d.caller.Root, // it is itself, so nobody has asked for its password
		d.open.Version == wire.Oldest: // it can't tell
		return decision{result: audit.Refused, reason: "not_enrolled", detail: d.rule.Reason, say: sayEnrolFirst(d.reference)}
	case !d.rule.EnrolHere:
		return decision{result: audit.Refused, reason: "enrol_elsewhere", detail: d.rule.Reason, say: sayEnrolElsewhere(d.reference)}
	}
	return decision{next: proving}
}

// proved begins an enrolment. A stack may go on after a wrong password, or ask for it behind the module: then
// anybody who knows a name would give that user a device. The refusal is that of a wrong code.
func (d *Dialogue) proved(ctx context.Context, text []byte) decision {
	if string(text) != wire.Proven {
		return d.refused("not_proven")
	}
	offer, err := d.service.enrol.Offer(audit.WithOrigin(ctx, d.origin()), d.user, d.source().Key())
	if err != nil {
		return d.unavailable("enrolment", err)
	}
	code, err := qr.New(string(offer.URI))
	if err != nil {
		return d.unavailable("qr", err)
	}
	columns := code.Columns(qr.QuietMin)
	narrow := d.open.Columns > 0 && int(d.open.Columns) < columns
	d.enrolment = enrolment{offer: offer, code: code, choices: newChoices(!narrow)}
	return decision{show: sayChoices(d.enrolment.choices, columns), next: choosing}
}

// chosen shows the new key in the way that the person has chosen. What was typed may be a password.
func (d *Dialogue) chosen(_ context.Context, text []byte) decision {
	e := d.enrolment
	typed := strings.TrimSpace(string(text))
	number, err := strconv.Atoi(typed)
	switch {
	case err == nil && number == e.choices.key && number != 0:
		return decision{show: sayKey(e.offer, ""), next: confirming}
	case err == nil && number == e.choices.dark && number != 0:
		return decision{show: sayKey(e.offer, e.code.Draw(qr.Dark, qr.QuietMin)), next: confirming}
	case err == nil && number == e.choices.light && number != 0:
		return decision{show: sayKey(e.offer, e.code.Draw(qr.Light, qr.QuietMin)), next: confirming}
	case typed != "" && d.again:
		return decision{result: audit.Retry, reason: "wrong_choice", show: sayChoices(e.choices, e.code.Columns(qr.QuietMin))}
	}
	return decision{result: audit.Refused, reason: "no_choice", say: sayNoChoice(d.reference)}
}

// firstCode judges the first code of the new device, which enrol writes the journal line of. Once it is
// right, the device is the user's, whatever becomes of this login.
func (d *Dialogue) firstCode(ctx context.Context, text []byte) decision {
	e := &d.enrolment
	c, err := d.service.enrol.Take(audit.WithOrigin(ctx, d.origin()), e.offer, string(text))
	refusal := new(control.Error)
	switch {
	case errors.As(err, &refusal) && refusal.Code == control.ErrNoPending:
		return decision{result: audit.Refused, reason: "enrolment_over", say: sayEnrolmentOver(d.reference)}
	case errors.As(err, &refusal) && refusal.Code == control.ErrAlreadyEnrolled:
		return decision{result: audit.Refused, reason: "already_enrolled", say: sayEnrolledElsewhere(d.reference)}
	case err != nil:
		return d.unavailable("enrolment", err)
	case c.Outcome == control.Confirmed:
		e.device = e.offer.Name
		return decision{show: sayEnrolled(c.RecoveryCodes), next: noting}
	case d.again:
		return decision{say: sayFirstCode(c, e.offer.Enrolment)}
	}
	return decision{result: audit.Refused, reason: "no_first_code", say: sayNotEnrolledNow(d.reference)}
}

// noted lets in who has enrolled.
func (d *Dialogue) noted(context.Context, []byte) decision {
	return decision{result: audit.Accepted, reason: "enrolled", device: d.enrolment.device}
}
