#!/bin/bash
# packages_test.sh - whether the packages in build/packages/ are as they should be: by lintian and rpmlint,
# in what they hold and in what they need. What their scripts do is install_test.sh's.
set -euo pipefail
cd "$(dirname "$0")/../.."

export LC_ALL=C
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0
fail() {
	echo "FAIL: $*"
	failed=1
}

# same WHAT WANTED GOT - of two texts, line by line.
same() {
	diff <(echo "$2") <(echo "$3") >"$tmp/diff" || fail "$1 (< wanted, > got):"$'\n'"$(cat "$tmp/diff")"
}

# Every line is MODE OWNER:GROUP PATH; a directory's mode begins with d.
deb_files() { dpkg-deb -c "$1" | sed -E 's| 0/0 | root/root |' | awk '{ sub("/", ":", $2); sub(/^\./, "", $6); sub(/.\/$/, "&", $6); print $1, $2, $6 }'; }
rpm_files() { rpm -qp --qf '[%{FILEMODES:perms} %{FILEUSERNAME}:%{FILEGROUPNAME} %{FILENAMES}\n]' "$1"; }

modes() { # WHAT, with its files on standard input
	awk -v what="$1" '
		{ wanted = "-rw-r--r--" }
		/^d/ { wanted = "drwxr-xr-x" }
		$3 ~ "^/usr/(bin|libexec/totpd)/." || what == "rpm" && /\.so$/ { if (!/^d/) wanted = "-rwxr-xr-x" }
		$1 != wanted || $2 != "root:root" { print "FAIL: " what ": " $0; bad = 1 }
		END { exit bad || !NR }
	' || failed=1
}

conffiles() { # DEB RPM: all that is in /etc, and nothing else
	local etc
	etc=$(deb_files "$1" | awk '/^-.* \/etc\// { print $3 }' | sort)
	same "conffiles of $1" "$etc" "$(dpkg-deb --info "$1" conffiles | sort)"
	etc=$(rpm_files "$2" | awk '/^-.* \/etc\// { print "cn " $3 }' | sort)
	same "%config(noreplace) of $2" "$etc" "$(rpm -qp --qf '[%{FILEFLAGS:fflags} %{FILENAMES}\n]' "$2" | grep '^[^ ]*c' | sort)"
}

# What make install makes is in a package, at least in one.
complete() { # ARCH DEB RPM
	local file sum
	dpkg-deb --info "$2" md5sums | cut -d' ' -f1 >"$tmp/md5"
	rpm -qp --qf '[%{FILEDIGESTS}\n]' "$3" >"$tmp/sha256"
	find "build/pkg/$1/stage" -type f | while read -r file; do
		sum=$(md5sum <"$file") && grep -qxF "${sum%% *}" "$tmp/md5" && continue
		sum=$(sha256sum <"$file") && grep -qxF "${sum%% *}" "$tmp/sha256" && continue
		echo "FAIL: $file is in no package: packaging/nfpm.yaml doesn't name it"
	done | tee "$tmp/left"
	[ ! -s "$tmp/left" ] || failed=1
}

binaries() { # STAGE
	printf "$1/%s\n" pam_totpd.so usr/bin/totpctl usr/libexec/totpd/totpd usr/libexec/totpd/totpd-password
}

# What Debian's own tool finds that the programs need is what the package says, no less and no more.
deb_needs() { # ARCH DEB
	local found said
	mkdir -p "$tmp/shlibs/debian"
	cp -r "build/pkg/$1/stage" "$tmp/shlibs/debian/totpd"
	mkdir "$tmp/shlibs/debian/totpd/DEBIAN"
	printf 'Source: totpd\n\nPackage: totpd\nArchitecture: any\n' >"$tmp/shlibs/debian/control"
	found=$(cd "$tmp/shlibs" && binaries debian/totpd | xargs dpkg-shlibdeps -O | sed -n 's/^shlibs:Depends=//p')
	said=$(dpkg-deb --field "$2" Depends | tr ',' '\n' | grep -oE '\<lib(c6|pam0g) \(.*' | paste -sd, | sed 's/,/, /')
	same "libraries of $2" "$found" "$said"
}

# Of each library's versions, rpm's own tool finds none that is newer than what the package says.
rpm_needs() { # ARCH RPM
	local found
	found=$(binaries "build/pkg/$1/stage" | /usr/lib/rpm/elfdeps --requires | grep -E '^lib(c|pam)\.so\.[0-9]\([A-Z_]+[0-9.]+\)' |
		sort -V | awk -F'[(_]' '{ last[$1] = $0 } END { for (l in last) print last[l] }' | sort)
	same "libraries of $2" "$found" "$(rpm -qp --requires "$2" | grep '^lib' | sort)"
}

# rpmlint unpacks with cpio, and an rpm of nfpm's has absolute names: without this they would be unpacked
# over the machine's own files. As root it runs as nobody, who couldn't.
lint_rpms() {
	local as=()
	mkdir -p "$tmp/bin" "$tmp/rpms"
	printf '#!/bin/sh\nexec %s --no-absolute-filenames "$@"\n' "$(command -v cpio)" >"$tmp/bin/cpio"
	cp build/packages/*.rpm packaging/rpmlint.toml "$tmp/rpms"
	chmod -R a+rX "$tmp"
	chmod a+x "$tmp/bin/cpio"
	[ "$(id -u)" != 0 ] || as=(setpriv --reuid=nobody --regid=nogroup --clear-groups)
	(cd / && PATH=$tmp/bin:$PATH HOME=/nonexistent "${as[@]}" rpmlint -c "$tmp/rpms/rpmlint.toml" "$tmp"/rpms/*.rpm) | tee "$tmp/rpmlint"
	! grep -E '^[^ ]+: E: ' "$tmp/rpmlint"
}

for names in amd64:x86_64 arm64:aarch64; do
	arch=${names%:*}
	deb=$(find build/packages -name "*_$arch.deb") rpm=$(find build/packages -name "*.${names#*:}.rpm")
	if [ -z "$deb$rpm" ]; then
		echo "SKIPPED: there are no packages for $arch: no cross compiler"
		continue
	fi
	modes deb < <(deb_files "$deb")
	modes rpm < <(rpm_files "$rpm")
	conffiles "$deb" "$rpm"
	complete "$arch" "$deb" "$rpm"
	rpm_needs "$arch" "$rpm"
	[ "$arch" != "$(dpkg --print-architecture)" ] || deb_needs "$arch" "$deb"
done
lintian --allow-root --fail-on error,warning build/packages/*.deb || fail "lintian has something to say"
lint_rpms || fail "rpmlint has something to say"
exit "$failed"
