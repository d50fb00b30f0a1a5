#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Tests of scripts/tree.py and scripts/deps.sh on a base of a few files.

usage: scripts/lib/series/test_tree.py [unittest arguments]
"""

import gzip
import hashlib
import io
import os
import re
import resource
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import unittest

SCRIPTS = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))

MAKEFILE = "VERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = %d\nEXTRAVERSION =\n"
LINES = "".join("line %d\n" % n for n in range(1, 31))
BASE_FILES = {
    ".gitignore": "*.o\n#\n/*\n!/debian/\n",
    "drivers/virtio/Makefile": "obj-y += virtio.o\nobj-y += virtio_ring.o\n"
                               "obj-y += a.o\nobj-y += b.o\nobj-y += c.o\n",
    "drivers/virtio/virtio.c": LINES,
    "drivers/virtio/virtio_ring.c": "old ring\nsecond\n",
    "include/linux/virtio_ring.h": "old header\n",
    "scripts/run.sh": "#!/bin/sh\n",
    # Kernels have sources by the names that a build gives to its products.
    "arch/x86/kernel/vmlinux.lds.S": "SECTIONS\n",
    "kernel/configs/tiny.config": "CONFIG_A=y\n",
    "scripts/Makefile.vmlinux": "all:\n",
    "tools/include/generated/asm-offsets.h": "offsets\n",
    "tools/virtio/vringh_test.c": "int main;\n",
}
HUNK = """--- a/drivers/virtio/Makefile
+++ b/drivers/virtio/Makefile
@@ -1,4 +1,4 @@
 obj-y += virtio.o
-obj-y += virtio_ring.o
+obj-y += ring/core.o
 obj-y += a.o
 obj-y += b.o
"""
HUNK2 = """--- a/drivers/virtio/virtio.c
+++ b/drivers/virtio/virtio.c
@@ -4,5 +4,6 @@ line 3
 line 4
 line 5
+access
 line 6
 line 7
 line 8
