#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What can be said of the series without running it.
#
# Usage: scripts/check.sh [--list | CHECK...]
#
# Runs all checks, or those named, on the tree and the patches that tree.py
# makes of this repository.  Prints a line of KTAP for each; closes with
# "N passed, N failed, N skipped" and fails if one failed.  What each check had
# to say is in build/$BASE/check/CHECK.log.  "docs" alone also leaves the
# documents as HTML in build/$BASE/docs.

set -euo pipefail

cd "$(dirname "$0")/.."
repo=$PWD
BASE=${BASE:-6.12}
JOBS=${JOBS:-$(nproc)}
build=$repo/build/$BASE
tree=$build/linux
logs=$build/check
obj=$tree/build-check
series=series/$BASE

# A row a check, in the order of a run: its name and the programs that it needs.
# check_NAME passes if it returns 0 and prints nothing, but for lines that begin with
# "note: ", or "result: " for what everybody should see.
checks='
series
checkpatch	perl
configs
warnings	gcc
sparse		sparse
dma-api		spatch
coccinelle	spatch
addresses
kernel-doc	perl
exports
maintainers
abi		perl
docs		sphinx-build
shellcheck	shellcheck
python		python3
length
spelling	codespell
columns
'

die()
{
	echo "check: $*" >&2
	exit 1
}

# -- what the series is made of ----------------------------------------------

# Files of the tree that the series adds or changes, by pattern.
touched()
{
	git -C "$tree" diff --name-only --diff-filter=d "$base" HEAD -- "$@"
}

# Those of them that are ours from first line to last.
added()
{
	git -C "$tree" diff --name-only --diff-filter=A "$base" HEAD -- "$@"
}

# Lines that the series wrote, as "file:line", to tell them from the base's.
written()
{
	git -C "$tree" diff -U0 "$base" HEAD -- "$@" | awk '
		/^\+\+\+ / { file = substr($2, 3) }
		/^@@ / {
			split(substr($3, 2), at, ",")
			n = at[2] == "" ? 1 : at[2]
			for (i = 0; i < n; i++)
				print file ":" at[1] + i
		}'
}

# Of the messages of a compiler on stdin, those about lines of the series.
about_ours()
{
	written '*.c' '*.h' >"$logs/written"
	awk -v tree="$tree/" -F: '
		NR == FNR { ours[$0]; next }
		{
			file = $1
			if (index(file, tree) == 1)
				file = substr(file, length(tree) + 1)
			sub(/^(\.\.?\/)+/, "", file)
			if ($2 ~ /^[0-9]+$/ && (file ":" $2) in ours)
				print
		}' "$logs/written" -
}

# Scripts of this repository, by interpreter: tracked or about to be.
scripts_of()
{
	local f first

	git ls-files -co --exclude-standard -- ':!*.c' ':!*.h' | while read -r f; do
		[ -f "$f" ] || continue
		IFS= read -r first <"$f" 2>/dev/null || true
		case $first in
		'#!'*"$1"*)
			echo "$f" ;;
		*)
			case $f in *."$2") echo "$f" ;; esac ;;
		esac
	done | sort -u
}

# -- object files for the compilers ------------------------------------------

# Objects of all compiled files that the series adds or changes.
objects()
{
	touched 'arch/x86/*.c' 'block/*.c' 'drivers/*.c' 'kernel/*.c' \
		'net/*.c' 'sound/*.c' |
		sed 's/c$/o/'
}

kmake()
{
	make -C "$tree" O="$obj" -j"$JOBS" -s --no-print-directory \
		CC="$cc" HOSTCC="$hostcc" "$@"
}

# Once a run: a configured object directory, used for nothing but compiling our files.
configure()
{
	[ ! -e "$logs/configured" ] || return 0
	mkdir -p "$obj"
	if ! {
		kmake tinyconfig &&
			"$tree/scripts/kconfig/merge_config.sh" -m -O "$obj" \
				"$obj/.config" "$repo/scripts/config/guest.config" \
				"$repo/scripts/config/devices.config" &&
			kmake olddefconfig &&
			kmake prepare
	} >"$logs/configure.log" 2>&1; then
		tail -n 20 "$logs/configure.log"
		echo "the tree cannot be configured: $logs/configure.log"
		return 1
	fi
	touch "$logs/configured"
}

