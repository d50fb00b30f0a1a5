# SPDX-License-Identifier: GPL-2.0-only
"""The series as mail: build/BASE/series/NNNN-*.patch and a cover letter."""

import os
from email.header import Header

from lib.series import lay
from lib.util import Fail, read_entry, remove_tree


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
    git = lay.Worktree(paths.linux).git
    tip = lay.tip_of(state)
    name, mail = state["author"].rstrip(">").split(" <")
    date = git.out("log", "-1", "--format=%cd", "--date=raw", tip)
    temp = os.path.join(paths.build, "tmp-series")
    final = os.path.join(paths.build, "series")
    remove_tree(temp)
    try:
        git.run("format-patch", "-q", "-n", "--no-renames", "--no-signature",
                "--cover-letter", "--cover-from-description=none", "-o", temp,
                "%s..%s" % (state["base"], tip),
                env={"GIT_COMMITTER_NAME": name, "GIT_COMMITTER_EMAIL": mail,
                     "GIT_AUTHOR_NAME": name, "GIT_AUTHOR_EMAIL": mail,
                     "GIT_COMMITTER_DATE": date})
        letter = os.path.join(temp, "0000-cover-letter.patch")
        with open(letter, encoding="utf-8") as src:
            text = src.read()
        for mark, words in (("*** SUBJECT HERE ***", Header(
                subject, maxlinelen=998).encode()), ("*** BLURB HERE ***", body)):
            if mark not in text:
                raise Fail("git format-patch wrote no '%s' into the cover letter"
                           % mark)
            text = text.replace(mark, words, 1)
        if not text.isascii() and "\nContent-Type:" not in text.partition("\n\n")[0]:
            text = text.replace("\n\n", "\nMIME-Version: 1.0\nContent-Type: text/plain; "
                                "charset=UTF-8\nContent-Transfer-Encoding: 8bit\n\n", 1)
        with open(letter, "w", encoding="utf-8") as out:
            out.write(text)
        remove_tree(final)
        os.rename(temp, final)
    finally:
        remove_tree(temp)
    return [os.path.join(final, n) for n in sorted(os.listdir(final))]
