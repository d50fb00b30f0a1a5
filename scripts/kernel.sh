#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# usage: scripts/kernel.sh [--configure] ours|stock|debug|kcsan|modular|{kmsan|devices|arm64|s390x}[-stock]
# Build a kernel for the guest: the base with the series (ours), without it
# (stock), with the series and every checker (debug), the one for data races (kcsan)
# or the one for bytes that nobody wrote (kmsan, with the series and without), with
# virtio as modules (modular), or with the drivers of QEMU's rarer devices
# (devices, with the series and without); or one for a guest of another architecture.
# Result: build/BASE/bzImage, or bzImage-NAME, for modular with build/BASE/modules.
# EXTRA_CONFIG=file merges a fragment into it, JOBS=n says how many compilers run at
# a time.  With --configure nothing is built: whether every option that is asked for
# can be had is all that is looked at, in a folder beside the builds.
set -eu
cd "$(dirname "$0")/.."

die() { echo "kernel: $*" >&2; exit 1; }

only_configure=
[ "${1-}" != --configure ] || { only_configure=yes; shift; }
flavour=${1-}
arch=x86 cross='' image=arch/x86/boot/bzImage
kind=${flavour%-stock}
fragments=(guest ours "$kind")
case $flavour in
ours|stock)		fragments=(guest "$kind") ;;
debug|kcsan|kmsan|devices|modular) ;;
kmsan-stock|devices-stock) fragments=(guest "$kind") ;;
arm64|arm64-stock)	arch=arm64 cross=aarch64-linux-gnu- image=arch/arm64/boot/Image
			fragments=(arch arm64) ;;
s390x|s390x-stock)	arch=s390 cross=s390x-linux-gnu- image=arch/s390/boot/bzImage
			fragments=(arch s390x) ;;
*)			sed -n '3,14s/^# //p' "$0" >&2; exit 2 ;;
esac
[ "$flavour" != stock ] || fragments=(guest)
fragments=("${fragments[@]/#/scripts/config/}")
fragments=("${fragments[@]/%/.config}")
version=${BASE:-6.12}
own=scripts/config/$kind-${version%%-*}.config
[ ! -e "$own" ] || fragments+=("$own")
targets=("${image##*/}")
[ "$flavour" != modular ] || targets+=(modules)
# shellcheck source-path=SCRIPTDIR
. scripts/lib/kbuild.sh

scripts/args.sh kernel
out=$PWD/build/${BASE:-6.12}
jobs=${JOBS:-$(nproc)}
name=$flavour
[ -z "${EXTRA_CONFIG:-}" ] || fragments+=("$EXTRA_CONFIG")
case $flavour in
*stock)	tree=stock src=$out/stock localversion='' ;;
*)	tree=tree src=$out/linux localversion=-virtio-dma ;;
esac
scripts/tree.py $tree
[ -f "$src/Kbuild" ] || die "$src is not a kernel tree: scripts/tree.py did not make it"