"""
SERIES = {
    "series/6.12/cover": "virtio: the cover\n\nWhat it is about.\n",
    "series/6.12/0001-ring/message": "virtio_ring: rewrite\n\nThe body.\n",
    "series/6.12/0001-ring/files": "# the ring\nA drivers/virtio/ring/core.c\n"
                                   "A include/linux/virtio_ring.h\n"
                                   "D drivers/virtio/virtio_ring.c\n",
    "series/6.12/0001-ring/hunks.patch": HUNK,
    "series/6.12/0002-access/message": "virtio: show the access\n",
    "series/6.12/0002-access/files": "A drivers/virtio/ring/access.c\n",
    "series/6.12/0002-access/hunks.patch": HUNK2,
    "series/6.12/0003-tests/message": "selftests: virtio\n",
    "series/6.12/0003-tests/files": "A tools/testing/virtio/\n",
    "drivers/virtio/ring/core.c": LINES,
    "drivers/virtio/ring/access.c": "access\n",
    "include/linux/virtio_ring.h": "new header\n",
    "tools/testing/virtio/run.sh": "#!/bin/sh\necho run\n",
    "tools/testing/virtio/a.c": "int a;\n",
}
SERIES["series/6.12/reviewed"] = "".join(
    "%s  %s\n" % (hashlib.sha256(BASE_FILES[p].encode()).hexdigest(), p)
    for p in ("drivers/virtio/virtio_ring.c", "include/linux/virtio_ring.h"))


def put(top, files):
    for path, text in files.items():
        full = os.path.join(top, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as out:
            out.write(text)
        if path.endswith(".sh"):
            os.chmod(full, 0o755)


def get(*path):
    with open(os.path.join(*path), encoding="utf-8") as src:
        return src.read()


def snapshot(top, skip=()):
    """{path: content, mode and time stamp} of everything below @top."""
    found = {}
    for here, dirs, names in os.walk(top):
        dirs[:] = [d for d in dirs if d not in skip]
        for name in names:
            path = os.path.join(here, name)
            info = os.lstat(path)
            with open(path, "rb") as src:
                found[os.path.relpath(path, top)] = (
                    src.read(), info.st_mode, info.st_mtime_ns)
    return found


def contents(top, skip=(".git", ".virtio-dma")):
    return {p: row[:2] for p, row in snapshot(top, skip).items()}


class Case(unittest.TestCase):
    def setUp(self):
        self.top = tempfile.mkdtemp(prefix="test-tree-")
        self.addCleanup(shutil.rmtree, self.top)
        self.repo = os.path.join(self.top, "repo")
        self.cache = os.path.join(self.top, "cache", "virtio-dma")
        self.linux = os.path.join(self.repo, "build", "6.12", "linux")
        os.makedirs(self.cache)
        put(self.top, {".gitconfig": "[user]\n\tname = T\n\temail = t@t\n"})
        self.new_repo(self.repo)
        self.base_archive(5)

    def new_repo(self, repo):
        os.makedirs(os.path.join(repo, "scripts"))
        shutil.copy(os.path.join(SCRIPTS, "tree.py"), os.path.join(repo, "scripts"))
        shutil.copytree(os.path.join(SCRIPTS, "lib"), os.path.join(repo, "scripts", "lib"),
                        ignore=shutil.ignore_patterns("__pycache__"))
        put(repo, SERIES)
        put(repo, {".gitignore": "build/\n"})
        self.git(repo, "init", "-q")

    def base_archive(self, sublevel, changes=None):
        files = dict(BASE_FILES, Makefile=MAKEFILE % sublevel)
        files.update(changes or {})
        name = os.path.join(self.cache, "linux-6.12.%d.tar.xz" % sublevel)
        with tarfile.open(name, "w:xz", preset=0) as tar:
            for path, text in files.items():
                info = tarfile.TarInfo("linux-6.12.%d/%s" % (sublevel, path))
                info.size, info.mtime = len(text), 1700000000
                info.mode = 0o755 if path.endswith(".sh") else 0o644
                tar.addfile(info, io.BytesIO(text.encode()))
        return name

    def env(self, **more):
        env = {k: v for k, v in os.environ.items()
               if not k.startswith("GIT_")
               and k not in ("BASE", "KDIR", "CONFIG", "CHECK", "FORCE")}
        env.update(XDG_CACHE_HOME=os.path.dirname(self.cache), HOME=self.top, **more)
        return env

    def tree(self, *args, ok=True, repo=None, limit=None, **env):
        """Run tree.py; its output, both streams."""
        def small_files():
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        proc = subprocess.run(
            [sys.executable, os.path.join(repo or self.repo, "scripts", "tree.py"), *args],
            env=self.env(**env), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, check=False, preexec_fn=small_files if limit else None)
        if ok is not None:
            self.assertEqual(proc.returncode == 0, ok, proc.stdout)
        self.assertNotIn("Traceback", proc.stdout)
        return proc.stdout

    def git(self, top, *args):
        return subprocess.run(("git", "-C", top) + args, env=self.env(), text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              check=True).stdout.strip()

    def fails(self, *args, **kw):
        """Run tree.py, which fails with one line: that line."""
        out = self.tree(*args, ok=False, **kw)
        lines = [row for row in out.splitlines() if row.startswith("tree.py: ")]
        self.assertEqual(len(lines), 1, out)
        self.assertEqual(out.splitlines()[-1], lines[0])
        return lines[0]


class TestTree(Case):
    def test_base_is_one_commit_and_each_patch_is_one(self):
        self.tree("tree")
        self.assertEqual(self.git(self.linux, "log", "--reverse", "--format=%s"),
                         "Linux 6.12.5\nvirtio_ring: rewrite\n"
                         "virtio: show the access\nselftests: virtio")
        self.assertEqual(get(self.linux, "drivers/virtio/ring/core.c"), LINES)
        self.assertEqual(get(self.linux, "include/linux/virtio_ring.h"), "new header\n")
        self.assertIn("ring/core.o", get(self.linux, "drivers/virtio/Makefile"))
        self.assertIn("line 5\naccess\nline 6", get(self.linux, "drivers/virtio/virtio.c"))
        self.assertFalse(os.path.exists(self.linux + "/drivers/virtio/virtio_ring.c"))
        self.assertTrue(os.access(self.linux + "/tools/testing/virtio/run.sh", os.X_OK))
        self.assertEqual(self.git(self.linux, "status", "--porcelain"), "")
        self.assertEqual(self.git(self.linux, "show", "-s", "--format=%B", "HEAD~2"),
                         "virtio_ring: rewrite\n\nThe body.")

    def test_second_run_touches_nothing(self):
        self.tree("tree")
        before = snapshot(self.repo + "/build")
        self.assertIn("up to date", self.tree("tree"))
        self.assertEqual(snapshot(self.repo + "/build"), before)

    def test_base_has_its_own_form_of_a_file(self):
        own = "series/6.12/files/drivers/virtio/ring/core.c"
        put(self.repo, {own: "own\n" + LINES})
        self.tree("tree")
        self.assertEqual(get(self.linux, "drivers/virtio/ring/core.c"), "own\n" + LINES)
        put(self.linux, {"drivers/virtio/ring/core.c": "mine\n" + LINES})
        self.git(self.linux, "commit", "-qam", "mine")
        self.assertIn(own.split("files/")[1], self.tree("refresh"))
        self.assertEqual(get(self.repo, own), "mine\n" + LINES)
        self.assertEqual(get(self.repo, "drivers/virtio/ring/core.c"), LINES)

    def test_only_what_changed_gets_a_new_time_stamp(self):
        self.tree("tree")
        before = snapshot(self.linux, (".git",))
        put(self.repo, {"drivers/virtio/ring/core.c": LINES + "more\n"})
        self.tree("tree")
        after = snapshot(self.linux, (".git",))
        self.assertEqual({p for p in after if after[p] != before[p]},
                         {"drivers/virtio/ring/core.c"})

    def test_commits_are_the_same_in_every_clone(self):
        self.tree("tree")
        other = os.path.join(self.top, "other")
        self.new_repo(other)
        self.tree("tree", repo=other)
        self.assertEqual(self.git(self.linux, "rev-parse", "HEAD"),
                         self.git(other + "/build/6.12/linux", "rev-parse", "HEAD"))

    def test_object_directories_survive_and_are_not_edits(self):
        self.tree("tree")
        put(self.linux, {"build-x/a.o": "o", "build-x/sub/vmlinux": "v"})
        put(self.repo, {"drivers/virtio/ring/core.c": "new\n"})
        self.tree("tree")
        self.assertEqual(get(self.linux, "build-x/a.o"), "o")
        self.assertEqual(get(self.linux, "drivers/virtio/ring/core.c"), "new\n")

    def test_debian_gitignore_does_not_hide_new_files(self):
        self.tree("tree")
        put(self.linux, {"drivers/virtio/new.c": "x\n"})
        self.assertEqual(self.git(self.linux, "status", "--porcelain"),
                         "?? drivers/virtio/new.c")

    def test_edits_are_refused_when_the_series_changes_and_kept_when_not(self):
        self.tree("tree")
        put(self.linux, {"drivers/virtio/ring/access.c": "mine\n"})
        self.assertIn("edits (drivers/virtio/ring/access.c) of yours", self.tree("tree"))
        put(self.repo, {"drivers/virtio/ring/core.c": "new\n"})
        self.assertIn("make refresh", self.fails("tree"))
        self.assertEqual(get(self.linux, "drivers/virtio/ring/access.c"), "mine\n")
        self.assertEqual(get(self.linux, "drivers/virtio/ring/core.c"), LINES)

    def test_commits_are_refused_when_the_series_changes(self):
        self.tree("tree")
        put(self.linux, {"scripts/run.sh": "mine\n"})
        self.git(self.linux, "commit", "-qam", "mine")
        put(self.repo, {"drivers/virtio/ring/core.c": "new\n"})
        self.assertIn("1 commit not in the series", self.fails("tree"))
        self.assertEqual(self.git(self.linux, "log", "-1", "--format=%s"), "mine")

    def test_untracked_file_in_the_way_is_kept(self):
        self.tree("tree")
        put(self.repo, {"tools/testing/virtio/b.c": "ours\n"})
        put(self.linux, {"tools/testing/virtio/b.c": "yours\n"})
        self.fails("tree")
        self.assertEqual(get(self.linux, "tools/testing/virtio/b.c"), "yours\n")
        os.unlink(self.linux + "/tools/testing/virtio/b.c")
        self.tree("tree")
        self.assertEqual(get(self.linux, "tools/testing/virtio/b.c"), "ours\n")

    def test_a_tree_of_somebody_else_is_left_alone(self):
        put(self.linux, {"Makefile": "theirs\n"})
        self.assertIn("was not laid by make tree", self.fails("tree"))
        self.assertEqual(get(self.linux, "Makefile"), "theirs\n")

    def test_hunk_that_does_not_apply_names_file_and_hunk(self):
        put(self.repo, {"series/6.12/0001-ring/hunks.patch":
                        HUNK.replace("virtio_ring.o", "other.o")})
        line = self.fails("tree")
        self.assertIn("0001-ring", line)
        self.assertIn("drivers/virtio/Makefile, hunk 1 (line 1)", line)
        self.assertFalse(os.path.exists(self.linux))

    def test_malformed_series_is_named(self):
        cases = (
            ({"series/6.12/0001-ring/message": "subject\nno empty line\n"}, "message"),
            ({"series/6.12/0001-ring/files": "X drivers/a.c\n"}, "files:1"),
            ({"series/6.12/0001-ring/files": "A ../etc/passwd\n"}, "files:1"),
            ({"series/6.12/0001-ring/files": "A not/there.c\n"}, "not/there.c"),
            ({"series/6.12/0002-access/files": "A drivers/virtio/ring/core.c\n"},
             "belongs to one patch"),
            ({"series/6.12/0001-ring/files": "D not/there.c\n"}, "does not have"),
            ({"series/6.12/0001-ring/hunks.patch": "garbage\n"}, "hunks.patch"),
            ({"series/6.12/0001-again/message": "a\n",
              "series/6.12/0001-again/hunks.patch": HUNK2}, "numbered 0001"),
        )
        for files, word in cases:
            with self.subTest(word=word):
                put(self.repo, files)
                self.assertIn(word, self.fails("tree"))
                shutil.rmtree(self.repo + "/series")
                put(self.repo, SERIES)

    def test_hunk_of_a_later_patch_may_edit_an_overlay_file(self):
        # The repository has the final form, the first patch the one before.
        put(self.repo, {
            "drivers/virtio/ring/core.c": LINES.replace("line 9\n", "line 9\nhook\n"),
            "series/6.12/0002-access/hunks.patch": HUNK2 +
            "--- a/drivers/virtio/ring/core.c\n+++ b/drivers/virtio/ring/core.c\n"
            "@@ -8,4 +8,5 @@\n line 8\n line 9\n+hook\n line 10\n line 11\n"})
        self.tree("tree")
        self.assertEqual(self.git(self.linux, "show", "HEAD~2:drivers/virtio/ring/core.c"),
                         LINES.strip())
        self.assertIn("hook", get(self.linux, "drivers/virtio/ring/core.c"))

    def test_stock_is_the_base_beside_it(self):
        self.tree("stock")
        stock = self.repo + "/build/6.12/stock"
        self.assertEqual(get(stock, "drivers/virtio/virtio_ring.c"), "old ring\nsecond\n")
        self.assertFalse(os.path.exists(stock + "/drivers/virtio/ring"))
        before = snapshot(stock)
        self.tree("stock")
        self.assertEqual(snapshot(stock), before)
        put(stock, {"scripts/run.sh": "edited\n"})
        self.assertIn("has edits (scripts/run.sh)", self.fails("stock"))

    def test_moved_clone_still_works(self):
        self.tree("stock")
        moved = os.path.join(self.top, "moved")
        os.rename(self.repo, moved)
        self.tree("stock", repo=moved)
        self.tree("tree", repo=moved)

    def test_each_runs_after_every_patch(self):
        out = self.tree("each", "--", "sh", "-c",
                        "ls drivers/virtio/ring; echo at $SERIES_PATCH")
        self.assertLess(out.index("at 0001-ring"), out.index("access.c"))
        self.assertIn("at 0003-tests", out)
        self.assertIn("0002-access", self.fails(
            "each", "--", "sh", "-c", "! test -e drivers/virtio/ring/access.c"))


class TestRecovery(Case):
    def test_tree_cut_short_while_it_was_made(self):
        put(self.repo, {"build/6.12/tmp-linux/junk": "x"})
        put(self.cache, {"tmp-import/junk": "x", "tmp-download/junk": "x"})
        self.tree("tree")
        self.assertFalse(os.path.exists(self.repo + "/build/6.12/tmp-linux"))

    def test_update_cut_short_between_files(self):
        self.tree("tree")
        old = self.git(self.linux, "rev-parse", "HEAD")
        put(self.repo, {"drivers/virtio/ring/core.c": "new\n",
                        "drivers/virtio/ring/access.c": "new\n"})
        self.tree("tree")
        new = self.git(self.linux, "rev-parse", "HEAD")
        want = contents(self.linux)
        # As it stands when the second of two files is half written.
        self.git(self.linux, "reset", "-q", "--hard", old)
        put(self.linux, {"drivers/virtio/ring/core.c": "new\n",
                         "drivers/virtio/ring/access.c": "n"})
        put(self.linux + "/.git", {
            "virtio-dma.next": '{"old": "%s", "new": "%s"}' % (old, new),
            "index.lock": ""})
        self.tree("tree")
        self.assertEqual(contents(self.linux), want)
        self.assertEqual(self.git(self.linux, "status", "--porcelain"), "")
        self.assertFalse(os.path.exists(self.linux + "/.git/virtio-dma.next"))

    def test_edit_after_a_cut_short_update_is_not_lost(self):
        self.tree("tree")
        head, old = self.git(self.linux, "rev-parse", "HEAD", "HEAD~1").split()
        put(self.linux, {"scripts/run.sh": "mine\n"})
        put(self.linux + "/.git", {
            "virtio-dma.next": '{"old": "%s", "new": "%s"}' % (head, old)})
        self.assertIn("scripts/run.sh", self.fails("tree"))
        self.assertEqual(get(self.linux, "scripts/run.sh"), "mine\n")

    def test_lock_left_by_a_killed_git(self):
        self.tree("tree")
        put(self.linux + "/.git", {"index.lock": "", "refs/heads/virtio-dma.lock": ""})
        put(self.repo, {"drivers/virtio/ring/core.c": "new\n"})
        self.tree("tree")
        self.assertEqual(get(self.linux, "drivers/virtio/ring/core.c"), "new\n")

    def test_full_disk_then_space_again(self):
        # No file may grow past the limit: what a full disk looks like to git.
        for limit in (10, 100, 400, 1000, 3000):
            self.tree("tree", ok=None, limit=limit)
        self.tree("tree")
        want = contents(self.linux)
        put(self.repo, {"drivers/virtio/ring/core.c": "x" * 5000})
        for limit in (10, 100, 400, 1000, 3000):
            self.tree("tree", ok=False, limit=limit)
        self.tree("tree")
        put(self.repo, {"drivers/virtio/ring/core.c": LINES})
        self.tree("tree")
        self.assertEqual(contents(self.linux), want)

    def test_two_runs_at_once(self):
        cmd = [sys.executable, self.repo + "/scripts/tree.py", "tree"]
        procs = [subprocess.Popen(cmd, env=self.env(), stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL) for _ in range(3)]
        self.assertEqual([p.wait() for p in procs], [0, 0, 0])


class TestBase(Case):
    def without_apt(self):
        """A PATH with all that tree.py needs but apt."""
        here = os.path.join(self.top, "bin")
        os.makedirs(here, exist_ok=True)
        for name in ("git", "xz", "tar", "gzip"):
            if not os.path.exists(os.path.join(here, name)):
                os.symlink(shutil.which(name), os.path.join(here, name))
        return here

    def test_no_base_and_no_way_to_fetch_it(self):
        os.unlink(self.cache + "/linux-6.12.5.tar.xz")
        line = self.fails("tree", PATH=self.without_apt())
        self.assertIn("linux-source-6.12", line)
        self.assertIn(self.cache, line)
        self.assertIn("KDIR", line)

    def suite(self, package, archive, version):
        """A folder as foreign.sh leaves it, of a @package with an @archive of ours."""
        there = self.top + "/there"
        os.makedirs(there + "/usr/src")
        os.rename(archive, "%s/usr/src/%s.tar.xz" % (there, package))
        doc = "%s/usr/share/doc/%s" % (there, package)
        os.makedirs(doc)
        with gzip.open(doc + "/changelog.Debian.gz", "wt") as log:
            log.write("linux (%s-1~bpo1+1) sid-backports; urgency=low\n" % version)
        return there

    def test_base_of_another_suite(self):
        there = self.suite("linux-source-6.12", self.cache + "/linux-6.12.5.tar.xz", "6.12.5")
        put(self.repo, {"series/6.12/suite": "sid-backports\n", "scripts/foreign.sh":
                        "#!/bin/sh\n[ \"$*\" = 'sid-backports amd64 linux-source-6.12' ] "
                        "&& echo %s\n" % there})
        self.tree("tree")
        self.assertEqual(get(self.linux, "drivers/virtio/ring/core.c"), LINES)
        self.assertIn("linux-6.12.5.tar.xz", os.listdir(self.cache))

    def test_suite_that_cannot_be_had_is_named(self):
        os.unlink(self.cache + "/linux-6.12.5.tar.xz")
        put(self.repo, {"series/6.12/suite": "sid-backports\n", "scripts/foreign.sh":
                        "#!/bin/sh\necho 'foreign: no network' >&2; exit 1\n"})
        self.assertIn("linux-source-6.12: foreign: no network", self.fails("tree"))

    def test_suite_that_has_gone_on_gives_what_it_has(self):
        os.unlink(self.cache + "/linux-6.12.5.tar.xz")
        there = self.suite("linux-source-6.13", self.base_archive(
            2, {"Makefile": (MAKEFILE % 2).replace("12", "13")}), "6.13.2")
        put(self.repo, {"series/6.12/suite": "sid-backports\n", "scripts/foreign.sh":
                        "#!/bin/sh\n[ $3 != linux-source-6.12 ] && echo %s || { echo 'E: "
                        "Unable to locate package' $3 >&2; exit 1; }\n" % there})
        out = self.tree("tree")
        self.assertIn("base: sid-backports has no linux-source-6.12 any more; Linux 6.13.2 "
                      "of it is taken\n", out)
        self.assertEqual(get(self.linux, "drivers/virtio/ring/core.c"), LINES)

    def test_failed_download_leaves_nothing(self):
        os.unlink(self.cache + "/linux-6.12.5.tar.xz")
        here = self.without_apt()
        put(here, {"apt-cache.sh": "#!/bin/sh\necho Version: 6.12.9\necho Size: 100\n",
                   "apt-get.sh": "#!/bin/sh\ncase $* in *download*)\n"
                                 "/bin/echo half > linux-source-6.12_6.12.9_all.deb ;; esac\n"
                                 "echo 'E: Could not resolve host' >&2\nexit 100\n"})
        for name in ("apt-cache", "apt-get"):
            os.rename(here + "/%s.sh" % name, here + "/" + name)
        self.assertIn("Could not resolve host", self.fails("tree", PATH=here))
        self.assertEqual([n for n in os.listdir(self.cache) if n != ".lock"], [])

    def test_cached_base_needs_no_network(self):
        self.tree("tree", PATH=self.without_apt())
        shutil.rmtree(self.cache)       # and the tree itself is enough later on
        put(self.repo, {"drivers/virtio/ring/core.c": "new\n"})
        self.tree("tree", PATH=self.without_apt())
        self.assertEqual(get(self.linux, "drivers/virtio/ring/core.c"), "new\n")

    def test_damaged_archive_is_named_and_not_used(self):
        name = self.cache + "/linux-6.12.5.tar.xz"
        os.truncate(name, os.path.getsize(name) - 50)
        line = self.fails("tree")
        self.assertIn(name, line)
        self.assertIn("damaged", line)
        self.assertEqual(sorted(os.listdir(self.cache)), [".lock", "linux-6.12.5.tar.xz"])
        self.base_archive(5)
        self.tree("tree")

    def test_archive_of_another_version_is_refused(self):
        os.rename(self.base_archive(7, {"Makefile": "VERSION = 6\nPATCHLEVEL = 11\n"
                                                    "SUBLEVEL = 0\n"}),
                  self.cache + "/linux-6.12.7.tar.xz")
        self.assertIn("is Linux 6.11.0", self.fails("tree"))

    @unittest.skipUnless(shutil.which("dpkg-deb"), "no dpkg-deb")
    def test_debian_package(self):
        top = os.path.join(self.top, "deb")
        os.makedirs(top + "/usr/src")
        shutil.move(self.cache + "/linux-6.12.5.tar.xz",
                    top + "/usr/src/linux-source-6.12.tar.xz")
        put(top, {"DEBIAN/control": "Package: linux-source-6.12\nVersion: 6.12.5-1\n"
                                    "Architecture: all\nMaintainer: T <t@t>\n"
                                    "Description: base\n"})
        subprocess.run(("dpkg-deb", "-b", top, self.cache +
                        "/linux-source-6.12_6.12.5-1_all.deb"), check=True,
                       stdout=subprocess.DEVNULL)
        self.tree("tree")
        self.assertEqual(self.git(self.linux, "log", "-1", "--format=%s", "base"),
                         "Linux 6.12.5-1")

    def test_newest_cached_base_wins(self):
        self.tree("tree")
        self.base_archive(10)
        self.base_archive(9)
        self.tree("tree")
        self.assertIn("SUBLEVEL = 10", get(self.linux, "Makefile"))

    def kdir(self, git=False):
        kdir = os.path.join(self.top, "kdir")
        put(kdir, dict(BASE_FILES, Makefile=MAKEFILE % 8))
        if git:
            self.git(kdir, "init", "-q")
            self.git(kdir, "add", "-f", ".")
            self.git(kdir, "commit", "-qm", "theirs")
        put(kdir, {"kernel.o": "o", "include/generated/a.h": "x", ".config": "x",
                   "out/include/generated/a.h": "x", "out/.config": "x"})
        return kdir

    def test_kdir_is_the_base_and_is_not_modified(self):
        for git in (False, True):
            with self.subTest(git=git):
                kdir = self.kdir(git)
                before = snapshot(kdir)
                self.tree("tree", KDIR=kdir)
                self.assertIn("SUBLEVEL = 8", get(self.linux, "Makefile"))
                self.assertFalse(os.path.exists(self.linux + "/kernel.o"))
                self.assertFalse(os.path.exists(self.linux + "/include/generated"))
                self.assertFalse(os.path.exists(self.linux + "/out"))
                for path, text in BASE_FILES.items():
                    if path not in self.linux_own:
                        self.assertEqual(get(self.linux, path), text)
                self.assertIn("up to date", self.tree("tree", KDIR=kdir))
                self.assertEqual(snapshot(kdir), before)
                put(kdir, {"scripts/run.sh": "theirs, edited\n"})
                self.tree("tree", KDIR=kdir)
                self.assertEqual(get(self.linux, "scripts/run.sh"), "theirs, edited\n")
                shutil.rmtree(kdir)

    linux_own = (".gitignore", "drivers/virtio/Makefile", "drivers/virtio/virtio.c",
                 "drivers/virtio/virtio_ring.c", "include/linux/virtio_ring.h")

    def test_kdir_that_has_the_series_already(self):
        for git in (False, True):
            with self.subTest(git=git):
                kdir = self.kdir(git)
                self.tree("apply", KDIR=kdir)
                before = snapshot(kdir)
                self.assertIn("has the series already", self.tree("tree", KDIR=kdir))
                self.assertEqual(snapshot(kdir), before)
                for path in ("drivers/virtio/virtio.c", "drivers/virtio/ring/core.c"):
                    self.assertEqual(get(self.linux, path), get(kdir, path))
                self.assertFalse(os.path.exists(self.linux + "/drivers/virtio/virtio_ring.c"))
                self.assertFalse(os.path.exists(self.linux + "/.virtio-dma"))
                self.assertIn("up to date", self.tree("tree", KDIR=kdir))
                for verb in ("refresh", "series"):
                    self.assertIn("has the series already", self.fails(verb, KDIR=kdir))
                self.tree("tree")
                self.assertEqual(self.git(self.linux, "rev-list", "--count", "base.."), "3")
                shutil.rmtree(kdir)

    def test_kdir_of_another_version(self):
        kdir = self.kdir()
        put(kdir, {"Makefile": "VERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 3\n"})
        for verb in ("tree", "apply"):
            self.assertIn("is Linux 6.1.3", self.fails(verb, KDIR=kdir))
        self.assertIn("not a directory", self.fails("tree", KDIR="/not/there"))
        self.assertIn("not a kernel source tree", self.fails("tree", KDIR=self.top))


class TestReviewed(Case):
    def test_changed_base_file_is_shown(self):
        self.tree("tree")
        self.base_archive(6, {"drivers/virtio/virtio_ring.c": "old ring\nfixed\n"})
        out = self.tree("tree")
        self.assertIn("warning: drivers/virtio/virtio_ring.c changed", out)
        self.assertIn("-second\n+fixed\n", out)
        self.assertNotIn("virtio_ring.h changed", out)
        self.assertIn("warning", self.tree("tree"))
        self.tree("reviewed")
        self.assertNotIn("warning", self.tree("tree"))
        self.assertIn(hashlib.sha256(b"old ring\nfixed\n").hexdigest(),
                      get(self.repo, "series/6.12/reviewed"))

    def test_reviewed_content_that_is_gone_is_said_to_be(self):
        put(self.repo, {"series/6.12/reviewed":
                        "%064d  drivers/virtio/virtio_ring.c\n" % 0})
        out = self.tree("tree")
        self.assertIn("read the whole file", out)
        self.assertIn("include/linux/virtio_ring.h has not been reviewed", out)


class TestSeries(Case):
    def test_patches_and_cover_letter_for_git_am(self):
        out = self.tree("series")
        top = self.repo + "/build/6.12/series"
        names = sorted(os.listdir(top))
        self.assertEqual(names, ["0000-cover-letter.patch",
                                 "0001-virtio_ring-rewrite.patch",
                                 "0002-virtio-show-the-access.patch",
                                 "0003-selftests-virtio.patch"])
        for name in names:
            self.assertIn(name, out)
        cover = get(top, names[0])
        self.assertIn("Subject: [PATCH 0/3] virtio: the cover\n", cover)
        self.assertIn("What it is about.", cover)
        self.assertNotIn("***", cover)
        first = snapshot(top)
        self.tree("series")
        self.assertEqual({p: r[0] for p, r in snapshot(top).items()},
                         {p: r[0] for p, r in first.items()})
        self.tree("stock")
        stock = self.repo + "/build/6.12/stock"
        self.git(stock, "am", "-q", *[os.path.join(top, n) for n in names[1:]])
        self.assertEqual(self.git(stock, "rev-parse", "HEAD^{tree}"),
                         self.git(self.linux, "rev-parse", "HEAD^{tree}"))

    def test_each_mail_goes_to_whom_the_base_names_for_it_and_the_cover_to_all(self):
        self.base_archive(6, {"scripts/get_maintainer.pl": (
            'undef $/; open F, $ARGV[-1]; my $mail = <F>;\n'
            'print "A. \\"Bé\\" <a\\@b.c> (maintainer:VIRTIO CORE)\\n" if $mail =~ /rewrite/;\n'
            'print "d\\@e.f (open list:TESTS)\\nG <g\\@h.i> (reviewer:X (of all):Y)\\n" '
            'if $mail =~ /selftests/;\n')})
        self.tree("series")
        top = self.repo + "/build/6.12/series/"
        names = sorted(os.listdir(top))
        self.assertIn('\nTo: A. "Bé" <a@b.c>,\n    G <g@h.i>\nCc: d@e.f\nSubject: ',
                      get(top + names[0]))
        self.assertIn('\nTo: A. "Bé" <a@b.c>\nSubject: ', get(top + names[1]))
        self.assertNotIn("\nTo: ", get(top + names[2]))
        self.assertIn("\nTo: G <g@h.i>\nCc: d@e.f\nSubject: ", get(top + names[3]))
        stock = self.repo + "/build/6.12/stock"
        self.tree("stock")
        self.git(stock, "am", "-q", *[top + n for n in names[1:]])
        self.assertEqual(self.git(stock, "rev-parse", "HEAD^{tree}"),
                         self.git(self.linux, "rev-parse", "HEAD^{tree}"))

    def test_get_maintainer_is_not_asked_again_of_a_patch_that_is_the_same(self):
        asked = os.path.join(self.top, "asked")
        self.base_archive(6, {"scripts/get_maintainer.pl": (
            "open F, '>>', '%s'; print F \"x\\n\"; print \"A <a\\@b.c> (maintainer:X)\\n\";\n"
            % asked)})
        self.tree("series")
        first = contents(self.repo + "/build/6.12/series")
        self.tree("series")
        self.assertEqual(contents(self.repo + "/build/6.12/series"), first)
        self.assertEqual(get(asked), "x\n" * 3)
        put(self.repo, {"series/6.12/0002-access/message": "virtio: show it\n"})
        self.tree("series")
        self.assertEqual(get(asked), "x\n" * 4)

    def test_get_maintainer_that_fails_is_named(self):
        self.base_archive(6, {"scripts/get_maintainer.pl": "die 'no MAINTAINERS';\n"})
        self.assertIn("get_maintainer.pl cannot say whom 0001-", self.fails("series"))
        self.assertFalse(os.path.exists(self.repo + "/build/6.12/tmp-series"))

    def test_figures_of_the_cover_are_those_of_a_file(self):
        put(self.repo, {"series/6.12/cover": "virtio: it\n\nIt costs:\n\n@figures@\n\nEnd.\n"})
        self.assertIn("no series/6.12/figures: copy build/6.12/bench.txt",
                      self.fails("series"))
        put(self.repo, {"series/6.12/figures": "read  0.50\n"})
        self.tree("series")
        self.assertIn("It costs:\n\nread  0.50\n\nEnd.",
                      get(self.repo, "build/6.12/series/0000-cover-letter.patch"))

    def test_steps_of_the_cover_are_those_of_make_each(self):
        put(self.repo, {"series/6.12/cover": "virtio: it\n\nBy patch:\n\n@steps@\n"})
        self.assertIn("no series/6.12/steps: copy build/6.12/each.txt of a make each",
                      self.fails("series"))

    def test_no_cover(self):
        os.unlink(self.repo + "/series/6.12/cover")
        self.assertIn("series/6.12/cover", self.fails("series"))


class TestSecondSeries(Case):
    """series/6.12-fixes: of the same base, beside the other, with patches of it."""

    def setUp(self):
        super().setUp()
        put(self.repo, {"series/6.12/0004-fix/message": "virtio: fix it\n",
                        "series/6.12/0004-fix/hunks.patch": HUNK2.replace("access", "fix"),
                        "series/6.12-fixes/cover": "virtio: fixes\n\nFor stable.\n"})
        os.symlink("../6.12/0004-fix", self.repo + "/series/6.12-fixes/0001-fix")

    def test_tree_and_mail_have_the_fixes_and_no_overlay_file(self):
        self.tree("series", BASE="6.12-fixes")
        build = self.repo + "/build/6.12-fixes"
        self.assertEqual(sorted(os.listdir(build + "/series")),
                         ["0000-cover-letter.patch", "0001-virtio-fix-it.patch"])
        self.assertEqual(self.git(build + "/linux", "log", "--reverse", "--format=%s"),
                         "Linux 6.12.5\nvirtio: fix it")
        self.assertEqual(self.git(build + "/linux", "diff", "--name-only", "base"),
                         "drivers/virtio/virtio.c")
        self.assertFalse(os.path.exists(self.repo + "/build/6.12"))

    def test_link_to_a_patch_that_was_renamed_is_named(self):
        os.rename(self.repo + "/series/6.12/0004-fix", self.repo + "/series/6.12/0005-fix")
        self.assertIn("series/6.12-fixes/0001-fix is a link to nothing",
                      self.fails("tree", BASE="6.12-fixes"))

    def test_link_to_a_message_that_is_gone_is_named(self):
        put(self.repo, {"series/6.12-fixes/0002-more/hunks.patch": "x"})
        os.symlink("../../6.12/0009/message",
                   self.repo + "/series/6.12-fixes/0002-more/message")
        self.assertIn("series/6.12-fixes/0002-more/message is a link to nothing",
                      self.fails("tree", BASE="6.12-fixes"))

    def test_message_that_is_a_link_is_shared_and_refresh_writes_it_once(self):
        top = self.repo + "/series/6.12-fixes"
        os.unlink(top + "/0001-fix")
        put(self.repo, {"series/6.12-fixes/0001-fix/hunks.patch":
                        HUNK2.replace("access", "other")})
        os.symlink("../../6.12/0004-fix/message", top + "/0001-fix/message")
        self.tree("tree", BASE="6.12-fixes")
        linux = self.repo + "/build/6.12-fixes/linux"
        self.assertEqual(self.git(linux, "log", "-1", "--format=%s"), "virtio: fix it")
        self.git(linux, "commit", "-q", "--amend", "-m", "virtio: mend it")
        self.tree("refresh", BASE="6.12-fixes")
        self.assertTrue(os.path.islink(top + "/0001-fix/message"))
        self.assertEqual(get(self.repo, "series/6.12/0004-fix/message"),
                         "virtio: mend it\n")

    def test_apply_and_unapply(self):
        kdir = os.path.join(self.top, "kdir")
        put(kdir, dict(BASE_FILES, Makefile=MAKEFILE % 5))
        before = contents(kdir)
        self.tree("apply", BASE="6.12-fixes", KDIR=kdir)
        self.assertIn("line 5\nfix\nline 6", get(kdir, "drivers/virtio/virtio.c"))
        self.assertEqual({p for p, row in contents(kdir).items() if before[p] != row},
                         {"drivers/virtio/virtio.c"})
        self.tree("unapply", BASE="6.12-fixes", KDIR=kdir)
        self.assertEqual(contents(kdir), before)


class TestRefresh(Case):
    def setUp(self):
        super().setUp()
        self.tree("tree")
        self.git(self.repo, "add", "-A")
        self.git(self.repo, "commit", "-qm", "all")

    def changed(self):
        return self.git(self.repo, "status", "--porcelain", "-uall")

    def settled(self):
        """The tree and the repository agree, and a new clone gives the same."""
        self.assertIn("is up to date\n", self.tree("tree"))
        want = self.git(self.linux, "rev-parse", "HEAD")
        other = self.repo + "2"
        shutil.copytree(self.repo, other, ignore=shutil.ignore_patterns("build"))
        self.tree("tree", repo=other)
        self.assertEqual(self.git(other + "/build/6.12/linux", "rev-parse", "HEAD"), want)
        self.assertEqual(contents(other + "/build/6.12/linux"), contents(self.linux))
        shutil.rmtree(other)

    def commit(self, message, files):
        put(self.linux, files)
        self.git(self.linux, "add", "-f", *files)
        self.git(self.linux, "commit", "-q", "-m", message)

    def take(self):
        """Refresh, and do what its one line says has to be done first: the lines."""
        said = []
        while len(said) < 6:
            out = self.tree("refresh", ok=None).splitlines()[-1]
            if not out.startswith("tree.py: "):
                return said
            said.append(out)
            cmds = re.findall(r"git -C build/6.12/linux .+?(?= && |, then | \(|$)", out)
            self.assertTrue(cmds, out)
            for cmd in cmds:
                subprocess.run(cmd, shell=True, cwd=self.repo, check=True,
                               env=self.env(GIT_SEQUENCE_EDITOR=":", GIT_EDITOR=":"),
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.fail("\n".join(said))
        return said

    def test_nothing_to_take_changes_nothing(self):
        before = snapshot(self.repo)
        self.tree("refresh")
        self.assertEqual(snapshot(self.repo), before)

    def test_round_trip_of_rebuilt_commits_changes_nothing(self):
        # New commits of the same content: everything is looked at again.
        self.git(self.linux, "rebase", "-q", "-f", "base")
        self.tree("refresh")
        self.assertEqual(self.changed(), "")
        self.settled()

    def test_uncommitted_edit_is_refused_with_the_command_for_the_patch_that_owns_it(self):
        put(self.linux, {"drivers/virtio/ring/core.c": LINES + "more\n"})
        before = snapshot(self.repo)
        line = self.fails("refresh")
        self.assertIn("git -C build/6.12/linux commit --fixup=", line)
        self.assertIn("git -C build/6.12/linux rebase -i --autosquash base", line)
        self.assertEqual(snapshot(self.repo), before)
        self.assertEqual(len(self.take()), 1)
        stamp = os.stat(self.linux + "/drivers/virtio/ring/core.c").st_mtime_ns
        self.tree("refresh")
        self.assertEqual(self.changed(), "M drivers/virtio/ring/core.c")
        self.assertEqual(get(self.repo, "drivers/virtio/ring/core.c"), LINES + "more\n")
        self.assertEqual(os.stat(self.linux + "/drivers/virtio/ring/core.c").st_mtime_ns,
                         stamp)
        self.assertEqual(self.git(self.linux, "diff", "--name-only", "HEAD~3", "HEAD~2",
                                  "--", "drivers/virtio/ring"),
                         "drivers/virtio/ring/core.c")
        self.settled()

    def test_new_and_deleted_file_below_an_owned_directory(self):
        put(self.linux, {"tools/testing/virtio/b.c": "b\n"})
        os.unlink(self.linux + "/tools/testing/virtio/a.c")
        self.take()
        self.assertEqual(self.changed(), "D tools/testing/virtio/a.c\n"
                                         "?? tools/testing/virtio/b.c")
        self.settled()

    def test_edits_of_several_patches_are_taken_one_after_the_other(self):
        put(self.linux, {"drivers/virtio/ring/core.c": LINES + "more\n",
                         "drivers/virtio/ring/access.c": "more\n"})
        self.assertEqual(len(self.take()), 2)
        self.assertEqual(self.changed(), "M drivers/virtio/ring/access.c\n "
                                         "M drivers/virtio/ring/core.c")
        self.settled()

    def test_uncommitted_edit_of_a_base_file_asks_for_a_patch(self):
        put(self.linux, {"scripts/run.sh": "mine\n"})
        line = self.fails("refresh")
        self.assertIn("--fixup", line)
        self.assertIn("scripts/run.sh", line)
        self.assertEqual(self.changed(), "")
        self.assertEqual(get(self.linux, "scripts/run.sh"), "mine\n")

    def test_fixup_is_squashed_into_its_patch(self):
        put(self.linux, {"drivers/virtio/Makefile": get(
            self.linux, "drivers/virtio/Makefile").replace("core.o", "core.o ring/dma.o")})
        self.git(self.linux, "commit", "-qam", "fixup! virtio_ring: rewrite")
        before = snapshot(self.repo)
        self.assertIn("git -C build/6.12/linux rebase -i --autosquash base",
                      self.fails("refresh"))
        self.assertEqual(snapshot(self.repo), before)
        self.take()
        self.assertEqual(self.changed(), "M series/6.12/0001-ring/hunks.patch")
        self.assertIn("+obj-y += ring/core.o ring/dma.o",
                      get(self.repo, "series/6.12/0001-ring/hunks.patch"))
        self.assertEqual(self.git(self.linux, "rev-list", "--count", "base.."), "3")
        self.settled()

    def test_fixup_that_names_nothing(self):
        self.commit("fixup! not there", {"scripts/run.sh": "x\n"})
        self.assertIn("names no earlier commit", self.fails("refresh"))

    def test_new_commit_becomes_a_new_folder(self):
        self.commit("virtio: a new thing\n\nWhy.", {
            "drivers/virtio/new.c": "new\n",
            "drivers/virtio/virtio.c": get(self.linux, "drivers/virtio/virtio.c")
            .replace("line 20\n", "line 20\nnew\n")})
        self.tree("refresh")
        top = "series/6.12/0004-virtio-a-new-thing/"
        self.assertEqual(self.changed(), "\n".join(
            "?? " + p for p in ("drivers/virtio/new.c", top + "files",
                                top + "hunks.patch", top + "message")))
        self.assertEqual(get(self.repo, top + "files"), "A drivers/virtio/new.c\n")
        self.assertEqual(get(self.repo, top + "message"), "virtio: a new thing\n\nWhy.\n")
        self.assertEqual(get(self.repo, top + "hunks.patch"), """\
