#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Tests of how make matrix reports its results."""

import os
import sys
import tempfile
import unittest
from unittest import mock
from xml.etree import ElementTree

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))

from lib import rows                                             # noqa: E402
from lib.guest import machine as guest_machine                   # noqa: E402
from lib.guest.expect import Expect                              # noqa: E402
from lib.guest.machine import Machine                            # noqa: E402
from lib.matrix import judge, plan, report as matrix_report      # noqa: E402
from tests.system_python import system_python                    # noqa: E402


def made(append="iommu=on", name="b"):
    """A boot of one row."""
    return plan.Boot(name, "ours", Machine("intel"), append, [
        plan.Row("a", "x", "on", Expect("DMA-FQ", "translated-lazy"), True)])


class TestReport(unittest.TestCase):
    def setUp(self):
        boot = made("<&>")
        self.verdicts = [
            judge.Verdict(boot, boot.rows[0], "PASS"),
            judge.Verdict(boot, boot.rows[0], "FAIL", ["a < b"], "FAILS: x")]
        self.impossible = [("sound", "QEMU 8.2", "no such device")]

    def written(self, write, *args):
        close = rows.Close()
        close.counts.update([v.word for v in self.verdicts] + ["SKIP"] * len(self.impossible))
        with tempfile.TemporaryDirectory() as folder, \
                mock.patch.object(guest_machine, "qemu_version", return_value=(7, 2)):
            path = folder + "/out"
            write(path, self.verdicts, self.impossible, close, *args)
            with open(path, encoding="utf-8") as file:
                return file.read()

    def test_what_is_said_of_several_devices_is_said_once(self):
        boot, other = made(), made(name="c")
        of = [plan.Row(name, "", "", boot.rows[0].expect) for name in "xyz"]
        self.assertEqual(matrix_report.notes([
            judge.Verdict(boot, of[0], "SKIP", ["not here"]),
            judge.Verdict(boot, of[1], "SKIP", ["not here"]),
            judge.Verdict(boot, of[2], "FAIL", ["not here"]),
            judge.Verdict(other, of[2], "SKIP", ["not here"])]), {
                ("SKIP", "b", "not here"): ["x", "y"], ("FAIL", "b", "not here"): ["z"],
                ("SKIP", "c", "not here"): ["z"]})

    def test_junit_counts_what_passed_failed_and_was_skipped(self):
        suite = ElementTree.fromstring(self.written(matrix_report.write_junit)).find("testsuite")
        self.assertEqual((suite.get("tests"), suite.get("failures"), suite.get("skipped")),
                         ("3", "1", "1"))
        self.assertEqual(suite.find("testcase/failure").get("message"), "a < b")

    @system_python("jinja2")
    def test_the_page_has_the_reason_of_each_failure_and_no_raw_text(self):
        page = self.written(matrix_report.write_page, {"b": 1.0})
        self.assertIn("a &lt; b", page)
        self.assertIn("&lt;&amp;&gt;", page)
        self.assertNotIn("<&>", page)
        self.assertIn("no such device", page)
        self.assertIn("prefers-color-scheme: dark", page)

    @system_python("jinja2")
    def test_the_page_needs_nothing_from_elsewhere(self):
        page = self.written(matrix_report.write_page, {})
        for word in ("http", "<script", "src=", "@import"):
            self.assertNotIn(word, page)

    @system_python("jinja2")
    def test_a_reason_of_many_skips_stands_on_the_page_once(self):
        boot = self.verdicts[0].boot
        self.impossible = []
        self.verdicts = [judge.Verdict(boot, plan.Row("d%d" % n, "", "", boot.rows[0].expect),
                                       "SKIP", ["no QEMU"]) for n in range(12)]
        page = self.written(matrix_report.write_page, {})
        first = page[:page.index("The promise")]
        self.assertEqual(first.count("no QEMU"), 1)
        self.assertIn("d0, d1, d2", first)

    @system_python("jinja2")
    def test_a_column_for_stock_is_there_only_where_stock_was(self):
        self.assertIn("<th>stock</th>", self.written(matrix_report.write_page, {}))
        for verdict in self.verdicts:
            verdict.stock = ""
        page = self.written(matrix_report.write_page, {})
        self.assertNotIn("<th>stock</th>", page)
        self.assertIn('colspan="7"', page)


if __name__ == "__main__":
    unittest.main()
