# SPDX-License-Identifier: GPL-2.0-only
"""The series: what series/BASE/ says, and the commits that come of it.

An overlay file stands in the repository in its final form.  A later patch may
edit it with hunks, as it may a base file: the form that the earlier patches
see is then the final one with those hunks taken out.
"""

import collections
import hashlib
import os
import re
import subprocess

from lib.util import Fail, GitError, blob_id, git_env, quote_path, read_entry

Laid = collections.namedtuple("Laid", "name commit tree")

NOBODY = "virtio-dma <virtio-dma@localhost>"
AUTHOR = re.compile(r"[^<>\n]+ <[^<>\s]+>$")


class Patch:
    """One folder of the series.

    name     folder's name, NNNN-slug
    message  subject, blank line, body
    author   "Name <mail>" where the folder names one, else None
    add      {path: (git mode, content)}, content in its final form
    delete   paths that leave the base
    hunks    content of hunks.patch, b"" if there is none
    edits    paths that the hunks touch
    """

    def __init__(self, name):
        self.name = name
        self.message = ""
        self.author = None
        self.add = {}
        self.delete = []
        self.hunks = b""
        self.edits = []


FileDiff = collections.namedtuple("FileDiff", "paths starts text")


def parse_diff(text, where):
    """[FileDiff] of a patch (bytes): its paths, old line of each hunk, text."""
    parts, left, in_header = [], [0, 0], False
    for line in text.split(b"\n"):
        if left[0] > 0 or left[1] > 0:          # inside a hunk: count it down
            parts[-1][2].append(line)
            left[0] -= line[:1] in (b" ", b"-", b"")
            left[1] -= line[:1] in (b" ", b"+", b"")
            continue
        if line.startswith(b"diff ") or line.startswith(b"--- ") and not in_header:
            parts.append(([], [], []))
            in_header = True
        if not parts:
            continue                            # text above the first file
        match = re.match(rb"@@ -(\d+)(?:,(\d+))? \+\d+(?:,(\d+))? @@", line)
        if match:
            in_header = False
            parts[-1][1].append(int(match.group(1)))
            left = [1 if n is None else int(n) for n in match.groups()[1:]]
        elif line.startswith((b"--- ", b"+++ ")):
            name = os.fsdecode(line[4:].split(b"\t")[0].strip())
            if name != "/dev/null":
                if not name.startswith(("a/", "b/")):
                    raise Fail("%s: '%s' is not a/PATH or b/PATH: write it with "
                               "git diff" % (where, name))
                if name[2:] not in parts[-1][0]:
                    parts[-1][0].append(name[2:])
        parts[-1][2].append(line)
    if left[0] > 0 or left[1] > 0:
        raise Fail("%s ends in the middle of a hunk" % where)
    parts = [FileDiff(p, st, b"\n".join(t).rstrip(b"\n") + b"\n")
             for p, st, t in parts]
    if text.strip() and not all(p.paths and p.starts for p in parts) or \
            text.strip() and not parts:
        raise Fail("%s has a file without '--- a/PATH' or without a hunk: write it "
                   "with git diff" % where)
    return parts


def split_hunks(hunks, path):
    """The part of a patch (bytes) that touches @path."""
    return b"".join(p.text for p in parse_diff(hunks, "hunks") if path in p.paths)


def _list_dir(root, top):
    """Files below the directory @top of the repository, without build products."""
    if os.path.exists(os.path.join(root, ".git")):
        proc = subprocess.run(
            ("git", "ls-files", "-z", "-co", "--exclude-standard", "-x", "*.o", "-x",
             "*.a", "-x", "__pycache__", "--", top), cwd=root, env=git_env(),
            stdout=subprocess.PIPE, check=True)
        names = [os.fsdecode(p) for p in proc.stdout.split(b"\0") if p]
    else:           # an export without git's data: everything that is there
        names = [os.path.relpath(os.path.join(here, n), root)
                 for here, _, files in os.walk(os.path.join(root, top))
                 for n in files if not n.endswith((".o", ".a", ".pyc"))]
    return sorted(set(names))


