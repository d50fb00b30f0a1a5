# SPDX-License-Identifier: GPL-2.0-only
"""The base: fetched, cached as a bare git repository, or read from KDIR.

The cache holds archives (linux-source-6.12_*.deb, linux-6.12*.tar.*) and, of
each archive that was used, base-VERSION-DIGEST.git with one commit.  A
repository is complete as soon as it has that name; until then it is tmp-*.
"""

import collections
import contextlib
import glob
import gzip
import hashlib
import os
import re
import shutil
import stat
import subprocess
import tarfile
import urllib.parse

from lib.util import (Fail, Git, GitError, git_env, locked, progress, quote_path,
                      read_entry, remove_tree)

Base = collections.namedtuple("Base", "key commit title")


def version_key(version):
    """Sorts 6.12.9 before 6.12.10, and a ~suffix before none."""
    parts = re.findall(r"\d+|~|[^\d~]+", version)
    return [(0, 0, "") if p == "~" else (3, int(p), "") if p.isdigit()
            else (2, 0, p) for p in parts] + [(1, 0, "")]


def check_version(makefile, wanted, where):
    """The full version that @makefile (bytes) tells, Fail if not @wanted."""
    found = [re.search(rb"^%s *= *(\d+) *$" % name, makefile or b"", re.M)
             for name in (b"VERSION", b"PATCHLEVEL", b"SUBLEVEL")]
    if not all(found):
        raise Fail("%s is not a kernel source tree: no VERSION and PATCHLEVEL "
                   "in its Makefile" % where)
    found = [match.group(1).decode() for match in found]
    if ".".join(found[:2]) != wanted:
        raise Fail("%s is Linux %s, the series is for %s: give a %s tree"
                   % (where, ".".join(found), wanted, wanted))
    return ".".join(found)


def check_kdir(paths):
    """The version of the tree at KDIR."""
    makefile = read_entry(os.path.join(paths.kdir, "Makefile"))
    return check_version(makefile and makefile[1], paths.version, paths.kdir)


# --- import ----------------------------------------------------------------

def _tidy(path, data):
    """Debian's .gitignore hides the whole tree: make git see it again."""
    if path == ".gitignore" and b"\n/*\n" in data:
        data = data.replace(b"\n/*\n", b"\n!.gitignore\n").replace(b"\n!/debian/\n", b"\n")
    return data


def _fast_import(git, ref, date, message, files, shown, total=""):
    """Make @files, (path, mode, bytes) each, one commit at @ref."""
    with subprocess.Popen(
            ("git", "-c", "core.compression=1", "-c", "fastimport.unpackLimit=0",
             "fast-import", "--quiet", "--force", "--depth=0"),
            stdin=subprocess.PIPE, stderr=subprocess.PIPE, cwd=git.git_dir,
            env=git.env, bufsize=1 << 20) as proc:
        try:
            put, message = proc.stdin.write, message.encode()
            # The branch goes to its ref when all files are in: "done" is last.
            put(b"feature done\ncommit %s\ncommitter base <base@localhost> %d +0000\n"
                b"data %d\n%s\ndeleteall\n" % (ref.encode(), date, len(message), message))
            for count, (path, mode, data) in enumerate(files, 1):
                data = _tidy(path, data)
                put(b"M %s inline %s\ndata %d\n" % (mode.encode(), quote_path(path), len(data)))
                put(data)
                put(b"\n")
                shown.update("%d%s files" % (count, total))
            put(b"done\n")
            proc.stdin.close()
        except BrokenPipeError:
            pass
        except BaseException:
            proc.kill()
            raise
        err = proc.stderr.read().decode(errors="replace")
    if proc.returncode:
        raise GitError(("fast-import",), proc.returncode, err)
    return git.out("rev-parse", ref)


_UNPACK = {"xz": "xz -dc -T0", "gz": "gzip -dc", "bz2": "bzip2 -dc", "zst": "zstd -dc"}
_UNPACK_DEB = ('dpkg-deb --fsys-tarfile "$0" | '
               "tar -xOf - --wildcards './usr/src/linux-source-*.tar.xz' | xz -dc -T0")


def _tar_files(stream):
    """The time of the first member, then (path, mode, bytes) of each file, its
    leading directory taken off."""
    with tarfile.open(fileobj=stream, mode="r|", bufsize=1 << 20) as tar:
        for num, member in enumerate(tar):
            if num == 0:
                yield int(member.mtime)
            path = os.path.normpath(member.name).partition("/")[2]
            if member.isfile():
                mode = "100755" if member.mode & 0o100 else "100644"
                yield path, mode, tar.extractfile(member).read()
            elif member.issym():
                yield path, "120000", os.fsencode(member.linkname)
            elif not member.isdir():
                raise Fail("%s in the archive is neither file, link nor directory"
                           % member.name)
            tar.members = []