# compile NAME VARIABLE=VALUE...: our objects, and what is said of our lines.
compile()
{
	local raw=$logs/$1.raw

	shift
	configure || return
	# shellcheck disable=SC2046
	kmake "$@" $(objects) >"$raw.out" 2>"$raw" || {
		cat "$raw"
		return 1
	}
	about_ours <"$raw"
}

# -- checks ------------------------------------------------------------------

# Each patch has a message fit for a mail, and each overlay file is in just one.
check_series()
{
	local p

	: >"$logs/listed"
	for p in "$series"*/[0-9]*; do
		if ! [ -s "$p/message" ]; then
			echo "$p: no message"
			continue
		fi
		awk -v file="$p/message" '
			NR == 2 && length { print file ": line 2 is not blank" }
			/^(Signed-off|Reviewed|Acked|Tested)-by:/ {
				print file ":" NR ": nobody gave this tag"
			}' "$p/message"
		[ ! -f "$p/files" ] ||
			sed -n "s|^A[[:space:]]*|$p |p" "$p/files" >>"$logs/listed"
	done

	added '*.[chS]' '*.rst' '*.sh' '*Makefile' | while read -r p; do
		head -n 2 "$tree/$p" | grep -Eq \
			'SPDX-License-Identifier: GPL-2.0(-only)?( \*/)?$' ||
			echo "$p: no license tag of GPL-2.0-only"
	done

	git ls-files -co --exclude-standard -- Documentation arch block drivers \
		include kernel tools "$series/files" | while read -r p; do
		[ ! -e "$p" ] || echo "${p#"$series/files/"}"
	done | sort -u | awk '
		list { listed[$0]; next }
		{
			n = 0
			split("", patches)
			for (l in listed) {
				split(l, f, " ")
				if ($0 != f[2] && (f[2] !~ /\/$/ || index($0, f[2]) != 1))
					continue
				used[l]
				n += !(f[1] in patches)
				patches[f[1]]
			}
			if (n != 1)
				print $0 ": in " n " patches, not in one"
		}
		END {
			for (l in listed)
				if (!(l in used)) {
					split(l, f, " ")
					print f[2] ": in a patch, but not here"
				}
		}' list=y "$logs/listed" list= -
}

# FILE_PATH_CHANGES: the series has its MAINTAINERS entry in a patch of its own.
# MISSING_SIGN_OFF: it carries none on purpose; whoever submits adds theirs.
# What else cannot be helped, checkpatch-allowed names by file, with the reason.
check_checkpatch()
{
	local root=$logs/root f

	# A tree without get_maintainer.pl and spdxcheck.py, which checkpatch
	# would run for each file and which take longer than all the rest.
	# check_series looks at licenses.
	rm -rf "$root"
	mkdir -p "$root/scripts"
	for f in "$tree"/*; do
		case $f in */scripts|*/build-*) ;; *) ln -s "$f" "$root/" ;; esac
	done
	find "$build/series" "$repo/series" -path '*-fixes/*/hunks.patch' -print0 -o \
		-name '[0-9]*.patch' ! -name '0000-*' -print0 |
		(cd "$tree" && xargs -0 -n 1 -P "$JOBS" "$tree/scripts/checkpatch.pl" \
		--root="$root" --strict --terse --showfile --show-types \
		--no-summary --color=never \
		--ignore FILE_PATH_CHANGES,MISSING_SIGN_OFF) \
		>"$logs/checkpatch.raw" 2>&1 || true
	sort -u "$logs/checkpatch.raw" | awk '
		FNR == 1 { nfile++ }
		nfile == 1 {
			if ($1 !~ /^#/ && NF)
				allowed[$2 " " $1]
			next
		}
		/^NOTE: |^$/ { next }
		{
			split($0, at, ":")
			type = ""
			if (match($0, /: (ERROR|WARNING|CHECK):[A-Z_0-9]+: /)) {
				type = substr($0, RSTART + 2, RLENGTH - 4)
				sub(/^[A-Z]*:/, "", type)
			}
			key = at[1] " " type
			if (key in allowed) {
				used[key]
				next
			}
			print
		}
		END {
			for (key in allowed)
				if (!(key in used))
					print "checkpatch-allowed: no more of " key
		}' scripts/checkpatch-allowed -
}

