#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
#	cached.sh COMPILER [ARGUMENT...]
#
# Run a compiler through ccache, but for a source with .incbin: where the compiler
# names the dependencies (CCACHE_DEPEND), ccache neither sees the file that is
# included nor that there is one, and gives back an object with what was in it
# before.  A kernel's boot code (piggy.S) would keep an image for as long as the
# next one has the same size.

for arg; do
	case $arg in
	-*) ;;
	*.[cS])
		if grep -qs '\.incbin' "$arg"; then
			exec "$@"
		fi
		;;
	esac
done
exec ccache "$@"
