#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Tests of the guest runner that need no kernel and no QEMU."""

import hashlib
import io
import os
import select
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
import wave
from unittest import mock

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))

import selftest                                                  # noqa: E402
from lib.guest import backends, expect, log, qmp as guest_qmp    # noqa: E402
from lib import report                                           # noqa: E402
from lib.guest import result, vm                                 # noqa: E402
from lib.guest.expect import Expect                              # noqa: E402
from lib.guest.log import parse_ktap                             # noqa: E402
from lib.guest.vm import Device, Machine                         # noqa: E402


class Lost(unittest.TestCase):
    """What QEMU lost by a race of its own gets another chance, nothing else does."""

    SCAN = ["[    0.55] PCI host bridge to bus 0000:00",
            "[    0.55] pci 0000:00:02.0: [1af4:1042] type 00 class 0x010000"]

    def lost(self, **of):
        return result.lost_by_qemu(result.Result("boot", **of))

    def test_assertions_of_the_memory_map(self):
        for said in ("../hw/pci/msix.c:226: msix_table_mmio_write: Assertion `x' failed.",
                     "system/physmem.c:2671: iotlb_to_section: Assertion "
                     "`section_index < d->map.sections_nb' failed."):
            problems = ["QEMU was ended by SIGABRT", "QEMU: qemu: " + said]
            self.assertTrue(self.lost(problems=problems))
            self.assertFalse(self.lost(problems=problems, output=["vdma: boot 6.12"]))
        self.assertFalse(self.lost(problems=["QEMU: qemu: x.c:1: other: Assertion `x' failed."]))

    def test_bad_address_while_devices_are_looked_for(self):
        self.assertTrue(self.lost(signal="SIGSEGV", kernel=self.SCAN))
        self.assertFalse(self.lost(signal="SIGABRT", kernel=self.SCAN))
        self.assertFalse(self.lost(signal="", kernel=self.SCAN))
        self.assertFalse(self.lost(signal="SIGSEGV", kernel=[]))
        self.assertFalse(self.lost(signal="SIGSEGV", kernel=self.SCAN, output=["vdma: boot 6"]))

    def test_not_where_a_driver_may_have_given_it(self):
        ended = "[    0.88] PCI: CLS 0 bytes, default 64"
        self.assertFalse(self.lost(signal="SIGSEGV", kernel=[*self.SCAN, ended]))

    def test_it_boots_once_more_and_no_more(self):
        lost = result.Result("x", signal="SIGSEGV", kernel=self.SCAN,
                                   problems=["QEMU was ended by SIGSEGV"])
        whole = result.Result("x", exit_code=0)
        for results, seen in (([whole], whole), ([lost, whole], whole), ([lost, lost], lost)):
            guest = vm.Guest("x", "k", "i", Machine("none", []))
            with mock.patch.object(guest, "_boot", side_effect=list(results)) as boot:
                self.assertIs(guest.boot(), seen)
            self.assertEqual(boot.call_count, len(results))

    def test_the_signal_is_seen_through_timeout(self):
        for prefix in ([], ["timeout", "5"]):
            for end, name in (("kill -SEGV $$", "SIGSEGV"), ("kill -ABRT $$", "SIGABRT"),
                              ("kill -TERM $$", ""), ("exit 1", ""), ("exit 0", "")):
                status = subprocess.call([*prefix, "sh", "-c", end], stderr=subprocess.DEVNULL)
                self.assertEqual(result.fatal_signal(status), name)


