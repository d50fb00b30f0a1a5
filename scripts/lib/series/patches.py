# SPDX-License-Identifier: GPL-2.0-only
"""The series: what series/BASE/ says, and the commits that come of it.

An overlay file stands in the repository in its final form.  A later patch may
edit it with hunks, as it may a base file: the form that the earlier patches
see is then the final one with those hunks taken out.  One that every base has
a form of its own of stands in series/BASE/files/, by its path in the kernel.  What
two series share, a folder or a file of one, is in the second a link.
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
PARTS = ("message", "files", "hunks.patch", "author")


class Patch:
    """One folder of the series, NNNN-slug."""

    def __init__(self, name):
        self.name, self.message = name, ""
        self.author = None      # "Name <mail>" where the folder names one
        self.add = {}           # path: (git mode, content), in its final form
        self.delete = []        # paths that leave the base
        self.hunks = b""        # content of hunks.patch
        self.edits = []         # paths that the hunks touch


# --- from the folders ------------------------------------------------------

def _list_dir(root, top):
    """Files below the directory @top of the repository, without build products."""
    if os.path.exists(os.path.join(root, ".git")):
        proc = subprocess.run(
            ("git", "ls-files", "-z", "-co", "--exclude-standard", "-x", "*.o", "-x",
             "*.a", "-x", "__pycache__", "--", top), cwd=root, env=git_env(),
            stdout=subprocess.PIPE, check=True)
        return [os.fsdecode(p) for p in proc.stdout.split(b"\0") if p]
    # an export without git's data: everything that is there
    return [os.path.relpath(os.path.join(here, n), root)
            for here, _, files in os.walk(os.path.join(root, top))
            for n in files if not n.endswith((".o", ".a", ".pyc"))]


def _parse_files(text, where):
    """[(op, path)] of a `files` list."""
    rows = []
    for num, line in enumerate(text.splitlines(), 1):
        op, _, path = line.partition("#")[0].strip().partition(" ")
        path = path.strip()
        if not op:
            continue
        if op not in ("A", "D") or not path or path.startswith("/") \
                or ".." in path.split("/"):
            raise Fail("%s:%d: '%s': write 'A path' or 'D path'"
                       % (where, num, line.strip()))
        rows.append((op, path))
    return rows


def _text(files, where):
    try:
        return files.get(where, ("", b""))[1].decode()
    except UnicodeDecodeError as err:
        raise Fail("%s: not UTF-8 (%s)" % (where, err)) from None


def place(root, base, path):
    """Where in the repository the file is that goes to @path in the kernel, or that is
    @path of series/."""
    if path.startswith("series/"):
        return os.path.realpath(os.path.join(root, path))
    own = os.path.join(root, "series", base, "files", path)
    return own if os.path.lexists(own) else os.path.join(root, path)


def read(root, base):
    """{path: (mode, content)} of the repository's files that make the series."""
    top, files = "series/" + base, {}

    def take(path):
        entry = read_entry(place(root, base, path))
        if entry:
            files[path] = entry

    names = os.listdir(os.path.join(root, top)) \
        if os.path.isdir(os.path.join(root, top)) else []
    for name in sorted(n for n in names if re.match(r"\d{4}-[^/]+$", n)):
        mine = ["%s/%s" % (top, name), *("%s/%s/%s" % (top, name, p) for p in PARTS)]
        for path in mine:
            if os.path.islink(os.path.join(root, path)) and not \
                    os.path.exists(os.path.join(root, path)):
                raise Fail("%s is a link to nothing: link it to the patch that it is of"
                           % path)
        for path in mine[1:]:
            take(path)
        where = "%s/%s/files" % (top, name)
        for op, path in _parse_files(_text(files, where), where):
            if op == "A" and not path.endswith("/"):
                take(path)
            elif op == "A":
                for each in _list_dir(root, path):
                    take(each)
                    if files.get(each, ("", b""))[1][:4] == b"\x7fELF":
                        del files[each]
    return files


