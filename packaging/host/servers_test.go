package host

import (
	"bufio"
	"fmt"
	"net"
	"regexp"
	"strings"
	"time"
)

// Servers of Debian's that check passwords by PAM, each in a way of its own: proftpd changes its capabilities, vsftpd
// and dovecot limit their address space, freeradius and postgresql run as users of their own.

// serversScript unpacks them, and does what their packages would do when they are installed.
const serversScript = `
for deb in ` + Spare + `/*.deb; do
	case $deb in */i3lock_*|*/swaylock_*) continue ;; esac
	dpkg-deb --fsys-tarfile "$deb" | tar -x -C / --keep-directory-symlink
done
ldconfig
useradd --system --no-create-home --shell /usr/sbin/nologin ftp
for user in proftpd dovecot dovenull freerad postgres; do
	useradd --system --user-group --no-create-home --shell /usr/sbin/nologin $user
done
usermod --append --groups shadow freerad

sed 's/^UseIPv6.*/UseIPv6 off/' /usr/share/proftpd/templates/proftpd.conf >/etc/proftpd/proftpd.conf
touch /etc/proftpd/modules.conf

sed -i 's/^listen=NO/listen=YES/; s/^listen_ipv6=YES/listen_ipv6=NO/; $ a listen_port=2121' /etc/vsftpd.conf

mkdir -p /etc/dovecot/conf.d
cat >/etc/dovecot/dovecot.conf <<END
protocols = imap
listen = *
ssl = no
auth_failure_delay = 0
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
disable_plaintext_auth = no
mail_location = maildir:~/Maildir
passdb {
  driver = pam
}
userdb {
  driver = passwd
}
!include_try conf.d/*.conf
END

mkdir -p /var/log/freeradius
cat >/etc/freeradius/3.0/radiusd.conf <<END
prefix = /usr
localstatedir = /var
name = freeradius
raddbdir = /etc/freeradius/3.0
libdir = /usr/lib/freeradius
logdir = /var/log/freeradius
run_dir = /run/freeradius
pidfile = /run/freeradius/freeradius.pid
thread pool {
	start_servers = 2
	max_servers = 8
}
log {
	destination = stdout
}
security {
	user = freerad
	group = freerad
}
client localhost {
	ipaddr = 127.0.0.1
	secret = testing123
}
modules {
	pam {
		pam_auth = radiusd
	}
}
server default {
	listen {
		type = auth
		ipaddr = 127.0.0.1
		port = 1812
	}
	authorize {
		update control {
			Auth-Type := PAM
		}
	}
	authenticate {
		Auth-Type PAM {
			pam
		}
	}
}
END
chown -R freerad /etc/freeradius /var/log/freeradius

# What Debian leaves to the owner of a database: a PAM service, and the right to read passwords.
printf '@include common-auth\n@include common-account\n' >/etc/pam.d/postgresql
usermod --append --groups shadow postgres
install -d -o postgres /var/lib/postgresql/test /run/postgresql
cd /
setpriv --reuid=postgres --regid=postgres --init-groups \
	/usr/lib/postgresql/15/bin/initdb -D /var/lib/postgresql/test --auth=trust >/dev/null
sed -i 's/^\(host .*127.0.0.1.* \)trust/\1pam/' /var/lib/postgresql/test/pg_hba.conf
cat >/etc/systemd/system/postgresql.service <<END
[Service]
Type=notify
User=postgres
ExecStart=/usr/lib/postgresql/15/bin/postgres -D /var/lib/postgresql/test
END
systemctl daemon-reload
systemctl start proftpd vsftpd dovecot freeradius postgresql
`

// server is one of them.
type server struct {
	name, pam string
	user      string                                                      // whom it asks PAM as, where that isn't root
	login     func(s *site, user, password string) (in bool, said string) // by its own protocol
}

var servers = []server{
	{"proftpd", "proftpd", "", ftp(21)},
	{"vsftpd", "vsftpd", "", ftp(2121)},
	{"dovecot", "dovecot", "", func(s *site, user, password string) (bool, string) {
		said := s.client(143, []string{`a login "` + user + `" "` + password + `"`, "b logout"}, `(?m)^b `)
		return strings.Contains(said, "\na OK "), said
	}},
	{"freeradius", "radiusd", "freerad", func(s *site, user, password string) (bool, string) {
		said, _ := s.RunInput(fmt.Sprintf("User-Name=%q,User-Password=%q\n", user, password),
			"radclient", "-x", "-r", "1", "-t", "20", "127.0.0.1:1812", "auth", "testing123")
		return strings.Contains(said, "Received Access-Accept"), said
	}},
	{"postgresql", "postgresql", "postgres", func(s *site, user, password string) (bool, string) {
		said, err := s.Run("env", "PGPASSWORD="+password, "/usr/lib/postgresql/15/bin/psql",
			"-h", "127.0.0.1", "-U", user, "-d", "postgres", "-Atc", "select 'welcome'")
		return err == nil && strings.Contains(said, "welcome"), said
	}},
}

func ftp(port int) func(*site, string, string) (bool, string) {
	return func(s *site, user, password string) (bool, string) {
		said := s.client(port, []string{"USER " + user, "PASS " + password, "PWD", "QUIT"}, `(?m)^(257|530|421) `)
		return regexp.MustCompile(`(?m)^257 `).MatchString(said), said
	}
}

// client says lines to a server and returns what that says, to a line of the pattern or the end.
func (s *site) client(port int, lines []string, until string) string {
	s.t.Helper()
	c, err := net.DialTimeout("tcp", fmt.Sprintf("%s:%d", s.Addr, port), patience)
	s.must(err)
	defer func() { _ = c.Close() }()
	s.must(c.SetDeadline(time.Now().Add(patience)))
	r := bufio.NewReader(c)
	all := ""
	for _, line := range lines {
		text, err := r.ReadString('\n') // a greeting, or an answer
		if all += text; err == nil {
			_, err = fmt.Fprintf(c, "%s\r\n", line)
		}
		if err != nil {
			return all + err.Error()
		}
	}
	for !regexp.MustCompile(until).MatchString(all) {
		text, err := r.ReadString('\n')
		if all += text; err != nil {
			return all + err.Error()
		}
	}
	return all
}

// serve brings the servers.
func (s *site) serve() {
	s.t.Helper()
	_, err := s.RunInput(serversScript, "sh", "-e")
	s.must(err)
	for _, port := range []int{21, 2121, 143} {
		for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
			c, err := net.DialTimeout("tcp", fmt.Sprintf("%s:%d", s.Addr, port), patience)
			if err == nil {
				_ = c.Close()
				break
			}
			if time.Now().After(deadline) {
				s.t.Fatal(err)
			}
		}
	}
}

// customer is a person who is known to the database, too.
func (s *site) customer(p *person) *person {
	s.t.Helper()
	s.run("/usr/lib/postgresql/15/bin/createuser", "-h", "/run/postgresql", "-U", "postgres", p.Name)
	return p
}
