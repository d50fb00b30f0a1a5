#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# The ring in userspace (tools/testing/vring): compiled with gcc and clang under
# the address and undefined-behaviour sanitizers, driven by a model device.
#
#	scripts/unit.sh			unit tests; KTAP in build/$BASE/unit/*.ktap; and what
#					they cover of the ring, see scripts/coverage.py
#	scripts/unit.sh valgrind	under memcheck, of the variants of each test every
#					11th, or every EVERY-th
#	scripts/unit.sh fuzz		libFuzzer for FUZZ_SECONDS, 60 by default
#
# KTREE=/path/to/linux names the tree whose virtio headers are used if not
# build/$BASE/linux, which is laid out when it is missing.  JOBS is the number of
# processes; with WORD only the tests with that in their names run.
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
	echo "usage: $0 [valgrind|fuzz]" >&2
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

# build NAME COMPILER TARGET [VARIABLE=VALUE...]: one line if it fails, the rest is
# in the log; the results are in the folder NAME.
build() {
	name=$1 cc=$2
	shift 2
	if ! make -C "$src" -j"$jobs" CC="$cc" KTREE="$KTREE" O="$out/$name" "$@" \
			>"$out/$name.log" 2>&1; then
		grep -m 3 -E 'error:|undefined reference|\*\*\*|^vring:' "$out/$name.log" >&2 ||
			tail -n 3 "$out/$name.log" >&2
		echo "unit: $cc does not build $src; all of it in $out/$name.log" >&2
		return 1
	fi
}

# The same with what clang needs to say which lines of the ring ran.
build_covered() {
	build covered clang "$1" SANITIZE= \
		INSTRUMENT="-fprofile-instr-generate -fcoverage-mapping"
}

# run_unit NAME: exit status of the tests, KTAP and stderr in files.
run_unit() {
	rm -rf "$out/$1.ktap" "$out/$1.profile"
	case $1 in
	covered)	build_covered all || return 1 ;;
	valgrind)	build valgrind gcc all SANITIZE= CFLAGS="-O1 -g -DTIMEOUT=2000" ||
				return 1 ;;
	*)		build "$1" "$1" all || return 1 ;;
	esac
	set -- "$1" "$out/$1/unit"
	if [ "$1" = valgrind ]; then
		set -- "$1" valgrind -q --error-exitcode=9 --leak-check=full \
			--errors-for-leak-kinds=definite "$2" -e "${EVERY:-11}"
	fi
	name=$1
	shift
	LLVM_PROFILE_FILE=$out/$name.profile/%m.profraw "$@" ${WORD:+"$WORD"} \
		>"$out/$name.ktap" 2>"$out/$name.stderr"
}

count() {
	grep -c "^$1" "$2" || :
}

# unit NAME...: compilers; covered; valgrind.
unit() {
	find_tree
	mkdir -p "$out"
	echo "unit: the ring in userspace, $*"

	# One after the other within each of them, they side by side.
	pids=
	for name; do
		run_unit "$name" &
		pids="$pids $!"
	done
	bad=0
	for pid in $pids; do
		wait "$pid" || bad=1
	done

	pass=0
	fail=0
	printf '%-10s %8s %8s\n' "" passed failed
	for name; do
		ktap=$out/$name.ktap
		if ! [ -f "$ktap" ]; then
			printf '%-10s %8s %8s\n' "$name" - "no build"
			fail=$((fail + 1))
			continue
		fi
		p=$(count 'ok ' "$ktap")
		f=$(count 'not ok ' "$ktap")
		plan=$(sed -n 's/^1\.\.//p' "$ktap")
		# A run that stopped early has failed whatever it reported.
		[ "$((p + f))" = "${plan:-0}" ] && [ "$plan" != 0 ] || f=$((f + 1))
		printf '%-10s %8d %8d\n' "$name" "$p" "$f"
		pass=$((pass + p))
		fail=$((fail + f))
	done
	for name; do
		[ -f "$out/$name.ktap" ] || continue
		grep -E -B 1 '^not ok ' "$out/$name.ktap" | grep -E '^(# |not ok )' |
			sed "s|^|$name: |; s|$top/||g" || :
		if [ -s "$out/$name.stderr" ]; then
			echo "$name: what the checkers said is in $out/$name.stderr"
		fi
		[ "$name" != covered ] || coverage
	done
	[ "$bad" = 0 ] || [ "$fail" != 0 ] || fail=1
	echo "$pass passed, $fail failed, 0 skipped"
	[ "$fail" = 0 ]
}

# The table of what the tests cover; its limits are tests, too.
coverage() {
	log=$out/coverage.log summary='^\([0-9]*\) passed, \([0-9]*\) failed, 0 skipped$'
	scripts/coverage.py --limits "$out/covered/unit" "$out/covered.profile" coverage \
		>"$log" || bad=1
	sed "/$summary/d" "$log"
	pass=$((pass + $(sed -n "s/$summary/\1/p" "$log" | grep . || echo 0)))
	fail=$((fail + $(sed -n "s/$summary/\2/p" "$log" | grep . || echo 1)))
}

fuzz() {
	seconds=${FUZZ_SECONDS:-60}
	case $seconds in
	'' | *[!0-9]*) die "FUZZ_SECONDS=$seconds is not a number of seconds" ;;
	esac
	need clang clang
	find_tree
	mkdir -p "$out/corpus" "$out/crashes"
	build clang clang fuzz
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
0:)
	need gcc gcc
	need clang clang
	need llvm-cov llvm
	# Coverage of some of the tests says nothing.
	if [ -n "${WORD-}" ]; then
		unit gcc clang
	else
		unit gcc clang covered
	fi
	;;
1:valgrind)
	need gcc gcc
	need valgrind valgrind
	unit valgrind
	;;
1:fuzz) fuzz ;;
*) usage ;;
esac
