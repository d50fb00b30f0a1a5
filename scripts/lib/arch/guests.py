# SPDX-License-Identifier: GPL-2.0-only
"""Guests of other architectures: an arm64 with an SMMUv3, and a big-endian s390x
whose virtio devices are on channels.  The x86 default is not there; everything else
of the promise is."""

from lib import rows
from lib.guest import log as guest_log, vm
from lib.guest.expect import Expect
from lib.guest.machine import Device, Machine
from lib.matrix import judge as matrix_judge
from lib.matrix.plan import Boot, Row

RUNNER = "/usr/lib/kselftest/run_kselftest.sh"
TESTS = ("blk_data", "net_data", "devices.sh", "dma_access.sh")
TIMEOUT = 1200          # of a boot, in seconds
TESTS_TIMEOUT = 2400

ACCESS, PLAIN = "ACCESS_PLATFORM", "no ACCESS_PLATFORM"

# What a device shows, by what there is to say of it: (IOMMU group, dma_access).
NO_IOMMU = {ACCESS: ("-", "direct"), PLAIN: ("-", "physical")}
STRICT = {ACCESS: ("DMA", "translated-strict"), PLAIN: ("DMA", "physical")}
LAZY = {ACCESS: ("DMA-FQ", "translated-lazy"), PLAIN: ("DMA-FQ", "physical")}
IDENTITY = {ACCESS: ("identity", "identity"), PLAIN: ("identity", "physical")}

# arch, board, IOMMU, parameters, case of dma_access.expect if the selftests are to
# run too, what PCI or channel devices show, and a line of the kernel's log.
BOOTS = [
    ("arm64", "virt", "smmuv3", "", "elsewhere", STRICT, "iommu: Default domain type: Translated"),
    ("arm64", "virt", "smmuv3", "iommu.passthrough=1", "", IDENTITY,
     "iommu: Default domain type: Passthrough (set via kernel command line)"),
    ("arm64", "virt", "smmuv3", "iommu.strict=0", "", LAZY,
     "iommu: DMA domain TLB invalidation policy: lazy mode (set via kernel command line)"),
    ("arm64", "virt", "none", "", "", NO_IOMMU, ""),
    ("s390x", "s390", "none", "", "elsewhere_none", NO_IOMMU, ""),
]


def table_devices(board):
    """One of each kind that virtio-table checks by itself, and each flavour."""
    bus = {"virt": "pcie.0", "s390": "ccw"}[board]
    devices = [
        Device("blk", "blk-access", access=True, bus=bus),
        Device("blk", "blk-packed-access", access=True, packed=True, bus=bus),
        Device("blk", "blk-modern", bus=bus),
        Device("blk", "blk-legacy", mode="legacy", bus=bus),
        Device("scsi", "scsi-access", access=True, bus=bus),
        Device("net", "net-access", access=True, bus=bus),
        Device("net", "net-legacy", mode="legacy", bus=bus),
        Device("9p", "plan9-access", access=True, bus=bus),
        Device("rng", "rng-access", access=True, bus=bus),
    ]
    if board == "virt":
        devices += [Device("blk", "mmio-access", access=True, bus="virt-mmio"),
                    Device("blk", "mmio-packed", packed=True, bus="virt-mmio"),
                    Device("net", "mmio-net", access=True, bus="virt-mmio")]
    return devices


def test_devices(board):
    """What the selftests look for, see vtest_lib.sh."""
    bus = {"virt": "pcie.0", "s390": "ccw"}[board]
    devices = [
        Device("blk", "vtblk0", access=True, bus=bus),
        Device("blk", "vtblk1", packed=True, bus=bus),
        Device("blk", "vtblk2", mode="legacy", bus=bus),
        Device("scsi", "vtscsi0", access=True, bus=bus),
        Device("net", "vtnet0a", access=True, bus=bus, wire="net0.a", mac="52:54:00:00:00:01"),
        Device("net", "vtnet0b", access=True, packed=True, bus=bus, wire="net0.b",
               mac="52:54:00:00:00:02", options="event_idx=off"),
        Device("net", "vtnet1a", mode="legacy", bus=bus, wire="net1.a", mac="52:54:00:00:01:01"),
        Device("net", "vtnet1b", bus=bus, wire="net1.b", mac="52:54:00:00:01:02"),
        Device("console", "vtcon0", access=True, bus=bus, ports=("vt.a",)),
        Device("console", "vtcon1", bus=bus, ports=("vt.b",)),
        Device("9p", "vt9p0", access=True, bus=bus),
        Device("rng", "vtrng0", access=True, bus=bus),
        Device("keyboard", "vtkbd0", access=True, bus=bus),
        Device("balloon", "vtballoon0", bus=bus),
    ]
    # Linux 6.12 tells a legacy disk which blocks to clear in little-endian, on which
    # the two do not agree where the guest is not.
    if board == "s390":
        devices[2].options = "discard=off,write-zeroes=off"
    if board == "virt":
        devices += [Device("blk", "vtblk3", access=True, bus="virt-mmio"),
                    Device("blk", "vtblk4", packed=True, bus="virt-mmio")]
    return devices


# QEMU 7.2 gets the checksums wrong that s390x' vector instructions make; the others
# are what would come with them.
CPUS = {"virt": "max", "s390": "max,vx=off,vxeh=off"}


def machine_of(board, iommu, devices):
    return Machine(iommu, devices, board=board, memory="512M", cpu=CPUS[board])


def _name(arch, iommu, append):
    words = [arch] + ([iommu] if iommu != "none" else [])
    return "-".join(words + [append.replace("iommu.", "").replace("=", "")][:bool(append)])


def boots(archs, stock=True):
    """(boots whose rows are judged, with their twins; boots that run the selftests)."""
    plan, tests = [], []
    for arch, board, iommu, append, case, shown, log in BOOTS:
        if arch not in archs:
            continue
        devices = table_devices(board)
        shows = []
        for device in devices:
            expect = (NO_IOMMU if device.bus == "virt-mmio" else shown)[
                ACCESS if device.access else PLAIN]
            shows.append(Row(device.id, device.label().removeprefix(device.kind + " "),
                            ", ".join(filter(None, [iommu, append])), Expect(*expect)))
        machine = machine_of(board, iommu, devices)
        boot = Boot(_name(arch, iommu, append), arch, machine, append, shows, log=log)
        if stock:
            boot.twin = Boot(boot.name + "-stock", arch + "-stock", machine, append)
        plan.append(boot)
        if case:
            parameters = "log_buf_len=1M vtest.scale=20 vtest.iommu=%s vtest.case=%s" % (iommu, case)
            parameters += " vtest.bypass=a00" if board == "virt" else ""
            tests.append(Boot(boot.name + "-tests", arch,
                              machine_of(board, iommu, test_devices(board)),
                              (parameters + " " + append).strip()))
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
