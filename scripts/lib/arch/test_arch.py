# SPDX-License-Identifier: GPL-2.0-only
"""What make matrix-arch and make matrix-qemus decide without a guest or a compiler."""

import glob
import os
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))

from lib.arch import compile, guests                             # noqa: E402
from lib.guest import result as guest_result, vm                 # noqa: E402
from lib import report                                           # noqa: E402
from lib.matrix import judge                                     # noqa: E402
from lib.guest.expect import Expect                              # noqa: E402
from lib.guest.machine import Device, Machine                    # noqa: E402
from lib.matrix.plan import Boot, Row                            # noqa: E402


class Devices(unittest.TestCase):
    def test_a_device_on_a_channel(self):
        device = Device("blk", "d", access=True, packed=True, bus="ccw", slot=3)
        self.assertEqual(device.properties(), ["virtio-blk-ccw", "id=d", "devno=fe.0.0003",
                                               "iommu_platform=on", "packed=on"])
        self.assertEqual(device.pci(), "0.0.0003")

    def test_a_legacy_device_on_a_channel_is_of_revision_0(self):
        device = Device("net", "n", mode="legacy", bus="ccw", slot=1)
        self.assertIn("max_revision=0", device.properties())
        self.assertNotIn("disable-modern=on", device.properties())

    def test_a_transport_of_the_virt_board(self):
        device = Device("blk", "d", bus="virt-mmio", slot=2)
        self.assertEqual(device.properties(),
                         ["virtio-blk-device", "id=d", "bus=virtio-mmio-bus.2"])
        self.assertEqual(device.pci(), "a000400.virtio_mmio")

    def test_each_board_has_its_qemu_and_its_console(self):
        for board, qemu, console in (("virt", "qemu-system-aarch64", "console=ttyAMA0"),
                                     ("s390", "qemu-system-s390x", "console=ttysclp0")):
            machine = Machine("none", [], board=board)
            self.assertEqual(machine.qemu(), qemu)
            self.assertEqual(machine.parameters(), [console])

    def test_the_smmu_is_an_option_of_the_board(self):
        for iommu, there in (("smmuv3", True), ("none", False)):
            words = Machine(iommu, [], board="virt").arguments()
            self.assertEqual("virt,gic-version=3,iommu=smmuv3" in words, there)

    def test_a_kernel_word_without_a_value_would_become_the_guests_command(self):
        for board in ("virt", "s390"):
            for word in [*vm.ALWAYS, *Machine("none", [], board=board).parameters()]:
                self.assertIn("=", word)


class Files(unittest.TestCase):
    def test_a_header_for_others_needs_no_file_that_includes_it_by_its_name(self):
        for header, found in (("arch/x86/include/asm/iommu.h", []),
                              ("drivers/virtio/ring/ring.h", ["drivers/virtio/ring/a.c"])):
            answers = {"rev-list": ["base"], "diff": [header], "grep": ["drivers/virtio/ring/a.c"]}
            with mock.patch.object(compile, "_git", lambda verb, *_: answers[verb]):
                self.assertEqual(compile.files(), found)


    def test_of_each_file_that_the_series_changes_it_is_known_what_it_needs(self):
        changed, series = set(), "%s/series/%s" % (report.ROOT, os.path.basename(report.BUILD))
        for hunks in glob.glob(series + "/*/hunks.patch"):
            with open(hunks, encoding="utf-8") as lines:
                changed |= {line[6:].strip() for line in lines if line.startswith("+++ b/")}
        for files in glob.glob(series + "/*/files"):
            with open(files, encoding="utf-8") as lines:
                changed |= {line.split()[1] for line in lines if line[0] != "D"}
        changed = [f for f in changed if f.endswith(".c") and not f.startswith("tools/")]
        self.assertGreater(len(changed), 10)
        for path in changed:
            compile.needs(path)


