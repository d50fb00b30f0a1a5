#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""usage: selftest.py [--no-build] [--list] [BOOT...]

Run the kselftests of tools/testing/selftests/virtio inside guests.  All of them run on
the release kernel, and with virtio as modules.  Tests of where DMA goes run for every
policy that the command line can express, under each vIOMMU, and on the kernel with every
checker.  That kernel also meets a hostile back end in userspace.  Names of boots (--list)
restrict the run to them.

Some boots take up to an hour each without KVM, and run only if named: "debug" and
"debug-strict" (all tests with every checker), "debug-p9-kill", "kcsan" (all tests, for
data races) and "kcsan-swiotlb", and "kmsan" (tests that send data, for uninitialized
bytes) and "kmsan-misuse".  The kernel of the last two is built with clang.  QUICK=1 leaves
out the slow kernels, and most policies.
build/BASE/selftest.json has every result; the last line is "N passed, N failed, N
skipped".
"""

import os
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

sys.dont_write_bytecode = True

from lib import report, words                                    # noqa: E402
from lib.guest import expect, log, machine as guest_machine, vm  # noqa: E402
from lib.guest.vm import Device, Machine                         # noqa: E402

TESTS = report.ROOT + "/tools/testing/selftests/virtio"
RUNNER = "/usr/lib/kselftest/run_kselftest.sh"
VIOMMUS = ("intel", "intel-caching", "amd", "virtio", "none")

# Where vfio_dma runs; not in the boots of all tests, whose vCPUs are to run at the
# same time (see Machine.one_thread).
VFIO_BOOTS = ("intel-default", "intel-on", "intel-strict", "amd-default", "virtio-default")

# The policies worth a boot under the other vIOMMUs; under intel all are.
ELSEWHERE = {
    "intel-caching": ("default", "on", "strict", "virtio_on"),
    "amd": ("default", "pt", "on", "strict", "on_virtio_pt", "net_on", "off"),
    "virtio": ("default", "pt", "on", "strict", "on_virtio_pt", "net_on"),
    "none": ("default", "on", "swiotlb"),
}
QUICK = ("default", "on", "net_pci_on", "malformed")

# What VFIO has, for vfio_dma to try to break out of.
VFIO = {"0000:00:17.0": guest_machine.nvme, "0000:00:18.0": guest_machine.edu}

# What a hostile back end gets the kernel to say, which its tests count.
HOSTILE = (r"virtio_(blk|net) virtio\d+: (req|input|output)\.0: queue broken: [^:]+$",
           r"I/O error, dev vd[a-z]+, sector \d+ op 0x0:\(READ\) flags 0x\w+ phys_seg \d+ prio")


# What the checkers say of a driver at fault, each of whose faults it counts.
MISUSE = "ring_misuse.sh"
CAUGHT = (r"BUG: KMSAN: uninit-value in (dma_map|vring)_\w+\+",
          r"WARNING: CPU: \d+ PID: \d+ at kernel/dma/debug\.c:\d+ check_for_stack",
          r"DMA-API: .*: device driver maps memory from stack",
          r"Call Trace:")

# What a boot that has it among its tests was made for.
MUST_RUN = ("vfio_dma", "swap.sh", "memory.sh", "p9_kill", "swiotlb_dry", MISUSE)

VERDICTS = ("PASS", "FAIL", "SKIP")


@dataclass
class Boot:
    name: str
    kernel: str
    iommu: str
    case: str
    append: str
    timeout: int = 300
    tests: tuple = ("dma_access.sh",)       # empty: all
    devices: object = None                  # if not those of all tests or of the policies
    expected: tuple = ()                    # of what would be a problem, see Guest
    machine: dict = field(default_factory=dict)     # what else of Machine is not as usual

    def has_vfio(self):
        """Whether vfio_dma is among its tests."""
        return "vfio_dma" in self.tests

    def initramfs(self):
        """Its root file system: with the modules that its tests load."""
        special = self.kernel in ("modular", "kcsan", "kmsan") or MISUSE in self.tests
        return self.kernel if special else "plain"


def cases():
    """name: (vIOMMUs, kernel parameters), from the tests' own list."""
    found = {}
    try:
        with open(TESTS + "/dma_access.expect", encoding="utf-8") as lines:
            for line in lines:
                words = line.split()
                if words[:1] == ["case"]:
                    found[words[1]] = (
                        VIOMMUS if words[2] == "*" else tuple(words[2].split(",")),
                        "" if words[3] == "-" else " ".join(words[3:]))
    except OSError as error:
        raise report.Failure("%s: %s" % (error.filename, error.strerror)) from None
    return found