def _import_archive(path, version, cache, base):
    """base-VERSION-DIGEST.git out of the archive at @path."""
    digest = hashlib.sha256()
    with open(path, "rb") as src:
        for block in iter(lambda: src.read(1 << 20), b""):
            digest.update(block)
    final = os.path.join(cache, "base-%s-%s.git" % (version, digest.hexdigest()[:12]))
    if os.path.isdir(final):
        return final
    temp = os.path.join(cache, "tmp-import")
    remove_tree(temp)
    unpack = _UNPACK_DEB if path.endswith(".deb") else \
        _UNPACK[path.rsplit(".", 1)[1]] + ' "$0"'
    wrong = None
    with progress("base: unpacking %s" % os.path.basename(path)) as shown:
        try:
            subprocess.run(("git", "init", "-q", "--bare", "-b", "base", temp),
                           env=git_env(), check=True)
            git = Git(temp)
            with subprocess.Popen(
                    ("/bin/bash", "-o", "pipefail", "-c", unpack, path),
                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE) as pipe:
                try:
                    # The first member tells the date, the rest comes as it is read.
                    files = _tar_files(pipe.stdout)
                    _fast_import(git, "refs/heads/base", next(files),
                                 "Linux %s\n\nThe base, as unpacked from %s.\n"
                                 % (version, os.path.basename(path)), files, shown)
                    while pipe.stdout.read(1 << 20):
                        pass
                except (tarfile.TarError, StopIteration) as err:
                    wrong = str(err) or "it is empty"
                    pipe.stdout.close()
                except BaseException:
                    pipe.kill()
                    raise
                said = pipe.stderr.read().decode(errors="replace").strip()
            if wrong or pipe.returncode:
                raise Fail("%s is damaged (%s): delete it and run this again" % (
                    path, said.split("\n")[0] or wrong or "status %d" % pipe.returncode))
            check_version(git.files("base", ["Makefile"]).get("Makefile", [b""])[-1],
                          base, path)
            os.rename(temp, final)
        finally:
            remove_tree(temp)
    return final


# --- the cache -------------------------------------------------------------

def _scan(cache, base):
    """[(version key, is repository, version, path)] of what the cache holds."""
    found = []
    patterns = (
        (1, r"base-(%s[^-]*(?:-.*)?)-[0-9a-f]{12}\.git$"),
        (0, r"linux-source-%s_([^_]+)_all\.deb$"),
        (0, r"linux-(%s(?:\.\d+)?)\.tar\.(?:xz|gz|bz2|zst)$"),
    )
    names = os.listdir(cache) if os.path.isdir(cache) else []
    for name in names:
        for is_repo, pattern in patterns:
            match = re.match(pattern % re.escape(base), name)
            if match:
                version = match.group(1).replace("%3a", ":")
                found.append((version_key(version), is_repo, version,
                              os.path.join(cache, name)))
    return sorted(found)


def cached_repositories(cache, base):
    return [path for _, is_repo, _, path in _scan(cache, base) if is_repo]


def cached(cache, base):
    """Path of the newest base's repository, None if the cache has no base."""
    with locked(os.path.join(cache, ".lock")):
        found = _scan(cache, base)
        if not found:
            return None
        _, is_repo, version, path = found[-1]
        return path if is_repo else _import_archive(path, version, cache, base)


def _apt(*args, **kw):
    return subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          stdin=subprocess.DEVNULL, check=False, text=True,
                          env=dict(os.environ, LC_ALL="C.UTF-8"), **kw)


def _candidate(package):
    """{"Version": ..., "Size": ...} of the newest one that apt knows, or {}."""
    out = _apt("apt-cache", "show", "--no-all-versions", package).stdout
    found = dict(re.findall(r"^(Version|Size): (.*)$", out, re.M))
    return found if len(found) == 2 else {}


