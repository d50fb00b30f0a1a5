#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Tests of what the verbs of rows do alike, and of each verb's words."""

import contextlib
import io
import os
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from lib import report, rows                                     # noqa: E402

SCRIPTS = os.path.dirname(rows.__file__) + "/../"
VERBS = ("matrix.py", "bench.py", "life.py", "arch.py", "qemus.py")


def run(*words, **env):
    return subprocess.run([SCRIPTS + words[0], *words[1:]], capture_output=True, text=True,
                          check=False, env={**os.environ, "BASE": "0.0", **env})


class Verbs(unittest.TestCase):
    def test_an_option_that_is_not_known_is_refused_with_the_usage_and_status_2(self):
        for verb in VERBS:
            done = run(verb, "--foo")
            self.assertEqual((done.returncode, done.stdout), (2, ""), verb)
            self.assertIn("usage: " + verb, done.stderr)
            self.assertIn("--foo", done.stderr)

    def test_help_is_the_usage_and_no_error(self):
        for verb in VERBS:
            done = run(verb, "--help")
            self.assertEqual((done.returncode, done.stderr), (0, ""), verb)
            self.assertTrue(done.stdout.startswith("usage: " + verb), verb)

    def test_rows_that_match_nothing_are_refused_before_anything_is_built(self):
        for verb, *more in (("matrix.py", "--promise"), ("life.py",), ("qemus.py",)):
            for words, env in ((["nosuch"], {}), ([], {"ROWS": "nosuch"}),
                               (["strict", "nosuch"], {})):
                done = run(verb, *more, *words, **env)
                self.assertEqual((done.returncode, done.stdout), (1, ""), verb)
                self.assertIn("no row matches nosuch", done.stderr)

    def test_a_qemu_that_is_not_there_is_told_before_anything_is_built(self):
        for verb, *more in (("matrix.py", "--promise"), ("life.py",), ("bench.py",)):
            done = run(verb, *more, QEMU="/nonexistent")
            self.assertEqual((done.returncode, done.stdout), (1, ""), verb)
            self.assertIn("/nonexistent is missing", done.stderr)


class Patterns(unittest.TestCase):
    def test_a_word_with_stars_or_a_part_of_a_name(self):
        for pattern, does in (("a*", True), ("b", True), ("b*", False), ("a?c", True)):
            self.assertEqual(rows.matches(pattern, ["abc"]), does, pattern)

    def test_each_pattern_must_match(self):
        self.assertEqual(rows.chosen(["a", "c"], ["ab", "b", "c"], lambda e: [e], ""), ["ab", "c"])
        with self.assertRaisesRegex(report.Failure, "no row matches x; see"):
            rows.chosen(["a", "x"], ["ab"], lambda e: [e], "see")


class Need(unittest.TestCase):
    def test_what_is_missing_is_told_with_its_package(self):
        self.assertIs(rows.need("os", "x"), os)
        with self.assertRaisesRegex(report.Failure, "nosuch is missing: apt-get install python3-n"):
            rows.need("nosuch", "python3-n")


class Close(unittest.TestCase):
    def test_nothing_failed_and_something_passed(self):
        for words, status in ((["PASS", "SKIP"], 0), (["PASS", "FAIL"], 1), (["SKIP"], 1)):
            close = rows.Close()
            close.counts.update(words)
            with contextlib.redirect_stdout(io.StringIO()) as out:
                self.assertEqual(close.status(), status)
            self.assertRegex(out.getvalue(), r"^\d passed, \d failed, \d skipped\n$")

    def test_the_results_have_the_totals(self):
        close = rows.Close()
        close.counts.update(["PASS", "PASS", "SKIP"])
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(report, "BUILD", folder):
            close.write("x", {"rows": []})
            with open(folder + "/x.json", encoding="ascii") as found:
                self.assertRegex(found.read(), r'(?s)"passed": 2.*"rows": \[\].*"skipped": 1')


if __name__ == "__main__":
    unittest.main()
