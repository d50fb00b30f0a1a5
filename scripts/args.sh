#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# usage: scripts/args.sh "VERB..." [NAME...]
# Look at every argument of these verbs of the Makefile before any work.  Arguments
# are environment variables; the NAMEs are those that were given on make's command
# line.  The first wrong argument is named in one line.
set -eu
cd "$(dirname "$0")/.."

die() { echo "make $verb: $*" >&2; exit 2; }

# An expression that a line of a kernel's configuration matches.
option='CONFIG_[A-Za-z0-9_]+'
line="^($option=([ymn]|-?[0-9]+|0[xX][0-9a-fA-F]+|\".*\")|#.*|[[:space:]]*)\$"

# is_config NAME FILE: whether it can be read and is one, or the end.
is_config()
{
	if ! [ -f "$2" ] || ! [ -r "$2" ]; then
		die "$1=$2 is no file that can be read"
	fi
	wrong=$(grep -anvE -m 1 "$line" "$2") || return 0
	die "$1=$2, line ${wrong%%:*}: \"${wrong#*:}\" is no line of a configuration," \
		"such as CONFIG_X=y or # CONFIG_X is not set"
}

# look NAME VALUE: one argument that has a value.
look()
{
	case $1 in
	BASE)	case $2 in */*|.*) false ;; *) [ -d "series/$2" ] ;; esac ||
			die "BASE=$2 has no series; there is $(ls -m series)" ;;
	JOBS|SOAK_S|FUZZ_S|EVERY)
		case $2 in *[!0-9]*) die "$1=$2 is no number" ;; esac
		[ "$2" -gt 0 ] || die "$1=$2 must be 1 or more" ;;
	QUICK|VALGRIND|FORCE|CHECK)
		[ "$2" = 1 ] || die "$1=$2: give $1=1, or nothing" ;;
	QEMU)	# the machine's own may have to be installed first
		[ "$2" = qemu-system-x86_64 ] || command -v "$2" >/dev/null ||
			die "QEMU=$2 is no program that can be run" ;;
	ACCEL)	case $2 in
		auto|tcg) ;;
		kvm)	grep -qE '^flags.* (vmx|svm)' /proc/cpuinfo ||
				die "ACCEL=kvm: the CPU has no vmx or svm; give ACCEL=tcg"
			{ : <>/dev/kvm; } 2>/dev/null ||
				die "ACCEL=kvm: /dev/kvm does not open; give ACCEL=tcg" ;;
		*)	die "ACCEL=$2: give kvm, tcg or auto" ;;
		esac ;;
	ROOT)	[ "$2" = debian ] || die "ROOT=$2: give ROOT=debian, or nothing" ;;
	EXTRA_CONFIG)
		is_config "$1" "$2" ;;
	CONFIG)	case $2 in
		*/*)	is_config "$1" "$2" ;;
		*config) [ ! -f "$2" ] || is_config "$1" "$2" ;;
		*)	is_config "$1" "$2" ;;
		esac ;;
	KDIR)	[ -f "$2/Kbuild" ] || die "KDIR=$2 is no kernel tree" ;;
	KTREE)	[ -f "$2/include/uapi/linux/virtio_ring.h" ] ||
			die "KTREE=$2 is no kernel tree" ;;
	STOCK)	[ -f "$2/drivers/virtio/virtio_ring.c" ] ||
			die "STOCK=$2 has no drivers/virtio/virtio_ring.c" ;;
	QEMUS)	for word in $2; do
			case $word in
			[!a-z]*|*[!a-z0-9.+-]*) die "QEMUS: $word is no suite of Debian" ;;
			esac
		done ;;
	COMPILERS)
		for word in $2; do
			command -v "$word" >/dev/null ||
				case $word in
				gcc|clang) ;;	# can be installed
				*)	die "COMPILERS: there is no $word" ;;
				esac
		done ;;
	ONLY)	for word in $2; do
			scripts/check.sh --list | grep -qxF -e "$word" ||
				die "ONLY=$word is no check; there are:" \
					"$(scripts/check.sh --list | paste -s -d ' ')"
		done ;;
	esac
}

[ $# -gt 0 ] || { sed -n '3s/^# //p' "$0" >&2; exit 2; }
verbs=$1
shift
set -f
verb=$verbs
case $PWD in *[[:space:]:]*)
	die "no kernel builds below \"$PWD\": move this repository to a path without" \
		"blanks and colons" ;;
esac
known=
for verb in $verbs; do
	names="BASE JOBS $(sed -n "s|^$verb: ||p" scripts/args.list)"
	known="$known $names"
	for name in $names; do
		eval "value=\${$name-}"
		[ -z "$value" ] || look "$name" "$value"
	done
	case $verb in
	apply|unapply) [ "${KDIR-}" ] || die "KDIR=/path/to/linux is needed" ;;
	boot)	[ -z "${ROOT-}" ] || [ -z "${EXTRA_CONFIG-}" ] ||
			die "ROOT=$ROOT has a configuration of its own: no EXTRA_CONFIG" ;;
	esac
done
for name; do
	case " $known " in
	*" $name "*) ;;
	*)	case $name in
		CCACHE_*|XDG_*|MAKE*|SHELL|NO_COLOR|TMPDIR) ;;
		*)	die "it does not take $name; it takes${known}" ;;
		esac ;;
	esac
done