def _of_suite(paths, suite):
    """Put the base of another suite of Debian's into the cache, or, where that is gone,
    the one that the suite has in its place: the version, such as 7.3."""
    for package in ("linux-source-" + paths.version, "linux-source"):
        with progress("base: fetching %s of %s" % (package, suite)):
            proc = subprocess.run((os.path.join(paths.root, "scripts/foreign.sh"), suite,
                                   "amd64", package), stdin=subprocess.DEVNULL, check=False,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if not proc.returncode:
            break
        said = proc.stderr.strip().split("\n")[-1]
        if "Unable to locate" not in said:
            raise Fail("cannot fetch %s: %s" % (package, said))
    else:
        raise Fail("cannot fetch linux-source-%s: %s" % (paths.version, said))
    top = proc.stdout.strip()
    path, = glob.glob(top + "/usr/src/linux-source-*.tar.xz")
    package = os.path.basename(path)[:-len(".tar.xz")]
    with gzip.open("%s/usr/share/doc/%s/changelog.Debian.gz" % (top, package), "rt") as log:
        version = re.search(r"\(([\d.]+)", log.readline()).group(1)
    archive = os.path.join(paths.cache, "linux-%s.tar.xz" % version)
    if not os.path.exists(archive):
        os.link(path, archive)
    found = package[len("linux-source-"):]
    if found != paths.version:
        print("base: %s has no linux-source-%s any more; Linux %s of it is taken"
              % (suite, paths.version, version), flush=True)
    return found


def download(paths):
    """Fetch the newest linux-source package that apt knows into the cache, or the one of
    the suite that series/VERSION/suite names: its version."""
    cache, version = paths.cache, paths.version
    package = "linux-source-" + version
    suite = read_entry(os.path.join(paths.root, "series", version, "suite"))
    if suite:
        return _of_suite(paths, suite[1].decode().strip())
    by_hand = ("put %s_*_all.deb or linux-%s.*.tar.xz into %s, or set KDIR= to a %s tree"
               % (package, version, cache, version))
    if not shutil.which("apt-get"):
        raise Fail("no base yet and no apt-get here to fetch it: " + by_hand)
    with locked(os.path.join(cache, ".lock")):
        error = None
        # What apt knows may be nothing yet, or superseded since it read its lists.
        for renew in (False, True) if os.geteuid() == 0 else (False,):
            if renew:
                with progress("base: apt-get update"):
                    _apt("apt-get", "-q", "update")
            found = _candidate(package)
            if any(found.get("Version") == known for _, _, known, _ in
                   _scan(cache, version)):
                return version
            error = found and _fetch(cache, package, int(found["Size"]))
            if found and not error:
                return version
    raise Fail("cannot fetch %s (%s): %s" % (package, error, by_hand) if error else
               "apt knows no %s (apt-get update may help): %s" % (package, by_hand))


def _fetch(cache, package, size):
    """Download into a temporary folder, check, rename.  The error, or None."""
    temp = os.path.join(cache, "tmp-download")
    remove_tree(temp)
    os.makedirs(temp)
    user = ["-o", "APT::Sandbox::User=root"] if os.geteuid() == 0 else []
    try:
        with progress("base: downloading %s, %d MB" % (package, size >> 20)) as shown, \
                subprocess.Popen(["apt-get", *user, "-q", "download", package], cwd=temp,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.PIPE, text=True,
                                 env=dict(os.environ, LC_ALL="C.UTF-8")) as proc:
            err = None
            while err is None:
                try:
                    err = proc.communicate(timeout=0.3)[1]
                except subprocess.TimeoutExpired:
                    got = sum(e.stat().st_size for e in os.scandir(temp))
                    shown.update("%d%%" % (100 * got // max(size, 1)))
                except BaseException:
                    proc.kill()
                    raise
        if proc.returncode:
            return (re.findall(r"^E: (.*)", err, re.M) +
                    ["apt-get status %d" % proc.returncode])[0]
        name, = os.listdir(temp)
        path = os.path.join(temp, name)
        if os.path.getsize(path) != size:
            return "%d of %d bytes came" % (os.path.getsize(path), size)
        os.rename(path, os.path.join(cache, name))
    except OSError as err:
        return str(err)
    finally:
        remove_tree(temp)
    return None


def link_objects(source, target):
    """Give @target the packs of @source: hard links, or copies across disks."""
    src, dst = (os.path.join(top, "objects", "pack") for top in (source, target))
    # A pack counts from the moment its .idx is there, so that comes last.
    for name in sorted(os.listdir(src), key=lambda n: n.endswith(".idx")):
        to = os.path.join(dst, name)
        if not os.path.exists(to):
            try:
                os.link(os.path.join(src, name), to)
            except OSError:
                shutil.copyfile(os.path.join(src, name), to + ".tmp")
                os.rename(to + ".tmp", to)


# --- KDIR ------------------------------------------------------------------

# What a build, quilt or make apply leaves in a plain tree.  Kernels have files
# such as vmlinux.lds.S and kvm_guest.config, and tools/include/generated/.
_BUILT = re.compile(
    r".+\.(o|a|ko|so|mod|mod\.c|dwo|gcno|gcda|dtb|dtbo|symtypes|lex\.c|tab\.[ch]|su"
    r"|order|rej|orig|dbg)|.*~|\..*\.(cmd|d)|\.(config(\.old)?|version)|\.(tmp_)?vmlinux.*"
    r"|vmlinux(\.(o|a|map|unstripped|symvers|export\.c|bin.*))?|Module\.symvers"
    r"|System\.map|modules\.builtin.*")
_BUILT_DIRS = re.compile(
    r"include/(config|generated)|arch/[^/]+/include/generated|\.git|\.pc|\.virtio-dma"
    r"|build-[^/]*")


def git_dir(top):
    """The git directory, if @top is itself the top of a git working tree."""
    if not os.path.exists(os.path.join(top, ".git")):
        return None
    proc = subprocess.run(("git", "rev-parse", "--absolute-git-dir", "--show-cdup"),
                          cwd=top, env=git_env(), stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, check=False)
    found = os.fsdecode(proc.stdout).split("\n")
    return found[0] if proc.returncode == 0 and not found[1] else None


def kdir_files(top):
    """The source files of the tree at @top, without what a build left there."""
    if git_dir(top):
        out = subprocess.run(("git", "ls-files", "-z"), cwd=top, env=git_env(),
                             stdout=subprocess.PIPE, check=True).stdout
        return sorted(os.fsdecode(p) for p in out.split(b"\0")
                      if p and os.path.lexists(os.path.join(os.fsencode(top), p)))
    found = []
    for here, dirs, names in os.walk(top):
        rel = os.path.relpath(here, top)
        rel = "" if rel == "." else rel + "/"
        # A directory of objects, make O=, has its own .config.
        dirs[:] = [d for d in dirs if not _BUILT_DIRS.fullmatch(rel + d)
                   and not all(os.path.exists(os.path.join(here, d, sign))
                               for sign in ("include/generated", ".config"))]
        links = [d for d in dirs if os.path.islink(os.path.join(here, d))]
        found += [rel + n for n in names + links if not _BUILT.fullmatch(n)]
    return sorted(found)


def _kdir_contents(top, paths):
    for path in paths:
        full = os.path.join(top, path)
        entry = read_entry(full)
        if entry and entry[1][:4] != b"\x7fELF":
            yield path, entry[0], entry[1]


def _kdir_base(kdir, git, version):
    top = os.path.realpath(kdir)
    paths = kdir_files(top)
    digest = hashlib.sha256(os.fsencode(top))
    for path in paths:
        info = os.lstat(os.path.join(top, path))
        if not stat.S_ISDIR(info.st_mode):
            digest.update(b"%s %d %d\n" % (os.fsencode(path), info.st_size,
                                           info.st_mtime_ns))
    key = "kdir-" + digest.hexdigest()[:16]
    ref = "refs/bases/" + key
    commit = git.resolve(ref + "^{commit}")
    if not commit:
        date = int(os.stat(os.path.join(top, "Makefile")).st_mtime)
        with progress("base: reading %s" % kdir) as shown:
            commit = _fast_import(git, ref, date,
                                  "Linux %s\n\nThe base, as read from KDIR.\n" % version,
                                  _kdir_contents(top, paths), shown,
                                  " of %d" % len(paths))
    return Base(key, commit, "Linux %s from %s" % (version, kdir))


def _kept(git, base):
    """The newest base that @git itself has: the cache may have been emptied."""
    found = []
    for row in git.out("for-each-ref", "--format=%(refname) %(objectname)",
                       "refs/bases").splitlines():
        ref, commit = row.split()
        key = urllib.parse.unquote(ref[len("refs/bases/"):])
        if key.startswith(base):
            found.append((version_key(key), key, commit))
    if not found:
        return None
    _, key, commit = max(found)
    return Base(key, commit, "Linux " + key.rsplit("-", 1)[0])


def provide(paths, git):
    """The base's commit in the repository @git, fetched where it must be."""
    if paths.kdir:
        return _kdir_base(paths.kdir, git, check_kdir(paths))
    repo = cached(paths.cache, paths.version)
    if not repo:
        kept = _kept(git, paths.version)
        if kept:
            return kept
        repo = cached(paths.cache, download(paths))
    key = os.path.basename(repo)[len("base-"):-len(".git")]
    ref = "refs/bases/" + urllib.parse.quote(key).replace("~", "%7E")
    commit = git.resolve(ref + "^{commit}")
    if not commit:
        link_objects(repo, git.git_dir)
        commit = Git(repo).out("rev-parse", "refs/heads/base")
        git.run("update-ref", ref, commit)
    return Base(key, commit, "Linux " + key.rsplit("-", 1)[0])
