package host

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

const suite = "bookworm"

// Cache holds base trees. Nobody but root may look into it: their setuid programs get no updates.
const Cache = "/var/cache/totpd-testhost"

// packages are what a small server has, and what the stories look at it with. Hosts can't fetch more.
var packages = []string{
	"systemd", "systemd-sysv", "systemd-timesyncd", "libpam-systemd", "dbus", "polkitd", "pkexec",
	"openssh-server", "openssh-client", "sudo", "login", "passwd", "adduser",
	"iproute2", "procps", "netbase", "less", "libglib2.0-bin", "sqlite3", "rpm",
}

// Spare is where a host has packages that a story may install: fetched with all that they need, not unpacked.
const Spare = "/var/cache/spare"

// spare are the packages there, and unmet those without what they need: a story looks into them.
var (
	spare = []string{"proftpd-core", "vsftpd", "dovecot-imapd", "freeradius", "freeradius-utils", "postgresql-15"}
	unmet = []string{"i3lock", "swaylock"}
)

// script is how the tree is made: mmdebstrap gets package sources on standard input. The time of a
// mirror's last change is not checked, nor is it by a machine whose sources stand still.
const script = `
set -e
mmdebstrap --quiet --mode=root --variant=minbase --include="$PACKAGES" \
	--aptopt='Acquire::Check-Valid-Until "false"' --aptopt='Acquire::Check-Date "false"' \
	--aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Retries "3"' \
	--dpkgopt=force-unsafe-io \
	--dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/man/*' \
	--dpkgopt='path-exclude=/usr/share/doc/*' \
	--customize-hook="$FETCH" \
	"$SUITE" "$TREE" -
# What would reach for the network, or for the disk in the middle of a story.
systemctl --quiet --root="$TREE" mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
	e2scrub_all.timer e2scrub_reap.service fstrim.timer
# The rules above are for the base alone: packages that a host installs are unpacked whole.
rm -f "$TREE"/etc/dpkg/dpkg.cfg.d/99mmdebstrap "$TREE"/etc/apt/apt.conf.d/99mmdebstrap
rm -rf "$TREE"/var/lib/apt/lists/*
: >"$TREE"/etc/resolv.conf
: >"$TREE"/etc/machine-id
`

// fetch is what mmdebstrap does in the end, for the tree that it is given: one package at a time, since some
// conflict with each other.
const fetch = `
set -e
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
apt-get clean
for package in $SPARE; do apt-get -qq --yes --download-only install "$package"; done
mkdir "$1$HOLD"
mv "$1"/var/cache/apt/archives/*.deb "$1$HOLD"
cd "$1$HOLD"
apt-get -qq download $UNMET
`

// basePath names a tree after all that decides what is in it.
func basePath() string {
	h := sha256.New()
	_, _ = fmt.Fprint(h, suite, packages, Spare, spare, unmet, fetch, script)
	return filepath.Join(Cache, fmt.Sprintf("base-%.12x", h.Sum(nil)))
}

// Base returns the base tree, and makes it if it is not in the cache. Of several programs that need it at
// once, one makes it.
func Base() (string, error) {
	dir := basePath()
	if err := os.MkdirAll(Cache, 0o700); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(filepath.Join(Cache, "lock"), os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return "", err
	}
	defer func() { _ = lock.Close() }()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", err
	}
	now := time.Now()
	if os.Chtimes(dir, now, now) == nil { // it is there, and in use
		return dir, nil
	}
	if err := tidy(now); err != nil {
		return "", err
	}
	fmt.Fprintf(os.Stderr, "host: making the base tree of the test hosts, %s\n", dir)
	tree, err := os.MkdirTemp(Cache, "tmp.")
	if err != nil {
		return "", err
	}
	if err := makeBase(tree); err != nil {
		return "", errors.Join(fmt.Errorf("make the base tree: %w", err), os.RemoveAll(tree))
	}
	return dir, os.Rename(tree, dir)
}

// tidy removes what makings left that were interrupted, and trees that nobody has used for a month.
func tidy(now time.Time) error {
	all, err := filepath.Glob(filepath.Join(Cache, "tmp.*"))
	if err != nil {
		return err
	}
	trees, err := filepath.Glob(filepath.Join(Cache, "base-*"))
	for _, tree := range trees {
		if info, err := os.Stat(tree); err == nil && now.Sub(info.ModTime()) > 30*24*time.Hour {
			all = append(all, tree)
		}
	}
	for _, path := range all {
		err = errors.Join(err, os.RemoveAll(path))
	}
	return err
}

// makeBase runs the script in mount and process namespaces of its own, so that nothing stays mounted
// below the tree, or running, when it is interrupted.
func makeBase(tree string) error {
	sources, err := packageSources()
	if err != nil {
		return err
	}
	runtime.LockOSThread() // whose end would be the child's, see Pdeathsig
	defer runtime.UnlockOSThread()
	cmd := exec.Command("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", script)
	cmd.Env = append(os.Environ(), "PACKAGES="+strings.Join(packages, ","), "SUITE="+suite, "TREE="+tree,
		"FETCH="+fetch, "HOLD="+Spare, "SPARE="+strings.Join(spare, " "), "UNMET="+strings.Join(unmet, " "))
	cmd.Stdin = strings.NewReader(sources)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%w: %s", err, said.String())
	}
	return os.Chmod(tree, 0o755)
}

// packageSources returns the machine's own sources of Debian packages, as lines of sources.list(5).
func packageSources() (string, error) {
	ask := func() ([]byte, error) {
		return exec.Command("apt-get", "indextargets", "--format", "deb $(SITE) $(RELEASE) $(COMPONENT)",
			"Created-By: Packages", "Origin: Debian").Output()
	}
	sources, err := ask()
	if err == nil && len(sources) == 0 { // apt knows the origin of lists that it has
		if err := run("apt-get", "update", "-q"); err != nil {
			return "", err
		}
		sources, err = ask()
	}
	if err == nil && len(sources) == 0 {
		err = errors.New("apt has no package lists of Debian")
	}
	return string(sources), err
}
