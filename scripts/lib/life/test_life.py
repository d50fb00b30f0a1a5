#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Tests of how make life plans and reads its guests; no kernel, no QEMU.

usage: scripts/lib/life/test_life.py [unittest arguments]
"""

import io
import os
import re
import struct
import sys
import types
import unittest
from unittest import mock

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))

import life                                                      # noqa: E402
from lib import report                                           # noqa: E402
from lib.guest import result as guest_result, vm                 # noqa: E402
from lib.life import guest as life_guest, kexec, plan as life_plan  # noqa: E402

GUEST = os.path.join(os.path.dirname(life.__file__), "guest", "life")
ROW = ("vdma-row: dev=virtio0 pci=0000:00:02.0 driver=virtio_blk"
       " features=ACCESS_PLATFORM,VERSION_1 group=identity access=%s irq=msi rings=req.0:256:9:8"
       " data=- not asked for")


class Plan(unittest.TestCase):
    def test_part_of_a_name_chooses_rows(self):
        self.assertEqual([row for boot in life_plan.chosen(["migrate/power"]) for row in boot.rows()],
                         ["migrate/power", "migrate/power-strict"])

    def test_a_pattern_chooses_rows(self):
        self.assertEqual([row for boot in life_plan.chosen(["kill/*end"]) for row in boot.rows()],
                         ["kill/back-end"])

    def test_nothing_chooses_all_and_a_few_second_kernels(self):
        rows = [b.rows() for b in life_plan.chosen([])]
        self.assertEqual(rows[:len(life_plan.BOOTS)], [b.rows() for b in life_plan.BOOTS])
        self.assertCountEqual([row for row, in rows[len(life_plan.BOOTS):]],
                              life_plan.KEXEC_SLICE)

    def test_every_kernel_starts_every_other(self):
        rows = [row for b in life_plan.chosen(["kdump/*"]) for row in b.rows()]
        self.assertEqual((len(rows), len(set(rows))), (54, 54))
        self.assertEqual(len(life_plan.chosen(["kexec/*-stock-*"])), 9)
        names = [b.name for b in life_plan.BOOTS + life_plan.KEXEC_BOOTS]
        self.assertEqual(len(names), len(set(names)))

    def test_what_a_crash_kernel_gets_by_default(self):
        def words(row):
            boot, = life_plan.chosen([row])
            return boot.expect_first(True).access, boot.expect(True).access
        self.assertEqual(words("kdump/intel-default-default"), ("identity", "translated-lazy"))
        self.assertEqual(words("kdump/amd-type-default"),
                         ("translated-strict", "translated-strict"))
        self.assertEqual(words("kdump/virtio-strict-pt"), ("translated-strict", "identity"))
        self.assertEqual(words("kexec/intel-on-default"), ("translated-lazy", "identity"))

    def test_no_row_is_an_error_that_names_the_rows(self):
        with self.assertRaisesRegex(report.Failure, "no row matches .*nothing.* plug-blk/plug "):
            life_plan.chosen(["nothing"])

    def test_what_is_chosen_keeps_what_the_boot_is(self):
        boot = life_plan.chosen(["native-strict"])[0]
        self.assertTrue(boot.native)
        self.assertEqual(life_plan.chosen(["migrate/amd"])[0].refused.keys(), {"migrate"})

    def test_the_guest_knows_every_scenario(self):
        with open(GUEST, encoding="utf-8") as script:
            known = set(re.findall(r"^\t([\w-]+)\)\t", script.read(), re.M))
        for boot in life_plan.BOOTS + life_plan.KEXEC_BOOTS + life_plan.soak(1):
            self.assertLessEqual(set(boot.scenarios), known, boot.name)

    def test_a_reset_comes_first(self):
        for boot in life_plan.BOOTS:
            self.assertNotIn("reset", boot.scenarios[1:])

    def test_a_guest_has_what_its_scenarios_need(self):
        for boot in life_plan.BOOTS + life_plan.KEXEC_BOOTS + life_plan.soak(1):
            there = {d.id for d in life_guest.machine_of(boot).devices}
            there |= {d.id for d in life_guest.hot_devices(boot)}
            there |= {"e1000"}      # not of virtio
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


class Dump(unittest.TestCase):
    """A dump against the memory that it is of."""

    MEMORY = bytes(range(256)) * 4 * 4096       # 4 MiB

    def dump(self, ranges, memory=MEMORY):
        """A vmcore of (address, length) ranges, page after page."""
        head = b"\x7fELF\x02\x01" + bytes(26) + struct.pack("<Q", 64) + bytes(14) + \
            struct.pack("<HH", 56, len(ranges)) + bytes(6)
        offset, table, data = 4096, b"", b""
        for address, length in ranges:
            table += struct.pack("<IIQQQQQQ", kexec.PT_LOAD, 0, offset, 0, address, length,
                                 length, 4096)
            data += memory[address:address + length]
            offset += length
        return (head + table).ljust(4096, b"\0") + data

    def compare(self, dump, size=None):
        return kexec.compare(io.BytesIO(dump), len(dump) if size is None else size,
                                  io.BytesIO(self.MEMORY))

    def test_the_right_one(self):
        ranges = [(0, 640 * 1024), (1 << 20, 2 << 20), (1 << 20, 8192)]
        self.assertEqual(self.compare(self.dump(ranges)), (640 << 10) + (2 << 20))

    def test_a_wrong_byte_is_found(self):
        dump = bytearray(self.dump([(1 << 20, 2 << 20)]))
        dump[4096 + (1 << 20) + 5] ^= 1
        with self.assertRaisesRegex(report.Failure, "dump of 0x200005 is not what is there"):
            self.compare(bytes(dump))

    def test_what_the_crash_kernel_uses_is_left_out(self):
        dump = bytearray(self.dump([(0, 640 * 1024)]))
        dump[4096 + 5] ^= 1
        self.assertEqual(self.compare(bytes(dump)), 640 << 10)

    def test_one_that_is_cut_off(self):
        dump = self.dump([(1 << 20, 2 << 20)])
        with self.assertRaisesRegex(report.Failure, "cut off"):
            self.compare(dump[:-4096])
        with self.assertRaisesRegex(report.Failure, "no ELF"):
            self.compare(bytes(1 << 20))


class Kexec(unittest.TestCase):
    """What is made of a guest with two kernels."""

    def guest(self, row, output, kernel=()):
        with mock.patch.object(vm, "kernel_image"), mock.patch.object(vm, "initramfs"):
            guest = kexec.KexecGuest(life_plan.chosen([row])[0], "ours", None)
        guest.result.output, guest.result.kernel = output, list(kernel)
        return guest

    def test_one_kernel_only(self):
        guest = self.guest("kdump/intel-on-pt", ["vdma: boot 6.12-x"])
        self.assertEqual(guest.first_problems(False), ["1 kernels came up, expected 2"])

    def test_a_first_kernel_that_is_not_what_it_should_be(self):
        guest = self.guest("kdump/intel-on-pt", ["vdma: boot 6.12-x", ROW % "identity",
                                                 "vdma: boot 6.12-x"])
        self.assertIn("first kernel: vtmain: dma_access is identity, expected translated-lazy",
                      guest.first_problems(False))

    def test_the_same_kernel_twice_is_not_stock(self):
        guest = self.guest("kdump/intel-stock-pt", ["vdma: boot 6.12", "vdma: boot 6.12"])
        self.assertEqual(guest.first_problems(False),
                         ["the first kernel is no other than the second"])

    def test_only_the_first_may_crash_and_only_where_it_is_to(self):
        crash = ["Linux version 6", "Kernel panic - not syncing: sysrq triggered crash",
                 "Call Trace:", "Linux version 6", "Call Trace:"]
        self.assertEqual(self.guest("kdump/intel-on-pt", [], crash).kernel_lines(),
                         [("kdump", "Call Trace:")])
        self.assertEqual(len(self.guest("kexec/intel-on-pt", [], crash).kernel_lines()), 3)
        self.assertEqual(len(self.guest("kdump/intel-on-pt", [], [
            "Linux version 6", "BUG: bad page"]).kernel_lines()), 1)

    def test_the_second_kernel_is_told_of_its_mode(self):
        line = self.guest("kdump/intel-on-pt", []).second_line()
        self.assertIn(" iommu=pt nr_cpus=1 -- life kdump:second", line)
        self.assertNotIn("crashkernel", line)
        line = self.guest("kexec/intel-on-default", []).second_line()
        self.assertNotIn("iommu=", line)


class Words(unittest.TestCase):
    def test_a_soak(self):
        wish = life.words().read(["--soak=30", "--kernel=stock"])
        self.assertEqual((wish.kernel, wish.soak), ("stock", 30))
        self.assertEqual([b.scenarios for b in life_plan.soak(30)], [("soak",), ("soak",)])
        self.assertEqual(life_plan.SCENARIOS["soak"].rounds, 30)

    def test_wrong_ones(self):
        for word in ("--soak=0", "--soak=long", "--kernel=mine", "--fast"):
            with mock.patch("sys.stderr", io.StringIO()), self.assertRaises(SystemExit) as end:
                life.words().read([word])
            self.assertEqual(end.exception.code, 2, word)


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
        with mock.patch.object(vm, "kernel_image"), mock.patch.object(vm, "initramfs"):
            guest = life_guest.LifeGuest(life_plan.chosen(["suspend/power"])[0], "ours", None)
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
        disk = vm.Device("blk", "vtmain", access=True, slot=2)
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
