package doctor

import (
	"io/fs"
	"path/filepath"
	"slices"
)

// Key is the key that seals the secrets in the store. Its content is never looked at.
type Key struct {
	File       *File  `json:"file,omitempty"`
	Credential string `json:"credential,omitempty"` // where systemd has it, in place of a file
}

const keyCredential = "totpd.key"

// The sizes of a key file: 64 hexadecimal digits, with or without a newline.
const keySize = 64

// credentialStores are where systemd looks for a credential that a unit names without a path.
var credentialStores = []string{
	"/etc/credstore.encrypted", "/etc/credstore", "/run/credstore.encrypted", "/run/credstore",
	"/usr/lib/credstore.encrypted", "/usr/lib/credstore",
}

// credential finds the key that systemd hands the daemon, or would. The unit may name one that there isn't:
// then the daemon goes by the file.
func (x *exam) credential() (path string, found bool) {
	u := x.units[serviceUnit]
	if u == nil || !slices.Contains(u.Credentials, keyCredential) {
		return "", false
	}
	places := []string{"/run/credentials/" + serviceUnit}
	if u.MainPID == 0 {
		places = append(places, credentialStores...)
	}
	for _, dir := range places {
		if f, err := x.follow(filepath.Join(dir, keyCredential)); err == nil {
			return f.Path, true
		}
	}
	return "", false
}

func (x *exam) lookKey() {
	if path, found := x.credential(); found {
		x.report.Facts.Key = &Key{Credential: path}
		x.fine("key", "systemd hands the daemon its key, as a credential: %s", path)
		return
	}
	path := x.settings.Key.File
	f, err := x.stat(path)
	const lost = "put the right key back from a backup"
	switch {
	case missing(err) && !x.exists(x.settings.Store.Path):
		x.fine("key", "the daemon makes a key when it starts for the first time")
		return
	case missing(err):
		x.found("key-missing", path, lost+"; without it the accounts are of no use: stop totpd, move "+x.settings.Store.Path+"* away, start it, and have everybody enrol again",
			"%s is missing, and the store is sealed with it: the daemon doesn't start any more", path)
		return
	case hidden(err):
		x.unseen("key", "%s is for root to look at", path)
		return
	case err != nil:
		x.unseen("key", "%s can't be looked at: %v", path, cause(err))
		return
	}
	x.report.Facts.Key = &Key{File: f}
	switch {
	case f.info.Mode().Type() == fs.ModeSymlink:
		x.found("key-link", path, "name the file that it leads to: [key] file in "+configFile,
			"%s is a symbolic link, which the daemon refuses", path)
		return
	case !f.info.Mode().IsRegular() || f.Size != keySize && f.Size != keySize+1:
		x.found("key-malformed", path, lost, "%s holds no key, but %d bytes in place of %d: the daemon doesn't start any more", path, f.Size, keySize+1)
	}
	if f.perm()&0o077 != 0 {
		x.found("key-open", path, "chmod 0600 "+shell(path)+"  # and think about who has read it",
			"the mode of %s is %s: others may have read the key of all secrets, and the daemon doesn't start any more", path, f.Mode)
	}
	if x.owned && f.uid != x.owner {
		x.found("key-owner", path, "chown "+x.who()+" "+shell(path), "%s %s: the daemon can't use it", path, x.notOurs(f))
	}
	x.fine("key", "%s is as it should be", path)
}
