#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# usage: scripts/module.sh bench|busy ours|stock
#        scripts/module.sh race kcsan
#        scripts/module.sh misuse kmsan|kmsan-stock|debug
# Build a module of tools/testing/vring against a kernel that scripts/kernel.sh
# has built.  Result: build/BASE/bench/vring_bench-ours.ko, for instance.
set -eu
cd "$(dirname "$0")/.."

die() { echo "module: $*" >&2; exit 1; }

name=${1-}
flavour=${2-}
out=$PWD/build/${BASE:-6.12}
case $name-$flavour in
bench-ours|busy-ours|race-kcsan|misuse-kmsan|misuse-debug)
	src=$out/linux localversion=-virtio-dma ;;
bench-stock|busy-stock|misuse-kmsan-stock)
	src=$out/stock localversion= ;;
*)	sed -n '3,5s/^# //p' "$0" >&2; exit 2 ;;
esac
obj=$src/build-$flavour
log=$out/logs/build-$name-module-$flavour.log
module=$out/$name/vring_$name-$flavour.ko
[ -e "$obj/vmlinux.symvers" ] || die "$obj has no kernel: run scripts/kernel.sh $flavour"
mkdir -p "$out/$name" "$out/logs"

# The kernel is built with this lock held.
exec 9>"$out/.lock-$flavour"
flock 9
# shellcheck source-path=SCRIPTDIR
. scripts/lib/kbuild.sh

state=$({ cat tools/testing/vring/bench/* "tools/testing/vring/$name"/* "$0"; cat "$obj/.state" "$obj/vmlinux.symvers" \
	"$obj/.config"; } 2>/dev/null | sha256sum)
if [ -e "$module" ] && [ "$(cat "$module.state" 2>/dev/null)" = "$state" ]; then
	exit 0
fi

# A module's objects come to lie beside its source.
folder=$out/$name/$flavour
rm -rf "$folder"
mkdir "$folder"
cp -R tools/testing/vring/bench "$folder"
[ "$name" = bench ] || cp -R "tools/testing/vring/$name" "$folder"
kmake() { make --no-print-directory -C "$src" O="build-$flavour" CC="$cc" LOCALVERSION="$localversion" "$@" </dev/null; }
{
	# The kernel was built without modules and has its symbols in a file
	# that modules are not looked up in unless one says so.
	kmake modules_prepare &&
		kmake M="$folder/$name" KBUILD_EXTRA_SYMBOLS="$obj/vmlinux.symvers" modules
} >"$log" 2>&1 || {
	grep -E '(error|Error|undefined|\*\*\*)' "$log" | head -n 10 >&2
	die "the module does not build for $flavour: see $log"
}
! grep -E '/(bench|busy|race|misuse)/.*: warning: ' "$log" >&2 || die "warnings: see $log"
strip --strip-debug -o "$module" "$folder/$name/vring_$name.ko"
echo "$state" >"$module.state"
echo "module: $module"
