# SPDX-License-Identifier: GPL-2.0-only
"""Tests of how arguments of verbs are refused before any work: args.sh, the
Makefile, and lib/words.py."""

import contextlib
import io
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lib import report, words                                    # noqa: E402


def run(command, cwd=report.ROOT, **env):
    """What a command says with these variables and no other of the Makefile's."""
    return subprocess.run(command, cwd=cwd, env={"PATH": os.environ["PATH"], **env}, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)


class Arguments(unittest.TestCase):
    """Of one verb, in its environment."""

    def look(self, verb, *given, **env):
        return run(["scripts/args.sh", verb, *given], **env)

    def refused(self, text, verb, *given, **env):
        done = self.look(verb, *given, **env)
        self.assertEqual((done.stdout, done.returncode), ("make %s: %s\n" % (verb, text), 2))

    def taken(self, verb, *given, **env):
        done = self.look(verb, *given, **env)
        self.assertEqual((done.stdout, done.returncode), ("", 0))

    def config(self, text):
        with tempfile.NamedTemporaryFile("w", delete=False, encoding="utf-8") as file:
            file.write(text)
        self.addCleanup(os.unlink, file.name)
        return file.name

    def test_accelerator(self):
        self.refused("ACCEL=foo: give kvm, tcg or auto", "run", ACCEL="foo")
        self.taken("run", ACCEL="tcg")
        self.taken("run", ACCEL="auto")
        self.taken("check", ACCEL="foo")        # it boots nothing

    def test_root_of_a_shell(self):
        self.taken("boot", ROOT="debian", APPEND="iommu=on")
        self.refused("ROOT=fedora: give ROOT=debian, or nothing", "boot", ROOT="fedora")
        self.refused("ROOT=debian has a configuration of its own: no EXTRA_CONFIG", "boot",
                     ROOT="debian", EXTRA_CONFIG=self.config("CONFIG_X=y\n"))
        self.taken("debian", "ROWS", ROWS="fio")
        self.assertIn("it does not take ROOT", self.look("debian", "ROOT", ROOT="debian").stdout)

    def test_kvm_that_does_not_work(self):
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as info:
            flags = info.read().split()
        if os.access("/dev/kvm", os.W_OK) and {"vmx", "svm"} & set(flags):
            self.skipTest("KVM works here")
        self.assertIn("give ACCEL=tcg", self.look("run", ACCEL="kvm").stdout)

    def test_qemu(self):
        self.refused("QEMU=/nonexistent is no program that can be run", "boot",
                     QEMU="/nonexistent")
        self.taken("boot", QEMU="/bin/true")

    def test_numbers(self):
        self.refused("JOBS=two is no number", "kernel", JOBS="two")
        self.refused("JOBS=0 must be 1 or more", "kernel", JOBS="0")
        self.refused("SOAK_S=-1 is no number", "soak", SOAK_S="-1")
        self.refused("FUZZ_S=1.5 is no number", "fuzz", FUZZ_S="1.5")
        self.refused("QUICK=0: give QUICK=1, or nothing", "bench", QUICK="0")

    def test_base(self):
        for base in ("6.1", "../series"):
            self.refused("BASE=%s has no series; there is 6.12, 6.12-fixes, 7.3" % base, "tree",
                         BASE=base)

    def test_extra_config(self):
        self.refused("EXTRA_CONFIG=/nonexistent is no file that can be read", "kernel",
                     EXTRA_CONFIG="/nonexistent")
        good = '# a comment\n\nCONFIG_A=y\nCONFIG_B=0x10\nCONFIG_C="x y"\n# CONFIG_D is not set\n'
        self.taken("kernel", EXTRA_CONFIG=self.config(good))
        for line in ("CONFIG_A", "CONFIG_A = y", "A=y", "garbage", "CONFIG_A=yes", "CONFIG_A="):
            path = self.config(good + line + "\n")
            self.refused('EXTRA_CONFIG=%s, line 7: "%s" is no line of a configuration, such as '
                         "CONFIG_X=y or # CONFIG_X is not set" % (path, line), "run",
                         EXTRA_CONFIG=path)

    def test_config_of_deb(self):
        self.refused("CONFIG=/nonexistent is no file that can be read", "deb",
                     CONFIG="/nonexistent")
        self.taken("deb", CONFIG="x86_64_defconfig")

    def test_trees(self):
        self.refused("KDIR=/tmp is no kernel tree", "apply", KDIR="/tmp")
        self.refused("KDIR=/path/to/linux is needed", "apply")
        self.refused("KTREE=/tmp is no kernel tree", "unit", KTREE="/tmp")
        self.refused("STOCK=/tmp has no drivers/virtio/virtio_ring.c", "unit", STOCK="/tmp")

    def test_names(self):
        self.refused("QEMUS: Foo/bar is no suite of Debian", "matrix-qemus",
                     QEMUS="bookworm Foo/bar")
        self.refused("COMPILERS: there is no nocc", "unit", COMPILERS="nocc")
        checks = run(["scripts/check.sh", "--list"]).stdout.split()
        self.refused("ONLY=all is no check; there are: " + " ".join(checks), "check",
                     ONLY="sparse all")
        self.taken("check", ONLY="sparse abi")

    def test_argument_of_another_verb(self):
        self.refused("it does not take ROW; it takes BASE JOBS QEMU ACCEL EXTRA_CONFIG ROWS",
                     "matrix", "ROW", ROW="x")
        self.taken("matrix", "ROWS", "NO_COLOR", ROWS="x")

    def test_each(self):
        self.taken("each", "ROWS", "EVERY", "ACCEL", ROWS="*ring*", EVERY="31", ACCEL="tcg")
        self.refused("EVERY=0 must be 1 or more", "each", EVERY="0")
        self.refused("it does not take KTREE; it takes BASE JOBS QEMU ACCEL ROWS EVERY",
                     "each", "KTREE", KTREE="x")


