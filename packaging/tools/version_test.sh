#!/bin/bash
# version_test.sh - whether what version.sh says of a repository sorts as its history does, by the rules of
# dpkg and of rpm (where each is installed).
set -euo pipefail

version=$(cd "$(dirname "$0")" && pwd)/version.sh
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/packaging/tools"
cp "$version" "$tmp/packaging/tools/"
cd "$tmp"
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@a.a GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@a.a
failed=0 now=1700000000 debs=() rpms=()

fail() {
	echo "FAIL: $*"
	failed=1
}
commit() {
	now=$((now + 100))
	GIT_COMMITTER_DATE="$now +0000" git commit -q --allow-empty -m c "$@"
}
# note [WANTED] - remembers the version at hand, and compares it.
note() {
	local deb rpm
	deb=$(packaging/tools/version.sh)
	rpm=${deb/+/^}
	echo "$deb $rpm"
	debs+=("$deb") rpms+=("$rpm")
	# shellcheck disable=SC2053 # a pattern
	[[ $deb == ${1-*} ]] || fail "$deb is not $1"
	[[ $rpm != *[-+]* ]] || fail "no version of an rpm: $rpm"
}

git init -q .
git add .
commit
note '0.0.0~20231114221500.g???????'
echo >>packaging/tools/version.sh
note '0.0.0~20231114221500.g???????.dirty'
commit -a
note '0.0.0~20231114221640.g???????'
git tag v0.9.0-rc.2
note '0.9.0~rc.2'
commit
note '0.9.0~rc.2+1.g???????'
commit
git tag v0.9.0-rc.10
note '0.9.0~rc.10'
commit
git tag v0.9.0
note '0.9.0'
echo >>packaging/tools/version.sh
note '0.9.0+0.g???????.dirty'
commit -a
note '0.9.0+1.g???????'
for _ in 1 2 3 4 5 6 7 8; do commit; done
note '0.9.0+9.g???????'
commit
note '0.9.0+10.g???????'
git tag -a -m annotated v0.9.1
note '0.9.1'
commit
git tag v0.10.0
note '0.10.0'
commit
git tag v1.0.0-beta
note '1.0.0~beta'
git tag -d v1.0.0-beta >/dev/null
git tag v1
! packaging/tools/version.sh 2>/dev/null || fail "a tag v1 is taken"

for ((i = 1; i < ${#debs[@]}; i++)); do
	if command -v dpkg >/dev/null; then
		dpkg --compare-versions "${debs[i - 1]}-1" lt "${debs[i]}-1" || fail "dpkg: ${debs[i - 1]} is not before ${debs[i]}"
	fi
	if command -v rpm >/dev/null; then
		[ "$(rpm --eval "%{lua:print(rpm.vercmp('${rpms[i - 1]}', '${rpms[i]}'))}")" = -1 ] ||
			fail "rpm: ${rpms[i - 1]} is not before ${rpms[i]}"
	fi
done
for tool in dpkg rpm; do
	command -v "$tool" >/dev/null || echo "SKIPPED: $tool is not installed: the order of its versions is not shown"
done
[ "$failed" = 0 ] && echo "${#debs[@]} versions, in order"
