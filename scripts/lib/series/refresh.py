# SPDX-License-Identifier: GPL-2.0-only
"""make refresh: the commits in build/BASE/linux become the series.

Each commit on the base becomes a folder.  Git itself squashes and rebases:
what is not committed, or waits to be squashed, is refused with the command to
run.  What comes out is built again from the new folders and has to give the
very tree that the user has; only then is the repository written, file by file,
and after that the branch is moved.
"""

import collections
import contextlib
import os
import re
import subprocess

from lib.series import base as bases, lay, patches as series
from lib.series.worktree import Worktree
from lib.util import Fail, git_env, plural, some, write_entry

Commit = collections.namedtuple("Commit", "id parents date author message")


def _commits(git, *revs):
    rows = git.rows("log", "-z", "--topo-order", "--reverse",
                    "--format=%H%n%P%n%at%n%an <%ae>%n%B", *revs)
    return [Commit(*row.split("\n", 4)) for row in rows]


def _refuse_edits(git, tree, edits):
    """Say how to commit the edits of the patch that the first belongs to."""
    known, groups = git.ls_tree("HEAD", edits), {}
    for path in edits:
        place = path if path in known else os.path.dirname(path) or "."
        groups.setdefault(git.out("log", "-1", "--format=%h", "base..", "--", place),
                          []).append(path)
    owner, names = next(iter(groups.items()))
    new = [n for n in names if n not in known]
    raise Fail("%s has edits that are not committed (%s): %sgit -C %s commit --fixup=%s "
               "-- %s%s" % (
                   tree, some(edits),
                   "git -C %s add -f %s && " % (tree, " ".join(new)) if new else "",
                   tree, owner or "COMMIT", " ".join(names),
                   " (git -C %s log --oneline base.. lists the patches)" % tree
                   if not owner else ", then git -C %s rebase -i --autosquash base" % tree
                   if len(groups) == 1 else ", then make refresh"))


def _straight(git, base, tree):
    """The commits that the user has on the base, oldest first, one a patch."""
    if not git.test("merge-base", "--is-ancestor", base, "HEAD"):
        raise Fail("%s is not built on the base commit %s: git -C %s rebase base"
                   % (tree, base[:12], tree))
    commits, last = _commits(git, base + "..HEAD"), base
    subjects = [c.message.split("\n")[0] for c in commits]
    for commit, subject in zip(commits, subjects):
        if commit.parents != last:
            raise Fail("%s has a merge at %s, and a series is a straight line: git -C %s "
                       "rebase base" % (tree, commit.id[:12], tree))
        last = commit.id
        match = re.match(r"(?:(?:fixup|squash|amend)! )+(.*)", subject)
        if match and match.group(1) not in subjects:
            raise Fail("'%s' (%s) names no earlier commit: git -C %s rebase -i base, and "
                       "reword it" % (subject, commit.id[:12], tree))
        if match:
            raise Fail("%s has commits to squash ('%s'): git -C %s rebase -i --autosquash "
                       "base" % (tree, subject, tree))
    return commits


def _match(git, commits, state):
    """({commit: the folder it came from}, [folders that no commit has]).

    The dates of the series' commits are all different and git keeps an author's
    date through amend and rebase, so a date tells the patch."""
    folders, free = {}, {row["name"]: _commits(git, "-1", row["commit"])[0]
                         for row in state["patches"]}
    for key in (lambda c: c.id, lambda c: c.date, lambda c: c.message.split("\n")[0]):
        for commit in commits:
            for name, old in list(free.items()):
                if commit.id not in folders and key(commit) == key(old):
                    folders[commit.id] = name
                    del free[name]
    return folders, sorted(free)


def _slug(subject):
    words = re.sub(r"[^a-z0-9]+", "-", subject.lower()).strip("-")
    while len(words) > 40 and "-" in words:
        words = words.rpartition("-")[0]
    return words[:40] or "patch"


