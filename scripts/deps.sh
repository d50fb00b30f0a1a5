#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Check that the host has what a verb of the Makefile needs.  As root on Debian
# what is missing gets installed; otherwise one line names the command for it.
#
# usage: scripts/deps.sh tree|kernel|run|matrix|test|check|unit|fuzz|valgrind|bench|each|life|arch|qemus|docs|deb|debian
set -eu

list=${BASH_SOURCE[0]%/*}/deps.list

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
	done <"$list"
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

groups=
while read -r verb words; do
	[ "$verb" != "${1-}:" ] || groups=$words
done <"$list"
if [ $# -ne 1 ] || [ -z "$groups" ]; then
	sed -n 's/^# \(usage: .*\)/\1/p' "$0" >&2
	exit 2
fi
# The runtime's package is not known before clang is: two rounds at most.
for round in 1 2 end; do
	# shellcheck disable=SC2086	# a list of words
	find_missing $groups
	[ ${#missing[@]} -gt 0 ] || exit 0
	[ $round != end ] || fail "still missing after the installation: ${missing[*]}"
	if [ "$(id -u)" -ne 0 ] || [ ! -e /etc/debian_version ]; then
		fail "make $1 needs more programs: apt-get install --no-install-recommends ${missing[*]}"
	fi
	install "${missing[@]}"
done
