#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Check that the host has what a verb of the Makefile needs.  As root on Debian
# what is missing gets installed; otherwise one line names the command for it.
#
# usage: scripts/deps.sh tree|kernel|run|matrix|test|check|unit|fuzz|valgrind|bench|life|arch|qemus|docs|deb
set -eu

# One row a package: the groups that need it, the Debian package, and how to tell
# that it is there: a program, or /a/file, or a function is_*.
packages='
tree    git                  git
tree    patch                patch
tree    python3              python3
tree    xz-utils             xz
tree    gzip                 gzip
build   gcc                  gcc
build   libc6-dev            /usr/include/stdio.h
build   make                 make
build   flex                 flex
build   bison                bison
build   bc                   bc
build   libelf-dev           /usr/include/gelf.h
build   libssl-dev           /usr/include/openssl/ssl.h
build   cpio                 cpio
build   lz4                  lz4
build   ccache               ccache
build   rsync                rsync
build   kmod                 depmod
build   perl                 perl
guest   qemu-system-x86      qemu-system-x86_64
guest   busybox-static       is_static_busybox
fs      virtiofsd            is_virtiofsd
vhost   dpdk-dev             dpdk-testpmd
check   sparse               sparse
check   coccinelle           spatch
check   shellcheck           shellcheck
docs    python3-sphinx       sphinx-build
docs    perl                 pod2usage
unit    gcc                  gcc
unit    libc6-dev            /usr/include/stdio.h
unit    make                 make
unit    clang                clang
unit    clang-runtime        is_clang_runtime
unit    llvm                 llvm-cov
memory  valgrind             valgrind
bench   fio                  fio
page    python3-jinja2       /usr/lib/python3/dist-packages/jinja2
bench   python3-matplotlib   /usr/lib/python3/dist-packages/matplotlib
bench   binutils             strip
life    fio                  fio
life    ethtool              /usr/sbin/ethtool
cross   gcc-aarch64-linux-gnu     aarch64-linux-gnu-gcc
cross   gcc-s390x-linux-gnu       s390x-linux-gnu-gcc
cross   gcc-powerpc64le-linux-gnu powerpc64le-linux-gnu-gcc
cross   gcc-riscv64-linux-gnu     riscv64-linux-gnu-gcc
cross   libc6-dev-arm64-cross     /usr/aarch64-linux-gnu/include/stdio.h
cross   libc6-dev-s390x-cross     /usr/s390x-linux-gnu/include/stdio.h
cross   qemu-system-arm           qemu-system-aarch64
cross   qemu-system-misc          qemu-system-s390x
foreign dpkg                      dpkg-deb
foreign debian-archive-keyring    /usr/share/keyrings/debian-archive-keyring.gpg
deb     debhelper            dh_listpackages
deb     dpkg-dev             dpkg-buildpackage
deb     dwarves              pahole
deb     zstd                 zstd
'

usage()
{
	sed -n 's/^# \(usage: .*\)/\1/p' "$0" >&2
	exit 2
}

# The groups of rows that a verb needs.
groups_of()
{
	case $1 in
	tree)	echo tree ;;
	kernel)	echo tree build ;;
	run)	echo tree build guest ;;
	matrix)	echo tree build guest fs vhost page ;;
	bench)	echo tree build guest vhost bench ;;
	life)	echo tree build guest life ;;
	arch)	echo tree build guest cross foreign ;;
	qemus)	echo tree build guest fs vhost page bench foreign ;;
	check)	echo tree build check docs ;;
	docs)	echo tree docs ;;
	unit)	echo tree unit ;;
	fuzz)	echo tree unit ;;
	valgrind) echo tree unit memory ;;
	test)	echo tree build guest fs page check docs unit life ;;
	deb)	echo tree build deb ;;
	*)	usage ;;
	esac
}