class Guests(unittest.TestCase):
    def boot(self, name):
        plan, _ = guests.boots(("arm64", "s390x"))
        return next(b for b in plan if b.name == name)

    def expected(self, name, device):
        row = next(r for r in self.boot(name).rows if r.device == device)
        return row.expect.group, row.expect.access

    def test_behind_the_smmu_arm64_translates_strictly(self):
        self.assertEqual(self.expected("arm64-smmuv3", "blk-access"), ("DMA", "translated-strict"))
        self.assertEqual(self.expected("arm64-smmuv3", "blk-modern"), ("DMA", "physical"))
        self.assertEqual(self.expected("arm64-smmuv3", "mmio-access"), ("-", "direct"))

    def test_passthrough_is_identity(self):
        self.assertEqual(self.expected("arm64-smmuv3-passthrough1", "net-access"),
                         ("identity", "identity"))

    def test_channels_have_no_iommu(self):
        self.assertEqual(self.expected("s390x", "blk-access"), ("-", "direct"))
        self.assertEqual(self.expected("s390x", "blk-legacy"), ("-", "physical"))

    def test_stock_is_on_the_same_machine(self):
        plan, tests = guests.boots(("arm64", "s390x"))
        for boot in plan:
            self.assertEqual(boot.twin.kernel, boot.kernel + "-stock")
            self.assertIs(boot.twin.machine, boot.machine)
        self.assertEqual([b.name for b in tests], ["arm64-smmuv3-tests", "s390x-tests"])

    def judged(self, kernel, **row):
        boot = self.boot("arm64-smmuv3")
        boot.rows = [r for r in boot.rows if r.device == "blk-access"]
        found = {"pci": "0000:00:02.0", "group": "DMA", "access": "translated-strict", **row}
        result = guest_result.Result("r", exit_code=0, kernel=kernel, output=[
            "vdma-row: dev=virtio0 pci=%(pci)s driver=virtio_blk features=ACCESS_PLATFORM,"
            "VERSION_1 group=%(group)s access=%(access)s %(more)sdata=ok 1 MiB" % {
                "more": MORE, **found}])
        return guests.judge([boot], {boot.name: result})[0]

    def test_a_row_passes_only_as_it_must_be(self):
        log = ["[    0.1] iommu: Default domain type: Translated"]
        self.assertEqual(self.judged(log).word, "PASS")
        self.assertEqual(self.judged([]).word, "FAIL")
        self.assertEqual(self.judged(log, group="identity").word, "FAIL")
        self.assertEqual(self.judged(log, access="physical").word, "FAIL")
        self.assertEqual(self.judged(log, pci="0000:00:03.0").word, "FAIL")

    def test_the_x86_default_must_not_be_there(self):
        log = ["iommu: Default domain type: Translated",
               "iommu: Default domain type: Passthrough (QEMU guest)"]
        self.assertIn("the x86 default", self.judged(log).notes[0])


# Between dma_access and the data check: what these tests do not look at.
MORE = "irq=- rings=req.0:256:9:8 "


class Compiled(unittest.TestCase):
    def one(self, log, objects):
        config = compile.CONFIGS[0]
        with tempfile.TemporaryDirectory() as folder:
            one = compile.Compile(config, ["a/b.c", "a/c.c"])
            one.obj, one.log = folder, folder + "/log"
            os.mkdir(folder + "/a")
            for name in objects:
                with open(folder + "/a/" + name, "w", encoding="ascii"):
                    pass
            with open(one.log, "w", encoding="ascii") as out:
                out.write("\n".join(log))
            said = list(log)
            one.files = {p: one._verdict(p, p[:-1] + "o", said) for p in one.paths}
            return one.files, one.failed()

    def test_an_object_without_a_word_is_ok(self):
        self.assertEqual(self.one([], ["b.o", "c.o"]), ({"a/b.c": "ok", "a/c.c": "ok"}, []))

    def test_a_warning_is_a_failure_though_there_is_an_object(self):
        files, failed = self.one(["../a/b.c:7:1: warning: unused"], ["b.o", "c.o"])
        self.assertEqual(files["a/b.c"], "7:1: warning: unused")
        self.assertEqual(len(failed), 1)

    def test_no_object_is_a_failure_though_nothing_was_said(self):
        files, _ = self.one([], ["b.o"])
        self.assertTrue(files["a/c.c"].startswith("not compiled"))

    def test_a_warning_about_a_header_is_a_failure(self):
        _, failed = self.one(["../include/linux/virtio_ring.h:9:1: warning: x"], ["b.o", "c.o"])
        self.assertEqual(len(failed), 1)

    def test_a_file_that_nothing_is_known_of_is_an_error(self):
        with self.assertRaises(report.Failure):
            compile.needs("drivers/new/thing.c")

    def test_what_no_configuration_compiles_is_told(self):
        compiled, forgotten, x86 = ("drivers/virtio/virtio.c", "drivers/virtio/virtio_mmio.c",
                                    "drivers/iommu/amd/iommu.c")
        one = compile.Compile(compile.CONFIGS[0], [compiled, forgotten, x86])
        one.files = {compiled: "ok"}
        self.assertEqual(compile.nowhere([one]), [forgotten])


class LeftOut(unittest.TestCase):
    def test_one_device_can_be_skipped_and_the_others_not(self):
        machine = Machine("none", [Device("rng", "a"), Device("rng", "b")])
        rows = [Row(d, "", "", Expect("-", "physical")) for d in "ab"]
        boot = Boot("x", "stock", machine, rows=rows)
        verdicts = judge.judge([boot], {"x": guest_result.Result("x", exit_code=0)},
                                      {"x/b": "no such thing"})
        self.assertEqual([v.word for v in verdicts], ["FAIL", "SKIP"])


if __name__ == "__main__":
    unittest.main()
