#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Every virtio device reports the dma_access that the kernel parameters, the
# vIOMMU and its own features call for.  Its IOMMU group has the matching type, and
# the boot log gives the reason.  The expectations are in dma_access.expect.

DIR=$(dirname "$0")
. "$DIR/vtest_lib.sh"

EXPECT=$DIR/dma_access.expect
CASE=$(vt_param case)
VIOMMU=$(vt_param iommu)
BYPASS=$(vt_param bypass)

[ -n "$CASE" ] || vt_skip_all "no vtest.case= on the kernel command line"
[ -n "$VIOMMU" ] || vt_skip_all "no vtest.iommu= on the kernel command line"

# Fields of the line of $EXPECT that describes the case; $1 is "case".
case_line()
{
	awk -v case="$CASE" '$1 == "case" && $2 == case' "$EXPECT"
}

# texts KIND: the last column of the lines of KIND that apply to the case.
texts()
{
	awk -v kind="$1" -v case="$CASE" '
	$1 == kind && index("," $2 ",", "," case ",") {
		sub(/^[^ \t]+[ \t]+[^ \t]+[ \t]+/, "")
		print
	}' "$EXPECT"
}

bypasses()
{
	for _prefix in $(echo "$BYPASS" | tr , ' '); do
		case $1 in
		"$_prefix"*) return 0 ;;
		esac
	done
	return 1
}

# A line for every virtio device: what it is called in a report, ACCESS_PLATFORM,
# dma_access and group type as found, and the words by which a row may name it.
devices()
{
	for _dev in $(vt_devices); do
		_parent=$(vt_parent "$_dev")
		_type=$(vt_type "$_dev")
		_group=$(vt_group "$_dev")
		_platform=no
		vt_feature "$_dev" 33 && _platform=yes
		_access=$(vt_read "$VT_BUS/$_dev/dma_access")
		if [ -n "$_group" ]; then
			_group=$(vt_read "$VT_GROUPS/$_group/type")
		fi
		_names="$_parent $_type"
		bypasses "$_parent" && _names=bypass
		echo "$_dev/$_type/$_parent $_platform ${_access:-missing}" \
			"${_group:--} $_names"
	done
}

# The same for IOMMU groups without a virtio device, which no policy for virtio
# may change.
other_groups()
{
	for _group in "$VT_GROUPS"/*; do
		[ -e "$_group" ] || continue
		_members=
		for _dev in "$_group"/devices/*; do
			for _child in "$_dev"/virtio[0-9]*; do
				[ -e "$_child" ] && continue 3
			done
			_members="$_members,${_dev##*/}"
		done
		echo "group-${_group##*/}/${_members#,} no -" \
			"$(vt_read "$_group/type") pci"
	done
}

# Puts what is expected and what was found beside each other: for every line of
# the two functions above, the name of a test, and why it failed if it did.
judge()
{
	awk -v case="$CASE" -v viommu="$VIOMMU" '
	function has(list, word)
	{
		return list == "*" || index("," list ",", "," word ",")
	}
	function row_for(    i, n)
	{
		for (i = 1; i <= rows; i++)
			for (n = 5; n <= NF; n++)
				if (has(platform[i], $2) && has(device[i], $n))
					return i
		return 0
	}
	FNR == NR {
		if ($1 == "row" && has($2, case) && has($3, viommu)) {
			device[++rows] = $4
			platform[rows] = $5
			access[rows] = $6
			group[rows] = $7
		}
		next
	}
	{
		i = row_for()
		reason = ""
		if (!i)
			reason = "no row in dma_access.expect"
		else if (!has(access[i], $3))
			reason = "expected dma_access " access[i]
		else if (!has(group[i], $4))
			reason = "expected group type " group[i]
		print $1 " (ACCESS_PLATFORM " $2 "): " $3 ", group " $4 "|" reason
	}' "$EXPECT" -
}

set_case()
{
	line=$(case_line)
	if [ -z "$line" ]; then
		ktap_exit_fail_msg "no case $CASE in dma_access.expect"
	fi
	parameters=$(echo "$line" | sed 's/^case[ \t]*[^ \t]*[ \t]*[^ \t]*[ \t]*//')
	[ "$parameters" = "-" ] && parameters=
}

