package doctor

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3"

	"github.com/totpd/totpd/cli/internal/change"
	"github.com/totpd/totpd/daemon/control"
)

// fault is one thing planted on a healthy host, and all that doctor says of it then.
type fault struct {
	name  string
	plant func(h *host)
	want  string // ids, sorted
	place string // of the first finding that is wanted; with a * at the end: begins so
	// remedy is in that of the first finding. heals: done as it says, the host is healthy again.
	remedy string
	heals  bool
	root   bool // only root sees it, or can plant it
}

// write and run return plants.
func write(path, text string) func(*host) { return func(h *host) { h.write(path, text) } }
func run(command string) func(*host)      { return func(h *host) { h.run(command) } }
func unit(name, property string, value any) func(*host) {
	return func(h *host) { h.bus.units[name].set(property, value) }
}

// together has a service ask for password and code together, whose program has a user and a unit.
func together(service, user, unit string) func(*host) {
	return func(h *host) {
		h.write("etc/pam.d/"+service, "auth required pam_totpd.so prompt=combined\n@include common-auth\n@include common-account\n")
		h.write("etc/passwd", healthyFiles["etc/passwd"]+user)
		if unit != "" {
			h.write("usr/lib/systemd/system/"+service+".service", unit)
		}
	}
}
func space(change func(*Space)) func(*host) {
	return func(h *host) {
		s, _ := h.Space("")
		change(&s)
		h.Space = func(string) (Space, error) { return s, nil }
	}
}

