# SPDX-License-Identifier: GPL-2.0-only
"""make apply: the series onto a tree of the user's own.

Everything is tried first on a scratch repository that holds only the files
which the series touches.  A clean git tree gets commits, as git am would make
them; any other tree gets its files written, with a journal beside them so that
a run which is cut short is undone by the next one.
"""

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import tempfile

from lib.series import base as bases
from lib.series import patches as series
from lib.util import (Fail, Git, GitError, blob_id, git_env, read_entry,
                      remove_tree, warn, write_atomic)

JOURNAL = ".virtio-dma-apply"


def _scratch(top, files):
    """A bare repository at @top whose commit has @files; the commit."""
    subprocess.run(("git", "init", "-q", "--bare", top), env=git_env(), check=True)
    git = Git(top)
    git.write_blobs([data for _, data in files.values()])
    index = git.with_index(os.path.join(top, "files.index"))
    series.index_set(index, {p: (m, blob_id(d)) for p, (m, d) in files.items()})
    return git, series.commit(git, index.out("write-tree"), [], "base\n",
                              "base <base@localhost>", 1)


def _already(git, there, patches):
    """Whether the files @there are what the series makes of some base."""
    for patch in patches:
        if any(there.get(p) != e for p, e in patch.add.items()) or \
                any(p in there for p in patch.delete):
            return False
    index = git.with_index(os.path.join(git.git_dir, "back.index"))
    series.index_set(index, {p: (m, blob_id(d)) for p, (m, d) in there.items()})
    own = {path for p in patches for path in p.add}
    for patch in reversed(patches):
        for path in patch.edits:
            if path in own:
                continue        # compared above, in its final form
            try:
                series.apply_cached(index, patch.hunks, path, reverse=True)
            except GitError:
                return False
    return True


def apply(paths):
    if not paths.kdir:
        raise Fail("say which tree: make apply KDIR=/path/to/linux")
    top = os.path.realpath(paths.kdir)
    makefile = read_entry(os.path.join(top, "Makefile"))
    version = bases.check_version(makefile and makefile[1], paths.base, paths.kdir)
    patches = series.load(paths.root, paths.base)
    if not patches:
        raise Fail("series/%s has no patch" % paths.base)
    if roll_back(top):
        warn("%s: an earlier run was cut short, its changes are taken back"
             % paths.kdir)
    there = {}
    for path in series.touched(patches):
        entry = read_entry(os.path.join(top, path))
        if entry:
            there[path] = entry
    temp = tempfile.mkdtemp(prefix="virtio-dma-")
    try:
        git, commit = _scratch(os.path.join(temp, "git"), there)
        if _already(git, there, patches):
            print("apply: %s has the series already" % paths.kdir)
            return
        reviewed = series.read_reviewed(paths.root, paths.base)
        for patch in patches:
            for path in patch.add:
                if path in there and path not in reviewed:
                    raise Fail("%s has %s already, which %s adds and series/%s/"
                               "reviewed does not list: start from a tree without it"
                               % (paths.kdir, path, patch.name, paths.base))
        who = series.identity(top)
        laid = series.build(git, os.path.join(temp, "index"), commit, patches, who,
                            paths.kdir)
        for path, now, digest in series.unreviewed(git, commit, patches, reviewed):
            if digest:
                warn("%s of %s (%s) is not the one that the series was written "
                     "against (sha256 %s, not %s): carry its changes over"
                     % (path, paths.kdir, version,
                        hashlib.sha256(now).hexdigest()[:12], digest[:12]))
        if bases.is_git_tree(top) and _clean(top):
            _commit(top, git, commit, laid, patches, who, set(there))
            print("apply: %d commits on %s (Linux %s)" % (len(laid), paths.kdir,
                                                          version))
        else:
            count = _write(top, git, commit, laid[-1].commit)
            print("apply: %d files written in %s (Linux %s)%s" % (
                count, paths.kdir, version,
                ", not committed: the tree has changes of its own"
                if bases.is_git_tree(top) else ""))
    finally:
        shutil.rmtree(temp)


def _user_git(top):
    git_dir = subprocess.run(
        ("git", "rev-parse", "--absolute-git-dir"), cwd=top, env=git_env(),
        stdout=subprocess.PIPE, check=True).stdout.decode().strip()
    return Git(git_dir, top, durable=True)


def _clean(top):
    git = _user_git(top)
    return bool(git.resolve("HEAD^{commit}")) and \
        not git.out("status", "--porcelain", "-uno")