class Makefile(unittest.TestCase):
    """A copy of it whose scripts note that they were run."""

    def setUp(self):
        tmp = tempfile.TemporaryDirectory()
        self.addCleanup(tmp.cleanup)
        self.top = tmp.name

    def make(self, *words, folder="here"):
        top = os.path.join(self.top, folder)
        os.makedirs(top + "/scripts")
        os.makedirs(top + "/series/6.12")
        shutil.copy(report.ROOT + "/Makefile", top)
        for name in ("args.sh", "args.list"):
            shutil.copy(report.ROOT + "/scripts/" + name, top + "/scripts")
        for name in ("deps.sh", "run.py", "tree.py", "guest.py", "kernel.sh"):
            with open(top + "/scripts/" + name, "w", encoding="utf-8") as script:
                script.write('#!/bin/sh\necho "$0 $*"\n')
            os.chmod(top + "/scripts/" + name, 0o755)
        return run(["make", *words], cwd=top)

    def lines(self, *words, **options):
        """Without what make itself says."""
        done = self.make(*words, **options)
        return [line for line in done.stdout.splitlines() if "***" not in line], done.returncode

    def test_wrong_argument_ends_with_one_line_and_no_work(self):
        self.assertEqual(self.lines("run", "ACCEL=foo"),
                         (["make run: ACCEL=foo: give kvm, tcg or auto"], 2))

    def test_right_arguments_come_through(self):
        self.assertEqual(self.lines("kernel", "JOBS=3"),
                         (["scripts/deps.sh kernel", "scripts/kernel.sh ours"], 0))

    def test_verb_that_other_scripts_own_is_looked_at_too(self):
        self.assertEqual(self.lines("deb", "CONFIG=/nonexistent"),
                         (["make deb: CONFIG=/nonexistent is no file that can be read"], 2))

    def test_path_with_a_blank_is_one_short_line(self):
        said, status = self.lines("run", folder="a place")
        self.assertEqual((len(said), status), (1, 2))
        self.assertRegex(said[0], r'^make run: no kernel builds below ".*/a place": move ')

    def test_help_shows_no_variables(self):
        said, status = self.lines()
        self.assertEqual(status, 0)
        self.assertNotIn("$", "".join(said))
        self.assertIn("build/6.12/docs", "".join(said))

    def test_each_verb_looks_at_its_arguments(self):
        with open(report.ROOT + "/scripts/args.list", encoding="utf-8") as file:
            text = file.read()
        for line in self.lines()[0]:
            verb = line.split()[0]
            if verb not in ("help", "clean", "docs"):
                self.assertIn("\n%s: " % verb, text)


class Words(unittest.TestCase):
    """Of a Python verb's command line."""

    def parse(self, *argv):
        return words.Words("usage: verb.py [--list] [STEP...]\n\nIt does.", "--list").names(
            "steps", ("a", "b")).parse_args(argv)

    def ended(self, *argv):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), \
                self.assertRaises(SystemExit) as end:
            self.parse(*argv)
        return out.getvalue(), err.getvalue(), end.exception.code

    def test_options_and_words(self):
        wish = self.parse("--list", "a", "b")
        self.assertEqual((wish.list, wish.steps), (True, ["a", "b"]))
        wish = self.parse()
        self.assertEqual((wish.list, wish.steps), (False, []))

    def test_unknown_words_are_refused_with_the_usage(self):
        for word, text in (("--lits", "unrecognized arguments: --lits"),
                           ("--lis", "unrecognized arguments: --lis"),
                           ("--list=x", "ignored explicit argument 'x'"),
                           ("c", "no c; there are: a b")):
            out, err, status = self.ended(word)
            self.assertEqual((out, status), ("", 2))
            self.assertTrue(err.startswith("usage: verb.py [--list] [STEP...]\n"), err)
            self.assertIn(text, err)

    def test_help_comes_before_all_else(self):
        self.assertEqual(self.ended("--help", "--nonsense"),
                         ("usage: verb.py [--list] [STEP...]\n\nIt does.\n", "", 0))


if __name__ == "__main__":
    unittest.main()