# What is up to date is silent: compile it anew.
check_warnings()
{
	objects | sed "s,^,$obj/," | xargs rm -f
	compile warnings W=1
}

check_sparse()
{
	compile sparse C=2 CHECK=sparse CF=-D__CHECK_ENDIAN__
}

# Each flavour of scripts/kernel.sh can have the options that it asks for.  Those of
# one architecture share a folder: begin with one of each.
check_configs()
{
	local cc flavour
	local -a flavours=()

	while read -r flavour cc; do
		if command -v "$cc" >/dev/null; then
			flavours+=("$flavour")
		else
			echo "note: $flavour is not looked at, for $cc is not installed"
		fi
	done <<-END
		debug	gcc
		arm64	aarch64-linux-gnu-gcc
		kcsan	gcc
		s390x	s390x-linux-gnu-gcc
		kmsan	clang
		modular	gcc
		devices	gcc
	END
	printf '%s\n' "${flavours[@]}" |
		xargs -P "$JOBS" -I{} scripts/kernel.sh --configure {} 2>&1 |
		tee "$logs/configs.raw" | grep -E '^(kernel|make) ?[^:]*: |error' |
		sed '/can be configured$/s/^/note: /' || true
	[ "$(grep -c 'can be configured$' "$logs/configs.raw")" -eq ${#flavours[@]} ]
}

dma_api()
{
	spatch --very-quiet -D report --no-includes \
		--cocci-file "$repo/scripts/dma-api.cocci" "$@"
}

# The rule has to find what it should before its silence means anything.
check_dma-api()
{
	local bad=scripts/tests/dma-api-bad.c f

	dma_api $bad | cut -d: -f2 | sort -nu >"$logs/dma-api.found"
	grep -n '/\* found \*/' $bad | cut -d: -f1 | sort -nu |
		diff - "$logs/dma-api.found" ||
		echo "the rule does not find just the marked lines of $bad"
	cd "$tree"
	dma_api drivers/virtio/ring/dma.c >"$logs/dma-api.dma"
	for f in dma_map_ dma_unmap_ dma_alloc_ dma_free_ dma_sync_ virt_to_phys; do
		grep -q ": $f" "$logs/dma-api.dma" || echo "the rule does not find $f in dma.c"
	done
	for f in drivers/virtio/ring/*.[ch]; do
		case $f in
		*/dma.c|*/map.[ch]) continue ;;
		# Headers declare with macros that spatch cannot parse: the
		# check "addresses" has them too.
		*.h) ;;
		*)	spatch --very-quiet --no-includes --parse-c "$f" 2>&1 |
				grep 'perfect = 1' >/dev/null ||
				echo "$f: spatch parses it in part only" ;;
		esac
		dma_api "$f" || echo "$f: spatch failed"
	done
}

# coccinelle_rule RULE FILE...: with the options that the rule asks for.
coccinelle_rule()
{
	local rule=$1 opts

	shift
	opts=$(sed -n 's,^// Options: *,,p' "$rule")
	# shellcheck disable=SC2086
	spatch --very-quiet -D report $opts --cocci-file "$rule" "$@" \
		2>"$logs/${rule//\//-}.err" || {
		cat "$logs/${rule//\//-}.err"
		echo "$rule: spatch failed"
	}
}
export logs
export -f coccinelle_rule

