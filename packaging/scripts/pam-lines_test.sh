#!/bin/bash
# pam-lines_test.sh - what pam-lines finds, with each awk that this machine has.
set -euo pipefail

lines=$(cd "$(dirname "$0")" && pwd)/pam-lines
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0

# expect WHAT STATUS WANTED - of the tree as it is.
expect() {
	local got status=0
	got=$(PATH=$tmp/bin:$PATH "$lines" "$tmp/root") || status=$?
	[ "$status" = "$2" ] && [ "$got" = "$3" ] && return
	printf 'FAIL: %s with %s: status %s, not %s; wanted:\n%s\ngot:\n%s\n' "$1" "$awk" "$status" "$2" "$3" "$got"
	failed=1
}

put() { # FILE, from standard input
	mkdir -p "$(dirname "$tmp/root$1")"
	cat >"$tmp/root$1"
}

try() {
	rm -rf "$tmp/root"
	mkdir "$tmp/root"
	expect "no PAM at all" 1 ""
	put /etc/pam.d/sshd <<-'END'
		# auth required pam_totpd.so
		auth required pam_unix.so # not pam_totpd.so
		  #auth required \
		auth required pam_totpd.so.old
		auth required my_pam_totpd.so
		auth required pam_totpd
	END
	put /etc/pam.d/sshd~ <<<'auth required pam_totpd.so'
	put /etc/pam.d/sshd.dpkg-old <<<'auth required pam_totpd.so'
	put /etc/pam.d/sshd.rpmsave <<<'auth required pam_totpd.so'
	mkdir "$tmp/root/etc/pam.d/directory"
	expect "nothing that counts" 1 ""

	put /etc/pam.d/a <<<'auth required pam_totpd.so'
	put "/etc/pam.d/b b" <<-'END'

		-auth	[success=ok ignore=ignore default=die]	pam_totpd.so	debug
	END
	put /etc/pam.d/c <<-'END'
		auth \
		  required \
		  /usr/lib/security/pam_totpd.so
		auth required /lib64/security/pam_totpd.so debug # remark
	END
	put /etc/pam.d/d <<-'END'
		@include /etc/security/more
		auth substack ../security/sub
		auth include missing
		@include /etc/security/more
	END
	put /etc/security/more <<<'auth include /opt/deep'
	put /opt/deep <<-'END'
		auth include /etc/security/more
		auth optional pam_totpd.so
	END
	put /etc/security/sub <<<'auth required pam_totpd.so'
	printf 'auth required pam_totpd.so\r\n' | put /etc/pam.d/e
	put /etc/pam.conf <<<'login auth required pam_totpd.so'
	put /usr/lib/pam.d/vendor <<<'auth required pam_totpd.so'
	printf 'auth required pam_totpd.so%s' " \\" | put /etc/pam.d/f
	ln -s ../security/sub "$tmp/root/etc/pam.d/g"
	ln -s nowhere "$tmp/root/etc/pam.d/h"
	expect "all that counts" 0 "/etc/pam.d/a:1: auth required pam_totpd.so
/etc/pam.d/b b:2: -auth	[success=ok ignore=ignore default=die]	pam_totpd.so	debug
/etc/pam.d/c:1: auth   required   /usr/lib/security/pam_totpd.so
/etc/pam.d/c:4: auth required /lib64/security/pam_totpd.so debug
/etc/pam.d/e:1: auth required pam_totpd.so
/etc/pam.d/f:1: auth required pam_totpd.so 
/etc/pam.d/g:1: auth required pam_totpd.so
/usr/lib/pam.d/vendor:1: auth required pam_totpd.so
/etc/pam.conf:1: login auth required pam_totpd.so
/etc/pam.d/../security/sub:1: auth required pam_totpd.so
/opt/deep:2: auth optional pam_totpd.so"
}

mkdir "$tmp/bin"
tried=0
for awk in mawk gawk original-awk "busybox awk"; do
	command -v "${awk%% *}" >/dev/null || continue
	printf '#!/bin/sh\nexec %s "$@"\n' "$awk" >"$tmp/bin/awk"
	chmod +x "$tmp/bin/awk"
	try
	tried=$((tried + 1))
done
[ "$tried" -gt 0 ] || { echo "FAIL: no awk" && failed=1; }
exit "$failed"