def boots(quick, everything):
    """The Boots of a run, the slow ones first, so that the short ones fill what is left."""
    known, plan = cases(), []

    def add(name, kernel, iommu, case, extra="", **more):
        viommus, append = known[case]
        if iommu in viommus:
            plan.append(Boot(name, kernel, iommu, case, (append + " " + extra).strip(), **more))

    def add_misuse(kernel):
        add(kernel + "-misuse", kernel, "intel", "default",
            "iommu.strict=1 virtio_dma=0000:00:06.0:on", timeout=600, tests=(MISUSE,),
            expected=CAUGHT, devices=[Device("rng", "vtrng0", access=True, slot=6),
                                      Device("rng", "vtrng1", access=True, slot=5)])

    def add_p9_kill(name, kernel, case, timeout=300):
        add(name, kernel, "intel", case, timeout=timeout, tests=("p9_kill",),
            devices=[Device("9p", "slow0", access=True, read_bps=512)])

    if everything:
        every = {"tests": (), "timeout": 3600}
        add("debug", "debug", "intel", "default", "vtest.scale=10", expected=HOSTILE, **every)
        # By default nothing is copied there, and no checker would see a cell.
        add("debug-strict", "debug", "intel", "strict",
            "vtest.scale=10 virtio_ring.bounce_max=4096", expected=HOSTILE, **every)
        add("kcsan", "kcsan", "intel", "default", "vtest.scale=50", **every,
            devices=[d for d in all_devices() if d.kind != "9p"])
        add_p9_kill("debug-p9-kill", "debug", "strict", 900)
        # Every way to memory in one guest: a kernel with KMSAN takes long to boot.
        add("kmsan", "kmsan", "intel", "default", "vtest.scale=5 iommu.strict=1 virtio_dma=" +
            ",".join("0000:00:%02x.0:on" % slot for slot in TRANSLATED), timeout=1800,
            tests=("blk_data", "net_data", "devices.sh"), devices=mixed_devices())
        add_misuse("kmsan")
        add("kcsan-swiotlb", "kcsan", "intel", "swiotlb", timeout=900, tests=("ring_race.sh",))
    if not quick:
        for iommu, case, end, timeout in (("intel", "default", "", 600),
                                          ("intel", "strict", "-strict", 600),
                                          ("none", "default", "-none", 1200)):
            add("debug-access" + end, "debug", iommu, case, timeout=timeout,
                devices=usual_devices())
        add_misuse("debug")
        # Devices of these types beside them would take their lock classes.
        add("debug-vduse", "debug", "none", "default", timeout=1200, expected=HOSTILE,
            tests=("vduse_blk", "vduse_net"), devices=[Device("rng", "vtrng0", access=True)])
        add("modular", "modular", "intel", "default", "vtest.scale=50", timeout=600, tests=())
    disks = [Device("blk", "vtblk0", access=True),
             Device("blk", "vtblk1", access=True, packed=True), Device("blk", "vtblk2"),
             Device("blk", "vtblk3", mode="legacy"), Device("scsi", "vtscsi0", access=True)]
    add("swiotlb-dry", "ours", "intel", "default", "swiotlb=256,force virtio_ring.bounce_max=-1",
        tests=("swiotlb_dry",), expected=(r"swiotlb buffer is full \(sz: \d+ bytes\)",),
        devices=disks)
    # As much load, and swiotlb has nothing to say.
    add("swiotlb-pools", "ours", "intel", "default",
        "swiotlb=512,force virtio_ring.cell_max=32768",
        tests=("swiotlb_dry", "blk_data", "net_data"),
        devices=[*disks, *nic_pair(0, dict(access=True), dict(access=True, packed=True))])
    add("memory", "ours", "intel", "on", tests=("memory.sh",),
        machine={"smp": 8, "memory": "256M"},
        devices=[Device("net", "vtnet0", access=True, tap=True, queues=8,
                        options="mq=on,vectors=18,rx_queue_size=1024"),
                 Device("blk", "vtblk0", access=True, options="num-queues=8,queue-size=1024"),
                 Device("console", "vtcon0", access=True, ports=("vt.a",))])
    add("swap", "ours", "intel", "strict", tests=("swap.sh",), timeout=600,
        machine={"memory": "256M"}, devices=[Device("blk", "vtswap0", access=True, size=1 << 30)])
    for case in ("default", "strict"):
        add_p9_kill("p9-kill-" + case, "ours", case)
    add("ours", "ours", "intel", "default", timeout=600, tests=())
    add("ours-strict", "ours", "intel", "strict", timeout=600, tests=())
    for iommu in VIOMMUS:
        for case in known:
            if quick and (iommu != "intel" or case not in QUICK):
                continue
            if iommu == "intel" or case in ELSEWHERE[iommu]:
                name = "%s-%s" % (iommu, case.replace("_", "-"))
                add(name, "ours", iommu, case, tests=Boot.tests +
                    (("vfio_dma",) if name in VFIO_BOOTS else ()))
    return plan


