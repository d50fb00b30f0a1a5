#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# usage: scripts/unit.sh [valgrind|fuzz|corpus]
# The ring in userspace (tools/testing/vring): compiled with gcc and clang under
# the address and undefined-behaviour sanitizers, driven by a model device.
#
# without a word	unit tests; KTAP in build/$BASE/unit/*.ktap; what they cover of the
#		ring, see scripts/coverage.py; and the table of attacks on our ring, on the
#		base's and on that with series/$BASE-fixes if there is one, see scripts/attacks.py
# valgrind	under memcheck, of the variants of each test every 11th, or every EVERY-th
# fuzz		libFuzzer for FUZZ_S seconds, 60 by default
# corpus	what the fuzzer has found, minimised, as the corpus that it begins with:
#		tools/testing/vring/corpus.txt
#
# KTREE=/path/to/linux names the tree whose virtio headers are used if not
# build/$BASE/linux, which is laid out when it is missing, STOCK=/path/to/base the
# one whose ring is attacked beside ours if not build/$BASE/stock.  JOBS is the
# number of processes; COMPILERS is a list; with WORD only the tests with that in
# their names run.  With one of the last two there is no coverage.
set -eu

cd "$(dirname "$0")/.."
top=$PWD
build=$top/build/${BASE:-6.12}
own=series/${BASE:-6.12}/files
out=$build/unit
jobs=${JOBS:-$(nproc)}
src=tools/testing/vring

die() { echo "unit: $*" >&2; exit 1; }

# Flags of a make above us are not for ours.
unset MAKEFLAGS MFLAGS
case $#:${1-} in
0:)			verb=unit needs=${COMPILERS:-gcc clang} ;;
1:valgrind)		verb=unit needs='gcc valgrind' ;;
1:fuzz | 1:corpus)	verb=fuzz needs='clang llvm-cov' ;;
*)			sed -n '3s/^# //p' "$0" >&2; exit 2 ;;
esac
[ "$#${WORD-}${COMPILERS-}" != 0 ] || needs="$needs llvm-cov"
scripts/args.sh $verb
for program in $needs; do
	command -v "$program" >/dev/null ||
		die "no $program on this machine; run: scripts/deps.sh unit, or valgrind"
done

# What is not there is laid out.
[ "${KTREE-}" ] || [ -d "$build/linux" ] || scripts/tree.py tree >&2 ||
	die "make tree failed, see above; or set KTREE"
[ "$verb" = fuzz ] || [ "${STOCK-}" ] || [ -d "$build/stock" ] || scripts/tree.py stock >&2 ||
	die "no base, see above; or set STOCK"
KTREE=${KTREE:-$build/linux} STOCK=${STOCK:-$build/stock}
FIXED=
mkdir -p "$out"

# The base's ring with the fixes, where there are any.
if [ "$verb" != fuzz ] && [ -d "series/${BASE:-6.12}-fixes" ]; then
	FIXED=$out/fixed
	mkdir -p "$FIXED/drivers/virtio"
	cp "$STOCK/drivers/virtio/virtio_ring.c" "$FIXED/drivers/virtio"
	cat "series/${BASE:-6.12}-fixes"/*/hunks.patch | (
		cd "$FIXED"
		GIT_CEILING_DIRECTORIES=$out git apply --include=drivers/virtio/virtio_ring.c -
	) || die "series/${BASE:-6.12}-fixes does not apply to $STOCK"
fi
export STOCK FIXED

# Kernels are built from the other tree.
if [ "$KTREE" = "$build/linux" ]; then
	differ=$({ diff -rq -x 'map.[ch]' drivers/virtio/ring "$KTREE/drivers/virtio/ring"
		[ ! -d "$own" ] || diff -rq "$own" "$KTREE" | grep -v "^Only in $KTREE"; } 2>&1 |
		sed -E "s/^Only in ([^:]*): /\\1\\//; s/^Files ([^ ]*) and .*/\\1/; s|$KTREE/||" |
		paste -s -d ' ')
	[ -z "$differ" ] || echo "unit: build/${BASE:-6.12}/linux, from which kernels are built," \
		"has other files than are tested here: $differ (make tree or make refresh)"
