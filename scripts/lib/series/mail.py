# SPDX-License-Identifier: GPL-2.0-only
"""The series as mail: build/BASE/series/NNNN-*.patch and a cover letter, each to
those whom the base's get_maintainer.pl names for it."""

import concurrent.futures
import contextlib
import hashlib
import json
import os
import re
import subprocess

from lib.series import lay
from lib.series.worktree import Worktree
from lib.util import Fail, read_entry, remove_tree, write_atomic

BRANCH = "virtio-dma-series"        # for as long as it takes, to describe it
# What the cover may have a line @NAME@ for, and the verb that prints it.
TABLES = {"figures": "bench", "steps": "each"}


def _cover(paths):
    """(subject, body) of series/BASE/cover."""
    where = os.path.join("series", paths.base, "cover")
    entry = read_entry(os.path.join(paths.root, where))
    text = entry[1].decode().strip() if entry else ""
    subject, _, body = text.partition("\n")
    if not body.strip() or not body.startswith("\n"):
        raise Fail("%s: write the cover letter's subject in the first line, leave "
                   "the second empty, then its text" % where)
    for name, verb in TABLES.items():
        if "@%s@" % name in body.split("\n"):
            table = read_entry(os.path.join(paths.root, "series", paths.base, name))
            if not table:
                raise Fail("%s has a line @%s@ and there is no series/%s/%s: copy "
                           "build/%s/%s.txt of a make %s there" % (
                               where, name, paths.base, name, paths.base, verb, verb))
            body = body.replace("@%s@" % name, table[1].decode().strip())
    return subject.strip(), body.strip()


def _recipients(linux, patch):
    """{"To": people, "Cc": lists} of the mail @patch, as the tree @linux knows them."""
    found = {"To": [], "Cc": []}
    try:
        said = subprocess.run(
            ("perl", "scripts/get_maintainer.pl", "--nogit", "--nogit-fallback",
             "--norolestats", "--roles", patch), cwd=linux, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError) as err:
        raise Fail("get_maintainer.pl cannot say whom %s goes to: %s" % (
            os.path.basename(patch),
            (getattr(err, "stderr", "") or str(err)).strip().split("\n")[0])) from None
    for who, role in re.findall(r"^(.*?@[^ ]*) \((.*)\)$", said, re.M):
        found["Cc" if " list" in role or role.endswith("list") else "To"].append(who)
    return found


def _address(paths, mails):
    """Write to whom each of @mails goes into it, and everybody into the first.  It takes
    get_maintainer.pl seconds to say, so what it said of the same patch is kept."""
    linux, kept = paths.linux, os.path.join(paths.build, "recipients.json")
    known, whole = {}, [read_entry(os.path.join(linux, name))[1]
                        for name in ("MAINTAINERS", "scripts/get_maintainer.pl")
                        if os.path.exists(os.path.join(linux, name))]
    with contextlib.suppress(TypeError, ValueError):
        known = json.loads(read_entry(kept)[1])

    def ask(mail):
        # The patch from its message on: the commit's name changes with those before it.
        text = read_entry(mail)[1].partition(b"\nSubject:")[2]
        key = hashlib.sha256(b"\0".join([*whole, text])).hexdigest()
        return key, known.get(key) or _recipients(linux, mail)

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(ask, mails[1:]))
    write_atomic(kept, json.dumps(dict(found)).encode())
    each = [row for _, row in found]
    everybody = {key: list(dict.fromkeys(who for row in each for who in row[key]))
                 for key in ("To", "Cc")}
    for mail, found in zip(mails, [everybody, *each]):
        lines = "".join("%s: %s\n" % (key, ",\n    ".join(found[key]))
                        for key in found if found[key])
        with open(mail, "r+b") as out:
            text = out.read().replace(b"\nSubject:", b"\n" + lines.encode() + b"Subject:", 1)
            out.seek(0)
            out.write(text)


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
        if os.path.exists(os.path.join(paths.linux, "scripts/get_maintainer.pl")):
            _address(paths, [os.path.join(temp, n) for n in sorted(os.listdir(temp))])
        remove_tree(final)
        os.rename(temp, final)
    finally:
        remove_tree(temp)
        git.run("update-ref", "-d", "refs/heads/" + BRANCH)
    return [os.path.join(final, n) for n in sorted(os.listdir(final))]
