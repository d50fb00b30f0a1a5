# SPDX-License-Identifier: GPL-2.0-only
"""make refresh: commits and edits made in build/BASE/linux become the series.

Nothing in the working tree is touched while this thinks: fixups are squashed
and patches rebased on tree objects.  What comes out is built again from the
new folders and has to give the very tree that the user has; only then is the
repository written, file by file, and after that the branch is moved.
"""

import os
import re
import shutil
import subprocess
import tempfile

from lib.series import base as bases
from lib.series import lay, patches as series
from lib.util import Fail, git_env, progress, read_entry, write_atomic


class Item:
    """A patch to be: a commit of the tree with the fixups that belong to it."""

    def __init__(self, commit, message, author, date):
        self.commit = commit
        self.message = message
        self.author = author
        self.date = date
        self.picks = [commit]
        self.folder = None          # the folder it had, None for a new patch
        self.name = None            # the folder it gets
        self.before = self.after = None     # trees

    @property
    def subject(self):
        return self.message.split("\n", 1)[0]


def _commits(git, base, head, tree):
    """The commits that the user has on the base, oldest first."""
    if not git.test("merge-base", "--is-ancestor", base, head):
        raise Fail("%s is not built on the base commit %s: rebase onto it first"
                   % (tree, base[:12]))
    items, last = [], base
    rows = git.bytes("log", "-z", "--reverse", "--topo-order",
                     "--format=%H%n%P%n%an <%ae>%n%at%n%B", "%s..%s" % (base, head))
    for row in rows.decode(errors="replace").split("\0"):
        if not row:
            continue
        commit, parents, author, date, message = row.split("\n", 4)
        if parents != last:
            raise Fail("%s has a merge at %s: a series is a straight line, rebase it"
                       % (tree, commit[:12]))
        items.append(Item(commit, message.rstrip() + "\n", author, int(date)))
        last = commit
    return items


def _squash(items):
    """Hang fixup!, squash! and amend! commits on the commits they name."""
    out = []
    for item in items:
        match = re.match(r"(fixup|squash|amend)! (.*)", item.subject)
        if not match:
            out.append(item)
            continue
        kind, wanted = match.group(1), re.sub(r"^((fixup|squash|amend)! )+", "",
                                              item.subject)
        target = [i for i in out if i.subject == wanted] or \
            [i for i in out if i.subject.startswith(wanted)
             or len(wanted) >= 7 and i.commit.startswith(wanted)]
        if not target:
            raise Fail("'%s' (%s) names no earlier commit: reword it"
                       % (item.subject, item.commit[:12]))
        target[-1].picks.append(item.commit)
        body = item.message.partition("\n")[2].strip()
        if kind == "amend" and body:
            target[-1].message = body + "\n"
        elif kind == "squash" and body:
            target[-1].message = target[-1].message + "\n" + body + "\n"
    return out


def _match_folders(git, items, state):
    """Tell each item which folder it came from.

    The dates of the series' commits are all different and git keeps an
    author's date through amend and rebase, so a date tells the patch."""
    free = {}
    for row in state["patches"]:
        date = int(git.out("log", "-1", "--format=%at", row["commit"]))
        subject = git.out("log", "-1", "--format=%s", row["commit"])
        free[row["name"]] = (row["commit"], date, subject)
    for test in (lambda i, f: i.commit == f[0], lambda i, f: i.date == f[1],
                 lambda i, f: i.subject == f[2]):
        for item in items:
            for name, facts in list(free.items()):
                if item.folder is None and test(item, facts):
                    item.folder = name
                    del free[name]
    return sorted(free)


def _slug(subject):
    words = re.sub(r"[^a-z0-9]+", "-", subject.lower()).strip("-")
    while len(words) > 40 and "-" in words:
        words = words.rpartition("-")[0]
    return words[:40] or "patch"


def _number(items):
    """Folders keep their numbers as long as they are in order."""
    last, fits = 0, True
    for item in items:
        number = int(item.folder[:4]) if item.folder else last + 1
        fits = fits and number > last
        last = number
    last = 0
    for item in items:
        slug = item.folder[5:] if item.folder else _slug(item.subject)
        last = int(item.folder[:4]) if fits and item.folder else last + 1
        item.name = "%04d-%s" % (last, slug)


