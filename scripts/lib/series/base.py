# SPDX-License-Identifier: GPL-2.0-only
"""The base: fetched, cached as a bare git repository, or read from KDIR.

The cache holds archives (linux-source-6.12_*.deb, linux-6.12*.tar.*) and, of
each archive that was used, base-VERSION-DIGEST.git with one commit.  A
repository is complete as soon as it has that name; until then it is tmp-*.
"""

import collections
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

_IDENT = "base <base@localhost>"


def version_key(version):
    """Sorts 6.12.9 before 6.12.10, and a ~suffix before none."""
    parts = re.findall(r"\d+|~|[^\d~]+", version)
    return [(0, 0, "") if p == "~" else (3, int(p), "") if p.isdigit()
            else (2, 0, p) for p in parts] + [(1, 0, "")]


def tree_version(text):
    """(VERSION, PATCHLEVEL, SUBLEVEL) of a kernel Makefile's text, or None."""
    found = []
    for name in ("VERSION", "PATCHLEVEL", "SUBLEVEL"):
        match = re.search(r"^%s *= *(\d+) *$" % name, text, re.M)
        if not match:
            return None
        found.append(match.group(1))
    return tuple(found)


def check_version(makefile, wanted, where):
    """The full version that @makefile (bytes) tells, Fail if not @wanted."""
    found = tree_version(makefile.decode(errors="replace")) if makefile else None
    if not found:
        raise Fail("%s is not a kernel source tree: no VERSION and PATCHLEVEL "
                   "in its Makefile" % where)
    if ".".join(found[:2]) != wanted:
        raise Fail("%s is Linux %s, the series is for %s: give a %s tree"
                   % (where, ".".join(found), wanted, wanted))
    return ".".join(found)


# --- import ----------------------------------------------------------------

def _tidy(path, data):
    """Debian's .gitignore hides the whole tree: make git see it again."""
    if path == ".gitignore" and b"\n/*\n" in data:
        data = data.replace(b"\n/*\n", b"\n!.gitignore\n").replace(b"\n!/debian/\n", b"\n")
    return data


def fast_import(git, ref, date, message, files, shown, total=None):
    """Make @files, (path, mode, bytes) each, one commit at @ref."""
    proc = subprocess.Popen(
        ("git", "-c", "core.compression=1", "-c", "fastimport.unpackLimit=0",
         "fast-import", "--quiet", "--force", "--depth=0"),
        stdin=subprocess.PIPE, stderr=subprocess.PIPE, cwd=git.git_dir,
        env=git.env, bufsize=1 << 20)
    count = 0
    try:
        put = proc.stdin.write
        # The branch goes to its ref when all files are in: "done" is last.
        put(b"feature done\ncommit %s\ncommitter %s %d +0000\ndata %d\n%s\n" % (
            ref.encode(), _IDENT.encode(), date, len(message.encode()),
            message.encode()))
        put(b"deleteall\n")
        for path, mode, data in files:
            data = _tidy(path, data)
            put(b"M %s inline %s\ndata %d\n" % (mode.encode(), quote_path(path), len(data)))
            put(data)
            put(b"\n")
            count += 1
            shown.update("%d%s files" % (count, " of %d" % total if total else ""))
        put(b"done\n")
        proc.stdin.close()
    except BrokenPipeError:
        pass
    except BaseException:
        proc.kill()
        proc.stderr.close()
        proc.wait()
        raise
    err = proc.stderr.read().decode(errors="replace")
    proc.stderr.close()
    if proc.wait() != 0:
        raise GitError(("fast-import",), proc.returncode, err)
    return git.out("rev-parse", ref)


class _Pipeline:
    """Commands whose output the next one reads; says which one failed."""

    def __init__(self, *commands):
        self.procs, last = [], None
        for cmd in commands:
            try:
                proc = subprocess.Popen(cmd, stdin=last or subprocess.DEVNULL,
                                        stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE)
            except FileNotFoundError:
                self.kill()
                raise Fail("%s is needed to unpack the base: install it"
                           % cmd[0]) from None
            if last:
                last.close()
            last = proc.stdout
            self.procs.append((cmd[0], proc))
        self.stdout = last

    def kill(self):
        for _, proc in self.procs:
            proc.kill()
            proc.stdout.close()
            proc.stderr.close()
            proc.wait()

    def finish(self):
        """None, or what went wrong."""
        while self.stdout.read(1 << 20):
            pass
        self.stdout.close()
        wrong = None
        for name, proc in self.procs:
            err = proc.stderr.read().decode(errors="replace").strip()
            proc.stderr.close()
            if proc.wait() != 0 and not wrong:
                wrong = "%s: %s" % (name, err.splitlines()[0] if err else
                                    "status %d" % proc.returncode)
        return wrong