diff --git a/drivers/virtio/virtio.c b/drivers/virtio/virtio.c
--- a/drivers/virtio/virtio.c
+++ b/drivers/virtio/virtio.c
@@ -19,6 +19,7 @@
 line 18
 line 19
 line 20
+new
 line 21
 line 22
 line 23
""")
        self.settled()

    def test_new_commit_that_edits_an_overlay_file(self):
        self.commit("virtio_ring: hook", {
            "drivers/virtio/ring/core.c": LINES.replace("line 9\n", "line 9\nhook\n")})
        self.tree("refresh")
        self.assertIn("+hook", get(self.repo,
                                   "series/6.12/0004-virtio-ring-hook/hunks.patch"))
        self.assertIn("hook", get(self.repo, "drivers/virtio/ring/core.c"))
        self.settled()
        self.assertEqual(self.git(self.linux, "show", "HEAD~1:drivers/virtio/ring/core.c"),
                         LINES.strip())

    def test_reworded_commit(self):
        self.git(self.linux, "commit", "-q", "--amend", "-m", "selftests: better words")
        self.tree("refresh")
        self.assertEqual(self.changed(), "M series/6.12/0003-tests/message")
        self.assertEqual(get(self.repo, "series/6.12/0003-tests/message"),
                         "selftests: better words\n")
        self.settled()

    def test_amended_commit_keeps_comments_of_the_files_list(self):
        self.git(self.linux, "reset", "-q", "--hard", "HEAD~2")
        put(self.linux, {"drivers/virtio/ring/dma.c": "dma\n"})
        self.git(self.linux, "add", "drivers/virtio/ring/dma.c")
        self.git(self.linux, "commit", "-q", "--amend", "--no-edit")
        self.git(self.linux, "cherry-pick", "virtio-dma@{2}", "virtio-dma@{2}~1")
        self.tree("refresh")
        files = get(self.repo, "series/6.12/0001-ring/files")
        self.assertTrue(files.startswith("# the ring\n"), files)
        self.assertIn("A drivers/virtio/ring/dma.c\n", files)
        self.settled()

    def test_dropped_commit_takes_its_folder_along(self):
        self.git(self.linux, "reset", "-q", "--hard", "HEAD~1")
        self.tree("refresh")
        self.assertFalse(os.path.exists(self.repo + "/series/6.12/0003-tests"))
        self.assertFalse(os.path.exists(self.repo + "/tools"))
        self.settled()

    def test_reordered_commits_are_renumbered(self):
        tip = self.git(self.linux, "rev-parse", "HEAD")
        self.git(self.linux, "reset", "-q", "--hard", "HEAD~2")
        self.git(self.linux, "cherry-pick", tip, tip + "~1")
        self.tree("refresh")
        self.assertEqual([n for n in sorted(os.listdir(self.repo + "/series/6.12"))
                          if n[0] == "0"], ["0001-ring", "0002-tests", "0003-access"])
        self.settled()

    def test_other_authors_are_remembered(self):
        put(self.linux, {"drivers/virtio/o.c": "o\n"})
        self.git(self.linux, "add", "drivers/virtio/o.c")
        self.git(self.linux, "commit", "-q", "--author=O Other <o@other>", "-m", "o: o")
        self.tree("refresh")
        self.assertEqual(get(self.repo, "series/6.12/0004-o-o/author"),
                         "O Other <o@other>\n")
        self.settled()
        self.assertEqual(self.git(self.linux, "log", "-1", "--format=%an"), "O Other")

    def test_edits_on_both_sides_are_merged(self):
        put(self.repo, {"drivers/virtio/ring/core.c": "top\n" + LINES,
                        "drivers/virtio/ring/access.c": "access, here\n"})
        put(self.linux, {"drivers/virtio/ring/core.c": LINES + "bottom\n"})
        self.take()
        for top in (self.repo, self.linux):
            self.assertEqual(get(top, "drivers/virtio/ring/core.c"),
                             "top\n" + LINES + "bottom\n")
            self.assertEqual(get(top, "drivers/virtio/ring/access.c"), "access, here\n")
        self.settled()

    def test_conflicting_edits_are_left_as_they_are(self):
        put(self.repo, {"drivers/virtio/ring/access.c": "here\n"})
        self.commit("virtio: another", {"drivers/virtio/ring/access.c": "there\n"})
        self.assertIn("drivers/virtio/ring/access.c was edited in the repository and",
                      self.fails("refresh"))
        self.assertEqual(get(self.repo, "drivers/virtio/ring/access.c"), "here\n")
        self.assertEqual(get(self.linux, "drivers/virtio/ring/access.c"), "there\n")

    def test_cut_short_after_the_repository_was_written(self):
        put(self.linux, {"drivers/virtio/ring/core.c": "new\n"})
        put(self.repo, {"drivers/virtio/ring/core.c": "new\n"})
        self.take()
        self.settled()

    def test_merge_commit_is_refused(self):
        self.git(self.linux, "checkout", "-q", "-b", "side", "HEAD~1")
        self.commit("side", {"side.c": "x\n"})
        self.git(self.linux, "checkout", "-q", "virtio-dma")
        self.git(self.linux, "merge", "-q", "--no-edit", "side")
        self.assertIn("merge", self.fails("refresh"))


class TestApply(Case):
    def kdir(self, git=False, **changes):
        kdir = os.path.join(self.top, "kdir")
        put(kdir, dict(BASE_FILES, Makefile=MAKEFILE % 8))
        put(kdir, changes.pop("files", {}))
        if git:
            self.git(kdir, "init", "-q")
            self.git(kdir, "add", "-f", ".")
            self.git(kdir, "commit", "-qm", "theirs")
        return kdir

    def applied(self, kdir):
        self.tree("tree")
        want, have = contents(self.linux), contents(kdir)
        for path in ("Makefile", ".gitignore"):
            want.pop(path), have.pop(path)
        self.assertEqual(have, want)

    def test_plain_tree_gets_files(self):
        kdir = self.kdir()
        self.assertIn("8 files written", self.tree("apply", KDIR=kdir))
        self.applied(kdir)
        before = snapshot(kdir)
        self.assertIn("already", self.tree("apply", KDIR=kdir))
        self.assertEqual(snapshot(kdir), before)

    def test_clean_git_tree_gets_commits(self):
        kdir = self.kdir(git=True)
        self.assertIn("3 commits", self.tree("apply", KDIR=kdir))
        self.assertEqual(self.git(kdir, "log", "--reverse", "--format=%s"),
                         "theirs\nvirtio_ring: rewrite\nvirtio: show the access\n"
                         "selftests: virtio")
        self.assertEqual(self.git(kdir, "status", "--porcelain"), "")
        self.applied(kdir)
        self.assertIn("already", self.tree("apply", KDIR=kdir))

    def test_applied_commits_are_not_dated_in_the_future(self):
        kdir = self.kdir(git=True)
        self.tree("apply", KDIR=kdir)
        dates = self.git(kdir, "log", "--format=%at %ct").split()
        self.assertLessEqual(max(map(int, dates)), time.time())

    def test_dirty_git_tree_is_refused(self):
        kdir = self.kdir(git=True)
        put(kdir, {"scripts/run.sh": "mine\n"})
        before = snapshot(kdir)
        line = self.fails("apply", KDIR=kdir)
        self.assertIn("scripts/run.sh", line)
        self.assertIn("FORCE=1", line)
        self.assertEqual(snapshot(kdir), before)

    def test_dirty_git_tree_gets_files_if_forced(self):
        kdir = self.kdir(git=True)
        put(kdir, {"scripts/run.sh": "mine\n"})
        before = contents(kdir)
        self.assertIn("not committed", self.tree("apply", KDIR=kdir, FORCE="1"))
        self.assertEqual(get(kdir, "scripts/run.sh"), "mine\n")
        self.assertEqual(self.git(kdir, "log", "--format=%s"), "theirs")
        self.assertEqual(get(kdir, "drivers/virtio/ring/access.c"), "access\n")
        self.assertIn("already", self.tree("apply", KDIR=kdir))
        self.tree("unapply", KDIR=kdir)
        self.assertEqual(contents(kdir), before)
        self.assertEqual(self.git(kdir, "status", "--porcelain"), "M scripts/run.sh")

    def backports(self):
        """Trees with a change of the user's in a file that the series removes."""
        path = "drivers/virtio/virtio_ring.c"
        yield self.kdir(files={path: "edited\n"})
        for commit in (False, True):
            kdir = self.kdir(git=True)
            put(kdir, {path: "edited\n"})
            if commit:
                self.git(kdir, "commit", "-qam", "backport")
            yield kdir

    def test_edit_in_a_file_that_the_series_removes_is_refused(self):
        for kdir in self.backports():
            before = snapshot(kdir)
            line = self.fails("apply", KDIR=kdir)
            self.assertIn("drivers/virtio/virtio_ring.c", line)
            self.assertIn("FORCE=1", line)
            self.assertEqual(snapshot(kdir), before)
            shutil.rmtree(kdir)

    def test_edit_in_a_file_that_the_series_removes_goes_if_forced_and_comes_back(self):
        for kdir in self.backports():
            before = contents(kdir)
            self.assertIn("warning: drivers/virtio/virtio_ring.c",
                          self.tree("apply", KDIR=kdir, FORCE="1"))
            self.assertFalse(os.path.exists(kdir + "/drivers/virtio/virtio_ring.c"))
            self.tree("unapply", KDIR=kdir)
            self.assertEqual(contents(kdir), before)
            shutil.rmtree(kdir)

    def test_dry_run_changes_nothing(self):
        for git in (False, True):
            kdir = self.kdir(git)
            before = snapshot(kdir)
            self.assertIn("3 commits" if git else "8 files",
                          self.tree("apply", KDIR=kdir, CHECK="1"))
            self.assertEqual(snapshot(kdir), before)
            self.tree("apply", KDIR=kdir)
            before = snapshot(kdir)
            self.assertIn("8 files", self.tree("unapply", KDIR=kdir, CHECK="1"))
            self.assertEqual(snapshot(kdir), before)
            put(kdir, {"drivers/virtio/ring/core.c": "mine\n"})
            self.fails("unapply", KDIR=kdir, CHECK="1")
            shutil.rmtree(kdir)

    def test_unapply_gives_the_tree_back(self):
        for git in (False, True):
            kdir = self.kdir(git, files={"tools/testing/notes": "theirs\n"})
            before, head = contents(kdir, (".git",)), git and self.git(kdir, "rev-parse", "HEAD")
            self.tree("apply", KDIR=kdir)
            put(kdir, {"drivers/virtio/virtio.o": "built since\n"})
            self.tree("unapply", KDIR=kdir)
            os.unlink(kdir + "/drivers/virtio/virtio.o")
            self.assertEqual(contents(kdir, (".git",)), before)
            self.assertFalse(os.path.exists(kdir + "/drivers/virtio/ring"))
            if git:
                self.assertEqual(self.git(kdir, "rev-parse", "HEAD"), head)
                self.assertEqual(self.git(kdir, "status", "--porcelain"), "")
            self.assertIn("put nothing onto", self.fails("unapply", KDIR=kdir))
            self.tree("apply", KDIR=kdir)
            self.assertEqual(get(kdir, "drivers/virtio/ring/core.c"), LINES)
            shutil.rmtree(kdir)

    def test_unapply_keeps_edits(self):
        for git in (False, True):
            kdir = self.kdir(git)
            before = contents(kdir)
            self.tree("apply", KDIR=kdir)
            put(kdir, {"drivers/virtio/ring/core.c": "mine\n"})
            line = self.fails("unapply", KDIR=kdir)
            self.assertIn("drivers/virtio/ring/core.c", line)
            self.assertEqual(get(kdir, "drivers/virtio/ring/core.c"), "mine\n")
            put(kdir, {"scripts/run.sh": "mine\n"})
            self.tree("unapply", KDIR=kdir, FORCE="1")
            self.assertEqual(get(kdir, "scripts/run.sh"), "mine\n")
            put(kdir, {"scripts/run.sh": BASE_FILES["scripts/run.sh"]})
            self.assertEqual(contents(kdir), before)
            shutil.rmtree(kdir)

    def test_unapply_leaves_later_commits(self):
        kdir = self.kdir(git=True)
        self.tree("apply", KDIR=kdir)
        put(kdir, {"scripts/run.sh": "mine\n"})
        self.git(kdir, "commit", "-qam", "mine")
        line = self.fails("unapply", KDIR=kdir)
        self.git(kdir, *re.search(r"git -C \S+ (rebase --onto \S+ \S+)", line)
                 .group(1).split())
        self.assertEqual(self.git(kdir, "log", "--format=%s"), "mine\ntheirs")

    def test_older_state_of_the_series_is_to_be_taken_off_first(self):
        for git in (False, True):
            kdir = self.kdir(git)
            self.tree("apply", KDIR=kdir)
            put(self.repo, {"drivers/virtio/ring/core.c": "newer%d\n" % git})
            self.assertIn("make unapply KDIR=" + kdir, self.fails("apply", KDIR=kdir))
            self.tree("unapply", KDIR=kdir)
            self.tree("apply", KDIR=kdir)
            self.applied(kdir)
            shutil.rmtree(kdir)

    def killing_git(self, signame):
        """A PATH with a git that kills tree.py as soon as files have been written."""
        here = os.path.join(self.top, "bin-" + signame)
        put(here, {"git.sh": "#!/bin/sh\n%s \"$@\"; status=$?\ncase $* in "
                             "*'read-tree -m -u'*) kill -%s $PPID; sleep 1 ;; esac\n"
                             "exit $status\n" % (shutil.which("git"), signame)})
        os.rename(here + "/git.sh", here + "/git")
        return here + ":" + os.environ["PATH"]

    def test_interrupt_leaves_the_tree_and_no_folder(self):
        put(self.top, {"tmp/keep": ""})
        for signame in ("INT", "TERM", "HUP"):
            for git in (False, True):
                kdir = self.kdir(git)
                before = contents(kdir, (".git",))
                self.tree("apply", ok=False, KDIR=kdir, TMPDIR=self.top + "/tmp",
                          PATH=self.killing_git(signame))
                self.assertEqual(contents(kdir, (".git",)), before)
                self.assertEqual(os.listdir(self.top + "/tmp"), ["keep"])
                self.assertEqual([n for n in os.listdir(self.repo + "/build/6.12")
                                  if n != ".lock"], [])
                self.assertFalse(os.path.exists(kdir + "/.git/virtio-dma.next"))
                shutil.rmtree(kdir)

    def test_hunk_that_does_not_apply_leaves_the_tree(self):
        for git in (False, True):
            kdir = self.kdir(git, files={"drivers/virtio/virtio.c":
                                         LINES.replace("line 6", "other")})
            before = snapshot(kdir)
            line = self.fails("apply", KDIR=kdir)
            self.assertIn("0002-access", line)
            self.assertIn("drivers/virtio/virtio.c, hunk 1 (line 4)", line)
            self.assertEqual(snapshot(kdir), before)
            shutil.rmtree(kdir)

    def test_new_file_that_is_there_already(self):
        kdir = self.kdir(files={"drivers/virtio/ring/core.c": "theirs\n"})
        before = snapshot(kdir)
        self.assertIn("drivers/virtio/ring/core.c", self.fails("apply", KDIR=kdir))
        self.assertEqual(snapshot(kdir), before)

    def test_full_disk_leaves_the_tree(self):
        put(self.repo, {"drivers/virtio/ring/core.c": "x\n" * 100000})
        for git in (False, True):
            kdir = self.kdir(git)
            before = contents(kdir)
            self.tree("apply", ok=False, limit=20000, KDIR=kdir)
            self.assertEqual(contents(kdir), before)
            self.tree("apply", KDIR=kdir)
            shutil.rmtree(kdir)

    def test_run_cut_short_is_undone_by_the_next(self):
        for git in (False, True):
            kdir = self.kdir(git)
            before = contents(kdir)
            killing = self.killing_git("KILL")
            self.tree("apply", ok=False, KDIR=kdir, PATH=killing)
            self.assertNotEqual(contents(kdir), before)
            put(kdir, {"drivers/virtio/virtio.c": "half", "drivers/virtio/Makefile": "h"})
            self.assertIn("cut short", self.tree("apply", KDIR=kdir))
            self.applied(kdir)
            self.tree("unapply", ok=False, KDIR=kdir, PATH=killing)
            self.assertIn("cut short", self.tree("unapply", KDIR=kdir))
            self.assertEqual(contents(kdir, (".git",)), before)
            shutil.rmtree(kdir)

    def test_kdir_is_needed(self):
        for verb in ("apply", "unapply"):
            self.assertIn("make %s KDIR=" % verb, self.fails(verb))