var faults = []fault{
	{name: "the module is gone", plant: run("rm usr/lib/*/security/pam_totpd.so"), want: "module-missing people-shut-out",
		place: "/usr/lib/*", remedy: "install totpd again"},
	{name: "the module is cut short", plant: run("truncate -s 1000 usr/lib/*/security/pam_totpd.so"), want: "module-broken people-shut-out"},
	{name: "the module is no module", plant: run("cp /usr/lib/*/libc.so.6 usr/lib/*/security/pam_totpd.so"), want: "module-broken people-shut-out"},
	{name: "the module is of another processor", plant: func(h *host) {
		at := "usr/lib/*/security/pam_totpd.so"
		h.run(`printf '\050\000' | dd of=$(echo ` + at + `) bs=1 seek=18 conv=notrunc 2>/dev/null`) // EM_ARM
	}, want: "module-machine people-shut-out"},
	{name: "the module is another program's", plant: func(h *host) { h.Ours = IsModule }, want: "module-foreign", place: "/usr/lib/*", remedy: "install totpd again"},
	{name: "others may write the module", plant: run("chmod 0666 usr/lib/*/security/pam_totpd.so"), want: "module-owner", remedy: "chown root:root /usr/lib/", heals: true},
	{name: "the module is root's alone", plant: run("chmod 0600 usr/lib/*/security/pam_totpd.so"), want: "module-unreadable", remedy: "chmod 0644", heals: true},

	{name: "the code before the password", plant: run("sed -i -e 3d -e '1a auth required pam_totpd.so' etc/pam.d/sshd"), want: "stack-before-password",
		place: "/etc/pam.d/sshd:2", remedy: "sed -i -e '3a auth required pam_totpd.so' -e '2d' /etc/pam.d/sshd", heals: true},
	{name: "sufficient", plant: run("sed -i s/required.pam_totpd/sufficient\\ pam_totpd/ etc/pam.d/sudo"), want: "stack-optional",
		place: "/etc/pam.d/sudo:2", remedy: "sed -i '2s/sufficient/required/I' /etc/pam.d/sudo", heals: true},
	{name: "a control that lets a refusal pass", plant: run("sed -i 's/required.pam_totpd/[success=ok default=ignore] pam_totpd/' etc/pam.d/sudo"), want: "stack-optional",
		remedy: "sed -i '2s|.*|auth required pam_totpd.so debug|' /etc/pam.d/sudo", heals: true},
	{name: "optional", plant: run("sed -i s/required.pam_totpd/optional\\ pam_totpd/ etc/pam.d/sudo"), want: "stack-optional", heals: true},
	{name: "jumped over", plant: write("etc/pam.d/sudo", "auth [success=2 default=ignore] pam_unix.so\nauth requisite pam_deny.so\nauth required pam_totpd.so\nauth required pam_permit.so\n"),
		want: "stack-skipped", place: "/etc/pam.d/sudo:3"},
	{name: "the password suffices", plant: write("etc/pam.d/sudo", "auth sufficient pam_unix.so\nauth required pam_totpd.so\n"), want: "stack-skipped"},
	{name: "after a wrong password, too", plant: write("etc/pam.d/sudo", "auth required pam_unix.so\nauth required pam_totpd.so\n"), want: "stack-guess", place: "/etc/pam.d/sudo:2"},
	{name: "the code alone", plant: write("etc/pam.d/sudo", "auth required pam_totpd.so\nauth required pam_permit.so\n"), want: "stack-alone"},
	{name: "who has not enrolled is shut out", plant: write("etc/pam.d/sudo", "auth [success=1 default=ignore] pam_unix.so\nauth requisite pam_deny.so\nauth required pam_totpd.so\n"),
		want: "stack-excludes", place: "/etc/pam.d/sudo:3", remedy: "sed -i '3a auth required pam_permit.so' /etc/pam.d/sudo", heals: true},
	{name: "nobody gets in", plant: write("etc/pam.d/sudo", "auth required pam_deny.so\nauth required pam_totpd.so\n"), want: "stack-closed"},
	{name: "not root", plant: together("radiusd", "freerad:x:102:102::/:/bin/sh\n", ""), want: "stack-not-root", place: "/etc/pam.d/radiusd:1",
		remedy: "/etc/totpd/totpd.toml && systemctl reload totpd", heals: true},
	{name: "not root, a speaker of another service", plant: func(h *host) {
		together("radiusd", "freerad:x:102:102::/:/bin/sh\n", "")(h)
		h.run(`printf '[[speaker]]\nuser = "freerad"\nservices = ["vpn"]\n' >>etc/totpd/totpd.toml`)
	}, want: "stack-not-root", remedy: `add "radiusd" to the services of [[speaker]] "freerad"`},
	{name: "not root, by its unit", plant: together("radicale", "radicale:x:103:103::/:/bin/sh\n", "[Service]\nUser=radicale\n"), want: "stack-not-root"},
	{name: "no Unix sockets", plant: together("web", "", "[Service]\nRestrictAddressFamilies=AF_INET\n"), want: "stack-no-socket",
		remedy: "mkdir -p /etc/systemd/system/web.service.d && ", heals: true},
	{name: "too little address space", plant: together("web", "", "[Service]\nLimitAS=512M\n"), want: "stack-space", remedy: "LimitAS=infinity", heals: true},
	{name: "vsftpd", plant: func(h *host) { h.write("usr/sbin/vsftpd", ""); together("vsftpd", "", "")(h) }, want: "stack-space", remedy: "nothing raises this limit"},
	{name: "proftpd", plant: func(h *host) {
		h.write("usr/sbin/proftpd", "")
		h.write("etc/proftpd/conf.d/x.conf", "")
		together("proftpd", "", "")(h)
	}, want: "stack-around stack-capset", remedy: "CapabilitiesEngine off", heals: true},
	{name: "what can't ask isn't recommended", plant: func(h *host) {
		h.write("usr/sbin/vsftpd", "")
		h.write("etc/pam.d/vsftpd", "@include common-auth\n@include common-account\n")
	}},
	{name: "a locker that includes login", plant: write("etc/pam.d/i3lock", "auth include login\n"), want: "stack-one-prompt", place: "/etc/pam.d/login:4",
		remedy: "totpctl setup --one-prompt --service i3lock"},
	{name: "a copy that is out of date", plant: func(h *host) {
		h.write("etc/pam.d/totpd-plain-login", "auth requisite pam_nologin.so\nauth include common-auth\n")
		h.write("etc/pam.d/i3lock", "auth required pam_totpd.so prompt=combined\nauth include totpd-plain-login\n")
	}, want: "stack-copy", place: "/etc/pam.d/totpd-plain-login", remedy: "totpctl setup --service login"},
	{name: "a copy that is as it should be", plant: func(h *host) {
		h.write("etc/pam.d/totpd-plain-login", "# a remark\nauth optional pam_faildelay.so delay=3000000\nauth requisite pam_nologin.so\nauth include common-auth\nauth optional pam_group.so\n")
		h.write("etc/pam.d/i3lock", "auth required pam_totpd.so prompt=combined\nauth include totpd-plain-login\n")
	}},
	{name: "a copy with a code that is out of date", plant: func(h *host) {
		h.write("etc/pam.d/totpd-common-auth", "auth [success=1 default=ignore] pam_unix.so\nauth requisite pam_deny.so\nauth required pam_permit.so\nauth required pam_totpd.so\n")
		h.write("etc/pam.d/desk", "auth include totpd-common-auth\naccount required pam_unix.so\n")
	}, want: "stack-copy", place: "/etc/pam.d/totpd-common-auth", remedy: "totpctl setup --service desk"},
	{name: "twice", plant: run("echo auth required pam_totpd.so >>etc/pam.d/su"), want: "stack-twice", place: "/etc/pam.d/su:5", remedy: "sed -i '5d' /etc/pam.d/su", heals: true},
	{name: "a module that doesn't exist", plant: run("sed -i '1i auth required pam_corpdir.so' etc/pam.d/sudo"), want: "stack-unloadable", place: "/etc/pam.d/sudo:1", remedy: "sed -i '1d' /etc/pam.d/sudo", heals: true},
	{name: "a module that doesn't exist, for the account", plant: run("sed -i '1i account requisite pam_corpdir.so' etc/pam.d/common-account"), want: "stack-unloadable", place: "/etc/pam.d/common-account:1", heals: true},
	{name: "a module that doesn't exist, without a log line", plant: run("sed -i '1i -session required pam_corpdir.so' etc/pam.d/login"), want: "stack-unloadable", heals: true},
	{name: "a module that doesn't exist, and need not", plant: run("sed -i -e '1i auth sufficient pam_corpdir.so' -e '1i session [success=ok module_unknown=ignore default=bad] pam_corpdir.so' etc/pam.d/sudo"), want: ""},
	{name: "a module that doesn't exist, on one way", plant: run("sed -i -e '1i auth [success=1 default=ignore] pam_succeed_if.so user ingroup staff' -e '1i auth required pam_corpdir.so' etc/pam.d/sudo"), want: "stack-unloadable-way", place: "/etc/pam.d/sudo:2"},
	{name: "a module that is no module", plant: func(h *host) {
		h.write("etc/pam.d/su", "auth required /opt/pam_corpdir.so\n@include common-auth\nauth required pam_totpd.so\n@include common-account\n")
		h.write("opt/pam_corpdir.so", "#!/bin/sh\n")
	}, want: "stack-unloadable", place: "/etc/pam.d/su:1"},
	{name: "twice, and the password's jump counts it", plant: write("etc/pam.d/sudo", "auth [success=2 default=ignore] pam_unix.so\nauth requisite pam_deny.so\nauth required pam_totpd.so\nauth required pam_totpd.so\nauth required pam_permit.so\n"), want: ""},
	{name: "in the password service, and a jump counts it", plant: write("etc/pam.d/totpd", "auth [success=2 default=ignore] pam_unix.so\nauth required pam_totpd.so\nauth requisite pam_deny.so\nauth required pam_permit.so\naccount required pam_unix.so\n"),
		want: "stack-totpd", remedy: `sed -i -e '2d' -e '1s/=2\([] \t]\)/=1\1/g' /etc/pam.d/totpd`, heals: true},
	{name: "a line that can't be read", plant: run("sed -i s/required.pam_totpd/requird\\ pam_totpd/ etc/pam.d/sudo"), want: "stack-broken stack-closed", place: "/etc/pam.d/sudo:2"},
	{name: "an unknown argument", plant: run("sed -i s/debug/debugging/ etc/pam.d/sudo"), want: "stack-argument", place: "/etc/pam.d/sudo:2"},
	{name: "a long timeout", plant: run("sed -i s/debug/timeout=31/ etc/pam.d/sudo"), want: "stack-argument"},
	{name: "a socket that isn't there", plant: run("sed -i s,debug,socket=/run/nowhere, etc/pam.d/sudo"), want: "stack-socket", place: "/etc/pam.d/sudo:2", heals: true},
	{name: "-auth", plant: run("sed -i s/auth.required.pam_totpd/-auth\\ required\\ pam_totpd/ etc/pam.d/sudo"), want: "stack-dash", heals: true},
	{name: "a password socket that isn't there", plant: run("sed -i s,debug,password_socket=/run/nowhere, etc/pam.d/sudo"), want: "stack-socket", place: "/etc/pam.d/sudo:2", heals: true},
	{name: "one prompt, and its stack", plant: write("etc/pam.d/sudo", "auth required pam_totpd.so prompt=combined\n@include common-auth\n"), want: ""},
	{name: "one prompt after the password", plant: run("sed -i s/debug/prompt=combined/ etc/pam.d/sudo"), want: "stack-behind", place: "/etc/pam.d/sudo:2", remedy: "sed -i '2s| *prompt=combined||' /etc/pam.d/sudo", heals: true},
	{name: "one prompt, and the password again", plant: write("etc/pam.d/sudo", "auth required pam_totpd.so prompt=combined\nauth requisite pam_sss.so prompt_always\n"), want: "stack-again", place: "/etc/pam.d/sudo:2", heals: true},
	{name: "one prompt, and nobody checks the password", plant: write("etc/pam.d/sudo", "auth required pam_totpd.so prompt=combined\n"), want: "stack-alone", place: "/etc/pam.d/sudo:1", heals: true},
	{name: "one prompt that is jumped over", plant: write("etc/pam.d/sudo", "auth [success=1 default=ignore] pam_localuser.so\nauth required pam_totpd.so prompt=combined\n@include common-auth\n"), want: "stack-skipped", place: "/etc/pam.d/sudo:2", remedy: "above all that check the password"},
	{name: "one prompt with a key", plant: run("sed -i 's/debug/with_key prompt=combined/' etc/pam.d/sudo"), want: "stack-argument", place: "/etc/pam.d/sudo:2", root: false},
	{name: "one prompt that can't be", plant: run("sed -i s/debug/prompt=both/ etc/pam.d/sudo"), want: "stack-argument"},
	{name: "a jump that counted a line which is gone", plant: run("sed -i '1i auth [success=1 default=ignore] pam_access.so' etc/pam.d/sudo"), want: "stack-jump",
		place: "/etc/pam.d/sudo:1", remedy: `sed -i '1s/=1\([] \t]\)/=ignore\1/g' /etc/pam.d/sudo`, heals: true},
	{name: "a jump that lets in without a password", plant: run("sed -i '1i auth [success=2 default=ignore] pam_access.so' etc/pam.d/sudo"), want: "stack-guess stack-jump", heals: true},
	{name: "a jump beyond the end", plant: run("sed -i '1i auth [success=9 default=ignore] pam_access.so' etc/pam.d/sudo"), want: "stack-jump", heals: true},
	{name: "a jump that counts one line too many", plant: run("sed -i -e '1i auth [success=2 default=ignore] pam_access.so' -e '1i auth optional pam_faildelay.so' etc/pam.d/sudo"), want: "stack-jump",
		remedy: `/=1\1/g`, heals: true},
	{name: "a jump to a refusal", plant: write("etc/pam.d/sudo", "auth [success=2 default=ignore] pam_access.so\nauth requisite pam_unix.so\nauth required pam_totpd.so\nauth requisite pam_deny.so\n"), want: "stack-closed"},
	{name: "another program's code, too", plant: run("cd usr/lib/*/security; cp pam_permit.so pam_google_authenticator.so; cd - >/dev/null; echo auth required pam_google_authenticator.so nullok >>etc/pam.d/sudo"), want: "stack-other", place: "/etc/pam.d/sudo:4", remedy: "totpctl setup --service sudo"},
	{name: "another program's code in the common stack", plant: run("cd usr/lib/*/security; cp pam_permit.so pam_oath.so; cd - >/dev/null; echo auth required pam_oath.so >>etc/pam.d/common-auth"), want: "stack-other", place: "/etc/pam.d/common-auth:4", remedy: "take that line out"},
	{name: "as account", plant: run("echo account required pam_totpd.so >>etc/pam.d/sudo"), want: "stack-type", place: "/etc/pam.d/sudo:4", heals: true},
	{name: "in the password service", plant: run("sed -i '1a auth required pam_totpd.so' etc/pam.d/totpd"), want: "stack-totpd", place: "/etc/pam.d/totpd:2", heals: true},
	{name: "in what the password service includes", plant: func(h *host) {
		h.write("etc/pam.d/inner", "auth required pam_totpd.so\n")
		h.write("etc/pam.d/totpd", "auth requisite pam_unix.so\nauth include inner\n")
	}, want: "stack-totpd", place: "/etc/pam.d/inner:1, included at /etc/pam.d/totpd:2", remedy: "printf 'auth requisite pam_unix.so"},
	{name: "no password service", plant: run("rm etc/pam.d/totpd"), want: "stack-totpd-missing", heals: true},
	{name: "su but not su -l", plant: write("etc/pam.d/su-l", "@include common-auth\n"), want: "stack-sibling", place: "/etc/pam.d/su-l", remedy: "totpctl setup --service su-l"},
	{name: "another way in", plant: write("etc/pam.d/cockpit", "@include common-auth\n"), want: "stack-without", remedy: "totpctl setup --service cockpit"},
	{name: "some are let in", plant: run("sed -i '1i auth sufficient pam_succeed_if.so user ingroup free' etc/pam.d/sudo"), want: "stack-exempts", place: "/etc/pam.d/sudo:1"},
	{name: "a fingerprint", plant: run("sed -i '1i auth sufficient pam_fprintd.so' etc/pam.d/sudo"), want: "stack-exempts", place: "/etc/pam.d/sudo:1"},
	{name: "nowhere", plant: run("sed -i /pam_totpd/d etc/pam.d/*"), want: "stack-none", remedy: "totpctl setup"},
	{name: "nothing is set up", plant: run("sed -i /pam_totpd/d etc/pam.d/*; rm usr/lib/*/security/pam_totpd.so"), want: "module-absent stack-none"},

	{name: "UsePAM no", plant: run("sed -i '1s/yes/no/' etc/ssh/sshd_config.d/totpd.conf"), want: "sshd-usepam", place: "/etc/ssh/sshd_config.d/totpd.conf:1",
		remedy: "sed -i '1s/.*/UsePAM yes/' /etc/ssh/sshd_config.d/totpd.conf && /usr/sbin/sshd -t && systemctl reload ssh", heals: true, root: true},
	{name: "keyboard-interactive off", plant: write("etc/ssh/sshd_config.d/a.conf", "KbdInteractiveAuthentication no\n"), want: "sshd-kbdint",
		place: "/etc/ssh/sshd_config.d/a.conf:1", heals: true, root: true},
	{name: "the default is not enough", plant: write("etc/ssh/sshd_config.d/totpd.conf", "KbdInteractiveAuthentication yes\nAuthenticationMethods keyboard-interactive password\n"),
		want: "sshd-password", place: "/etc/ssh/sshd_config", remedy: "sed -i '1i PasswordAuthentication no' /etc/ssh/sshd_config", root: true},
	{name: "sshd's password method", plant: run("sed -i -e 3s/no/yes/ -e 4d etc/ssh/sshd_config.d/totpd.conf"), want: "sshd-bypass sshd-password",
		place: "/etc/ssh/sshd_config.d/totpd.conf:3", root: true},
	{name: "methods without questions", plant: run("sed -i '4s/.*/AuthenticationMethods publickey/' etc/ssh/sshd_config.d/totpd.conf"), want: "sshd-bypass sshd-methods",
		place: "/etc/ssh/sshd_config.d/totpd.conf:4", remedy: "AuthenticationMethods any", root: true},
	{name: "a key of root's that sshd refuses", plant: func(h *host) {
		h.run("sed -i '5,$d' etc/ssh/sshd_config.d/totpd.conf && echo AuthorizedKeysFile .ssh/authorized_keys >>etc/ssh/sshd_config.d/totpd.conf && mkdir -p root/.ssh")
		h.write("root/.ssh/authorized_keys", "ssh-ed25519 AAAA root\n")
	}, want: "sshd-root-key", place: "/etc/ssh/sshd_config", root: true},
	{name: "a key of root's that sshd would refuse", plant: run("sed -i '5,$d' etc/ssh/sshd_config.d/totpd.conf"), want: "sshd-root-later", root: true},
	{name: "root by its key alone", plant: run("sed -i -e 6d -e '7s/,keyboard-interactive//' etc/ssh/sshd_config.d/totpd.conf"), want: "sshd-match", root: true},
	{name: "a key alone", plant: run("sed -i '4d' etc/ssh/sshd_config.d/totpd.conf"), want: "sshd-bypass", root: true},
	{name: "a code alone over ssh", plant: write("etc/pam.d/sshd", "auth required pam_totpd.so\nauth required pam_permit.so\n"), want: "sshd-code-alone", place: "/etc/ssh/sshd_config.d/totpd.conf:4", heals: true, root: true},
	{name: "one prompt over ssh", plant: func(h *host) {
		h.write("etc/pam.d/sshd", "auth required pam_totpd.so prompt=combined\n@include common-auth\n")
		h.write("etc/ssh/sshd_config.d/totpd.conf", "UsePAM yes\nKbdInteractiveAuthentication no\nPasswordAuthentication yes\nAuthenticationMethods password\n")
	}, want: "", root: true},
	{name: "one prompt over ssh, by either method", plant: func(h *host) {
		h.write("etc/pam.d/sshd", "auth required pam_totpd.so prompt=combined\n@include common-auth\n")
		h.write("etc/ssh/sshd_config.d/totpd.conf", "UsePAM yes\nKbdInteractiveAuthentication yes\nPasswordAuthentication yes\nAuthenticationMethods password keyboard-interactive\n")
	}, want: "", root: true},
	{name: "one prompt over ssh, and not by the method for it", plant: write("etc/pam.d/sshd", "auth required pam_totpd.so prompt=combined\n@include common-auth\n"),
		want: "sshd-one-prompt", place: "/etc/ssh/sshd_config.d/totpd.conf:3", remedy: "PasswordAuthentication yes", root: true},
	{name: "one prompt over ssh, and no method", plant: func(h *host) {
		h.write("etc/pam.d/sshd", "auth required pam_totpd.so prompt=combined\n@include common-auth\n")
		h.write("etc/ssh/sshd_config.d/totpd.conf", "UsePAM yes\nKbdInteractiveAuthentication no\nPasswordAuthentication no\nAuthenticationMethods password\n")
	}, want: "sshd-kbdint sshd-one-prompt", root: true},
	{name: "root with a password", plant: func(h *host) {
		h.write("etc/shadow", "root:$y$abc:1::::::\n")
		h.run("sed -i '5,$d' etc/ssh/sshd_config.d/totpd.conf && echo PermitRootLogin yes >>etc/ssh/sshd_config")
	}, want: "sshd-root", place: "/etc/ssh/sshd_config:4", heals: true, root: true},
	{name: "a Match block whose method is off", plant: run("printf 'Match User bob\\n\\tAuthenticationMethods password\\n' >>etc/ssh/sshd_config"), want: "sshd-shut-out", place: "/etc/ssh/sshd_config:5", heals: true, root: true},
	{name: "a Match block that switches its method on", plant: run("printf 'Match User bob\\n\\tAuthenticationMethods password\\n\\tPasswordAuthentication yes\\n' >>etc/ssh/sshd_config"), want: "sshd-match", root: true},
	{name: "a Match block", plant: run("printf 'Match User backup\\n\\tAuthenticationMethods publickey\\n' >>etc/ssh/sshd_config"), want: "sshd-match", place: "/etc/ssh/sshd_config:5", root: true},
	{name: "sshd can't read its settings", plant: run("echo Nonsense yes >>etc/ssh/sshd_config"), want: "sshd-broken", place: "/etc/ssh/sshd_config:4", root: true},
	{name: "sshd isn't reloaded", plant: unit("ssh.service", "StateChangeTimestamp", uint64(1)), want: "sshd-stale", remedy: "systemctl reload ssh", root: true},

	{name: "the daemon is down", plant: func(h *host) { h.stop() }, want: "daemon-unreachable people-shut-out socket-deaf socket-deaf", remedy: "systemctl start totpd.socket"},
	{name: "the daemon hangs", plant: func(h *host) { syscall.Kill(h.pid, syscall.SIGSTOP) }, want: "daemon-silent people-shut-out", remedy: "systemctl restart totpd"},
	{name: "another version", plant: func(h *host) { h.Version = "1.2.4" }, want: "daemon-version", remedy: "systemctl restart totpd"},
	{name: "the daemon was replaced", plant: run("mkdir -p proc/4711 && ln -s '/usr/libexec/totpd/totpd (deleted)' proc/4711/exe"), want: "daemon-old", remedy: "systemctl restart totpd"},
	{name: "another program answers", plant: func(h *host) {
		h.stop()
		h.run("rm run/totpd/control.sock run/totpd/login.sock")
		for _, name := range []string{"login", "control"} {
			l, err := net.Listen("unix", h.path("run/totpd/"+name+".sock"))
			if err != nil {
				h.Fatal(err)
			}
			h.Cleanup(func() { l.Close() })
			go func() {
				for c, err := l.Accept(); err == nil; c, err = l.Accept() {
					c.Write([]byte("220 welcome\r\n"))
					c.Close()
				}
			}()
		}
		h.run("chmod 0666 run/totpd/*.sock; chmod 0600 run/totpd/password.sock")
	}, want: "daemon-foreign people-shut-out"},
	{name: "the daemon's program is gone", plant: run("rm usr/libexec/totpd/totpd"), want: "daemon-absent", remedy: "install totpd again"},
	{name: "of a deb", plant: run("rm usr/libexec/totpd/totpd; mkdir -p usr/bin var/lib/dpkg/info; touch usr/bin/apt-get var/lib/dpkg/info/totpd.list"), want: "daemon-absent", remedy: "apt-get install --reinstall totpd"},

	{name: "the socket is stopped", plant: func(h *host) {
		h.stop()
		h.run("rm run/totpd/login.sock run/totpd/control.sock")
		h.bus.units["totpd.socket"].set("ActiveState", "inactive")
	}, want: "people-shut-out unit-stopped", place: "totpd.socket", remedy: "systemctl start totpd.socket"},
	{name: "masked", plant: unit("totpd.service", "LoadState", "masked"), want: "unit-masked", place: "totpd.service", remedy: "systemctl unmask totpd.service && systemctl enable --now totpd.service"},
	{name: "not installed", plant: unit("totpd-password.socket", "LoadState", "not-found"), want: "unit-missing", place: "totpd-password.socket"},
	{name: "broken", plant: unit("totpd.service", "LoadState", "bad-setting"), want: "unit-broken"},
	{name: "failed", plant: unit("totpd.service", "ActiveState", "failed"), want: "unit-failed", remedy: "systemctl reset-failed"},
	{name: "failing again and again", plant: func(h *host) {
		h.stop()
		unit("totpd.service", "ActiveState", "activating")(h)
		unit("totpd.service", "SubState", "auto-restart")(h)
	}, want: "people-shut-out socket-deaf socket-deaf unit-failed", remedy: "journalctl"},
	{name: "disabled", plant: unit("totpd.socket", "UnitFileState", "disabled"), want: "unit-disabled", remedy: "systemctl enable totpd.socket"},
	{name: "changed on the disk", plant: unit("totpd.service", "NeedDaemonReload", true), want: "unit-changed", remedy: "systemctl daemon-reload"},
	{name: "of no package of this host's", plant: run("rm usr/libexec/totpd/totpd; mkdir -p usr/bin; touch usr/bin/apt-get"), want: "daemon-absent", remedy: "in the way in which it came"},
	{name: "by hand, as root", plant: func(h *host) { h.byHand(0) }, want: "socket-missing unit-unknown", remedy: "sleep 1; setsid -f /usr/libexec/totpd/totpd -config /srv/totpd.toml </dev/null >>/srv/totpd.log 2>&1", root: true},
	{name: "by hand, as another user", plant: func(h *host) { h.byHand(2) }, want: "socket-password unit-unknown", remedy: "chown -R root:root /var/lib/totpd /var/lib/totpd/totpd.key; setsid -f /usr/libexec/totpd/totpd -config /srv/totpd.toml </dev/null", root: true},
	{name: "by hand, and the key is another's", plant: func(h *host) {
		h.byHand(2)
		h.run("chown 3 var/lib/totpd/totpd.key")
	}, want: "key-owner socket-password unit-unknown", root: true},
	{name: "the database is locked", plant: func(h *host) { h.holdLock() }, want: "store-unwritable", remedy: "fuser -v /var/lib/totpd/totpd.db", root: true},
	{name: "the database was replaced", plant: run("cd var/lib/totpd; cp -p totpd.db x; mv x totpd.db"), want: "store-unwritable", remedy: "systemctl restart totpd", root: true},
	{name: "the daemon's name service hangs", plant: func(h *host) {
		h.health(control.Health{Names: control.Tried{Fault: control.FaultOther, Cause: "the name service doesn't answer"}})
	}, want: "daemon-names", place: "/etc/nsswitch.conf", remedy: "getent passwd nobody-has-this-name", root: true},
	{name: "a login isn't judged", plant: func(h *host) {
		h.Login = func(_ context.Context, service string) error { return errors.New(service + ": no verdict") }
	}, want: "daemon-login", remedy: "systemctl restart totpd", root: true},
	{name: "a login is judged", plant: func(h *host) { h.Login = func(context.Context, string) error { return nil } }, want: ""},
	{name: "our name service hangs", plant: func(h *host) { h.Lookup = func(string) (*user.User, error) { select {} } }, want: ""},
	{name: "no systemd", plant: func(h *host) {
		h.run("rm -r run/systemd/system")
		h.Bus = ""
		h.KernelClock = func() (bool, error) { return true, nil }
	}, want: "unit-unknown"},

	{name: "the login socket is gone", plant: run("rm run/totpd/login.sock"), want: "people-shut-out socket-missing", remedy: "systemctl restart totpd.socket"},
	{name: "a file in its place", plant: run("rm run/totpd/password.sock; touch run/totpd/password.sock"), want: "socket-missing", place: "/run/totpd/password.sock"},
	{name: "the login socket is root's alone", plant: run("chmod 0600 run/totpd/login.sock"), want: "socket-mode", place: "/run/totpd/login.sock", remedy: "chmod 0666", heals: true, root: true},
	{name: "the way to it is barred", plant: run("chmod 0700 run/totpd"), want: "socket-directory", heals: true},
	{name: "everybody may have passwords checked", plant: run("chmod 0666 run/totpd/password.sock"), want: "socket-open", heals: true},
	{name: "the password socket is root's, and the daemon's group's", plant: func(h *host) {
		h.daemonIs("12345", "12346")
		h.run("chown 0:12346 run/totpd/password.sock; chmod 0660 run/totpd/password.sock; chown -R 12345 var/lib/totpd")
	}, want: "", root: true},
	{name: "the password socket is another group's", plant: func(h *host) {
		h.daemonIs("0", "12346")
		h.run("chown 0:12347 run/totpd/password.sock; chmod 0660 run/totpd/password.sock")
	}, want: "socket-open", remedy: "chmod 0600", root: true},
	{name: "the password socket is another's", plant: run("chown 12345 run/totpd/password.sock"), want: "socket-owner", heals: true, root: true},

	{name: "an unknown setting", plant: run("echo 'tries = 3' >>etc/totpd/totpd.toml"), want: "config-broken", place: "/etc/totpd/totpd.toml:3", remedy: "/usr/libexec/totpd/totpd -check"},
	{name: "no TOML", plant: write("etc/totpd/totpd.toml", "[code\n"), want: "config-broken", place: "/etc/totpd/totpd.toml:2"},
	{name: "everybody may write it", plant: run("chmod 0666 etc/totpd/totpd.toml"), want: "config-broken", place: "/etc/totpd/totpd.toml"},
	{name: "settings that the daemon hasn't read", plant: unit("totpd.service", "StateChangeTimestamp", uint64(1)), want: "config-stale", remedy: "systemctl reload-or-restart totpd"},

	{name: "the store is gone", plant: run("rm var/lib/totpd/totpd.db"), want: "store-missing", remedy: "totpctl accept-loss"},
	{name: "the store is empty", plant: run("truncate -s 0 var/lib/totpd/totpd.db"), want: "store-empty", remedy: "totpctl accept-loss", root: true},
	{name: "what isn't root's to try", plant: func(h *host) {
		h.health(control.Health{})
		h.run("cd var/lib/totpd; cp -p totpd.db x; mv x totpd.db")
	}, want: "store-unreadable", remedy: "journalctl", root: true},
	{name: "changes are lost", plant: func(h *host) {
		h.health(control.Health{Store: control.Tried{Fault: control.FaultLost, Cause: "changes of accounts are lost, the last 2"}})
	}, want: "store-lost", remedy: "totpctl accept-loss", root: true},
	{name: "the store's directory is gone", plant: run("mv var/lib/totpd var/lib/away"), want: "store-directory", remedy: "install -d -m 0700 -o totpd -g totpd /var/lib/totpd"},
	{name: "the store is open", plant: run("chmod 0644 var/lib/totpd/totpd.db"), want: "store-open", heals: true},
	{name: "the directory is open", plant: run("chmod 0777 var/lib/totpd"), want: "store-open", heals: true},
	{name: "the directory can be read", plant: run("chmod 0755 var/lib/totpd"), want: "store-mode", heals: true},
	{name: "the store is another's", plant: run("chown 12345 var/lib/totpd/totpd.db var/lib/totpd"), want: "store-owner store-owner", root: true},
	{name: "the log has grown", plant: run("truncate -s 70M var/lib/totpd/totpd.db-wal"), want: "store-log", remedy: "systemctl restart totpd"},
	{name: "the disk is full", plant: space(func(s *Space) { s.Free = 12 << 10 }), want: "store-full", place: "/var/lib/totpd", remedy: "df -h /var/lib/totpd"},
	{name: "the disk is nearly full", plant: space(func(s *Space) { s.Free = 30 << 20 }), want: "store-low"},
	{name: "no inodes", plant: space(func(s *Space) { s.Left = 0 }), want: "store-inodes"},
	{name: "read-only", plant: space(func(s *Space) { s.ReadOnly = true }), want: "store-readonly"},
	{name: "a network file system", plant: space(func(s *Space) { s.Network = true }), want: "store-network"},

	{name: "the key is gone", plant: run("rm var/lib/totpd/totpd.key"), want: "key-missing", place: "/var/lib/totpd/totpd.key"},
	{name: "the key can be read", plant: run("chmod 0644 var/lib/totpd/totpd.key"), want: "key-open", remedy: "chmod 0600", heals: true},
	{name: "the key is cut short", plant: run("truncate -s 10 var/lib/totpd/totpd.key"), want: "key-malformed"},
	{name: "the key is a link", plant: run("mv var/lib/totpd/totpd.key var/lib/k; ln -s ../k var/lib/totpd/totpd.key"), want: "key-link"},
	{name: "the key is another's", plant: run("chown 12345 var/lib/totpd/totpd.key"), want: "key-owner", heals: true, root: true},

	{name: "the clock isn't synchronised", plant: func(h *host) { h.clock(false, true) }, want: "clock-unsynchronised", remedy: "timedatectl set-ntp true"},
	{name: "and no client is installed", plant: func(h *host) {
		h.run("mkdir -p usr/bin; touch usr/bin/apt-get")
		h.clock(false, false)
	}, want: "clock-unsynchronised", remedy: "apt-get install systemd-timesyncd"},
	{name: "in a container", plant: func(h *host) { h.clock(true, true); h.write("run/systemd/container", "lxc") }, want: "clock-unsynchronised", remedy: "on the machine that runs this container"},
	{name: "the year 2000", plant: func(h *host) { h.Now = time.Unix(946684800, 0) }, want: "clock-behind"},

	{name: "SELinux without our policy", plant: func(h *host) {
		h.write("sys/fs/selinux/enforce", "1")
		h.run("mkdir -p var/lib/selinux/targeted/active/modules/100/base")
	}, want: "selinux-policy", remedy: "make -C /usr/share/totpd/selinux install"},
	{name: "SELinux with wrong labels", plant: func(h *host) {
		h.selinux()
		h.write("usr/sbin/restorecon", "#!/bin/sh\necho 'Would relabel /var/lib/totpd/totpd.db from system_u:object_r:var_lib_t:s0 to system_u:object_r:totpd_var_lib_t:s0'\n")
		h.run("chmod 0755 usr/sbin/restorecon")
	}, want: "selinux-label", place: "/var/lib/totpd/totpd.db", remedy: "restorecon -RFv"},
	{name: "SELinux in another domain", plant: func(h *host) {
		h.selinux()
		h.write("proc/4711/attr/current", "system_u:system_r:unconfined_service_t:s0\x00")
	}, want: "selinux-domain"},
	{name: "AppArmor without the profile", plant: func(h *host) { h.apparmor("") }, want: "apparmor-profile", remedy: "apparmor_parser -r /etc/apparmor.d/usr.libexec.totpd.totpd"},
	{name: "AppArmor only complains", plant: func(h *host) { h.apparmor("/usr/libexec/totpd/totpd (complain)\n") }, want: "apparmor-complain"},
	{name: "AppArmor came too late", plant: func(h *host) {
		h.apparmor("/usr/libexec/totpd/totpd (enforce)\n")
		h.write("proc/4711/attr/current", "unconfined\n")
	}, want: "apparmor-unconfined", remedy: "systemctl restart totpd"},

	{name: "a broken record", plant: func(h *host) { h.breakRecord() }, want: "people-broken", remedy: "totpctl reset " + somebody, root: true},
	{name: "locked", plant: func(h *host) { h.account(100) }, want: "people-locked", remedy: "totpctl unlock games", root: true},
	{name: "waiting", plant: func(h *host) { h.account(20) }, want: "people-waiting", root: true},
	{name: "gone", plant: func(h *host) {
		h.account(0)
		h.Lookup = func(name string) (*user.User, error) {
			if name == somebody {
				return nil, user.UnknownUserError(name)
			}
			return &user.User{Uid: "0"}, nil
		}
	}, want: "people-gone", remedy: "totpctl disable games --yes", root: true},
	{name: "made anew", plant: func(h *host) {
		h.account(0)
		h.Lookup = func(name string) (*user.User, error) { return &user.User{Username: name, Uid: "0"}, nil }
	}, want: "people-uid", remedy: "totpctl adopt games", root: true},
	{name: "made anew, several", plant: func(h *host) {
		h.account(0)
		uri := control.Secret("otpauth://totp/x:x?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")
		if _, err := control.NewClient(h.path("run/totpd/control.sock")).Set(h.Context(), control.SetRequest{User: "news", URI: uri}); err != nil {
			h.Fatal(err)
		}
		h.Lookup = func(name string) (*user.User, error) { return &user.User{Username: name, Uid: "0"}, nil }
	}, want: "people-uid", remedy: "totpctl adopt --all", root: true},
	{name: "renamed", plant: func(h *host) {
		h.account(0)
		u, err := user.Lookup(somebody)
		if err != nil {
			h.Fatal(err)
		}
		h.write("etc/passwd", "root:x:0:0::/root:/usr/sbin/nologin\nplays:x:"+u.Uid+":60::/:/usr/sbin/nologin\n")
		h.Lookup = func(name string) (*user.User, error) {
			if name == somebody {
				return nil, user.UnknownUserError(name)
			}
			return &user.User{Uid: "0"}, nil
		}
	}, want: "people-renamed", remedy: "totpctl adopt plays games", root: true},
	{name: "must enrol", plant: func(h *host) { h.rule("required", "true") }, want: "people-required", remedy: "totpctl policy explain games --service sshd", root: true},
	{name: "must enrol, and can't", plant: func(h *host) { h.rule("required", "false") }, want: "people-refused", remedy: "totpctl enrol games", root: true},
	{name: "must enrol, from some networks", plant: func(h *host) { h.rule("required", "true\\nenrol_from = [\"10.0.0.0/8\"]") }, want: "people-required", root: true},
	{name: "must enrol, in no time", plant: func(h *host) {
		h.rule("required", "true")
		h.run("rm etc/ssh/sshd_config.d/grace.conf")
	}, want: "people-required sshd-grace", root: true},
	{name: "may have to enrol, in no time", plant: func(h *host) {
		h.rule("required", "true")
		h.account(0)
		h.write("etc/ssh/sshd_config.d/grace.conf", "LoginGraceTime 240\n")
	}, want: "sshd-grace", place: "/etc/ssh/sshd_config.d/grace.conf:1", remedy: "sed -i '1s/.*/LoginGraceTime 600/'", heals: true, root: true},
	{name: "must enrol, and can't at one prompt", plant: func(h *host) {
		h.rule("required", "true")
		h.write("etc/pam.d/sshd", "auth required pam_totpd.so prompt=combined\n@include common-auth\n")
		h.write("etc/ssh/sshd_config.d/totpd.conf", "UsePAM yes\nPasswordAuthentication yes\nAuthenticationMethods password\n")
	}, want: "people-refused", remedy: "totpctl policy explain games --service sshd", root: true},
	{name: "must enrol from a date on", plant: func(h *host) { h.rule("required", "true\nenrol_by = 2099-12-31") }, want: "people-enrol-by", remedy: "totpctl policy explain games --service sshd", root: true},
	{name: "names where rules go by networks", plant: func(h *host) {
		h.ruleAfter(`from = ["10.0.0.0/8"]`, "required", "true")
		h.account(0)
		h.write("etc/ssh/sshd_config.d/dns.conf", "UseDNS yes\n")
	}, want: "sshd-usedns", place: "/etc/ssh/sshd_config.d/dns.conf:1", remedy: "sed -i '1s/.*/UseDNS no/'", heals: true, root: true},
	{name: "names where rules go by none", plant: func(h *host) {
		h.rule("required", "true")
		h.write("etc/ssh/sshd_config.d/dns.conf", "UseDNS yes\n")
	}, want: "people-required", root: true},
	{name: "a group that isn't there", plant: func(h *host) {
		h.ruleAfter(`groups = ["no-such-group"]`, "required", "true")
		h.account(0)
	}, want: "config-group", place: "/etc/totpd/totpd.toml", remedy: "groupadd no-such-group", root: true},
	{name: "must enrol, and has", plant: func(h *host) { h.rule("required", "true"); h.account(0) }, want: "", root: true},
	{name: "the daemon's user is missing", plant: func(h *host) {
		h.Lookup = func(name string) (*user.User, error) { return nil, user.UnknownUserError(name) }
	}, want: "daemon-user", remedy: "systemd-sysusers totpd.conf"},
	{name: "enrolled, and sshd can't ask", plant: func(h *host) {
		h.account(0)
		h.write("etc/ssh/sshd_config.d/a.conf", "KbdInteractiveAuthentication no\n")
	}, want: "people-no-ssh sshd-kbdint", root: true},

	{name: "put back by hand", plant: func(h *host) { h.setUp(); h.write("etc/file", "one\n") }, want: "setup-changed"},
	{name: "edited afterwards", plant: func(h *host) { h.setUp(); h.write("etc/file", "one\nours\ntwo\n") }, want: "setup-changed", remedy: "totpctl setup --undo --dry-run"},
	{name: "edited past recognition", plant: func(h *host) { h.setUp(); h.write("etc/file", "one\nours, changed\n") }, want: "setup-stuck",
		place: "/etc/file", remedy: "cp /var/lib/totpd-setup/etc:file."},
	{name: "replaced", plant: func(h *host) { h.setUp(); h.write("etc/file", "another version\n") }, want: "setup-changed"},
	{name: "a service's file put back", plant: func(h *host) { h.setUpService(); h.write("etc/pam.d/vlock", vlock) }, want: "setup-lost",
		place: "/etc/pam.d/vlock", remedy: "totpctl setup --service vlock --yes", root: true},
	{name: "a service's file of a later version", plant: func(h *host) { h.setUpService(); h.write("etc/pam.d/vlock", "# later\n"+vlock) }, want: "setup-lost", root: true},
	{name: "a service's line commented out", plant: func(h *host) { h.setUpService(); h.run("sed -i 's/^auth  required/#&/' etc/pam.d/vlock") }, want: "setup-lost", root: true},
	{name: "a service's line with another argument", plant: func(h *host) { h.setUpService(); h.run("sed -i 's/pam_totpd.so/& debug/' etc/pam.d/vlock") }, want: "setup-stuck", root: true},
	{name: "a service's line made optional", plant: func(h *host) {
		h.setUpService()
		h.run("sed -i 's/^auth  required/auth  optional/' etc/pam.d/vlock")
	}, want: "setup-lost stack-optional", remedy: "sed -i", root: true},
	{name: "a service's file gone", plant: func(h *host) { h.setUpService(); h.run("rm etc/pam.d/vlock; mkdir usr/bin; touch usr/bin/vlock") },
		want: "setup-lost", place: "/etc/pam.d/vlock", remedy: "cp /var/lib/totpd-setup/etc:pam.d:vlock.", root: true},
	{name: "a service gone as a whole", plant: func(h *host) { h.setUpService(); h.run("rm etc/pam.d/vlock") }, want: "setup-changed", root: true},
	{name: "what a service includes lets everybody in", plant: func(h *host) {
		h.setUpService()
		h.run("sed -i 's/^@include.*/auth sufficient pam_unix.so/' etc/pam.d/vlock")
	}, want: "setup-lost stack-skipped", root: true},
	{name: "stopped half-way", plant: func(h *host) {
		h.setUp()
		h.run(fmt.Sprintf(`sed -i 's/"was": *"[0-9a-f]*"/"was": "%x"/' var/lib/totpd-setup/journal.json`, sha256.Sum256([]byte("half\n"))))
		h.write("etc/file", "half\n")
	}, want: "setup-unfinished", remedy: "totpctl setup --undo"},
	{name: "setup's notes are broken", plant: write("var/lib/totpd-setup/journal.json", "{"), want: "setup-unreadable"},
}

