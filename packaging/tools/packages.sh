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

export LC_ALL=C TZ=UTC0
umask 022

die() {
	echo "packages: $*" >&2
	exit 1
}

# What C gets beyond the Makefile's flags, and how programs are linked: as Debian hardens its own.
hardening="-fstack-protector-strong -D_FORTIFY_SOURCE=2"
linking="-s -w -buildid= -linkmode=external -extldflags '-Wl,-z,relro,-z,now'"

# cross ARCH - sets what it takes to build for an architecture that isn't the machine's. libpam's headers
# are the machine's: they don't differ.
cross() {
	local triplet sysroot
	case $1 in
	amd64) triplet=x86_64-linux-gnu ;;
	arm64) triplet=aarch64-linux-gnu ;;
	*) die "no architecture $1: amd64 and arm64 can be built" ;;
	esac
	packaging/tools/needs.sh "cross-$1" && sysroot=$(packaging/tools/sysroot.sh "$1") || return 1
	env+=("CC=$triplet-gcc" "CGO_LDFLAGS=-L$sysroot/usr/lib/$triplet -Wl,-rpath-link,$sysroot/usr/lib/$triplet")
}

# The module's directory differs between the two formats; nfpm.yaml says where it goes.
stage() {
	rm -rf "$out/stage"
	make --no-print-directory -s install OUT="$out" DESTDIR="$out/stage" PREFIX=/usr PAMDIR= >/dev/null
	[ ! -d "$out/stage/usr/share/man" ] || find "$out/stage/usr/share/man" -type f -exec gzip -9n {} +
}

build() { # ARCH TARGET
	env GOARCH="$1" "${env[@]}" make --no-print-directory "$2" OUT="$out" VERSION="$version" TOTPCTL="$totpctl" \
		GO_FLAGS=-buildmode=pie GO_LDFLAGS="$linking" HARDENING="$hardening"
}

version=${VERSION:-$(packaging/tools/version.sh)}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH

archs=("$@")
[ $# -gt 0 ] || archs=(amd64 arm64)
own=$(go env GOHOSTARCH)
totpctl=build/pkg/$own/totpctl # writes the completions
rm -rf build/packages
for arch in "${archs[@]}"; do
	out=build/pkg/$arch env=()
	[ "$arch" = "$own" ] || [ -n "${written-}" ] || out=build/pkg/$own build "$own" "$totpctl"
	written=1
	if [ "$arch" != "$own" ] && ! cross "$arch"; then
		echo "packages: NO PACKAGES FOR $arch: its compiler or its libpam can't be had; see above" >&2
		[ $# = 0 ] || exit 1
		continue
	fi
	build "$arch" build
	stage
	packaging/tools/pack.sh "$arch" "$version" build/packages
done
ls -l build/packages