def _pick(git, onto, commit, who):
    """The tree of @onto with the change of @commit."""
    old, new = git.out("rev-parse", commit + "^^{tree}", commit + "^{tree}").split()
    if old == onto:
        return new
    # merge-tree finds the merge base by itself, so give it a history with one.
    root = series.commit(git, old, [], "base", who, 1)
    ours = series.commit(git, onto, [root], "ours", who, 1)
    theirs = series.commit(git, new, [root], "theirs", who, 1)
    status, out, err = git.run("merge-tree", "--write-tree", "--name-only", "-z",
                               "--no-messages", ours, theirs, ok=(0, 1, 128, 129))
    if status > 1:
        raise Fail("git merge-tree: %s (git 2.38 or newer is needed)"
                   % (err.splitlines() or ["failed"])[0])
    rows = out.decode().split("\0")
    if status:
        raise Fail("the change of %s to %s conflicts with what lies between: git "
                   "rebase -i --autosquash base in that tree, then make refresh"
                   % (commit[:12], rows[1]))
    return rows[0]


def _owner(items, patches, path):
    """The item that @path belongs to as an overlay file."""
    by_name = {p.name: p for p in patches}
    for item in reversed(items):
        patch = by_name.get(item.folder)
        if patch and path in patch.add or path in item.adds:
            return item
    rows = []
    for item in items:
        patch = by_name.get(item.folder)
        rows += [(d, item) for d in (patch.dirs if patch else [])]
    rows = [(d, item) for d, item in rows if path.startswith(d)]
    return max(rows, key=lambda r: len(r[0]))[1] if rows else None


def _status(git, old, new):
    """{path: status letter} between two trees."""
    out = git.bytes("diff-tree", "-r", "-z", "--no-renames", "--name-status", old, new)
    rows = out.decode().split("\0")[:-1]
    return dict(zip(rows[1::2], rows[0::2]))


def _take_edits(paths, work, items, patches, state, edits):
    """Hang uncommitted edits on the items that own the files; the whole tree."""
    git = work.git
    index = os.path.join(git.git_dir, "virtio-dma.index")
    scratch = git.with_index(index)
    tree = paths.rel(paths.linux)
    who = state["author"]
    try:
        groups = {}
        for path in edits:
            item = _owner(items, patches, path)
            if not item:
                known = git.ls_tree(state["base"], [path])
                raise Fail(
                    "%s/%s is %s: say which patch the edit is for (git -C %s log --oneline "
                    "base.., then git -C %s %scommit --fixup=COMMIT %s) and run this again"
                    % (tree, path, "a base file" if known else "new", tree, tree,
                       "" if known else "add -f %s && git -C %s " % (path, tree),
                       "-- " + path))
            groups.setdefault(id(item), (item, []))[1].append(path)
        last = work.head()
        scratch.run("read-tree", last)
        for item, names in groups.values():
            scratch.run("update-index", "--add", "--remove", "-z", "--stdin",
                        data="\0".join(names))
            last = series.commit(git, scratch.out("write-tree"), [last], "edits\n",
                                 who, 1)
            item.picks.append(last)
        return git.out("rev-parse", last + "^{tree}")
    finally:
        for path in (index, index + ".lock"):
            if os.path.exists(path):
                os.unlink(path)


# --- the new folders -------------------------------------------------------

def _hunks(git, before, after, names):
    """hunks.patch from tree @before to @after: context, no more."""
    text = git.bytes("diff-tree", "-r", "-p", "-U3", "--no-renames", "--no-color",
                     "--no-ext-diff", "--no-textconv", "--src-prefix=a/",
                     "--dst-prefix=b/", "--diff-algorithm=histogram", before, after,
                     "--", *names)
    text = re.sub(rb"^index [0-9a-f.]+( \d+)?\n", b"", text, flags=re.M)
    return re.sub(rb"^(@@ -[\d,]+ \+[\d,]+ @@).*$", rb"\1", text, flags=re.M)


def _files_text(old, add, delete, ignored):
    """The `files` list: the lines of @old that still hold, then what is new."""
    rows, adds, deletes = [], set(add), set(delete)
    for line in old.splitlines():
        entry = line.partition("#")[0].strip()
        op, _, path = entry.partition(" ")
        path = path.strip()
        if op == "A":
            took = {p for p in adds if p == path or path.endswith("/")
                    and p.startswith(path) and p not in ignored}
            if not took:
                continue
            adds -= took
        elif op == "D":
            if path not in deletes:
                continue
            deletes.discard(path)
        rows.append(line)
    rows += ["A " + p for p in sorted(adds)] + ["D " + p for p in sorted(deletes)]
    return "".join(r + "\n" for r in rows)