# What decides where DMA goes must be just what the case says: no word more.
test_command_line()
{
	found=$(tr ' ' '\n' </proc/cmdline |
		grep -E '^(iommu|iommu\..*|virtio_dma|swiotlb|intel_iommu|amd_iommu)=' |
		tr '\n' ' ')
	reason=
	[ "${found% }" = "$parameters" ] ||
		reason="found \"${found% }\", the case is \"$parameters\""
	vt_result "kernel parameters are those of case $CASE" "$reason"
}

test_log()
{
	reason=
	dmesg | grep -qF "$1" || reason="not in the kernel log"
	vt_result "log says: $1" "$reason"
}

test_warning()
{
	reason=
	# <4>: a warning.
	dmesg -r | grep '^<4>' | grep -F virtio_dma | grep -qF -e "$1" ||
		reason="no warning names it"
	vt_result "warning about virtio_dma entry $1" "$reason"
}

# asked PCI-ADDRESS TYPE: does virtio_dma= ask for the device to be translated?
asked()
{
	[ "$(awk -v case="$CASE" -v address="$1" -v type="$2" '
	$1 == "asked" && index("," $2 ",", "," case ",") &&
	($3 == "*" || $3 == address || $3 == type) {
		print $4
		exit
	}' "$EXPECT")" = yes ]
}

# Why a device cannot be translated as virtio_dma= asks, or nothing.
no_effect()
{
	asked "$(vt_parent "$1")" "$(vt_type "$1")" || return
	case $(vt_read "$VT_BUS/$1/dma_access") in
	physical) echo "no VIRTIO_F_ACCESS_PLATFORM, it ignores the IOMMU" ;;
	direct)	echo "no IOMMU translates for it" ;;
	esac
}

# Who is asked for in vain says so, once; nobody else does.
test_no_effect()
{
	wanted=$(no_effect "$1")
	found=$(dmesg -r | grep '^<4>' |
		sed -n "s/.* $1: virtio_dma=on has no effect: //p")
	reason=
	[ "$found" = "$wanted" ] ||
		reason="says \"$found\", expected \"$wanted\""
	vt_result "$1/$(vt_type "$1"): what virtio_dma= cannot do" "$reason"
}

# Names and lines that are fine are not complained about.
test_no_other_warning()
{
	count=$(wc -l </tmp/vtest.warn)
	for _dev in $(vt_devices); do
		[ -z "$(no_effect "$_dev")" ] || count=$((count + 1))
	done
	found=$(dmesg -r | grep '^<4>' | grep -cF virtio_dma)
	reason=
	[ "$found" -eq "$count" ] ||
		reason="$found warnings mention virtio_dma, expected $count"
	vt_result "exactly $count warnings mention virtio_dma" \
		"$reason"
}

set_case
{ devices; other_groups; } | judge >/tmp/vtest.judged
texts log >/tmp/vtest.log
texts warn >/tmp/vtest.warn

ktap_print_header
ktap_set_plan $(($(cat /tmp/vtest.judged /tmp/vtest.log /tmp/vtest.warn | wc -l) +
	$(vt_devices | wc -w) + 3))

test_command_line
# The first message of the boot: gone means the buffer has wrapped.
dmesg | grep -q "Linux version" ||
	ktap_print_msg "start of the kernel log is lost: boot with log_buf_len=1M"
while read -r text; do
	test_log "$text"
done </tmp/vtest.log
while read -r text; do
	test_warning "$text"
done </tmp/vtest.warn
test_no_other_warning
for dev in $(vt_devices); do
	test_no_effect "$dev"
done

reason=
grep -q '^virtio' /tmp/vtest.judged || reason="no virtio device"
vt_result "there are virtio devices" "$reason"
while IFS='|' read -r name reason; do
	vt_result "$name" "$reason"
done </tmp/vtest.judged

rm -f /tmp/vtest.judged /tmp/vtest.log /tmp/vtest.warn
ktap_finished