def _changes(git, old, new):
    """{path: (mode, content) or None} from tree @old to @new."""
    paths = git.diff_paths(old, new)
    now = git.ls_tree(new, paths)
    return {p: (now[p][0], git.bytes("cat-file", "blob", now[p][1]))
            if p in now else None for p in paths}


def _commit(top, scratch, old, laid, patches, who, there):
    """A commit a patch onto HEAD, then the working tree in one step."""
    everything = _changes(scratch, old, laid[-1].commit)
    git = _user_git(top)
    head = tip = git.resolve("HEAD^{commit}")
    date = int(git.out("log", "-1", "--format=%ct", head))
    index = os.path.join(git.git_dir, "virtio-dma.index")
    work = git.with_index(index)
    try:
        work.run("read-tree", head)
        for num, (patch, one) in enumerate(zip(patches, laid), 1):
            changes = _changes(scratch, old, one.commit)
            git.write_blobs([e[1] for e in changes.values() if e])
            series.index_set(work, {p: (e[0], blob_id(e[1])) if e else None
                                    for p, e in changes.items()})
            tip = series.commit(git, work.out("write-tree"), [tip], patch.message,
                                patch.author or who, date + 60 * num)
            old = one.commit
    finally:
        for path in (index, index + ".lock"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
    lock = os.path.join(git.git_dir, "index.lock")
    if os.path.lexists(lock):
        raise Fail("%s is there: a git works in that tree, or died in it; let it end, "
                   "or remove the file" % lock)
    try:
        git.run("update-index", "-q", "--refresh", ok=(0, 1))
        git.run("read-tree", "-m", "-u", head, tip)
        git.run("update-ref", "-m", "virtio-dma series", "HEAD", tip, head)
    except Fail as err:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(lock)             # of the git above, which is dead
        # Only files that were tracked and clean, or not there at all, are ours.
        tracked = git.ls_tree(head, everything)
        git.run("read-tree", head)
        git.run("checkout-index", "-f", "-z", "--stdin", data="\0".join(tracked))
        for path in set(everything) - set(tracked) - there:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                os.unlink(os.path.join(top, path))
        git.run("update-index", "-q", "--refresh", ok=(0, 1))
        raise Fail("%s is as it was: %s" % (top, err)) from None


def _write(top, git, old, new):
    """Write the changed files.  The journal holds what is needed to undo it."""
    changes = _changes(git, old, new)
    journal = os.path.join(top, JOURNAL)
    try:
        os.makedirs(journal)
        rows, made = [], set()
        for num, (path, entry) in enumerate(sorted(changes.items())):
            full = os.path.join(top, path)
            exists = os.path.lexists(full)
            if exists:
                shutil.copy2(full, os.path.join(journal, "old-%d" % num),
                             follow_symlinks=False)
            if entry:
                _put(os.path.join(journal, "new-%d" % num), entry)
            here = os.path.dirname(path)
            while here and not os.path.isdir(os.path.join(top, here)):
                made.add(here)
                here = os.path.dirname(here)
            rows.append({"path": path, "old": exists})
        write_atomic(os.path.join(journal, "journal"), json.dumps(
            {"files": rows, "made": sorted(made)}).encode())
        for here in sorted(made):
            os.mkdir(os.path.join(top, here))
        for num, row in enumerate(rows):
            full = os.path.join(top, row["path"])
            if changes[row["path"]]:
                os.replace(os.path.join(journal, "new-%d" % num), full)
            else:
                os.unlink(full)
    except BaseException:
        roll_back(top)
        raise
    # From here on it is done: without its list the journal is only litter.
    os.unlink(os.path.join(journal, "journal"))
    remove_tree(journal)
    return len(changes)


def _put(path, entry):
    mode, data = entry
    if mode == "120000":
        os.symlink(os.fsdecode(data), path)
    else:
        write_atomic(path, data, 0o755 if mode == "100755" else 0o644)


def roll_back(top):
    """Undo a run of _write() that was cut short; whether there was one."""
    journal = os.path.join(top, JOURNAL)
    entry = read_entry(os.path.join(journal, "journal"))
    if entry:
        note = json.loads(entry[1])
        for num, row in enumerate(note["files"]):
            full = os.path.join(top, row["path"])
            old = os.path.join(journal, "old-%d" % num)
            if row["old"]:
                # Copied first: the journal stays whole until all is back.
                shutil.copy2(old, old + ".back", follow_symlinks=False)
                os.replace(old + ".back", full)
            else:
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                    os.unlink(full)
        for here in sorted(note["made"], reverse=True):
            with contextlib.suppress(OSError):
                os.rmdir(os.path.join(top, here))
        os.unlink(os.path.join(journal, "journal"))
    remove_tree(journal)
    return bool(entry)