_UNPACK = {"xz": ("xz", "-dc", "-T0"), "gz": ("gzip", "-dc"),
           "bz2": ("bzip2", "-dc"), "zst": ("zstd", "-dc"), "tar": ("cat",)}


def _open_archive(path):
    if path.endswith(".deb"):
        return _Pipeline(
            ("dpkg-deb", "--fsys-tarfile", path),
            ("tar", "-xO", "-f", "-", "--wildcards", "./usr/src/linux-source-*.tar.xz"),
            _UNPACK["xz"])
    return _Pipeline(_UNPACK[path.rsplit(".", 1)[1]] + (path,))


def _tar_files(stream, first):
    """(path, mode, bytes) of each file, its leading directory taken off."""
    with tarfile.open(fileobj=stream, mode="r|", bufsize=1 << 20) as tar:
        for member in tar:
            if not first:
                first.append(int(member.mtime))
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
    with open(path, "rb") as src:
        digest = hashlib.sha256()
        for block in iter(lambda: src.read(1 << 20), b""):
            digest.update(block)
    final = os.path.join(cache, "base-%s-%s.git" % (version, digest.hexdigest()[:12]))
    if os.path.isdir(final):
        return final
    temp = os.path.join(cache, "tmp-import")
    remove_tree(temp)
    with progress("base: unpacking %s" % os.path.basename(path)) as shown:
        try:
            subprocess.run(("git", "init", "-q", "--bare", "-b", "base", temp),
                           env=git_env(), check=True)
            git = Git(temp)
            pipe = _open_archive(path)
            damaged = "%s is damaged (%%s): delete it and run this again" % path
            try:
                # The first member tells the date, the rest comes as it is read.
                first = []
                files = _tar_files(pipe.stdout, first)
                head = next(files, None)
                if head is None:
                    raise Fail(damaged % (pipe.finish() or "it is empty"))
                fast_import(git, "refs/heads/base", first[0],
                            "Linux %s\n\nThe base, as unpacked from %s.\n"
                            % (version, os.path.basename(path)),
                            _chain(head, files), shown)
            except tarfile.TarError as err:
                raise Fail(damaged % (pipe.finish() or err)) from None
            except BaseException:
                pipe.kill()
                raise
            wrong = pipe.finish()
            if wrong:
                raise Fail(damaged % wrong)
            check_version(git.blob("base", "Makefile"), base, path)
            os.rename(temp, final)
        finally:
            remove_tree(temp)
    return final


def _chain(head, rest):
    yield head
    yield from rest


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
    out = _apt("apt-cache", "show", "--no-all-versions", package).stdout
    fields = dict(re.findall(r"^(Version|Size): (.*)$", out, re.M))
    return (fields["Version"], int(fields["Size"])) if len(fields) == 2 else None


def download(cache, base):
    """Fetch the newest linux-source package that apt knows into the cache."""
    package = "linux-source-" + base
    by_hand = ("put %s_*_all.deb or linux-%s.*.tar.xz into %s, or set KDIR= to a %s tree"
               % (package, base, cache, base))
    if not shutil.which("apt-get"):
        raise Fail("no base yet and no apt-get here to fetch it: " + by_hand)
    with locked(os.path.join(cache, ".lock")):
        root = os.geteuid() == 0
        found = _candidate(package)
        if not found and root:
            with progress("base: apt-get update"):
                _apt("apt-get", "-q", "update")
            found = _candidate(package)
        if not found:
            raise Fail("apt knows no %s (apt-get update may help): %s"
                       % (package, by_hand))
        have = [path for _, is_repo, version, path in _scan(cache, base)
                if version == found[0]]
        if have:
            return have[0]
        error = _fetch(cache, package, found[1])
        if error and root:
            # The package may have been superseded since the lists were read.
            with progress("base: apt-get update"):
                _apt("apt-get", "-q", "update")
            found = _candidate(package) or found
            error = _fetch(cache, package, found[1])
        if error:
            raise Fail("cannot fetch %s (%s): %s" % (package, error, by_hand))
    return None