if [ "$only_configure" ]; then
	name=configs-$arch cc=${cc##* }
	command -v "$cc" >/dev/null || die "$flavour needs $cc: scripts/deps.sh arch"
fi
obj=$src/build-$name
log=$out/logs/build-$name.log
mkdir -p "$out/logs"

# One build of a flavour at a time.
exec 9>"$out/.lock-$name"
flock 9

# Races of the base with itself would drown those that it is about: KCSAN looks
# at virtio only, and beyond that at the barriers in what virtio calls.
kcsan=()
# shellcheck disable=SC2016 # make's own, expanded for each object
[ "$flavour" != kcsan ] || kcsan=(
	'KCSAN_SANITIZE=$(if $(filter drivers/virtio/%,$(obj)/),y,n)'
	'KCSAN_INSTRUMENT_BARRIERS=$(if $(filter kernel/irq/% kernel/locking/% kernel/sched/% mm/%,$(obj)/),y)'
)
kmake()
{
	make --no-print-directory -C "$src" O="build-$name" ARCH=$arch CROSS_COMPILE=$cross \
		CC="$cc" LOCALVERSION="$localversion" "${kcsan[@]}" "$@" </dev/null
}

errors()
{
	grep -E '(error|Error|undefined reference|No space left|\*\*\*)' "$log" |
		grep -vE 'Waiting for unfinished jobs' | head -n 20 >&2
}

# --- configuration ---

copied=
configure()
{
	local tiny

	# Where only configurations are looked at, one start does for all of them.
	tiny=$obj/tiny-$(git -C "$src" rev-list --max-parents=0 HEAD)
	if [ "$only_configure" ] && [ -e "$tiny" ]; then
		cp "$tiny" "$obj/.config"
	else
		kmake tinyconfig
		[ -z "$only_configure" ] || cp "$obj/.config" "$tiny"
	fi
	"$src/scripts/kconfig/merge_config.sh" -m -Q -O "$obj" "$obj/.config" "${fragments[@]}"
	kmake olddefconfig
	[ -n "$copied" ] && [ -d "$obj/tools" ] || return 0
	# Every object depends on objtool, which notices that it is in another
	# place and builds itself again, from the same sources.
	kmake prepare
	find "$obj/tools" -type f -print0 | xargs -0 touch -d "@$copied"
}

# Every option that was asked for must be in the result; the last word counts.
missing_options()
{
	awk -v config="$obj/.config" '
		function note(option, value)
		{
			if (FILENAME == config)
				have[option] = value
			else
				want[option] = value
		}
		/^CONFIG_[A-Za-z0-9_]+=/ {
			note(substr($0, 1, index($0, "=") - 1), substr($0, index($0, "=") + 1))
		}
		/^# CONFIG_[A-Za-z0-9_]+ is not set/ { note($2, "n") }
		END {
			for (option in want) {
				is = option in have ? have[option] : "n"
				if (is != want[option])
					print option "=" want[option] " (is " is ")"
			}
		}' "${fragments[@]}" "$obj/.config" | sort
}

configure_or_die()
{
	local missing wrong

	mkdir -p "$obj"
	: >"$log"
	if ! configure >>"$log" 2>&1; then
		errors
		wrong="configuring $flavour failed: see $log"
	else
		missing=$(missing_options)
		[ "$missing" ] || return 0
		wrong="$flavour cannot have what it asks for: ${missing//$'\n'/, }"
	fi
	rm -f "$obj/.building"		# nothing was interrupted
	die "$wrong"
}
if [ "$only_configure" ]; then
	configure_or_die
	echo "kernel: $flavour can be configured"
	exit 0
fi

free=$(df -Pk "$out" | awk 'NR == 2 { print int($4 / 1048576) }')
[ "$free" -ge 6 ] || echo "kernel: only $free GB free in $out, a build may need 6" >&2

# What the result depends on; the same state as last time is not built again.
git -C "$src" rev-parse -q --verify HEAD >/dev/null ||
	die "$src is not a git tree: remove it and run again"
sources=$(sources "$src")
state=$({ echo "$sources"; cat "${fragments[@]}" "$0" scripts/lib/kbuild.sh
	"${cc##* }" --version; } | sha256sum)
result=$out/bzImage-$name
[ "$flavour" != ours ] || result=$out/bzImage
if [ -e "$result" ] && [ -e "$obj/.state" ] && [ "$(cat "$obj/.state")" = "$state" ]; then
	echo "kernel: $name is up to date: $result"
	exit 0
fi

# A build that was cut off may have left files that make takes for whole.
if [ -e "$obj/.building" ]; then
	echo "kernel: the last build of $name did not end, removing what it left half done"
	find "$obj" -name '*.o' -size 0 -delete
	find "$obj" -name '.*.cmd' -size 0 -delete
	find "$obj" -name '.tmp_*' -type f -delete
fi
rm -f "$obj/.state" "$obj/.sources"

# A flavour that differs in few objects from one that is built starts from those.
start_from()	# the folder of objects, and the commit of their sources if not HEAD
{
	echo "kernel: $name starts from the objects of ${1##*/build-}"
	copy_objects "$1" "$obj" "$src" "${@:2}"
}
twin=$flavour-stock
twin=${twin#ours-}
if [ ! -e "$obj" ]; then
	first_commit=$(git -C "$src" rev-list --max-parents=0 HEAD | tail -n 1)
	if [[ $flavour =~ ^(modular|devices)$ ]] && is_built "$src" build-ours; then
		start_from "$src/build-ours"
	elif [ "$flavour" = devices-stock ] && is_built "$src" build-stock; then
		start_from "$src/build-stock"
	elif [[ $flavour =~ ^(ours|arm64|s390x)$ ]] && [ -d "$out/stock" ] &&
	     is_built "$out/stock" "build-$twin" &&
	     [ "$(git -C "$out/stock" rev-parse 'HEAD^{tree}')" = \
	       "$(git -C "$src" rev-parse "$first_commit^{tree}")" ]; then
		start_from "$out/stock/build-$twin" "$first_commit"
	fi
fi
mkdir -p "$obj"
: >"$obj/.building"

configure_or_die

# --- compile, with news of it ---

counter=$out/logs/.objects-$name
expected=$(cat "$counter" 2>/dev/null || echo '')
set -m		# a process group of its own, so that all of it can be ended
kmake -j"$jobs" "${targets[@]}" >>"$log" 2>&1 &
builder=$!
set +m
trap 'kill -- -$builder 2>/dev/null; wait $builder 2>/dev/null; echo "kernel: interrupted" >&2; exit 130' INT TERM

count() { grep -cE '^  (CC|AS|LDS|HOSTCC)( \[M\])? ' "$log" || test $? = 1; }
progress()
{
	local number last
	number=$(count)
	last=$(grep -E '^  (CC|AS|LD|AR) ' "$log" | tail -n 1 | awk '{ print $NF }')
	last=${last#"$obj/"}
	printf 'kernel: %s, %d%s objects compiled, %d s, %s' "$name" "$number" \
		"${expected:+ of at most $expected}" "$SECONDS" "${last:0:40}"
}
shown=0
while kill -0 $builder 2>/dev/null; do
	if [ -t 1 ]; then
		printf '\r\033[K%s' "$(progress)"
	elif [ $((SECONDS - shown)) -ge 15 ]; then
		progress
		echo
		shown=$SECONDS
	fi
	sleep 0.5
done
[ ! -t 1 ] || printf '\r\033[K'
rc=0
wait $builder || rc=$?
trap - INT TERM
if [ $rc -ne 0 ]; then
	errors
	die "building $name failed: see $log"
fi

# A warning about a file of ours is a failure; the object goes, so that the
# next run says it again.
if [ $tree = tree ] && grep -E "$warning_about_ours" "$log" >"$log.warnings"; then
	head -n 20 "$log.warnings" >&2
	sed -n -E 's|^(\.\./)?([^:]*)\.c:.*|\2.o|p' "$log.warnings" | sort -u |
		while read -r object; do
			rm -f "${obj:?}/$object"
		done
	rm -f "$log.warnings"
	die "warnings about our files: see $log"
fi
rm -f "$log.warnings"

# --- hand over, whole or not at all ---

if [ "$flavour" = modular ]; then
	rm -rf "$out/modules.new"
	kmake INSTALL_MOD_PATH="$out/modules.new" INSTALL_MOD_STRIP=1 modules_install \
		>>"$log" 2>&1 || { errors; die "installing the modules failed: see $log"; }
	rm -rf "$out/modules"
	mv "$out/modules.new" "$out/modules"
fi
cp "$obj/$image" "$result.new"
mv "$result.new" "$result"
number=$(count)
[ "$number" -le "${expected:-0}" ] || echo "$number" >"$counter"
rm -f "$obj/.building"
echo "$sources" >"$obj/.sources"
echo "$state" >"$obj/.state"
echo "kernel: $name built, $number objects compiled in $SECONDS s: $result"
