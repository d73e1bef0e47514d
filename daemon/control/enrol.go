package control

import (
	"context"
	"time"
)

// EnrolRequest starts an enrolment. An enrolment begun earlier and not confirmed is replaced.
type EnrolRequest struct {
	User     string `json:"user,omitempty"`
	Password Secret `json:"password,omitempty"`
	Name     string `json:"name,omitempty"` // of the device; empty: "phone", with a number behind it if there is one
	// Code is of a device that the user has, or a recovery code: whoever has a device adds no other without.
	Code Secret `json:"code,omitempty"`
	// What the device is to be like; empty: as the configuration says.
	Digits    int    `json:"digits,omitempty"`
	Period    int    `json:"period,omitempty"` // seconds
	Algorithm string `json:"algorithm,omitempty"`
	// Unconfirmed is an admin's: the device counts at once, and no first code is waited for.
	Unconfirmed bool `json:"unconfirmed,omitempty"`
}

// Enrolment is shown to the person, once.
type Enrolment struct {
	User      string    `json:"user"`
	Host      string    `json:"host"`   // the issuer of the label
	Name      string    `json:"name"`   // of the device
	URI       Secret    `json:"uri"`    // otpauth://totp/...
	Secret    Secret    `json:"secret"` // base32, no padding
	Digits    int       `json:"digits"`
	Period    int       `json:"period"`           // seconds
	Expires   time.Time `json:"expires,omitzero"` // of a device that waits for its first code
	Algorithm string    `json:"algorithm"`
	// RecoveryCodes come with a first device that doesn't wait for a code.
	RecoveryCodes []Secret `json:"recovery_codes,omitempty"`
}

// ConfirmRequest ends an enrolment with the first code of the new device.
type ConfirmRequest struct {
	User string `json:"user,omitempty"`
	Code Secret `json:"code"`
}

// ConfirmOutcome is how a first code was judged.
type ConfirmOutcome string

// The outcomes of a confirmation. After all but Confirmed, the enrolment still waits for a code.
const (
	Confirmed   ConfirmOutcome = "confirmed"
	CodeWrong   ConfirmOutcome = "wrong"     // no code of this secret near this time
	CodeExpired ConfirmOutcome = "expired"   // it was right up to two minutes ago
	CodeClock   ConfirmOutcome = "clock"     // right at another time: the phone's clock or ours is off
	CodeFormat  ConfirmOutcome = "malformed" // not a code of this length
)

// Confirmation answers a ConfirmRequest.
type Confirmation struct {
	Outcome ConfirmOutcome `json:"outcome"`
	// ClockOff is by how many seconds the device's clock is ahead (behind: negative), with CodeClock.
	ClockOff int      `json:"clock_off,omitempty"`
	Account  *Account `json:"account,omitempty"` // with Confirmed
	// RecoveryCodes are shown to the person, once: with Confirmed, when the device is the first one.
	RecoveryCodes []Secret `json:"recovery_codes,omitempty"`
}

// SetRequest gives a user a known key, without confirmation.
type SetRequest struct {
	User string `json:"user"`
	URI  Secret `json:"uri"`            // otpauth://totp/... or otpauth://hotp/...
	Name string `json:"name,omitempty"` // of the device; empty: "token", with a number behind it if there is one
	// RecoveryCodes says that there is somebody to give them to: they are made with a first device.
	RecoveryCodes bool `json:"recovery_codes,omitempty"`
}

// DisableRequest takes the second factor away. Password and Code are the owner's; root needs neither.
type DisableRequest struct {
	User     string `json:"user,omitempty"`
	Password Secret `json:"password,omitempty"`
	Code     Secret `json:"code,omitempty"`
}

// Enrol starts an enrolment.
func (c *Client) Enrol(ctx context.Context, r EnrolRequest) (Enrolment, error) {
	return ask[Enrolment](ctx, c, VerbEnrol, r)
}

// Confirm ends an enrolment with a first code.
func (c *Client) Confirm(ctx context.Context, r ConfirmRequest) (Confirmation, error) {
	return ask[Confirmation](ctx, c, VerbConfirm, r)
}

// Set gives a user a known key.
func (c *Client) Set(ctx context.Context, r SetRequest) (Confirmation, error) {
	return ask[Confirmation](ctx, c, VerbSet, r)
}

// Disable takes a second factor away.
func (c *Client) Disable(ctx context.Context, r DisableRequest) error {
	_, err := ask[Nothing](ctx, c, VerbDisable, r)
	return err
}
