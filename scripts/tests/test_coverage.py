# SPDX-License-Identifier: GPL-2.0-only
"""Tests of how what LLVM counted becomes a table and is held to limits."""

import contextlib
import io
import json
import os
import sys
import tempfile
import unittest
from unittest import mock

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import coverage                                                  # noqa: E402


def entry(name, lines, branches):
    return {"filename": os.path.join(coverage.RING, name), "summary": {
        "lines": {"count": 100, "covered": lines}, "branches": {"count": 10, "covered": branches},
        "functions": {}}}


class Coverage(unittest.TestCase):
    def setUp(self):
        tmp = tempfile.TemporaryDirectory()
        self.addCleanup(tmp.cleanup)
        self.top = tmp.name
        with open(self.top + "/a.profraw", "wb"):
            pass

    def run_on(self, entries, *options):
        """Lines of the output, and the status."""
        entries = entries + [{"filename": "/elsewhere/x.c", "summary": {}}]
        sources = [os.path.basename(e["filename"]) for e in entries[:-1]] + ["ring.h"]
        export = json.dumps({"data": [{"files": entries}]})
        with contextlib.redirect_stdout(io.StringIO()) as said, \
                mock.patch.object(coverage, "tool", lambda *_: export), \
                mock.patch.object(coverage, "UNIT", self.top), \
                mock.patch.object(os, "listdir", lambda _: sources + ["lost.c"] * self.lost), \
                mock.patch.object(sys, "argv", ["c", *options, "unit", self.top, "name"]):
            status = coverage.main()
        return said.getvalue().splitlines(), status

    lost = False

    def test_table_and_sum(self):
        said, status = self.run_on([entry("b.c", 100, 10), entry("a.c", 50, 0)])
        self.assertEqual([line.split() for line in said[2:]], [
            ["a.c", "50.0", "50", "of", "100", "0.0", "0", "of", "10"],
            ["b.c", "100.0", "100", "of", "100", "100.0", "10", "of", "10"],
            ["all", "75.0", "150", "of", "200", "50.0", "10", "of", "20"]])
        self.assertEqual(status, 0)
        with open(self.top + "/name.json", encoding="utf-8") as out:
            self.assertEqual(json.load(out)["files"]["all"]["lines"],
                             {"count": 200, "covered": 150, "percent": 75.0})

    def test_what_is_enough_passes(self):
        said, status = self.run_on([entry("a.c", 95, 9)], "--limits")
        self.assertEqual((said[-1], status), ("4 passed, 0 failed, 0 skipped", 0))

    def test_what_is_too_little_fails(self):
        said, status = self.run_on([entry("a.c", 95, 8)], "--limits")
        self.assertIn("not ok coverage: a.c: 80.0 % of its branches, 90 % are wanted", said[-3])
        self.assertEqual((said[-1], status), ("2 passed, 2 failed, 0 skipped", 1))

    def test_file_that_is_not_built_in_fails(self):
        self.lost = True
        said, status = self.run_on([entry("a.c", 95, 9)], "--limits")
        self.assertIn("not ok coverage: lost.c is not in unit", said[-2])
        self.assertEqual((said[-1], status), ("4 passed, 1 failed, 0 skipped", 1))


if __name__ == "__main__":
    unittest.main()