class Qmp(unittest.TestCase):
    """The control socket, with a QEMU that says what it is told to."""

    def qmp(self, *answers):
        """A Qmp whose peer greets, and sends the next answer for each line it gets."""
        ours, peer = socket.socketpair()
        ours.settimeout(10)

        def serve():
            peer.sendall(b'{"QMP": {}}\n')
            with peer, peer.makefile("rb") as lines:
                for answer in (['{"return": {}}'], *answers):
                    lines.readline()
                    peer.sendall("".join(line + "\n" for line in answer).encode())
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        qmp = guest_qmp.Qmp(ours)
        for end in (thread.join, ours.close, qmp.file.close):
            self.addCleanup(end)
        return qmp

    def test_an_event_that_comes_with_an_answer_is_not_lost(self):
        before, after = '{"event": "STOP"}', '{"event": "SUSPEND"}'
        qmp = self.qmp([before, '{"return": 1}', after], ['{"return": 2}'])
        self.assertEqual([qmp.command("query-status"), qmp.command("query-status")], [1, 2])
        self.assertEqual([event["event"] for event in qmp.events], ["STOP", "SUSPEND"])

    def test_an_error_is_a_failure(self):
        qmp = self.qmp(['{"error": {"class": "GenericError", "desc": "no such device"}}'])
        with self.assertRaisesRegex(report.Failure, "QMP: no such device"):
            qmp.command("device_del", id="x")

    def test_a_guest_that_does_not_go_on(self):
        where, registers = self.qmp(
            ['{"return": {"status": "running"}}'],
            ['{"return": "CPU#0\\nRIP=ff12 RFL=2\\nCPU#1\\nEIP=0000fff0 EFL=2"}']).stuck()
        self.assertEqual(where, "QEMU: running at ff12 0000fff0")
        self.assertIn("RFL=2", registers)

    def test_a_boot_that_is_timed_out_says_where_it_is(self):
        guest = vm.Guest("x", "k", "i", Machine("none", []), timeout=1)
        guest.log, guest.last = io.StringIO(), "[    0.1] begins"
        guest.qmp = mock.Mock(stuck=lambda: ("QEMU: running at 1", "RIP=1"))
        with mock.patch.multiple(vm, qemu_version=mock.DEFAULT, trace_events=lambda _: set()), \
                mock.patch.multiple(guest, command_line=list, _start=mock.DEFAULT,
                                    _socketpair=lambda: (None, 3), _watch=lambda *_: False,
                                    _end=mock.DEFAULT, _judge=mock.DEFAULT,
                                    trace_file=lambda: "trace", movable=True):
            guest._run()
        self.assertEqual(guest.result.problems, [
            "timed out after 1 s (QEMU: running at 1), last line: [    0.1] begins"])
        self.assertIn("# RIP=1\n", guest.log.getvalue())

    def test_a_guest_whose_qemu_has_gone(self):
        self.assertEqual(self.qmp([]).stuck(), ("QMP: QEMU has gone", ""))


class Ktap(unittest.TestCase):
    def check(self, text, expected, problems=()):
        results, found = parse_ktap(text.strip("\n").split("\n"))
        self.assertEqual([(r.name, r.verdict, r.reason) for r in results], expected)
        self.assertEqual(found, list(problems))

    def test_flat_results(self):
        self.check("""
TAP version 13
1..3
ok 1 first
not ok 2 second
ok 3 third # SKIP no device
""", [("first", "PASS", ""), ("second", "FAIL", ""), ("third", "SKIP", "no device")])

    def test_the_runners_prefix_is_a_level(self):
        self.check("""
TAP version 13
1..2
# timeout set to 300
# selftests: virtio: blk_data
# TAP version 13
# 1..2
# # Starting 2 tests from 1 test cases.
# #  RUN           disk.small ...
# #            OK  disk.small
# ok 1 disk.small
# ok 2 disk.large
# # PASSED: 2 / 2 tests passed.
ok 1 selftests: virtio: blk_data
# timeout set to 300
# selftests: virtio: dma_access.sh
# TAP version 13
# 1..1
# not ok 1 there are virtio devices
not ok 2 selftests: virtio: dma_access.sh # exit=1
""", [("blk_data: disk.small", "PASS", ""), ("blk_data: disk.large", "PASS", ""),
      ("dma_access.sh: there are virtio devices", "FAIL", "")])

    def test_a_test_that_dies_is_a_failure(self):
        self.check("""
TAP version 13
1..1
# TAP version 13
# 1..2
# ok 1 begins
not ok 1 selftests: virtio: blk_data # exit=139
""", [("blk_data: begins", "PASS", ""), ("blk_data", "FAIL", "exit=139")],
                   ["plan of 2 tests, 1 results"])

    def test_a_timeout_is_named(self):
        self.check("""
TAP version 13
1..1
not ok 1 selftests: virtio: bind.sh # TIMEOUT 300 seconds
""", [("bind.sh", "FAIL", "TIMEOUT 300 seconds")])

    def test_a_plan_that_is_not_fulfilled_is_a_problem(self):
        self.check("""
1..3
ok 1 a
""", [("a", "PASS", "")], ["plan of 3 tests, 1 results"])

    def test_no_plan_and_no_results(self):
        self.check("hello\nworld", [])

    def test_skip_of_everything(self):
        self.check("""
TAP version 13
1..1
# TAP version 13
# 1..0 # SKIP no vtest.case=
ok 1 selftests: virtio: dma_access.sh # SKIP
""", [("dma_access.sh: all", "SKIP", "no vtest.case=")])

    def test_results_indented_as_kunit_does(self):
        self.check("""
KTAP version 1
1..1
  KTAP version 1
  1..2
  ok 1 one
  not ok 2 two
not ok 1 suite
""", [("suite: one", "PASS", ""), ("suite: two", "FAIL", "")])

    def test_expected_failure_passes(self):
        self.check("1..1\nnot ok 1 known # XFAIL later", [("known", "PASS", "XFAIL later")])

    def test_prose_is_no_result(self):
        self.check("okay then\nnot okay\n1..1\nok 1 real", [("real", "PASS", "")])


