package plan

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/totpd/totpd/cli/internal/home"
	"github.com/totpd/totpd/cli/internal/sshd"
)

// person is a user who may log in: root, or one with a number that people have, and a shell.
type person struct {
	name     string
	uid, gid uint32
	home     string
	key      bool // there are keys of ssh for this user
	silent   bool // whether there are can't be told: the home doesn't answer
	password bool // there is a password that can be right
}

// people are those of the host's own files. Those of a directory (LDAP and the like) aren't listed there. Without
// sshd's settings nobody is known to have a key.
func people(h *Host, s *sshd.Settings) []person {
	text, err := os.ReadFile(filepath.Join(h.Root, "/etc/passwd"))
	if err != nil {
		return nil
	}
	hashes := passwords(h)
	var all []person
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) != 7 || strings.HasSuffix(f[6], "/nologin") || strings.HasSuffix(f[6], "/false") {
			continue
		}
		uid, err := strconv.ParseUint(f[2], 10, 32)
		gid, err2 := strconv.ParseUint(f[3], 10, 32)
		if err != nil || err2 != nil || uid != 0 && (uid < 1000 || uid >= 65534) {
			continue
		}
		key, err := hasKey(h, s, home.Owner{Name: f[0], UID: uint32(uid), GID: uint32(gid)}, f[5])
		all = append(all, person{
			name:     f[0],
			uid:      uint32(uid),
			gid:      uint32(gid),
			home:     f[5],
			key:      key,
			silent:   err != nil,
			password: hashes[f[0]] != "" && !strings.ContainsAny(hashes[f[0]][:1], "!*"),
		})
	}
	return all
}

// passwords are the hashes of shadow(5), by user.
func passwords(h *Host) map[string]string {
	all := map[string]string{}
	text, err := os.ReadFile(filepath.Join(h.Root, "/etc/shadow"))
	if err != nil {
		return all
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Split(line, ":"); len(f) > 1 {
			all[f[0]] = f[1]
		}
	}
	return all
}

// RootHasKey tells whether root has a key of ssh on the host whose root directory this is.
func RootHasKey(root string, s *sshd.Settings) bool {
	h := &Host{Root: root}
	for _, who := range people(h, nil) { // nobody else's home is looked into
		if who.uid != 0 {
			continue
		}
		if key, _ := hasKey(h, s, home.Owner{Name: who.name, UID: who.uid, GID: who.gid}, who.home); key {
			return true
		}
	}
	return false
}

// keysMax is the longest file of keys that is read, in bytes.
const keysMax = 1 << 20

// hasKey looks into the files of AuthorizedKeysFile, as sshd does: with the user's rights. Its error is
// home.ErrSilent; a file that can't be read has no keys, for sshd neither.
func hasKey(h *Host, s *sshd.Settings, who home.Owner, dir string) (bool, error) {
	if s == nil {
		return false, nil
	}
	for _, files := range s.Values("authorizedkeysfile") {
		for name := range strings.FieldsSeq(files) {
			name = strings.NewReplacer("%%", "%", "%h", dir, "%u", who.Name, "%U", strconv.Itoa(int(who.UID))).Replace(name)
			if !filepath.IsAbs(name) {
				name = filepath.Join(dir, name)
			}
			f, err := home.Read(who, home.Wanted{Root: strings.TrimSuffix(h.Root, "/"), Path: name, Links: true, Most: keysMax})
			if errors.Is(err, home.ErrSilent) {
				return false, err // so would the next one be
			}
			if err != nil {
				continue
			}
			for line := range strings.Lines(string(f.Text)) {
				if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
					return true, nil
				}
			}
		}
	}
	return false, nil
}

// tellPeople notes who could log in by ssh until now and can't any longer.
func (p *Plan) tellPeople(h *Host, before *sshd.Settings) {
	var out, silent []string
	for _, who := range people(h, before) {
		if who.silent {
			silent = append(silent, who.name)
		}
		if who.name == "root" && (before.RootLogin == "no" || p.SSH.rootMethods != "") {
			continue
		}
		byPassword := who.password && (before.Password || before.KbdInteractive) && (who.name != "root" || before.RootLogin == "yes")
		byKey := who.key && before.Pubkey
		switch p.SSH.Mode {
		case PasswordCode:
			if byKey && !who.password {
				out = append(out, who.name)
			}
		case KeyCode:
			if byPassword && !who.key {
				out = append(out, who.name)
			}
		}
	}
	if len(silent) > 0 {
		p.note("ssh: whether these have a key can't be told, for their homes don't answer: %s", strings.Join(silent, ", "))
	}
	if len(out) > 0 {
		slices.Sort(out)
		lacks := map[Mode]string{PasswordCode: "no password", KeyCode: "no key"}[p.SSH.Mode]
		p.LockedOut = out
		p.note("ssh: these can't log in any longer, for they have %s: %s", lacks, strings.Join(out, ", "))
	}
	if slices.Contains(before.Values("gssapiauthentication"), "yes") && before.Methods == nil {
		if _, err := os.Stat(filepath.Join(h.Root, "/etc/krb5.keytab")); err == nil {
			p.note("ssh: a Kerberos ticket (GSSAPI) alone no longer lets in")
		}
	}
	if p.SSH.Mode != KeyOrPasswordCode {
		p.note("ssh: programs that log in by key (backups, Ansible) can answer no question: give their users a Match block with \"AuthenticationMethods publickey\" in a later file of %s", sshd.DropIns)
	}
}