// selinux makes SELinux enforce our policy.
func (h *host) selinux() {
	h.write("sys/fs/selinux/enforce", "1")
	h.run("mkdir -p var/lib/selinux/targeted/active/modules/200/totpd")
}

func (h *host) apparmor(profiles string) {
	h.write("sys/module/apparmor/parameters/enabled", "Y\n")
	h.write("sys/kernel/security/apparmor/profiles", "/usr/sbin/other (enforce)\n"+profiles)
	h.write("etc/apparmor.d/usr.libexec.totpd.totpd", "")
}

// clock is not synchronised; a client is on or not, and there is one or not.
func (h *host) clock(on, can bool) {
	h.bus.clock.set("NTPSynchronized", false)
	h.bus.clock.set("NTP", on)
	h.bus.clock.set("CanNTP", can)
}

// somebody has a name on every machine.
const somebody = "games"

// account has somebody enrol, and then have failed so often.
func (h *host) account(failures int) {
	h.Helper()
	uri := control.Secret("otpauth://totp/x:x?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")
	if _, err := control.NewClient(h.path("run/totpd/control.sock")).Set(h.Context(), control.SetRequest{User: somebody, URI: uri}); err != nil {
		h.Fatal(err)
	}
	db, err := sql.Open("sqlite3", h.path("var/lib/totpd/totpd.db"))
	if err != nil {
		h.Fatal(err)
	}
	defer db.Close()
	codes := fmt.Sprintf(`{"failures":%d,"last":%q}`, failures, h.Now.UTC().Format(time.RFC3339Nano))
	if _, err := db.Exec("UPDATE account SET sum = NULL, record = json_set(record, '$.codes', json(?)) WHERE user = ?", codes, somebody); err != nil {
		h.Fatal(err)
	}
}

