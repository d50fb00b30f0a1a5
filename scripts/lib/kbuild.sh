# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034
# What the scripts that build kernels have in common; sourced by them.  "cross" is
# the prefix of the compiler for another architecture, if one is meant, "flavour" the
# kernel's: KMSAN is clang's.

# The same bytes on every machine, and cache hits between the trees: nothing
# of the machine, the time or the place goes into an object.
export KBUILD_BUILD_TIMESTAMP='Thu Jan  1 00:00:00 UTC 1970'
export KBUILD_BUILD_USER=virtio-dma KBUILD_BUILD_HOST=localhost KBUILD_BUILD_VERSION=1
case ${flavour-} in
kmsan*)	cc=clang
	command -v clang >/dev/null || {
		echo "KMSAN needs clang: apt-get install clang" >&2
		exit 1
	} ;;
*)	cc=${cross:-}gcc ;;
esac
if command -v ccache >/dev/null; then
	cc="$(cd "${BASH_SOURCE[0]%/*}" && pwd)/cached.sh $cc"
	export CCACHE_DIR="${CCACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/virtio-dma/ccache}"
	export CCACHE_NOHASHDIR=1 CCACHE_MAXSIZE=${CCACHE_MAXSIZE:-4G}
	export CCACHE_SLOPPINESS=time_macros
	# The compiler's own dependencies, not one more run of the preprocessor.
	export CCACHE_DEPEND=1
	mkdir -p "$CCACHE_DIR"
fi

# A warning of the compiler about a file of ours.
warning_about_ours='^(\.\./)?(drivers/virtio/|include/linux/virtio|include/trace/events/virtio|arch/x86/kernel/(qemu_iommu|pci-dma)|arch/x86/include/asm/qemu|drivers/iommu/iommu\.).*: warning: '

# sources TREE: a digest of what a kernel is built from in HEAD, and of edits to it.
sources()
{
	local not_kernel=(':!/build-*' ':!/tools/testing' ':!/Documentation')
	{
		git -C "$1" ls-tree HEAD ./ tools/ |
			grep -v -E $'\t(tools|tools/testing|Documentation)$'
		git -C "$1" status --porcelain -- "${not_kernel[@]}"
		git -C "$1" diff HEAD -- "${not_kernel[@]}"
	} | sha256sum | cut -d ' ' -f 1
}

# is_built TREE BUILD: whether the objects in the folder are of the sources as they are.
is_built()
{
	[ -e "$1/$2/.sources" ] && [ "$(cat "$1/$2/.sources")" = "$(sources "$1")" ]
}

# copy_objects FROM TO TREE [COMMIT]: begin a build in TO, of the sources in the
# git tree TREE, with a copy of the objects in FROM, all of one age and younger
# than the sources; then what TREE has changed since COMMIT becomes younger still.
# The build of tools notes commands with whole paths, and objtool, on which every
# object depends, would be built again for being elsewhere.
copy_objects()
{
	rm -rf "$2.new"
	cp -a "$1" "$2.new"
	rm -f "$2.new/.state" "$2.new/.sources" "$2.new/.building"
	if [ -d "$2.new/tools" ]; then	# not on every architecture
		find "$2.new/tools" -name '.*.cmd' -type f -print0 |
			xargs -0r sed -i "s|$1/|$2/|g; s|${1%/*}/|$3/|g"
	fi
	copied=$(date +%s)
	find "$2.new" -type f -print0 | xargs -0 touch -d "@$copied"
	sleep 1
	if [ $# -gt 3 ]; then
		git -C "$3" diff --name-only --diff-filter=d "$4" |
			while read -r file; do
				touch "$3/$file"
			done
		git -C "$3" update-index -q --refresh
	fi
	mv "$2.new" "$2"
}
