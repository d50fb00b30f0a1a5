# SPDX-License-Identifier: GPL-2.0-only
"""The git trees below build/: laid, brought up to date, guarded.

build/BASE/linux is made under another name and renamed when it is complete.
Later changes go through a note, .git/virtio-dma.next, written before the first
file is touched and removed after .git/virtio-dma.json tells the new state: a
run that was cut short is finished by the next one.
"""

import contextlib
import difflib
import hashlib
import json
import os
import re
import subprocess

from lib.series import base as bases
from lib.series import patches as series
from lib.util import (Fail, Git, git_env, locked, progress, read_entry,
                      remove_tree, warn, write_atomic)

BRANCH = "virtio-dma"
FORMAT = 1

_EXCLUDE = b"""# what builds and editors leave in the tree
/build-*/
.*.cmd
.*.sw?
*.rej
*.orig
*.pyc
__pycache__/
"""


class Paths:
    """Where everything is, from the environment that the Makefile exports."""

    def __init__(self, root):
        env = os.environ
        self.root = root
        self.base = env.get("BASE") or "6.12"
        self.kdir = env.get("KDIR") or ""
        self.build = os.path.join(root, "build", self.base)
        self.linux = os.path.join(self.build, "linux")
        self.stock = os.path.join(self.build, "stock")
        self.each = os.path.join(self.build, "each")
        home = env.get("XDG_CACHE_HOME") or os.path.join(
            os.path.expanduser("~"), ".cache")
        self.cache = os.path.join(home, "virtio-dma")
        if not re.match(r"\d+\.\d+$", self.base):
            raise Fail("BASE=%s: give a version such as 6.12" % self.base)
        if self.kdir:
            self.kdir = os.path.abspath(self.kdir)
            if not os.path.isdir(self.kdir):
                raise Fail("KDIR=%s is not a directory" % self.kdir)
            below = os.path.realpath(self.kdir) + "/"
            if below.startswith(os.path.realpath(self.build) + "/"):
                raise Fail("KDIR=%s is one of our own trees: give the base that "
                           "the series goes on" % self.kdir)

    def rel(self, path):
        """@path as the user would type it from the repository's top."""
        return os.path.relpath(path, self.root)

    def lock(self):
        return locked(os.path.join(self.build, ".lock"))


class Worktree:
    """A working tree below build/: linux itself, or one beside it."""

    def __init__(self, top):
        self.top = top
        dot = os.path.join(top, ".git")
        git_dir = dot
        if os.path.isfile(dot):
            with open(dot, encoding="utf-8") as src:
                git_dir = src.read().strip().partition("gitdir: ")[2]
        self.git = Git(git_dir, top)
        self.next = os.path.join(git_dir, "virtio-dma.next")

    def head(self):
        return self.git.resolve("HEAD^{commit}")

    def edits(self, untracked=True):
        """Paths with uncommitted edits.  Writes nothing."""
        out = self.git.bytes("status", "--porcelain", "-z", "--no-renames",
                             "-uall" if untracked else "-uno")
        return [row[3:] for row in out.decode(errors="surrogateescape").split("\0")
                if row]

    def recover(self):
        """Finish what a run that was cut short began; False if nothing was."""
        self.git.clear_stale_locks()
        note = read_entry(self.next)
        if not note:
            return False
        note = json.loads(note[1])
        if self.head() not in (note["old"], note["new"]):
            raise Fail("%s got commits after a run there was cut short: git -C %s log "
                       "shows them; take them elsewhere, delete the tree, make tree"
                       % (self.top, self.top))
        ours = set(self.git.diff_paths(note["old"], note["new"]))
        foreign = [p for p in self.edits(untracked=False) if p not in ours]
        if foreign:
            raise Fail("%s was edited after a run there was cut short: undo the edit "
                       "of %s, or delete %s" % (self.top, foreign[0], self.top))
        self.git.run("reset", "-q", "--hard", note["new"])
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


def _state_file(linux):
    return os.path.join(linux, ".git", "virtio-dma.json")


def read_state(linux):
    entry = read_entry(_state_file(linux))
    try:
        state = json.loads(entry[1]) if entry else None
    except ValueError:
        state = None
    return state if state and state.get("format") == FORMAT else None


def write_state(linux, base, who, inputs, laid):
    state = {"format": FORMAT, "base_key": base.key, "base": base.commit,
             "title": base.title, "author": who, "inputs": inputs,
             "patches": [p._asdict() for p in laid]}
    write_atomic(_state_file(linux), json.dumps(state, indent=1).encode())
    return state


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
    write_atomic(os.path.join(git.git_dir, "info", "exclude"), _EXCLUDE)
    return git