fi

# build NAME COMPILER TARGET [VARIABLE=VALUE...]: one line if it fails, the rest is
# in the log; the results are in the folder NAME.
build() {
	name=$1 cc=$2
	shift 2
	if ! make -C "$src" -j"$jobs" CC="$cc" KTREE="$KTREE" OWN="$top/$own" O="$out/$name" "$@" \
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

# run NAME COMMAND...: exit status of the tests, KTAP and stderr in files.  WORD
# may be in no name of one of the programs.
run() {
	result=$1
	shift
	"$@" ${WORD:+"$WORD"} >"$out/$result.ktap" 2>"$out/$result.stderr" && return
	grep -q '^1\.\.0$' "$out/$result.ktap" || return
	: >"$out/$result.stderr"
}

# The results that a name stands for.
results_of() {
	case $1 in
	covered | valgrind) echo "$1" ;;
	*) echo "$1 $1-attacks" ;;
	esac
}

run_unit() {
	for result in $(results_of "$1"); do
		rm -f "$out/$result.ktap"
	done
	case $1 in
	covered)
		rm -rf "$out/covered.profile"
		build_covered all || return
		LLVM_PROFILE_FILE=$out/covered.profile/%m.profraw run covered "$out/covered/unit"
		;;
	valgrind)
		build valgrind gcc all SANITIZE= CFLAGS="-O1 -g -DTIMEOUT=2000 -DMEMCHECK" ||
			return
		run valgrind valgrind -q --error-exitcode=9 --leak-check=full \
			--errors-for-leak-kinds=definite "$out/valgrind/unit" -e "${EVERY:-11}"
		;;
	*)
		build "$1" "$1" all attacks || return
		status=0
		run "$1" "$out/$1/unit" || status=1
		run "$1-attacks" "$out/$1/attacks" || status=1
		return "$status"
		;;
	esac
}

count() {
	grep -c "^$1" "$2" || :
}

# wait_for PIDS: sets "bad" if one of them failed.
wait_for() {
	for pid in $1; do
		wait "$pid" || bad=1
	done
}

