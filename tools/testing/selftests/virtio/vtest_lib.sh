# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
#
# What the shell tests of this directory share, and the contract between the
# tests in the guest and whoever starts the guest ("the host").
#
# 1. What the host says: kernel command line
#
#	vtest.iommu=NAME	the vIOMMU of this machine: none, intel,
#				intel-caching (caching-mode=on), amd, virtio, or
#				smmuv3 on arm64
#	vtest.case=NAME		the case of dma_access.expect that this boot is;
#				the same file has the kernel parameters that
#				belong to the case ("case" lines)
#	vtest.bypass=PREFIX[,PREFIX]
#				devices that bypass the vIOMMU: PCI addresses, names
#				on other buses, or beginnings of these ("0000:20:"
#				for all devices of a
#				pxb-pcie,bus_nr=32,bypass_iommu=on)
#	vtest.scale=PERCENT	amount of data and repetitions, 100 if not given
#	vtest.seed=NUMBER	seed of a random test, to repeat a test that failed;
#				the test prints the seed that it used
#
#   Without vtest.case, dma_access.sh skips; no other test needs any of these.
#   The console must show level 5 messages: do not boot with "quiet".  Give
#   log_buf_len=1M: the tests look for messages of the boot in the kernel log.
#   Under TCG on a busy machine the IO-APIC timer check of the boot can fail;
#   no_timer_check leaves it out.
#
# 2. What the guest asks of the host
#
#   Each is one line that the guest writes through /dev/kmsg, so that no other
#   console output can fall into its middle.  On the console it looks like
#
#	[   12.345678] vtest: HOSTASK balloon 64
#
#   and may be preceded by the unfinished line of somebody else: search for
#   "vtest: HOST", do not match at the start of the line.
#
#	HOSTASK input KEY...	press and release these keys (QMP qcodes, such
#				as "a b ret"), in this order, with QMP send-key,
#				one command a key
#	HOSTASK balloon MIB	have the guest give up MIB mebibytes: QMP
#				balloon, value = size of RAM - MIB MiB; 0 gives
#				all of it back
#	HOSTCHECK NAME OFFSET LENGTH SHA256
#				after the guest is off, LENGTH bytes at OFFSET
#				of NAME must have this digest.  NAME is the
#				serial number of a disk, or TAG/PATH, a file
#				below the directory that is exported over 9p
#				with mount tag TAG.  A later line for the same
#				NAME and OFFSET replaces an earlier one.
#
#   There is no answer on any channel: the guest sees keys come and pages go,
#   and its test fails after some seconds if they do not.
#
# 3. What the host attaches; a test skips, and says so, if its device is absent
#
#	disks	raw images of at least 64 MiB whose serial begins with "vt":
#		  -device virtio-blk-pci,serial=vtblk0,...
#		  -device virtio-scsi-pci -device scsi-hd,serial=vtscsi0,...
#		Each flavour (ACCESS_PLATFORM on and off, legacy, packed, ...)
#		that is to be tested is one disk with its own serial.  The tests
#		write to them, MiB 0 to 63.
#	NICs	pair K (two hex digits) has MAC 52:54:00:00:K:01 and
#		52:54:00:00:K:02, connected to each other and to nothing else:
#		  -netdev hubport,id=na0,hubid=0 -netdev hubport,id=nb0,hubid=0
#		  -device virtio-net-pci,netdev=na0,mac=52:54:00:00:00:01,...
#		  -device virtio-net-pci,netdev=nb0,mac=52:54:00:00:00:02,...
#	serial	ports vt.a and vt.b of one or two virtio-serial devices, wired
#		together by QEMU itself:
#		  -chardev socket,id=ca,path=P,server=on,wait=off
#		  -chardev socket,id=cb,path=P
#		  -device virtserialport,chardev=ca,name=vt.a
#		  -device virtserialport,chardev=cb,name=vt.b
#	9p	mount_tag=vt9p0, vt9p1, ...: an empty writable directory each,
#		security_model=none or mapped-xattr
#		mount_tag=slow0: one that reads 512 bytes a second and not more,
#		  -fsdev local,throttling.bps-read=512,...
#	rng	virtio-rng-pci, any number, any back end
#	input	virtio-keyboard-pci, any number
#	balloon	virtio-balloon-pci, one, in a guest of at least 256 MiB, never
#		with iommu_platform=on: the driver does not take it
#
#	VFIO	-device edu,dma_mask=0xffffffffffffffff and
#		-device nvme,serial=vtnvme0, each alone in its IOMMU group; the
#		kernel logs the faults that they are made to cause, and so may
#		QEMU
#
#	For the cases of dma_access.expect that name PCI addresses: any virtio
#	device at 00:05.0, and a multifunction slot with one virtio device each
#	at 00:06.0 and 00:06.1 (which makes them one IOMMU group).
#
# 4. What the guest needs: busybox (ash), proc, sysfs, devtmpfs, debugfs and
#    tmpfs at their usual places, root.  /usr/bin/timeout must understand
#    --foreground if it exists at all, for run_kselftest.sh uses it; and
#    /dev/stdout must be a link to /proc/self/fd/1.

# shellcheck source=/dev/null
. "$(dirname "$0")/../kselftest/ktap_helpers.sh"

VT_BUS=/sys/bus/virtio/devices
# shellcheck disable=SC2034 # for the scripts that source this
VT_GROUPS=/sys/kernel/iommu_groups

# vt_skip_all REASON: nothing here can run.
vt_skip_all()
{
	ktap_print_header
	ktap_skip_all "$1"
	exit "$KSFT_SKIP"
}