def commit_series(git, base, patches, who):
    """The commits of @patches on @base: [series.Laid]."""
    return series.build(git, os.path.join(git.git_dir, "virtio-dma.index"),
                        base.commit, patches, who, base.title)


def _lay_first(paths, patches, who):
    """build/BASE/linux from nothing."""
    temp = os.path.join(paths.build, "tmp-linux")
    remove_tree(temp)
    try:
        git = _init(temp, who)
        base = bases.provide(paths, git)
        laid = commit_series(git, base, patches, who)
        tip = laid[-1].commit
        with progress("tree: writing %s" % paths.rel(paths.linux)):
            git.run("update-ref", "refs/tags/base", base.commit)
            git.run("update-ref", "-m", "make tree", "HEAD", tip)
            git.run("reset", "-q", "--hard")
        state = write_state(temp, base, who,
                            series.inputs_id(base.key, who, patches), laid)
        _store_inputs(git, paths, patches)
        os.rename(temp, paths.linux)
    finally:
        remove_tree(temp)
    return state


def _store_inputs(git, paths, patches):
    """Keep what the tree was laid from, for refresh to merge against."""
    files = repo_files(paths, patches)
    index = os.path.join(git.git_dir, "virtio-dma.index")
    scratch = git.with_index(index)
    try:
        git.write_blobs([data for _, data in files.values()])
        scratch.run("read-tree", "--empty")
        series.index_set(scratch, {p: (m, series.blob_id(d))
                                   for p, (m, d) in files.items()})
        git.run("update-ref", "refs/virtio-dma/inputs", scratch.out("write-tree"))
    finally:
        for path in (index, index + ".lock"):
            if os.path.exists(path):
                os.unlink(path)


def repo_files(paths, patches):
    """{path: (mode, content)} of the repository's files that make the series."""
    files = {}
    for patch in patches:
        files.update(patch.add)
        for part in ("message", "files", "hunks.patch", "author"):
            name = "series/%s/%s/%s" % (paths.base, patch.name, part)
            entry = read_entry(os.path.join(paths.root, name))
            if entry:
                files[name] = entry
    return files


def check_ours(paths):
    if not os.path.isdir(os.path.join(paths.linux, ".git")) or \
            not read_state(paths.linux):
        raise Fail("%s was not laid by make tree: move it away or delete it"
                   % paths.rel(paths.linux))


def _whose_edits(paths, work, state):
    """'' or what the user has in the tree that the series has not."""
    head, tip = work.head(), tip_of(state)
    if head != tip:
        count = work.git.out("rev-list", "--count", "%s..%s" % (tip, head or "HEAD"))
        if work.git.out("rev-parse", "HEAD^{tree}") == \
                work.git.out("rev-parse", tip + "^{tree}"):
            return "commits other than the series'"
        return "%s commit%s not in the series" % (count, "" if count == "1" else "s")
    edits = work.edits()
    if edits:
        more = " and %d more" % (len(edits) - 1) if len(edits) > 1 else ""
        return "uncommitted edits (%s%s)" % (edits[0], more)
    return ""


def lay(paths, review=True):
    """make tree: returns the state.  The caller holds the lock.

    @review: warn of base files that nobody has reviewed"""
    patches = series.load(paths.root, paths.base)
    if not patches:
        raise Fail("series/%s has no patch (a folder such as 0001-name)" % paths.base)
    who = series.identity(paths.root)
    if not os.path.lexists(paths.linux):
        state = _lay_first(paths, patches, who)
        if review:
            check_reviewed(paths, patches, state, verbose=True)
        return state
    check_ours(paths)
    work = Worktree(paths.linux)
    recovered = work.recover()
    state = read_state(paths.linux)
    base = bases.provide(paths, work.git)
    inputs = series.inputs_id(base.key, who, patches)
    mine = "" if recovered else _whose_edits(paths, work, state)
    if state["inputs"] == inputs and state["base"] == base.commit and not recovered:
        print("tree: %s is up to date%s" % (
            paths.rel(paths.linux), ", with %s of yours" % mine if mine else ""),
            flush=True)
        if review:
            check_reviewed(paths, patches, state, verbose=False)
        return state
    laid = commit_series(work.git, base, patches, who)
    # A refresh that was cut short leaves the branch where it goes now.
    if mine and (work.head() != laid[-1].commit or work.edits()):
        raise Fail("%s has %s and the series changed: make refresh takes them into the "
                   "repository, git -C %s reset --hard %s drops them"
                   % (paths.rel(paths.linux), mine, paths.rel(paths.linux),
                      tip_of(state)[:12]))
    settle(paths, work, base, who, inputs, laid, patches)
    state = read_state(paths.linux)
    if review:
        check_reviewed(paths, patches, state, verbose=True)
    return state