class Splats(unittest.TestCase):
    def test_lines_that_fail_a_boot(self):
        for line in (
                "[    1.0] WARNING: CPU: 0 PID: 1 at kernel/dma/debug.c:1 x+0x1",
                "[    1.0] BUG: kernel NULL pointer dereference, address: 0",
                "[    1.0] BUG: KASAN: slab-out-of-bounds in virtqueue_add",
                "[    1.0] BUG: KMSAN: uninit-value in receive_buf+0x3c8/0x1e90",
                "[    1.0] DMA-API: virtio_ring vring_misuse: device driver maps memory from stack",
                "[    1.0] Oops: general protection fault, probably for",
                "[    1.0] Kernel panic - not syncing: Attempted to kill init!",
                "[    1.0] WARNING: possible circular locking dependency detected",
                "[    1.0] INFO: task dd:80 blocked for more than 120 seconds.",
                "[    1.0] watchdog: BUG: soft lockup - CPU#0 stuck for 22s!",
                "[    1.0] rcu: INFO: rcu_sched detected stalls on CPUs/tasks:",
                "[    1.0] DMA-API: virtio-pci 0000:00:02.0: device driver frees DMA memory",
                "[    1.0] DMAR: [DMA Read NO_PASID] Request device [00:02.0] fault addr 0x1",
                "[    1.0] AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x1 address=0x2 flags=0]",
                "[    1.0] virtio_iommu virtio0: page fault from EP 16 at 0x1000 [R]",
                "[    1.0] arm-smmu-v3 arm-smmu-v3.0.auto: event 0x10 received:",
                "[    1.0] virtio_blk virtio1: id 5 out of range",
                "[    1.0] virtio_net virtio1: input.0: queue broken: used id 5 is not in flight",
                "[    1.0] UBSAN: array-index-out-of-bounds in x.c:1:1",
                "[    1.0] I/O error, dev vda, sector 0 op 0x0:(READ)",
                "[    1.0] BUG: sleeping function called from invalid context at x.c:1",
                "[    1.0] WARNING: suspicious RCU usage",
        ):
            with self.subTest(line=line):
                self.assertTrue(log.is_splat(line))

    def test_lines_that_do_not(self):
        for line in (
                "[    0.1] DMA-API: preallocated 65536 debug entries",
                "[    0.1] DMA-API: debugging enabled by kernel config",
                "[    0.1] Starting KernelMemorySanitizer (KMSAN)",
                "[    0.1] ATTENTION: KMSAN is a debugging tool! Do not use it on production",
                "[    0.1] iommu: Default domain type: Passthrough (QEMU guest)",
                "[    0.1] DMAR: Intel(R) Virtualization Technology for Directed I/O",
                "[    0.1] AMD-Vi: Interrupt remapping enabled",
                "[    0.1] debug: unmapping init [mem 0x1-0x2]",
                "[    0.1] Spectre V2 : Mitigation: Retpolines",
                "[    0.1] virtio_dma: bogus: no such entry, skipped",
                "",
        ):
            with self.subTest(line=line):
                self.assertFalse(log.is_splat(line))

    def test_what_a_test_brings_about(self):
        lines = ["[    1.0] virtio_net virtio1: input.0: queue broken: used id 5 out of range",
                 "[    1.0] I/O error, dev vda, sector 0 op 0x0:(READ) flags 0x800 phys_seg 1 prio",
                 "[    1.0] I/O error, dev vda, sector 0 op 0x1:(WRITE) flags 0x800 phys_seg 1 prio",
                 "[    1.0] virtio_net virtio1: BUG: KASAN: queue broken: used id 5 out of range",
                 "[    1.0] BUG: KASAN: use-after-free in virtqueue_get_buf"]
        self.assertEqual(log.find_splats(lines), lines)
        self.assertEqual(log.unexpected(lines, selftest.TABLE["said"]["hostile"]), lines[2:])

    def test_an_injected_failure_may_have_a_stack(self):
        head = "[    1.0] %s: vmalloc error: size 32768, failed to map pages, mode:0xdc2"
        stack = ["[    1.1] CPU: 0 UID: 0 PID: 562 Comm: fault_inject Not tainted",
                 "[    1.2] Call Trace:", "[    1.3]  warn_alloc+0x1a7/0x260"]
        bug = ["[    1.4] BUG: KASAN: use-after-free in x", "[    1.5] Call Trace:"]
        self.assertEqual(log.find_splats([head % "fault_inject"] + stack), [])
        self.assertEqual(log.find_splats([head % "fault_inject"] + stack + bug), bug)
        self.assertEqual(log.find_splats([head % "bind"] + stack), [stack[1]])

    def test_what_qemu_says_is_a_complaint_but_for_what_tells_of_nothing_wrong(self):
        lines = ["virtio_input_hid_handle_status: unknown type 20\n", "\n",
                 "virtio_input_hid_handle_status: unknown type 21\n",
                 "qemu-system-x86_64: terminating on signal 15 from pid 1\n"]
        self.assertEqual(log.complaints(lines, True), [lines[2].strip()])
        self.assertEqual(log.complaints(lines, False), [lines[2].strip(), lines[3].strip()])

    def test_vfio_dma_is_not_skipped_where_there_is_what_it_needs(self):
        boot = next(b for b in selftest.boots(False, False) if b.has_vfio())
        for of_vfio, word in ((boot, "FAIL"), (mock.Mock(tests=()), "SKIP")):
            results = [log.Ktap("vfio_dma: vfio.edu.x", True, True, "no IOMMU"),
                       log.Ktap("dma_access.sh: a", True, True, "not here")]
            self.assertEqual([r.verdict for r in selftest.must_run(of_vfio, results)],
                             [word, "SKIP"])

    def test_a_guest_made_for_one_test_does_not_skip_it(self):
        for name, test in (("swap", "swap.sh"), ("memory", "memory.sh"),
                           ("p9-kill-strict", "p9_kill"), ("swiotlb-dry", "swiotlb_dry"),
                           ("swiotlb-pools", "swiotlb_dry"),
                           ("debug-misuse", "ring_misuse.sh")):
            boot = next(b for b in selftest.boots(False, False) if b.name == name)
            skipped = log.Ktap(test + ": all", True, True, "no device")
            self.assertEqual(selftest.must_run(boot, [skipped])[0].verdict, "FAIL", name)

    def test_reports_are_expected_where_they_are_counted_and_nowhere_else(self):
        for boot in selftest.boots(False, True):
            counted = selftest.MISUSE in boot.tests
            for line in ("[    1.0] BUG: KMSAN: uninit-value in vring_cell_map+0x1/0x2",
                         "[    1.0] WARNING: CPU: 0 PID: 9 at kernel/dma/debug.c:1106 "
                         "check_for_stack+0x1/0x2",
                         "[    1.0] DMA-API: pci 0000:00:05.0: device driver maps memory from "
                         "stack [addr=0000000000000001]"):
                with self.subTest(boot=boot.name, line=line):
                    self.assertEqual(log.unexpected([line], boot.expected),
                                     [] if counted else [line])
            for line in ("[    1.0] BUG: KMSAN: use-after-free in vring_cell_map+0x1/0x2",
                         "[    1.0] DMA-API: pci 0000:00:05.0: device driver frees DMA memory",
                         "[    1.0] BUG: KMSAN: uninit-value in receive_buf+0x3c8/0x1e90",
                         "[    1.0] BUG: KASAN: stack-out-of-bounds in x"):
                self.assertEqual(log.unexpected([line], boot.expected), [line])

    def test_a_boot_has_the_modules_that_its_tests_load(self):
        found = {b.name: b.initramfs() for b in selftest.boots(False, True)}
        self.assertEqual({n: found[n] for n in found if found[n] != "plain"},
                         {"kcsan": "kcsan", "kcsan-swiotlb": "kcsan", "modular": "modular",
                          "kmsan": "kmsan", "kmsan-misuse": "kmsan",
                          "debug-misuse": "debug"})

    def test_swiotlb_is_full_only_where_the_ring_has_no_pools(self):
        full = "[    1.0] virtio_blk virtio0: swiotlb buffer is full (sz: 4096 bytes)"
        for boot in selftest.boots(False, True):
            self.assertEqual(log.unexpected([full], boot.expected) == [],
                             "virtio_ring.bounce_max=-1" in boot.append, boot.name)
            self.assertEqual(bool(boot.expected) and boot.name.startswith("swiotlb"),
                             boot.name == "swiotlb-dry")

    def test_the_kernel_with_every_checker_still_has_cells(self):
        boot = next(b for b in selftest.boots(False, True) if b.name == "debug-strict")
        self.assertIn("virtio_ring.bounce_max=4096", boot.append.split())

    def test_faults_of_one_device_alone(self):
        words = ("[    9.1] DMAR: [DMA Write NO_PASID] Request device [00:%02x.0] fault addr"
                 " 0x4000101000 [fault reason 0x05] PTE Write access is not set",
                 "[    9.1] virtio_iommu virtio0: page fault from EP %d at 0x4000101000 [W]",
                 "vtd_dmar_fault sid 0x%x fault 5 addr 0x4000101000 write 1",
                 "virtio_iommu_report_fault FAULT reason=2 flags=256 endpoint=%d address =0x1000",
                 "qemu-system-x86_64: vtd_iommu_translate: detected translation failure"
                 " (dev=00:%02x:00, iova=0x4000101000)",
                 "qemu-system-x86_64: virtio_iommu_translate no mapping for 0x1000 for sid=%d")
        lines = [text % (slot if "00:" in text else slot << 3)
                 for slot in (0x18, 0x17) for text in words]
        self.assertEqual(log.unexpected(lines, log.faults_of("0000:00:18.0")),
                         lines[len(words):])


