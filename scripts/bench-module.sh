#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# usage: scripts/bench-module.sh ours|stock
# Build tools/testing/vring/bench against a kernel that scripts/kernel.sh has
# built.  Result: build/BASE/bench/vring_bench-ours.ko or vring_bench-stock.ko.
set -eu
cd "$(dirname "$0")/.."

die() { echo "bench-module: $*" >&2; exit 1; }

flavour=${1-}
out=$PWD/build/${BASE:-6.12}
case $flavour in
ours)	src=$out/linux localversion=-virtio-dma ;;
stock)	src=$out/stock localversion= ;;
*)	sed -n '3s/^# //p' "$0" >&2; exit 2 ;;
esac
obj=$src/build-$flavour
log=$out/logs/build-bench-module-$flavour.log
module=$out/bench/vring_bench-$flavour.ko
[ -e "$obj/vmlinux.symvers" ] || die "$obj has no kernel: run scripts/kernel.sh $flavour"
mkdir -p "$out/bench" "$out/logs"

# The kernel is built with this lock held.
exec 9>"$out/.lock-$flavour"
flock 9
# shellcheck source-path=SCRIPTDIR
. scripts/lib/kbuild.sh

state=$({ cat tools/testing/vring/bench/* "$0"; cat "$obj/.state" "$obj/vmlinux.symvers" \
	"$obj/.config"; } 2>/dev/null | sha256sum)
if [ -e "$module" ] && [ "$(cat "$module.state" 2>/dev/null)" = "$state" ]; then
	exit 0
fi

# A module's objects come to lie beside its source.
folder=$out/bench/$flavour
rm -rf "$folder"
cp -R tools/testing/vring/bench "$folder"
kmake() { make --no-print-directory -C "$src" O="build-$flavour" CC="$cc" LOCALVERSION="$localversion" "$@" </dev/null; }
{
	# The kernel was built without modules and has its symbols in a file
	# that modules are not looked up in unless one says so.
	kmake modules_prepare &&
		kmake M="$folder" KBUILD_EXTRA_SYMBOLS="$obj/vmlinux.symvers" modules
} >"$log" 2>&1 || {
	grep -E '(error|Error|undefined|\*\*\*)' "$log" | head -n 10 >&2
	die "the module does not build for $flavour: see $log"
}
! grep -E 'vring_bench.*: warning: ' "$log" >&2 || die "warnings: see $log"
strip --strip-debug -o "$module" "$folder/vring_bench.ko"
echo "$state" >"$module.state"
echo "bench-module: $module"
