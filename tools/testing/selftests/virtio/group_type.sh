#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# An administrator writes to the type of a device's IOMMU group.  No policy may
# overrule this.  dma_access changes with the type, and data is not affected.

DIR=$(dirname "$0")
. "$DIR/vtest_lib.sh"
IO=$DIR/vt_io

REGION=$((48 * 1024 * 1024))
LENGTH=$((256 * 1024))
PCI=/sys/bus/pci/drivers/virtio-pci

disk_path()
{
	"$IO" disks | sed -n "s/^$1 \([^ ]*\) .*/\1/p"
}

disk_virtio()
{
	"$IO" disks | sed -n "s/^$1 [^ ]* //p"
}

disk_is_there()
{
	[ -n "$(disk_path "$1")" ]
}

# The first disk whose PCI function is alone in an IOMMU group, with
# ACCESS_PLATFORM $1.
choose()
{
	"$IO" disks | while read -r _serial _path _virtio; do
		_group=$(vt_group "$_virtio")
		[ -n "$_group" ] || continue
		[ "$(find "$VT_GROUPS/$_group/devices/" -type l | wc -l)" = 1 ] ||
			continue
		_platform=no
		vt_feature "$_virtio" 33 && _platform=yes
		[ "$_platform" = "$1" ] || continue
		echo "$_serial"
		break
	done
}

# expected TYPE PLATFORM: dma_access that goes with a type.
expected()
{
	if [ "$2" = no ]; then
		echo physical
		return
	fi
	case $1 in
	identity) echo identity ;;
	DMA) echo translated-strict ;;
	DMA-FQ) echo translated-lazy ;;
	esac
}

# change SERIAL TYPE PLATFORM: sets $reason.
change()
{
	_virtio=$(disk_virtio "$1")
	_pci=$(vt_parent "$_virtio")
	_group=$(vt_group "$_virtio")

	echo "$_pci" >"$PCI/unbind"
	if echo "$2" >"$VT_GROUPS/$_group/type"; then
		_type=$(vt_read "$VT_GROUPS/$_group/type")
		[ "$2" = auto ] || [ "$_type" = "$2" ] ||
			reason="type is $_type after writing $2"
	else
		_type=
		reason="$2 cannot be written"
	fi
	echo "$_pci" >"$PCI/bind"
	if ! vt_wait 30 disk_is_there "$1"; then
		reason="disk does not come back"
		return
	fi
	[ -z "$reason" ] || return
	_found=$(vt_read "$VT_GROUPS/$_group/type")
	[ "$_found" = "$_type" ] ||
		reason="type became $_found when the driver was bound"
	_access=$(vt_read "$VT_BUS/$(disk_virtio "$1")/dma_access")
	[ "$_access" = "$(expected "$_type" "$3")" ] ||
		reason="type $_type: dma_access is ${_access:-missing}"
}

# Contents written before are read after, and new ones can be written.
data()
{
	_path=$(disk_path "$1")
	[ -n "$reason" ] || reason=$("$IO" verify "$_path" "$REGION" "$LENGTH" "$2")
	[ -n "$reason" ] ||
		reason=$("$IO" write "$_path" "$REGION" "$LENGTH" $(($2 + 1)))
}

test_type()
{
	name="type $3 is honoured (ACCESS_PLATFORM $2)"
	reason=
	change "$1" "$3" "$2"
	data "$1" "$seed"
	seed=$((seed + 1))
	vt_result "$name" "$reason"
}

# With a driver bound there may be mappings: only DMA to DMA-FQ is possible.
test_busy()
{
	name="the type of a group in use does not change (ACCESS_PLATFORM $2)"
	reason=
	_virtio=$(disk_virtio "$1")
	_file=$VT_GROUPS/$(vt_group "$_virtio")/type
	_before=$(vt_read "$_file")
	_other=identity
	[ "$_before" = identity ] && _other=DMA
	if echo "$_other" >"$_file" 2>/dev/null; then
		reason="$_other was accepted"
	elif [ "$(vt_read "$_file")" != "$_before" ]; then
		reason="it became $(vt_read "$_file")"
	fi
	data "$1" "$seed"
	seed=$((seed + 1))
	vt_result "$name" "$reason"
}

# "auto" is the policy's: what the device had when the guest came up.
test_auto()
{
	name="auto gives back the default (ACCESS_PLATFORM $2)"
	reason=
	change "$1" auto "$2"
	_type=$(vt_read "$VT_GROUPS/$(vt_group "$(disk_virtio "$1")")/type")
	[ -n "$reason" ] || [ "$_type" = "$3" ] ||
		reason="type is $_type, it was $3 after the boot"
	data "$1" "$seed"
	seed=$((seed + 1))
	vt_result "$name" "$reason"
}

test_disk()
{
	_virtio=$(disk_virtio "$1")
	default=$(vt_read "$VT_GROUPS/$(vt_group "$_virtio")/type")
	seed=480
	reason=$("$IO" write "$(disk_path "$1")" "$REGION" "$LENGTH" "$seed")
	[ -z "$reason" ] || ktap_print_msg "$reason"
	test_type "$1" "$2" DMA
	test_busy "$1" "$2"
	test_type "$1" "$2" identity
	test_type "$1" "$2" DMA-FQ
	test_type "$1" "$2" identity
	test_auto "$1" "$2" "$default"
	"$IO" hostcheck "$1" "$REGION" "$LENGTH" "$seed"
}

platform=$(choose yes)
physical=$(choose no)
tests=0
[ -z "$platform" ] || tests=$((tests + 6))
[ -z "$physical" ] || tests=$((tests + 6))
[ "$tests" -gt 0 ] ||
	vt_skip_all "no disk whose serial begins with vt is alone in an IOMMU group"

ktap_print_header
ktap_set_plan $((tests + 1))
vt_mark
[ -z "$platform" ] || test_disk "$platform" yes
[ -z "$physical" ] || test_disk "$physical" no
vt_result "the kernel did not complain" "$(vt_splats)"
ktap_finished
