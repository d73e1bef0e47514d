#!/bin/bash
# reproducible_test.sh - whether build/packages/ has the bytes that another build of the same tree gives:
# in another directory, with an empty build cache (amd64; the other architecture shares what doesn't depend on
# the directory), another umask, time zone, language and host name.
set -euo pipefail
cd "$(dirname "$0")/../.."

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
there=$tmp/somewhere/else
git clone -q --shared . "$there"
# What is not committed belongs to it too.
git ls-files -z -co --exclude-standard | tar -c --null --ignore-failed-read -T - 2>/dev/null | tar -x -C "$there"
mkdir -p "$there/build"
[ ! -d build/sysroot ] || cp -a build/sysroot "$there/build/"
cp -r build/tools "$there/build/" # not what is to be shown

SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
VERSION=$(packaging/tools/version.sh)
export SOURCE_DATE_EPOCH VERSION
build=(make -C "$there" --no-print-directory packages)
own=$(go env GOHOSTARCH)
# shellcheck disable=SC2016 # of the other shell
elsewhere=(env TZ=Asia/Tokyo LANG=C.UTF-8 bash -c 'umask 077; [ "$(id -u)" != 0 ] || hostname elsewhere; exec "$@"' -)
[ "$(id -u)" != 0 ] || elsewhere=(unshare --uts "${elsewhere[@]}")

for deb in build/packages/*.deb; do
	arch=${deb##*_}
	arch=${arch%.deb}
	cache=$(go env GOCACHE)
	[ "$arch" != "$own" ] || cache=$tmp/cache
	GOCACHE=$cache "${elsewhere[@]}" "${build[@]}" ARCHS="$arch" >/dev/null
	mkdir -p "$tmp/packages"
	mv "$there"/build/packages/* "$tmp/packages/"
done
status=0
for package in build/packages/*; do
	if cmp "$package" "$tmp/packages/$(basename "$package")"; then
		echo "the same: $(sha256sum "$package")"
	else
		echo "FAIL: another build gives another $(basename "$package")"
		status=1
	fi
done
exit "$status"