def _folders(paths, git, items, patches, state, final):
    """{repository path: (mode, content)} of the series that @items make."""
    files, owner = {}, {}
    by_name = {p.name: p for p in patches}
    recorded, before = {}, state["base"]
    for row in state["patches"]:
        recorded[row["name"]] = (git.out("rev-parse", before + "^{tree}"), row["tree"])
        before = row["commit"]
    same = {series.identity(paths.root), state["author"]}
    for item in items:
        patch = by_name.get(item.folder) or series.Patch(item.name)
        add, delete, hunks = [], [], []
        for path, status in sorted(_status(git, item.before, item.after).items()):
            if status == "D":
                if path in owner:
                    raise Fail("%s deletes %s, which %s adds: squash the two"
                               % (item.name, path, owner[path]))
                delete.append(path)
            elif status == "A" or path in patch.add and path not in owner:
                add.append(path)
                owner[path] = item.name
            else:
                hunks.append(path)
        forms = git.ls_tree(final, add)
        for path in add:
            if path not in forms:
                raise Fail("%s adds %s and a later commit deletes it: squash the two"
                           % (item.name, path))
            mode, blob = forms[path]
            files[path] = (mode, git.bytes("cat-file", "blob", blob))
        top = "series/%s/" % paths.base
        old = {part: read_entry(os.path.join(paths.root, top, item.folder, part))
               if item.folder else None
               for part in ("message", "files", "hunks.patch", "author")}
        # What would say the same stays as somebody wrote it.
        text = old["message"][1] if old["message"] else b""
        if text.decode(errors="replace").rstrip() != item.message.rstrip():
            text = item.message.encode()
        new = {"message": text}
        listed = old["files"][1].decode() if old["files"] else ""
        ignored = {p for p in add if p not in patch.add and _ignored(paths.root, p)}
        text = _files_text(listed, add, delete, ignored)
        new["files"] = text.encode() if text or old["files"] else None
        was = recorded.get(item.folder)
        if was and set(hunks) == set(patch.edits) and all(
                git.ls_tree(a, hunks) == git.ls_tree(b, hunks)
                for a, b in zip(was, (item.before, item.after))):
            new["hunks.patch"] = patch.hunks
        else:
            new["hunks.patch"] = hunks and _hunks(git, item.before, item.after, hunks)
        if item.author not in same:
            new["author"] = (item.author + "\n").encode()
        for part, data in new.items():
            if data or part == "files" and data is not None:
                files[top + item.name + "/" + part] = ("100644", data)
    return files


def _ignored(root, path):
    return subprocess.run(("git", "check-ignore", "-q", path), cwd=root, env=git_env(),
                          stderr=subprocess.DEVNULL, check=False).returncode == 0