def parse_files(text, where):
    """[(op, path)] of a `files` list."""
    rows = []
    for num, line in enumerate(text.splitlines(), 1):
        line = line.partition("#")[0].strip()
        if not line:
            continue
        op, _, path = line.partition(" ")
        path = path.strip()
        if op not in ("A", "D") or not path or path.startswith("/") \
                or ".." in path.split("/"):
            raise Fail("%s:%d: '%s': write 'A path' or 'D path'" % (where, num, line))
        rows.append((op, path))
    return rows


def expand(root, rows, where):
    """({path: (mode, content)}, [deleted]) of a `files` list."""
    add, delete = {}, []
    for op, path in rows:
        if op == "D":
            delete.append(path)
            continue
        names = _list_dir(root, path) if path.endswith("/") else [path]
        taken = 0
        for name in names:
            entry = read_entry(os.path.join(root, name))
            if not entry and path.endswith("/"):
                continue            # tracked, but gone from the disk
            if not entry:
                raise Fail("%s: %s is not in the repository: add the file or take "
                           "the line out" % (where, path))
            if entry[1][:4] == b"\x7fELF" and path.endswith("/"):
                continue
            add[name] = entry
            taken += 1
        if not taken:
            raise Fail("%s: %s has no file: add one or take the line out"
                       % (where, path))
    return add, delete


def patch_names(top):
    names = os.listdir(top) if os.path.isdir(top) else []
    return sorted(n for n in names if re.match(r"\d{4}-[^/]+$", n)
                  and os.path.isdir(os.path.join(top, n)))


def load(root, base):
    """The patches of series/@base, checked against each other."""
    top = os.path.join(root, "series", base)
    patches, owner = [], {}
    for name in patch_names(top):
        where = os.path.join("series", base, name)
        patch = Patch(name)

        def text(part, where=where):
            entry = read_entry(os.path.join(root, where, part))
            return entry[1] if entry else b""

        try:
            patch.message = text("message").decode()
            rows = parse_files(text("files").decode(), where + "/files")
            author = text("author").decode().strip()
        except UnicodeDecodeError as err:
            raise Fail("%s: not UTF-8 (%s)" % (where, err)) from None
        lines = patch.message.split("\n")
        if not lines[0].strip() or len(lines) > 1 and lines[1].strip():
            raise Fail("%s/message: write the subject in the first line and leave "
                       "the second empty" % where)
        patch.message = patch.message.rstrip() + "\n"
        if author:
            if not AUTHOR.match(author):
                raise Fail("%s/author: write 'Name <mail>'" % where)
            patch.author = author
        patch.add, patch.delete = expand(root, rows, where + "/files")
        patch.hunks = text("hunks.patch")
        for part in parse_diff(patch.hunks, where + "/hunks.patch"):
            patch.edits += [p for p in part.paths if p not in patch.edits]
        for path in list(patch.add) + patch.delete:
            if path in owner:
                raise Fail("%s is in the files of both %s and %s: a file belongs "
                           "to one patch" % (path, owner[path], name))
            owner[path] = name
        for path in patch.edits:
            if owner.get(path) == name:
                raise Fail("%s/hunks.patch edits %s, which the same patch has in "
                           "its files: put the edit into the file" % (where, path))
        if not (patch.add or patch.delete or patch.edits):
            raise Fail("%s changes nothing: it needs files or hunks.patch" % where)
        patches.append(patch)
    numbers = collections.Counter(p.name[:4] for p in patches)
    for number, times in numbers.items():
        if times > 1:
            raise Fail("series/%s has %d folders numbered %s: renumber" %
                       (base, times, number))
    return patches


def touched(patches):
    """Every path that the series adds, deletes or edits."""
    found = set()
    for patch in patches:
        found.update(patch.add, patch.delete, patch.edits)
    return sorted(found)


def identity(root):
    """'Name <mail>' of whoever works here, or a neutral one."""
    def ask(key):
        env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
        return subprocess.run(("git", "config", key), cwd=root, env=env,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              check=False).stdout.decode(errors="replace").strip()
    who = "%s <%s>" % (ask("user.name"), ask("user.email"))
    return who if AUTHOR.match(who) else NOBODY


