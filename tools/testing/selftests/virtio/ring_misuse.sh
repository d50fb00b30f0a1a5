#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The kernel's checkers see a driver's errors with a buffer, whatever way the buffer
# takes to the device.  vring_misuse.ko (tools/testing/vring/misuse) is a driver with
# such errors.  Each of its requests is one fault, and must give one report.

DIR=$(dirname "$0")
. "$DIR/vtest_lib.sh"

MODULE=$DIR/vring_misuse.ko
DMA_API=/sys/kernel/debug/dma-api
KMSAN_REPORT='BUG: KMSAN: uninit-value in '
STACK_REPORT='DMA-API: .*device driver maps memory from stack'

[ -e "$MODULE" ] || vt_skip_all "vring_misuse.ko was not built for this kernel"
plan=0
! vt_config CONFIG_KMSAN || plan=$((plan + 6))
! [ -e "$DMA_API" ] || plan=$((plan + 6))
[ "$plan" -gt 0 ] ||
	vt_skip_all "neither CONFIG_KMSAN nor CONFIG_DMA_API_DEBUG is set"

# device_with ACCESS: PCI address of a virtio device whose DMA goes that way.
device_with()
{
	for _dev in $(vt_devices); do
		case $(vt_read "$VT_BUS/$_dev/dma_access") in
		"$1"*)	vt_parent "$_dev"
			return ;;
		esac
	done
}

# since_mark PATTERN: lines of the kernel log.
since_mark()
{
	dmesg | sed -n "/vtest: $VT_MARK\$/,\$p" | grep "$1"
}

# misuse WHAT DEVICE REPORT: $reason says what was not reported, or too often.
misuse()
{
	vt_mark
	# shellcheck disable=SC2086 # a word or none
	if ! insmod "$MODULE" what="$1" ${2:+device=$2}; then
		reason="vring_misuse.ko cannot be loaded"
		return
	fi
	rmmod vring_misuse
	_requests=$(since_mark 'vring_misuse: ' | sed -n 's/.* \([0-9]*\) requests$/\1/p')
	_reports=$(since_mark "$3" | wc -l)
	reason=
	[ "${_requests:-0}" -gt 0 ] || reason="it made no request"
	[ "$1" = nothing ] || [ "$_reports" = "$_requests" ] ||
		reason=${reason:-"$_reports reports of $_requests requests"}
	[ "$1" != nothing ] || [ "$_reports" = 0 ] ||
		reason=${reason:-"$(since_mark "$3" | head -n 1)"}
}

# one NAME WHAT ACCESS REPORT
one()
{
	_device=
	if [ "$3" != physical ]; then
		_device=$(device_with "$3")
		if [ -z "$_device" ]; then
			vt_skip "$1, $3" "no such device"
			return
		fi
	fi
	misuse "$2" "$_device" "$4"
	vt_result "$1, $3" "$reason"
}

ktap_print_header
ktap_set_plan "$plan"
if vt_config CONFIG_KMSAN; then
	for access in physical identity translated; do
		one "KMSAN sees what goes out and was never written" \
			unwritten "$access" "$KMSAN_REPORT"
		one "KMSAN has nothing to say of what is right" \
			nothing "$access" "$KMSAN_REPORT"
	done
fi
if [ -e "$DMA_API" ]; then
	# One would be all otherwise.
	echo 1 >"$DMA_API/all_errors"
	for access in physical identity translated; do
		one "DMA_API_DEBUG sees a buffer on the stack" \
			stack "$access" "$STACK_REPORT"
		one "DMA_API_DEBUG has nothing to say of what is right" \
			nothing "$access" "DMA-API: "
	done
fi
ktap_finished