def _names(commits, folders):
    """{commit: folder it gets}; folders keep their numbers while they are in order."""
    last, wish = 0, {}
    for commit in commits:
        last = int(folders[commit.id][:4]) if commit.id in folders else last + 1
        wish[commit.id] = last
    numbers = list(wish.values())
    if any(a >= b for a, b in zip(numbers, numbers[1:])):
        wish = {commit.id: num for num, commit in enumerate(commits, 1)}
    return {c.id: "%04d-%s" % (wish[c.id], folders[c.id][5:] if c.id in folders else
                               _slug(c.message.split("\n")[0])) for c in commits}


def _hunks(git, commit, names):
    """hunks.patch of @commit: context, no more."""
    text = git.bytes("diff-tree", "-r", "-p", "-U3", "--no-renames", "--no-color",
                     "--no-ext-diff", "--no-textconv", "--src-prefix=a/",
                     "--dst-prefix=b/", "--diff-algorithm=histogram", commit + "^", commit,
                     "--", *names)
    text = re.sub(rb"^index [0-9a-f.]+( \d+)?\n", b"", text, flags=re.M)
    return re.sub(rb"^(@@ -[\d,]+ \+[\d,]+ @@).*$", rb"\1", text, flags=re.M)


def _files_list(old, add, delete, ignored):
    """The `files` list: the lines of @old that still hold, then what is new."""
    rows, adds, deletes = [], set(add), set(delete)
    for line in old.splitlines():
        op, _, path = line.partition("#")[0].strip().partition(" ")
        path = path.strip()
        took = {p for p in adds if p == path or path.endswith("/")
                and p.startswith(path) and p not in ignored} if op == "A" else \
            {path} & deletes
        if took or not op:
            rows.append(line)
        (adds if op == "A" else deletes).difference_update(took)
    rows += ["A " + p for p in sorted(adds)] + ["D " + p for p in sorted(deletes)]
    return "".join(r + "\n" for r in rows)


def _ignored(root, path):
    return subprocess.run(("git", "check-ignore", "-q", path), cwd=root, env=git_env(),
                          stderr=subprocess.DEVNULL, check=False).returncode == 0


def _folders(paths, git, commits, folders, names, state):
    """{repository path: (mode, content)} of the series that @commits make."""
    stored = git.files("refs/virtio-dma/inputs")
    patches = {p.name: p for p in series.load(stored, paths.base)}
    recorded = {row["name"]: row["commit"] for row in state["patches"]}
    same = {series.identity(paths.root), state["author"]}
    final, files, owner, top = git.ls_tree("HEAD"), {}, {}, "series/%s/" % paths.base
    for commit in commits:
        name, folder = names[commit.id], folders.get(commit.id)
        patch = patches.get(folder) or series.Patch(name)
        add, delete, hunks = [], [], []
        for path, status in sorted(git.diff(commit.id + "^", commit.id).items()):
            if status == "D" and path in owner:
                raise Fail("%s deletes %s, which %s adds: squash the two"
                           % (name, path, owner[path]))
            if status == "D":
                delete.append(path)
            elif status == "A" or path in patch.add and path not in owner:
                add.append(path)
                owner[path] = name
            else:
                hunks.append(path)
            if status == "A" and path not in final:
                raise Fail("%s adds %s and a later commit deletes it: squash the two"
                           % (name, path))
        files.update(git.files("HEAD", add))
        # What would say the same stays as somebody wrote it.
        old = {part: stored.get("%s%s/%s" % (top, folder, part), ("", b""))[1]
               for part in series.PARTS}
        new = {"message": commit.message.rstrip().encode(
            errors="surrogateescape") + b"\n", "hunks.patch": b""}
        if old["message"].rstrip() + b"\n" == new["message"]:
            new["message"] = old["message"]
        new["files"] = _files_list(old["files"].decode(), add, delete, {
            p for p in add if p not in patch.add and _ignored(paths.root, p)}).encode()
        if hunks:
            new["hunks.patch"] = _hunks(git, commit.id, hunks)
        if folder and set(hunks) == set(patch.edits) and \
                new["hunks.patch"] == _hunks(git, recorded[folder], hunks):
            new["hunks.patch"] = patch.hunks
        if commit.author not in same:
            new["author"] = (commit.author + "\n").encode()
        files.update(("%s%s/%s" % (top, name, part), ("100644", data))
                     for part, data in new.items() if data)
    return files