ROW = ("vdma-row: dev=virtio3 pci=0000:00:05.0 driver=virtio_blk"
       " features=ACCESS_PLATFORM,VERSION_1 group=identity access=identity irq=msi"
       " rings=req.0:256:9:8 data=%s")


class Rows(unittest.TestCase):
    def setUp(self):
        self.device = Device("blk", "disk", access=True, slot=5)
        self.expect = Expect("identity", "identity")

    def compare(self, data="ok 2 MiB read", **changes):
        row = log.parse_rows([ROW % data])[0]
        for name, value in changes.items():
            setattr(row, name, value)
        return expect.compare(self.device, self.expect, row, 2)

    def test_fields(self):
        row, = log.parse_rows(["noise", ROW % "fail: read: I/O error"])
        self.assertEqual((row.dev, row.pci, row.driver, row.group, row.access),
                         ("virtio3", "0000:00:05.0", "virtio_blk", "identity", "identity"))
        self.assertEqual(row.features, ["ACCESS_PLATFORM", "VERSION_1"])
        self.assertEqual(row.rings, [log.Ring("req.0", 256, 9, 8)])
        self.assertEqual(row.data, "fail: read: I/O error")

    def test_as_expected(self):
        self.assertEqual(self.compare(), [])

    def test_each_difference_is_named(self):
        for changes, text in (
                (dict(access="physical"), "dma_access is physical, expected identity"),
                (dict(group="DMA-FQ"), "IOMMU group is DMA-FQ, expected identity"),
                (dict(driver="-"), "driver is -, expected virtio_blk"),
                (dict(features=["VERSION_1"]), "ACCESS_PLATFORM not negotiated"),
                (dict(features=["ACCESS_PLATFORM", "VERSION_1", "RING_PACKED"]),
                 "RING_PACKED must not be negotiated"),
                (dict(data="fail: differs"), "data check: fail: differs"),
        ):
            with self.subTest(text=text):
                self.assertEqual(self.compare(**changes), ["disk: " + text])

    def test_virtqueues_are_as_qemu_was_told(self):
        full = [log.Ring("req.0", 64, 5, 4), log.Ring("req.1", 64, 7, 0)]
        for options, rings, text in (
                ("queue-size=64,num-queues=4", full, None),
                ("queue-size=128", full, "virtqueue req.0 has 64 entries, expected 128"),
                ("queue-size=64", [log.Ring("vq.0", 64, 5, 4)],
                 "no virtqueue is called req.*"),
                ("", None, "the kernel tells of no virtqueues"),
                ("num-queues=2", full[:1], "1 virtqueues req.* were used, expected 2"),
                ("num-queues=2", [full[0], log.Ring("req.1", 64, 0, 0)],
                 "1 virtqueues req.* were used, expected 2"),
                ("indirect_desc=off", full[1:], None),
                ("indirect_desc=off", full, "indirect tables written, not negotiated"),
                ("", full, None)):
            with self.subTest(options=options, text=text):
                self.device.options = options
                self.assertEqual(self.compare(rings=rings), ["disk: " + text] if text else [])

    def test_a_kernel_without_dma_access_need_not_tell_of_its_virtqueues(self):
        self.expect.access = "-"
        self.assertEqual(self.compare(rings=None, access="-"), [])

    def test_queues_of_a_nic(self):
        nic = Device("net", "nic", queues=2, options="rx_queue_size=512")
        rings = [log.Ring(name, size, used, 0) for name, size, used in (
            ("input.0", 512, 9), ("output.0", 256, 1), ("input.1", 512, 9), ("output.1", 256, 0))]
        self.assertEqual(expect.rings_wrong(nic, rings, 2),
                         "1 virtqueues output.* were used, expected 2")
        rings[3].requests = 1
        self.assertIsNone(expect.rings_wrong(nic, rings, 2))

    def test_nothing_is_asked_of_the_virtqueues_of_other_devices(self):
        rings = [log.Ring("-", 64, 0, 0)]
        self.assertIsNone(expect.rings_wrong(Device("rng", "r"), rings, 2))

    def test_a_device_interrupts_as_it_must(self):
        for wanted, irq, text in (
                (None, "intx", None), ("msi", "msi", None),
                ("msi", "intx", "interrupt is intx, expected msi"),
                ("intx", "msi", "interrupt is msi, expected intx")):
            with self.subTest(wanted=wanted, irq=irq):
                self.expect.irq = wanted
                self.assertEqual(self.compare(irq=irq), ["disk: " + text] if text else [])

    def test_nothing_of_virtio_is_asked_of_other_devices(self):
        self.device = Device("megasas", "disk", slot=5)
        self.expect.access = "bounced"
        row = dict(driver="megaraid_sas", features=["-"], rings=None)
        self.assertEqual(self.compare(access="bounced", **row), [])
        self.assertEqual(self.compare(access="-", data="fail: no disk", **row), [
            "disk: dma_access is -, expected bounced", "disk: data check: fail: no disk"])

    def test_a_device_that_is_absent(self):
        self.assertEqual(expect.compare(self.device, self.expect, None),
                         ["disk (0000:00:05.0): not in the guest"])

    def test_a_device_too_many(self):
        machine = Machine("intel", [])
        problems = expect.judge(machine, {}, log.parse_rows([ROW % "ok"]))[2]
        self.assertEqual(problems, ["virtio3 at 0000:00:05.0: a device that nothing was "
                                    "expected of"])

    def test_hostcheck_lines(self):
        digest = "0123456789abcdef" * 4
        self.assertEqual(log.parse_hostchecks([
            "HOSTCHECK disk 512 1024 " + digest,
            "# [   12.5] vtest: HOSTCHECK vt9p0/a/b 0 7 " + digest,
            "HOSTCHECK disk 512 1024 short", "nothing"]),
            [("disk", 512, 1024, digest), ("vt9p0/a/b", 0, 7, digest)])


