# SPDX-License-Identifier: GPL-2.0-only
"""The git trees below build/: laid, brought up to date, guarded.

build/BASE/linux is made under another name and renamed when it is complete;
.git/virtio-dma.json tells what it was laid from.
"""

import contextlib
import json
import os
import subprocess

from lib.series import base as bases, patches as series, reviewed
from lib.series.worktree import Worktree
from lib.util import (Fail, Git, git_env, plural, progress, read_entry,
                      remove_tree, some, write_atomic)

BRANCH = "virtio-dma"
FORMAT = 1

# What builds and editors leave in the tree, for git to overlook.
_EXCLUDE = b"/build-*/\n.*.cmd\n.*.sw?\n*.rej\n*.orig\n*.pyc\n__pycache__/\n"


def read_state(linux):
    """What _write_down() noted, None if it did not."""
    with contextlib.suppress(ValueError, TypeError):
        state = json.loads(read_entry(linux + "/.git/virtio-dma.json")[1])
        return state if state.get("format") == FORMAT else None
    return None


def tip_of(state):
    return state["patches"][-1]["commit"]


def _init(top, who):
    """A git repository at @top without a commit yet."""
    subprocess.run(("git", "init", "-q", "-b", BRANCH, top), env=git_env(), check=True)
    git = Git(os.path.join(top, ".git"), top)
    settings = {"gc.auto": "0", "core.logAllRefUpdates": "true"}
    if who != series.NOBODY:        # so that commits made there say the same
        settings["user.name"], settings["user.email"] = who.rstrip(">").split(" <")
    for key, value in settings.items():
        git.run("config", key, value)
    write_atomic(git.git_dir + "/info/exclude", _EXCLUDE)
    return git


def commit_series(git, base, patches, who):
    """The commits of @patches on @base: [series.Laid]."""
    if base.key.startswith("kdir-") and series.already(git, base.commit, patches):
        print("tree: %s has the series already" % base.title, flush=True)
        return [series.Laid(ALREADY, base.commit, git.tree_of(base.commit))]
    return series.build(git, base.commit, patches, who, base.title)


ALREADY = "in-the-base"             # the name of the only patch then


def must_have_patches(state):
    if state["patches"][0]["name"] == ALREADY:
        raise Fail("%s has the series already: run make tree without KDIR first"
                   % state["title"])


def _write_down(paths, git, base, who, laid):
    """Say beside the tree in @git what it was laid from; refresh merges against it."""
    git.run("update-ref", "refs/tags/base", base.commit)
    git.run("update-ref", "refs/virtio-dma/inputs",
            git.write_files(paths.files))
    state = {"format": FORMAT, "base_key": base.key, "base": base.commit,
             "title": base.title, "author": who,
             "inputs": series.inputs_id(base.key, who, paths.files),
             "patches": [p._asdict() for p in laid]}
    write_atomic(git.git_dir + "/virtio-dma.json", json.dumps(state, indent=1).encode())
    return state


def _lay_first(paths, patches, who):
    """build/BASE/linux from nothing."""
    temp = os.path.join(paths.build, "tmp-linux")
    remove_tree(temp)
    try:
        git = _init(temp, who)
        base = bases.provide(paths, git)
        laid = commit_series(git, base, patches, who)
        with progress("tree: writing %s" % paths.rel(paths.linux)):
            git.run("update-ref", "-m", "make tree", "HEAD", laid[-1].commit)
            git.run("reset", "-q", "--hard")
        state = _write_down(paths, git, base, who, laid)
        os.rename(temp, paths.linux)
    finally:
        remove_tree(temp)
    return state


def check_ours(paths):
    if not read_state(paths.linux):
        raise Fail("%s was not laid by make tree: move it away or delete it"
                   % paths.rel(paths.linux))


def _whose_edits(work, state):
    """'' or what the user has in the tree that the series has not."""
    head, tip = work.head(), tip_of(state)
    if head != tip:
        if work.git.tree_of("HEAD") == work.git.tree_of(tip):
            return "commits other than the series'"
        return plural(int(work.git.out("rev-list", "--count", "%s..HEAD" % tip)),
                      "commit") + " not in the series"
    edits = work.edits()
    return "uncommitted edits (%s)" % some(edits) if edits else ""


def lay(paths, review=True):
    """make tree: returns the state.  The caller holds the lock.

    @review: warn of base files that nobody has reviewed"""
    patches, who = paths.load(), series.identity(paths.root)
    fresh = not os.path.lexists(paths.linux)
    if fresh:
        state = _lay_first(paths, patches, who)
    else:
        check_ours(paths)
        work = Worktree(paths.linux)
        recovered = work.recover()
        state = read_state(paths.linux)
        base = bases.provide(paths, work.git)
        mine = "" if recovered else _whose_edits(work, state)
        if state["inputs"] == series.inputs_id(base.key, who, paths.files) \
                and state["base"] == base.commit and not recovered:
            print("tree: %s is up to date%s" % (
                paths.rel(paths.linux), ", with %s of yours" % mine if mine else ""),
                flush=True)
        else:
            fresh = True
            laid = commit_series(work.git, base, patches, who)
            # A refresh that was cut short leaves the branch where it goes now.
            if mine and (work.head() != laid[-1].commit or work.edits()):
                raise Fail("%s has %s and the series changed: make refresh takes them "
                           "into the repository, git -C %s reset --hard %s drops them"
                           % (paths.rel(paths.linux), mine, paths.rel(paths.linux),
                              tip_of(state)[:12]))
            state = settle(paths, work, base, who, laid)
    if review and state["patches"][0]["name"] != ALREADY:
        reviewed.check(paths, Worktree(paths.linux).git, patches, state, verbose=fresh)
    return state


def settle(paths, work, base, who, laid):
    """Move the tree to @laid and write down that it is there."""
    tip, old = laid[-1].commit, work.head()
    work.move(tip, "make tree")
    state = _write_down(paths, work.git, base, who, laid)
    work.finish()
    print("tree: %s updated, %s changed" % (
        paths.rel(paths.linux), plural(len(work.git.diff(old, tip)), "file")), flush=True)
    return state
