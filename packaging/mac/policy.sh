#!/bin/bash
# policy.sh - compiles the SELinux module as Debian and as Fedora would, into build/selinux/.
#
# Fedora's headers can't be had here. So the macros that only Fedora has are empty ones; the branch for
# Fedora compiles, calls no macro that Fedora lacks, and contrib/selinux/interfaces.txt, which says so,
# lists every macro that is called and no other.
set -euo pipefail
cd "$(dirname "$0")/../.."

source=contrib/selinux list=contrib/selinux/interfaces.txt headers=/usr/share/selinux/devel/include
out=$PWD/build/selinux
status=0

complain() {
	echo "policy.sh: $*"
	status=1
}

# The macros that are called in a policy's branch: m4 picks it, and leaves what it doesn't know.
called() { m4 "$@" $source/totpd.te $source/totpd.if | sed 's/#.*//' | grep -oE '\b[a-z_]+\(' | tr -d '(' | sort -u; }

# The macros of the list that a policy has; 2 is Debian's column, 3 Fedora's.
listed() { awk -v column="$1" '!/^#/ && $column != "-" { print $1 }' $list | sort; }

compile() { # DIRECTORY DISTRIBUTION
	# m4 says "incr" of every module that these headers compile.
	make --no-print-directory -C $source BUILD="$1" DISTRO="$2" 2>&1 | grep -v "builtin .incr'" || true
	[ -s "$1/totpd.pp" ] || complain "the module doesn't compile as ${2}'s"
}

missing=$(comm -23 <(called) <(listed 2))
[ -z "$missing" ] || complain "called, and in $list not listed for Debian: ${missing//$'\n'/ }"
missing=$(comm -23 <(called -D distro_redhat) <(listed 3))
[ -z "$missing" ] || complain "called, and in $list not listed for Fedora: ${missing//$'\n'/ }"
unused=$(comm -13 <({ called && called -D distro_redhat; } | sort -u) <({ listed 2 && listed 3; } | sort -u))
[ -z "$unused" ] || complain "listed in $list, and not called: ${unused//$'\n'/ }"
while read -r macro file _; do
	[ "$file" = totpd.if ] && file=$source/$file || file=$headers/$file
	grep -qE "(interface|template|define)\(\`$macro'" "$file" || complain "$macro: not in $file"
done < <(awk '!/^#/ && $2 != "-"' $list)

rm -rf "$out"
compile "$out/debian" debian
mkdir -p "$out/fedora/compile"
echo 'policy_module(onlyfedora, 1.0)' >"$out/fedora/compile/onlyfedora.te" # an .if is read beside a .te
awk '!/^#/ && $2 == "-" { printf "interface(`%s'"'"',`'"'"')\n", $1 }' $list >"$out/fedora/compile/onlyfedora.if"
compile "$out/fedora" redhat
exit $status