# failures KTAP: results that are not ok, each after all that explains it.
failures() {
	awk '
		/^KTAP|^1\.\.|^# *$/ { next }
		/^not ok / { printf "%s%s\n", said, $0 }
		/^(not )?ok / { said = ""; next }
		{ said = said (/^#/ ? "" : "# ") $0 "\n" }' "$1"
}

# unit NAME...: compilers; covered; valgrind.
unit() {
	echo "unit: the ring in userspace, $*"

	# One after the other within each of them, they side by side.
	pids=
	for name; do
		run_unit "$name" &
		pids="$pids $!"
	done
	bad=0
	wait_for "$pids"

	results=
	for name; do
		results="$results $(results_of "$name")"
	done
	pass=0
	fail=0
	printf '%-14s %8s %8s\n' "" passed failed
	for name in $results; do
		ktap=$out/$name.ktap
		if ! [ -f "$ktap" ]; then
			printf '%-14s %8s %8s\n' "$name" - "no build"
			fail=$((fail + 1))
			continue
		fi
		p=$(count 'ok ' "$ktap")
		f=$(count 'not ok ' "$ktap")
		plan=$(sed -n 's/^1\.\.//p' "$ktap")
		[ "$plan" != 0 ] || [ -z "${WORD-}" ] || continue
		# A run that stopped early has failed whatever it reported.
		[ "$((p + f))" = "${plan:-0}" ] && [ "$plan" != 0 ] || f=$((f + 1))
		printf '%-14s %8d %8d\n' "$name" "$p" "$f"
		pass=$((pass + p))
		fail=$((fail + f))
	done
	[ "$((pass + fail))" != 0 ] || die "no test has \"$WORD\" in its name"
	for name in $results; do
		[ -f "$out/$name.ktap" ] || continue
		failures "$out/$name.ktap" | sed "s|^|$name: |; s|$top/||g"
		if [ -s "$out/$name.stderr" ]; then
			echo "$name: what the checkers said is in $out/$name.stderr"
		fi
		[ "$name" != covered ] || coverage
	done
	# One table will do: the compilers agree on what hurts.
	attacks=$out/$1-attacks.ktap
	if [ "$1" != valgrind ] && [ -s "$attacks" ] && ! grep -q '^1\.\.0$' "$attacks"; then
		scripts/attacks.py "$attacks" || bad=1
	fi
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

# What the fuzzer begins with, and what was found in earlier runs.
prepare_corpus() {
	mkdir -p "$out/corpus" "$out/crashes"
	build fuzzer clang fuzz || return 1
	VRING_SEEDS=$out/corpus "$out/fuzzer/fuzz" <"$src/corpus.txt" ||
		die "cannot unpack $src/corpus.txt"
}

fuzz() {
	seconds=${FUZZ_S:-60}
	prepare_corpus
	build_covered fuzz
	echo "unit: fuzzing for $seconds s, $jobs at once, logs in $out/fuzz-*.log"

	# Every job explores on its own and leaves its finds in the corpus.
	pids=
	rm -f "$out"/fuzz-*.log
	i=0
	while [ "$i" -lt "$jobs" ]; do
		run_fuzzer "$out/corpus" -max_total_time="$seconds" >"$out/fuzz-$i.log" 2>&1 &
		pids="$pids $!"
		i=$((i + 1))
	done
	bad=0
	wait_for "$pids"
	cat "$out"/fuzz-*.log >"$out/fuzz.log"
	runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$out/fuzz.log" |
		awk '{ n += $1 } END { print n + 0 }')
	if [ "$bad" != 0 ]; then
		grep -E -m 5 '^SUMMARY|^/.*\[.*\]$|runtime error|ERROR' "$out/fuzz.log" |
			sed "s|$top/||g" >&2 || :
		echo "unit: the input is in $out/crashes; again with: $out/fuzzer/fuzz FILE" >&2
		echo "0 passed, 1 failed, 0 skipped"
		return 1
	fi
	[ "$runs" -gt 0 ] || die "the fuzzer ran nothing, see $out/fuzz.log"

	rm -rf "$out/fuzz.profile"
	LLVM_PROFILE_FILE=$out/fuzz.profile/%m.profraw "$out/covered/fuzz" "$out/corpus" \
		-runs=0 >>"$out/fuzz.log" 2>&1 || die "the corpus does not run, see $out/fuzz.log"
	scripts/coverage.py "$out/covered/fuzz" "$out/fuzz.profile" fuzz-coverage
	echo "unit: $runs inputs, nothing found"
	echo "1 passed, 0 failed, 0 skipped"
}

# Memory that was freed is not needed for long; leaks the model itself counts.
run_fuzzer() {
	ASAN_OPTIONS=quarantine_size_mb=1:thread_local_quarantine_size_kb=64:malloc_context_size=8 \
		"$out/fuzzer/fuzz" "$@" -max_len=256 -timeout=60 -rss_limit_mb=2048 \
		-detect_leaks=0 -entropic=0 -print_final_stats=1 -artifact_prefix="$out/crashes/"
}

# As few inputs as reach all that the corpus of earlier runs does.
corpus() {
	prepare_corpus
	rm -rf "$out/merged"
	mkdir "$out/merged"
	run_fuzzer -merge=1 -use_counters=0 "$out/merged" "$out/corpus" >"$out/merge.log" 2>&1 ||
		die "cannot merge the corpus, see $out/merge.log"
	for f in "$out"/merged/*; do
		od -An -v -tx1 "$f" | tr -d ' \n'
		echo
	done >"$out/corpus.txt"
	mv "$out/corpus.txt" "$src/corpus.txt"
	echo "unit: $src/corpus.txt has $(wc -l <"$src/corpus.txt") inputs," \
		"$(wc -c <"$src/corpus.txt") bytes"
}

# Coverage of some of the tests says nothing.
case $#${WORD-}${COMPILERS-} in
0)	unit gcc clang covered ;;
0*)	# shellcheck disable=SC2086	# a list of words
	unit ${COMPILERS:-gcc clang} ;;
*)	case $1 in valgrind) unit valgrind ;; *) "$1" ;; esac ;;
esac