def inputs_id(base_key, who, patches):
    """Digest of all that the commits are made of."""
    digest = hashlib.sha256(("1 %s\n%s\n" % (base_key, who)).encode())
    for patch in patches:
        rows = ["%s %s %s" % (mode, blob_id(data), path)
                for path, (mode, data) in sorted(patch.add.items())]
        digest.update("\n".join(
            [patch.name, patch.author or "", patch.message, blob_id(patch.hunks)]
            + rows + ["D " + p for p in sorted(patch.delete)]).encode() + b"\0")
    return digest.hexdigest()


# --- commits ---------------------------------------------------------------

def failing_hunk(err, hunks):
    """'file, hunk n (line l)' of git apply's complaint, or its first line."""
    match = re.search(r"error: patch failed: (.*):(\d+)", err)
    if not match:
        lines = [row for row in err.splitlines() if row.startswith("error: ")]
        return (lines or err.splitlines() or ["git apply failed"])[0].replace(
            "error: ", "", 1)
    path, line = match.group(1), match.group(2)
    for part in parse_diff(hunks, "hunks"):
        if path in part.paths and int(line) in part.starts:
            return "%s, hunk %d (line %s)" % (
                path, part.starts.index(int(line)) + 1, line)
    return "%s, line %s" % (path, line)


def apply_cached(git, hunks, path=None, reverse=False):
    """Apply to the index; raises GitError."""
    args = ["apply", "--cached", "--whitespace=nowarn"]
    if reverse:
        args.append("-R")
    if path:
        hunks = split_hunks(hunks, path)
    git.run(*args, "-", data=hunks)


def index_set(git, entries):
    """Put {path: (mode, blob) or None for none} into the index."""
    if entries:
        rows = ["%s %s\t%s" % (entry + (path,)) if entry else "0 %040d\t%s" % (0, path)
                for path, entry in sorted(entries.items())]
        git.run("update-index", "-z", "--index-info", data="\0".join(rows) + "\0")


def _early_forms(git, patches):
    """{path: blob} of overlay files that later hunks edit, as first added."""
    forms = {}
    for pos, patch in enumerate(patches):
        for path, (mode, data) in patch.add.items():
            later = [p for p in patches[pos + 1:] if path in p.edits]
            if not later:
                continue
            git.run("read-tree", "--empty")
            index_set(git, {path: (mode, blob_id(data))})
            for other in reversed(later):
                try:
                    apply_cached(git, other.hunks, path, reverse=True)
                except GitError:
                    raise Fail(
                        "%s/hunks.patch no longer fits the repository's %s: edit the "
                        "file in the tree and make refresh, or mend the hunk"
                        % (other.name, path)) from None
            row = git.out("ls-files", "-s", "--", path).split()
            forms[path] = row[1]
    return forms


def commit(git, tree, parents, message, who, date):
    name, mail = who.rstrip(">").split(" <")
    env = {"GIT_AUTHOR_NAME": name, "GIT_AUTHOR_EMAIL": mail,
           "GIT_COMMITTER_NAME": name, "GIT_COMMITTER_EMAIL": mail,
           "GIT_AUTHOR_DATE": "@%d +0000" % date,
           "GIT_COMMITTER_DATE": "@%d +0000" % date}
    args = [arg for parent in parents for arg in ("-p", parent)]
    return git.out("commit-tree", *args, "-F", "-", tree, data=message, env=env)


def _index_rows(git):
    """{path: (mode, blob)} of the index."""
    rows = (row.split("\t", 1) for row in
            git.bytes("ls-files", "-s", "-z").decode().split("\0") if row)
    return {path: tuple(meta.split()[:2]) for meta, path in rows}