def _merge(git, here, new):
    """The repository's files (a tree) with the changes that make @new of the inputs."""
    root = git.commit("refs/virtio-dma/inputs")
    status, out, _ = git.run(
        "merge-tree", "--write-tree", "--name-only", "-z", "--no-messages",
        git.commit(here, root), git.commit(new, root), ok=(0, 1))
    rows = out.decode().split("\0")
    if status:
        raise Fail("%s was edited in the repository and in the tree, and the edits "
                   "conflict: undo one of them" % rows[1])
    return rows[0]


def _write_repo(paths, here, wanted):
    """Bring the repository from @here to @wanted; the paths changed."""
    def place(path):
        return series.place(paths.root, paths.base, path)
    changed = [p for p in sorted(wanted) if here.get(p) != wanted[p]]
    gone = sorted(set(here) - set(wanted))
    for path in changed:
        write_entry(place(path), *wanted[path])
    for path in gone:
        name = place(path)
        os.unlink(name)
        with contextlib.suppress(OSError):      # up to the first that is not empty
            os.removedirs(os.path.dirname(name))
    return changed + gone


def refresh(paths):
    """The caller holds the lock."""
    tree = paths.rel(paths.linux)
    if not os.path.lexists(paths.linux):
        raise Fail("there is no %s yet: make tree lays it" % tree)
    lay.check_ours(paths)
    work = Worktree(paths.linux)
    work.recover()
    git, state, edits = work.git, lay.read_state(paths.linux), work.edits()
    for name in ("rebase-merge", "rebase-apply", "MERGE_HEAD", "CHERRY_PICK_HEAD"):
        if os.path.exists(os.path.join(git.git_dir, name)):
            raise Fail("%s has a rebase or merge under way: finish it first" % tree)
    lay.must_have_patches(state)
    if edits:
        _refuse_edits(git, tree, edits)
    if work.head() == lay.tip_of(state):
        print("refresh: %s has nothing that the series has not" % tree)
        return
    commits = _straight(git, state["base"], tree)
    folders, dropped = _match(git, commits, state)
    for commit in [c for c in commits if git.tree_of(c.id) == git.tree_of(c.id + "^")]:
        print("refresh: nothing is left of '%s', dropped" % commit.message.split("\n")[0])
        dropped += [folders[commit.id]] if commit.id in folders else []
        commits.remove(commit)
    if not commits:
        raise Fail("%s has no patch left: git -C %s reflog shows where they were"
                   % (tree, tree))
    names = _names(commits, folders)
    new = _folders(paths, git, commits, folders, names, state)
    base = bases.Base(state["base_key"], state["base"], state["title"])
    who = series.identity(paths.root)
    patches = series.load(new, paths.base)
    laid = lay.commit_series(git, base, patches, who)
    if laid[-1].tree != git.tree_of("HEAD"):
        raise Fail("the series as folders would not give the tree in %s: differs in %s"
                   % (tree, min(git.diff("HEAD", laid[-1].tree))))
    here = series.read(paths.root, paths.base)
    merged = git.files(_merge(git, git.write_files(here), git.write_files(new)))
    # The tree as it stands becomes the series' tip: no file is written for that.
    both = laid
    if merged != new:
        if any(names[c] != folder for c, folder in folders.items() if c in names):
            raise Fail("the commits were reordered and series/ was edited too: undo one "
                       "of them")
        patches = series.load(merged, paths.base)
        both = lay.commit_series(git, base, patches, who)
    changed = _write_repo(paths, here, merged)
    git.run("update-ref", "-m", "make refresh", "HEAD", laid[-1].commit)
    paths.files = merged
    lay.settle(paths, work, base, who, both)
    for path in changed:
        print("refresh: %s%s" % (path, "" if path in merged else " (removed)"))
    for name in sorted(set(dropped)):
        print("refresh: %s is gone, as its commit is" % name)
    print("refresh: %s changed in the repository" % plural(len(changed), "file"))
