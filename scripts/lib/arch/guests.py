# SPDX-License-Identifier: GPL-2.0-only
"""Guests of other architectures: an arm64 with an SMMUv3, and a big-endian s390x
whose virtio devices are on channels.  The x86 default is not there; everything else
of the promise is."""

from lib import rows
from lib.guest import log as guest_log, vm
from lib.guest.expect import Expect
from lib.guest.machine import Machine, devices_of
from lib.arch.compile import TABLE
from lib.matrix import judge as matrix_judge
from lib.matrix.plan import Boot, Row

RUNNER = "/usr/lib/kselftest/run_kselftest.sh"
TESTS = ("blk_data", "net_data", "devices.sh", "dma_access.sh")
TIMEOUT = 1200          # of a boot, in seconds
TESTS_TIMEOUT = 2400


def _machine(table, board, iommu, which):
    """The machine of a board with the devices that it calls table or tests."""
    devices = devices_of(table, board[which], bus=board["bus"])
    for device in devices:
        device.options = board["change"].get(device.id, device.options)
    return Machine(iommu, devices, board=board["board"], memory="512M", cpu=board["cpu"])


def _name(arch, iommu, append):
    words = [arch] + ([iommu] if iommu != "none" else [])
    return "-".join(words + [append.replace("iommu.", "").replace("=", "")][:bool(append)])


def boots(archs, stock=True):
    """(boots whose rows are judged, with their twins; boots that run the selftests)."""
    table, plan, tests = TABLE, [], []
    for entry in table["boot"]:
        arch, iommu, append = entry["arch"], entry["iommu"], entry["append"]
        if arch not in archs:
            continue
        board = table["board"][arch]
        machine = _machine(table, board, iommu, "table")
        shows = []
        for device in machine.devices:
            expect = table["shows"]["none" if device.bus == "virt-mmio" else entry["shows"]]
            shows.append(Row(device.id, device.label().removeprefix(device.kind + " "),
                             ", ".join(filter(None, [iommu, append])),
                             Expect(*expect[0 if device.access else 1])))
        boot = Boot(_name(arch, iommu, append), arch, machine, append, shows, log=entry["log"])
        if stock:
            boot.twin = Boot(boot.name + "-stock", arch + "-stock", machine, append)
        plan.append(boot)
        if entry["case"]:
            tests.append(Boot(boot.name + "-tests", arch,
                              _machine(table, board, iommu, "tests"), " ".join(filter(None, [
                                  "log_buf_len=1M vtest.scale=20 vtest.iommu=" + iommu,
                                  "vtest.case=" + entry["case"], board["parameters"], append]))))
    return plan, tests


def guest_for(boot, progress):
    command, timeout = (["virtio-table"], TIMEOUT) if not boot.name.endswith("-tests") else (
        [RUNNER] + [w for t in TESTS for w in ("-t", "virtio:" + t)], TESTS_TIMEOUT)
    return vm.Guest(
        "arch-" + boot.name, vm.kernel_image(boot.kernel),
        vm.initramfs(boot.kernel.removesuffix("-stock")), boot.machine, boot.append, command,
        timeout, progress=progress)


def run(plan, tests):
    """Results by the name of a boot."""
    every = [one for b in plan for one in (b, b.twin) if one] + tests
    return rows.boot(every, guest_for, "arch: %d guests" % len(every))[1]


def judge(plan, results):
    """Verdicts of the rows, as make matrix has them."""
    return matrix_judge.judge(plan, results, {})


def judge_tests(tests, results):
    """[(boot, name of a test, PASS, FAIL or SKIP, reason)]"""
    found = []
    for boot in tests:
        result = results[boot.name]
        ktap, problems = guest_log.parse_ktap(result.output)
        problems = result.problems + problems + ([] if ktap else ["no test reported anything"])
        found.append((boot.name, "the guest boots, ends and complains about nothing",
                      "FAIL" if problems else "PASS", "; ".join(problems)))
        found += [(boot.name, t.name, t.verdict, t.reason) for t in ktap]
    return found
