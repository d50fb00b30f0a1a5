#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# A guest that is short of memory swaps to a virtio disk.  Its driver then works on
# behalf of memory reclaim.  All data comes back.  The cells that virtio_ring keeps
# for the disk stay below their limit.  The test also prints the least free memory,
# for comparison with another kernel.

DIR=$(dirname "$0")
. "$DIR/vtest_lib.sh"

MAX=/sys/module/virtio_ring/parameters/cell_max
PART=8				# MiB of one file
WORK=/tmp/vtest-swap

# swapped: MiB that are on disks now.
swapped()
{
	awk 'NR > 1 { sum += $4 } END { print int(sum / 1024) }' /proc/swaps
}

# part N: what the file of that number holds.
part()
{
	echo "part $1"
	cat $WORK/random
}

# watch_free: the least memory that was free, in KiB, until $WORK/stop is there.
watch_free()
{
	least=
	while [ ! -e $WORK/stop ]; do
		while read -r name value _; do
			[ "$name" = MemFree: ] || continue
			[ "${least:-$value}" -lt "$value" ] || least=$value
			break
		done </proc/meminfo
		sleep 0.05
	done
	echo "${least:-0}" >$WORK/least
}

[ -e /proc/swaps ] || vt_skip_all "CONFIG_SWAP is not set"
disk=
for dev in $(vt_of_driver virtio_blk); do
	for path in "$VT_BUS/$dev"/block/*; do
		[ "$(vt_read "$path/serial")" = vtswap0 ] && disk=${path##*/} && break 2
	done
done
[ -n "$disk" ] || vt_skip_all "no virtio disk with the serial number vtswap0"

TABLE=/sys/kernel/debug/virtio/$dev/virtqueues

ktap_print_header
ktap_set_plan 4
vt_mark
trap 'umount $WORK; swapoff -a' EXIT
mkdir -p $WORK
mount -t tmpfs -o size=2g none $WORK
mkswap "/dev/$disk" >/dev/null
swapon "/dev/$disk"

# Half as much again as there is.
available=$(awk '$1 == "MemAvailable:" { print int($2 / 1024) }' /proc/meminfo)
parts=$((3 * available / 2 / PART))
ktap_print_msg "$available MiB available, $((parts * PART)) MiB to be kept"
dd if=/dev/urandom of=$WORK/random bs=64k count=$((PART * 16)) 2>/dev/null
watch_free &
watcher=$!
reason=
for number in $(seq "$parts"); do
	part "$number" >"$WORK/$number" || reason=${reason:-"part $number cannot be written"}
done
out=$(swapped)
kib=
[ ! -e "$TABLE" ] || kib=$(vt_cell_kib "$TABLE")
for number in $(seq "$parts"); do
	part "$number" | cmp -s - "$WORK/$number" || reason=${reason:-"part $number differs"}
done
: >$WORK/stop
wait $watcher
ktap_print_msg "at least $(cat $WORK/least) KiB were free, $out MiB on the disk"
vt_result "what was swapped out comes back as it was" "$reason"

reason=
[ "$out" -ge $((available / 4)) ] || reason="$out MiB on $disk"
vt_result "memory was swapped to the disk" "$reason"

if [ -z "$kib" ] || [ ! -r "$MAX" ]; then
	vt_skip "the cells of the disk are within virtio_ring.cell_max" "this kernel does not tell"
else
	ktap_print_msg "$(vt_read "$VT_BUS/$dev/dma_access"): $kib KiB of cells"
	reason=
	[ "$kib" -le "$(vt_read "$MAX")" ] || reason="$kib KiB"
	vt_result "the cells of the disk are within virtio_ring.cell_max" "$reason"
fi
vt_result "the kernel did not complain" "$(vt_splats)"
ktap_finished
