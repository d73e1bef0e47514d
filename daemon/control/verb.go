// Package control is the management API: what totpctl asks the daemon and what it answers, as JSON
// over HTTP on a Unix socket, and the client that speaks it. Each verb is a POST to /v1/VERB with its
// request as the body; the answer is its response or an Error.
//
// Who may do what is the daemon's decision, from the peer's uid; a request carries no identity. Where root
// alone may, polkit may let others: they say in a header who they are on the system bus, and the daemon
// checks that. An empty User means the caller. Types that hold a password, a code or a secret print as
// redacted.
package control

import (
	"context"
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
	VerbAdopt  Verb = "adopt"   // AdoptRequest -> Account; root alone
	VerbImport Verb = "import"  // ImportRequest -> Imported; root alone
	VerbHealth Verb = "health"  // Nothing -> Health; root alone
	VerbSetup  Verb = "setup"   // SetupRequest -> Nothing; root alone

	VerbRemembered Verb = "remembered" // RememberedRequest -> Remembered; own, or root, or polkit's org.totpd.manage.status
	VerbForget     Verb = "forget"     // ForgetRequest -> Remembered, those forgotten; own, or root, or polkit's org.totpd.manage.forget
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

// Nothing is the empty request and the empty response.
type Nothing struct{}

// Version is the daemon's, with the names of this host in the labels of its devices.
type Version struct {
	Version string `json:"version"`
	Host    string `json:"host,omitempty"`
	Issuer  string `json:"issuer,omitempty"`
}

// Version asks for the daemon's version and the host's names.
func (c *Client) Version(ctx context.Context) (Version, error) {
	return ask[Version](ctx, c, VerbVersion, Nothing{})
}
