// Package control is the management API: what totpctl asks the daemon and what it answers, as JSON
// over HTTP on a Unix socket, and the client that speaks it. Each verb is a POST to /v1/VERB with one
// of the requests below; the answer is the response below or an Error.
//
// Who may do what is the daemon's decision, from the peer's uid; a request carries no identity. Where root
// alone may, polkit may let others: they say in a header who they are on the system bus, and the daemon
// checks that. An empty User means the caller. Types that hold a password, a code or a secret print as
// redacted.
package control

import (
	"fmt"
	"io"
	"slices"
	"time"
)

// Verb names a request. The path is "/v1/" + Verb.
type Verb string

// The verbs, with their request and response.
const (
	VerbVersion Verb = "version" // Nothing -> Version; anyone
	VerbStatus  Verb = "status"  // StatusRequest -> Account; own, or root, or polkit's org.totpd.manage.status
	VerbUsers   Verb = "users"   // UsersRequest -> Users; root, or polkit's org.totpd.manage.users
	VerbEnrol   Verb = "enrol"   // EnrolRequest -> Enrolment; own with password (and code, for one device more), or root, or polkit's org.totpd.manage.enrol
	VerbConfirm Verb = "confirm" // ConfirmRequest -> Confirmation; likewise
	VerbSet     Verb = "set"     // SetRequest -> Confirmation; root, or polkit's org.totpd.manage.enrol
	VerbDisable Verb = "disable" // DisableRequest -> Nothing; own with password and code, or root, or polkit's org.totpd.manage.disable

	VerbRename        Verb = "rename-device"      // RenameRequest -> Account; own, or root, or polkit's org.totpd.manage.devices
	VerbRemove        Verb = "remove-device"      // RemoveRequest -> Account; own with password and code, or likewise
	VerbRecoveryCodes Verb = "new-recovery-codes" // RecoveryCodesRequest -> RecoveryCodes; own with password and code, or root
	VerbBypass        Verb = "bypass"             // BypassRequest -> BypassCode; root, or polkit's org.totpd.manage.bypass
	VerbRevoke        Verb = "revoke-bypass"      // RevokeRequest -> Revoked; likewise
	VerbExport        Verb = "export"             // ExportRequest -> Export; root with a code of the user's
	VerbPolicy        Verb = "policy"             // PolicyRequest -> Policy; own, or root, or polkit's org.totpd.manage.status

	VerbShow   Verb = "show"    // ShowRequest -> Shown; root, or polkit's org.totpd.manage.status
	VerbUnlock Verb = "unlock"  // UnlockRequest -> Unlocked; root, or polkit's org.totpd.manage.unlock
	VerbReset  Verb = "reset"   // ResetRequest -> Account; root, or polkit's org.totpd.manage.reset
	VerbLog    Verb = "log"     // LogRequest -> Log; own, or root, or polkit's org.totpd.manage.log
	VerbLogAll Verb = "log-all" // LogRequest without User -> Log of everybody; root, or polkit's org.totpd.manage.log
	VerbImport Verb = "import"  // ImportRequest -> Imported; root, or polkit's org.totpd.manage.import
)

// offline are the verbs that need nothing but the store, so that root can use them without a daemon.
var offline = []Verb{VerbDisable, VerbReset, VerbStatus, VerbUnlock, VerbUsers, VerbVersion}

// OfflineVerbs returns the verbs that root can use without a daemon.
func OfflineVerbs() []Verb { return slices.Clone(offline) }

// Offline says whether root can use the verb without a daemon.
func (v Verb) Offline() bool { return slices.Contains(offline, v) }

// The headers of a request that polkit may have to be asked about.
const (
	// HeaderBusName is the caller's unique name on the system bus, such as :1.42. Without it polkit isn't
	// asked.
	HeaderBusName = "Totpd-Bus-Name"
	// HeaderInteractive is "yes" when the caller waits while somebody is asked for a password: for up to
	// InteractiveTime.
	HeaderInteractive = "Totpd-Interactive"
)

// InteractiveTime is how long somebody may take who is asked for a password.
const InteractiveTime = 2 * time.Minute

// Secret is a string that is never printed.
type Secret string

// String and GoString redact; Format keeps every fmt verb from seeing more.
func (Secret) String() string             { return "[redacted]" }
func (Secret) GoString() string           { return "[redacted]" }
func (Secret) Format(f fmt.State, _ rune) { io.WriteString(f, "[redacted]") }

// Nothing is the empty request and the empty response.
type Nothing struct{}

// Version is the daemon's.
type Version struct {
	Version string `json:"version"`
}

// StatusRequest asks for one account.
type StatusRequest struct {
	User string `json:"user,omitempty"`
}

// Account is what may be told of an account.
type Account struct {
	User         string    `json:"user"`
	Enrolled     bool      `json:"enrolled"`
	Devices      []Device  `json:"devices"`
	PendingUntil time.Time `json:"pending_until,omitzero"` // an enrolment waits for its first code until then
	Failures     int       `json:"failures"`               // wrong codes that no success has forgiven
	WaitUntil    time.Time `json:"wait_until,omitzero"`    // no code is judged before, from where the user has not logged in
	Locked       bool      `json:"locked"`                 // too many wrong codes: root must help
	// LockedElsewhere: codes are judged only from where the user has logged in before.
	LockedElsewhere bool     `json:"locked_elsewhere,omitempty"`
	RecoveryLeft    int      `json:"recovery_left"`        // recovery codes that weren't used yet
	Bypass          []Bypass `json:"bypass,omitempty"`     // bypass codes that are good now
	Remembered      int      `json:"remembered,omitempty"` // computers from which no code is asked
	MustEnrol       bool     `json:"must_enrol,omitempty"` // was reset: the next login enrols
}

