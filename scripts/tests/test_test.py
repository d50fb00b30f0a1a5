# SPDX-License-Identifier: GPL-2.0-only
"""Tests of the order in which test.py runs its steps."""

import os
import sys
import threading
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))

import test                                                      # noqa: E402


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


if __name__ == "__main__":
    unittest.main()
