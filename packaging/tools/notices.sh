#!/bin/bash
# notices.sh - the licences of all that is linked into the programs and the module, as the packages have to
# hand them on.
set -euo pipefail
cd "$(dirname "$0")/../.."

files() { # NAME DIRECTORY
	local file
	for file in "$2"/LICEN[CS]E* "$2"/COPYING* "$2"/NOTICE*; do
		[ -f "$file" ] || continue
		printf '\n%s\n== %s: %s\n\n' "$(printf '=%.0s' {1..78})" "$1" "$(basename "$file")"
		cat "$file"
		found=1
	done
	[ -n "$found" ] || { echo "notices: no licence of $1 in $2" >&2 && exit 1; }
	found=
}

cat <<END
totpd is under the Apache License 2.0. Its programs and its PAM module hold code of others, under the
licences below. SQLite, which comes with go-sqlite3, is in the public domain.
END
found=
files Go "$(go env GOROOT)"
go list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}' \
	./daemon ./daemon/passwordcheck ./cli ./pam | LC_ALL=C sort -u | while read -r path version dir; do
	files "$path $version" "$dir"
done
