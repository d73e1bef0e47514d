package doctor

// Kind is one kind of finding. Its id and severity stay as they are from version to version.
type Kind struct {
	ID       string   `json:"id"`
	Severity Severity `json:"severity"`
	Meaning  string   `json:"meaning"`
}

// Kinds are all there are, by topic.
var Kinds = []Kind{
	{"module-missing", Error, "a PAM line names the module, whose file is not there"},
	{"module-machine", Error, "the module is for another processor"},
	{"module-broken", Error, "the module can't be loaded"},
	{"module-owner", Error, "others than root can change the module"},
	{"module-unreadable", Warning, "programs that don't run as root can't load the module"},
	{"module-absent", Note, "the module is not installed, and no PAM line names it"},

	{"stack-broken", Error, "libpam can't read a line of a stack"},
	{"stack-before-password", Error, "the code is asked for before the password"},
	{"stack-alone", Error, "a code is asked for, and no password"},
	{"stack-closed", Error, "a stack lets nobody in"},
	{"stack-skipped", Error, "the stack ends, or jumps, before a code is asked for"},
	{"stack-optional", Error, "a refused code doesn't keep anybody out"},
	{"stack-argument", Error, "the module doesn't take an argument of its line"},
	{"stack-socket", Error, "a line's socket= leads nowhere"},
	{"stack-behind", Error, "password and code are asked for together after the password"},
	{"stack-again", Error, "a module asks for the password again that was typed with the code"},
	{"stack-totpd", Error, "the service that checks passwords asks for a code"},
	{"stack-totpd-missing", Error, "the service that checks passwords is missing"},
	{"stack-guess", Warning, "a code is asked for after a wrong password, too"},
	{"stack-twice", Warning, "a code is asked for twice"},
	{"stack-excludes", Warning, "whoever has not enrolled can't log in"},
	{"stack-type", Warning, "the module stands where it does nothing"},
	{"stack-sibling", Warning, "su or sudo asks for a code, su -l or sudo -i doesn't"},
	{"stack-dash", Note, "-auth would hide why nobody gets in"},
	{"stack-exempts", Note, "a condition in the stack lets some in without a code"},
	{"stack-without", Note, "other ways in ask for no code"},
	{"stack-none", Note, "no login asks for a code"},

	{"sshd-broken", Error, "sshd can't read its settings"},
	{"sshd-usepam", Error, "sshd doesn't ask PAM"},
	{"sshd-kbdint", Error, "sshd can't show PAM's questions"},
	{"sshd-methods", Error, "AuthenticationMethods leaves PAM's questions out"},
	{"sshd-code-alone", Error, "over ssh a code alone lets in"},
	{"sshd-password", Warning, "sshd's own password method is on"},
	{"sshd-one-prompt", Warning, "the password method, for which there is one prompt, is off"},
	{"sshd-root", Warning, "root gets in over ssh with its password alone"},
	{"sshd-grace", Warning, "sshd gives too little time to enrol in a login"},
	{"sshd-usedns", Warning, "sshd gives names, and rules go by networks"},
	{"sshd-stale", Warning, "sshd hasn't read its settings since they were changed"},
	{"sshd-bypass", Note, "a key, or another method, lets in without a code"},
	{"sshd-match", Note, "a Match block weakens the second factor for some"},

	{"daemon-user", Error, "the daemon's user is missing"},
	{"daemon-absent", Error, "the daemon's program is missing"},
	{"daemon-unreachable", Error, "nobody listens at the control socket"},
	{"daemon-foreign", Error, "another program answers at the control socket"},
	{"daemon-silent", Error, "the daemon doesn't answer in time"},
	{"daemon-old", Warning, "the daemon that runs was replaced on the disk"},
	{"daemon-version", Warning, "daemon and command are of different versions"},

	{"unit-masked", Error, "a unit of totpd is masked"},
	{"unit-missing", Error, "a unit of totpd is not installed"},
	{"unit-broken", Error, "systemd can't read a unit of totpd"},
	{"unit-failed", Error, "a unit of totpd has failed"},
	{"unit-stopped", Error, "a socket unit of totpd is not up"},
	{"unit-disabled", Warning, "a unit of totpd isn't started at boot"},
	{"unit-changed", Warning, "systemd hasn't read a unit since it was changed"},
	{"unit-unknown", Note, "the host isn't run by systemd"},

	{"socket-missing", Error, "a socket is not there"},
	{"socket-mode", Error, "the login or control socket isn't open to everybody"},
	{"socket-directory", Error, "a directory keeps people from the sockets"},
	{"socket-open", Error, "others than the daemon may have passwords checked"},
	{"socket-owner", Error, "the password socket isn't the daemon's"},
	{"socket-deaf", Error, "nobody listens at a socket"},

	{"config-broken", Error, "totpd.toml can't be used"},
	{"config-group", Warning, "the rules name a group that the host doesn't know"},
	{"config-stale", Warning, "the daemon hasn't read totpd.toml since it was changed"},

	{"store-directory", Error, "the store's directory is missing"},
	{"store-missing", Error, "the database is missing"},
	{"store-empty", Error, "the database is empty"},
	{"store-open", Error, "others may read or write the store"},
	{"store-owner", Error, "the store isn't the daemon's"},
	{"store-unreadable", Error, "the daemon can't read its accounts"},
	{"store-readonly", Error, "the store's file system is mounted read-only"},
	{"store-full", Error, "the store's file system is full"},
	{"store-inodes", Error, "the store's file system has no inodes left"},
	{"store-mode", Warning, "the store's directory isn't of mode 0700"},
	{"store-low", Warning, "the store's file system is nearly full"},
	{"store-log", Warning, "SQLite's log has grown large"},
	{"store-network", Warning, "the store is on a network file system"},

	{"key-missing", Error, "the key of the store is missing"},
	{"key-link", Error, "the key's file is a symbolic link"},
	{"key-malformed", Error, "the key's file holds no key"},
	{"key-open", Error, "others may read the key"},
	{"key-owner", Error, "the key isn't the daemon's"},

	{"clock-behind", Error, "the clock is before the daemon was built"},
	{"clock-unsynchronised", Warning, "the clock isn't synchronised"},

	{"selinux-policy", Warning, "SELinux is on and totpd's policy module isn't loaded"},
	{"selinux-label", Warning, "files of totpd have wrong labels"},
	{"selinux-domain", Warning, "the daemon runs in another domain than its own"},

	{"apparmor-profile", Warning, "AppArmor is on and the daemon's profile isn't loaded"},
	{"apparmor-unconfined", Warning, "the daemon runs without its profile"},
	{"apparmor-complain", Note, "the daemon's profile only complains"},

	{"people-shut-out", Error, "nobody can log in by the services that ask for a code"},
	{"people-no-ssh", Error, "who has a second factor can't log in over ssh"},
	{"people-broken", Error, "an account's record is broken, and its user can't log in"},
	{"people-locked", Warning, "somebody is locked after too many wrong codes"},
	{"people-refused", Warning, "a code is required of somebody who has no device and can't enrol in the login"},
	{"people-required", Note, "somebody must enrol at the next login"},
	{"people-enrol-by", Note, "somebody has not enrolled, and must from a date on"},
	{"people-waiting", Note, "somebody must wait after wrong codes"},
	{"people-gone", Note, "an account's user is gone from the host"},

	{"setup-unreadable", Warning, "the notes of totpctl setup can't be read"},
	{"setup-stuck", Warning, "totpctl setup --undo can't take a file back"},
	{"setup-unfinished", Warning, "totpctl setup was stopped half-way"},
	{"setup-changed", Note, "a file was changed after totpctl setup"},
}
