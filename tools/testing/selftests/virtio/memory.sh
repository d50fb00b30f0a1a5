#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The memory that virtio_ring keeps mapped for a device is limited.  A network card
# whose link comes up stays below the limit, however many buffers it posts.  The
# test also prints how much memory the guest has left, for comparison with another
# kernel.

DIR=$(dirname "$0")
. "$DIR/vtest_lib.sh"

MAX=/sys/module/virtio_ring/parameters/cell_max
DEBUGFS=/sys/kernel/debug
TABLE=virtqueues

# up: the links of all network cards come up, and their queues are filled.
up()
{
	for _path in /sys/class/net/*; do
		[ -e "$_path/device" ] || continue
		ip link set "${_path##*/}" up || return 1
	done
}

available()
{
	sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo
}

for _dev in $(vt_devices); do
	for _path in "$DEBUGFS"/*/"$_dev"; do
		[ -e "$_path/$TABLE" ] && DEBUGFS=${_path%/*}
	done
done

ktap_print_header
nics=$(vt_of_driver virtio_net)
[ -n "$nics" ] || { ktap_skip_all "no network card"; exit "$KSFT_SKIP"; }
ktap_print_msg "$(available) KiB available before the links are up"
up || { ktap_skip_all "a link cannot be set up"; exit "$KSFT_SKIP"; }
sleep 1
ktap_print_msg "$(available) KiB available with the links up"
[ -r "$MAX" ] || { ktap_skip_all "virtio_ring has no parameter cell_max"; exit "$KSFT_SKIP"; }
[ -d "$DEBUGFS" ] || { ktap_skip_all "CONFIG_VIRTIO_DEBUG is not set"; exit "$KSFT_SKIP"; }

read -r max <"$MAX"
ktap_set_plan 3
vt_mark
reason=
translated=0
for dev in $(vt_devices); do
	[ -e "$DEBUGFS/$dev/$TABLE" ] || continue
	kib=$(vt_cell_kib "$DEBUGFS/$dev/$TABLE")
	case $(vt_read "$VT_BUS/$dev/dma_access") in
	translated*) [ "$kib" -gt 0 ] && translated=$((translated + 1)) ;;
	esac
	ktap_print_msg "$dev ($(vt_type "$dev")): $kib KiB of cells"
	[ "$kib" -le "$max" ] ||
		reason=${reason:-"$dev has $kib KiB of cells, more than $max"}
done
vt_result "the cells of each device are within virtio_ring.cell_max" "$reason"
if [ "$translated" -gt 0 ]; then
	ktap_test_pass "a translated device has cells"
else
	vt_skip "a translated device has cells" "no device is translated"
fi
vt_result "the kernel did not complain" "$(vt_splats)"
ktap_finished
