package program

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/totpd/totpd/cli/internal/system"
)

// known is what is known of a program, whatever runs at the moment.
type known struct {
	services []string // of PAM, as the program and the distributions call them
	name     string   // of the program
	programs []string // names of files that run as it; none: the service's
	units    []string // of systemd, besides the service's

	users  []string // whom it asks PAM as: the first that the host has; none: root
	helper bool     // a setuid program asks PAM for it, or a person's own: it is root's, or speaks for its own user

	// space is the limit of the address space that its settings make, what sets it, and what raises it.
	space func(host) (bytes uint64, by, hint string)
	// capset tells whether it changes its capabilities, and what keeps it from that.
	capset func(host) (does bool, hint string)
	// around tells whether it accepts a password that PAM has refused, and what has it stop that.
	around func(host) (does bool, hint string)
}

// all are the programs of which more is known than their units and processes tell.
var all = []known{
	{services: words("vsftpd"), name: "vsftpd", space: vsftpdSpace},
	{services: words("dovecot imap pop3 managesieve sieve"), name: "dovecot", programs: words("dovecot"), units: words("dovecot.service"), space: dovecotSpace},
	{services: words("proftpd ftp"), name: "proftpd", units: words("proftpd.service"), capset: proftpdCapset, around: proftpdAround},
	{services: words("radiusd freeradius"), name: "freeradius", programs: words("freeradius radiusd"),
		units: words("freeradius.service radiusd.service"), users: words("freerad radiusd radius")},
	{services: words("postgresql postgres"), name: "postgresql", programs: words("postgres"),
		units: words("postgresql@.service postgresql.service"), users: words("postgres")},
	{services: words("apache2 httpd apache"), name: "apache", programs: words("apache2 httpd"),
		units: words("apache2.service httpd.service"), users: words("www-data apache httpd http")},
	{services: words("smtp smtpd saslauthd"), name: "saslauthd", programs: words("saslauthd"), units: words("saslauthd.service")}, // not Postfix's own
	{services: words("nginx"), name: "nginx", users: words("www-data nginx http")},
	{services: words("lighttpd"), name: "lighttpd", users: words("www-data lighttpd http")},
	{services: words("exim exim4"), name: "exim", users: words("Debian-exim exim mail")},
	{services: words("squid squid3"), name: "squid", users: words("proxy squid")},
	{services: words("openvpn"), name: "openvpn", units: words("openvpn-server@.service openvpn@.service")},
	{services: words("mysql mariadb"), name: "mariadb", helper: true},
	{services: words("cockpit polkit-1"), helper: true},
	{services: words("i3lock swaylock xlock xscreensaver vlock physlock kde kscreensaver gnome-screensaver cinnamon-screensaver mate-screensaver xsecurelock gtklock hyprlock waylock"), helper: true},
}

// onePrompt are services whose programs, or those that speak to them, have one prompt: they answer every question with
// what was typed there.
var onePrompt = words(`apache2 cups cyrus dovecot exim exim4 ftp freeradius httpd imap imap4 kasan ldap mailman mysql
	netatalk nginx openvpn pam-openvpn pop pop3 postgresql ppp proftpd pure-ftpd radiusd samba saslauthd sieve smtp
	smtpd squid vsftpd webmin xrdp-sesman
	i3lock swaylock waylock xlock xtrlock-pam sddm lxdm slim xdm wdm`)

// OnePrompt tells whether the program behind a service is known to have one prompt.
func OnePrompt(service string) bool { return slices.Contains(onePrompt, service) }

func words(text string) []string { return strings.Fields(text) }

func knownOf(service string) known {
	for _, k := range all {
		if slices.Contains(k.services, service) {
			return k
		}
	}
	return known{}
}

// has tells whether the host has one of these files.
func (h host) has(files ...string) bool {
	return slices.ContainsFunc(files, func(file string) bool {
		_, err := os.Stat(h.path(file))
		return err == nil
	})
}

// vsftpdSpace: VSFTP_AS_LIMIT of its source.
func vsftpdSpace(h host) (uint64, string, string) {
	if !h.has("/usr/sbin/vsftpd") {
		return 0, "", ""
	}
	return 200 << 20, "built in", ""
}

// doveconf prints dovecot's settings as they are in effect.
const doveconf = "/usr/bin/doveconf"

// dovecotSpace: the process that asks PAM is an auth-worker, and what isn't set for those is what is for all.
func dovecotSpace(h host) (uint64, string, string) {
	if !h.has(doveconf) {
		return 0, "", ""
	}
	hint := system.Restart(`printf 'service auth-worker {\n  vsz_limit = 2G\n}\n' >/etc/dovecot/conf.d/99-totpd.conf`, "dovecot")
	ask := func(setting string) string {
		ctx, stop := context.WithTimeout(context.Background(), 5*time.Second)
		defer stop()
		cmd := exec.CommandContext(ctx, h.path(doveconf), "-h", setting)
		cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
		cmd.WaitDelay = time.Second
		out, err := cmd.Output()
		if err != nil {
			return ""
		}
		return string(out)
	}
	const unset = 1<<64 - 1
	for _, setting := range []string{"service/auth-worker/vsz_limit", "default_vsz_limit"} {
		value := strings.TrimSpace(ask(setting))
		if value == fmt.Sprintf("%d B", uint64(unset)) {
			continue
		}
		bytes, limited := sizeOf(value)
		if !limited {
			return 0, "", ""
		}
		return bytes, setting, hint
	}
	return 0, "", ""
}

// proftpdFix gives proftpd settings with which a code can be asked for.
func proftpdFix() string {
	return system.Restart(`printf 'AuthOrder mod_auth_pam.c* mod_auth_unix.c\n<IfModule mod_cap.c>\n  CapabilitiesEngine off\n</IfModule>\n' >/etc/proftpd/conf.d/totpd.conf`, "proftpd")
}

// proftpdCapset: mod_cap, unless it is turned off.
func proftpdCapset(h host) (bool, string) {
	return h.has("/usr/sbin/proftpd") && !slices.Contains(proftpdSetting(h, "capabilitiesengine"), "off"), proftpdFix()
}

// proftpdAround: mod_auth_unix has its turn after mod_auth_pam, unless a star says that the latter's word is the last.
func proftpdAround(h host) (bool, string) {
	order := proftpdSetting(h, "authorder")
	return h.has("/usr/sbin/proftpd") && (len(order) == 0 || order[0] != "mod_auth_pam.c*" && (order[0] != "mod_auth_pam.c" || len(order) > 1)), proftpdFix()
}

// proftpdSetting returns the words of a setting where it was found last, in lower case.
func proftpdSetting(h host, name string) (words []string) {
	files := []string{"/etc/proftpd/proftpd.conf", "/etc/proftpd.conf"}
	more, _ := filepath.Glob(h.path("/etc/proftpd/conf.d/*"))
	for _, here := range more {
		files = append(files, strings.TrimPrefix(here, filepath.Clean(string(h))))
	}
	for _, file := range files {
		for line := range strings.Lines(h.read(file)) {
			if f := strings.Fields(strings.ToLower(line)); len(f) > 1 && f[0] == name {
				words = f[1:]
			}
		}
	}
	return words
}