class Machines(unittest.TestCase):
    def test_vcpus_take_turns_where_vfio_moves_bars(self):
        with unittest.mock.patch.dict("os.environ", ACCEL="tcg"):
            for one_thread, word in ((True, "tcg,thread=single"), (False, "tcg,thread=multi")):
                self.assertIn(word, Machine("none", one_thread=one_thread).arguments())

    def test_slots_are_given_out_once(self):
        machine = Machine("intel", [Device("blk", "a"), Device("blk", "b", slot=3),
                                    Device("blk", "c"), Device("blk", "d", bus="bypass")])
        self.assertEqual([d.pci() for d in machine.devices],
                         ["0000:00:02.0", "0000:00:03.0", "0000:00:04.0", "0000:41:00.0"])

    def test_the_same_id_twice_is_refused(self):
        with self.assertRaises(report.Failure):
            Machine("intel", [Device("blk", "a"), Device("net", "a")])

    def test_properties_of_the_modes(self):
        for mode, words in (("modern", ["disable-legacy=on", "disable-modern=off"]),
                            ("legacy", ["disable-legacy=off", "disable-modern=on"]),
                            ("transitional", ["disable-legacy=off", "disable-modern=off"])):
            self.assertEqual(Device("blk", "a", mode=mode, slot=2).properties(),
                             ["virtio-blk-pci", "id=a", "bus=pcie.0", "addr=0x2.0", *words])
        self.assertEqual(
            Device("net", "a", access=True, packed=True, slot=2).properties()[-2:],
            ["iommu_platform=on", "packed=on"])

    def test_devices_that_are_not_virtio_have_no_properties_of_it(self):
        self.assertEqual(Device("megasas", "a", slot=2).properties(),
                         ["megasas", "id=a", "bus=pcie.0", "addr=0x2.0"])
        self.assertEqual(Device("xhci", "a", bus="port").label(), "xhci root port")

    def test_disks_and_networks_behind_devices_that_are_not_virtio(self):
        for kind, disk in (("nvme", "nvme,id=a,bus=pcie.0,addr=0x2.0,drive=drive-a,serial=a"),
                           ("ahci", "ide-hd,bus=a.0,drive=drive-a,serial=a"),
                           ("megasas", "scsi-hd,bus=a.0,drive=drive-a,serial=a"),
                           ("xhci", "usb-storage,bus=a.0,drive=drive-a,serial=a"),
                           ("e1000", "e1000,id=a,bus=pcie.0,addr=0x2.0,netdev=net-a,romfile="),
                           ("e1000e", "e1000e,id=a,bus=pcie.0,addr=0x2.0,netdev=net-a,romfile=")):
            guest = vm.Guest("x", "k", "i", Machine("none", [Device(kind, "a")]))
            with self.subTest(kind=kind), guest.files():
                self.assertEqual(guest._device(guest.machine.devices[0])[-2:],
                                 ["-device", disk])

    def test_a_command_on_the_kernels_command_line(self):
        self.assertEqual(vm.split_command(["sh", "-c", "echo hi"]), 'sh -c "echo hi"')
        with self.assertRaises(report.Failure):
            vm.split_command(['echo "a b"'])

    def test_contents_of_disks_are_the_same_each_time(self):
        self.assertEqual(vm.disk_contents("x"), vm.disk_contents("x"))
        self.assertNotEqual(vm.disk_contents("x"), vm.disk_contents("y"))

    def test_host_hears_what_the_guest_played(self):
        guest = vm.Guest("t", "k", "i", Machine("none"))
        of_played = hashlib.sha256(b"abcdefgh").hexdigest()
        for frames, right in ((b"\0" * 8 + b"abcd" + b"\0" * 4 + b"efgh" + b"\0" * 4, True),
                              (b"abcdefgh", True), (b"efghabcd", False), (b"abcd", False),
                              (b"", False)):
            with tempfile.TemporaryDirectory() as path:
                guest.sounds["sound0"] = path + "/wav"
                with wave.open(path + "/wav", "wb") as recording:
                    recording.setparams((2, 2, 44100, 0, "NONE", ""))
                    recording.writeframes(frames)
                wrong = guest.check_contents("sound0", 0, 8, of_played)
            self.assertEqual(wrong is None, right, frames)
        self.assertIn("No such file", guest.check_contents("sound0", 0, 8, of_played))

    def test_host_finds_other_contents(self):
        guest = vm.Guest("t", "k", "i", Machine("none"))
        with tempfile.TemporaryDirectory() as path:
            guest.images["disk"] = path + "/disk"
            guest.shares["tag"] = path
            with open(path + "/disk", "wb") as image:
                image.write(b"abcdef")
            of_bc = "a4c5cd3eb5d0f2a9bd7a1c5a7ae0ae1b"
            self.assertIn("other contents", guest.check_contents("disk", 1, 2, of_bc * 2))
            of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
            self.assertIsNone(guest.check_contents("disk", 0, 3, of_abc))
            self.assertIsNone(guest.check_contents("tag/disk", 0, 3, of_abc))
            self.assertIn("was not given", guest.check_contents("other", 0, 3, of_abc))
            self.assertIn("was not given", guest.check_contents("tag/../x", 0, 3, of_abc))
            self.assertIn("No such file", guest.check_contents("tag/none", 0, 3, of_abc))


