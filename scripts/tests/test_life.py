#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Tests of how make life plans and reads its guests; no kernel, no QEMU.

usage: scripts/tests/test_life.py [unittest arguments]
"""

import io
import os
import re
import sys
import types
import unittest
from unittest import mock

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import life                                                      # noqa: E402
from lib import guest_result, guest_vm, life_guest, life_plan, report        # noqa: E402

GUEST = os.path.join(os.path.dirname(life.__file__), "guest", "life")
ROW = ("vdma-row: dev=virtio0 pci=0000:00:02.0 driver=virtio_blk"
       " features=ACCESS_PLATFORM,VERSION_1 group=identity access=%s irq=msi rings=req.0:256:9:8"
       " data=- not asked for")


class Plan(unittest.TestCase):
    def test_part_of_a_name_chooses_rows(self):
        self.assertEqual([row for boot in life_plan.chosen("migrate/power") for row in boot.rows()],
                         ["migrate/power", "migrate/power-strict"])

    def test_a_pattern_chooses_rows(self):
        self.assertEqual([row for boot in life_plan.chosen("kill/*end") for row in boot.rows()],
                         ["kill/back-end"])

    def test_nothing_chooses_all(self):
        self.assertEqual([b.rows() for b in life_plan.chosen("")],
                         [b.rows() for b in life_plan.BOOTS])

    def test_no_row_is_an_error_that_names_the_rows(self):
        with self.assertRaisesRegex(report.Failure, "no row matches .*nothing.* plug-blk/plug "):
            life_plan.chosen("nothing")

    def test_what_is_chosen_keeps_what_the_boot_is(self):
        boot = life_plan.chosen("native-strict")[0]
        self.assertTrue(boot.native)
        self.assertEqual(life_plan.chosen("migrate/amd")[0].refused.keys(), {"migrate"})

    def test_the_guest_knows_every_scenario(self):
        with open(GUEST, encoding="utf-8") as script:
            known = set(re.findall(r"^\t([\w-]+)\)\t", script.read(), re.M))
        for boot in life_plan.BOOTS + life_plan.soak(1):
            self.assertLessEqual(set(boot.scenarios), known, boot.name)

    def test_a_reset_comes_first(self):
        for boot in life_plan.BOOTS:
            self.assertNotIn("reset", boot.scenarios[1:])

    def test_a_guest_has_what_its_scenarios_need(self):
        for boot in life_plan.BOOTS + life_plan.soak(1):
            there = {d.id for d in life_guest.machine_of(boot).devices}
            there |= {d.id for d in life_guest.hot_devices(boot)}
            for name in boot.scenarios:
                self.assertLessEqual(set(life_plan.SCENARIOS[name].devices), there, boot.name)

    def test_where_devices_are_plugged_vcpus_take_turns(self):
        for boot in life_plan.BOOTS + life_plan.soak(1):
            plugs = any(name.startswith(("plug-", "soak")) for name in boot.scenarios)
            self.assertEqual(life_guest.machine_of(boot).one_thread, plugs, boot.name)

    def test_without_access_platform_a_device_is_physical(self):
        boot = life_plan.Boot("x", "intel", "strict", ())
        self.assertEqual((boot.expect(True).access, boot.expect(False).access),
                         ("translated-strict", "physical"))


class Options(unittest.TestCase):
    def test_a_soak(self):
        _, kernel, plan, _ = life.options(["--soak=30", "--kernel=stock"])
        self.assertEqual((kernel, [b.scenarios for b in plan]), ("stock", [("soak",), ("soak",)]))
        self.assertEqual(life_plan.SCENARIOS["soak"].rounds, 30)

    def test_wrong_ones(self):
        for words in (["--soak=0"], ["--soak=long"], ["--kernel=mine"], ["--fast"]):
            self.assertIsNone(life.options(words), words)


class Qmp(unittest.TestCase):
    def test_words_of_a_device_for_device_add(self):
        self.assertEqual(
            life_guest.typed(["virtio-net-pci", "id=n", "addr=0x0.0", "packed=on", "romfile=",
                               "disable-legacy=on"]),
            {"driver": "virtio-net-pci", "id": "n", "addr": "0x0.0", "packed": True,
             "romfile": "", "disable-legacy": "on"})


class Waking(unittest.TestCase):
    """What becomes of a guest that is to be woken."""

    def guest(self, answers):
        """A guest whose QEMU does what answers say, functions of it per command."""
        with mock.patch.object(guest_vm, "kernel_image"), mock.patch.object(guest_vm, "initramfs"):
            guest = life_guest.LifeGuest(life_plan.chosen("suspend/power")[0], "ours", None)
        asked = []

        def command(name, **_):
            asked.append(name)
            return answers.get(name, lambda guest: None)(guest)
        guest.qmp = types.SimpleNamespace(
            events=[], command=command, stuck=lambda: ("QEMU: suspended", "RIP=1\n"))
        guest.log = io.StringIO()
        return guest, asked

    def woken(self, answers):
        guest, asked = self.guest(answers)
        with mock.patch.object(life_guest.LifeGuest._wait, "__defaults__", (0.3,)):
            guest._wake_up("")
            try:
                answer = guest._woken("")
            except report.Failure as error:
                answer = str(error)
            guest.requests[-1].join()
        return guest, asked, answer

    @staticmethod
    def sleeps(guest):
        guest.qmp.events.append({"event": "SUSPEND"})

    def test_one_that_wakes_up(self):
        guest, asked, answer = self.woken({
            "query-status": self.sleeps,
            "system_wakeup": lambda guest: guest.result.kernel.append("[   9.1] ACPI: PM: up")})
        self.assertEqual((answer, guest.result.problems), ("yes", []))
        self.assertNotIn("quit", asked)

    def test_one_that_does_not_is_ended(self):
        for answers, missing in (({}, "SUSPEND"), ({"query-status": self.sleeps},
                                                   "line of the kernel's after system_wakeup")):
            guest, asked, _ = self.woken(answers)
            self.assertEqual(guest.result.problems, [
                "it does not wake up: QEMU: no %s (QEMU: suspended)" % missing])
            self.assertIn("RIP=1", guest.log.getvalue())
            self.assertEqual(asked[-1], "quit")

    def test_one_that_says_itself_that_it_does_not_sleep_goes_on(self):
        guest, asked, answer = self.woken({"query-status": lambda guest: guest.result.output.append(
            "life: FAIL suspend the guest does not suspend")})
        self.assertEqual((answer, guest.result.problems), ("QEMU: no SUSPEND", []))
        self.assertNotIn("quit", asked)


class Reading(unittest.TestCase):
    def test_what_the_guest_said(self):
        self.assertEqual(life_guest.parse([
            "vdma: boot 6.12", "life: ok plug-blk 3 MiB verified (4 s)", "life: soak, round 1",
            "life: FAIL stall nothing stalled", "life: FAIL kill "]), {
                "plug-blk": ("ok", "3 MiB verified (4 s)"),
                "stall": ("FAIL", "nothing stalled"), "kill": ("FAIL", "")})

    def test_an_error_that_is_expected_is_one_only_there(self):
        error = "[    9.9] I/O error, dev vdb, sector 35840 op 0x1:(WRITE) flags 0x8800"
        self.assertEqual(life_guest.unexpected_lines([
            "[    1.0] life: begin errors", error, "[    2.0] life: end errors", error,
            "[    3.0] life: begin stall", error, "[    4.0] life: end stall"]),
                         [("", error), ("stall", error)])

    def test_a_broken_queue_and_a_warning_are_never_expected(self):
        broken = "[    5.0] virtio_blk virtio3: req.0: queue broken: id 7 was not offered"
        warning = "[    6.0] WARNING: CPU: 0 PID: 1 at x.c:1 x+0x1"
        self.assertEqual(life_guest.unexpected_lines([
            "[    1.0] life: begin errors", broken, warning]),
                         [("errors", broken), ("errors", warning)])

    def test_each_complaint_of_qemu_belongs_to_a_scenario(self):
        away = "qemu-system-x86_64: Unexpected end-of-file before all data were read"
        self.assertRegex(away, life_plan.SCENARIOS["kill"].qemu)
        self.assertNotRegex(away, life_plan.SCENARIOS["plug-net"].qemu)


class Verdict(unittest.TestCase):
    """judge() of a guest of two rows and one disk."""

    def judge(self, output, kernel=(), problems=(), refused=None):
        plan = life_plan.Boot("x", "intel", "identity", ("stall", "migrate"))
        disk = guest_vm.Device("blk", "vtmain", access=True, slot=2)
        guest = types.SimpleNamespace(
            plan=plan, hot={}, refused=refused or {}, pci=lambda device: device.pci(),
            machine=types.SimpleNamespace(devices=[disk]),
            kernel_lines=lambda: life_guest.unexpected_lines(kernel))
        result = guest_result.Result("x", output=list(output), problems=list(problems))
        return {name: row[0] for name, row in life.judge(guest, result, "ours").items()}

    GOOD = ["life: ok stall fine", "life: ok migrate fine", ROW % "identity"]

    def test_all_is_well(self):
        self.assertEqual(self.judge(self.GOOD), {"stall": "PASS", "migrate": "PASS"})

    def test_what_was_not_reached_has_failed(self):
        self.assertEqual(self.judge(self.GOOD[:1]), {"stall": "PASS", "migrate": "FAIL"})

    def test_a_splat_is_laid_to_its_scenario(self):
        self.assertEqual(self.judge(self.GOOD, [
            "life: begin migrate", "BUG: kernel NULL pointer dereference"]),
                         {"stall": "PASS", "migrate": "FAIL"})

    def test_what_no_scenario_explains_fails_all(self):
        self.assertEqual(self.judge(self.GOOD, problems=["timed out after 9 s"]),
                         {"stall": "FAIL", "migrate": "FAIL"})

    def test_a_device_somewhere_else_fails_all(self):
        self.assertEqual(self.judge(self.GOOD[:2] + [ROW % "physical"]),
                         {"stall": "FAIL", "migrate": "FAIL"})
        self.assertEqual(self.judge(self.GOOD[:2]), {"stall": "FAIL", "migrate": "FAIL"})

    def test_what_qemu_refuses_is_skipped(self):
        self.assertEqual(self.judge(
            [self.GOOD[0], "life: FAIL migrate migrate: fail QMP", self.GOOD[2]],
            problems=["command ended with status 1"], refused={"migrate": "blocked"}),
                         {"stall": "PASS", "migrate": "SKIP"})
        self.assertEqual(self.judge(
            [self.GOOD[0], "life: FAIL migrate migrate: fail QMP", self.GOOD[2]],
            problems=["IOMMU fault: x"], refused={"migrate": "blocked"}),
                         {"stall": "FAIL", "migrate": "SKIP"})

    def test_a_refusal_explains_the_status_and_nothing_else(self):
        result = guest_result.Result("x", problems=["command ended with status 1", "x"])
        for refused, left in (({}, result.problems), ({"migrate": "blocked"}, ["x"])):
            guest = types.SimpleNamespace(refused=refused)
            self.assertEqual(life.problems(guest, result), left)


if __name__ == "__main__":
    unittest.main()
