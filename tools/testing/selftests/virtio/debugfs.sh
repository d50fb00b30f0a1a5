#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The counters of every virtqueue in /sys/kernel/debug/virtio/virtioN/virtqueues:
# their format, that they only grow, and that they count what was done.

DIR=$(dirname "$0")
. "$DIR/vtest_lib.sh"
IO=$DIR/vt_io

DEBUG=/sys/kernel/debug/virtio
HEADER="index name layout size in_use requests descriptors mappings"
HEADER="$HEADER bounced_bytes indirect_tables notifications cell_bytes"
REGION=$((56 * 1024 * 1024))

vt_config CONFIG_VIRTIO_DEBUG || vt_skip_all "CONFIG_VIRTIO_DEBUG is not set"
[ -d /sys/kernel/debug/virtio ] ||
	[ -z "$(ls /sys/kernel/debug)" ] ||
	ktap_print_msg "no /sys/kernel/debug/virtio"
[ -n "$(ls /sys/kernel/debug)" ] || vt_skip_all "debugfs is not mounted"

# What is wrong with the table on standard input, if anything.
bad_table()
{
	awk -v header="$HEADER" -v layout="$1" '
	NR == 1 {
		if ($0 != header)
			print "header is \"" $0 "\""
		next
	}
	NF != 12 { print "line \"" $0 "\" has " NF " fields"; next }
	$1 != NR - 2 { print "queue " NR - 2 " is called " $1 }
	$3 != layout { print "layout of queue " $1 " is " $3 }
	$4 !~ /^[0-9]+$/ || $4 < 1 || $4 > 32768 {
		print "size of queue " $1 " is " $4
	}
	{
		for (i = 5; i <= 12; i++)
			if ($i !~ /^[0-9]+$/)
				print "field " i " of queue " $1 " is " $i
		if ($5 + 0 > $4 + 0)
			print $5 " of " $4 " entries of queue " $1 " are in use"
	}
	END {
		if (NR < 2)
			print "no queue"
	}' | head -n 1
}

test_format()
{
	reason=
	for _dev in $(vt_devices); do
		[ -n "$(vt_driver "$_dev")" ] || continue
		_layout="split"
		vt_feature "$_dev" 34 && _layout="packed"
		if [ ! -r "$DEBUG/$_dev/virtqueues" ]; then
			reason="$_dev has no virtqueues"
		else
			reason=$(bad_table "$_layout" <"$DEBUG/$_dev/virtqueues")
			reason=${reason:+$_dev: $reason}
		fi
		[ -z "$reason" ] || break
	done
	vt_result "every bound device has a well-formed table" "$reason"
}

# total DEVICE COLUMN: its sum over all queues.
total()
{
	awk -v column="$2" 'NR > 1 { sum += $column }
			    END { printf "%d\n", sum }' \
		"$DEBUG/$1/virtqueues"
}

idle()
{
	[ "$(total "$1" 5)" = 0 ]
}

# grown BEFORE AFTER: the first counter that is smaller in AFTER than in BEFORE.
shrunk()
{
	awk 'FNR == 1 { next }
	     FNR == NR {
		for (i = 6; i <= 11; i++)
			before[FNR, i] = $i
		next
	     }
	     {
		for (i = 6; i <= 11; i++)
			if ($i + 0 < before[FNR, i] + 0)
				print "field " i " of queue " $1 " fell from " \
				      before[FNR, i] " to " $i
	     }' "$1" "$2" | head -n 1
}

# Direct requests of 4 KiB: a disk makes at least one request of each, and each
# takes a header, data and a status.
count_requests()
{
	_count=$(vt_scale 64)
	cp "$DEBUG/$2/virtqueues" /tmp/vt.before
	_before=$(total "$2" 6)
	_descriptors=$(total "$2" 7)
	_notifications=$(total "$2" 11)
	dd if="$1" of=/dev/null bs=4096 count="$_count" iflag=direct \
		skip=$((REGION / 4096)) 2>/dev/null || {
		echo "$1 cannot be read"
		return
	}
	cp "$DEBUG/$2/virtqueues" /tmp/vt.after
	_requests=$(($(total "$2" 6) - _before))
	_descriptors=$(($(total "$2" 7) - _descriptors))
	_notifications=$(($(total "$2" 11) - _notifications))
	if [ "$_requests" -lt "$_count" ]; then
		echo "$_count reads made $_requests requests"
	elif [ "$_requests" -gt $((_count + 64)) ]; then
		echo "$_count reads made as many as $_requests requests"
	elif [ "$_descriptors" -lt $((3 * _count)) ]; then
		echo "$_requests requests took $_descriptors descriptors"
	elif [ "$_notifications" -lt 1 ]; then
		echo "$_requests requests made no notification"
	elif [ "$_notifications" -gt "$_requests" ]; then
		echo "$_requests requests made $_notifications notifications"
	else
		shrunk /tmp/vt.before /tmp/vt.after
	fi
}

