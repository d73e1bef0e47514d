#!/bin/bash
# pack.sh ARCH VERSION DIR - packs what packages.sh has built and staged in build/pkg/ARCH as the deb and
# the rpm of VERSION, into DIR. Tests use it alone for a version that is newer.
set -euo pipefail

[ $# = 3 ] || {
	sed -n '2,/^set -e/{/^#/s/^# \{0,1\}//p}' "$0" >&2
	exit 2
}
mkdir -p "$3"
arch=$1 version=$2 dir=$(cd "$3" && pwd)
top=$(cd "$(dirname "$0")/../.." && pwd)
cd "$top/build/pkg/$arch"
export LC_ALL=C SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}

die() {
	echo "pack: $*" >&2
	exit 1
}

case $arch in
amd64) triplet=x86_64-linux-gnu ;;
arm64) triplet=aarch64-linux-gnu ;;
*) die "no architecture $arch" ;;
esac

binaries=(stage/pam_totpd.so stage/usr/bin/totpctl stage/usr/libexec/totpd/{totpd,totpd-password})

# newest LIBRARY - the newest version of the library's symbols that is used.
newest() {
	objdump -T "${binaries[@]}" | grep -oE "\($1_[0-9.]+\)" | tr -d '()' | sort -uV | tail -n 1
}

# The first version of Debian's libpam0g that has symbols of a version: its symbols file says so.
debian_pam() {
	case $1 in
	LIBPAM_1.0) echo 0.99.7.1 ;;
	LIBPAM_1.4) echo 1.4.0 ;;
	*) die "which version of libpam0g has $1?" ;;
	esac
}

pack() { # FORMAT VERSION NEEDS_LIBC NEEDS_PAM
	sed -e "s/^- semver: next\$/- semver: $2-1/" -e "s/^  date: next\$/  date: $(date -u -d "@$SOURCE_DATE_EPOCH" +%FT%TZ)/" \
		"$top/packaging/changelog.yml" >changelog.yml
	ARCH=$arch TRIPLET=$triplet PACKAGE_VERSION=$2 NEEDS_LIBC=$3 NEEDS_PAM=$4 \
		"$top/build/tools/nfpm" package -f "$top/packaging/nfpm.yaml" -p "$1" -t "$dir/" >/dev/null
}

# nfpm.yaml says which package brings these libraries; another one has to be added there.
other=$(objdump -p "${binaries[@]}" | awk '$1 == "NEEDED" { print $2 }' | sort -u |
	grep -vxE 'libc\.so\.6|libpam\.so\.0|ld-linux-.*' || true)
[ -z "$other" ] || die "linked with ${other//$'\n'/, }: nfpm.yaml has no dependency for that"
libc=$(newest GLIBC) pam=$(newest LIBPAM)
pack deb "$version" "libc6 (>= ${libc#GLIBC_})" "libpam0g (>= $(debian_pam "$pam"))"
# An rpm spells "+" as "^", so that it sorts the same.
pack rpm "${version/+/^}" "libc.so.6($libc)(64bit)" "libpam.so.0($pam)(64bit)"
