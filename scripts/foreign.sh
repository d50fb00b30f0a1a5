#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# usage: scripts/foreign.sh SUITE|- ARCH PACKAGE...
#	 scripts/foreign.sh --site
# Unpack Debian packages of another suite (- for this machine's own) or of another
# architecture, with all that they depend on, beside the system and without its dpkg,
# and print the folder.  They come from the mirror that this machine's apt uses, and
# apt checks their signatures with Debian's keys.  What is there already is not
# fetched again; no root is needed.  With --site, print that mirror.
set -eu

die() { echo "foreign: $*" >&2; exit 1; }

if [ "$*" != --site ]; then
	[ $# -ge 3 ] || { sed -n '3,9s/^#.//p' "$0" >&2; exit 2; }
	suite=$1
	arch=$2
	shift 2
	for word in "$suite" "$arch" "$@"; do
		[[ $word =~ ^(-|[a-z0-9][a-z0-9.+-]*)$ ]] ||
			die "$word: no name of a suite, architecture or package"
	done
fi
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
type -P apt-get dpkg-deb >/dev/null || die "apt-get and dpkg-deb are missing: this needs Debian"
[ -r $keyring ] || die "$keyring is missing: apt-get install debian-archive-keyring"

# The first of the machine's sources that is Debian's own main: "site release".
# shellcheck disable=SC2016 # apt's own words
read -r site release < <(apt-get indextargets \
	--format '$(ORIGIN) $(LABEL) $(COMPONENT) $(SITE) $(RELEASE)' 'Created-By: Packages' |
	awk '$1 == "Debian" && $2 == "Debian" && $3 == "main" && $4 !~ /^cdrom:/ { print $4, $5; exit }') ||
	die "this machine's apt knows no source of Debian's main: apt-get update first"
[ "$*" != --site ] || { echo "$site"; exit 0; }
[ "$suite" != - ] || suite=$release

cache=${XDG_CACHE_HOME:-$HOME/.cache}/virtio-dma/foreign
words=$*
folder=$cache/$suite-$arch/${words// /,}
if [ -d "$folder" ]; then
	echo "$folder"
	exit 0
fi
apt=$cache/.apt/$suite-$arch
mkdir -p "$apt/lists/partial" "$cache/$suite-$arch"
exec 9>"$apt/lock"
flock 9
if [ -d "$folder" ]; then	# somebody else was at it
	echo "$folder"
	exit 0
fi

new=$cache/$suite-$arch/.new
rm -rf "$new"
mkdir -p "$new/archives/partial" "$new/root"
trap 'rm -rf "$new"; rmdir --ignore-fail-on-non-empty "$cache/$suite-$arch"' EXIT
trap 'exit 130' INT TERM
log=$new/log

# Backports depend on what they were made for.
for one in "$suite" "${suite%-backports}"; do
	echo "deb [target=Packages signed-by=$keyring] $site $one main"
done | uniq >"$apt/sources.list"
: >"$apt/status"
# It is read after the machine's own configuration.
cat >"$apt/apt.conf" <<-END
	#clear APT::Architectures;
	#clear APT::Update;
	#clear DPkg::Post-Invoke;
	#clear DPkg::Pre-Install-Pkgs;
	APT::Architecture "$arch";
	APT::Architectures { "$arch"; };
	APT::Default-Release "$suite";
	APT::Install-Recommends "false";
	APT::Sandbox::User "$(id -un)";
	APT::Update::Error-Mode "any";
	Acquire::Languages "none";
	Acquire::Retries "3";
	Dir::State "$apt";
	Dir::State::status "$apt/status";
	Dir::Cache::archives "$new/archives";
	Dir::Cache::pkgcache "";
	Dir::Cache::srcpkgcache "";
	Dir::Etc::sourcelist "$apt/sources.list";
	Dir::Etc::sourceparts "-";
	Dir::Etc::preferences "-";
	Dir::Etc::preferencesparts "-";
END

run()	# what it is for, then what to run
{
	local what=$1
	shift
	"$@" >"$log" 2>&1 </dev/null ||
		die "$what: $(grep -E -m 1 '^(E:|dpkg-deb: )' "$log" || tail -n 1 "$log")"
}
echo "foreign: fetching $words of $suite for $arch" >&2
run "no suite $suite for $arch, or no network" apt-get -q -c "$apt/apt.conf" update
run "$words of $suite for $arch" \
	apt-get -q -y -c "$apt/apt.conf" --download-only install "$@"
for package in "$new"/archives/*.deb; do
	[ -e "$package" ] || die "$words of $suite for $arch: apt-get fetched nothing"
	run "unpacking ${package##*/}" dpkg-deb -x "$package" "$new/root"
done
chmod -R u+rwX "$new/root"
mv "$new/root" "$folder"
echo "$folder"
