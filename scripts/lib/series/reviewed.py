# SPDX-License-Identifier: GPL-2.0-only
"""The base files that the series replaces whole: have they changed since somebody
read them?  series/BASE/reviewed has the sha256 of each as it was then."""

import difflib
import hashlib
import os
import re

from lib.series import base as bases
from lib.util import Fail, Git, read_entry, warn, write_atomic


def _file(paths):
    return os.path.join("series", paths.base, "reviewed")


def _replaced(git, base_commit, patches):
    """[(path, content, sha256)] of base files that the series replaces or deletes."""
    names = {path for p in patches for path in [*p.add, *p.delete]}
    return [(path, data, hashlib.sha256(data).hexdigest()) for path, (_, data)
            in sorted(git.files(base_commit, names).items())]


def read(paths):
    """{path: sha256} of series/BASE/reviewed."""
    entry, found = read_entry(os.path.join(paths.root, _file(paths))), {}
    for num, line in enumerate(entry[1].decode().splitlines() if entry else [], 1):
        match = re.match(r"([0-9a-f]{64})  (\S.*)$", line)
        if match:
            found[match.group(2)] = match.group(1)
        elif line.strip() and not line.startswith("#"):
            raise Fail("%s:%d: write 'SHA256  PATH', or run scripts/tree.py reviewed"
                       % (_file(paths), num))
    return found


def changed(paths, git, base_commit, patches):
    """[(path, content now, digest reviewed or None)] where the two differ."""
    known = read(paths)
    return [(path, now, known.get(path)) for path, now, digest
            in _replaced(git, base_commit, patches) if digest != known.get(path)]


def _find(paths, git, path, digest):
    """The content of base file @path whose sha256 is @digest, if it is kept."""
    refs = git.out("for-each-ref", "--format=%(refname)", "refs/bases").split()
    repos = bases.cached_repositories(paths.cache, paths.version)
    for where, ref in [(git, r) for r in refs] + [(Git(r), "base") for r in repos]:
        for _, data in where.files(ref, [path]).values():
            if hashlib.sha256(data).hexdigest() == digest:
                return data
    return None


def check(paths, git, patches, state, verbose):
    """Warn of base files that changed since somebody read them."""
    found, diff = changed(paths, git, state["base"], patches), []
    for path, now, digest in found:
        old = _find(paths, git, path, digest) if digest else b""
        if old is None:
            warn("%s changed in %s since it was reviewed, and the cache has no base "
                 "with the reviewed one: read the whole file" % (path, state["title"]))
            continue
        warn("%s %s in %s, and the series replaces it" % (
            path, "changed since it was reviewed" if digest else
            "has not been reviewed", state["title"]))
        diff += difflib.unified_diff(*(
            text.decode(errors="replace").splitlines(True) for text in (old, now)),
            "a/" + path, "b/" + path) if digest else []
    if diff:
        name = os.path.join(paths.build, "review.diff")
        write_atomic(name, "".join(diff).encode())
        if verbose:
            print("".join(diff[:200]), end="")
            if len(diff) > 200:
                print("(%d lines more in %s)" % (len(diff) - 200, paths.rel(name)))
        warn("what to review is in %s" % paths.rel(name))
    if found:
        warn("once read and carried over where needed: scripts/tree.py reviewed")


def write(paths, git, patches, state):
    """Take the base files of today as read."""
    rows, old = _replaced(git, state["base"], patches), read(paths)
    text = "".join("%s  %s\n" % (digest, path) for path, _, digest in rows).encode()
    name = os.path.join(paths.root, _file(paths))
    if read_entry(name) != ("100644", text):
        write_atomic(name, text)
    print("reviewed: %d files, %d new or changed, as of %s" % (
        len(rows), len([p for p, _, d in rows if old.get(p) != d]), state["title"]))
