package doctor

import "time"

// Facts is what was learnt about the host, whether anything is wrong with it or not. What isn't known is
// left out.
type Facts struct {
	Time     time.Time `json:"time"`
	UID      int       `json:"uid"` // who looked
	Versions Versions  `json:"versions"`
	Module   *Module   `json:"module,omitempty"`
	Services []Service `json:"services,omitempty"` // whose logins the module is in
	SSHD     *SSHD     `json:"sshd,omitempty"`
	Units    []Unit    `json:"units,omitempty"`
	Sockets  []File    `json:"sockets,omitempty"`
	Config   Config    `json:"config"`
	Store    *Store    `json:"store,omitempty"`
	Key      *Key      `json:"key,omitempty"`
	Clock    *Clock    `json:"clock,omitempty"`
	SELinux  *SELinux  `json:"selinux,omitempty"`
	AppArmor *AppArmor `json:"apparmor,omitempty"`
	People   *People   `json:"people,omitempty"`
}

// Versions are of the command that looked and of the daemon that answered.
type Versions struct {
	Command string `json:"totpctl"`
	Daemon  string `json:"totpd,omitempty"`
}