each_disk()
{
	reason=
	while read -r _serial _path _virtio; do
		case $_path in
		/dev/vd*) ;;
		*) continue ;;
		esac
		_said=$("$1" "$_path" "$_virtio")
		reason=${reason:-${_said:+$_serial: $_said}}
	done </tmp/vt.disks
}

test_requests()
{
	each_disk count_requests
	vt_result "counters of a disk grow with the requests that it gets" \
		"$reason"
}

becomes_idle()
{
	vt_wait 10 idle "$2" || echo "$(total "$2" 5) entries stay in use"
}

test_idle()
{
	each_disk becomes_idle
	vt_result "no entry of an idle disk is in use" "$reason"
}

# dma_access physical, direct and identity map nothing for indirect tables and
# bounce nothing; with translation, or for a bounced device, the opposite holds.
indirect()
{
	_tables=$(total "$2" 10)
	dd if="$1" of=/dev/null bs=4096 count=8 iflag=direct \
		skip=$((REGION / 4096)) 2>/dev/null
	_tables=$(($(total "$2" 10) - _tables))
	if vt_feature "$2" 28; then
		[ "$_tables" -ge 8 ] ||
			echo "8 requests used $_tables indirect tables"
	else
		[ "$_tables" -eq 0 ] ||
			echo "$_tables indirect tables without the feature"
	fi
}

test_indirect()
{
	each_disk indirect
	vt_result "indirect tables are counted if they were negotiated" "$reason"
}

# Counters belong to the queue: a new one begins at nothing.
rebind()
{
	_driver=$(vt_driver "$2")
	echo "$2" >"/sys/bus/virtio/drivers/$_driver/unbind"
	[ ! -s "$DEBUG/$2/virtqueues" ] ||
		[ "$(wc -l <"$DEBUG/$2/virtqueues")" -le 1 ] ||
		echo "queues are listed while no driver is bound"
	echo "$2" >"/sys/bus/virtio/drivers/$_driver/bind"
	vt_wait 10 test -e "$1" || echo "does not come back"
	_layout="split"
	vt_feature "$2" 34 && _layout="packed"
	bad_table "$_layout" <"$DEBUG/$2/virtqueues"
}

test_rebind()
{
	each_disk rebind
	vt_result "tables go with the driver and come back with it" "$reason"
}

# Reading while the queues work must disturb neither.
test_concurrent()
{
	reason=
	read -r _serial _path _virtio </tmp/vt.disks
	"$IO" write "$_path" "$REGION" $((1024 * 1024)) 56 >/tmp/vt.said &
	_pid=$!
	_left=50
	while [ -z "$reason" ] && [ "$_left" -gt 0 ]; do
		_left=$((_left - 1))
		cat "$DEBUG"/virtio*/virtqueues >/dev/null ||
			reason="cannot be read"
	done
	wait "$_pid" || reason=$(cat /tmp/vt.said)
	[ -n "$reason" ] ||
		reason=$("$IO" verify "$_path" "$REGION" $((1024 * 1024)) 56)
	vt_result "tables can be read while the queues work" "$reason"
}

"$IO" disks | grep '/dev/vd' >/tmp/vt.disks

ktap_print_header
if [ -s /tmp/vt.disks ]; then
	ktap_set_plan 7
else
	ktap_set_plan 2
	ktap_print_msg "no virtio-blk disk whose serial begins with vt"
fi
vt_mark
test_format
if [ -s /tmp/vt.disks ]; then
	test_requests
	test_idle
	test_indirect
	test_concurrent
	test_rebind
fi
vt_result "the kernel did not complain" "$(vt_splats)"
rm -f /tmp/vt.disks /tmp/vt.before /tmp/vt.after /tmp/vt.said
ktap_finished
