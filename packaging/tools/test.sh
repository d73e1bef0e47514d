#!/bin/bash
# test.sh - everything that CI runs, with its own set-up. Each step prints one line; its whole output is
# in build/test/. Ends with what failed and what could not be run, and with status 0 only when nothing
# failed. As root every test must run; otherwise what can't is listed.
#
# test.sh STEP... runs some steps only; they are the functions below.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

logs=build/test
mkdir -p "$logs"
exec </dev/null
export CGO_ENABLED=1 CGO_CFLAGS="-O2 -g -DHAVE_FDATASYNC=1"
root=
[ "$(id -u)" != 0 ] || root=1
# A number of inputs, not a time: with a time, go test now and then fails with "context deadline
# exceeded" (golang/go#75804). It comes to a few seconds each.
fuzztime=${FUZZTIME:-20000x}

# Reasons for which a test may be skipped as root.
expected='root is never kept out|totpd is installed'

# The Go packages, without those that are steps of their own, e2e and hosts.
tested() { go list ./... | grep -vE '/packaging/(world|host)$'; }

needs() { packaging/tools/needs.sh test; }

build() {
	make --no-print-directory build build/demo world || return 1
	go -C packaging/tools build -o "$PWD/build/tools/" honnef.co/go/tools/cmd/staticcheck
}

format() {
	local bad
	bad=$(git ls-files -co --exclude-standard '*.go' | xargs -r -d '\n' gofmt -l)
	[ -z "$bad" ] || { echo "not as gofmt has it:" && echo "$bad" && return 1; }
}

vet() { go vet ./...; }

staticcheck() { build/tools/staticcheck ./...; }