# The kernel's own rules, on the files that are ours, but for those few that
# need a compiler for OCaml.
check_coccinelle()
{
	local -a files

	cd "$tree"
	mapfile -t files < <(added 'arch/*.c' 'drivers/*.c')
	# shellcheck disable=SC2016
	grep -L script:ocaml scripts/coccinelle/{api,free,iterators,locks,misc,null,tests}/*.cocci |
		xargs -P "$JOBS" -I{} \
			bash -c 'coccinelle_rule "$@"' _ {} "${files[@]}"
}

# What dma-api looks for, by name alone and in macros too, but not in comments.
check_addresses()
{
	local f words

	words=$(sed -n 's/^identifier f =~ "^\(.*\)$";/\1/p' scripts/dma-api.cocci |
		sed 's/\.+/[a-z_0-9]+/g' | paste -s -d '|')
	[ "$words" ] || echo "scripts/dma-api.cocci names no functions"
	for f in drivers/virtio/ring/*.[ch]; do
		case $f in */dma.c|*/map.[ch]) continue ;; esac
		"$cpp" -fpreprocessed -dD -E "$f" 2>/dev/null | grep -nwE "$words" | sed "s,^,$f: ,"
	done
	! git grep --untracked -nwE 'virt_to_phys|sg_phys|page_to_phys' \
		-- drivers/virtio ':!drivers/virtio/ring/dma.c'
}

check_kernel-doc()
{
	cd "$tree"
	# shellcheck disable=SC2046
	scripts/kernel-doc -none -Wall \
		$(added 'arch/*.[ch]' 'drivers/*.[ch]' 'include/*.h') \
		include/linux/virtio_ring.h
}

# What the base's virtio_ring exports, the ring exports too, to the same users.
check_exports()
{
	local exports='s/^\(EXPORT_SYMBOL[A-Z_]*\)(\([a-z_0-9]*\)).*/\2 \1/p'

	cd "$tree"
	git show "$base:drivers/virtio/virtio_ring.c" | sed -n "$exports" |
		sort >"$logs/exports.base"
	sed -n "$exports" drivers/virtio/ring/*.c | sort >"$logs/exports.ours"
	uniq -d "$logs/exports.ours" | sed 's/$/: exported twice/'
	echo "note: $(wc -l <"$logs/exports.base") symbols in the base"
	comm -13 "$logs/exports.base" "$logs/exports.ours" | sed 's/^/note: new: /'
	comm -23 "$logs/exports.base" "$logs/exports.ours" | sed 's/^/missing: /'
}

# Our MAINTAINERS entry is the kernel's, and names files that exist, and all of ours.
check_maintainers()
{
	local entry='/^VIRTIO RING DMA$/,/^$/{/^$/!p}' f

	diff <(sed -n "$entry" "$tree/MAINTAINERS") <(sed -n "$entry" MAINTAINERS) ||
		echo "MAINTAINERS differs from the entry in the series"
	sed -n "$entry" MAINTAINERS | sed -n 's/^F:[[:space:]]*//p' >"$logs/maintained"
	while read -r f; do
		[ -e "$tree/$f" ] || echo "MAINTAINERS: $f is not in the tree"
	done <"$logs/maintained"
	added | awk '
		list { ours[$1]; next }
		{
			for (f in ours)
				if ($0 == f || (f ~ /\/$/ && index($0, f) == 1))
					next
			print $0 ": in no entry of MAINTAINERS"
		}' list=y "$logs/maintained" list= -
}

# tabled FILE: the words that the tables of an ABI document explain.
tabled()
{
	awk '$1 ~ /^==+$/ { table = !table } table && /^\t\t[a-z]/ { print $1 }' "$1" | sort
}

