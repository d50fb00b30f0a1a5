# SPDX-License-Identifier: GPL-2.0-only
# Every verb of the project.  `make help` lists them; README says what each is
# for.  The work is done by the scripts that the recipes name.

BASE	?= 6.12
KDIR	?=
QEMU	?= qemu-system-x86_64
ACCEL	?= auto
JOBS	?= $(shell nproc)
EXTRA_CONFIG ?=
APPEND	?=
QEMU_ARGS ?=
CONFIG	?=
ROWS	?=
QEMUS	?=
ONLY	?=
ROOT	?=
SOAK_S	?= 600

export ROOT BASE KDIR QEMU ACCEL JOBS EXTRA_CONFIG APPEND QEMU_ARGS CONFIG ROWS QEMUS ONLY SOAK_S

VERBS := $(shell sed -n 's/^\([a-z-]*\):.*\#\#.*/\1/p' Makefile)
.PHONY: arguments $(VERBS)
.DEFAULT_GOAL := help

# Wrong arguments come to light before any work.
$(filter-out help clean,$(VERBS)): arguments
arguments:
	@scripts/args.sh "$(MAKECMDGOALS)" $(foreach v,$(.VARIABLES),$(if $(filter command line,$(origin $v)),$v))

help:		## list the verbs
	@sed -n 's/^\([a-z-]*\):.*##/  \1\t/p' Makefile | sed 's/$$(BASE)/$(BASE)/' | expand -t 18

run:		## build, boot and show where every virtio device's DMA goes
	@scripts/deps.sh run
	@scripts/run.py

test:		## all tests; closes with "N passed, N failed, N skipped"
	@scripts/deps.sh test
	@scripts/test.py

tree:		## lay the base and the series out as a git tree, build/$(BASE)/linux
	@scripts/deps.sh tree
	@scripts/tree.py $@

series:		## write the patches for git am to build/$(BASE)/series
	@scripts/deps.sh tree
	@scripts/tree.py $@

refresh:	## take commits made in build/$(BASE)/linux back into this repository
	@scripts/deps.sh tree
	@scripts/tree.py $@

apply:		## put the series onto the kernel tree at KDIR; CHECK=1 tries, FORCE=1 drops edits
	@scripts/deps.sh tree
	@scripts/tree.py $@

unapply:	## take the series off KDIR again, byte for byte; CHECK=1 and FORCE=1 too
	@scripts/deps.sh tree
	@scripts/tree.py $@

deb:		## Debian kernel packages of KDIR (or the base) with the series, CONFIG=file
	@scripts/deps.sh deb
	@scripts/tree.py $@

kernel:		## build/$(BASE)/bzImage; EXTRA_CONFIG=file merges a fragment
	@scripts/deps.sh kernel
	@scripts/kernel.sh ours

stock-kernel:	## build/$(BASE)/bzImage-stock, the unmodified base
	@scripts/deps.sh kernel
	@scripts/kernel.sh stock

boot:		## a shell in the guest; APPEND= kernel parameters, QEMU_ARGS= devices, ROOT=debian
	@scripts/deps.sh $(or $(ROOT),run)
	@scripts/guest.py shell

check:		## checkpatch, sparse, coccinelle, kernel-doc, shellcheck, ...; ONLY=names
	@scripts/deps.sh check
	@scripts/check.sh $(ONLY)

unit:		## the ring in userspace against model devices; VALGRIND=1 under memcheck
	@scripts/deps.sh $(if $(VALGRIND),valgrind,unit)
	@scripts/unit.sh $(if $(VALGRIND),valgrind)

fuzz:		## the same under libFuzzer for FUZZ_S=60 seconds, a device that does anything
	@scripts/deps.sh fuzz
	@scripts/unit.sh fuzz

selftest:	## kselftests inside the guest
	@scripts/deps.sh run
	@scripts/selftest.py

matrix:		## every way QEMU can wire a virtio device, stock beside ours; ROWS=pattern
	@scripts/deps.sh matrix
	@scripts/matrix.py

matrix-arch:	## beyond x86: compiled for five others, guests of arm64 and s390x
	@scripts/deps.sh arch
	@scripts/arch.py

matrix-qemus:	## the promise with the oldest and the newest QEMU; QEMUS="SUITE..." ROWS=
	@scripts/deps.sh qemus
	@scripts/qemus.py

life:		## hot plug, suspend, migration, failing disks under load; ROWS=pattern
	@scripts/deps.sh life
	@scripts/life.py

soak:		## all of make life at once, over and over, for SOAK_S=600 seconds
	@scripts/deps.sh life
	@scripts/life.py --soak=$(SOAK_S)

debian:		## Debian boots its own kernel with the series, stock beside ours; ROWS=pattern
	@scripts/deps.sh debian
	@scripts/debian.py

bench:		## figures, stock beside ours in one run, with plots
	@scripts/deps.sh bench
	@scripts/bench.py

each:		## build, test and boot the tree after each patch, one table; ROWS=pattern
	@scripts/deps.sh each
	@scripts/each.py

docs:		## the documents as HTML, build/$(BASE)/docs
	@scripts/deps.sh docs
	@scripts/check.sh docs

clean:		## remove build/; the cache stays
	rm -rf build