# vt_skip NAME REASON: one test of the plan cannot run.
vt_skip()
{
	__ktap_test ok "$1" "SKIP $2"
	KTAP_CNT_SKIP=$((KTAP_CNT_SKIP + 1))
}

# vt_result NAME REASON: passes if REASON, why the test failed, is empty.
vt_result()
{
	if [ -z "$2" ]; then
		ktap_test_pass "$1"
	else
		ktap_print_msg "$1: $2"
		ktap_test_fail "$1"
	fi
}

# vt_param NAME: value of vtest.NAME= on the kernel command line.
vt_param()
{
	read -r _words </proc/cmdline
	for _word in $_words; do
		case $_word in
		"vtest.$1="*) echo "${_word#*=}" ;;
		esac
	done
}

# vt_scale N: vtest.scale= percent of N, at least 1.
vt_scale()
{
	_scale=$(vt_param scale)
	_scale=$(($1 * ${_scale:-100} / 100))
	[ "$_scale" -gt 0 ] || _scale=1
	echo "$_scale"
}

# vt_say TEXT: a line of the protocol with the host.
vt_say()
{
	echo on >/proc/sys/kernel/printk_devkmsg
	echo "<5>vtest: $1" >/dev/kmsg
}

# vt_config SYMBOL: whether the running kernel has it built in or as a module.
# A kernel without /proc/config.gz has whatever its tests find.
vt_config()
{
	[ ! -e /proc/config.gz ] || zcat /proc/config.gz | grep -q "^$1=[ym]"
}

# The functions below avoid starting programs: each costs some 20 ms of TCG.

# vt_read FILE: its first line, or nothing.
vt_read()
{
	_line=
	if [ -r "$1" ]; then
		read -r _line <"$1"
	fi
	echo "$_line"
}

# vt_type VIRTIO: what the device is, in the words of virtio_dma=.
vt_type()
{
	read -r _id <"$VT_BUS/$1/device"
	case $_id in
	0x0001) echo net ;;
	0x0002) echo blk ;;
	0x0003) echo console ;;
	0x0004) echo rng ;;
	0x0005) echo balloon ;;
	0x0007) echo rproc ;;
	0x0008) echo scsi ;;
	0x0009) echo 9p ;;
	0x0010) echo gpu ;;
	0x0012) echo input ;;
	0x0013) echo vsock ;;
	0x0014) echo crypto ;;
	0x0017) echo iommu ;;
	0x0018) echo mem ;;
	0x001a) echo fs ;;
	0x001b) echo pmem ;;
	*) echo "type-$_id" ;;
	esac
}

# vt_feature VIRTIO BIT: whether the feature was negotiated.
vt_feature()
{
	read -r _features <"$VT_BUS/$1/features"
	_skip=$2
	while [ "$_skip" -gt 0 ]; do
		_features=${_features#?}
		_skip=$((_skip - 1))
	done
	[ "${_features%"${_features#?}"}" = 1 ]
}

# vt_parent VIRTIO: the PCI address, or the name of what else it sits on.
vt_parent()
{
	_path=$(cd -P "$VT_BUS/$1/.." && pwd)
	echo "${_path##*/}"
}

# vt_driver VIRTIO: name of the bound driver, or nothing.
vt_driver()
{
	if [ -e "$VT_BUS/$1/driver" ]; then
		_path=$(cd -P "$VT_BUS/$1/driver" && pwd)
		echo "${_path##*/}"
	fi
}

# vt_group VIRTIO: number of the IOMMU group of its parent, or nothing.
vt_group()
{
	_path=$(cd -P "$VT_BUS/$1/.." && pwd)
	if [ -e "$_path/iommu_group" ]; then
		_path=$(cd -P "$_path/iommu_group" && pwd)
		echo "${_path##*/}"
	fi
}

# vt_devices: all virtio devices, by number.
vt_devices()
{
	for _dev in "$VT_BUS"/virtio*; do
		[ -e "$_dev" ] && echo "${_dev##*/virtio}"
	done | sort -n | sed 's/^/virtio/'
}

# vt_of_driver DRIVER: the virtio devices bound to it.
vt_of_driver()
{
	for _dev in $(vt_devices); do
		[ "$(vt_driver "$_dev")" = "$1" ] && echo "$_dev"
	done
	return 0
}

# vt_cell_kib TABLE: KiB of all cells of the device whose virtqueues that file has.
vt_cell_kib()
{
	awk 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "cell_bytes") n = i }
	     NR > 1 { sum += $n }
	     END { print int(sum / 1024) }' "$1"
}

# vt_wait SECONDS COMMAND...: until COMMAND succeeds; fails if it never does.
vt_wait()
{
	_tries=$(($1 * 10))
	shift
	until "$@"; do
		_tries=$((_tries - 1))
		[ "$_tries" -gt 0 ] || return 1
		usleep 100000
	done
}

VT_SPLAT='WARNING:|BUG:|Oops:|KASAN:|UBSAN:|INFO: (possible|suspicious|task|rcu)'
VT_SPLAT="$VT_SPLAT"'|DMA-API:|DMAR:.*fault|AMD-Vi:.*(IO_PAGE_FAULT|Event logged)'
VT_SPLAT="$VT_SPLAT"'|general protection|Call Trace:|kernel BUG'

# vt_mark: a line in the kernel log that vt_splats can find again.
vt_mark()
{
	VT_MARK="mark $$-$(cut -d ' ' -f 1 /proc/uptime)"
	vt_say "$VT_MARK"
}

# vt_splats: what the kernel has complained about since the last vt_mark.
vt_splats()
{
	dmesg | sed -n "/vtest: $VT_MARK\$/,\$p" | grep -E "$VT_SPLAT" |
		head -n 1
}
