#!/bin/bash
# install_test.sh - what the packages' scripts do when they are installed, upgraded and removed: in a root
# directory that shows this machine's files, in a layer of its own that is thrown away. No systemd runs in
# there; with one, packaging/host shows the deb.
set -euo pipefail
cd "$(dirname "$0")/../.."

if [ "${1-}" != inside ]; then
	if [ "$(id -u)" != 0 ]; then
		echo "SKIPPED: installing the packages in a root directory needs root"
		exit 0
	fi
	exec unshare --mount --propagation private "$0" inside
fi

export LC_ALL=C DEBIAN_FRONTEND=noninteractive TERM=dumb
tmp=$(mktemp -d) # in this namespace alone, but for its directory
trap 'cd / && umount -Rl "$tmp" && rmdir "$tmp"' EXIT
mount -t tmpfs -o mode=755 install-test "$tmp"
root=$tmp/root
failed=0
fail() {
	echo "FAIL: $story: $*"
	failed=1
}

# begin STORY - with a fresh root.
begin() {
	story=$1
	echo "== $story"
	if mountpoint -q "$root"; then umount -R "$root"; fi
	rm -rf "$tmp/upper" "$tmp/work"
	mkdir -p "$root" "$tmp/upper" "$tmp/work"
	mount -t overlay -o "lowerdir=/,upperdir=$tmp/upper,workdir=$tmp/work" overlay "$root" || {
		echo "SKIPPED: no overlay of the root file system can be had here"
		exit 0
	}
	mount -t proc proc "$root/proc"
	mount --bind /dev "$root/dev"
	[ ! -e "$root/usr/libexec/totpd" ] || {
		echo "SKIPPED: totpd is installed on this machine"
		exit 0
	}
	logins >"$tmp/before"
}

# logins prints all that decides about a login, but for the file that the packages bring themselves.
logins() {
	find "$root"/etc/{pam.d,pam.conf,security,ssh,sudoers,sudoers.d,login.defs,nsswitch.conf} \
		-type f ! -path "$root/etc/pam.d/totpd*" -exec sha256sum {} + 2>/dev/null | sort -k 2 || true
}
unchanged() { logins | diff "$tmp/before" - >"$tmp/diff" || fail "$1 changed logins: $(cat "$tmp/diff")"; }

in_root() { chroot "$root" "$@"; }
here() { ls -d "${@/#/$root}" >/dev/null 2>&1; }
gone() { ! ls -d "${@/#/$root}" 2>/dev/null; }
enabled() { find "$root"/etc/systemd/system -name 'totpd*' -printf '%f ' | tr ' ' '\n' | sort | xargs; }

installed() {
	in_root getent passwd totpd | grep -qxE 'totpd:x:[0-9]+:[0-9]+:Second factor at login:/var/lib/totpd:/usr/sbin/nologin' || fail "no user totpd"
	[ "$(stat -c %a:%U:%G "$root/run/totpd")" = 755:root:root ] || fail "/run/totpd: $(stat -c %a:%U:%G "$root/run/totpd")"
	[ "$(in_root stat -c %a:%U:%G /var/lib/totpd)" = 700:totpd:totpd ] || fail "/var/lib/totpd: $(in_root stat -c %a:%U:%G /var/lib/totpd)"
	[ "$(enabled)" = "totpd-password.socket totpd.service totpd.socket" ] || fail "enabled are: $(enabled)"
	in_root /usr/libexec/totpd/totpd -check >/dev/null || fail "totpd doesn't take its settings"
	unchanged installing
}

# An account and settings of the administrator's; their sums, and whether they are still the same.
administer() {
	echo "an account" >"$root/var/lib/totpd/totpd.db"
	sed -i 's/^#tries = 3/tries = 2/' "$root/etc/totpd/totpd.toml"
	echo "# ours" >>"$root/etc/pam.d/totpd"
}
kept() { # SUFFIX: what a changed file of the settings is called now
	grep -qx "an account" "$root/var/lib/totpd/totpd.db" || fail "$story lost the accounts"
	grep -qx "tries = 2" "$root/etc/totpd/totpd.toml${1-}" || fail "$story lost the settings"
	grep -qx "# ours" "$root/etc/pam.d/totpd${1-}" || fail "$story lost /etc/pam.d/totpd"
}

