#!/bin/bash
# packages.sh [ARCH...] - makes the deb and the rpm of totpd for each architecture (amd64 and arm64 unless
# some are named) in build/packages/, from what 'make install' installs and packaging/nfpm.yaml.
#
# An architecture that isn't the machine's takes Debian's cross compiler and libpam, which are fetched;
# where they can't be had it is left out, loudly, unless it was named.
#
# The same commit gives the same bytes, wherever it is built: times are the commit's
# ($SOURCE_DATE_EPOCH), no path and no host gets in.
set -euo pipefail
cd "$(dirname "$0")/../.."

top=$PWD
export LC_ALL=C TZ=UTC0
umask 022

die() {
	echo "packages: $*" >&2
	exit 1
}

# What C gets beyond the Makefile's flags, and how programs are linked: as Debian hardens its own.
hardening="-fstack-protector-strong -D_FORTIFY_SOURCE=2"
linking="-s -w -buildid= -linkmode=external -extldflags '-Wl,-z,relro,-z,now'"

names() { # ARCH: sets what its parts are called
	case $1 in
	amd64) triplet=x86_64-linux-gnu ;;
	arm64) triplet=aarch64-linux-gnu ;;
	*) die "no architecture $1: amd64 and arm64 can be built" ;;
	esac
}

# cross ARCH - sets what it takes to build for an architecture that isn't the machine's.
cross() {
	local sysroot
	packaging/tools/needs.sh "cross-$1" || return 1
	sysroot=$(packaging/tools/sysroot.sh "$1") || return 1
	env+=("CC=$triplet-gcc" "CGO_LDFLAGS=-L$sysroot/usr/lib/$triplet -Wl,-rpath-link,$sysroot/usr/lib/$triplet")
	flags+=" -isystem $sysroot/usr/include"
}

build() { # ARCH
	env "${env[@]}" make --no-print-directory build OUT="$out" VERSION="$version" \
		GO_FLAGS=-buildmode=pie GO_LDFLAGS="$linking" HARDENING="$flags"
}

# The module's directory differs between the two formats; nfpm.yaml says where it goes.
stage() {
	rm -rf "$out/stage"
	make --no-print-directory -s install OUT="$out" DESTDIR="$out/stage" PREFIX=/usr PAMDIR= >/dev/null
	find "$out/stage/usr/share/man" -type f -exec gzip -9n {} + 2>/dev/null || true
}

# newest PREFIX - the newest version of a library's symbols that the programs and the module use.
newest() {
	objdump -T "$out"/{totpd,totpd-password,totpctl,pam_totpd.so} | grep -oE "\($1_[0-9.]+\)" | tr -d '()' | sort -uV | tail -n 1
}

# What the packages depend on is said in nfpm.yaml for these libraries; another one must be added there.
check_libraries() {
	local other
	other=$(objdump -p "$out"/{totpd,totpd-password,totpctl,pam_totpd.so} | awk '$1 == "NEEDED" { print $2 }' |
		sort -u | grep -vxE 'libc\.so\.6|libpam\.so\.0|ld-linux-.*' || true)
	[ -z "$other" ] || die "linked with ${other//$'\n'/, }: no package brings that; see NEEDS_ here"
}

# The first version of Debian's libpam0g with symbols of a version; its symbols file says so.
debian_pam() {
	case $1 in
	LIBPAM_1.0) echo 0.99.7.1 ;;
	LIBPAM_1.4) echo 1.4.0 ;;
	*) die "no version of libpam0g is known for $1" ;;
	esac
}

changelog() { # VERSION
	sed -e "s/^- semver: next\$/- semver: $1-1/" -e "s/^  date: next\$/  date: $(date -u -d "@$SOURCE_DATE_EPOCH" +%FT%TZ)/" \
		packaging/changelog.yml >"$out/changelog.yml"
}

pack() { # ARCH FORMAT VERSION NEEDS_LIBC NEEDS_PAM
	changelog "$3"
	(cd "$out" && env ARCH="$1" TRIPLET="$triplet" PACKAGE_VERSION="$3" NEEDS_LIBC="$4" NEEDS_PAM="$5" \
		"$top/build/tools/nfpm" package -f "$top/packaging/nfpm.yaml" -p "$2" -t "$top/build/packages/" >/dev/null)
}

packages() { # ARCH
	local arch=$1 libc pam
	build
	check_libraries
	stage
	libc=$(newest GLIBC) pam=$(newest LIBPAM)
	pack "$arch" deb "$version" "libc6 (>= ${libc#GLIBC_})" "libpam0g (>= $(debian_pam "$pam"))"
	pack "$arch" rpm "$rpm_version" "libc.so.6($libc)(64bit)" "libpam.so.0($pam)(64bit)"
}

version=${VERSION:-$(packaging/tools/version.sh)}
rpm_version=${VERSION:-$(packaging/tools/version.sh rpm)}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH

archs=("$@")
[ $# -gt 0 ] || archs=(amd64 arm64)
go -C packaging/tools build -o "$top/build/tools/" github.com/goreleaser/nfpm/v2/cmd/nfpm
make --no-print-directory completions
rm -rf build/packages
mkdir -p build/packages
for arch in "${archs[@]}"; do
	out=build/pkg/$arch flags=$hardening env=("GOARCH=$arch")
	names "$arch"
	if [ "$arch" != "$(go env GOHOSTARCH)" ] && ! cross "$arch"; then
		[ $# = 0 ] || die "no packages for $arch: see above"
		echo "packages: NO PACKAGES FOR $arch: the cross compiler or libpam for it can't be had (see above)" >&2
		continue
	fi
	packages "$arch"
done
ls -l build/packages
