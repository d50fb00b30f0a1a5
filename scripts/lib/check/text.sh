# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154,SC2164	# check.sh, which reads this, has them
# The checks of make check that look at patches, documents and scripts.

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

check_kernel-doc()
{
	cd "$tree"
	# shellcheck disable=SC2046
	scripts/kernel-doc -none -Wall \
		$(added 'arch/*.[ch]' 'drivers/*.[ch]' 'include/*.h') \
		include/linux/virtio_ring.h
}

# Our MAINTAINERS entry is the kernel's, and names files that exist, and all of ours.
check_maintainers()
{
	local entry='/^VIRTIO RING DMA$/,/^$/{/^$/!p}' f

	diff <(sed -n "$entry" "$tree/MAINTAINERS") <(sed -n "$entry" MAINTAINERS) ||
		echo "MAINTAINERS differs from the entry in the series"
	sed -n "$entry" MAINTAINERS | sed -n 's/^F:[[:space:]]*//p' >"$logs/maintained"
	while read -r f; do
		compgen -G "$tree/$f" >/dev/null || echo "MAINTAINERS: $f is not in the tree"
	done <"$logs/maintained"
	added | awk '
		list { whole = $1 !~ /[\/*]$/; sub(/\*$/, "", $1); ours[$1] = whole; next }
		{
			for (f in ours)
				if (ours[f] ? $0 == f : index($0, f) == 1)
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
	if [ -e "$tree/scripts/get_abi.pl" ]; then
		perl "$tree/scripts/get_abi.pl" validate --dir "$d/testing"
	else	# the base has it in Python
		python3 -B "$tree/tools/docs/get_abi.py" --dir "$d/testing" validate
	fi
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
	local top=$build/docs-src out=$build/docs src abi of f
	local -a bin=()

	# As in a kernel tree: the base's extensions look for their own files there.
	src=$top/Documentation
	abi=$src/ABI/testing
	# shellcheck disable=SC2046
	(cd "$tree" && split_rows "$repo/README" $(added '*.rst'))
	rm -rf "$top"
	mkdir -p "$src/admin-guide" "$src/driver-api" "$abi"
	for f in virtio-dma.rst kernel-parameters.rst kernel-parameters.txt; do
		ln -s "$tree/Documentation/admin-guide/$f" "$src/admin-guide/"
	done
	ln -s "$tree/Documentation/driver-api/virtio" "$src/driver-api/virtio"
	ln -s "$repo/README" "$src/readme.rst"
	added 'Documentation/ABI/testing/*' | while read -r f; do
		cp "$tree/$f" "$abi/"
	done
	ln -s "$tree/MAINTAINERS" "$tree/scripts" "$tree/tools" "$top/"
	# The path of a file is named from "Documentation/ABI" on.
	of=testing
	if [ -e "$tree/scripts/get_abi.pl" ]; then	# not yet in Python
		of="$abi"$'\n   :rst:'
		bin=(-D "kerneldoc_bin=$tree/scripts/kernel-doc")
	fi
	printf 'ABI\n===\n\n.. kernel-abi:: %s\n' "$of" >"$src/abi.rst"
	printf '%s\n' 'virtio on the DMA API' '=====================' '' \
		'.. toctree::' '   :maxdepth: 2' '' '   readme' \
		'   admin-guide/virtio-dma' '   driver-api/virtio/index' '   abi' \
		'   admin-guide/kernel-parameters' >"$src/index.rst"

	srctree=$top BUILDDIR=$out PYTHONDONTWRITEBYTECODE=1 \
		sphinx-build -q -j "$JOBS" -b html -c "$tree/Documentation" \
		-d "$top/.doctrees" \
		-D kerneldoc_srctree="$tree" \
		${bin[@]+"${bin[@]}"} \
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
