#!/bin/bash
# debs.sh - Debian packages that totpd is tried with and that must not be installed on the machine at
# hand, because they would change its logins, users or services: fetched with whatever they need and
# the machine lacks, and unpacked below build/. Prints the root of the unpacked tree, an absolute
# path; everything else goes to standard error.
#
# In the tree: usr/sbin/sshd, usr/bin/sudo, usr/lib/TRIPLET/security/pam_google_authenticator.so,
# usr/lib/TRIPLET/security/pam_oath.so, usr/lib/TRIPLET/liboath.so.0 and so on. As on a merged-/usr
# Debian, bin, sbin and lib are links into usr. Nothing in it is setuid: the throwaway world gives
# sudo its bit back in a layer of its own.
#
# Libraries that the machine has are not in it, so load a module from it with
# LD_LIBRARY_PATH=TREE/usr/lib/TRIPLET. The tree is made once; after that, no network is needed.
set -euo pipefail

packages=(openssh-server sudo libpam-google-authenticator libpam-oath)
command -v login >/dev/null || [ -x /bin/login ] || packages+=(login)
command -v useradd >/dev/null || [ -x /usr/sbin/useradd ] || packages+=(passwd)

top=$(cd "$(dirname "$0")/../.." && pwd)
dir=$top/build/debs

say() { echo "debs: $*" >&2; }
die() {
	say "$*"
	exit 1
}

complete() { [ "$(cat "$dir/.packages" 2>/dev/null)" = "${packages[*]}" ]; }

# PACKAGE=VERSION of all that must be fetched, one a line. apt's simulation writes
# "Inst sudo [installed version] (candidate version, ...".
missing() {
	LC_ALL=C apt-get -s -qq --no-install-recommends -o Debug::NoLocking=1 install --reinstall "${packages[@]}" |
		sed -nE 's/^Inst ([^ ]+) (\[[^]]*\] )?\(([^ ]+) .*/\1=\3/p'
}

fetch() {
	local list
	list=$(missing) && [ -n "$list" ] || return 1
	say "fetching $(wc -w <<<"$list") packages"
	# shellcheck disable=SC2086 # one word a package
	(cd "$tmp" && apt-get -q -o APT::Sandbox::User=root download $list >&2)
}

unpack() {
	local deb dir_in_usr
	mkdir -p "$tmp/tree/usr/bin" "$tmp/tree/usr/sbin" "$tmp/tree/usr/lib" "$tmp/tree/usr/lib64"
	for dir_in_usr in bin sbin lib lib64; do ln -s "usr/$dir_in_usr" "$tmp/tree/$dir_in_usr"; done
	for deb in "$tmp"/*.deb; do
		dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$tmp/tree" --keep-directory-symlink
	done
	find "$tmp/tree" -type f -perm /6000 -exec chmod a-s {} +
	chmod 755 "$tmp/tree"
	rmdir --ignore-fail-on-non-empty "$tmp/tree/usr/lib64"
	[ -d "$tmp/tree/usr/lib64" ] || rm "$tmp/tree/lib64"
}

make_tree() {
	for tool in apt-get dpkg-deb; do
		command -v "$tool" >/dev/null || die "needs $tool: a Debian machine"
	done
	tmp=$(mktemp -d "$top/build/debs.XXXXXX")
	trap 'rm -rf "$tmp"' EXIT
	if ! fetch; then
		[ "$(id -u)" = 0 ] || die "can't fetch ${packages[*]}: run 'apt-get update' as root, then try again"
		say "renewing apt's lists"
		apt-get update -q >&2 || say "apt-get update had errors; trying what it got"
		fetch || die "can't fetch ${packages[*]}"
	fi
	unpack
	printf '%s\n' "${packages[*]}" >"$tmp/tree/.packages"
	rm -rf "$dir"
	mv "$tmp/tree" "$dir"
}

if ! complete; then
	mkdir -p "$top/build"
	exec 9>"$top/build/.debs.lock"
	flock 9
	complete || make_tree
	exec 9>&-
fi
echo "$dir"