def _diff_paths(hunks, where):
    """The paths that a patch (bytes) touches."""
    if not hunks.strip():
        return []
    proc = subprocess.run(("git", "apply", "--numstat", "-z"), input=hunks, cwd="/",
                          env=git_env(), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=False)
    if proc.returncode:
        raise Fail("%s: %s: write it with git diff" % (where, _complaint(
            proc.stderr.decode(errors="replace"))))
    rows = [os.fsdecode(row) for row in proc.stdout.split(b"\0") if row]
    return list(dict.fromkeys(row.split("\t", 2)[2] for row in rows))


def load(files, base):
    """The patches of what read() gave, checked against each other."""
    patches, owner, top = [], {}, "series/%s/" % base
    for name in sorted({p[len(top):].split("/")[0] for p in files if p.startswith(top)}):
        where, patch = top + name, Patch(name)
        patch.message = _text(files, where + "/message")
        lines = patch.message.split("\n")
        if not lines[0].strip() or len(lines) > 1 and lines[1].strip():
            raise Fail("%s/message: write the subject in the first line and leave "
                       "the second empty" % where)
        patch.message = patch.message.rstrip() + "\n"
        patch.author = _text(files, where + "/author").strip() or None
        if patch.author and not AUTHOR.match(patch.author):
            raise Fail("%s/author: write 'Name <mail>'" % where)
        for op, path in _parse_files(_text(files, where + "/files"), where + "/files"):
            if op == "D":
                patch.delete.append(path)
                continue
            took = {p: e for p, e in files.items() if p.startswith(path)} \
                if path.endswith("/") else {path: files.get(path)}
            if not all(took.values()) or not took:
                raise Fail("%s/files: %s is not in the repository: add the file or take "
                           "the line out" % (where, path))
            patch.add.update(took)
        patch.hunks = files.get(where + "/hunks.patch", ("", b""))[1]
        patch.edits = _diff_paths(patch.hunks, where + "/hunks.patch")
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
        if patches and patches[-1].name[:4] == name[:4]:
            raise Fail("series/%s has 2 folders numbered %s: renumber" % (base, name[:4]))
        patches.append(patch)
    if not patches:
        raise Fail("series/%s has no patch (a folder such as 0001-name)" % base)
    return patches


def touched(patches):
    """Every path that the series adds, deletes or edits."""
    return sorted({p for patch in patches
                   for p in [*patch.add, *patch.delete, *patch.edits]})


def identity(root):
    """'Name <mail>' of whoever works here, or a neutral one."""
    def ask(key):
        env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
        return subprocess.run(("git", "config", key), cwd=root, env=env,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              check=False).stdout.decode(errors="replace").strip()
    who = "%s <%s>" % (ask("user.name"), ask("user.email"))
    return who if AUTHOR.match(who) else NOBODY


def inputs_id(base_key, who, files):
    """Digest of all that the commits are made of."""
    return hashlib.sha256(repr((base_key, who, sorted(files.items()))).encode()).hexdigest()


# --- commits ---------------------------------------------------------------

def _complaint(err):
    lines = [r[7:] for r in err.splitlines() if r.startswith("error: ")]
    return (lines or err.splitlines() or ["git apply failed"])[0]


def _failing_hunk(err, hunks):
    """'file, hunk n (line l)' of git apply's complaint, or its first line."""
    match = re.search(r"error: patch failed: (.*):(\d+)", err)
    if not match:
        return _complaint(err)
    path, line = match.groups()
    part = hunks.partition(b"\n+++ b/" + os.fsencode(path))[2].partition(b"\n--- a/")[0]
    starts = re.findall(rb"^@@ -(\d+)", part, re.M)
    return "%s, hunk %d (line %s)" % (path, starts.index(line.encode()) + 1, line) \
        if line.encode() in starts else "%s, line %s" % (path, line)


def _apply(git, patch, *args):
    """Apply the hunks of @patch to the index; raises GitError."""
    git.run("apply", "--cached", "--whitespace=nowarn", *args, "-", data=patch.hunks)