# What a debugfs file has as columns and a sysfs file as words, their documents explain.
check_abi()
{
	local d=$logs/Documentation/ABI f key abi=Documentation/ABI/testing

	for f in "$abi"/*; do
		for key in What Date KernelVersion Contact Description; do
			grep -q "^$key:" "$f" || echo "$f: no $key:"
		done
	done
	grep -oE 'seq_puts\(s, "index [^"\\]*' drivers/virtio/ring/debug.c | cut -d '"' -f 2 |
		xargs -n 1 | sort | diff - <(tabled $abi/debugfs-virtio-virtqueues) ||
		echo "debug.c (<) and debugfs-virtio-virtqueues (>) have other columns"
	grep -E '^\s*return .*"' drivers/virtio/ring/access.c | grep -oE '"[a-z-]+"' |
		tr -d '"' | sort -u | diff - <(tabled $abi/sysfs-bus-virtio-dma-access) ||
		echo "access.c (<) and sysfs-bus-virtio-dma-access (>) have other words"
	rm -rf "$d"
	mkdir -p "$d"
	cp -R $abi "$d"
	perl "$tree/scripts/get_abi.pl" validate --dir "$d/testing"
}

# split_rows FILE...: in a simple table a first cell that goes on in a second line is
# two rows in HTML.
split_rows()
{
	awk '
		/^ *=+( +=+)+$/ { width = index($0, "= ") }
		!length { width = 0 }
		width && length > width && (comma = substr($0, 1, width) ~ /, *$/) { next }
		width && length && length <= width && comma {
			print FILENAME ":" FNR ": half a row of a table: " $0
		}
		{ comma = 0 }' "$@"
}

# Our documents and the base's virtio documents, which include kernel-doc of
# the ring, with the kernel's own Sphinx configuration.
check_docs()
{
	local src=$build/docs-src out=$build/docs abi f

	abi=$src/Documentation/ABI/testing
	# shellcheck disable=SC2046
	(cd "$tree" && split_rows "$repo/README" $(added '*.rst'))
	rm -rf "$src"
	mkdir -p "$src/admin-guide" "$src/driver-api" "$abi"
	for f in virtio-dma.rst kernel-parameters.rst kernel-parameters.txt; do
		ln -s "$tree/Documentation/admin-guide/$f" "$src/admin-guide/"
	done
	ln -s "$tree/Documentation/driver-api/virtio" "$src/driver-api/virtio"
	ln -s "$repo/README" "$src/readme.rst"
	added 'Documentation/ABI/testing/*' | while read -r f; do
		cp "$tree/$f" "$abi/"
	done
	# The path of a file is named from "Documentation/ABI" on.
	printf 'ABI\n===\n\n.. kernel-abi:: %s\n   :rst:\n' "$abi" >"$src/abi.rst"
	printf '%s\n' 'virtio on the DMA API' '=====================' '' \
		'.. toctree::' '   :maxdepth: 2' '' '   readme' \
		'   admin-guide/virtio-dma' '   driver-api/virtio/index' '   abi' \
		'   admin-guide/kernel-parameters' >"$src/index.rst"

	srctree=$tree BUILDDIR=$out PYTHONDONTWRITEBYTECODE=1 \
		sphinx-build -q -j "$JOBS" -b html -c "$tree/Documentation" \
		-d "$build/docs-src/.doctrees" \
		-D kerneldoc_srctree="$tree" \
		-D kerneldoc_bin="$tree/scripts/kernel-doc" \
		-D version="$BASE" -Drelease="$BASE" \
		"$src" "$out" >"$logs/docs.raw" 2>&1 || {
		cat "$logs/docs.raw"
		return 1
	}
	# What the kernel's configuration says of itself is no complaint.
	grep -vE '^Using .* theme$|graphviz.org$' "$logs/docs.raw"
	grep -n "$build" "$out/abi.html"
	echo "result: ${out#"$repo"/}/index.html"
}

check_shellcheck()
{
	local -a files

	mapfile -t files < <(scripts_of sh sh)
	shellcheck -x -P SCRIPTDIR "${files[@]}"
}

# As old a Python as the README promises, and no more than its library.
check_python()
{
	scripts_of python3 py | python3 -c '
import ast, os, sys
paths = sys.stdin.read().split()
own = {os.path.basename(p)[:-3] for p in paths if p.endswith(".py")}
own |= {os.path.basename(os.path.dirname(p)) for p in paths}
known = own | set(sys.stdlib_module_names)
for path in paths:
    try:
        with open(path, encoding="utf-8") as f:
            tree = ast.parse(f.read(), path, feature_version=(3, 9))
    except SyntaxError as e:
        print(f"{path}:{e.lineno}: {e.msg}")
        continue
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module]
        for name in names:
            top = name.split(".")[0]
            if top not in known:
                print(f"{path}:{node.lineno}: {top} is not in the standard library")
    if not ast.get_docstring(tree) and tree.body:
        print(f"{path}: no docstring")
'
}

# A hint, not a law: a file that long may have more than one reason to change.
check_length()
{
	local f n

	for f in $(added '*.c' '*.h'); do
		n=$(wc -l <"$tree/$f")
		[ "$n" -le 900 ] || echo "note: $f has $n lines"
	done
}

# Names in the code that codespell takes for misspelt words: nin, parms and inflight; a
# directory of the kernel: busses; and a word that git says: uptodate.
check_spelling()
{
	local f lines=$logs/added

	rm -rf "$lines"
	git ls-files -co --exclude-standard -- ':!COPYING' | while read -r f; do
		case $f in
		*.patch)
			[ -f "$f" ] || continue
			mkdir -p "$lines/${f%/*}"
			sed '/^+/!s/.*//' "$f" >"$lines/$f"
			echo "$lines/$f" ;;
		*)	[ ! -f "$f" ] || echo "$f" ;;
		esac
	done | xargs -d '\n' codespell -L nin,parms,inflight,busses,uptodate |
		sed "s|^$lines/||"
}