# refused COMMAND... - a removal that ends before anything is gone, with the line that stops it.
refused() {
	printf '#auth required pam_totpd.so\nauth required \\\n  pam_totpd.so\n' >"$root/etc/pam.d/xlock"
	if "$@" >"$tmp/out" 2>&1; then
		fail "removed, in spite of a line that names the module"
	fi
	grep -q '^  /etc/pam.d/xlock:2: auth required  *pam_totpd.so$' "$tmp/out" || fail "says nothing of the line: $(cat "$tmp/out")"
	here "$module" /usr/libexec/totpd/totpd || fail "a refused removal took files away"
	[ "$(enabled)" = "totpd-password.socket totpd.service totpd.socket" ] || fail "after a refused removal, enabled are: $(enabled)"
	rm "$root/etc/pam.d/xlock"
}

deb_story() {
	local deb newer
	deb=$(echo build/packages/*_"$(dpkg --print-architecture)".deb) newer=$(echo "$tmp"/newer/*.deb)
	module=/usr/lib/$(gcc -print-multiarch)/security/pam_totpd.so
	dpkg() { command dpkg --root="$root" --force-depends "$@" </dev/null; }
	begin "the deb: installing"
	dpkg -i "$deb" >"$tmp/out" 2>&1 || fail "$(cat "$tmp/out")"
	grep -q 'totpctl setup' "$tmp/out" || fail "says nothing of totpctl setup: $(cat "$tmp/out")"
	installed
	administer
	story="the deb: upgrading"
	dpkg -i "$newer" >"$tmp/out" 2>&1 || fail "$(cat "$tmp/out")"
	kept
	unchanged upgrading
	story="the deb: downgrading"
	dpkg -i "$deb" >"$tmp/out" 2>&1 || fail "$(cat "$tmp/out")"
	kept
	story="the deb: a removal that is refused"
	refused dpkg -r totpd
	command dpkg-query --root="$root" -W -f '${Status}' totpd | grep -q ' installed$' || fail "dpkg takes it for removed"
	story="the deb: removing"
	in_root pam-auth-update --package --enable totpd
	grep -q '^auth.*pam_totpd.so' "$root/etc/pam.d/common-auth" || fail "pam-auth-update doesn't turn it on"
	dpkg -r totpd >"$tmp/out" 2>&1 || fail "$(cat "$tmp/out")"
	gone "$module" /usr/libexec/totpd || fail "left files behind"
	unchanged removing
	kept
	story="the deb: purging"
	dpkg -P totpd >"$tmp/out" 2>&1 || fail "$(cat "$tmp/out")"
	left=$(find "$root"/{etc,usr,var,run} -xdev -name '*totpd*' ! -path '*/var/cache/*' ! -path '*/apt/*' ! -path '*/cache/*' 2>/dev/null || true)
	[ -z "$left" ] || fail "left behind: $left"
	in_root getent passwd totpd >/dev/null || fail "removed the user"
	unchanged purging
	unset -f dpkg
}

rpm_story() {
	local rpm newer
	rpm=$(echo build/packages/*."$(uname -m)".rpm) newer=$(echo "$tmp"/newer/*.rpm)
	module=/usr/lib64/security/pam_totpd.so
	rpm() { command rpm --root "$root" --nodeps "$@" </dev/null; }
	begin "the rpm: installing"
	rpm -i "$rpm" >"$tmp/out" 2>&1 || fail "$(cat "$tmp/out")"
	grep -q 'totpctl setup' "$tmp/out" || fail "says nothing of totpctl setup: $(cat "$tmp/out")"
	installed
	rpm -V totpd >"$tmp/out" 2>&1 || fail "differs from the package: $(cat "$tmp/out")"
	administer
	story="the rpm: upgrading"
	rpm -U "$newer" >"$tmp/out" 2>&1 || fail "$(cat "$tmp/out")"
	kept
	[ "$(enabled)" = "totpd-password.socket totpd.service totpd.socket" ] || fail "enabled are: $(enabled)"
	unchanged upgrading
	story="the rpm: downgrading"
	rpm -U --oldpackage "$rpm" >"$tmp/out" 2>&1 || fail "$(cat "$tmp/out")"
	kept
	story="the rpm: a removal that is refused"
	refused rpm -e totpd
	command rpm --root "$root" -q totpd >/dev/null || fail "rpm takes it for removed"
	story="the rpm: removing"
	rpm -e totpd >"$tmp/out" 2>&1 || fail "$(cat "$tmp/out")"
	gone "$module" /usr/libexec/totpd || fail "left files behind"
	[ -z "$(enabled)" ] || fail "enabled are still: $(enabled)"
	unchanged removing
	kept .rpmsave
	unset -f rpm
}

packaging/tools/pack.sh "$(go env GOHOSTARCH)" 9999.0.0 "$tmp/newer"
deb_story
rpm_story
exit "$failed"
