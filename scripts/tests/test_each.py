# SPDX-License-Identifier: GPL-2.0-only
"""Tests of each.py: what it reads, what it makes of it, and its table."""

import os
import sys
import unittest
from unittest import mock

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import each                                                      # noqa: E402
from lib import rows                                             # noqa: E402

KTAP = """KTAP version 1
1..4
ok 1 split: a
# why
not ok 2 split: b
ok 3 split: c # SKIP not in this ring
"""


def row(**more):
    return {"patch": "0022-switch", "build": "PASS virtio_ring: Switch (3 s)", "added": 4,
            "removed": 2, **more}


class Reading(unittest.TestCase):
    def test_a_result_that_is_missing_has_failed(self):
        self.assertEqual(each.parse_ktap(KTAP), {"passed": 1, "failed": 2, "skipped": 1})
        self.assertEqual(each.parse_ktap(""), {"passed": 0, "failed": 1, "skipped": 0})

    def test_lines_of_tools_and_documents_do_not_count(self):
        said = "3\t1\ta.c\n-\t-\tb.bin\n4\t0\tc.h"
        with mock.patch.object(each, "git", return_value=said) as git:
            self.assertEqual(each.lines_changed(), (7, 1))
        self.assertIn(":!tools", git.call_args.args)


class Table(unittest.TestCase):
    def test_what_was_not_done_is_a_dash(self):
        self.assertEqual(each.table([row()]), [["0022-switch", 4, 2, "PASS"] + ["-"] * 8])

    def test_results_and_instructions(self):
        cases = [{"segments": 1, "bytes": 256, "add": 100, "get": 50},
                 {"segments": 1, "bytes": 4096, "add": 1, "get": 1},
                 {"segments": 64, "bytes": 4096, "add": 4000, "get": 300}]
        found = row(unit={"passed": 9, "failed": 1, "skipped": 2},
                    boots={"physical": "", "identity": "", "strict": "it hangs"},
                    instructions={"identity": {"split": cases, "packed": []}})
        self.assertEqual(each.table([found])[0][3:], [
            "PASS", "FAIL 9/10", "FAIL", "-", "150", "-", "-", "4300", "-"])
        self.assertEqual(len(each.HEADER), len(each.table([found])[0]))

    def test_a_mail_has_the_rings_in_lines_that_fit(self):
        cases = [{"segments": 64, "bytes": 4096, "add": 440000, "get": 19180}]
        text = each.letter([row(), row(patch="0029-virtio-ring-reset-interrupt",
                                       instructions={"strict": {"split": cases}})])
        self.assertLessEqual(max(map(len, text.splitlines())), 75)
        self.assertRegex(text, r"0029-virtio-ring-reset-interrupt( +-){5} +459180\n$")
        self.assertNotIn("0022", text)

    def test_each_build_unit_run_and_mode_is_a_result(self):
        close = rows.Close()
        with mock.patch.object(each.report, "say"):
            each.count([row(), row(build="FAIL x: see log"),
                        row(unit={"passed": 9, "failed": 0, "skipped": 0},
                            boots={"physical": "", "identity": "", "strict": "it hangs"})], close)
        self.assertEqual(close.totals(), {"passed": 5, "failed": 2, "skipped": 0})


class Rows(unittest.TestCase):
    def test_only_patches_that_match_are_built(self):
        with mock.patch.dict(os.environ, SERIES_PATCH="0001-drivers", EACH_PATTERNS="ring 0002*"), \
                mock.patch.object(each.subprocess, "run") as run:
            each.one()
        run.assert_not_called()


if __name__ == "__main__":
    unittest.main()