def all_devices():
    """What vtest_lib.sh says the tests want to find."""
    return [
        Device("blk", "vtblk0", access=True),
        Device("blk", "vtblk1", access=True, packed=True),
        Device("blk", "vtblk2", slot=5),
        Device("blk", "vtblk3", mode="legacy"),
        Device("blk", "vtblk4", packed=True),
        Device("blk", "vtblk5", access=True, options="indirect_desc=off,event_idx=off"),
        Device("scsi", "vtscsi0", access=True),
        Device("scsi", "vtscsi1", mode="legacy"),
        # With event indexes a packed queue may stall over a reset, see net_resize.c.
        *nic_pair(0, dict(access=True),
                  dict(access=True, packed=True, options="event_idx=off")),
        *nic_pair(1, dict(mode="legacy"), dict(access=True, options="mq=off,mrg_rxbuf=off")),
        Device("console", "vtcon0", access=True, ports=("vt.a",)),
        Device("console", "vtcon1", mode="legacy", ports=("vt.b",)),
        Device("9p", "vt9p0", access=True),
        Device("9p", "vt9p1", mode="legacy"),
        *rng_pair(),
        Device("keyboard", "vtkbd0", access=True),
        Device("balloon", "vtballoon0"),
    ]


# Slots of the devices that are translated where others are not.
TRANSLATED = range(0x10, 0x16)


def mixed_devices():
    """Some of those that send data: translated, passed through, and with physical
    addresses."""
    return [
        Device("blk", "vtblk0", access=True, slot=0x10),
        Device("blk", "vtblk1", access=True, packed=True, slot=0x11),
        Device("blk", "vtblk2", access=True),
        Device("blk", "vtblk3"),
        Device("scsi", "vtscsi0", access=True, slot=0x12),
        *nic_pair(0, dict(access=True, slot=0x13), dict(access=True, packed=True)),
        Device("console", "vtcon0", access=True, ports=("vt.a",), slot=0x14),
        Device("console", "vtcon1", mode="legacy", ports=("vt.b",)),
        Device("9p", "vt9p0", access=True, slot=0x15),
        Device("rng", "vtrng0", access=True),
    ]