def _early_forms(git, patches):
    """{path: blob} of overlay files that later hunks edit, as first added."""
    owner = {p: num for num, patch in enumerate(patches) for p in patch.add}
    forms = {}
    with git.scratch() as scratch:
        for num, patch in reversed(list(enumerate(patches))):
            known = scratch.index()
            forms.update((p, known[p][1]) for p in patch.add if p in known)
            own = [p for p in patch.edits if owner.get(p, num) < num]
            scratch.set_index({p: (patches[owner[p]].add[p][0],
                                   blob_id(patches[owner[p]].add[p][1]))
                               for p in own if p not in known})
            for path in own:
                try:
                    _apply(scratch, patch, "-R", "--include=" + path)
                except GitError:
                    raise Fail(
                        "%s/hunks.patch no longer fits the repository's %s: edit the "
                        "file in the tree and make refresh, or mend the hunk"
                        % (patch.name, path)) from None
    return forms


def _stages(git, base_commit, patches, where):
    """For each patch, {path: (mode, blob) or None} of what it changes.

    The scratch index has only the files that the series touches: whatever the
    size of the base, this takes no time."""
    git.write_blobs([data for p in patches for _, data in p.add.values()])
    early = _early_forms(git, patches)
    with git.scratch() as scratch:
        before = git.ls_tree(base_commit, touched(patches))
        scratch.set_index(before)
        for patch in patches:
            for path in patch.delete:
                if path not in before:
                    raise Fail("%s deletes %s, which %s does not have"
                               % (patch.name, path, where))
            try:
                if patch.edits:
                    _apply(scratch, patch)
            except GitError as err:
                raise Fail("%s/hunks.patch does not apply to %s: %s" % (
                    patch.name, where, _failing_hunk(err.stderr, patch.hunks))) from None
            scratch.set_index(dict(dict.fromkeys(patch.delete), **{
                path: (mode, early.get(path) or blob_id(data))
                for path, (mode, data) in patch.add.items()}))
            after = scratch.index()
            yield {p: after.get(p) for p in sorted({*before, *after})
                   if before.get(p) != after.get(p)}
            before = after


def build(git, base_commit, patches, who, where, date=None):
    """Make the commits of @patches on @base_commit in @git: [Laid].

    @where: what to call the base in errors
    @date: of all commits; without it they are one minute apart, from the base's
           on, so that each tells its patch
    """
    ref = "refs/virtio-dma/new"
    first = int(git.out("log", "-1", "--format=%ct", base_commit))
    feed = []
    for num, (changes, patch) in enumerate(zip(
            _stages(git, base_commit, patches, where), patches), 1):
        when, message = date or first + 60 * num, patch.message.encode()
        feed.append(b"commit %s\nauthor %s %d +0000\ncommitter %s %d +0000\ndata %d\n%s\n"
                    % (ref.encode(), (patch.author or who).encode(), when, who.encode(),
                       when, len(message), message))
        if num == 1:
            feed.append(b"from %s\n" % base_commit.encode())
        for path, entry in sorted(changes.items(), key=lambda c: c[1] is not None):
            feed.append(b"M %s %s %s\n" % (entry[0].encode(), entry[1].encode(),
                                           quote_path(path))
                        if entry else b"D %s\n" % quote_path(path))
    git.run("fast-import", "--quiet", "--force", "--done",
            data=b"".join(feed) + b"done\n")
    rows = git.out("log", "--reverse", "--format=%H %T", base_commit + ".." + ref)
    git.run("update-ref", "-d", ref)
    return [Laid(patch.name, *row.split())
            for patch, row in zip(patches, rows.splitlines())]


def already(git, commit, patches):
    """Whether @commit is what the series makes of some base."""
    there = git.ls_tree(commit, touched(patches))
    own = {p: (m, blob_id(d)) for patch in patches for p, (m, d) in patch.add.items()}
    if any(there.get(p) != e for p, e in own.items()) or \
            any(p in there for patch in patches for p in patch.delete):
        return False
    with git.scratch() as scratch:
        scratch.set_index(there)
        try:
            for patch in reversed(patches):
                if set(patch.edits) - set(own):     # the rest was compared above
                    _apply(scratch, patch, "-R", *["--exclude=" + p for p in own])
        except GitError:
            return False
    return True
