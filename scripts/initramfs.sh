#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# usage: scripts/initramfs.sh [plain|modular|kcsan|kmsan|debug|bench|life|crash|arm64|s390x]
# Pack the guest's root file system: busybox, the scripts of scripts/guest, the
# kernel's own kselftest runner with our tests, and with "modular" the modules
# of that kernel, with "kcsan" the module that races, with "kmsan" and "debug" the
# one that checkers complain of; or, with "bench" and "life", what make bench
# measures with and what make life loads the guest with, in place of the tests, and
# with "crash" what of that fits beside a crash kernel; or the tests and Debian's
# busybox of another architecture.  Result: build/BASE/initramfs.cpio.gz,
# initramfs-NAME.cpio.gz, or initramfs-NAME.cpio with "bench", "life" and "kmsan",
# the same bytes from the same input.
set -eu
cd "$(dirname "$0")/.."

die() { echo "initramfs: $*" >&2; exit 1; }

base=${BASE:-6.12}
out=$PWD/build/$base
tree=$out/linux
flavour=${1:-plain}
case $flavour in
plain)		image=$out/initramfs.cpio.gz ;;
modular|kcsan|debug|crash|arm64|s390x)
		image=$out/initramfs-$flavour.cpio.gz ;;
# Not compressed: it is large, or the guest slow, and takes long to unpack it.
bench|life|kmsan)
		image=$out/initramfs-$flavour.cpio ;;
*)		sed -n '3s/^# //p' "$0" >&2; exit 2 ;;
esac

busybox=$(command -v busybox) || die "busybox is missing: apt-get install busybox-static"
if ldd "$busybox" >/dev/null 2>&1; then
	die "$busybox is linked dynamically: apt-get install busybox-static"
fi
cross='' arch=x86 applets=$busybox
case $flavour in
arm64)	cross=aarch64-linux-gnu- arch=arm64 ;;
s390x)	cross=s390x-linux-gnu- arch=s390 ;;
esac
if [ "$cross" ]; then
	command -v "${cross}gcc" >/dev/null || die "${cross}gcc is missing: scripts/deps.sh arch"
	busybox=$(scripts/foreign.sh - "$flavour" busybox-static)/bin/busybox
	[ -e "$busybox" ] || die "$busybox is missing"
fi
command -v cpio >/dev/null || die "cpio is missing: apt-get install cpio"

mkdir -p "$out/logs"
root=$out/initramfs-root.$flavour.$$
trap 'rm -rf "$root" "$image.$$"' EXIT
trap 'exit 130' INT TERM
mkdir -p "$root/bin" "$root/sbin" "$root/usr/bin" "$root/usr/sbin" \
	"$root/usr/lib" "$root/proc" "$root/sys" "$root/dev" "$root/tmp" \
	"$root/run" "$root/etc" "$root/mnt" "$root/lib"

cp "$busybox" "$root/bin/busybox"
"$applets" --list | while read -r applet; do
	[ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
done
rm "$root/bin/timeout"
cp scripts/guest/init "$root/init"
cp scripts/guest/hostreq scripts/guest/virtio-table scripts/guest/timeout \
	scripts/guest/vfio-beside scripts/guest/disks-beside "$root/usr/bin/"

# program NAME FLAGS...: a static one from scripts/guest/NAME.c.
program()
{
	name=$1
	shift
	gcc -static -O2 -Wall -Werror -D_GNU_SOURCE -o "$root/usr/bin/$name" \
		"scripts/guest/$name.c" "$@" || die "scripts/guest/$name.c does not build"
}
echo root:x:0:0:root:/:/bin/sh >"$root/etc/passwd"
echo root:x:0: >"$root/etc/group"

# host_program NAME: one of this machine's, with all the libraries it asks for.
host_program()
{
	path=$(PATH=$PATH:/usr/sbin command -v "$1") || die "$1 is missing: apt-get install $1"
	cp -L "$path" "$root/usr/bin/$1"
	mkdir -p "$root/lib64"
	ldd "$path" | awk '$2 == "=>" && $3 ~ /^\// { print $3 } $1 ~ /^\// { print $1 }' |
		while read -r library; do
			mkdir -p "$root/${library%/*}"
			cp -L "$library" "$root$library"
		done
}

# fio, whose jobs are threads here, and what it wants of the kernel for nothing.
pack_fio()
{
	host_program fio
	gcc -shared -fPIC -O2 -Wall -Werror -o "$root/usr/lib/fio-shm.so" \
		scripts/guest/fio-shm.c || die "scripts/guest/fio-shm.c does not build"
}

# The tests, built and installed by the kernel's own rules.
tests=tools/testing/selftests/virtio
case $flavour in
bench|life|crash) kselftest=no ;;
*)		[ -d "$tree/$tests" ] && kselftest=yes || kselftest=no ;;
esac
if [ "$kselftest" = yes ]; then
	log=$out/logs/build-selftests.log
	objects=$out/selftests
	if [ "$cross" ]; then
		log=$out/logs/build-selftests-$flavour.log
		objects=$objects-$flavour
	fi
	make -s -C "$tree/tools/testing/selftests" TARGETS=virtio O="$objects" \
		ARCH=$arch CROSS_COMPILE=$cross \
		INSTALL_PATH="$objects/install" FORCE_TARGETS=1 SKIP_TARGETS= \
		install >"$log" 2>&1 </dev/null || {
		grep -E 'error|Error|\*\*\*' "$log" | head -n 20 >&2
		die "the selftests do not build: see $log"
	}
	# What is not static cannot run where there is no C library.
	for file in "$objects/install/virtio"/*; do
		if [ -x "$file" ] && [ "$(head -c 4 "$file" | tail -c 3)" = ELF ] &&
		   ldd "$file" >/dev/null 2>&1; then
			die "${file##*/} is linked dynamically; the guest has no libraries"
		fi
	done
	cp -R "$objects/install" "$root/usr/lib/kselftest"
