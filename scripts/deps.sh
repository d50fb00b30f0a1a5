#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Check that the host has what a verb of the Makefile needs.  As root on Debian
# what is missing gets installed; otherwise one line names the command for it.
#
# usage: scripts/deps.sh tree|kernel|run|matrix|test|check|unit|fuzz|valgrind|bench|life|arch|qemus|docs|deb|debian
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
docs    graphviz             dot
unit    gcc                  gcc
unit    libc6-dev            /usr/include/stdio.h
unit    make                 make
unit    clang                clang
unit    clang-runtime        is_clang_runtime
unit    llvm                 llvm-cov
memory  valgrind             valgrind
bench   fio                  fio
page    python3-jinja2       /usr/lib/python3/dist-packages/jinja2
plot    python3-matplotlib   /usr/lib/python3/dist-packages/matplotlib
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
image   mmdebstrap           mmdebstrap
image   e2fsprogs            mke2fs
image   qemu-utils           qemu-img
'

# The groups of rows that a verb needs.
declare -A groups=(
	[tree]='tree'
	[kernel]='tree build'
	[run]='tree build guest'
	[matrix]='tree build guest fs vhost page'
	[bench]='tree build guest vhost bench plot'
	[life]='tree build guest life'
	[arch]='tree build guest cross foreign'
	[qemus]='tree build guest fs vhost page bench plot foreign'
	[check]='tree build check docs'
	[docs]='tree docs'
	[unit]='tree unit'
	[fuzz]='tree unit'
	[valgrind]='tree unit memory'
	[test]='tree build guest fs page plot check docs unit life'
	[deb]='tree build deb'
	[debian]='tree build deb guest image foreign'
)

fail()
{
	echo "deps.sh: $*" >&2
	exit 1
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
	is_*)	"$1" ;;
	/*)	[ -e "$1" ] ;;
	*)	type -P "$1" >/dev/null ;;
	esac
}

# Sets "missing" to the packages that the groups "$@" lack, by the names that apt has.
find_missing()
{
	local group package sign

	missing=()
	while read -r group package sign; do
		[[ -n $group && " $* " == *" $group "* ]] || continue
		is_there "$sign" && continue
		case $package in
		clang-runtime)	package=$(clang_runtime_package) ;;
		virtiofsd)	package=$(virtiofsd_package) ;;
		esac
		# Nothing if its name is not known yet.
		[[ -z $package || " ${missing[*]-} " == *" $package "* ]] || missing+=("$package")
	done <<<"$packages"
}

install()
{
	local log

	log=$(mktemp)
	# shellcheck disable=SC2064
	trap "rm -f '$log'" EXIT
	export DEBIAN_FRONTEND=noninteractive
	echo "deps: apt-get update" >&2
	apt-get -q update >"$log" 2>&1 ||
		fail "apt-get update failed: $(grep -m 1 '^[EW]:' "$log")"
	echo "deps: installing $*" >&2
	apt-get -q -y --no-install-recommends install "$@" >"$log" 2>&1 ||
		fail "apt-get install $* failed: $(grep -m 1 '^E:' "$log")"
}

if [ $# -ne 1 ] || [ -z "${groups[$1]-}" ]; then
	sed -n 's/^# \(usage: .*\)/\1/p' "$0" >&2
	exit 2
fi
# The runtime's package is not known before clang is: two rounds at most.
for round in 1 2 end; do
	# shellcheck disable=SC2086	# a list of words
	find_missing ${groups[$1]}
	[ ${#missing[@]} -gt 0 ] || exit 0
	[ $round != end ] || fail "still missing after the installation: ${missing[*]}"
	if [ "$(id -u)" -ne 0 ] || [ ! -e /etc/debian_version ]; then
		fail "make $1 needs more programs: apt-get install --no-install-recommends ${missing[*]}"
	fi
	install "${missing[@]}"
done