# 75 columns of a mail, 80 of a document but for its tables, and 100 of a table and of a
# comment, as checkpatch has them.
check_columns()
{
	local f

	for f in series/*/cover series/*/[0-9]*/message; do
		awk 'length > 75 && !/^    / && !/:\/\// { print FILENAME ":" FNR ": beyond 75" }' "$f"
	done
	git ls-files -co --exclude-standard -- '*.rst' README 'Documentation/ABI' '*.[ch]' |
		while read -r f; do
			[ ! -f "$f" ] || expand "$f" | awk -v file="$f" '
				/^ *=+( +=+)+$/ { table = 1 }
				!length { table = 0 }
				{ max = table || file ~ /[.][ch]$/ ? 100 : 80 }
				file ~ /[.][ch]$/ && !/^ *(\/\*|\* )/ { next }
				length > max { print file ":" FNR ": beyond " max }'
		done
}

# -- run them ----------------------------------------------------------------

names=$(awk 'NF { print $1 }' <<<"$checks")
if [ "${1:-}" = --list ]; then
	echo "$names"
	exit 0
fi
# shellcheck disable=SC2086	# a list of words
[ $# -gt 0 ] || set -- $names
for name; do
	grep -qxF -e "$name" <<<"$names" ||
		die "no check is called '$name'; there are: ${names//$'\n'/ }"
done
[ -d "$series" ] || die "no series for base $BASE; there is $(ls -m series)"

mkdir -p "$logs"
rm -f "$logs/configured"
for step in tree series; do
	scripts/tree.py $step >"$logs/$step.log" 2>&1 || {
		tail -n 5 "$logs/$step.log" >&2
		die "scripts/tree.py $step failed: $logs/$step.log"
	}
done
base=$(git -C "$tree" rev-list --max-parents=0 HEAD)
# shellcheck source-path=SCRIPTDIR
. scripts/lib/kbuild.sh
hostcc=$cc cpp=gcc

green='' red='' yellow='' plain=''
if [ -t 1 ]; then
	green=$'\e[32m' red=$'\e[31m' yellow=$'\e[33m' plain=$'\e[0m'
fi

# run NAME: sets "verdict" to ok, not or the reason of a skip.
run()
{
	local program
	local -a programs

	read -ra programs < <(awk -v name="$1" '$1 == name { $1 = ""; print }' <<<"$checks") ||
		true
	for program in "${programs[@]}"; do
		if ! command -v "$program" >/dev/null; then
			verdict="$program is not installed: scripts/deps.sh check"
			return
		fi
	done
	verdict=not
	(set +e; "check_$1") >"$logs/$1.log" 2>&1 || return 0
	grep -qvE '^(note|result): ' "$logs/$1.log" || verdict=ok
}

echo "TAP version 13"
echo "1..$#"
passed=0 failed=0 skipped=0 n=0
for name; do
	n=$((n + 1))
	run "$name"
	case $verdict in
	ok)	passed=$((passed + 1))
		echo "${green}ok $n $name$plain"
		sed -n 's/^result:/#/p' "$logs/$name.log" ;;
	not)	failed=$((failed + 1))
		echo "${red}not ok $n $name$plain"
		head -n 30 "$logs/$name.log" | sed 's/^/# /'
		echo "# all of it: $logs/$name.log" ;;
	*)	skipped=$((skipped + 1))
		echo "${yellow}ok $n $name # SKIP $verdict$plain" ;;
	esac
done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