class TestDeb(Case):
    def fakes(self):
        """A PATH where make notes its arguments and makes a package."""
        here = os.path.join(self.top, "bin")
        put(here, {"make.sh": "#!/bin/sh\nout=$(echo \"$*\" | sed 's/.* O=\\([^ ]*\\).*/\\1/')\n"
                              "printf '%s|' \"$CCACHE_DIR\" \"$KBUILD_BUILD_TIMESTAMP\" \"$@\" "
                              ">>\"$out/../log\"\n"
                              "case $* in *bindeb-pkg*) : >\"$out/../linux-image.deb\" ;; esac\n",
                   "ccache.sh": "#!/bin/sh\n", "dpkg-buildpackage.sh": "#!/bin/sh\n",
                   "dh_listpackages.sh": "#!/bin/sh\n"})
        for name in os.listdir(here):
            os.rename(os.path.join(here, name), os.path.join(here, name[:-3]))
        return here + ":" + os.environ["PATH"]

    def test_applied_tree_is_built_through_ccache(self):
        kdir = os.path.join(self.top, "kdir")
        put(kdir, dict(BASE_FILES, Makefile=MAKEFILE % 8))
        put(self.top, {"config": "CONFIG_A=y\n"})
        self.tree("apply", KDIR=kdir)
        out = self.tree("deb", KDIR=kdir, CONFIG=self.top + "/config", PATH=self.fakes())
        self.assertIn("build/6.12/deb/linux-image.deb", out)
        log = get(self.repo, "build/6.12/deb/log")
        cc = "%s/scripts/lib/cached.sh gcc" % self.repo
        self.assertIn("|CC=%s|HOSTCC=%s|" % (cc, cc), log)
        self.assertTrue(log.startswith("%s/ccache||" % self.cache), log)


class TestDeps(unittest.TestCase):
    def deps(self, *args, **env):
        return subprocess.run([os.path.join(SCRIPTS, "deps.sh"), *args], text=True,
                              env=dict(os.environ, **env), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, check=False)

    def test_usage(self):
        for args in ((), ("nonsense",), ("run", "test")):
            proc = self.deps(*args)
            self.assertEqual(proc.returncode, 2)
            self.assertTrue(proc.stderr.startswith("usage: "), proc.stderr)

    def test_what_is_missing_is_named_with_one_command(self):
        with tempfile.TemporaryDirectory() as top:
            put(top, {"id.sh": "#!/bin/sh\necho 1000\n"})
            os.rename(top + "/id.sh", top + "/id")
            for name in ("bash", "env", "sed", "git", "xz", "python3"):
                os.symlink(shutil.which(name), top + "/" + name)
            proc = self.deps("tree", PATH=top)
        self.assertEqual(proc.returncode, 1)
        self.assertEqual(proc.stderr, "deps.sh: make tree needs more programs: "
                         "apt-get install --no-install-recommends patch gzip\n")


if __name__ == "__main__":
    unittest.main()