class Tap(unittest.TestCase):
    def test_frames_of_experiments_come_back_and_no_others(self):
        reason = vm.tap_missing()
        if reason:
            self.skipTest(reason)
        process, taps = backends.open_tap(2)
        header = bytes(10)      # struct virtio_net_hdr: nothing to do
        lost, echoed = (b"\xff" * 6 + b"\x02\0\0\0\0\1" + kind + bytes(range(50))
                        for kind in (b"\x88\xb6", b"\x88\xb5"))
        try:
            for tap in taps:
                os.write(tap.fileno(), header + lost)
                os.write(tap.fileno(), header + echoed)
            for _ in taps:
                ready, _, _ = select.select(taps, [], [], 10)
                self.assertEqual(os.read(ready[0].fileno(), 2048)[10:], echoed)
        finally:
            for tap in taps:
                tap.close()
            process.wait(timeout=10)    # with the device it ends


class Races(unittest.TestCase):
    LOST = ("QEMU: qemu-system-x86_64: ../../hw/pci/msix.c:218: msix_table_mmio_write: Assertion"
            " `addr + size <= dev->msix_entries_nr * PCI_MSIX_ENTRY_SIZE' failed.")

    def boots(self, *results):
        """How often a guest boots whose boots have these (problems, output)."""
        guest = vm.Guest("g", "bzImage", "initramfs", Machine("none"))
        left = list(results)

        def boot():
            guest.result.problems, guest.result.output = left.pop(0)
            return guest.result

        with mock.patch.object(guest, "_boot", boot):
            self.assertIs(guest.boot(), guest.result)
        return len(results) - len(left)

    def test_qemu_that_ends_before_the_guest_runs_gets_one_more_chance(self):
        self.assertEqual(self.boots(([self.LOST], []), ([], []), ([], [])), 2)
        self.assertEqual(self.boots(([self.LOST], []), ([self.LOST], []), ([], [])), 2)

    def test_nothing_else_does(self):
        self.assertEqual(self.boots(([self.LOST], ["vdma: boot 6.12"]), ([], [])), 1)
        self.assertEqual(self.boots((["QEMU: other: Assertion `x' failed."], []), ([], [])), 1)
        self.assertEqual(self.boots(([], []), ([], [])), 1)