// breakRecord has a record that can't be read.
func (h *host) breakRecord() {
	h.account(0)
	db, err := sql.Open("sqlite3", h.path("var/lib/totpd/totpd.db"))
	if err != nil {
		h.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("UPDATE account SET record = 'x'"); err != nil {
		h.Fatal(err)
	}
}

// daemonIs gives the daemon's user these numbers.
func (h *host) daemonIs(uid, gid string) {
	h.Lookup = func(name string) (*user.User, error) { return &user.User{Username: name, Uid: uid, Gid: gid}, nil }
}

// rule makes one that says whether a code is required, and whether somebody may enrol at the login.
func (h *host) rule(require, enrolAtLogin string) {
	h.Helper()
	h.ruleAfter("", require, enrolAtLogin)
}

// ruleAfter makes it behind one that exempts those who meet a condition.
func (h *host) ruleAfter(exempt, require, enrolAtLogin string) {
	h.Helper()
	if exempt != "" {
		h.run("printf '\n[[rule]]\n%s\nrequire = \"exempt\"\n' '" + exempt + "' >>daemon.toml")
	}
	h.write("etc/passwd", "root:x:0:0::/root:/usr/sbin/nologin\n"+somebody+":x:1000:1000::/:/bin/sh\n")
	h.write("etc/ssh/sshd_config.d/grace.conf", "LoginGraceTime 600\n")
	h.run("printf '\n[[rule]]\nrequire = \"" + require + "\"\nenrol_at_login = " + enrolAtLogin + "\n' >>daemon.toml")
	if err := syscall.Kill(h.pid, syscall.SIGHUP); err != nil {
		h.Fatal(err)
	}
	client := control.NewClient(h.path("run/totpd/control.sock"))
	for range 1000 {
		p, err := client.Policy(h.Context(), control.PolicyRequest{User: somebody})
		if err != nil {
			h.Fatal(err)
		}
		if p.Require == require {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	h.Fatal("the daemon has no such rule")
}

// setUp has a file changed as totpctl setup does it.
func (h *host) setUp() {
	h.Helper()
	before := []byte("one\n")
	h.write("etc/file", string(before))
	journal, err := change.Open(h.root)
	if err != nil {
		h.Fatal(err)
	}
	defer journal.Close()
	edits := []change.Edit{{Line: 2, Add: []string{"ours"}}}
	err = journal.Apply(change.Change{At: h.Now, Files: []change.File{
		{Path: "/etc/file", Now: before, Base: before, After: []byte("one\nours\n"), Edits: edits},
	}})
	if err != nil {
		h.Fatal(err)
	}
}

const vlock = "@include common-auth\n@include common-account\n"

// setUpService has a service ask for a code as totpctl setup does it.
func (h *host) setUpService() {
	h.Helper()
	before, lines := []byte(vlock), []string{"# totpd: a one-time code", "auth  required  pam_totpd.so"}
	h.write("etc/pam.d/vlock", vlock)
	journal, err := change.Open(h.root)
	if err != nil {
		h.Fatal(err)
	}
	defer journal.Close()
	edits := []change.Edit{{Line: 2, Add: lines}}
	after, err := change.Apply(before, edits)
	if err == nil {
		err = journal.Apply(change.Change{At: h.Now, Why: "totpctl setup --service vlock", Files: []change.File{
			{Path: "/etc/pam.d/vlock", Now: before, Base: before, After: after, Edits: edits},
		}})
	}
	if err != nil {
		h.Fatal(err)
	}
}

func TestFaults(t *testing.T) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			if f.root && os.Getuid() != 0 {
				t.Skip("needs root")
			}
			h := newHost(t)
			f.plant(h)
			r := h.examine()
			var ids []string
			for _, found := range r.Findings {
				ids = append(ids, found.ID)
			}
			slices.Sort(ids)
			if strings.Join(ids, " ") != f.want {
				t.Fatalf("found %s\nwant %s\n%s", strings.Join(ids, " "), f.want, listing(r))
			}
			if f.place == "" && f.remedy == "" && !f.heals {
				return
			}
			first := r.Findings[slices.IndexFunc(r.Findings, func(found Finding) bool {
				return found.Severity != Note && found.Topic != "people" || len(ids) == 1
			})]
			if begin, any := strings.CutSuffix(f.place, "*"); f.place != "" && first.Place != f.place && !(any && strings.HasPrefix(first.Place, begin)) {
				t.Errorf("place %q, want %q", first.Place, f.place)
			}
			if !strings.Contains(first.Remedy, f.remedy) {
				t.Errorf("remedy %q, want with %q", first.Remedy, f.remedy)
			}
			if f.heals {
				h.heal(first.Remedy)
				if r := h.examine(); len(r.Findings) > 0 {
					t.Errorf("after %s:\n%s", first.Remedy, listing(r))
				}
			}
		})
	}
}