shell() {
	{ git ls-files -co --exclude-standard '*.sh' && printf '%s\n' .ci/run packaging/scripts/{pam-lines,selinux} packaging/scripts/deb/*; } |
		xargs -d '\n' shellcheck && shellcheck --shell=sh packaging/scripts/rpm/*
}

# mandoc's warnings, but for pages that aren't on this machine, and for ".Os totpd", without which groff writes
# "BSD" below each page. Then groff's own, which lintian looks for too.
man() {
	local page bad=0
	for page in packaging/man/*.[1-8] build/man/*.1; do
		! mandoc -T lint -W style "$page" 2>&1 | grep -vE 'referenced manual not found|outdated mandoc.db|operating system explicitly specified' || bad=1
		! LC_ALL=C.UTF-8 MANWIDTH=80 command man --warnings -E UTF-8 -Tutf8 -Z -l "$page" 2>&1 >/dev/null | grep . || bad=1
	done
	return "$bad"
}

# The module's C has a rule of its own; the other C files are programs of tests.
warnings() {
	make --no-print-directory module-warnings || return 1
	git ls-files -co --exclude-standard '*.c' | grep -v '^pam/[^/]*$' |
		xargs -r -d '\n' -n 1 gcc -std=gnu11 -O2 -Wall -Wextra -Wconversion -Werror -fsyntax-only
}

vulnerabilities() {
	if ! command -v govulncheck >/dev/null; then
		echo "SKIPPED: govulncheck is not installed"
	elif ! timeout 5 bash -c 'exec 3<>/dev/tcp/vuln.go.dev/443' 2>/dev/null; then
		echo "SKIPPED: govulncheck can't reach its database, vuln.go.dev"
	else
		timeout 300 govulncheck ./...
	fi
}

race() { tested | xargs go test -race -v -timeout 20m; }

# What a fuzz test finds stays as a file in its testdata.
fuzz() {
	local file name
	while IFS=: read -r file name; do
		echo "== $name in $(dirname "$file")"
		timeout 300 go test -run '^$' -fuzz "^$name\$" -fuzztime "$fuzztime" "./$(dirname "$file")" || return 1
	done < <(git ls-files -co --exclude-standard '*_test.go' | xargs -d '\n' grep -HoE '^func Fuzz[A-Za-z0-9_]+' | sed 's/:func /:/')
}

e2e() { TOTPD_E2E_REQUIRED=$root go test -v -count=1 -timeout 15m ./packaging/world; }

# Both packages of this machine's architecture are all that the hosts get.
hosts() {
	make --no-print-directory packages ARCHS="$(go env GOARCH)" build/locker &&
		TOTPD_E2E_REQUIRED=$root go test -v -count=1 -timeout 15m ./packaging/host
}

packages() {
	local test failed=0
	make --no-print-directory packages || return 1
	for test in packaging/scripts/pam-lines_test.sh packaging/tools/{version,packages,install,reproducible}_test.sh; do
		echo "== $test"
		timeout 600 "$test" || failed=1
	done
	return "$failed"
}

selinux() { packaging/mac/policy.sh && packaging/mac/host.sh selinux build/selinux/debian/totpd.pp; }

apparmor() { packaging/mac/host.sh apparmor; }

demo() { build/demo; }

libpam() { build/demo -libpam; }

# The tests that a log says were skipped, with their reasons: the last line that the test printed (WORK= is
# of testscript). Parts of one test that have one reason are one line; a script may stop half-way.
skipped() {
	awk '
		function add(name, reason) {
			if (sub("/.*", "", name)) name = name " (parts of it)"
			if (!seen[name ": " reason]++) print name ": " reason
		}
		/^=== (RUN|CONT|NAME) / { test = $3 }
		/^ *[a-z0-9_]+\.go:[0-9]+: / && $2 !~ /^WORK=/ { reasons[test] = $0; sub(/^[^:]*:[0-9]+: /, "", reasons[test]) }
		/^ *--- SKIP: / { add($3, reasons[$3]) }
		/^ +stop: / { sub(/^ +stop: /, ""); add(test, $0) }
		/^SKIPPED: / { sub(/^SKIPPED: /, ""); if (!seen[$0]++) print }
	' "$1"
}

passed=0 failed=0 skips=() failures=()

run() {
	local step=$1 what=$2 began=$SECONDS status line log=$logs/$1.log
	printf '%-16s %s ... ' "$step" "$what"
	"$step" >"$log" 2>&1
	status=$?
	while read -r line; do
		skips+=("$step: $line")
		if [ "$root" ] && [[ $line == Test* ]] && ! [[ $line =~ $expected ]]; then
			echo "FAIL: skipped as root: $line" >>"$log"
			status=1
		fi
	done < <(skipped "$log")
	passed=$((passed + $(grep -c '^ *--- PASS: ' "$log")))
	failed=$((failed + $(grep -c '^ *--- FAIL: ' "$log")))
	if [ "$status" = 0 ]; then
		passed=$((passed + 1))
		echo "ok ($((SECONDS - began)) s)"
		return
	fi
	failed=$((failed + 1))
	failures+=("$step")
	echo "FAILED ($((SECONDS - began)) s)"
	# What failed first; the whole log is at hand.
	grep -nE '^ *--- FAIL|^FAIL|^panic:|DATA RACE' "$log" | head -40
	tail -n 60 "$log"
	echo "(the whole output: $log)"
}

summary() {
	echo
	if [ ${#skips[@]} -gt 0 ]; then
		echo "Could not be run:"
		printf '  %s\n' "${skips[@]}"
	fi
	[ ${#failures[@]} = 0 ] || echo "Failed: ${failures[*]}"
	echo "Took $((SECONDS / 60)) min $((SECONDS % 60)) s."
	echo "$passed passed, $failed failed, ${#skips[@]} skipped"
	[ ${#failures[@]} = 0 ]
}

steps=(
	"needs|what the tests need is installed"
	"build|everything builds"
	"format|gofmt"
	"vet|go vet"
	"staticcheck|staticcheck"
	"shell|shellcheck"
	"man|manual pages, by mandoc and groff"
	"warnings|C warnings as errors"
	"vulnerabilities|govulncheck, where it can be reached"
	"race|all packages' tests, with the race detector, and the module under libpam"
	"fuzz|each fuzz test for a few seconds"
	"packages|the deb and the rpm: lintian, rpmlint, scripts, versions, the same bytes twice"
	"e2e|real sshd, login, su and sudo in a throwaway world"
	"hosts|test hosts: Debian with systemd, from installation to removal"
	"selinux|the SELinux policy: compiled, asked, and enforced by a kernel of its own"
	"apparmor|the AppArmor profile, enforced by a kernel of its own"
	"demo|the demo"
	"libpam|the demo through libpam alone"
)
for step in "${steps[@]}"; do
	if [ $# = 0 ] || [[ " $* " == *" ${step%%|*} "* ]]; then
		run "${step%%|*}" "${step#*|}"
	fi
done
summary
