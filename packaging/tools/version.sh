#!/bin/bash
# version.sh - the version of this tree, from git's tags: as the programs show it and as the deb has it. An
# rpm spells "+" as "^", so that it sorts the same.
#
#   at the tag v1.2.3           1.2.3
#   at the tag v1.3.0-rc.1      1.3.0~rc.1             before 1.3.0
#   12 commits after v1.2.3     1.2.3+12.g0a1b2c3      after it, before 1.2.4
#   no tag at all               0.0.0~TIME.g0a1b2c3    before every release
#
# TIME is that of the commit, so that a clone without history sorts right too. Changes that are not
# committed add ".dirty".
set -euo pipefail
cd "$(dirname "$0")/../.."

commit=$(git rev-parse --short=7 --verify -q HEAD 2>/dev/null) || {
	echo "version: this is no git repository: say make VERSION=1.2.3" >&2
	exit 1
}
dirty=
[ -z "$(git status --porcelain --untracked-files=no)" ] || dirty=.dirty
if ! described=$(git describe --tags --long --abbrev=7 --match 'v[0-9]*' 2>/dev/null); then
	time=$(TZ=UTC0 git log -1 --format=%cd --date=format-local:%Y%m%d%H%M%S)
	echo "0.0.0~$time.g$commit$dirty"
elif [[ $described =~ ^v([0-9]+\.[0-9]+\.[0-9]+)(-([0-9A-Za-z.]+))?-([0-9]+)-(g[0-9a-f]+)$ ]]; then
	after="+${BASH_REMATCH[4]}.${BASH_REMATCH[5]}$dirty"
	[ "${BASH_REMATCH[4]}$dirty" != 0 ] || after=
	echo "${BASH_REMATCH[1]}${BASH_REMATCH[3]:+"~${BASH_REMATCH[3]}"}$after"
else
	echo "version: the tag ${described%-*-*} is neither like v1.2.3 nor like v1.2.3-rc.1" >&2
	exit 1
fi
