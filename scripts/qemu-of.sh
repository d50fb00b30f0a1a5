#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# usage: scripts/qemu-of.sh SUITE
# Have the QEMU of another suite of Debian, with its own libraries and firmware, and
# print the path of a program that starts it, for QEMU=.
set -eu
cd "$(dirname "$0")/.."

[ $# -eq 1 ] || { sed -n '3,5s/^# //p' "$0" >&2; exit 2; }
die() { echo "qemu-of: $*" >&2; exit 1; }

program=qemu-system-x86_64
type -P dpkg >/dev/null || die "dpkg is missing: this needs Debian"
packages=(qemu-system-x86)
# A module that is not there is looked for among this machine's, of another version.
case $1 in
bullseye|bookworm*) ;;
*) packages+=(qemu-system-modules-opengl) ;;
esac
folder=$(scripts/foreign.sh "$1" "$(dpkg --print-architecture)" "${packages[@]}")
real=$folder/usr/bin/$program
[ -x "$real" ] || die "$1 has no $program in its package"

# Its interpreter is an absolute path, which is this machine's: start that of the
# suite, which is told where its libraries are and tells nobody else.
triplet=$(gcc -print-multiarch)
loader=$(find "$folder/lib/$triplet" "$folder/usr/lib/$triplet" -maxdepth 1 -name 'ld-*.so*' \
	2>/dev/null | sort | head -n 1)
[ -n "$loader" ] || die "$1 has no loader in $folder"

out=$PWD/build/${BASE:-6.12}
mkdir -p "$out"
result=$out/qemu-$1
cat >"$result.$$" <<END
#!/bin/sh
export QEMU_MODULE_DIR='$folder/usr/lib/$triplet/qemu'
exec '$loader' --library-path '$folder/lib/$triplet:$folder/usr/lib/$triplet' \\
	'$real' -L '$folder/usr/share/qemu' -L '$folder/usr/share/seabios' "\$@"
END
chmod +x "$result.$$"
mv "$result.$$" "$result"
echo "$result"
