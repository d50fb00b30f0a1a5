# SPDX-License-Identifier: GPL-2.0-only
"""Small tools that every part of tree.py uses: errors, git, locks, progress."""

import contextlib
import fcntl
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


class Progress:
    """One line that updates itself on a terminal, plain lines in a pipe."""

    def __init__(self, title, stream=None):
        self.title = title
        self.stream = stream or sys.stderr
        self.tty = self.stream.isatty()
        self.start = self.last = time.monotonic()
        self._show("...")

    def _show(self, text, end=""):
        if self.tty:
            self.stream.write("\r\033[K%s %s%s" % (self.title, text, end))
        else:
            self.stream.write("%s %s\n" % (self.title, text))
        self.stream.flush()

    def update(self, text):
        now = time.monotonic()
        if now - self.last >= (0.2 if self.tty else 15):
            self.last = now
            self._show(text)

    def done(self, text="done"):
        took = time.monotonic() - self.start
        self._show("%s (%.0f s)" % (text, took), end="\n")

    def broken(self):
        if self.tty:
            self.stream.write("\n")
            self.stream.flush()


@contextlib.contextmanager
def progress(title):
    shown = Progress(title)
    try:
        yield shown
    except BaseException:
        shown.broken()
        raise
    shown.done()


@contextlib.contextmanager
def locked(path):
    """Hold the lock file @path, so that two makes do not collide."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("waiting for another run that holds %s" % path,
                  file=sys.stderr, flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def write_atomic(path, data, mode=0o644):
    """Write @data to a neighbour of @path, then rename: all or nothing."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    temp = "%s.tmp.%d" % (path, os.getpid())
    try:
        with open(temp, "wb") as out:
            out.write(data)
        os.chmod(temp, mode)
        os.replace(temp, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temp)


def remove_tree(path):
    """rm -rf, quiet about what is not there, loud about what stays."""
    if os.path.lexists(path):
        shutil.rmtree(path)


def blob_id(data):
    """The name git gives to the content @data."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


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


def quote_path(path):
    """@path as git fast-import reads it."""
    if path.startswith('"') or "\n" in path:
        path = '"%s"' % (path.replace("\\", "\\\\").replace('"', '\\"')
                         .replace("\n", "\\n"))
    return os.fsencode(path)


# A user's own settings (hooks, line endings, signing, diff prefixes) must not
# change what the series looks like.
_SETTINGS = {
    "safe.directory": "*",
    "core.hooksPath": "/dev/null",
    "core.abbrev": "12",
    "core.quotePath": "false",
    "core.autocrlf": "false",
    "advice.detachedHead": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "checkout.workers": "0",
    "index.threads": "true",
    "apply.whitespace": "nowarn",
}


def git_env(extra=None):
    env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    env.update(GIT_CONFIG_NOSYSTEM="1", GIT_CONFIG_GLOBAL="/dev/null",
               GIT_TERMINAL_PROMPT="0", GIT_OPTIONAL_LOCKS="0",
               GIT_CONFIG_COUNT=str(len(_SETTINGS)), LC_ALL="C.UTF-8", TZ="UTC")
    for num, (key, value) in enumerate(_SETTINGS.items()):
        env["GIT_CONFIG_KEY_%d" % num] = key
        env["GIT_CONFIG_VALUE_%d" % num] = value
    env.update(extra or {})
    return env


class GitError(Fail):
    def __init__(self, args, status, stderr):
        self.stderr = stderr
        first = stderr.strip().splitlines() or ["status %d" % status]
        super().__init__("git %s: %s" % (args[0], first[0]))


class Git:
    """Runs git on one repository, shielded from the user's settings."""

    def __init__(self, git_dir, work_tree=None, index=None, durable=False):
        """@index: a scratch index instead of the repository's own
        @durable: wait for the disk, as what is below build/ need not"""
        self.git_dir = git_dir
        self.durable = durable
        self.command = ("git",) if durable else ("git", "-c", "core.fsync=none")
        self.work_tree = work_tree
        self.env = git_env({"GIT_DIR": git_dir})
        if work_tree:
            self.env["GIT_WORK_TREE"] = work_tree
        if index:
            self.env["GIT_INDEX_FILE"] = index

    def with_index(self, index):
        return Git(self.git_dir, self.work_tree, index, self.durable)

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
        return self.run(*args, **kw)[1].decode().strip()

    def test(self, *args):
        return self.run(*args, ok=range(256))[0] == 0

    def resolve(self, rev):
        """The object that @rev names, None if there is none."""
        status, out, _ = self.run("rev-parse", "-q", "--verify", rev, ok=(0, 1, 128))
        return out.decode().strip() if status == 0 else None

    def blob(self, rev, path):
        """Content of @path in @rev, None if it is not there."""
        status, out, _ = self.run("cat-file", "blob", "%s:%s" % (rev, path),
                                  ok=(0, 128))
        return out if status == 0 else None

    def ls_tree(self, rev, paths):
        """{path: (mode, blob)} of those of @paths that @rev has."""
        found = {}
        if not paths:
            return found
        out = self.bytes("ls-tree", "-z", rev, "--", *sorted(paths))
        for row in out.decode().split("\0"):
            if row:
                meta, path = row.split("\t", 1)
                mode, kind, blob = meta.split()
                if kind == "blob":
                    found[path] = (mode, blob)
        return found

    def write_blobs(self, contents):
        """Store each of @contents (bytes); their names are blob_id()'s."""
        if contents:
            data = b"".join(b"blob\ndata %d\n%s\n" % (len(c), c) for c in contents)
            self.run("fast-import", "--quiet", data=data)

    def diff_paths(self, old, new):
        out = self.bytes("diff-tree", "-r", "-z", "--no-renames", "--name-only",
                         old, new)
        return [p for p in out.decode().split("\0") if p]

    def clear_stale_locks(self):
        """Remove the lock files that a killed git left in this repository.

        The caller holds our own lock, so a git that still runs here was
        started by hand: wait for it, and give up rather than disturb it.
        """
        names = ["index.lock", "HEAD.lock", "packed-refs.lock", "config.lock"]
        for attempt in range(20):
            left = [os.path.join(self.git_dir, n) for n in names
                    if os.path.lexists(os.path.join(self.git_dir, n))]
            for top, _, files in os.walk(os.path.join(self.git_dir, "refs")):
                left += [os.path.join(top, f) for f in files if f.endswith(".lock")]
            if not left:
                return
            if not _git_runs_below(self.work_tree or self.git_dir):
                for path in left:
                    os.unlink(path)
                return
            if attempt == 0:
                print("waiting for a git that works in %s" % self.work_tree,
                      file=sys.stderr, flush=True)
            time.sleep(0.5)
        raise Fail("%s is there and a git still runs in that tree: "
                   "let it end, then run this again" % left[0])


def _git_runs_below(top):
    top = os.path.realpath(top)
    for pid in os.listdir("/proc"):
        if not pid.isdigit():
            continue
        try:
            with open("/proc/%s/comm" % pid) as comm:
                if not comm.read().startswith("git"):
                    continue
            cwd = os.readlink("/proc/%s/cwd" % pid)
        except OSError:
            continue
        if cwd == top or cwd.startswith(top + "/"):
            return True
    return False
