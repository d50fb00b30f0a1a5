# SPDX-License-Identifier: GPL-2.0-only
"""Tests of the order in which test.py runs its steps."""

import os
import subprocess
import sys
import threading
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))

import test                                                      # noqa: E402
from lib import report                                           # noqa: E402


class Order(unittest.TestCase):
    """Steps named by letters; what ran beside what is noted."""

    def setUp(self):
        self.lock, self.now, self.beside, self.began = threading.Lock(), set(), set(), []
        self.addCleanup(test.STOP.clear)

    def do(self, step, before):
        with self.lock:
            self.began.append(step.name)
            self.beside |= {frozenset((step.name, other)) for other in self.now}
            self.now.add(step.name)
        if step.command:
            step.command[0].wait(10)
        with self.lock:
            self.now.remove(step.name)
        return sorted(before)

    @staticmethod
    def step(name, cores, needs=(), until=None):
        return test.Step(name, "", [until] if until else [], needs=needs, cores=cores)

    def test_two_that_take_a_core_each_run_side_by_side(self):
        both = threading.Barrier(2)
        test.run_all([self.step("a", 1, until=both), self.step("b", 1, until=both)], self.do)
        self.assertEqual(self.beside, {frozenset("ab")})

    def test_one_that_takes_both_runs_alone(self):
        test.run_all([self.step("a", 1), self.step("b", 2), self.step("c", 1)], self.do)
        self.assertEqual(self.beside, set())
        self.assertEqual(self.began, ["a", "b", "c"])

    def test_what_is_needed_has_ended(self):
        outcomes = test.run_all([self.step("a", 1), self.step("b", 1, needs=("a",))], self.do)
        self.assertEqual(self.beside, set())
        self.assertEqual(outcomes, {"a": [], "b": ["a"]})

    def test_an_error_stops_the_others(self):
        def do(step, _):
            if step.name == "b":
                raise ValueError
            test.STOP.wait(10)

        with self.assertRaises(ValueError):
            test.run_all([self.step("a", 1), self.step("b", 1)], do)
        self.assertTrue(test.STOP.is_set())


class Steps(unittest.TestCase):
    """What comes of a step."""

    def outcome(self, step, lines, status):
        return test.counts(step, lines, status)

    def test_summary_is_the_last_line_that_is_one(self):
        step = test.Step("a", "", [], "summary")
        outcome = self.outcome(step, ["1 passed, 0 failed, 0 skipped", "SKIP b: no KVM",
                                      "5 passed, 1 failed, 2 skipped", "end"], 1)
        self.assertEqual((outcome.passed, outcome.failed, outcome.skipped, outcome.notes),
                         (5, 1, 2, ["SKIP b: no KVM"]))

    def test_what_another_base_says_of_its_steps_is_passed_on(self):
        step = test.Step("7.3", "", [], "summary")
        lines = ["unit: SKIP x: why", "PASS unit", "run: FAIL y", "3 passed, 1 failed, 1 skipped"]
        self.assertEqual(self.outcome(step, lines, 1).notes, ["unit: SKIP x: why",
                                                              "run: FAIL y"])

    def test_silence_is_a_failure(self):
        step = test.Step("a", "", [], "summary")
        self.assertEqual(self.outcome(step, [], 0).notes, ["FAIL no test reported anything"])
        self.assertEqual(self.outcome(step, ["oops", ""], 2).notes,
                         ["FAIL exit status 2: oops"])

    def test_step_that_takes_too_long_is_ended(self):
        os.makedirs(report.LOGS, exist_ok=True)
        step = test.Step("tried-by-tests", "", ["sleep", "60"], timeout=0.1)
        outcome = test.run(step, report.Progress())
        self.assertEqual((outcome.passed, outcome.failed), (0, 1))
        self.assertIn("FAIL timed out after 0 s", outcome.notes[-1])
        os.unlink(report.LOGS + "/test-tried-by-tests.log")

    def test_unknown_words_are_refused(self):
        for word in ("--quick", "nonsense"):
            done = subprocess.run([sys.executable, "-B", test.__file__, word], check=False,
                                  capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stdout), (2, ""))
            self.assertTrue(done.stderr.startswith("usage: test.py [STEP...]\n"), done.stderr)
            self.assertIn(word, done.stderr)
            self.assertEqual(done.stderr.count("\n"), 2)


if __name__ == "__main__":
    unittest.main()
