#!/bin/bash
# sysroot.sh ARCH - Debian's libpam for another architecture, to link with: its packages are fetched
# with an apt of our own (lists, cache and architecture apart from the machine's) and unpacked
# below build/. Prints the root of the unpacked tree, an absolute path. The tree is made once; after
# that, no network is needed.
set -euo pipefail

arch=${1:?sysroot.sh ARCH}
# libaudit and libcap-ng are what libpam itself is linked with.
packages=(libpam0g libpam0g-dev libaudit1 libcap-ng0)

top=$(cd "$(dirname "$0")/../.." && pwd)
dir=$top/build/sysroot/$arch

complete() { [ "$(cat "$dir/.packages" 2>/dev/null)" = "${packages[*]}" ]; }

# The machine's own mirrors of Debian.
sources() {
	local site release component key=/usr/share/keyrings/debian-archive-keyring.gpg
	# shellcheck disable=SC2016 # apt's variables
	apt-get indextargets --format '$(SITE) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 'Origin: Debian' 'Component: main' |
		sort -u | while read -r site release component; do
		echo "deb [arch=$arch signed-by=$key] $site $release $component"
	done
}

our_apt() { apt-get -q -c "$tmp/apt.conf" "$@" >&2; }

fetch() {
	mkdir -p "$tmp/lists/partial" "$tmp/cache/archives/partial" "$tmp/debs"
	sources >"$tmp/sources.list"
	[ -s "$tmp/sources.list" ] || { echo "sysroot: apt knows no source of Debian's" >&2 && return 1; }
	cat >"$tmp/apt.conf" <<-END
		APT { Architecture "$arch"; Architectures { "$arch"; }; Sandbox::User "root"; };
		Dir::State::lists "$tmp/lists";
		Dir::State::status "$tmp/status";
		Dir::Cache "$tmp/cache";
		Dir::Etc { sourcelist "$tmp/sources.list"; sourceparts "-"; };
		Acquire::Languages "none";
	END
	: >"$tmp/status"
	our_apt update
	(cd "$tmp/debs" && our_apt download "${packages[@]}")
}

unpack() {
	local deb link target
	mkdir -p "$tmp/tree/usr/lib"
	ln -s usr/lib "$tmp/tree/lib"
	for deb in "$tmp/debs"/*.deb; do
		dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$tmp/tree" --keep-directory-symlink
	done
	# A library's link for the linker names a place of the running system.
	find "$tmp/tree" -type l -lname '/*' | while read -r link; do
		target=$(readlink "$link")
		ln -sfnr "$tmp/tree$target" "$link"
	done
	printf '%s\n' "${packages[*]}" >"$tmp/tree/.packages"
	chmod 755 "$tmp/tree"
}

if ! complete; then
	mkdir -p "$top/build/sysroot"
	exec 9>"$top/build/.sysroot.lock"
	flock 9
	if ! complete; then
		tmp=$(mktemp -d "$top/build/sysroot/tmp.XXXXXX")
		trap 'rm -rf "$tmp"' EXIT
		fetch
		unpack
		rm -rf "$dir"
		mv "$tmp/tree" "$dir"
	fi
	exec 9>&-
fi
echo "$dir"
