#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# usage: scripts/each.sh one|guest
# The part of each.py that builds, run in build/BASE/each after a patch.
# "one" builds the guest's kernel, and our files without a warning with W=1, those
# that no kernel is built from yet as well; the verdict goes to a line of
# build/BASE/logs/.each-results.  A tree that has been built before is not built
# again.
# "guest" builds what each.py boots there: build-each/guest.cpio beside the kernel.
set -eu
cd "$(dirname "$0")/.."
root=$PWD
out=$root/build/${BASE:-6.12}
results=$out/logs/.each-results
passed=$out/logs/.each-passed

case ${1-} in one|guest) ;; *) sed -n '3s/^# //p' "$0" >&2; exit 2 ;; esac

# shellcheck source-path=SCRIPTDIR
. "$root/scripts/lib/kbuild.sh"
cd "$OLDPWD"
src=$PWD
obj=$src/build-each
subject=$(git log -1 --format=%s)
tree=$(git rev-parse 'HEAD^{tree}')
log=$out/logs/build-each.log

verdict()
{
	echo "$1 $subject${2:+: $2} ($SECONDS s)" | tee -a "$results"
	exit 0			# the next patch has its turn all the same
}

kmake() { make --no-print-directory O=build-each CC="$cc" LOCALVERSION= "$@" </dev/null; }

# A kernel to boot, and a file system to add to the guest's.
guest()
{
	kmake -j"${JOBS:-$(nproc)}" bzImage modules_prepare || return
	rm -rf "$obj/module" "$obj/guest"
	mkdir -p "$obj/module" "$obj/guest/each"
	cp -R "$root/tools/testing/vring/bench" "$obj/module"
	kmake M="$obj/module/bench" KBUILD_EXTRA_SYMBOLS="$obj/vmlinux.symvers" modules || return
	strip --strip-debug -o "$obj/guest/each/vring_bench.ko" \
		"$obj/module/bench/vring_bench.ko" || return
	install -D "$root/scripts/guest/each" "$obj/guest/usr/bin/each" || return
	(cd "$obj/guest" && find . | cpio -o -H newc --quiet) >"$obj/guest.cpio"
}
if [ "$1" = guest ]; then
	guest >"$log" 2>&1 && exit
	grep -E '(error|undefined|\*\*\*)' "$log" | head -n 3 >&2
	exit 1
fi

key=$(cat "$root/scripts/config/guest.config" "$0" "$root/scripts/lib/kbuild.sh" | sha256sum | cut -c1-16)-$tree
if grep -qx "$key" "$passed"; then
	verdict PASS "built before"
fi
if git diff --quiet HEAD^ HEAD -- ':!Documentation' ':!MAINTAINERS' ':!tools/testing'; then
	verdict PASS "nothing that a kernel is built from"
fi

# Start from the objects of the stock kernel.
base=$(git rev-list --max-parents=0 HEAD | tail -n 1)
if [ ! -e "$obj" ] && [ -d "$out/stock" ] && is_built "$out/stock" build-stock &&
   [ "$(git -C "$out/stock" rev-parse 'HEAD^{tree}')" = "$(git rev-parse "$base^{tree}")" ]; then
	copy_objects "$out/stock/build-stock" "$obj" "$src" "$base"
fi
mkdir -p "$obj"

# Files of ours, not the base's, that this patch may have changed, as objects.
objects_of_ours()
{
	git diff --name-only --diff-filter=d HEAD^ HEAD | {
		ring=
		while read -r file; do
			case $file in
			drivers/virtio/ring/*|include/*/virtio*)
				ring=yes ;;
			tools/*)
				;;
			*.c)	git cat-file -e "$base:$file" 2>/dev/null || echo "${file%.c}.o" ;;
			esac
		done
		[ -z "$ring" ] || git ls-files 'drivers/virtio/ring/*.c' | sed 's/c$/o/'
	}
}

build()
{
	if [ ! -e "$obj/.config" ]; then
		kmake tinyconfig
		scripts/kconfig/merge_config.sh -m -Q -O "$obj" "$obj/.config" \
			"$root/scripts/config/guest.config"
	fi
	kmake olddefconfig
	objects=$(objects_of_ours)
	if [ "$objects" ]; then
		kmake -j"${JOBS:-$(nproc)}" prepare || return
		for object in $objects; do
			mkdir -p "$obj/${object%/*}"
			rm -f "$obj/$object"
		done
		# shellcheck disable=SC2086	# a list of words
		kmake -k -j"${JOBS:-$(nproc)}" W=1 $objects || return
	fi
	kmake -j"${JOBS:-$(nproc)}" vmlinux
}
echo "building: $subject"
if ! build >"$log" 2>&1; then
	grep -E '(error|undefined reference|No space left|\*\*\*)' "$log" | head -n 10
	cp "$log" "$log.failed"
	verdict FAIL "see $log.failed"
fi
if grep -E "$warning_about_ours" "$log"; then
	cp "$log" "$log.failed"
	# So that the next run says it again.
	find "$obj/drivers/virtio" "$obj/drivers/iommu" "$obj/arch/x86/kernel" \
		-name '*.o' -delete
	verdict FAIL "warnings, see $log.failed"
fi
echo "$key" >>"$passed"
verdict PASS
