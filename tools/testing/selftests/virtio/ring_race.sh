#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What virtio_ring promises to concurrent callers.  Runs the KUnit tests of
# vring_race.ko (tools/testing/vring/race) and reads the counters of its queues at
# the same time.  On a kernel with KCSAN, also checks that KCSAN was enabled.

DIR=$(dirname "$0")
. "$DIR/vtest_lib.sh"

MODULE=$DIR/vring_race.ko
RESULTS=/sys/kernel/debug/kunit/vring_race/results
TABLE=/sys/kernel/debug/vring_race/virtqueues
KCSAN=/sys/kernel/debug/kcsan

vt_config CONFIG_KUNIT || vt_skip_all "CONFIG_KUNIT is not set"
[ -e "$MODULE" ] || vt_skip_all "vring_race.ko was not built for this kernel"

# Reads the table for as long as the process runs.  In the shell itself: to start
# a program takes longer than many a queue lives.
read_counters()
{
	reason=
	reads=0
	while kill -0 "$1" 2>/dev/null; do
		[ -r "$TABLE" ] || continue
		_rest=
		# The queue may have gone between one line and the other.
		{
			read -r _header
			read -r _index _name _layout _size _used _rest
		} 2>/dev/null <"$TABLE"
		[ -n "$_rest" ] || continue
		reads=$((reads + 1))
		case $_size in
		8 | 16) ;;
		*) reason=${reason:-"a queue has $_size entries"} ;;
		esac
		[ "$_used" -le "$_size" ] ||
			reason=${reason:-"$_used of $_size entries are in use"}
	done
	[ "$reads" -gt 10 ] || reason=${reason:-"$reads reads"}
}

watchpoints()
{
	sed -n 's/^setup_watchpoints: //p' "$KCSAN"
}

ktap_print_header
if [ -e "$KCSAN" ]; then
	ktap_set_plan 4
	before=$(watchpoints)
else
	ktap_set_plan 3
fi
vt_mark
insmod "$MODULE" seconds="$(vt_scale 2)" &
pid=$!
read_counters "$pid"
counters=$reason
if wait "$pid" && [ -r "$RESULTS" ]; then
	sed 's/^/  /' "$RESULTS"
	reason=
	grep -q '^ok 1 vring_race' "$RESULTS" || reason="not all of it passed"
else
	reason="vring_race.ko cannot be loaded"
fi
vt_result "calls race as the ring allows it" "$reason"
vt_result "counters can be read meanwhile" "$counters"
if [ -e "$KCSAN" ]; then
	reason=
	watched=$(($(watchpoints) - before))
	grep -q '^enabled: 1' "$KCSAN" || reason="it is off"
	[ "$watched" -gt 1000 ] ||
		reason=${reason:-"it watched $watched accesses"}
	vt_result "KCSAN was looking" "$reason"
fi
rmmod vring_race
vt_result "the kernel did not complain" "$(vt_splats)"
ktap_finished
