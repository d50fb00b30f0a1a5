# SPDX-License-Identifier: GPL-2.0-only
"""Small tools that every part of tree.py uses: errors, git, locks, progress."""

import contextlib
import copy
import fcntl
import glob
import hashlib
import os
import shutil
import subprocess
import sys
import time


class Fail(Exception):
    """Something the user has to know; the message is one clear line."""


def warn(text):
    sys.stdout.flush()
    print("warning: " + text, file=sys.stderr, flush=True)


def some(paths, most=1):
    """The first of @paths, and how many more there are."""
    more = " and %d more" % (len(paths) - most) if paths[most:] else ""
    return ", ".join(paths[:most]) + more


def plural(count, what):
    return "%d %s%s" % (count, what, "" if count == 1 else "s")


class progress:                             # pylint: disable=invalid-name
    """with progress(TITLE): a line that updates itself on a terminal, lines in a pipe."""

    def __init__(self, title):
        self.title, self.tty = title, sys.stderr.isatty()
        self.start = self.last = time.monotonic()

    def _show(self, text, end=""):
        form = "\r\033[K%s %s" + end if self.tty else "%s %s\n"
        print(form % (self.title, text), end="", file=sys.stderr, flush=True)

    def update(self, text):
        if time.monotonic() - self.last >= (0.2 if self.tty else 15):
            self.last = time.monotonic()
            self._show(text)

    def __enter__(self):
        self._show("...")
        return self

    def __exit__(self, kind, *_):
        if not kind:
            self._show("done (%.0f s)" % (time.monotonic() - self.start), "\n")
        elif self.tty:
            print(file=sys.stderr, flush=True)


@contextlib.contextmanager
def locked(path):
    """Hold the lock file @path, so that two makes do not collide."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "a", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("waiting for another run that holds %s" % path,
                  file=sys.stderr, flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def write_entry(path, mode, data):
    """Write @data to a neighbour of @path, then rename: all or nothing."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    temp = "%s.tmp.%d" % (path, os.getpid())
    try:
        if mode == "120000":
            os.symlink(os.fsdecode(data), temp)
        else:
            with open(temp, "wb") as out:
                out.write(data)
            os.chmod(temp, int(mode[-3:], 8))
        os.replace(temp, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temp)


def write_atomic(path, data):
    write_entry(path, "100644", data)


def read_entry(path):
    """(git mode, content) of a file or symbolic link, None if there is none."""
    if os.path.islink(path):
        return "120000", os.fsencode(os.readlink(path))
    try:
        with open(path, "rb") as src:
            exe = os.fstat(src.fileno()).st_mode & 0o100
            return "100755" if exe else "100644", src.read()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None


def remove_tree(path):
    """rm -rf, quiet about what is not there, loud about what stays."""
    if os.path.lexists(path):
        shutil.rmtree(path)