def settle(paths, work, base, who, inputs, laid, patches):
    """Move the tree to @laid and write down that it is there."""
    tip = laid[-1].commit
    old = work.head()
    work.move(tip, "make tree")
    work.git.run("update-ref", "refs/tags/base", base.commit)
    _store_inputs(work.git, paths, patches)
    write_state(paths.linux, base, who, inputs, laid)
    work.finish()
    count = len(work.git.diff_paths(old, tip))
    print("tree: %s updated, %d file%s changed" % (
        paths.rel(paths.linux), count, "" if count == 1 else "s"), flush=True)


# --- stock and each --------------------------------------------------------

def beside(paths, top, commit):
    """A worktree at @top on @commit, made or moved there; its edits are guarded."""
    linux = Worktree(paths.linux).git
    linux.clear_stale_locks()
    if not os.path.lexists(top):
        linux.run("worktree", "prune")
        temp = os.path.join(paths.build, "tmp-" + os.path.basename(top))
        remove_tree(temp)
        linux.run("worktree", "prune")
        with progress("tree: writing %s" % paths.rel(top)):
            linux.run("worktree", "add", "-f", "--detach", "--no-checkout", temp, commit)
            Worktree(temp).git.run("reset", "-q", "--hard", commit)
            linux.run("worktree", "move", temp, top)
        return Worktree(top)
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
    return work


def each(paths, command):
    """Run @command in build/BASE/each after each patch; its failure is ours."""
    with locked(os.path.join(paths.build, ".lock-each")):
        with paths.lock():
            state = lay(paths)
        for row in state["patches"]:
            with paths.lock():
                beside(paths, paths.each, row["commit"])
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
        lay(paths)
    check_ours(paths)
    base = bases.provide(paths, Worktree(paths.linux).git)
    beside(paths, paths.stock, base.commit)
    print("tree: %s is %s" % (paths.rel(paths.stock), base.title), flush=True)


# --- reviewed --------------------------------------------------------------

def _find_reviewed(paths, git, path, digest):
    """The content of base file @path whose sha256 is @digest, if it is kept."""
    places = [(git, ref) for ref in git.out(
        "for-each-ref", "--format=%(refname)", "refs/bases").split()]
    places += [(Git(repo), "refs/heads/base")
               for repo in bases.cached_repositories(paths.cache, paths.base)]
    for where, ref in places:
        data = where.blob(ref, path)
        if data is not None and hashlib.sha256(data).hexdigest() == digest:
            return data
    return None


def check_reviewed(paths, patches, state, verbose):
    """Warn of base files that changed since somebody read them."""
    git = Worktree(paths.linux).git
    found = series.unreviewed(git, state["base"], patches,
                              series.read_reviewed(paths.root, paths.base))
    if not found:
        return
    diff = []
    for path, now, digest in found:
        old = _find_reviewed(paths, git, path, digest) if digest else b""
        if old is None:
            warn("%s changed in %s since it was reviewed, and the cache has no base "
                 "with the reviewed one: read the whole file" % (path, state["title"]))
            continue
        warn("%s %s in %s, and the series replaces it" % (
            path, "changed since it was reviewed" if digest else
            "has not been reviewed", state["title"]))
        if digest:
            diff += difflib.unified_diff(
                old.decode(errors="replace").splitlines(True),
                now.decode(errors="replace").splitlines(True),
                "a/" + path, "b/" + path)
    name = os.path.join(paths.build, "review.diff")
    if diff:
        write_atomic(name, "".join(diff).encode())
        if verbose:
            print("".join(diff[:200]), end="")
            if len(diff) > 200:
                print("(%d lines more in %s)" % (len(diff) - 200, paths.rel(name)))
        warn("what to review is in %s" % paths.rel(name))
    warn("once read and carried over where needed: scripts/tree.py reviewed")


def write_reviewed(paths):
    """Take the base files of today as read."""
    patches = series.load(paths.root, paths.base)
    state = lay(paths, review=False)
    git = Worktree(paths.linux).git
    old = series.read_reviewed(paths.root, paths.base)
    rows = {}
    for path, blob in series.replaced_files(git, state["base"], patches).items():
        rows[path] = hashlib.sha256(git.bytes("cat-file", "blob", blob)).hexdigest()
    text = "".join("%s  %s\n" % (rows[p], p) for p in sorted(rows))
    name = os.path.join(paths.root, "series", paths.base, "reviewed")
    if rows != old or not os.path.exists(name):
        write_atomic(name, text.encode())
    print("reviewed: %d files, %d new or changed, as of %s" % (
        len(rows), len([p for p in rows if old.get(p) != rows[p]]), state["title"]))
