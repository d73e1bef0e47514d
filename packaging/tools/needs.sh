#!/bin/bash
# needs.sh build|cross-ARCH|demo|test - sees to it that the machine has what the target needs. As root on Debian it
# installs what is missing; otherwise it says exactly what to install, and fails.
#
# Only packages that leave the machine's logins, users and services alone: those that don't are
# unpacked below build/ instead, by packaging/world/debs.sh.
set -euo pipefail

# What shows that it is there (a command, or a file), and the package that brings it.
build=(
	gcc:gcc
	/usr/include/stdlib.h:libc6-dev
	/usr/include/security/pam_appl.h:libpam0g-dev
)
demo=(
	oathtool:oathtool
	zbarimg:zbar-tools
	tmux:tmux
	ssh:openssh-client
)
cross_arm64=(
	aarch64-linux-gnu-gcc:gcc-aarch64-linux-gnu
	/usr/aarch64-linux-gnu/include/stdlib.h:libc6-dev-arm64-cross
)
cross_amd64=(
	x86_64-linux-gnu-gcc:gcc-x86-64-linux-gnu
	/usr/x86_64-linux-gnu/include/stdlib.h:libc6-dev-amd64-cross
)
test=(
	dpkg-shlibdeps:dpkg-dev
	lintian:lintian
	rpm:rpm
	rpmlint:rpmlint
	shellcheck:shellcheck
	mandoc:mandoc
	man:man-db
	strace:strace
	sqlite3:sqlite3
	systemd-analyze:systemd
	systemd-nspawn:systemd-container
	mmdebstrap:mmdebstrap
	ip:iproute2
	dbus-daemon:dbus-daemon
	/usr/share/selinux/devel/Makefile:selinux-policy-dev
	gawk:gawk
	/usr/share/bash-completion/bash_completion:bash-completion
	zsh:zsh
	fish:fish
)
[ "$(dpkg --print-architecture 2>/dev/null)" != amd64 ] || test+=(linux.uml:user-mode-linux)

case ${1:-} in
build) needs=("${build[@]}") ;;
cross-arm64) needs=("${cross_arm64[@]}") ;;
cross-amd64) needs=("${cross_amd64[@]}") ;;
demo) needs=("${build[@]}" "${demo[@]}") ;;
test) needs=("${build[@]}" "${demo[@]}" "${test[@]}") ;;
*)
	sed -n '2,/^set -e/{/^#/s/^# \{0,1\}//p}' "$0" >&2
	exit 2
	;;
esac

missing() {
	local need
	for need in "${needs[@]}"; do
		case $need in
		/*) [ -e "${need%%:*}" ] || echo "${need#*:}" ;;
		*) command -v "${need%%:*}" >/dev/null || echo "${need#*:}" ;;
		esac
	done
}

install_packages() {
	DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "$@" </dev/null >&2
}

# The go command that go.mod asks for; go itself fetches it where that is allowed (since Go 1.21).
need_go() {
	local wanted have
	wanted=$(awk '$1 == "go" { print $2 }' "$(dirname "$0")/../../go.mod")
	if ! command -v go >/dev/null; then
		have="is missing"
	elif ! have=$(go version 2>&1); then
		have="can't be used ($have)"
	elif have=$(grep -oE -m 1 '\bgo[0-9][^ ]*' <<<"$have") && [ "$(printf '%s\n' "go$wanted" "$have" | sort -V | head -n 1)" = "go$wanted" ]; then
		return
	else
		have="is too old ($have)"
	fi
	echo "needs: Go $have: install Go ${wanted%.0} or newer from https://go.dev/dl/ and put it on PATH" >&2
	return 1
}

# All that is missing is said at once.
status=0
need_go || status=1
mapfile -t packages < <(missing)
[ "${#packages[@]}" -gt 0 ] || exit "$status"
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
	echo "needs: missing for '$1'. Run as root: apt-get install --no-install-recommends ${packages[*]}" >&2
	exit 1
fi
echo "needs: installing ${packages[*]}" >&2
install_packages "${packages[@]}" || {
	apt-get update -q >&2 || echo "needs: apt-get update had errors; trying what it got" >&2
	install_packages "${packages[@]}"
}
mapfile -t packages < <(missing)
[ "${#packages[@]}" = 0 ] || {
	echo "needs: still missing after the installation: ${packages[*]}" >&2
	exit 1
}
exit "$status"
