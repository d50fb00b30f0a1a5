# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154,SC2164	# check.sh, which reads this, has them
# The checks of make check that look at code.

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
	sort -u "$logs/checkpatch.raw" | awk -v version="${BASE%%-*}" '
		FNR == 1 { nfile++ }
		nfile == 1 {
			if ($1 !~ /^#/ && NF && (NF == 2 || $3 == version))
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
	dma_api drivers/virtio/ring/{dma.c,map.c,map.h} >"$logs/dma-api.dma"
	for f in dma_map_ dma_unmap_ dma_alloc_ dma_free_ dma_sync_ virt_to_phys; do
		grep -q ": $f" "$logs/dma-api.dma" || echo "the rule does not find $f in dma.c and map.[ch]"
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