def usual_devices():
    """One or two of each type, for the tests of where DMA goes."""
    return [
        Device("blk", "vtblk0", access=True),
        Device("blk", "vtblk1", mode="legacy"),
        Device("blk", "vtblk2", access=True, packed=True, slot=5),
        Device("scsi", "vtscsi0", access=True),
        *nic_pair(0, dict(access=True), dict(mode="legacy")),
        *rng_pair(),
        Device("balloon", "vtballoon0"),
    ]


def policy_devices(iommu):
    """These, and two behind a bus that bypasses the IOMMU where QEMU has it.  Not
    for the kernel with every checker: ACPI takes two minutes there to give up on
    the interrupts of that bus, whose devices use none of these."""
    if iommu not in ("intel", "intel-caching"):
        return usual_devices()
    return usual_devices() + [Device("blk", "vtblk3", access=True, bus="bypass"),
                              Device("blk", "vtblk4", bus="bypass")]


def nic_pair(number, first, second):
    """Two NICs that are connected to each other and to nothing else."""
    return [Device("net", "vtnet%d%s" % (number, end), wire="net%d.%s" % (number, end),
                   mac="52:54:00:00:%02x:%02x" % (number, index), **options)
            for end, index, options in (("a", 1, first), ("b", 2, second))]


def rng_pair():
    """Two functions of one slot."""
    return [Device("rng", "vtrng0", access=True, slot=6, options="multifunction=on"),
            Device("rng", "vtrng1", slot=6, function=1)]


def guest_for(boot, progress):
    devices = boot.devices or (policy_devices(boot.iommu) if boot.tests else all_devices())
    machine = Machine(boot.iommu, devices, one_thread=boot.has_vfio(), **boot.machine)
    expected = boot.expected
    for pci, arguments in VFIO.items() if boot.has_vfio() else ():
        machine.extra += arguments(pci)
        expected += log.faults_of(pci)
    append = "log_buf_len=1M vtest.iommu=%s vtest.case=%s" % (boot.iommu, boot.case)
    if boot.kernel in ("debug", "kmsan"):
        # While the base finds out what the CPU can do, it takes the CPU for one
        # without 5-level paging, and KASAN its addresses for wild ones; KMSAN looks
        # for what it remembers of them elsewhere.
        machine.cpu = "max,la57=off"
    if boot.kernel == "kmsan":
        # It remembers of each byte whether it was written, and where that came
        # from: of the 256 MiB of memory-mapped configuration space, too.
        machine.memory = "2G"
        append += " pci=nommconf"
    if any(d.bus == "bypass" for d in devices):
        append += " vtest.bypass=0000:4"
    # The tests' own limit is for a kernel that checks nothing.
    slow = boot.kernel in ("debug", "kcsan", "kmsan")
    command = [RUNNER] + (["-o", str(boot.timeout)] if slow else [])
    for test in boot.tests:
        command += ["-t", "virtio:" + test]
    return vm.Guest("selftest-" + boot.name, vm.kernel_image(boot.kernel),
                    vm.initramfs(boot.initramfs()), machine, append + " " + boot.append,
                    command + ([] if boot.tests else ["-c", "virtio"]), boot.timeout,
                    progress=progress, expected=expected)


def judge(result):
    """Results of one boot as KTAP results; the boot itself is one of them."""
    results, problems = log.parse_ktap(result.output)
    problems = result.problems + problems
    if not results:
        problems.append("no test reported anything")
    boot = log.Ktap("the guest boots, ends and complains about nothing", not problems)
    boot.reason = "; ".join(problems)
    return [boot] + results


def must_run(boot, results):
    """Fail what was skipped in a guest that was made for it."""
    for test in results:
        wanted = [name for name in MUST_RUN if name in boot.tests and name in test.name]
        if wanted and test.verdict == "SKIP":
            test.ok, test.skip = False, False
            test.reason = "skipped: " + test.reason
    return results


