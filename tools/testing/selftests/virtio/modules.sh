#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The whole stack as modules is loaded, used and unloaded, many times.

DIR=$(dirname "$0")
. "$DIR/vtest_lib.sh"
IO=$DIR/vt_io

REGION=$((60 * 1024 * 1024))
LENGTH=$((128 * 1024))

# Drivers first, the ring last; what is built in or not there is left out.
STACK="virtio_blk virtio_net virtio_scsi virtio_console virtio_rng virtio_balloon
virtio_input 9p 9pnet_virtio virtio_pci virtio_mmio virtio_vdpa virtio_pci_legacy_dev
virtio_pci_modern_dev virtio virtio_ring"

loaded()
{
	grep -q "^$1 " /proc/modules
}

[ -r /proc/modules ] || vt_skip_all "CONFIG_MODULES is not set"
for module in virtio_ring virtio_blk; do
	loaded "$module" || vt_skip_all "$module is built in"
done

# In the order of unloading, and in that of loading.
used=
loading=
for module in $STACK; do
	loaded "$module" || continue
	used="$used $module"
	loading="$module $loading"
done

unload()
{
	for _module in "$@"; do
		# Another may have taken it along.
		loaded "$_module" || continue
		rmmod "$_module" || {
			reason="$_module cannot be unloaded: $(grep "^$_module " /proc/modules)"
			return
		}
	done
}

# The next modprobe would wait for the scan of 256 SCSI targets, which takes half a
# minute with an emulated CPU: virtio_scsi comes back in the last cycle only.
load()
{
	for _module in "$@"; do
		[ "$_module" != virtio_scsi ] ||
			[ "$cycle" -eq $((cycles - 1)) ] || continue
		modprobe "$_module" || reason="$_module cannot be loaded"
	done
}

disk_there()
{
	"$IO" disks | grep -q "^$serial "
}

"$IO" disks >/tmp/vt.disks
serial=$(sed -n 's/^\(vt[^ ]*\) \/dev\/vd.*/\1/p' /tmp/vt.disks | head -n 1)
devices=$(vt_devices | wc -l)
ktap_print_header
ktap_set_plan 3
vt_mark

cycles=$(vt_scale 10)
reason=
seed=600
cycle=0
while [ -z "$reason" ] && [ "$cycle" -lt "$cycles" ]; do
	if [ -n "$serial" ]; then
		path=$("$IO" disks | sed -n "s/^$serial \([^ ]*\) .*/\1/p")
		[ "$cycle" = 0 ] ||
			reason=$("$IO" verify "$path" "$REGION" "$LENGTH" "$seed")
		seed=$((seed + 1))
		[ -n "$reason" ] ||
			reason=$("$IO" write "$path" "$REGION" "$LENGTH" "$seed")
	fi
	# shellcheck disable=SC2086 # words
	[ -n "$reason" ] || unload $used
	[ -n "$reason" ] || [ ! -e /sys/bus/virtio ] ||
		reason="the virtio bus is still there"
	# shellcheck disable=SC2086 # words
	load $loading
	[ -z "$serial" ] || vt_wait 60 disk_there ||
		reason=${reason:-"disk does not come back"}
	cycle=$((cycle + 1))
done
vt_result "all of virtio is unloaded and loaded $cycles times" "$reason"

reason=
if [ -n "$serial" ]; then
	path=$("$IO" disks | sed -n "s/^$serial \([^ ]*\) .*/\1/p")
	reason=$("$IO" verify "$path" "$REGION" "$LENGTH" "$seed")
	[ -n "$reason" ] ||
		"$IO" hostcheck "$serial" "$REGION" "$LENGTH" "$seed"
fi
devices_there()
{
	[ "$(vt_devices | wc -l)" = "$devices" ]
}

vt_wait 30 devices_there ||
	reason=${reason:-"there were $devices virtio devices, now $(vt_devices | wc -l)"}
vt_result "disks and devices are what they were" "$reason"
vt_result "the kernel did not complain" "$(vt_splats)"
rm -f /tmp/vt.disks
ktap_finished