def _stages(git, index, base_commit, patches, where):
    """For each patch, {path: (mode, blob) or None} of what it changes.

    The scratch index has only the files that the series touches: whatever the
    size of the base, this takes no time."""
    scratch = git.with_index(index)
    git.write_blobs([data for p in patches for _, data in p.add.values()])
    early = _early_forms(scratch, patches)
    scratch.run("read-tree", "--empty")
    index_set(scratch, git.ls_tree(base_commit, touched(patches)))
    before = _index_rows(scratch)
    for patch in patches:
        for path in patch.delete:
            if path not in before:
                raise Fail("%s deletes %s, which %s does not have"
                           % (patch.name, path, where))
        try:
            if patch.edits:
                apply_cached(scratch, patch.hunks)
        except GitError as err:
            raise Fail("%s/hunks.patch does not apply to %s: %s" % (
                patch.name, where, failing_hunk(err.stderr, patch.hunks))) from None
        entries = dict.fromkeys(patch.delete)
        entries.update((path, (mode, early.get(path) or blob_id(data)))
                       for path, (mode, data) in patch.add.items())
        index_set(scratch, entries)
        after = _index_rows(scratch)
        yield {p: after.get(p) for p in sorted(set(before) | set(after))
               if before.get(p) != after.get(p)}
        before = after


def build(git, index, base_commit, patches, who, where):
    """Make the commits of @patches on @base_commit.

    @git: a Git of the repository that gets the commits
    @index: file name for a scratch index
    @where: what to call the base in errors
    Returns [Laid], dates one minute apart so that each tells its patch.
    """
    ref = "refs/virtio-dma/new"
    date = int(git.out("log", "-1", "--format=%ct", base_commit))
    feed = []
    for path in (index, index + ".lock"):
        if os.path.exists(path):
            os.unlink(path)
    try:
        stages = _stages(git, index, base_commit, patches, where)
        for num, (patch, changes) in enumerate(zip(patches, stages), 1):
            message = patch.message.encode()
            feed.append(b"commit %s\nauthor %s %d +0000\ncommitter %s %d +0000\n"
                        b"data %d\n%s\n" % (
                            ref.encode(), (patch.author or who).encode(),
                            date + 60 * num, who.encode(), date + 60 * num,
                            len(message), message))
            if num == 1:
                feed.append(b"from %s\n" % base_commit.encode())
            for path, entry in sorted(changes.items(), key=lambda c: c[1] is not None):
                feed.append(b"M %s %s %s\n" % (entry[0].encode(), entry[1].encode(),
                                               quote_path(path))
                            if entry else b"D %s\n" % quote_path(path))
    finally:
        for path in (index, index + ".lock"):
            if os.path.exists(path):
                os.unlink(path)
    git.run("fast-import", "--quiet", "--force", "--done",
            data=b"".join(feed) + b"done\n")
    rows = git.out("log", "--reverse", "--format=%H %T", base_commit + ".." + ref)
    laid = [Laid(patch.name, *row.split())
            for patch, row in zip(patches, rows.splitlines())]
    git.run("update-ref", "-d", ref)
    return laid


# --- reviewed --------------------------------------------------------------

def replaced_files(git, base_commit, patches):
    """{path: blob} of base files that the series replaces or deletes whole."""
    paths = {path for p in patches for path in list(p.add) + p.delete}
    return {path: blob for path, (_, blob) in
            git.ls_tree(base_commit, paths).items()}


def read_reviewed(root, base):
    """{path: sha256} of series/@base/reviewed."""
    where = os.path.join("series", base, "reviewed")
    entry = read_entry(os.path.join(root, where))
    found = {}
    for num, line in enumerate(entry[1].decode().splitlines() if entry else [], 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = re.match(r"([0-9a-f]{64})  (\S.*)$", line)
        if not match:
            raise Fail("%s:%d: write 'SHA256  PATH', or run scripts/tree.py reviewed"
                       % (where, num))
        found[match.group(2)] = match.group(1)
    return found


def unreviewed(git, base_commit, patches, reviewed):
    """[(path, content now, digest reviewed or None)] where the two differ."""
    found = []
    for path, blob in sorted(replaced_files(git, base_commit, patches).items()):
        now = git.bytes("cat-file", "blob", blob)
        if hashlib.sha256(now).hexdigest() != reviewed.get(path):
            found.append((path, now, reviewed.get(path)))
    return found
