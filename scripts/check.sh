#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What can be said of the series without running it.
#
# Usage: scripts/check.sh [--list | CHECK...]
#
# Runs all checks, or those named, on the tree and the patches that tree.py
# makes of this repository.  Prints a line of KTAP for each; closes with
# "N passed, N failed, N skipped" and fails if one failed.  What each check had
# to say is in build/$BASE/check/CHECK.log.  "docs" alone also leaves the
# documents as HTML in build/$BASE/docs.

set -euo pipefail

cd "$(dirname "$0")/.."
repo=$PWD
BASE=${BASE:-6.12}
JOBS=${JOBS:-$(nproc)}
build=$repo/build/$BASE
tree=$build/linux
logs=$build/check
obj=$tree/build-check
series=series/$BASE

# A row a check, in the order of a run: its name and the programs that it needs.
# check_NAME passes if it returns 0 and prints nothing, but for lines that begin with
# "note: ", or "result: " for what everybody should see.
checks='
series
checkpatch	perl
configs
warnings	gcc
sparse		sparse
dma-api		spatch
coccinelle	spatch
addresses
kernel-doc	perl
exports
maintainers
abi		perl
docs		sphinx-build
shellcheck	shellcheck
python		python3
length
spelling	codespell
columns
'

die()
{
	echo "check: $*" >&2
	exit 1
}

# -- what the series is made of ----------------------------------------------

# Files of the tree that the series adds or changes, by pattern.
touched()
{
	git -C "$tree" diff --name-only --diff-filter=d "$base" HEAD -- "$@"
}

# Those of them that are ours from first line to last.
added()
{
	git -C "$tree" diff --name-only --diff-filter=A "$base" HEAD -- "$@"
}

# shellcheck source-path=SCRIPTDIR
. scripts/lib/check/code.sh
# shellcheck source-path=SCRIPTDIR
. scripts/lib/check/text.sh

# -- run them ----------------------------------------------------------------

names=$(awk 'NF { print $1 }' <<<"$checks")
if [ "${1:-}" = --list ]; then
	echo "$names"
	exit 0
fi
# shellcheck disable=SC2086	# a list of words
[ $# -gt 0 ] || set -- $names
for name; do
	grep -qxF -e "$name" <<<"$names" ||
		die "no check is called '$name'; there are: ${names//$'\n'/ }"
done
[ -d "$series" ] || die "no series for base $BASE; there is $(ls -m series)"

mkdir -p "$logs"
rm -f "$logs/configured"
for step in tree series; do
	scripts/tree.py $step >"$logs/$step.log" 2>&1 || {
		tail -n 5 "$logs/$step.log" >&2
		die "scripts/tree.py $step failed: $logs/$step.log"
	}
done
base=$(git -C "$tree" rev-list --max-parents=0 HEAD)
# shellcheck source-path=SCRIPTDIR
. scripts/lib/kbuild.sh
hostcc=$cc cpp=gcc

green='' red='' yellow='' plain=''
if [ -t 1 ]; then
	green=$'\e[32m' red=$'\e[31m' yellow=$'\e[33m' plain=$'\e[0m'
fi

# run NAME: sets "verdict" to ok, not or the reason of a skip.
run()
{
	local program
	local -a programs

	read -ra programs < <(awk -v name="$1" '$1 == name { $1 = ""; print }' <<<"$checks") ||
		true
	for program in "${programs[@]}"; do
		if ! command -v "$program" >/dev/null; then
			verdict="$program is not installed: scripts/deps.sh check"
			return
		fi
	done
	verdict=not
	(set +e; "check_$1") >"$logs/$1.log" 2>&1 || return 0
	grep -qvE '^(note|result): ' "$logs/$1.log" || verdict=ok
}

echo "TAP version 13"
echo "1..$#"
passed=0 failed=0 skipped=0 n=0
for name; do
	n=$((n + 1))
	run "$name"
	case $verdict in
	ok)	passed=$((passed + 1))
		echo "${green}ok $n $name$plain"
		sed -n 's/^result:/#/p' "$logs/$name.log" ;;
	not)	failed=$((failed + 1))
		echo "${red}not ok $n $name$plain"
		head -n 30 "$logs/$name.log" | sed 's/^/# /'
		echo "# all of it: $logs/$name.log" ;;
	*)	skipped=$((skipped + 1))
		echo "${yellow}ok $n $name # SKIP $verdict$plain" ;;
	esac
done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
