package stack

import (
	"slices"
	"strings"
)

// Role is what a module can say about a person.
type Role int

// The roles. What isn't known is taken for a module that proves nothing and may answer anything.
const (
	Unknown  Role = iota
	Neutral       // says nothing about who the person is: settings, counters, conditions
	Permits       // always yes
	Denies        // always no
	Knows         // proves who it is by a password
	Has           // proves it by something else: a token, a fingerprint, a key
	Trusts        // lets in for what the caller is already: root, a member of wheel
	Code          // ours
	WithKey       // ours, with the argument with_key: asks for a code where sshd has verified a key
	Combined      // ours, with the argument prompt=combined: asks for password and code together
)

// OurName is our module's.
const OurName = "pam_totpd"

// KeyArgument makes our module have no opinion unless sshd has verified a key.
const KeyArgument = "with_key"

// CombinedArgument makes our module ask for the password too, and leave it to the modules that follow.
const CombinedArgument = "prompt=combined"

var roles = map[Role]string{
	Neutral: `pam_access pam_apparmor pam_canonicalize_user pam_cap pam_cgfs pam_cgroup pam_chroot pam_debug
		pam_echo pam_ecryptfs pam_env pam_exec pam_faildelay pam_faillock pam_filter pam_fscrypt
		pam_gnome_keyring pam_group pam_issue pam_keyinit pam_kwallet pam_kwallet5 pam_lastlog pam_lastlog2
		pam_limits pam_listfile pam_localuser pam_loginuid pam_mail pam_mkhomedir pam_motd pam_mount
		pam_namespace pam_nologin pam_oddjob_mkhomedir pam_pwhistory pam_pwquality pam_reauthorize pam_script
		pam_securetty pam_selinux pam_sepermit pam_setquota pam_shells pam_succeed_if pam_systemd pam_tally
		pam_tally2 pam_time pam_tty_audit pam_umask pam_usertype pam_warn pam_wheel pam_xauth`,
	Permits: "pam_permit",
	Denies:  "pam_deny",
	Knows: `pam_unix pam_unix_auth pam_unix2 pam_sss pam_ldap pam_krb5 pam_winbind pam_systemd_home pam_userdb
		pam_pwdfile pam_tcb pam_kanidm pam_himmelblau pam_authd pam_authd_exec pam_lsass pam_mysql pam_pgsql
		pam_radius pam_radius_auth pam_tacplus pam_zfs_key pam_extrausers`,
	Has: `pam_fprintd pam_u2f pam_pkcs11 pam_p11 pam_poldi pam_yubico pam_google_authenticator pam_oath pam_duo
		pam_privacyidea pam_totp pam_otp pam_multiotp pam_linotp pam_opie pam_skey pam_authy pam_rublon pam_okta_auth pam_2fa
		pam_ssh_agent_auth pam_rssh pam_howdy pam_otpw pam_usb pam_biometric pam_sss_gss
		pam_cockpit_cert`,
	Trusts: "pam_rootok pam_timestamp pam_rhosts pam_postgresok", // and pam_wheel with "trust"
}

// roleOf maps a module's name to its role.
var roleOf = func() map[string]Role {
	all := map[string]Role{}
	for role, names := range roles {
		for _, name := range strings.Fields(names) {
			all[name] = role
		}
	}
	return all
}()

// Role is that of the line's module.
func (l Line) Role() Role {
	switch name := l.Name(); {
	case name == OurName && slices.Contains(l.Args, KeyArgument):
		return WithKey
	case name == OurName && slices.Contains(l.Args, CombinedArgument):
		return Combined
	case name == OurName:
		return Code
	case name == "pam_wheel" && slices.Contains(l.Args, "trust"):
		return Trusts
	default:
		return roleOf[name]
	}
}

// TakesPassword tells whether a module that checks a password takes one that another has asked for. pam_unix
// does so by itself since Linux-PAM 1.3.1, as all do that use pam_get_authtok(3); so does pam_sss.
func (l Line) TakesPassword() bool {
	if slices.Contains(l.Args, "try_first_pass") || slices.Contains(l.Args, "use_first_pass") {
		return true
	}
	return l.Name() == "pam_unix" || l.Name() == "pam_sss" && !slices.Contains(l.Args, "prompt_always")
}

// otherCodes are modules of other programs that ask for what ours asks for: a code, or a yes on the phone.
var otherCodes = strings.Fields(`pam_google_authenticator pam_oath pam_duo pam_yubico pam_privacyidea pam_otpw pam_totp
	pam_otp pam_multiotp pam_linotp pam_opie pam_skey pam_authy pam_rublon pam_okta_auth pam_2fa`)

// AsksOtherCode tells whether the line is for such a module.
func (l Line) AsksOtherCode() bool { return slices.Contains(otherCodes, l.Name()) }

// Ours tells whether the line is for our module.
func (l Line) Ours() bool { return l.Name() == OurName }

// AsksCode tells whether the line asks for a code of whoever has one, key or not.
func (e Entry) AsksCode() bool { return !e.Sub && (e.Role() == Code || e.Role() == Combined) }