# The plain busybox cannot start in an initramfs that has no C library.
is_static_busybox()
{
	local path
	path=$(type -P busybox) || return 1
	# A program that is linked dynamically names its loader near its start.
	! head -c 4096 "$path" | grep -q -a '/ld-linux'
}

# QEMU brought its own before it became a program by itself.
is_virtiofsd()
{
	[ -x /usr/lib/qemu/virtiofsd ] || [ -x /usr/libexec/virtiofsd ] ||
		type -P virtiofsd >/dev/null
}

# With the QEMUs that bring it, no package has its name.
virtiofsd_package()
{
	if apt-cache show virtiofsd >/dev/null 2>&1; then
		echo virtiofsd
	else
		echo qemu-system-common
	fi
}

# The sanitizers and the fuzzer of the clang that is installed.
is_clang_runtime()
{
	local path
	path=$(clang --print-file-name="libclang_rt.fuzzer-$(uname -m).a" 2>/dev/null) &&
		[ -e "$path" ] && return
	path=$(clang -print-runtime-dir 2>/dev/null) &&
		compgen -G "$path/libclang_rt.fuzzer*.a" >/dev/null
}

# The runtime's package has clang's version in its name.
clang_runtime_package()
{
	local version=
	if type -P clang >/dev/null; then
		version=$(clang -dumpversion)
	else
		version=$(apt-cache depends clang 2>/dev/null |
			sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p')
	fi
	version=${version%%.*}
	echo "${version:+libclang-rt-$version-dev}"
}

is_there()
{
	case $1 in
	is_static_busybox)	is_static_busybox ;;
	is_clang_runtime)	is_clang_runtime ;;
	is_virtiofsd)	is_virtiofsd ;;
	/*)	[ -e "$1" ] ;;
	*)	type -P "$1" >/dev/null ;;
	esac
}

# Sets "missing" to the packages that the groups "$@" lack, by row.
find_missing()
{
	local group package sign
	missing=()
	while read -r group package sign; do
		[ -n "$group" ] || continue
		case " $* " in *" $group "*) ;; *) continue ;; esac
		is_there "$sign" && continue
		case " ${missing[*]-} " in *" $package "*) continue ;; esac
		missing+=("$package")
	done <<<"$packages"
}

# The names that apt knows the missing rows by.
real_names()
{
	local package
	for package in "${missing[@]}"; do
		case $package in
		clang-runtime)	clang_runtime_package ;;
		virtiofsd)	virtiofsd_package ;;
		*)		echo "$package" ;;
		esac
	done
}

install()
{
	local log names
	log=$(mktemp)
	# shellcheck disable=SC2064
	trap "rm -f '$log'" EXIT
	export DEBIAN_FRONTEND=noninteractive
	echo "deps: apt-get update" >&2
	apt-get -q update >"$log" 2>&1 ||
		fail "apt-get update failed: $(grep -m 1 '^[EW]:' "$log")"
	mapfile -t names < <(real_names)
	echo "deps: installing ${names[*]}" >&2
	apt-get -q -y --no-install-recommends install "${names[@]}" >"$log" 2>&1 ||
		fail "apt-get install ${names[*]} failed: $(grep -m 1 '^E:' "$log")"
}

fail()
{
	echo "deps.sh: $*" >&2
	exit 1
}

[ $# -eq 1 ] || usage
groups=$(groups_of "$1") || exit
# shellcheck disable=SC2086	# a list of words
find_missing $groups
[ ${#missing[@]} -gt 0 ] || exit 0

# The runtime's package is not known before clang is: two rounds at most.
for _ in 1 2; do
	if [ "$(id -u)" -ne 0 ] || [ ! -e /etc/debian_version ]; then
		mapfile -t names < <(real_names)
		fail "make $1 needs more programs: apt-get install --no-install-recommends ${names[*]}"
	fi
	install
	# shellcheck disable=SC2086
	find_missing $groups
	[ ${#missing[@]} -gt 0 ] || exit 0
done
fail "still missing after the installation: ${missing[*]}"
