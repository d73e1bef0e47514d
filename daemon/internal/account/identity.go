package account

import "fmt"

// Identity is a user as the host knows it now: the canonical name, and the uid.
type Identity struct {
	Name string
	UID  uint32
}

// Holds says whether there is something in the account that only its owner may use.
func (a Account) Holds() bool { return a.Enrolled() || len(a.Recovery) > 0 || len(a.Bypass) > 0 }

// SameUID says whether both are known and equal, or neither is known.
func SameUID(a, b *uint32) bool { return a == nil && b == nil || a != nil && b != nil && *a == *b }

// Foreign is the error about a user whose account is somebody else's, or under another name.
type Foreign struct {
	Account string   // the name that the account is kept under
	UID     uint32   // of the account
	User    Identity // who asks
}

// Renamed says whether the account is under another name, and not a former user's of the same name.
func (f *Foreign) Renamed() bool { return f.Account != f.User.Name }

// Error says what happened, and which command resolves it.
func (f *Foreign) Error() string {
	if f.Renamed() {
		return fmt.Sprintf("uid %d has an account under the name %s, which is no longer that user's: "+
			"totpctl adopt %s %[2]s if it is the same person, else totpctl reset %[2]s", f.UID, shown(f.Account), shown(f.User.Name))
	}
	return fmt.Sprintf("the account %s belongs to uid %d, and the user has uid %d now: "+
		"totpctl adopt %[1]s if it is the same person, else totpctl reset %[1]s", shown(f.Account), f.UID, f.User.UID)
}

// shown is a name as it may stand in a command.
func shown(name string) string {
	for _, r := range name {
		if r <= ' ' || r > '~' || r == '\'' || r == '"' || r == '\\' || r == '$' || r == '`' || r == ';' || r == '&' || r == '|' {
			return fmt.Sprintf("%q", name)
		}
	}
	return name
}