fi

# What make matrix checks the data of the rarer devices with.
case $flavour in
plain|modular)
	program net-self
	program crypto-known
	program sound-play
	program gpu-draw -D__user= -idirafter "$tree/include/uapi"
	program vdpa-beside -I$tests $tests/vtest.c $tests/vtest_vdpa.c ;;
esac

# module NAME: one of tools/testing/vring for the tests of this kernel.
module()
{
	module=$out/$1/vring_$1-$flavour.ko
	[ -e "$module" ] || die "$module is missing: run scripts/module.sh $1 $flavour"
	cp "$module" "$root/usr/lib/kselftest/virtio/vring_$1.ko"
}
case $flavour in
kcsan)		module race ;;
kmsan|debug)	module misuse ;;
esac

if [ "$flavour" = modular ]; then
	[ -d "$out/modules/lib/modules" ] ||
		die "$out/modules is missing: run scripts/kernel.sh modular"
	cp -R "$out/modules/lib/modules" "$root/lib/modules"
	find "$root/lib/modules" \( -name build -o -name source \) -type l -exec rm {} +
fi

if [ "$flavour" = bench ]; then
	cp scripts/guest/bench "$root/usr/bin/"
	program blk-load
	program net-self
	program net-bench -I$tests $tests/vtest.c $tests/vtest_net.c
	mkdir "$root/usr/lib/bench"
	for kernel in ours stock; do
		for name in bench busy; do
			module=$out/$name/vring_$name-$kernel.ko
			[ -e "$module" ] ||
				die "$module is missing: run scripts/module.sh $name $kernel"
			cp "$module" "$root/usr/lib/bench/"
		done
	done
	pack_fio
fi

case $flavour in
life|crash)
	cp scripts/guest/life "$root/usr/bin/"
	cp scripts/guest/life-load "$root/usr/lib/"
	program kexec-load
	program net-load -I$tests $tests/vtest.c $tests/vtest_net.c
	gcc -static -O2 -Wall -Werror -D_GNU_SOURCE -o "$root/usr/bin/vt_io" \
		$tests/vt_io.c $tests/vtest.c || die "$tests/vt_io.c does not build" ;;
esac
if [ "$flavour" = life ]; then
	host_program ethtool
	pack_fio
fi

find "$root" -exec touch -h -d @0 {} +
chmod -R u+rwX,go+rX,go-w "$root"
(cd "$root" && find . -mindepth 1 -printf '%P\n' | LC_ALL=C sort |
	cpio --quiet --reproducible -o -H newc -R 0:0) |
	case $image in *.gz) gzip -n -1 ;; *) cat ;; esac >"$image.$$"
if [ -e "$image" ] && cmp -s "$image" "$image.$$"; then
	exit 0
fi
mv "$image.$$" "$image"
echo "initramfs: $image, $(wc -c <"$image") bytes"