def build(plan):
    """What the boots of a plan need."""
    used = {boot.kernel for boot in plan}
    expect.build(
        *[["kernel.sh", k] for k in ("ours", "debug", "modular", "kcsan", "kmsan") if k in used],
        *([["module.sh", "race", "kcsan"]] if "kcsan" in used else []),
        *[["module.sh", "misuse", k] for k in ("debug", "kmsan")
          if any(k == b.kernel and MISUSE in b.tests for b in plan)],
        *[["initramfs.sh", k] for k in sorted({b.initramfs() for b in plan} | {"plain"})])


def show(boots_of, tests_of, seconds_of):
    """Print the results, a list of Ktaps for each boot's name; returns what selftest.json
    has of them, and the totals."""
    table, values, notes, totals = [], [], [], Counter()
    for boot in boots_of:
        tests, seconds = tests_of[boot.name], seconds_of.get(boot.name, 0)
        counts = Counter(test.verdict for test in tests)
        totals += counts
        for test in tests:
            if test.verdict != "PASS":
                notes.append("%s %s: %s%s" % (test.verdict, boot.name, test.name,
                                              test.reason and ": " + test.reason))
            if test.verdict == "FAIL":
                notes += ["       " + line.lstrip("# ")
                          for line in test.detail[-4:] if line.strip("# ")]
        numbers = [counts[verdict] for verdict in VERDICTS]
        table.append([boot.name, boot.kernel, boot.iommu, boot.append or "-", *numbers,
                      "%.0f" % seconds,
                      "FAIL" if counts["FAIL"] else "PASS" if counts["PASS"] else "SKIP"])
        values.append({"boot": boot.name, "kernel": boot.kernel, "iommu": boot.iommu,
                       "append": boot.append, "seconds": round(seconds, 1),
                       "tests": [{"name": t.name, "result": t.verdict, "reason": t.reason}
                                 for t in tests]})
    for line in report.format_table(["boot", "kernel", "vIOMMU", "parameters", "passed", "failed",
                                     "skipped", "s", "result"], table) + notes:
        report.say(line)
    return values, [totals[verdict] for verdict in VERDICTS]


def main():
    started = time.monotonic()
    parser = words.Words(__doc__, "--no-build", "--list")
    wish = parser.names("boots", [b.name for b in boots(False, True)]).parse_intermixed_args()
    plan = boots(bool(os.environ.get("QUICK")) and not wish.boots, bool(wish.boots) or wish.list)
    if wish.list:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        for boot in plan:
            print("%-24s %-8s %-14s %s" % (boot.name, boot.kernel, boot.iommu, boot.append))
        return 0
    plan = [b for b in plan if not wish.boots or b.name in wish.boots]
    vm.check_host()
    if not wish.no_build:
        build(plan)

    guests, tests = {}, {}
    with report.Progress() as progress:
        for boot in plan:
            guest = guest_for(boot, progress)
            reason = guest.machine.missing()
            if reason:
                tests[boot.name] = [log.Ktap("boot", True, True, reason)]
            else:
                guests[boot.name] = guest
        report.say("selftest: %d boots" % len(guests))
        results = dict(zip(guests, vm.boot_all(guests.values())))

    for boot in plan:
        if boot.name in results:
            tests[boot.name] = must_run(boot, judge(results[boot.name]))
    values, totals = show(plan, tests, {name: r.seconds for name, r in results.items()})
    if totals[1]:
        report.say("logs: %s/selftest-*.log" % report.LOGS)
    report.write_json(report.BUILD + "/selftest.json", {
        "boots": values, **dict(zip(("passed", "failed", "skipped"), totals)),
        "seconds": round(time.monotonic() - started, 1)})
    report.say("%d passed, %d failed, %d skipped" % tuple(totals))
    return 1 if totals[1] or not totals[0] else 0


if __name__ == "__main__":
    report.main_guard(main)