def blob_id(data):
    """The name git gives to the content @data."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def quote_path(path):
    """@path as git fast-import reads it."""
    if path.startswith('"') or "\n" in path:
        path = '"%s"' % (path.replace("\\", "\\\\").replace('"', '\\"')
                         .replace("\n", "\\n"))
    return os.fsencode(path)


# A user's own settings (hooks, line endings, signing, diff prefixes) must not
# change what the series looks like.
_SETTINGS = {
    "safe.directory": "*", "core.hooksPath": "/dev/null", "core.abbrev": "12",
    "core.quotePath": "false", "core.autocrlf": "false", "advice.detachedHead": "false",
    "gc.auto": "0", "maintenance.auto": "false", "checkout.workers": "0",
    "index.threads": "true", "apply.whitespace": "nowarn", "merge.renames": "false",
}


def git_env(**extra):
    env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    env.update(GIT_CONFIG_NOSYSTEM="1", GIT_CONFIG_GLOBAL="/dev/null",
               GIT_TERMINAL_PROMPT="0", GIT_OPTIONAL_LOCKS="0",
               GIT_LITERAL_PATHSPECS="1",
               GIT_CONFIG_COUNT=str(len(_SETTINGS)), LC_ALL="C.UTF-8", TZ="UTC")
    for num, (key, value) in enumerate(_SETTINGS.items()):
        env["GIT_CONFIG_KEY_%d" % num] = key
        env["GIT_CONFIG_VALUE_%d" % num] = value
    return dict(env, **extra)


class GitError(Fail):
    def __init__(self, args, status, stderr):
        self.stderr = stderr
        first = stderr.strip().splitlines() or ["status %d" % status]
        super().__init__("git %s: %s" % (args[0], first[0]))


class Git:
    """Runs git on one repository, shielded from the user's settings."""

    def __init__(self, git_dir, work_tree=None, durable=False):
        """@durable: wait for the disk, as what is below build/ need not"""
        self.git_dir, self.work_tree = git_dir, work_tree
        self.command = ("git",) if durable else ("git", "-c", "core.fsync=none")
        self.env = git_env(GIT_DIR=git_dir)
        if work_tree:
            self.env["GIT_WORK_TREE"] = work_tree

    @contextlib.contextmanager
    def scratch(self):
        """The same repository with an empty index of its own."""
        other, index = copy.copy(self), os.path.join(self.git_dir, "virtio-dma.index")
        other.env = dict(self.env, GIT_INDEX_FILE=index)
        try:
            other.run("read-tree", "--empty")
            yield other
        finally:
            for path in (index, index + ".lock"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)

    def run(self, *args, data=None, ok=(0,), env=None):
        """(status, stdout bytes, stderr text); raises GitError if not @ok."""
        if data is not None and isinstance(data, str):
            data = data.encode()
        feed = {"stdin": subprocess.DEVNULL} if data is None else {"input": data}
        proc = subprocess.run(
            self.command + args, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            cwd=self.work_tree or self.git_dir, check=False,
            env=dict(self.env, **(env or {})), **feed)
        err = proc.stderr.decode(errors="replace")
        if proc.returncode not in ok:
            raise GitError(args, proc.returncode, err)
        return proc.returncode, proc.stdout, err

    def bytes(self, *args, **kw):
        return self.run(*args, **kw)[1]

    def out(self, *args, **kw):
        return self.bytes(*args, **kw).decode().strip()

    def rows(self, *args, **kw):
        """The output of a command that separates with NUL."""
        return [r for r in self.bytes(*args, **kw).decode(
            errors="surrogateescape").split("\0") if r]

    def test(self, *args):
        return self.run(*args, ok=range(256))[0] == 0

    def resolve(self, rev):
        """The object that @rev names, None if there is none."""
        return self.out("rev-parse", "-q", "--verify", rev, ok=(0, 1, 128)) or None

    def tree_of(self, rev):
        return self.out("rev-parse", rev + "^{tree}")

    def ls_tree(self, rev, paths=None):
        """{path: (mode, blob)} of those of @paths that @rev has; all without @paths."""
        if paths is not None and not paths:
            return {}
        rows = self.rows("ls-tree", "-z", *(["-r", rev] if paths is None else
                                            [rev, "--", *sorted(paths)]))
        fields = [r.replace("\t", " ", 1).split(" ", 3) for r in rows]
        return {path: (mode, blob) for mode, kind, blob, path in fields if kind == "blob"}

    def files(self, rev, paths=None):
        """{path: (mode, content)} of those of @paths that @rev has."""
        found, pos = self.ls_tree(rev, paths), 0
        text = self.bytes("cat-file", "--batch",
                          data="".join(blob + "\n" for _, blob in found.values()))
        for path, (mode, _) in found.items():
            start = text.index(b"\n", pos) + 1
            pos = start + int(text[pos:start].split()[2])
            found[path] = (mode, text[start:pos])
            pos += 1
        return found

    def set_index(self, entries):
        """Put {path: (mode, blob) or None for none} into the index."""
        rows = ["%s %s\t%s\0" % (entry + (path,)) if entry else "0 %040d\t%s\0" % (0, path)
                for path, entry in sorted(entries.items())]
        self.run("update-index", "-z", "--index-info", data="".join(rows))

    def index(self):
        """{path: (mode, blob)} of the index."""
        rows = (row.split("\t", 1) for row in self.rows("ls-files", "-s", "-z"))
        return {path: tuple(meta.split()[:2]) for meta, path in rows}

    def write_blobs(self, contents):
        """Store each of @contents (bytes); their names are blob_id()'s."""
        self.run("fast-import", "--quiet", data=b"".join(
            b"blob\ndata %d\n%s\n" % (len(c), c) for c in contents))

    def write_files(self, files):
        """The tree that {path: (mode, content)} makes."""
        self.write_blobs([data for _, data in files.values()])
        with self.scratch() as scratch:
            scratch.set_index({p: (m, blob_id(d)) for p, (m, d) in files.items()})
            return scratch.out("write-tree")

    def commit(self, tree, *parents):
        """A commit of @tree for ourselves: who and when does not matter."""
        who = {"GIT_%s_%s" % (w, k): v for w in ("AUTHOR", "COMMITTER") for k, v in
               (("NAME", "base"), ("EMAIL", "base@localhost"), ("DATE", "@1 +0000"))}
        return self.out("commit-tree", "-m", "base", tree,
                        *[a for p in parents for a in ("-p", p)], env=who)

    def diff(self, old, new):
        """{path: status letter} between two trees."""
        rows = self.rows("diff-tree", "-r", "-z", "--no-renames", "--name-status", old, new)
        return dict(zip(rows[1::2], rows[0::2]))

    def clear_stale_locks(self):
        """Remove the lock files that a killed git left in this repository.

        The caller holds our own lock, so a git that still runs here was
        started by hand: wait for it, and give up rather than disturb it.
        """
        top = os.path.realpath(self.work_tree or self.git_dir)
        for attempt in range(20):
            left = [p for n in ("*.lock", "refs/**/*.lock")
                    for p in glob.glob(os.path.join(glob.escape(self.git_dir), n),
                                       recursive=True)]
            if not left or not _git_runs_below(top):
                for path in left:
                    os.unlink(path)
                return
            if attempt == 0:
                print("waiting for a git that works in %s" % top, file=sys.stderr,
                      flush=True)
            time.sleep(0.5)
        raise Fail("%s is there and a git still runs in that tree: "
                   "let it end, then run this again" % left[0])


def _git_runs_below(top):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            with open("/proc/%s/comm" % pid, encoding="utf-8") as comm:
                cwd = os.readlink("/proc/%s/cwd" % pid)
                if comm.read().startswith("git") and (cwd + "/").startswith(top + "/"):
                    return True
    return False
