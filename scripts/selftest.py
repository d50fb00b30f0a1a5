#!/usr/bin/env -S python3 -B
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

import functools
import os
import signal
from collections import Counter
from dataclasses import dataclass, field

from lib import report, rows, tables
from lib.guest import log, machine as guest_machine, vm

TESTS = report.ROOT + "/tools/testing/selftests/virtio"
RUNNER = "/usr/lib/kselftest/run_kselftest.sh"
VIOMMUS = ("intel", "intel-caching", "amd", "virtio", "none")
TABLE = tables.load("selftest")
POLICIES = TABLE["policies"]

# What VFIO has, for vfio_dma to try to break out of.
VFIO = {"0000:00:17.0": guest_machine.nvme, "0000:00:18.0": guest_machine.edu}

MISUSE = "ring_misuse.sh"
# What a boot that has it among its tests was made for.
MUST_RUN = ("vfio_dma", "swap.sh", "memory.sh", "p9_kill", "swiotlb_dry", MISUSE)


@functools.lru_cache(None)
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


@dataclass
class Boot:
    """See scripts/selftest.toml; append is what its case and the table say, expected are
    patterns."""
    name: str
    kernel: str = "ours"
    iommu: str = "intel"
    case: str = "default"
    append: str = ""
    timeout: int = 300
    tests: tuple = ("dma_access.sh",)
    devices: tuple = ()
    expected: object = ""
    machine: dict = field(default_factory=dict)
    only: str = ""

    def __post_init__(self):
        self.append = " ".join(filter(None, [cases()[self.case][1], self.append]))
        self.expected = tuple(TABLE["said"].get(self.expected, ()))

    def has_vfio(self):
        """Whether vfio_dma is among its tests."""
        return "vfio_dma" in self.tests

    def initramfs(self):
        """Its root file system: with the modules that its tests load."""
        special = self.kernel in ("modular", "kcsan", "kmsan") or MISUSE in self.tests
        return self.kernel if special else "plain"

    def groups(self):
        """Of the devices of the table."""
        if self.devices or not self.tests:
            return self.devices or ("all", "all-9p", "all-more")
        return ("usual", "bypass") if self.iommu.startswith("intel") else ("usual",)


def boots(quick, everything):
    """The Boots of a run."""
    plan = [Boot(name, **words) for name, words in TABLE["boot"].items()]
    left_out = ["named"] * (not everything) + ["slow"] * quick
    plan = [boot for boot in plan if boot.only not in left_out]
    for iommu in VIOMMUS if not quick else ("intel",):
        wanted = POLICIES["quick"] if quick else POLICIES.get(iommu, cases())
        for case, (viommus, _) in cases().items():
            if iommu in viommus and case in wanted:
                name = "%s-%s" % (iommu, case.replace("_", "-"))
                plan.append(Boot(name, iommu=iommu, case=case, tests=Boot.tests + (
                    ("vfio_dma",) if name in POLICIES["vfio"] else ())))
    return plan


def machine_of(boot):
    devices = guest_machine.devices_of(TABLE, boot.groups())
    machine = guest_machine.Machine(boot.iommu, devices, one_thread=boot.has_vfio(), **{
        **TABLE["slow"].get(boot.kernel, {}).get("machine", {}), **boot.machine})
    for pci, arguments in VFIO.items() if boot.has_vfio() else ():
        machine.extra += arguments(pci)
    return machine


def guest_for(boot, progress):
    machine, slow = machine_of(boot), TABLE["slow"].get(boot.kernel)
    append = "log_buf_len=1M vtest.iommu=%s vtest.case=%s" % (boot.iommu, boot.case)
    append += slow["append"] if slow else ""
    if any(d.bus == "bypass" for d in machine.devices):
        append += " vtest.bypass=0000:4"
    command = [RUNNER] + (["-o", str(boot.timeout)] if slow else [])
    for test in boot.tests:
        command += ["-t", "virtio:" + test]
    faults = sum((log.faults_of(pci) for pci in VFIO if boot.has_vfio()), ())
    return vm.Guest("selftest-" + boot.name, vm.kernel_image(boot.kernel),
                    vm.initramfs(boot.initramfs()), machine, append + " " + boot.append,
                    command + ([] if boot.tests else ["-c", "virtio"]), boot.timeout,
                    progress=progress, expected=boot.expected + faults)


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
    modules = [("race", "kcsan")] * ("kcsan" in used) + [
        ("misuse", k) for k in ("debug", "kmsan")
        if any(k == b.kernel and MISUSE in b.tests for b in plan)]
    rows.build([k for k in ("ours", "debug", "modular", "kcsan", "kmsan") if k in used],
               sorted({b.initramfs() for b in plan} | {"plain"}), modules=modules)


def show(plan, tests_of, results, close):
    """Print the results, a list of Ktaps for each boot's name; returns what selftest.json
    has of them."""
    table, values, notes = [], [], []
    for boot in plan:
        tests = tests_of[boot.name]
        seconds = results[boot.name].seconds if boot.name in results else 0
        counts = Counter(test.verdict for test in tests)
        close.counts += counts
        for test in tests:
            if test.verdict != "PASS":
                notes.append("%s %s: %s%s" % (test.verdict, boot.name, test.name,
                                              test.reason and ": " + test.reason))
            if test.verdict == "FAIL":
                notes += ["       " + line.lstrip("# ")
                          for line in test.detail[-4:] if line.strip("# ")]
        table.append([boot.name, boot.kernel, boot.iommu, boot.append or "-", counts["PASS"],
                      counts["FAIL"], counts["SKIP"], "%.0f" % seconds,
                      "FAIL" if counts["FAIL"] else "PASS" if counts["PASS"] else "SKIP"])
        values.append({"boot": boot.name, "kernel": boot.kernel, "iommu": boot.iommu,
                       "append": boot.append, "seconds": round(seconds, 1),
                       "tests": [{"name": t.name, "result": t.verdict, "reason": t.reason}
                                 for t in tests]})
    rows.show(["boot", "kernel", "vIOMMU", "parameters", "passed", "failed", "skipped", "s",
               "result"], table)
    for note in notes:
        report.say(note)
    return values


def main():
    parser, close = rows.RowWords(__doc__, "--list"), rows.Close()
    wish = parser.names("boots", [b.name for b in boots(False, True)]).read()
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
    missing = {boot.name: machine_of(boot).missing() for boot in plan}
    there = [boot for boot in plan if not missing[boot.name]]
    _, results = rows.boot(there, guest_for, "selftest: %d boots" % len(there))
    tests = {boot.name: must_run(boot, judge(results[boot.name])) if boot in there else
             [log.Ktap("boot", True, True, missing[boot.name])] for boot in plan}
    values = show(plan, tests, results, close)
    if close.counts["FAIL"]:
        report.say("logs: %s/selftest-*.log" % report.LOGS)
    close.write("selftest", {"boots": values})
    return close.status()


if __name__ == "__main__":
    report.main_guard(main)