// Device is what may be told of a device.
type Device struct {
	Name      string    `json:"name"`
	Digits    int       `json:"digits"`
	Period    int       `json:"period"` // seconds
	Algorithm string    `json:"algorithm"`
	Added     time.Time `json:"added"`
	LastUsed  time.Time `json:"last_used,omitzero"`
	Kind      string    `json:"kind,omitempty"` // "hotp": its codes count events, and Period is 0
}

// Bypass is what may be told of a bypass code.
type Bypass struct {
	ID      string    `json:"id"`
	By      string    `json:"by"` // who made it: a uid
	Made    time.Time `json:"made"`
	Expires time.Time `json:"expires"`
	Uses    int       `json:"uses"` // that are left
}

// UsersRequest asks for the next page of accounts in order of user name: those after After.
type UsersRequest struct {
	After string `json:"after,omitempty"`
}

// Users is one page. More says that another follows after the last of these.
type Users struct {
	Users []Account `json:"users"`
	More  bool      `json:"more"`
}

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

// RenameRequest gives a device another name.
type RenameRequest struct {
	User string `json:"user,omitempty"`
	From string `json:"from"`
	To   string `json:"to"`
}

// RemoveRequest takes one of several devices away. Password and Code are the owner's; an admin needs neither.
type RemoveRequest struct {
	User     string `json:"user,omitempty"`
	Name     string `json:"name"`
	Password Secret `json:"password,omitempty"`
	Code     Secret `json:"code,omitempty"`
}

// RecoveryCodesRequest replaces the recovery codes. Password and Code are the owner's; root needs neither.
type RecoveryCodesRequest struct {
	User     string `json:"user,omitempty"`
	Password Secret `json:"password,omitempty"`
	Code     Secret `json:"code,omitempty"`
}

// RecoveryCodes are shown to the person, once.
type RecoveryCodes struct {
	User  string   `json:"user"`
	Codes []Secret `json:"recovery_codes"`
}

// BypassRequest makes a code that lets the user in without a device.
type BypassRequest struct {
	User string `json:"user"`
	For  int    `json:"for"` // seconds
	Uses int    `json:"uses"`
}

// BypassCode is shown to the admin, once.
type BypassCode struct {
	User string `json:"user"`
	Code Secret `json:"code"`
	Bypass
}

// RevokeRequest ends a bypass code.
type RevokeRequest struct {
	User string `json:"user"`
	ID   string `json:"id,omitempty"` // empty: all of the user's
}

// Revoked says how many bypass codes were ended.
type Revoked struct {
	User    string `json:"user"`
	Revoked int    `json:"revoked"`
}

// ExportRequest asks for the keys of a user. Code is the user's, who consents with it.
type ExportRequest struct {
	User string `json:"user"`
	Code Secret `json:"code"`
}

// Export is the keys of a user.
type Export struct {
	User    string           `json:"user"`
	Devices []ExportedDevice `json:"devices"`
}

// ExportedDevice is a device with its key.
type ExportedDevice struct {
	Name string `json:"name"`
	URI  Secret `json:"uri"` // otpauth://...
}

// ErrorCode says what went wrong; remedies are chosen by it.
type ErrorCode string

// The codes.
const (
	ErrBadRequest      ErrorCode = "bad_request"      // 400: malformed; Message says where
	ErrBadURI          ErrorCode = "bad_uri"          // 400
	ErrNotAllowed      ErrorCode = "not_allowed"      // 403: root only, or another's account; Action, where polkit may allow it
	ErrAuthenticate    ErrorCode = "authenticate"     // 403: polkit allows it after a password, which nobody was asked for
	ErrUnknownUser     ErrorCode = "unknown_user"     // 404: no such user on this host
	ErrAlreadyEnrolled ErrorCode = "already_enrolled" // 409: adding a device needs a code
	ErrNotEnrolled     ErrorCode = "not_enrolled"     // 409
	ErrNoPending       ErrorCode = "no_pending"       // 409: nothing to confirm, or its 10 minutes are over
	ErrWrongPassword   ErrorCode = "wrong_password"   // 403
	ErrWrongCode       ErrorCode = "wrong_code"       // 403
	ErrWait            ErrorCode = "wait"             // 429: RetryAfter seconds
	ErrLocked          ErrorCode = "locked"           // 429: root must help
	ErrUnavailable     ErrorCode = "unavailable"      // 503: store or password check don't work; the journal says why
	ErrNotOffline      ErrorCode = "not_offline"      // 501: no daemon answers, and this needs one
	ErrNameTaken       ErrorCode = "name_taken"       // 409: another device has that name, or that key
	ErrNoDevice        ErrorCode = "no_device"        // 404: none has that name
	ErrLastDevice      ErrorCode = "last_device"      // 409: without it there would be no second factor
	ErrTooMany         ErrorCode = "too_many"         // 409: no room for one more
	ErrNoBypass        ErrorCode = "no_bypass"        // 404: none has that ID
	ErrBadImport       ErrorCode = "bad_import"       // 400: an imported user can't be kept as given; Message says what is wrong
)

// Error is the body of every answer that is not 200.
type Error struct {
	Code       ErrorCode `json:"code"`
	Message    string    `json:"message"`
	RetryAfter int       `json:"retry_after,omitempty"` // seconds
	Reference  string    `json:"reference,omitempty"`   // finds the journal line
	Action     string    `json:"action,omitempty"`      // of polkit, with ErrNotAllowed and ErrAuthenticate
}

func (e *Error) Error() string { return e.Message }
