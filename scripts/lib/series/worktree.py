# SPDX-License-Identifier: GPL-2.0-only
"""A working tree that goes from one commit to another all or nothing.

A note, virtio-dma.next in the git directory, is written before the first file is
touched and removed by finish(): a run that was cut short is finished by the next
one, or taken back.
"""

import contextlib
import json
import os
import re

from lib.util import Fail, Git, read_entry, write_atomic


class Worktree:
    """A working tree: linux itself, one beside it, or, with @git, a user's."""

    def __init__(self, top, git=None):
        self.top = top
        dot = os.path.join(top, ".git")
        if not git and os.path.isfile(dot):
            with open(dot, encoding="utf-8") as src:
                dot = src.read().strip().partition("gitdir: ")[2]
        self.git = git or Git(dot, top)
        self.next = os.path.join(self.git.git_dir, "virtio-dma.next")

    def head(self):
        return self.git.resolve("HEAD^{commit}")

    def edits(self, untracked=True):
        """Paths with uncommitted edits.  Writes nothing."""
        return [row[3:] for row in self.git.rows(
            "status", "--porcelain", "-z", "--no-renames",
            "-uall" if untracked else "-uno")]

    def recover(self, back=False):
        """Finish what a run that was cut short began, or take it @back; False if
        nothing was."""
        note = read_entry(self.next)
        if note or not back:
            self.git.clear_stale_locks()
        if not note:
            return False
        note = json.loads(note[1])
        old, new = (note[k] for k in (("new", "old") if back else ("old", "new")))
        if self.head() not in (old, new):
            raise Fail("%s got commits after a run there was cut short: take them "
                       "elsewhere, then git -C %s reset --hard %s"
                       % (self.top, self.top, old[:12]))
        ours = self.git.diff(old, new)
        foreign = [p for p in self.edits(untracked=False) if p not in ours]
        if foreign and not back:
            raise Fail("%s was edited after a run there was cut short: undo the edit "
                       "of %s, or delete %s" % (self.top, foreign[0], self.top))
        # What the index knows of the old, git removes where the new has it not.
        self.git.run("read-tree", "--reset", old)
        self.git.run("restore", "-q", "--source=" + new, "--staged", "--worktree",
                     "--pathspec-from-file=-", "--pathspec-file-nul",
                     data="\0".join(ours))
        self.git.run("update-ref", "HEAD", new)
        self.finish()
        return True

    def finish(self):
        """What move() began is complete and written down."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.next)

    def move(self, new, why):
        """Check out the commit @new, touching only what differs.

        The caller has made sure that there is no edit to lose, and calls
        finish() once it has written down that the tree is there."""
        old = self.head()
        if old == new:
            return
        write_atomic(self.next, json.dumps({"old": old, "new": new}).encode())
        # Refuses where an untracked file of the user's would be overwritten.
        try:
            self.git.run("read-tree", "-m", "-u", old, new)
        except Fail as err:
            text = getattr(err, "stderr", "")
            match = re.search(r"^\t(.*)$", text, re.M) or \
                re.search(r"'(.*)' (?:not uptodate|would be overwritten)", text)
            if "overwritten" in text and match:
                self.finish()
                raise Fail("%s/%s is yours and the series has a file there: move it "
                           "away" % (self.top, match.group(1))) from None
            raise
        self.git.run("update-ref", "-m", why, "HEAD", new)
