package host

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/totpd/totpd/packaging/world"
)

// TestSandbox is about the units as systemd runs them: how little they may, that a person can enrol all
// the same, which takes the password's check by the root helper, and that the key can be a credential
// that systemd decrypts, and no file.
func TestSandbox(t *testing.T) {
	t.Parallel()
	s := boot(t)
	s.install()
	s.turnOn()
	s.run("systemd-analyze", "security", "--no-pager", "--threshold=10", "totpd.service")

	ann := s.person("ann")
	l := ann.login()
	l.answer(password, ann.Password)
	l.answer(ann.prompt(), "totpctl enrol")
	l.answer(`Password of ann: ?$`, "not the one")
	l.see(`not the password of ann`)
	l.answer(`Password of ann: ?$`, ann.Password)
	l.see(`Code shown by the app: ?$`)
	uri, err := l.ReadQR(world.Dark, filepath.Join(t.TempDir(), "photo.png"))
	s.must(err)
	ann.phone, err = world.NewPhone(uri)
	s.must(err)
	l.answer(`Code shown by the app: ?$`, ann.code())
	l.see(`^Done`)
	s.run("journalctl", "--unit=systemd-timedated", "--grep=Started") // it was asked about the clock
	s.quiet()

	s.script(`systemd-creds setup
		mkdir -p /etc/credstore.encrypted
		systemd-creds encrypt --name=totpd.key /var/lib/totpd/totpd.key /etc/credstore.encrypted/totpd.key
		rm /var/lib/totpd/totpd.key
		systemctl restart totpd.service`)
	for range 2 {
		in := ann.ssh()
		in.answer(password, ann.Password)
		in.answer(code, ann.code())
		ann.welcomed(in)
		s.must(s.Reboot())
	}
	// The daemon's key is the credential: a backup is put back where that opens it, and not where nothing does.
	s.script(`totpctl backup /root/accounts
		systemctl stop totpd.socket totpd.service
		totpctl restore /root/accounts --yes`)
	s.script(`mv /etc/credstore.encrypted/totpd.key /root; sqlite3 /var/lib/totpd/totpd.db "SELECT * FROM account" >/root/before`)
	if said := s.fails("totpctl", "restore", "/root/accounts", "--yes"); !strings.Contains(said, "has no key in it, and there is none here") {
		t.Errorf("without any key: %s", said)
	}
	const same = `sqlite3 /var/lib/totpd/totpd.db "SELECT * FROM account" | cmp - /root/before; `
	s.script(same + "echo nonsense >/etc/credstore.encrypted/totpd.key")
	if said := s.fails("totpctl", "restore", "/root/accounts", "--yes"); !strings.Contains(said, "open the key /etc/credstore.encrypted/totpd.key") {
		t.Errorf("with a broken credential: %s", said)
	}
	s.script(same + "mv /root/totpd.key /etc/credstore.encrypted/; systemctl start totpd.socket")
	in := ann.ssh()
	in.answer(password, ann.Password)
	in.see(code)
}
