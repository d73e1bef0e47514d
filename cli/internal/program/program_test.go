package program

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tree is a host of these files; a text that begins with -> is a link, one that begins with #! a program.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		at := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		mode := os.FileMode(0o644)
		if strings.HasPrefix(text, "#!") {
			mode = 0o755
		}
		var err error
		if target, link := strings.CutPrefix(text, "->"); link {
			err = os.Symlink(target, at)
		} else {
			err = os.WriteFile(at, []byte(text), mode)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

const passwd = "root:x:0:0::/root:/bin/sh\nwww-data:x:33:33::/:/bin/sh\nfreerad:x:102:103::/:/bin/sh\npostgres:x:103:105::/:/bin/sh\nradicale:x:110:110::/:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n"

// running is a process of /proc with these uids.
func running(files map[string]string, pid int, exe, uids, space string) map[string]string {
	dir := fmt.Sprintf("proc/%d/", pid)
	all := map[string]string{
		"etc/passwd": passwd, dir + "exe": "->" + exe,
		dir + "status": "Name:\tx\nUid:\t" + uids + "\nGid:\t0\t0\t0\t0\n",
		dir + "limits": "Limit  Soft Limit  Hard Limit  Units\nMax address space         " + space + "            unlimited            bytes     \n",
	}
	for name, text := range files {
		all[name] = text
	}
	return all
}

func doveconfSays(worker, all string) string {
	return "#!/bin/sh\ncase $2 in service/auth-worker/vsz_limit) echo '" + worker + "' ;; default_vsz_limit) echo '" + all + "' ;; *) exit 1 ;; esac\n"
}

// TestFaults: what keeps a code from being asked for, and what is said to it.
func TestFaults(t *testing.T) {
	const unset = "18446744073709551615 B"
	unit := func(name, settings string) map[string]string {
		return map[string]string{"etc/passwd": passwd, "usr/lib/systemd/system/" + name: "[Unit]\nUser=nobody\n[Service]\n" + settings}
	}
	for name, c := range map[string]struct {
		files   map[string]string
		service string
		want    string // kinds of faults and a word of each; empty: none
	}{
		"nothing is known":             {nil, "login", ""},
		"a unit as root":               {unit("x.service", "ExecStart=/x\n"), "x", ""},
		"a unit as another user":       {unit("radicale.service", "User=radicale\n"), "radicale", "0 radicale.service (User=)"},
		"a unit as root by name":       {unit("x.service", "User=root\n"), "x", ""},
		"a drop-in takes it back":      {with(unit("radicale.service", "User=radicale\n"), "etc/systemd/system/radicale.service.d/a.conf", "[Service]\nUser=\n"), "radicale", ""},
		"a comment":                    {unit("radicale.service", "#User=radicale\n; User=radicale\n"), "radicale", ""},
		"an instance's user":           {unit("x.service", "User=%i\n"), "x", ""},
		"a limit of the unit's":        {unit("x.service", "LimitAS=512M\n"), "x", "2 512 MB"},
		"a limit of a drop-in":         {with(unit("x.service", ""), "etc/systemd/system/x.service.d/a.conf", "[Service]\nLimitAS=268435456:infinity\n"), "x", "2 256 MB"},
		"none":                         {unit("x.service", "LimitAS=infinity\n"), "x", ""},
		"a limit that is enough":       {unit("x.service", "LimitAS=4G\n"), "x", ""},
		"no Unix sockets":              {unit("x.service", "RestrictAddressFamilies=AF_INET AF_INET6\n"), "x", "1 RestrictAddressFamilies="},
		"Unix sockets, too":            {unit("x.service", "RestrictAddressFamilies=AF_INET\nRestrictAddressFamilies=AF_UNIX\n"), "x", ""},
		"all but Unix sockets":         {unit("x.service", "RestrictAddressFamilies=~AF_UNIX\n"), "x", "1 RestrictAddressFamilies="},
		"all but others":               {unit("x.service", "RestrictAddressFamilies=~AF_NETLINK AF_PACKET\n"), "x", ""},
		"taken back":                   {unit("x.service", "RestrictAddressFamilies=AF_INET\nRestrictAddressFamilies=\n"), "x", ""},
		"no sockets at all":            {unit("x.service", "RestrictAddressFamilies=none\n"), "x", "1 RestrictAddressFamilies="},
		"a process of a user":          {running(nil, 7, "/usr/bin/radicale", "110\t110\t110\t110", "unlimited"), "radicale", "0 process 7"},
		"it can become root":           {running(nil, 7, "/usr/bin/radicale", "0\t110\t0\t110", "unlimited"), "radicale", ""},
		"a person's process":           {running(nil, 7, "/usr/bin/mylock", "1000\t1000\t1000\t1000", "1048576"), "mylock", ""},
		"a process with a limit":       {running(nil, 7, "/usr/sbin/ftpd (deleted)", "0\t0\t0\t0", "209715200"), "ftpd", "2 prlimit"},
		"another program's":            {running(nil, 7, "/usr/sbin/ftpd", "0\t0\t0\t0", "209715200"), "ftp2d", ""},
		"Postfix's smtp":               {running(nil, 7, "/usr/lib/postfix/sbin/smtp", "103\t103\t103\t103", "unlimited"), "smtp", ""},
		"dovecot's imap":               {running(nil, 7, "/usr/lib/dovecot/imap", "103\t103\t103\t103", "1048576"), "imap", ""},
		"in a container":               {with(with(running(nil, 7, "/usr/bin/radicale", "110\t110\t110\t110", "unlimited"), "proc/7/ns/pid", "->pid:[2]"), "proc/self/ns/pid", "->pid:[1]"), "radicale", ""},
		"freeradius":                   {map[string]string{"etc/passwd": passwd}, "radiusd", "0 freerad"},
		"freeradius, not installed":    {map[string]string{"etc/passwd": "root:x:0:0\n"}, "radiusd", ""},
		"postgresql":                   {map[string]string{"etc/passwd": passwd}, "postgresql", "0 postgres"},
		"apache":                       {map[string]string{"etc/passwd": passwd}, "apache2", "0 www-data"},
		"nginx, whose master is root":  {running(nil, 7, "/usr/sbin/nginx", "0\t0\t0\t0", "unlimited"), "nginx", "0 www-data"},
		"a speaker":                    {map[string]string{"etc/passwd": passwd, "etc/totpd/totpd.toml": "[[speaker]]\nuser = 'freerad'\nservices = ['x', 'radiusd']\n"}, "radiusd", ""},
		"a speaker of another service": {map[string]string{"etc/passwd": passwd, "etc/totpd/totpd.toml": "[[speaker]]\nuser = 'freerad'\nservices = ['x']\n"}, "radiusd", "0 freerad"},
		"a configuration that's broken": {map[string]string{"etc/passwd": passwd, "etc/totpd/totpd.toml": "[[speaker]]\nuser = 'freerad'\nservices = ['radiusd']\n[\n"},
			"radiusd", "0 freerad"},
		"vsftpd":                       {map[string]string{"usr/sbin/vsftpd": ""}, "vsftpd", "2 200 MB of address space (built in)"},
		"dovecot by itself":            {map[string]string{"usr/bin/doveconf": doveconfSays(unset, "256 M")}, "dovecot", "2 256 MB of address space (default_vsz_limit)"},
		"dovecot with more":            {map[string]string{"usr/bin/doveconf": doveconfSays("2 G", "256 M")}, "dovecot", ""},
		"dovecot with less than that":  {map[string]string{"usr/bin/doveconf": doveconfSays("1 G", "256 M")}, "dovecot", "2 1024 MB of address space (service/auth-worker/vsz_limit)"},
		"dovecot without a limit":      {map[string]string{"usr/bin/doveconf": doveconfSays("0", "256 M")}, "dovecot", ""},
		"dovecot, all without":         {map[string]string{"usr/bin/doveconf": doveconfSays(unset, "0")}, "dovecot", ""},
		"dovecot, not to be asked":     {map[string]string{"usr/bin/doveconf": "#!/bin/sh\nexit 1\n"}, "dovecot", ""},
		"proftpd":                      {map[string]string{"usr/sbin/proftpd": "", "etc/proftpd/proftpd.conf": "AuthOrder mod_auth_pam.c* mod_auth_unix.c\n"}, "proftpd", "3 capabilities"},
		"proftpd without mod_cap":      {map[string]string{"usr/sbin/proftpd": "", "etc/proftpd/conf.d/totpd.conf": "AuthOrder mod_auth_pam.c* mod_auth_unix.c\n<IfModule mod_cap.c>\n  CapabilitiesEngine off\n</IfModule>\n"}, "proftpd", ""},
		"proftpd around PAM":           {map[string]string{"usr/sbin/proftpd": "", "etc/proftpd/proftpd.conf": "CapabilitiesEngine off\n"}, "proftpd", "4 by itself"},
		"proftpd, PAM is not the last": {map[string]string{"usr/sbin/proftpd": "", "etc/proftpd/proftpd.conf": "CapabilitiesEngine off\nAuthOrder mod_auth_pam.c mod_auth_unix.c\n"}, "proftpd", "4 by itself"},
		"proftpd, PAM alone":           {map[string]string{"usr/sbin/proftpd": "", "etc/proftpd/proftpd.conf": "CapabilitiesEngine off\nAuthOrder mod_auth_pam.c\n"}, "proftpd", ""},
		"proftpd, only a remark":       {map[string]string{"usr/sbin/proftpd": "", "etc/proftpd/proftpd.conf": "# CapabilitiesEngine off\nAuthOrder mod_auth_pam.c\n"}, "proftpd", "3 capabilities"},
		"a helper that is root":        {unit("cockpit.service", "User=cockpit-ws\n"), "cockpit", ""},
	} {
		root := tree(t, c.files)
		faults := Look(root, c.service).Faults(SpeakersOf(root))
		var got []string
		for _, f := range faults {
			got = append(got, fmt.Sprintf("%d %s", f.Kind, f.Why))
			if f.Hint == "" {
				t.Errorf("%s: no hint", name)
			}
		}
		kind, word, _ := strings.Cut(c.want, " ")
		switch {
		case c.want == "" && len(got) > 0, c.want != "" && len(got) != 1:
			t.Errorf("%s: %q, want %q", name, got, c.want)
		case c.want != "" && (!strings.HasPrefix(got[0], kind+" ") || !strings.Contains(got[0], word)):
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func with(files map[string]string, name, text string) map[string]string {
	files[name] = text
	return files
}