def _fetch(cache, package, size):
    """Download into a temporary folder, check, rename.  The error, or None."""
    temp = os.path.join(cache, "tmp-download")
    remove_tree(temp)
    os.makedirs(temp)
    cmd = ["apt-get", "-q", "download", package]
    if os.geteuid() == 0:
        cmd[1:1] = ["-o", "APT::Sandbox::User=root"]
    try:
        with progress("base: downloading %s, %d MB" % (package, size >> 20)) as shown:
            proc = subprocess.Popen(cmd, cwd=temp, stdin=subprocess.DEVNULL,
                                    stdout=subprocess.DEVNULL,
                                    stderr=subprocess.PIPE, text=True,
                                    env=dict(os.environ, LC_ALL="C.UTF-8"))
            while True:
                try:
                    _, err = proc.communicate(timeout=0.3)
                    break
                except subprocess.TimeoutExpired:
                    got = sum(e.stat().st_size for e in os.scandir(temp))
                    shown.update("%d%%" % (100 * got // max(size, 1)))
                except BaseException:
                    proc.kill()
                    raise
            if proc.returncode:
                lines = [row[3:] for row in err.splitlines() if row.startswith("E: ")]
                return lines[0] if lines else "apt-get status %d" % proc.returncode
            name, = os.listdir(temp)
            path = os.path.join(temp, name)
            if os.path.getsize(path) != size:
                return "%d of %d bytes came" % (os.path.getsize(path), size)
            if _apt("dpkg-deb", "--field", path, "Package").stdout.strip() != package:
                return "%s is not the package %s" % (name, package)
            os.rename(path, os.path.join(cache, name))
    except OSError as err:
        return str(err)
    finally:
        remove_tree(temp)
    return None


def link_objects(source, target):
    """Give @target the packs of @source: hard links, or copies across disks."""
    src = os.path.join(source, "objects", "pack")
    dst = os.path.join(target, "objects", "pack")
    # A pack counts from the moment its .idx is there, so that comes last.
    for name in sorted(os.listdir(src), key=lambda n: n.endswith(".idx")):
        to = os.path.join(dst, name)
        if os.path.exists(to):
            continue
        try:
            os.link(os.path.join(src, name), to)
        except OSError:
            shutil.copyfile(os.path.join(src, name), to + ".tmp")
            os.rename(to + ".tmp", to)


# --- KDIR ------------------------------------------------------------------

_BUILT = re.compile(
    r"(\.(o|a|ko|so|mod|mod\.c|dwo|gcno|gcda|dtb|dtbo|symtypes|lex\.c|tab\.[ch]|su)"
    r"|\.cmd|\.dbg|\.order|Module\.symvers|vmlinux.*|System\.map|modules\.builtin.*"
    r"|\.config(\.old)?|\.version|\.vmlinux\..*|~|\.rej|\.orig)$")
_BUILT_DIRS = re.compile(
    r"(include/(config|generated)|arch/[^/]+/include/generated|\.git|\.pc|build-[^/]*)$")


def is_git_tree(top):
    """Whether @top is itself the top of a git working tree."""
    if not os.path.exists(os.path.join(top, ".git")):
        return False
    proc = subprocess.run(("git", "rev-parse", "--show-cdup"), cwd=top,
                          env=git_env(), stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, check=False)
    return proc.returncode == 0 and not proc.stdout.strip()


def kdir_files(top):
    """The source files of the tree at @top, without what a build left there."""
    if is_git_tree(top):
        out = subprocess.run(("git", "ls-files", "-z"), cwd=top, env=git_env(),
                             stdout=subprocess.PIPE, check=True).stdout
        return sorted(os.fsdecode(p) for p in out.split(b"\0")
                      if p and os.path.lexists(os.path.join(os.fsencode(top), p)))
    found = []
    for here, dirs, names in os.walk(top):
        rel = os.path.relpath(here, top)
        rel = "" if rel == "." else rel + "/"
        dirs[:] = [d for d in dirs if not _BUILT_DIRS.match(rel + d)
                   and not (rel == "" and os.path.exists(
                       os.path.join(here, d, "include", "generated")))]
        links = [d for d in dirs if os.path.islink(os.path.join(here, d))]
        found += [rel + n for n in names + links if not _BUILT.search(n)]
    return sorted(found)


def _kdir_contents(top, paths):
    for path in paths:
        full = os.path.join(top, path)
        entry = read_entry(full)
        if entry and entry[1][:4] != b"\x7fELF":
            yield path, entry[0], entry[1]


def _kdir_base(kdir, git, base):
    top = os.path.realpath(kdir)
    makefile = read_entry(os.path.join(top, "Makefile"))
    version = check_version(makefile and makefile[1], base, kdir)
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
            commit = fast_import(git, ref, date,
                                 "Linux %s\n\nThe base, as read from KDIR.\n" % version,
                                 _kdir_contents(top, paths), shown, len(paths))
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
        return _kdir_base(paths.kdir, git, paths.base)
    repo = cached(paths.cache, paths.base)
    if not repo:
        kept = _kept(git, paths.base)
        if kept:
            return kept
        download(paths.cache, paths.base)
        repo = cached(paths.cache, paths.base)
    key = os.path.basename(repo)[len("base-"):-len(".git")]
    ref = "refs/bases/" + urllib.parse.quote(key).replace("~", "%7E")
    commit = git.resolve(ref + "^{commit}")
    if not commit:
        link_objects(repo, git.git_dir)
        commit = Git(repo).out("rev-parse", "refs/heads/base")
        git.run("update-ref", ref, commit)
    return Base(key, commit, "Linux " + key.rsplit("-", 1)[0])
