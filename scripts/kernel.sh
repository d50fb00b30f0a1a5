#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# usage: scripts/kernel.sh ours|stock|debug|kcsan|modular|{kmsan|devices|arm64|s390x}[-stock]
# Build a kernel for the guest: the base with the series (ours), without it
# (stock), with the series and every checker (debug), the one for data races (kcsan)
# or the one for bytes that nobody wrote (kmsan, with the series and without), with
# virtio as modules (modular), or with the drivers of QEMU's rarer virtio devices
# (devices, with the series and without); or one for a guest of another architecture.
# Result: build/BASE/bzImage, or bzImage-NAME, for modular with build/BASE/modules.
# EXTRA_CONFIG=file merges a fragment into it, JOBS=n says how many compilers run at
# a time.
set -eu
cd "$(dirname "$0")/.."

die() { echo "kernel: $*" >&2; exit 1; }

flavour=${1-}
case $flavour in
arm64*)	arch=arm64 ; cross=aarch64-linux-gnu- ; image=arch/arm64/boot/Image ;;
s390x*)	arch=s390 ; cross=s390x-linux-gnu- ; image=arch/s390/boot/bzImage ;;
*)	arch=x86 ; cross='' ; image=arch/x86/boot/bzImage ;;
esac
# shellcheck source-path=SCRIPTDIR
. scripts/lib/kbuild.sh

base=${BASE:-6.12}
out=$PWD/build/$base
jobs=${JOBS:-$(nproc)}
name=$flavour
fragments=(scripts/config/guest.config)
suffix=-$flavour
targets=("${image##*/}")
case $flavour in
ours)		suffix='' ; fragments+=(scripts/config/ours.config) ;;
stock)		;;
debug|kcsan|kmsan)
		fragments+=(scripts/config/ours.config "scripts/config/$flavour.config") ;;
kmsan-stock)	fragments+=(scripts/config/kmsan.config) ;;
devices)	fragments+=(scripts/config/ours.config scripts/config/devices.config) ;;
devices-stock)	fragments+=(scripts/config/devices.config) ;;
modular)	fragments+=(scripts/config/ours.config scripts/config/modular.config)
		targets+=(modules) ;;
arm64|arm64-stock|s390x|s390x-stock)
		fragments=(scripts/config/arch.config "scripts/config/${flavour%-stock}.config") ;;
*)		sed -n '3,12s/^# //p' "$0" >&2; exit 2 ;;
esac
if [ -n "${EXTRA_CONFIG:-}" ]; then
	[ -r "$EXTRA_CONFIG" ] || die "EXTRA_CONFIG=$EXTRA_CONFIG cannot be read"
	fragments+=("$EXTRA_CONFIG")
fi
case $flavour in *stock) stock=yes ;; *) stock='' ;; esac
if [ "$stock" ]; then
	scripts/tree.py stock
	src=$out/stock
else
	scripts/tree.py tree
	src=$out/linux
fi
[ -f "$src/Kbuild" ] || die "$src is not a kernel tree: scripts/tree.py did not make it"

obj=$src/build-$name
log=$out/logs/build-$name.log
mkdir -p "$out/logs"

# One build of a flavour at a time.
exec 9>"$out/.lock-$name"
flock 9

free=$(df -Pk "$out" | awk 'NR == 2 { print int($4 / 1048576) }')
[ "$free" -ge 6 ] || echo "kernel: only $free GB free in $out, a build may need 6" >&2

localversion=-virtio-dma
[ -z "$stock" ] || localversion=
# Races of the base with itself would drown those that it is about: KCSAN looks
# at virtio only, and beyond that at the barriers in what virtio calls.
kcsan=()
# shellcheck disable=SC2016 # make's own, expanded for each object
[ "$flavour" != kcsan ] || kcsan=(
	'KCSAN_SANITIZE=$(if $(filter drivers/virtio/%,$(obj)/),y,n)'
	'KCSAN_INSTRUMENT_BARRIERS=$(if $(filter kernel/irq/% kernel/locking/% kernel/sched/% mm/%,$(obj)/),y)'
)
kmake() { make --no-print-directory -C "$src" O="build-$name" ARCH=$arch CROSS_COMPILE=$cross CC="$cc" LOCALVERSION="$localversion" "${kcsan[@]}" "$@" </dev/null; }