class Tables(unittest.TestCase):
    def test_columns_line_up(self):
        self.assertEqual(report.format_table(["a", "long"], [["x", 1], ["wide", "y"]]),
                         ["a     long", "----  ----", "x     1", "wide  y"])

    def test_no_colour_in_a_pipe(self):
        self.assertEqual(report.colour("x", "red", io.StringIO()), "x")

    def test_json_is_whole_or_as_it_was(self):
        with tempfile.TemporaryDirectory() as path:
            report.write_json(path + "/a.json", {"x": 1})
            with self.assertRaises(TypeError):
                report.write_json(path + "/a.json", {"x": object()})
            with open(path + "/a.json", encoding="utf-8") as left:
                self.assertEqual(left.read(), '{\n "x": 1\n}\n')


class Feeding(unittest.TestCase):
    def test_lines_are_put_together(self):
        lines = []
        buffered = [b"", lines.append]
        for part in (b"one\r\ntw", b"o\n", b"three"):
            vm.Guest._feed(buffered, part)
        self.assertEqual(lines, ["one", "two"])
        self.assertEqual(buffered[0], b"three")

    def test_progress_survives_threads(self):
        progress = report.Progress(interval=0.01)
        with progress:
            workers = [threading.Thread(target=lambda n=n: (progress.begin(str(n)),
                                                            progress.note(str(n), "x"),
                                                            progress.end(str(n))))
                       for n in range(20)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
        self.assertEqual(progress.active, {})


if __name__ == "__main__":
    unittest.main()
