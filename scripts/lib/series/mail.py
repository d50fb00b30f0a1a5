# SPDX-License-Identifier: GPL-2.0-only
"""The series as mail: build/BASE/series/NNNN-*.patch and a cover letter."""

import os
import re

from lib.series import lay
from lib.series.worktree import Worktree
from lib.util import Fail, read_entry, remove_tree

BRANCH = "virtio-dma-series"        # for as long as it takes, to describe it


def _cover(paths):
    """(subject, body) of series/BASE/cover."""
    where = os.path.join("series", paths.base, "cover")
    entry = read_entry(os.path.join(paths.root, where))
    text = entry[1].decode().strip() if entry else ""
    subject, _, body = text.partition("\n")
    if not body.strip() or not body.startswith("\n"):
        raise Fail("%s: write the cover letter's subject in the first line, leave "
                   "the second empty, then its text" % where)
    return subject.strip(), body.strip()


def write(paths):
    """make series: returns the files written."""
    subject, body = _cover(paths)
    state = lay.lay(paths)
    lay.must_have_patches(state)
    git, tip = Worktree(paths.linux).git, lay.tip_of(state)
    name, mail = state["author"].rstrip(">").split(" <")
    date = git.out("log", "-1", "--format=%cd", "--date=raw", tip)
    temp, final = (os.path.join(paths.build, n) for n in ("tmp-series", "series"))
    remove_tree(temp)
    try:
        git.run("update-ref", "refs/heads/" + BRANCH, tip)
        git.run("-c", "branch.%s.description=%s\n\n%s" % (BRANCH, subject, body),
                "format-patch", "-q", "-n", "--no-renames", "--no-signature",
                "--cover-letter", "--cover-from-description=subject", "-o", temp,
                "%s..%s" % (state["base"], BRANCH),
                env={"GIT_COMMITTER_NAME": name, "GIT_COMMITTER_EMAIL": mail,
                     "GIT_AUTHOR_NAME": name, "GIT_AUTHOR_EMAIL": mail,
                     "GIT_COMMITTER_DATE": date})
        letter = os.path.join(temp, "0000-cover-letter.patch")
        text = read_entry(letter)[1]
        with open(letter, "wb") as out:     # a long subject stays in one line
            out.write(re.sub(rb"^Subject:.*(\n .*)+", lambda m: m[0].replace(b"\n", b""),
                             text, count=1, flags=re.M))
        remove_tree(final)
        os.rename(temp, final)
    finally:
        remove_tree(temp)
        git.run("update-ref", "-d", "refs/heads/" + BRANCH)
    return [os.path.join(final, n) for n in sorted(os.listdir(final))]
