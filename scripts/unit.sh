#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# The ring in userspace (tools/testing/vring): compiled with gcc and clang under
# the address and undefined-behaviour sanitizers, driven by a model device.
#
#	scripts/unit.sh			unit tests; KTAP in build/$BASE/unit/*.ktap
#	scripts/unit.sh fuzz		libFuzzer for FUZZ_SECONDS, 60 by default
#
# KTREE=/path/to/linux names the tree whose virtio headers are used if not
# build/$BASE/linux, which is laid out when it is missing.  JOBS, COMPILERS and
# WORD (run only tests with that in their names) do what they say.
set -eu

cd "$(dirname "$0")/.."
top=$PWD
base=${BASE:-6.12}
out=$top/build/$base/unit
jobs=${JOBS:-$(nproc)}
src=tools/testing/vring

die() {
	echo "unit: $*" >&2
	exit 1
}

usage() {
	echo "usage: $0 [fuzz]" >&2
	exit 2
}

find_tree() {
	KTREE=${KTREE:-$top/build/$base/linux}
	if [ "$KTREE" = "$top/build/$base/linux" ] && ! [ -d "$KTREE" ]; then
		scripts/tree.py tree >&2 || die "make tree failed, see above; or set KTREE"
	fi
	[ -f "$KTREE/include/uapi/linux/virtio_ring.h" ] ||
		die "$KTREE is no kernel tree; set KTREE=/path/to/linux"
}

need() {
	command -v "$1" >/dev/null || die "no $1 on this machine; run: apt-get install $2"
}

# build COMPILER TARGET: one line if it fails, the rest is in the log.
build() {
	if ! make -C "$src" -j"$jobs" CC="$1" KTREE="$KTREE" O="$out/$1" "$2" \
			>"$out/$1.log" 2>&1; then
		grep -m 3 -E 'error:|undefined reference|\*\*\*|^vring:' "$out/$1.log" >&2 ||
			tail -n 3 "$out/$1.log" >&2
		echo "unit: $1 does not build $src; all of it in $out/$1.log" >&2
		return 1
	fi
}

# run_unit COMPILER: exit status of the tests, KTAP and stderr in files.
run_unit() {
	rm -f "$out/$1.ktap"
	build "$1" all || return 1
	"$out/$1/unit" ${WORD:+"$WORD"} >"$out/$1.ktap" 2>"$out/$1.stderr"
}

count() {
	grep -c "^$1" "$2" || :
}

unit() {
	compilers=${COMPILERS:-gcc clang}
	for cc in $compilers; do
		need "$cc" "$cc"
	done
	find_tree
	mkdir -p "$out"
	echo "unit: the ring in userspace, $compilers"

	# One after the other within a compiler, the compilers side by side.
	pids=
	for cc in $compilers; do
		run_unit "$cc" &
		pids="$pids $!"
	done
	bad=0
	for pid in $pids; do
		wait "$pid" || bad=1
	done

	pass=0
	fail=0
	printf '%-10s %8s %8s\n' compiler passed failed
	for cc in $compilers; do
		ktap=$out/$cc.ktap
		if ! [ -f "$ktap" ]; then
			printf '%-10s %8s %8s\n' "$cc" - "no build"
			fail=$((fail + 1))
			continue
		fi
		p=$(count 'ok ' "$ktap")
		f=$(count 'not ok ' "$ktap")
		plan=$(sed -n 's/^1\.\.//p' "$ktap")
		# A run that stopped early has failed whatever it reported.
		[ "$((p + f))" = "${plan:-0}" ] && [ "$plan" != 0 ] || f=$((f + 1))
		printf '%-10s %8d %8d\n' "$cc" "$p" "$f"
		pass=$((pass + p))
		fail=$((fail + f))
	done
	for cc in $compilers; do
		[ -f "$out/$cc.ktap" ] || continue
		grep -E -B 1 '^not ok ' "$out/$cc.ktap" | grep -E '^(# |not ok )' |
			sed "s|^|$cc: |; s|$top/||g" || :
		if [ -s "$out/$cc.stderr" ]; then
			echo "$cc: the sanitizers' reports are in $out/$cc.stderr"
		fi
	done
	[ "$bad" = 0 ] || [ "$fail" != 0 ] || fail=1
	echo "$pass passed, $fail failed, 0 skipped"
	[ "$fail" = 0 ]
}

fuzz() {
	seconds=${FUZZ_SECONDS:-60}
	case $seconds in
	'' | *[!0-9]*) die "FUZZ_SECONDS=$seconds is not a number of seconds" ;;
	esac
	need clang clang
	find_tree
	mkdir -p "$out/corpus" "$out/crashes"
	build clang fuzz
	VRING_SEEDS=$out/corpus "$out/clang/fuzz" || die "cannot write the seeds"
	echo "unit: fuzzing for $seconds s, $jobs at once, log in $out/fuzz.log"

	# Every job explores on its own and leaves its finds in the corpus.
	pids=
	rm -f "$out"/fuzz-*.log
	i=0
	while [ "$i" -lt "$jobs" ]; do
		"$out/clang/fuzz" "$out/corpus" -max_total_time="$seconds" -max_len=1024 \
			-timeout=20 -rss_limit_mb=2048 -print_final_stats=1 \
			-artifact_prefix="$out/crashes/" >"$out/fuzz-$i.log" 2>&1 &
		pids="$pids $!"
		i=$((i + 1))
	done
	bad=0
	for pid in $pids; do
		wait "$pid" || bad=$((bad + 1))
	done
	cat "$out"/fuzz-*.log >"$out/fuzz.log"
	runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$out/fuzz.log" |
		awk '{ n += $1 } END { print n + 0 }')
	edges=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$out/fuzz.log" | sort -n | tail -n 1)
	if [ "$bad" != 0 ]; then
		grep -E -m 5 '^SUMMARY|^/.*\[.*\]$|runtime error|ERROR' "$out/fuzz.log" |
			sed "s|$top/||g" >&2 || :
		echo "unit: the input is in $out/crashes; again with: $out/clang/fuzz FILE" >&2
		echo "0 passed, 1 failed, 0 skipped"
		return 1
	fi
	[ "$runs" -gt 0 ] || die "the fuzzer ran nothing, see $out/fuzz.log"
	echo "unit: $runs inputs, ${edges:-?} edges covered, nothing found"
	echo "1 passed, 0 failed, 0 skipped"
}

# Flags of a make above us are not for ours.
unset MAKEFLAGS MFLAGS
case $#:${1-} in
0:) unit ;;
1:fuzz) fuzz ;;
*) usage ;;
esac
