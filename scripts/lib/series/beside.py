# SPDX-License-Identifier: GPL-2.0-only
"""Worktrees beside build/BASE/linux: stock, and each, the tree after a patch."""

import os
import subprocess

from lib.series import base as bases, lay
from lib.series.worktree import Worktree
from lib.util import Fail, locked, progress, remove_tree


def _move(paths, top, commit):
    """A worktree at @top on @commit, made or moved there; its edits are guarded."""
    linux = Worktree(paths.linux).git
    linux.clear_stale_locks()
    if not os.path.lexists(top):
        temp = os.path.join(paths.build, "tmp-" + os.path.basename(top))
        remove_tree(temp)
        linux.run("worktree", "prune")
        with progress("tree: writing %s" % paths.rel(top)):
            linux.run("worktree", "add", "-f", "--detach", "--no-checkout", temp, commit)
            Worktree(temp).git.run("reset", "-q", "--hard", commit)
            linux.run("worktree", "move", temp, top)
        return
    linux.run("worktree", "repair", top, ok=range(256))     # the clone was moved
    work = Worktree(top)
    if not work.git.test("rev-parse", "--verify", "-q", "HEAD^{commit}"):
        raise Fail("%s is not a worktree of %s any more: delete it"
                   % (paths.rel(top), paths.rel(paths.linux)))
    work.recover()
    edits = work.edits(untracked=False)
    if edits:
        raise Fail("%s has edits (%s): take them elsewhere, then git -C %s reset --hard"
                   % (paths.rel(top), edits[0], paths.rel(top)))
    work.move(commit, "virtio-dma")
    work.finish()


def each(paths, command):
    """Run @command in build/BASE/each after each patch; its failure is ours."""
    with locked(os.path.join(paths.build, ".lock-each")):
        with paths.lock():
            state = lay.lay(paths)
        for row in state["patches"]:
            with paths.lock():
                _move(paths, paths.each, row["commit"])
            print("each: %s" % row["name"], flush=True)
            env = dict(os.environ, SERIES_PATCH=row["name"], SERIES_COMMIT=row["commit"])
            try:
                status = subprocess.run(command, cwd=paths.each, env=env,
                                        check=False).returncode
            except OSError as err:
                raise Fail("cannot run %s: %s" % (command[0], err.strerror)) from None
            if status:
                raise Fail("%s: %s ended with status %d" % (
                    row["name"], " ".join(command), status))
        print("each: %d patches passed" % len(state["patches"]), flush=True)


def stock(paths):
    """build/BASE/stock, the base and nothing else."""
    if not os.path.lexists(paths.linux):
        lay.lay(paths)
    lay.check_ours(paths)
    base = bases.provide(paths, Worktree(paths.linux).git)
    _move(paths, paths.stock, base.commit)
    print("tree: %s is %s" % (paths.rel(paths.stock), base.title), flush=True)