# What the result depends on; the same state as last time is not built again.
sources()	# a digest of what is in HEAD, and of edits to it
{
	local not_kernel=(':!/build-*' ':!/tools/testing' ':!/Documentation')
	{
		git -C "$1" ls-tree HEAD ./ tools/ |
			grep -v -E $'\t(tools|tools/testing|Documentation)$'
		git -C "$1" status --porcelain -- "${not_kernel[@]}"
		git -C "$1" diff HEAD -- "${not_kernel[@]}"
	} | sha256sum | cut -d ' ' -f 1
}
git -C "$src" rev-parse -q --verify HEAD >/dev/null ||
	die "$src is not a git tree: remove it and run again"
sources=$(sources "$src")
state=$({ echo "$sources"; cat "${fragments[@]}" "$0" scripts/lib/kbuild.sh
	"${cc##* }" --version; } | sha256sum)
result=$out/bzImage$suffix
if [ -e "$result" ] && [ -e "$obj/.state" ] && [ "$(cat "$obj/.state")" = "$state" ]; then
	echo "kernel: $name is up to date: $result"
	exit 0
fi

# A build that was cut off may have left files that make takes for whole.
if [ -e "$obj/.building" ]; then
	echo "kernel: the last build of $name was interrupted, removing what it left half done"
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
is_built()	# whether the objects in $1/$2 are of the sources as they are
{
	[ -e "$1/$2/.sources" ] && [ "$(cat "$1/$2/.sources")" = "$(sources "$1")" ]
}
copied=
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

errors()
{
	grep -E '(error|Error|undefined reference|No space left|\*\*\*)' "$log" |
		grep -vE 'Waiting for unfinished jobs' | head -n 20 >&2
}

# --- configuration ---

configure()
{
	kmake tinyconfig
	"$src/scripts/kconfig/merge_config.sh" -m -Q -O "$obj" "$obj/.config" "${fragments[@]}"
	kmake olddefconfig
	[ -n "$copied" ] && [ -d "$obj/tools" ] || return 0
	# Every object depends on objtool, which notices that it is in another
	# place and builds itself again, from the same sources.
	kmake prepare
	find "$obj/tools" -type f -print0 | xargs -0 touch -d "@$copied"
}
: >"$log"
configure >>"$log" 2>&1 || { errors; die "configuring $name failed: see $log"; }

# Every option that was asked for must be in the result; the last word counts.
missing=$(cat "${fragments[@]}" | awk '
	/^CONFIG_[A-Za-z0-9_]+=/ { split($0, w, "="); want[w[1]] = $0 }
	/^# CONFIG_[A-Za-z0-9_]+ is not set/ { want[$2] = "n" }
	END {
		while ((getline line < config) > 0) {
			if (line ~ /^CONFIG_/) { split(line, w, "="); have[w[1]] = line }
		}
		for (option in want) {
			if (want[option] == "n" && (option in have))
				print option " (wanted off, is " have[option] ")"
			else if (want[option] ~ /=n$/ && (option in have))
				print option " (wanted off, is " have[option] ")"
			else if (want[option] != "n" && want[option] !~ /=n$/ && have[option] != want[option])
				print want[option] " (is " ((option in have) ? have[option] : "not set") ")"
		}
	}' config="$obj/.config" | sort)
[ -z "$missing" ] || die "options that did not make it into $obj/.config: ${missing//$'\n'/, }"

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
if [ -z "$stock" ] && grep -E "$warning_about_ours" "$log" >"$log.warnings"; then
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
