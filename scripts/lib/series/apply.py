# SPDX-License-Identifier: GPL-2.0-only
"""make apply and make unapply: the series onto a tree of the user's own, and off it.

Everything is tried first in a repository below build/ that holds only the files
which the series touches.  A clean git tree then gets commits, and two refs that
tell what it was before.  Any other tree gets the files, and that repository,
as KDIR/.virtio-dma (.git/virtio-dma of a git tree): git checks the files out of
it, and the old ones when the series is to go.  A run that is cut short is taken
back by the next one.
"""

import os
import shutil
import subprocess
import time

from lib.series import base as bases, patches as series, reviewed
from lib.series.worktree import Worktree
from lib.util import Fail, Git, git_env, plural, read_entry, remove_tree, some, warn

BEFORE, APPLIED = "refs/virtio-dma/before", "refs/virtio-dma/applied"


class _Target:
    """The tree at KDIR, without what an interrupted run left there."""

    def __init__(self, paths):
        self.name, self.top = paths.kdir, os.path.realpath(paths.kdir)
        self.version = bases.check_kdir(paths)
        self.check, self.force = ((os.environ.get(k) or "0") != "0"
                                  for k in ("CHECK", "FORCE"))
        if not self.check and not os.access(self.top, os.W_OK):
            raise Fail("%s cannot be written to: make it writable, or copy it" % self.name)
        git_dir = bases.git_dir(self.top)
        self.git = Git(git_dir, self.top, durable=True) if git_dir else None
        # What make apply leaves where it writes files, and the tree as one of it.
        self.record = os.path.join(git_dir or self.top,
                                   "virtio-dma" if git_dir else ".virtio-dma")
        self.files = None
        if os.path.lexists(self.record):
            work = self.work(False)
            self._undone(work)
            if work.head() in (None, work.git.resolve(BEFORE)):
                remove_tree(self.record)
            else:
                self.files = work
        elif self.git:
            self._undone(self.work(True))

    def _undone(self, work):
        if work.head() and work.recover(back=True):
            warn("%s: an earlier run was cut short, its changes are taken back"
                 % self.name)

    def work(self, commits):
        return Worktree(self.top, self.git if commits else
                            Git(self.record, self.top, durable=True))

    def move(self, work, new):
        """Check out @new, all or nothing."""
        try:
            work.move(new, "virtio-dma series")
        except BaseException as err:
            work.recover(back=True)
            if isinstance(err, Fail):
                raise Fail("%s is as it was: %s" % (self.name, err)) from None
            raise

    def lose(self, what, paths, instead):
        """The user's work in @paths is about to go."""
        if paths and not self.force:
            raise Fail("%s of %s %s: %s, or FORCE=1" % (
                some(paths, 20), self.name, what, instead))
        for path in paths:
            warn("%s of %s %s" % (path, self.name, what))


def apply(paths):
    """make apply.  The caller holds the lock."""
    at, patches, temp = _Target(paths), paths.load(), paths.build + "/tmp-apply"
    entries = {p: read_entry(os.path.join(at.top, p)) for p in series.touched(patches)}
    there = {p: e for p, e in entries.items() if e}
    remove_tree(temp)
    try:
        subprocess.run(("git", "init", "-q", "--bare", "--template=", temp),
                       env=git_env(), check=True)
        trial = Git(temp)
        old = trial.commit(trial.write_files(there))
        if series.already(trial, old, patches):
            print("apply: %s has the series already" % at.name)
            return
        if at.files or at.git and at.git.test("merge-base", "--is-ancestor", APPLIED, "HEAD"):
            raise Fail("%s has another state of the series: make unapply KDIR=%s first"
                       % (at.name, at.name))
        known = reviewed.read(paths)
        for patch in patches:
            for path in patch.add:
                if path in there and path not in known:
                    raise Fail("%s has %s already, which %s adds and series/%s/"
                               "reviewed does not list: start from a tree without it"
                               % (at.name, path, patch.name, paths.base))
        who = series.identity(at.top)
        laid = series.build(trial, old, patches, who, at.name)
        at.lose("would be lost: the series replaces it, and it is not the one that the "
                "series was written against",
                [row[0] for row in reviewed.changed(paths, trial, old, patches)],
                "carry its changes over to the series")
        head = at.git and at.git.resolve("HEAD^{commit}")
        edits = at.work(True).edits(untracked=False) if head else []
        at.lose("has edits that are not committed, and files of the series would mix "
                "with them", edits, "commit or stash them")
        commits = head and not edits
        count = plural(*(len(laid), "commit") if commits else
                       (len(trial.diff(old, laid[-1].commit)), "file"))
        if at.check:
            print("apply: %s would get %s (Linux %s); CHECK=1, so nothing is changed"
                  % (at.name, count, at.version))
        elif commits:
            laid = series.build(at.git, head, patches, who, at.name, int(time.time()))
            work = at.work(True)
            at.git.run("update-index", "-q", "--refresh", ok=(0, 1))
            at.move(work, laid[-1].commit)
            at.git.run("update-ref", BEFORE, head)
            at.git.run("update-ref", APPLIED, laid[-1].commit)
            work.finish()
            print("apply: %s on %s (Linux %s)" % (count, at.name, at.version))
        else:
            _write(at, trial, old, laid[-1].commit)
            print("apply: %s written in %s (Linux %s)%s" % (
                count, at.name, at.version, ", not committed: the tree has changes of "
                "its own" if at.git else ""))
    finally:
        remove_tree(temp)


def _write(at, trial, old, new):
    """Check the files of @new out of a copy of @trial that stays there."""
    for ref in ("HEAD", BEFORE):
        trial.run("update-ref", ref, old)
    trial.run("update-ref", APPLIED, new)
    work = at.work(False)
    try:
        shutil.copytree(trial.git_dir, at.record)
        work.git.run("read-tree", old)
        work.git.run("update-index", "-q", "--refresh", ok=(0, 1))
        at.move(work, new)
    except BaseException:
        if not os.path.lexists(work.next):      # or the old files are needed again
            remove_tree(at.record)
        raise
    work.finish()


def unapply(paths):
    """make unapply: the tree as it was before make apply.  The caller holds the lock."""
    at = _Target(paths)
    work = at.files or at.git and at.work(True)
    old, new = (work.git.resolve(r) for r in (BEFORE, APPLIED)) if work else (None, None)
    if not new:
        raise Fail("make apply has put nothing onto %s: git am, if that did, is undone "
                   "with git reset or git rebase" % at.name)
    if work.head() != new:
        raise Fail("%s has other commits on the series, or is on another branch: git -C %s "
                   "rebase --onto %s %s takes the series out" % (
                       at.name, at.name, old[:12], new[:12]))
    ours = work.git.diff(old, new)
    edits = [p for p in work.edits(untracked=False) if p in ours]
    at.lose("was edited after make apply", edits, "save the edits")
    if at.check:
        print("unapply: %s would change in %s; CHECK=1, so nothing is changed"
              % (plural(len(ours), "file"), at.name))
        return
    if edits:
        work.git.run("checkout", "-q", "HEAD", "--", *edits)
    at.move(work, old)
    for ref in (APPLIED, BEFORE):
        work.git.run("update-ref", "-d", ref)
    work.finish()
    if at.files:
        remove_tree(at.record)
    print("unapply: %s is as it was before make apply, %s changed"
          % (at.name, plural(len(ours), "file")))
