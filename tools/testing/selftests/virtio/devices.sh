#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The devices that are neither disk nor NIC do their work: 9p, console, rng, input
# and balloon.

DIR=$(dirname "$0")
. "$DIR/vtest_lib.sh"
IO=$DIR/vt_io

# Contents that came back wrong stay in $reason; empty means that all was well.
reason=

share()
{
	mount -t 9p -o trans=virtio,version=9p2000.L,msize=131072 "$1" /tmp/vt9p ||
		return 1
	_bytes=$(($(vt_scale 1024) * 1024))
	reason=$("$IO" write /tmp/vt9p/data 0 "$_bytes" 9)
	# What was cached is not what is to be read.
	umount /tmp/vt9p
	[ -z "$reason" ] || return 0
	mount -t 9p -o trans=virtio,version=9p2000.L,msize=131072 "$1" /tmp/vt9p ||
		return 1
	reason=$("$IO" verify /tmp/vt9p/data 0 "$_bytes" 9)
	# Many files: requests and answers of very different sizes.
	_file=0
	while [ -z "$reason" ] && [ "$_file" -lt 20 ]; do
		mkdir -p "/tmp/vt9p/dir" && echo "$_file" >"/tmp/vt9p/dir/$_file" ||
			reason="file $_file cannot be written"
		_file=$((_file + 1))
	done
	[ -n "$reason" ] || [ "$(cat /tmp/vt9p/dir/* | sort -n | tr '\n' ' ')" = \
		"$(seq 0 19 | tr '\n' ' ')" ] || reason="small files differ"
	rm -r /tmp/vt9p/dir || reason="directory cannot be removed"
	umount /tmp/vt9p || reason="busy after all files were closed"
	[ -n "$reason" ] || reason=$("$IO" hostcheck "$1/data" 0 "$_bytes" 9)
}

tags()
{
	for _tag in "$VT_BUS"/virtio*/mount_tag; do
		[ -e "$_tag" ] || continue
		case $(tr -d '\0' <"$_tag") in
		vt*) tr -d '\0' <"$_tag" && echo ;;
		esac
	done
}

test_9p()
{
	name="9p keeps files and their contents"
	if [ -z "$(tags)" ]; then
		vt_skip "$name" "no 9p device whose mount tag begins with vt"
		return
	fi
	mkdir -p /tmp/vt9p
	reason=
	for _share in $(tags); do
		share "$_share" || reason="cannot be mounted"
		[ -z "$reason" ] || break
	done
	vt_result "$name" "${reason:+$_share: $reason}"
}

port_named()
{
	for _port in /sys/class/virtio-ports/*; do
		if [ "$(vt_read "$_port/name")" = "$1" ]; then
			echo "/dev/${_port##*/}"
		fi
	done
}

# through FROM TO SEED LENGTH
through()
{
	"$IO" fill "$3" "$4" >"$1" &
	_pid=$!
	_said=$("$IO" check "$3" "$4" <"$2")
	wait "$_pid" || _said="${_said:-sending failed}"
	[ -z "$_said" ] || echo "$1 to $2: $_said"
}

test_console()
{
	name="ports of a console carry data both ways"
	a=$(port_named vt.a)
	b=$(port_named vt.b)
	if [ -z "$a" ] || [ -z "$b" ]; then
		vt_skip "$name" "no ports named vt.a and vt.b"
		return
	fi
	_bytes=$(($(vt_scale 512) * 1024))
	reason=$(through "$a" "$b" 21 "$_bytes")
	[ -n "$reason" ] || reason=$(through "$b" "$a" 22 "$_bytes")
	# Odd and small.
	[ -n "$reason" ] || reason=$(through "$a" "$b" 23 1)
	[ -n "$reason" ] || reason=$(through "$b" "$a" 24 4097)
	vt_result "$name" "$reason"
}

# Random bytes do not compress; zeros, or a buffer that nobody wrote to, do.
random_bytes()
{
	echo "$1" >/sys/class/misc/hw_random/rng_current || return 1
	for _turn in 1 2; do
		dd if=/dev/hwrng of=/tmp/rng.$_turn bs=64 count=64 iflag=fullblock \
			2>/dev/null || return 1
		[ "$(wc -c </tmp/rng.$_turn)" = 4096 ] || return 1
		[ "$(gzip -c /tmp/rng.$_turn | wc -c)" -gt 4000 ] || return 1
	done
	! cmp -s /tmp/rng.1 /tmp/rng.2
}

test_rng()
{
	name="each rng gives bytes that are random"
	rngs=$(tr ' ' '\n' </sys/class/misc/hw_random/rng_available 2>/dev/null |
		grep virtio)
	if [ -z "$rngs" ]; then
		vt_skip "$name" "no virtio-rng"
		return
	fi
	reason=
	for _rng in $rngs; do
		random_bytes "$_rng" || reason="$reason $_rng"
	done
	rm -f /tmp/rng.1 /tmp/rng.2
	vt_result "$name" "$reason"
}

# The input devices that are keyboards: a line "virtioN eventM" for each.
keyboards()
{
	for _dev in $(vt_of_driver virtio_input); do
		for _event in "$VT_BUS/$_dev"/input/input*/event*; do
			case $(vt_read "${_event%/*}/name") in
			*Keyboard*) echo "$_dev ${_event##*/}" ;;
			esac
		done
	done
}

test_input()
{
	name="each keyboard delivers the keys that the host presses"
	found=$(keyboards)
	if [ -z "$found" ]; then
		vt_skip "$name" "no virtio keyboard"
		return
	fi
	reason=
	for _dev in $(echo "$found" | cut -d ' ' -f 1); do
		# QEMU gives its keys to the keyboard that was set up last.
		echo "$_dev" >/sys/bus/virtio/drivers/virtio_input/unbind
		echo "$_dev" >/sys/bus/virtio/drivers/virtio_input/bind
		_event=$(keyboards | sed -n "s/^$_dev //p")
		vt_wait 10 test -e "/dev/input/$_event"
		reason=$("$IO" keys 60 "$_event" a:30 b:48 spc:57 ret:28 a:30)
		[ -z "$reason" ] || break
	done
	vt_result "$name" "${reason:+$_dev: $reason}"
}

# What is in the balloon is no longer part of the guest's memory.
memory_kib()
{
	sed -n 's/^MemTotal: *\([0-9]*\) kB$/\1/p' /proc/meminfo
}

memory_is()
{
	[ "$(memory_kib)" = "$1" ]
}

test_balloon()
{
	name="the balloon takes pages and gives them back"
	if [ -z "$(vt_of_driver virtio_balloon)" ]; then
		vt_skip "$name" "no virtio-balloon"
		return
	fi
	reason=
	_mib=$(vt_scale 32)
	_before=$(memory_kib)
	vt_say "HOSTASK balloon $_mib"
	vt_wait 60 memory_is $((_before - _mib * 1024)) ||
		reason="$((_before - $(memory_kib))) KiB were taken, not $((_mib * 1024))"
	vt_say "HOSTASK balloon 0"
	vt_wait 60 memory_is "$_before" ||
		reason="${reason:-$((_before - $(memory_kib))) KiB did not come back}"
	vt_result "$name" "$reason"
}

ktap_print_header
ktap_set_plan 6
vt_mark
test_9p
test_console
test_rng
test_input
test_balloon
vt_result "the kernel did not complain" "$(vt_splats)"
ktap_finished