def _load_from(files, base):
    """series.load() of @files, written to a folder of their own."""
    temp = tempfile.mkdtemp(prefix="virtio-dma-")
    try:
        for path, (mode, data) in files.items():
            full = os.path.join(temp, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            if mode == "120000":
                os.symlink(os.fsdecode(data), full)
            else:
                with open(full, "wb") as out:
                    out.write(data)
                os.chmod(full, 0o755 if mode == "100755" else 0o644)
        return series.load(temp, base)
    finally:
        shutil.rmtree(temp)


def _merge(git, old, here, there):
    """The repository's files after both sides' changes since @old."""
    merged = {}
    for path in sorted(set(old) | set(here) | set(there)):
        o, r, t = old.get(path), here.get(path), there.get(path)
        if t == o:
            result = r
        elif r in (o, t):
            result = t
        else:
            result = _merge_file(git, path, o, r, t)
        if result:
            merged[path] = result
    return merged


def _merge_file(git, path, old, here, there):
    clash = Fail("%s was edited in the repository and in the tree, and the edits "
                 "conflict: undo one of them" % path)
    if not here or not there or "120000" in (here[0], there[0]):
        raise clash
    temp = tempfile.mkdtemp(prefix="virtio-dma-")
    try:
        names = []
        for num, entry in enumerate((here, old, there)):
            names.append(os.path.join(temp, str(num)))
            with open(names[-1], "wb") as out:
                out.write(entry[1] if entry else b"")
        status, data, _ = git.run("merge-file", "-p", *names, ok=range(256))
        if status:
            raise clash
        return there[0], data
    finally:
        shutil.rmtree(temp)


def _stored(git):
    """{path: (mode, content)} that the tree was laid from."""
    ref = "refs/virtio-dma/inputs"
    if not git.resolve(ref):
        raise Fail("the tree does not say what it was laid from: run make tree first")
    out = {}
    for row in git.bytes("ls-tree", "-r", "-z", ref).decode().split("\0"):
        if row:
            meta, path = row.split("\t", 1)
            mode, _, blob = meta.split()
            out[path] = (mode, git.bytes("cat-file", "blob", blob))
    return out


def _write_repo(root, here, wanted):
    """Bring the repository from @here to @wanted; the paths changed."""
    changed = []
    for path, entry in sorted(wanted.items()):
        if here.get(path) != entry:
            full = os.path.join(root, path)
            if entry[0] == "120000":
                os.makedirs(os.path.dirname(full), exist_ok=True)
                os.symlink(os.fsdecode(entry[1]), full + ".tmp")
                os.replace(full + ".tmp", full)
            else:
                write_atomic(full, entry[1], 0o755 if entry[0] == "100755" else 0o644)
            changed.append(path)
    for path in sorted(set(here) - set(wanted)):
        os.unlink(os.path.join(root, path))
        changed.append(path)
        top = os.path.dirname(path)
        while top and not os.listdir(os.path.join(root, top)):
            os.rmdir(os.path.join(root, top))
            top = os.path.dirname(top)
    return changed


def refresh(paths):
    """The caller holds the lock."""
    if not os.path.lexists(paths.linux):
        raise Fail("there is no %s yet: make tree lays it" % paths.rel(paths.linux))
    lay.check_ours(paths)
    work = lay.Worktree(paths.linux)
    git, tree = work.git, paths.rel(paths.linux)
    work.recover()
    for name in ("rebase-merge", "rebase-apply", "MERGE_HEAD", "CHERRY_PICK_HEAD"):
        if os.path.exists(os.path.join(git.git_dir, name)):
            raise Fail("%s has a rebase or merge under way: finish it first" % tree)
    state = lay.read_state(paths.linux)
    if not state:
        raise Fail("%s does not say what it was laid from: run make tree" % tree)
    head, edits = work.head(), work.edits()
    if head == lay.tip_of(state) and not edits:
        print("refresh: %s has nothing that the series has not" % tree)
        return
    patches = _load_recorded(git, paths, state)
    items = _squash(_commits(git, state["base"], head, tree))
    dropped = _match_folders(git, items, state)
    for item in items:
        item.adds = {p for p, s in _status(git, item.commit + "^", item.commit).items()
                     if s == "A"}
    final = _take_edits(paths, work, items, patches, state, edits) if edits else \
        git.out("rev-parse", head + "^{tree}")
    with progress("refresh: %d patches" % len(items)):
        now = git.out("rev-parse", state["base"] + "^{tree}")
        for item in items:
            item.before = now
            for commit in item.picks:
                now = _pick(git, now, commit, state["author"])
            item.after = now
    if now != final:
        raise Fail("squashing the fixups gives another tree than yours: git rebase -i "
                   "--autosquash base in %s, then make refresh" % tree)
    for item in items:
        if item.before == item.after:
            print("refresh: nothing is left of '%s', dropped" % item.subject)
            dropped += [item.folder] if item.folder else []
    items = [i for i in items if i.before != i.after]
    if not items:
        raise Fail("%s has no patch left: git -C %s reflog shows where they were"
                   % (tree, tree))
    _number(items)
    new = _folders(paths, git, items, patches, state, final)
    base = bases.Base(state["base_key"], state["base"], state["title"])
    who = series.identity(paths.root)
    laid = lay.commit_series(git, base, _load_from(new, paths.base), who)
    if laid[-1].tree != final:
        raise Fail("the series as folders would not give the tree in %s: differs in %s"
                   % (tree, git.diff_paths(final, laid[-1].tree)[0]))
    here = lay.repo_files(paths, series.load(paths.root, paths.base))
    merged = _merge(git, _stored(git), here, new)
    if merged != new and any(i.folder and i.folder != i.name for i in items):
        raise Fail("the commits were reordered and series/ was edited too: undo one "
                   "of them")
    # The tree as it stands becomes the series' tip: no file is written for that.
    settled = _load_from(merged, paths.base)
    both = lay.commit_series(git, base, settled, who) if merged != new else laid
    changed = _write_repo(paths.root, here, merged)
    if edits:
        git.run("update-index", "--add", "--remove", "-z", "--stdin",
                data="\0".join(edits))
    git.run("update-ref", "-m", "make refresh", "HEAD", laid[-1].commit)
    lay.settle(paths, work, base, who, series.inputs_id(base.key, who, settled),
                  both, settled)
    for path in changed:
        print("refresh: %s%s" % (path, "" if path in merged else " (removed)"))
    for name in sorted(set(dropped)):
        print("refresh: %s is gone, as its commit is" % name)
    print("refresh: %d file%s changed in the repository" % (
        len(changed), "" if len(changed) == 1 else "s"))


def _load_recorded(git, paths, state):
    """The patches as the tree was laid from, with the directories they own."""
    patches = _load_from(_stored(git), paths.base)
    for patch in patches:
        text = git.blob("refs/virtio-dma/inputs",
                        "series/%s/%s/files" % (paths.base, patch.name)) or b""
        patch.dirs = [p for op, p in series.parse_files(text.decode(), patch.name)
                      if op == "A" and p.endswith("/")]
    return patches
