#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Tests of the covering design of make matrix, of its expectations, and of how
results are judged."""

import itertools
import os
import sys
import tempfile
import unittest
from unittest import mock

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))

import matrix                                                           # noqa: E402
from lib import report, tables                                   # noqa: E402
from lib import rows, trace                                      # noqa: E402
from lib.guest import log, vm                                    # noqa: E402
from lib.guest import machine as guest_machine, result as guest_result  # noqa: E402
from lib.matrix import beside, expect, judge, plan               # noqa: E402
from lib.guest.expect import Expect                              # noqa: E402
from lib.guest.machine import NOT_VIRTIO, Device, Machine        # noqa: E402

TABLE = tables.load("matrix")
FACTORS = plan.Factors(TABLE)
COVERED = plan.cover(FACTORS)

# A design so small that all of it can be written out.
SMALL = {"covering": {
    "seed": 1, "devices": 2, "machine": {"iommu": ["none", "intel"], "root": ["behind", "off"]},
    "device": {"kind": ["blk", "net"], "access": ["off", "on"]},
    "hides": [{"root": "off"}], "asks": {"access": "on"}, "asked": ["iommu"],
    "never": [{"why": "none has nothing to turn off", "any": [{"iommu": "none", "root": "off"}]},
              {"why": "has no IOMMU", "any": [{"kind": "net", "access": "on"}]}]}}


class TestCovering(unittest.TestCase):
    def test_every_pair_that_may_meet_has_met(self):
        met = set()
        for machine, devices in COVERED:
            for one in devices:
                met |= FACTORS.of({**machine, **one})
        self.assertEqual(set(FACTORS.pairs()) - met, set())

    def test_what_does_not_meet_is_forbidden_and_nothing_else_is_missing(self):
        everything = {frozenset([(f, a), (g, b)])
                      for f, g in itertools.combinations(FACTORS.all, 2)
                      for a, b in itertools.product(FACTORS.all[f], FACTORS.all[g])}
        for pair in everything - set(FACTORS.pairs()):
            self.assertIsNone(FACTORS.complete(dict(pair), FACTORS.all), pair)

    def test_nothing_forbidden_is_made(self):
        for machine, devices in COVERED:
            for one in devices:
                self.assertIsNone(FACTORS.forbidden({**machine, **one}))

    def test_is_the_same_on_each_run(self):
        self.assertEqual(plan.cover(plan.Factors(SMALL)),
                         plan.cover(plan.Factors(SMALL)))

    def test_pairs_of_a_small_design_are_those_written_out(self):
        pairs = plan.Factors(SMALL).pairs()
        self.assertEqual(len(pairs), 6 * 4 - 2)
        self.assertNotIn(frozenset([("iommu", "none"), ("root", "off")]), pairs)
        self.assertNotIn(frozenset([("kind", "net"), ("access", "on")]), pairs)

    def test_what_is_hidden_does_not_count_as_met(self):
        met = plan.Factors(SMALL).of(
            {"iommu": "intel", "root": "off", "kind": "blk", "access": "on"})
        self.assertEqual(met, {frozenset([("root", "off"), other]) for other in (
            ("iommu", "intel"), ("kind", "blk"), ("access", "on"))})

    def test_an_iommu_that_a_device_does_not_ask_was_not_met(self):
        small = plan.Factors(SMALL)
        disk = {"iommu": "intel", "root": "behind", "kind": "blk"}
        pair = frozenset([("iommu", "intel"), ("kind", "blk")])
        self.assertNotIn(pair, small.of({**disk, "access": "off"}))
        self.assertIn(pair, small.of({**disk, "access": "on"}))

    def test_a_device_that_cannot_ask_has_met_the_iommu_all_the_same(self):
        self.assertIn(frozenset([("iommu", "intel"), ("kind", "net")]), plan.Factors(
            SMALL).of({"iommu": "intel", "root": "behind", "kind": "net", "access": "off"}))

    def test_every_kind_that_can_asks_every_iommu(self):
        asked = {(machine["iommu"], one["kind"]) for machine, devices in COVERED
                 for one in devices if one["access"] == "on"}
        for iommu, kind in itertools.product(FACTORS.all["iommu"], FACTORS.all["kind"]):
            self.assertEqual((iommu, kind) in asked, kind not in ("balloon", "fs"), (iommu, kind))

    def test_a_constraint_on_a_level_that_is_none_is_an_error(self):
        wrong = {"covering": {**SMALL["covering"], "never": [
            {"why": "typo", "any": [{"iommu": "intell"}]}]}}
        with self.assertRaisesRegex(report.Failure, "intell"):
            plan.Factors(wrong)

    def test_a_slice_has_every_level_of_the_whole(self):
        boots = plan.covering(TABLE)
        few = plan.slice_of(boots)
        self.assertLess(len(few), len(boots) / 2)
        self.assertEqual({x for b in few for x in plan.levels_of(b)},
                         {x for b in boots for x in plan.levels_of(b)})

    def test_places_do_not_collide(self):
        for boot in plan.covering(TABLE):
            places = [d.pci() for d in boot.machine.devices]
            self.assertEqual(len(places), len(set(places)), boot.name)


def device(*args, **words):
    """A device where the first of a covering boot is."""
    return Device(*args, **{"slot": 2, **words})


class TestExpect(unittest.TestCase):
    def test_agrees_with_the_rows_written_by_hand(self):
        compared, others = 0, set()
        for boot in plan.promise(TABLE):
            for row in boot.rows:
                found = [d for d in boot.machine.devices if d.id == row.device]
                if boot.kernel != "stock" and found:
                    computed = expect.expect(boot.machine, boot.append, found[0])
                    self.assertEqual((computed.group, computed.access),
                                     (row.expect.group, row.expect.access),
                                     "%s/%s" % (boot.name, row.device))
                    compared += 1
                    if found[0].kind in NOT_VIRTIO:
                        others.add((found[0].kind, row.expect.group, row.expect.access))
        self.assertGreater(compared, 50)
        for kind in NOT_VIRTIO:
            default = "bounced" if kind == "e1000" else "-"
            self.assertLessEqual({(kind, "identity", default), (kind, "DMA-FQ", "-")}, others)

    def check(self, machine, append, group, access, which=0):
        found = expect.expect(machine, append, machine.devices[which])
        self.assertEqual((found.group, found.access), (group, access))

    def test_an_address_says_more_than_a_type(self):
        machine = Machine("intel", [device("blk", "a", access=True)])
        self.check(machine, "virtio_dma=blk:pt,0000:00:02.0:on", "DMA-FQ", "translated-lazy")
        self.check(machine, "virtio_dma=blk:on,0000:00:02.0:pt", "identity", "identity")

    def test_devices_behind_a_pci_bridge_share_their_fate(self):
        machine = Machine("intel", [device("net", "a", access=True, bus="bridge", slot=1),
                                    device("blk", "b", access=True, bus="bridge", slot=2),
                                    device("blk", "c", access=True)], bridge=0x11)
        self.check(machine, "virtio_dma=net:on", "DMA-FQ", "translated-lazy", 1)
        self.check(machine, "virtio_dma=net:on", "identity", "identity", 2)

    def test_functions_of_a_device_share_their_fate(self):
        machine = Machine("virtio", [device("net", "a", slot=16),
                                     device("blk", "b", slot=16, function=1, access=True)])
        self.check(machine, "virtio_dma=net:on", "DMA-FQ", "translated-lazy", 1)

    def test_forced_bouncing_is_everywhere_but_where_addresses_are_translated(self):
        self.check(Machine("none", [device("blk", "a")]), "swiotlb=force", "-", "bounced")
        machine = Machine("intel", [device("blk", "a", access=True), device("blk", "b", slot=3)])
        self.check(machine, "swiotlb=force", "identity", "bounced")
        self.check(machine, "iommu=on swiotlb=force", "DMA-FQ", "translated-lazy")

    def test_others_than_virtio_are_copied_for_where_they_do_not_reach(self):
        for kind, memory, append, access in (
                ("e1000", "6G", "", "bounced"), ("e1000", "4G", "", "-"),
                ("e1000", "6G", "iommu=on", "-"), ("nvme", "6G", "", "-"),
                ("nvme", "6G", "swiotlb=force", "bounced")):
            with self.subTest(kind=kind, memory=memory, append=append):
                machine = Machine("intel", [device(kind, "a")], memory=memory)
                self.check(machine, append, "DMA-FQ" if append == "iommu=on" else "identity",
                           access)

    def test_virtio_dma_is_not_about_others(self):
        machine = Machine("intel", [device("nvme", "a")])
        for entry in ("on", "0000:00:02.0:on"):
            self.check(machine, "virtio_dma=" + entry, "identity", "-")

    def test_an_iommu_that_is_off_is_none(self):
        machine = Machine("intel", [device("blk", "a", access=True)])
        for off in ("iommu=off", "intel_iommu=off"):
            self.check(machine, off, "-", "direct")
        self.check(Machine("amd", [device("blk", "a", access=True)]), "intel_iommu=off",
                   "identity", "identity")

    def test_messages_unless_there_are_no_vectors_or_the_base_has_no_domain(self):
        for machine, append, options, wanted in (
                (Machine("intel"), "", "", "msi"),
                (Machine("intel"), "", "event_idx=off,vectors=0", "intx"),
                (Machine("intel"), "iommu=off", "", None),
                (Machine("intel", default_bus_bypass=True), "", "", None),
                (Machine("amd", default_bus_bypass=True), "", "", "msi"),
                (Machine("intel", iommu_options="intremap=off"), "iommu=off", "", "msi"),
                (Machine("amd"), "iommu=off", "", "msi")):
            with self.subTest(append=append, options=options, machine=machine):
                self.assertEqual(expect.expect(
                    machine, append, device("blk", "a", options=options)).irq, wanted)

    def test_virtio_iommu_does_not_reach_behind_a_pci_bridge(self):
        one = device("blk", "a", access=True, bus="bridge")
        found = expect.expect(Machine("virtio", [one]), "iommu=on", one)
        self.assertEqual((found.group, found.access), ("-", "direct"))

    def test_caching_mode_is_strict_of_its_own_accord(self):
        self.check(Machine("intel", [device("blk", "a", access=True)],
                           iommu_options="caching-mode=on,aw-bits=48"), "iommu=on",
                   "DMA", "translated-strict")

    def test_says_nothing_of_parameters_that_it_does_not_know(self):
        with self.assertRaisesRegex(ValueError, "nosuch"):
            expect.Wish("nosuch=1")


KERNEL = ["[    0.1] iommu: Default domain type: Translated (set via kernel command line)"]


def made(seen, **words):
    """A boot of one disk with iommu=on and a result of it as it should be."""
    boot = plan.Boot("b", "ours", Machine("intel", [device("blk", "a", access=True)]),
                            "iommu=on", [plan.Row(
                                "a", "x", "on", Expect("DMA-FQ", "translated-lazy"), True)],
                            **words)
    result = guest_result.Result("b", output=[
        "vdma-row: dev=virtio0 pci=0000:00:02.0 driver=virtio_blk "
        "features=ACCESS_PLATFORM,VERSION_1 group=DMA-FQ access=translated-lazy "
        "irq=msi rings=req.0:256:9:8 data=ok 1"],
        kernel=list(KERNEL), trace=["vtd_iotlb_page_update x sid 0x10 y"] if seen else [])
    return boot, result


def the_only(*args):
    verdicts = judge.judge(*args)
    assert len(verdicts) == 1
    return verdicts[0]


class TestJudge(unittest.TestCase):
    def problems(self, boot, result):
        return judge.problems_of(boot, boot.rows[0], result)

    def test_all_as_expected_is_no_problem(self):
        self.assertEqual(self.problems(*made(True)), [])

    def test_qemu_must_have_seen_it(self):
        self.assertEqual(self.problems(*made(False)), ["QEMU has not translated its DMA"])

    def test_the_log_must_say_who_decided(self):
        boot, result = made(True)
        result.kernel = []
        self.assertIn("Default domain type", self.problems(boot, result)[0])

    def test_wrong_data_group_and_dma_access_are_problems(self):
        for old, new in (("data=ok", "data=fail:"), ("DMA-FQ", "DMA"),
                         ("translated-lazy", "identity"), ("pci=0000:00:02", "pci=0000:00:03")):
            boot, result = made(True)
            result.output = [result.output[0].replace(old, new)]
            self.assertEqual(len(self.problems(boot, result)), 1, old)

    def test_a_failed_boot_fails_its_rows(self):
        boot, result = made(True)
        result.problems = ["kernel: BUG: x"]
        verdict = the_only([boot], {"b": result}, {})
        self.assertEqual((verdict.word, verdict.notes),
                         ("FAIL", ["the boot failed: kernel: BUG: x"]))

    def test_data_that_is_wrong_fails_the_row_of_its_device_and_no_other(self):
        boot, result = made(True)
        result.problems = ["command ended with status 1"]
        self.assertEqual(self.problems(boot, result),
                         ["the boot failed: command ended with status 1"])
        result.output.append(result.output[0].replace("02.0", "03.0").replace("=ok", "=fail:"))
        self.assertEqual(self.problems(boot, result), [])

    def test_a_refusal_of_qemu_is_a_skip_only_if_it_was_foreseen(self):
        for refused, word in (("not supported", "SKIP"), ("", "FAIL"), ("other", "FAIL")):
            boot, result = made(True, refused=refused)
            result.problems = ["QEMU: qemu: x is not supported by it"]
            verdict = the_only([boot], {"b": result}, {})
            self.assertEqual(verdict.word, word, refused)

    def test_what_stock_did_stands_beside_it_and_judges_nothing(self):
        boot, result = made(True)
        boot.twin = plan.Boot("t", "stock", boot.machine)
        _, stock = made(True)
        stock.output = [stock.output[0].replace("data=ok", "data=fail: gone")]
        verdict = the_only([boot], {"b": result, "t": stock}, {})
        self.assertEqual((verdict.word, verdict.stock), ("PASS", "FAILS: fail: gone 1"))

    def test_a_device_that_qemu_has_not_is_told_with_its_error(self):
        done = mock.Mock(returncode=1, stderr="\nqemu: no such device\n")
        with mock.patch.object(judge.subprocess, "run", return_value=done):
            self.assertEqual(judge.impossible(
                [{"what": "x", "needs": "y", "arguments": []}]),
                [("x", "y", "qemu: no such device")])


class TestTrace(unittest.TestCase):
    def test_who_is_translated_by_the_name_of_its_requests(self):
        self.assertEqual(trace.translations([
            "1@2.3:vtd_iotlb_page_update IOTLB page update sid 0x10 iova 0x1 slpte 0x2 domain 0x3",
            "vtd_iotlb_page_update IOTLB page update sid 0x4108 iova 0x1 slpte 0x2 domain 0x3",
            "vtd_iotlb_page_hit IOTLB page hit sid 0x18 iova 0x1"], "intel-caching"),
            {"0000:00:02.0": 1, "0000:41:01.0": 1})

    def test_amd_iommu_notes_down_who_it_lets_through(self):
        line = "amdvi_cache_update  update iotlb domid 0x1 devid: 00:02.0 gpa 0x%x hpa 0x%x"
        self.assertEqual(trace.translations(
            [line % (0xffff0123, 0x1000), line % (0x1040, 0x1000)], "amd"), {"0000:00:02.0": 1})

    def test_only_the_iotlb_is_what_is_invalidated(self):
        self.assertEqual(trace.invalidations([
            "vtd_inv_desc_iotlb_pages iotlb invalidate domain 0x2 addr 0x1 mask 0x0",
            "vtd_inv_desc_iec granularity 0x1 index 0x2 mask 0x0",
            "vtd_inv_desc_iotlb_pasid_pages is another's"], "intel"), 1)

    def test_an_iommu_that_tells_nothing_is_asked_nothing(self):
        self.assertEqual(trace.events("virtio"), [])


class TestBeside(unittest.TestCase):
    ALONE = "disks-beside: alone invalidations=0 a.requests=64 a.translations=0 b.requests=0"
    BOTH = ("disks-beside: both invalidations=9 a.requests=64 a.translations=0"
            " b.requests=64 b.translations=70")

    def problems(self, *lines):
        boot = plan.Boot("x", "ours", Machine("intel"), beside=("a", "b"))
        return beside.problems(boot, lines)

    def test_nothing_is_wrong(self):
        self.assertEqual(self.problems("hello", self.ALONE, self.BOTH), [])

    def test_each_of_what_may_be_wrong_is_told(self):
        for old, new, said in (
                ("a.requests=64", "a.requests=0", "has seen no request of a"),
                ("b.requests=64", "b.requests=0", "has seen no request of b"),
                ("b.requests=0", "b.requests=1", "while a worked alone, b.requests was 1"),
                ("invalidations=0", "invalidations=2", "while a worked alone, invalidations"),
                ("a.translations=0", "a.translations=5", "QEMU has translated a"),
                ("b.translations=70", "b.translations=0", "has not translated b beside a"),
                ("invalidations=9", "invalidations=0", "has not translated b beside a")):
            found = self.problems(self.ALONE.replace(old, new), self.BOTH.replace(old, new))
            self.assertTrue(any(said in one for one in found), (new, found))

    def test_what_was_not_counted_is_no_success(self):
        self.assertEqual(self.problems(self.ALONE), ["a and b were not counted beside each other"])


class TestTwins(unittest.TestCase):
    def test_what_stock_does_not_know_makes_no_second_boot(self):
        boots = [plan.Boot(n, "ours", Machine("intel", [device("blk", "a")]), append)
                 for n, append in (("a", ""), ("b", "iommu=on"), ("c", "virtio_dma=net:on"),
                                   ("d", "iommu=pt"))]
        new = plan.twins(boots)
        self.assertEqual([b.name for b in new], ["a-stock", "d-stock"])
        self.assertIs(boots[2].twin, new[0])

    def test_rare_devices_have_a_kernel_of_their_own_and_no_other_boot(self):
        for kind, ours, stock in (("blk", "ours", "stock"), ("gpu", "devices", "devices-stock"),
                                  ("nvme", "devices", "devices-stock")):
            boot = plan.Boot("a", "ours", Machine("none", [device("rng", "r"), device(kind, "d", slot=3)]))
            self.assertEqual(boot.flavour(), ours)
            self.assertEqual(plan.twins([boot])[0].flavour(), stock)
        for boot in plan.promise(tables.load("matrix")):
            if not boot.slow and not boot.not_virtio():
                self.assertEqual(boot.flavour(), boot.kernel)

    def test_memory_is_as_the_table_says(self):
        memory = {b.name: b.machine.memory for b in plan.promise(TABLE)}
        self.assertEqual((memory["not-virtio"], memory["on"]), ("6G", "1G"))

    def test_a_guest_is_asked_for_devices_that_are_not_virtio(self):
        boot = plan.Boot("a", "ours", Machine("none", [
            device("blk", "d"), device("nvme", "n", slot=3), device("e1000", "e", slot=4)]))
        with mock.patch.object(vm, "kernel_image"), mock.patch.object(vm, "initramfs"):
            guest = matrix.guest_for(boot, "matrix", None)
        self.assertEqual(guest.command, ["virtio-table", "0000:00:03.0", "0000:00:04.0"])

    def test_rows_chooses_by_name_row_and_parameters(self):
        boot, _ = made(True)
        for pattern, does in (("b", True), ("iommu=on", True), ("a x", True), ("c*", False)):
            self.assertEqual(rows.matches(pattern, boot.words()), does, pattern)


class WhyNot(unittest.TestCase):
    def test_a_version_of_qemu_that_cannot_do_it_is_told_and_others_boot(self):
        boot = plan.Boot("b", "ours", Machine("none"), undone={"5.2": "hangs"})
        for version, reason in (((5, 2), "QEMU 5.2 hangs"), ((7, 2), None)):
            with mock.patch.object(matrix, "qemu_version", return_value=version):
                self.assertEqual(matrix.why_not(boot), reason)

    def test_what_qemu_refuses_it_is_asked_for_all_the_same(self):
        with mock.patch.object(Machine, "missing", return_value="has none"):
            for refused, reason in (("", "has none"), ("not a valid device", None)):
                boot = plan.Boot("b", "ours", Machine("none"), refused=refused)
                self.assertEqual(matrix.why_not(boot), reason)

    def test_the_stock_kernel_cannot_do_it_either(self):
        boot = plan.Boot("b", "ours", Machine("none"), undone={"5.2": "hangs"})
        self.assertEqual(plan.twins([boot])[0].undone, boot.undone)


class LeaveOut(unittest.TestCase):
    def test_what_is_not_there_takes_with_it_what_is_not_found_without_it(self):
        boot = plan.Boot("b", "ours", Machine("none", [
            Device("gpu", "a", slot=0x10, options="multifunction=on"),
            Device("blk", "b", slot=0x10, function=1), Device("blk", "c", slot=9),
            Device("blk", "d", bus="port", port=0x11, number=1),
            Device("gpu", "e", bus="port", port=0x12, number=2),
            Device("blk", "f", bus="port", port=0x13, number=3)]))
        with mock.patch.object(Device, "missing", autospec=True,
                               side_effect=lambda d: "none" if d.kind == "gpu" else None):
            reasons = matrix.leave_out([boot])
        self.assertEqual(reasons, {"b/a": "none", "b/b": "without a it is not there",
                                   "b/e": "none", "b/f": "without e it is elsewhere"})
        self.assertEqual([d.id for d in boot.machine.devices], ["c", "d"])


class TestMachine(unittest.TestCase):
    def test_a_bus_number_follows_the_bridge(self):
        devices = [Device("blk", "a", bus="bridge"), Device("blk", "b", bus="port"),
                   Device("blk", "c", bus="function"), Device("net", "d", bus="function")]
        bridge = plan.place(devices)
        machine = Machine("intel", devices, bridge=bridge)
        self.assertEqual([d.pci() for d in machine.devices],
                         ["0000:02:01.0", "0000:03:00.0", "0000:00:10.0", "0000:00:10.1"])
        self.assertIn("multifunction=on", devices[2].options)

    def test_without_testpmd_its_nics_are_skipped_with_the_reason(self):
        with mock.patch.object(guest_machine.shutil, "which", return_value=None), \
                mock.patch.object(guest_machine, "qemu_devices",
                                  return_value={"virtio-net-pci"}):
            self.assertEqual(device("vhost-user-net", "a").missing(),
                             "dpdk-testpmd is missing (package dpdk-dev)")

    def test_one_process_has_all_nics_of_testpmd(self):
        guest = vm.Guest("x", "k", "i", Machine("none", [
            Device("vhost-user-net", "a"), Device("blk", "b"), Device("vhost-user-net", "c")]))
        with tempfile.TemporaryDirectory() as guest.dir, \
                mock.patch.object(guest, "_daemon") as daemon:
            words = " ".join(guest._device(guest.machine.devices[0])       # pylint: disable=W0212
                             + guest._device(guest.machine.devices[2]))    # pylint: disable=W0212
        self.assertEqual(daemon.call_count, 1)
        command = " ".join(daemon.call_args.args[1])
        for name in ("/a.sock", "/c.sock"):
            self.assertIn(name, command)
            self.assertIn(name, words)

    def test_microvm_has_devices_of_virtio_mmio(self):
        machine = Machine("none", [Device("blk", "a", bus="mmio", mode="legacy")],
                          board="microvm-legacy")
        self.assertEqual(machine.devices[0].properties(),
                         ["virtio-blk-device", "id=a", "bus=virtio-mmio-bus.0"])
        self.assertIn("virtio-mmio.force-legacy=on", machine.arguments())

    def test_features_that_were_turned_off_must_not_be_negotiated(self):
        row = log.Row("virtio0", "0000:00:02.0", "virtio_blk",
                            ["VERSION_1", "EVENT_IDX"], "-", "physical", "msi",
                            [log.Ring("req.0", 256, 1, 0)], "ok")
        found = guest_expect_compare(device("blk", "a", options="event_idx=off"), row)
        self.assertEqual(found, ["a: EVENT_IDX must not be negotiated"])
        found = guest_expect_compare(device("blk", "a", options="in_order=on"), row)
        self.assertEqual(found, ["a: IN_ORDER not negotiated"])


def guest_expect_compare(one, row):
    return judge.expect.compare(one, Expect("-", "physical"), row)


if __name__ == "__main__":
    unittest.main()
