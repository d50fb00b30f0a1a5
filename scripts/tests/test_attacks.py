#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Tests of how the report of the attacks becomes a table; nothing is attacked."""

import os
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import attacks                                                  # noqa: E402
from lib import report                                           # noqa: E402

AGREE = """KTAP version 1
1..2
# stock | harm | unmaps what is not mapped | translated; bounced | tables; premapped
# stock | - | harmless | physical | -
# fixed | - | harmless | - | -
# ours | - | harmless | - | -
ok 1 split: length rewritten
# stock | harm | unmaps what is not mapped | translated; bounced | tables; premapped
# stock | - | harmless | physical | -
# fixed | - | harmless | - | -
# ours | - | harmless | - | -
ok 2 packed: length rewritten
"""

HURT = """KTAP version 1
1..1
# stock | - | broken, 1 message | - | -
# fixed | - | broken, 1 message | - | -
# ours | harm | hangs | - | -
# it used up its time
not ok 1 split: used id twice
"""


class Table(unittest.TestCase):
    def read(self, text):
        with tempfile.NamedTemporaryFile("w", suffix=".ktap", encoding="utf-8") as ktap:
            ktap.write(text)
            ktap.flush()
            return attacks.read(ktap.name)

    def test_layouts_that_agree_share_rows(self):
        rows, colours = attacks.rows_of(self.read(AGREE))
        self.assertEqual(rows, [
            ["length rewritten",
             "unmaps what is not mapped (translated, bounced, tables, premapped)", "harmless",
             "harmless"],
            ["", "harmless (physical)", "", ""]])
        self.assertEqual(colours, {(0, 1): "red", (0, 2): "green", (0, 3): "green",
                                   (1, 1): "green"})

    def test_layouts_that_differ_have_their_own(self):
        text = AGREE.replace("# stock | - | harmless | physical | -\n", "", 1)
        rows, _ = attacks.rows_of(self.read(text))
        self.assertEqual([row[0] for row in rows],
                         ["split: length rewritten", "packed: length rewritten", ""])

    def test_harm_is_counted_and_red(self):
        found = self.read(HURT)
        self.assertFalse(found[0].ok)
        self.assertEqual(attacks.rows_of(found)[1], {(0, 1): "green", (0, 2): "green",
                                                    (0, 3): "red"})
        self.assertEqual(attacks.table(found)[-1],
                         "1 attacks hurt: 0 stock, 0 stock + fixes, 1 ours")

    def test_a_base_without_fixes_has_no_column_for_them(self):
        found = self.read(AGREE.replace("# fixed | - | harmless | - | -\n", ""))
        self.assertEqual(len(attacks.rows_of(found)[0][0]), 3)
        self.assertEqual(attacks.table(found)[-1], "2 attacks hurt: 2 stock, 0 ours")

    def test_a_report_that_stops_early_is_an_error(self):
        with self.assertRaisesRegex(report.Failure, "reports 1 of 2 attacks"):
            self.read(AGREE[:AGREE.index("ok 1 split: length rewritten\n") + 29])

    def test_a_report_that_is_not_there_is_an_error(self):
        with self.assertRaisesRegex(report.Failure, "run scripts/unit.sh"):
            attacks.read("/nonexistent/attacks.ktap")


if __name__ == "__main__":
    unittest.main()
